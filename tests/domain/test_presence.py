"""Who is there: nobody is lost by one clock alone, and nobody keeps alive what was killed."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gitpw.domain.board import Board
from gitpw.domain.checkout import Own, Trace
from gitpw.domain.ids import ClaimId, WorkerId
from gitpw.domain.lock import Claim
from gitpw.domain.operation import Add, Expire, Lock, Mine, NewTask, Register, Renew, Start, Suspect, Take
from gitpw.domain.presence import Standing, along, is_alive, is_due, is_young, looked_at, standing
from gitpw.domain.worker import WorkerStatus
from tests.domain.state import HOUR, NOON, State, locks

ADA, BOB = WorkerId("ada"), WorkerId("bob")
HEAD, OTHER = "a" * 40, "b" * 40
SKEW, SUSPICION = 5, 10


def at(minutes: float) -> datetime:
    """So many minutes after noon."""
    return NOON + timedelta(minutes=minutes)


@pytest.fixture
def state() -> State:
    """Ada, on a host called desk, claims one of two tasks at noon for an hour."""
    state = State()
    state.done(Add(tasks=(NewTask(title="One"), NewTask(title="Two"))), "cy", host="attic")
    state.done(Take(lease=HOUR))
    return state


def held(state: State) -> Claim:
    """The one claim."""
    (claim,) = state.board.claims()
    return claim


def how(state: State, minutes: float, host: str, witness: float | None = None) -> Standing:
    """What a host says of it, so many minutes after noon by its clock."""
    said = None if witness is None else at(witness)
    return standing(state.board, held(state), at(minutes), host, said)


def status(state: State, minutes: float, host: str, worker: str = "ada") -> WorkerStatus:
    """How a worker looks from there."""
    found = {one.id: one.status for one in looked_at(state.board, at(minutes), host)}
    return found[WorkerId(worker)]


@pytest.mark.parametrize(
    ("minutes", "host", "expected"),
    [
        (59, "desk", Standing.LIVE),
        (60 + SKEW, "desk", Standing.LIVE),
        (61 + SKEW, "desk", Standing.OVER),
        (60 + SKEW, "attic", Standing.LIVE),
        (61 + SKEW, "attic", Standing.DOUBTFUL),
        (10_000, "attic", Standing.DOUBTFUL),
        (-61 - SKEW, "attic", Standing.DOUBTFUL),
    ],
)
def test_the_leases_own_host_is_sure_and_any_other_is_not(
    state: State, minutes: float, host: str, expected: Standing
) -> None:
    """However far its clock is ahead, or behind."""
    assert how(state, minutes, host) is expected


def test_a_second_clock_makes_sure(state: State) -> None:
    """That of any host that wrote later than the end of the lease, or one that is asked."""
    assert how(state, 70, "moon", witness=70) is Standing.OVER
    assert how(state, 70, "moon", witness=64) is Standing.DOUBTFUL
    state.done(Register(id=WorkerId("dora")), "dora", host="attic", minutes=66)
    assert how(state, 70, "moon") is Standing.OVER
    assert how(state, 64, "moon") is Standing.LIVE


def test_a_fast_host_alone_declares_nobody_offline(state: State) -> None:
    """Neither on itself, nor on others after it has written."""
    assert status(state, 500, "moon") is WorkerStatus.WORKING
    state.done(Register(id=BOB), "bob", host="moon", minutes=500)
    assert status(state, 500, "moon") is WorkerStatus.WORKING
    assert status(state, 1, "attic") is WorkerStatus.WORKING


def test_a_mark_counts_after_a_while(state: State) -> None:
    """As when a claim is taken over."""
    state.done(Suspect(claims=(held(state).id,)), "bob", host="attic", minutes=66)
    assert how(state, 66 + SUSPICION - 1, "attic") is Standing.DOUBTFUL
    assert how(state, 66 + SUSPICION, "attic") is Standing.OVER


def test_who_holds_something_else_that_lives_is_there(state: State) -> None:
    """Offline is who has missed the renewal of all."""
    state.done(Lock(locks=locks("src"), lease=2 * HOUR), place="other")
    assert status(state, 70, "desk") is WorkerStatus.WORKING
    assert status(state, 126, "desk") is WorkerStatus.OFFLINE


def test_who_was_lost_is_offline_until_heard_of(state: State) -> None:
    """Also when its claims have gone back, whoever took them; its next word makes it idle again."""
    state.done(Expire(), "cy", minutes=66)
    assert status(state, 66, "attic") is WorkerStatus.OFFLINE
    state.done(Register(id=BOB), "bob", minutes=67)
    assert status(state, 67, "attic") is WorkerStatus.OFFLINE
    state.done(Register(id=ADA, name="Ada"), minutes=68)
    assert status(state, 68, "attic") is WorkerStatus.IDLE
    state.done(Take(lease=HOUR), minutes=69)
    assert status(state, 69, "attic") is WorkerStatus.WORKING


def test_who_was_taken_over_is_offline_unless_it_holds_more(state: State) -> None:
    """One lost task of two says nothing of the worker."""
    state.done(Register(id=ADA, max_concurrent_tasks=2))
    state.done(Take(lease=3 * HOUR))
    first = min(state.board.claims(), key=lambda claim: claim.token)
    state.done(Take(task=first.task, lease=HOUR), "bob", minutes=66)
    assert status(state, 66, "desk") is WorkerStatus.WORKING
    assert status(state, 66, "desk", "bob") is WorkerStatus.WORKING


def test_due_is_what_has_less_than_half_left(state: State) -> None:
    """Or what somebody thinks is over; what waits in the merge queue never is."""
    claim = held(state)
    assert (is_due(claim, at(29)), is_due(claim, at(30)), is_due(claim, at(90))) == (False, True, True)
    marked = claim.but(lease=claim.lease.but(marks={"moon": at(1)}))
    assert is_due(marked, at(1))
    assert not is_due(claim.but(queued=True), at(90))


def test_young_is_what_was_renewed_a_moment_ago(state: State) -> None:
    """Not by a clock that has gone back since, and not once somebody thinks that it is over."""
    claim = held(state)
    assert [is_young(claim, at(one), 240) for one in (-1, 0, 4, 5)] == [False, True, True, False]
    marked = claim.but(lease=claim.lease.but(marks={"moon": at(0)}))
    assert not is_young(marked, at(1), 240)


def test_alive_is_what_gave_a_sign_within_its_lease(state: State) -> None:
    """The claim is one; a sign from a clock that was wrong doesn't keep it alive for ever."""
    claim = held(state)
    assert is_alive(claim, None, at(60))
    assert not is_alive(claim, None, at(61))
    assert is_alive(claim, at(50).timestamp(), at(110))
    assert not is_alive(claim, at(50).timestamp(), at(111))
    assert not is_alive(claim, at(10_000).timestamp(), at(111))


def trace(state: State, head: str | None = None, *, linked: bool = True, branch: str = "main") -> Trace:
    """What ada's checkout remembers."""
    claim = held(state)
    return Trace(
        Own(claim.id, claim.token, claim.task, claim.worker), branch, head, None, here=True, linked=linked
    )


def test_claims_go_along_when_it_is_time_or_their_work_has_moved(state: State) -> None:
    """Else an operation is as short as ever."""
    one = trace(state)
    assert along(state.board, [one], ADA, at(29)) == ()
    assert [mine.claim for mine in along(state.board, [one], ADA, at(30))] == [held(state).id]
    assert [mine.head for mine in along(state.board, [trace(state, HEAD)], ADA, at(1))] == [HEAD]
    assert along(state.board, [one], BOB, at(30)) == ()
    stale = one._replace(own=one.own._replace(token=1))
    assert along(state.board, [stale], ADA, at(30)) == ()


def test_the_main_checkout_knows_where_work_stands_only_on_its_branch(state: State) -> None:
    """What else is checked out there may have nothing to do with it."""
    assert along(state.board, [trace(state, HEAD, linked=False)], ADA, at(1)) == ()
    branch = held(state).branch or ""
    (mine,) = along(state.board, [trace(state, HEAD, linked=False, branch=branch)], ADA, at(1))
    assert mine.head == HEAD


def going(state: State, minutes: float, worker: str = "ada", token: int | None = None) -> Claim:
    """The claim after something else was asked for by its worker, with the claim going along."""
    claim = held(state)
    operation = state.operation(Register(id=WorkerId(worker), name=f"at {minutes}"), worker, minutes=minutes)
    mine = Mine(claim=claim.id, token=claim.token if token is None else token, head=HEAD)
    state.apply(operation.but(along=(mine,)))
    return held(state)


def test_what_goes_along_is_renewed_when_it_is_time(state: State) -> None:
    """In the same commit as whatever its worker asks for."""
    before = state.board.counter
    assert going(state, 29).lease.expires_at == at(60)
    assert going(state, 31).lease.expires_at == at(91)
    assert (held(state).head, state.board.counter) == (HEAD, before + 2)
    assert held(state).lease.version == state.board.counter


@pytest.mark.parametrize(("worker", "token"), [("bob", None), ("ada", 1)])
def test_only_the_holder_by_its_token_brings_a_claim_along(
    state: State, worker: str, token: int | None
) -> None:
    """A former holder's word, or another's, changes nothing of it."""
    before = held(state)
    assert going(state, 31, worker, token) == before


def test_starting_again_renews_when_it_is_time(state: State) -> None:
    """It changes nothing as long as it isn't."""
    task = held(state).task
    assert task is not None
    state.done(Start(task=task), minutes=1)
    assert not state.done(Start(task=task), minutes=2).changed
    assert state.done(Start(task=task), minutes=31).changed
    assert held(state).lease.expires_at == at(91)


def test_a_renewal_that_others_made_is_enough(state: State) -> None:
    """One of several heartbeats on a machine pushes."""
    claim = held(state)
    mine = Mine(claim=claim.id, token=claim.token)
    assert not state.done(Renew(claims=(mine,), older=270), minutes=4).changed
    assert state.done(Renew(claims=(mine,), older=270), minutes=5).changed
    assert not state.done(Renew(claims=(mine,), older=270), minutes=5).changed
    assert state.done(Renew(claims=(mine,)), minutes=5).changed


@given(
    clock=st.integers(-3000, 3000),
    wrote=st.lists(st.tuples(st.sampled_from(["attic", "moon", "hall"]), st.integers(-50, 3000)), max_size=5),
    host=st.sampled_from(["attic", "moon", "hall"]),
)
@example(clock=1000, wrote=[("moon", 1000)], host="moon")
def test_one_wrong_clock_makes_nobody_offline(clock: int, wrote: list[tuple[str, int]], host: str) -> None:
    """Whatever was written by whom: another host's clock, or the holder's own, must have passed the end too."""
    state = State()
    state.done(Add(tasks=(NewTask(title="One"),)))
    state.done(Take(lease=HOUR))
    for number, (place, minutes) in enumerate(wrote):
        state.done(Register(id=BOB, name=str(number)), "bob", host=place, minutes=minutes)
    others = {one: when for one, when in state.board.clocks.items() if one != host}
    agreed = any(when > at(60 + SKEW) for when in others.values())
    looks = {one.id: one.status for one in looked_at(state.board, at(clock), host)}
    lost = looks[ADA] is WorkerStatus.OFFLINE
    assert lost == (agreed and clock > 60 + SKEW)


def test_nothing_is_said_of_unknown_claims() -> None:
    """A checkout may remember what the ledger has long forgotten."""
    state = State()
    old = Trace(Own(ClaimId("f" * 16), 3, None, ADA), None, OTHER, None, here=True, linked=True)
    assert along(Board(state.cells), [old], ADA, at(0)) == ()
