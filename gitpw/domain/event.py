"""One operation that was applied, as pages, metrics and the log need it: flat, and cheap to make a hundred thousand times.

What comes from the ledger has been checked for its shape alone: names and words may be anybody's, and are escaped where
they are shown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

EARLIEST, LATEST = 0, 253_370_764_800
"""The moments that any clock can show in any time zone, in seconds since 1970: up to the year 9999."""


class Event(NamedTuple):
    """One step of the ledger; `counter` is the order of everything, `at` only what its writer's clock said, in seconds.

    `tasks` are names with a blank between them. `detail` and `facts` are JSON objects as text: what people and
    programs are told of it, and what only history needs of it; no facts are "".
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

    @property
    def moment(self) -> datetime:
        """When it happened, by its writer's clock."""
        return datetime.fromtimestamp(self.at, UTC)

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


def _object(text: str) -> dict[str, Any]:
    found = json.loads(text)
    return found if isinstance(found, dict) else {}
