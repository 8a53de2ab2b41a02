"""Why an open task isn't to be had: in words, and as a code for programs.

later      it is ready, but another comes first
room       it is ready, but the worker has no room left
held       a file that it needs is locked
queue      somebody who waits goes first: for it, for a file that it needs, or for any task
reserved   a file that it needs is kept for a task that was passed over too often
skills     it needs skills that the worker doesn't have
waiting    a task that must be merged first isn't, or a part of it is open
blocked    a task that must be merged first has failed for good, was cancelled or doesn't exist
claimed    somebody works on it
backoff    it has failed and is tried again, but not yet
person     it has failed too often or in a way that needs a person
broken     its files can't be read
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gitpw.domain.aging import Reserved, seated
from gitpw.domain.board import Board
from gitpw.domain.grant import Conflict, held_words
from gitpw.domain.ids import ClaimId, TaskId, isoformat
from gitpw.domain.lock import Claim
from gitpw.domain.operation import Operation, Take
from gitpw.domain.prospect import Files, full
from gitpw.domain.task import Task
from gitpw.domain.turns import Before, Turns
from gitpw.domain.worker import Worker
from gitpw.errors import ConfigError


class Reason(NamedTuple):
    """Why a task isn't, or wasn't, chosen."""

    task: TaskId
    code: str
    reason: str

    def public(self) -> dict[str, str]:
        """The reason as `--json` shows it."""
        return {"taskId": self.task, "code": self.code, "reason": self.reason}


class Blocker(NamedTuple):
    """The task at which a row of waiting tasks ends in vain, and how it stands: None where there is no such task."""

    name: TaskId
    task: Task | None

    @property
    def state(self) -> str:
        """How it stands, in a word."""
        return "unknown" if self.task is None else self.task.status.value


def blockers(board: Board) -> dict[TaskId, Blocker]:
    """The tasks that wait in vain, each with the task that is to blame: as many steps as there are such tasks."""
    found: dict[TaskId, Blocker] = {}
    todo: list[Task] = []
    for task in board.blocked():
        for name in board.unmet(task):
            needed = board.task(name)
            if needed is None or needed.is_dead_end:
                found[task.id] = Blocker(name, needed)
                todo.append(task)
                break
    while todo:
        task = todo.pop()
        waiting = [*board.dependents(task.id), *([] if task.parent is None else [task.parent])]
        for name in waiting:
            other = board.task(name)
            if other is not None and other.turn is not None and name not in found:
                found[name] = found[task.id]
                todo.append(other)
    return found


def waits_for(board: Board, task: Task, blocker: Blocker | None = None) -> str:
    """What a task waits for, in words: each with how it stands, and which is to blame if it waits in vain."""
    missing = board.unmet(task)
    parts = list(board.open_parts(task.id))
    told = f"waits for {', '.join(_standing(board, name) for name in missing)}" if missing else ""
    if parts:
        told += f"{', and ' if told else 'is complete when '}{', '.join(parts)} {'is' if len(parts) == 1 else 'are'}"
    if blocker is not None and blocker.name not in missing:
        told += f", blocked by {blocker.name} ({blocker.state})"
    return told


def _standing(board: Board, name: TaskId) -> str:
    return f"{name} ({Blocker(name, board.task(name)).state})"


def reasons(board: Board, operation: Operation, worker: Worker, chosen: Task | None = None) -> list[Reason]:
    """Why each open task isn't, or with `chosen` wasn't, to be had by this worker: looks at every one of them."""
    told = list(_ready(board, operation, worker, chosen))
    for name, missing in board.short_of_skills(frozenset(worker.skills)):
        told.append(Reason(name, "skills", f"needs {', '.join(sorted(missing))}"))
    to_blame = blockers(board)
    for task in board.waiting():
        blocker = to_blame.get(task.id)
        code = "waiting" if blocker is None else "blocked"
        told.append(Reason(task.id, code, waits_for(board, task, blocker)))
    told += [
        Reason(claim.task, "claimed", f"claimed by {claim.worker} {until(claim)}")
        for claim in board.claims()
        if claim.task is not None and not claim.queued
    ]
    told += [_failed(task) for task in board.failed()]
    return [reason for reason in told if chosen is None or reason.task != chosen.id]


def _ready(board: Board, operation: Operation, worker: Worker, chosen: Task | None) -> Iterator[Reason]:
    """Why not those that wait for nothing."""
    want = operation.request if isinstance(operation.request, Take) else Take(lease=1)
    turns = Turns(board, operation, want)
    files = Files(board, operation, Take(lease=1), seated(board, operation.at), turns)
    no_room = full(worker)
    ends: dict[ClaimId, str] = {}
    first = chosen
    for task in board.ready(frozenset(worker.skills)):
        try:
            found = files.look(task)
        except ConfigError as error:
            yield Reason(task.id, "broken", error.message)
            continue
        if isinstance(found, Before):
            yield Reason(
                task.id, "queue", f"{found.wanted} is waited for by {found.waiter.worker}, who goes first"
            )
        elif isinstance(found, Reserved):
            yield Reason(task.id, "reserved", _kept(found))
        elif isinstance(found, Conflict):
            end = ends.get(found.claim.id) or ends.setdefault(found.claim.id, until(found.claim))
            yield Reason(task.id, "held", f"{held_words(operation, found.claim, found.what)} {end}")
        elif no_room is not None and chosen is None:
            yield Reason(task.id, "room", no_room.message)
        elif chosen is None and (taker := turns.taker(task)) is not None:
            yield Reason(task.id, "queue", f"{taker.worker} waits for a task, and goes first")
        else:
            yield Reason(task.id, "later", _later(first, task))
            first = first or task


def _later(first: Task | None, task: Task) -> str:
    """Why another is chosen before it."""
    if first is None:
        return "ready, and the next"
    why = f"{first.id} was there before it"
    if first.urgency != task.urgency:
        whose = "" if first.urgency == first.priority else "what waits for it has "
        why = f"{first.id} is more urgent ({whose}priority {first.urgency} before {task.urgency})"
    elif first.chain != task.chain:
        why = f"more work hangs on {first.id} ({first.chain} minutes, not {task.chain})"
    return f"ready, but {why}"


def _kept(found: Reserved) -> str:
    elder = found.elder
    return f"{found.wanted} is kept for {elder.id}, which was passed over {elder.passed} times"


def until(claim: Claim) -> str:
    """Until when a claim stands, in words."""
    if claim.queued:
        return "until it has landed"
    return f"until {isoformat(claim.lease.expires_at)}"


def _failed(task: Task) -> Reason:
    why = f": {task.failure}" if task.failure else ""
    if task.retry_at is not None:
        return Reason(task.id, "backoff", f"failed, and is tried again at {isoformat(task.retry_at)}{why}")
    return Reason(task.id, "person", f"failed, and needs a person{why}")
