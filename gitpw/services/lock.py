"""Lock files, folders and globs without a task, or within the claim of this worktree."""

from __future__ import annotations

from collections.abc import Sequence

from gitpw.domain.lock import Claim
from gitpw.domain.operation import Lock
from gitpw.errors import UsageError
from gitpw.services.asking import ask, canonical, forget, held, here, lease_seconds, live, remember, welcome
from gitpw.services.claim import waited
from gitpw.services.ports import Context
from gitpw.services.protect import protect


def lock(
    ctx: Context,
    resources: Sequence[str],
    *,
    shared: bool = False,
    lease: str | None = None,
    wait: str | None = None,
    reason: str | None = None,
) -> Claim:
    """The claim that holds the locks, all or none."""
    if not resources:
        raise UsageError("what is to be locked?", hint="git pw lock src/auth")
    welcome(ctx)
    wanted = held(canonical(ctx, resources), shared=shared)
    into = next((own.claim for own in here(ctx) if own.task is not None), None)
    request = Lock(locks=wanted, lease=lease_seconds(ctx, lease), into=into, reason=reason)
    return waited(ctx, wait, lambda: _locked(ctx, request))


def _locked(ctx: Context, request: Lock) -> Claim:
    done, answer = ask(ctx, request)
    mine = live(None if done.claim is None else answer.board.claim(done.claim))
    forget(ctx, answer.board, but=request.into)
    remember(ctx, mine)
    protect(ctx)
    return mine
