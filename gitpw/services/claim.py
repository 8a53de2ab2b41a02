"""Claim a task: the task, its locks, its branch and its worktree, or nothing at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from gitpw.domain.board import Board
from gitpw.domain.ids import OperationId, TaskId, duration
from gitpw.domain.lock import Claim
from gitpw.domain.operation import Done, Take
from gitpw.domain.schedule import Reason, reasons
from gitpw.domain.task import Task
from gitpw.errors import ContendedError, HeldError, InvalidError, NothingError, PwError
from gitpw.services.asking import (
    as_own,
    canonical,
    granted,
    held,
    here,
    lease_seconds,
    live,
    my_worktree,
    remember,
    settle,
    welcome,
)
from gitpw.services.base import base
from gitpw.services.ports import Context
from gitpw.services.protect import protect
from gitpw.services.show_task import known_task

T = TypeVar("T")


class Claimed(NamedTuple):
    """A task with its claim; `worktree` is a path, None where none was asked for."""

    task: Task
    claim: Claim
    worktree: str | None
    branch: str | None
    notes: list[str]
    reasons: list[Reason] | None


def claim(
    ctx: Context,
    *,
    task: TaskId | None = None,
    files: Sequence[str] = (),
    shared: bool = False,
    worktree: bool = True,
    lease: str | None = None,
    wait: str | None = None,
    explain: bool = False,
) -> Claimed:
    """Claim the named task or the best one; an own claim that was interrupted is finished first."""
    welcome(ctx)
    wanted = held(canonical(ctx, files), shared=shared)
    unfinished = _unfinished(ctx, task)
    if unfinished is not None:
        operation, board, mine = unfinished
        ctx.tell(f"finishing the claim of {mine.task} that was interrupted")
        return _finished(ctx, operation, board, mine, None, worktree=worktree)
    if worktree and ctx.repo.root is None:
        raise InvalidError("a bare repository has no worktrees here", hint="claim with --no-worktree")
    request = Take(
        task=task,
        locks=wanted,
        shared=shared,
        lease=lease_seconds(ctx, lease),
        branch=ctx.policy.claim.branch,
        base=base(ctx) if worktree else None,
        holding=next((own.claim for own in here(ctx) if own.task == task), None) if task else None,
    )
    return waited(ctx, wait, lambda: _claimed(ctx, request, worktree=worktree, explain=explain))


def _claimed(ctx: Context, request: Take, *, worktree: bool, explain: bool) -> Claimed:
    answer = ctx.ledger.transact(request, ctx.me, hold=True)
    done = granted(answer.outcome)
    mine = live(None if done.claim is None else answer.board.claim(done.claim))
    told = None
    if explain:
        worker = answer.board.worker(ctx.me.worker)
        told = reasons(answer.board, answer.operation, worker) if worker else []
        told = [reason for reason in told if reason.task != mine.task]
    return _finished(ctx, answer.operation.id, answer.board, mine, told, worktree=worktree)


def _unfinished(ctx: Context, task: TaskId | None) -> tuple[OperationId, Board, Claim] | None:
    """My claim that an earlier command was granted and did not live to finish."""
    for left in settle(ctx):
        board = ctx.ledger.board()
        mine = (
            board.claim(left.outcome.claim) if isinstance(left.outcome, Done) and left.outcome.claim else None
        )
        if mine is not None and mine.task is not None and task in {None, mine.task}:
            return left.operation.id, board, mine
    return None


def _finished(
    ctx: Context,
    operation: OperationId,
    board: Board,
    mine: Claim,
    told: list[Reason] | None,
    *,
    worktree: bool,
) -> Claimed:
    """Make the worktree that belongs to a granted claim, and close the journal when all is there."""
    if mine.task is None:
        raise InvalidError("that claim has no task")
    task = known_task(board, mine.task)
    path = None
    try:
        if worktree:
            path, branch = _worktree(ctx, task, mine)
            mine = mine.but(branch=branch)
            task = task.but(metadata=task.metadata.but(branch_name=branch))
        else:
            remember(ctx, mine)
    except PwError as error:
        error.hint = (
            f"{error.hint or 'put that right'}; then 'git pw claim {task.id}' finishes the claim, "
            f"or 'git pw release {task.id}' gives it back"
        )
        raise
    ctx.ledger.journal.close(operation)
    _keep_hooks(ctx)
    protect(ctx, (None, path))
    return Claimed(task, mine, path, mine.branch, [], told)


def _keep_hooks(ctx: Context) -> None:
    """Work begins: hook managers write over our hooks, and a new worktree may have a hooks folder of its own."""
    if ctx.dry_run:
        return
    try:
        ctx.hooks.keep()
    except PwError as error:
        ctx.tell(f"hooks: {error.message}")


def _worktree(ctx: Context, task: Task, mine: Claim) -> tuple[str, str]:
    """Make my worktree for the task, or find it again; its path and its branch.

    Where another worker's is left on this machine, that one stays as it is: mine stands beside it, on a branch of
    its own.
    """
    found = my_worktree(ctx, task.id)
    folder = ctx.policy.claim.worktrees.replace("{id}", task.id)
    branch = mine.branch or task.id
    left = ctx.worktrees.find(task.id)
    if found is not None and found.present:
        folder, branch = found.path, found.branch or branch
    elif left is not None and left.present:
        folder, branch = f"{folder}-{mine.worker}", f"{branch}-{mine.worker}"
        ctx.tell(f"{left.path} is another worker's and stays as it is, at {(left.head or 'no commit')[:12]}")
    if not ctx.dry_run:
        folder = ctx.worktrees.make(folder, branch, task.base or base(ctx), as_own(mine))
    return folder, branch


def waited(ctx: Context, wait: str | None, attempt: Callable[[], T]) -> T:
    """Try again until it is granted or the time is up: the pauses grow from one second to ten."""
    if wait is None:
        return attempt()
    until = time.monotonic() + duration(wait).total_seconds()
    pause = 1.0
    while True:
        try:
            return attempt()
        except (HeldError, NothingError) as error:
            left = until - time.monotonic()
            if left <= 0:
                raise ContendedError(
                    f"still not free after {wait}: {error.message}", error.hint, **error.data
                ) from error
            if pause == 1.0:
                ctx.tell(f"{error.message}: waiting up to {wait}")
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, 10.0)
