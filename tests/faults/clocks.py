"""Hosts with clocks of their own: told by libfaketime, and by GITPW_HOST."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.race.runner import Herd, Run
from tests.support.git import run

if TYPE_CHECKING:
    from tests.support.cli import Result
    from tests.support.git import Result as Answer

PLACES = ("/usr/lib", "/usr/lib64", "/usr/local/lib")
HERE, THERE, FAR = "desk", "attic", "moon"
"""Three hosts."""


def library() -> Path | None:
    """The library that tells a process another time."""
    found = [
        file
        for folder in PLACES
        for pattern in ("faketime/libfaketime.so.1", "*/faketime/libfaketime.so.1")
        for file in Path(folder).glob(pattern)
    ]
    return found[0] if found else None


def require_faketime() -> Path:
    """The library; without it the test is skipped, and in CI it fails."""
    found = library()
    if found is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(
            "libfaketime is missing (Debian: libfaketime)"
        )
    return found


@dataclass(frozen=True)
class Worker:
    """Somebody with a clone, on a host."""

    name: str
    host: str
    work: Path
    herd: Herd

    def env(self, minutes: int) -> dict[str, str | None]:
        """Their environment, with a clock that is so many minutes ahead."""
        return {
            "FAKETIME": f"{minutes:+}m",
            "FAKETIME_NO_CACHE": "1",
            "GITPW_HOST": self.host,
            "GITPW_WORKER": self.name,
            "LD_PRELOAD": str(library()),
        }

    def at(self, minutes: int, *words: str, check: int | None = 0, cwd: Path | None = None) -> Result:
        """Run git-pw so many minutes from now."""
        (answer,) = self.herd.run(Run(words, cwd or self.work, self.env(minutes)))
        assert check is None or answer.exit == check, f"expected exit {check}\n{answer}"
        return answer

    def git(self, minutes: int, *words: str, cwd: Path) -> Answer:
        """Run git, which runs the hooks, so many minutes from now."""
        return run(["git", *words], cwd, {**self.env(minutes), "GITPW_WORKER": None}, check=False)
