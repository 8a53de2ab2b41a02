"""Tidy up: return what overdue claims hold, record what has landed, prune what was merged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.ids import ClaimId, TaskId
from gitpw.domain.lock import suspicious
from gitpw.domain.operation import Expire, Land, Landing, Suspect
from gitpw.errors import PwError
from gitpw.ledger.store import Move
from gitpw.services.asking import ask, granted, settle
from gitpw.services.base import landed_tip
from gitpw.services.leftovers import Leftover, leftovers
from gitpw.services.ports import Context
from gitpw.services.worktrees import is_landed, prune_worktrees


class Collected(NamedTuple):
    """What was tidied; with `dry_run`, what would be."""

    expired: list[TaskId]
    claims: list[ClaimId]
    files: list[str]
    landed: list[TaskId]
    worktrees: list[str]
    suspected: list[ClaimId]
    branches: list[str]
    needs_person: list[TaskId]
    left: Sequence[str] = ()
    waits: Sequence[str] = ()


def gc(ctx: Context, *, dry_run: bool = False) -> Collected:
    """Everyone judges leases when claiming, so a late or missing run of this changes nothing but the view."""
    settle(ctx)
    board = ctx.ledger.fresh()
    outcome = (ctx.ledger.preview if dry_run else ctx.ledger.transact)(Expire(), ctx.me).outcome
    expired = granted(outcome)
    landed = _landed(ctx, board, dry_run=dry_run)
    suspected = [] if dry_run else _suspected(ctx, ctx.ledger.board())
    if not dry_run:
        ctx.ledger.store.tidy()
    return Collected(
        expired=list(expired.tasks),
        claims=[ClaimId(name) for name in expired.detail.get("claims", ())],
        files=list(expired.detail.get("files", ())),
        landed=landed,
        worktrees=prune_worktrees(ctx, dry_run=dry_run),
        suspected=suspected,
        branches=_branches(ctx, dry_run=dry_run),
        left=[] if dry_run else [str(one) for one in _left(ctx, expired.tasks)],
        needs_person=[TaskId(name) for name in expired.detail.get("needsPerson", ())],
        waits=list(expired.detail.get("waits", ())),
    )


def _left(ctx: Context, tasks: Iterable[TaskId]) -> list[Leftover]:
    """What the workers that were lost have left of their tasks."""
    board = ctx.ledger.board()
    found = [leftovers(ctx, task) for name in tasks if (task := board.task(name)) is not None]
    return [lefts[-1] for lefts in found if lefts]


def _branches(ctx: Context, *, dry_run: bool) -> list[str]:
    """Delete the remote's branches of landed tasks that an interrupted merger, or a merge by hand, has left."""
    if ctx.remote is None:
        return []
    board, gone = ctx.ledger.board(), []
    for branch, head in ctx.repo.branches_there(ctx.remote, "*task-*").items():
        if not is_landed(board, branch, head):
            continue
        try:
            if not dry_run:
                ctx.ledger.store.push([Move(f"refs/heads/{branch}", head, "")])
        except PwError as error:
            ctx.tell(f"branch {branch} stays on {ctx.remote}: {error.message}")
        else:
            gone.append(branch)
    return gone


def _landed(ctx: Context, board: Board, *, dry_run: bool) -> list[TaskId]:
    """Record the tasks whose commits are on the base branch already, however they came there."""
    queue = [merge for merge in board.merges() if merge.head is not None]
    tip = landed_tip(ctx) if queue else None
    if tip is None:
        return []
    there = [
        Landing(task=merge.task_id, head=merge.head, commit=tip)
        for merge in queue
        if merge.head is not None and ctx.repo.ancestor(merge.head, tip)
    ]
    if there and not dry_run:
        done, _ = ask(ctx, Land(landings=tuple(there)))
        return list(done.tasks)
    return [landing.task for landing in there]


def _suspected(ctx: Context, board: Board) -> list[ClaimId]:
    """Mark leases that look over to this clock alone, so that ten minutes from now it may act on its own."""
    now = ctx.clock.now()
    looks_over = [
        claim.id
        for claim in board.claims()
        if not claim.queued and suspicious(claim.lease, now, ctx.me.host, board.settings)
    ]
    if not looks_over:
        return []
    done, _ = ask(ctx, Suspect(claims=tuple(looks_over)))
    return [ClaimId(name) for name in done.detail.get("suspected", ())]
