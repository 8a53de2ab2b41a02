"""A team on one upstream: tasks that are worked on and finished in a line each, and a test command to play with."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tests.race.runner import Herd, Run
from tests.support.git import clone, git, run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.cli import Result

NUMBERED = "".join(f"{number}\n" for number in range(1, 21))


@dataclass(frozen=True)
class Team:
    """A clone of an upstream (or a repository without one) with a ledger; `lab` is a folder beside it."""

    bare: Path | None
    work: Path
    herd: Herd
    lab: Path
    url: str = ""

    def pw(
        self,
        *words: str,
        check: int | None = 0,
        cwd: Path | None = None,
        worker: str = "alice",
        env: Mapping[str, str | None] | None = None,
        kill: float | None = None,
    ) -> Result:
        """Run one command as a worker; another exit status than `check` is an AssertionError."""
        call = Run(words, cwd or self.work, {"GITPW_WORKER": worker, **(env or {})}, kill)
        (answer,) = self.herd.run(call)
        assert check is None or answer.exit == check, f"expected exit {check}\n{answer}"
        return answer

    def another(self, name: str) -> Team:
        """Another clone of the same upstream."""
        return replace(self, work=clone(self.url or str(self.bare), self.lab.parent / name))

    @property
    def home(self) -> Path:
        """Where the base branch is."""
        return self.bare or self.work

    @property
    def main(self) -> str:
        """The tip of the base branch."""
        return git("rev-parse", "main", cwd=self.home)

    def content(self, file: str, commit: str = "main") -> str:
        """A file on the base branch."""
        return run(["git", "show", f"{commit}:{file}"], self.home).out

    def subjects(self, since: str) -> list[str]:
        """What landed since a commit, oldest first."""
        return git("log", "--reverse", "--format=%s", f"{since}..main", cwd=self.home).splitlines()

    def branches(self) -> list[str]:
        """The branches of tasks on the upstream."""
        told = git("for-each-ref", "--format=%(refname:short)", "refs/heads", cwd=self.home)
        return [name for name in told.splitlines() if "task-" in name]

    def policy(self, text: str) -> None:
        """Add to the policy and bring it to the base branch."""
        with (self.work / ".gitpw.toml").open("a") as file:
            file.write(text)
        git("add", ".gitpw.toml", cwd=self.work)
        git("commit", "-qm", "policy", cwd=self.work)
        if self.bare is not None:
            git("push", "-q", "origin", "main", cwd=self.work)

    def tested(self, script: str, more: str = "") -> None:
        """Let a script be the test; it counts its runs and their trees in `runs`, and knows the lab as $LAB."""
        file = self.lab / "test.sh"
        file.write_text(
            f'LAB=\'{self.lab}\'\necho "$(git rev-parse HEAD^{{tree}}) $(git rev-parse HEAD)" >>"$LAB/runs"\n'
            f'runs=$(wc -l <"$LAB/runs")\n{script}\n'
        )
        self.policy(f"[merge]\ntest = \"sh '{file}'\"\n{more}")

    def runs(self) -> list[str]:
        """The trees that were tested, in order."""
        file = self.lab / "runs"
        return [line.split()[0] for line in file.read_text().splitlines()] if file.exists() else []

    def start(self, title: str, *files: str, shared: bool = False, worker: str = "alice") -> tuple[str, Path]:
        """Add a task with some files and claim it; its id and its worktree."""
        named = [word for file in ([] if shared else files) for word in ("--file", file)]
        task: str = self.pw("task", "add", title, *named, worker=worker).data["task"]["id"]
        wanted = [word for file in files for word in ("--file", file)] if shared else []
        claimed = self.pw("claim", task, *wanted, *(["--shared"] if shared else []), worker=worker).data
        return task, self.work.__class__(claimed["worktree"])

    def finish(
        self,
        title: str,
        changes: Mapping[str, str | None],
        *,
        shared: bool = False,
        worker: str = "alice",
    ) -> str:
        """Add a task, do it and hand it in: files with their new content, None for those that go; its id."""
        task, tree = self.start(title, *changes, shared=shared, worker=worker)
        self.change(tree, changes, title)
        self.pw("complete", cwd=tree, worker=worker)
        return task

    def change(self, tree: Path, changes: Mapping[str, str | None], message: str) -> str:
        """Commit changes in a checkout; the commit."""
        for name, content in changes.items():
            if content is None:
                (tree / name).unlink()
            else:
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                (tree / name).write_text(content)
        git("add", "-A", cwd=tree)
        git("commit", "-qm", message, "--no-verify", cwd=tree)
        return git("rev-parse", "HEAD", cwd=tree)

    def direct(self, changes: Mapping[str, str | None], message: str = "direct") -> str:
        """Push a change to the base branch past the queue."""
        other = self.lab / "direct"
        if not other.exists():
            clone(str(self.bare), other)
        git("pull", "-q", "--ff-only", cwd=other)
        commit = self.change(other, changes, message)
        git("push", "-q", "origin", "main", cwd=other)
        return commit

    def queue(self) -> dict[str, dict[str, Any]]:
        """The entries of the merge queue by task, in their order."""
        return {one["taskId"]: one for one in self.pw("merge", "list").data["merges"]}


def line(number: int, text: str) -> str:
    """Twenty numbered lines, one of them another."""
    lines = NUMBERED.splitlines()
    lines[number - 1] = text
    return "\n".join(lines) + "\n"


def processes(word: str) -> list[int]:
    """The processes that have a word in their command line."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208 - numbers, not paths
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:  # noqa: PTH123 - as above
                said = file.read()
        except OSError:
            continue
        if word.encode() in said and int(name) != os.getpid():
            found.append(int(name))
    return found
