"""Standing in line: who goes first, for how long, and the circles that nobody may close."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitpw.domain.ids import ClaimId, TaskId
from gitpw.domain.lock import Claim, Held, Mode
from gitpw.domain.operation import (
    Call,
    Complete,
    Done,
    Edit,
    Expire,
    Leave,
    Lock,
    Register,
    Release,
    Take,
    Unlock,
    Wait,
)
from gitpw.domain.resource import overlap, resource
from gitpw.domain.turns import in_line
from gitpw.domain.waiter import Waiter
from gitpw.domain.waiting import View, view
from tests.domain.state import HOUR, NOON, State, locks, problems, table

FILES = ("a", "b", "c")
PARTIES = ("ada", "bob", "cy", "dora")


def lock(*names: str, shared: bool = False, **about: Any) -> Lock:
    """A request for locks."""
    return Lock(locks=locks(*names, shared=shared), lease=HOUR, **about)


def stand(state: State, worker: str, want: Lock | Take, seconds: int = 300, **about: Any) -> int:
    """Stand in line; the ticket."""
    holding = about.pop("holding", ())
    done = state.done(Wait(want=want, seconds=seconds, holding=holding), worker, **about)
    ticket = done.detail["ticket"]
    assert isinstance(ticket, int)
    return ticket


def waiting(state: State) -> list[tuple[str, int]]:
    """Who waits, and at which place."""
    return [(one.worker, place) for one, place in in_line(state.board, NOON, "desk")]


def seen(state: State, worker: str, want: Lock | Take, **about: Any) -> View:
    """How things stand for one who waits."""
    found = view(state.board, state.operation(want, worker, **about), want)
    assert found is not None
    return found


def queue() -> tuple[State, int, int]:
    """Ada holds `a`; bob, and after him cy, wait for it: their tickets."""
    state = State()
    state.done(lock("a"), "ada")
    return state, stand(state, "bob", lock("a")), stand(state, "cy", lock("a"))


# whose turn it is


def test_who_waited_longer_goes_first() -> None:
    """When the file is free it goes to the first in line, then to the second, and to nobody else before."""
    state, bob, cy = queue()
    assert waiting(state) == [("bob", 1), ("cy", 2)]
    state.done(Unlock(all=True), "ada")
    assert state.refused(lock("a", waiting=cy), "cy").data["waiter"]["workerId"] == "bob"
    assert state.refused(lock("a"), "ada").code == "held"
    state.done(lock("a", waiting=bob), "bob")
    assert waiting(state) == [("cy", 1)]
    state.done(Unlock(all=True), "bob")
    assert state.refused(lock("a"), "bob").code == "held"
    state.done(lock("a", waiting=cy), "cy")
    assert waiting(state) == []
    assert problems(state.cells) == []


def test_refusal_names_who_goes_first() -> None:
    """Whoever would overtake is told by whom the file is waited for, in words and as data."""
    state, _, _ = queue()
    state.done(Unlock(all=True), "ada")
    refused = state.refused(lock("a/b"), "dora")
    assert refused.message == "a/b goes to bob first, who has waited for it since 2026-03-02T12:00:00Z"
    assert refused.data["holder"] == {
        "workerId": "bob",
        "taskId": None,
        "path": "a/b",
        "expiresAt": "2026-03-02T12:05:00Z",
    }
    assert (refused.data["waiter"]["place"], refused.data["waiter"]["files"]) == (1, ["a"])


@pytest.mark.parametrize(("one", "other"), [("a", "a/b"), ("a/b", "a"), ("a/*", "a/b"), ("a/b", "**/b")])
def test_what_overlaps_waits(one: str, other: str) -> None:
    """A wait for a folder, a file in it or a glob stands before whatever covers a common path."""
    state = State()
    stand(state, "bob", lock(one))
    assert state.refused(lock(other), "cy").code == "held"


def test_a_ticket_is_for_what_was_waited_for() -> None:
    """With a place in line for one file nobody goes first for another; nor with somebody else's place."""
    state, bob, _ = queue()
    state.done(lock("b"), "ada")
    stand(state, "dora", lock("b"))
    state.done(Unlock(all=True), "ada")
    assert state.refused(lock("b", waiting=bob), "bob").code == "held"
    assert state.refused(lock("a", waiting=bob), "cy").code == "held"
    assert state.refused(lock("a", waiting=bob), "bob", place="tree").code == "held"


def test_nothing_in_common_never_waits() -> None:
    """A wait for other files, or one that would share as well, stands in nobody's way."""
    state, _, _ = queue()
    state.done(lock("b"), "dora")
    state = State()
    state.done(lock("a"), "ada")
    stand(state, "bob", lock("a", shared=True))
    state.done(Unlock(all=True), "ada")
    state.done(lock("a", shared=True), "cy")
    assert state.refused(lock("a"), "dora").code == "held"


def test_what_is_held_already_needs_no_turn() -> None:
    """Whoever holds a folder renews it, and locks a file in it, whoever waits; to share no more is something new."""
    state, _, _ = queue()
    state.done(lock("a"), "ada")
    state.done(lock("a/b"), "ada")
    state = State()
    state.done(lock("a", shared=True), "ada")
    stand(state, "bob", lock("a"))
    state.done(lock("a", shared=True), "ada")
    assert state.refused(lock("a"), "ada").code == "held"


def test_own_waits_do_not_stand_in_the_way() -> None:
    """What a worker waits for, it may take in the same checkout without being in line."""
    state = State()
    stand(state, "bob", lock("a"))
    state.done(lock("a"), "bob")
    assert state.refused(lock("a"), "bob", place="tree").code == "held"


def test_files_are_kept_for_who_needs_several() -> None:
    """One of two files is free and is kept for who waits for both: small requests don't keep a large one waiting."""
    state = State()
    state.done(lock("a"), "ada")
    bob = stand(state, "bob", lock("a", "b"))
    assert state.refused(lock("b"), "cy").code == "held"
    state.done(lock("c"), "cy")
    state.done(Unlock(all=True), "ada")
    state.done(lock("a", "b", waiting=bob), "bob")


# tasks


def test_named_task_goes_to_who_waited() -> None:
    """A task that somebody waits for is given to nobody else, neither by name nor as the best one."""
    state = State()
    state.add("wanted", "a")
    state.add("other", "b")
    state.take("ada", "task-001")
    bob = stand(state, "bob", Take(task=TaskId("task-001"), lease=HOUR))
    state.done(Release(task=TaskId("task-001")), "ada")
    assert state.refused(Take(task=TaskId("task-001"), lease=HOUR), "cy").data["holder"]["workerId"] == "bob"
    assert state.take("cy").task == "task-002"
    assert state.done(Take(task=TaskId("task-001"), lease=HOUR, waiting=bob), "bob").tasks == ("task-001",)
    assert waiting(state) == []


def take_waiting(state: State, worker: str, ticket: int) -> Any:
    """Claim any task by a ticket."""
    return state.do(Take(lease=HOUR, waiting=ticket), worker)


def test_best_task_passes_over_files_that_are_waited_for() -> None:
    """A claim of any task leaves alone the one whose file somebody waits for, and says why."""
    state = State()
    state.done(lock("a"), "ada")
    stand(state, "bob", lock("a"))
    state.done(Unlock(all=True), "ada")
    state.add("first", "a")
    assert state.why("cy") == [
        {"taskId": "task-001", "code": "queue", "reason": "a is waited for by bob, who goes first"}
    ]
    state.add("second", "b")
    assert state.take("cy").task == "task-002"
    assert state.task("task-001").parked == "a"
    assert problems(state.cells) == []


def test_any_task_goes_to_who_waited_longest_and_can_do_it() -> None:
    """Of two who wait for any task, a new one goes to the first that has the skills; the next to the other."""
    state = State()
    state.done(Register(id="cy", skills=("go",)), "cy")
    bob, cy = stand(state, "bob", Take(lease=HOUR)), stand(state, "cy", Take(lease=HOUR))
    state.add("hard", skills=("go",))
    assert [one["code"] for one in state.why("dora")] == ["skills"]
    assert take_waiting(state, "bob", bob).code == "nothing"
    state.add("easy")
    assert state.why("dora")[0]["code"] == "queue"
    assert take_waiting(state, "cy", cy).tasks == ("task-001",)
    assert take_waiting(state, "bob", bob).tasks == ("task-002",)
    state.add("third")
    assert state.take("dora").task == "task-003"


def test_any_task_keeps_nobody_from_a_name() -> None:
    """Who waits for any task doesn't wait for this one: whoever names it gets it."""
    state = State()
    stand(state, "bob", Take(lease=HOUR))
    state.add()
    assert state.take("cy", "task-001").task == "task-001"


@pytest.mark.parametrize("how", ["busy", "held"])
def test_who_could_take_none_keeps_none(how: str) -> None:
    """Who waits for any task, but has its hands full or needs a file that is held, leaves them to others."""
    state = State()
    extra = locks("x") if how == "held" else ()
    state.done(lock("x"), "ada")
    stand(state, "bob", Take(lease=HOUR, locks=extra))
    state.add()
    if how == "busy":
        state.take("bob", "task-001")
        state.add()
    assert isinstance(state.do(Take(lease=HOUR), "cy"), Done)


def test_a_task_that_is_not_to_be_had_keeps_nothing() -> None:
    """Who waits for a task that now waits for another one doesn't keep its files from others."""
    state = State()
    state.add("wanted", "a")
    state.add("needed")
    state.take("ada", "task-001")
    stand(state, "bob", Take(task=TaskId("task-001"), lease=HOUR))
    state.done(Release(task=TaskId("task-001")), "ada")
    assert state.refused(lock("a"), "cy").code == "held"
    state.done(Edit(task=TaskId("task-001"), after=(TaskId("task-002"),)), "cy")
    state.done(lock("a"), "cy")


# how long


@pytest.mark.parametrize(
    ("host", "minutes", "counts"),
    [("desk", 5, True), ("desk", 5.1, False), ("lap", 10, True), ("lap", 10.1, False)],
)
def test_a_wait_ends_by_itself(host: str, minutes: float, counts: bool) -> None:
    """It counts until its end, by another host's clock within the tolerated skew, and is cleared away after that."""
    state, _, _ = queue()
    state.done(Unlock(all=True), "ada")
    outcome = state.do(lock("a"), "dora", host=host, minutes=minutes)
    assert isinstance(outcome, Done) is not counts
    assert len(list(state.board.waiters())) == (2 if counts else 0)


def test_a_long_wait_needs_signs_of_life() -> None:
    """A wait of a day counts for a quarter of an hour, and for another one when it shows that it is there."""
    state = State()
    ticket = stand(state, "bob", lock("a"), 86_400)
    assert state.refused(lock("a"), "cy", minutes=15).code == "held"
    state.done(Wait(want=lock("a"), seconds=86_400, ticket=ticket), "bob", minutes=14)
    assert state.refused(lock("a"), "cy", minutes=29).code == "held"
    state.done(lock("a"), "cy", minutes=30)


@pytest.mark.parametrize("minutes", [600, -600])
def test_a_wrong_clock_blocks_nobody(minutes: float) -> None:
    """A wait from a host whose clock is hours off keeps nobody else waiting, and still gets what is free."""
    state = State()
    ticket = stand(state, "bob", lock("a"), host="off", minutes=minutes)
    state.done(lock("a"), "cy", host="lap")
    state.done(Unlock(all=True), "cy")
    state.do(lock("a", waiting=ticket), "bob", host="off", minutes=minutes)
    assert table(state.cells, "claims", Claim).popitem()[1].worker == "bob"


def test_who_does_not_answer_is_passed_over() -> None:
    """One who is called and stays silent for 40 s loses its place, by the clock of the host that called it."""
    state, bob, cy = queue()
    state.done(Unlock(all=True), "ada")
    state.done(Call(tickets=(bob,)), "cy", host="lap")
    assert state.refused(lock("a", waiting=cy), "cy", host="lap", minutes=0.6).code == "held"
    assert state.refused(lock("a", waiting=cy), "cy", host="desk", minutes=0.7).code == "held"
    state.done(lock("a", waiting=cy), "cy", host="lap", minutes=0.7)
    assert list(state.board.waiters()) == []


def test_who_answers_keeps_its_place() -> None:
    """A sign of life clears the call; and a call from the future, by a clock that was set back, is made anew."""
    state, bob, cy = queue()
    state.done(Unlock(all=True), "ada")
    state.done(Call(tickets=(bob,)), "cy", host="lap")
    assert not state.done(Call(tickets=(bob,)), "cy", host="lap", minutes=0.5).changed
    state.done(Wait(want=lock("a"), seconds=300, ticket=bob), "bob", minutes=0.5)
    assert state.refused(lock("a", waiting=cy), "cy", host="lap", minutes=0.9).code == "held"
    state.done(Call(tickets=(bob,)), "cy", host="lap", minutes=60)
    assert state.done(Call(tickets=(bob,)), "cy", host="lap", minutes=1).changed
    assert waiting(state)[0] == ("bob", 1)


def test_no_sign_of_life_of_what_is_gone() -> None:
    """A place in line that others have passed over can't be shown to be there: it has to be taken anew."""
    state, bob, _ = queue()
    state.done(Leave(tickets=(bob,)), "bob")
    assert state.refused(Wait(want=lock("a"), seconds=60, ticket=bob), "bob").code == "stale"


def test_leaving() -> None:
    """A place is given up by its worker, and by anybody on its machine where it was killed; not by others."""
    state, bob, cy = queue()
    assert state.refused(Leave(tickets=(bob,)), "dora", host="lap").code == "invalid"
    state.done(Leave(tickets=(bob,)), "dora", host="desk")
    state.done(Leave(tickets=(cy,)), "cy", host="lap")
    assert not state.done(Leave(tickets=(bob, cy)), "cy").changed


def test_tidying_up() -> None:
    """`gc` clears away the waits that don't count any more."""
    state, _, _ = queue()
    assert state.done(Expire(), minutes=4).changed is False
    assert state.done(Expire(), minutes=6).detail["waits"] == ["bob", "cy"]


# how things stand


def test_view() -> None:
    """One who waits sees what is in the way, its place, and those but for whom it could go."""
    state, bob, cy = queue()
    found = seen(state, "cy", lock("a", waiting=cy))
    assert (found.place, [one.worker for one in found.claims], found.kept) == (2, ["ada"], ())
    state.done(Unlock(all=True), "ada")
    found = seen(state, "cy", lock("a", waiting=cy))
    assert (found.place, found.claims, [one.worker for one in found.kept]) == (2, (), ["bob"])
    found = seen(state, "bob", lock("a", waiting=bob))
    assert (found.refused, found.place, found.silent) == (None, 1, False)
    state.done(Call(tickets=(bob,)), "cy")
    assert seen(state, "bob", lock("a", waiting=bob)).silent
    assert seen(state, "cy", lock("a", waiting=cy), minutes=9).silent
    assert view(state.board, state.operation(lock("a"), "bob"), lock("a")) is None


def test_view_of_any_task() -> None:
    """One who waits for any task sees whom the only one is left to."""
    state = State()
    bob, cy = stand(state, "bob", Take(lease=HOUR)), stand(state, "cy", Take(lease=HOUR))
    assert seen(state, "cy", Take(lease=HOUR, waiting=cy)).kept == ()
    state.add()
    found = seen(state, "cy", Take(lease=HOUR, waiting=cy))
    assert [one.worker for one in found.kept] == ["bob"]
    assert seen(state, "bob", Take(lease=HOUR, waiting=bob)).refused is None


# circles


def test_two_that_wait_for_each_other() -> None:
    """The second is refused, and told how the circle goes."""
    state = State()
    state.done(lock("x"), "ada")
    state.done(lock("y"), "bob")
    stand(state, "ada", lock("y"))
    refused = state.refused(Wait(want=lock("x"), seconds=60), "bob")
    assert refused.code == "invalid"
    assert refused.message == (
        "waiting would never end: bob waits for x held by ada, who waits for y held by bob"
    )
    assert refused.data["circle"] == [
        {"workerId": "bob", "waitsFor": "x", "heldBy": "ada", "taskId": None},
        {"workerId": "ada", "waitsFor": "y", "heldBy": "bob", "taskId": None},
    ]


@pytest.mark.parametrize("many", [3, 5])
def test_many_that_wait_for_each_other(many: int) -> None:
    """A circle of any length is found."""
    state = State()
    for number in range(many):
        state.done(lock(f"f{number}"), f"w{number}")
    for number in range(many - 1):
        stand(state, f"w{number}", lock(f"f{number + 1}"))
    refused = state.refused(Wait(want=lock("f0"), seconds=60), f"w{many - 1}")
    assert len(refused.data["circle"]) == many
    assert refused.message.endswith(f"who waits for f{many - 1} held by w{many - 1}")


def test_circle_through_those_ahead() -> None:
    """Whoever would stand behind one who waits for what it holds itself is refused."""
    state = State()
    state.done(lock("x"), "ada")
    state.done(lock("y"), "bob")
    stand(state, "cy", lock("x", "y"))
    refused = state.refused(Wait(want=lock("y"), seconds=60), "ada")
    assert refused.message == (
        "waiting would never end: ada waits for y behind cy, who waits for x held by ada"
    )
    assert refused.data["circle"][0] == {
        "workerId": "ada",
        "waitsFor": "y",
        "behind": "cy",
        "taskId": None,
    }


def test_circle_of_tasks() -> None:
    """A task that is waited for by name counts like a file; what waits in the merge queue ends by itself."""
    state = State()
    state.room("ada", 2)
    state.room("bob", 2)
    for number in (1, 2):
        state.add(f"t{number}")
    state.take("ada", "task-001")
    state.take("bob", "task-002")
    stand(state, "ada", Take(task=TaskId("task-002"), lease=HOUR))
    wish = Wait(want=Take(task=TaskId("task-001"), lease=HOUR), seconds=60)
    assert "task-001 held by ada, who waits for task-002 held by bob" in state.refused(wish, "bob").message
    state.done(Complete(task=TaskId("task-002"), head="1" * 40), "bob")
    state.done(wish, "bob")


def test_a_circle_of_one() -> None:
    """What this checkout itself holds for a task can't be waited for; what another of the same name holds can."""
    state = State()
    state.room("ada", 3)
    state.add("one", "a")
    claim = state.take("ada")
    wish = Wait(want=lock("a"), seconds=60, holding=(claim.id,))
    assert state.refused(wish, "ada").message == "waiting would never end: a is held by yourself for task-001"
    state.done(Wait(want=lock("a"), seconds=60), "ada", place="tree")


def test_worktree_stands_for_its_claim() -> None:
    """A wait in a worktree keeps those who wait for its claim waiting, though the claim was made elsewhere."""
    state = State()
    state.add("one", "a")
    claim = state.take("ada")
    state.done(lock("b"), "bob")
    stand(state, "ada", lock("b"), place="tree", holding=(claim.id,))
    assert state.refused(Wait(want=lock("a"), seconds=60), "bob").code == "invalid"
    state = State()
    state.add("one", "a")
    state.take("ada")
    state.done(lock("b"), "bob")
    stand(state, "ada", lock("b"), place="tree", holding=(ClaimId("f" * 16),))
    state.done(Wait(want=lock("a"), seconds=60), "bob")


def test_what_is_over_closes_no_circle() -> None:
    """A lease that has ended, and a wait that counts no more, keep nobody waiting; one that comes back is checked."""
    state = State()
    state.done(lock("x"), "ada")
    state.done(lock("y"), "bob")
    ada = stand(state, "ada", lock("y"))
    stand(state, "bob", lock("x"), 3_000, minutes=6)
    again = Wait(want=lock("y"), seconds=60, ticket=ada)
    assert state.refused(again, "ada", minutes=7).data["circle"]
    state = State()
    state.done(lock("x"), "ada")
    state.done(lock("y"), "bob")
    stand(state, "ada", lock("y"), 900, minutes=70)
    stand(state, "bob", lock("x"), 900, minutes=71)


# anything


def graph(state: State, extra: tuple[str, frozenset[str], Mode] | None = None) -> dict[str, set[str]]:
    """Who is kept by whom: whoever waits, by those who hold that and by those who wait for it longer."""
    claims = table(state.cells, "claims", Claim).values()
    waits = [
        (one.worker, {held.resource for held in one.locks}, one.locks[0].mode)
        for one in sorted(table(state.cells, "waits", Waiter).values(), key=lambda one: one.ticket)
    ]
    if extra is not None:
        waits.append((extra[0], set(extra[1]), extra[2]))
    holds = [(claim.worker, {held.resource}, held.mode) for claim in claims for held in claim.locks]
    edges: dict[str, set[str]] = {worker: set() for worker in PARTIES}
    for number, (worker, names, mode) in enumerate(waits):
        for other, its, how in [*holds, *waits[:number]]:
            if its & names and other != worker and not (how is mode is Mode.SHARED):
                edges[worker].add(other)
    return edges


def is_circular(edges: dict[str, set[str]]) -> bool:
    """Whether somebody waits for itself."""
    try:
        list(TopologicalSorter(edges).static_order())
    except CycleError:
        return True
    return False


STEPS = st.tuples(
    st.sampled_from(["lock", "wait", "wait", "turn", "unlock"]),
    st.sampled_from(PARTIES),
    st.frozensets(st.sampled_from(FILES), min_size=1, max_size=2),
    st.sampled_from(sorted(Mode)),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(STEPS, max_size=25))
def test_everybody_is_served_in_order(steps: list[tuple[str, str, frozenset[str], Mode]]) -> None:
    """A wait is refused just where it closes a circle, and in the end everybody gets what it waits for, in order.

    That is as long as others give back what they hold.
    """
    state = State()
    for verb, worker, names, mode in steps:
        act(state, verb, worker, names, mode)
        assert not is_circular(graph(state))
        assert problems(state.cells) == []
    served: list[Waiter] = []
    while waiters := list(state.board.waiters()):
        for worker in PARTIES:
            if not any(one.worker == worker for one in waiters):
                state.do(Unlock(all=True), worker)
        granted = [one for one in waiters if isinstance(state.do(turn(one), one.worker), Done)]
        assert granted, "everybody waits for ever"
        served += granted
        for one in granted:
            if not any(other.worker == one.worker for other in state.board.waiters()):
                state.do(Unlock(all=True), one.worker)
    for number, one in enumerate(served):
        for later in served[:number]:
            assert later.ticket < one.ticket or not rivals(one, later)


def rivals(one: Waiter, other: Waiter) -> bool:
    """Whether two can't have what they want at once."""
    return one.worker != other.worker and any(
        overlap(resource(a.resource), resource(b.resource)) and not (a.mode is b.mode is Mode.SHARED)
        for a in one.locks
        for b in other.locks
    )


def turn(one: Waiter) -> Lock:
    """What a waiter asks for."""
    return Lock(locks=one.locks, lease=HOUR, waiting=one.ticket)


def act(state: State, verb: str, worker: str, names: frozenset[str], mode: Mode) -> None:
    """One step; a refusal of a wait is right just where there would be a circle."""
    wanted = tuple(Held(resource=name, mode=mode) for name in sorted(names))
    if verb == "lock":
        state.do(Lock(locks=wanted, lease=HOUR), worker)
    elif verb == "unlock":
        state.do(Unlock(all=True), worker)
    elif verb == "wait":
        closes = is_circular(graph(state, (worker, names, mode)))
        outcome = state.do(Wait(want=Lock(locks=wanted, lease=HOUR), seconds=300), worker)
        assert isinstance(outcome, Done) is not closes
    else:
        for one in state.board.waiters():
            if one.worker == worker:
                state.do(turn(one), worker)
                return
