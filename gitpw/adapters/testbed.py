"""The merger's own worktree and what runs in it: tests, in a process group that ends with them.

A watchdog, a shell that waits for the end of a pipe, ends the group where the merger itself was killed.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import selectors
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

from gitpw.adapters.disk import locked, read, replace
from gitpw.adapters.git import GitRepo
from gitpw.adapters.process import CLEAN, Finished, complaint, merged, run
from gitpw.domain.integration import Tested
from gitpw.errors import ContendedError, FailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

GRACE = 2.0
"""Seconds between INT, TERM and KILL."""

BEAT = 1.0
"""Seconds between two looks at whether the tests may go on."""

LINGER = 0.5
"""Seconds to wait for what is left in a pipe whose writer has ended."""

KEPT = 200
"""Logs."""

REMEMBERED = 2_000
"""Results of tests."""

TAIL = 4_000
"""Bytes of a log that others are shown."""

PATIENCE = 30.0
"""Seconds to wait for what a killed merger has left running."""

WATCHDOG = """
read -r word
[ "$word" = done ] && exit
for signal in INT TERM KILL; do kill -$signal -- "-$1" 2>/dev/null || exit 0; sleep 2; done
"""

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
        try:
            with locked(str(self.folder / "merger.lock"), 0.0):
                yield
        except ContendedError as error:
            raise ContendedError(
                "another 'git pw merge' is at work in this clone", hint="try again when it is done"
            ) from error

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

    def remove(self) -> None:
        """Take the worktree away."""
        if self.path.exists():
            self._repo.git("worktree", "remove", "--force", "--force", "--", str(self.path))

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
        began = time.monotonic()
        why = ""
        with log.open("ab") as file, locked(str(self.folder / "tests.lock"), PATIENCE) as held:
            self.checkout(commit)
            for command in commands:
                file.write(f"$ {command}\n".encode())
                file.flush()
                left = timeout - (time.monotonic() - began)
                why = self._run(command, max(left, 0.0), env, file, show, beat, held.file)
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
                why = self._run(command, timeout, names, file, lambda _: None, beat, held.file)
                if why or any(_unsolved(self.path / name) for name in files):
                    return None
                self._must("add", "--all")
                return self._must("write-tree").out.decode().strip()
            finally:
                self._git("reset", "--quiet", "--hard", onto)

    def _run(
        self,
        command: str,
        timeout: float,
        env: Mapping[str, str],
        log: IO[bytes],
        show: Callable[[str], None],
        beat: Callable[[], None],
        lock: int,
    ) -> str:
        """Run one command; why it isn't green."""
        process = subprocess.Popen(
            ["sh", "-c", command],
            cwd=self.path,
            env=merged({**CLEAN, **env}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        with _watched(process.pid, lock):
            try:
                late = _followed(process, time.monotonic() + timeout, log, show, beat)
            finally:
                end_group(process)
        if late:
            return f"stopped after {timeout:.0f} s"
        status = process.returncode
        return "" if status == 0 else f"signal {-status}" if status < 0 else f"exit {status}"

    def _make(self, commit: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._repo.git("worktree", "prune", "--expire=now") if not self.path.exists() else None
        options = ("--force", "--force", "--detach", "--no-checkout")
        done = self._repo.patiently("worktree", "add", *options, "--", str(self.path), commit)
        if done.status:
            raise FailedError(
                f"git can't make the merger's worktree: {complaint(done.err)}",
                hint=f"if it is broken, remove {self.path} and run 'git worktree prune'",
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


@contextmanager
def _watched(group: int, lock: int) -> Iterator[None]:
    """As long as this lasts, the end of this process is the end of the group, and the lock is held until then."""
    read, write = os.pipe()
    os.set_inheritable(write, False)
    dog = subprocess.Popen(
        ["sh", "-c", WATCHDOG, "sh", str(group)],
        stdin=read,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=(lock,),
    )
    os.close(read)
    try:
        yield
    finally:
        with suppress(OSError):
            os.write(write, b"done\n")
        os.close(write)
        dog.wait()


def _followed(
    process: subprocess.Popen[bytes],
    until: float,
    log: IO[bytes],
    show: Callable[[str], None],
    beat: Callable[[], None],
) -> bool:
    """Pass on what a program says until it ends; whether the time was up."""
    assert process.stdout is not None  # noqa: S101 - it was asked for
    pipe = process.stdout.fileno()
    rest = b""
    next_beat = time.monotonic() + BEAT
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        ended: float | None = None
        while True:
            now = time.monotonic()
            if process.poll() is not None and ended is None:
                ended = now
            if now > until and ended is None:
                return True
            if now >= next_beat:
                beat()
                next_beat = now + BEAT
            ready = selector.select(0.05 if ended is not None else min(BEAT, max(until - now, 0.0), 0.2))
            chunk = os.read(pipe, 1 << 16) if ready else None
            if chunk:
                log.write(chunk)
                log.flush()
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    show(_plain(line))
            elif chunk == b"" or (ended is not None and now - ended > LINGER):
                break
        if rest:
            show(_plain(rest))
    while process.poll() is None:  # it closed its output and goes on
        if time.monotonic() > until:
            return True
        beat()
        time.sleep(0.1)
    return False


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a program and all of its group: INT, TERM, KILL."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except (ProcessLookupError, PermissionError):
            break
        until = time.monotonic() + GRACE
        while time.monotonic() < until and _alive(process):
            time.sleep(0.02)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _alive(process: subprocess.Popen[bytes]) -> bool:
    process.poll()
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, 0)
        return True
    return False


def _plain_text(text: bytes) -> str:
    return "\n".join(_plain(line) for line in text.split(b"\n")).strip()


def _plain(line: bytes) -> str:
    return STEERING.sub("", line.decode(errors="replace")).rstrip("\r").expandtabs(4)
