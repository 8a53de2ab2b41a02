"""A host that takes no atomic pushes, and somebody who is faster just before the landing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.race.runner import Run
from tests.support.git import clone, git, make_upstream

if TYPE_CHECKING:
    from pathlib import Path

    from tests.race.runner import Herd

pytestmark = pytest.mark.fault

FASTER = """\
[ -e "$PUSHED" ] && exit
touch "$PUSHED"
unset GIT_DIR
cd "$ELSEWHERE" && git commit -q --allow-empty -m 'Faster' && git push -q origin HEAD:main
"""
"""Tests during which somebody pushes to the base branch, the first time."""


@pytest.mark.parametrize("atomic", ["true", "false"])
def test_base_that_moved_while_it_was_tested_is_built_upon_again(
    herd: Herd, tmp_path: Path, atomic: str
) -> None:
    """The direct push stays, and the task lands on top of it in the same run."""
    bare = make_upstream(tmp_path / "up.git", {"README.md": "A shop\n", "check.sh": FASTER})
    git("config", "receive.advertiseAtomic", atomic, cwd=bare)
    work, elsewhere = clone(bare, tmp_path / "work"), clone(bare, tmp_path / "elsewhere")
    env = {"GITPW_WORKER": "ann", "PUSHED": str(tmp_path / "pushed"), "ELSEWHERE": str(elsewhere)}

    def pw(*words: str, cwd: Path = work) -> None:
        (answer,) = herd.run(Run(words, cwd, env))
        assert answer.exit == 0, str(answer)

    pw("init", "--no-hooks")
    with (work / ".gitpw.toml").open("a") as file:
        file.write('\n[merge]\ntest = "sh check.sh"\n')
    git("add", ".", cwd=work)
    git("commit", "-qm", "Set the rules", cwd=work)
    git("push", "-q", "origin", "main", cwd=work)
    git("pull", "-q", cwd=elsewhere)
    pw("task", "add", "Say hello")
    pw("claim", "task-001")
    tree = work / ".worktrees/task-001"
    (tree / "hello.txt").write_text("hello\n")
    git("add", ".", cwd=tree)
    git("commit", "-qm", "Say hello", cwd=tree)
    pw("complete", cwd=tree)
    pw("merge", "--once")
    assert git("log", "--format=%s", "-3", "main", cwd=bare).split("\n") == [
        "Say hello",
        "Faster",
        "Set the rules",
    ]
    assert git("for-each-ref", "--format=%(refname)", "refs/heads", cwd=bare) == "refs/heads/main"
