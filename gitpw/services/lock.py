"""Lock files, folders and globs without a task, or within the claim of this worktree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gitpw.domain.lock import Claim
from gitpw.domain.operation import Lock
from gitpw.errors import UsageError
from gitpw.services.asking import ask, canonical, forget, held, here, lease_seconds, live, remember, welcome
from gitpw.services.base import base_branch, is_fresh
from gitpw.services.forecast import WAIT
from gitpw.services.ports import Context
from gitpw.services.protect import protect
from gitpw.services.stale import caught_up, newer, told
from gitpw.services.wait import wait as stand_in_line

PATIENCE = 10.0
"""Seconds to wait for the base branch where the policy refuses what is old."""


class Locked(NamedTuple):
    """The claim that holds the locks, all or none; and what its holder should know."""

    claim: Claim
    notes: list[str]


def lock(
    ctx: Context,
    resources: Sequence[str],
    *,
    shared: bool = False,
    lease: str | None = None,
    wait: str | None = None,
    reason: str | None = None,
) -> Locked:
    """Lock all or none; say where the base branch has newer versions of what is locked, or refuse, as the policy says."""
    if not resources:
        raise UsageError("what is to be locked?", hint="git pw lock src/auth")
    welcome(ctx)
    wanted = held(canonical(ctx, resources), shared=shared)
    into = next((own.claim for own in here(ctx) if own.task is not None), None)
    request = Lock(locks=wanted, lease=lease_seconds(ctx, lease), into=into, reason=reason)
    branch = base_branch(ctx)
    stale = ctx.remote is not None and not is_fresh(ctx, ctx.remote, branch) and not ctx.dry_run
    fetch = ctx.repo.start_fetch(ctx.remote, [branch]) if ctx.remote is not None and stale else None
    root, head = ctx.repo.root, ctx.repo.resolve("HEAD")
    if ctx.rules.policy().claim.stale == "refuse" and root is not None and ctx.ledger.known():
        if fetch is not None:
            fetch.wait(PATIENCE)
            fetch = None
        told(ctx, newer(ctx, ctx.ledger.board(), wanted, head), root)
    mine = stand_in_line(ctx, wait, request, lambda asked: _locked(ctx, asked))
    if fetch is not None:
        fetch.wait(WAIT)
    if root is None:
        return Locked(mine, [])
    board = ctx.ledger.board()
    if into is not None:
        return Locked(mine, caught_up(ctx, board, wanted, root, head))
    return Locked(mine, told(ctx, newer(ctx, board, wanted, head), root))


def _locked(ctx: Context, request: Lock) -> Claim:
    done, answer = ask(ctx, request)
    mine = live(None if done.claim is None else answer.board.claim(done.claim))
    forget(ctx, answer.board, but=request.into)
    remember(ctx, mine)
    protect(ctx)
    return mine
