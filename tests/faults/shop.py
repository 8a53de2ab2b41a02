"""A repository with a ledger, as tests that break things see it: by its commands, and by what git holds."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tests.race.runner import Herd, Run
from tests.support.git import clone, git, run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.cli import Result

LEDGER = "refs/pw/locks/main"


@dataclass(frozen=True)
class Shop:
    """An upstream, a clone of it, and a way to run git-pw there; `url` is how clones reach it, if not by its path."""

    bare: Path
    work: Path
    herd: Herd
    url: str = ""

    def pw(
        self,
        *words: str,
        check: int | None = 0,
        worker: str | None = "alice",
        cwd: Path | None = None,
        env: Mapping[str, str | None] | None = None,
        kill: float | None = None,
        group: bool = False,
    ) -> Result:
        """Run one command as a worker; another exit status than `check` is an AssertionError."""
        call = Run(words, cwd or self.work, {"GITPW_WORKER": worker, **(env or {})}, kill, group)
        (answer,) = self.herd.run(call)
        assert check is None or answer.exit == check, f"expected exit {check}\n{answer}"
        return answer

    def another(self, name: str) -> Shop:
        """The same upstream and another clone, beside the first."""
        return replace(self, work=clone(self.url or self.bare, self.work.parent / name))

    def task(self, title: str, *files: str) -> str:
        """Add a task; its id."""
        named = [word for file in files for word in ("--file", file)]
        added: str = self.pw("task", "add", title, *named).data["task"]["id"]
        return added

    def operations(self, verb: str | None = None) -> list[dict[str, Any]]:
        """What the ledger on the upstream holds, oldest first, read with nothing but git: all or those of a verb."""
        return operations(self.bare, LEDGER, verb)

    def tip(self) -> str:
        """The commit at which the ledger stands, empty where there is none."""
        return run(["git", "rev-parse", "-q", "--verify", LEDGER], self.bare, check=False).out.strip()

    def set_tip(self, commit: str) -> None:
        """Move the ledger as somebody with a shell on the server would; an empty name deletes it."""
        if commit:
            git("update-ref", LEDGER, commit, cwd=self.bare)
        else:
            git("update-ref", "-d", LEDGER, cwd=self.bare)

    def open_operations(self) -> list[str]:
        """The operations that the clone's journal holds."""
        return sorted(os.listdir(self.work / ".git/pw/journal"))  # noqa: PTH208


def operations(repository: Path, ref: str, verb: str | None = None) -> list[dict[str, Any]]:
    """The operations in the history of a ref, oldest first, each with its counter."""
    text = git("log", "--reverse", "--format=%x01%B", ref, cwd=repository)
    found = []
    for message in text.split("\x01")[1:]:
        lines = message.splitlines()
        operation = json.loads(_field(lines, "Pw-Operation"))
        found.append({**operation, "counter": int(_field(lines, "Pw-Counter"))})
    return [one for one in found if verb in {None, one["request"]["verb"]}]


def _field(lines: list[str], name: str) -> str:
    return next(line.removeprefix(f"{name}: ") for line in lines if line.startswith(f"{name}: "))


def keepsakes(work: Path) -> dict[str, object]:
    """All that is the user's: HEAD, index, stash, config, branches, tags and every file outside of .worktrees."""
    folder = work / ".git"
    refs = git("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads", "refs/tags", cwd=work)
    return {
        "HEAD": (folder / "HEAD").read_bytes(),
        "config": (folder / "config").read_bytes(),
        "index": hashlib.sha256((folder / "index").read_bytes()).hexdigest(),
        "stash": git("stash", "list", "--format=%H", cwd=work),
        "refs": [ref for ref in refs.splitlines() if "/task-" not in ref],
        "files": {
            str(path.relative_to(work)): path.read_bytes()
            for path in sorted(work.rglob("*"))
            if path.is_file() and path.relative_to(work).parts[0] not in {".git", ".worktrees"}
        },
    }


def furnish(work: Path) -> None:
    """Give the user something of each kind to lose."""
    git("config", "alias.st", "status --short", cwd=work)
    git("checkout", "-q", "-b", "mine", cwd=work)
    (work / "README.md").write_text("stashed\n")
    git("stash", cwd=work)
    (work / "docs/guide.md").write_text("staged\n")
    git("add", "docs/guide.md", cwd=work)
    (work / "src/auth/login.ts").write_text("not staged\n")
    (work / "notes.txt").write_text("untracked\n")


def intact(repository: Path) -> None:
    """Git finds nothing wrong with a repository."""
    checked = run(["git", "fsck", "--no-progress", "--no-dangling"], repository)
    assert not [line for line in checked.err.splitlines() if "notice:" not in line], str(checked)


def real_git() -> str:
    """The git program that the tests would use without a wrapper."""
    found = shutil.which("git")
    assert found
    return found
