"""What was locked a moment ago, in another clone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli import pw
from tests.support.git import clone, git, make_upstream, run


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two clones that know each other's ledger as of now."""
    url = make_upstream(tmp_path / "up.git")
    one, two = clone(url, tmp_path / "one"), clone(url, tmp_path / "two")
    for place in (one, two):
        pw("init", cwd=place, check=0)
    return one, two


def test_commit_is_refused_at_once(pair: tuple[Path, Path]) -> None:
    """A lock counts for commits elsewhere from the moment on which it was granted."""
    one, two = pair
    pw("lock", "README.md", cwd=one, env={"GITPW_WORKER": "alice"}, check=0)
    (two / "README.md").write_text("mine\n")
    refused = run(["git", "commit", "-qam", "x"], cwd=two, check=False)
    assert refused.exit == 1
    assert "README.md is held by alice" in refused.err


def test_commit_goes_on_without_the_remote(pair: tuple[Path, Path]) -> None:
    """What is known well enough is judged by when the remote can't be asked."""
    one, two = pair
    git("remote", "set-url", "origin", str(one / "gone.git"), cwd=two)
    (two / "README.md").write_text("mine\n")
    git("commit", "-qam", "x", cwd=two)
