"""What becomes of the merge queue's entries, and who may run it.

The merger's lease only saves test runs: what makes landing safe is that the base branch moves in one step with the
ledger, from the commit that the tests were based on, by the token of the merger that ran them.
"""

from __future__ import annotations

from collections.abc import Sequence

from gitpw.domain.backlog import landed_task, queued
from gitpw.domain.board import Board
from gitpw.domain.grant import new_lease, unknown, void
from gitpw.domain.ids import TaskId, isoformat
from gitpw.domain.lock import Lease, ended, implausible, overdue
from gitpw.domain.merge import AT_WORK, RETURNED, Freeze, Merge, Merger, MergeState, Pause
from gitpw.domain.operation import (
    Back,
    Done,
    Drop,
    First,
    Frozen,
    Intend,
    Judged,
    Land,
    Landing,
    Mark,
    Merging,
    Operation,
    Outcome,
    Refused,
    Requeue,
    Resume,
    SendBack,
    Stop,
    Withdraw,
)
from gitpw.domain.settings import Settings
from gitpw.domain.task import TaskStatus

# Who runs the queue


def merging(board: Board, operation: Operation, request: Merging) -> Outcome:
    """Take the queue, or go on running it; what looks overdue to one clock alone is marked first, as claims are."""
    line = board.line
    now = line.merger
    if request.token is not None:
        lost = _not_current(board, request.token)
        if lost is not None:
            return lost
    elif now is not None and not _is_over(board, operation, request, now):
        return _suspected(board, operation, now)
    token = board.counter + 1 if request.token is None or now is None else now.token
    lease = new_lease(board, operation, request.lease)
    merger = Merger(
        worker=operation.author.worker,
        host=operation.author.host,
        place=request.place,
        token=token,
        lease=lease,
    )
    freeze = line.freeze if line.freeze is not None and line.freeze.commit == request.base else None
    board.put_line(line.but(merger=merger, freeze=freeze))
    if not request.keep:
        _marked(board, operation, request.marks)
    back = [one.task for one in request.back if _returned(board, operation, one)]
    return Done(
        token=token,
        tasks=tuple(mark.task for mark in request.marks),
        detail={"renewed": request.token is not None, "returned": back},
    )


def _is_over(board: Board, operation: Operation, request: Merging, now: Merger) -> bool:
    if now.place == request.place and now.token == request.gone:
        return True
    if now.lease.version > operation.seen:
        return False
    return ended(now.lease, operation.at, operation.author.host, board.clocks, _tolerance(board, now.lease))


def _tolerance(board: Board, lease: Lease) -> Settings:
    """Skew and suspicion of the merger's lease: no longer than it lasts itself."""
    settings = board.settings
    return settings.but(
        skew=min(settings.skew, lease.duration), suspicion=min(settings.suspicion, lease.duration)
    )


def _suspected(board: Board, operation: Operation, now: Merger) -> Outcome:
    """Somebody else runs the queue; if that looks over to this host's clock, it is noted."""
    host, settings = operation.author.host, _tolerance(board, now.lease)
    looks_over = overdue(now.lease, operation.at, settings) or implausible(now.lease, operation.at, settings)
    if not looks_over or host in now.lease.marks:
        return busy(now)
    marks = {**now.lease.marks, host: operation.at}
    board.put_line(board.line.but(merger=now.but(lease=now.lease.but(marks=marks))))
    return Done(detail={"suspected": now.worker})


def busy(now: Merger) -> Refused:
    """The refusal that names who runs the queue."""
    return Refused(
        code="contended",
        message=f"{now.worker} runs the merge queue on {now.host}",
        hint=f"until {isoformat(now.lease.expires_at)} at least; try again then",
        data={
            "merger": {
                "workerId": now.worker,
                "host": now.host,
                "expiresAt": isoformat(now.lease.expires_at),
            }
        },
    )


def _not_current(board: Board, token: int | None) -> Refused | None:
    """Whether somebody else has taken the queue over."""
    now = board.line.merger
    if token is None or (now is not None and now.token == token):
        return None
    by = f" by {now.worker} on {now.host}" if now is not None else ""
    return Refused(
        code="stale",
        message=f"the merge queue was taken over{by}",
        hint="nothing was landed; the other merger goes on",
        data={"merger": None if now is None else now.worker},
    )


def _marked(board: Board, operation: Operation, marks: Sequence[Mark]) -> None:
    """Say what is being done to which entries; of the others, nothing is being done any more."""
    said = {mark.task: mark for mark in marks}
    for entry in board.merges():
        mark = said.get(entry.task_id)
        if mark is not None and mark.head == entry.head and entry.state not in RETURNED:
            board.put_merge(
                entry.but(
                    state=mark.state,
                    detail=mark.detail,
                    data={},
                    updated_at=operation.at,
                    pushed=mark.pushed or entry.pushed,
                    pr_url=mark.pr_url or entry.pr_url,
                )
            )
        elif entry.state in AT_WORK:
            board.put_merge(entry.but(state=MergeState.QUEUED, detail="", updated_at=operation.at))


# What was found out


def land(board: Board, operation: Operation, request: Land) -> Outcome:
    """Record what was merged: the locks are free and the dependents ready."""
    lost = _not_current(board, request.token) or (
        _obstacle(board, request.landings, request.onto) if request.onto is not None else None
    )
    if lost is not None:
        return lost
    landed = []
    for landing in request.landings:
        entry = board.entry(landing.task)
        if entry is None or entry.head != landing.head or board.task(landing.task) is None:
            continue
        landed_task(board, operation, landing.task, "merged", landing.commit)
        landed.append(landing.task)
    if request.commit is not None:
        board.put_line(board.line.but(landed=request.commit, tests=request.tests))
    back = _judged(board, operation, request)
    return Done(
        tasks=tuple(landed),
        changed=bool(landed or back or request.leave),
        detail={"commit": request.commit, "returned": back},
    )


def intend(board: Board, operation: Operation, request: Intend) -> Outcome:
    """Note that the base branch is about to move: whoever comes next finishes or withdraws by looking at it."""
    lost = _not_current(board, request.token) or _obstacle(board, request.landings, request.onto)
    if lost is not None:
        return lost
    for landing in request.landings:
        entry = board.entry(landing.task)
        if entry is not None:
            board.put_merge(
                entry.but(
                    state=MergeState.LANDING,
                    detail=f"as {(landing.commit or request.commit)[:12]}",
                    landing=request.commit,
                    onto=request.onto,
                    data={"commit": landing.commit},
                    updated_at=operation.at,
                )
            )
    return Done(tasks=tuple(landing.task for landing in request.landings), detail={"commit": request.commit})


def withdraw(board: Board, operation: Operation, request: Withdraw) -> Outcome:
    """A landing that was announced didn't happen: the entries stand in line again."""
    found = [entry for entry in board.merges() if entry.landing == request.commit]
    for entry in found:
        board.put_merge(_again(operation, entry))
    return Done(tasks=tuple(entry.task_id for entry in found), changed=bool(found))


def _again(operation: Operation, entry: Merge) -> Merge:
    return entry.but(
        state=MergeState.QUEUED, detail="", data={}, landing=None, onto=None, updated_at=operation.at
    )


def _obstacle(board: Board, landings: Sequence[Landing], onto: str | None) -> Refused | None:
    """Why these can't land together now: an entry changed, was taken out or paused since it was tested."""
    going = {landing.task for landing in landings}
    for landing in landings:
        why = _unfit(board, landing, going)
        if why is not None:
            return Refused(
                code="stale",
                message=f"{landing.task} can't land: {why}",
                hint="the others are tried again without it",
                data={"taskId": landing.task, "onto": onto},
            )
    return None


def _unfit(board: Board, landing: Landing, going: set[TaskId]) -> str | None:
    entry, task = board.entry(landing.task), board.task(landing.task)
    if entry is None or task is None:
        return "it is no longer in the queue"
    if entry.head != landing.head:
        return "it was handed in anew"
    claim = board.claim(entry.claim)
    if claim is None or task.claim != claim.id or not claim.queued or entry.state in RETURNED:
        return "it is back with its owner"
    pause = board.line.pause
    if pause is not None and pause.holds(task.priority):
        return f"{pause.by} paused the queue"
    unmet = [name for name in board.unmet(task) if name not in going]
    return f"it waits for {', '.join(unmet)}" if unmet else None


def send_back(board: Board, operation: Operation, request: SendBack) -> Outcome:
    """Return entries to their owners; a merger that is done leaves."""
    lost = _not_current(board, request.token)
    if lost is not None:
        return lost
    back = _judged(board, operation, request)
    return Done(
        tasks=tuple(TaskId(name) for name in back),
        changed=bool(back or request.leave),
        detail={"returned": back},
    )


def _judged(board: Board, operation: Operation, request: Judged) -> list[str]:
    back = [one.task for one in request.back if _returned(board, operation, one)]
    line = board.line
    if request.window is not None:
        line = line.but(window=request.window)
    if request.leave:
        line = line.but(merger=None)
        _marked(board, operation, ())
    if line != board.line:
        board.put_line(line)
    return list(back)


def _returned(board: Board, operation: Operation, back: Back) -> bool:
    entry = board.entry(back.task)
    if entry is None or entry.head != back.head or entry.state in RETURNED:
        return False
    return _to_owner(
        board, operation, entry.but(state=back.state, detail=back.detail, data=back.data), keep=True
    )


def _to_owner(board: Board, operation: Operation, entry: Merge, *, keep: bool) -> bool:
    """The owner has the task again, with all its locks and a fresh lease; who is gone loses it.

    `keep` is for an entry that keeps its place.
    """
    task, claim = board.task(entry.task_id), board.claim(entry.claim)
    if task is None or claim is None or task.status is not TaskStatus.COMPLETED:
        return False
    worker = board.worker(claim.worker)
    if worker is None:
        void(board, operation, claim, "returned by the merge queue")
        return True
    if keep:
        board.put_merge(entry.but(updated_at=operation.at, landing=None, onto=None))
    else:
        board.drop_merge(entry)
    board.put_claim(claim.but(queued=False, lease=new_lease(board, operation, claim.lease.duration)))
    board.put_task(task.but(status=TaskStatus.IN_PROGRESS, completed_at=None))
    board.put_worker(worker.occupied((*worker.current_tasks, task.id)))
    return True


def freeze(board: Board, operation: Operation, request: Frozen) -> Outcome:
    """The base branch is red: nothing lands before it has moved, or somebody resumes."""
    lost = _not_current(board, request.token)
    if lost is not None:
        return lost
    board.put_line(
        board.line.but(
            freeze=Freeze(commit=request.commit, at=operation.at, detail=request.detail), merger=None
        )
    )
    _marked(board, operation, ())
    return Done(detail={"commit": request.commit, "reason": request.detail})


# What people decide


def drop(board: Board, operation: Operation, request: Drop) -> Outcome:
    """Take an entry out: its owner has the task again."""
    entry = board.entry(request.task)
    if entry is None:
        return _absent(board, request.task)
    if entry.state is MergeState.LANDING:
        return _landing(entry)
    if entry.state in RETURNED:
        board.drop_merge(entry)
        return Done(tasks=(entry.task_id,), detail={"reason": request.reason})
    _to_owner(board, operation, entry, keep=False)
    return Done(tasks=(entry.task_id,), detail={"reason": request.reason, "workerId": entry.worker_id})


def first(board: Board, operation: Operation, request: First) -> Outcome:
    """An entry goes before all others; what it depends on still comes first."""
    entry = board.entry(request.task)
    if entry is None:
        return _absent(board, request.task)
    line = board.line
    if entry.rank == line.ranks > 0:
        return Done(tasks=(entry.task_id,), changed=False)
    board.put_line(line.but(ranks=line.ranks + 1))
    board.put_merge(entry.but(rank=line.ranks + 1, updated_at=operation.at))
    return Done(tasks=(entry.task_id,))


def requeue(board: Board, operation: Operation, request: Requeue) -> Outcome:
    """An entry is tried again as it is, also one that is back with its owner: red results of before don't count."""
    entry, task = board.entry(request.task), board.task(request.task)
    if entry is None or task is None:
        return _absent(board, request.task)
    if entry.state is MergeState.LANDING:
        return _landing(entry)
    claim = board.claim(entry.claim)
    if claim is None or task.claim != claim.id:
        return _absent(board, request.task)
    if entry.state in RETURNED:
        queued(board, operation, task, claim)
    board.put_merge(_again(operation, entry).but(tries=entry.tries + 1))
    return Done(tasks=(entry.task_id,))


def _absent(board: Board, name: TaskId) -> Refused:
    task = board.task(name)
    if task is None:
        return unknown(name)
    state = "merged" if task.merged_at is not None else task.status.value
    return Refused(
        code="invalid",
        message=f"{name} isn't in the merge queue: it is {state}",
        hint="see 'git pw merge list'",
    )


def _landing(entry: Merge) -> Refused:
    return Refused(
        code="invalid",
        message=f"{entry.task_id} is landing just now",
        hint="if its merger is gone, the next 'git pw merge' finds out",
    )


def pause(board: Board, operation: Operation, request: Stop) -> Outcome:
    """Nothing is merged for now; what is being tested doesn't land either."""
    line = board.line
    wanted = Pause(by=operation.author.worker, at=operation.at, reason=request.reason, below=request.below)
    if line.pause is not None and (line.pause.reason, line.pause.below) == (wanted.reason, wanted.below):
        return Done(changed=False, detail={"below": request.below, "reason": line.pause.reason})
    board.put_line(line.but(pause=wanted))
    return Done(detail={"below": request.below, "reason": request.reason})


def resume(board: Board, _operation: Operation, _request: Resume) -> Outcome:
    """Merging goes on; a red base branch is tested anew."""
    line = board.line
    if line.pause is None and line.freeze is None:
        return Done(changed=False)
    resumes = line.resumes + (1 if line.freeze is not None else 0)
    board.put_line(line.but(pause=None, freeze=None, resumes=resumes))
    return Done(detail={"paused": line.pause is not None, "frozen": line.freeze is not None})
