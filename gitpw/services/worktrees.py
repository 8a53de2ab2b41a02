"""The worktrees of tasks: which there are, and taking away those that are no longer needed."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.ids import TaskId, WorkerId
from gitpw.domain.task import Task, TaskStatus
from gitpw.errors import FailedError, InvalidError, PwError
from gitpw.services.asking import my_worktree
from gitpw.services.base import base_tip
from gitpw.services.forecast import Branch, Clash, forecast, stands, with_branches
from gitpw.services.ports import Context, Look, Worktree

SURVEY = 3.0
"""Seconds that it may take to find out more about all worktrees."""

WORKERS = 4
"""Worktrees that are looked at at a time."""

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


class Surveyed(NamedTuple):
    """A row with what was found out about its worktree; None for what wasn't in time."""

    path: str
    branch: str | None
    task: TaskId | None
    worker: WorkerId | None
    state: str
    present: bool
    locked: bool
    ahead: int | None
    behind: int | None
    changes: int | None
    size: int | None
    conflicts: list[Clash]
    created_at: datetime | None


class Kept(NamedTuple):
    """A worktree of a landed task that stays, and why."""

    path: str
    task: TaskId
    reason: str


class Pruned(NamedTuple):
    """The worktrees that are gone, and those that stay."""

    removed: list[str]
    kept: list[Kept]


def list_worktrees(ctx: Context) -> list[WorktreeRow]:
    """All worktrees that were made for tasks, as far as is known here."""
    board = ctx.ledger.board()
    rows = []
    for tree in ctx.worktrees.all():
        if tree.own is not None or tree.task is not None:
            state, worker = _state(board, tree), tree.own and tree.own.worker
            rows.append(
                WorktreeRow(tree.path, tree.branch, tree.task, worker, state, tree.present, tree.locked)
            )
    return rows


def _state(board: Board, tree: Worktree) -> str:
    task = board.task(tree.task) if tree.task else None
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


def worktree_path(ctx: Context, task: TaskId | None) -> str:
    """Where it is; without a task, the main checkout. Raises `InvalidError` where the folder is gone."""
    if task is None:
        return _main(ctx)
    tree = worktree_of(ctx, task)
    if not tree.present:
        raise InvalidError(
            f"{tree.path} is gone",
            hint=f"'git pw claim {task}' makes it again, 'git pw worktree repair' forgets it",
        )
    return tree.path


def _main(ctx: Context) -> str:
    root = ctx.repo.main_root()
    if root is None:
        raise InvalidError("a bare repository has no main checkout", hint="see 'git pw worktree list'")
    return root


def survey(ctx: Context, rows: Sequence[WorktreeRow], within: float = SURVEY) -> Iterator[Surveyed]:
    """More about each of the rows, in their order, each as soon as it is known; what takes too long is left out."""
    from concurrent.futures import ThreadPoolExecutor

    board, base, until = ctx.ledger.board(), base_tip(ctx), time.monotonic() + within
    trees = {tree.path: tree for tree in ctx.worktrees.all()}
    clashes = _clashes(ctx, board, list(trees.values()), within / 2)
    with ThreadPoolExecutor(WORKERS) as pool:
        looks = [
            pool.submit(
                lambda tree: ctx.worktrees.look(tree, base, until - time.monotonic()), trees[row.path]
            )
            if row.path in trees
            else None
            for row in rows
        ]
        for row, look in zip(rows, looks, strict=True):
            found = look.result() if look is not None else Look()
            made = trees[row.path].made if row.path in trees else None
            since = None if made is None else datetime.fromtimestamp(made, UTC)
            yield Surveyed(*row, *found, clashes.get(row.task, []) if row.task else [], since)


def _clashes(
    ctx: Context, board: Board, trees: Sequence[Worktree], within: float
) -> dict[TaskId, list[Clash]]:
    """With what each worktree's branch would conflict now: the base branch, or another task's as far as it is known here."""
    branches = [
        Branch(tree.own.task, tree.own.worker, tree.branch or tree.own.task, tree.head)
        for tree in trees
        if tree.own is not None and tree.own.task is not None and tree.head is not None
        if (task := board.task(tree.own.task)) is not None and task.merged_at is None
    ]
    here = {one.task for one in branches}
    branches += stands(ctx, [claim for claim in with_branches(board.claims()) if claim.task not in here])
    found: dict[TaskId, list[Clash]] = {}
    for clash in forecast(ctx, branches, within).clashes:
        for side in (clash.one, clash.other):
            if side is not None:
                found.setdefault(side.task, []).append(clash)
    return found


def remove_worktree(ctx: Context, task: TaskId) -> list[str]:
    """Take away the clean worktree of a task that nobody works on; the branch stays if it has commits of its own."""
    tree = worktree_of(ctx, task)
    board = ctx.ledger.board()
    found = board.task(task)
    worked_on = found is not None and found.status in {TaskStatus.CLAIMED, TaskStatus.IN_PROGRESS}
    if found is not None and worked_on and tree.own is not None and found.claim == tree.own.claim:
        raise InvalidError(f"{task} is being worked on", hint=f"git pw release {task}")
    busy = _in_use(ctx, tree)
    if busy is not None:
        raise InvalidError(f"{tree.path} stays: {busy[0]}", hint=busy[1])
    try:
        ctx.worktrees.remove(tree)
    except FailedError as error:
        raise InvalidError(error.message, hint=error.hint, **error.data) from error
    if tree.branch is None or tree.head is None:
        return []
    if not is_spent(ctx, tree.head, found):
        return [f"kept branch {tree.branch}: it has commits"]
    ctx.repo.delete_branch(tree.branch, tree.head)
    return []


def is_spent(ctx: Context, head: str, task: Task | None) -> bool:
    """Whether a branch can go: what it has is what landed, or is on the base branch anyway."""
    if task is not None and (head == task.base or (task.landed is not None and head == task.head)):
        return True
    base = base_tip(ctx)
    return base is not None and ctx.repo.ancestor(head, base)


def _in_use(ctx: Context, tree: Worktree) -> tuple[str, str] | None:
    """Who is in a worktree: why it can't go now, and what to do."""
    if not tree.present:
        return None
    if ctx.repo.inside(tree.path):
        return "you are in it", f"cd {shlex.quote(ctx.repo.main_root() or '/')}, and try again"
    busy = ctx.worktrees.occupants(tree)
    return (
        (f"{', '.join(busy[:3])} works in it", "end that, or let it go elsewhere, and try again")
        if busy
        else None
    )


def prune_worktrees(ctx: Context, *, dry_run: bool = False) -> list[str]:
    """As `pruned`, saying what is kept; the paths that are gone."""
    done = pruned(ctx, dry_run=dry_run)
    for one in done.kept:
        ctx.tell(f"kept worktree {one.path}: {one.reason}")
    return done.removed


def pruned(ctx: Context, *, dry_run: bool = False) -> Pruned:
    """Take away the worktrees and branches of tasks whose landing the ledger records.

    Only where the tree is clean, its tip is what was handed in, and nobody is in it. Anything else of theirs stays,
    and is named.
    """
    board = ctx.ledger.board()
    done = Pruned([], [])
    for tree in ctx.worktrees.all():
        task = board.task(tree.task) if tree.task is not None else None
        if task is None or task.merged_at is None:
            continue
        why = _why_kept(ctx, tree, task) or (_dirt(ctx, tree) if dry_run else _taken_away(ctx, tree))
        if why is None:
            done.removed.append(tree.path)
        else:
            done.kept.append(Kept(tree.path, task.id, why))
    if not dry_run:
        _prune_branches(ctx, board)
    return done


def _prune_branches(ctx: Context, board: Board) -> None:
    """Delete the branches of landed tasks that stand at what was handed in, and that no checkout is on.

    What was finished without a merge queue hasn't landed as far as the ledger knows: its branch stays.
    """
    for branch, head in ctx.repo.branches().items():
        if is_landed(board, branch, head):
            ctx.repo.delete_branch(branch, head)
            if ctx.remote is not None:
                ctx.repo.forget_branch(ctx.remote, branch, head)


def is_landed(board: Board, branch: str, head: str) -> bool:
    """Whether a branch stands at what a task handed in, or what became of it, and the ledger has its landing."""
    found = TASK_IN.search(branch)
    task = board.task(TaskId(found[0])) if found else None
    return task is not None and task.landed is not None and head in {task.head, task.landed}


def _why_kept(ctx: Context, tree: Worktree, task: Task) -> str | None:
    """Why a worktree of a landed task stays all the same; None where nothing would be lost."""
    if tree.locked:
        return "it is locked ('git worktree unlock' lets it go)"
    if tree.head != task.head:
        return f"it isn't at {(task.head or 'the commit')[:12]}, which is what {task.id} was handed in with"
    busy = _in_use(ctx, tree)
    return busy[0] if busy is not None else None


def _dirt(ctx: Context, tree: Worktree) -> str | None:
    dirty = ctx.worktrees.dirty(tree)
    return f"{len(dirty)} uncommitted or untracked files" if dirty else None


def _taken_away(ctx: Context, tree: Worktree) -> str | None:
    """Remove a worktree; in words what stood against it."""
    try:
        ctx.worktrees.remove(tree)
    except PwError as error:
        return _dirt(ctx, tree) or error.message
    return None
