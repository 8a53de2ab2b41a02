"""Say how far the work has come."""

from __future__ import annotations

from gitpw.domain.ids import TaskId
from gitpw.domain.operation import Report
from gitpw.domain.progress import Progress
from gitpw.errors import InvalidError
from gitpw.services.asking import ask, my_task
from gitpw.services.ports import Context


def progress(
    ctx: Context,
    task: TaskId | None = None,
    *,
    step: str | None = None,
    done: int | None = None,
    total: int | None = None,
    percent: int | None = None,
    eta: int | None = None,
) -> Progress:
    """Record a step, a percentage or the minutes that are left; what isn't given stays as it was."""
    name, own = my_task(ctx, task)
    request = Report(
        task=name,
        claim=own and own.claim,
        token=own and own.token,
        step=step,
        done=done,
        total=total,
        percent=percent,
        eta=eta,
    )
    _, answer = ask(ctx, request)
    found = answer.board.progress(name)
    if found is None:
        raise InvalidError(f"{name} has no progress")
    return found
