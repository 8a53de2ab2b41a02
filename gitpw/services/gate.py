"""What a receiving repository is to those who judge a push."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from gitpw.domain.policy import Policy
    from gitpw.ledger.objects import Objects
    from gitpw.ledger.signing import Signatures
    from gitpw.services.ports import Clock, Commits

HEADS, TAGS = "refs/heads/", "refs/tags/"


class Update(NamedTuple):
    """A ref that is to move: `old` is None where it is new, `new` where it is to go."""

    ref: str
    old: str | None
    new: str | None


class Receiver(Protocol):
    """What is asked of the receiving repository besides its objects and commits."""

    def config(self, key: str) -> str | None:
        """A value of git's configuration; the key in lower case."""

    def branch(self) -> str | None:
        """The branch that HEAD names."""

    def default_branch(self, remote: str | None) -> str:
        """The likeliest main branch."""


@dataclass(frozen=True)
class Gate:
    """A receiving repository, and how those who push are told more than one line."""

    objects: Objects
    commits: Commits
    repo: Receiver
    clock: Clock
    policy_at: Callable[[str], Policy]
    tell: Callable[[str], None]
    signatures: Callable[[], Signatures] | None = None
