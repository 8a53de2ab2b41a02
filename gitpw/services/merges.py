"""What waits to land."""

from __future__ import annotations

from gitpw.domain.merge import Merge
from gitpw.services.ports import Context


def merges(ctx: Context) -> list[Merge]:
    """The merge queue, first in line first, as of the last state that could be had."""
    board, _, _ = ctx.ledger.freshest()
    return board.merges()
