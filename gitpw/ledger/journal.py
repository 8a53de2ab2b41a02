"""What this machine has asked of the ledger and not yet seen through, one small file each.

A file is locked by the process that works on it; one that can be locked was left behind, by a crash or by an answer
that was lost, and is settled by the next command.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from gitpw.domain.ids import OperationId
from gitpw.domain.operation import Operation


class Left(NamedTuple):
    """An operation that was left open, and the counter of the state it was based on."""

    operation: Operation
    counter: int
    path: Path


class Journal:
    """The folder of open operations."""

    def __init__(self, folder: Path) -> None:
        """Nothing is written before the first operation."""
        self._folder = folder
        self._open: dict[OperationId, int] = {}

    def note(self, operation: Operation) -> None:
        """Write an operation down before it is tried, or again before it is tried on another state."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{operation.id}.json"
        file = self._open.get(operation.id)
        begun = path if file is not None else path.with_suffix(".new")
        if file is None:
            file = os.open(begun, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._open[operation.id] = file
        content = json.dumps({"operation": operation.to_data(), "counter": operation.seen}).encode()
        os.pwrite(file, content, 0)
        os.ftruncate(file, len(content))
        os.fsync(file)
        if begun != path:  # locked and whole before anybody can see it
            begun.rename(path)

    def close(self, operation: OperationId) -> None:
        """The operation was seen through."""
        file = self._open.pop(operation, None)
        with contextlib.suppress(FileNotFoundError):
            (self._folder / f"{operation}.json").unlink()
        if file is not None:
            os.close(file)

    def leave(self, operation: OperationId) -> None:
        """The operation stays open: a later command settles it."""
        file = self._open.pop(operation, None)
        if file is not None:
            os.close(file)

    def holds(self, operation: OperationId) -> bool:
        """Whether an operation is open here, whoever of this machine works on it."""
        return (self._folder / f"{operation}.json").exists()

    def left(self) -> Iterator[Left]:
        """The operations that others left open; each is ours to settle while it is looked at."""
        for path in sorted(self._folder.glob("*.json")) if self._folder.is_dir() else ():
            if OperationId(path.stem) in self._open:
                continue
            with contextlib.suppress(OSError):
                file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    found = _parsed(path)
                    if found is not None:
                        yield found
                finally:
                    os.close(file)


def _parsed(path: Path) -> Left | None:
    """What a file holds; one that a crash left half written was never tried, and goes."""
    try:
        data: dict[str, Any] = json.loads(path.read_bytes())
        operation = Operation.from_json(json.dumps(data["operation"]).encode())
        return Left(operation, int(data["counter"]), path)
    except (ValueError, KeyError, TypeError, ValidationError):
        path.unlink(missing_ok=True)
        return None
