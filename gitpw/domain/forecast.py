"""Which branches may conflict: told from the paths that each changes, so that only those pairs need a real merge.

A merge can conflict only where both sides changed one path, where a file of one is a folder of the other, or where
one moved files out of a folder (so it may have renamed it) into which the other put a new one. Renames are seen as a
deletion and an addition. Whoever passes here may still merge cleanly; who doesn't can't conflict.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from gitpw.domain.guard import Locks, matches
from gitpw.domain.lock import Held
from gitpw.domain.resource import observed

NOTHING: frozenset[str] = frozenset()


class Changes(NamedTuple):
    """What a branch changed: all paths; the folders of new files; the folders that lost files.

    The root is the folder "": it lost files where one that lies directly in it is gone.
    """

    paths: frozenset[str] = NOTHING
    filled: frozenset[str] = NOTHING
    thinned: frozenset[str] = NOTHING


def changes(changed: Iterable[tuple[str, str]]) -> Changes:
    """From (status letters, path) as git reports them, renames as `D` and `A`."""
    paths, filled, thinned = set(), set(), set()
    for status, path in changed:
        paths.add(path)
        above = _above(path)
        if "A" in status:
            filled |= {"", *above}
        if "D" in status:
            thinned |= set(above) or {""}
    return Changes(frozenset(paths), frozenset(filled), frozenset(thinned))


def may_clash(one: Changes, two: Changes) -> bool:
    """Whether merging the two can conflict at all."""
    return not (
        one.paths.isdisjoint(two.paths)
        and one.paths.isdisjoint(two.filled)
        and two.paths.isdisjoint(one.filled)
        and one.thinned.isdisjoint(two.filled)
        and two.thinned.isdisjoint(one.filled)
    )


def pairs(tips: Sequence[str], changed: Mapping[str, Changes]) -> list[tuple[str, str]]:
    """The pairs of tips that need a merge to find out; each tip once, those without changes left out."""
    known = [(tip, found) for tip in dict.fromkeys(tips) if (found := changed.get(tip)) and found.paths]
    return [(one, two) for (one, mine), (two, other) in combinations(known, 2) if may_clash(mine, other)]


def _above(path: str) -> list[str]:
    """The folders that a path lies in, the root left out."""
    names = path.split("/")[:-1]
    return ["/".join(names[:end]) for end in range(1, len(names) + 1)]


def touched(board: Locks[object], locks: Iterable[Held], files: Iterable[str]) -> list[str]:
    """Those of the files, as git reports them, that a lock covers."""
    names = [held.resource for held in locks]
    return [file for file in files if matches(board, names, board.fold(observed(file)))]
