"""By which claims a change is judged: those of the checkout where it is made, or of the branch that is pushed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.checkout import considered
from gitpw.domain.ids import ClaimId
from gitpw.domain.lock import GIVEN_BACK, Claim
from gitpw.errors import UsageError
from gitpw.services.asking import granted_no_more
from gitpw.services.ports import Context, Memory, Own
from gitpw.services.refusing import lost_claim

HEADS = "refs/heads/"

ELSEWHERE = ("refs/pw/", "refs/notes/", "refs/meta/")
"""Refs whose commits hold no files of the work tree: the ledger, notes, a host's own settings."""


class Pushed(NamedTuple):
    """A ref that a push moves: what is pushed and the commit it stands for, the remote's ref and what it was."""

    local: str
    head: str
    ref: str
    there: str

    @classmethod
    def read(cls, line: str) -> Pushed:
        """One of git's lines for the hook; what is pushed may be an expression with spaces in it."""
        words = line.rsplit(" ", 3)
        if len(words) != len(cls._fields):
            raise UsageError(f"{line!r} is no line of a push", hint="git itself writes them to the hook")
        return cls(*words)

    @property
    def judged(self) -> bool:
        """Whether files of the work tree may come with it: deletions bring nothing."""
        return bool(self.head.strip("0")) and not self.ref.startswith(ELSEWHERE)

    @property
    def is_new(self) -> bool:
        """Whether the remote doesn't have the ref yet."""
        return not self.there.strip("0")

    @property
    def branch(self) -> str | None:
        """The remote's branch that it moves."""
        return self.ref.removeprefix(HEADS) if self.ref.startswith(HEADS) else None

    @property
    def source(self) -> str | None:
        """The local branch that it comes from, where it is named."""
        return self.local.removeprefix(HEADS) if self.local.startswith(HEADS) else None


def standing(
    ctx: Context, board: Board, verb: str, owned: Mapping[Own, str | None] | None = None
) -> dict[ClaimId, Claim]:
    """The claims by which a change is judged, of those that this checkout remembers unless others are named.

    `owned` says where each of them is remembered, None for this checkout. One with a task that was lost, and not
    claimed anew, is raised as a `StaleError`.
    """
    owned = dict.fromkeys(_here(ctx)) if owned is None else owned
    current = {own.claim: claim for own in owned if (claim := _current(board, own)) is not None}
    again = {claim.task for claim in current.values()} - {None}
    for own, where in owned.items():
        if own.claim in current or own.task in again:
            continue
        taken = _was_taken(board, own)
        if taken and own.task is not None:
            raise lost_claim(board, ctx.me.worker, own, verb, where)
        if taken and where is None:
            ctx.tell(f"{granted_no_more(board, ctx.me.worker, own).message}: judged without it")
        if where is None:
            ctx.checkout.forget([own.claim])
    return current


def _here(ctx: Context) -> list[Own]:
    """The claims of this checkout by which it is judged."""
    return considered(ctx.checkout.own(), _said(ctx), linked=_is_linked(ctx))


def my_memories(ctx: Context) -> list[Memory]:
    """What all checkouts remember of claims that are mine; of the others anybody's, where nobody has said who I am."""
    here = tuple(_here(ctx))
    known = _said(ctx) or (_is_linked(ctx) and here)
    return [
        one._replace(
            own=here
            if one.here
            else tuple(own for own in one.own if not known or own.worker == ctx.me.worker)
        )
        for one in ctx.worktrees.memories()
    ]


def of_branch(ctx: Context, board: Board, memories: Sequence[Memory], pushed: Pushed) -> dict[ClaimId, Claim]:
    """The claims by which a pushed ref is judged, wherever `git push` was typed.

    Those of the checkout that is on the branch, and of any whose task it is the branch of; else the claim that the
    ledger has for my task of that branch; else those of this checkout.
    """
    names = {name for name in (pushed.source, pushed.branch) if name is not None}
    concerned = [
        one
        for one in memories
        if (pushed.source is not None and one.branch == pushed.source)
        or any(branch_of(board, own) in names for own in one.own)
    ]
    if not concerned:
        return _mine_by_name(ctx, board, names) or standing(ctx, board, "push")
    owned = {own: None if one.here else one.path for one in concerned for own in one.own}
    here = () if pushed.source is not None else _here(ctx)
    owned.update(dict.fromkeys(here))
    return standing(ctx, board, "push", owned) or _mine_by_name(ctx, board, names)


def branch_of(board: Board, own: Own) -> str | None:
    """The branch that the ledger names for a remembered claim's task."""
    task = None if own.task is None else board.task(own.task)
    return task.metadata.branch_name if task is not None else None


def alive(board: Board, owned: Iterable[Own]) -> set[ClaimId]:
    """Those of the remembered claims that are the current ones."""
    return {own.claim for own in owned if _current(board, own) is not None}


def _mine_by_name(ctx: Context, board: Board, names: set[str]) -> dict[ClaimId, Claim]:
    """My claims whose task's branch goes by one of these names."""
    worker = board.worker(ctx.me.worker)
    tasks = [board.task(name) for name in (worker.current_tasks if worker else ())]
    named = [task for task in tasks if task is not None and task.metadata.branch_name in names]
    claims = [board.claim(task.claim) for task in named if task.claim is not None]
    return {claim.id: claim for claim in claims if claim is not None}


def _current(board: Board, own: Own) -> Claim | None:
    """The live claim that is remembered, if its token is still the current one."""
    claim = board.claim(own.claim)
    return claim if claim is not None and claim.token == own.token else None


def _was_taken(board: Board, own: Own) -> bool:
    ending = board.ending(own.claim)
    return ending is None or ending.how not in GIVEN_BACK


def _said(ctx: Context) -> str | None:
    """Who works here, if somebody has said so."""
    return ctx.environment.get("GITPW_WORKER") or ctx.repo.config("pw.worker")


def _is_linked(ctx: Context) -> bool:
    return ctx.repo.git_dir != ctx.repo.common_dir
