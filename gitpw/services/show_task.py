"""One task, with all that is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.ids import TaskId
from gitpw.domain.limits import time_limit
from gitpw.domain.lock import Claim
from gitpw.domain.progress import Progress
from gitpw.domain.reasons import blockers
from gitpw.domain.task import Task
from gitpw.domain.worker import Worker
from gitpw.errors import InvalidError
from gitpw.services.expecting import expecting
from gitpw.services.leftovers import Leftover, leftovers
from gitpw.services.ports import Context


class Shown(NamedTuple):
    """A task, who holds it and how far it is, what it has to do with others, and why it is blocked.

    `time_limit` is how long, in seconds, an agent may work on it: its holder, or who asks.
    """

    task: Task
    claim: Claim | None
    progress: Progress | None
    waits_for: list[str]
    dependents: list[TaskId]
    blocked: str | None
    as_of: datetime | None
    parts: Sequence[Task] = ()
    related: Sequence[TaskId] = ()
    found: Sequence[TaskId] = ()
    time_limit: int | None = None
    left: Sequence[Leftover] = ()


def known_task(board: Board, task: TaskId) -> Task:
    """The task of that id; raises `InvalidError` where there is none."""
    found = board.task(task)
    if found is None:
        raise InvalidError(f"there is no {task}", hint="see 'git pw task list'")
    return found


def show_task(ctx: Context, task: TaskId) -> Shown:
    """All that is known of a task, as of the last state that could be had."""
    board, as_of, _ = ctx.ledger.freshest()
    found = known_task(board, task)
    claim = None if found.claim is None else board.claim(found.claim)
    waits = [name for name in board.unmet(found) if found.merged_at is None]
    parts = [part for name in board.parts(task) if (part := board.task(name)) is not None]
    known = expecting(ctx, board, [claim]) if claim is not None else ()
    progress = next(iter(known), board.progress(task))
    holder = board.worker(found.assigned_to or ctx.me.worker)
    return Shown(
        task=found,
        claim=claim,
        progress=progress,
        waits_for=[*waits, *board.open_parts(task)],
        dependents=board.dependents(task),
        blocked=_blocked(board, found),
        as_of=as_of,
        parts=parts,
        related=board.relatives(found),
        found=board.findings(task),
        time_limit=time_limit(ctx.policy, found, holder or Worker(id=ctx.me.worker, type=ctx.me.type)),
        left=leftovers(ctx, found, ask=as_of is None),
    )


def _blocked(board: Board, task: Task) -> str | None:
    blocker = blockers(board).get(task.id)
    if blocker is None:
        return None
    ends = "doesn't exist" if blocker.task is None else f"is {blocker.state}"
    if blocker.name in task.dependencies:
        return f"it waits for {blocker.name}, which {ends}"
    return f"what it waits for waits for {blocker.name}, which {ends}"
