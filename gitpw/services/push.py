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
    if handed.branch is None or handed.head is None:
        raise InvalidError(f"{name} has no branch here to push", hint="run it in the worktree of the task")
    request = Push(
        task=name, claim=own and own.claim, token=own and own.token, head=handed.head, branch=handed.branch
    )
    ask(ctx, request, moves=handed.moves)
    return Pushed(handed.branch, handed.head, ctx.remote)


def handed_in(ctx: Context, task: TaskId) -> Handed:
    """The task's branch and where it stands here, after the user's own pre-push hooks have agreed.

    The base branch itself is never pushed by a task.
    """
    branch = _branch(ctx, task)
    head = ctx.repo.resolve(f"refs/heads/{branch}" if branch else "HEAD")
    if branch is None or head is None or ctx.remote is None or branch == base_branch(ctx):
        return Handed(branch if branch != base_branch(ctx) else None, head, [])
    there = ctx.repo.resolve(f"refs/remotes/{ctx.remote}/{branch}") or ""
    if there == head:
        return Handed(branch, head, [])
    ref = f"refs/heads/{branch}"
    if not ctx.dry_run:
        ctx.repo.run_pre_push(ctx.remote, [f"{ref} {head} {ref} {there or '0' * 40}"])
    return Handed(branch, head, [Move(ref, there, head)])


def _branch(ctx: Context, task: TaskId) -> str | None:
    """The branch that the task's work is on: its worktree's, else the claim's where it exists, else this one."""
    tree = my_worktree(ctx, task)
    if tree is not None:
        return tree.branch
    found = ctx.ledger.board().task(task)
    named = found.metadata.branch_name if found else None
    return named if named and ctx.repo.resolve(f"refs/heads/{named}") else ctx.repo.branch()
