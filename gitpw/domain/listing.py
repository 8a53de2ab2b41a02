"""What is held, as a plain list that a hook reads without opening the ledger.

The list names the state that it was made from, so whoever reads it knows whether it is the last known one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from gitpw.domain.ids import ClaimId
from gitpw.domain.resource import C, Covered, File, Glob, Mode, Path, Resource, folded, overlap

HEAD = "git-pw locks 1"
END = "end"
KINDS: dict[str, type[Path | Glob]] = {"path": Path, "glob": Glob}
LINE = re.compile(r"(path|glob) (exclusive|shared) (.*)")
CLAIM = re.compile(r"claim ([0-9a-f]{16,64}) (\d{1,18})")
FROM = re.compile(r"from (\S+) ([0-9a-f]{40})(?: (folded))?")


class Listed(NamedTuple):
    """One lock of a claim."""

    thing: Resource
    mode: Mode

    @property
    def resource(self) -> str:
        """What is locked, in canonical form."""
        return str(self.thing)


class Holding(NamedTuple):
    """A live claim: its token and its locks."""

    token: int
    locks: tuple[Listed, ...]


class Listing(NamedTuple):
    """All live claims of the state `tip`, which the store's ref `ref` pointed to; `fold` where case doesn't count."""

    ref: str
    tip: str
    fold: bool
    claims: Mapping[ClaimId, Holding]

    def text(self) -> str:
        """The list as it is written down: lines, the last of which says that it is whole."""
        lines = [HEAD, f"from {self.ref} {self.tip}{' folded' if self.fold else ''}"]
        for claim, (token, locks) in self.claims.items():
            lines.append(f"claim {claim} {token}")
            lines += [f"{type(thing).__name__.lower()} {mode} {thing.text}" for thing, mode in locks]
        return "\n".join([*lines, END, ""])


def parsed(text: str) -> Listing | None:
    """Read a list; None for what is none, or isn't whole."""
    head, *lines = text.split("\n")
    origin = FROM.fullmatch(lines[0]) if lines else None
    if head != HEAD or origin is None or lines[-2:] != [END, ""]:
        return None
    claims: dict[ClaimId, Holding] = {}
    locks: list[Listed] = []
    for line in lines[-3:0:-1]:  # from below: a claim's locks stand under it
        if (lock := LINE.fullmatch(line)) is not None:
            locks.append(Listed(KINDS[lock[1]](lock[3]), Mode(lock[2])))
        elif (claim := CLAIM.fullmatch(line)) is not None:
            claims[ClaimId(claim[1])] = Holding(int(claim[2]), tuple(reversed(locks)))
            locks = []
        else:
            return None
    if locks:
        return None
    return Listing(origin[1], origin[2], origin[3] is not None, dict(reversed(claims.items())))


class Index:
    """The locks of a list, found by the files that they cover: what `guard.violations` asks."""

    def __init__(self, listing: Listing) -> None:
        """Sorts the locks once."""
        self._listing = listing
        self._paths: dict[tuple[str, ...], list[tuple[ClaimId, Listed]]] = {}
        self._globs: list[tuple[ClaimId, Listed, Glob]] = []
        for claim, holding in listing.claims.items():
            for lock in holding.locks:
                thing = self.fold(lock.thing)
                if isinstance(thing, Path):
                    self._paths.setdefault(thing.parts, []).append((claim, lock))
                else:
                    self._globs.append((claim, lock, thing))

    def fold(self, thing: C) -> C:
        """A file or a resource as this ledger compares it."""
        return folded(thing) if self._listing.fold else thing

    def overlapping(self, wanted: Covered) -> Iterator[tuple[ClaimId, Listed]]:
        """Every lock that covers a file, already folded."""
        if not isinstance(wanted, File):
            raise TypeError(wanted)
        for depth in range(len(wanted.parts) + 1):
            yield from self._paths.get(wanted.parts[:depth], ())
        for claim, lock, glob in self._globs:
            if overlap(glob, wanted):
                yield claim, lock

    def claim(self, claim: ClaimId) -> Holding | None:
        """The live claim of that id."""
        return self._listing.claims.get(claim)


# What a shell can do with it.

MOST = 100
"""Locks that the shell looks at: with more of them one git process would take longer than Python."""

PLAIN = re.compile(r"[^A-Za-z0-9_./+=@,-]+|K")
FOLDERS = re.compile(r"(^|/)(?:\*\*/)+")
"""Any number of folders, none among them."""


def pathspec(thing: Resource) -> str:
    """A pathspec that matches, for git, all that a resource covers, and perhaps more.

    It is made of plain characters and `*`, which in a pathspec crosses folders: whatever is special to git or to a
    shell, has several Unicode forms, or is the form of something else (K of the Kelvin sign) may be anything.
    """
    spec = PLAIN.sub("*", FOLDERS.sub(r"\1*", thing.text) if isinstance(thing, Glob) else thing.text)
    under = isinstance(thing, Path) and (
        "*" in spec or not spec
    )  # only a plain path stands for a folder as well
    return f"{spec}*" if under else spec
