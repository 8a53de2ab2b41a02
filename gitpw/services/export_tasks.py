"""Write tasks as a file that can be imported, here or elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from gitpw.domain.batch import Format, written
from gitpw.domain.board import Board
from gitpw.domain.ids import TaskId
from gitpw.domain.operation import NewTask
from gitpw.domain.planning import export_key
from gitpw.domain.task import Task, TaskStatus
from gitpw.errors import InvalidError
from gitpw.services.ports import Context


class Exported(NamedTuple):
    """The file, how many tasks are in it, and the ties to tasks that aren't: they are left out of it."""

    text: str
    tasks: list[NewTask]
    left_out: list[str]


def export_tasks(ctx: Context, how: Format, statuses: Sequence[str] = ()) -> Exported:
    """The open tasks, or those of some statuses, with keys under which they are known when they are imported."""
    for status in statuses:
        if status not in list(TaskStatus):
            raise InvalidError(f"{status!r} is no status", hint=f"one of {', '.join(TaskStatus)}")
    board, _, _ = ctx.ledger.freshest()
    chosen = [task for task in board.tasks() if (task.status in statuses if statuses else task.is_open)]
    keys = {task.id: export_key(board, task) for task in chosen}
    left_out = [line for task in chosen for line in _loose(board, task, keys)]
    tasks = [_exported(task, keys) for task in chosen]
    return Exported(written(tasks, how, _toml()), tasks, left_out)


def _toml() -> Callable[[Mapping[str, object]], str]:
    import tomli_w

    return tomli_w.dumps


def _exported(task: Task, keys: Mapping[TaskId, str]) -> NewTask:
    return NewTask(
        key=keys[task.id],
        title=task.title,
        type=task.type,
        description=task.description,
        priority=task.priority,
        files=task.files,
        after=tuple(keys[name] for name in task.dependencies if name in keys),
        skills=task.required_skills,
        estimate=task.estimated_duration,
        issue=task.metadata.issue_number,
        parent=keys.get(task.parent) if task.parent else None,
        related=tuple(keys[name] for name in task.related if name in keys),
        found_by=keys.get(task.found_by) if task.found_by else None,
    )


def _loose(board: Board, task: Task, keys: Mapping[TaskId, str]) -> list[str]:
    """What a task would lose: ties to what isn't exported, but for what is merged and needn't be waited for."""
    ties = [("comes after", name) for name in task.dependencies]
    ties += [("is a part of", task.parent)] if task.parent else []
    missing = [(how, name) for how, name in ties if name not in keys]
    return [f"{task.id} {how} {name}, which isn't exported" for how, name in missing if _counts(board, name)]


def _counts(board: Board, name: TaskId) -> bool:
    task = board.task(name)
    return task is not None and task.merged_at is None
