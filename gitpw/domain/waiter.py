"""Who waits, and for what."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from gitpw.domain.ids import ClaimId, OperationId, TaskId, WorkerId
from gitpw.domain.lock import Held
from gitpw.domain.record import Instant, Record
from gitpw.domain.worker import WorkerType


class Waiter(Record):
    """A place in the queue: `ticket` is the counter of the operation that gave it, and the lower one goes first.

    It waits for a task, for any task, or for locks. `holding` are the claims of the checkout that waits, and `into`
    the one that the locks are for. It stands `until` then without a sign of life; `calls` says when a host first
    asked for one: see `turns`.
    """

    ticket: int = Field(ge=1)
    operation: OperationId
    verb: Literal["claim", "lock"]
    worker: WorkerId
    worker_type: WorkerType
    host: str
    place: str = ""
    task: TaskId | None = None
    locks: tuple[Held, ...] = ()
    shared: bool = False
    into: ClaimId | None = None
    holding: tuple[ClaimId, ...] = ()
    since: Instant
    until: Instant
    calls: dict[str, Instant] = Field(default_factory=dict)

    @property
    def takes_any(self) -> bool:
        """Whether any task will do."""
        return self.verb == "claim" and self.task is None

    @property
    def wish(self) -> str:
        """What it waits for, in words."""
        names = [held.resource for held in self.locks]
        if self.verb == "claim":
            names.insert(0, self.task or "a task")
        return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if names[3:] else "")

    def public(self, place: int) -> dict[str, Any]:
        """The wait as `--json` shows it; `place` counts from one."""
        data = self.to_data()
        return {
            "workerId": self.worker,
            "workerType": self.worker_type.value,
            "verb": self.verb,
            "taskId": self.task,
            "files": [held.resource for held in self.locks],
            "mode": "shared" if self.shared else "exclusive",
            "since": data["since"],
            "until": data["until"],
            "place": place,
        }
