"""The machine's clock."""

from __future__ import annotations

from datetime import UTC, datetime


class SystemClock:
    """The time of day, as this machine has it."""

    def now(self) -> datetime:
        """The moment, in UTC."""
        return datetime.now(UTC)
