"""What waits to land."""

from __future__ import annotations

from typing import Any, NamedTuple

from gitpw.domain.lineup import lined_up
from gitpw.domain.merge import Line, Merge
from gitpw.services.ports import Context


class Merges(NamedTuple):
    """The merge queue, first in line first; what holds for it as a whole, for people and for programs."""

    entries: list[Merge]
    queue: dict[str, Any]
    notes: list[str]


def merges(ctx: Context) -> Merges:
    """The merge queue as of the last state that could be had."""
    board, _, _ = ctx.ledger.freshest()
    line = board.line
    return Merges(lined_up(board), _public(line), list(_notes(line)))


def _public(line: Line) -> dict[str, Any]:
    data = line.model_dump(mode="json", by_alias=True)
    merger = line.merger
    return {
        "merger": None
        if merger is None
        else {
            "workerId": merger.worker,
            "host": merger.host,
            "expiresAt": data["merger"]["lease"]["expiresAt"],
        },
        "pause": data["pause"],
        "freeze": data["freeze"],
        "window": line.window,
    }


def _notes(line: Line) -> list[str]:
    notes = []
    if line.merger is not None:
        notes.append(f"{line.merger.worker} runs the queue on {line.merger.host}")
    if line.pause is not None:
        which = "" if line.pause.below is None else f" below priority {line.pause.below}"
        why = f": {line.pause.reason}" if line.pause.reason else ""
        notes.append(f"paused{which} by {line.pause.by}{why} ('git pw merge resume' ends it)")
    if line.freeze is not None:
        notes.append(
            f"frozen: the base branch is red at {line.freeze.commit[:12]}: {line.freeze.detail} "
            "('git pw merge resume' tries again)"
        )
    return notes
