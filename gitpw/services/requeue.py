"""Try an entry of the merge queue again as it is."""

from __future__ import annotations

from gitpw.domain.ids import TaskId
from gitpw.domain.merge import Merge
from gitpw.domain.operation import Requeue
from gitpw.errors import InvalidError
from gitpw.services.asking import ask
from gitpw.services.ports import Context


def requeue(ctx: Context, task: TaskId) -> Merge:
    """Try an entry of the merge queue again as it is."""
    _, answer = ask(ctx, Requeue(task=task))
    entry = answer.board.entry(task)
    if entry is None:
        raise InvalidError(f"{task} isn't in the merge queue", hint="see 'git pw merge list'")
    return entry
