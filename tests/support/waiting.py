"""A git-pw that waits: started, seen to stand in line, and let go, interrupted or killed."""

from __future__ import annotations

import json
import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.support.git import environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Waiting:
    """A running command, and what it has said on stderr so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said: list[str] = []

    def until(self, words: str) -> str:
        """The line of stderr that has these words, as soon as it is there."""
        assert self.process.stderr
        for line in self.process.stderr:
            self.said.append(line.rstrip("\n"))
            if words in line:
                return self.said[-1]
        raise AssertionError(f"it never said {words!r}: {self.said}, {self.process.communicate()[0]}")

    def end(self, expected: int = 0, timeout: float = 90) -> Any:
        """The JSON document that it ends with."""
        out, err = self.process.communicate(timeout=timeout)
        self.said += err.splitlines()
        assert self.process.returncode == expected, f"exit {self.process.returncode}\n{out}\n{self.said}"
        return json.loads(out) if out else None

    def interrupt(self) -> None:
        """As ^C does."""
        self.process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """Without a chance to tidy up."""
        self.process.kill()
        self.process.wait(10)


def _interruptible() -> None:
    """As from a terminal: what a shell starts in the background would never hear of ^C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def waiting(*words: str, cwd: Path, worker: str) -> Iterator[Waiting]:
    """A command that a worker has started, and that stands in line already; killed at the end if it still runs."""
    with subprocess.Popen(
        ["git-pw", "--json", *words],
        cwd=cwd,
        env=environment({"GITPW_WORKER": worker}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_interruptible,  # noqa: PLW1509 - it only resets a signal
    ) as process:
        started = Waiting(process)
        try:
            started.until("in line")
            yield started
        finally:
            process.kill()
