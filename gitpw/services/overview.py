"""All of it at once, for a page: the state, the tasks by what became of them, the last day, and history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from gitpw.domain.history import DAY, History, Life
from gitpw.domain.ids import TaskId
from gitpw.domain.task import Task
from gitpw.services.history import chart, history
from gitpw.services.ports import Context
from gitpw.services.status import Status, status

MOST = 200
"""Tasks of each kind that are listed, and rows of the timeline; the others are counted."""

HELD_BACK = "held back"
MERGED = "merged"


class Overview(NamedTuple):
    """What a page shows, and when it was `now`.

    `counts` is how many tasks there are by priority and by what became of them: their status, and "merged" or "held
    back" by what they need. `listed` are some of those that are open. `lives` is what went on between `begin` and `end`,
    in seconds since 1970, of the tasks in `titles`.
    """

    now: datetime
    status: Status
    counts: Mapping[tuple[int, str], int]
    listed: Mapping[str, Sequence[Task]]
    history: History
    lives: Sequence[Life]
    titles: Mapping[str, str]
    begin: int
    end: int


def overview(ctx: Context, *, offline: bool = False) -> Overview:
    """The state as `status` tells it, and how it came to that.

    The first time, the history that isn't here is fetched.
    """
    found = status(ctx, offline=offline)
    board = ctx.ledger.board()
    so_far = history(ctx, whole=not offline and found.current)
    now = ctx.clock.now()
    end = int(now.timestamp())
    lives = chart(ctx, so_far, end - DAY, end, MOST)
    held_back = {task.id for task in board.waiting()}
    counts, listed = sorted_out(board.tasks(), held_back)
    tasks = ((life.task, board.task(TaskId(life.task))) for life in lives)
    return Overview(
        now=now,
        status=found,
        counts=counts,
        listed=listed,
        history=so_far,
        lives=lives,
        titles={name: task.title for name, task in tasks if task is not None},
        begin=end - DAY,
        end=end,
    )


def sorted_out(
    tasks: Iterable[Task], held_back: set[TaskId]
) -> tuple[dict[tuple[int, str], int], dict[str, list[Task]]]:
    """How many there are of each priority and kind, and the most urgent ones of each kind that isn't done with."""
    counts: dict[tuple[int, str], int] = {}
    found: dict[str, list[Task]] = {}
    for task in tasks:
        kind = MERGED if task.merged_at else HELD_BACK if task.id in held_back else task.status.value
        counts[task.priority, kind] = counts.get((task.priority, kind), 0) + 1
        if task.is_open:
            found.setdefault(kind, []).append(task)
    return counts, {
        kind: sorted(of_kind, key=lambda task: task.priority)[:MOST] for kind, of_kind in found.items()
    }
