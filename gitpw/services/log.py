"""What happened: the audit trail."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from gitpw.domain.ids import TaskId, WorkerId
from gitpw.domain.trail import Event
from gitpw.errors import OfflineError
from gitpw.services.history import deepen, without_cycles
from gitpw.services.ports import Context

PATIENCE = 10.0
"""Seconds that a look may wait for the network."""


def log(
    ctx: Context,
    *,
    task: TaskId | None = None,
    worker: WorkerId | None = None,
    verbs: Collection[str] = (),
    since: timedelta | None = None,
    limit: int | None = None,
    everything: bool = False,
    after: int = 0,
    current: bool = False,
) -> list[Event]:
    """The events, newest last, as far back as they are here; with `everything`, from the beginning.

    Of more than `limit`, the last. Where the remote can't be asked, what is known here must do; with `current` it must
    not, and `OfflineError` is raised.
    """
    try:
        ctx.ledger.fresh(PATIENCE)
        if everything:
            deepen(ctx.ledger.store)
    except OfflineError as error:
        if current or not ctx.ledger.known():
            raise
        ctx.tell(f"{error.message}: showing what is known here")
    oldest = 0.0 if since is None else (ctx.clock.now() - since).timestamp()
    found: list[Event] = []
    with without_cycles():
        for event in ctx.ledger.events():
            if event.counter <= after or len(found) == limit:
                break
            if event.at < oldest or (worker is not None and event.worker != worker):
                continue
            if (not verbs or event.verb in verbs) and (task is None or task in event.task_ids):
                found.append(event)
    return found[::-1]
