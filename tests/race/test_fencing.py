"""Who loses a claim while handing the work in: the branch and the ledger move together, or neither does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.race.runner import Run
from tests.support.git import clone, git, run

if TYPE_CHECKING:
    from tests.conftest import Remote
    from tests.race.runner import Herd
    from tests.support.cli import Result

pytestmark = [pytest.mark.race, pytest.mark.timeout(240)]

ALICE, BOB = {"GITPW_WORKER": "alice"}, {"GITPW_WORKER": "bob"}
OVER = pytest.mark.parametrize(
    "remote", ["path", pytest.param("http", marks=pytest.mark.server)], indirect=True
)


def ask(herd: Herd, place: Path, *words: str) -> Result:
    """What a command says to Alice, who must be granted it."""
    (answer,) = herd.run(Run(words, place, ALICE))
    assert answer.exit == 0, str(answer)
    return answer


def work(herd: Herd, place: Path, number: int) -> tuple[str, str, str]:
    """Alice claims a new task and commits to its branch; the task, the branch and its head."""
    task = ask(herd, place, "task", "add", f"Task {number}", "--file", f"src/{number}").data["task"]["id"]
    claimed = ask(herd, place, "claim", task).data
    tree = Path(claimed["worktree"])
    (tree / f"src/{number}").mkdir()
    (tree / f"src/{number}/a.ts").write_text("export {}\n")
    git("add", ".", cwd=tree)
    git("commit", "-qm", f"Task {number}", cwd=tree)
    return task, claimed["branch"], git("rev-parse", "HEAD", cwd=tree)


@OVER
@pytest.mark.parametrize("verb", ["complete", "push"])
def test_branch_moves_only_with_the_claim(herd: Herd, remote: Remote, tmp_path: Path, verb: str) -> None:
    """Handed in while somebody voids the claim by force: the branch arrives if and only if that was granted first."""
    alice, bob = clone(remote.url, tmp_path / "alice"), clone(remote.url, tmp_path / "bob")
    ask(herd, alice, "init", "--no-hooks")
    for number in range(4):
        task, branch, head = work(herd, alice, number)
        words = [verb, task] if verb == "complete" else [verb]
        handed, voided = herd.run(
            Run(words, alice / ".worktrees" / task, ALICE),
            Run(["unlock", f"src/{number}", "--force", "--reason", "a race"], bob, BOB),
        )
        assert voided.exit == 0, str(voided)
        assert (handed.exit, handed.data.get("code")) in {(0, None), (5, "stale")}, str(handed)
        there = run(["git", "rev-parse", "-q", "--verify", f"refs/heads/{branch}"], remote.bare, check=False)
        assert there.out.strip() == (head if handed.exit == 0 else "")
        events = ask(herd, alice, "log", "--task", task).data["events"]
        verbs = [event["verb"] for event in events if event["verb"] in {verb, "unlock"}]
        assert verbs == ([verb, "unlock"] if handed.exit == 0 else ["unlock"]), str(handed)
