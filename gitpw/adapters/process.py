"""Runs programs: the one place that does."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gitpw.errors import FailedError
from gitpw.ledger.transport import Finished

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["CLEAN", "Finished", "Lingering", "complaint", "detach", "linger", "printable", "run"]

GRACE = 2.0
"""Seconds that a program has to tidy up (git takes its lock files away) before it is killed."""

CLEAN: dict[str, None] = dict.fromkeys(
    (
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_CONFIG",
        "GIT_DIR",
        "GIT_GLOB_PATHSPECS",
        "GIT_GRAFT_FILE",
        "GIT_ICASE_PATHSPECS",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_LITERAL_PATHSPECS",
        "GIT_NAMESPACE",
        "GIT_NOGLOB_PATHSPECS",
        "GIT_NO_REPLACE_OBJECTS",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_QUARANTINE_PATH",
        "GIT_REFLOG_ACTION",
        "GIT_REPLACE_REF_BASE",
        "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
    )
)
"""What git sets for its hooks, and what ties a call to one repository: taken out where git is run elsewhere.

Settings (`git -c`), ssh and the ways to ask for a password stay: those are the user's words.
"""


def run(  # noqa: PLR0913 - each is a part of how a program is started
    args: Sequence[str],
    *,
    cwd: str | None = None,
    env: Mapping[str, str | None] | None = None,
    input: bytes | None = None,  # noqa: A002 - as in subprocess
    timeout: float | None = None,
    show: bool = False,
    hold: Sequence[int] = (),
) -> Finished:
    """Run a program to its end, with no standard input but `input`.

    `env` is merged over the environment, None takes a variable out. With a timeout (seconds) the program gets a
    process group of its own, which is stopped when the time is up; without one it keeps the terminal, so that ssh
    and git can ask for a password. `show` leaves standard error to the user, for progress. `hold` are files that stay
    open in the program: a lock lasts as long as whoever works under it. Raises `FailedError` if it can't be started.
    """
    process = _start(
        args,
        cwd=cwd,
        env=merged(env),
        stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=None if show else subprocess.PIPE,
        start_new_session=timeout is not None,
        pass_fds=tuple(hold),
    )
    try:
        out, err = process.communicate(input, timeout)
    except subprocess.TimeoutExpired as expired:
        return _overdue(process, expired)
    except BaseException:
        _stop(process, grouped=timeout is not None)
        raise
    return Finished(process.returncode, out, err or b"")


def detach(
    args: Sequence[str], *, cwd: str | None = None, env: Mapping[str, str | None] | None = None
) -> None:
    """Start a program that goes on by itself, away from the terminal and from every open file."""
    # The shell ends at once, so the program is nobody's child here and leaves no zombie.
    process = _start(
        ["sh", "-c", '"$@" &', "sh", *args],
        cwd=cwd,
        env=merged(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    process.wait()


class Lingering:
    """A program that goes on by itself, and for whose end one can wait a while."""

    def __init__(self, pipe: int) -> None:
        """`pipe` is at its end when the program is."""
        self._pipe = pipe

    def wait(self, timeout: float) -> bool:
        """Whether it has ended by now, or does within `timeout` seconds; to be asked once."""
        try:
            return bool(select.select([self._pipe], [], [], max(timeout, 0))[0])
        finally:
            os.close(self._pipe)


def linger(
    args: Sequence[str], *, cwd: str | None = None, env: Mapping[str, str | None] | None = None
) -> Lingering:
    """Start a program as `detach` does, to be waited for, but not for longer than one likes."""
    pipe, end = os.pipe()
    try:
        process = _start(
            ["sh", "-c", '"$@" >/dev/null 2>&1 &', "sh", *args],
            cwd=cwd,
            env=merged(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(end,),
            start_new_session=True,
        )
    except BaseException:
        os.close(pipe)
        raise
    finally:
        os.close(end)
    process.wait()
    return Lingering(pipe)


def complaint(err: bytes) -> str:
    """The line of a program's standard error that says what went wrong."""
    lines = [line.strip() for line in os.fsdecode(err).splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("fatal: ", "error: "))] or lines[-1:]
    words = told[0] if told else "no reason was given"
    return printable(words.removeprefix("fatal: ").removeprefix("error: "))


def printable(text: str) -> str:
    """The same text without control characters."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def merged(env: Mapping[str, str | None] | None) -> dict[str, str]:
    """The environment with some variables set, and those that are None taken out."""
    return {name: value for name, value in {**os.environ, **(env or {})}.items() if value is not None}


def _start(args: Sequence[str], **options: object) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(list(args), **options)  # type: ignore[call-overload,no-any-return]
    except (OSError, ValueError) as error:
        raise _unstartable(args[0], options.get("cwd"), error) from error


def _unstartable(program: str, cwd: object, error: Exception) -> FailedError:
    if isinstance(cwd, str) and not Path(cwd).is_dir():
        return FailedError(f"{cwd} is no folder", hint="it may have been moved or deleted")
    if isinstance(error, FileNotFoundError):
        what = "install git 2.38 or newer" if program == "git" else f"install {program}"
        return FailedError(f"{program} was not found", hint=f"{what}, or put it on PATH")
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return FailedError(f"{program} can't be started: {reason}")


def _overdue(process: subprocess.Popen[bytes], expired: subprocess.TimeoutExpired) -> Finished:
    """Stop what is late. A program that ended in time, but left a child that keeps its pipes open, isn't."""
    if process.poll() is not None:
        _close(process)
        return Finished(process.returncode, expired.output or b"", expired.stderr or b"")
    out, err = _stop(process, grouped=True)
    return Finished(process.returncode or -signal.SIGTERM, out, err, late=True)


def _stop(process: subprocess.Popen[bytes], *, grouped: bool) -> tuple[bytes, bytes]:
    """End a program, gently at first; with all of its group where it leads one. What it had said so far."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            if grouped:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)
        with suppress(subprocess.TimeoutExpired, ValueError):
            out, err = process.communicate(timeout=GRACE)
            _close(process)  # its input, if it never read that
            return out or b"", err or b""
    _close(process)
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)
    return b"", b""


def _close(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
