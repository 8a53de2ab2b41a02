"""Tasks: added, changed, worked on, handed in, landed, given back."""

from __future__ import annotations

from itertools import pairwise

import pytest

from gitpw.domain.ids import TaskId, WorkerId
from gitpw.domain.operation import (
    Add,
    Cancel,
    Complete,
    Edit,
    Fail,
    Land,
    Landing,
    NewTask,
    OfTask,
    Push,
    Release,
    Report,
    Retry,
    Start,
)
from gitpw.domain.task import TaskStatus, TaskType
from tests.domain.state import NOON, State, locks, problems

ONE, TWO, THREE = TaskId("task-001"), TaskId("task-002"), TaskId("task-003")
HEAD = "1" * 40


def claimed(*files: str) -> State:
    """A ledger in which ada has claimed its only task."""
    state = State()
    state.add("work", *files)
    state.take()
    return state


def handed_in() -> State:
    """A ledger in which ada's task waits in the merge queue."""
    state = claimed("a")
    state.done(Complete(task=ONE, head=HEAD, branch="b"))
    return state


# adding


def test_add() -> None:
    """A new task has what was said of it, each skill and file once, and the next number."""
    state = State()
    new = NewTask(
        title="t", type=TaskType.FIX, description="d", priority=1, files=("a", "b", "a"), skills=("y", "x", "y"),
        estimate=5, issue=7,
    )  # fmt: skip
    done = state.done(Add(tasks=(new, NewTask(title="u"))), minutes=3)
    assert (done.tasks, done.detail) == ((ONE, TWO), {"added": 2})
    task = state.task(ONE)
    assert (task.type, task.description, task.priority, task.estimated_duration) == (TaskType.FIX, "d", 1, 5)
    assert (task.metadata.files, task.metadata.issue_number, task.required_skills) == (
        ("a", "b"),
        7,
        ("x", "y"),
    )
    assert (task.created_at - NOON).total_seconds() == 180


def test_numbers_are_not_used_again() -> None:
    """A cancelled task keeps its number."""
    state = State()
    state.add()
    state.done(Cancel(task=ONE))
    assert state.add() == TWO


def test_add_after_keys_and_ids() -> None:
    """New tasks come after older ones by id or key, and after each other by key, in whatever order they are named."""
    state = State()
    state.add(key="old")
    tasks = (
        NewTask(title="last", key="c", after=("b", "old", ONE)),
        NewTask(title="first", key="b", after=(ONE,)),
    )
    state.done(Add(tasks=tasks))
    assert state.task(TWO).dependencies == (THREE, ONE)
    assert state.task(THREE).dependencies == (ONE,)
    assert [state.task(name).chain for name in (ONE, TWO, THREE)] == [60, 0, 30]
    assert problems(state.cells) == []


def test_second_import_changes_nothing() -> None:
    """What was imported under a key isn't added again, and the answer names it."""
    state = State()
    request = Add(tasks=(NewTask(title="t", key="k"), NewTask(title="u", key="l", after=("k",))))
    state.done(request)
    again = state.done(request)
    assert (again.changed, again.tasks) == (False, (ONE, TWO))
    more = state.done(Add(tasks=(*request.tasks, NewTask(title="v", key="m", after=("l",)))))
    assert (more.tasks, more.detail) == ((ONE, TWO, THREE), {"added": 1})


def test_all_or_none() -> None:
    """One bad task in a list, and none is added."""
    state = State()
    refused = state.refused(Add(tasks=(NewTask(title="t"), NewTask(title="u", after=("nowhere",)))))
    assert refused.code == "invalid"
    assert "nowhere" in refused.message
    assert list(state.board.tasks()) == []
    assert state.add() == ONE


def test_circle() -> None:
    """A circle is refused with the circle spelled out."""
    state = State()
    tasks = tuple(NewTask(title=key, key=key, after=(after,)) for key, after in ("ab", "bc", "ca"))
    refused = state.refused(Add(tasks=(*tasks, NewTask(title="d", after=("a",)))))
    circle = refused.data["circle"]
    assert circle[0] == circle[-1]
    assert set(circle) == {ONE, TWO, THREE}
    keys = dict(zip((ONE, TWO, THREE), "abc", strict=True))
    assert " → ".join(keys[name] for name in circle) in refused.message  # by the names that the asker knows
    after = {ONE: TWO, TWO: THREE, THREE: ONE}
    assert all(after[one] == two for one, two in pairwise(circle))


def test_after_itself() -> None:
    """A task can't come after itself."""
    refused = State().refused(Add(tasks=(NewTask(title="t", key="k", after=("k",)),)))
    assert refused.data["circle"] == [ONE, ONE]


def test_one_key_for_two() -> None:
    """A key that names two new tasks is refused."""
    refused = State().refused(Add(tasks=(NewTask(title="t", key="k"), NewTask(title="u", key="k"))))
    assert "k" in refused.message


@pytest.mark.parametrize("file", ["../x", "", "glob:", "a/../b", "/a", ".git/config", "a//b"])
def test_files_that_cannot_be_locked(file: str) -> None:
    """A task with a file that can't be locked is refused: nobody could ever claim past it."""
    state = State()
    assert state.refused(Add(tasks=(NewTask(title="t", files=(file,)),))).code == "invalid"
    state.add()
    assert state.refused(Edit(task=ONE, files=(file,))).code == "invalid"


# changing


def test_edit_changes_what_is_given() -> None:
    """What is named is changed, the rest stays."""
    state = State()
    state.add("t", "a", skills=("x",), estimate=5, description="d")
    state.done(Edit(task=ONE, title="u", priority=1, issue=3, files=(), skills=("z", "y")))
    task = state.task(ONE)
    assert (task.title, task.priority, task.description, task.estimated_duration) == ("u", 1, "d", 5)
    assert (task.metadata.files, task.metadata.issue_number, task.required_skills) == ((), 3, ("y", "z"))
    assert not state.done(Edit(task=ONE, title="u")).changed


def test_edit_dependencies() -> None:
    """Dependencies are added and removed, and the task moves between the queues."""
    state = State()
    state.add()
    state.add()
    state.done(Edit(task=TWO, after=(ONE,)))
    assert [task.id for task in state.board.waiting()] == [TWO]
    assert state.task(ONE).chain == 30
    state.done(Edit(task=TWO, no_after=(ONE,)))
    assert list(state.board.waiting()) == []
    assert state.task(ONE).chain == 0
    assert state.board.dependents(ONE) == []


def test_edit_estimate_lifts_the_chains() -> None:
    """A longer estimate makes the chains of all that it waits for longer."""
    state = State()
    state.add()
    state.add(after=(ONE,))
    state.add(after=(TWO,))
    state.done(Edit(task=THREE, estimate=100))
    assert [state.task(name).chain for name in (ONE, TWO)] == [130, 100]


def test_edit_into_a_circle() -> None:
    """A dependency that closes a circle is refused with the circle spelled out."""
    state = State()
    state.add()
    state.add(after=(ONE,))
    state.add(after=(TWO,))
    assert state.refused(Edit(task=ONE, after=(THREE,))).data["circle"] == [ONE, THREE, TWO, ONE]
    assert state.refused(Edit(task=ONE, after=(ONE,))).data["circle"] == [ONE, ONE]


def test_edit_after_unknown() -> None:
    """A dependency that doesn't exist is refused."""
    state = State()
    state.add()
    assert "task-009" in state.refused(Edit(task=ONE, after=(TaskId("task-009"),))).message
    assert state.refused(Edit(task=TWO)).code == "invalid"


def test_edit_under_its_holder() -> None:
    """The words of a claimed task may change, its files and dependencies not."""
    state = claimed("a")
    state.add()
    state.done(Edit(task=ONE, title="u", priority=1), "bob")
    for change in ({"files": ("b",)}, {"after": (TWO,)}, {"no_after": (TWO,)}):
        assert state.refused(Edit(task=ONE, **change)).code == "invalid"


def test_edit_when_finished() -> None:
    """What waits to land, has landed or was cancelled doesn't change."""
    state = handed_in()
    assert state.refused(Edit(task=ONE, title="u")).code == "invalid"
    state.done(Land(landings=(Landing(task=ONE, head=HEAD),)))
    assert state.refused(Edit(task=ONE, title="u")).code == "invalid"
    state.add()
    state.done(Cancel(task=TWO))
    assert state.refused(Edit(task=TWO, title="u")).code == "invalid"


def test_cancel() -> None:
    """A cancelled task leaves the queue, and no work hangs on it any more."""
    state = State()
    state.add()
    state.add(after=(ONE,))
    state.done(Cancel(task=TWO))
    assert state.task(ONE).chain == 0
    assert [task.id for task in state.board.ready(frozenset())] == [ONE]
    assert not state.done(Cancel(task=TWO)).changed
    state.done(Retry(task=TWO))
    assert state.task(ONE).chain == 30


def test_cancel_under_its_holder() -> None:
    """A claimed task is given back before it is cancelled."""
    assert "ada" in claimed().refused(Cancel(task=ONE), "bob").message


def test_cancel_what_has_landed() -> None:
    """What has landed can't be cancelled, nor retried."""
    state = claimed()
    state.done(Complete(task=ONE, queue=False))
    assert state.refused(Cancel(task=ONE)).code == "invalid"
    assert state.refused(Retry(task=ONE)).code == "invalid"


def test_retry_of_what_is_open() -> None:
    """A task that stands in line needs no retry, one in hand can't have it."""
    state = State()
    state.add()
    assert not state.done(Retry(task=ONE)).changed
    state.take()
    assert state.refused(Retry(task=ONE)).code == "invalid"


@pytest.mark.parametrize("request_", [Cancel(task=ONE), Retry(task=ONE), Edit(task=ONE), Start(task=ONE)])
def test_unknown_tasks(request_: object) -> None:
    """What doesn't exist can't be changed."""
    assert "there is no task-001" in State().refused(request_).message


# working

WORK = [
    Start(task=ONE),
    Report(task=ONE, step="x"),
    Push(task=ONE, head=HEAD, branch="b"),
    Complete(task=ONE),
    Fail(task=ONE, reason="r"),
    Release(task=ONE),
]


@pytest.mark.parametrize("request_", WORK)
def test_not_yours(request_: OfTask) -> None:
    """Nobody but its holder works on a task, hands it in or gives it back."""
    state = claimed()
    refused = state.refused(request_, "bob")
    assert refused.code == "invalid"
    assert "held by ada, not by you (bob)" in refused.message


@pytest.mark.parametrize("request_", WORK)
def test_nobodys(request_: OfTask) -> None:
    """A task must be claimed before anything is said of it."""
    state = State()
    state.add()
    assert state.refused(request_).hint == "git pw claim task-001"


@pytest.mark.parametrize("request_", WORK)
def test_a_token_must_be_the_current_one(request_: OfTask) -> None:
    """A token that isn't the claim's own is stale, whoever brings it."""
    state = claimed()
    right = state.task(ONE).token
    assert state.refused(request_.but(token=99)).code == "stale"
    state.done(request_.but(token=right))


def test_start() -> None:
    """Work begins once."""
    state = claimed()
    state.done(Start(task=ONE))
    assert state.task(ONE).status is TaskStatus.IN_PROGRESS
    assert not state.done(Start(task=ONE)).changed


def test_progress() -> None:
    """What is reported is kept, and what isn't stays as it was; the percentage follows the steps."""
    state = claimed()
    state.done(Report(task=ONE, step="writing tests", done=3, total=7), minutes=1)
    state.done(Report(task=ONE, eta=12), minutes=2)
    found = state.board.progress(ONE)
    assert found is not None
    assert (found.current_step, found.steps_completed, found.total_steps) == ("writing tests", 3, 7)
    assert (found.percent_complete, found.estimated_time_remaining) == (42, 12)
    assert state.task(ONE).status is TaskStatus.IN_PROGRESS
    state.done(Report(task=ONE, percent=90, done=4), minutes=3)
    found = state.board.progress(ONE)
    assert found is not None
    assert (found.percent_complete, found.steps_completed) == (90, 4)


def test_progress_beyond_the_end() -> None:
    """Step 8 of 7 is refused, also when the total was said before."""
    state = claimed()
    assert state.refused(Report(task=ONE, done=8, total=7)).code == "invalid"
    state.done(Report(task=ONE, done=1, total=7))
    assert state.refused(Report(task=ONE, done=8)).code == "invalid"


def test_push_says_what_moved() -> None:
    """A push is an operation that always changes the ledger, and names the branch and its head."""
    state = claimed()
    for _ in range(2):
        done = state.done(Push(task=ONE, head=HEAD, branch="b"))
        assert done.changed
        assert done.detail == {"head": HEAD, "branch": "b"}


# finishing


def test_complete() -> None:
    """A task that is handed in waits in the merge queue with its locks, and its holder has room again."""
    state = handed_in()
    task, worker = state.task(ONE), state.board.worker(WorkerId("ada"))
    (merge,) = state.board.merges()
    (claim,) = state.board.claims()
    assert (task.status, task.head, task.merged_at) == (TaskStatus.COMPLETED, HEAD, None)
    assert (merge.task_id, merge.worker_id, merge.head, merge.branch_name) == (ONE, "ada", HEAD, "b")
    assert (claim.queued, claim.locks) == (True, locks("a"))
    assert worker is not None
    assert worker.current_tasks == ()
    assert not state.done(Complete(task=ONE)).changed


@pytest.mark.parametrize("request_", [one for one in WORK if not isinstance(one, Complete)])
def test_handed_in_is_handed_in(request_: OfTask) -> None:
    """While a task waits in the merge queue its owner can't go on with it as if it didn't."""
    state = handed_in()
    assert state.refused(request_).code == "invalid"
    assert problems(state.cells) == []


def test_complete_without_a_queue() -> None:
    """Where no queue is wanted, a task has landed when it is completed."""
    state = claimed("a")
    state.add(after=(ONE,))
    state.done(Complete(task=ONE, queue=False))
    task = state.task(ONE)
    assert task.merged_at == NOON
    assert list(state.board.claims()) == []
    assert state.board.merges() == []
    assert [one.id for one in state.board.ready(frozenset())] == [TWO]


def test_merge_queue_keeps_the_order() -> None:
    """First handed in is first in line, and numbers are not used again."""
    state = State()
    state.room("ada", 9)
    for name in (ONE, TWO, THREE):
        state.add()
        state.take(task=name)
    for name in (TWO, ONE):
        state.done(Complete(task=name, head=HEAD))
    assert [merge.task_id for merge in state.board.merges()] == [TWO, ONE]
    state.done(Land(landings=(Landing(task=TWO, head=HEAD),)))
    state.done(Complete(task=THREE, head=HEAD))
    assert [(merge.task_id, merge.position) for merge in state.board.merges()] == [(ONE, 2), (THREE, 3)]


def test_land() -> None:
    """A landing is recorded once, makes dependents ready, and leaves nothing of the claim."""
    state = handed_in()
    state.add(after=(ONE,))
    landing = Land(landings=(Landing(task=ONE, head=HEAD),))
    assert state.done(landing, "bob", minutes=5).tasks == (ONE,)
    assert state.task(ONE).merged_at is not None
    assert [one.id for one in state.board.ready(frozenset())] == [TWO]
    assert list(state.board.claims()) == []
    assert not state.done(landing, "bob").changed


@pytest.mark.parametrize(
    "landing", [Landing(task=ONE, head="2" * 40), Landing(task=ONE, head=None), Landing(task=TWO, head=HEAD)]
)
def test_land_what_was_not_handed_in(landing: Landing) -> None:
    """A landing of another state of the branch, or of what isn't in the queue, is none."""
    state = handed_in()
    assert not state.done(Land(landings=(landing,))).changed
    assert len(state.board.merges()) == 1


def test_fail() -> None:
    """A failed task is nobody's, says why, and its files are free."""
    state = claimed("a")
    state.done(Report(task=ONE, percent=10))
    state.done(Fail(task=ONE, reason="too hard"))
    task = state.task(ONE)
    assert (task.status, task.failure, task.assigned_to, task.claim) == (
        TaskStatus.FAILED,
        "too hard",
        None,
        None,
    )
    assert state.board.progress(ONE) is None
    assert list(state.board.claims()) == []


def test_release() -> None:
    """A task that is given back stands in line at its old place, without progress."""
    state = claimed("a")
    state.add()
    state.done(Report(task=ONE, percent=10))
    done = state.done(Release(task=ONE))
    assert done.detail["files"] == ["a"]
    assert state.board.progress(ONE) is None
    assert [task.id for task in state.board.ready(frozenset())] == [ONE, TWO]
    assert problems(state.cells) == []
