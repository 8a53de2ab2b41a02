"""How far a task has come, when it may be finished, and when the ledger is told."""

from __future__ import annotations

from datetime import datetime, timedelta
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitpw.domain.backlog import may_say
from gitpw.domain.board import Board
from gitpw.domain.ids import ClaimId, TaskId, WorkerId
from gitpw.domain.operation import (
    Complete,
    Fail,
    Operation,
    Register,
    Release,
    Renew,
    Report,
    Start,
    Take,
)
from gitpw.domain.operation import Mine as MineClaim
from gitpw.domain.progress import (
    MOST,
    REMEMBERED,
    Durations,
    Mark,
    Progress,
    Said,
    Source,
    Words,
    advanced,
    begun,
    expected,
    may_wait,
    pace,
)
from gitpw.domain.task import Task, TaskStatus, TaskType
from tests.domain.state import NOON, State

ONE = TaskId("task-001")
ADA = WorkerId("ada")
MINUTE = timedelta(minutes=1)


def at(minutes: float) -> datetime:
    """So many minutes after noon."""
    return NOON + timedelta(minutes=minutes)


def told(*reports: tuple[float, Words]) -> Progress:
    """What is known of a task that was claimed at noon after some reports."""
    said = begun(ONE, ADA, NOON)
    for minutes, words in reports:
        new = advanced(said, at(minutes), words)
        assert isinstance(new, Progress), new
        said = new
    return said


def left(said: Progress | None, minutes: float, finished: Durations | None = None, **about: object) -> object:
    """Minutes that are left at a moment, and where that comes from."""
    task = Task(id=ONE, title="t", created_at=NOON, claimed_at=NOON, status=TaskStatus.IN_PROGRESS, **about)  # type: ignore[arg-type]
    found = expected(said, task, finished or Durations(), at(minutes))
    return found and (found.minutes, found.source)


def marks(*pairs: tuple[float, int]) -> list[Mark]:
    """Percentages at minutes after noon."""
    return [Mark(at=at(minutes), percent=percent) for minutes, percent in pairs]


def percent(number: int) -> Words:
    """A percentage and nothing else."""
    return Words(percent=number)


def test_the_pace_of_a_task() -> None:
    """40 % in 10 minutes: 15 are left, and fewer the later it is asked."""
    said = told((10, percent(40)))
    assert left(said, 10) == (15, Source.PACE)
    assert left(said, 13) == (12, Source.PACE)
    assert left(said, 60) == (0, Source.PACE)


def test_what_the_worker_says_goes_first() -> None:
    """As long as it isn't over; then the pace counts again."""
    said = told((10, Words(percent=40, eta=30)))
    assert said.estimated_time_remaining == 30
    assert left(said, 15) == (25, Source.SAID)
    assert left(said, 41) == (0, Source.PACE)
    assert told((10, Words(eta=30)), (20, percent(50))).estimated_time_remaining == 20


def test_before_there_is_a_pace() -> None:
    """Finished tasks of the same type, by their median; the task's own estimate where there are none or few."""
    assert left(None, 4) is None
    assert left(None, 4, estimated_duration=30) == (26, Source.ESTIMATE)
    lain_about = Durations(seconds=(600, 1200, 90_000))
    assert left(None, 4, lain_about, estimated_duration=300) == (16, Source.TYPE)
    assert left(None, 4, Durations(seconds=(600,))) == (6, Source.TYPE)
    assert left(None, 4, Durations(seconds=(600,)), estimated_duration=30) == (26, Source.ESTIMATE)
    assert left(told((3, percent(2))), 4, lain_about) == (16, Source.TYPE)
    assert left(None, 40, lain_about) == (0, Source.TYPE)
    assert left(None, -40, lain_about) == (20, Source.TYPE)


def test_all_done() -> None:
    """Nothing is left of what is done, however it came there."""
    assert left(told((0, percent(100))), 5) == (0, Source.PACE)
    old = Progress(task_id=ONE, worker_id=ADA, percent_complete=100, last_updated=NOON)
    assert left(old, 5) == (0, Source.PACE)


def test_a_suspended_machine_is_no_work() -> None:
    """Eight hours in which nothing went on count little; a task that is slow all the time is slow."""
    awake = pace(marks((0, 0), (10, 20), (20, 40), (30, 60)))
    asleep = pace(marks((0, 0), (10, 20), (20, 40), (510, 60)))
    assert awake == 30
    assert asleep is not None
    assert 30 < asleep <= 60
    assert pace(marks((0, 0), (100, 20), (200, 40))) == 300
    assert pace(marks((0, 0), (500, 20))) == 1500


def test_what_was_there_before_the_claim_has_no_pace() -> None:
    """Who says 60 % a moment after the claim found them done."""
    assert left(told((0.1, percent(60))), 1) is None
    assert left(told((0.1, percent(60)), (10.1, percent(70))), 10.1) == (30, Source.PACE)


def test_percent_that_goes_backwards() -> None:
    """More work was found: the time so far is the pace of what is done by that."""
    said = told((10, percent(50)), (20, percent(80)), (30, percent(60)))
    assert said.percent_complete == 60
    assert left(said, 30) == (20, Source.PACE)
    assert left(told((10, percent(50)), (20, percent(0))), 20) is None


def test_a_clock_that_goes_backwards() -> None:
    """What lies in the future is dropped, and the ledger is told."""
    said = told((60, percent(50)), (10, percent(60)))
    assert [mark.percent for mark in said.marks] == [0, 60]
    assert said.last_updated == at(10)
    assert not may_wait(told((60, percent(50))), said, MINUTE)


@pytest.mark.parametrize(
    ("words", "expected_"),
    [
        (Words(done=3, total=7), (3, 7, 42)),
        (Words(done=0, total=3), (0, 3, 0)),
        (Words(done=1, total=3, percent=50), (1, 3, 50)),
        (Words(step="reading"), (0, 0, 0)),
    ],
)
def test_steps(words: Words, expected_: tuple[int, int, int]) -> None:
    """The percentage follows the steps unless it is given."""
    said = told((1, words))
    assert (said.steps_completed, said.total_steps, said.percent_complete) == expected_


def test_steps_beyond_the_end() -> None:
    """They are refused in words."""
    said = told((1, Words(done=3, total=7)))
    assert advanced(said, at(2), Words(done=8)) == "step 8 of 7 is beyond the end"


def test_who_needs_to_know() -> None:
    """Once a minute, or when the step changes."""
    shared = told((1, Words(step="reading", done=1, total=7)))

    def waits(minutes: float, words: Words) -> bool:
        new = advanced(shared, at(minutes), words)
        assert isinstance(new, Progress)
        return may_wait(shared, new, MINUTE)

    assert waits(1.5, percent(40))
    assert waits(1.5, Words(eta=3, step="reading", done=1))
    assert not waits(2, percent(40))
    assert not waits(1.5, Words(done=2))
    assert not waits(1.5, Words(total=8))
    assert not waits(1.5, Words(step="writing"))


REPORTS = st.lists(
    st.tuples(
        st.integers(-100, 10_000),
        st.builds(
            Words,
            step=st.none() | st.text(max_size=5),
            percent=st.none() | st.integers(0, 100),
            eta=st.none() | st.integers(0, 10_000),
            done=st.none(),
            total=st.none(),
        ),
    ),
    max_size=40,
)


@given(REPORTS, st.integers(-100, 20_000), st.none() | st.integers(0, 100))
def test_whatever_is_said(reports: list[tuple[float, Words]], now: int, estimate: int | None) -> None:
    """Few marks, in order of time and percent; what is left is never less than nothing; all of it reads back."""
    said = told(*reports)
    assert len(said.marks) <= MOST
    assert list(said.marks) == sorted(said.marks, key=lambda mark: (mark.at, mark.percent))
    assert len({mark.percent for mark in said.marks}) == len(said.marks)
    found = left(said, now, estimated_duration=estimate)
    assert found is None or (isinstance(found, tuple) and found[0] >= 0)
    assert Progress.from_json(said.to_json()) == said


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 10**6)), max_size=40))
def test_few_durations_are_kept(spans: list[tuple[int, int]]) -> None:
    """The latest ones; none that is nothing or less."""
    found = Durations()
    for sign, seconds in spans:
        found = found.and_one(NOON, NOON + timedelta(seconds=sign * seconds))
    assert len(found.seconds) <= REMEMBERED
    assert all(one > 0 for one in found.seconds)
    assert found.and_one(None, NOON) == found
    if found.seconds:
        assert found.median.total_seconds() == median(found.seconds)


def working() -> State:
    """A ledger with a task that ada works on."""
    state = State()
    state.add(estimate=30)
    state.done(Take(lease=3600))
    state.done(Report(task=ONE, percent=10), minutes=1)
    return state


def word(state: State, number: int, minutes: float, **about: object) -> Said:
    """What ada says of her task without an operation."""
    claim = state.board.claim(ClaimId(state.task(ONE).claim or ""))
    assert claim is not None
    known = state.board.progress(ONE) or begun(ONE, ADA, NOON)
    new = advanced(known, at(minutes), percent(number))
    assert isinstance(new, Progress)
    return Said(claim=claim.id, token=claim.token, progress=new).but(**about)


def carrying(state: State, request: object, said: Said, worker: str = "ada", minutes: float = 2) -> Board:
    """The board after an operation that takes a word along."""
    operation = state.operation(request, worker, minutes=minutes).but(said=(said,))  # type: ignore[arg-type]
    state.apply(operation)
    return state.board


@pytest.mark.parametrize("request_", [Register(id=WorkerId("eve")), Report(task=ONE, step="writing")])
def test_what_was_held_back_goes_with_any_operation(request_: object) -> None:
    """Of whatever kind, and whoever asks: the claim and its token say whose word it is."""
    state = working()
    board = carrying(
        state, request_, word(state, 35, 1.5), "eve" if isinstance(request_, Register) else "ada"
    )
    found = board.progress(ONE)
    assert found is not None
    assert (found.percent_complete, found.worker_id) == (35, "ada")


def test_it_goes_with_a_renewal() -> None:
    """Also with one that another worker of the machine makes for all."""
    state = working()
    said = word(state, 35, 1.5)
    renewal = Renew(claims=(MineClaim(claim=said.claim, token=said.token),))
    found = carrying(state, renewal, said, "eve").progress(ONE)
    assert found is not None
    assert found.percent_complete == 35


def test_it_starts_the_work() -> None:
    """The first word on a task, said while the remote couldn't be reached."""
    state = State()
    state.add()
    state.done(Take(lease=3600))
    carrying(state, Register(id=WorkerId("eve")), word(state, 10, 1))
    assert state.task(ONE).status is TaskStatus.IN_PROGRESS


def test_words_that_come_too_late() -> None:
    """Older ones, those of a claim that is no more and those with another token say nothing."""
    state = working()
    state.done(Report(task=ONE, percent=50), minutes=3)
    for said in (
        word(state, 35, 2),
        word(state, 60, 9, token=99),
        word(state, 60, 9, claim=ClaimId("f" * 16)),
    ):
        found = carrying(state, Register(id=WorkerId("eve")), said, "eve", minutes=4).progress(ONE)
        assert found is not None
        assert found.percent_complete == 50
    late = word(state, 60, 9)
    assert carrying(state, Release(task=ONE), late, minutes=10).progress(ONE) is None
    assert carrying(state, Register(id=WorkerId("max")), late, minutes=11).progress(ONE) is None


def test_an_operation_without_words_reads_as_before() -> None:
    """Byte for byte: what older versions wrote must be verified as they wrote it."""
    state = working()
    operation = state.operation(Start(task=ONE))
    assert b"said" not in operation.to_json()
    assert "said" not in operation.to_data()
    spoken = operation.but(said=(word(state, 35, 2),))
    assert Operation.from_json(spoken.to_json()) == spoken


def test_finished_tasks_are_remembered_by_type() -> None:
    """How long they took from claim to completion, once; what failed doesn't count."""
    state = State()
    state.add(type=TaskType.FIX)
    state.add(type=TaskType.FIX)
    state.done(Take(lease=36_000))
    state.done(Complete(task=ONE, head="a" * 40, branch="b"), minutes=12)
    state.done(Complete(task=ONE, head="b" * 40, branch="b"), minutes=50)
    state.done(Take(lease=36_000), minutes=60)
    state.done(Fail(task=TaskId("task-002"), reason="no"), minutes=70)
    assert state.board.durations(TaskType.FIX).seconds == (720,)
    assert state.board.durations(TaskType.FEAT).seconds == ()


def test_where_all_is_signed_everybody_speaks_for_himself() -> None:
    """A word that another worker's signature would stand for says nothing."""
    state = working()
    board, said = state.board, word(state, 35, 2)
    assert may_say(board, WorkerId("eve"), said)
    board.put_settings(board.settings.but(signed=True))
    assert not may_say(board, WorkerId("eve"), said)
    assert may_say(board, ADA, said)
    assert not may_say(board, ADA, said.but(token=99))
