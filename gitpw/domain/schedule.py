"""Which task a worker gets, and why it didn't get the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gitpw.domain.aging import overtake, pass_over, seated
from gitpw.domain.board import Board
from gitpw.domain.grant import (
    EXPIRED,
    TAKEN_OVER,
    Conflict,
    Sweep,
    cleared,
    enlisted,
    freshened,
    granted,
    held_by,
    is_own,
    make_way,
    may_take_over,
    new_claim,
    unknown,
    unreadable,
    void,
)
from gitpw.domain.ids import TaskId, isoformat
from gitpw.domain.lock import Claim, Mode, merged_locks
from gitpw.domain.operation import Done, Operation, Outcome, Refused, Take
from gitpw.domain.prospect import Prospect, candidates, full, retry_due, wanted_locks
from gitpw.domain.reasons import waits_for
from gitpw.domain.task import Task, TaskStatus, branch_name, is_branch
from gitpw.domain.turns import Before, Turns, granted_turn
from gitpw.domain.waiter import Waiter
from gitpw.domain.worker import Worker

UNFINISHED = (TaskStatus.PENDING, TaskStatus.CLAIMED, TaskStatus.IN_PROGRESS, TaskStatus.FAILED)
"""The states of tasks of which it can be said why they aren't to be had."""

PARKED_AT_ONCE = 1_000
"""How many passed-over tasks one claim puts aside: enough to clear the way, few enough to write."""


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
        void(board, operation, claim, TAKEN_OVER)
    retry_due(board, operation.at)
    task = board.task(name) or task
    worker = enlisted(board, operation)
    refusal = _not_open(board, task) or full(worker) or _no_skill(worker, task)
    if refusal is not None:
        return refusal
    found = cleared(board, operation, request, wanted_locks(task, request), task=task.id)
    if isinstance(found, Refused):
        return found
    return _grant(board, operation, request, task, found)


def _not_open(board: Board, task: Task) -> Refused | None:
    """Why a task that nobody holds can't be claimed all the same."""
    if task.status is not TaskStatus.PENDING:
        hint = f"git pw task retry {task.id}" if task.status is not TaskStatus.COMPLETED else "it is done"
        later = "" if task.retry_at is None else f" and is tried again at {isoformat(task.retry_at)}"
        return Refused(code="invalid", message=f"{task.id} is {task.status}{later}", hint=hint)
    missing, parts = board.unmet(task), list(board.open_parts(task.id))
    if not missing and not parts:
        return None
    return Refused(
        code="invalid",
        message=f"{task.id} {waits_for(board, task)}",
        hint="claim what it waits for first, or drop the dependency with 'git pw task edit --no-after'"
        if missing
        else f"claim a part of it: git pw claim {parts[0]}",
        data={"dependencies": missing, "parts": parts},
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
    found = cleared(board, operation, request, more, claim)
    if isinstance(found, Refused):
        return found
    granted_turn(board, operation, request, more)
    make_way(board, operation, found)
    claim = fresh.but(locks=merged_locks(claim.locks, found.locks))
    board.put_claim(claim)
    return granted(claim)


class Choice(NamedTuple):
    """The best task, if there is one to be had; what was passed over for it, and whom others were left to."""

    best: tuple[Task, Sweep] | None
    passed: Sequence[Prospect] = ()
    waiters: Sequence[Waiter] = ()


def choose(board: Board, operation: Operation, request: Take) -> Choice | Refused:
    """The task that the asker would get."""
    worker = enlisted(board, operation)
    refusal = full(worker)
    if refusal is not None:
        return refusal
    alone = cleared(board, operation, request, request.locks)
    if isinstance(alone, Refused):
        return alone
    turns = Turns(board, operation, request)
    come_back(board, operation)
    passed: list[Prospect] = []
    waiters: list[Waiter] = []
    seats = seated(board, operation.at)
    for prospect in candidates(board, operation, request, worker, seats, turns):
        task, found = prospect
        if isinstance(found, Sweep):
            taker = turns.taker(task)
            if taker is None:
                return Choice((task, found), passed, waiters)
            waiters.append(taker)
            continue
        passed.append(prospect)
        if isinstance(found, Before):
            waiters.append(found.waiter)
    return Choice(None, passed, waiters)


def _take_best(board: Board, operation: Operation, request: Take) -> Outcome:
    choice = choose(board, operation, request)
    if isinstance(choice, Refused):
        return choice
    if choice.best is not None:
        done = _grant(board, operation, request, *choice.best)
        _stand_aside(board, operation, choice.passed)
        return done
    counts = board.meta.counts
    there = any(counts.get(status) for status in UNFINISHED)
    return Refused(
        code="nothing",
        message="nothing to claim now" if there else "there are no open tasks",
        hint="'git pw claim --explain' says why" if there else "add one with 'git pw task add'",
    )


def come_back(board: Board, operation: Operation) -> None:
    """Put in line again what only overdue claims of others hold, and what has failed and is to be tried again."""
    for claim in list(board.run_out(operation.at)):
        if claim.worker != operation.author.worker and may_take_over(board, claim, operation):
            void(board, operation, claim, EXPIRED)
    retry_due(board, operation.at)


def _stand_aside(board: Board, operation: Operation, passed: Sequence[Prospect]) -> None:
    """Put those that were passed over into the lanes of their files, so that no later claim looks at them in vain."""
    for task, found in passed[:PARKED_AT_ONCE]:
        current = board.task(task.id)
        if current is None or isinstance(found, Sweep) or found.wanted not in task.files:
            continue
        pass_over(board, operation, current, found.wanted, held=isinstance(found, Conflict | Before))


def _grant(board: Board, operation: Operation, request: Take, task: Task, found: Sweep) -> Done:
    make_way(board, operation, found)
    task = board.task(task.id) or task
    worker = enlisted(board, operation)
    branch = _branch(task, worker, request.branch)
    overtake(board, operation, task)
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
    granted_turn(board, operation, request, wanted_locks(task, request))
    return granted(claim)


def _branch(task: Task, worker: Worker, template: str) -> str:
    """The branch to work on: the worker's own of before, if it has left one; never one that another has left."""
    own = [left.branch for left in task.left if left.worker == worker.id]
    taken = {left.branch for left in task.left if left.worker != worker.id}
    kept = [task.metadata.branch_name or ""] if task.base else []
    named = branch_name(template, task)
    wanted = [*own[-1:], *kept, named, f"{named}-{worker.id}", f"{task.id}-{worker.id}"]
    return next((name for name in wanted if is_branch(name) and name not in taken), task.id)


def _no_skill(worker: Worker, task: Task) -> Refused | None:
    missing = sorted(set(task.required_skills) - set(worker.skills))
    if not missing:
        return None
    return Refused(
        code="invalid",
        message=f"{task.id} needs skills that {worker.id} doesn't have: {', '.join(missing)}",
        hint=f"git pw worker register {worker.id} --skill {missing[0]}",
    )
