"""Introduce a worker, or change what is known of it."""

from __future__ import annotations

from typing import NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.ids import WorkerId
from gitpw.domain.lock import Claim
from gitpw.domain.operation import Register, Unregister
from gitpw.domain.presence import looked_at, seen, standing
from gitpw.domain.worker import Worker
from gitpw.errors import InvalidError
from gitpw.services.asking import ask
from gitpw.services.ports import Context


class Shown(NamedTuple):
    """A worker, and the claims that it has to renew."""

    worker: Worker
    claims: list[Claim]


def register(ctx: Context, request: Register, key: str | None = None) -> Worker:
    """The worker as the ledger now knows it; `key` is what a person calls that."""
    if key is not None and ctx.keys is not None:
        keys = ctx.keys()
        found, place = keys.find(key)
        request = request.but(signing_key=found)
        if place is not None and not ctx.dry_run:
            keys.remember(found, place)
        if request.id == ctx.me.worker and not ctx.dry_run:
            keys.sign(found, b"git-pw\n")  # one that can't would lock its worker out
    _, answer = ask(ctx, request)
    return _known(answer.board, request.id)


def show_worker(ctx: Context, worker: WorkerId) -> Shown:
    """One worker as it looks now, as of the last state that could be had."""
    board, _, _ = ctx.ledger.freshest()
    found = _known(board, worker)
    now, host = ctx.clock.now(), ctx.me.host
    claims = [claim for claim in board.claims() if claim.worker == worker and not claim.queued]
    return Shown(seen(found, [standing(board, claim, now, host) for claim in claims]), claims)


def list_workers(ctx: Context) -> list[Worker]:
    """All workers as they look now, by id."""
    board, _, _ = ctx.ledger.freshest()
    now, host = ctx.clock.now(), ctx.me.host
    return [_with_key(board, worker) for worker in looked_at(board, now, host)]


def unregister(ctx: Context, worker: WorkerId) -> None:
    """Forget a worker with empty hands."""
    ask(ctx, Unregister(id=worker))


def _known(board: Board, name: WorkerId) -> Worker:
    worker = board.worker(name)
    if worker is None:
        raise InvalidError(f"there is no worker {name}", hint="see 'git pw worker list'")
    return _with_key(board, worker)


def _with_key(board: Board, worker: Worker) -> Worker:
    return worker.but(signing_key=board.signer(worker.id))
