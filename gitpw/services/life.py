"""Signs of life of this checkout, and being told what became of its claims meanwhile."""

from __future__ import annotations

from typing import NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.checkout import Trace
from gitpw.domain.ids import TaskId, isoformat
from gitpw.domain.lock import GIVEN_BACK
from gitpw.services.asking import granted_no_more
from gitpw.services.ports import Context


class Lapse(NamedTuple):
    """A claim of mine that doesn't stand as it should: what happened, and what to do."""

    message: str
    hint: str
    task: TaskId | None
    taken: bool

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
    """What became of my claims by the last known state: of those of this checkout, and leases that ran out elsewhere."""
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
            taken=False,
        )
    ending = board.ending(own.claim)
    if not trace.here or (ending is not None and ending.how in GIVEN_BACK):
        return None
    error = granted_no_more(board, ctx.me.worker, own)
    forget = f"; 'git pw release {own.task}' lets this checkout forget it" if own.task else ""
    return Lapse(error.message, f"{error.hint}{forget}", own.task, taken=True)
