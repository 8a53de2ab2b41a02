"""Numbers for monitoring."""

from __future__ import annotations

from gitpw.domain.metrics import Age, Metric
from gitpw.domain.metrics import metrics as told
from gitpw.domain.presence import looked_at
from gitpw.services.history import history
from gitpw.services.ports import Context
from gitpw.services.status import PATIENCE


def metrics(ctx: Context, *, offline: bool = False) -> list[Metric]:
    """How the ledger stands, current if the remote answers in time, and what has become of it so far.

    The first time, the history that isn't here is fetched: counters are meant to begin where the ledger does.
    """
    if offline:
        board, as_of = ctx.ledger.board(), ctx.ledger.store.asked()
    else:
        board, as_of, _ = ctx.ledger.freshest(PATIENCE if ctx.ledger.known() else 60.0)
    so_far = history(ctx, whole=not offline and as_of is None)
    now = ctx.clock.now()
    return told(board, looked_at(board, now, ctx.me.host), so_far, Age(as_of, now))
