"""Whether anything needs a person."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from gitpw.domain.ids import TaskId, WorkerId
from gitpw.domain.presence import looked_at
from gitpw.domain.worker import WorkerStatus
from gitpw.services.overdue import Overdue, overdue
from gitpw.services.ports import Context
from gitpw.services.status import needs_person


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
    """Judged by the last state that could be had; nothing is changed."""
    board, as_of, _ = ctx.ledger.freshest()
    found = overdue(ctx, board, sorted(board.claims(), key=lambda claim: claim.token))
    sure = [one for one in found if one.sure]
    holders = {one.worker for one in sure}
    workers = looked_at(board, ctx.clock.now(), ctx.me.host)
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
