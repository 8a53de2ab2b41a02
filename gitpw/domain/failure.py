"""What becomes of a task that failed: it is tried again by itself a few times, after longer and longer pauses.

After that, or at once where nothing says that another try would go better, it needs a person: `git pw task retry`.
When a pause is over is decided by the `at` of whoever asks: a clock that is wrong tries a little early or late, and
one far ahead can't put it off, since no pause is longer than the longest.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from gitpw.domain.ids import isoformat
from gitpw.domain.task import FailureKind, Task, TaskStatus

PAUSES = (60, 300, 900)
"""Seconds before each automatic try after the first."""


def kind_of(reason: str) -> FailureKind:
    """The kind of failure that a reason names, alone or before a colon, however it is written: `Test failure: …`."""
    name = "-".join(re.split(r"[\W_]+", reason.partition(":")[0].strip().lower()))
    return FailureKind(name) if name in list(FailureKind) else FailureKind.OTHER


def failed(task: Task, kind: FailureKind, reason: str, at: datetime) -> Task:
    """The task after one failure more: to be tried again, or in need of a person."""
    tries = task.attempts
    again = kind is not FailureKind.OTHER and tries < len(PAUSES)
    return task.but(
        status=TaskStatus.FAILED,
        failure=reason,
        failure_kind=kind,
        attempts=tries + 1,
        retry_at=at + timedelta(seconds=PAUSES[tries]) if again else None,
        claim=None,
        assigned_to=None,
        token=None,
    )


def lost(task: Task, worker: str, at: datetime) -> Task | None:
    """The failed task if its workers were lost too often; None while it may simply be had again.

    No pause: the lease that ran out was one.
    """
    if task.attempts < len(PAUSES):
        return None
    reason = f"{worker} was lost, and it has been tried {task.attempts} times before"
    return failed(task, FailureKind.LOST_WORKER, reason, at)


def horizon(now: datetime, skew: int) -> datetime:
    """What is to be tried again later than that was put off by a wrong clock."""
    return now + timedelta(seconds=max(PAUSES) + skew)


def told(task: Task) -> dict[str, Any]:
    """What a notification of a failure needs."""
    return {
        "kind": None if task.failure_kind is None else task.failure_kind.value,
        "attempts": task.attempts,
        "retryAt": None if task.retry_at is None else isoformat(task.retry_at),
        "needsPerson": task.needs_person,
        "title": task.title,
        "branch": task.metadata.branch_name,
    }
