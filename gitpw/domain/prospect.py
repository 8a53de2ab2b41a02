"""The tasks that a worker could do, best first, and what stands in the way of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from gitpw.domain.aging import Reserved, Seat, reserved_for
from gitpw.domain.board import Board
from gitpw.domain.failure import horizon
from gitpw.domain.grant import Conflict, Sweep, held_locks, returned, sweep
from gitpw.domain.lock import Held, merged_locks
from gitpw.domain.operation import Operation, Refused, Take
from gitpw.domain.resource import Path
from gitpw.domain.task import Task
from gitpw.domain.turns import Before, Turns, new_to
from gitpw.domain.worker import Worker
from gitpw.errors import ConfigError


class Prospect(NamedTuple):
    """A task that the asker could do, and what locks make way for it or stand in its way."""

    task: Task
    found: Sweep | Conflict | Before | Reserved


class Files:
    """What is known, within one claim, of the files that tasks need."""

    def __init__(
        self,
        board: Board,
        operation: Operation,
        request: Take,
        seats: Sequence[Seat],
        turns: Turns | None = None,
    ) -> None:
        self._board, self._operation, self._request = board, operation, request
        self._seats = seats
        self._turns = turns or Turns(board, operation, request)
        self._held: dict[str, Conflict | Before | None] = {}
        self._folders: dict[tuple[str, ...], Conflict] = {}
        self._full: set[str] = set()

    def look(self, task: Task) -> Sweep | Conflict | Before | Reserved:
        """What stands in the way of a task."""
        for file in task.files:
            held = self._held.get(file) or self._covered(file)
            if held is not None:
                return held
        kept = reserved_for(self._board, self._seats, task)
        if kept is not None:
            if task.parked == kept.wanted:
                self._full.add(kept.wanted)
            return kept
        found = self._swept(wanted_locks(task, self._request), task)
        if not isinstance(found, Sweep) and found.wanted in task.files:
            self._held[found.wanted] = found
            thing = self._board.seen(found.held.resource) if isinstance(found, Conflict) else None
            if isinstance(found, Conflict) and isinstance(thing, Path):
                self._folders.setdefault(thing.parts, found)
        return found

    def _covered(self, file: str) -> Conflict | None:
        """What stands in the way of a file, if it is the lock of a folder that was in another's way before."""
        thing = self._board.seen(file) if self._folders else None
        if not isinstance(thing, Path):
            return None
        parts = thing.parts
        above = (self._folders.get(parts[:depth]) for depth in range(len(parts) + 1))
        found = next((one for one in above if one is not None), None)
        return found and found._replace(wanted=file)

    def _swept(self, wanted: tuple[Held, ...], task: Task | None = None) -> Sweep | Conflict | Before:
        """What makes way for some locks, or the first that doesn't: a lock, or somebody who goes first."""
        found = sweep(self._board, self._operation, wanted)
        if isinstance(found, Conflict) or not self._turns.ahead:
            return found
        new = new_to(self._board, wanted, found.absorbed)
        return self._turns.before(new, None if task is None else task.id) or found

    def shut(self, task: Task) -> bool:
        """Whether nobody in the lane in which a task stands can have the file: it is held, or kept for an elder.

        Those behind are less urgent, so what is kept from one is kept from all; elders are looked at all the same.
        """
        file = task.parked
        if file is None or file not in task.files:
            return False
        if file not in self._held:
            wanted = held_locks((file,), shared=self._request.shared)
            found = self._swept(merged_locks(wanted, self._request.locks))
            self._held[file] = None if isinstance(found, Sweep) else found
        return file in self._full or self._held[file] is not None


def candidates(
    board: Board,
    operation: Operation,
    request: Take,
    worker: Worker,
    seats: Sequence[Seat],
    turns: Turns | None = None,
) -> Iterator[Prospect]:
    """The tasks that the worker could do, best first, each with what stands in its way."""
    files = Files(board, operation, request, seats, turns)
    for task in board.ready(frozenset(worker.skills), files.shut, [seat.task for seat in seats]):
        try:
            yield Prospect(task, files.look(task))
        except ConfigError:
            continue  # its files can't be read: 'reasons' and 'doctor' say so


def wanted_locks(task: Task, request: Take) -> tuple[Held, ...]:
    """What a claim of a task would lock."""
    wanted = held_locks(task.files, shared=request.shared)
    return merged_locks(wanted, request.locks) if request.locks else wanted


def retry_due(board: Board, now: datetime) -> None:
    """Put the failed tasks whose pause is over back in line."""
    for task in board.due(now, horizon(now, board.settings.skew)):
        returned(board, task)


def full(worker: Worker) -> Refused | None:
    """The refusal for a worker that has no room left."""
    if len(worker.current_tasks) < worker.max_concurrent_tasks:
        return None
    room = "one task" if worker.max_concurrent_tasks == 1 else f"{worker.max_concurrent_tasks} tasks"
    mine = ", ".join(worker.current_tasks)
    return Refused(
        code="invalid",
        message=f"{worker.id} has room for {room} and holds {mine}",
        hint=f"finish it ('git pw complete'), give it back ('git pw release'), or continue it with "
        f"'git pw claim {worker.current_tasks[-1]}'",
        data={"holding": list(worker.current_tasks)},
    )
