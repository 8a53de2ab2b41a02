"""What happened: the audit trail."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from math import inf

from gitpw.domain.ids import TaskId, WorkerId
from gitpw.domain.trail import Event
from gitpw.errors import OfflineError
from gitpw.ledger.signing import ForgedError, split
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
    _look(ctx, everything=everything, current=current)
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
    verified = _verified(ctx)
    if verified is not None:
        found = [event._replace(signature=_signature(ctx, event, verified)) for event in found]
    return found[::-1]


def _look(ctx: Context, *, everything: bool, current: bool) -> None:
    """Bring what there is here; where that can't be had, say so, or raise if nothing else will do."""
    try:
        ctx.ledger.fresh(PATIENCE)
        if everything:
            deepen(ctx.ledger.store)
    except (OfflineError, ForgedError) as error:
        if current or not ctx.ledger.known():
            raise
        shown = "what was verified" if isinstance(error, ForgedError) else "what is known here"
        ctx.tell(f"{error.message}: showing {shown}")


def _verified(ctx: Context) -> float | None:
    """The counter from which on signatures were verified here; None where nobody ever asked for any."""
    if not ctx.ledger.board().settings.administrators:
        return None
    return inf if ctx.remote is None else ctx.ledger.verified_from() or 0


def _signature(ctx: Context, event: Event, verified: float) -> str:
    raw = ctx.ledger.store.raw(event.commit)
    if raw is None or split(raw)[1] is None:
        return "unsigned"
    return "verified" if event.counter >= verified else "signed"
