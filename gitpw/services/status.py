"""Who does what: the dashboard's data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.ids import TaskId, isoformat
from gitpw.domain.lineup import lined_up
from gitpw.domain.lock import Claim
from gitpw.domain.merge import Merge, MergeState
from gitpw.domain.presence import looked_at
from gitpw.domain.progress import Progress
from gitpw.domain.reasons import Blocker, blockers
from gitpw.domain.task import Task, TaskStatus
from gitpw.domain.turns import in_line
from gitpw.domain.waiter import Waiter
from gitpw.domain.worker import Worker
from gitpw.ledger.signing import ForgedError
from gitpw.services.expecting import expecting
from gitpw.services.forecast import MOST, WAIT, Clash, forecast, stands, start_fetch, with_branches
from gitpw.services.overdue import overdue
from gitpw.services.ports import Context

PATIENCE = 1.0
"""Seconds that a look may wait for the network."""


PREDICTING = 2.0
"""Seconds that it may take to see which branches would conflict."""


class Status(NamedTuple):
    """All that the dashboard shows; `as_of` is when this was last known to be current, `current` whether that is now."""

    as_of: datetime | None
    workers: list[Worker]
    tasks: dict[str, int]
    progress: list[Progress]
    locks: list[dict[str, Any]]
    claims: list[Claim]
    merges: list[Merge]
    warnings: list[str]
    titles: dict[TaskId, str]
    ledger: str
    remote: str | None
    current: bool = True
    blocked: dict[TaskId, Blocker] = {}  # noqa: RUF012 - never changed
    failed: Sequence[Task] = ()
    conflicts: Sequence[Clash] = ()
    waits: Sequence[tuple[Waiter, int]] = ()


def status(ctx: Context, *, offline: bool = False) -> Status:
    """The state, current if the remote answers in time, else the last one known, with a warning that says so."""
    warnings = []
    if offline:
        board, as_of = ctx.ledger.board(), ctx.ledger.store.asked()
    else:
        board, as_of, error = ctx.ledger.freshest(PATIENCE if ctx.ledger.known() else 60.0)
        if isinstance(error, ForgedError):
            warnings.append(f"{error.message} ('git pw doctor --fix' puts back what is shown here)")
        elif error is not None:
            age = f"as of {isoformat(as_of)}" if as_of is not None else "of unknown age"
            warnings.append(f"this is {age}, since {error.message}")
    now = ctx.clock.now()
    claims = sorted(board.claims(), key=lambda claim: claim.token)
    tasks = [claim.task for claim in claims if claim.task is not None]
    merges = lined_up(board)
    clashes, unknown = _forecast(ctx, claims, offline=offline or as_of is not None)
    return Status(
        as_of=as_of or now,
        current=as_of is None,
        workers=list(looked_at(board, now, ctx.me.host)),
        tasks={status.value: board.meta.counts.get(status, 0) for status in TaskStatus},
        progress=expecting(ctx, board, claims),
        locks=[lock for claim in claims for lock in claim.public()],
        claims=claims,
        merges=merges,
        warnings=[*warnings, *_warnings(ctx, board, claims, merges, now), *map(str, clashes), *unknown],
        conflicts=clashes,
        titles={name: task.title for name in tasks if (task := board.task(name)) is not None},
        ledger=board.meta.ledger,
        remote=ctx.remote,
        blocked=blockers(board),
        failed=list(board.failed()),
        waits=in_line(board, now, ctx.me.host),
    )


def _forecast(ctx: Context, claims: list[Claim], *, offline: bool) -> tuple[Sequence[Clash], list[str]]:
    """The conflicts to come, and what couldn't be found out in time, in words."""
    at_work = sorted(with_branches(claims), key=lambda claim: (claim.worker != ctx.me.worker, -claim.token))
    if not at_work:
        return (), []
    here = {tree.own.claim for tree in ctx.worktrees.all() if tree.own is not None and tree.present}
    fetch = None if offline else start_fetch(ctx, [claim for claim in at_work if claim.id not in here])
    if fetch is not None:
        fetch.wait(WAIT)
    found = forecast(ctx, stands(ctx, at_work[: 3 * MOST]), PREDICTING)
    more = "not all branches could be compared in time: ask again"
    return found.clashes, [more] if found.unknown else []


def _warnings(
    ctx: Context, board: Board, claims: list[Claim], merges: list[Merge], now: datetime
) -> Iterator[str]:
    yield from map(str, overdue(ctx, board, claims))
    for merge in merges:
        if merge.state in {MergeState.CONFLICT, MergeState.FAILED}:
            yield f"{merge.task_id} did not merge: {merge.detail or merge.state}"
    yield from _stuck(board)
    for host, clock in board.meta.hosts.items():
        ahead = (clock.at - now).total_seconds()
        if ahead > board.settings.skew:
            yield f"the clock of {host} is at least {ahead / 60:.0f} minutes ahead of this one"


def _stuck(board: Board) -> Iterator[str]:
    """Tasks that nothing will become of unless somebody does something."""
    for task in board.blocked():
        for name in board.unmet(task):
            needed = board.task(name)
            if needed is None or needed.is_dead_end:
                yield f"{task.id} is blocked by {name}, which {'is gone' if needed is None else f'is {needed.status}'}"
    for task in board.failed():
        if task.needs_person:
            yield needs_person(task)


def needs_person(task: Task) -> str:
    """What to say of a task that isn't tried again by itself."""
    return f"{task.id} needs a person: {task.failure or 'it failed'} ('git pw task retry {task.id}')"
