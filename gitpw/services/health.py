"""Whether anything needs a person."""

from __future__ import annotations

from gitpw.services.ports import Context
from gitpw.services.status import status


def health(ctx: Context) -> list[str]:
    """The problems, in words; empty where all is well."""
    return status(ctx).warnings
