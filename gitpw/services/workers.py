"""Introduce a worker, or change what is known of it."""

from __future__ import annotations

from gitpw.domain.ids import WorkerId
from gitpw.domain.operation import Register, Unregister
from gitpw.domain.worker import Worker
from gitpw.errors import InvalidError
from gitpw.services.asking import ask
from gitpw.services.ports import Context


def register(ctx: Context, request: Register) -> Worker:
    """The worker as the ledger now knows it."""
    _, answer = ask(ctx, request)
    return _known(answer.board.worker(request.id), request.id)


def show_worker(ctx: Context, worker: WorkerId) -> Worker:
    """One worker, as of the last state that could be had."""
    board, _, _ = ctx.ledger.freshest()
    return _known(board.worker(worker), worker)


def list_workers(ctx: Context) -> list[Worker]:
    """All workers, by id."""
    board, _, _ = ctx.ledger.freshest()
    return list(board.workers())


def unregister(ctx: Context, worker: WorkerId) -> None:
    """Forget a worker with empty hands."""
    ask(ctx, Unregister(id=worker))


def _known(worker: Worker | None, name: WorkerId) -> Worker:
    if worker is None:
        raise InvalidError(f"there is no worker {name}", hint="see 'git pw worker list'")
    return worker
