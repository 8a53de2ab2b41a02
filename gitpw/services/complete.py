"""Hand finished work in to the merge queue."""

from __future__ import annotations

from typing import NamedTuple

from gitpw.domain.ids import TaskId
from gitpw.domain.operation import Complete
from gitpw.domain.task import Task
from gitpw.errors import InvalidError
from gitpw.services.asking import ask, my_task, my_worktree
from gitpw.services.ports import Context
from gitpw.services.protect import protect
from gitpw.services.push import handed_in
from gitpw.services.show_task import known_task


class Completed(NamedTuple):
    """The task and its place in the merge queue, None where it needs none."""

    task: Task
    position: int | None
    notes: list[str]


def complete(ctx: Context, task: TaskId | None = None) -> Completed:
    """Push the branch and queue it, in one step that only the current token can take; refuses a dirty tree."""
    name, own = my_task(ctx, task)
    tree = my_worktree(ctx, name)
    dirty = ctx.worktrees.dirty(tree) if tree is not None else ctx.repo.dirty() if own is not None else ()
    dirty = [file for file in dirty if file != ".gitpw.toml"]
    if dirty:
        raise InvalidError(
            f"{name} has uncommitted changes: {', '.join(dirty[:5])}{' …' if dirty[5:] else ''}",
            hint="commit them, or put them out of the way with 'git stash -u'",
            files=list(dirty),
        )
    handed = handed_in(ctx, name)
    request = Complete(
        task=name,
        claim=own and own.claim,
        token=own and own.token,
        head=handed.head,
        branch=handed.branch,
        queue=ctx.policy.merge.mode != "none",
    )
    _, answer = ask(ctx, request, moves=handed.moves)
    protect(ctx, (None, tree.path if tree else None))
    found = known_task(answer.board, name)
    queue = [merge.task_id for merge in answer.board.merges()]
    notes = []
    if handed.head is not None and handed.head == found.base:
        notes.append(f"{name} has no commits")
    return Completed(found, queue.index(name) + 1 if name in queue else None, notes)
