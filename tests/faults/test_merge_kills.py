"""A merger killed at any of its steps costs a delay and nothing else, with and without a remote."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults.shop import furnish, intact, keepsakes, real_git
from tests.support.git import clone, git, make_upstream
from tests.support.team import Team

if TYPE_CHECKING:
    from tests.race.runner import Herd

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300)]

KILLER = """#!/bin/sh
calls=$(($(cat "$PW_CALLS") + 1))
echo "$calls" >"$PW_CALLS"
[ "$calls:$PW_WHEN" = "$PW_AT:before" ] && kill -9 $PPID && exit 1
[ "$calls:$PW_WHEN" = "$PW_AT:after" ] || exec {git} "$@"
{git} "$@"
kill -9 $PPID
"""
STRIDE = 5
"""Every so many calls of git one is tried; each kind of remote begins at another."""


def gathered(herd: Herd, folder: Path, *, remote: bool) -> Team:
    """A team with a test command and something of each kind to lose."""
    (folder / "lab").mkdir()
    if remote:
        bare = make_upstream(folder / "up.git")
        team = Team(bare, clone(bare, folder / "work"), herd, folder / "lab", str(bare))
    else:
        make_upstream(folder / "from.git")
        clone(folder / "from.git", folder / "work")
        team = Team(None, folder / "work", herd, folder / "lab")
        git("remote", "remove", "origin", cwd=team.work)
    team.pw("init", "--no-hooks")
    team.policy('[merge]\ntest = "test ! -e bad.txt"\n')
    team.pw("worker", "register", "alice", "--max-tasks", "90")
    return team


@pytest.mark.parametrize(
    ("kind", "begin"), [("atomic", 1), ("not atomic", 2), ("no remote", 3), ("no remote, checked out", 1)]
)
def test_every_task_lands_once_whenever_its_merger_is_killed(
    herd: Herd, tmp_path: Path, kind: str, begin: int
) -> None:
    """Before or after each call of git that a merge makes; what the user has is as it was."""
    team = gathered(herd, tmp_path, remote="remote" not in kind)
    if kind == "not atomic":
        git("config", "receive.advertiseAtomic", "false", cwd=team.home)
    killer = tmp_path / "killer"
    killer.mkdir()
    (killer / "git").write_text(KILLER.format(git=real_git()))
    (killer / "git").chmod(0o755)
    before = team.main
    if kind != "no remote, checked out":
        furnish(team.work)
    kept = keepsakes(team.work)
    titles: list[str] = []
    at, killed = begin, 0
    while True:
        titles.append(f"task {len(titles) + 1}")
        team.finish(titles[-1], {f"new{len(titles)}.txt": "x\n"})
        (killer / "calls").write_text("0")
        when = ("before", "after")[killed % 2]
        env = {
            "PATH": f"{killer}{os.pathsep}{os.environ['PATH']}",
            "PW_CALLS": str(killer / "calls"),
            "PW_AT": str(at),
            "PW_WHEN": when,
        }
        answer = team.pw("merge", check=None, env=env)
        assert max(Counter(team.subjects(before)).values(), default=0) <= 1
        if answer.exit != -9:
            assert answer.exit == 0, str(answer)
            break
        killed += 1
        at += STRIDE
    assert killed > 5, "git was hardly called"
    team.pw("merge")
    assert sorted(team.subjects(before)) == sorted(titles)
    assert team.queue() == {}
    assert all(task["mergedAt"] for task in team.pw("task", "list", "--status", "completed").data["tasks"])
    assert team.pw("locks").data["locks"] == []
    assert team.branches() == []
    if kind == "no remote, checked out":
        assert git("status", "--porcelain", cwd=team.work) == ""
        assert git("rev-parse", "HEAD", cwd=team.work) == team.main
    else:
        after = keepsakes(team.work)
        for refs in (kept, after):
            refs["refs"] = [ref for ref in refs["refs"] if not ref.startswith("refs/heads/main ")]  # type: ignore[attr-defined]
        assert after == kept
    assert git("for-each-ref", "refs/worktree", cwd=team.work) == ""
    assert sorted(os.listdir(team.work / ".git/pw/journal")) == []  # noqa: PTH208
    intact(team.work)
    if team.bare is not None:
        intact(team.bare)
