"""Claims, the locks that they own, and when a lease has ended beyond doubt."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field

from gitpw.domain.ids import ClaimId, TaskId, WorkerId
from gitpw.domain.record import Instant, Record
from gitpw.domain.resource import Mode
from gitpw.domain.settings import LONGEST_LEASE, Settings
from gitpw.domain.worker import WorkerType

__all__ = [
    "Claim",
    "Ended",
    "Held",
    "Lease",
    "Mode",
    "ended",
    "fresh",
    "implausible",
    "merged_locks",
    "overdue",
    "suspicious",
]


class Held(Record):
    """One locked resource, in canonical form."""

    resource: str
    mode: Mode


class Lease(Record):
    """Until when a claim stands; `version` is the ledger's counter at its last renewal, `duration` in seconds.

    `marks` holds, host by host, when a host first saw this version overdue (or impossibly long): see `ended`.
    """

    duration: int = Field(ge=1, le=LONGEST_LEASE)
    written_at: Instant
    expires_at: Instant
    host: str
    version: int
    marks: dict[str, Instant] = Field(default_factory=dict)


class Claim(Record):
    """A grant: its task or none, its locks, one lease and one token.

    `place` is the checkout that it was made from. `queued` claims wait in the merge queue: they don't expire. `head`
    is the last commit of its work that is known, `pushed` the one that is known to be on the remote, as branch `pushed_to`.
    """

    id: ClaimId
    worker: WorkerId
    worker_type: WorkerType
    task: TaskId | None = None
    token: int
    locks: tuple[Held, ...] = ()
    claimed_at: Instant
    branch: str | None = None
    lease: Lease
    queued: bool = False
    place: str = ""
    reason: str | None = None
    head: str | None = None
    pushed: str | None = None
    pushed_to: str | None = None

    def mode(self, resource: str) -> Mode | None:
        """How this claim holds exactly that resource."""
        return next((held.mode for held in self.locks if held.resource == resource), None)

    def public(self) -> list[dict[str, Any]]:
        """The claim's locks as `--json` shows them: one record for each mode that occurs."""
        modes = sorted({held.mode for held in self.locks}) or [Mode.EXCLUSIVE]
        return [self._lock(mode) for mode in modes]

    def _lock(self, mode: Mode) -> dict[str, Any]:
        data = self.model_dump(mode="json", by_alias=True)
        return {
            "taskId": self.task,
            "workerId": self.worker,
            "workerType": self.worker_type.value,
            "claimedAt": data["claimedAt"],
            "lockedFiles": [held.resource for held in self.locks if held.mode is mode],
            "branchName": self.branch,
            "expiresAt": None if self.queued else data["lease"]["expiresAt"],
            "mode": mode.value,
            "token": self.token,
        }


GIVEN_BACK = frozenset({"released", "failed", "merged", "completed", "absorbed", "unlocked"})
"""Ways in which a claim ends by its holder's own doing: what is left of its work may be committed and pushed."""


class Ended(Record):
    """What became of a claim that is no more, so that its holder can be told."""

    how: str
    by: WorkerId
    at: Instant
    counter: int
    task: TaskId | None = None
    worker: WorkerId


def merged_locks(*groups: tuple[Held, ...]) -> tuple[Held, ...]:
    """All locks of the groups, each resource once, exclusive where any of them is."""
    found: dict[str, Held] = {}
    for held in (held for group in groups for held in group):
        known = found.get(held.resource)
        if known is None or held.mode < known.mode:
            found[held.resource] = held
    return tuple(found[resource] for resource in sorted(found))


def fresh(lease: Lease, now: datetime) -> bool:
    """Whether more than half of it is left and nobody thinks that it is over, so that it needn't be renewed."""
    return lease.expires_at - now > timedelta(seconds=lease.duration / 2) and not lease.marks


def overdue(lease: Lease, now: datetime, settings: Settings) -> bool:
    """Whether by this clock alone the lease and the tolerated skew have passed."""
    return now - timedelta(seconds=settings.skew) > lease.expires_at


def implausible(lease: Lease, now: datetime, settings: Settings) -> bool:
    """Whether by this clock the lease was written in the future: it then counts from first sight."""
    return lease.expires_at > now + timedelta(seconds=lease.duration + settings.skew)


def suspicious(lease: Lease, now: datetime, host: str, settings: Settings) -> bool:
    """Whether it looks over to a host, which hasn't said so yet."""
    return host not in lease.marks and (overdue(lease, now, settings) or implausible(lease, now, settings))


def ended(lease: Lease, now: datetime, host: str, clocks: Mapping[str, datetime], settings: Settings) -> bool:
    """Whether `host`, whose clock says `now`, may treat the lease as over.

    `clocks` has the last moment at which each host wrote to the ledger, by its own clock. One wrong clock alone
    must neither steal nor block, so a lease is over when two clocks say so; when the one clock that wrote it says
    so; or when this host has waited long enough since its own mark, which any renewal clears.
    """
    mark = lease.marks.get(host)
    if implausible(lease, now, settings):
        return mark is not None and now - timedelta(seconds=lease.duration + settings.skew) > mark
    if not overdue(lease, now, settings):
        return False
    if lease.host == host:
        return True
    if any(other != host and overdue(lease, clock, settings) for other, clock in clocks.items()):
        return True
    return mark is not None and now - timedelta(seconds=settings.suspicion) >= mark
