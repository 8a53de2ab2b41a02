"""Take an entry out of the merge queue."""

from __future__ import annotations

from gitpw.domain.ids import TaskId
from gitpw.domain.operation import Drop
from gitpw.domain.task import Task
from gitpw.services.asking import ask
from gitpw.services.ports import Context
from gitpw.services.show_task import known_task


def drop(ctx: Context, task: TaskId, reason: str | None = None) -> Task:
    """The task is its owner's again, with its locks and a fresh lease; it can be handed in anew."""
    _, answer = ask(ctx, Drop(task=task, reason=reason))
    return known_task(answer.board, task)
