"""Leases that nobody has renewed: whose they are, what they hold, and whether more than this clock says so."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.ids import TaskId, WorkerId, isoformat
from gitpw.domain.lock import Claim
from gitpw.domain.presence import Standing, standing
from gitpw.services.ports import Context


class Overdue(NamedTuple):
    """A claim whose lease is over; `sure` where another clock agrees, or the lease's own host says so."""

    worker: WorkerId
    task: TaskId | None
    files: list[str]
    branch: str | None
    expires_at: datetime
    host: str
    sure: bool

    def __str__(self) -> str:
        """As a warning."""
        what, since = self.task or ", ".join(self.files), isoformat(self.expires_at)
        if self.sure:
            return f"{self.worker} is lost: its lease on {what} ended at {since} ('git pw gc' returns it)"
        return (
            f"the lease of {self.worker} on {what} ended at {since} by this clock alone: {self.worker} is lost, "
            "or this clock is wrong ('git pw gc' now and again in 10 minutes settles it)"
        )

    def public(self) -> dict[str, object]:
        """As `--json` shows it."""
        return {
            "workerId": self.worker,
            "taskId": self.task,
            "lockedFiles": self.files,
            "branchName": self.branch,
            "expiresAt": self.expires_at,
            "host": self.host,
        }


def overdue(
    ctx: Context, board: Board, claims: Iterable[Claim], witness: datetime | None = None
) -> list[Overdue]:
    """Those of the claims whose lease is over, by this clock at least; `witness` is what another clock says now."""
    now, found = ctx.clock.now(), []
    for claim in claims:
        how = standing(board, claim, now, ctx.me.host, witness)
        if how is Standing.OVER or (how is Standing.DOUBTFUL and claim.lease.expires_at <= now):
            found.append(_told(claim, sure=how is Standing.OVER))
    return found


def _told(claim: Claim, *, sure: bool) -> Overdue:
    return Overdue(
        worker=claim.worker,
        task=claim.task,
        files=[held.resource for held in claim.locks],
        branch=claim.branch,
        expires_at=claim.lease.expires_at,
        host=claim.lease.host,
        sure=sure,
    )
