"""What a checkout remembers, in files of its own git dir: `pw/place`, `pw/claims.json` and `pw/own`.

In the main checkout the git dir is the common one, whose `pw` folder holds the store as well. `own` says for the
shims, in words that the shell can read, what claims.json says.
"""

from __future__ import annotations

import json
import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gitpw.adapters.disk import locked, read, replace
from gitpw.domain.checkout import Own
from gitpw.domain.ids import HEX, TASK, WORKER, ClaimId, TaskId, WorkerId
from gitpw.errors import FailedError, PwError

if TYPE_CHECKING:
    from collections.abc import Sequence

PLACE = re.compile(rb"([0-9a-f]{16})\n")


class GitCheckout:
    """The memory of one checkout; `git_dir` is its own, in a linked worktree `.git/worktrees/<name>`."""

    def __init__(self, git_dir: str) -> None:
        self._folder = Path(git_dir, "pw")
        self._claims = str(self._folder / "claims.json")
        self._own = str(self._folder / "own")
        self._lock = str(self._folder / "claims.lock")

    def place(self) -> str:
        """A random id of this checkout, made at the first call; empty where it can't be written down."""
        file = str(self._folder / "place")
        with suppress(FailedError):
            return _place(file) or self._new_place(file)
        return ""

    def own(self) -> list[Own]:
        """The claims of this checkout, oldest first; what can't be read counts as none."""
        found = _parsed(read(self._claims)) or []
        if (read(self._own) or b"") != _lines(found):
            self._heal()
        return found

    def remember(self, own: Own) -> None:
        """Add a claim, in place of the one of the same id or an earlier one of the same task."""
        with locked(self._lock):
            others = [
                one
                for one in self._sound()
                if one.claim != own.claim and (own.task is None or one.task != own.task)
            ]
            self._write([*others, own])

    def forget(self, claims: Sequence[ClaimId]) -> None:
        """Drop claims that are no more."""
        if not any(one.claim in claims for one in self.own()):
            return
        with locked(self._lock):
            self._write([one for one in self._sound() if one.claim not in claims])

    def _new_place(self, file: str) -> str:
        with locked(self._lock):
            found = _place(file)
            if found is None:
                found = secrets.token_hex(8)
                replace(file, f"{found}\n".encode())
            return found

    def _sound(self) -> list[Own]:
        """The claims, under the lock; a file that can't be read is put aside and not overwritten."""
        found = _parsed(read(self._claims))
        if found is None:
            with suppress(FileNotFoundError):
                Path(self._claims).replace(self._claims + ".bad")
        return found or []

    def _write(self, claims: Sequence[Own]) -> None:
        """No file where there are no claims: so the hooks know without reading it."""
        self._write_own(claims)
        if claims:
            replace(self._claims, json.dumps([one._asdict() for one in claims], indent=1).encode() + b"\n")
        else:
            Path(self._claims).unlink(missing_ok=True)

    def _write_own(self, claims: Sequence[Own]) -> None:
        if claims:
            replace(self._own, _lines(claims))
        else:
            Path(self._own).unlink(missing_ok=True)

    def _heal(self) -> None:
        """Let `own` say what claims.json says: a writer was killed between the two, or is older than `own`."""
        with suppress(PwError, OSError), locked(self._lock):
            self._write_own(_parsed(read(self._claims)) or [])


def _lines(claims: Sequence[Own]) -> bytes:
    """One line for each claim: its id, token, task or `--`, worker; none of them has a space in it."""
    return "".join(f"{one.claim} {one.token} {one.task or '--'} {one.worker}\n" for one in claims).encode()


def _place(file: str) -> str | None:
    found = PLACE.fullmatch(read(file) or b"")
    return found[1].decode() if found else None


def _parsed(raw: bytes | None) -> list[Own] | None:
    """The claims in a file; None where it isn't such a file."""
    if raw is None:
        return None
    try:
        data = json.loads(raw)
        return [_claim(one) for one in data] if isinstance(data, list) else None
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        return None


def _claim(data: dict[str, Any]) -> Own:
    """Raises ValueError, TypeError or KeyError for what is no claim."""
    claim, token, task, worker = data["claim"], data["token"], data["task"], data["worker"]
    good = (
        HEX.fullmatch(claim)
        and type(token) is int
        and token >= 0
        and (task is None or TASK.fullmatch(task))
        and WORKER.fullmatch(worker)
    )
    if not good:
        raise ValueError(data)
    return Own(ClaimId(claim), token, None if task is None else TaskId(task), WorkerId(worker))
