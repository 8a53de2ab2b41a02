"""What waits to land on the base branch, and what holds for the queue as a whole."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field

from gitpw.domain.ids import ClaimId, TaskId, WorkerId
from gitpw.domain.lock import Lease
from gitpw.domain.record import Instant, Record


class MergeState(StrEnum):
    """Where an entry of the merge queue stands."""

    QUEUED = "queued"
    REBASING = "rebasing"
    TESTING = "testing"
    WAITING = "waiting"
    LANDING = "landing"
    MERGED = "merged"
    CONFLICT = "conflict"
    FAILED = "failed"


RETURNED = frozenset({MergeState.CONFLICT, MergeState.FAILED})
"""With its owner again; `complete` puts it back in line, at its place."""

AT_WORK = frozenset({MergeState.REBASING, MergeState.TESTING})
"""What a merger says of an entry while it is at it."""


class Merge(Record):
    """An entry of the merge queue: `head` is what the owner handed in, `base` what it was built on.

    `rank` is greater the later somebody put the entry first, `tries` how often it was put back in line as it was:
    results of tests before that don't count. `data` is what the detail says, for programs. `landing` is the commit
    that the base branch was about to be moved to, and `onto` where it stood; `pushed` what the merger pushed to the
    branch in place of `head`.
    """

    task_id: TaskId
    worker_id: WorkerId
    branch_name: str | None
    position: int
    state: MergeState = MergeState.QUEUED
    detail: str = ""
    queued_at: Instant
    updated_at: Instant
    head: str | None = None
    pr_url: str | None = None
    base: str | None = None
    claim: ClaimId
    rank: int = 0
    tries: int = 0
    data: dict[str, Any] = Field(default_factory=dict)
    landing: str | None = None
    onto: str | None = None
    pushed: str | None = None

    @property
    def tip(self) -> str | None:
        """Where the branch stands on the remote if nobody moved it."""
        return self.pushed or self.head

    def public(self, position: int) -> dict[str, Any]:
        """The record as `--json` shows it, at its place in line."""
        data = self.model_dump(mode="json", by_alias=True, exclude=set(INTERNAL))
        return data | {"position": position}


INTERNAL = frozenset({"base", "claim", "rank", "tries", "data", "landing", "onto", "pushed"})


class Merger(Record):
    """Who runs the queue now; `place` is the clone, in which only one at a time can."""

    worker: WorkerId
    host: str
    place: str
    token: int
    lease: Lease


class Pause(Record):
    """Nothing is merged, or nothing of a lower priority than `below`."""

    by: WorkerId
    at: Instant
    reason: str = ""
    below: int | None = None

    def holds(self, priority: int) -> bool:
        """Whether a task of that priority has to wait."""
        return self.below is None or priority > self.below


class Freeze(Record):
    """The base branch itself was red at this commit."""

    commit: str
    at: Instant
    detail: str = ""


class Line(Record):
    """What holds for the queue as a whole.

    `ranks` and `resumes` count what people did; `landed` is the commit that the queue last moved the base branch to,
    and `tests` says by which tests it was green.
    """

    merger: Merger | None = None
    window: int | None = None
    pause: Pause | None = None
    freeze: Freeze | None = None
    ranks: int = 0
    resumes: int = 0
    landed: str | None = None
    tests: str | None = None
