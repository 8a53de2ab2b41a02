"""Go on merging."""

from __future__ import annotations

from gitpw.domain.operation import Resume
from gitpw.services.asking import ask
from gitpw.services.ports import Context


def resume(ctx: Context) -> bool:
    """End a pause, and a freeze by a red base branch; whether there was one."""
    done, _ = ask(ctx, Resume())
    return done.changed
