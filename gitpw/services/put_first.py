"""Put an entry of the merge queue before all others."""

from __future__ import annotations

from gitpw.domain.ids import TaskId
from gitpw.domain.merge import Merge
from gitpw.domain.operation import First
from gitpw.errors import InvalidError
from gitpw.services.asking import ask
from gitpw.services.ports import Context


def put_first(ctx: Context, task: TaskId) -> Merge:
    """Put an entry of the merge queue before all others."""
    _, answer = ask(ctx, First(task=task))
    entry = answer.board.entry(task)
    if entry is None:
        raise InvalidError(f"{task} isn't in the merge queue", hint="see 'git pw merge list'")
    return entry
