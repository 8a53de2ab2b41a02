"""Say that work has begun."""

from __future__ import annotations

from gitpw.domain.ids import TaskId
from gitpw.domain.operation import Start
from gitpw.domain.task import Task
from gitpw.services.asking import ask, my_task
from gitpw.services.ports import Context
from gitpw.services.protect import protect
from gitpw.services.show_task import known_task


def start(ctx: Context, task: TaskId | None = None) -> Task:
    """My task, in progress."""
    name, own = my_task(ctx, task)
    _, answer = ask(ctx, Start(task=name, claim=own and own.claim, token=own and own.token))
    protect(ctx)
    return known_task(answer.board, name)
