"""What a check-up looks at and finds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class Level(StrEnum):
    """How bad a finding is; only errors make the check-up fail."""

    OK = "ok"
    WARN = "warn"
    ERROR = "error"


class Finding(NamedTuple):
    """One thing that was looked at: what it is, what to do about it, and whether that has been done."""

    code: str
    level: str
    message: str
    hint: str | None = None
    fixed: bool = False


AREAS: Mapping[str, tuple[str, ...]] = {
    "machine": ("git", "python", "pygit2", "pydantic", "click", "git-pw", "path"),
    "rules": ("rules", "rules-base", "rules-pattern"),
    "remote": ("remote", "credentials", "push", "namespace", "clock"),
    "ledger": ("store", "ledger", "record", "claims", "journal", "signing"),
    "hooks": ("hooks", "hooks-program"),
    "checkouts": ("worktrees", "ignored", "lockable"),
    "leftovers": ("leftovers",),
    "doctor": ("doctor",),
}
"""All codes of findings, by what they are about, in the order in which they are looked for."""


def area(code: str) -> str:
    """What a finding is about."""
    return next((name for name, codes in AREAS.items() if code in codes), "doctor")


class Shots(NamedTuple):
    """Which of our hooks git ran, and why it didn't run the others; `untried` are in somebody else's hands."""

    ran: tuple[str, ...]
    silent: Mapping[str, str]
    untried: tuple[str, ...] = ()


class Program(NamedTuple):
    """A program that hooks name, and its version; None where it doesn't run, for the reason `why`.

    What isn't even there is not `used`: the hooks look on PATH instead.
    """

    path: str
    version: str | None
    why: str
    used: bool


class Greeting(NamedTuple):
    """What a remote shows without being asked for more: the ledger's refs, and what time it is there, if it says."""

    refs: frozenset[str]
    clock: datetime | None


class Leftover(NamedTuple):
    """A file or folder of ours that a killed process has left behind."""

    path: str
    what: str
