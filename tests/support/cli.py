"""Runs the real git-pw, one process at a time or many at once."""

from __future__ import annotations

import json as jsonlib
import os
import signal
import subprocess
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tests.support.git import Result as Answer
from tests.support.git import environment, run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Says "." on stdout, waits for the end of stdin, and becomes the command: all start at once.
BARRIER = 'out=$1 err=$2; shift 2; printf .; read -r _; exec "$@" </dev/null >"$out" 2>"$err"'


@dataclass(frozen=True)
class Result(Answer):
    """What git-pw answered; `data` is the JSON document, or None if none was asked for."""

    data: Any = None


@dataclass(frozen=True)
class Call:
    """One call of git-pw for `pw_many`."""

    args: Sequence[str]
    cwd: Path
    env: Mapping[str, str | None] | None = None
    json: bool = True


@dataclass(frozen=True)
class Started:
    """A process of `pw_many`, and where its output goes."""

    call: Call
    process: subprocess.Popen[bytes]
    out: Path
    err: Path


def pw(
    *args: str,
    cwd: Path,
    env: Mapping[str, str | None] | None = None,
    check: int | None = None,
    json: bool = True,
    timeout: float = 60,
    input: str | None = None,  # noqa: A002 - as in subprocess
) -> Result:
    """Run `git-pw` with `--json` (unless told otherwise); with `check`, any other exit status is an AssertionError."""
    done = run(_words(args, json=json), cwd, env, check=False, timeout=timeout, input=input)
    result = _read(done, json=json)
    assert check is None or result.exit == check, f"expected exit {check}\n{result}"
    return result


def pw_many(calls: Sequence[Call], timeout: float = 90) -> list[Result]:
    """Start all calls as processes that wait at one barrier, let them go at once, and give the answers in order."""
    with tempfile.TemporaryDirectory(prefix="pw-many-") as folder, ExitStack() as ends:
        gate, opener = _pipe(ends)
        here, reporter = _pipe(ends)
        started: list[Started] = []
        ends.callback(_kill_all, started)
        for number, call in enumerate(calls):
            started.append(_start(call, Path(folder, str(number)), gate, reporter))
        reporter.close()
        _await(here, len(started))
        opener.close()
        deadline = time.monotonic() + timeout
        return [_finish(one, deadline) for one in started]


def _pipe(ends: ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    """Both ends of a new pipe, closed at the end at the latest."""
    read, write = os.pipe()
    return ends.enter_context(os.fdopen(read, "rb", 0)), ends.enter_context(os.fdopen(write, "wb", 0))


def _words(args: Sequence[str], *, json: bool) -> list[str]:
    return ["git-pw", *(["--json"] if json else []), *args]


def _read(answer: Answer, *, json: bool) -> Result:
    """Parse the one JSON document on stdout; a process that a signal ended owes none."""
    data = None
    if json and answer.exit >= 0:
        try:
            data = jsonlib.loads(answer.out)
        except ValueError as error:
            raise AssertionError(f"stdout isn't one JSON document: {error}\n{answer}") from error
    return Result(answer.args, answer.exit, answer.out, answer.err, data)


def _start(call: Call, files: Path, gate: IO[bytes], reporter: IO[bytes]) -> Started:
    out, err = files.with_suffix(".out"), files.with_suffix(".err")
    process = subprocess.Popen(
        ["sh", "-c", BARRIER, "sh", out, err, *_words(call.args, json=call.json)],
        cwd=call.cwd,
        env=environment(call.env),
        stdin=gate,
        stdout=reporter,
        start_new_session=True,
    )
    return Started(call, process, out, err)


def _await(here: IO[bytes], count: int) -> None:
    """Wait until all processes have reported at the barrier."""
    seen = 0
    while seen < count:
        dots = here.read(count)
        assert dots, f"only {seen} of {count} processes reached the barrier"
        seen += len(dots)


def _finish(one: Started, deadline: float) -> Result:
    code = one.process.wait(timeout=max(0.1, deadline - time.monotonic()))
    texts = (file.read_text(errors="surrogateescape") for file in (one.out, one.err))
    words = tuple(_words(one.call.args, json=one.call.json))
    return _read(Answer(words, code, *texts), json=one.call.json)


def _kill_all(started: Sequence[Started]) -> None:
    """End what still runs (after a timeout), with its children."""
    for one in started:
        if one.process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(one.process.pid, signal.SIGKILL)
            one.process.wait(timeout=10)
