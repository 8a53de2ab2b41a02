"""Whose turn it is where several wait: who has waited longer goes first for what it waits for.

*In line.* A waiter stands before everybody else who asks later for a task or a file that it waits for too, be it by
waiting or not, until it has got all that it asked for, or waits no more. What it waits for is kept for it even where
other files of its request are still held: what isn't kept would be taken by one small request after another, and
whoever needs two files would never have both. Waits that have nothing in common, or only what both would share,
never stand in each other's way; nor does a waiter stand in the way of what somebody holds already.

*Any task.* Who waits for any task stands in the way of others who ask for any task, and of nobody else: of those
that could be had, each goes to the one who has waited longest of those that can do it.

*How long.* A wait counts until its own end, and no longer than `LIFE` without a sign of life. Somebody whom nothing
but waiters keeps may call them: who doesn't answer for `GRACE`, by the clock of the one host that called and asks
again, is passed over. So a waiter that was killed holds up those behind it for seconds, or minutes where nobody
waits; and one that lives writes nothing until it is called or its life must be prolonged.

*Clocks.* Another host's time is believed within the tolerated skew. One that lies further ahead than any wait can
last counts for nothing. A wrong clock can cost somebody a turn: it can't keep anybody waiting, and never makes a
grant unsafe.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from gitpw.domain.board import CLAIMABLE, Board
from gitpw.domain.ids import TaskId, WorkerId, isoformat
from gitpw.domain.lock import Claim, Held, Mode, merged_locks
from gitpw.domain.operation import Lock, Operation, Refused, Take
from gitpw.domain.resource import Path, Resource, overlap
from gitpw.domain.task import Task
from gitpw.domain.waiter import Waiter
from gitpw.errors import ConfigError

LIFE = timedelta(minutes=15)
"""The longest that a wait counts without a sign of life."""

GRACE = timedelta(seconds=40)
"""So long has a waiter that was called to show that it is there: twice the longest pause between two looks."""


class Before(NamedTuple):
    """Who goes first, and what both want: a resource, or a task's id."""

    waiter: Waiter
    wanted: str


class Wish(NamedTuple):
    """One thing that a waiter waits for, as this ledger compares it."""

    thing: Resource
    held: Held


class Standing(NamedTuple):
    """A waiter that counts, and what it waits for."""

    waiter: Waiter
    wishes: tuple[Wish, ...]

    def meets(self, wanted: Iterable[Wish], task: TaskId | None) -> str | None:
        """What of a request it waits for too."""
        if task is not None and self.waiter.task == task:
            return task
        for want in wanted:
            for wish in self.wishes:
                if not (wish.held.mode is want.held.mode is Mode.SHARED) and overlap(wish.thing, want.thing):
                    return want.held.resource
        return None


def is_live(waiter: Waiter, now: datetime, host: str, skew: int) -> bool:
    """Whether a wait counts for `host`, whose clock says `now`."""
    tolerated = timedelta(seconds=skew)
    if waiter.until < (now if waiter.host == host else now - tolerated):
        return False
    if waiter.until > now + LIFE + tolerated:
        return False
    called = waiter.calls.get(host)
    return called is None or not now - GRACE >= called


def standing(board: Board, now: datetime, host: str) -> Iterator[Standing]:
    """The waits that count, the longest first."""
    for waiter in board.waiters():
        if is_live(waiter, now, host, board.settings.skew):
            try:
                wishes = None if _is_idle(board, waiter) else wishes_of(board, needs(board, waiter))
            except ConfigError:
                continue  # one that can't be read must not keep everybody from working
            if wishes is not None:
                yield Standing(waiter, wishes)


def _is_idle(board: Board, waiter: Waiter) -> bool:
    """Whether it could have nothing now, whatever was free: its task isn't to be had, or it has its hands full."""
    if waiter.verb == "lock":
        return False
    worker = board.worker(waiter.worker)
    if worker is not None and len(worker.current_tasks) >= worker.max_concurrent_tasks:
        return True
    task = None if waiter.task is None else board.task(waiter.task)
    if task is None:
        return waiter.task is not None
    return task.claim is None and (task.turn or "").partition("/")[0] not in CLAIMABLE


def standing_of(board: Board, waiter: Waiter) -> Standing:
    """A waiter with what it waits for, whether it counts or not."""
    return Standing(waiter, wishes_of(board, needs(board, waiter)))


def needs(board: Board, waiter: Waiter) -> tuple[Held, ...]:
    """The locks that it waits for, with those of its task."""
    task = None if waiter.task is None else board.task(waiter.task)
    mode = Mode.SHARED if waiter.shared else Mode.EXCLUSIVE
    files = () if task is None else tuple(Held(resource=file, mode=mode) for file in task.files)
    return merged_locks(files, waiter.locks)


def wishes_of(board: Board, locks: Iterable[Held]) -> tuple[Wish, ...]:
    """Locks with what they cover."""
    return tuple(Wish(board.seen(held.resource), held) for held in locks)


def is_same(waiter: Waiter, other: Waiter | Claim | Operation) -> bool:
    """Whether both are of one worker in one checkout."""
    about = other.author if isinstance(other, Operation) else other
    return (waiter.worker, waiter.place) == (about.worker, about.place)


def ticket_of(board: Board, operation: Operation, want: Take | Lock) -> Waiter | None:
    """The asker's own place in the queue, if it is for what is asked for."""
    own = None if want.waiting is None else board.waiter(want.waiting)
    task = want.task if isinstance(want, Take) else None
    asked = (want.verb, task, want.locks)
    if own is None or not is_same(own, operation) or (own.verb, own.task, own.locks) != asked:
        return None
    return own


class Turns:
    """Those who stand before the asker, and what that means for its request."""

    def __init__(self, board: Board, operation: Operation, want: Take | Lock) -> None:
        self._board = board
        self.own = ticket_of(board, operation, want)
        self.ahead = [
            one
            for one in standing(board, operation.at, operation.author.host)
            if (self.own is None or one.waiter.ticket < self.own.ticket)
            and not is_same(one.waiter, operation)
        ]
        self._takers = [one.waiter for one in self.ahead if one.waiter.takes_any and self._is_free(one)]

    def before(self, locks: Sequence[Held], task: TaskId | None = None) -> Before | None:
        """The first of those who wait for one of these too."""
        wanted = wishes_of(self._board, locks) if self.ahead else ()
        for one in self.ahead:
            met = one.meets(wanted, task)
            if met is not None:
                return Before(one.waiter, met)
        return None

    def taker(self, task: Task) -> Waiter | None:
        """Who gets a task that could be had, if somebody else does; to be asked of each in the order of claiming."""
        for waiter in self._takers:
            worker = self._board.worker(waiter.worker)
            if set(task.required_skills) <= set(worker.skills if worker is not None else ()):
                self._takers.remove(waiter)
                return waiter
        return None

    def _is_free(self, one: Standing) -> bool:
        """Whether nobody holds what it wants besides a task."""
        for wish in one.wishes:
            for name, held in self._board.overlapping(wish.thing):
                claim = self._board.claim(name)
                shared = held.mode is wish.held.mode is Mode.SHARED
                if claim is not None and not shared and not is_same(one.waiter, claim):
                    return False
        return True


def new_to(board: Board, locks: Iterable[Held], mine: Iterable[Claim]) -> tuple[Held, ...]:
    """Those of the wanted locks that none of one's own claims covers: only they have to wait for their turn."""
    own = wishes_of(board, (held for claim in mine for held in claim.locks))
    return tuple(held for held in locks if not any(_covers(one, held, board) for one in own))


def _covers(own: Wish, wanted: Held, board: Board) -> bool:
    if own.held.mode is Mode.SHARED and wanted.mode is Mode.EXCLUSIVE:
        return False
    thing = board.seen(wanted.resource)
    if isinstance(own.thing, Path) and isinstance(thing, Path):
        return thing.parts[: len(own.thing.parts)] == own.thing.parts
    return own.thing == thing


def granted_turn(board: Board, operation: Operation, want: Take | Lock, locks: Sequence[Held]) -> None:
    """The asker waits no more; nor do those who were passed over, since they don't count any more."""
    own = ticket_of(board, operation, want)
    if own is not None:
        board.drop_waiter(own)
    settings = board.settings
    for waiter in list(board.waiters()):
        if is_live(waiter, operation.at, operation.author.host, settings.skew):
            continue
        passed = waiter.takes_any and isinstance(want, Take) and want.task is None
        with suppress(ConfigError):
            passed = passed or standing_of(board, waiter).meets(wishes_of(board, locks), None) is not None
        if passed:
            board.drop_waiter(waiter)


def yourself(operation: Operation, worker: WorkerId, place: str) -> str:
    """What is added to the name of a worker where that is the asker."""
    if worker != operation.author.worker:
        return ""
    return " (yourself)" if place == operation.author.place else " (yourself, in another checkout)"


def goes_first(operation: Operation, found: Before) -> Refused:
    """The refusal that names who goes first."""
    waiter = found.waiter
    where = yourself(operation, waiter.worker, waiter.place)
    return Refused(
        code="held",
        message=f"{found.wanted} goes to {waiter.worker}{where} first, who has waited for it since "
        f"{isoformat(waiter.since)}",
        hint="--wait stands in line; 'git pw locks' shows who waits for what",
        data={
            "holder": {
                "workerId": waiter.worker,
                "taskId": waiter.task,
                "path": None if found.wanted == waiter.task else found.wanted,
                "expiresAt": isoformat(waiter.until),
            },
            "waiter": waiter.public(1),
        },
    )


def in_line(board: Board, now: datetime, host: str) -> list[tuple[Waiter, int]]:
    """All who wait, each with its place among those who want the same, counted from one."""
    found = list(standing(board, now, host))
    return [
        (one.waiter, 1 + sum(in_common(other, one) is not None for other in found[:number]))
        for number, one in enumerate(found)
    ]


def ahead_of(board: Board, waiter: Waiter, now: datetime, host: str) -> list[Before]:
    """Those who stand before one that waits, the longest first."""
    mine = standing_of(board, waiter)
    earlier = [one for one in standing(board, now, host) if one.waiter.ticket < waiter.ticket]
    both = [(one.waiter, in_common(one, mine)) for one in earlier]
    return [Before(other, wanted) for other, wanted in both if wanted is not None]


def in_common(first: Standing, second: Standing) -> str | None:
    """What two waiters want both, so that the second one stands behind the first."""
    if is_same(first.waiter, second.waiter):
        return None
    if first.waiter.takes_any and second.waiter.takes_any:
        return "a task"
    return first.meets(second.wishes, second.waiter.task)
