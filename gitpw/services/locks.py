"""Who holds what, and who waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.lock import Claim
from gitpw.domain.resource import overlap
from gitpw.domain.turns import in_line, needs, wishes_of
from gitpw.domain.waiter import Waiter
from gitpw.services.asking import canonical
from gitpw.services.ports import Context


class Locks(NamedTuple):
    """Locks and waits as `--json` shows them; `as_of` says how old this is where the remote couldn't be asked."""

    locks: list[dict[str, Any]]
    as_of: datetime | None
    waits: Sequence[dict[str, Any]] = ()


def locks(ctx: Context, resources: Sequence[str] = ()) -> Locks:
    """All locks and waits, or those that cover the named resources."""
    names = canonical(ctx, resources)
    board, as_of, _ = ctx.ledger.freshest()
    found: dict[str, Claim] = {}
    if names:
        for name in names:
            for claim_id, _held in board.overlapping(board.seen(name)):
                claim = board.claim(claim_id)
                if claim is not None:
                    found[claim.id] = claim
    else:
        found = {claim.id: claim for claim in board.claims()}
    ordered = sorted(found.values(), key=lambda claim: claim.token)
    waits = [
        waiter.public(place)
        for waiter, place in in_line(board, ctx.clock.now(), ctx.me.host)
        if not names or _wants(board, waiter, names)
    ]
    return Locks([lock for claim in ordered for lock in claim.public()], as_of, waits)


def _wants(board: Board, waiter: Waiter, names: Sequence[str]) -> bool:
    wishes = wishes_of(board, needs(board, waiter))
    return any(overlap(wish.thing, board.seen(name)) for wish in wishes for name in names)
