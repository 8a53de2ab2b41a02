"""One task, with all that is known of it."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.ids import TaskId
from gitpw.domain.lock import Claim
from gitpw.domain.progress import Progress
from gitpw.domain.task import Task, TaskStatus
from gitpw.errors import InvalidError
from gitpw.services.ports import Context


class Shown(NamedTuple):
    """A task, who holds it and how far it is, what it waits for and what waits for it, and why it is blocked."""

    task: Task
    claim: Claim | None
    progress: Progress | None
    waits_for: list[str]
    dependents: list[TaskId]
    blocked: str | None
    as_of: datetime | None


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
    return Shown(
        found, claim, board.progress(task), list(waits), board.dependents(task), _blocked(board, waits), as_of
    )


def _blocked(board: Board, waits: list[TaskId]) -> str | None:
    for name in waits:
        needed = board.task(name)
        if needed is None:
            return f"it waits for {name}, which doesn't exist"
        if needed.status in {TaskStatus.FAILED, TaskStatus.CANCELLED}:
            return f"it waits for {name}, which is {needed.status}"
    return None
