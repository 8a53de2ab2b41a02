"""Introduce a worker, or change what is known of it."""

from __future__ import annotations

from typing import NamedTuple

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


def register(ctx: Context, request: Register) -> Worker:
    """The worker as the ledger now knows it."""
    _, answer = ask(ctx, request)
    return _known(answer.board.worker(request.id), request.id)


def show_worker(ctx: Context, worker: WorkerId) -> Shown:
    """One worker as it looks now, as of the last state that could be had."""
    board, _, _ = ctx.ledger.freshest()
    found = _known(board.worker(worker), worker)
    now, host = ctx.clock.now(), ctx.me.host
    claims = [claim for claim in board.claims() if claim.worker == worker and not claim.queued]
    return Shown(seen(found, [standing(board, claim, now, host) for claim in claims]), claims)


def list_workers(ctx: Context) -> list[Worker]:
    """All workers as they look now, by id."""
    board, _, _ = ctx.ledger.freshest()
    return list(looked_at(board, ctx.clock.now(), ctx.me.host))


def unregister(ctx: Context, worker: WorkerId) -> None:
    """Forget a worker with empty hands."""
    ask(ctx, Unregister(id=worker))


def _known(worker: Worker | None, name: WorkerId) -> Worker:
    if worker is None:
        raise InvalidError(f"there is no worker {name}", hint="see 'git pw worker list'")
    return worker
