"""Runs a command of the policy's: followed line by line, in a process group that ends with it, or with us.

A watchdog, a shell that waits for the end of a pipe, ends the group where we ourselves were killed.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, NamedTuple

from gitpw.adapters.process import merged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

GRACE = 2.0
"""Seconds between INT, TERM and KILL."""

BEAT = 1.0
"""Seconds between two looks at whether the command may go on."""

LINGER = 0.5
"""Seconds to wait for what is left in a pipe whose writer has ended."""

LATE = "stopped: its time was up"
"""Why a command failed that took too long."""

WATCHDOG = """
read -r word
[ "$word" = done ] && exit
for signal in INT TERM KILL; do kill -$signal "-$1" 2>/dev/null || exit 0; sleep 2; done
"""


class Followed(NamedTuple):
    """How a command is followed: for how many seconds, where its output goes, and who is shown its lines.

    `beat` is called about once a second; what it raises ends the command.
    """

    timeout: float
    log: IO[bytes]
    show: Callable[[bytes], None]
    beat: Callable[[], None]


def supervise(command: str, *, cwd: str, env: Mapping[str, str | None], followed: Followed, lock: int) -> str:
    """Run a command with `sh -c` to its end, and end all of its group; why it failed, empty where it didn't.

    `lock` is a file that stays open until the group has ended, whatever becomes of us.
    """
    process = subprocess.Popen(
        ["sh", "-c", command],
        cwd=cwd,
        env=merged(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    with _watched(process.pid, lock):
        try:
            late = _Following(process, followed).to_the_end()
        finally:
            _end_group(process)
    if late:
        return LATE
    status = process.returncode
    if status < 0:
        return f"signal {-status}"
    return f"exit {status}" if status else ""


@contextmanager
def _watched(group: int, lock: int) -> Iterator[None]:
    """As long as this lasts, the end of this process is the end of the group, and the lock is held until then."""
    read, write = os.pipe()
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


class _Following:
    """Passes on what a program says until it has ended, and its pipe with it, or the time is up."""

    def __init__(self, process: subprocess.Popen[bytes], followed: Followed) -> None:
        assert process.stdout is not None  # noqa: S101 - it was asked for
        self._process = process
        self._followed = followed
        self._pipe = process.stdout.fileno()
        self._until = time.monotonic() + followed.timeout
        self._next_beat = time.monotonic() + BEAT
        self._ended: float | None = None
        self._rest = b""

    def to_the_end(self) -> bool:
        """Whether the time was up."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._pipe, selectors.EVENT_READ)
            while not self._is_over():
                if self._is_late():
                    return True
                self._beat()
                if selector.select(0.05 if self._ended else 0.2) and not self._passed_on():
                    break
        if self._rest:
            self._followed.show(self._rest)
        return self._waited()

    def _waited(self) -> bool:
        """A program that closed its output may go on."""
        while self._process.poll() is None:
            if self._is_late():
                return True
            self._beat()
            time.sleep(0.05)
        return False

    def _is_late(self) -> bool:
        return self._ended is None and time.monotonic() > self._until

    def _is_over(self) -> bool:
        if self._ended is None and self._process.poll() is not None:
            self._ended = time.monotonic()
        return self._ended is not None and time.monotonic() - self._ended > LINGER

    def _beat(self) -> None:
        if time.monotonic() >= self._next_beat:
            self._followed.beat()
            self._next_beat = time.monotonic() + BEAT

    def _passed_on(self) -> bool:
        chunk = os.read(self._pipe, 1 << 16)
        if not chunk:
            return False
        self._followed.log.write(chunk)
        self._followed.log.flush()
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._followed.show(line)
        return True


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End a program and all of its group: INT, TERM, KILL."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except (ProcessLookupError, PermissionError):
            break
        until = time.monotonic() + GRACE
        while time.monotonic() < until and _lives(process):
            time.sleep(0.02)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _lives(process: subprocess.Popen[bytes]) -> bool:
    process.poll()
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, 0)
        return True
    return False
