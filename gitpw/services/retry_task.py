"""Put a failed or cancelled task back in line."""

from __future__ import annotations

from gitpw.domain.ids import TaskId
from gitpw.domain.operation import Retry
from gitpw.domain.task import Task
from gitpw.services.asking import ask
from gitpw.services.ports import Context
from gitpw.services.show_task import known_task


def retry_task(ctx: Context, task: TaskId) -> Task:
    """The task, pending again."""
    _, answer = ask(ctx, Retry(task=task))
    return known_task(answer.board, task)
