"""Runs git-pw processes without the wait for Python to start: see `herd`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.cli import Result
from tests.support.git import environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).parents[2]
NOTHING = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "HOME": "/nonexistent",
    "LC_ALL": "C.UTF-8",
}
"""What the herd itself sees of the world: libgit2 asks when it is loaded, and each call brings its own."""


@dataclass(frozen=True)
class Run:
    """One call of git-pw: its words (without `--json`), its folder and what its environment has besides the test's.

    `kill` is the number of seconds after which it is killed, `group` whether with all that it has started.
    """

    words: Sequence[str]
    cwd: Path
    env: Mapping[str, str | None] | None = None
    kill: float | None = None
    group: bool = False


@dataclass(frozen=True)
class Herd:
    """The running `tests.race.herd`, and a folder for what its processes say."""

    process: subprocess.Popen[str]
    folder: Path

    def run(self, *calls: Run) -> list[Result]:
        """Let all go at once; their answers, in order."""
        order = [
            {
                "args": ["--json", *call.words],
                "cwd": str(call.cwd),
                "env": environment(call.env),
                "out": str(self.folder / f"{number}.out"),
                "err": str(self.folder / f"{number}.err"),
                "kill": call.kill,
                "group": call.group,
            }
            for number, call in enumerate(calls)
        ]
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        exits = json.loads(self.process.stdout.readline())
        return [self._answer(number, call, exits[number]) for number, call in enumerate(calls)]

    def _answer(self, number: int, call: Run, status: int) -> Result:
        """What a process said; one that was killed owes no document."""
        words = ("git-pw", "--json", *call.words)
        out, err = (
            (self.folder / f"{number}.{name}").read_text(errors="surrogateescape") for name in ("out", "err")
        )
        plain = Result(words, status, out, err)
        try:
            return Result(words, status, out, err, json.loads(out)) if status >= 0 else plain
        except ValueError as error:
            raise AssertionError(f"stdout isn't one JSON document: {error}\n{plain}") from error


@contextmanager
def gathered(**variables: str) -> Iterator[Herd]:
    """A herd for the time of the block; `variables` are what a process must see from its very start."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    with (
        tempfile.TemporaryDirectory(prefix="pw-herd-") as folder,
        subprocess.Popen(
            [sys.executable, "-m", "tests.race.herd"],
            cwd=ROOT,
            env={**kept, **NOTHING, "PATH": path, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        yield Herd(process, Path(folder))
