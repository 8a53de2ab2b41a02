"""Say how far the work has come."""

from __future__ import annotations

from datetime import timedelta

from gitpw.domain.board import Board
from gitpw.domain.ids import TaskId
from gitpw.domain.lock import Claim, fresh
from gitpw.domain.operation import Report
from gitpw.domain.progress import Progress, Said, Words, advanced, begun, may_wait, newest
from gitpw.errors import InvalidError, OfflineError, UnknownError
from gitpw.services.asking import ask, my_task, settle
from gitpw.services.expecting import expecting
from gitpw.services.ports import Context, Own

SPARING = timedelta(minutes=1)
"""So often the ledger is told of a task whose step stays the same."""


def progress(
    ctx: Context,
    task: TaskId | None = None,
    *,
    step: str | None = None,
    done: int | None = None,
    total: int | None = None,
    percent: int | None = None,
    eta: int | None = None,
) -> Progress:
    """Record a step, a percentage or the minutes that are left; what isn't given stays as it was.

    Readers on this machine see it at once, the others once a minute or when the step changes: what they weren't told
    yet goes with the next operation of whatever kind.
    """
    settle(ctx)
    name, own = my_task(ctx, task)
    request = Report(
        task=name,
        claim=own and own.claim,
        token=own and own.token,
        step=step,
        done=done,
        total=total,
        percent=percent,
        eta=eta,
    )
    board, words = ctx.ledger.board(), Words(step, done, total, percent, eta)
    claim = _claim(ctx, board, name, own)
    word = None if claim is None else _word(ctx, board, claim, name, words)
    if claim is not None and word is not None and _may_wait(ctx, board, claim, word.progress):
        if not ctx.dry_run:
            ctx.reports.hold(word)
        return _told(ctx, board, claim, word)
    return _shared(ctx, own, word, request)


def _word(ctx: Context, board: Board, claim: Claim, name: TaskId, words: Words) -> Said | None:
    """The last word on a claim, after this one; None where the ledger has to say what is wrong with it."""
    before = _known(ctx, board, claim, name)
    new = advanced(before, ctx.clock.now(), words)
    if isinstance(new, str):
        return None
    if new.percent_complete < before.percent_complete:
        ctx.tell(f"that is less than before ({before.percent_complete}%)")
    return Said(claim=claim.id, token=claim.token, progress=new)


def _may_wait(ctx: Context, board: Board, claim: Claim, new: Progress) -> bool:
    """Whether the ledger needn't be told yet; a lease that is to be renewed is told at once."""
    shared = board.progress(new.task_id)
    return shared is not None and fresh(claim.lease, ctx.clock.now()) and may_wait(shared, new, SPARING)


def _claim(ctx: Context, board: Board, name: TaskId, own: Own | None) -> Claim | None:
    """My claim on a task, as far as this clone knows; None where the ledger has to say what is wrong with it."""
    task = board.task(name)
    claim = None if task is None or task.claim is None else board.claim(task.claim)
    if claim is None or claim.queued or claim.worker != ctx.me.worker:
        return None
    return claim if own is None or own.token == claim.token else None


def _known(ctx: Context, board: Board, claim: Claim, name: TaskId) -> Progress:
    """What was said last, here or in the ledger."""
    here = (one.progress for one in ctx.reports.all() if (one.claim, one.token) == (claim.id, claim.token))
    known = newest(board.progress(name), next(here, None))
    return known or begun(name, claim.worker, claim.claimed_at)


def _shared(ctx: Context, own: Own | None, word: Said | None, request: Report) -> Progress:
    """Tell the ledger; where it can't be told now, the word is kept for the next operation."""
    try:
        _, answer = ask(ctx, request)
    except (OfflineError, UnknownError) as error:
        if word is not None and not ctx.dry_run:
            ctx.reports.hold(word)
            error.hint = "it is kept here and goes with the next operation that reaches the ledger"
        raise
    claim, found = _claim(ctx, answer.board, request.task, own), answer.board.progress(request.task)
    if claim is None or found is None:
        raise InvalidError(f"{request.task} has no progress")
    return _told(ctx, answer.board, claim, Said(claim=claim.id, token=claim.token, progress=found))


def _told(ctx: Context, board: Board, claim: Claim, said: Said) -> Progress:
    """What readers on this machine see of it."""
    return next(iter(expecting(ctx, board, [claim], [said])), said.progress)
