"""Renew the leases of this machine, in one push."""

from __future__ import annotations

from typing import NamedTuple

from gitpw.domain.ids import ClaimId
from gitpw.domain.lock import Claim
from gitpw.domain.operation import Mine, Renew
from gitpw.errors import InvalidError
from gitpw.services.asking import ask, granted_no_more
from gitpw.services.ports import Context
from gitpw.services.protect import protect


class Beaten(NamedTuple):
    """The claims that were renewed, and the ids of those that are no longer the current ones."""

    renewed: list[Claim]
    lost: list[ClaimId]


def heartbeat(ctx: Context) -> Beaten:
    """Renew every claim that a checkout of this repository remembers, and those that the ledger says are mine.

    A claim that is lost to one of this machine's workers doesn't keep the others from being renewed; where the
    checkout that asks lost its own, that is raised as a `StaleError` once the rest is renewed.
    """
    remembered = {own.claim: Mine(claim=own.claim, token=own.token) for own in ctx.checkout.own()}
    for tree in ctx.worktrees.all():
        if tree.own is not None:
            remembered[tree.own.claim] = Mine(claim=tree.own.claim, token=tree.own.token)
    board = ctx.ledger.board()
    for claim in board.claims():
        if claim.worker == ctx.me.worker and claim.place == ctx.me.place and not claim.queued:
            remembered.setdefault(claim.id, Mine(claim=claim.id, token=claim.token))
    if not remembered:
        raise InvalidError(f"{ctx.me.worker} holds nothing here", hint="'git pw claim' gets a task")
    done, answer = ask(ctx, Renew(claims=tuple(remembered.values())))
    protect(ctx)
    lost = [ClaimId(name) for name in done.detail.get("lost", ())]
    here = next((own for own in ctx.checkout.own() if own.claim in lost), None)
    if here is not None:
        raise granted_no_more(answer.board, ctx.me.worker, here)
    renewed = [answer.board.claim(ClaimId(name)) for name in done.detail.get("renewed", ())]
    return Beaten([claim for claim in renewed if claim is not None], lost)
