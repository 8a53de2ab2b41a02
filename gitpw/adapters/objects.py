"""The objects of the repository that a hook runs in, those in quarantine included: one `git cat-file` for them all."""

from __future__ import annotations

import atexit
import os
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

from gitpw.adapters.process import merged
from gitpw.errors import FailedError
from gitpw.ledger.objects import Object

if TYPE_CHECKING:
    from gitpw.adapters.git import GitRepo

LARGEST = 1 << 26
"""Bytes; nothing that is read here comes near that, unless somebody wants to fill our memory."""


KEPT = 1 << 24
"""Bytes that are remembered: the next state shares almost all with the one before."""


class GitObjects:
    """Reads objects by name, one after the other; what was read lately is kept."""

    def __init__(self, repo: GitRepo) -> None:
        self._repo = repo
        self._git: subprocess.Popen[bytes] | None = None
        self._known: dict[str, Object | None] = {}
        self._held = 0

    def read(self, name: str) -> Object | None:
        """The object that a name stands for; None where there is none. Raises `FailedError` for a monster."""
        if name not in self._known:
            found = self._asked(name)
            self._held += len(found.content) if found is not None else 0
            if self._held > KEPT:
                self._known.clear()
                self._held = 0
            self._known[name] = found
        return self._known[name]

    def close(self) -> None:
        """Let git go."""
        if self._git is None:
            return
        atexit.unregister(self.close)
        for pipe in (self._git.stdin, self._git.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        self._git.wait()
        self._git = None

    def _asked(self, name: str) -> Object | None:
        if "\n" in name or "\0" in name:
            return None
        git = self._git = self._git or self._started()
        if git.stdin is None or git.stdout is None:
            raise FailedError("git cat-file has no pipes")
        try:
            git.stdin.write(os.fsencode(name) + b"\n")
            git.stdin.flush()
        except OSError as error:
            raise FailedError("git cat-file has ended") from error
        head = git.stdout.readline()
        words = head.split()
        if len(words) != 3 or not words[2].isdigit():  # noqa: PLR2004 - name, kind and size
            if head.endswith((b" missing\n", b" ambiguous\n")):
                return None
            raise FailedError(f"git cat-file says {head!r}")
        size = int(words[2])
        if size > LARGEST:
            git.kill()
            raise FailedError(f"{name} has {size} bytes: that is no part of a ledger")
        content = git.stdout.read(size + 1)
        if len(content) != size + 1:
            raise FailedError("git cat-file has ended")
        return Object(words[0].decode(), words[1].decode(), content[:-1])

    def _started(self) -> subprocess.Popen[bytes]:
        atexit.register(self.close)
        return subprocess.Popen(
            ["git", "cat-file", "--batch"],
            cwd=self._repo.folder,
            env=merged(self._repo.environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
