"""How tasks hang together."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.graph import reached
from gitpw.domain.ids import TaskId, task_number
from gitpw.domain.reasons import Blocker, blockers
from gitpw.domain.task import Task
from gitpw.services.ports import Context
from gitpw.services.show_task import known_task


class Edge(NamedTuple):
    """A tie between two tasks: `after` and `parent` block, `related` and `found-by` don't.

    `source` is what must be merged first, the whole, the other one, or what somebody was working on.
    """

    source: TaskId
    target: TaskId
    kind: str


class Graph(NamedTuple):
    """Tasks in the order of creation, and their ties; `blocked` are those that wait in vain, and for what."""

    tasks: list[Task]
    edges: list[Edge]
    blocked: dict[TaskId, Blocker]
    as_of: datetime | None


def graph(ctx: Context, task: TaskId | None = None, *, everything: bool = False) -> Graph:
    """The open tasks and what they wait for; or one task with all that it waits for and that waits for it."""
    board, as_of, _ = ctx.ledger.freshest()
    found: dict[TaskId, Task] = {}
    if task is not None:
        known_task(board, task)
        names = reached([task], lambda name: _up(board, name)) | reached(
            [task], lambda name: _down(board, name)
        )
        found = {name: one for name in names if (one := board.task(name)) is not None}
    else:
        for one in board.tasks():
            if everything or one.is_open:
                found[one.id] = one
        for one in list(found.values()):
            found |= {name: dead for name in board.unmet(one) if (dead := board.task(name)) is not None}
    tasks = sorted(found.values(), key=lambda one: task_number(one.id))
    edges = [edge for one in tasks for edge in _edges(one) if edge.source in found]
    return Graph(tasks, edges, blockers(board), as_of)


def _up(board: Board, name: TaskId) -> list[TaskId]:
    """What a task waits for."""
    task = board.task(name)
    return [] if task is None else [*task.dependencies, *board.parts(name)]


def _down(board: Board, name: TaskId) -> list[TaskId]:
    """What waits for a task."""
    task = board.task(name)
    whole = [] if task is None or task.parent is None else [task.parent]
    return [*board.dependents(name), *whole]


def _edges(task: Task) -> Iterator[Edge]:
    for name in task.dependencies:
        yield Edge(name, task.id, "after")
    if task.parent is not None:
        yield Edge(task.parent, task.id, "parent")
    for name in task.related:
        yield Edge(name, task.id, "related")
    if task.found_by is not None:
        yield Edge(task.found_by, task.id, "found-by")
