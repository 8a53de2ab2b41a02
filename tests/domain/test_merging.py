"""The merge queue's operations: who runs it, what lands, what goes back, what people decide."""

from __future__ import annotations

from typing import Any

import pytest

from gitpw.domain.ids import TaskId, WorkerId
from gitpw.domain.lineup import lined_up, lineup
from gitpw.domain.merge import Merge, MergeState
from gitpw.domain.operation import (
    Back,
    Complete,
    Drop,
    Fail,
    First,
    Frozen,
    Intend,
    Land,
    Landing,
    Mark,
    Merging,
    Register,
    Release,
    Renew,
    Requeue,
    Resume,
    Retry,
    SendBack,
    Stop,
    Unlock,
    Withdraw,
)
from gitpw.domain.operation import Mine as Own
from gitpw.domain.task import TaskStatus
from tests.domain.state import State, locks, problems

BASE, NEXT = "b" * 40, "c" * 40


def head(number: int) -> str:
    """The commit of the nth task."""
    return f"{number:040x}"


def queue(*priorities: int, **about: Any) -> State:
    """A ledger in whose queue tasks of these priorities wait, one file each."""
    state = State()
    state.room("ada", 50)
    for number, priority in enumerate(priorities, 1):
        task = state.add(f"task {number}", f"file{number}", priority=priority, **about)
        state.take("ada", task)
        state.done(Complete(task=TaskId(task), head=head(number), branch=f"b{number}"))
    return state


def entry(state: State, number: int) -> Merge:
    """The nth task's entry."""
    found = state.board.entry(TaskId(f"task-{number:03d}"))
    assert found is not None
    return found


def landing(*numbers: int) -> tuple[Landing, ...]:
    """The landings of these tasks."""
    return tuple(
        Landing(task=TaskId(f"task-{number:03d}"), head=head(number), commit=NEXT) for number in numbers
    )


def land(*numbers: int, **about: Any) -> Land:
    """The base branch moves with these tasks."""
    return Land(landings=landing(*numbers), onto=BASE, commit=NEXT, **about)


def back(number: int, state: MergeState = MergeState.FAILED) -> Back:
    """Return the nth task."""
    return Back(task=TaskId(f"task-{number:03d}"), head=head(number), state=state, detail="red")


def merging(**about: Any) -> Merging:
    """Take the queue for three minutes."""
    return Merging(**({"place": "here", "lease": 180} | about))


def names(state: State) -> list[str]:
    """The tasks that may land, in their order."""
    return [one.task_id for one in lineup(state.board).ready]


def sound(state: State) -> None:
    """Nothing contradicts itself."""
    assert problems(state.cells) == []


# order


def test_completion_order_within_priority() -> None:
    """Priority 1 comes first; equals land in the order in which they were finished."""
    assert names(queue(3, 1, 3, 1)) == ["task-002", "task-004", "task-001", "task-003"]


def test_what_was_put_first_is_first_and_the_last_of_them_before_all() -> None:
    """Also before a higher priority."""
    state = queue(1, 3, 3)
    state.done(First(task=TaskId("task-003")))
    state.done(First(task=TaskId("task-002")))
    assert names(state) == ["task-002", "task-003", "task-001"]
    assert not state.done(First(task=TaskId("task-002"))).changed


def waiting_for(state: State, number: int, *needed: str) -> None:
    """Give a queued task dependencies, as a newer version might."""
    board = state.board
    task = state.task(f"task-{number:03d}")
    board.put_task(task.but(dependencies=tuple(map(TaskId, needed))))
    state.cells.contents.update({key: raw for key, raw in board.changes.items() if raw is not None})


def test_an_entry_lands_after_what_it_depends_on() -> None:
    """Whatever its priority."""
    state = queue(1, 3)
    waiting_for(state, 1, "task-002")
    assert names(state) == ["task-002", "task-001"]


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (None, "waits for task-002"),
        (Fail(task=TaskId("task-002"), reason="no"), "waits for task-002, which is failed"),
    ],
)
def test_an_entry_whose_dependency_cannot_land_waits_with_a_reason(end: Fail | None, reason: str) -> None:
    """The dependency went back to its owner, or failed."""
    state = queue(1, 3)
    waiting_for(state, 1, "task-002")
    state.done(SendBack(back=(back(2),)))
    if end is not None:
        state.done(end)
    held = {one.entry.task_id: one.reason for one in lineup(state.board).held}
    assert held["task-001"] == reason
    assert names(state) == []


def test_an_unknown_dependency_is_named() -> None:
    """A ledger may lose a task; that is no silent block."""
    state = queue(1)
    waiting_for(state, 1, "task-099")
    assert lineup(state.board).held[0].reason == "waits for task-099, which doesn't exist"


# who runs it


def test_one_merger_at_a_time() -> None:
    """The second is told who it is."""
    state = queue(3)
    token = state.done(merging(), "bob").token
    refused = state.refused(merging(place="there"), "carol", host="other")
    assert (refused.code, refused.data["merger"]["workerId"]) == ("contended", "bob")
    assert state.done(merging(token=token), "bob").token == token
    sound(state)


def test_a_merger_that_was_replaced_can_do_nothing_more() -> None:
    """Neither renew, nor land, nor return, nor freeze."""
    state = queue(3, 3)
    old = state.done(merging(lease=60), "bob", host="one").token
    new = state.done(merging(place="there"), "carol", host="one", minutes=5).token
    assert new != old
    for request in (
        merging(token=old),
        land(1, token=old),
        Intend(token=old, landings=landing(1), onto=BASE, commit=NEXT),
        SendBack(token=old, back=(back(1),)),
        Frozen(token=old, commit=BASE),
    ):
        assert state.refused(request, "bob", minutes=6).code == "stale"
    state.done(land(1, token=new), "carol", minutes=6)
    sound(state)


def test_the_same_clone_takes_over_at_once_from_a_merger_that_ended() -> None:
    """It holds the clone's lock, so the other is no more; another clone's word doesn't count."""
    state = queue(3)
    token = state.done(merging(), "bob").token
    assert state.refused(merging(place="there", gone=token), "carol").code == "contended"
    assert state.refused(merging(gone=(token or 0) - 1), "carol").code == "contended"
    assert state.done(merging(gone=token), "carol").token != token


def test_one_wrong_clock_alone_takes_nothing_over() -> None:
    """The other host's clock must agree, or its own suspicion must have stood for as long as the lease."""
    state = queue(3)
    state.done(merging(lease=60), "bob", host="one")
    marked = state.done(merging(place="there"), "carol", host="two", minutes=10)
    assert (marked.token, marked.detail) == (None, {"suspected": "bob"})
    assert state.refused(merging(place="there"), "carol", host="two", minutes=10.5).code == "contended"
    assert state.done(merging(place="there"), "carol", host="two", minutes=11.5).token


def test_a_renewal_clears_the_suspicion() -> None:
    """A merger that lives keeps the queue."""
    state = queue(3)
    token = state.done(merging(lease=60), "bob", host="one").token
    state.done(merging(place="there"), "carol", host="two", minutes=10)
    state.done(merging(lease=60, token=token), "bob", host="one", minutes=1)
    assert state.done(merging(place="there"), "carol", host="two", minutes=12).token is None


def test_marks_say_what_is_being_done_and_no_longer() -> None:
    """An entry that isn't named any more is queued again; a renewal may keep them."""
    state = queue(3, 3)
    mark = Mark(task=TaskId("task-001"), head=head(1), state=MergeState.TESTING, detail="on main")
    token = state.done(merging(marks=(mark,)), "bob").token
    assert (entry(state, 1).state, entry(state, 1).detail) == (MergeState.TESTING, "on main")
    state.done(merging(token=token, keep=True), "bob")
    assert entry(state, 1).state is MergeState.TESTING
    state.done(SendBack(token=token, leave=True), "bob")
    assert entry(state, 1).state is MergeState.QUEUED
    assert state.board.line.merger is None


# landing


def test_what_lands_is_merged_and_its_locks_are_free() -> None:
    """All of them, in one step; the commit is recorded with each task."""
    state = queue(3, 3)
    done = state.done(land(1, 2, window=4, tests="t"))
    assert done.tasks == ("task-001", "task-002")
    assert state.task("task-001").landed == NEXT
    assert state.task("task-002").merged_at is not None
    assert list(state.board.claims()) == []
    assert (state.board.line.window, state.board.line.landed, state.board.line.tests) == (4, NEXT, "t")
    sound(state)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (Drop(task=TaskId("task-002")), "no longer in the queue"),
        (Complete(task=TaskId("task-002"), head="f" * 40), "handed in anew"),
        (SendBack(back=(back(2),)), "back with its owner"),
        (Unlock(resources=("file2",), force=True, reason="x"), "no longer in the queue"),
        (Stop(), "paused"),
        (Stop(below=2), "paused"),
    ],
)
def test_what_changed_since_it_was_tested_stops_the_whole_landing(change: Any, why: str) -> None:
    """The base branch moves with all of them or not at all."""
    state = queue(1, 3)
    state.done(change)
    refused = state.refused(land(1, 2))
    assert refused.code == "stale"
    assert why in refused.message
    assert state.task("task-001").merged_at is None


def test_what_is_on_the_base_already_is_recorded_as_far_as_it_is_still_queued() -> None:
    """A fact isn't refused for what happened to others."""
    state = queue(3, 3)
    state.done(Drop(task=TaskId("task-002")))
    assert state.done(Land(landings=landing(1, 2))).tasks == ("task-001",)
    assert not state.done(Land(landings=landing(1, 2))).changed


def test_what_went_back_and_is_on_the_base_all_the_same_is_merged() -> None:
    """Somebody merged it by hand: its owner is done with it."""
    state = queue(3)
    state.done(SendBack(back=(back(1),)))
    state.done(Land(landings=landing(1)))
    task = state.task("task-001")
    assert (task.status, bool(task.merged_at), bool(task.completed_at)) == (TaskStatus.COMPLETED, True, True)
    assert state.board.merges() == []
    sound(state)


def test_a_landing_can_be_announced_and_withdrawn() -> None:
    """In between the entry can neither be dropped, nor tried again, nor handed in anew."""
    state = queue(3)
    state.done(Intend(landings=landing(1), onto=BASE, commit=NEXT))
    assert (entry(state, 1).state, entry(state, 1).landing) == (MergeState.LANDING, NEXT)
    for request in (
        Drop(task=TaskId("task-001")),
        Requeue(task=TaskId("task-001")),
        Complete(task=TaskId("task-001"), head="f" * 40),
    ):
        assert state.refused(request).code == "invalid"
    state.done(Withdraw(commit=NEXT))
    assert (entry(state, 1).state, entry(state, 1).landing) == (MergeState.QUEUED, None)
    assert not state.done(Withdraw(commit=NEXT)).changed
    sound(state)


def test_dependents_are_ready_once_it_has_landed() -> None:
    """Not when it is finished."""
    state = queue(3)
    after = state.add("after", after=("task-001",))
    assert state.board.unmet(state.task(after)) == ["task-001"]
    state.done(land(1))
    assert state.take("bob", after).task == after


# going back


@pytest.mark.parametrize("how", [MergeState.CONFLICT, MergeState.FAILED])
def test_what_goes_back_is_its_owners_with_all_its_locks(how: MergeState) -> None:
    """A fresh lease, the same token, and it takes up room again."""
    state = queue(3)
    token = state.task("task-001").token
    state.done(SendBack(back=(back(1, how),), window=2), "bob", host="elsewhere", minutes=30)
    task = state.task("task-001")
    claim = state.claim(task.claim or "")
    assert (task.status, task.token, task.completed_at) == (TaskStatus.IN_PROGRESS, token, None)
    assert (claim.queued, [held.resource for held in claim.locks]) == (False, ["file1"])
    worker = state.board.worker(WorkerId("ada"))
    assert worker is not None
    assert worker.current_tasks == ("task-001",)
    assert (entry(state, 1).state, entry(state, 1).detail) == (how, "red")
    assert state.board.line.window == 2
    state.done(Renew(claims=(Own(claim=claim.id, token=claim.token),)), minutes=31)
    sound(state)


def test_completed_again_it_keeps_its_place() -> None:
    """Also what was put first, and what was tried before."""
    state = queue(3, 3)
    state.done(First(task=TaskId("task-001")))
    before = entry(state, 1)
    state.done(SendBack(back=(back(1),)))
    assert names(state) == ["task-002"]
    state.done(Complete(task=TaskId("task-001"), head="f" * 40, branch="b1"))
    after = entry(state, 1)
    assert (after.position, after.rank, after.queued_at) == (before.position, before.rank, before.queued_at)
    assert (after.head, after.state, after.detail) == ("f" * 40, MergeState.QUEUED, "")
    assert names(state) == ["task-001", "task-002"]
    sound(state)


def test_handed_in_anew_while_it_waits_it_keeps_its_place() -> None:
    """The new head is what lands."""
    state = queue(3, 3)
    state.done(Complete(task=TaskId("task-001"), head="f" * 40, branch="b1"))
    assert [one.head for one in lined_up(state.board)] == ["f" * 40, head(2)]
    sound(state)


@pytest.mark.parametrize(
    ("end", "worker"),
    [
        (Fail(task=TaskId("task-001"), reason="no"), "ada"),
        (Release(task=TaskId("task-001")), "ada"),
        (Unlock(resources=("file1",), force=True, reason="no"), "bob"),
        (Drop(task=TaskId("task-001")), "bob"),
    ],
)
def test_an_owner_who_gives_up_takes_the_entry_along(end: Any, worker: str) -> None:
    """Nothing of it stays in the queue."""
    state = queue(3)
    state.done(SendBack(back=(back(1),)))
    state.done(end, worker)
    assert state.board.merges() == []
    sound(state)


def test_an_owner_who_is_gone_loses_the_task() -> None:
    """It stands in line again for others."""
    state = queue(3)
    del state.cells.contents["workers", "ada"]
    state.done(SendBack(back=(back(1),)), "bob")
    assert state.task("task-001").status is TaskStatus.PENDING
    assert state.board.merges() == []


def test_a_lease_that_ends_after_the_return_gives_the_task_to_others() -> None:
    """As with any claim."""
    state = queue(3)
    state.done(SendBack(back=(back(1),)))
    state.room("bob", 2)
    assert state.take("bob", "task-001", minutes=90).worker == "bob"
    assert state.board.merges() == []
    sound(state)


def test_going_back_twice_is_going_back_once() -> None:
    """And what was handed in anew meanwhile doesn't go back for its old head."""
    state = queue(3, 3)
    state.done(Complete(task=TaskId("task-002"), head="f" * 40, branch="b2"))
    state.done(SendBack(back=(back(1), back(2))))
    assert not state.done(SendBack(back=(back(1), back(2)))).changed
    assert entry(state, 2).state is MergeState.QUEUED


# what people decide


def test_drop_gives_the_task_back_to_its_owner() -> None:
    """With its locks, and without its place."""
    state = queue(3, 3)
    state.done(Drop(task=TaskId("task-001"), reason="superseded"), "bob")
    assert state.task("task-001").status is TaskStatus.IN_PROGRESS
    state.done(Complete(task=TaskId("task-001"), head=head(1)))
    assert names(state) == ["task-002", "task-001"]
    sound(state)


@pytest.mark.parametrize("verb", [Drop, First, Requeue])
def test_what_is_not_in_the_queue_is_refused_by_its_state(verb: Any) -> None:
    """Merged, pending or unknown."""
    state = queue(3)
    state.done(land(1))
    state.add("pending")
    assert "it is merged" in state.refused(verb(task=TaskId("task-001"))).message
    assert "it is pending" in state.refused(verb(task=TaskId("task-002"))).message
    assert "there is no task-009" in state.refused(verb(task=TaskId("task-009"))).message


def test_retry_puts_back_in_line_what_went_back() -> None:
    """As it is; results of before don't count."""
    state = queue(3)
    state.done(SendBack(back=(back(1),)))
    state.done(Requeue(task=TaskId("task-001")), "bob")
    assert (entry(state, 1).state, entry(state, 1).tries) == (MergeState.QUEUED, 1)
    assert state.task("task-001").status is TaskStatus.COMPLETED
    worker = state.board.worker(WorkerId("ada"))
    assert worker is not None
    assert worker.current_tasks == ()
    sound(state)


def test_a_pause_holds_what_is_below_its_priority() -> None:
    """Above it, things land."""
    state = queue(1, 2, 3)
    state.done(Stop(below=2, reason="release day"))
    assert names(state) == ["task-001", "task-002"]
    (held,) = lineup(state.board).held
    assert held.reason == "ada paused the queue below priority 2: release day"
    assert not state.done(Stop(below=2, reason="release day")).changed
    state.done(Stop())
    assert names(state) == []
    state.done(Resume())
    assert len(names(state)) == 3
    assert not state.done(Resume()).changed


def test_a_freeze_ends_when_the_base_has_moved_or_somebody_resumes() -> None:
    """Resuming counts, so that the base is tested anew."""
    state = queue(3)
    token = state.done(merging(base=BASE), "bob").token
    state.done(Frozen(token=token, commit=BASE, detail="exit 1"), "bob")
    assert state.board.line.freeze is not None
    assert state.board.line.merger is None
    state.done(merging(base=BASE), "bob")
    assert state.board.line.freeze is not None
    state.done(Resume())
    assert (state.board.line.freeze, state.board.line.resumes) == (None, 1)
    token = state.done(merging(gone=state.board.line.merger.token), "bob").token  # type: ignore[union-attr]
    state.done(Frozen(token=token, commit=BASE), "bob")
    state.done(merging(base=NEXT), "bob")
    assert state.board.line.freeze is None


# complete


def test_what_was_changed_beyond_what_was_declared_is_locked_in_the_same_step() -> None:
    """And belongs to the task from then on."""
    state = State()
    state.add("one", "a")
    state.take()
    state.done(Complete(task=TaskId("task-001"), head=head(1), late=locks("b")))
    claim = state.claim(state.task("task-001").claim or "")
    assert [held.resource for held in claim.locks] == ["a", "b"]
    assert state.task("task-001").files == ("a", "b")
    sound(state)


def test_what_somebody_else_holds_cannot_be_locked_late() -> None:
    """Nothing is changed then."""
    state = State()
    state.add("one", "a")
    state.add("two", "b")
    state.take("ada", "task-001")
    state.take("bob", "task-002")
    refused = state.refused(Complete(task=TaskId("task-001"), head=head(1), late=locks("b")))
    assert (refused.code, refused.data["holder"]["workerId"]) == ("held", "bob")
    assert state.task("task-001").status is TaskStatus.CLAIMED


def test_own_locks_without_a_task_are_absorbed_by_late_ones() -> None:
    """As by a claim."""
    state = State()
    state.add("one", "a")
    state.take("ada", "task-001")
    state.done(Register(id=WorkerId("ada")))
    from gitpw.domain.operation import Lock

    state.done(Lock(locks=locks("b"), lease=3600))
    state.done(Complete(task=TaskId("task-001"), head=head(1), late=locks("b")))
    assert len(list(state.board.claims())) == 1
    sound(state)


def test_a_retried_task_is_its_own_again() -> None:
    """A failed task comes back without an entry."""
    state = queue(3)
    state.done(SendBack(back=(back(1),)))
    state.done(Fail(task=TaskId("task-001"), reason="no"))
    state.done(Retry(task=TaskId("task-001")))
    state.take("ada", "task-001")
    state.done(Complete(task=TaskId("task-001"), head=head(1)))
    assert entry(state, 1).position == 2
    sound(state)
