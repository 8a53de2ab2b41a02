"""What has become of tasks and workers: spans, counts and times waited, whole or piece by piece, and bounded."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gitpw.domain import history as module
from gitpw.domain.history import BOUNDS, DAY, HOUR, LONGEST, History, Span
from gitpw.domain.trail import Event
from gitpw.ledger.events import event
from tests.domain.story import story

NAMES = [f"task-{number:03d}" for number in range(1, 6)]


def an_event(
    verb: str, tasks: str = "task-001", minute: float = 0, worker: str = "bob", counter: int = 1, **facts: Any
) -> Event:
    """Something that happened so many minutes after a begin."""
    told = json.dumps(facts) if facts else ""
    return Event(counter, int(minute * 60), "0" * 32, "0" * 40, worker, verb, tasks, "", "{}", told)


def folded(*events: Event) -> History:
    """What these make."""
    return History().fold(one._replace(counter=counter) for counter, one in enumerate(events, 1))


def test_a_task_goes_its_way() -> None:
    """Claimed, worked on, returned for a conflict, worked on again, merged: each span by its worker."""
    done = folded(
        an_event("add", types=["fix"]),
        an_event("claim", minute=5),
        an_event("start", minute=7),
        an_event("progress", minute=8),
        an_event("complete", minute=20),
        an_event("return", minute=30, worker="mo", back={"task-001": "conflict"}),
        an_event("complete", minute=50),
        an_event("land", minute=60, worker="mo"),
    )
    life = done.lives["task-001"]
    assert [(span.kind, span.begin // 60, (span.end or 0) // 60) for span in life.spans] == [
        ("claimed", 5, 7),
        ("worked", 7, 20),
        ("queued", 20, 30),
        ("worked", 30, 50),
        ("queued", 50, 60),
    ]
    assert {span.worker for span in life.spans} == {"bob"}
    assert (life.type, life.added, life.merged, life.ending, life.conflicts) == ("fix", 0, 3600, "merged", 1)
    bob = done.workers["bob"]
    assert (bob.claimed, bob.completed, bob.merged, bob.conflicts) == (1, 2, 1, 1)
    assert (bob.worked, bob.waited, bob.conflict_rate, bob.mean_wait) == (33 * 60, 40 * 60, 0.5, 40 * 60)
    assert done.types["fix"] == [1, *bob[1:]]
    assert (done.until_claimed.total, done.until_merged.total) == (300, 2400)
    assert done.by_hour(0, 10 * HOUR)[HOUR].merged == 1
    assert done.by_day(0, DAY)[0].merged == 1
    assert done.by_day(DAY, 2 * DAY) == {}


@pytest.mark.parametrize(
    ("verb", "ending", "count"),
    [("release", "", ""), ("fail", "failed", "failed"), ("expire", "", "lost"), ("unlock", "", "")],
)
def test_work_that_ends_otherwise(verb: str, ending: str, count: str) -> None:
    """The span ends there, and counts for who had it; the next claim begins a new one."""
    done = folded(
        an_event("claim"),
        an_event("start", minute=1),
        an_event(verb, minute=3, worker="gc"),
        an_event("claim", minute=4, worker="ada"),
    )
    life = done.lives["task-001"]
    assert life.spans == [
        Span("claimed", "bob", 0, 60),
        Span("worked", "bob", 60, 180),
        Span("claimed", "ada", 240),
    ]
    assert life.workers == ["bob", "ada"]
    if count:
        assert getattr(done.workers["bob"], count) == 1
    assert folded(an_event("claim"), an_event(verb, minute=3)).lives["task-001"].ending == ending


def test_taken_over() -> None:
    """A claim by another ends the one before, whose worker was lost."""
    done = folded(an_event("claim"), an_event("start", minute=1), an_event("claim", minute=90, worker="ada"))
    assert done.lives["task-001"].spans[1] == Span("worked", "bob", 60, 90 * 60)
    assert (done.workers["bob"].lost, done.total.claimed) == (1, 2)


def test_without_a_queue() -> None:
    """What is completed where nothing is queued is merged at once."""
    done = folded(an_event("claim"), an_event("complete", minute=9, landed=True))
    assert (done.total.merged, done.lives["task-001"].ending) == (1, "merged")


def test_queue_by_hand() -> None:
    """Dropped entries are with their owner again, those that are tried again in line again."""
    done = folded(
        an_event("claim"), an_event("complete", minute=1), an_event("drop", minute=2, worker="mo"),
        an_event("requeue", minute=3, worker="mo"), an_event("cancel", minute=4, worker="mo"),
    )  # fmt: skip
    assert [span.kind for span in done.lives["task-001"].spans] == ["claimed", "queued", "worked", "queued"]
    assert done.lives["task-001"].ending == "cancelled"


def test_begun_in_the_middle() -> None:
    """A clone that joined late sees a landing without what led to it, and makes nothing up."""
    done = folded(
        an_event("land", worker="mo"), an_event("progress", "task-002", 1), an_event("drop", "task-003")
    )
    assert done.lives["task-001"].spans == []
    assert done.lives["task-002"].now == Span("worked", "bob", 60)
    assert (done.until_merged.total, "mo" in done.workers) == (0, False)


def test_of_a_real_ledger() -> None:
    """The same from real commits, of which each verb is one."""
    events = [one for told in story() if (one := event(told.text, "0" * 40, 0)) is not None]
    done = History().fold(events)
    total = done.total
    assert (total.added, total.merged, total.conflicts, total.failed, total.lost) == (5, 2, 1, 1, 1)
    assert sum(done.verbs.values()) == done.counter == len(events)
    assert {name for name, life in done.lives.items() if life.now} == set()
    assert done.types["fix"].merged == 1


def test_minutes() -> None:
    """Spans cover the minutes that they touch; the shortest covers one."""
    assert Span("worked", "bob", 61, 62).minutes == (1, 2)
    assert Span("worked", "bob", 60, 60).minutes == (1, 2)
    assert Span("worked", "bob", 59, 121).minutes == (0, 3)
    assert Span("worked", "bob", 59).minutes == (0, None)


def test_chart() -> None:
    """The tasks of a time, the first claimed first; what goes on is in every time after its begin."""
    done = folded(
        an_event("claim", "task-001", 10), an_event("claim", "task-002", 5), an_event("release", "task-002", 6),
        an_event("claim", "task-003", 100),
    )  # fmt: skip
    assert [life.task for life in done.chart(0, 60 * 60)] == ["task-002", "task-001"]
    assert [life.task for life in done.chart(50 * 60, 200 * 60)] == ["task-001", "task-003"]
    assert [life.task for life in done.chart(50 * 60, 200 * 60, 1)] == ["task-003"]


def test_histogram() -> None:
    """Counted up to each bound, and beyond the last."""
    waits = History().until_merged
    for seconds in (0, 60, 61, LONGEST):
        waits.observe(seconds)
    assert list(waits.cumulative())[:2] == [(60, 2), (300, 3)]
    assert list(waits.cumulative())[-1] == (float("inf"), 4)
    assert (waits.quantile(0.5), waits.quantile(0.75), waits.quantile(1)) == (60, 300, float("inf"))
    assert (waits.count, History().until_merged.quantile(0.5)) == (4, None)
    assert list(BOUNDS) == sorted(BOUNDS)


EVENTS = st.builds(
    an_event,
    st.sampled_from(
        ["add", "claim", "start", "progress", "push", "complete", "land", "merging", "return", "drop", "requeue", "fail",
         "cancel", "retry", "release", "expire", "unlock", "split", "renew", "lock", "nap"]
    ),
    st.lists(st.sampled_from(NAMES), max_size=3).map(" ".join),
    st.floats(-1e6, 1e8) | st.integers(0, 5000),
    st.sampled_from(["bob", "ada", "", "\x1b[31m"]),
    types=st.lists(st.sampled_from(["fix", "feat", "<b>", None]), max_size=3) | st.none() | st.integers(),
    back=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["conflict", "failed", "x"])) | st.integers(),
    landed=st.booleans() | st.none(),
)  # fmt: skip


@settings(max_examples=60)
@given(st.lists(EVENTS, max_size=30), st.integers(0, 30))
@example([an_event("claim", minute=5), an_event("complete", minute=1), an_event("land", minute=-9)], 1)
def test_piece_by_piece(events: list[Event], cut: int) -> None:
    """Written down in the middle and gone on from, it is what it is in one go."""
    whole = folded(*events)
    numbered = [one._replace(counter=counter) for counter, one in enumerate(events, 1)]
    half = History().fold(numbered[:cut])
    again = History.from_data(json.loads(json.dumps(half.to_data()))).fold(numbered[cut:])
    assert again.to_data() == whole.to_data()


@settings(max_examples=60)
@given(st.lists(EVENTS, max_size=30))
def test_always_true(events: list[Event]) -> None:
    """In whatever order things are said to have happened: spans follow one another, and the sums agree."""
    done = folded(*events)
    for life in done.lives.values():
        assert all(span.end is not None and 0 <= span.end - span.begin <= LONGEST for span in life.spans[:-1])
        assert (life.ending != "merged") or life.now is None
    for tallies in (done.hours, done.days, done.types):
        sums = [sum(column) for column in zip(*tallies.values(), strict=True)] or [0] * len(done.total)
        assert sums == list(done.total)
    assert all(number >= 0 for number in done.total)
    assert sum(done.verbs.values()) == len(events)
    assert done.until_merged.count == done.total.merged


def test_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of very many tasks, workers, hours, verbs and spans the oldest go; tasks that are open stay longest."""
    for name in ("MOST_LIVES", "MOST_IDLE", "MOST_SPANS", "MOST_WORKERS", "MOST_VERBS", "HOURS", "DAYS"):
        monkeypatch.setattr(module, name, 3)
    events = [an_event("claim", "task-999", 0, "zoe")]
    for number in range(1, 30):
        name, at = f"task-{number:03d}", number * 30 * 60
        events += [
            an_event("add", name, at), an_event("add", f"task-1{number:03d}", at), an_event("claim", name, at, f"w{number}"),
            an_event("complete", name, at + 1), an_event("land", name, at + 2), an_event(f"verb{number}", "", at),
            an_event("start" if number % 2 else "drop", "task-999", at), an_event("complete", "task-999", at, "zoe"),
        ]  # fmt: skip
    done = folded(*events)
    sizes = [len(kept) for kept in (done.lives, done.idle, done.workers, done.hours, done.days)]
    assert sizes == [3, 2, 3, 3, 3]
    assert "task-999" in done.lives
    assert len(done.lives["task-999"].spans) == 3
    assert len(done.verbs) == 4
    assert (done.total.merged, done.verbs["other"] > 20) == (29, True)


@pytest.mark.parametrize("data", [{}, {"counter": 1}, {"lives": 5}])
def test_data_of_something_else(data: dict[str, Any]) -> None:
    """It is refused with an error that whoever reads it expects."""
    with pytest.raises((KeyError, TypeError, ValueError)):
        History.from_data(data)
