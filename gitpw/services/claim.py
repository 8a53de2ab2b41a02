"""Claim a task: the task, its locks, its branch and its worktree, or nothing at all."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.grant import enlisted
from gitpw.domain.ids import OperationId, TaskId
from gitpw.domain.limits import time_limit
from gitpw.domain.lock import Claim
from gitpw.domain.operation import Done, Outcome, Refused, Take
from gitpw.domain.reasons import Reason, reasons
from gitpw.domain.resource import Glob, resource
from gitpw.domain.task import Task
from gitpw.domain.worker import Worker
from gitpw.errors import InvalidError, PwError
from gitpw.ledger.ledger import Answer
from gitpw.services.asking import (
    as_own,
    begin_signing,
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
from gitpw.services.forecast import WAIT, also_changed, forecast, some_others, stands, start_fetch
from gitpw.services.leftovers import SHORT, Leftover, leftovers
from gitpw.services.list_tasks import outlook
from gitpw.services.ports import Context, Fetch
from gitpw.services.protect import protect
from gitpw.services.provision import Confirm, provision
from gitpw.services.show_task import known_task
from gitpw.services.stale import caught_up, newer, told
from gitpw.services.wait import wait as stand_in_line

PREDICTING = 1.0
"""Seconds that it may take to see with whom my branch would conflict."""


class Wanted(NamedTuple):
    """How the place of work is to be: a worktree or this checkout; with these folders only, or without any file.

    With `resume` it begins at what the last worker left, where that can be had.
    """

    worktree: bool = True
    sparse: tuple[str, ...] = ()
    checkout: bool = True
    confirm: Confirm | None = None
    resume: bool = False


class Claimed(NamedTuple):
    """A task with its claim; `worktree` is a path, None where none was asked for; `left` is what others left of it."""

    task: Task
    claim: Claim
    worktree: str | None
    branch: str | None
    notes: list[str]
    reasons: list[Reason] | None
    time_limit: int | None = None
    left: Sequence[Leftover] = ()


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
    sparse: Sequence[str] = (),
    checkout: bool = True,
    confirm: Confirm | None = None,
    resume: bool = False,
) -> Claimed:
    """Claim the named task or the best one; an own claim that was interrupted is finished first.

    The worktree has all files, or with `sparse` those folders and the ones of the claim, or without `checkout` none.
    `confirm` asks a person whether the set-up commands may run. With `resume` the work begins at what the last
    worker left, where that can be had; it does anyway where that was me.
    """
    welcome(ctx)
    wanted = held(canonical(ctx, files), shared=shared)
    place = Wanted(worktree, _folders(canonical(ctx, sparse)), checkout, confirm, resume)
    unfinished = _unfinished(ctx, task)
    if unfinished is not None:
        operation, board, mine = unfinished
        ctx.tell(f"finishing the claim of {mine.task} that was interrupted")
        return _finished(ctx, operation, board, mine, None, place)
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
    return stand_in_line(ctx, wait, request, lambda asked: _claimed(ctx, asked, place, explain=explain))


def _folders(names: Sequence[str]) -> tuple[str, ...]:
    """The folders that a sparse checkout is to have; raises `InvalidError` for a glob."""
    for name in names:
        if isinstance(resource(name), Glob):
            raise InvalidError(f"{name!r} is no folder", hint="--sparse takes folders, not globs")
    return tuple(str(resource(name)).removeprefix("literal:") for name in names)


def _claimed(ctx: Context, request: Take, place: Wanted, *, explain: bool) -> Claimed:
    begin_signing(ctx)
    answer = ctx.ledger.transact(request, ctx.me, hold=True)
    done = granted(_explained(ctx, answer, explain=explain))
    mine = live(None if done.claim is None else answer.board.claim(done.claim))
    whys = None
    if explain:
        worker = enlisted(answer.board, answer.operation)
        whys = reasons(
            answer.board, answer.operation, worker, known_task(answer.board, mine.task or TaskId(""))
        )
    return _finished(ctx, answer.operation.id, answer.board, mine, whys, place, fresh=done.changed)


def _explained(ctx: Context, answer: Answer, *, explain: bool) -> Outcome:
    """The outcome; a refusal because nothing is to be had says why of every task, one for lack of room if it is asked."""
    outcome = answer.outcome
    if isinstance(outcome, Refused) and outcome.code == "nothing":
        why = reasons(answer.board, answer.operation, enlisted(answer.board, answer.operation))
        if explain and why:
            outcome = outcome.but(hint="'git pw claim --wait' waits for one")
    elif isinstance(outcome, Refused) and explain and "holding" in outcome.data:
        why = outlook(ctx, ctx.ledger.board())[1]
    else:
        return outcome
    return outcome.but(data={**outcome.data, "reasons": [one.public() for one in why]})


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
    whys: list[Reason] | None,
    place: Wanted,
    *,
    fresh: bool = False,
) -> Claimed:
    """Make the worktree that belongs to a granted claim, and close the journal when all is there.

    `fresh` where the claim was granted a moment ago, so that it can be given back.
    """
    if mine.task is None:
        raise InvalidError("that claim has no task")
    task = known_task(board, mine.task)
    lefts = leftovers(ctx, task)
    others = some_others(board, task.id)
    fetch = start_fetch(ctx, others) if place.worktree else None
    path = None
    try:
        if place.worktree:
            path, branch = _worktree(ctx, task, mine, place, lefts)
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
    notes = _at_no_cost(lambda: _handed_down(ctx, lefts, path, resume=place.resume))
    notes += _up_to_date(ctx, board, mine, path, fresh=fresh)
    notes += _at_no_cost(lambda: _warnings(ctx, board, mine, others, fetch))
    if path is not None:
        notes += _at_no_cost(lambda: provision(ctx, task.id, path, place.confirm))
    protect(ctx, (None, path))
    worker = board.worker(mine.worker) or Worker(id=mine.worker, type=mine.worker_type)
    limit = time_limit(ctx.policy, task, worker)
    return Claimed(task, mine, path, mine.branch, notes, whys, limit, lefts)


def _keep_hooks(ctx: Context) -> None:
    """Work begins: hook managers write over our hooks, and a new worktree may have a hooks folder of its own."""
    if ctx.dry_run:
        return
    try:
        ctx.hooks.keep()
    except PwError as error:
        ctx.tell(f"hooks: {error.message}")


def _at_no_cost(work: Callable[[], list[str]]) -> list[str]:
    """Notes from what isn't worth a claim if it fails."""
    try:
        return work()
    except PwError as error:
        return [f"the claim stands, but {error.message}"]


def _up_to_date(ctx: Context, board: Board, mine: Claim, path: str | None, *, fresh: bool) -> list[str]:
    """What to know of locked files that are newer on the base branch; a policy that refuses them gives the claim back."""
    head = ctx.repo.resolve("HEAD" if path is None else f"refs/heads/{mine.branch}")
    try:
        if path is not None:
            return caught_up(ctx, board, mine.locks, path, head)
        return told(ctx, newer(ctx, board, mine.locks, head), ctx.repo.root or ".")
    except InvalidError as error:
        if not fresh or mine.task is None or ctx.dry_run:
            return [f"{error.message}: {error.hint}"]
        from gitpw.services.release import release

        release(ctx, mine.task, keep_worktree=True)
        error.message = f"{error.message}: {mine.task} was given back"
        raise


def _warnings(
    ctx: Context, board: Board, mine: Claim, others: Sequence[Claim], fetch: Fetch | None
) -> list[str]:
    """Who else changes the same files, and with whom my branch would conflict now, if I have one."""
    if fetch is not None:
        fetch.wait(WAIT)
    if not others:
        return []
    theirs = stands(ctx, others)
    notes = also_changed(ctx, board, theirs, mine.locks)
    ours = stands(ctx, [mine])
    if ours:
        notes += map(str, forecast(ctx, [*ours, *theirs], PREDICTING, only=mine.task).clashes)
    return notes


def _to_resume(ctx: Context, lefts: Sequence[Leftover], *, resume: bool) -> Leftover | None:
    """What to begin at: the last worker's work if that is wanted, my own in any case; if its commits are here."""
    found = [one for one in lefts if one.here and (resume or one.worker == ctx.me.worker)]
    return found[-1] if found else None


def _handed_down(ctx: Context, lefts: Sequence[Leftover], path: str | None, *, resume: bool) -> list[str]:
    """Say what others left, and how to have it; with `resume`, bring it into the worktree if that has no work yet."""
    notes, wanted = [], _to_resume(ctx, lefts, resume=resume)
    head = ctx.repo.resolve("HEAD") if path is None else ctx.worktrees.head(path)
    for one in lefts:
        if one.head is not None and head is not None and ctx.repo.ancestor(one.head, head):
            notes += [] if one.worker == ctx.me.worker else [f"{one}; this one begins there"]
        elif one is wanted and path is not None and one.head and ctx.worktrees.advance(path, one.head):
            notes.append(f"{one}; this one begins there")
        elif one.here and one.head is not None:
            where = "" if path is None else f"-C {shlex.quote(path)} "
            notes.append(f"{one}; to have it: git {where}merge {one.head[:SHORT]}")
        else:
            notes.append(str(one))
    return notes


def _worktree(
    ctx: Context, task: Task, mine: Claim, place: Wanted, lefts: Sequence[Leftover]
) -> tuple[str, str]:
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
        folder = f"{folder}-{mine.worker}"
        branch = f"{branch}-{mine.worker}" if branch == left.branch else branch
        ctx.tell(f"{left.path} is another worker's and stays as it is, at {(left.head or 'no commit')[:12]}")
    if not ctx.dry_run:
        sparse = [*place.sparse, *_around(mine)] if place.sparse else []
        before = _to_resume(ctx, lefts, resume=place.resume)
        start = (before and before.head) or task.base or base(ctx)
        folder = ctx.worktrees.make(
            folder, branch, start, as_own(mine), sparse=sparse, checkout=place.checkout
        )
    return folder, branch


def _around(mine: Claim) -> list[str]:
    """The folders of the locked files; of a glob, the one that all its matches lie in."""
    things = [resource(held.resource) for held in mine.locks]
    found = ["/".join(thing.anchor) if isinstance(thing, Glob) else thing.text for thing in things]
    return [folder for folder in found if folder]
