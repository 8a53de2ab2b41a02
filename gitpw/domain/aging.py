"""Whose turn it is where files are scarce: a task that was passed over too often has its files kept for it.

Without this, a task that needs two files starves while smaller ones, which need one of them each, come and go: when
one file is free, the other is held.

*Passed over.* A claim looks at the tasks in the order of claiming. One whose file is held is passed over if another
is granted: it stands aside in the lane of that file, which nobody looks into while the file is held. Each time that
counts as one pass. It keeps its rank: when the file is free, it is looked at before all that stand behind it.

*Elders.* What was passed over `PASSES` times is an elder. Its files are kept for it: no task of its own or a lower
priority that needs one of them is chosen before it. Each further `PASSES` times that a task takes one of its files
all the same, because it is more urgent, they are kept from one more priority. Of two elders that want the same file,
the one that became one first goes first. The first `SEATS` elders count, the others move up.

*The bound.* Let an elder sit on one of the seats. The files of the first of all elders are held only by claims that
were there before, by more urgent tasks, or by what people named themselves; all claims end, by their leases at the
latest, and no more than `PASSES` more urgent tasks of each priority above its own can follow: so it is granted to the
first worker with its skills that asks after that. Then the second is the first; no two of them can wait for each
other, since each waits only for those before it. In numbers: a task is passed over at most `PASSES` times before it
is an elder; once it is seated, no task of its own or a lower priority is chosen before it that takes one of its
files, and at most `PASSES * (priority - 1)` more urgent ones are.

*Where it ends.* Files are not kept for ever: after `PATIENCE` without a grant (a holder renews for hours, nobody with
the skills asks) the count begins again at nothing, so that no worker goes idle for a task that nobody comes for. What
people claim by name, or lock by hand, is their decision and isn't held back.

Priority means here what the turn goes by: a task that an urgent one waits for is as urgent as that one.

Time is the `at` of operations: a wrong clock makes a reservation longer or shorter, never a grant unsafe; one that
lies in the future counts for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.operation import Operation
from gitpw.domain.resource import Resource, overlap
from gitpw.domain.settings import Settings
from gitpw.domain.task import Reservation, Task
from gitpw.errors import ConfigError

PASSES = 5
"""So often a task is passed over before its files are kept for it."""

PATIENCE = timedelta(hours=2)
"""So long they are kept: twice as long as a lease usually lasts."""

SEATS = 16
"""For so many tasks at once files are kept: each claim looks at all of them."""


class Seat(NamedTuple):
    """An elder that counts, and the files that it needs as this ledger compares them."""

    task: Task
    files: tuple[Resource, ...]

    def needs(self, file: Resource) -> bool:
        """Whether it needs that file, or a part of it, too."""
        return any(overlap(mine, file) for mine in self.files)


class Reserved(NamedTuple):
    """What stands in the way of a task: the elder that a file is kept for."""

    elder: Task
    wanted: str


def is_kept(reserved: Reservation, now: datetime, settings: Settings) -> bool:
    """Whether a reservation still counts by this clock."""
    age = now - reserved.at
    return -timedelta(seconds=settings.skew) <= age <= PATIENCE


def seated(board: Board, now: datetime) -> list[Seat]:
    """The elders that count, the first one first."""
    seats: list[Seat] = []
    settings = board.settings
    for task in board.elders():
        if task.reserved is not None and is_kept(task.reserved, now, settings):
            with suppress(ConfigError):  # one whose files can't be read must not keep everybody from working
                seats.append(Seat(task, tuple(map(board.seen, task.files))))
        if len(seats) == SEATS:
            break
    return seats


def reserved_for(board: Board, seats: Sequence[Seat], task: Task) -> Reserved | None:
    """The first elder that a task must let go before it, and the file that both need.

    Of a seated one, only those on the seats before its own.
    """
    for seat in _before(seats, task):
        if _binds(seat.task, task):
            for file in task.files:
                if seat.needs(board.seen(file)):
                    return Reserved(seat.task, file)
    return None


def _before(seats: Iterable[Seat], task: Task) -> Iterator[Seat]:
    """The elders that are older than a task; all of them, if it is none that counts."""
    return takewhile(lambda seat: seat.task.id != task.id, seats)


def _binds(elder: Task, task: Task) -> bool:
    """Whether a task must wait for an elder before it if both need the same file."""
    steps = elder.passed // PASSES - 1
    return task.urgency >= elder.urgency - steps


def pass_over(board: Board, operation: Operation, task: Task, file: str, *, held: bool) -> None:
    """Put a task aside until a file is free; if it was held, that is one pass, and perhaps one too many."""
    passed, reserved = task.passed, task.reserved
    if held and reserved is None:
        passed += 1
        if passed >= PASSES:
            reserved = Reservation(since=board.counter + 1, at=operation.at)
    changed = task.but(parked=file, passed=passed, reserved=reserved)
    if changed != task:
        board.put_task(changed)


def overtake(board: Board, operation: Operation, task: Task) -> None:
    """A task is granted: the less urgent elders that need one of its files have been overtaken once more.

    Those whose files have been kept for long enough begin again.
    """
    settings = board.settings
    lapsed = [
        elder
        for elder in islice(board.elders(), SEATS)
        if elder.reserved is not None and not is_kept(elder.reserved, operation.at, settings)
    ]
    files = [board.seen(file) for file in task.files]
    for seat in _before(seated(board, operation.at), task):
        if task.urgency < seat.task.urgency and any(map(seat.needs, files)):
            board.put_task(seat.task.but(passed=seat.task.passed + 1))
    for elder in lapsed:
        board.put_task(elder.but(passed=0, reserved=None))
