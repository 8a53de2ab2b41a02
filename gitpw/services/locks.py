"""Who holds what."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from gitpw.domain.lock import Claim
from gitpw.services.asking import canonical
from gitpw.services.ports import Context


class Locks(NamedTuple):
    """Lock records as `--json` shows them; `as_of` says how old the answer is where the remote couldn't be asked."""

    locks: list[dict[str, Any]]
    as_of: datetime | None


def locks(ctx: Context, resources: Sequence[str] = ()) -> Locks:
    """All locks, or those that cover the named resources."""
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
    return Locks([lock for claim in ordered for lock in claim.public()], as_of)
