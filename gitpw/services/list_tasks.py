"""The tasks, as of the last state that could be had."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from gitpw.domain.aging import seated
from gitpw.domain.board import Board
from gitpw.domain.grant import Sweep, enlisted
from gitpw.domain.ids import OperationId, TaskId
from gitpw.domain.operation import Operation, Take
from gitpw.domain.prospect import candidates
from gitpw.domain.reasons import Blocker, Reason, blockers, reasons
from gitpw.domain.schedule import come_back
from gitpw.domain.task import Task, TaskStatus
from gitpw.errors import InvalidError
from gitpw.services.ports import Context


class Listed(NamedTuple):
    """Tasks; `as_of` says how old the answer is where the remote couldn't be asked.

    `blocked` has those that wait in vain, each with the task that is to blame. `reasons` says why the open tasks that
    aren't listed can't be claimed now; None where that wasn't asked.
    """

    tasks: list[Task]
    as_of: datetime | None
    blocked: dict[TaskId, Blocker] = {}  # noqa: RUF012 - never changed
    reasons: list[Reason] | None = None


def list_tasks(ctx: Context, *, status: str | None = None, ready: bool = False, mine: bool = False) -> Listed:
    """All tasks but those merged or cancelled, or those of one status; the ready ones in the order of claiming."""
    if status is not None and status not in list(TaskStatus):
        raise InvalidError(f"{status!r} is no status", hint=f"one of {', '.join(TaskStatus)}")
    board, as_of, _ = ctx.ledger.freshest()
    blocked = blockers(board)
    if ready:
        tasks, why = outlook(ctx, board)
        found = [task for task in tasks if status in {None, task.status.value}]
        return Listed(_mine(ctx, found, mine=mine), as_of, blocked, why)
    found = [task for task in board.tasks() if _shown(task, status)]
    return Listed(_mine(ctx, found, mine=mine), as_of, blocked)


def outlook(ctx: Context, board: Board) -> tuple[list[Task], list[Reason]]:
    """What I could claim now, best first, and why I couldn't claim the rest; the board isn't used afterwards."""
    request = Take(lease=1)
    operation = Operation(
        id=OperationId("0" * 32), author=ctx.me, seen=board.counter, at=ctx.clock.now(), request=request
    )
    come_back(board, operation)
    worker = enlisted(board, operation)
    prospects = candidates(board, operation, request, worker, seated(board, operation.at))
    free = [prospect.task for prospect in prospects if isinstance(prospect.found, Sweep)]
    listed = {task.id for task in free}
    told = reasons(board, operation, worker)
    return free, [one for one in told if one.task not in listed or one.code == "room"]


def _mine(ctx: Context, tasks: Iterable[Task], *, mine: bool) -> list[Task]:
    return [task for task in tasks if not mine or task.assigned_to == ctx.me.worker]


def _shown(task: Task, status: str | None) -> bool:
    return task.is_open if status is None else task.status == status
