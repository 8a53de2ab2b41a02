"""What waits to land on the base branch."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from gitpw.domain.ids import ClaimId, TaskId, WorkerId
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


class Merge(Record):
    """An entry of the merge queue: `head` is what the owner handed in, `base` what it was built on."""

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

    def public(self, position: int) -> dict[str, Any]:
        """The record as `--json` shows it, at its place in line."""
        data = self.model_dump(mode="json", by_alias=True, exclude={"base", "claim"})
        return data | {"position": position}
