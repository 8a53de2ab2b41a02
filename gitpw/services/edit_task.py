"""Change a task."""

from __future__ import annotations

from gitpw.domain.operation import Edit
from gitpw.domain.task import Task
from gitpw.services.asking import ask, canonical
from gitpw.services.ports import Context
from gitpw.services.show_task import known_task


def edit_task(ctx: Context, edit: Edit) -> Task:
    """Change what is given, leave the rest."""
    if edit.files is not None:
        edit = edit.but(files=canonical(ctx, edit.files))
    _, answer = ask(ctx, edit)
    return known_task(answer.board, edit.task)
