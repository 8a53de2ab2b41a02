"""What all checkouts of a machine remember, read from files."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitpw.adapters.checkout import GitCheckout
from gitpw.adapters.traces import ALIVE, GitTraces
from gitpw.domain.checkout import Own
from gitpw.domain.ids import ClaimId, TaskId, WorkerId
from tests.support.git import clone, git, make_upstream


def own(number: int, worker: str = "alice") -> Own:
    """A claim as a checkout remembers it."""
    return Own(ClaimId(f"{number:016x}"), number, TaskId(f"task-{number:03}"), WorkerId(worker))


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A clone with a linked worktree on a branch, each with a claim."""
    work = clone(make_upstream(tmp_path / "up.git"), tmp_path / "work")
    git("worktree", "add", "-q", "-b", "feat/one", str(tmp_path / "tree"), cwd=work)
    GitCheckout(str(work / ".git")).remember(own(1))
    GitCheckout(str(work / ".git/worktrees/tree")).remember(own(2, "bob"))
    return work


def traces(work: Path, place: str = "") -> GitTraces:
    """As seen from the main checkout, or from a linked one."""
    return GitTraces(str(work / ".git"), str(work / ".git" / place))


def test_every_checkout_says_what_it_remembers_and_where_it_is(work: Path) -> None:
    """This one first."""
    head = git("rev-parse", "HEAD", cwd=work)
    main, linked = traces(work).all()
    assert (main.own, main.branch, main.head, main.here, main.linked) == (own(1), "main", head, True, False)
    assert (linked.own, linked.branch, linked.head) == (own(2, "bob"), "feat/one", head)
    assert (linked.here, linked.linked) == (False, True)
    assert [one.own for one in traces(work, "worktrees/tree").all()] == [own(2, "bob"), own(1)]


def test_a_commit_is_seen_loose_packed_and_detached(work: Path) -> None:
    """As git would say it."""
    tree = work.parent / "tree"
    for prepare in (
        ["commit", "-q", "--allow-empty", "-m", "x"],
        ["pack-refs", "--all"],
        ["checkout", "-q", "--detach"],
    ):
        git(*prepare, cwd=tree)
        found = traces(work).all()[1]
        assert found.head == git("rev-parse", "HEAD", cwd=tree)
    assert found.branch is None


@pytest.mark.parametrize(
    "head", ["ref: refs/heads/none\n", "ref: ../../secret\n", "ref: refs/../../x\n", "garbage", "", "\xff"]
)
def test_what_is_no_commit_is_none(work: Path, head: str) -> None:
    """Unborn branches, other ways to keep refs, and nonsense."""
    (work / "secret").write_text("f" * 40)
    (work / ".git/worktrees/tree/HEAD").write_text(head)
    assert traces(work).all()[1].head is None


def test_signs_of_life_are_seldom(work: Path) -> None:
    """One within half a minute is enough, unless the clock has gone back."""
    here = traces(work)
    for now, seen in ((1000, 1000), (1029, 1000), (1030, 1030), (900, 900)):
        here.sign(now)
        assert here.all()[0].sign == seen
    assert here.all()[1].sign is None


@pytest.mark.parametrize("content", ["", "soon\n", "-5\n", "1e9\n"])
def test_a_sign_that_cant_be_read_is_none(work: Path, content: str) -> None:
    """And is written anew."""
    (work / ".git" / ALIVE).write_text(content)
    assert traces(work).all()[0].sign is None
    traces(work).sign(1000)
    assert traces(work).all()[0].sign == 1000


def test_a_checkout_that_remembers_nothing_is_left_out(work: Path) -> None:
    """It costs nothing."""
    GitCheckout(str(work / ".git")).forget([own(1).claim])
    assert [one.own for one in traces(work).all()] == [own(2, "bob")]
