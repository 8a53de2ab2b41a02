"""Add the tasks of a file, all or none."""

from __future__ import annotations

from typing import NamedTuple

from gitpw.domain.batch import Format, placed, read
from gitpw.domain.ids import task_number
from gitpw.domain.operation import Add, NewTask, Refused
from gitpw.domain.task import Task
from gitpw.errors import PwError
from gitpw.services.asking import begin_signing, canonical, granted, settle
from gitpw.services.ports import Context


class Imported(NamedTuple):
    """The tasks of the file, in its order, and those of them that are new."""

    tasks: list[Task]
    added: list[Task]


def import_tasks(ctx: Context, name: str, text: str, how: Format | None = None) -> Imported:
    """Add what isn't known by its key yet; an error names the line. Files are relative to the current folder."""
    entries = read(name, text, how)
    if not entries:
        return Imported([], [])
    known: dict[tuple[str, ...], tuple[str, ...]] = {}
    tasks: list[NewTask] = []
    for entry in entries:
        files = entry.task.files
        if files not in known:
            try:
                known[files] = canonical(ctx, files)
            except PwError as error:
                raise placed(name, entry.line, error) from error
        tasks.append(entry.task.but(files=known[files]))
    settle(ctx)
    begin_signing(ctx)
    answer = ctx.ledger.transact(Add(tasks=tuple(tasks)), ctx.me)
    if isinstance(answer.outcome, Refused) and "entry" in answer.outcome.data:
        line = entries[answer.outcome.data["entry"]].line
        message = f"{name}:{line}: {answer.outcome.message}"
        granted(answer.outcome.but(message=message, data={**answer.outcome.data, "line": line}))
    done = granted(answer.outcome)
    found = [task for task in map(answer.board.task, done.tasks) if task is not None]
    before = answer.board.meta.tasks - int(done.detail.get("added", 0))
    return Imported(found, [task for task in found if done.changed and task_number(task.id) > before])
