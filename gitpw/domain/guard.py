"""Whether a file may be changed under some claims: the one rule that hooks, `check` and `pre-receive` judge by.

It reads as little as it can, so that a hook can judge by a plain list (`listing.py`) as well as by a board.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from gitpw.domain.ids import ClaimId
from gitpw.domain.resource import C, Covered, File, Mode, Resource, observed, overlap, resource

H = TypeVar("H")
H_co = TypeVar("H_co", covariant=True)


class Lock(Protocol):
    """One locked resource, in canonical form."""

    @property
    def resource(self) -> str:
        """What is locked."""

    @property
    def mode(self) -> Mode:
        """Whether others may share it."""


class Locks(Protocol[H_co]):
    """What is held: a board, or something that answers like one."""

    def fold(self, thing: C) -> C:
        """A file or a resource as this ledger compares it."""

    def overlapping(self, wanted: Covered) -> Iterator[tuple[ClaimId, Lock]]:
        """Every lock that covers a file, already folded."""

    def claim(self, claim: ClaimId) -> H_co | None:
        """The live claim of that id."""


class Rules(Protocol):
    """The part of the policy that says which files need a lock."""

    @property
    def enforce(self) -> str:
        """`strict` where every file needs one, else `held`."""

    @property
    def guarded(self) -> Sequence[str]:
        """Patterns of files that need one in any case."""

    @property
    def ignore(self) -> Sequence[str]:
        """Patterns of files that need none."""


class Violation(NamedTuple, Generic[H]):
    """A file that may not be changed, and the claim that stands in the way by its lock `locked`.

    Without a claim, what is missing is a lock of one's own: the file is critical or lockable, or the policy strict.
    """

    file: str
    claim: H | None
    locked: str | None


def violations(
    board: Locks[H], mine: Container[ClaimId], rules: Rules, files: Iterable[str]
) -> list[Violation[H]]:
    """What stands against changing these files (as git reports them) under the claims `mine`."""
    return [found for file in files for found in _against(board, mine, rules, file)]


def _against(board: Locks[H], mine: Container[ClaimId], rules: Rules, file: str) -> list[Violation[H]]:
    """Somebody else's lock, unless it is shared and one of `mine` shares it; or the lack of an exclusive one."""
    path = board.fold(observed(file))
    shares = exclusive = False
    foreign: list[tuple[H, Lock]] = []
    for found, held in board.overlapping(path):
        if found in mine:
            shares = True
            exclusive = exclusive or held.mode is Mode.EXCLUSIVE
            continue
        claim = board.claim(found)
        if claim is not None:
            foreign.append((claim, held))
    against = [
        Violation[H](file, claim, held.resource)
        for claim, held in foreign
        if not (held.mode is Mode.SHARED and shares)
    ]
    if against or exclusive or matches(board, rules.ignore, path):
        return against
    needed = rules.enforce == "strict" or matches(board, rules.guarded, path)
    return [Violation[H](file, None, None)] if needed else []


def matches(board: Locks[H], patterns: Iterable[str], path: Covered) -> bool:
    """Whether one of a policy's patterns, written as locks are, covers a path that is already folded."""
    return any(overlap(board.fold(resource(pattern)), path) for pattern in patterns)


class Lockable(NamedTuple):
    """The lockable files among some: those that are held, to be written to, and those that are to be read-only."""

    held: list[str]
    free: list[str]


def lockable(
    board: Locks[H],
    locks: Iterable[Lock],
    patterns: Iterable[str],
    ignore: Iterable[str],
    files: Iterable[str],
) -> Lockable:
    """Which files are to be read-only for a holder of `locks`: those for which `violations` would want one more."""
    mine = [lock.resource for lock in locks if lock.mode is Mode.EXCLUSIVE]
    wanted, ignored, owned = (
        [board.fold(resource(name)) for name in names] for names in (patterns, ignore, mine)
    )
    found = Lockable([], [])
    for file in files:
        path = board.fold(observed(file))
        if _covered(wanted, path) and not _covered(ignored, path):
            (found.held if _covered(owned, path) else found.free).append(file)
    return found


def _covered(things: Iterable[Resource], path: File) -> bool:
    return any(overlap(thing, path) for thing in things)
