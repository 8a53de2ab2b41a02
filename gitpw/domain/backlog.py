"""What becomes of tasks: added, changed, worked on, finished, merged."""

from __future__ import annotations

from gitpw.domain import progress
from gitpw.domain.board import Board
from gitpw.domain.failure import failed, told
from gitpw.domain.grant import (
    Conflict,
    blocked_by,
    end,
    freshened,
    left_by,
    make_way,
    mine,
    returned,
    sweep,
    unknown,
    unreadable,
)
from gitpw.domain.ids import TaskId, WorkerId
from gitpw.domain.lock import Claim, merged_locks
from gitpw.domain.merge import Merge, MergeState
from gitpw.domain.operation import (
    Cancel,
    Complete,
    Done,
    Fail,
    Operation,
    Outcome,
    Push,
    Refused,
    Release,
    Report,
    Retry,
    Start,
)
from gitpw.domain.planning import complete_wholes, lift
from gitpw.domain.presence import is_due
from gitpw.domain.progress import Said
from gitpw.domain.task import MOVES, Task, TaskStatus


def _move(task: Task, *steps: TaskStatus) -> Task | Refused:
    """Take a task through its life, step by step."""
    for step in steps:
        if task.status is step:
            continue
        if step not in MOVES[task.status]:
            return Refused(
                code="invalid",
                message=f"{task.id} is {task.status} and can't become {step}",
                hint="see its log",
            )
        task = task.but(status=step)
    return task


def cancel(board: Board, operation: Operation, request: Cancel) -> Outcome:
    """The task isn't wanted any more; what waits for it shows it as its reason."""
    task = board.task(request.task)
    if task is None:
        return unknown(request.task)
    if task.status is TaskStatus.CANCELLED:
        return Done(tasks=(task.id,), changed=False)
    if task.claim is not None:
        return Refused(
            code="invalid",
            message=f"{task.id} is {task.status} by {task.assigned_to}",
            hint=f"its holder gives it back first: git pw release {task.id}",
        )
    moved = _move(task, TaskStatus.CANCELLED)
    if isinstance(moved, Refused):
        return moved
    board.put_task(moved.but(retry_at=None))
    lift(board, [*task.dependencies, *board.parts(task.id)])
    complete_wholes(board, operation, [task.parent])
    return Done(tasks=(task.id,))


def retry(board: Board, _operation: Operation, request: Retry) -> Outcome:
    """A failed or cancelled task stands in line again."""
    task = board.task(request.task)
    if task is None:
        return unknown(request.task)
    if task.status is TaskStatus.PENDING:
        return Done(tasks=(task.id,), changed=False)
    if task.status not in {TaskStatus.FAILED, TaskStatus.CANCELLED}:
        return Refused(
            code="invalid",
            message=f"{task.id} is {task.status}",
            hint="only failed or cancelled tasks are retried",
        )
    returned(board, task.but(attempts=0))
    lift(board, [task.id, *task.dependencies, *board.parts(task.id)])
    return Done(tasks=(task.id,))


def start(board: Board, operation: Operation, request: Start) -> Outcome:
    """Work has begun."""
    found = mine(board, operation, request)
    if isinstance(found, Refused):
        return found
    task, claim = found
    if task.status is TaskStatus.COMPLETED:
        return Refused(
            code="invalid", message=f"{task.id} waits in the merge queue", hint="see 'git pw merge list'"
        )
    if task.status is TaskStatus.IN_PROGRESS and not is_due(claim, operation.at):
        return Done(tasks=(task.id,), claim=claim.id, token=claim.token, changed=False)
    return _begun(board, operation, task, claim)


def _begun(board: Board, operation: Operation, task: Task, claim: Claim) -> Outcome:
    moved = _move(task, TaskStatus.IN_PROGRESS)
    if isinstance(moved, Refused):
        return moved
    if moved != task:
        board.put_task(moved)
    board.put_claim(freshened(board, operation, claim))
    return Done(tasks=(task.id,), claim=claim.id, token=claim.token)


def report(board: Board, operation: Operation, request: Report) -> Outcome:
    """How far the work has come."""
    found = mine(board, operation, request)
    if isinstance(found, Refused):
        return found
    task, claim = found
    if task.status is TaskStatus.COMPLETED:
        return Refused(
            code="invalid", message=f"{task.id} is completed", hint="there is no more progress to report"
        )
    begun = _begun(board, operation, task, claim)
    if isinstance(begun, Refused):
        return begun
    old = board.progress(task.id) or progress.begun(task.id, claim.worker, claim.claimed_at)
    words = progress.Words(request.step, request.done, request.total, request.percent, request.eta)
    new = progress.advanced(old, operation.at, words)
    if isinstance(new, str):
        return Refused(code="invalid", message=new, hint="--step 3/7")
    board.put_progress(new.but(worker_id=claim.worker))
    return begun


def may_say(board: Board, worker: WorkerId, said: Said) -> bool:
    """Whether a worker's operation may bring along a word: of a current claim, and its own where all is signed."""
    claim = board.claim(said.claim)
    if claim is None or claim.token != said.token:
        return False
    return not board.settings.signed or claim.worker == worker


def hear(board: Board, operation: Operation) -> None:
    """Take in what an operation brings along of progress; what comes too late, or is another's, says nothing."""
    for said in operation.said:
        claim, new = board.claim(said.claim), said.progress
        if (
            claim is None
            or claim.queued
            or claim.task != new.task_id
            or not may_say(board, operation.author.worker, said)
        ):
            continue
        task, known = board.task(new.task_id), board.progress(new.task_id)
        if task is None or (known is not None and known.last_updated > new.last_updated):
            continue
        moved = _move(task, TaskStatus.IN_PROGRESS)
        if isinstance(moved, Task):
            if moved != task:
                board.put_task(moved)
            board.put_progress(new.but(worker_id=claim.worker, eta_source=None))


def push(board: Board, operation: Operation, request: Push) -> Outcome:
    """The branch moves in the same step, so the claim must still be the current one."""
    found = mine(board, operation, request)
    if isinstance(found, Refused):
        return found
    task, claim = found
    if task.status is TaskStatus.COMPLETED:
        return Refused(
            code="invalid", message=f"{task.id} waits in the merge queue", hint="see 'git pw merge list'"
        )
    claim = claim.but(head=request.head, pushed=request.head, pushed_to=request.branch)
    begun = _begun(board, operation, task, claim)
    return (
        begun
        if isinstance(begun, Refused)
        else begun.but(detail={"head": request.head, "branch": request.branch})
    )


def complete(board: Board, operation: Operation, request: Complete) -> Outcome:
    """The work is done: its locks stay until it has landed, its room is free.

    What was handed in before and is handed in anew, changed or returned by the queue, keeps its place.
    """
    found = mine(board, operation, request)
    if isinstance(found, Refused):
        return found
    task, claim = found
    entry = board.entry(task.id)
    if task.status is TaskStatus.COMPLETED and (entry is None or request.head in {None, entry.head}):
        return Done(tasks=(task.id,), claim=claim.id, token=claim.token, changed=False)
    if entry is not None and entry.state is MergeState.LANDING:
        return Refused(
            code="invalid", message=f"{task.id} is landing just now", hint="see 'git pw merge list'"
        )
    late = _locked_late(board, operation, request, claim)
    if isinstance(late, Refused):
        return late
    claim = late
    moved = _move(task, TaskStatus.IN_PROGRESS, TaskStatus.COMPLETED)
    if isinstance(moved, Refused):
        return moved
    files = (*task.files, *(one.resource for one in request.late))
    metadata = task.metadata.but(
        branch_name=request.branch or task.metadata.branch_name, files=tuple(dict.fromkeys(files))
    )
    task = moved.but(head=request.head, metadata=metadata)
    if entry is None and task.completed_at is None:
        finished = board.durations(task.type).and_one(task.claimed_at, operation.at)
        board.put_durations(task.type, finished)
    if request.head is not None:
        claim = claim.but(head=request.head, pushed=request.head, pushed_to=request.branch)
    queued(board, operation, task, claim)
    if not request.queue:
        landed_task(board, operation, task.id, "completed", None)
    else:
        _queue(board, operation, request, task, claim, entry)
    detail = {
        "head": request.head,
        "branch": request.branch,
        "declaredLate": [held.resource for held in request.late],
    }
    return Done(tasks=(task.id,), claim=claim.id, token=claim.token, detail=detail)


def _locked_late(board: Board, operation: Operation, request: Complete, claim: Claim) -> Claim | Refused:
    """The claim with locks also on what was changed beyond what it covers."""
    if not request.late:
        return claim
    unclear = unreadable(held.resource for held in request.late)
    if unclear is not None:
        return unclear
    found = sweep(board, operation, request.late, claim.id)
    if isinstance(found, Conflict):
        return blocked_by(operation, found)
    make_way(board, operation, found)
    return claim.but(locks=merged_locks(claim.locks, found.locks))


def queued(board: Board, operation: Operation, task: Task, claim: Claim) -> None:
    """The task is finished as far as its owner goes: its locks have no end, and its room is free."""
    board.put_task(task.but(status=TaskStatus.COMPLETED, completed_at=operation.at))
    board.put_claim(claim.but(queued=True))
    worker = board.worker(claim.worker)
    if worker is not None:
        board.put_worker(worker.occupied(tuple(one for one in worker.current_tasks if one != task.id)))


def _queue(
    board: Board, operation: Operation, request: Complete, task: Task, claim: Claim, before: Merge | None
) -> None:
    """Put the task in line, at the place that it had before if it had one."""
    position = board.meta.positions + 1
    new = Merge(
        task_id=task.id,
        worker_id=claim.worker,
        branch_name=request.branch,
        position=position,
        queued_at=operation.at,
        updated_at=operation.at,
        head=request.head,
        base=task.base,
        claim=claim.id,
    )
    if before is None:
        board.put_meta(board.meta.but(positions=position))
        board.put_merge(new)
    else:
        kept = ("position", "queued_at", "rank", "tries", "pr_url")
        board.put_merge(new.but(**{name: getattr(before, name) for name in kept}))


def fail(board: Board, operation: Operation, request: Fail) -> Outcome:
    """The work can't be done, or not this time: the claim ends, the branch stays named."""
    found = mine(board, operation, request)
    if isinstance(found, Refused):
        return found
    task, claim = found
    if task.status is TaskStatus.COMPLETED:
        return Refused(code="invalid", message=f"{task.id} is completed", hint="it waits in the merge queue")
    moved = _move(task, TaskStatus.IN_PROGRESS, TaskStatus.FAILED)
    if isinstance(moved, Refused):
        return moved
    end(board, operation, claim, "failed")
    board.drop_progress(task.id)
    _unqueue(board, task.id)
    done = failed(left_by(task, claim, operation, "failed"), request.kind, request.reason, operation.at)
    board.put_task(done)
    detail = {"reason": request.reason, "files": _files(claim), "worker": claim.worker, **told(done)}
    return Done(tasks=(task.id,), detail=detail)


def release(board: Board, operation: Operation, request: Release) -> Outcome:
    """The task goes back into the queue, the locks are free."""
    found = mine(board, operation, request)
    if isinstance(found, Refused):
        return found
    task, claim = found
    if task.status is TaskStatus.COMPLETED:
        return Refused(
            code="invalid",
            message=f"{task.id} waits in the merge queue: its locks end when it lands",
            hint="'git pw unlock --force --reason …' takes it out",
        )
    end(board, operation, claim, "released")
    returned(board, left_by(board.task(task.id) or task, claim, operation, "released"))
    return Done(tasks=(task.id,), detail={"files": _files(claim), "token": claim.token})


def _files(claim: Claim) -> list[str]:
    return [held.resource for held in claim.locks]


def landed_task(board: Board, operation: Operation, name: TaskId, how: str, commit: str | None) -> None:
    """A task is done, its work on the base branch as `commit` if that is known: its locks are free, its dependents ready."""
    task = board.task(name)
    if task is None:
        return
    claim = None if task.claim is None else board.claim(task.claim)
    board.put_task(
        task.but(
            status=TaskStatus.COMPLETED,
            completed_at=task.completed_at or operation.at,
            merged_at=operation.at,
            claim=None,
            landed=commit,
        )
    )
    if claim is not None:
        end(board, operation, claim, how)
    _unqueue(board, name)
    board.drop_progress(name)
    complete_wholes(board, operation, [task.parent, *board.dependents(name)])


def _unqueue(board: Board, name: TaskId) -> None:
    entry = board.entry(name)
    if entry is not None:
        board.drop_merge(entry)
