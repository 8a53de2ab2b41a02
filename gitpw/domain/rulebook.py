"""The one function that turns a request into a new state and an outcome, the same for every store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gitpw.domain import backlog, custody, grant, merging, planning, roster, schedule, waiting
from gitpw.domain.board import Board, Meta
from gitpw.domain.operation import (
    REMEMBERED,
    VERSION,
    Add,
    Begin,
    Call,
    Cancel,
    Complete,
    Done,
    Drop,
    Edit,
    Expire,
    Fail,
    First,
    Frozen,
    Intend,
    Land,
    Leave,
    Lock,
    Merging,
    Moved,
    Operation,
    Outcome,
    Push,
    Refused,
    Register,
    Release,
    Renew,
    Report,
    Requeue,
    Restore,
    Resume,
    Retry,
    SendBack,
    Signing,
    Split,
    Start,
    Stop,
    Suspect,
    Take,
    Unlock,
    Unregister,
    Wait,
    Withdraw,
)
from gitpw.domain.worker import WorkerStatus

LEAP = 1_000_000
"""How far a restored ledger's counter jumps, so that no token comes twice."""


def _begin(board: Board, operation: Operation, request: Begin) -> Outcome:
    if board.begun:
        return Refused(code="invalid", message="there is a ledger already")
    board.put_meta(Meta(ledger=request.ledger, counter=0, operation=operation.id))
    board.put_settings(request.settings)
    return Done(detail={"ledger": request.ledger})


def _moved(board: Board, _operation: Operation, request: Moved) -> Outcome:
    board.put_meta(board.meta.but(moved=not request.back))
    return Done()


def _restore(board: Board, _operation: Operation, request: Restore) -> Outcome:
    counter = board.counter
    leap = LEAP * (1 + -(-max(request.above - counter, 0) // LEAP))  # the slots of `recent` stay in step
    board.put_meta(board.meta.but(counter=counter + leap, restored=counter, leap=leap))
    return Done(detail={"reason": request.reason, "from": counter})


Rule = Callable[[Board, Operation, Any], Outcome]

RULES: Mapping[type, Rule] = {
    Add: planning.add,
    Begin: _begin,
    Call: waiting.call,
    Cancel: backlog.cancel,
    Complete: backlog.complete,
    Drop: merging.drop,
    Edit: planning.edit,
    Expire: grant.expire,
    Fail: backlog.fail,
    First: merging.first,
    Frozen: merging.freeze,
    Intend: merging.intend,
    Land: merging.land,
    Leave: waiting.leave,
    Lock: grant.lock,
    Merging: merging.merging,
    Moved: _moved,
    Push: backlog.push,
    Register: roster.register,
    Release: backlog.release,
    Renew: grant.renew,
    Report: backlog.report,
    Requeue: merging.requeue,
    Restore: _restore,
    Resume: merging.resume,
    Retry: backlog.retry,
    SendBack: merging.send_back,
    Signing: roster.signing,
    Split: planning.split,
    Start: backlog.start,
    Stop: merging.pause,
    Suspect: grant.suspect,
    Take: schedule.take,
    Unlock: grant.unlock,
    Unregister: roster.unregister,
    Wait: waiting.wait,
    Withdraw: merging.withdraw,
}


def apply(board: Board, operation: Operation) -> Outcome:
    """Decide an operation on a board; `board.changes` then holds what it changes.

    After a refusal, or a `Done` with `changed` false, the board is to be thrown away. An operation that the ledger
    remembers is never applied again: its outcome of then is the answer, with `changed` false.
    """
    if operation.v > VERSION:
        return Refused(
            code="invalid",
            message=f"operation version {operation.v} is newer than this git-pw",
            hint="upgrade git-pw",
        )
    if board.begun:
        known = board.outcome(operation.id, operation.seen)
        if known is not None:
            return known[1].but(changed=False) if isinstance(known[1], Done) else known[1]
        if board.counter - operation.seen > REMEMBERED:
            return Refused(code="contended", message="that was decided too long ago", hint="try again")
    elif not isinstance(operation.request, Begin):
        return Refused(code="invalid", message="there is no ledger yet", hint="git pw init")
    key = custody.required(board, operation)
    if isinstance(key, Refused):
        return key
    backlog.hear(board, operation)
    grant.placed(board, operation)
    outcome = RULES[type(operation.request)](board, operation, operation.request)
    if isinstance(outcome, Done) and outcome.changed:
        grant.carried(board, operation)
        _active(board, operation)
        board.close(operation, outcome)
    return outcome


def _active(board: Board, operation: Operation) -> None:
    """Note that the asker was heard of, if it is registered."""
    worker = board.worker(operation.author.worker)
    if worker is not None and worker.status is WorkerStatus.OFFLINE:
        worker = worker.occupied(worker.current_tasks)
    if worker is not None:
        board.put_worker(worker.but(last_activity=operation.at))
