"""All of it at once: the state, tasks by what became of them, the last day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitpw.domain.history import DAY
from gitpw.domain.ids import TaskId
from gitpw.domain.task import TaskStatus
from gitpw.services.overview import HELD_BACK, MERGED, sorted_out
from tests.cli.conftest import NOW, a_task
from tests.support.day import told

if TYPE_CHECKING:
    from pathlib import Path


def test_tasks_are_sorted_out() -> None:
    """Merged ones count as such, those that wait for others too; what is done with isn't listed."""
    tasks = [
        a_task(1, priority=4),
        a_task(2, priority=1),
        a_task(3, merged_at=NOW, status=TaskStatus.COMPLETED),
        a_task(4, status=TaskStatus.CANCELLED),
        a_task(5),
    ]
    counts, listed = sorted_out(tasks, {TaskId("task-005")})
    assert counts == {
        (4, "pending"): 1,
        (1, "pending"): 1,
        (3, MERGED): 1,
        (3, "cancelled"): 1,
        (3, HELD_BACK): 1,
    }
    assert {kind: [task.id for task in found] for kind, found in listed.items()} == {
        "pending": ["task-002", "task-001"],
        HELD_BACK: ["task-005"],
    }


def test_a_day(tmp_path: Path) -> None:
    """The state and how it came to that are of the same moment."""
    seen = told(tmp_path).seen()
    assert seen.counts[5, HELD_BACK] == 1
    assert sum(number for (_, kind), number in seen.counts.items() if kind == MERGED) == 2
    assert [task.id for task in seen.listed["failed"]] == ["task-006"]
    assert [life.task[-1] for life in seen.lives] == list("1236457")
    assert set(seen.titles) == {life.task for life in seen.lives}
    assert seen.end - seen.begin == DAY
    assert seen.history.total.merged == 2


def test_two_days_later(tmp_path: Path) -> None:
    """What ended before isn't shown any more; what goes on is."""
    seen = told(tmp_path).at(2 * 24 * 60).seen()
    assert [life.task[-1] for life in seen.lives] == list("2457")
