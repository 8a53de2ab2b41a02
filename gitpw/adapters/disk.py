"""Files that several processes share: replaced as a whole, and locked while they are changed."""

from __future__ import annotations

import fcntl
import os
import random
import secrets
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gitpw.errors import ContendedError, FailedError

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 10.0
"""Seconds to wait for another process: it may be suspended."""


def replace(path: str, content: bytes, mode: int = 0o666) -> None:
    """Write a file so that others see it as it was or as it is now, never half.

    `mode` is subject to the umask. Raises `FailedError` where it can't be written.
    """
    fresh = f"{path}.{secrets.token_hex(4)}.tmp"
    try:
        file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(file, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(fresh).replace(path)
    except OSError as error:
        Path(fresh).unlink(missing_ok=True)
        raise FailedError(f"{path} can't be written: {error.strerror}") from error


def read(path: str, most: int = 1 << 20) -> bytes | None:
    """A file's content; None where there is no ordinary file of at most `most` bytes."""
    with suppress(OSError):
        if Path(path).is_file() and Path(path).stat().st_size <= most:
            return Path(path).read_bytes()
    return None


class Held(NamedTuple):
    """A lock: the open file, for programs that go on under it; and whether its last owner was killed."""

    file: int
    abandoned: bool


@contextmanager
def locked(path: str, patience: float = PATIENCE) -> Iterator[Held]:
    """Be the only process that holds this lock file.

    The file is gone afterwards, and a killed owner's lock ends with it. Raises `ContendedError` after `patience`
    seconds, `FailedError` where the folder can't be written.
    """
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        file = _acquired(path, time.monotonic() + patience)
    except OSError as error:
        raise FailedError(f"{path} can't be locked: {error.strerror}") from error
    try:
        # A file that says something is one that its owner could not take away.
        abandoned = os.fstat(file).st_size > 0
        os.write(file, b"held\n")
        yield Held(file, abandoned)
    finally:
        Path(path).unlink(missing_ok=True)
        fcntl.flock(file, fcntl.LOCK_UN)  # a child that outlives us may have inherited the file
        os.close(file)


def _acquired(path: str, until: float) -> int:
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_current(file, path):
                return file
        except BlockingIOError:
            pass
        except BaseException:
            os.close(file)
            raise
        os.close(file)
        if time.monotonic() > until:
            raise ContendedError(
                f"another git pw has been at work on {path} for long",
                hint="try again; if it hangs, end that process",
            )
        time.sleep(random.uniform(0.002, 0.02))  # noqa: S311 - no secret


def _is_current(file: int, path: str) -> bool:
    """Whether that is still the file of this name: the last owner takes it away when it is done."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file), Path(path).stat())
    return False
