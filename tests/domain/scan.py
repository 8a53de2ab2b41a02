"""What the rules say, once more and in other words: found by looking at every record, without any index."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from gitpw.domain import aging
from gitpw.domain.board import Board
from gitpw.domain.ids import TaskId, task_number
from gitpw.domain.lock import Claim, Held, Lease, Mode
from gitpw.domain.operation import Operation, Take
from gitpw.domain.resource import Path, overlap
from gitpw.domain.task import Task, TaskStatus
from gitpw.domain.waiter import Waiter
from gitpw.domain.worker import Worker
from tests.domain.state import Dictionary, is_open, seen, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def over(board: Board, lease: Lease, operation: Operation) -> bool:
    """DESIGN 5 once more, in other words: who may take over."""
    grace = timedelta(seconds=board.settings.skew)
    late = {host for host, clock in board.clocks.items() if clock - grace > lease.expires_at}
    me, mark = operation.author.host, lease.marks.get(operation.author.host)
    waited = None if mark is None else operation.at - mark
    if lease.expires_at - grace > operation.at + timedelta(seconds=lease.duration):
        return waited is not None and waited > timedelta(seconds=lease.duration) + grace
    if not operation.at - grace > lease.expires_at:
        return False
    rested = waited is not None and waited >= timedelta(seconds=board.settings.suspicion)
    return me == lease.host or bool(late - {me}) or rested


def best_by_scan(
    cells: Dictionary, operation: Operation, request: Take, *, keep: bool = True
) -> TaskId | None:
    """The task that comes first of all that the asker could have; with `keep`, files are kept for elders."""
    board = Board(cells)
    tasks = table(cells, "tasks", Task)
    worker = table(cells, "workers", Worker).get(operation.author.worker)
    skills = set(worker.skills if worker else ())
    mode = Mode.SHARED if request.shared else Mode.EXCLUSIVE
    lost = {  # once too often, and a task isn't to be had again
        claim.task
        for claim in table(cells, "claims", Claim).values()
        if not claim.queued
        and claim.worker != operation.author.worker
        and claim.lease.expires_at < operation.at  # not those from a clock far ahead: gc returns them
        and over(board, claim.lease, operation)
        and claim.task is not None
        and tasks[claim.task].attempts < 3
    }
    elders = elders_by_scan(board, tasks, operation) if keep else []
    line = line_by_scan(cells, operation, request.waiting)
    if any(stands_before(cells, one, operation, request.locks) for one in line):
        return None
    possible = [
        (task.urgency, -task.chain, task.id)
        for task in tasks.values()
        if (task.status is TaskStatus.PENDING or task.id in lost or is_due(task, operation.at))
        and all(name in tasks and tasks[name].merged_at for name in task.dependencies)
        and not any(is_open(part) for part in tasks.values() if part.parent == task.id)
        and not any(goes_first(cells, elder, task, elders) for elder in elders)
        and set(task.required_skills) <= skills
        and is_free(
            board,
            cells,
            operation,
            [*((file, mode) for file in task.files), *((lock.resource, lock.mode) for lock in request.locks)],
        )
        and not any(
            stands_before(
                cells, one, operation, [*(Held(resource=file, mode=mode) for file in task.files)], task.id
            )
            for one in line
        )
    ]
    takers = [one for one in line if one.verb == "claim" and not one.task and can_have(cells, one)]
    for _, _, name in sorted(possible):
        needed = set(tasks[name].required_skills)
        able = [one for one in takers if needed <= skills_by_scan(cells, one.worker)]
        if not able:
            return name
        takers.remove(able[0])
    return None


def skills_by_scan(cells: Dictionary, worker: str) -> set[str]:
    """What a worker can do; nothing special where nobody has said."""
    known = table(cells, "workers", Worker).get(worker)
    return set(known.skills if known else ())


def line_by_scan(cells: Dictionary, operation: Operation, ticket: int | None) -> list[Waiter]:
    """Those who stand before the asker, the longest first."""
    skew = timedelta(minutes=5)
    now, author = operation.at, operation.author
    found = []
    for one in sorted(table(cells, "waits", Waiter).values(), key=lambda one: one.ticket):
        late = timedelta() if one.host == author.host else skew
        called = one.calls.get(author.host, now)
        if (
            (one.worker, one.place) != (author.worker, author.place)
            and (ticket is None or one.ticket < ticket)
            and one.until + late >= now
            and one.until <= now + timedelta(minutes=15) + skew
            and now - called < timedelta(seconds=40)
            and could_have(cells, one)
        ):
            found.append(one)
    return found


def could_have(cells: Dictionary, one: Waiter) -> bool:
    """Whether a waiter could have what it waits for, if all of it was free."""
    worker = table(cells, "workers", Worker).get(one.worker)
    if one.verb == "lock":
        return True
    if worker and len(worker.current_tasks) >= worker.max_concurrent_tasks:
        return False
    task = table(cells, "tasks", Task).get(one.task or "")
    if task is None:
        return one.task is None
    return task.claim is not None or (task.turn or "").startswith(("ready", "parked"))


def can_have(cells: Dictionary, one: Waiter) -> bool:
    """Whether nobody else holds what a waiter wants besides a task."""
    return not any(
        overlap(seen(cells, wish.resource), seen(cells, lock.resource))
        and not (wish.mode is lock.mode is Mode.SHARED)
        for claim in table(cells, "claims", Claim).values()
        if (claim.worker, claim.place) != (one.worker, one.place)
        for lock in claim.locks
        for wish in one.locks
    )


def stands_before(
    cells: Dictionary,
    one: Waiter,
    operation: Operation,
    wanted: Sequence[Held],
    task: str | None = None,
    into: str | None = None,
) -> bool:
    """Whether a waiter waits for something that the asker wants and doesn't hold yet."""
    if task is not None and one.task == task:
        return True
    author = operation.author
    held = [
        lock
        for claim in table(cells, "claims", Claim).values()
        if claim.id == into
        or (claim.task is None and (claim.worker, claim.place) == (author.worker, author.place))
        for lock in claim.locks
    ]
    its = table(cells, "tasks", Task).get(one.task or "")
    mode = Mode.SHARED if one.shared else Mode.EXCLUSIVE
    wishes = [*one.locks, *(Held(resource=file, mode=mode) for file in (its.files if its else ()))]
    return any(
        overlap(seen(cells, wish.resource), seen(cells, want.resource))
        and not (wish.mode is want.mode is Mode.SHARED)
        for wish in wishes
        for want in wanted
        if not any(covers(cells, lock, want) for lock in held)
    )


def covers(cells: Dictionary, lock: Held, want: Held) -> bool:
    """Whether whoever holds a lock holds all that is wanted."""
    if lock.mode is Mode.SHARED and want.mode is Mode.EXCLUSIVE:
        return False
    mine, wanted = seen(cells, lock.resource), seen(cells, want.resource)
    if isinstance(mine, Path) and isinstance(wanted, Path):
        return not mine.text or f"{wanted.text}/".startswith(f"{mine.text}/")
    return bool(mine == wanted)


def is_due(task: Task, now: datetime) -> bool:
    """Whether a failed task is to be tried again."""
    latest = now + timedelta(minutes=15) + timedelta(minutes=5)
    return (
        task.status is TaskStatus.FAILED and task.retry_at is not None and not now < task.retry_at <= latest
    )


def elders_by_scan(board: Board, tasks: Mapping[str, Task], operation: Operation) -> list[Task]:
    """The tasks for which files are kept."""
    grace = timedelta(seconds=board.settings.skew)
    kept = [
        task
        for task in tasks.values()
        if task.reserved and operation.at - timedelta(hours=2) <= task.reserved.at <= operation.at + grace
    ]
    return sorted(kept, key=seniority)[: aging.SEATS]


def seniority(task: Task) -> tuple[int, int]:
    """Who of two elders goes first."""
    assert task.reserved is not None
    return task.reserved.since, task_number(task.id)


def goes_first(cells: Dictionary, elder: Task, task: Task, elders: Sequence[Task]) -> bool:
    """Whether a task must wait for an elder; an older one needn't, as long as files are kept for it."""
    if elder.id == task.id or (task in elders and seniority(task) < seniority(elder)):
        return False
    mine, its = ([seen(cells, file) for file in one.files] for one in (elder, task))
    reach = elder.passed // aging.PASSES - 1
    return task.urgency >= elder.urgency - reach and any(overlap(a, b) for a in mine for b in its)


def is_free(board: Board, cells: Dictionary, operation: Operation, wanted: list[tuple[str, Mode]]) -> bool:
    """Whether no lock of anybody stands in the way."""
    author = operation.author
    for claim in table(cells, "claims", Claim).values():
        own = claim.task is None and (claim.worker, claim.place) == (author.worker, author.place)
        if own or (not claim.queued and over(board, claim.lease, operation)):
            continue
        for lock in claim.locks:
            for name, mode in wanted:
                both = mode is lock.mode is Mode.SHARED
                if not both and overlap(seen(cells, name), seen(cells, lock.resource)):
                    return False
    return True
