"""What decides a grant, kept in the ledger so that every clone decides alike."""

from __future__ import annotations

from pydantic import Field

from gitpw.domain.ids import WorkerId
from gitpw.domain.record import Record

LONGEST_LEASE = 366 * 86_400
"""Seconds: no ledger can allow more."""


class Settings(Record):
    """Durations are in seconds.

    With `signed`, each operation is signed by its worker's key. `administrators` are those who may overrule where a
    key is concerned; none before it was first turned on.
    """

    case_insensitive: bool = False
    skew: int = Field(default=300, ge=0, le=86_400)
    suspicion: int = Field(default=600, ge=0, le=86_400)
    longest_lease: int = Field(default=7 * 86_400, ge=60, le=LONGEST_LEASE)
    signed: bool = False
    administrators: tuple[WorkerId, ...] = ()
