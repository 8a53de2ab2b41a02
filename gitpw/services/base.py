"""Where work begins: the base branch, as fresh as the policy asks for."""

from __future__ import annotations

from gitpw.domain.ids import duration
from gitpw.errors import InvalidError
from gitpw.services.ports import Context

FETCH_TIMEOUT = 60.0


def base_branch(ctx: Context) -> str:
    """The name of the branch that work begins at and lands on, whatever a task's own branch says."""
    return ctx.rules.base()


def base(ctx: Context) -> str:
    """The commit that new work begins at; raises `InvalidError` where there is none yet.

    The remote's base branch, fetched first if that was longer ago than the policy's refresh age.
    """
    branch = base_branch(ctx)
    if ctx.remote is not None and not is_fresh(ctx, ctx.remote, branch):
        fetched = ctx.repo.fetch_branch(ctx.remote, branch, FETCH_TIMEOUT)
        if not fetched:
            ctx.tell(f"{branch} could not be fetched from {ctx.remote}: beginning at what is known here")
    for revision in _candidates(ctx, branch):
        found = ctx.repo.resolve(revision)
        if found is not None:
            return found
    raise InvalidError(
        "there is no commit to begin at", hint="make a first commit and push it, or claim with --no-worktree"
    )


def known_tip(ctx: Context) -> str | None:
    """The newest commit of the base branch that is known here, without asking; None where none is."""
    space = "heads" if ctx.remote is None else f"remotes/{ctx.remote}"
    return ctx.repo.resolve(f"refs/{space}/{base_branch(ctx)}")


def base_tip(ctx: Context) -> str | None:
    """The same; where the remote's isn't known, this clone's own."""
    name = base_branch(ctx)
    local = f"refs/heads/{name}"
    there = local if ctx.remote is None else f"refs/remotes/{ctx.remote}/{name}"
    found = ctx.repo.tips([there, local])
    return found.get(there) or found.get(local)


def is_fresh(ctx: Context, remote: str, branch: str) -> bool:
    """Whether the base branch was fetched a moment ago, as the policy means it."""
    ago = ctx.repo.fetched_ago(remote, branch)
    return ago is not None and ago <= duration(ctx.policy.policy.refresh).total_seconds()


def landed_tip(ctx: Context) -> str | None:
    """The newest commit of the base branch, freshly fetched; None where it can't be had."""
    branch = base_branch(ctx)
    if ctx.remote is None:
        return ctx.repo.resolve(f"refs/heads/{branch}")
    if not ctx.repo.fetch_branch(ctx.remote, branch, FETCH_TIMEOUT):
        return None
    return ctx.repo.resolve(f"refs/remotes/{ctx.remote}/{branch}")


def _candidates(ctx: Context, branch: str) -> list[str]:
    tracking = [f"refs/remotes/{ctx.remote}/{branch}"] if ctx.remote is not None else []
    return [*tracking, f"refs/heads/{branch}", "HEAD"]
