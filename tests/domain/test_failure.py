"""Tasks that failed: tried again by themselves after longer and longer pauses, then by a person's word."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gitpw.domain.failure import PAUSES, kind_of
from gitpw.domain.ids import TaskId
from gitpw.domain.operation import Expire, Fail, Retry, Take
from gitpw.domain.task import FailureKind, TaskStatus
from tests.domain.state import HOUR, NOON, State, problems

ONE, TWO = TaskId("task-001"), TaskId("task-002")


def stumble(state: State, minutes: float, kind: FailureKind = FailureKind.TIMEOUT) -> dict[str, object]:
    """Claim the task and fail; what the outcome says."""
    state.take("ada", task=ONE, minutes=minutes)
    return state.done(Fail(task=ONE, reason="took too long", kind=kind), minutes=minutes).detail


def reason(state: State, minutes: float) -> tuple[str, str]:
    """Why the task isn't to be had."""
    (told,) = state.why("bob", minutes=minutes)
    return told["code"], told["reason"]


def test_three_retries_with_growing_pauses() -> None:
    """Not before the pause is over, then at the next claim; the fourth failure needs a person."""
    assert list(PAUSES) == sorted(set(PAUSES))
    state = State()
    state.add("flaky")
    minutes = 0.0
    for number, pause in enumerate(PAUSES, 1):
        detail = stumble(state, minutes)
        retry_at = NOON + timedelta(minutes=minutes, seconds=pause)
        assert (detail["attempts"], detail["needsPerson"], detail["kind"]) == (number, False, "timeout")
        assert detail["retryAt"] == f"{retry_at:%Y-%m-%dT%H:%M:%SZ}"
        task = state.task(ONE)
        assert (task.status, task.retry_at) == (TaskStatus.FAILED, retry_at)
        code, why = reason(state, minutes + pause / 60 - 1 / 60)
        assert code == "backoff"
        assert str(detail["retryAt"]) in why
        assert "tried again at" in state.refused(Take(task=ONE, lease=HOUR), minutes=minutes).message
        minutes += pause / 60
    detail = stumble(state, minutes)
    assert (detail["needsPerson"], detail["retryAt"], detail["title"]) == (True, None, "flaky")
    assert reason(state, minutes + 10_000)[0] == "person"
    assert state.task(ONE).needs_person
    state.done(Retry(task=ONE))
    assert state.task(ONE).attempts == 0
    assert stumble(state, minutes)["attempts"] == 1
    assert problems(state.cells) == []


@pytest.mark.parametrize("kind", list(FailureKind))
def test_what_is_tried_again(kind: FailureKind) -> None:
    """Every kind of failure that may go better another time; not what nobody knows anything about."""
    state = State()
    state.add()
    detail = stumble(state, 0, kind)
    assert detail["needsPerson"] is (kind is FailureKind.OTHER)


def test_the_best_of_those_to_be_tried_again() -> None:
    """What is due stands in line at its old place."""
    state = State()
    state.add(priority=1)
    state.add(priority=2)
    stumble(state, 0)
    assert state.take("bob", minutes=0).task == TWO
    assert state.take("cy", minutes=2).task == ONE
    assert state.task(ONE).failure is None


def test_a_retry_put_off_by_a_wrong_clock() -> None:
    """A pause that a clock years ahead wrote is no longer than the longest there is."""
    state = State()
    state.add()
    state.take("ada", minutes=0, lease=HOUR)
    far = 3 * 365 * 24 * 60
    state.done(Fail(task=ONE, reason="r", kind=FailureKind.TIMEOUT), host="mad", minutes=far)
    assert state.take("bob", minutes=5).task == ONE


def test_dependents_of_what_is_tried_again_only_wait() -> None:
    """A failure that isn't the last word blocks nobody for good."""
    state = State()
    state.add()
    state.add(after=(ONE,))
    stumble(state, 0)
    assert list(state.board.blocked()) == []
    stumble(state, 2, FailureKind.OTHER)
    assert [task.id for task in state.board.blocked()] == [TWO]


def test_lost_workers_count() -> None:
    """A task whose workers are lost again and again needs a person in the end."""
    state = State()
    state.add("poison")
    minutes = 0.0
    for number in range(len(PAUSES)):
        assert state.take(f"w{number}", minutes=minutes).task == ONE
        minutes += 66
    assert state.take("last", minutes=minutes).task == ONE
    minutes += 66
    done = state.done(Expire(), "gc", minutes=minutes)
    assert (done.tasks, done.detail["needsPerson"]) == ((ONE,), [ONE])
    task = state.task(ONE)
    assert (task.status, task.failure_kind) == (TaskStatus.FAILED, FailureKind.LOST_WORKER)
    assert "last was lost" in str(task.failure)
    assert problems(state.cells) == []


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("timeout", FailureKind.TIMEOUT),
        ("Test failure: 3 of 7 are red", FailureKind.TEST_FAILURE),
        ("merge_conflict", FailureKind.MERGE_CONFLICT),
        (" lost-worker ", FailureKind.LOST_WORKER),
        ("the tests are red", FailureKind.OTHER),
        ("timeouts are too short", FailureKind.OTHER),
        ("", FailureKind.OTHER),
        (": timeout", FailureKind.OTHER),
    ],
)
def test_a_reason_that_names_its_kind(reason: str, kind: FailureKind) -> None:
    """Alone or before a colon; what merely mentions it is no such."""
    assert kind_of(reason) is kind
