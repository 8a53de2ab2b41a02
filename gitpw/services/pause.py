"""Merge nothing for now, or nothing below a priority."""

from __future__ import annotations

from gitpw.domain.merge import Pause
from gitpw.domain.operation import Stop
from gitpw.services.asking import ask
from gitpw.services.ports import Context


def pause(ctx: Context, below: int | None = None, reason: str = "") -> Pause | None:
    """Nothing lands until somebody resumes; the pause that holds now."""
    _, answer = ask(ctx, Stop(below=below, reason=reason))
    return answer.board.line.pause
