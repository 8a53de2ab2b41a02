"""Which task a worker gets, and why it didn't get the others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.grant import (
    Conflict,
    Sweep,
    blocked_by,
    enlisted,
    freshened,
    granted,
    held_by,
    held_locks,
    is_own,
    make_way,
    may_take_over,
    new_claim,
    sweep,
    unknown,
    unreadable,
    void,
)
from gitpw.domain.ids import TaskId
from gitpw.domain.lock import Claim, Held, Mode, merged_locks
from gitpw.domain.operation import Done, Operation, Outcome, Refused, Take
from gitpw.domain.task import Task, TaskStatus, branch_name, is_branch
from gitpw.domain.worker import Worker
from gitpw.errors import ConfigError

PARKED_AT_ONCE = 64
"""How many passed-over tasks one claim puts aside: enough to clear the way, few enough to write."""


class Reason(NamedTuple):
    """Why a task isn't, or wasn't, chosen."""

    task: TaskId
    code: str
    reason: str

    def public(self) -> dict[str, str]:
        """The reason as `--json` shows it."""
        return {"taskId": self.task, "code": self.code, "reason": self.reason}


def take(board: Board, operation: Operation, request: Take) -> Outcome:
    """Claim the named task, or the best one."""
    unclear = unreadable(held.resource for held in request.locks)
    if unclear is not None:
        return unclear
    if request.task is not None:
        return _take_named(board, operation, request, request.task)
    return _take_best(board, operation, request)


def _take_named(board: Board, operation: Operation, request: Take, name: TaskId) -> Outcome:
    task = board.task(name)
    if task is None:
        return unknown(name)
    claim = None if task.claim is None else board.claim(task.claim)
    if claim is not None and _is_mine(claim, operation, request):
        return _again(board, operation, request, claim)
    if claim is not None:
        if not may_take_over(board, claim, operation):
            path = claim.locks[0].resource if claim.locks else None
            return held_by(operation, claim, path, task.id)
        void(board, operation, claim, "taken over")
        task = board.task(name) or task
    worker = enlisted(board, operation)
    refusal = _not_open(board, task) or _no_room(worker) or _no_skill(worker, task)
    if refusal is not None:
        return refusal
    found = sweep(board, operation, _wanted(task, request))
    if isinstance(found, Conflict):
        return blocked_by(operation, found)
    return _grant(board, operation, request, task, found)


def _not_open(board: Board, task: Task) -> Refused | None:
    """Why a task that nobody holds can't be claimed all the same."""
    if task.status is not TaskStatus.PENDING:
        hint = f"git pw task retry {task.id}" if task.status is not TaskStatus.COMPLETED else "it is done"
        return Refused(code="invalid", message=f"{task.id} is {task.status}", hint=hint)
    missing = board.unmet(task)
    if not missing:
        return None
    return Refused(
        code="invalid",
        message=f"{task.id} {_waits_for(board, missing)}",
        hint="claim what it waits for first, or drop the dependency with 'git pw task edit --no-after'",
        data={"dependencies": missing},
    )


def _is_mine(claim: Claim, operation: Operation, request: Take) -> bool:
    """Whether the asker holds it, in this checkout or in the worktree that was made for it."""
    return is_own(claim, operation) or (
        claim.id == request.holding and claim.worker == operation.author.worker
    )


def _again(board: Board, operation: Operation, request: Take, claim: Claim) -> Outcome:
    """The asker holds it already: the same answer, with what more it asks for."""
    if claim.queued:
        return Refused(
            code="invalid", message=f"{claim.task} waits in the merge queue", hint="see 'git pw merge list'"
        )
    more = tuple(
        held for held in request.locks if claim.mode(held.resource) not in {held.mode, Mode.EXCLUSIVE}
    )
    fresh = freshened(board, operation, claim)
    if not more and fresh is claim:
        return granted(claim).but(changed=False)
    found = sweep(board, operation, more, claim.id)
    if isinstance(found, Conflict):
        return blocked_by(operation, found)
    make_way(board, operation, found)
    claim = fresh.but(locks=merged_locks(claim.locks, found.locks))
    board.put_claim(claim)
    return granted(claim)


def _take_best(board: Board, operation: Operation, request: Take) -> Outcome:
    worker = enlisted(board, operation)
    refusal = _no_room(worker)
    if refusal is not None:
        return refusal
    alone = sweep(board, operation, request.locks)
    if isinstance(alone, Conflict):
        return blocked_by(operation, alone)
    for claim in list(board.run_out(operation.at)):
        if claim.worker != worker.id and may_take_over(board, claim, operation):
            void(board, operation, claim, "expired")
    passed: list[tuple[Task, Conflict]] = []
    for task, found in candidates(board, operation, request, worker):
        if isinstance(found, Conflict):
            passed.append((task, found))
            continue
        done = _grant(board, operation, request, task, found)
        _park(board, passed)
        return done
    told = [reason.public() for reason in reasons(board, operation, worker)]
    return Refused(
        code="nothing",
        message="nothing to claim now" if told else "there are no open tasks",
        hint="'git pw claim --explain' says why" if told else "add one with 'git pw task add'",
        data={"reasons": told},
    )


def candidates(
    board: Board, operation: Operation, request: Take, worker: Worker
) -> Iterator[tuple[Task, Sweep | Conflict]]:
    """The tasks that the worker could do, best first, each with what stands in its way."""
    over = []
    for name in board.parking():
        claim = board.claim(name)
        if (
            claim is None
            or request.shared  # parked because somebody wanted it for themselves
            or may_take_over(board, claim, operation)
            or (claim.task is None and is_own(claim, operation))
        ):
            over.append(name)
    for task in board.ready(frozenset(worker.skills), over):
        try:
            found = sweep(board, operation, _wanted(task, request))
        except ConfigError:
            continue  # its files can't be read: 'reasons' and 'doctor' say so
        yield task, found


def _park(board: Board, passed: list[tuple[Task, Conflict]]) -> None:
    """Put tasks aside until the lock in their way is gone, so that no later claim looks at them in vain."""
    for task, conflict in passed[:PARKED_AT_ONCE]:
        current = board.task(task.id)
        if (
            current is not None
            and conflict.wanted in task.files
            and board.claim(conflict.claim.id) is not None
        ):
            board.put_task(current.but(parked=conflict.claim.id))


def _wanted(task: Task, request: Take) -> tuple[Held, ...]:
    return merged_locks(held_locks(task.files, shared=request.shared), request.locks)


def _grant(board: Board, operation: Operation, request: Take, task: Task, found: Sweep) -> Done:
    make_way(board, operation, found)
    task = board.task(task.id) or task
    worker = enlisted(board, operation)
    named = branch_name(request.branch, task)
    kept = task.metadata.branch_name
    branch = kept if kept and task.base and is_branch(kept) else named if is_branch(named) else task.id
    claim = new_claim(board, operation, worker, found.locks, request.lease).but(task=task.id, branch=branch)
    board.put_claim(claim)
    board.put_task(
        task.but(
            status=TaskStatus.CLAIMED,
            assigned_to=worker.id,
            token=claim.token,
            claim=claim.id,
            claimed_at=operation.at,
            parked=None,
            base=request.base or task.base,
            metadata=task.metadata.but(branch_name=branch),
        )
    )
    board.put_worker(worker.occupied((*worker.current_tasks, task.id)))
    return granted(claim)


def _no_room(worker: Worker) -> Refused | None:
    if len(worker.current_tasks) < worker.max_concurrent_tasks:
        return None
    room = "one task" if worker.max_concurrent_tasks == 1 else f"{worker.max_concurrent_tasks} tasks"
    mine = ", ".join(worker.current_tasks)
    return Refused(
        code="invalid",
        message=f"{worker.id} has room for {room} and holds {mine}",
        hint=f"finish it ('git pw complete'), give it back ('git pw release'), or continue it with "
        f"'git pw claim {worker.current_tasks[-1]}'",
        data={"holding": list(worker.current_tasks)},
    )


def _no_skill(worker: Worker, task: Task) -> Refused | None:
    missing = sorted(set(task.required_skills) - set(worker.skills))
    if not missing:
        return None
    return Refused(
        code="invalid",
        message=f"{task.id} needs skills that {worker.id} doesn't have: {', '.join(missing)}",
        hint=f"git pw worker register {worker.id} --skill {missing[0]}",
    )


def _told(board: Board, name: TaskId) -> str:
    """A dependency and the state that makes one wait for it."""
    task = board.task(name)
    return f"{name} ({'unknown' if task is None else task.status})"


def reasons(board: Board, operation: Operation, worker: Worker) -> list[Reason]:
    """Why each open task isn't to be had by this worker now: looks at every one of them."""
    told: list[Reason] = []
    request = Take(lease=1)
    for task in board.ready(frozenset(worker.skills), board.parking()):
        try:
            found = sweep(board, operation, _wanted(task, request))
        except ConfigError as error:
            told.append(Reason(task.id, "broken", error.message))
            continue
        if isinstance(found, Conflict):
            told.append(Reason(task.id, "held", blocked_by(operation, found).message))
        else:
            told.append(Reason(task.id, "later", "ready, but another comes first"))
    for task in board.short_of_skills(frozenset(worker.skills)):
        missing = sorted(set(task.required_skills) - set(worker.skills))
        told.append(Reason(task.id, "skills", f"needs {', '.join(missing)}"))
    told += [Reason(task.id, "waiting", _waits_for(board, board.unmet(task))) for task in board.waiting()]
    claimed = [claim for claim in board.claims() if claim.task is not None and not claim.queued]
    return told + [
        Reason(TaskId(claim.task or ""), "claimed", f"claimed by {claim.worker}") for claim in claimed
    ]


def _waits_for(board: Board, missing: list[TaskId]) -> str:
    return f"waits for {', '.join(_told(board, name) for name in missing)}"
