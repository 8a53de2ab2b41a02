"""What waits for what: a task for its dependencies, and a whole for its parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from gitpw.domain.ids import TaskId

Edges = Callable[[TaskId], Iterable[TaskId]]
"""What a task waits for."""


class CircleError(Exception):
    """Some tasks wait for each other: each for the next, the last is the first again."""

    def __init__(self, tasks: list[TaskId]) -> None:
        super().__init__(" → ".join(tasks))
        self.tasks = tasks


def ordered(starts: Iterable[TaskId], waits_for: Edges) -> list[TaskId]:
    """All that can be reached from some tasks, each after what it waits for; raises `CircleError`."""
    order: list[TaskId] = []
    done: set[TaskId] = set()
    for start in starts:
        way: dict[TaskId, Iterator[TaskId]] = {}
        if start not in done:
            way[start] = iter(waits_for(start))
        while way:
            task = next(reversed(way))
            needed = next(way[task], None)
            if needed is None:
                del way[task]
                done.add(task)
                order.append(task)
            elif needed in way:
                names = list(way)
                raise CircleError([*names[names.index(needed) :], needed])
            elif needed not in done:
                way[needed] = iter(waits_for(needed))
    return order


def reached(starts: Iterable[TaskId], edges: Edges) -> set[TaskId]:
    """All that can be reached from some tasks, themselves included."""
    found = set(starts)
    todo = list(found)
    while todo:
        for name in edges(todo.pop()):
            if name not in found:
                found.add(name)
                todo.append(name)
    return found
