"""What the base branch has already is never blocked, be it merged, picked, squashed or done again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gitpw.domain.review import Committed, Finding
    from gitpw.services.ports import Commits

ROUNDS = 100
"""How many commits to one file are looked at; each may take a process."""

Judge = Callable[[Sequence["Committed"]], Iterable["Finding"]]


def without_brought_in(
    commits: Commits, changes: Sequence[Committed], tip: str | None, judge: Judge
) -> Sequence[Committed]:
    """The same commits without what they only bring in from the branch that ends at `tip`, where it matters.

    That takes some time to find out, so only what `judge` complains of is looked at, until nothing of it is left.
    """
    for _ in range(ROUNDS if tip is not None else 0):
        places = {(found.commit, found.file) for found in judge(changes) if found.file is not None}
        own = commits.own(changes, places, tip or "") if places else changes
        if own == changes:
            break
        changes = own
    return changes
