"""What git-pw keeps in a user's repository besides hooks and worktrees, and what it finds on the machine."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from importlib.metadata import version
from pathlib import Path

from gitpw.adapters.git import GitRepo
from gitpw.adapters.policy import set_value, write_initial
from gitpw.adapters.process import run
from gitpw.domain.policy import Policy
from gitpw.ledger.remote import RemoteStore

LEAST_GIT = "2.38"


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
        keys = ("pw.remote", "pw.worker")
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

    def versions(self) -> list[tuple[str, str, str | None]]:
        """The programs and libraries that matter: name, version, and the least that is needed."""
        git = run(["git", "version"]).out.decode(errors="replace")
        found = re.search(r"\d+(\.\d+)+", git)
        return [
            ("git", found[0] if found else git.strip(), LEAST_GIT),
            ("python", platform.python_version(), "3.11"),
            ("pygit2", version("pygit2"), "1.19"),
            ("git-pw", version("gitpw"), None),
        ]

    def shadowed(self) -> list[str]:
        """Another `git-pw` that comes first on PATH: the package index has an unrelated one of that name."""
        first = shutil.which("git-pw")
        if first is None:
            return ["git-pw is not on PATH: 'git pw' and the hooks can't find it"]
        mine = Path(sys.argv[0])
        if mine.name == "git-pw" and os.path.realpath(first) != os.path.realpath(mine):
            return [f"another git-pw comes first on PATH: {first}"]
        return []
