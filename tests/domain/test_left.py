"""What a worker leaves of a task: its branch and the last commit that is known, for whoever comes next."""

from __future__ import annotations

import pytest

from gitpw.domain.ids import TaskId
from gitpw.domain.operation import (
    Add,
    Complete,
    Expire,
    Fail,
    Lock,
    Mine,
    NewTask,
    Push,
    Release,
    Renew,
    Take,
    Unlock,
)
from gitpw.domain.task import MOST_LEFT, Left, Task
from tests.domain.state import HOUR, State, locks

BASE, HEAD, NEXT = "0" * 40, "a" * 40, "b" * 40
TASK = TaskId("task-001")
FORCED = Unlock(resources=("src",), force=True, reason="urgent")


@pytest.fixture
def state() -> State:
    """Ada has claimed a task with a file, on a branch from a base."""
    state = State()
    state.done(Add(tasks=(NewTask(title="One", files=("src",)),)))
    take(state, "ada")
    return state


def take(state: State, worker: str, minutes: float = 0) -> str | None:
    """Claim the task; the branch."""
    state.done(Take(task=TASK, lease=HOUR, base=BASE), worker, minutes=minutes, host=f"{worker}s")
    (claim,) = (one for one in state.board.claims() if one.task == TASK)
    return claim.branch


def work(state: State, worker: str, head: str, minutes: float = 1) -> None:
    """Renew, with where the work stands."""
    (claim,) = (one for one in state.board.claims() if one.task == TASK)
    mine = Mine(claim=claim.id, token=claim.token, head=head)
    state.done(Renew(claims=(mine,)), worker, minutes=minutes, host=f"{worker}s")


def task(state: State) -> Task:
    """The task as it is now."""
    found = state.board.task(TASK)
    assert found is not None
    return found


def only(state: State) -> Left:
    """What the one worker has left."""
    (left,) = task(state).left
    return left


def test_a_lost_worker_leaves_branch_commit_and_host(state: State) -> None:
    """Those that its last renewal named."""
    work(state, "ada", HEAD)
    state.done(Expire(), "bob", minutes=67, host="adas")
    left = only(state)
    assert (left.worker, left.branch, left.head, left.pushed) == ("ada", "feat/task-001-one", HEAD, None)
    assert (left.host, left.how) == ("adas", "expired")


def test_what_was_pushed_is_known_to_be(state: State) -> None:
    """With the branch that it was pushed to."""
    state.done(Push(task=TASK, head=HEAD, branch="feat/mine"))
    work(state, "ada", NEXT)
    state.done(Expire(), "bob", minutes=67, host="adas")
    left = only(state)
    assert (left.branch, left.head, left.pushed) == ("feat/mine", NEXT, HEAD)


@pytest.mark.parametrize("head", ["--output=x", "HEAD", "a" * 39, f"{HEAD}\n", ""])
def test_what_is_no_commit_is_never_handed_down(state: State, head: str) -> None:
    """Whoever comes next gives it to git."""
    state.done(Push(task=TASK, head=head, branch="feat/x"))
    state.done(FORCED, "bob")
    assert (only(state).head, only(state).pushed) == (None, None)


@pytest.mark.parametrize("head", [None, BASE])
def test_a_lost_worker_without_a_known_commit_may_have_one_all_the_same(
    state: State, head: str | None
) -> None:
    """Its branch is named, and nobody else is given it."""
    if head is not None:
        work(state, "ada", head)
    state.done(Expire(), "bob", minutes=67, host="adas")
    assert (only(state).head, only(state).branch) == (None, "feat/task-001-one")
    assert take(state, "bob", 68) == "feat/task-001-one-bob"


@pytest.mark.parametrize("end", [Release(task=TASK), Fail(task=TASK, reason="too hard")])
def test_who_gives_back_leaves_commits_or_nothing(state: State, end: Release | Fail) -> None:
    """Released and failed work is named as well; where there is none, the branch is free."""
    other = State()
    other.done(Add(tasks=(NewTask(title="One", files=("src",)),)))
    take(other, "ada")
    other.done(end)
    assert task(other).left == ()
    work(state, "ada", HEAD)
    state.done(end)
    assert (only(state).head, only(state).worker) == (HEAD, "ada")


def test_forced_and_taken_over_claims_leave_it_too(state: State) -> None:
    """Whichever way a claim is lost, also through one of its files."""
    work(state, "ada", HEAD)
    state.done(FORCED, "bob")
    assert only(state).how == "unlocked by force: urgent"
    take(state, "cy", 2)
    state.done(Lock(locks=locks("src"), lease=HOUR), "bob", minutes=70, host="cys")
    assert [(left.worker, left.how) for left in task(state).left][1:] == [("cy", "taken over")]


def test_each_worker_has_a_branch_of_its_own(state: State) -> None:
    """Nobody's is overwritten, and who comes back finds its own."""
    work(state, "ada", HEAD)
    branches = {}
    for worker in ("bob", "cy", "ada", "bob", "dan"):
        state.done(FORCED, "zed")
        branches[worker] = take(state, worker)
    stem = "feat/task-001-one"
    assert branches == {"ada": stem, "bob": f"{stem}-bob", "cy": f"{stem}-cy", "dan": f"{stem}-dan"}


def test_the_newest_is_last_and_the_oldest_is_forgotten(state: State) -> None:
    """Each worker's branch is named once."""
    for number in range(1, MOST_LEFT + 4):
        state.done(FORCED, "zed")
        take(state, f"w{number % (MOST_LEFT + 2)}")
    left = [one.worker for one in task(state).left]
    assert len(left) == len(set(left)) == MOST_LEFT
    assert left[-1] == f"w{(MOST_LEFT + 2) % (MOST_LEFT + 2)}"


def test_what_is_handed_in_is_known_to_be_pushed(state: State) -> None:
    """So that it can be had when the queue gives it back to nobody."""
    state.done(Complete(task=TASK, head=HEAD, branch="feat/task-001-one"))
    (claim,) = state.board.claims()
    assert (claim.head, claim.pushed) == (HEAD, HEAD)


def test_a_former_holder_is_told_where_its_work_is(state: State) -> None:
    """And who works on it now."""
    (claim,) = state.board.claims()
    old = Mine(claim=claim.id, token=claim.token)
    work(state, "ada", HEAD)
    state.done(FORCED, "zed")
    take(state, "bob")
    refused = state.refused(Renew(claims=(old,)))
    assert "kept on branch feat/task-001-one" in (refused.hint or "")
    assert "bob works on it now" in (refused.hint or "")


def test_left_is_not_shown_with_the_task(state: State) -> None:
    """The record is a contract."""
    state.done(Expire(), "bob", minutes=67, host="adas")
    assert "left" not in task(state).public()
