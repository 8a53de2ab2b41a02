"""What can go wrong, as people and programs see it: a message, a hint, a code and an exit status."""

from __future__ import annotations

from typing import ClassVar


class PwError(Exception):
    """Base of everything that `git pw` reports; `data` joins the JSON document next to `code` and `message`."""

    code: ClassVar[str] = "failed"
    exit: ClassVar[int] = 1

    def __init__(self, message: str, hint: str | None = None, **data: object) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.data = data


class FailedError(PwError):
    """It was tried and failed."""


class UsageError(PwError):
    """The words are off."""

    code = "usage"
    exit = 2


class HeldError(PwError):
    """Held by another claim; `holder` names it."""

    code = "held"
    exit = 3


class NothingError(PwError):
    """Nothing to claim now; `reasons` says why, task by task."""

    code = "nothing"
    exit = 4


class StaleError(PwError):
    """The caller's claim is no longer the current one."""

    code = "stale"
    exit = 5


class InvalidError(PwError):
    """The request breaks a rule."""

    code = "invalid"
    exit = 6


class OfflineError(PwError):
    """The remote can't be reached and nothing was changed."""

    code = "offline"
    exit = 69


class BugError(PwError):
    """An internal error."""

    code = "bug"
    exit = 70


class ContendedError(PwError):
    """Others were always faster."""

    code = "contended"
    exit = 75


class UnknownError(PwError):
    """The answer was lost: it may have been applied."""

    code = "unknown"
    exit = 76


class ConfigError(PwError):
    """`.gitpw.toml`, the git config or the ledger can't be read."""

    code = "config"
    exit = 78


class NoRepoError(PwError):
    """Not inside a git repository."""

    code = "norepo"
    exit = 128


class StoppedError(PwError):
    """^C."""

    code = "interrupted"
    exit = 130


REFUSALS: dict[str, type[PwError]] = {
    kind.code: kind
    for kind in (HeldError, NothingError, StaleError, InvalidError, ContendedError, FailedError)
}
