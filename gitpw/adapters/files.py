"""What git-pw keeps in a user's repository besides hooks and worktrees, and what it finds on the machine."""

from __future__ import annotations

import os
import platform
import re
import secrets
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from gitpw.adapters.disk import read
from gitpw.adapters.git import GitRepo
from gitpw.adapters.hooks import own_program
from gitpw.adapters.policy import set_value, write_initial
from gitpw.adapters.process import run
from gitpw.domain.checkup import Leftover
from gitpw.domain.policy import Policy
from gitpw.ledger.remote import RemoteStore
from gitpw.ledger.store import LOCAL

LEAST_GIT = "2.38"

SHORT = 600.0
LONG = 86_400.0
"""Seconds after which a file can't belong to anybody still at work: no git of ours may run for longer than ten minutes."""

LEFT_BEHIND = (
    ("store.git/*.lock", "lock file", SHORT),
    ("store.git/refs/**/*.lock", "lock file", SHORT),
    ("store.git/logs/**/*.lock", "lock file", SHORT),
    ("store.git/objects/**/*.lock", "lock file", SHORT),
    ("store.git/objects/**/tmp_*", "half written object", LONG),
    ("*.tmp", "half written file", SHORT),
    ("journal/*.new", "half written operation", SHORT),
    ("progress/*.tmp", "half written file", SHORT),
    ("trace-*", "trace", SHORT),
    ("shallow-*", "list of commits", SHORT),
    ("trash/*", "deleted worktree", SHORT),
    ("store.git.broken-*", "store that couldn't be opened", 30 * LONG),
)
"""What a killed process leaves in our folder."""


class OwnFiles:
    """`.gitpw.toml`, the excludes, and our own folder in the git dir."""

    def __init__(self, repo: GitRepo, folder: Path, policy: Policy, far: RemoteStore | None) -> None:
        """`folder` is ours, `far` the store on the remote if there is one."""
        self._repo = repo
        self._folder = folder
        self._policy = policy
        self._far = far

    def write(self, ledger: str) -> list[str]:
        """Write `.gitpw.toml` if there is none, or the ledger's id into it; exclude our worktrees; what is new."""
        done = []
        if self._repo.root is not None and self._policy.ledger != ledger:
            file = Path(self._repo.root, ".gitpw.toml")
            if file.exists():
                set_value(self._repo.root, "ledger", ledger)
            else:
                write_initial(self._repo.root, ledger)
            done.append(".gitpw.toml")
        if self._repo.exclude(self._policy.claim.worktrees):
            done.append(".git/info/exclude")
        return done

    def remove(self) -> list[str]:
        """Take our folder in the git dir, our git settings and our excludes away; what was removed."""
        done = []
        if self._repo.unexclude():
            done.append("the lines of git-pw in .git/info/exclude")
        unset = ["git", "config", "--local", "--unset-all"]
        keys = ("pw.remote", "pw.signingKey", "pw.worker")
        done += [
            f"git config {key}" for key in keys if run([*unset, key], cwd=self._repo.common_dir).status == 0
        ]
        for own in Path(self._repo.common_dir, "worktrees").glob("*/pw"):
            shutil.rmtree(own, ignore_errors=True)
        if self._folder.is_dir():
            shutil.rmtree(self._folder)
            done.append(str(self._folder))
        return done

    def purge_remote(self) -> list[str]:
        """Delete the ledger's refs from the remote; what was removed."""
        return [] if self._far is None else self._far.purge()

    def named(self) -> bool:
        """Whether the checkout's `.gitpw.toml` names a ledger; True where there is no checkout."""
        return self._repo.root is None or self._policy.ledger is not None

    def leftovers(self) -> list[Leftover]:
        """What processes that were killed have left behind in our folder, and beside `.gitpw.toml`."""
        found = []
        for pattern, what, age in LEFT_BEHIND:
            for path in self._folder.glob(pattern):
                found += [Leftover(str(path), what)] if _older(path, age) else []
        if self._repo.root is not None:
            for path in Path(self._repo.root).glob(".gitpw.toml.????????.tmp"):
                found += [Leftover(str(path), "half written file")] if _older(path, SHORT) else []
        return found

    def clear(self, leftovers: Iterable[Leftover]) -> list[Leftover]:
        """Take leftovers away; those that are gone."""
        gone = []
        for one in leftovers:
            path = Path(one.path)
            with suppress(OSError):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
                gone.append(one)
        return gone

    def renew_store(self) -> str | None:
        """Move a store aside that can't be opened, so that it is made anew from the remote; where it is now.

        None where it may be the only place that has the ledger.
        """
        store = self._folder / "store.git"
        if self._far is None or (store / LOCAL).exists() or LOCAL in _text(store / "packed-refs"):
            return None
        aside = store.with_name(f"store.git.broken-{secrets.token_hex(4)}")
        store.rename(aside)
        return str(aside)

    def versions(self) -> list[tuple[str, str, str | None]]:
        """The programs and libraries that matter: name, version, and the least that is needed."""
        git = run(["git", "version"]).out.decode(errors="replace")
        found = re.search(r"\d+(\.\d+)+", git)
        return [
            ("git", found[0] if found else git.strip(), LEAST_GIT),
            ("python", platform.python_version(), "3.11"),
            ("pygit2", version("pygit2"), "1.20"),
            ("pydantic", version("pydantic"), "2.7"),
            ("click", version("click"), "8.1.7"),
            ("git-pw", version("gitpw"), None),
        ]

    def shadowed(self) -> list[str]:
        """Another `git-pw` that comes first on PATH: the package index has an unrelated one of that name."""
        first = shutil.which("git-pw")
        if first is None:
            return ["git-pw is not on PATH: 'git pw' and the hooks can't find it"]
        mine = own_program()
        if mine and os.path.realpath(first) != os.path.realpath(mine):
            return [f"another git-pw comes first on PATH: {first} (this one is {mine})"]
        return []


def _older(path: Path, age: float) -> bool:
    """Whether something was last changed more than so many seconds ago."""
    with suppress(OSError):
        return time.time() - path.lstat().st_mtime > age
    return False


def _text(path: Path) -> str:
    return (read(str(path), 1 << 26) or b"").decode(errors="replace")
