"""Whose turn it is in the merge queue: completion order within dependencies and priority."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.ids import TaskId
from gitpw.domain.merge import RETURNED, Merge
from gitpw.domain.task import Task, TaskStatus


class Held(NamedTuple):
    """An entry that can't be merged now, and why."""

    entry: Merge
    reason: str


class Lineup(NamedTuple):
    """The entries that may land, next first, and the others."""

    ready: list[Merge]
    held: list[Held]


def lined_up(board: Board) -> list[Merge]:
    """The whole queue in the order in which it would land: what was put first, then by priority, then by completion."""
    entries = board.merges()
    tasks = {entry.task_id: board.task(entry.task_id) for entry in entries}
    return sorted(entries, key=lambda entry: (-entry.rank, _priority(tasks, entry), entry.position))


def _priority(tasks: Mapping[TaskId, Task | None], entry: Merge) -> int:
    task = tasks[entry.task_id]
    return 5 if task is None else task.priority


def lineup(board: Board) -> Lineup:
    """Who may land now, each after what it depends on, and what keeps the others."""
    held: list[Held] = []
    candidates: list[Merge] = []
    for entry in lined_up(board):
        reason = _reason(board, entry)
        if reason is None:
            candidates.append(entry)
        else:
            held.append(Held(entry, reason))
    ready, waiting = _ordered(board, candidates)
    return Lineup(ready, held + waiting)


def _reason(board: Board, entry: Merge) -> str | None:
    """What keeps an entry from landing, dependencies left aside."""
    task = board.task(entry.task_id)
    claim = board.claim(entry.claim)
    if task is None or claim is None or task.claim != claim.id:
        return "its claim is no longer the current one"
    if entry.state in RETURNED:
        return f"back with {entry.worker_id}: {entry.detail}"
    pause = board.line.pause
    if pause is not None and pause.holds(task.priority):
        why = f": {pause.reason}" if pause.reason else ""
        which = "" if pause.below is None else f" below priority {pause.below}"
        return f"{pause.by} paused the queue{which}{why}"
    return None


def _ordered(board: Board, candidates: Sequence[Merge]) -> tuple[list[Merge], list[Held]]:
    """The candidates, each after those that it depends on; and those whose dependencies can't land now."""
    ready: list[Merge] = []
    left = list(candidates)
    placed: set[TaskId] = set()
    while True:
        found = next((entry for entry in left if set(_unmet(board, entry)) <= placed), None)
        if found is None:
            return ready, [Held(entry, waits_for(board, _unmet(board, entry))) for entry in left]
        left.remove(found)
        ready.append(found)
        placed.add(found.task_id)


def _unmet(board: Board, entry: Merge) -> list[TaskId]:
    task = board.task(entry.task_id)
    return [] if task is None else board.unmet(task)


def waits_for(board: Board, names: Sequence[TaskId]) -> str:
    """What an entry waits for, in words."""
    told = []
    for name in names:
        needed = board.task(name)
        if needed is None:
            told.append(f"{name}, which doesn't exist")
        elif needed.status in {TaskStatus.FAILED, TaskStatus.CANCELLED}:
            told.append(f"{name}, which is {needed.status}")
        else:
            told.append(name)
    return f"waits for {', '.join(told)}"
