"""The tasks, as of the last state that could be had."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from gitpw.domain.task import Task, TaskStatus
from gitpw.errors import InvalidError
from gitpw.services.ports import Context


class Listed(NamedTuple):
    """Tasks; `as_of` says how old the answer is where the remote couldn't be asked."""

    tasks: list[Task]
    as_of: datetime | None


def list_tasks(ctx: Context, *, status: str | None = None, ready: bool = False, mine: bool = False) -> Listed:
    """All tasks but those merged or cancelled, or those of one status; the ready ones in the order of claiming."""
    if status is not None and status not in list(TaskStatus):
        raise InvalidError(f"{status!r} is no status", hint=f"one of {', '.join(TaskStatus)}")
    board, as_of, _ = ctx.ledger.freshest()
    if ready:
        worker = board.worker(ctx.me.worker)
        found = list(board.ready(frozenset(worker.skills if worker else ()), board.parking()))
    else:
        found = [task for task in board.tasks() if _shown(task, status)]
    return Listed([task for task in found if not mine or task.assigned_to == ctx.me.worker], as_of)


def _shown(task: Task, status: str | None) -> bool:
    if status is not None:
        return task.status == status
    return task.merged_at is None and task.status is not TaskStatus.CANCELLED
