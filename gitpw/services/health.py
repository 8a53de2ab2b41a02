"""Whether anything needs a person."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from gitpw.domain.ids import TaskId, WorkerId
from gitpw.domain.presence import looked_at
from gitpw.domain.worker import WorkerStatus
from gitpw.errors import PwError
from gitpw.services.overdue import Overdue, overdue
from gitpw.services.ports import Context
from gitpw.services.status import needs_person

PATIENCE = 5.0
"""Seconds to wait for the remote to say what time it is."""


class Health(NamedTuple):
    """What is wrong, in words in `problems` and as data; `doubtful` leases are over by this clock alone.

    `lost` are the workers all of whose leases are over. `as_of` is None where the state is that of now.
    """

    problems: list[str]
    lost: list[WorkerId]
    overdue: list[Overdue]
    doubtful: list[Overdue]
    needs_person: list[TaskId]
    as_of: datetime | None


def health(ctx: Context) -> Health:
    """Judged by the last state that could be had; nothing is changed.

    Where only this clock says that a lease is over, that of the remote is asked, which web servers tell.
    """
    board, as_of, _ = ctx.ledger.freshest()
    claims, witness = sorted(board.claims(), key=lambda claim: claim.token), None
    found = overdue(ctx, board, claims)
    if as_of is None and not all(one.sure for one in found):
        witness = _clock_there(ctx)
        found = overdue(ctx, board, claims, witness)
    sure = [one for one in found if one.sure]
    holders = {one.worker for one in sure}
    workers = looked_at(board, ctx.clock.now(), ctx.me.host, witness)
    lost = [one.id for one in workers if one.id in holders and one.status is WorkerStatus.OFFLINE]
    failed = [task for task in board.failed() if task.needs_person]
    return Health(
        problems=[*map(str, sure), *map(needs_person, failed)],
        lost=lost,
        overdue=sure,
        doubtful=[one for one in found if not one.sure],
        needs_person=[task.id for task in failed],
        as_of=as_of,
    )


def _clock_there(ctx: Context) -> datetime | None:
    """What time it is at the remote, if it says so."""
    with suppress(PwError):
        return None if ctx.far is None else ctx.far.greet(PATIENCE).clock
    return None
