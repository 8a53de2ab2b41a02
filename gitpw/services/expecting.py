"""How far the work has come that is under way, with what only this machine knows yet, and when it may be finished."""

from __future__ import annotations

from collections.abc import Iterable

from gitpw.domain.board import Board
from gitpw.domain.ids import TaskId
from gitpw.domain.lock import Claim
from gitpw.domain.progress import Progress, Said, begun, expected, newest
from gitpw.services.ports import Context


def expecting(
    ctx: Context, board: Board, claims: Iterable[Claim], latest: Iterable[Said] = ()
) -> list[Progress]:
    """What is known of the tasks of these claims, with the `latest` words on them.

    Nothing of a task of which nothing was said and nothing is to be expected.
    """
    said = {one.claim: one for one in (*ctx.reports.all(), *latest)}
    found = []
    for claim in claims:
        here = said.get(claim.id)
        word = here.progress if here is not None and here.token == claim.token else None
        progress = None if claim.task is None else _expected(ctx, board, claim, claim.task, word)
        found += [] if progress is None else [progress]
    return found


def _expected(
    ctx: Context, board: Board, claim: Claim, name: TaskId, here: Progress | None
) -> Progress | None:
    """Nothing is to be expected of work that waits to be merged, or whose lease is over: who knows who does it."""
    now, task = ctx.clock.now(), board.task(name)
    said = newest(board.progress(name), None if here is None or here.task_id != name else here)
    if task is None:
        return None
    resting = claim.queued or claim.lease.expires_at < now
    eta = None if resting else expected(said, task, board.durations(task.type), now)
    if said is None and eta is None:
        return None
    return (said or begun(name, claim.worker, claim.claimed_at)).but(
        worker_id=claim.worker,
        estimated_time_remaining=None if eta is None else eta.minutes,
        eta_source=None if eta is None else eta.source,
    )
