"""The whole state, as named cells with the indexes that keep every question short.

A cell's name is a tuple: the table, then what it is filed under. How the tables lie in a git tree is the ledger's
business (`ledger/layout.py`); here they are only names. No method reads a whole table but those that say so.

    meta                            counter, counts, the clocks of hosts
    settings                        what decides a grant
    tasks/ID  workers/ID  claims/ID  progress/TASK
    durations/TYPE                  how long the last finished tasks took
    signers/WORKER                  the public key that a worker signs with
    ended/CLAIM                     what became of a claim that is no more
    dependents/TASK/DEPENDENT       who waits for whom
    children/TASK/PART  relatives/TASK/OTHER  findings/TASK/FOUND      what else ties tasks together
    ready/SKILLS/TURN…  parked/DIGEST/TURN…  waiting/TURN…  blocked/TURN…
                                    every pending task stands in exactly one of these
    elders/COUNTER/TASK             those whose files are kept for them: see `aging`
    failed/WHEN/TASK                those that have failed, by when they are tried again
    paths/=NAME/…/!CLAIM            locked paths: a trie that mirrors their folders
    globs/CLAIM/N                   locked globs
    leases/HOUR/TIME!CLAIM          claims by the end of their lease
    waits/TICKET                    who stands in line, in that order
    queue/POSITION                  the merge queue
    line                            who runs it, whether it is paused, how far it looks ahead
    keys/DIGEST                     an importer's key -> task
    recent/BUCKET/SLOT-OPERATION    the last operations and their outcomes
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Protocol, TypeVar
from urllib.parse import quote, unquote

from pydantic import Field, ValidationError

from gitpw.domain.ids import (
    TASK,
    ClaimId,
    LedgerId,
    OperationId,
    TaskId,
    WorkerId,
    isoformat,
    numbered_task,
    task_number,
)
from gitpw.domain.lock import Claim, Ended, Held, Mode
from gitpw.domain.merge import Line, Merge
from gitpw.domain.operation import REMEMBERED, Done, Operation, Outcome, Refused
from gitpw.domain.progress import Durations, Progress
from gitpw.domain.record import Instant, Record
from gitpw.domain.resource import C, Covered, File, Glob, Path, Resource, folded, overlap, resource
from gitpw.domain.settings import Settings
from gitpw.domain.signing import SigningKey
from gitpw.domain.task import Task, TaskStatus, TaskType
from gitpw.domain.waiter import Waiter
from gitpw.domain.worker import Worker
from gitpw.errors import ConfigError, InvalidError

Key = tuple[str, ...]
R = TypeVar("R", bound=Record)

MAJOR, MINOR = 1, 0
"""Of the storage format: a newer major is refused, a newer minor read with its unknown fields kept."""

MODES = {mode.encode(): mode for mode in Mode}

BUCKET = 100
CLAIMABLE = frozenset({"ready", "parked"})
"""The queues of tasks that wait for nothing but a worker and their files."""

BY_HAND = "person"
"""Where those failed tasks are filed that aren't tried again by themselves; sorts behind all times."""

HOSTS = 32
"""How many hosts' clocks are remembered."""


class Cells(Protocol):
    """A state that can be read: an immutable snapshot."""

    def load(self, key: Key) -> bytes | None:
        """The content of a cell."""

    def names(self, key: Key) -> Sequence[str]:
        """What is filed directly under a key, sorted."""


class Empty:
    """The cells of no state at all."""

    def load(self, _key: Key) -> bytes | None:
        """Nothing."""
        return None

    def names(self, _key: Key) -> Sequence[str]:
        """Nothing."""
        return ()


class Format(Record):
    """The version of the storage format."""

    major: int = MAJOR
    minor: int = MINOR


class Versioned(Record):
    """What can be read of the ledger's own record in every format."""

    format: Format = Format()


class Clock(Record):
    """The last moment at which a host wrote, by its own clock, and the counter then."""

    at: Instant
    counter: int


class Meta(Versioned):
    """What every operation needs and changes.

    A ledger that was restored went on from the counter `restored`, `leap` later.
    """

    ledger: LedgerId = Field(pattern=r"^[0-9a-f]{16,64}$")
    counter: int = Field(ge=0)
    operation: OperationId
    tasks: int = 0
    positions: int = 0
    counts: dict[TaskStatus, int] = Field(default_factory=dict)
    hosts: dict[str, Clock] = Field(default_factory=dict)
    moved: bool = False
    restored: int | None = None
    leap: int = 0


class Recent(Record):
    """An operation that the ledger still recognises."""

    counter: int
    outcome: Done | Refused


class Board:
    """A state and the changes made to it so far."""

    def __init__(self, cells: Cells) -> None:
        """Begin with no changes."""
        self._cells = cells
        self.changes: dict[Key, bytes | None] = {}
        self._below: dict[Key, set[str]] = {}
        self._listed: dict[Key, Sequence[str]] = {}
        self._read: dict[Key, Record] = {}
        self._globs: dict[tuple[str, ...], list[tuple[ClaimId, Held, Resource]]] | None = None

    # cells

    def _load(self, key: Key) -> bytes | None:
        return self.changes[key] if key in self.changes else self._cells.load(key)

    def _store(self, key: Key, content: bytes | None) -> None:
        if content is None and self._cells.load(key) is None:
            self.changes.pop(key, None)
        else:
            self.changes[key] = content
        self._read.pop(key, None)
        if key[0] in {"globs", "settings"}:
            self._globs = None
        for depth in range(len(key)):
            self._below.setdefault(key[:depth], set()).add(key[depth])
            self._listed.pop(key[:depth], None)

    def _exists(self, key: Key) -> bool:
        if key in self.changes:
            return self.changes[key] is not None
        if key in self._below:
            return bool(self.names(key))
        return self._cells.load(key) is not None or bool(self._cells.names(key))

    def names(self, key: Key) -> Sequence[str]:
        """What is filed directly under a key, sorted, changes included."""
        touched = self._below.get(key)
        if not touched:
            return self._cells.names(key)
        if key not in self._listed:
            kept = {name for name in self._cells.names(key) if name not in touched}
            self._listed[key] = sorted(kept | {name for name in touched if self._exists((*key, name))})
        return self._listed[key]

    def _record(self, kind: type[R], key: Key) -> R | None:
        known = self._read.get(key)
        if known is None:
            raw = self._load(key)
            if raw is None:
                return None
            known = self._read[key] = _parsed(kind, key, raw)
        if not isinstance(known, kind):
            raise TypeError(key)
        return known

    def _put(self, key: Key, record: Record) -> None:
        self._store(key, record.to_json())
        self._read[key] = record

    def _all(self, kind: type[R], table: str) -> Iterator[R]:
        for name in self.names((table,)):
            record = self._record(kind, (table, name))
            if record is not None:
                yield record

    # meta

    @property
    def begun(self) -> bool:
        """Whether there is a ledger at all."""
        return self._load(("meta",)) is not None

    @property
    def meta(self) -> Meta:
        """The ledger's own record; raises `ConfigError` where it isn't one, or one of a newer format."""
        key = ("meta",)
        if key not in self._read:
            self._check_format(key)
        meta = self._record(Meta, key)
        if meta is None:
            raise ConfigError("the ledger has no meta record", hint="see 'git pw doctor'")
        return meta

    def _check_format(self, key: Key) -> None:
        """Before anything else is read of it: a newer format may have other fields."""
        raw = self._load(key)
        major = MAJOR if raw is None else _parsed(Versioned, key, raw).format.major
        if major > MAJOR:
            raise ConfigError(
                f"the ledger has format {major}, this git-pw reads up to {MAJOR}", hint="upgrade git-pw"
            )

    def put_meta(self, meta: Meta) -> None:
        """Replace the ledger's own record."""
        self._put(("meta",), meta)

    @property
    def counter(self) -> int:
        """How many operations there were; zero before the first."""
        return self.meta.counter if self.begun else 0

    @property
    def settings(self) -> Settings:
        """What decides a grant."""
        return self._record(Settings, ("settings",)) or Settings()

    def put_settings(self, settings: Settings) -> None:
        """Replace the settings."""
        self._put(("settings",), settings)

    @property
    def clocks(self) -> dict[str, datetime]:
        """When each host last wrote, by its own clock."""
        return {host: clock.at for host, clock in self.meta.hosts.items()}

    # tasks

    def task(self, task: TaskId) -> Task | None:
        """The task of that id."""
        return self._record(Task, ("tasks", task))

    def tasks(self) -> Iterator[Task]:
        """All tasks, in the order of creation: reads the whole table."""
        found = sorted(self.names(("tasks",)), key=len)
        for name in sorted(found, key=lambda name: (len(name), name)):
            task = self.task(TaskId(name))
            if task is not None:
                yield task

    def put_task(self, task: Task) -> None:
        """Store a task and keep every index of tasks true."""
        old = self.task(task.id)
        turn = self._turn(task)
        task = task.but(turn="/".join(turn) if turn else None)
        if turn is None or turn[0] not in CLAIMABLE:
            task = task.but(parked=None, passed=0, reserved=None)
        if old is None or old.turn != task.turn:
            if old is not None and old.turn is not None:
                self._store(tuple(old.turn.split("/")), None)
            if turn is not None:
                self._store(turn, b"")
        self._put(("tasks", task.id), task)
        self._count(old, task)
        self._file(old, task)
        if old is None or _weight(old) != _weight(task):
            self._stir(task)
        if old is not None and old.parent != task.parent:
            self._stand(old.parent)
            self._stand(task.parent)

    def _file(self, old: Task | None, new: Task) -> None:
        """Keep the indexes that say what a task has to do with others, and which of them are to be found first."""
        before = set() if old is None else _filed(old)
        after = _filed(new)
        for key in before - after:
            self._store(key, None)
        for key in after - before:
            self._store(key, b"")

    def _stir(self, task: Task) -> None:
        """Those that wait for a task may stand elsewhere, now that it stands otherwise."""
        for name in self.dependents(task.id):
            self._stand(name)
        whole = None if task.parent is None else self.task(task.parent)
        # one that waits already goes on waiting for one part more
        if whole is not None and task.is_open == (_queue_of(whole) in CLAIMABLE):
            self._stand(whole.id)

    def _stand(self, name: TaskId | None) -> None:
        """Look anew where an open task stands."""
        task = None if name is None else self.task(name)
        if task is not None and task.turn is not None:
            self.put_task(task)

    def _count(self, old: Task | None, new: Task) -> None:
        if old is not None and old.status is new.status:
            return
        counts = dict(self.meta.counts)
        if old is not None:
            counts[old.status] = counts.get(old.status, 0) - 1
        counts[new.status] = counts.get(new.status, 0) + 1
        self.put_meta(self.meta.but(counts=counts))

    def _turn(self, task: Task) -> Key | None:
        """Where an open task stands; names sort in the order of claiming."""
        if task.status is not TaskStatus.PENDING:
            return None
        number = task_number(task.id)
        chain = 999_999 - min(task.chain, 999_999)
        turn = (str(task.urgency), f"{chain:06d}", f"{number // 256:07d}", f"{number % 256:03d}")
        needed = [self.task(name) for name in self.unmet(task)]
        if any(one is None or one.is_dead_end for one in needed):
            return ("blocked", *turn)
        if needed or any(self.open_parts(task.id)):
            return ("waiting", *turn)
        if task.parked is not None:
            return ("parked", _digest(task.parked), *turn)
        return ("ready", skills_key(task.required_skills), *turn)

    def unmet(self, task: Task) -> list[TaskId]:
        """The dependencies that aren't merged yet, or don't exist."""
        found = [(name, self.task(name)) for name in task.dependencies]
        return [name for name, needed in found if needed is None or needed.merged_at is None]

    def dependents(self, task: TaskId) -> list[TaskId]:
        """The tasks that name this one as a dependency."""
        return [TaskId(name) for name in self.names(("dependents", task))]

    def parts(self, task: TaskId) -> list[TaskId]:
        """The tasks that name this one as what they are a part of."""
        return [TaskId(name) for name in self.names(("children", task))]

    def open_parts(self, task: TaskId) -> Iterator[TaskId]:
        """Those that are neither merged nor cancelled."""
        for name in self.parts(task):
            part = self.task(name)
            if part is not None and part.is_open:
                yield name

    def relatives(self, task: Task) -> list[TaskId]:
        """The tasks that have to do with this one, whichever of the two says so."""
        others = (TaskId(name) for name in self.names(("relatives", task.id)))
        return sorted({*task.related, *others}, key=task_number)

    def findings(self, task: TaskId) -> list[TaskId]:
        """The tasks that were found while working on this one."""
        return [TaskId(name) for name in self.names(("findings", task))]

    def ready(
        self,
        skills: frozenset[str],
        shut: Callable[[Task], bool] = lambda _: False,
        first: Iterable[Task] = (),
    ) -> Iterator[Task]:
        """Pending tasks that wait for nothing and that these skills can do, in the order of claiming.

        Those that stand aside for a file stand in a lane of its own. `shut` is asked when the first of a lane comes
        up, and again for each next one: where it says so, the rest of the lane is left aside. `first` are tasks that
        are never left aside with their lane.
        """
        told: set[TaskId] = set()
        turns = [
            self._turns(("ready", name), 4) for name in self.names(("ready",)) if skills_of(name) <= skills
        ]
        lanes = [self._turns(("parked", name), 4) for name in self.names(("parked",))]
        own = [iter(sorted(_place(task) for task in first))]
        heap = [
            (turn, number, queue, number >= len(turns) + len(own))
            for number, queue in enumerate([*turns, *own, *lanes])
            if (turn := next(queue, None)) is not None
        ]
        heapq.heapify(heap)
        while heap:
            turn, number, queue, lane = heapq.heappop(heap)
            task = self._standing(turn)
            if lane and task is not None and shut(task):
                continue
            after = next(queue, None)
            if after is not None:
                heapq.heappush(heap, (after, number, queue, lane))
            if task is not None and task.id not in told and skills >= frozenset(task.required_skills):
                told.add(task.id)
                yield task

    def short_of_skills(self, skills: frozenset[str]) -> Iterator[tuple[TaskId, frozenset[str]]]:
        """Ready tasks that these skills can't do, and what is missing; the index says it of nearly all of them."""
        lacking = {name: skills_of(name) - skills for name in self.names(("ready",))}
        queues = [self._turns(("ready", name), 4, (name,)) for name, missing in lacking.items() if missing]
        for *turn, name in heapq.merge(*queues):
            yield _numbered(tuple(turn)), lacking[name]
        for task in self._merged([("parked", name) for name in self.names(("parked",))]):
            if not skills >= frozenset(task.required_skills):
                yield task.id, frozenset(task.required_skills) - skills

    def waiting(self) -> Iterator[Task]:
        """Pending tasks with dependencies that aren't merged, or parts that are open."""
        return self._merged([("waiting",), ("blocked",)])

    def blocked(self) -> Iterator[Task]:
        """Pending tasks with a dependency that has failed for good, was cancelled or doesn't exist."""
        return self._merged([("blocked",)])

    def parked(self) -> Iterator[Task]:
        """Ready tasks that stand aside for a file."""
        return self._merged([("parked", name) for name in self.names(("parked",))])

    def elders(self) -> Iterator[Task]:
        """The tasks whose files are kept for them, the longest first."""
        for counter in list(self.names(("elders",))):
            for name in sorted(self.names(("elders", counter)), key=lambda name: task_number(TaskId(name))):
                task = self._legible(TaskId(name))
                if task is not None:
                    yield task

    def due(self, now: datetime, horizon: datetime) -> list[Task]:
        """Failed tasks whose time to be tried again has come, or lies beyond what can be."""
        moments = [name for name in self.names(("failed",)) if name != BY_HAND]
        come = [name for name in moments if name <= isoformat(now) or name > isoformat(horizon)]
        return [task for moment in come for task in self._failed(moment)]

    def failed(self) -> Iterator[Task]:
        """Failed tasks, those first that are tried again the soonest; those that need a person last."""
        for moment in list(self.names(("failed",))):
            yield from self._failed(moment)

    def _failed(self, moment: str) -> Iterator[Task]:
        for name in sorted(self.names(("failed", moment)), key=lambda name: task_number(TaskId(name))):
            task = self._legible(TaskId(name))
            if task is not None:
                yield task

    def _merged(self, queues: Sequence[Key]) -> Iterator[Task]:
        for turn in heapq.merge(*(self._turns(queue, 4) for queue in queues)):
            task = self._standing(turn)
            if task is not None:
                yield task

    def _standing(self, turn: Key) -> Task | None:
        """The task at a place in a queue."""
        return self._legible(_numbered(turn))

    def _legible(self, name: TaskId) -> Task | None:
        """A task, None where its record can't be read: one such must not keep everybody from working."""
        try:
            return self.task(name)
        except ConfigError:
            return None

    def _turns(self, key: Key, depth: int, more: Key = ()) -> Iterator[Key]:
        """The places in a queue, with `more` behind each."""
        for name in list(self.names(key)):
            if depth == 1:
                yield (*key[-3:], name, *more)
            else:
                yield from self._turns((*key, name), depth - 1, more)

    def keyed(self, key: str) -> TaskId | None:
        """The task that was imported under that key."""
        raw = self._load(("keys", _digest(key)))
        if raw is None:
            return None
        text = raw.decode(errors="replace")
        if not TASK.fullmatch(text):
            raise ConfigError(f"the ledger's key {key!r} stands for no task", hint="see 'git pw doctor'")
        return TaskId(text)

    def put_key(self, key: str, task: TaskId) -> None:
        """Remember the task that was imported under that key."""
        self._store(("keys", _digest(key)), task.encode())

    # workers

    def worker(self, worker: WorkerId) -> Worker | None:
        """The worker of that id."""
        return self._record(Worker, ("workers", worker))

    def workers(self) -> Iterator[Worker]:
        """All workers, by id: reads the whole table."""
        return self._all(Worker, "workers")

    def put_worker(self, worker: Worker) -> None:
        """Store a worker."""
        self._put(("workers", worker.id), worker)

    def drop_worker(self, worker: WorkerId) -> None:
        """Forget a worker."""
        self._store(("workers", worker), None)

    # keys

    def signer(self, worker: WorkerId) -> SigningKey | None:
        """The public key that a worker signs with."""
        return self._record(SigningKey, ("signers", worker))

    def signers(self) -> dict[WorkerId, SigningKey]:
        """All of them: reads the whole table."""
        names = map(WorkerId, self.names(("signers",)))
        return {name: key for name in names if (key := self.signer(name)) is not None}

    def put_signer(self, worker: WorkerId, key: SigningKey | None) -> None:
        """Register a worker's key, or forget it."""
        if key is None:
            self._store(("signers", worker), None)
        else:
            self._put(("signers", worker), key)

    # claims and locks

    def claim(self, claim: ClaimId) -> Claim | None:
        """The live claim of that id."""
        return self._record(Claim, ("claims", claim))

    def claims(self) -> Iterator[Claim]:
        """All live claims: reads the whole table."""
        return self._all(Claim, "claims")

    def put_claim(self, claim: Claim) -> None:
        """Store a claim and index its locks."""
        old = self.claim(claim.id)
        if old is None or old.locks != claim.locks:
            if old is not None:
                self._unindex(old)
            self._index(claim)
        self._put(("claims", claim.id), claim)
        before, after = None if old is None else _lease_key(old), _lease_key(claim)
        if before != after:
            self._forget_lease(old)
            if after is not None:
                self._store(after, b"")

    def drop_claim(self, claim: Claim, ending: Ended) -> None:
        """End a claim: its locks are free."""
        self._unindex(claim)
        self._forget_lease(self.claim(claim.id))
        self._store(("claims", claim.id), None)
        self._put(("ended", claim.id), ending)

    def _forget_lease(self, claim: Claim | None) -> None:
        key = None if claim is None else _lease_key(claim)
        if key is not None:
            self._store(key, None)

    def run_out(self, now: datetime) -> Iterator[Claim]:
        """Claims whose lease has ended by this clock, the longest overdue first; nothing is said of skew here."""
        until = isoformat(now)
        for hour in list(self.names(("leases",))):
            if hour > until[: len(hour)]:
                return
            for name in list(self.names(("leases", hour))):
                moment, _, claim_id = name.partition("!")
                claim = self.claim(ClaimId(claim_id))
                if moment <= until and claim is not None:
                    yield claim

    # waiting

    def waiters(self) -> Iterator[Waiter]:
        """Who stands in line, the longest first: reads the whole table; one that can't be read is left out."""
        for name in list(self.names(("waits",))):
            try:
                waiter = self._record(Waiter, ("waits", name))
            except ConfigError:
                continue
            if waiter is not None and _ticket(waiter.ticket) == name:
                yield waiter

    def waiter(self, ticket: int) -> Waiter | None:
        """Who has that place in line."""
        return self._record(Waiter, ("waits", _ticket(ticket)))

    def put_waiter(self, waiter: Waiter) -> None:
        """Store a place in line."""
        self._put(("waits", _ticket(waiter.ticket)), waiter)

    def drop_waiter(self, waiter: Waiter) -> None:
        """Give it up."""
        self._store(("waits", _ticket(waiter.ticket)), None)

    # what was

    def ending(self, claim: ClaimId) -> Ended | None:
        """What became of a claim that is no more."""
        return self._record(Ended, ("ended", claim))

    def endings(self) -> Iterator[tuple[ClaimId, Ended]]:
        """All of them: reads the whole table."""
        for name in self.names(("ended",)):
            ending = self.ending(ClaimId(name))
            if ending is not None:
                yield ClaimId(name), ending

    def forget_ending(self, claim: ClaimId) -> None:
        """Drop the memory of a claim."""
        self._store(("ended", claim), None)

    def _index(self, claim: Claim) -> None:
        for number, held in enumerate(claim.locks):
            thing = self.seen(held.resource)
            if isinstance(thing, Path):
                key = _trie(thing, f"!{claim.id}")
                if self._load(key) != Mode.EXCLUSIVE.encode():  # by another spelling of the same
                    self._store(key, held.mode.encode())
            else:
                self._store(("globs", claim.id, str(number)), held.to_json())

    def _unindex(self, claim: Claim) -> None:
        for number, held in enumerate(claim.locks):
            thing = self.seen(held.resource)
            key = (
                _trie(thing, f"!{claim.id}") if isinstance(thing, Path) else ("globs", claim.id, str(number))
            )
            self._store(key, None)

    def seen(self, text: str) -> Resource:
        """A resource from its canonical form, folded where this ledger ignores case."""
        try:
            thing = resource(text)
        except InvalidError as error:
            raise ConfigError(f"the ledger holds a lock of {text!r}: {error.message}") from error
        return self.fold(thing)

    def fold(self, thing: C) -> C:
        """The resource as this ledger compares it."""
        return folded(thing) if self.settings.case_insensitive else thing

    def overlapping(self, wanted: Covered) -> Iterator[tuple[ClaimId, Held]]:
        """Every lock that covers a path which `wanted`, already folded, covers too."""
        pattern = wanted if isinstance(wanted, Glob) else None
        parts = wanted.anchor if isinstance(wanted, Glob) else wanted.parts
        *above, last = self._trail(parts)
        for key in above:
            yield from self._markers(key, pattern)
        inside = len(above) == len(parts) and not isinstance(wanted, File)
        yield from self._inside(last, pattern) if inside else self._markers(last, pattern)
        globs = self._locked_globs()
        anchors = (
            [wanted.parts[:depth] for depth in range(len(wanted.parts) + 1)]
            if isinstance(wanted, File)
            else globs
        )
        for anchor in anchors:
            for claim, held, glob in globs.get(anchor, ()):
                if overlap(glob, wanted):
                    yield claim, held

    def _locked_globs(self) -> dict[tuple[str, ...], list[tuple[ClaimId, Held, Resource]]]:
        """Every locked glob by the folder that it begins in, read once for as long as none changes."""
        if self._globs is None:
            self._globs = {}
            for claim in self.names(("globs",)):
                for number in self.names(("globs", claim)):
                    held = self._record(Held, ("globs", claim, number))
                    thing = None if held is None else self.seen(held.resource)
                    if held is not None and thing is not None:
                        anchor = thing.anchor if isinstance(thing, Glob) else thing.parts
                        self._globs.setdefault(anchor, []).append((ClaimId(claim), held, thing))
        return self._globs

    def _trail(self, parts: Sequence[str]) -> list[Key]:
        """The folders of the trie from the root down to `parts`, as far as something is locked in them."""
        trail: list[Key] = [("paths",)]
        for part in parts:
            if f"={part}" not in self.names(trail[-1]):
                break
            trail.append((*trail[-1], f"={part}"))
        return trail

    def _inside(self, key: Key, wanted: Glob | None) -> Iterator[tuple[ClaimId, Held]]:
        yield from self._markers(key, wanted)
        for name in self.names(key):
            if name.startswith("="):
                yield from self._inside((*key, name), wanted)

    def _markers(self, key: Key, wanted: Glob | None) -> Iterator[tuple[ClaimId, Held]]:
        path = Path("/".join(part.removeprefix("=") for part in key[1:]))
        for name in self.names(key):
            if name.startswith("!") and (wanted is None or overlap(path, wanted)):
                mode = MODES.get(self._load((*key, name)) or b"")
                if mode is None:
                    raise ConfigError(f"the ledger's lock of {path} has no mode", hint="see 'git pw doctor'")
                yield ClaimId(name.removeprefix("!")), Held(resource=str(path), mode=mode)

    # progress and merging

    def progress(self, task: TaskId) -> Progress | None:
        """How far a task has come."""
        return self._record(Progress, ("progress", task))

    def put_progress(self, progress: Progress) -> None:
        """Store how far a task has come."""
        self._put(("progress", progress.task_id), progress)

    def drop_progress(self, task: TaskId) -> None:
        """Forget how far a task had come."""
        self._store(("progress", task), None)

    def durations(self, kind: TaskType) -> Durations:
        """How long the last finished tasks of a type took."""
        return self._record(Durations, ("durations", kind.value)) or Durations()

    def put_durations(self, kind: TaskType, durations: Durations) -> None:
        """Store how long they took."""
        self._put(("durations", kind.value), durations)

    def merges(self) -> list[Merge]:
        """The merge queue, first in line first."""
        return sorted(self._all(Merge, "queue"), key=lambda merge: merge.position)

    def put_merge(self, merge: Merge) -> None:
        """Store an entry of the merge queue."""
        self._put(("queue", f"{merge.position:08d}"), merge)

    def drop_merge(self, merge: Merge) -> None:
        """Take an entry out of the merge queue."""
        self._store(("queue", f"{merge.position:08d}"), None)

    @property
    def line(self) -> Line:
        """What holds for the merge queue as a whole."""
        return self._record(Line, ("line",)) or Line()

    def put_line(self, line: Line) -> None:
        """Replace it."""
        self._put(("line",), line)

    def entry(self, task: TaskId) -> Merge | None:
        """The task's entry in the merge queue."""
        return next((merge for merge in self.merges() if merge.task_id == task), None)

    def broken(self) -> Iterator[str]:
        """What can't be read, in words: reads every record of the tables of tasks, workers, claims and merges."""
        kinds: dict[str, type[Record]] = {
            "tasks": Task,
            "workers": Worker,
            "claims": Claim,
            "progress": Progress,
            "queue": Merge,
            "ended": Ended,
            "signers": SigningKey,
            "waits": Waiter,
        }
        for table, kind in kinds.items():
            for name in self.names((table,)):
                try:
                    record = self._record(kind, (table, name))
                    locks = record.locks if isinstance(record, Claim) else ()
                    files = record.files if isinstance(record, Task) else ()
                    for text in (*files, *(held.resource for held in locks)):
                        self.seen(text)
                except ConfigError as error:
                    yield error.message

    # recent operations

    def outcome(self, operation: OperationId, since: int) -> tuple[int, Outcome] | None:
        """The counter and outcome of a recent operation that came after the counter `since`."""
        newest = self.counter
        oldest = max(since + 1, newest - REMEMBERED + 1)
        last = min(newest // BUCKET, oldest // BUCKET + REMEMBERED // BUCKET)
        for number in range(oldest // BUCKET, last + 1):
            bucket = _bucket(number * BUCKET)
            for name in self.names(("recent", bucket)):
                if name.endswith(operation):
                    recent = self._record(Recent, ("recent", bucket, name))
                    return None if recent is None else (recent.counter, recent.outcome)
        return None

    def at_counter(self, counter: int) -> OperationId | None:
        """The operation that made the state of that counter, while it is remembered."""
        slot = f"{counter % BUCKET:02d}-"
        for name in self.names(("recent", _bucket(counter))):
            if name.startswith(slot):
                recent = self._record(Recent, ("recent", _bucket(counter), name))
                if recent is not None and recent.counter == counter:
                    return OperationId(name.removeprefix(slot))
        return None

    def remembers(self, counter: int) -> bool:
        """Whether an operation of that counter would be found by `at_counter`, had there been one."""
        meta = self.meta
        if meta.restored is not None and counter <= meta.restored:
            counter += meta.leap
        return meta.counter - counter < REMEMBERED

    def close(self, operation: Operation, outcome: Outcome) -> None:
        """Count the operation and remember its outcome; what stood in its slot is forgotten."""
        counter = self.counter + 1
        bucket, slot = _bucket(counter), f"{counter % BUCKET:02d}-"
        for name in list(self.names(("recent", bucket))):
            if name.startswith(slot):
                self._store(("recent", bucket, name), None)
        self._put(("recent", bucket, f"{slot}{operation.id}"), Recent(counter=counter, outcome=outcome))
        hosts = {**self.meta.hosts, operation.author.host: Clock(at=operation.at, counter=counter)}
        while len(hosts) > HOSTS:
            del hosts[min(hosts, key=lambda host: hosts[host].counter)]
        self.put_meta(self.meta.but(counter=counter, operation=operation.id, hosts=hosts))


def _ticket(number: int) -> str:
    return f"{number:012d}"


def _bucket(counter: int) -> str:
    return f"{counter // BUCKET % (REMEMBERED // BUCKET):02d}"


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _numbered(turn: Key) -> TaskId:
    """The task at a place in a queue."""
    if not (turn[2] + turn[3]).isdecimal():
        raise ConfigError(f"the ledger's queue has a place {'/'.join(turn)}", hint="see 'git pw doctor'")
    return numbered_task(int(turn[2]) * 256 + int(turn[3]))


def _place(task: Task) -> Key:
    """Its place in whichever queue it stands."""
    return tuple((task.turn or "").split("/")[-4:])


def _queue_of(task: Task) -> str:
    """The queue in which it stands, if any."""
    return (task.turn or "").partition("/")[0]


def _weight(task: Task) -> tuple[bool, bool, bool]:
    """What of a task decides where those stand that wait for it."""
    return task.merged_at is not None, task.is_dead_end, task.is_open


def _filed(task: Task) -> set[Key]:
    """Where a task is found by what it has to do with others, and by what is to be done about it."""
    found: set[Key] = {("dependents", name, task.id) for name in task.dependencies}
    found |= {("relatives", name, task.id) for name in task.related}
    if task.parent is not None:
        found.add(("children", task.parent, task.id))
    if task.found_by is not None:
        found.add(("findings", task.found_by, task.id))
    if task.reserved is not None:
        found.add(("elders", f"{task.reserved.since:012d}", task.id))
    if task.status is TaskStatus.FAILED:
        found.add(("failed", BY_HAND if task.retry_at is None else isoformat(task.retry_at), task.id))
    return found


def _lease_key(claim: Claim) -> Key | None:
    """What waits in the merge queue has no lease that could end."""
    if claim.queued:
        return None
    moment = isoformat(claim.lease.expires_at)
    return ("leases", moment[:13], f"{moment}!{claim.id}")


def _trie(path: Path, marker: str) -> Key:
    return ("paths", *(f"={part}" for part in path.parts), marker)


def _parsed(kind: type[R], key: Key, raw: bytes) -> R:
    try:
        return kind.from_json(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(
            f"the ledger's record {'/'.join(key)} can't be read: {where + ': ' if where else ''}{first['msg']}",
            hint="see 'git pw doctor'",
        ) from error


def skills_key(skills: Sequence[str]) -> str:
    """A set of skills as one name."""
    text = "+".join(sorted({quote(skill, safe="") or "%" for skill in skills}))
    return "%2D" if text == "-" else text or "-"


def skills_of(name: str) -> frozenset[str]:
    """The set of skills that a name stands for."""
    if name == "-":
        return frozenset()
    return frozenset("" if part == "%" else unquote(part) for part in name.split("+"))
