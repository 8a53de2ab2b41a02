"""Which task a worker gets, what is passed over, and why."""

from __future__ import annotations

import pytest

from gitpw.domain.grant import enlisted
from gitpw.domain.ids import ClaimId, TaskId, WorkerId
from gitpw.domain.operation import (
    Add,
    Cancel,
    Complete,
    Edit,
    Fail,
    Land,
    Landing,
    Lock,
    NewTask,
    Register,
    Release,
    Retry,
    Take,
    Unlock,
)
from gitpw.domain.reasons import reasons
from gitpw.domain.schedule import PARKED_AT_ONCE
from gitpw.domain.task import TaskStatus
from gitpw.domain.worker import WorkerStatus
from tests.domain.state import HOUR, NOON, State, locks, problems


def best(state: State, worker: str = "ada", **about: object) -> TaskId:
    """The task that a worker gets."""
    return state.done(Take(lease=HOUR), worker, **about).tasks[0]


def land(state: State, task: str) -> None:
    """Bring a claimed task home."""
    holder = state.task(task).assigned_to
    assert holder is not None
    state.done(Complete(task=TaskId(task), queue=False), holder)


def told(state: State, worker: str = "ada") -> dict[str, str]:
    """Why each open task isn't to be had, by task."""
    return {reason["taskId"]: reason["code"] for reason in state.why(worker)}


def test_a_claim_is_whole() -> None:
    """A claim takes its task, its files and the worker's room in one step, and they tell the same story."""
    state = State()
    name = state.add("Fix auth bug", "src/auth", "lib/*.py", issue=456)
    claim = state.take(base="1" * 40)
    task, worker = state.task(name), state.board.worker(WorkerId("ada"))
    assert (task.status, task.assigned_to, task.claim, task.token) == (
        TaskStatus.CLAIMED,
        "ada",
        claim.id,
        claim.token,
    )
    assert (task.base, task.claimed_at) == ("1" * 40, NOON)
    assert task.metadata.branch_name == claim.branch == "feat/456-task-001-fix-auth-bug"
    assert claim.locks == locks("lib/*.py", "src/auth")
    assert worker is not None
    assert (worker.current_tasks, worker.status) == ((name,), WorkerStatus.WORKING)
    assert claim.token == state.board.counter
    assert claim.id == state.last.id[:16]  # type: ignore[union-attr]


def test_no_tasks() -> None:
    """Where there is no task, the answer says how one is made."""
    refused = State().refused(Take(lease=HOUR))
    assert (refused.code, State().why()) == ("nothing", [])
    assert "git pw task add" in (refused.hint or "")


def test_order_is_priority_then_chain_then_age() -> None:
    """The most urgent task first, of these the one that most work hangs on, of these the oldest."""
    state = State()
    state.room("ada", 9)
    low = state.add(priority=4)
    old = state.add(priority=2)
    key = state.add(priority=2)
    urgent = state.add(priority=1)
    state.add(priority=3, after=(key,), estimate=5)
    state.add(priority=2, after=(old, key), estimate=0)
    assert [best(state) for _ in range(4)] == [urgent, key, old, low]


def test_what_an_urgent_task_waits_for_is_as_urgent() -> None:
    """However far before it; what is merely usual pulls nothing. It ends with whatever waits."""
    state = State()
    state.room("ada", 9)
    first = state.add(priority=4)
    second = state.add(priority=5, after=(first,))
    urgent = state.add(priority=1, after=(second,))
    usual = state.add(priority=4)
    state.add(priority=3, after=(usual,))
    other = state.add(priority=2)
    assert [state.task(name).urgency for name in (first, second, usual)] == [1, 1, 4]
    assert state.task(first).public()["priority"] == 4
    operation, board = state.operation(Take(lease=HOUR)), state.board
    why = {
        one.task: one.reason
        for one in reasons(board, operation, enlisted(board, operation), state.task(first))
    }
    assert (
        why[TaskId(other)] == f"ready, but {first} is more urgent (what waits for it has priority 1 before 2)"
    )
    assert best(state) == first
    state.done(Release(task=TaskId(first)))
    state.done(Edit(task=TaskId(urgent), priority=3))
    assert [state.task(name).urgency for name in (first, second)] == [4, 5]
    state.done(Edit(task=TaskId(urgent), priority=1))
    state.done(Cancel(task=TaskId(urgent)))
    assert best(state) == other
    assert problems(state.cells) == []


def test_parts_of_an_urgent_whole_are_urgent() -> None:
    """Those that it has, and those that it gets."""
    state = State()
    whole = state.add(priority=4)
    part = state.add(priority=5, parent=whole)
    state.done(Edit(task=TaskId(whole), priority=1))
    late = state.add(priority=5, parent=whole)
    assert [state.task(name).urgency for name in (part, late)] == [1, 1]
    assert problems(state.cells) == []


def test_longest_chain_counts_all_that_follows() -> None:
    """The chain is the longest row of minutes behind a task; no estimate counts 30."""
    state = State()
    first = state.add(estimate=500)
    second = state.add(after=(first,))
    state.add(after=(second,), estimate=12)
    state.add(after=(first,), estimate=20)
    assert [state.task(name).chain for name in (first, second)] == [42, 12]


def test_ready_only_when_merged() -> None:
    """A dependency that is completed isn't enough: it must have landed."""
    state = State()
    state.room("ada", 2)
    first = state.add()
    second = state.add(after=(first,))
    state.take(task=first)
    state.done(Complete(task=TaskId(first), head="1" * 40))
    assert told(state) == {second: "waiting"}
    state.done(Land(landings=(Landing(task=TaskId(first), head="1" * 40),)))
    assert best(state) == second


def test_named_task_that_waits() -> None:
    """A task that waits is refused by name, naming what it waits for and how that stands."""
    state = State()
    first = state.add()
    second = state.add(after=(first,))
    refused = state.refused(Take(task=TaskId(second), lease=HOUR))
    assert (refused.code, refused.data["dependencies"]) == ("invalid", [first])
    assert f"{first} (pending)" in refused.message


@pytest.mark.parametrize("end", [Cancel, Fail])
def test_dead_dependency_is_a_reason(end: type) -> None:
    """A dependency that failed or was cancelled is shown as the reason, and never a silent block."""
    state = State()
    first = state.add()
    second = state.add(after=(first,))
    if end is Fail:
        state.take(task=first)
        state.done(Fail(task=TaskId(first), reason="too hard"))
    else:
        state.done(Cancel(task=TaskId(first)))
    status = "failed" if end is Fail else "cancelled"
    reason = state.why("bob")[0]
    assert reason == {"taskId": second, "code": "blocked", "reason": f"waits for {first} ({status})"}


def test_unknown_task() -> None:
    """There is no claim of a task that doesn't exist."""
    assert "there is no task-007" in State().refused(Take(task=TaskId("task-007"), lease=HOUR)).message


@pytest.mark.parametrize(("end", "hint"), [("cancel", "retry"), ("fail", "retry"), ("land", "it is done")])
def test_finished_tasks(end: str, hint: str) -> None:
    """What is finished can't be claimed; the answer says what can be done."""
    state = State()
    task = TaskId(state.add())
    if end == "cancel":
        state.done(Cancel(task=task))
    else:
        state.take()
        state.done(Fail(task=task, reason="r") if end == "fail" else Complete(task=task, queue=False))
    refused = state.refused(Take(task=task, lease=HOUR))
    assert refused.code == "invalid"
    assert hint in (refused.hint or "")


def test_held_by_another() -> None:
    """A task that another holds is refused by name, naming the holder."""
    state = State()
    task = TaskId(state.add())
    state.take("ada")
    refused = state.refused(Take(task=task, lease=HOUR), "bob")
    assert (refused.code, refused.data["holder"]["workerId"], refused.data["holder"]["taskId"]) == (
        "held",
        "ada",
        task,
    )


def test_again() -> None:
    """Naming a task that one holds in this checkout answers the same again, and changes nothing."""
    state = State()
    task = TaskId(state.add("work", "a"))
    first = state.take()
    again = state.done(Take(task=task, lease=HOUR))
    assert (again.changed, again.claim, again.token) == (False, first.id, first.token)


def test_again_with_more() -> None:
    """Naming a task that one holds with another file adds the file, if it is free."""
    state = State()
    task = TaskId(state.add("work", "a"))
    claim = state.take()
    state.take(task=task, locks=locks("b"))
    assert state.claim(claim.id).locks == locks("a", "b")
    state.done(Lock(locks=locks("c"), lease=HOUR), "bob")
    assert state.refused(Take(task=task, lease=HOUR, locks=locks("c"))).code == "held"


def test_again_from_another_checkout() -> None:
    """Another checkout of the same worker is another, unless it knows the claim."""
    state = State()
    task = TaskId(state.add())
    claim = state.take(place="main")
    assert state.refused(Take(task=task, lease=HOUR), place="tree").code == "held"
    assert not state.done(Take(task=task, lease=HOUR, holding=claim.id), place="tree").changed


def test_again_in_the_merge_queue() -> None:
    """What one has handed in isn't claimed again."""
    state = State()
    task = TaskId(state.add())
    state.take()
    state.done(Complete(task=task))
    assert "merge queue" in state.refused(Take(task=task, lease=HOUR)).message


# room and skills


def test_room() -> None:
    """A worker has room for so many tasks; the answer names what fills it."""
    state = State()
    first, second = state.add(), state.add()
    state.take()
    for task in (None, TaskId(second)):
        refused = state.refused(Take(task=task, lease=HOUR))
        assert (refused.code, refused.data) == ("invalid", {"holding": [first]})
    state.room("ada", 2)
    state.take()
    assert "room for 2 tasks" in state.refused(Take(lease=HOUR)).message


def test_what_waits_to_land_takes_no_room() -> None:
    """Handing a task in makes room for the next."""
    state = State()
    first, second = TaskId(state.add()), TaskId(state.add())
    state.take()
    state.done(Complete(task=first))
    assert best(state) == second


def test_room_that_a_takeover_frees() -> None:
    """Taking over one's own lost claim from another checkout needs no more room."""
    state = State()
    task = TaskId(state.add())
    old = state.take(place="main")
    new = state.take(task=task, place="tree", minutes=66)
    assert new.token > old.token
    assert problems(state.cells) == []


def test_skills() -> None:
    """A worker gets only what it has all the skills for."""
    state = State()
    both = state.add(skills=("go", "c/c++"), priority=1)
    plain = state.add(priority=5)
    assert best(state, "bob") == plain
    assert told(state, "cy") == {both: "skills", plain: "claimed"}
    assert "go" in state.refused(Take(task=TaskId(both), lease=HOUR), "cy").message
    state.done(Register(id=WorkerId("cy"), skills=("c/c++", "go", "sql")))
    assert best(state, "cy") == both


# files


def test_passed_over_for_a_held_file() -> None:
    """A task whose file is held is passed over and keeps its turn: it is first again when the file is free."""
    state = State()
    state.room("ada", 5)
    held = state.add("held", "src/a.py", priority=1)
    free = state.add("free", priority=2)
    state.done(Lock(locks=locks("src"), lease=HOUR), "bob")
    assert best(state) == free
    assert state.task(held).parked == "src/a.py"
    later = state.add("later", priority=2)
    state.done(Unlock(all=True), "bob")
    assert [best(state), best(state)] == [held, later]
    assert state.task(held).parked is None


def test_stands_aside_until_the_last_file_is_free() -> None:
    """A task that two locks block stands aside for one of the files, then for the other."""
    state = State()
    state.room("ada", 5)
    held = state.add("held", "a", "b", priority=1)
    for _ in range(3):
        state.add()
    for worker, file in (("bob", "a"), ("dan", "b")):
        state.done(Lock(locks=locks(file), lease=HOUR), worker)
    owners = {"a": "bob", "b": "dan"}
    assert best(state) != held
    first = str(state.task(held).parked)
    state.done(Unlock(all=True), owners.pop(first))
    assert best(state) != held
    second = str(state.task(held).parked)
    assert second in owners
    state.done(Unlock(all=True), owners.pop(second))
    assert best(state) == held


def test_what_waits_for_one_file_goes_one_after_another() -> None:
    """Tasks that need the same file are granted one after another, in their order, as it comes free."""
    state = State()
    state.room("ada", 3)
    first, second, third = (state.add(name, "a", priority=place) for place, name in enumerate("xyz", 1))
    other = state.add()
    assert [best(state), best(state)] == [first, other]
    assert {state.task(name).parked for name in (second, third)} == {"a"}
    assert told(state, "bob") == {second: "held", third: "held", first: "claimed", other: "claimed"}
    state.done(Release(task=TaskId(first)))
    assert best(state, "bob") == first
    land(state, first)
    assert best(state, "cy") == second
    assert state.refused(Take(lease=HOUR), "dan").code == "nothing"
    land(state, second)
    assert best(state, "dan") == third


def test_parked_under_a_claim_whose_lease_has_ended() -> None:
    """A task parked under a claim that may be taken over is to be had by taking it over."""
    state = State()
    state.room("ada", 3)
    held = state.add("held", "a", priority=1)
    state.add()
    blocking = state.done(Lock(locks=locks("a"), lease=HOUR), "bob").claim
    assert best(state) != held
    assert best(state, minutes=66) == held
    assert blocking is not None
    assert state.board.claim(ClaimId(blocking)) is None


def test_parked_under_the_own_lock() -> None:
    """A task parked under a lock is to be had by the one whose lock it is."""
    state = State()
    held = state.add("held", "a", priority=1)
    state.add()
    state.done(Lock(locks=locks("a"), lease=HOUR), "bob")
    assert best(state, "ada") != held
    assert best(state, "bob") == held
    assert len(list(state.board.claims())) == 2


def test_parked_under_a_shared_lock() -> None:
    """A task parked under a shared lock is to be had by whoever is content with sharing."""
    state = State()
    held = state.add("held", "a", priority=1)
    state.add()
    state.done(Lock(locks=locks("a", shared=True), lease=HOUR), "bob")
    assert best(state, "ada") != held
    assert state.done(Take(lease=HOUR, shared=True), "cy").tasks == (held,)


def test_edit_unparks() -> None:
    """A task whose files change is looked at anew."""
    state = State()
    held = state.add("held", "a", priority=1)
    state.add()
    state.done(Lock(locks=locks("a"), lease=HOUR), "bob")
    best(state)
    state.done(Edit(task=TaskId(held), files=("b",)))
    assert best(state, "cy") == held


def test_parks_a_few_at_once() -> None:
    """One claim puts no more than a thousand tasks aside, and the next one the rest."""
    state = State()
    state.room("ada", 3)
    new = NewTask(title="held", files=("a",), priority=1)
    state.done(Add(tasks=(new,) * (PARKED_AT_ONCE + 3)))
    state.add()
    state.add()
    state.done(Lock(locks=locks("a"), lease=HOUR), "bob")
    best(state)
    assert len(list(state.board.parked())) == PARKED_AT_ONCE
    best(state)
    assert len(list(state.board.parked())) == PARKED_AT_ONCE + 3


def test_reasons_name_everything() -> None:
    """Each open task has its reason, and what is parked is looked at like the rest."""
    state = State()
    state.room("ada", 2)
    held = state.add("held", "a", priority=1)
    mine = state.add(priority=2)
    waits = state.add(after=(mine,))
    hard = state.add(skills=("go",))
    state.done(Lock(locks=locks("a"), lease=HOUR), "bob")
    state.take()
    assert told(state) == {held: "held", mine: "claimed", waits: "waiting", hard: "skills"}
    operation = state.operation(Take(lease=HOUR))
    free = state.add()
    worker = state.board.worker(WorkerId("ada"))
    assert worker is not None
    assert (free, "later") in [(one.task, one.code) for one in reasons(state.board, operation, worker)]


def test_a_held_folder_is_named_for_each_file() -> None:
    """What lies under a held folder, or matches a held glob, is told with its own name; what lies beside it is free."""
    state = State()
    inside = [state.add("in", f"src/{name}.py") for name in "ab"] + [
        state.add("in", "src"),
        state.add("glob", "docs/a.md"),
    ]
    state.done(Lock(locks=locks("docs/*.md", "src"), lease=HOUR), "bob")
    why = {one["taskId"]: one["reason"] for one in state.why()}
    ends = "is held by bob until 2026-03-02T13:00:00Z"
    assert [why[name] for name in inside] == [
        f"src/a.py (locked as src) {ends}",
        f"src/b.py (locked as src) {ends}",
        f"src {ends}",
        f"docs/a.md (locked as docs/*.md) {ends}",
    ]
    beside = state.add("beside", "srcs/a.py")
    assert best(state) == beside


def test_extra_locks_of_a_claim() -> None:
    """What is named with a claim is locked with its task; held, it refuses the claim whole."""
    state = State()
    task = state.add("work", "a")
    state.done(Lock(locks=locks("b"), lease=HOUR), "bob")
    for name in (None, TaskId(task)):
        assert state.refused(Take(task=name, lease=HOUR, locks=locks("b/c"))).code == "held"
    assert state.take(locks=locks("c")).locks == locks("a", "c")


def test_own_locks_are_absorbed() -> None:
    """A claim takes in what its worker had locked by hand in the same checkout, with everything that lock covers."""
    state = State()
    state.add("work", "src/a.py")
    state.done(Lock(locks=locks("src", "lib"), lease=HOUR))
    claim = state.take()
    assert claim.locks == locks("lib", "src", "src/a.py")
    assert [one.id for one in state.board.claims()] == [claim.id]


def test_branch_is_kept() -> None:
    """A task that comes back keeps the name of its branch and its base."""
    state = State()
    task = TaskId(state.add("First title"))
    first = state.take(base="1" * 40)
    state.done(Release(task=task))
    state.done(Edit(task=task, title="Second title"))
    assert state.take("bob").branch == first.branch
    assert state.task(task).base == "1" * 40


def test_retried_task_is_claimed_anew() -> None:
    """A failed task that is retried stands in line without anything of its past but the branch."""
    state = State()
    task = TaskId(state.add())
    state.take()
    state.done(Fail(task=task, reason="too hard"))
    state.done(Retry(task=task))
    after = state.task(task)
    assert (after.status, after.failure, after.claimed_at) == (TaskStatus.PENDING, None, None)
    assert best(state, "bob") == task


def test_giving_up_the_lock_in_the_way() -> None:
    """A task is to be had again when the one lock that blocked it is given up, though its claim goes on."""
    state = State()
    held = state.add("held", "a", priority=1)
    state.add()
    state.done(Lock(locks=locks("a", "b"), lease=HOUR), "bob")
    assert best(state, "ada") != held
    state.done(Unlock(resources=("a",)), "bob")
    assert best(state, "cy") == held


def test_what_an_overdue_claim_holds_is_to_be_had() -> None:
    """The task of a claim whose lease has ended beyond doubt is the best one again, under a new token."""
    state = State()
    lost = state.add("lost", "a", priority=1)
    state.add(priority=2)
    old = state.take("ada")
    assert best(state, "bob", minutes=66) == lost
    assert state.task(lost).token != old.token
    ending = state.board.ending(old.id)
    assert ending is not None
    assert (ending.how, ending.by) == ("expired", "bob")
    assert problems(state.cells) == []


def test_what_looks_overdue_to_one_clock_is_not() -> None:
    """A host whose clock alone says that a lease has ended leaves its task alone, and gets the next one."""
    state = State()
    running = state.add("running", "a", priority=1)
    other = state.add(priority=2)
    claim = state.take("ada")
    assert best(state, "bob", host="fast", minutes=200) == other
    assert state.claim(claim.id).task == running


def test_own_overdue_task_is_not_taken_away() -> None:
    """Asking for another task doesn't cost the one that one forgot to renew."""
    state = State()
    state.room("ada", 2)
    state.add("forgotten", priority=1)
    other = state.add(priority=2)
    claim = state.take("ada")
    assert best(state, "ada", minutes=66) == other
    assert state.claim(claim.id).token == claim.token


def test_tasks_that_an_older_version_parked() -> None:
    """What stands aside for a claim, as in older ledgers, is to be had when its files are free, and stands right then."""
    state = State()
    task = state.add("work", "a")
    key = next(key for key in state.cells.contents if key[0] == "ready")
    old = ("parked", "0123456789abcdef", *key[2:])
    record = state.task(task).but(parked="0123456789abcdef", turn="/".join(old))
    contents = {**state.cells.contents, old: b"", ("tasks", task): record.to_json()}
    del contents[key]
    state.cells = type(state.cells)(contents)
    assert best(state) == task
    state.done(Release(task=TaskId(task)))
    assert problems(state.cells) == []
