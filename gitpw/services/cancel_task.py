"""Say that a task isn't wanted any more."""

from __future__ import annotations

from gitpw.domain.ids import TaskId
from gitpw.domain.operation import Cancel
from gitpw.domain.task import Task
from gitpw.services.asking import ask
from gitpw.services.ports import Context
from gitpw.services.show_task import known_task


def cancel_task(ctx: Context, task: TaskId) -> Task:
    """The task, cancelled."""
    _, answer = ask(ctx, Cancel(task=task))
    return known_task(answer.board, task)
