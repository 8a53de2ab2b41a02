"""When a lease has ended beyond doubt: two clocks, or the one that wrote it, or a mark and ten minutes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitpw.domain.lock import Held, Lease, Mode, ended, implausible, merged_locks, overdue
from gitpw.domain.operation import Mine, Renew, Suspect
from gitpw.domain.settings import Settings
from tests.domain.state import NOON, State, locks

SETTINGS = Settings()
DAY = 24 * 60


def at(minutes: float) -> datetime:
    """So many minutes after noon."""
    return NOON + timedelta(minutes=minutes)


def lease(
    *, written: float = 0, minutes: int = 60, host: str = "desk", marks: dict[str, float] | None = None
) -> Lease:
    """A lease that `host` wrote so many minutes after noon, by its own clock."""
    return Lease(
        duration=minutes * 60,
        written_at=at(written),
        expires_at=at(written + minutes),
        host=host,
        version=1,
        marks={name: at(when) for name, when in (marks or {}).items()},
    )


def over(one: Lease, now: float, host: str = "lap", **clocks: float) -> bool:
    """Whether `host`, whose clock says `now` minutes after noon, may treat the lease as over."""
    return ended(one, at(now), host, {name: at(when) for name, when in clocks.items()}, SETTINGS)


def test_two_clocks() -> None:
    """Over when one's own clock and that of another host that has written since both say so."""
    assert over(lease(), 66, cloud=65.1)
    assert over(lease(), 66, desk=65.1)


@pytest.mark.parametrize("now", [0, 59, 60, 65])
def test_not_before_the_tolerated_skew(now: float) -> None:
    """Nobody treats a lease as over before it has been past its end for the tolerated skew."""
    assert not over(lease(), now, cloud=DAY)
    assert not over(lease(host="lap"), now, cloud=DAY)


def test_own_clock_alone_is_not_enough() -> None:
    """One's own clock is no proof while the last of all others wrote before the end."""
    assert not over(lease(), DAY)
    assert not over(lease(), DAY, cloud=64, desk=3)


def test_own_last_writing_is_no_second_clock() -> None:
    """What the same host wrote earlier doesn't count as another clock."""
    assert not over(lease(), DAY, lap=DAY - 1)


def test_other_clock_alone_is_not_enough() -> None:
    """Another host's clock doesn't end a lease that one's own clock says is live."""
    assert not over(lease(), 30, cloud=DAY)


def test_own_host_alone() -> None:
    """The clock that wrote a lease says by itself when it is over."""
    assert over(lease(host="lap"), 65.1)
    assert not over(lease(host="lap"), 64.9)


def test_mark_and_ten_minutes() -> None:
    """A host that marked the lease acts by itself ten minutes later, not sooner, and not by another's mark."""
    assert not over(lease(marks={"lap": 70}), 79.9)
    assert over(lease(marks={"lap": 70}), 80)
    assert not over(lease(marks={"cloud": 70}), DAY)


def test_mark_does_not_end_a_lease_that_runs() -> None:
    """A mark means nothing while one's own clock says that the lease is live."""
    assert not over(lease(marks={"lap": 20}), 40)


def test_written_in_the_future() -> None:
    """A lease from a clock that is days ahead counts from first sight, and then for its duration and the skew."""
    future = lease(written=3 * DAY)
    assert implausible(future, at(0), SETTINGS)
    assert not over(future, 1, cloud=2)
    marked = lease(written=3 * DAY, marks={"lap": 0})
    assert not over(marked, 65)
    assert over(marked, 65.1)


def test_slightly_ahead_is_plausible() -> None:
    """A clock that is ahead by no more than the tolerated skew is no reason to doubt."""
    assert not implausible(lease(written=5), at(0), SETTINGS)
    assert implausible(lease(written=5.1), at(0), SETTINGS)


def test_end_of_all_time() -> None:
    """An expiry at the end of the calendar is judged like any other, from first sight."""
    never = lease().but(expires_at=datetime.max.replace(tzinfo=UTC))
    assert not overdue(never, at(DAY), SETTINGS)
    assert not over(never, DAY, cloud=DAY)
    assert over(never.but(marks={"lap": at(0)}), 66)
    assert not over(lease(marks={"lap": 0}).but(marks={"lap": datetime.max.replace(tzinfo=UTC)}), DAY)


def test_absurd_duration_is_refused() -> None:
    """A lease can't be longer than a ledger's settings can allow."""
    with pytest.raises(ValueError, match="duration"):
        Lease(duration=10**15, written_at=at(0), expires_at=at(0), host="desk", version=1)


MINUTES = st.integers(-3 * DAY, 3 * DAY)


@given(wrong=MINUTES, passed=st.integers(0, 64), others=st.lists(st.integers(-4, 64), max_size=3))
def test_one_wrong_clock_cannot_steal(wrong: int, passed: int, others: list[int]) -> None:
    """While a lease runs, a host whose clock is wrong by days can't take it, whatever hosts with right clocks wrote."""
    clocks = {f"h{number}": min(when, passed) for number, when in enumerate(others)}
    assert not over(lease(), passed + wrong, **clocks)


@given(wrong=MINUTES, passed=st.integers(0, 59))
def test_one_wrong_clock_does_not_help_another_to_steal(wrong: int, passed: int) -> None:
    """While a lease runs, a host with a right clock can't take it, whatever a host with a wrong one wrote."""
    assert not over(lease(), passed, cloud=wrong)


@given(wrong=st.integers(-3 * DAY, 6), sight=st.integers(0, 600))
def test_one_wrong_clock_cannot_block(wrong: int, sight: int) -> None:
    """A lease whose holder is gone ends for a host with a right clock, however wrong the clock that wrote it."""
    assert over(lease(written=wrong, marks={"lap": sight}), sight + 2 * 65 + 10 + 6)


@given(wrong=st.integers(71, 300 * DAY), sight=st.integers(0, 600))
def test_far_future_cannot_block(wrong: int, sight: int) -> None:
    """A lease from a clock far ahead counts from its first sight by a right clock."""
    future = lease(written=sight + wrong, marks={"lap": sight})
    assert not over(future, sight + 65)
    assert over(future, sight + 65.1)


@given(wrong=st.integers(0, 70), sight=st.integers(0, 600))
def test_near_future_cannot_block(wrong: int, sight: int) -> None:
    """A lease from a clock somewhat ahead ends within twice its duration and thrice the skew of its first sight."""
    assert over(lease(written=sight + wrong, marks={"lap": sight}), sight + 2 * 60 + 3 * 5 + 0.1)


def test_renewal_wipes_marks() -> None:
    """A renewal is a new lease without marks: suspicion begins anew."""
    state = State()
    state.add()
    claim = state.take()
    state.done(Suspect(claims=(claim.id,)), "bob", host="lap", minutes=70)
    assert set(state.claim(claim.id).lease.marks) == {"lap"}
    state.done(Renew(claims=(Mine(claim=claim.id, token=claim.token),)), minutes=71)
    renewed = state.claim(claim.id).lease
    assert not renewed.marks
    assert renewed.version > claim.lease.version


def test_merged_locks_prefer_exclusive() -> None:
    """Each resource once, in order, exclusive where any of them is."""
    merged = merged_locks(locks("b", "a", shared=True), locks("a"), locks("c", shared=True))
    assert merged == (*locks("a"), *locks("b", "c", shared=True))


def test_public_locks_are_one_for_each_mode() -> None:
    """The JSON of a claim has one lock for each mode that occurs, and one without files where nothing is locked."""
    state = State()
    state.add()
    claim = state.take(locks=(*locks("a"), Held(resource="b", mode=Mode.SHARED)))
    assert [(lock["mode"], lock["lockedFiles"]) for lock in claim.public()] == [
        ("exclusive", ["a"]),
        ("shared", ["b"]),
    ]
    assert [lock["lockedFiles"] for lock in claim.but(locks=()).public()] == [[]]


def test_public_lock_of_a_queued_claim_has_no_expiry() -> None:
    """A claim in the merge queue doesn't expire, and its JSON says so."""
    state = State()
    state.add()
    claim = state.take()
    assert claim.public()[0]["expiresAt"] == "2026-03-02T13:00:00Z"
    assert claim.but(queued=True).public()[0]["expiresAt"] is None
