"""Give a task back."""

from __future__ import annotations

from typing import NamedTuple

from gitpw.domain.ids import TaskId
from gitpw.domain.operation import Release
from gitpw.domain.task import Task, TaskStatus
from gitpw.errors import FailedError, StaleError
from gitpw.services.asking import ask, forget, my_task, my_worktree
from gitpw.services.ports import Context, Worktree
from gitpw.services.protect import protect
from gitpw.services.show_task import known_task


class Released(NamedTuple):
    """The task, pending again, None where there was nothing to give back; notes on what was kept."""

    task: Task | None
    notes: list[str]


def release(ctx: Context, task: TaskId | None = None, *, keep_worktree: bool = False) -> Released:
    """Back into the queue. A worktree without changes goes, a branch with commits stays, and both are named."""
    if task is None:
        waiting = _nothing_left(ctx)
        if waiting is not None:
            return Released(None, [waiting])
    if task is not None:
        left = _left_behind(ctx, task)
        if left is not None:
            return left
    name, own = my_task(ctx, task)
    try:
        _, answer = ask(ctx, Release(task=name, claim=own and own.claim, token=own and own.token))
    except StaleError as error:
        if own is not None and not ctx.dry_run:
            ctx.checkout.forget([own.claim])
            error.hint = "there is nothing to give back, and this checkout isn't judged by it any more; commits and files are kept"
        raise
    found = known_task(answer.board, name)
    forget(ctx, answer.board)
    tree = my_worktree(ctx, name)
    notes = [] if tree is None or ctx.dry_run else _cleared(ctx, tree, found, keep=keep_worktree)
    protect(ctx, (None, tree.path if tree else None))
    return Released(found, notes)


def _nothing_left(ctx: Context) -> str | None:
    """What to say when all I have here is done already."""
    board = ctx.ledger.board()
    worker = board.worker(ctx.me.worker)
    if worker is not None and worker.current_tasks:
        return None
    for merge in board.merges():
        if merge.worker_id == ctx.me.worker:
            return f"nothing to release: {merge.task_id} waits in the merge queue and keeps its locks until it lands"
    done = [own.task for own in ctx.checkout.own() if own.task is not None and own.worker == ctx.me.worker]
    for name in done:
        task = board.task(name)
        if task is not None and task.status is TaskStatus.COMPLETED:
            return f"nothing to release: {name} is merged"
    return None


def _left_behind(ctx: Context, name: TaskId) -> Released | None:
    """Finish a release that was interrupted once the ledger had it: my worktree of a task that nobody holds."""
    task, tree = ctx.ledger.fresh().task(name), my_worktree(ctx, name)
    if task is None or tree is None or task.status is not TaskStatus.PENDING:
        return None
    return Released(task, [] if ctx.dry_run else _cleared(ctx, tree, task, keep=False))


def _cleared(ctx: Context, tree: Worktree, task: Task, *, keep: bool) -> list[str]:
    """Take away a worktree in which nothing would be lost; say what stays and why."""
    dirty = ctx.worktrees.dirty(tree) if tree.present else ()
    committed = tree.head is not None and tree.head != task.base
    notes = []
    if committed:
        notes.append(f"kept branch {tree.branch}: it has commits")
    if keep or dirty or tree.locked:
        why = f": {len(dirty)} uncommitted or untracked files" if dirty else ""
        return [*notes, f"kept worktree {tree.path}{why}"]
    if ctx.repo.inside(tree.path):
        return [
            *notes,
            f"kept worktree {tree.path}: you are in it ('git pw worktree remove {task.id}' from elsewhere)",
        ]
    try:
        ctx.worktrees.remove(tree)
    except FailedError as error:
        return [*notes, f"kept worktree {tree.path}: {error.message}"]
    if not committed and tree.branch is not None and tree.head is not None:
        ctx.repo.delete_branch(tree.branch, tree.head)
    return notes
