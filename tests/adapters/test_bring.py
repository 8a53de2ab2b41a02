"""Bringing the commits of tasks' branches into a merger's clone: their objects, and no refs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gitpw.adapters.git import GitRepo
from gitpw.adapters.integrate import GitIntegrator
from gitpw.ledger.store import BranchError
from tests.support.git import clone, git, make_upstream

if TYPE_CHECKING:
    from pathlib import Path


def pushed(bare: Path, work: Path, *branches: str) -> None:
    """Push a new commit to each of these branches."""
    for branch in branches:
        git("commit", "-q", "--allow-empty", "-m", branch, cwd=work)
        git("push", "-q", bare, f"HEAD:refs/heads/{branch}", cwd=work)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A clone of an upstream that has got two more branches since, and a newer base."""
    bare = make_upstream(tmp_path / "up.git")
    place = clone(bare, tmp_path / "merger")
    pushed(bare, clone(bare, tmp_path / "owner"), "main", "feat/task-001", "feat/task-002")
    return place


def integrator(place: Path) -> GitIntegrator:
    """The integrator of a clone."""
    return GitIntegrator(GitRepo.discover(str(place)))


def test_only_the_base_has_a_ref(place: Path) -> None:
    """All commits are here afterwards; of the refs, only the one that follows the base branch has moved."""
    builder = integrator(place)
    before = git("for-each-ref", "--format=%(refname)", cwd=place)
    tips = builder.tips("origin", ["main", "feat/task-001", "feat/task-002"])
    builder.bring("origin", "main", tips)
    assert len(tips) == 3
    assert all(builder.has(tip) for tip in tips.values())
    assert git("for-each-ref", "--format=%(refname)", cwd=place) == before
    assert git("rev-parse", "origin/main", cwd=place) == tips["main"]


def test_branch_that_went_meanwhile_is_named(place: Path, tmp_path: Path) -> None:
    """A branch that somebody deletes between the look and the fetch is no lost connection."""
    builder = integrator(place)
    tips = builder.tips("origin", ["main", "feat/task-001"])
    git("update-ref", "-d", "refs/heads/feat/task-001", cwd=tmp_path / "up.git")
    with pytest.raises(BranchError, match="feat/task-001 has gone meanwhile") as caught:
        builder.bring("origin", "main", tips)
    assert caught.value.moved
