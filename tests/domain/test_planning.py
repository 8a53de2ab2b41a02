"""Tasks that are tied together: wholes and parts, relatives, findings, and what waits in vain."""

from __future__ import annotations

import pytest

from gitpw.domain.ids import TaskId
from gitpw.domain.operation import Add, Cancel, Complete, Edit, Fail, NewTask, Retry, Split, Take
from gitpw.domain.planning import export_key
from gitpw.domain.reasons import blockers
from gitpw.domain.task import TaskStatus, TaskType
from tests.domain.state import HOUR, NOON, State, problems

ONE, TWO, THREE, FOUR = (TaskId(f"task-00{number}") for number in range(1, 5))


def land(state: State, task: TaskId) -> None:
    """Do a task and bring it home."""
    state.take("ada", task=task)
    state.done(Complete(task=task, queue=False))


# wholes and parts


def whole(parts: int = 2) -> State:
    """A ledger with a task that has been split, and one that waits for it."""
    state = State()
    state.room("ada", 9)
    state.add("big", "src", priority=2, type=TaskType.FIX, skills=(), estimate=90, issue=7)
    state.done(Split(task=ONE, titles=tuple(f"part {number}" for number in range(parts))))
    state.add("after it", after=(ONE,))
    return state


def test_split() -> None:
    """Parts have from the whole what isn't given: type, priority, files, issue, and their share of its time."""
    state = whole()
    part = state.task(THREE)
    assert (part.title, part.type, part.priority, part.files) == ("part 1", TaskType.FIX, 2, ("src",))
    assert (part.estimated_duration, part.metadata.issue_number, part.parent) == (45, 7, ONE)
    assert state.board.parts(ONE) == [TWO, THREE]
    state.done(Split(task=TWO, titles=("x",), files=("a",), estimate=5, priority=1, type=TaskType.DOCS))
    inner = state.task(TaskId("task-005"))
    assert (inner.files, inner.estimated_duration, inner.priority, inner.type) == (
        ("a",),
        5,
        1,
        TaskType.DOCS,
    )
    assert problems(state.cells) == []


def test_a_whole_is_complete_when_its_parts_are() -> None:
    """Nobody claims it before, what waits for it goes on waiting, and the last part brings it home."""
    state = whole()
    assert "is complete when task-002, task-003 are" in state.refused(Take(task=ONE, lease=HOUR)).message
    land(state, TWO)
    assert state.task(ONE).status is TaskStatus.PENDING
    land(state, THREE)
    done = state.task(ONE)
    assert (done.status, done.merged_at, done.completed_at) == (TaskStatus.COMPLETED, NOON, NOON)
    assert state.take("ada").task == FOUR
    assert problems(state.cells) == []


def test_wholes_within_wholes() -> None:
    """A part that is a whole itself brings its own whole home."""
    state = whole(parts=1)
    state.done(Split(task=TWO, titles=("inner",)))
    assert codes_waiting(state) >= {ONE, TWO, THREE}
    land(state, FOUR)
    assert [state.task(name).merged_at is not None for name in (ONE, TWO, FOUR)] == [True] * 3
    assert state.take("ada").task == THREE


def codes_waiting(state: State) -> set[TaskId]:
    """The tasks that wait."""
    return {task.id for task in state.board.waiting()}


def test_parts_that_are_not_wanted() -> None:
    """A cancelled part isn't waited for; where none was done, the whole is to be done itself."""
    state = whole()
    state.done(Cancel(task=TWO))
    state.done(Cancel(task=THREE))
    assert state.take("ada").task == ONE
    state = whole()
    land(state, TWO)
    state.done(Cancel(task=THREE))
    assert state.task(ONE).merged_at == NOON


def test_a_whole_waits_for_its_own_dependencies_too() -> None:
    """Its parts are merged, but what it comes after isn't: it is complete when that is."""
    state = State()
    state.room("ada", 9)
    state.add("first")
    state.add("whole", after=(ONE,))
    state.add("part", parent=TWO)
    land(state, THREE)
    assert state.task(TWO).status is TaskStatus.PENDING
    land(state, ONE)
    assert state.task(TWO).merged_at is not None


def test_loosening_completes() -> None:
    """What kept a whole from being complete is taken away: it is."""
    state = State()
    state.room("ada", 9)
    state.add("whole")
    for name in ("part", "another"):
        state.add(name, parent=ONE)
    land(state, TWO)
    state.done(Edit(task=THREE, no_parent=True))
    assert state.task(ONE).merged_at is not None
    assert state.task(THREE).parent is None


def test_split_parts_wait_for_what_the_whole_waits_for() -> None:
    """Taking a task apart starts none of it too early."""
    state = State()
    state.add("first")
    state.add("big", after=(ONE,))
    state.done(Split(task=TWO, titles=("part",)))
    assert state.task(THREE).dependencies == (ONE,)


def test_chain_of_a_part_is_that_of_the_whole() -> None:
    """All that waits for the whole hangs on each of its parts."""
    state = State()
    state.add("whole")
    state.add("part", parent=ONE)
    state.add("next", after=(ONE,), estimate=50)
    assert [state.task(name).chain for name in (ONE, TWO)] == [50, 50]
    state.done(Cancel(task=THREE))
    assert [state.task(name).chain for name in (ONE, TWO)] == [0, 0]


@pytest.mark.parametrize("how", ["claimed", "completed", "merged", "cancelled"])
def test_no_parts_of_what_is_under_way(how: str) -> None:
    """What somebody works on, or what is over, can't be taken apart."""
    state = State()
    state.add()
    if how == "cancelled":
        state.done(Cancel(task=ONE))
    else:
        state.take()
    if how in {"completed", "merged"}:
        state.done(Complete(task=ONE, head="1" * 40, queue=how == "completed"))
    for request in (Split(task=ONE, titles=("x",)), Add(tasks=(NewTask(title="x", parent=ONE),))):
        assert how in state.refused(request).message


def test_a_failed_task_that_is_split_is_wanted_again() -> None:
    """What was too much for one is taken apart."""
    state = State()
    state.add()
    state.take()
    state.done(Fail(task=ONE, reason="too big"))
    state.done(Split(task=ONE, titles=("x", "y")))
    assert state.task(ONE).status is TaskStatus.PENDING
    assert problems(state.cells) == []


def test_split_of_nothing() -> None:
    """There is no such task."""
    assert "there is no task-001" in State().refused(Split(task=ONE, titles=("x",))).message


# circles


def test_a_part_that_comes_after_its_whole() -> None:
    """The whole waits for the part, the part for the whole: a circle, at add and at edit."""
    state = State()
    state.add("whole")
    refused = state.refused(Add(tasks=(NewTask(title="part", parent=ONE, after=(ONE,)),)))
    assert refused.data["circle"] in ([TWO, ONE, TWO], [ONE, TWO, ONE])
    state.add("part", parent=ONE)
    assert state.refused(Edit(task=TWO, after=(ONE,))).data["circle"] == [TWO, ONE, TWO]
    assert state.refused(Edit(task=ONE, parent=ONE)).data["circle"] == [ONE, ONE]
    assert state.refused(Edit(task=ONE, parent=TWO)).data["circle"] == [ONE, TWO, ONE]


def test_a_circle_through_old_and_new() -> None:
    """A new part of an old task, after one that waits for that task."""
    state = State()
    state.add("whole")
    state.add("after it", after=(ONE,))
    refused = state.refused(
        Add(tasks=(NewTask(title="fine"), NewTask(title="part", key="part", parent=ONE, after=(TWO,))))
    )
    assert refused.data["entry"] == 1
    assert "part → task-002 → task-001 → part" in refused.message


def test_ten_thousand_at_once() -> None:
    """In one operation, each after another and all a part of one; a circle through all of them is found."""
    state = State()
    news = [NewTask(title="whole", key="w")]
    news += [
        NewTask(title="t", key=f"k{n}", after=(f"k{n - 1}",) if n else (), parent="w") for n in range(9_999)
    ]
    done = state.done(Add(tasks=tuple(news)))
    assert len(done.tasks) == 10_000
    assert state.task(done.tasks[1]).chain == 9_998 * 30
    news[1] = news[1].but(after=("k9998",))
    assert len(State().refused(Add(tasks=tuple(news))).data["circle"]) == 10_000


# what else ties tasks together


def test_related_does_not_block() -> None:
    """Both know of each other, and both are to be had."""
    state = State()
    state.add()
    state.add(related=(ONE,))
    assert state.board.relatives(state.task(ONE)) == [TWO]
    assert state.board.relatives(state.task(TWO)) == [ONE]
    assert {task.id for task in state.board.ready(frozenset())} == {ONE, TWO}
    state.done(Edit(task=TWO, no_related=(ONE,)))
    assert state.board.relatives(state.task(ONE)) == []
    state.done(Edit(task=ONE, related=(TWO,)))
    assert state.board.relatives(state.task(TWO)) == [ONE]


@pytest.mark.parametrize("field", ["related", "parent", "found_by", "after"])
def test_ties_to_nothing(field: str) -> None:
    """Whatever a task is tied to must be there."""
    value = ("task-007",) if field in {"related", "after"} else "task-007"
    refused = State().refused(Add(tasks=(NewTask(title="t", **{field: value}),)))
    assert "task-007" in refused.message
    assert refused.data["entry"] == 0


def test_related_to_itself() -> None:
    """Says nothing."""
    state = State()
    state.add()
    assert "itself" in state.refused(Edit(task=ONE, related=(ONE,))).message
    assert "itself" in state.refused(Add(tasks=(NewTask(title="t", key="k", related=("k",)),))).message


def test_found_while_working() -> None:
    """A task remembers the one during which it was found, and waits for nothing."""
    state = State()
    state.add()
    state.take()
    state.add("a bug nearby", found_by=ONE)
    assert state.task(TWO).found_by == ONE
    assert state.board.findings(ONE) == [TWO]
    assert state.take("bob").task == TWO


def test_ties_within_a_request() -> None:
    """Keys of the same request stand for its tasks, whatever the order."""
    state = State()
    state.done(
        Add(
            tasks=(
                NewTask(title="part", parent="w", related=("r",), found_by="r"),
                NewTask(title="whole", key="w"),
                NewTask(title="other", key="r"),
            )
        )
    )
    part = state.task(ONE)
    assert (part.parent, part.related, part.found_by) == (TWO, (THREE,), THREE)
    assert problems(state.cells) == []


# keys


def test_exported_tasks_are_known() -> None:
    """A task without a key is exported under this ledger's name for it, and known by it here."""
    state = State()
    state.add("plain")
    state.add("keyed", key="k")
    keys = [export_key(state.board, state.task(name)) for name in (ONE, TWO)]
    assert keys[1] == "k"
    done = state.done(Add(tasks=tuple(NewTask(title="again", key=key) for key in keys)))
    assert (done.tasks, done.changed) == ((ONE, TWO), False)
    elsewhere = State()
    elsewhere.done(Add(tasks=tuple(NewTask(title="again", key=key, after=()) for key in keys)))
    assert elsewhere.task(ONE).key == keys[0]


# in vain


@pytest.mark.parametrize("end", ["fail", "cancel"])
def test_blocked(end: str) -> None:
    """What waits for a failed or cancelled task is blocked by it, and so is what waits for that; until it is retried."""
    state = State()
    state.add("root")
    state.add("next", after=(ONE,))
    state.add("last", after=(TWO,))
    state.add("whole")
    state.add("its part", parent=FOUR, after=(TWO,))
    if end == "fail":
        state.take("ada", task=ONE)
        state.done(Fail(task=ONE, reason="no"))
    else:
        state.done(Cancel(task=ONE))
    assert [task.id for task in state.board.blocked()] == [TWO]
    assert {name: one.name for name, one in blockers(state.board).items()} == dict.fromkeys(
        (TWO, THREE, FOUR, TaskId("task-005")), ONE
    )
    told = {one["taskId"]: one for one in state.why("zoe")}
    assert {told[name]["code"] for name in (TWO, THREE, FOUR)} == {"blocked"}
    word = "failed" if end == "fail" else "cancelled"
    assert told[THREE]["reason"] == f"waits for task-002 (pending), blocked by task-001 ({word})"
    state.done(Retry(task=ONE))
    assert blockers(state.board) == {}
    assert state.take("ada").task == ONE
    assert problems(state.cells) == []


@pytest.mark.parametrize("title", [" ", "\t\n", "\u2003"])
def test_a_title_that_nobody_sees(title: str) -> None:
    """It is refused, at add, in an import and at edit."""
    state = State()
    state.add("work")
    assert "title is blank" in state.refused(Add(tasks=(NewTask(title="a"), NewTask(title=title)))).message
    assert state.refused(Add(tasks=(NewTask(title="a"), NewTask(title=title)))).data == {"entry": 1}
    assert "title is blank" in state.refused(Edit(task=ONE, title=title)).message
