"""A lock is bound to what it locks: say so where the base branch has newer versions, and bring them in or refuse."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from gitpw.domain.board import Board
from gitpw.domain.forecast import touched
from gitpw.domain.lock import Held
from gitpw.errors import InvalidError
from gitpw.services.base import base_branch, base_tip
from gitpw.services.forecast import shown
from gitpw.services.ports import Context


def newer(ctx: Context, board: Board, locks: Sequence[Held], head: str | None) -> list[str]:
    """The locked files of which the base branch has a version that isn't in a commit's history."""
    tip = base_tip(ctx) if locks and head is not None else None
    if head is None or tip is None or tip == head:
        return []
    fork = ctx.repo.merge_base(head, tip)
    if fork is None or fork == tip:
        return []
    files = touched(board, locks, ctx.repo.changed(fork, tip))
    if not files:
        return []
    differing = set(ctx.repo.changed(head, tip))
    return [file for file in files if file in differing]


def caught_up(ctx: Context, board: Board, locks: Sequence[Held], path: str, head: str | None) -> list[str]:
    """Bring a worktree of ours up to date if its locked files are old, as far as the policy lets us; notes in words.

    Only a branch without commits of its own and a tree without changes is brought forward. Raises `InvalidError`
    where the policy refuses what is old.
    """
    files = newer(ctx, board, locks, head)
    tip = base_tip(ctx)
    if not files or tip is None:
        return []
    if ctx.rules.policy().claim.stale != "warn" and not ctx.dry_run and ctx.worktrees.advance(path, tip):
        return [f"brought the worktree up to {base_branch(ctx)}, which has newer versions of {shown(files)}"]
    return told(ctx, files, path)


def told(ctx: Context, files: Sequence[str], path: str) -> list[str]:
    """What to say of locked files that are old here; raises `InvalidError` where the policy refuses them."""
    if not files:
        return []
    name = base_branch(ctx)
    there = name if ctx.remote is None else f"{ctx.remote}/{name}"
    what = f"{name} has newer versions of {shown(files)} than this checkout"
    way = f"git -C {shlex.quote(path)} rebase {there}"
    if ctx.rules.policy().claim.stale == "refuse":
        raise InvalidError(what, hint=f"bring them in first: {way}", files=list(files))
    return [f"{what}: {way}"]
