"""What every store promises, and the ledger on top of it: one suite for memory, one machine and every transport."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from gitpw.domain.board import Board
from gitpw.domain.ids import TaskId, WorkerId
from gitpw.domain.operation import Begin, Done, Register, Release
from gitpw.errors import ConfigError, ContendedError, FailedError, OfflineError, UnknownError
from gitpw.ledger import ledger as ledger_module
from gitpw.ledger.store import Swap
from tests.ledger.clients import (
    LEDGER,
    SPAWN,
    Arena,
    Client,
    Deaf,
    Interrupted,
    Late,
    Wrapped,
    author,
    claims,
    dies,
    first_uses,
    increments,
    new_task,
    race,
    take,
    wrapped,
)
from tests.ledger.conftest import ALL, marked
from tests.support.git import git

if TYPE_CHECKING:
    from collections.abc import Callable

REMOTE = marked(ALL[2:])
ON_DISK = marked(ALL[1:])
QUICK = marked(("memory", "local", "path"))
"""For what doesn't depend on the transport."""

remotes = pytest.mark.parametrize("arena", REMOTE, indirect=True)
on_disk = pytest.mark.parametrize("arena", ON_DISK, indirect=True)
quick = pytest.mark.parametrize("arena", QUICK, indirect=True)
quick_on_disk = pytest.mark.parametrize("arena", marked(("local", "path", "http")), indirect=True)
quick_remotes = pytest.mark.parametrize("arena", marked(("path", "http")), indirect=True)
RUNS_AT_ONCE = {"ssh": 3}
"""How many processes race, where that isn't 6: each connection of sshd costs half a second of both cores."""


class Counted(Wrapped):
    """Counts what the ledger asks of a store."""

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self.fetches = self.swaps = 0

    def fetch(self, timeout: float = 60) -> str | None:
        """Count, and fetch."""
        self.fetches += 1
        return self.inner.fetch(timeout)

    def swap(self, *args: Any) -> Swap:
        """Count, and swap."""
        self.swaps += 1
        return self.inner.swap(*args)


class Gone(Wrapped):
    """A store whose remote can't be reached, from now on or for some of the questions."""

    def __init__(self, store: Any, *, fetches: bool = True, swaps: bool = True) -> None:
        super().__init__(store)
        self.is_gone_for_fetches, self.is_gone_for_swaps = fetches, swaps

    def fetch(self, timeout: float = 60) -> str | None:
        """Nobody there."""
        if self.is_gone_for_fetches:
            raise OfflineError("nobody there")
        return self.inner.fetch(timeout)

    def swap(self, *args: Any) -> Swap:
        """Nobody there."""
        if self.is_gone_for_swaps:
            raise OfflineError("nobody there")
        return self.inner.swap(*args)


class SecondFails(Wrapped):
    """The first answer is lost without a trace, then some pushes fail for certain."""

    def __init__(self, store: Any, error: type[Exception], times: int) -> None:
        super().__init__(store)
        self.error, self.times, self.swaps = error, times, 0

    def swap(self, *args: Any) -> Swap:
        """Lose, fail, or swap."""
        self.swaps += 1
        if self.swaps == 1:
            return Swap.LOST
        if self.swaps <= 1 + self.times:
            raise self.error("nothing was changed")
        return self.inner.swap(*args)


def state(client: Client) -> tuple[int, list[str]]:
    """Where the ledger stands, for whoever asks."""
    board = client.ledger.fresh()
    return board.counter, [task.title for task in board.tasks()]


# alone


def test_begin(arena: Arena) -> None:
    """A ledger begins once, and whoever comes later finds it."""
    client = arena.begun()
    assert client.ledger.board().meta.ledger == LEDGER
    other = arena.client(worker="bob")
    assert other.refused(Begin(ledger=LEDGER)).code == "invalid"
    assert other.ledger.board().counter == 1


def test_nothing_before_the_beginning(arena: Arena) -> None:
    """Where there is no ledger, nothing is granted, and none begins in silence."""
    client = arena.client()
    assert not client.ledger.board().begun
    assert client.refused(new_task()).hint == "git pw init"
    assert not arena.client().ledger.fresh().begun
    assert client.open() == []


def test_own_writes_are_read(arena: Arena) -> None:
    """What a client has written, it reads, and so does everybody who asks."""
    client = arena.begun()
    client.done(new_task("one"))
    assert [task.title for task in client.ledger.board().tasks()] == ["one"]
    assert arena.client().titles() == ["one"]


@quick
def test_answer_has_the_board_it_holds_on(arena: Arena) -> None:
    """The answer to a write comes with the state after it."""
    client = arena.begun()
    answer = client.ask(new_task("one"))
    assert answer.board.counter == client.ledger.board().counter == 2
    assert isinstance(answer.outcome, Done)
    assert [task.title for task in answer.board.tasks()] == ["one"]


@quick
def test_uncontended_write_is_one_swap(arena: Arena) -> None:
    """Whoever is alone pays one push and asks for nothing."""
    client = arena.begun()
    counted = wrapped(client, Counted)
    client.done(new_task("one"))
    client.done(take())
    assert (counted.fetches, counted.swaps) == (0, 2)


@quick
def test_no_change_is_no_commit(arena: Arena) -> None:
    """What changes nothing, and what is refused, leaves no trace in the ledger nor in the journal."""
    client = arena.begun()
    client.done(Register(id=WorkerId("ada"), name="Ada"))
    before = client.store.tip()
    assert not client.done(Register(id=WorkerId("ada"), name="Ada")).changed
    assert client.refused(take("task-009")).code == "invalid"
    assert client.store.tip() == client.store.fetch() == before
    assert client.open() == []


@quick
def test_another_state_leaves_another_trace(arena: Arena) -> None:
    """The trace of the last known state stays as long as that does, and differs for each write and each fetch of one."""
    client = arena.begun()
    seen = [client.store.trace()]
    assert not client.ledger.wait_for_change(seen[0], 0)
    client.done(new_task("one"))
    seen.append(client.store.trace())
    arena.client(worker="bob").done(new_task("two"))
    client.ledger.fresh()
    seen.append(client.store.trace())
    client.ledger.fresh()
    assert client.store.trace() == seen[-1]
    assert len(set(seen)) == 3
    assert client.ledger.wait_for_change(seen[0], 60)


@quick
def test_tables_that_are_the_same(arena: Arena) -> None:
    """Two states can be compared by some of their tables alone."""
    client = arena.begun()
    tips = [client.store.tip()]
    client.done(new_task("one"))
    tips.append(client.store.tip())
    client.done(Register(id=WorkerId("ada"), name="Ada"))
    tips.append(client.store.tip())
    first, second, third = (tip or "" for tip in tips)
    assert client.store.same(second, third, ("tasks", "ready", "paths"))
    assert not client.store.same(second, third, ("tasks", "workers"))
    assert not client.store.same(first, third, ("ready",))


def test_history(arena: Arena) -> None:
    """Each granted operation is in the history once, newest first, with what was asked and answered."""
    client = arena.begun()
    client.done(new_task("Fix auth bug", "src/auth"))
    done = client.done(take(), "bob")
    entries = client.ledger.history()
    assert [entry.counter for entry in entries] == [3, 2, 1]
    assert [entry.subject for entry in entries] == [
        "claim task-001: Fix auth bug (bob)",
        "add task-001: Fix auth bug (ada)",
        "begin the ledger (ada)",
    ]
    assert entries[0].operation["request"]["verb"] == "claim"
    assert (entries[0].outcome["token"], entries[0].outcome["claim"]) == (done.token, done.claim)


@quick
def test_preview_changes_nothing(arena: Arena) -> None:
    """What would be answered can be asked without doing it."""
    client = arena.begun()
    answer = client.ledger.preview(new_task("one"), client.ask(new_task("zero")).operation.author)
    assert isinstance(answer.outcome, Done)
    assert state(client) == (2, ["zero"])


@quick
def test_another_ledger_than_expected(arena: Arena) -> None:
    """A ledger that isn't the one named in .gitpw.toml is refused for reading and writing."""
    arena.begun()
    other = arena.client(expected="f" * 20)
    for ask in (other.ledger.board, other.ledger.fresh, lambda: other.ask(new_task())):
        with pytest.raises(ConfigError, match=r"\.gitpw\.toml names ffff"):
            ask()


# rivals


def test_beaten(arena: Arena) -> None:
    """A writer that is beaten decides again: both operations are there, the rival's first."""
    client, rival = arena.begun(), arena.client(worker="bob")
    store = wrapped(client, lambda store: Interrupted(store, lambda: rival.done(new_task("rival"))))
    done = client.done(new_task("mine"))
    assert store.swaps == 2
    assert done.tasks == ("task-002",)
    assert state(arena.client()) == (3, ["rival", "mine"])
    assert client.open() == []


@quick
def test_beaten_twice(arena: Arena) -> None:
    """A writer that is beaten again and again goes on."""
    client, rival = arena.begun(), arena.client(worker="bob")
    rivals = [lambda title=title: rival.done(new_task(title)) for title in ("one", "two")]
    wrapped(client, lambda store: Interrupted(store, *rivals))
    client.done(new_task("mine"))
    assert state(client) == (4, ["one", "two", "mine"])


def test_one_winner(arena: Arena) -> None:
    """Of two who claim the same task at the same moment, one gets it, and the other is told who."""
    client, rival = arena.begun(), arena.client(worker="bob")
    client.done(new_task("only", "src"))
    wrapped(client, lambda store: Interrupted(store, lambda: rival.done(take())))
    refused = client.refused(take("task-001"))
    assert (refused.code, refused.data["holder"]["workerId"]) == ("held", "bob")
    assert [claim.worker for claim in client.ledger.fresh().claims()] == ["bob"]


def test_two_beginnings(arena: Arena) -> None:
    """Of two who begin a ledger at the same moment, one does."""
    client, rival = arena.client(), arena.client(worker="bob")
    wrapped(client, lambda store: Interrupted(store, lambda: rival.done(Begin(ledger="f" * 20))))
    assert client.refused(Begin(ledger=LEDGER)).code == "invalid"
    assert client.ledger.fresh().meta.ledger == "f" * 20


@quick
def test_refusal_is_decided_on_the_current_state(arena: Arena) -> None:
    """What was held when one last looked, and is free now, is granted."""
    client, rival = arena.begun(), arena.client(worker="bob")
    client.done(new_task("only"))
    rival.done(take())
    client.ledger.fresh()
    rival.done(Release(task=TaskId("task-001")))
    client.done(take("task-001"))


@quick
def test_refusal_names_the_current_holder(arena: Arena) -> None:
    """Who is named as the holder holds it now, and not when one last looked."""
    client, rival = arena.begun(), arena.client(worker="bob")
    client.done(new_task("only"))
    rival.done(take())
    client.ledger.fresh()
    rival.done(Release(task=TaskId("task-001")))
    rival.done(take(), "cy")
    assert client.refused(take("task-001")).data["holder"]["workerId"] == "cy"


@quick
def test_always_beaten(arena: Arena) -> None:
    """A writer that is always beaten gives up at its deadline, having changed nothing."""
    client, rival = arena.begun(deadline=0.3), arena.client(worker="bob")
    titles = [f"rival {number}" for number in range(100)]
    rivals = [lambda title=title: rival.done(new_task(title)) for title in titles]
    store = wrapped(client, lambda store: Interrupted(store, *rivals))
    with pytest.raises(ContendedError, match="nothing was changed"):
        client.ask(new_task("mine"))
    assert store.swaps >= 1
    assert "mine" not in arena.client().titles()
    assert client.open() == []


@pytest.mark.race
@on_disk
def test_race_for_one_task(arena: Arena) -> None:
    """Of many processes that claim one task, exactly one gets it, and the others are told that it is held."""
    client = arena.begun()
    client.done(new_task("only", "src"))
    runs = RUNS_AT_ONCE.get(arena.kind, 6)
    said = race(claims, [arena.place() for _ in range(runs)])
    assert sorted(said.values()) == ["done", *["held"] * (runs - 1)]
    (claim,) = client.ledger.fresh().claims()
    assert said[int(claim.worker.removeprefix("w"))] == "done"


@pytest.mark.race
@on_disk
def test_race_loses_no_update(arena: Arena) -> None:
    """Of many processes that each write several times, every acknowledged write is there, and in the history once."""
    client = arena.begun()
    runs, times = RUNS_AT_ONCE.get(arena.kind, 4), 2 if arena.kind == "ssh" else 4
    said = race(increments, [arena.place() for _ in range(runs)], times)
    assert list(said.values()) == ["done"] * (runs * times)
    assert sorted(client.titles()) == sorted(said)
    client.store.deepen()
    entries = client.ledger.history()
    assert [entry.counter for entry in entries] == list(range(1 + runs * times, 0, -1))
    assert len({entry.operation["id"] for entry in entries}) == len(entries)


@pytest.mark.race
@quick_on_disk
def test_race_of_first_uses_in_one_clone(arena: Arena) -> None:
    """Many processes that use a fresh clone's store for the first time at once make one store and one ledger."""
    place = arena.place()
    said = race(first_uses, [place] * 6)
    assert sorted(said.values()) == ["done", *["invalid"] * 5]
    assert place.client().ledger.fresh().counter == 1


@pytest.mark.race
@quick_on_disk
def test_race_within_one_clone(arena: Arena) -> None:
    """Processes that share a store lose no write either, and each finds its own afterwards."""
    arena.begun()
    place = arena.place()
    said = race(increments, [place] * 4, 4)
    assert list(said.values()) == ["done"] * 16
    assert sorted(place.client().titles()) == sorted(said)


# lost answers


@pytest.mark.fault
@pytest.mark.parametrize("applied", [True, False])
def test_lost_answer(arena: Arena, applied: bool) -> None:
    """A write whose answer is lost is applied exactly once, and answered right, whether it had arrived or not."""
    client = arena.begun()
    wrapped(client, lambda store: Deaf(store, applied))
    done = client.done(new_task("mine"))
    assert (done.tasks, done.changed) == (("task-001",), True)
    assert state(arena.client()) == (2, ["mine"])
    assert client.open() == []


@pytest.mark.fault
@quick
@pytest.mark.parametrize("applied", [(False, True), (False, False, True), (False, False)])
def test_answers_lost_again_and_again(arena: Arena, applied: tuple[bool, ...]) -> None:
    """However many answers are lost, the write is applied once."""
    client = arena.begun()
    wrapped(client, lambda store: Deaf(store, *applied))
    assert client.done(new_task("mine")).tasks == ("task-001",)
    assert state(arena.client()) == (2, ["mine"])


@pytest.mark.fault
@quick
@pytest.mark.parametrize("applied", [True, False])
def test_lost_answer_and_a_rival(arena: Arena, applied: bool) -> None:
    """A lost answer is found among what others wrote after it."""
    client, rival = arena.begun(), arena.client(worker="bob")
    client.done(new_task("only"))
    wrapped(client, lambda store: Deaf(store, applied, then=lambda: rival.ask(take("task-001"))))
    outcome = client.ask(take("task-001")).outcome
    assert isinstance(outcome, Done) is applied
    (claim,) = client.ledger.fresh().claims()
    assert claim.worker == ("ada" if applied else "bob")


@pytest.mark.fault
@quick
def test_answer_lost_and_the_write_arrives_late(arena: Arena) -> None:
    """A write that arrives when its sender has given it up and tries again is applied once."""
    client = arena.begun()
    wrapped(client, Late)
    assert client.done(new_task("mine")).tasks == ("task-001",)
    assert state(arena.client()) == (2, ["mine"])


@pytest.mark.fault
@quick
@pytest.mark.parametrize("applied", [True, False])
def test_unknown(arena: Arena, applied: bool) -> None:
    """Where the answer is lost and nobody can be asked, the truth is that it isn't known; the next command finds out."""
    client = arena.begun()
    plain = client.store
    wrapped(client, lambda store: Gone(Deaf(store, applied), swaps=False))
    with pytest.raises(UnknownError):
        client.ask(new_task("mine"))
    (left,) = client.open()
    client.store = client.ledger.store = plain
    (settled,) = client.ledger.settle()
    assert settled.operation.id == left
    assert isinstance(settled.outcome, Done) is applied
    assert arena.client().titles() == (["mine"] if applied else [])


@pytest.mark.fault
@quick
def test_unknown_after_a_refused_second_try(arena: Arena) -> None:
    """That a later try was refused is no answer for the earlier one, which may still arrive."""
    client = arena.begun()
    wrapped(client, lambda store: SecondFails(store, FailedError, times=1))
    with pytest.raises(UnknownError):
        client.ask(new_task("mine"))
    assert len(client.open()) == 1


@pytest.mark.fault
@quick
def test_second_try_that_reaches_nobody(arena: Arena) -> None:
    """After a lost answer it is tried until one comes, and that nobody was reached in between is no answer either."""
    client = arena.begun()
    store = wrapped(client, lambda store: SecondFails(store, OfflineError, times=2))
    assert client.done(new_task("mine")).tasks == ("task-001",)
    assert store.swaps == 4
    assert state(arena.client()) == (2, ["mine"])


@pytest.mark.fault
@quick
def test_unknown_at_the_deadline(arena: Arena) -> None:
    """Whoever gives up after a lost answer doesn't say that nothing was changed."""
    client = arena.begun(deadline=0.0)
    wrapped(client, lambda store: Deaf(store, *[False] * 50))
    with pytest.raises(UnknownError):
        client.ask(new_task("mine"))
    assert len(client.open()) == 1


@pytest.mark.fault
@quick
def test_offline_before(arena: Arena) -> None:
    """Where the remote is gone before anything is sent, nothing was changed, and nothing is left open."""
    client = arena.begun()
    wrapped(client, Gone)
    with pytest.raises(OfflineError):
        client.ask(new_task("mine"))
    assert client.open() == []
    assert arena.client().titles() == []


@pytest.mark.fault
@remotes
def test_offline_really(arena: Arena) -> None:
    """Where the repository isn't there, reads answer from the last known state, and writes fail."""
    client = arena.begun()
    client.done(new_task("one"))
    assert arena.remote is not None
    away = arena.remote.bare.with_name("away")
    arena.remote.bare.rename(away)
    board, asked, error = client.ledger.freshest()
    assert [task.title for task in board.tasks()] == ["one"]
    assert asked is not None
    assert error is not None
    with pytest.raises(OfflineError):
        client.ask(new_task("two"))
    with pytest.raises(OfflineError):
        client.refused(take("task-009"))
    with pytest.raises(OfflineError):
        arena.client().ledger.board()
    away.rename(arena.remote.bare)
    assert client.open() == []
    assert arena.client().titles() == ["one"]


@pytest.mark.fault
@quick
@pytest.mark.parametrize("applied", [True, False])
def test_mishap_of_the_program(arena: Arena, applied: bool) -> None:
    """A mistake of ours, or a full disk, in the middle of a write leaves it open: whether it was applied is found out."""

    class Mishap(Wrapped):
        def swap(self, *args: Any) -> Swap:
            if applied:
                self.inner.swap(*args)
            raise OSError("no space left on device")

    client = arena.begun()
    plain = client.store
    wrapped(client, Mishap)
    with pytest.raises(OSError, match="no space"):
        client.ask(new_task("mine"))
    client.store = client.ledger.store = plain
    (settled,) = client.ledger.settle()
    assert isinstance(settled.outcome, Done) is applied


@quick
def test_read_own_journal_while_it_is_held(arena: Arena) -> None:
    """A write whose caller has more to do stays in the journal until the caller is done; its own settling skips it."""
    client = arena.begun()
    who = client.ask(new_task("one")).operation.author
    answer = client.ledger.transact(take(), who, hold=True)
    assert client.open() == [answer.operation.id]
    assert client.ledger.settle() == []
    client.journal.close(answer.operation.id)
    assert client.open() == []


@quick
def test_held_refusal_leaves_nothing(arena: Arena) -> None:
    """A refusal is closed in the journal, whatever the caller had in mind."""
    client = arena.begun()
    who = client.ask(new_task("one")).operation.author
    client.ledger.transact(take("task-009"), who, hold=True)
    assert client.open() == []


# killed


@pytest.mark.fault
@quick_on_disk
@pytest.mark.parametrize("applied", [True, False])
def test_killed(arena: Arena, applied: bool) -> None:
    """What a killed process left is settled: applied it is answered, and never applied it is dropped in the end."""
    arena.begun()
    place = arena.place()
    process = SPAWN.Process(target=dies, args=(place, applied))
    process.start()
    process.join(30)
    assert process.exitcode == -9
    client = place.client()
    assert len(client.open()) == 1
    (settled,) = client.ledger.settle()
    assert len(client.open()) == 1
    if applied:
        assert isinstance(settled.outcome, Done)
        assert settled.outcome.tasks == ("task-001",)
        client.journal.close(settled.operation.id)
        assert client.titles() == ["by a dying process"]
    else:
        assert settled.outcome is None, "it may still arrive: nobody has written since"
        client.done(new_task("other"))
        assert client.ledger.settle() == []
        assert client.titles() == ["other"]
    assert client.open() == []


@pytest.mark.fault
@quick
def test_settling_offline(arena: Arena) -> None:
    """What can't be asked now stays open."""
    client = arena.begun()
    wrapped(client, lambda store: Gone(Deaf(store, False), swaps=False))
    with pytest.raises(UnknownError):
        client.ask(new_task("mine"))
    (settled,) = client.ledger.settle()
    assert settled.outcome is None
    assert client.open() == [settled.operation.id]


# what the remote has


def bare(arena: Arena) -> Any:
    """The repository that has the ledger's ref."""
    return arena.remote.bare if arena.remote else arena.folder / "shared/pw/store.git"


REF = "refs/pw/locks/main"


def point(arena: Arena, commit: str | None) -> str:
    """Move the ledger's ref on the remote by hand; where it was before."""
    before = git("rev-parse", REF, cwd=bare(arena))
    git("update-ref", *(["-d", REF] if commit is None else [REF, commit]), cwd=bare(arena))
    return before


@remotes
def test_first_fetch_is_shallow(arena: Arena) -> None:
    """A clone that joins brings the last state only, the history when it is asked for, and writes either way."""
    client = arena.begun()
    for title in "abc":
        client.done(new_task(title))
    other = arena.client(worker="bob")
    assert [entry.counter for entry in _history(other)] == [4]
    other.done(new_task("d"))
    client.done(new_task("e"))
    assert [entry.counter for entry in _history(other)] == [6, 5, 4]
    other.store.deepen()
    assert [entry.counter for entry in _history(other)] == [6, 5, 4, 3, 2, 1]
    other.done(new_task("f"))
    assert arena.client().titles() == list("abcdef")


def _history(client: Client) -> list[Any]:
    client.ledger.fresh()
    return list(client.ledger.history())


@pytest.mark.fault
@remotes
def test_vanished(arena: Arena) -> None:
    """A ledger that is gone from the remote is reported, for reading and writing, and never begun anew in silence."""
    client = arena.begun()
    client.done(new_task("one"))
    point(arena, None)
    for ask in (
        client.ledger.fresh,
        lambda: client.ask(new_task("two")),
        lambda: client.ask(Begin(ledger=LEDGER)),
    ):
        with pytest.raises(ConfigError, match="vanished") as caught:
            ask()
        assert caught.value.data["ledger"] == "vanished"
    assert [task.title for task in client.ledger.board().tasks()] == ["one"]
    assert git("for-each-ref", "refs/pw", cwd=bare(arena)) == ""


@pytest.mark.fault
@quick_remotes
def test_rewound(arena: Arena) -> None:
    """A ledger that went backwards is reported by whoever has seen more, also when others went on from there."""
    client, other = arena.begun(), arena.client(worker="bob")
    old = point(arena, git("rev-parse", REF, cwd=bare(arena)))
    other.ledger.fresh()
    client.done(new_task("one"))
    point(arena, old)
    with pytest.raises(ConfigError, match="went backwards: operation 2") as caught:
        client.ledger.fresh()
    assert caught.value.data["ledger"] == "rewound"
    for title in ("two", "three"):
        other.done(new_task(title))
        with pytest.raises(ConfigError, match="went backwards: operation 2"):
            client.ask(new_task("mine"))
    assert other.titles() == ["two", "three"]


@pytest.mark.fault
@quick_remotes
def test_replaced(arena: Arena) -> None:
    """Another ledger in the place of the known one is reported, and never restored over."""
    client, other = arena.begun(), arena.client(worker="bob")
    point(arena, None)
    other.done(Begin(ledger="f" * 20))
    for ask in (client.ledger.fresh, lambda: client.ask(new_task()), lambda: restored(client)):
        with pytest.raises(ConfigError, match="another ledger") as caught:
            ask()
        assert caught.value.data["ledger"] == "replaced"
    assert arena.client().ledger.board().meta.ledger == "f" * 20


def restored(client: Client) -> Board:
    """Restore the ledger from what a client knows."""
    return client.ledger.restore(author(client.worker), "it had vanished").board


@pytest.mark.fault
@quick_remotes
def test_restore_what_vanished(arena: Arena) -> None:
    """Any clone restores a vanished ledger from what it knows; others go on with it, and no token comes twice."""
    client, other = arena.begun(), arena.client(worker="bob")
    client.done(new_task("one"))
    client.done(new_task("two"))
    token = other.done(take()).token
    client.ledger.fresh()
    point(arena, None)
    assert restored(client).meta.restored == 4
    assert other.titles() == ["one", "two"]
    after = client.done(take()).token
    assert token is not None
    assert after is not None
    assert after > token + 1_000_000
    assert {claim.worker for claim in arena.client().ledger.board().claims()} == {"ada", "bob"}
    assert git("rev-list", "--count", REF, cwd=bare(arena)) == "2", "a new root"


@pytest.mark.fault
@quick_remotes
def test_restore_what_went_backwards(arena: Arena) -> None:
    """Restoring goes beyond every token that was granted on the wrong track, and those who were on it are told."""
    client, other = arena.begun(), arena.client(worker="bob")
    client.done(new_task("one"))
    old = point(arena, git("rev-parse", REF, cwd=bare(arena)))
    other.ledger.fresh()
    mine = client.done(take()).token
    point(arena, old)
    granted = [other.done(take()).token]
    for _ in range(4):
        other.done(Release(task=TaskId("task-001")))
        granted.append(other.done(take()).token)
    board = restored(client)
    assert min(1_000_000, *map(int, filter(None, granted))) < board.counter
    assert [claim.token for claim in board.claims()] == [mine]
    client.done(Release(task=TaskId("task-001")))
    assert max(map(int, filter(None, granted))) < (client.done(take()).token or 0)
    with pytest.raises(ConfigError, match="hadn't seen operation 11") as caught:
        other.ledger.fresh()
    assert caught.value.data["ledger"] == "restored"


@pytest.mark.fault
@quick_remotes
def test_restored_by_one_that_knew_less(arena: Arena) -> None:
    """Whoever knew more than the one that restored is told, and what is missing when it goes on with it."""
    client, other = arena.begun(), arena.client(worker="bob")
    other.ledger.fresh()
    client.done(new_task("one"))
    point(arena, None)
    first = restored(other).counter
    with pytest.raises(ConfigError, match="hadn't seen operation 2") as caught:
        client.ledger.fresh()
    assert caught.value.data["ledger"] == "restored"
    assert client.ledger.adopt() == ["add task-001: one (ada)"]
    assert client.done(new_task("again")).tasks == ("task-001",)
    assert client.ledger.board().counter == first + 1
    assert arena.client().titles() == ["again"]


@pytest.mark.fault
@quick_remotes
def test_restored_twice(arena: Arena) -> None:
    """A ledger that was restored, and then again by one that knew more, is beyond both counters."""
    client, other = arena.begun(), arena.client(worker="bob")
    other.ledger.fresh()
    client.done(new_task("one"))
    point(arena, None)
    first = restored(other).counter
    assert restored(client).counter > first + 1_000_000 - 1
    assert arena.client().titles() == ["one"]


@pytest.mark.fault
@quick_remotes
def test_nothing_to_adopt(arena: Arena) -> None:
    """A ledger that nobody restored isn't gone on with as if somebody had."""
    client = arena.begun()
    with pytest.raises(FailedError):
        client.ledger.adopt()


@pytest.mark.fault
@quick_remotes
def test_restore_what_is_broken(arena: Arena) -> None:
    """A ref that points to no ledger is put back; one that names another ledger, or a newer one, is left alone."""
    client = arena.begun()
    client.done(new_task("one"))
    point(arena, git("hash-object", "-w", "--stdin", cwd=bare(arena), input="hello\n"))
    restored(client)
    assert arena.client().titles() == ["one"]
    plant(arena, {"meta": json.dumps(content(arena, "meta") | {"format": {"major": 2}}).encode()})
    newer = git("rev-parse", REF, cwd=bare(arena))
    with pytest.raises(ConfigError, match="format 2"):
        restored(client)
    assert git("rev-parse", REF, cwd=bare(arena)) == newer


@pytest.mark.fault
@pytest.mark.parametrize("arena", marked(("path",)), indirect=True)
def test_absent_for_long_after_a_restore(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clone that was away for longer than the ledger remembers isn't told that it went backwards."""
    client, other = arena.begun(), arena.client(worker="bob")
    other.ledger.fresh()
    point(arena, None)
    restored(client)
    monkeypatch.setattr("gitpw.domain.board.REMEMBERED", 10)
    monkeypatch.setattr("gitpw.domain.board.BUCKET", 5)
    for number in range(12):
        client.done(Register(id=WorkerId("ada"), name=str(number)))
    assert other.ledger.fresh().counter == 1_000_014


@pytest.mark.fault
@quick_remotes
def test_restored_from_the_wrong_track(arena: Arena) -> None:
    """A ledger that went backwards, went on, and was then restored as it went on, isn't the one that one has seen."""
    client, other = arena.begun(), arena.client(worker="bob")
    old = point(arena, git("rev-parse", REF, cwd=bare(arena)))
    other.ledger.fresh()
    client.done(new_task("one"))
    point(arena, old)
    for title in ("two", "three"):
        other.done(new_task(title))
    point(arena, None)
    restored(other)
    with pytest.raises(ConfigError, match="hadn't seen operation 2"):
        client.ledger.fresh()


@pytest.mark.fault
@quick_remotes
def test_restore_beaten(arena: Arena) -> None:
    """Of two who restore at once, one does."""
    client, rival = arena.begun(), arena.client(worker="bob")
    rival.ledger.fresh()
    point(arena, None)
    wrapped(client, lambda store: Interrupted(store, lambda: restored(rival)))
    with pytest.raises(ContendedError):
        restored(client)
    assert client.ledger.fresh().counter == 1_000_002


def plant(arena: Arena, changes: dict[str, bytes | None]) -> None:
    """Write files into the ledger's tree by hand."""
    where = bare(arena)
    env = {"GIT_INDEX_FILE": str(arena.folder / "index")}
    git("read-tree", REF, cwd=where, env=env)
    for path, content in changes.items():
        if content is None:
            git("update-index", "--force-remove", path, cwd=where, env=env)
        else:
            (arena.folder / "content").write_bytes(content)
            blob = git("hash-object", "-w", str(arena.folder / "content"), cwd=where)
            git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", cwd=where, env=env)
    tree = git("write-tree", cwd=where, env=env)
    commit = git("commit-tree", tree, "-p", REF, "-m", "by hand", cwd=where)
    git("update-ref", REF, commit, cwd=where)


def entry(arena: Arena, name: str) -> str:
    """The one path in the ledger's tree that ends like this."""
    paths = git("ls-tree", "-r", "--name-only", REF, cwd=bare(arena)).splitlines()
    return next(path for path in paths if path.endswith(name))


def content(arena: Arena, path: str) -> dict[str, Any]:
    """A record of the ledger's tree."""
    found: dict[str, Any] = json.loads(git("cat-file", "blob", f"{REF}:{path}", cwd=bare(arena)))
    return found


def refuses(client: Client, words: str) -> None:
    """Neither reading nor writing gets by."""
    for ask in (lambda: seen(client.ledger.fresh()), lambda: client.ask(take("task-001"))):
        with pytest.raises(ConfigError, match=words):
            ask()


def seen(board: Board) -> object:
    """What most commands look at."""
    return board.settings, list(board.tasks())


@pytest.mark.fault
@quick_on_disk
@pytest.mark.parametrize("kind", ["blob", "tree", "tag", "commit"])
def test_ref_that_is_no_ledger(arena: Arena, kind: str) -> None:
    """A ref that points to something that is no ledger is reported, by who knows the ledger and who doesn't."""
    client = arena.begun()
    readme = git("hash-object", "-w", "--stdin", cwd=bare(arena), input="hello\n")
    tree = git("mktree", cwd=bare(arena), input=f"100644 blob {readme}\tREADME\n")
    thing = {
        "blob": readme,
        "tree": tree,
        "tag": git(
            "mktag", cwd=bare(arena), input=f"object {readme}\ntype blob\ntag x\ntagger a <a> 0 +0000\n\nx\n"
        ),
        "commit": git("commit-tree", tree, "-m", "x", cwd=bare(arena)),
    }[kind]
    git("update-ref", REF, thing, cwd=bare(arena))
    for one in (client, arena.client()):
        refuses(one, "no ledger")
    assert git("rev-parse", REF, cwd=bare(arena)) == thing


def bad(change: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], bytes]:
    """A record with something changed."""

    def apply(data: dict[str, Any]) -> bytes:
        change(data)
        return json.dumps(data).encode()

    return apply


@pytest.mark.fault
@pytest.mark.parametrize("arena", marked(("local", "path")), indirect=True)
@pytest.mark.parametrize(
    ("name", "spoil", "words"),
    [
        ("meta", lambda _: b"", "record meta can't be read"),
        ("meta", lambda _: b"<html>", "record meta can't be read"),
        ("meta", bad(lambda data: data.update(counter="2")), "counter: "),
        ("meta", bad(lambda data: data.update(counter=-1)), "counter: "),
        ("meta", bad(lambda data: data.update(ledger="../x")), "ledger: "),
        ("meta", bad(lambda data: data.update(format={"major": 2})), "format 2"),
        ("meta", bad(lambda data: data.update(format={"major": 2}, ledger=7, hosts=[])), "format 2"),
        ("settings", lambda _: b"[]", "settings"),
        ("/task-001", lambda _: b"\xff\xfe{", "task-001 can't be read"),
        ("/task-001", lambda _: b'{"id": "task-001"', "task-001 can't be read"),
        ("/task-001", bad(lambda data: data.update(priority="high")), "priority: "),
        ("/task-001", bad(lambda data: data.update(metadata=[])), "metadata: "),
        ("/task-001", bad(lambda data: data.pop("title")), "title: "),
    ],
)
def test_records_that_cannot_be_read(
    arena: Arena, name: str, spoil: Callable[[dict[str, Any]], bytes], words: str
) -> None:
    """A ledger of a newer format, and a record that isn't JSON or has wrong types, is reported with where and why."""
    client = arena.begun()
    client.done(new_task("one"))
    path = entry(arena, name)
    plant(arena, {path: spoil(content(arena, path))})
    before = git("rev-parse", REF, cwd=bare(arena))
    for one in (client, arena.client(worker="bob")):
        refuses(one, words)
    assert git("rev-parse", REF, cwd=bare(arena)) == before


@quick_on_disk
def test_newer_minor_version(arena: Arena) -> None:
    """A ledger of a newer minor version is read and written, and what it has more is kept."""
    client = arena.begun()
    client.done(new_task("one"))
    meta, task = content(arena, "meta"), entry(arena, "/task-001")
    meta["format"] = {"major": 1, "minor": 9, "why": "lanes"}
    meta["lanes"] = ["fast"]
    record = content(arena, task) | {"lane": {"name": "fast"}}
    record["metadata"]["colour"] = "red"
    plant(arena, {"meta": json.dumps(meta).encode(), task: json.dumps(record).encode(), "lanes/fast": b"x"})
    client.done(take())
    after = content(arena, task)
    assert (after["lane"], after["metadata"]["colour"], after["status"]) == (
        {"name": "fast"},
        "red",
        "claimed",
    )
    assert content(arena, "meta")["format"] == {"major": 1, "minor": 9, "why": "lanes"}
    assert content(arena, "meta")["lanes"] == ["fast"]
    assert git("cat-file", "blob", f"{REF}:lanes/fast", cwd=bare(arena)) == "x"


# lock files and hooks of the remote


@pytest.mark.fault
@quick_on_disk
def test_lock_file_for_a_moment(arena: Arena) -> None:
    """Somebody's lock file isn't a lost race: it is waited for."""
    client = arena.begun()
    lock = bare(arena) / f"{REF}.lock"

    class Busy(Counted):
        def swap(self, *args: Any) -> Swap:
            if self.swaps == 0:
                lock.touch()
            swap = super().swap(*args)
            lock.unlink(missing_ok=True)
            return swap

    counted = wrapped(client, Busy)
    client.done(new_task("mine"))
    assert counted.swaps == 2
    assert state(client) == (2, ["mine"])


@pytest.mark.fault
@quick_on_disk
def test_lock_file_for_ever(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock file that stays is an error of its own, which says where it is."""
    monkeypatch.setattr(ledger_module, "BUSY", 0.3)
    client = arena.begun()
    lock = bare(arena) / f"{REF}.lock"
    lock.touch()
    with pytest.raises(FailedError) as caught:
        client.ask(new_task("mine"))
    assert "main.lock" in (caught.value.hint or "")
    lock.unlink()
    assert state(client) == (1, [])
    assert client.open() == []


@pytest.mark.fault
@remotes
def test_hook_of_the_remote(arena: Arena) -> None:
    """A remote that refuses says so in its own words, and nothing was changed."""
    client = arena.begun()
    hook = bare(arena) / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho 'only on \033[31mTuesdays' >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(FailedError) as caught:
        client.ask(new_task("mine"))
    assert "Tuesdays" in (caught.value.hint or "")
    assert "\033" not in f"{caught.value.message}{caught.value.hint}"
    assert client.open() == []
    hook.unlink()
    assert state(client) == (1, [])


@pytest.mark.fault
@remotes
@pytest.mark.parametrize("when", ["update", "post-receive"])
def test_server_that_dies(arena: Arena, when: str) -> None:
    """A server that dies before it has moved the ref, or before it has said so, loses nothing and doubles nothing."""
    client = arena.begun()
    hook = bare(arena) / "hooks" / when
    hook.write_text(f"#!/bin/sh\nrm -f '{hook}'\nkill -9 $PPID\n")
    hook.chmod(0o755)
    assert client.done(new_task("mine")).tasks == ("task-001",)
    assert not hook.exists()
    assert state(arena.client()) == (2, ["mine"])
    assert client.open() == []
