"""Whether a file may be changed under some claims: the one rule that hooks, `check` and `pre-receive` judge by."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import NamedTuple, Protocol

from gitpw.domain.ids import ClaimId
from gitpw.domain.lock import Claim, Held, Mode
from gitpw.domain.policy import Guarding
from gitpw.domain.resource import C, Covered, covering, observed, overlap, resource


class Locks(Protocol):
    """What is held: a board, or something that answers like one."""

    def fold(self, thing: C) -> C:
        """A file or a resource as this ledger compares it."""

    def overlapping(self, wanted: Covered) -> Iterator[tuple[ClaimId, Held]]:
        """Every lock that covers a file, already folded."""

    def claim(self, claim: ClaimId) -> Claim | None:
        """The live claim of that id."""


class Violation(NamedTuple):
    """A file that may not be changed, and the claim that stands in the way by its lock `locked`.

    Without a claim, what is missing is a lock of one's own: the file is critical or lockable, or the policy strict.
    """

    file: str
    claim: Claim | None
    locked: str | None


def violations(
    board: Locks, mine: Container[ClaimId], policy: Guarding, files: Iterable[str]
) -> list[Violation]:
    """What stands against changing these files (as git reports them) under the claims `mine`."""
    return [found for file in files for found in _against(board, mine, policy, file)]


def _against(board: Locks, mine: Container[ClaimId], policy: Guarding, file: str) -> list[Violation]:
    """Somebody else's lock, unless it is shared and one of `mine` shares it; or the lack of an exclusive one."""
    path = board.fold(observed(file))
    shares = exclusive = False
    foreign: list[tuple[Claim, Held]] = []
    for found, held in board.overlapping(path):
        if found in mine:
            shares = True
            exclusive = exclusive or held.mode is Mode.EXCLUSIVE
            continue
        claim = board.claim(found)
        if claim is not None:
            foreign.append((claim, held))
    against = [
        Violation(file, claim, held.resource)
        for claim, held in foreign
        if not (held.mode is Mode.SHARED and shares)
    ]
    if against or exclusive or matches(board, policy.ignore, path):
        return against
    needed = policy.enforce == "strict" or matches(board, (*policy.critical, *policy.lockable), path)
    return [Violation(file, None, None)] if needed else []


def matches(board: Locks, patterns: Iterable[str], path: Covered) -> bool:
    """Whether one of a policy's patterns, written as locks are, covers a path that is already folded."""
    return any(overlap(board.fold(resource(pattern)), path) for pattern in patterns)


class Lockable(NamedTuple):
    """The lockable files among some: those that are held, to be written to, and those that are to be read-only."""

    held: list[str]
    free: list[str]


def lockable(board: Locks, mine: Iterable[Claim], policy: Guarding, files: Iterable[str]) -> Lockable:
    """Which files are to be read-only under the claims `mine`: those that `violations` would want a lock for."""
    wanted, ignored = (
        covering(board.fold(resource(pattern)) for pattern in patterns)
        for patterns in (policy.lockable, policy.ignore)
    )
    locks = [held.resource for claim in mine for held in claim.locks if held.mode is Mode.EXCLUSIVE]
    owned = covering(board.fold(resource(name)) for name in locks)
    found = Lockable([], [])
    for file in files:
        path = board.fold(observed(file))
        if wanted(path) and not ignored(path):
            (found.held if owned(path) else found.free).append(file)
    return found
