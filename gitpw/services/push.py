"""Push my branch, fenced by my token to the end of the push."""

from __future__ import annotations

from typing import NamedTuple

from gitpw.domain.ids import TaskId
from gitpw.domain.operation import Push
from gitpw.errors import InvalidError
from gitpw.ledger.store import Move
from gitpw.services.asking import ask, my_task, my_worktree
from gitpw.services.base import base_branch
from gitpw.services.ports import Context


class Pushed(NamedTuple):
    """The branch that now stands at `head` on the remote."""

    branch: str
    head: str
    remote: str


class Handed(NamedTuple):
    """What a task's branch is, and what it takes to bring it to the remote."""

    branch: str | None
    head: str | None
    moves: list[Move]


def push(ctx: Context, task: TaskId | None = None) -> Pushed:
    """The branch moves together with an operation by my token: who lost the claim can't push."""
    if ctx.remote is None:
        raise InvalidError("there is no remote to push to", hint="git remote add origin …; git pw init")
    name, own = my_task(ctx, task)
    handed = handed_in(ctx, name)
    if handed.head is None:
        raise InvalidError(f"{name} has no commit here to push", hint="run it in the checkout of the task")
    if handed.branch is None:
        raise InvalidError(f"the commits of {name} are on {base_branch(ctx)} already", hint="git pw complete")
    request = Push(
        task=name, claim=own and own.claim, token=own and own.token, head=handed.head, branch=handed.branch
    )
    ask(ctx, request, moves=handed.moves)
    return Pushed(handed.branch, handed.head, ctx.remote)


def handed_in(ctx: Context, task: TaskId) -> Handed:
    """The task's branch and where it stands here, after the user's own pre-push hooks have agreed.

    Work in a checkout of the base branch, or of none, is pushed to the branch that the claim named: the base branch
    itself is never pushed by a task. What is on the remote's base branch already needs no push.
    """
    local, branch = _branches(ctx, task)
    head = ctx.repo.resolve(f"refs/heads/{local}" if local else "HEAD")
    if head is None or ctx.remote is None:
        return Handed(branch, head, [])
    tip = ctx.repo.resolve(f"refs/remotes/{ctx.remote}/{base_branch(ctx)}")
    if local is None and tip is not None and ctx.repo.ancestor(head, tip):
        return Handed(None, head, [])
    there = ctx.repo.resolve(f"refs/remotes/{ctx.remote}/{branch}") or ""
    if there == head:
        return Handed(branch, head, [])
    ref = f"refs/heads/{branch}"
    if not ctx.dry_run:
        ctx.repo.run_pre_push(ctx.remote, [f"{ref} {head} {ref} {there or '0' * 40}"])
    return Handed(branch, head, [Move(ref, there, head)])


def _branches(ctx: Context, task: TaskId) -> tuple[str | None, str]:
    """The local branch that the task's work is on, None where it is HEAD's, and the branch to push it to."""
    tree = my_worktree(ctx, task)
    if tree is not None and tree.branch is not None:
        return tree.branch, tree.branch
    found = ctx.ledger.board().task(task)
    named = (found.metadata.branch_name if found else None) or task
    if tree is not None or ctx.repo.resolve(f"refs/heads/{named}") is not None:
        return (named, named) if tree is None else (None, named)
    here = ctx.repo.branch()
    return (None, named) if here is None or here == base_branch(ctx) else (here, here)
