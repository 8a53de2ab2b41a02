"""Say that a task can't be done."""

from __future__ import annotations

from gitpw.domain.ids import TaskId
from gitpw.domain.operation import Fail
from gitpw.domain.task import FailureKind, Task
from gitpw.errors import UsageError
from gitpw.services.asking import ask, forget, my_task, my_worktree
from gitpw.services.ports import Context
from gitpw.services.protect import protect
from gitpw.services.show_task import known_task


def fail(ctx: Context, task: TaskId | None, reason: str, kind: FailureKind = FailureKind.OTHER) -> Task:
    """The task, failed; its branch and worktree stay as they are. `kind` decides whether it is tried again by itself."""
    if not reason.strip():
        raise UsageError("why did it fail?", hint="--reason 'the API is gone'")
    name, own = my_task(ctx, task)
    request = Fail(task=name, claim=own and own.claim, token=own and own.token, reason=reason, kind=kind)
    _, answer = ask(ctx, request)
    forget(ctx, answer.board)
    tree = my_worktree(ctx, name)
    protect(ctx, (None, tree.path if tree else None))
    return known_task(answer.board, name)
