"""One operation that was applied, as pages, metrics and the log need it: flat, and cheap to make a hundred thousand times.

What comes from the ledger has been checked for its shape alone: names and words may be anybody's, and are escaped where
they are shown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from gitpw.domain.ids import isoformat

EARLIEST, LATEST = 0, 253_370_764_800
"""The moments that any clock can show in any time zone, in seconds since 1970: up to the year 9999."""


class Event(NamedTuple):
    """One step of the ledger; `counter` is the order of everything, `at` only what its writer's clock said, in seconds.

    `tasks` are names with a blank between them. `detail` and `facts` are JSON objects as text: what people and
    programs are told of it, and what only history needs of it; no facts are "". `signature` is "verified",
    "signed" (before this clone joined) or "unsigned"; None where nobody ever asked for any, or hasn't looked.
    """

    counter: int
    at: int
    id: str
    commit: str
    worker: str
    verb: str
    tasks: str
    subject: str
    detail: str = "{}"
    facts: str = ""
    signature: str | None = None

    @property
    def moment(self) -> datetime:
        """When it happened, by its writer's clock."""
        return datetime.fromtimestamp(self.at, UTC)

    @property
    def task_id(self) -> str | None:
        """The one task that it is about; None where there are more, or none."""
        return self.tasks if self.tasks and " " not in self.tasks else None

    @property
    def task_ids(self) -> list[str]:
        """The tasks that it is about."""
        return self.tasks.split()

    @property
    def data(self) -> dict[str, Any]:
        """The detail as values."""
        return _object(self.detail)

    @property
    def known(self) -> Mapping[str, Any]:
        """The facts as values."""
        return _object(self.facts) if self.facts else {}

    def public(self) -> dict[str, Any]:
        """The event as `--json` shows it."""
        return {
            "counter": self.counter,
            "id": self.id,
            "at": isoformat(self.moment),
            "workerId": self.worker,
            "verb": self.verb,
            "taskId": self.task_id,
            "detail": self.data,
            **({"signature": self.signature} if self.signature is not None else {}),
        }


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
