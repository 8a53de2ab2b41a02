"""Clients of one ledger, over every store there is, in this process and in others."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gitpw.adapters.process import run
from gitpw.domain.ids import LedgerId, TaskId, WorkerId
from gitpw.domain.operation import Add, Author, Begin, Done, NewTask, Refused, Request, Take
from gitpw.errors import PwError
from gitpw.ledger.journal import Journal
from gitpw.ledger.ledger import Answer, Ledger
from gitpw.ledger.local import LocalStore
from gitpw.ledger.memory import MemoryStore
from gitpw.ledger.remote import RemoteStore
from gitpw.ledger.store import Move, Store, Swap

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

    from tests.conftest import Remote

LEDGER = LedgerId("0123456789abcdef0123")
SPAWN = multiprocessing.get_context("spawn")
PATIENCE = 60.0
"""Seconds that a race may take."""


def author(worker: str = "ada", host: str = "desk") -> Author:
    """A worker at a host."""
    return Author(worker=WorkerId(worker), host=host, place=worker)


def new_task(title: str = "work", *files: str, **about: Any) -> Add:
    """A request for one more task."""
    return Add(tasks=(NewTask(title=title, files=files, **about),))


def take(task: str | None = None) -> Take:
    """A request for a task."""
    return Take(task=None if task is None else TaskId(task), lease=3600)


class Client:
    """One clone's ledger, for people who ask for little."""

    def __init__(self, store: Store, journal: Path, *, worker: str = "ada", **about: Any) -> None:
        self.store = store
        self.worker = worker
        self.journal = Journal(journal)
        self.ledger = Ledger(store, self.journal, lambda: datetime.now(UTC), **about)

    def ask(self, request: Request, worker: str | None = None) -> Answer:
        """Ask for something."""
        return self.ledger.transact(request, author(worker or self.worker))

    def done(self, request: Request, worker: str | None = None) -> Done:
        """Ask for something that must be granted."""
        outcome = self.ask(request, worker).outcome
        assert isinstance(outcome, Done), outcome
        return outcome

    def refused(self, request: Request, worker: str | None = None) -> Refused:
        """Ask for something that must be refused."""
        outcome = self.ask(request, worker).outcome
        assert isinstance(outcome, Refused), outcome
        return outcome

    def titles(self) -> list[str]:
        """The titles of all tasks there are now."""
        return [task.title for task in self.ledger.fresh().tasks()]

    def open(self) -> list[str]:
        """The ids of the operations that the journal has."""
        folder = self.journal._folder
        return sorted(path.stem for path in folder.glob("*.json")) if folder.is_dir() else []


@dataclass(frozen=True)
class Place:
    """Where a client keeps its store; a process can be told so."""

    folder: str
    url: str | None = None

    def store(self) -> LocalStore | RemoteStore:
        """The store of one clone, or the one that all worktrees share."""
        if self.url is None:
            return LocalStore(self.folder, run)
        return RemoteStore(self.folder, run, self.url, str(Path(self.folder).parent), list)

    def client(self, *, worker: str = "ada", **about: Any) -> Client:
        """A client of its own."""
        return Client(self.store(), Path(self.folder, "journal"), worker=worker, **about)


@dataclass
class Arena:
    """One ledger and as many clients as are wanted; over a remote, each has a clone of its own."""

    kind: str
    folder: Path
    remote: Remote | None = None
    memory: MemoryStore = field(default_factory=MemoryStore)
    made: int = 0

    @property
    def alone(self) -> bool:
        """Whether all clients look at the same store."""
        return self.remote is None

    def place(self) -> Place:
        """Where a further client lives."""
        self.made += 1
        part = self.folder / ("shared" if self.alone else f"clone-{self.made}")
        part.mkdir(exist_ok=True)
        return Place(str(part / "pw"), self.remote.url if self.remote else None)

    def client(self, **about: Any) -> Client:
        """A further client."""
        if self.kind == "memory":
            self.made += 1
            return Client(self.memory, self.folder / f"journal-{self.made}", **about)
        return self.place().client(**about)

    def begun(self, **about: Any) -> Client:
        """A client that has begun the ledger."""
        client = self.client(**about)
        client.done(Begin(ledger=LEDGER))
        return client


class Wrapped:
    """A store that is another one, but for what is changed here."""

    def __init__(self, store: Store) -> None:
        self.inner = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def wrapped(client: Client, around: Callable[[Store], Any]) -> Any:
    """Put something around a client's store, and give it."""
    client.store = client.ledger.store = around(client.store)
    return client.store


class Interrupted(Wrapped):
    """A rival acts between reading and writing, once each."""

    def __init__(self, store: Store, *rivals: Callable[[], object]) -> None:
        super().__init__(store)
        self.rivals = list(rivals)
        self.swaps = 0

    def swap(self, old: str | None, new: str, moves: Sequence[Move] = ()) -> Swap:
        """Let the next rival act, then swap."""
        self.swaps += 1
        if self.rivals:
            self.rivals.pop(0)()
        return self.inner.swap(old, new, moves)


class Deaf(Wrapped):
    """The answers of the next swaps are lost: of each, `True` says that it was applied before."""

    def __init__(self, store: Store, *applied: bool, then: Callable[[], object] = lambda: None) -> None:
        super().__init__(store)
        self.applied = list(applied)
        self.then = then
        self.swaps = 0

    def swap(self, old: str | None, new: str, moves: Sequence[Move] = ()) -> Swap:
        """Swap, or don't, and say that nobody knows."""
        self.swaps += 1
        if not self.applied:
            return self.inner.swap(old, new, moves)
        if self.applied.pop(0):
            assert self.inner.swap(old, new, moves) is Swap.DONE
        self.then()
        return Swap.LOST


class Late(Wrapped):
    """The first swap is answered with a loss, and reaches the remote only when the next one is tried."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.pending: tuple[str | None, str] | None = None
        self.swaps = 0

    def swap(self, old: str | None, new: str, moves: Sequence[Move] = ()) -> Swap:
        """Hold the first one back."""
        self.swaps += 1
        if self.swaps == 1:
            self.pending = (old, new)
            return Swap.LOST
        if self.pending is not None:
            self.inner.swap(*self.pending)
            self.pending = None
        return self.inner.swap(old, new, moves)


class Dying(Wrapped):
    """The process is killed in its first swap, before or after the ledger has changed."""

    def __init__(self, store: Store, *, applied: bool) -> None:
        super().__init__(store)
        self.is_applied = applied

    def swap(self, old: str | None, new: str, moves: Sequence[Move] = ()) -> Swap:
        """Die."""
        if self.is_applied:
            self.inner.swap(old, new, moves)
        os.kill(os.getpid(), signal.SIGKILL)
        return Swap.LOST


# what processes do: each is told its place, and says what it got


def claims(place: Place, number: int, barrier: Barrier, said: Any) -> None:
    """Claim the best task, when all are ready."""
    client = place.client(worker=f"w{number}", deadline=PATIENCE)
    client.ledger.board()
    barrier.wait(PATIENCE)
    said.put((number, answered(lambda: client.ask(take("task-001")).outcome)))


def increments(place: Place, number: int, barrier: Barrier, said: Any, times: int) -> None:
    """Add so many tasks, one after the other."""
    client = place.client(worker=f"w{number}", deadline=PATIENCE)
    barrier.wait(PATIENCE)
    for step in range(times):
        outcome = answered(lambda step=step: client.ask(new_task(f"{number}.{step}")).outcome)
        said.put((f"{number}.{step}", outcome))


def first_uses(place: Place, number: int, barrier: Barrier, said: Any) -> None:
    """Make the store, all at once, and begin the ledger in it."""
    barrier.wait(PATIENCE)
    client = place.client(worker=f"w{number}", deadline=PATIENCE)
    said.put((number, answered(lambda: client.ask(Begin(ledger=LEDGER)).outcome)))


def dies(place: Place, applied: bool) -> None:
    """Add a task and be killed in the middle of it."""
    client = place.client()
    wrapped(client, lambda store: Dying(store, applied=applied))
    client.ask(new_task("by a dying process"))


def answered(ask: Callable[[], Done | Refused]) -> str:
    """What an outcome was, in a word; for a failure, what it was."""
    try:
        outcome = ask()
    except PwError as error:
        return f"{type(error).__name__}: {error}"
    return "done" if isinstance(outcome, Done) else outcome.code


def race(target: Callable[..., None], places: Sequence[Place], *more: Any) -> dict[Any, str]:
    """Run one process for each place, all at once, and give what each said."""
    barrier, said = SPAWN.Barrier(len(places)), SPAWN.Queue()
    processes = [
        SPAWN.Process(target=target, args=(place, number, barrier, said, *more), daemon=True)
        for number, place in enumerate(places)
    ]
    for process in processes:
        process.start()
    until = time.monotonic() + PATIENCE
    try:
        for process in processes:
            process.join(max(0.1, until - time.monotonic()))
            assert process.exitcode == 0, f"a process ended with {process.exitcode}"
        found = []
        while not said.empty():
            found.append(said.get(timeout=5))
        assert len(dict(found)) == len(found)
        return dict(found)
    finally:
        for process in processes:
            process.kill()
            process.join(5)
        said.close()
