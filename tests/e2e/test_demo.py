"""The demo: what a newcomer sees first."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.git import run


@pytest.fixture
def away() -> list[str]:
    """The words before a command that take the network away from it; none where that isn't allowed."""
    words = ["unshare", "--net", "--map-root-user"]
    return words if run([*words, "true"], check=False).exit == 0 else []


def test_demo_needs_no_network_and_leaves_nothing(away: list[str], tmp_path: Path) -> None:
    """Three workers claim, clash, commit and complete; afterwards there is no trace of it."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    home = sorted(Path.home().iterdir())
    shown = run([*away, "git", "pw", "demo"], tmp_path, {"TMPDIR": str(temporary)})
    assert list(temporary.iterdir()) == []
    assert sorted(Path.home().iterdir()) == home
    dashboard = shown.out.rpartition("$ git pw status")[2]
    for name in ("alice", "bob", "charlie"):
        assert f"{name}$ git pw claim" in shown.out
        assert name in dashboard
    assert "dave$ git pw claim task-004" in shown.out
    assert "is held by alice" in shown.out
    assert "commit refused" in shown.out
    assert "3 completed" in dashboard


def test_demo_can_be_kept(tmp_path: Path) -> None:
    """With --keep the repository stays, and its place is said."""
    shown = run(["git-pw", "demo", "--keep"], tmp_path, {"TMPDIR": str(tmp_path)})
    kept = Path(shown.out.rpartition("kept in ")[2].strip())
    assert (kept / "shop/.git").is_dir()
    merges = run(["git-pw", "merge", "list"], kept / "shop")
    assert [f"task-00{number}" in merges.out for number in (1, 2, 3)] == [True] * 3


def test_demo_fails_clean(tmp_path: Path) -> None:
    """Where it can't be played it says why, and leaves nothing either."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "git").write_text("#!/bin/sh\nexit 7\n")
    (tools / "git").chmod(0o755)
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    done = run(["git-pw", "demo"], tmp_path, {"TMPDIR": str(temporary), "PATH": path}, check=False)
    assert done.exit == 1
    assert "Traceback" not in done.err
    assert list(temporary.iterdir()) == []
