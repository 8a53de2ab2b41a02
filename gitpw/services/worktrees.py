"""The worktrees of tasks: which there are, and taking away those that are no longer needed."""

from __future__ import annotations

import re
from typing import NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.ids import TaskId, WorkerId
from gitpw.domain.task import TaskStatus
from gitpw.errors import InvalidError, PwError
from gitpw.services.asking import my_worktree
from gitpw.services.ports import Context, Worktree

TASK_IN = re.compile(r"task-[0-9]{3,9}")
"""The task's id in the name of its branch."""


class WorktreeRow(NamedTuple):
    """A worktree that was made for a task, and what became of the task."""

    path: str
    branch: str | None
    task: TaskId | None
    worker: WorkerId | None
    state: str
    present: bool
    locked: bool


def list_worktrees(ctx: Context) -> list[WorktreeRow]:
    """All worktrees that were made for tasks, as far as is known here."""
    board = ctx.ledger.board()
    rows = []
    for tree in ctx.worktrees.all():
        if tree.own is not None:
            state = _state(board, tree)
            rows.append(
                WorktreeRow(
                    tree.path, tree.branch, tree.own.task, tree.own.worker, state, tree.present, tree.locked
                )
            )
    return rows


def _state(board: Board, tree: Worktree) -> str:
    task = board.task(tree.own.task) if tree.own is not None and tree.own.task else None
    if task is None:
        return "unknown"
    if task.merged_at is not None:
        return "merged"
    current = tree.own is not None and task.claim == tree.own.claim
    return task.status.value if current or task.status is TaskStatus.PENDING else "lost"


def worktree_of(ctx: Context, task: TaskId) -> Worktree:
    """The worktree that was made for a task; raises `InvalidError` where there is none here."""
    found = my_worktree(ctx, task) or ctx.worktrees.find(task)
    if found is None:
        raise InvalidError(f"{task} has no worktree here", hint="see 'git pw worktree list'")
    return found


def worktree_path(ctx: Context, task: TaskId) -> str:
    """Where it is."""
    return worktree_of(ctx, task).path


def remove_worktree(ctx: Context, task: TaskId) -> list[str]:
    """Take away the clean worktree of a task that nobody works on; the branch stays if it has commits of its own."""
    tree = worktree_of(ctx, task)
    board = ctx.ledger.board()
    found = board.task(task)
    worked_on = found is not None and found.status in {TaskStatus.CLAIMED, TaskStatus.IN_PROGRESS}
    if found is not None and worked_on and tree.own is not None and found.claim == tree.own.claim:
        raise InvalidError(f"{task} is being worked on", hint=f"git pw release {task}")
    dirty = ctx.worktrees.dirty(tree) if tree.present else ()
    if dirty:
        raise InvalidError(
            f"{tree.path} has uncommitted changes: {', '.join(dirty[:5])}",
            hint="commit or move them; nothing was removed",
            files=list(dirty),
        )
    ctx.worktrees.remove(tree)
    keeps = tree.head is not None and found is not None and tree.head not in {found.base, found.head}
    if tree.branch is None or tree.head is None:
        return []
    if keeps or (found is not None and found.merged_at is None and tree.head != found.base):
        return [f"kept branch {tree.branch}: it has commits"]
    ctx.repo.delete_branch(tree.branch, tree.head)
    return []


def prune_worktrees(ctx: Context, *, dry_run: bool = False) -> list[str]:
    """Take away the worktrees and branches of tasks whose landing the ledger records; the paths.

    Only where the tree is clean and its tip is what was handed in. Anything else stays, and is named.
    """
    board = ctx.ledger.board()
    done = [tree for tree in ctx.worktrees.all() if _is_done(ctx, board, tree)]
    gone = [tree.path for tree in done if dry_run or _is_removed(ctx, tree)]
    if not dry_run:
        _prune_branches(ctx, board)
    return gone


def _prune_branches(ctx: Context, board: Board) -> None:
    """Delete the branches of landed tasks that stand at what was handed in, and that no checkout is on.

    What was finished without a merge queue hasn't landed as far as the ledger knows: its branch stays.
    """
    for branch, head in ctx.repo.branches().items():
        found = TASK_IN.search(branch)
        task = board.task(TaskId(found[0])) if found else None
        if task is not None and task.landed is not None and task.head == head:
            ctx.repo.delete_branch(branch, head)
            if ctx.remote is not None:
                ctx.repo.forget_branch(ctx.remote, branch, head)


def _is_removed(ctx: Context, tree: Worktree) -> bool:
    """Take a worktree and its branch away; one that can't go is named, and is no reason to fail."""
    try:
        ctx.worktrees.remove(tree)
    except PwError as error:
        ctx.tell(f"kept worktree {tree.path}: {error.message}")
        return False
    return True


def _is_done(ctx: Context, board: Board, tree: Worktree) -> bool:
    task = board.task(tree.own.task) if tree.own is not None and tree.own.task else None
    if task is None or task.merged_at is None or tree.locked:
        return False
    if tree.head != task.head or ctx.repo.inside(tree.path):
        ctx.tell(f"kept worktree {tree.path}: it isn't where {task.id} was handed in, or you are in it")
        return False
    dirty = ctx.worktrees.dirty(tree)
    if dirty:
        ctx.tell(f"kept worktree {tree.path}: {len(dirty)} uncommitted or untracked files")
    return not dirty
