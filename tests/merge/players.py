"""Real git-pw processes that take one step at a time: whoever directs them decides who goes next, and who dies where.

A player is forked from a process that has loaded all of git-pw already, and runs the command line from its first word
in its own session, folder and environment. Before it starts a program, and before it renames or removes one of
git-pw's own files, it says so and waits for its order: go on; die now (SIGKILL); or begin, and die with the program
under way, which then goes on without it. So every step can be named, and a schedule can be played again.

All players see one clock: the machine's, and what the director has added to it. A player that gets no order for a
while is what a suspended one is to the others: it wakes up later, and knows of nothing.
"""

from __future__ import annotations

import ctypes
import gc
import json
import mmap
import os
import select
import signal
import struct
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

GO, DIE, DIE_AFTER = b"g", b"k", b"d"
PATIENCE = 60.0
"""Seconds that a step may take."""

SUBREAPER, DEATH_SIGNAL = 36, 1
"""Linux's PR_SET_CHILD_SUBREAPER: what a killed player leaves running becomes the director's child; PR_SET_PDEATHSIG."""


@dataclass
class Clock:
    """What is added to the machine's time, in memory that all players share."""

    shared: mmap.mmap = field(default_factory=lambda: mmap.mmap(-1, 8))

    def forward(self, seconds: float) -> None:
        """It is later now, for everybody."""
        self.shared[:8] = struct.pack("d", self.ahead + seconds)

    @property
    def ahead(self) -> float:
        """Seconds that it is ahead of the machine's."""
        found: float = struct.unpack("d", self.shared[:8])[0]
        return found

    def rule(self) -> None:
        """Make git-pw in this process go by it."""
        from gitpw.adapters.clock import SystemClock

        SystemClock.now = lambda _: datetime.now(UTC) + timedelta(seconds=self.ahead)  # type: ignore[method-assign]


@dataclass
class Player:
    """A running git-pw; `at` is the step before which it waits, None where it has ended."""

    name: str
    pid: int
    reports: int
    orders: int
    out: Path
    err: Path
    at: str | None = None
    steps: int = 0
    status: int | None = None

    @property
    def answer(self) -> dict[str, Any]:
        """The document that it printed; nothing from one that was killed."""
        with suppress(ValueError):
            found: dict[str, Any] = json.loads(self.out.read_text())
            return found
        return {}


@dataclass
class Stage:
    """Where players are forked; `folder` is for what they say."""

    folder: Path
    clock: Clock = field(default_factory=Clock)
    players: dict[int, Player] = field(default_factory=dict)
    free: set[int] = field(default_factory=set)
    made: int = 0

    def __post_init__(self) -> None:
        """Whatever outlives a player is to be seen here."""
        gc.freeze()  # a child that collects what it was born with copies all of its pages
        _tell_kernel(SUBREAPER, 1)

    def enter(self, name: str, words: Sequence[str], cwd: Path, env: Mapping[str, str]) -> Player:
        """Start a player, up to its first step."""
        reports, report = os.pipe()
        order, orders = os.pipe()
        out, err = self._files()

        def ready() -> None:
            os.close(reports)
            os.close(orders)
            _step_by_step(report, order)

        pid = self._forked(words, cwd, env, out, err, ready)
        os.close(report)
        os.close(order)
        player = Player(name, pid, reports, orders, out, err)
        self.players[pid] = player
        self._await(player)
        return player

    def call(self, words: Sequence[str], cwd: Path, env: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        """Run a command to its end; its exit status and document."""
        out, err = self._files()
        pid = self._forked(words, cwd, env, out, err, lambda: None)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        try:
            return status, json.loads(out.read_text())
        except ValueError as error:
            raise AssertionError(f"{words}: exit {status}, {err.read_text()}") from error
        finally:
            out.unlink()
            err.unlink()

    def start(self, words: Sequence[str], cwd: Path, env: Mapping[str, str]) -> int:
        """Start a command that takes its steps when it likes; its process id."""
        out, err = self._files()
        pid = self._forked(words, cwd, env, out, err, lambda: _tell_kernel(DEATH_SIGNAL, signal.SIGKILL))
        self.free.add(pid)
        return pid

    def send(self, pid: int, number: int) -> None:
        """Send a signal to one that was started."""
        os.kill(pid, number)

    def end(self, pid: int, number: int) -> int:
        """Send a signal to one that was started, and wait for its end; its exit status."""
        self.send(pid, number)
        self.free.discard(pid)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def order(self, player: Player, order: bytes = GO) -> None:
        """Let a player do its step, and wait until it comes to the next one or ends."""
        assert player.at is not None, f"{player.name} has ended"
        player.steps += 1
        os.write(player.orders, order)
        self._await(player)
        if order != GO:
            assert player.at is None, f"{player.name} lives"
            self.still()

    def strays(self) -> list[int]:
        """What players have started and left running."""
        found = Path(f"/proc/self/task/{os.getpid()}/children")
        names = found.read_text().split() if found.exists() else []
        children = [int(name) for name in names if int(name) not in self.players.keys() | self.free]
        return [child for child in children if not self._reaped(child)]

    def still(self) -> None:
        """Wait for what killed players have left running."""
        until = time.monotonic() + PATIENCE
        while left := self.strays():
            assert time.monotonic() < until, f"still running: {[_command(pid) for pid in left]}"
            time.sleep(0.002)

    def _files(self) -> tuple[Path, Path]:
        self.made += 1
        return self.folder / f"{self.made}.out", self.folder / f"{self.made}.err"

    def _reaped(self, pid: int) -> bool:
        with suppress(ChildProcessError):
            return os.waitpid(pid, os.WNOHANG)[0] == pid
        return True

    def _await(self, player: Player) -> None:
        """Read a player's next report, or its end."""
        ready, _, _ = select.select([player.reports], [], [], PATIENCE)
        assert ready, f"{player.name} hangs after {player.at}: {player.err.read_text()[-2000:]}"
        told = os.read(player.reports, 1 << 12)
        if told:
            player.at = told.decode(errors="replace").strip()
            return
        player.at = None
        player.status = os.waitstatus_to_exitcode(os.waitpid(player.pid, 0)[1])
        del self.players[player.pid]
        os.close(player.reports)
        os.close(player.orders)

    def _forked(
        self,
        words: Sequence[str],
        cwd: Path,
        env: Mapping[str, str],
        out: Path,
        err: Path,
        ready: Callable[[], None],
    ) -> int:
        """Fork a process that becomes git-pw; its id."""
        sys.stdout.flush()
        child = os.fork()
        if child:
            return child
        try:
            for player in self.players.values():
                os.close(player.reports)
                os.close(player.orders)
            os.setsid()
            os.chdir(cwd)
            os.environ.clear()
            os.environ.update(env)
            write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            for number, name, how in (
                (0, Path(os.devnull), os.O_RDONLY),
                (1, out, write),
                (2, err, write),
            ):
                file = os.open(name, how, 0o600)
                os.dup2(file, number)
                os.close(file)
            self.clock.rule()
            from gitpw.cli import main

            ready()
            status = main(["--json", *words])
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
        finally:
            os._exit(120)


def _tell_kernel(what: int, value: int) -> None:
    """Where there is Linux's prctl."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(what, value, 0, 0, 0)


def _step_by_step(report: int, order: int) -> None:
    """From now on, this process asks before each step."""
    me = os.getpid()
    doomed = False

    def step(event: str, about: tuple[Any, ...]) -> None:
        nonlocal doomed
        what = _named(event, about)
        if what is None or os.getpid() != me:
            return
        os.write(report, f"{what}\n".encode()[:4000])
        word = os.read(order, 1)
        if word in {DIE, b""} or (word == DIE_AFTER and event != "subprocess.Popen"):
            os.kill(me, signal.SIGKILL)
        doomed = word == DIE_AFTER

    begin = subprocess.Popen.__init__

    def begun(self: subprocess.Popen[bytes], *args: Any, **options: Any) -> None:
        begin(self, *args, **options)
        if doomed:
            os.kill(me, signal.SIGKILL)

    subprocess.Popen.__init__ = begun  # type: ignore[method-assign]
    sys.addaudithook(step)


def _named(event: str, about: tuple[Any, ...]) -> str | None:
    """What a step is called; None where it is none."""
    if event == "subprocess.Popen":
        return " ".join(word for word in map(os.fsdecode, about[1]) if "\n" not in word)
    if event in {"os.rename", "os.remove"} and "/pw/" in os.fsdecode(about[0]):
        return f"{event} {os.fsdecode(about[0])}"
    return None


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return str(pid)
