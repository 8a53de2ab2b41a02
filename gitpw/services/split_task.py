"""Take a task apart."""

from __future__ import annotations

from typing import NamedTuple

from gitpw.domain.operation import Split
from gitpw.domain.task import Task
from gitpw.services.asking import ask, canonical
from gitpw.services.ports import Context
from gitpw.services.show_task import known_task


class Parts(NamedTuple):
    """A task and its new parts."""

    whole: Task
    parts: list[Task]


def split_task(ctx: Context, split: Split) -> Parts:
    """Make parts of a task; their files are given as typed in the current folder."""
    if split.files is not None:
        split = split.but(files=canonical(ctx, split.files))
    done, answer = ask(ctx, split)
    parts = [known_task(answer.board, name) for name in done.tasks]
    return Parts(known_task(answer.board, split.task), parts)
