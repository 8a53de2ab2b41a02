"""Add tasks, all or none."""

from __future__ import annotations

from collections.abc import Sequence

from gitpw.domain.operation import Add, NewTask
from gitpw.domain.task import Task
from gitpw.services.asking import ask, canonical
from gitpw.services.ports import Context


def add_tasks(ctx: Context, tasks: Sequence[NewTask]) -> list[Task]:
    """Add tasks; their files are given as typed in the current folder. The tasks, in the order given."""
    ready = tuple(new.but(files=canonical(ctx, new.files)) for new in tasks)
    done, answer = ask(ctx, Add(tasks=ready))
    return [task for task in map(answer.board.task, done.tasks) if task is not None]
