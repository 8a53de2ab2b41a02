"""The names of things, and the moments at which they happen."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import NewType

from gitpw.errors import InvalidError, UsageError

TaskId = NewType("TaskId", str)
WorkerId = NewType("WorkerId", str)
ClaimId = NewType("ClaimId", str)
OperationId = NewType("OperationId", str)
LedgerId = NewType("LedgerId", str)
Commit = NewType("Commit", str)
"""A commit's name as 40 hex digits."""

WORKER = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
TASK = re.compile(r"task-(\d{3,9})")
COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
HEX = re.compile(r"[0-9a-f]{16,64}")


def isoformat(moment: datetime) -> str:
    """ISO 8601 in UTC with `Z`, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def worker_id(text: str) -> WorkerId:
    """Check a worker's id; a bad one is refused, not rewritten."""
    if not WORKER.fullmatch(text):
        raise InvalidError(
            f"{text!r} is no worker id",
            hint="use 1 to 63 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit",
        )
    return WorkerId(text)


def task_id(text: str) -> TaskId:
    """Check a task's id; `7` and `task-7` are short for `task-007`."""
    found = re.fullmatch(r"(?:task-)?(\d{1,9})", text)
    if found is None:
        raise InvalidError(
            f"{text!r} is no task id", hint="task ids look like task-001; see 'git pw task list'"
        )
    return numbered_task(int(found[1]))


def numbered_task(number: int) -> TaskId:
    """The id of the ledger's n-th task."""
    return TaskId(f"task-{number:03d}")


def task_number(task: TaskId) -> int:
    """The place of a task in the order of creation."""
    return int(task.removeprefix("task-"))


UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def duration(text: str) -> timedelta:
    """Read `90s`, `5m`, `2h` or `1d`; a bare number is minutes."""
    found = re.fullmatch(r"(\d{1,9})([smhd]?)", text.strip())
    if found is None:
        raise UsageError(f"{text!r} is no duration", hint="write it as 90s, 5m, 2h or 1d")
    return timedelta(seconds=int(found[1]) * UNITS[found[2] or "m"])
