"""Signs of life of this checkout, and being told what became of its claims meanwhile."""

from __future__ import annotations

import shlex
from datetime import timedelta
from typing import NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.checkout import Trace
from gitpw.domain.ids import TaskId, isoformat
from gitpw.domain.lock import GIVEN_BACK
from gitpw.services.asking import granted_no_more
from gitpw.services.ports import Context

OF_LATE = timedelta(days=1)
"""For how long every command tells of a claim that another checkout has lost."""


class Lapse(NamedTuple):
    """A claim of mine that doesn't stand as it should: what happened, and what to do."""

    message: str
    hint: str
    task: TaskId | None

    def __str__(self) -> str:
        """In one sentence."""
        return f"{self.message}: {self.hint}"


def sign(ctx: Context) -> None:
    """Note that the checkout of my claims lives."""
    if not ctx.dry_run and any(own.worker == ctx.me.worker for own in ctx.checkout.own()):
        ctx.traces.sign(ctx.clock.now().timestamp())


def look(ctx: Context) -> list[Lapse]:
    """What is to be told of my claims, now that a command has done its work; that it was run is a sign of life."""
    sign(ctx)
    return lapses(ctx)


def lapses(ctx: Context) -> list[Lapse]:
    """What became of my claims by the last known state, also of those of other checkouts if that was of late."""
    if not ctx.ledger.known():
        return []
    board = ctx.ledger.board()
    mine = [trace for trace in ctx.traces.all() if trace.own.worker == ctx.me.worker]
    return [lapse for trace in mine if (lapse := _lapse(ctx, board, trace)) is not None]


def _lapse(ctx: Context, board: Board, trace: Trace) -> Lapse | None:
    own = trace.own
    claim = board.claim(own.claim)
    if claim is not None and claim.token == own.token:
        if claim.queued or claim.lease.expires_at > ctx.clock.now():
            return None
        what = own.task or ", ".join(held.resource for held in claim.locks)
        since = isoformat(claim.lease.expires_at)
        return Lapse(
            f"your lease on {what} ran out at {since}, and nobody has taken it over yet",
            "'git pw heartbeat' renews it",
            own.task,
        )
    if _is_settled(ctx, board, trace):
        return None
    error = granted_no_more(board, ctx.me.worker, own)
    there = "" if trace.here or trace.path is None else f"-C {shlex.quote(trace.path)} "
    forget = f"; 'git pw {there}release {own.task}' lets the checkout forget it" if own.task else ""
    return Lapse(error.message, f"{error.hint}{forget}", own.task)


def _is_settled(ctx: Context, board: Board, trace: Trace) -> bool:
    """Whether nothing is to be told of a claim that is over: it was given back, or is old news of another checkout."""
    ending = board.ending(trace.own.claim)
    if ending is not None and ending.how in GIVEN_BACK:
        return True
    if trace.here:
        return False
    task = None if trace.own.task is None else board.task(trace.own.task)
    again = task is not None and task.assigned_to == ctx.me.worker
    return again or ending is None or ctx.clock.now() - ending.at > OF_LATE
