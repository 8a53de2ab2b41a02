"""A ledger's state in a dictionary, operations with few words, and a full scan that says what is wrong with it."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from datetime import UTC, datetime, timedelta
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from gitpw.domain.board import Board, Key, skills_key
from gitpw.domain.grant import enlisted
from gitpw.domain.ids import LedgerId, OperationId, WorkerId, task_number
from gitpw.domain.lock import Claim, Held, Mode
from gitpw.domain.merge import RETURNED
from gitpw.domain.operation import (
    Add,
    Author,
    Begin,
    Done,
    NewTask,
    Operation,
    Outcome,
    Refused,
    Register,
    Take,
)
from gitpw.domain.progress import Progress
from gitpw.domain.reasons import reasons
from gitpw.domain.resource import Path, folded, overlap, resource
from gitpw.domain.rulebook import apply
from gitpw.domain.settings import Settings
from gitpw.domain.task import Task, TaskStatus
from gitpw.domain.waiter import Waiter
from gitpw.domain.worker import Worker, WorkerStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gitpw.domain.operation import Request

NOON = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)
LEDGER = LedgerId("0123456789abcdef0123")
HOUR = 3600


class Dictionary:
    """Cells that are looked for one by one: slow, and nothing in it to be wrong."""

    def __init__(self, contents: Mapping[Key, bytes] | None = None) -> None:
        self.contents = dict(contents or {})

    def load(self, key: Key) -> bytes | None:
        """The content of a cell."""
        return self.contents.get(key)

    def names(self, key: Key) -> Sequence[str]:
        """What is filed directly under a key, sorted."""
        depth = len(key)
        return sorted({name[depth] for name in self.contents if name[:depth] == key and len(name) > depth})


class State:
    """A ledger that begins at noon on a host called `desk`, and takes operations one after another."""

    def __init__(self, *, begun: bool = True, **settings: Any) -> None:
        self.cells = Dictionary()
        self.last: Operation | None = None
        self._made = 0
        if begun:
            assert isinstance(self.do(Begin(ledger=LEDGER, settings=Settings(**settings))), Done)

    @property
    def board(self) -> Board:
        """The state as it is."""
        return Board(self.cells)

    def operation(
        self,
        request: Request,
        worker: str = "ada",
        *,
        host: str = "desk",
        place: str = "main",
        minutes: float = 0,
        seen: int | None = None,
    ) -> Operation:
        """A request, asked so many minutes after noon by its host's clock."""
        self._made += 1
        return Operation(
            id=OperationId(f"{self._made:032x}"[::-1]),
            author=Author(worker=WorkerId(worker), host=host, place=place),
            seen=self.board.counter if seen is None else seen,
            at=NOON + timedelta(minutes=minutes),
            request=request,
        )

    def apply(self, operation: Operation) -> Outcome:
        """Apply an operation; what is refused, and what changes nothing, leaves no trace."""
        self.last = Operation.from_json(operation.to_json())
        board = self.board
        outcome = apply(board, self.last)
        if isinstance(outcome, Done) and outcome.changed:
            self.accept(board)
        return outcome

    def accept(self, board: Board) -> None:
        """Go on from a board with its changes."""
        contents = dict(self.cells.contents)
        for key, content in board.changes.items():
            if content is None:
                contents.pop(key, None)
            else:
                contents[key] = content
        self.cells = Dictionary(contents)

    def do(self, request: Request, worker: str = "ada", **about: Any) -> Outcome:
        """Ask for something."""
        return self.apply(self.operation(request, worker, **about))

    def done(self, request: Request, worker: str = "ada", **about: Any) -> Done:
        """Ask for something that must be granted."""
        outcome = self.do(request, worker, **about)
        assert isinstance(outcome, Done), outcome
        return outcome

    def refused(self, request: Request, worker: str = "ada", **about: Any) -> Refused:
        """Ask for something that must be refused."""
        outcome = self.do(request, worker, **about)
        assert isinstance(outcome, Refused), outcome
        return outcome

    def why(self, worker: str = "ada", **about: Any) -> list[dict[str, str]]:
        """Why each open task isn't to be had, where a claim finds nothing."""
        operation, board = self.operation(Take(lease=HOUR), worker, **about), self.board
        outcome = apply(board, operation)
        assert isinstance(outcome, Refused)
        assert (outcome.code, outcome.data) == ("nothing", {})
        return [one.public() for one in reasons(board, operation, enlisted(board, operation))]

    def add(self, title: str = "work", *files: str, **about: Any) -> str:
        """Add one task, and give its id."""
        done = self.done(Add(tasks=(NewTask(title=title, files=files, **about),)))
        return done.tasks[0]

    def skip(self, operations: int) -> None:
        """As if so many operations had gone by."""
        board = self.board
        board.put_meta(board.meta.but(counter=board.counter + operations))
        self.cells = Dictionary(
            {**self.cells.contents, **{key: raw or b"" for key, raw in board.changes.items()}}
        )

    def room(self, worker: str, tasks: int, **about: Any) -> None:
        """Register a worker with room for so many tasks."""
        self.done(Register(id=WorkerId(worker), max_concurrent_tasks=tasks, **about), worker)

    def take(self, worker: str = "ada", task: str | None = None, **about: Any) -> Claim:
        """Claim a task, which must be granted."""
        wanted = {name: about.pop(name) for name in ("locks", "shared", "base", "holding") if name in about}
        done = self.done(Take(task=task, lease=about.pop("lease", HOUR), **wanted), worker, **about)
        assert done.claim is not None
        return self.claim(done.claim)

    def claim(self, claim: str) -> Claim:
        """A claim that must be live."""
        found = self.board.claim(claim)
        assert found is not None
        return found

    def task(self, task: str) -> Task:
        """A task that must exist."""
        found = self.board.task(task)
        assert found is not None
        return found


def locks(*names: str, shared: bool = False) -> tuple[Held, ...]:
    """Locks on resources in canonical form."""
    mode = Mode.SHARED if shared else Mode.EXCLUSIVE
    return tuple(Held(resource=name, mode=mode) for name in names)


def table(cells: Dictionary, name: str, kind: type[Any]) -> dict[str, Any]:
    """Every record of a table, by name, without the help of a board."""
    return {key[1]: kind.from_json(raw) for key, raw in cells.contents.items() if key[0] == name}


def seen(cells: Dictionary, text: str) -> Any:
    """A resource as this ledger compares it."""
    settings = Settings.from_json(cells.contents["settings",])
    thing = resource(text)
    return folded(thing) if settings.case_insensitive else thing


def problems(cells: Dictionary) -> list[str]:
    """Everything that is wrong with a state, found by looking at every record: each line begins with its rule."""
    return [line for rule in RULES for line in rule(cells)]


def exclusion(cells: Dictionary) -> Iterator[str]:
    """P1: no two overlapping locks of different claims, unless both are shared."""
    claims = table(cells, "claims", Claim).values()
    held = [(claim.id, lock, seen(cells, lock.resource)) for claim in claims for lock in claim.locks]
    for (one, lock, thing), (two, other, there) in itertools.combinations(held, 2):
        if one != two and not (lock.mode is other.mode is Mode.SHARED) and overlap(thing, there):
            yield f"exclusion: {one} holds {lock.resource}, {two} {other.resource}"


def whole(cells: Dictionary) -> Iterator[str]:
    """P2: a claim, its task, its worker and the merge queue tell the same story."""
    tasks, claims = table(cells, "tasks", Task), table(cells, "claims", Claim)
    workers = table(cells, "workers", Worker)
    ended = {key[1] for key in cells.contents if key[0] == "ended"}
    yield from (line for task in tasks.values() for line in agreed(task, claims))
    for claim in claims.values():
        if claim.id in ended:
            yield f"whole: {claim.id} has ended, and lives"
        if claim.task is not None and tasks[claim.task].claim != claim.id:
            yield f"whole: {claim.id} holds {claim.task}, which is held by {tasks[claim.task].claim}"
        if claim.task is None and claim.queued:
            yield f"whole: {claim.id} is queued without a task"
        if claim.worker not in workers:
            yield f"whole: {claim.id} is held by {claim.worker}, who isn't registered"
    for worker in workers.values():
        mine = {claim.task for claim in claims.values() if claim.worker == worker.id and not claim.queued}
        if sorted(mine - {None}) != sorted(worker.current_tasks):
            yield f"whole: {worker.id} has {worker.current_tasks}, claims {mine}"
        if (worker.status is WorkerStatus.WORKING) != bool(worker.current_tasks):
            yield f"whole: {worker.id} is {worker.status} with {worker.current_tasks}"


def agreed(task: Task, claims: Mapping[str, Claim]) -> Iterator[str]:
    """Whether a task and its claim agree."""
    claim = claims.get(task.claim or "")
    active = {TaskStatus.CLAIMED, TaskStatus.IN_PROGRESS}
    waits = task.status is TaskStatus.COMPLETED and task.merged_at is None
    if (task.status in active or waits) != (claim is not None) or (task.claim is None) != (claim is None):
        yield f"whole: {task.id} is {task.status}, its claim {task.claim} is {claim}"
    elif claim is not None and (
        (claim.task, claim.token, claim.worker, claim.queued)
        != (task.id, task.token, task.assigned_to, waits)
    ):
        yield f"whole: {task} and {claim} disagree"
    elif claim is None and task.status is not TaskStatus.COMPLETED and (task.assigned_to or task.token):
        yield f"whole: {task.id} is nobody's, but assigned to {task.assigned_to}"


def queue(cells: Dictionary) -> Iterator[str]:
    """The merge queue holds each completed task that hasn't landed, once; what was returned is in progress again."""
    tasks = table(cells, "tasks", Task)
    waiting = Counter(
        task.id for task in tasks.values() if task.status is TaskStatus.COMPLETED and task.merged_at is None
    )
    entries = Board(cells).merges()
    if Counter(merge.task_id for merge in entries if merge.state not in RETURNED) != waiting:
        yield f"queue: {[merge.task_id for merge in entries]} for {sorted(waiting)}"
    for merge in entries:
        if merge.state in RETURNED and tasks[merge.task_id].status is not TaskStatus.IN_PROGRESS:
            yield f"queue: {merge.task_id} was returned, and is {tasks[merge.task_id].status}"
    for merge in entries:
        if cells.contents.get(("claims", merge.claim)) is None:
            yield f"queue: {merge.task_id} waits for {merge.claim}, which is no more"


def counts(cells: Dictionary) -> Iterator[str]:
    """The ledger's counts are those of a full scan."""
    tasks = table(cells, "tasks", Task).values()
    found = {status: number for status, number in Board(cells).meta.counts.items() if number}
    if found != Counter(task.status for task in tasks):
        yield f"counts: {found}"
    numbers = sorted(task_number(task.id) for task in tasks)
    if numbers != list(range(1, Board(cells).meta.tasks + 1)):
        yield f"counts: tasks {numbers}, the last was {Board(cells).meta.tasks}"


def standing(cells: Dictionary) -> Iterator[str]:
    """Each pending task stands in one queue, the right one, and nothing else stands in any."""
    tasks = table(cells, "tasks", Task)
    expected: dict[Key, str] = {}
    for task in tasks.values():
        place = queue_of(tasks, task)
        if place is not None:
            number, chain = task_number(task.id), 999_999 - min(task.chain, 999_999)
            turn = (str(task.urgency), f"{chain:06d}", f"{number // 256:07d}", f"{number % 256:03d}")
            expected[*place, *turn] = task.id
        aside = task.parked or task.passed or task.reserved
        if aside and (place is None or place[0] in {"waiting", "blocked"}):
            yield f"standing: {task.id} was passed over, and isn't to be had"
        if task.parked is not None and task.parked not in task.files:
            yield f"standing: {task.id} stands aside for {task.parked}, which it doesn't need"
    queues = {key for key in cells.contents if key[0] in {"ready", "waiting", "parked", "blocked"}}
    if queues != set(expected):
        yield f"standing: {sorted(queues ^ set(expected))}"


def queue_of(tasks: Mapping[str, Task], task: Task) -> Key | None:
    """The queue in which a task should stand."""
    if task.status is not TaskStatus.PENDING:
        return None
    needed = [tasks.get(name) for name in task.dependencies]
    left = [one for one in needed if one is None or one.merged_at is None]
    if any(one is None or in_vain(one) for one in left):
        return ("blocked",)
    if left or any(is_open(part) for part in tasks.values() if part.parent == task.id):
        return ("waiting",)
    if task.parked is not None:
        return ("parked", hashlib.sha256(task.parked.encode()).hexdigest()[:32])
    return ("ready", skills_key(task.required_skills))


def in_vain(task: Task) -> bool:
    """Whether there is no use in waiting for it."""
    return task.status is TaskStatus.CANCELLED or (task.status is TaskStatus.FAILED and task.retry_at is None)


def is_open(task: Task) -> bool:
    """Whether it is still to be done."""
    return task.status is not TaskStatus.CANCELLED and task.merged_at is None


def chains(cells: Dictionary) -> Iterator[str]:
    """The chain of a task that hasn't landed is the longest row of minutes of wanted tasks that hang on it."""
    tasks = table(cells, "tasks", Task)
    for task in (task for task in tasks.values() if task.merged_at is None):
        after = [
            one.minutes + one.chain
            for one in tasks.values()
            if task.id in one.dependencies
            and one.status is not TaskStatus.CANCELLED
            and one.merged_at is None
        ]
        whole = tasks.get(task.parent or "")
        after += [whole.chain] if whole is not None and is_open(whole) else []
        if task.chain != max(after, default=0):
            yield f"chains: {task.id} has {task.chain} instead of {max(after, default=0)}"


def urgencies(cells: Dictionary) -> Iterator[str]:
    """A task that hasn't landed is as urgent as the most urgent wanted task that waits for it, however far behind it."""
    tasks = table(cells, "tasks", Task)
    behind = {
        task.id: {
            *(one.id for one in tasks.values() if task.id in one.dependencies and is_open(one)),
            *(name for name in (task.parent,) if name in tasks and is_open(tasks[name])),
        }
        for task in tasks.values()
    }
    for task in (task for task in tasks.values() if is_open(task)):
        found, todo = set[str](), [task.id]
        while todo:
            new = behind[todo.pop()] - found
            found |= new
            todo += new
        urgent = min((tasks[name].priority for name in found), default=5)
        right = min(task.priority, urgent) if urgent <= 2 else task.priority
        if task.urgency != right:
            yield f"urgencies: {task.id} has {task.urgency} instead of {right}"


def indexes(cells: Dictionary) -> Iterator[str]:
    """Every lock is filed where a full scan would look for it, and nothing else is."""
    paths: dict[Key, Mode] = {}
    globs: Counter[tuple[str, str]] = Counter()
    for claim in table(cells, "claims", Claim).values():
        for lock in claim.locks:
            thing = seen(cells, lock.resource)
            if isinstance(thing, Path):
                key = ("paths", *(f"={part}" for part in thing.parts), f"!{claim.id}")
                paths[key] = min(lock.mode, paths.get(key, lock.mode))
            else:
                globs[claim.id, lock.to_json().decode()] += 1
    found = {key: Mode(raw.decode()) for key, raw in cells.contents.items() if key[0] == "paths"}
    if found != paths:
        yield f"indexes: {found} instead of {paths}"
    held = Counter((key[1], raw.decode()) for key, raw in cells.contents.items() if key[0] == "globs")
    if held != globs:
        yield f"indexes: globs {held} instead of {globs}"


def filed(cells: Dictionary) -> Iterator[str]:
    """Leases, dependents, keys and progress are filed as the records say."""
    tasks, claims = table(cells, "tasks", Task), table(cells, "claims", Claim)
    kinds = {"children", "dependents", "elders", "failed", "findings", "leases", "relatives"}
    found = {key for key in cells.contents if key[0] in kinds}
    expected = {("dependents", name, task.id) for task in tasks.values() for name in task.dependencies}
    expected |= {("relatives", name, task.id) for task in tasks.values() for name in task.related}
    expected |= {("children", task.parent, task.id) for task in tasks.values() if task.parent}
    expected |= {("findings", task.found_by, task.id) for task in tasks.values() if task.found_by}
    expected |= {
        ("elders", f"{task.reserved.since:012d}", task.id) for task in tasks.values() if task.reserved
    }
    expected |= {
        ("failed", f"{task.retry_at:%Y-%m-%dT%H:%M:%SZ}" if task.retry_at else "person", task.id)
        for task in tasks.values()
        if task.status is TaskStatus.FAILED
    }
    expected |= {
        ("leases", f"{at:%Y-%m-%dT%H}", f"{at:%Y-%m-%dT%H:%M:%SZ}!{claim.id}")
        for claim in claims.values()
        if not claim.queued and (at := claim.lease.expires_at)
    }
    if found != expected:
        yield f"filed: {found} instead of {expected}"
    for task in tasks.values():
        if task.key is not None and Board(cells).keyed(task.key) is None:
            yield f"filed: key {task.key!r} is unknown"
    for name in table(cells, "progress", Progress):
        if tasks[name].claim is None:
            yield f"filed: progress of {name}, which nobody holds"


def wholes(cells: Dictionary) -> Iterator[str]:
    """Nothing waits for itself; whoever has open parts isn't done and nobody's; whose parts are done is done."""
    tasks = table(cells, "tasks", Task)
    try:
        list(TopologicalSorter(waits(tasks)).static_order())
    except CycleError as error:
        yield f"wholes: {error.args[1]} is a circle"
    for task in tasks.values():
        parts = [part for part in tasks.values() if part.parent == task.id]
        left = [part for part in parts if is_open(part)]
        needed = [tasks.get(name) for name in task.dependencies]
        if left and task.claim is not None:
            yield f"wholes: {task.id} is claimed, {left[0].id} is open"
        done = bool(parts) and not left and any(part.merged_at for part in parts)
        if (
            done
            and task.status is TaskStatus.PENDING
            and all(one is not None and one.merged_at for one in needed)
        ):
            yield f"wholes: {task.id} is pending, its parts are merged"


def waits(tasks: Mapping[str, Task]) -> dict[str, list[str]]:
    """What each task waits for."""
    parts = {name: [part.id for part in tasks.values() if part.parent == name] for name in tasks}
    return {name: [*task.dependencies, *parts[name]] for name, task in tasks.items()}


def remembered(cells: Dictionary) -> Iterator[str]:
    """The last operation is remembered at its counter."""
    board = Board(cells)
    if board.at_counter(board.counter) != board.meta.operation:
        yield f"remembered: {board.counter} was {board.at_counter(board.counter)}, not {board.meta.operation}"


def queued_up(cells: Dictionary) -> Iterator[str]:
    """Each wait is filed by its ticket, which is the counter of an operation that was."""
    for name, waiter in table(cells, "waits", Waiter).items():
        if int(name) != waiter.ticket or not 0 < waiter.ticket <= Board(cells).counter:
            yield f"queued_up: {waiter.worker} has ticket {waiter.ticket}, filed as {name}"


RULES = (
    exclusion,
    whole,
    queue,
    counts,
    standing,
    chains,
    urgencies,
    indexes,
    filed,
    wholes,
    remembered,
    queued_up,
)
