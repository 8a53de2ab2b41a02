"""What to test next, and what results mean: the search for the longest green prefix, as a function of what is known.

The queue's next entries are built one upon the other: tree 0 is the base branch's, tree n has all n entries in it.
Each tree was run so many times, with so many greens. One green is enough: a red before it was a flake. Nothing is
ever judged by a single red.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

ENOUGH = 2
"""Reds that make a tree red."""


class Runs(NamedTuple):
    """How often the tests of a tree ended green and red."""

    green: int = 0
    red: int = 0

    @property
    def is_green(self) -> bool:
        """Whether the tests were green at least once."""
        return self.green > 0

    @property
    def is_red(self) -> bool:
        """Whether they were red twice and never green."""
        return not self.green and self.red >= ENOUGH

    @property
    def looks_red(self) -> bool:
        """Whether all that is known is red."""
        return not self.green and self.red > 0


class Try(NamedTuple):
    """Run the tests of the tree with so many entries."""

    entries: int


class Verdict(NamedTuple):
    """So many entries can land; the next one after them is to blame, if `blamed`."""

    green: int
    blamed: bool


class RedBase(NamedTuple):
    """The base branch itself is red: nothing can be said of the entries."""


Step = Try | Verdict | RedBase

UNKNOWN = Runs()


def next_step(trees: Sequence[str], known: Mapping[str, Runs]) -> Step:
    """What to do about a base tree and the trees built on it.

    All of them first; red, once more; red twice, the base; and then by halving between the longest prefix that is
    known to be green and the shortest that looks red. The entry in between is blamed when its tree was red twice.
    """
    last = len(trees) - 1
    runs = [known.get(tree, UNKNOWN) for tree in trees]
    if runs[last].is_green or last == 0:
        return Verdict(last, blamed=False)
    if not runs[last].is_red:
        return Try(last)
    if not runs[0].is_green:
        return RedBase() if runs[0].is_red else Try(0)
    low = max(at for at in range(last) if runs[at].is_green)
    high = min(at for at in range(low + 1, last + 1) if runs[at].looks_red)
    if high - low > 1:
        return Try((low + high) // 2)
    return Verdict(low, blamed=True) if runs[high].is_red else Try(high)


def grown(window: int, most: int) -> int:
    """The window after all of it was green."""
    return min(window + 1, most)


def halved(window: int) -> int:
    """The window after something in it was red."""
    return max(window // 2, 1)
