"""The merger's own worktree, what runs in it, and what came of it before."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import time
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gitpw.adapters.disk import locked, read, replace
from gitpw.adapters.git import GitRepo
from gitpw.adapters.process import CLEAN, Finished, complaint, run
from gitpw.adapters.supervise import LATE, Followed, supervise
from gitpw.domain.integration import Tested
from gitpw.errors import ContendedError, FailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

KEPT = 200
"""Logs."""

REMEMBERED = 2_000
"""Results of tests."""

TAIL = 4_000
"""Bytes of a log that others are shown."""

PATIENCE = 30.0
"""Seconds to wait for what a killed merger has left running."""

STEERING = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
"""Colours and the like: the log keeps them, people's lines do without."""


class Testbed:
    """A detached worktree under `<common git dir>/pw/merge`, reused; ignored files stay, for the sake of caches."""

    __test__ = False

    def __init__(self, repo: GitRepo) -> None:
        self._repo = repo
        self.folder = Path(repo.common_dir, "pw", "merge")
        self.path = self.folder / "tree"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only merger of this clone; raises `ContendedError`."""
        with ExitStack() as ends:
            try:
                ends.enter_context(locked(str(self.folder / "merger.lock"), 0.0))
            except ContendedError as error:
                raise ContendedError(
                    "another 'git pw merge' is at work in this clone", hint="try again when it is done"
                ) from error
            yield

    def place(self) -> str:
        """A random id of this clone, made at the first call."""
        file = str(self.folder / "place")
        found = (read(file) or b"").decode(errors="replace").strip()
        if not found:
            found = secrets.token_hex(8)
            self.folder.mkdir(parents=True, exist_ok=True)
            replace(file, f"{found}\n".encode())
        return found

    def results(self) -> dict[str, list[int]]:
        """What earlier runs said: how often each was green and red; nothing where that can't be read."""
        with suppress(ValueError, TypeError, AttributeError):
            found = json.loads(read(str(self.folder / "results.json"), 1 << 24) or b"{}")
            return {str(key): [int(green), int(red)] for key, (green, red) in found.items()}
        return {}

    def keep(self, results: dict[str, list[int]]) -> None:
        """Remember them, the latest."""
        latest = dict(list(results.items())[-REMEMBERED:])
        self.folder.mkdir(parents=True, exist_ok=True)
        replace(str(self.folder / "results.json"), json.dumps(latest).encode())

    def tail(self, log: str) -> str:
        """The last lines of a log, without colours."""
        with suppress(OSError), Path(log).open("rb") as file:
            file.seek(max(0, Path(log).stat().st_size - TAIL))
            return _plain_text(file.read())
        return ""

    def checkout(self, commit: str) -> None:
        """Bring the worktree to a commit, whatever a killed merger has left in it."""
        if not (self.path / ".git").exists() or self._git("rev-parse", "--git-dir").status:
            self._make(commit)
        git_dir = self._must("rev-parse", "--absolute-git-dir").out
        Path(os.fsdecode(git_dir).rstrip("\n"), "index.lock").unlink(missing_ok=True)
        self._must("checkout", "--quiet", "--force", "--detach", commit)
        self._must("clean", "-ffdq")
        if (self.path / ".gitmodules").is_file():
            self._must("submodule", "update", "--init", "--recursive", "--quiet", "--force")

    def remove(self) -> list[str]:
        """Take the worktree away; what was removed."""
        if not self.path.exists():
            return []
        self._repo.git("worktree", "remove", "--force", "--force", "--", str(self.path))
        return [f"worktree {self.path}"]

    def test(
        self,
        commit: str,
        commands: Sequence[str],
        *,
        timeout: float,
        env: Mapping[str, str],
        show: Callable[[str], None],
        beat: Callable[[], None],
    ) -> Tested:
        """Run the commands on a commit, one after the other until one fails, their output kept in a log.

        `beat` is called about once a second: what it raises ends the tests.
        """
        log = self._log(commit)
        why = ""
        with log.open("ab") as file, locked(str(self.folder / "tests.lock"), PATIENCE) as held:
            self.checkout(commit)
            began = time.monotonic()
            for command in commands:
                file.write(f"$ {command}\n".encode())
                file.flush()
                left = max(timeout - (time.monotonic() - began), 0.0)
                why = self._run(command, env, Followed(left, file, _shown(show), beat), held.file)
                why = f"stopped after {timeout:g} s" if why == LATE else why
                file.write(f"[{why or 'green'}]\n".encode())
                if why:
                    break
        return Tested(not why, why, time.monotonic() - began, str(log))

    def resolve(
        self,
        onto: str,
        head: str,
        command: str,
        *,
        timeout: float,
        env: Mapping[str, str],
        beat: Callable[[], None],
    ) -> str | None:
        """Merge two commits here and let a command solve the conflicts; the tree, None where any are left."""
        log = self._log(head)
        with log.open("ab") as file, locked(str(self.folder / "tests.lock"), PATIENCE) as held:
            self.checkout(onto)
            self._git("merge", "--no-commit", "--no-ff", "--quiet", head)
            told = self._must("diff", "--name-only", "--diff-filter=U", "-z").out
            files = [os.fsdecode(name) for name in told.split(b"\0") if name]
            names = {**env, "GITPW_CONFLICTS": "\n".join(files)}
            try:
                why = self._run(command, names, Followed(timeout, file, lambda _: None, beat), held.file)
                if why or any(_unsolved(self.path / name) for name in files):
                    return None
                self._must("add", "--all")
                return self._must("write-tree").out.decode().strip()
            finally:
                self._git("reset", "--quiet", "--hard", onto)

    def _run(self, command: str, env: Mapping[str, str], followed: Followed, lock: int) -> str:
        return supervise(command, cwd=str(self.path), env={**CLEAN, **env}, followed=followed, lock=lock)

    def _make(self, commit: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.path.exists():  # what is here is ours, and no worktree
            shutil.rmtree(self.path)
        options = ("--force", "--force", "--detach", "--no-checkout")
        done = self._repo.patiently("worktree", "add", *options, "--", str(self.path), commit)
        if done.status:
            raise FailedError(
                f"git can't make the merger's worktree: {complaint(done.err)}",
                hint="see 'git worktree list'",
            )

    def _log(self, commit: str) -> Path:
        folder = self.folder / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        for old in sorted(folder.glob("*.log"))[: -KEPT + 1]:
            old.unlink(missing_ok=True)
        return folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{commit[:12]}.log"

    def _git(self, *args: str) -> Finished:
        quietly = ("-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false")
        return run(["git", *quietly, *args], cwd=str(self.path), env={**CLEAN, "LANGUAGE": "C"})

    def _must(self, *args: str) -> Finished:
        done = self._git(*args)
        if done.status:
            raise FailedError(f"git {args[0]} failed in {self.path}: {complaint(done.err)}")
        return done


def _unsolved(path: Path) -> bool:
    """Whether a file still has the marks of a conflict."""
    content = read(str(path), 1 << 26) or b""
    return any(line.startswith((b"<<<<<<< ", b">>>>>>> ")) for line in content.split(b"\n"))


def _shown(show: Callable[[str], None]) -> Callable[[bytes], None]:
    return lambda line: show(_plain(line))


def _plain_text(text: bytes) -> str:
    return "\n".join(_plain(line) for line in text.split(b"\n")).strip()


def _plain(line: bytes) -> str:
    return STEERING.sub("", line.decode(errors="replace")).rstrip("\r").expandtabs(4)
