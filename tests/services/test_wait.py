"""Standing in line, in a time that passes only where the one who waits rests: rivals act meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from gitpw.domain.ids import LedgerId, OperationId, WorkerId
from gitpw.domain.operation import (
    Add,
    Author,
    Begin,
    Call,
    Done,
    Leave,
    Lock,
    NewTask,
    Register,
    Take,
    Unlock,
    Wait,
)
from gitpw.errors import ContendedError, HeldError, InvalidError, NothingError, OfflineError
from gitpw.ledger.journal import Journal
from gitpw.ledger.ledger import Ledger
from gitpw.ledger.memory import MemoryStore
from gitpw.services import wait as module
from gitpw.services.asking import granted
from gitpw.services.ports import Context
from gitpw.services.wait import AGAIN, PATIENCE, PROLONG, wait
from tests.domain.state import locks

if TYPE_CHECKING:
    from pathlib import Path

    from gitpw.domain.operation import Request
    from gitpw.domain.waiter import Waiter

NOON = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)
LEASE = 100_000


@dataclass
class World:
    """A ledger in memory, its one clock, and what is to happen at which second of the wait."""

    ledger: Ledger = field(init=False)
    seconds: float = 0.0
    script: list[tuple[float, Callable[[], object]]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    dry_run: bool = False

    def monotonic(self) -> float:
        """Seconds since noon."""
        return self.seconds

    def now(self) -> datetime:
        """The time of day."""
        return NOON + timedelta(seconds=self.seconds)

    def sleep(self, seconds: float) -> None:
        """Time passes, and what is due happens."""
        assert self.seconds < 100_000, "it waits for ever"
        end = self.seconds + max(seconds, 0.01)
        while self.script and self.script[0][0] <= end:
            at, event = self.script.pop(0)
            self.seconds = max(self.seconds, at)
            event()
        self.seconds = end

    def at(self, second: float, worker: str, request: Request, host: str = "desk") -> None:
        """Let somebody ask for something, which must be granted, at that second."""
        self.script.append((second, lambda: self.does(worker, request, host)))

    def does(self, worker: str, request: Request, host: str = "desk") -> Done:
        """Ask for something that is granted."""
        author = Author(worker=WorkerId(worker), host=host, place=worker)
        return granted(self.ledger.transact(request, author).outcome)

    def stands(self, worker: str, want: Lock | Take, seconds: int = 900, host: str = "desk") -> int:
        """Somebody else's place in line."""
        ticket = self.does(worker, Wait(want=want, seconds=seconds), host).detail["ticket"]
        assert isinstance(ticket, int)
        return ticket

    def wait(self, length: str | None, want: Lock | Take, worker: str = "me") -> Done:
        """Wait for something."""
        context = SimpleNamespace(
            ledger=self.ledger,
            me=Author(worker=WorkerId(worker), host="mine", place=worker),
            checkout=SimpleNamespace(own=list),
            worktrees=SimpleNamespace(memories=list),
            clock=self,
            tell=self.told.append,
            remote="origin",
            dry_run=self.dry_run,
        )

        def attempt(asked: Lock | Take) -> Done:
            if self.dry_run:
                return granted(self.ledger.preview(asked, context.me).outcome)
            return granted(self.ledger.transact(asked, context.me).outcome)

        return wait(cast("Context", context), length, want, attempt)

    def waiters(self) -> list[Waiter]:
        """Who stands in line."""
        return list(self.ledger.board().waiters())

    def verbs(self) -> list[str]:
        """What has happened, oldest first."""
        return [str(entry.operation["request"]["verb"]) for entry in self.ledger.history()][::-1]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Ada holds `a`."""
    world = World()
    world.ledger = ledger = Ledger(MemoryStore(), Journal(tmp_path / "journal"), world.now)
    monkeypatch.setattr(module, "time", world)

    def rest(trace: object, seconds: float) -> bool:
        end = world.seconds + seconds
        while world.seconds < end and ledger.store.trace() == trace:
            world.sleep(min(0.5, end - world.seconds))
        return ledger.store.trace() != trace

    monkeypatch.setattr(ledger, "wait_for_change", rest)
    world.does("ada", Begin(ledger=LedgerId("0" * 16)))
    world.does("ada", lock("a"))
    return world


def lock(*names: str, **about: Any) -> Lock:
    """A request for locks."""
    return Lock(locks=locks(*names), lease=LEASE, **about)


def test_granted_in_its_turn(world: World) -> None:
    """It is granted when the holder lets go; the first line tells for how long and at which place."""
    world.at(30, "ada", Unlock(all=True))
    assert world.wait("5m", lock("a")).token is not None
    assert 30 <= world.seconds < 31
    assert world.told == ["a is held by ada: waiting up to 5m, number 1 in line"]
    assert world.waiters() == []
    assert world.verbs() == ["begin", "lock", "wait", "unlock", "lock"]


def test_place_is_told_when_it_changes(world: World) -> None:
    """One moves up when another leaves, and hears of a new holder."""
    bob = world.stands("bob", lock("a"))
    cy = world.stands("cy", lock("a"))
    world.at(10, "bob", Leave(tickets=(bob,)))
    world.at(20, "ada", Unlock(all=True))
    world.at(20, "cy", lock("a", waiting=cy))
    world.at(30, "cy", Unlock(all=True))
    world.wait("5m", lock("a"))
    assert world.told == [
        "a is held by ada: waiting up to 5m, number 3 in line",
        "a is held by ada: number 2 in line",
        "a is held by cy: number 1 in line",
    ]


def test_the_time_is_up(world: World) -> None:
    """The place is given up, and the error has what a program wants to know."""
    world.stands("bob", lock("a"))
    with pytest.raises(ContendedError, match=r"^still not free after 60s: a is held by ada$") as caught:
        world.wait("60s", lock("a"))
    assert world.seconds == pytest.approx(60, abs=1)
    assert caught.value.data["wait"]["place"] == 2
    assert [one["workerId"] for one in caught.value.data["wait"]["ahead"]] == ["bob"]
    assert [one.worker for one in world.waiters()] == ["bob"]


def test_nothing_is_pushed_while_nothing_changes(world: World) -> None:
    """Ten minutes in line are one operation, and the end another."""
    with pytest.raises(ContendedError):
        world.wait("10m", lock("a"))
    assert world.verbs() == ["begin", "lock", "wait", "leave"]


def test_a_long_wait_shows_that_it_is_there(world: World) -> None:
    """Before its life ends it gives a sign of it, and so never loses its place."""
    world.at(3_000, "ada", Unlock(all=True))
    world.wait("1h", lock("a"))
    assert world.verbs().count("wait") == 1 + 3_000 // int(PROLONG + 1)


def test_a_call_is_answered(world: World) -> None:
    """Whoever is called says that it is there, and keeps its place."""
    world.at(20, "bob", Wait(want=lock("a"), seconds=900), "lap")
    world.script.append((25, lambda: world.does("bob", Call(tickets=(world.waiters()[0].ticket,)), "lap")))
    marks: list[dict[str, datetime]] = []
    world.script.append((50, lambda: marks.append(world.waiters()[0].calls)))
    world.at(100, "ada", Unlock(all=True))
    world.wait("5m", lock("a"))
    assert marks == [{}]
    assert world.verbs().count("wait") == 3


def test_who_is_silent_is_passed_over(world: World) -> None:
    """One ahead that is dead, on another machine, is called when it is its turn, once, and passed over soon after."""
    world.stands("bob", lock("a"), host="lap")
    world.at(10, "ada", Unlock(all=True))
    world.wait("5m", lock("a"))
    assert 10 + PATIENCE + 40 <= world.seconds < 10 + PATIENCE + 60
    assert world.verbs().count("call") == 1
    assert world.waiters() == []


def test_who_answers_is_waited_for(world: World) -> None:
    """One ahead that waits for another file too answers, and isn't called again for a good while."""
    world.does("dora", lock("b"))
    bob = world.stands("bob", lock("a", "b"), host="lap")
    world.at(10, "ada", Unlock(all=True))
    for second in range(20, 600, 20):
        world.at(second, "bob", Wait(want=lock("a", "b"), seconds=900 + second, ticket=bob), "lap")
    with pytest.raises(ContendedError, match="a goes to bob first"):
        world.wait("10m", lock("a"))
    assert world.verbs().count("call") == 1 + (600 - 15) // int(AGAIN)


def test_a_lost_place_is_taken_anew(world: World) -> None:
    """Whoever was passed over, as a machine that was asleep is, stands at the end of the line and says so."""
    world.script.append((30, lambda: world.does("me", Leave(tickets=(world.waiters()[0].ticket,)), "mine")))
    world.at(60, "ada", Unlock(all=True))
    world.wait("5m", lock("a"))
    assert any("at the end of the line" in line for line in world.told)
    assert world.verbs().count("wait") == 2


def test_a_circle_is_refused(world: World) -> None:
    """Nobody stands in line for what never comes."""
    world.does("me", lock("b"))
    world.stands("ada", lock("b"))
    with pytest.raises(InvalidError, match="me waits for a held by ada, who waits for b held by me"):
        world.wait("5m", lock("a"))
    assert [one.worker for one in world.waiters()] == ["ada"]


def test_whatever_goes_wrong_ends_the_wait(world: World) -> None:
    """^C, or an error, gives the place up."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    world.script.append((20, interrupt))
    with pytest.raises(KeyboardInterrupt):
        world.wait("5m", lock("a"))
    assert world.waiters() == []
    assert not list(world.ledger.journal.left())


def test_rehearsed(world: World) -> None:
    """A dry run tells the place, waits for nothing and changes nothing."""
    world.stands("bob", lock("a"))
    world.dry_run = True
    with pytest.raises(HeldError) as caught:
        world.wait("5m", lock("a"))
    assert caught.value.data["wait"] == {"place": 2}
    assert world.told == ["a is held by ada: would wait up to 5m, as number 2 in line"]
    assert (world.seconds, len(world.waiters())) == (0, 1)


def test_out_of_reach(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A remote that can't be asked for a while is no reason to give up; it is told once."""
    fetch = MemoryStore.fetch

    def gone(store: MemoryStore, timeout: float = 60.0) -> str | None:
        if 10 < world.seconds < 60:
            raise OfflineError("origin can't be reached")
        return fetch(store, timeout)

    monkeypatch.setattr(MemoryStore, "fetch", gone)
    world.at(90, "ada", Unlock(all=True))
    world.wait("5m", lock("a"))
    assert [line for line in world.told if "reached" in line] == ["origin can't be reached: still waiting"]


def test_any_task_is_looked_for_only_when_it_may_be_there(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for any task looks through them when tasks or locks have changed, not at whatever happens."""
    looks: list[float] = []
    view = module.view

    def counted(*about: Any) -> Any:
        looks.append(world.seconds)
        return view(*about)

    monkeypatch.setattr(module, "view", counted)
    for second in range(10, 100, 10):
        world.at(second, "ada", Register(id=WorkerId("ada"), name=f"name {second}"))
    world.at(100, "ada", Add(tasks=(NewTask(title="work"),)))
    done = world.wait("5m", Take(lease=LEASE))
    assert done.tasks == ("task-001",)
    assert len(looks) == 2
    assert 100 <= world.seconds < 101


def test_nothing_at_the_end(world: World) -> None:
    """Who waits for any task in vain is told so, as without waiting."""
    with pytest.raises(ContendedError, match="still not free after 30s: there are no open tasks"):
        world.wait("30s", Take(lease=LEASE))
    with pytest.raises(NothingError):
        world.wait(None, Take(lease=LEASE))


def test_what_is_in_the_way_now_is_told(world: World) -> None:
    """Who waited for a file at first, and then for a task, is told of the task."""
    world.at(10, "ada", Unlock(all=True))
    with pytest.raises(ContendedError, match="nothing to claim now"):
        world.wait("30s", Take(lease=LEASE, locks=locks("a")))
    assert world.told == [
        "a is held by ada: waiting up to 30s, number 1 in line",
        "nothing to claim now: number 1 in line",
    ]


def test_a_lease_that_looks_over_is_marked(world: World) -> None:
    """What a host that is gone holds is marked, so that it comes free in a while though no other clock agrees."""
    world.does("ada", Unlock(all=True))
    world.does("ada", Lock(locks=locks("a"), lease=60), "gone")
    world.wait("1h", lock("a"))
    assert world.verbs().count("suspect") == 1
    assert 60 + 300 + 600 <= world.seconds < 60 + 300 + 600 + 60


def test_the_killed_of_this_machine_are_cleared_away(world: World) -> None:
    """A place whose process is gone, as its journal entry tells, is given up before anybody is called."""
    want = Wait(want=lock("a"), seconds=900)
    author = Author(worker=WorkerId("bob"), host="mine", place="bob")
    answer = world.ledger.transact(want, author, hold=True)
    world.ledger.journal.leave(OperationId(answer.operation.id))
    world.at(10, "ada", Unlock(all=True))
    world.wait("5m", lock("a"))
    assert world.seconds < 11
    assert world.verbs()[-2:] == ["leave", "lock"]
