"""One visit of the doctor: what was found out so far, and how long the remote may still take."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from gitpw.errors import ConfigError
from gitpw.services.ports import Context

PATIENCE = 8.0
"""Seconds that all checks together may wait for a remote."""

LEAST = 1.0
"""Seconds that even the last of them may wait."""


@dataclass
class Visit:
    """`offline` once the remote has failed to answer: nobody waits for it twice. `sound` once the ledger was read."""

    ctx: Context
    fix: bool
    until: float = field(default_factory=lambda: time.monotonic() + PATIENCE)
    offline: bool = False
    sound: bool = False

    @property
    def patience(self) -> float:
        """Seconds that the next question to the remote may take."""
        return max(self.until - time.monotonic(), LEAST)

    @property
    def known(self) -> bool:
        """Whether a ledger is known here that can be read."""
        try:
            return self.ctx.ledger.known() and self.ctx.ledger.board().begun
        except ConfigError:
            return False
