"""Who is there: judged by the leases of what a worker holds, and never by one clock alone.

A worker that missed its renewals is lost. What it held goes back as soon as somebody claims it; until it is heard of
again, it is offline.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from enum import StrEnum

from gitpw.domain.board import Board
from gitpw.domain.checkout import Trace
from gitpw.domain.ids import WorkerId
from gitpw.domain.lock import Claim, ended, implausible, overdue
from gitpw.domain.operation import Mine
from gitpw.domain.worker import Worker, WorkerStatus


class Standing(StrEnum):
    """How it stands with a lease: `doubtful` where this clock says that it is over, and no other one agrees yet."""

    LIVE = "live"
    DOUBTFUL = "doubtful"
    OVER = "over"


def standing(
    board: Board, claim: Claim, now: datetime, host: str, witness: datetime | None = None
) -> Standing:
    """What `host`, whose clock says `now`, may say of a claim's lease; what waits in the merge queue has none.

    `witness` is what one more clock says, beside those of the hosts that have written.
    """
    if claim.queued:
        return Standing.LIVE
    clocks = board.clocks if witness is None else {**board.clocks, "": witness}
    if ended(claim.lease, now, host, clocks, board.settings):
        return Standing.OVER
    if overdue(claim.lease, now, board.settings) or implausible(claim.lease, now, board.settings):
        return Standing.DOUBTFUL
    return Standing.LIVE


def seen(worker: Worker, standings: Iterable[Standing]) -> Worker:
    """The worker as it looks now, by the leases that it has: offline where all of them are over."""
    found = set(standings)
    if found == {Standing.OVER}:
        return worker.but(status=WorkerStatus.OFFLINE)
    return worker


def looked_at(board: Board, now: datetime, host: str, witness: datetime | None = None) -> Iterator[Worker]:
    """All workers as they look now: reads the claims too."""
    found: dict[str, list[Standing]] = {}
    for claim in board.claims():
        if not claim.queued:
            found.setdefault(claim.worker, []).append(standing(board, claim, now, host, witness))
    for worker in board.workers():
        yield seen(worker, found.get(worker.id, ()))


def is_due(claim: Claim, now: datetime) -> bool:
    """Whether it is time to renew: less than half of the lease is left, or somebody thinks that it is over."""
    if claim.queued:
        return False
    left = claim.lease.expires_at - now
    return left <= timedelta(seconds=claim.lease.duration / 2) or bool(claim.lease.marks)


def is_young(claim: Claim, now: datetime, seconds: int) -> bool:
    """Whether a lease was renewed within so many seconds, and nobody thinks that it is over."""
    ago = (now - claim.lease.written_at).total_seconds()
    return claim.queued or (0 <= ago <= seconds and not claim.lease.marks)


def along(board: Board, traces: Iterable[Trace], worker: WorkerId, now: datetime) -> tuple[Mine, ...]:
    """The worker's claims that are to go along with an operation: it is time to renew them, or their work has moved."""
    found = []
    for trace in traces:
        claim = board.claim(trace.own.claim)
        if claim is None or claim.token != trace.own.token or claim.worker != worker:
            continue
        mine = known(claim, trace)
        if is_due(claim, now) or (mine.head or claim.head) != claim.head:
            found.append(mine)
    return tuple(found)


def known(claim: Claim, trace: Trace) -> Mine:
    """A claim as its checkout knows it; in the main one, work is on the claim's own branch or nobody can tell."""
    at_work = claim.task is not None and (trace.linked or trace.branch == claim.branch)
    return Mine(claim=claim.id, token=trace.own.token, head=trace.head if at_work else None)


def is_alive(claim: Claim, sign: float | None, now: datetime) -> bool:
    """Whether a claim's checkout gave a sign of life (unix time) within the length of its lease.

    The claim itself was one. Others on the same machine keep alive what lives, and not what was killed.
    """
    lately = timedelta(seconds=claim.lease.duration)
    signs = [claim.claimed_at.timestamp(), *([] if sign is None else [sign])]
    return any(abs(now.timestamp() - one) <= lately.total_seconds() for one in signs)
