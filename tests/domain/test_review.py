"""Ranges of commits: whose they are, what stands against them, and which claims were lost meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitpw.domain.ids import ClaimId, TaskId, WorkerId
from gitpw.domain.operation import (
    Complete,
    Expire,
    Fail,
    Land,
    Landing,
    Lock,
    Register,
    Release,
    Restore,
    Retry,
    Unlock,
)
from gitpw.domain.policy import Guarding
from gitpw.domain.review import (
    Committed,
    Finding,
    Kind,
    Ours,
    Stamp,
    Whose,
    is_of,
    outdated,
    owner,
    stamps,
    standing,
)
from gitpw.domain.worker import WorkerType
from tests.domain.state import HOUR, NOON, Dictionary, State, locks

if TYPE_CHECKING:
    from gitpw.domain.board import Board
    from gitpw.domain.lock import Claim

ONE, TWO = TaskId("task-001"), TaskId("task-002")
HELD = Guarding(critical=[])


def change(
    *files: str, task: TaskId | None = None, token: int | None = None, commit: str = "c1", by: str = "Dana"
) -> Committed:
    """A commit that changes some files."""
    said = () if task is None and token is None else (Stamp(task, token),)
    return Committed(commit, NOON, files, said, by)


def kinds(
    board: Board, branch: str | None, *changes: Committed, rules: Guarding = HELD
) -> list[tuple[str, str | None]]:
    """What stands against some commits for a branch, each as its kind and its file."""
    found = standing(board, Whose(branch, changes), rules, changes)
    return [(one.kind.value, one.file) for one in found]


@pytest.fixture
def state() -> State:
    """Two tasks, with `a` and `b`, of which ada has the first and bob the second."""
    state = State()
    state.add("one", "a")
    state.add("two", "b")
    state.take("ada")
    state.take("bob")
    return state


def held(state: State, task: TaskId) -> Claim:
    """The claim of a task."""
    found = state.task(task)
    assert found.claim is not None
    return state.claim(found.claim)


def branch(state: State, task: TaskId) -> str:
    """The branch of a task."""
    found = state.task(task).metadata.branch_name
    assert found is not None
    return found


# whose


def test_ours_by_branch(state: State) -> None:
    """What is for the branch of a task is by its claim; another's file is another's."""
    assert kinds(state.board, branch(state, ONE), change("a", "c")) == []
    assert kinds(state.board, branch(state, ONE), change("a", "b", "c")) == [("held", "b")]
    assert kinds(state.board, "main", change("a")) == [("held", "a")]
    assert kinds(state.board, None, change("a")) == [("held", "a")]


def test_ours_by_trailer(state: State) -> None:
    """What names a claim's task and token is by it, on whatever branch."""
    token = held(state, ONE).token
    assert kinds(state.board, "main", change("a", task=ONE, token=token)) == []
    assert kinds(state.board, "main", change("a", task=ONE)) == []
    assert kinds(state.board, "main", change("a", token=token)) == []


@pytest.mark.parametrize(("task", "token"), [(ONE, 99), (TWO, None), (TWO, "own"), (None, 99)])
def test_not_ours_by_another_trailer(state: State, task: TaskId | None, token: int | str | None) -> None:
    """An old or made-up token, and the name of another task, give no right."""
    number = held(state, ONE).token if token == "own" else token
    assert isinstance(number, int | None)
    assert kinds(state.board, "main", change("a", task=task, token=number)) == [("held", "a")]


def test_ours_by_a_lock_without_task(state: State) -> None:
    """A lock without a task is recognised by its token alone."""
    state.done(Lock(locks=locks("x"), lease=HOUR), "ada")
    token = state.board.counter
    assert kinds(state.board, "main", change("x")) == [("held", "x")]
    assert kinds(state.board, "main", change("x", token=token)) == []


@pytest.mark.parametrize(
    ("name", "kind", "by", "ours"),
    [
        ("Ada L.", WorkerType.HUMAN, "Ada L.", True),
        ("Ada L.", WorkerType.HUMAN, "Bob", False),
        ("ada", WorkerType.HUMAN, "ada", False),  # an id that was given, by which others commit too
        ("", WorkerType.HUMAN, "", False),
        ("Claude Code", WorkerType.AI_AGENT, "Claude Code", False),
    ],
)
def test_ours_by_a_persons_name(state: State, name: str, kind: WorkerType, by: str, ours: bool) -> None:
    """A person's lock without a task is recognised by the name that they commit under; a task's claim isn't."""
    state.done(Register(id=WorkerId("ada"), name=name, type=kind, max_concurrent_tasks=2), "ada")
    state.done(Lock(locks=locks("x"), lease=HOUR), "ada")
    expected = [("held", "a")] if ours else [("held", "a"), ("held", "x")]
    assert kinds(state.board, "main", change("a", "x", by=by)) == expected


def test_ours_by_what_is_merged(state: State) -> None:
    """A merge that says nothing is by the claims of what it brings in, another commit that says nothing by none."""
    merged = change("a", task=ONE, token=held(state, ONE).token, commit="merged")
    merge = change("a", "b", commit="merge")._replace(merge=True)
    assert kinds(state.board, "main", merge, merged) == [("held", "b")]
    assert kinds(state.board, "main", merge._replace(merge=False), merged) == [("held", "a"), ("held", "b")]


def test_each_commit_by_its_own(state: State) -> None:
    """Taking over a commit of the holder gives no right to go on with its files."""
    picked = change("a", task=ONE, token=held(state, ONE).token, commit="picked")
    assert kinds(state.board, "evil", change("b", commit="c2"), picked) == [("held", "b")]
    assert kinds(state.board, "evil", picked, change("a", commit="c0")) == [("held", "a")]


def test_older_tokens_of_a_task_that_the_newest_commit_renews(state: State) -> None:
    """Commits of a claim that was given anew are by the new one, if the newest commit names it."""
    old = change("a", task=ONE, token=held(state, ONE).token, commit="old")
    state.done(Release(task=ONE), "ada")
    state.take("ada", ONE)
    new = change("c", task=ONE, token=held(state, ONE).token, commit="new")
    assert kinds(state.board, "main", old) == [("held", "a")]
    assert kinds(state.board, "main", new, old) == []
    assert kinds(state.board, "main", old, new) == [("held", "a")]


def test_ours_by_what_the_asker_knows(state: State) -> None:
    """Tasks and claims that are known to be ours are, whatever the commits say."""
    board, mine = state.board, held(state, ONE).id
    assert mine in Ours(board, Whose(None, [], tasks={ONE}), (), "")
    assert mine in Ours(board, Whose(None, [], claims={mine}), (), "")
    assert mine not in Ours(board, Whose(None, []), (), "")
    assert ClaimId("0" * 16) not in Ours(board, Whose(None, [], claims={ClaimId("0" * 16)}), (), "")


def test_branch_that_was_renamed_at_the_end(state: State) -> None:
    """Work that was handed in from another branch than the claim's is known by that branch."""
    state.done(Complete(task=ONE, head="1" * 40, branch="hotfix"), "ada")
    assert kinds(state.board, "hotfix", change("a")) == []
    assert is_of(state.board, ONE, "hotfix")


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("feat/task-001-one", ONE),
        ("feat/task-001-two", None),
        ("task-002", None),
        ("main", None),
        (None, None),
        ("x/task-099-y", None),
    ],
)
def test_owner(state: State, name: str | None, task: TaskId | None) -> None:
    """A branch is a task's by its whole name."""
    assert branch(state, ONE) == "feat/task-001-one"
    assert owner(state.board, name) == task


# what stands against it


def test_each_file_is_told_once_by_its_newest_commit(state: State) -> None:
    """Ten thousand commits to one file are one finding."""
    changes = [change("b", commit="newest"), change("b", commit="older")]
    (found,) = standing(state.board, Whose(None, changes), HELD, changes)
    assert found == Finding(Kind.HELD, "newest", "b", held(state, TWO), "b")


def test_needs_lock(state: State) -> None:
    """A critical file needs an exclusive lock of the range's own claim; strict policies ask for one on each file."""
    critical = Guarding(critical=["c", "a"])
    strict = Guarding(critical=[], enforce="strict", ignore=["*.md"])
    own = branch(state, ONE)
    assert kinds(state.board, own, change("a", "c"), rules=critical) == [("needs_lock", "c")]
    assert kinds(state.board, own, change("a", "d", "x.md"), rules=strict) == [("needs_lock", "d")]


# what was lost


def lost(board: Board, name: str | None, *changes: Committed) -> list[tuple[str, TaskId | None]]:
    """The stale claims of a range, each as its commit and its task."""
    found = outdated(board, name, changes)
    assert {one.kind for one in found} <= {Kind.STALE}
    return [(one.commit, one.stamp.task if one.stamp else None) for one in found]


def test_current_token(state: State) -> None:
    """A claim that stands isn't lost, nor is one that waits in the merge queue."""
    commit = change("a", task=ONE, token=held(state, ONE).token)
    assert lost(state.board, branch(state, ONE), commit) == []
    state.done(Complete(task=ONE, head="1" * 40), "ada")
    assert lost(state.board, branch(state, ONE), commit) == []
    state.done(Land(landings=(Landing(task=ONE, head="1" * 40),)), "cy")
    assert lost(state.board, branch(state, ONE), commit) == []


def test_taken_over(state: State) -> None:
    """A claim that somebody else took over is lost, and its story is told."""
    old = held(state, ONE)
    commit = change("a", task=ONE, token=old.token)
    state.take("cy", ONE, minutes=90)
    (found,) = outdated(state.board, branch(state, ONE), [commit])
    assert found.claim == held(state, ONE)
    assert found.ending is not None
    assert (found.ending.how, found.ending.worker) == ("taken over", "ada")
    assert lost(state.board, "elsewhere", commit) == [("c1", ONE)]


@pytest.mark.parametrize("how", ["expired", "forced"])
def test_ended_by_others_with_nobody_after(state: State, how: str) -> None:
    """A claim that ended against its holder's will is lost though nobody else has it yet."""
    commit = change("a", task=ONE, token=held(state, ONE).token)
    if how == "expired":
        state.done(Expire(), "bob", minutes=90)
    else:
        state.done(Unlock(resources=("a",), force=True, reason="now"), "bob")
    assert lost(state.board, branch(state, ONE), commit) == [("c1", ONE)]


def test_given_back(state: State) -> None:
    """A claim that its holder gave back may still be pushed, until somebody else works on the task."""
    commit = change("a", task=ONE, token=held(state, ONE).token)
    state.done(Release(task=ONE), "ada")
    assert lost(state.board, branch(state, ONE), commit) == []
    state.take("cy", ONE)
    assert lost(state.board, branch(state, ONE), commit) == [("c1", ONE)]


def test_failed_and_tried_again_by_the_same(state: State) -> None:
    """Commits with the older token are still good if the same worker has the task again."""
    old = held(state, ONE).token
    commit = change("a", task=ONE, token=old)
    state.done(Fail(task=ONE, reason="hard"), "ada")
    state.done(Retry(task=ONE), "bob")
    state.take("ada", ONE)
    assert held(state, ONE).token > old
    assert lost(state.board, branch(state, ONE), commit) == []


def test_expired_and_claimed_again_by_the_same(state: State) -> None:
    """The same after a lease that ended: it is in the same hands again."""
    commit = change("a", task=ONE, token=held(state, ONE).token)
    state.done(Expire(), "bob", minutes=90)
    state.take("ada", ONE, minutes=91)
    assert lost(state.board, branch(state, ONE), commit) == []


def test_newest_token_counts(state: State) -> None:
    """A branch keeps the commits of an earlier holder: the newest commit tells by whose claim it is pushed."""
    old = held(state, ONE).token
    state.take("cy", ONE, minutes=90)
    newest = change("a", task=ONE, token=held(state, ONE).token, commit="c2")
    older = change("a", task=ONE, token=old)
    assert lost(state.board, branch(state, ONE), newest, older) == []
    assert lost(state.board, branch(state, ONE), older, newest) == [("c1", ONE)]
    unmarked = change("a", commit="c3")
    assert lost(state.board, branch(state, ONE), unmarked, older) == [("c1", ONE)]


def test_only_the_branchs_own_task(state: State) -> None:
    """What a task's branch took over from another's is not its own claim; elsewhere each claim is looked at."""
    old = held(state, ONE).token
    state.take("cy", ONE, minutes=90)
    picked = change("x", task=ONE, token=old)
    assert lost(state.board, branch(state, TWO), picked) == []
    assert lost(state.board, "release", picked) == [("c1", ONE)]


def test_fenced(state: State) -> None:
    """Where the branch moved by the current token, the trailers of its commits don't matter."""
    commit = change("a", task=ONE, token=held(state, ONE).token)
    state.take("cy", ONE, minutes=90)
    assert outdated(state.board, branch(state, ONE), [commit], {ONE}) == []


def test_made_up_and_unknown(state: State) -> None:
    """A token that was never granted is none, a task that isn't known is nobody's."""
    assert lost(state.board, branch(state, ONE), change("a", task=ONE, token=999)) == [("c1", ONE)]
    assert lost(state.board, None, change("a", task=TaskId("task-077"), token=3)) == []
    assert lost(state.board, None, change("a", token=3), change("a", task=ONE)) == []


def test_token_of_another_task(state: State) -> None:
    """A token tells of the claim that it was given for, and of no other."""
    assert lost(state.board, "main", change("a", task=ONE, token=held(state, TWO).token)) == [("c1", ONE)]


def test_forgotten(state: State) -> None:
    """After ten thousand operations nobody remembers a claim: if another has the task, it is lost."""
    commit = change("a", task=ONE, token=held(state, ONE).token)
    state.done(Release(task=ONE), "ada")
    kept = {key: raw for key, raw in state.cells.contents.items() if key[0] not in {"recent", "ended"}}
    state.cells = Dictionary(kept)
    assert lost(state.board, branch(state, ONE), commit) == []
    state.take("ada", ONE)
    assert lost(state.board, branch(state, ONE), commit) == [("c1", ONE)]


def test_restored_ledger(state: State) -> None:
    """Tokens of before a restoration stand as long as their claims do."""
    commit = change("a", task=ONE, token=held(state, ONE).token)
    state.done(Restore(reason="it had vanished"))
    assert lost(state.board, branch(state, ONE), commit) == []
    state.take("cy", ONE, minutes=90)
    assert lost(state.board, branch(state, ONE), commit) == [("c1", ONE)]


# trailers


@pytest.mark.parametrize(
    ("tasks", "tokens", "found"),
    [
        ("", "", ()),
        ("task-001", "12", ((ONE, 12),)),
        ("task-001", "", ((ONE, None),)),
        ("", "12", ((None, 12),)),
        ("task-001,task-002", "12,13", ((ONE, 12), (TWO, 13))),
        (" task-001 , task-002", "12", ((ONE, 12), (TWO, None))),
        ("nonsense,task-002", "x,13", ((TWO, 13),)),
        ("task-1", "-3", ()),
        ("task-001", "9" * 19, ((ONE, None),)),
        ("task-001", "٣", ((ONE, None),)),
    ],
)
def test_stamps(tasks: str, tokens: str, found: tuple[tuple[TaskId | None, int | None], ...]) -> None:
    """The trailers of a commit: those that say something, each token with the task at its place."""
    assert stamps(tasks, tokens) == tuple(Stamp(*one) for one in found)


@given(st.text(max_size=40), st.text(max_size=40))
def test_stamps_of_anything(tasks: str, tokens: str) -> None:
    """Whatever a message says, it is read or passed over."""
    assert all(one.task is not None or one.token is not None for one in stamps(tasks, tokens))
