"""Locks and leases: taken whole or not at all, kept, given up, taken over, forced."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gitpw.domain.ids import ClaimId, TaskId
from gitpw.domain.operation import (
    REMEMBERED,
    Complete,
    Done,
    Expire,
    Fail,
    Land,
    Landing,
    Lock,
    Mine,
    Push,
    Register,
    Release,
    Renew,
    Report,
    Start,
    Suspect,
    Take,
    Unlock,
)
from gitpw.domain.task import TaskStatus
from tests.domain.state import HOUR, State, locks, problems

if TYPE_CHECKING:
    from gitpw.domain.operation import Request

FORCE = {"force": True, "reason": "it is urgent"}


def lock(state: State, worker: str, *names: str, shared: bool = False, **about: object) -> ClaimId:
    """Lock resources without a task, and give the claim's id."""
    done = state.done(Lock(locks=locks(*names, shared=shared), lease=HOUR), worker, **about)
    assert done.claim is not None
    return done.claim


def mine(state: State, claim: str) -> Mine:
    """A claim as its holder knows it."""
    return Mine(claim=ClaimId(claim), token=state.claim(claim).token)


@pytest.mark.parametrize(
    ("held", "wanted"),
    [
        ("src", "src"),
        ("src", "src/a.py"),
        ("src/a.py", "src"),
        ("src/*.py", "src/a.py"),
        ("src", "**/a.py"),
        (".", "x"),
    ],
)
def test_exclusion(held: str, wanted: str) -> None:
    """What overlaps a lock is refused, and the refusal names the holder and until when."""
    state = State()
    lock(state, "ada", held)
    refused = state.refused(Lock(locks=locks(wanted), lease=HOUR), "bob")
    assert (refused.code, refused.data["holder"]["workerId"]) == ("held", "ada")
    assert refused.data["holder"]["path"] == held
    assert refused.data["holder"]["expiresAt"] == "2026-03-02T13:00:00Z"
    assert wanted in refused.message


def test_shared_locks_go_together() -> None:
    """Shared locks tolerate each other, and no exclusive one."""
    state = State()
    lock(state, "ada", "src", shared=True)
    lock(state, "bob", "src/a.py", shared=True)
    assert state.refused(Lock(locks=locks("src/b.py"), lease=HOUR), "cy").code == "held"


def test_shared_becomes_exclusive_when_alone() -> None:
    """A holder may have its shared lock for itself if nobody else shares it."""
    state = State()
    lock(state, "ada", "src", shared=True)
    other = lock(state, "bob", "src", shared=True)
    assert state.refused(Lock(locks=locks("src"), lease=HOUR)).code == "held"
    state.done(Unlock(all=True), "bob")
    assert state.board.ending(other) is not None
    lock(state, "ada", "src")
    assert state.refused(Lock(locks=locks("src", shared=True), lease=HOUR), "bob").code == "held"


def test_exclusive_stays_exclusive() -> None:
    """Asking for less than one has is no giving up."""
    state = State()
    lock(state, "ada", "src")
    lock(state, "ada", "src", shared=True)
    assert state.refused(Lock(locks=locks("src", shared=True), lease=HOUR), "bob").code == "held"


def test_locking_again_renews() -> None:
    """Locking again what one holds keeps the claim and its token, and begins the lease anew."""
    state = State()
    first = state.claim(lock(state, "ada", "src", "lib"))
    again = state.claim(lock(state, "ada", "src", minutes=30))
    assert (again.id, again.token, again.locks) == (first.id, first.token, first.locks)
    assert again.lease.expires_at > first.lease.expires_at


def test_locking_more_absorbs() -> None:
    """A larger lock takes in the asker's own smaller ones, under a new token."""
    state = State()
    small = lock(state, "ada", "src/a.py")
    large = lock(state, "ada", "src")
    assert state.board.claim(small) is None
    assert [held.resource for held in state.claim(large).locks] == ["src", "src/a.py"]
    ending = state.board.ending(small)
    assert ending is not None
    assert ending.how == "absorbed"


def test_another_checkout_of_the_same_worker_is_another() -> None:
    """Two claims of one worker exclude each other like any two, and the refusal says where to look."""
    state = State()
    lock(state, "ada", "src", place="main")
    refused = state.refused(Lock(locks=locks("src/a.py"), lease=HOUR), place="tree")
    assert "yourself, in another checkout" in refused.message


def test_own_claim_of_the_same_checkout_is_not_elsewhere() -> None:
    """What the asker holds right here for another task is said to be its own, and not to be in another checkout."""
    state = State()
    state.done(Register(id="ada", max_concurrent_tasks=2), "ada")
    state.add("first", "src")
    second = state.add("second", "src/a.py")
    state.take("ada")
    refused = state.refused(Take(task=TaskId(second), lease=HOUR), "ada")
    assert refused.message == "src/a.py (locked as src) is held by ada (yourself) for task-001"


def test_all_or_nothing() -> None:
    """A lock of several resources of which one is held changes nothing."""
    state = State()
    lock(state, "ada", "b")
    cells = state.cells
    assert state.refused(Lock(locks=locks("a", "b", "c"), lease=HOUR), "bob").code == "held"
    assert state.cells is cells


def test_lock_into_a_claim() -> None:
    """What is locked within a claim has its token and ends with it."""
    state = State()
    task = state.add("work", "a")
    claim = state.take()
    state.done(Lock(locks=locks("b"), lease=HOUR, into=claim.id))
    assert [held.resource for held in state.claim(claim.id).locks] == ["a", "b"]
    assert state.claim(claim.id).token == claim.token
    state.done(Release(task=TaskId(task)))
    lock(state, "bob", "a", "b")


def test_lock_into_a_claim_that_is_gone() -> None:
    """Nothing can be locked within a claim that has ended, nor within somebody else's."""
    state = State()
    task = state.add()
    claim = state.take()
    assert state.refused(Lock(locks=locks("b"), lease=HOUR, into=claim.id), "bob").code == "stale"
    state.done(Release(task=TaskId(task)))
    assert state.refused(Lock(locks=locks("b"), lease=HOUR, into=claim.id)).code == "stale"


def test_lock_into_the_merge_queue() -> None:
    """What waits in the merge queue takes no more locks."""
    state = State()
    task = state.add()
    claim = state.take()
    state.done(Complete(task=TaskId(task)))
    assert state.refused(Lock(locks=locks("b"), lease=HOUR, into=claim.id)).code == "invalid"


@pytest.mark.parametrize(
    "name", ["", "..", "/a", "glob:", "a/../b", ".git/x", "a//b", "a/", "cafe\u0301", "literal:a"]
)
def test_names_that_are_not_canonical(name: str) -> None:
    """What isn't a resource in its one spelling gets nowhere near the ledger, whoever asks for it."""
    state = State()
    requests = [
        Lock(locks=locks(name), lease=HOUR),
        Take(locks=locks(name), lease=HOUR),
        Unlock(resources=(name,)),
    ]
    for request in requests:
        assert state.refused(request).code == "invalid"


def test_lease_is_no_longer_than_allowed() -> None:
    """However long a lease is asked for, the ledger's settings limit it."""
    state = State(longest_lease=120)
    state.done(Lock(locks=locks("a"), lease=10**12))
    (claim,) = state.board.claims()
    assert claim.lease.duration == 120


# unlock


def test_unlock() -> None:
    """Giving up the last lock without a task ends the claim."""
    state = State()
    claim = lock(state, "ada", "a", "b")
    done = state.done(Unlock(resources=("a",)))
    assert done.detail["files"] == ["a"]
    assert [held.resource for held in state.claim(claim).locks] == ["b"]
    state.done(Unlock(resources=("b",)))
    assert state.board.claim(claim) is None


def test_unlock_all() -> None:
    """All that is locked without a task is given up, what belongs to a task stays."""
    state = State()
    state.add("work", "a")
    task = state.take()
    lock(state, "ada", "b")
    lock(state, "bob", "c")
    assert state.done(Unlock(all=True)).detail["files"] == ["b"]
    assert state.claim(task.id).locks == locks("a")
    assert state.refused(Lock(locks=locks("c"), lease=HOUR)).code == "held"


def test_unlock_what_is_not_locked() -> None:
    """Nothing is changed, and nothing is wrong, where nothing was locked."""
    assert not State().done(Unlock(resources=("a",))).changed


def test_unlock_under_another_name() -> None:
    """A file within a locked folder isn't locked by its own name; the answer says by which, with force or without."""
    state = State()
    lock(state, "ada", "src")
    for force in ({}, FORCE):
        refused = state.refused(Unlock(resources=("src/a.py",), **force))
        assert refused.hint == "git pw unlock src"


def test_unlock_of_others_needs_force() -> None:
    """Somebody else's lock is given up only by force, and force only with a reason."""
    state = State()
    lock(state, "ada", "src")
    assert state.refused(Unlock(resources=("src",)), "bob").code == "invalid"
    assert state.refused(Unlock(resources=("src",), force=True), "bob").code == "invalid"
    assert state.done(Unlock(resources=("src",), **FORCE), "bob").detail["reason"] == "it is urgent"
    lock(state, "bob", "src")


def test_losing_one_lock_voids_the_claim() -> None:
    """A claim that loses one lock by force loses all, and its task stands in line again."""
    state = State()
    task = state.add("work", "a", "b")
    claim = state.take()
    state.done(Unlock(resources=("b",), **FORCE), "bob")
    assert state.board.claim(claim.id) is None
    assert state.task(task).status is TaskStatus.PENDING
    lock(state, "bob", "a")


def test_unlocking_own_file_of_a_task_keeps_the_claim() -> None:
    """A holder may give up a file of its task and go on."""
    state = State()
    state.add("work", "a", "b")
    claim = state.take()
    state.done(Unlock(resources=("b",)))
    assert state.claim(claim.id).locks == locks("a")
    lock(state, "bob", "b")


def test_unlock_in_the_merge_queue() -> None:
    """What waits in the merge queue is given up only by force, and leaves the queue."""
    state = State()
    task = state.add("work", "a")
    state.take()
    state.done(Complete(task=TaskId(task)))
    assert "merge queue" in state.refused(Unlock(resources=("a",))).message
    state.done(Unlock(resources=("a",), **FORCE))
    assert state.board.merges() == []
    assert state.task(task).status is TaskStatus.PENDING
    assert problems(state.cells) == []


# renewing


def test_renew_several() -> None:
    """One renewal covers several claims, and tells those that are lost."""
    state = State()
    first, second = lock(state, "ada", "a"), lock(state, "bob", "b")
    both = (mine(state, first), mine(state, second))
    state.done(Unlock(all=True), "bob")
    done = state.done(Renew(claims=both), minutes=50)
    assert done.detail == {"renewed": [first], "lost": [second]}
    assert state.refused(Lock(locks=locks("a"), lease=HOUR), "bob", minutes=90, host="desk").code == "held"


def test_renew_with_another_token() -> None:
    """A renewal with a token that isn't the claim's own renews nothing."""
    state = State()
    claim = lock(state, "ada", "a")
    assert state.refused(Renew(claims=(mine(state, claim).but(token=99),))).code == "stale"


def test_sleeper_goes_on_if_nobody_took_over() -> None:
    """A laptop that slept for two hours renews its lease as if nothing had been."""
    state = State()
    state.add()
    claim = state.take()
    state.done(Renew(claims=(mine(state, claim.id),)), minutes=180)
    state.done(Start(task=claim.task or TaskId(""), claim=claim.id, token=claim.token), minutes=181)


def test_renewal_in_between_defeats_a_takeover() -> None:
    """A takeover that was decided before a renewal is refused after it, whatever the clocks say."""
    state = State()
    claim = lock(state, "ada", "a")
    late = state.operation(Lock(locks=locks("a"), lease=HOUR), "bob", minutes=70)
    state.done(Renew(claims=(mine(state, claim),)))
    outcome = state.apply(late)
    assert not isinstance(outcome, Done)


def test_work_freshens_an_old_lease() -> None:
    """Whatever a holder does renews its lease when less than half is left, and not before."""
    state = State()
    task = TaskId(state.add())
    claim = state.take()
    state.done(Report(task=task, step="a"), minutes=29)
    assert state.claim(claim.id).lease == claim.lease
    state.done(Report(task=task, step="b"), minutes=31)
    assert state.claim(claim.id).lease.version > claim.lease.version


def test_work_clears_suspicion() -> None:
    """A holder who works clears the mark of a host whose clock is ahead, however young the lease."""
    state = State()
    task = TaskId(state.add())
    claim = state.take()
    state.done(Suspect(claims=(claim.id,)), "bob", host="fast", minutes=120)
    state.done(Push(task=task, head="1" * 40, branch="b"), minutes=5)
    assert not state.claim(claim.id).lease.marks
    assert state.refused(Take(task=task, lease=HOUR), "bob", host="fast", minutes=131).code == "held"


def test_claiming_again_freshens_an_old_lease() -> None:
    """Asking again for a task that one holds renews an old lease, like all that a worker does."""
    state = State()
    task = TaskId(state.add())
    claim = state.take()
    assert not state.done(Take(task=task, lease=HOUR), minutes=29).changed
    assert state.done(Take(task=task, lease=HOUR), minutes=61).token == claim.token
    assert state.claim(claim.id).lease.version > claim.lease.version


# taking over


def test_takeover_gives_a_new_token() -> None:
    """A task whose lease has ended goes to whoever asks, with a larger token; its old claim is told by whom."""
    state = State()
    task = TaskId(state.add("work", "a"))
    old = state.take("ada")
    new = state.take("bob", task, minutes=66)
    assert new.token > old.token
    ending = state.board.ending(old.id)
    assert ending is not None
    assert (ending.how, ending.by, ending.task) == ("taken over", "bob", task)
    told = state.refused(Start(task=task, claim=old.id, token=old.token), "ada", minutes=67)
    assert told.code == "stale"
    assert "taken over by bob" in told.message


@pytest.mark.parametrize(
    ("ending", "story"),
    [
        (Expire(), "ran out and was ended by bob at 2026-03-02T13:06:00Z"),
        (
            Unlock(resources=("a",), force=True, reason="away: ill"),
            "was unlocked by force by bob at 2026-03-02T13:06:00Z (away: ill)",
        ),
    ],
)
def test_former_holder_is_told_what_happened(ending: Request, story: str) -> None:
    """In a sentence: what became of the claim, by whom, when, and for which reason."""
    state = State()
    task = TaskId(state.add("work", "a"))
    old = state.take("ada")
    state.done(ending, "bob", minutes=66)
    told = state.refused(Start(task=task, claim=old.id, token=old.token), "ada", minutes=67)
    assert (told.code, told.message) == ("stale", f"your claim on {task} {story}")


def test_takeover_of_files_returns_the_whole_task() -> None:
    """Whoever takes one file of an ended claim ends all of it: its task stands in line, its branch still named."""
    state = State()
    task = state.add("work", "a", "b")
    old = state.take("ada")
    lock(state, "bob", "b", minutes=66)
    after = state.task(task)
    assert (after.status, after.claim, after.token) == (TaskStatus.PENDING, None, None)
    assert after.metadata.branch_name == old.branch
    assert problems(state.cells) == []


LATE = (
    lambda about: Start(**about),
    lambda about: Report(step="x", **about),
    lambda about: Push(head="1" * 40, branch="b", **about),
    lambda about: Complete(**about),
    lambda about: Fail(reason="r", **about),
    lambda about: Release(**about),
)


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("request_", LATE)
@pytest.mark.parametrize("end", ["taken over", "expired", "forced", "released"])
def test_fencing(request_: object, end: str, again: bool) -> None:
    """With the token of a claim that has ended nothing can be done, even by a worker who has the task anew."""
    state = State()
    task = TaskId(state.add("work", "a"))
    old = state.take("ada")
    if end == "taken over":
        state.take("bob", task, minutes=66)
        state.done(Release(task=task), "bob", minutes=66)
    elif end == "expired":
        assert state.done(Expire(), "bob", minutes=66).tasks == (task,)
    elif end == "forced":
        state.done(Unlock(resources=("a",), **FORCE), "bob")
    else:
        state.done(Release(task=task))
    if again:
        assert state.take("ada", task, minutes=67).token > old.token
    cells = state.cells
    about = {"task": task, "claim": old.id, "token": old.token}
    assert state.refused(request_(about), minutes=68).code == "stale"
    assert state.refused(Renew(claims=(Mine(claim=old.id, token=old.token),)), minutes=68).code == "stale"
    assert state.cells is cells


def test_expire_leaves_the_merge_queue_alone() -> None:
    """What waits in the merge queue has no lease that could end."""
    state = State()
    task = TaskId(state.add("work", "a"))
    state.take()
    state.done(Complete(task=task))
    assert not state.done(Expire(), minutes=10_000).changed


def test_expire_forgets_old_endings() -> None:
    """What became of a claim is told until 10,000 operations later."""
    state = State()
    claim = lock(state, "ada", "a")
    state.done(Unlock(all=True))
    state.skip(REMEMBERED)
    assert not state.done(Expire()).changed
    state.skip(1)
    state.done(Expire())
    assert state.board.ending(claim) is None


def test_suspect_marks_only_what_looks_over() -> None:
    """A live lease isn't marked, nor one that this host marked before, nor one in the merge queue."""
    state = State()
    claim = lock(state, "ada", "a")
    assert not state.done(Suspect(claims=(claim,)), "bob", host="lap", minutes=64).changed
    assert state.done(Suspect(claims=(claim,)), "bob", host="lap", minutes=66).detail == {
        "suspected": [claim]
    }
    assert not state.done(Suspect(claims=(claim,)), "bob", host="lap", minutes=67).changed
    assert state.done(Suspect(claims=(claim,)), "bob", host="cloud", minutes=67).changed


def test_lock_is_free_when_its_task_lands() -> None:
    """The locks of a completed task are free once it has landed, and not before."""
    state = State()
    task = TaskId(state.add("work", "a"))
    state.take()
    state.done(Complete(task=task, head="1" * 40))
    refused = state.refused(Lock(locks=locks("a"), lease=HOUR), "bob", minutes=10_000)
    assert "merge queue" in (refused.hint or "")
    state.done(Land(landings=(Landing(task=task, head="1" * 40),)))
    lock(state, "bob", "a")
