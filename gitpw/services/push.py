"""Push my branch, fenced by my token to the end of the push."""

from __future__ import annotations

from typing import NamedTuple

from gitpw.domain.ids import TaskId
from gitpw.domain.operation import Complete, Mine, Push, Renew
from gitpw.errors import InvalidError
from gitpw.ledger.ledger import Answer
from gitpw.ledger.store import Move, NotAtomicError
from gitpw.services.asking import ask, my_task, my_worktree
from gitpw.services.base import base_branch, known_tip
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
    hand_in(ctx, request, handed.moves)
    return Pushed(handed.branch, handed.head, ctx.remote)


def hand_in(ctx: Context, request: Push | Complete, moves: list[Move]) -> Answer:
    """Move the branch in one step with the request; the answer.

    Where the host takes no atomic pushes the token is checked first, then the branch moves, then the rest is asked
    for: who loses the claim in between has moved no more than the task's own branch.
    """
    try:
        return ask(ctx, request, moves=moves)[1]
    except NotAtomicError:
        ctx.tell("the remote takes no atomic pushes: the branch is pushed on its own")
    if isinstance(request, Push):
        answer = ask(ctx, request)[1]
        ctx.ledger.store.push(moves)
        return answer
    if request.claim is not None and request.token is not None:
        ask(ctx, Renew(claims=(Mine(claim=request.claim, token=request.token),)))
    ctx.ledger.store.push(moves)
    return ask(ctx, request)[1]


def handed_in(ctx: Context, task: TaskId) -> Handed:
    """The task's branch and where it stands here, after the user's own pre-push hooks have agreed.

    Work in a checkout of the base branch, or of none, is pushed to the branch that the claim named: the base branch
    itself is never pushed by a task. What is on the remote's base branch already needs no push.
    """
    local, branch = _branches(ctx, task)
    head = ctx.repo.resolve(f"refs/heads/{local}" if local else _detached(ctx, task))
    if head is None:
        return Handed(branch, head, [])
    if ctx.remote is None:
        return _kept(ctx, branch, head, local)
    tip = known_tip(ctx)
    if local is None and tip is not None and ctx.repo.ancestor(head, tip):
        return Handed(None, head, [])
    there = ctx.repo.resolve(f"refs/remotes/{ctx.remote}/{branch}") or ""
    if there == head:
        return Handed(branch, head, [])
    ref = f"refs/heads/{branch}"
    if not ctx.dry_run:
        ctx.repo.run_pre_push(ctx.remote, [f"{ref} {head} {ref} {there or '0' * 40}"])
    return Handed(branch, head, [Move(ref, there, head)])


def _detached(ctx: Context, task: TaskId) -> str:
    """The head of work that is on no branch: that of the task's worktree, else of this checkout."""
    tree = my_worktree(ctx, task)
    return tree.head if tree is not None and tree.head is not None else "HEAD"


def _kept(ctx: Context, branch: str, head: str, local: str | None) -> Handed:
    """Without a remote the work is here already; what is on no branch gets the one that the claim named."""
    tip = known_tip(ctx)
    if local is None and tip is not None and ctx.repo.ancestor(head, tip):
        return Handed(None, head, [])
    if local is None and not ctx.dry_run:
        ctx.repo.point_branch(branch, head)
    return Handed(branch, head, [])


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
