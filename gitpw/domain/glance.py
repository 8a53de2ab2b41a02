"""What can be said of a commit by what was written down for the hooks, without opening the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gitpw.domain.checkout import Own
from gitpw.domain.guard import violations
from gitpw.domain.listing import Index, Listing
from gitpw.domain.sheet import Sheet
from gitpw.errors import InvalidError


def plainly_free(listing: Listing, sheet: Sheet, own: Sequence[Own], files: Iterable[str]) -> bool:
    """Whether every claim in `own` still stands and nothing speaks against these files.

    False is no verdict: the ledger has to be asked, and can say more.
    """
    held = {one.claim: listing.claims.get(one.claim) for one in own}
    if any(
        holding is None or holding.token != one.token for one, holding in zip(own, held.values(), strict=True)
    ):
        return False
    try:
        return not violations(Index(listing), held, sheet, files)
    except InvalidError:
        return False
