"""kill -9 at any moment: the next command finishes or undoes what was begun, and nothing of the user's is gone.

Two kinds of moments. Some are spread over the time that the command takes. The others are exact: a `git` that comes
first on PATH kills its parent, git-pw, before or after it does what it was asked for, at its first call, its second …
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.shop import Shop, furnish, intact, keepsakes, real_git
from tests.support.git import clone, git, make_upstream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.race.runner import Herd
    from tests.support.cli import Result

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]

MOMENTS = 20
WHENS = ("before", "after")
KILLER = """#!/bin/sh
calls=$(($(cat "$PW_CALLS") + 1))
echo "$calls" >"$PW_CALLS"
[ "$calls:$PW_WHEN" = "$PW_AT:before" ] && kill -9 $PPID && exit 1
[ "$calls:$PW_WHEN" = "$PW_AT:after" ] || exec {git} "$@"
{git} "$@"
kill -9 $PPID
"""


@dataclass(frozen=True)
class Killer:
    """A folder with the `git` that kills, and the file in which it counts its calls."""

    folder: Path

    def env(self, at: int, when: str) -> dict[str, str | None]:
        """The environment in which git-pw is killed before or after its nth call of git; the count starts anew."""
        (self.folder / "calls").write_text("0")
        path = f"{self.folder}{os.pathsep}{os.environ['PATH']}"
        return {"PATH": path, "PW_CALLS": str(self.folder / "calls"), "PW_AT": str(at), "PW_WHEN": when}


@pytest.fixture
def killer(tmp_path: Path) -> Killer:
    """A git that kills whoever called it."""
    folder = tmp_path / "killer"
    folder.mkdir()
    (folder / "git").write_text(KILLER.format(git=real_git()))
    (folder / "git").chmod(0o755)
    return Killer(folder)


def each_call(shop: Shop, killer: Killer, *words: str, whens: tuple[str, ...] = WHENS) -> Iterator[Result]:
    """Run a command again and again, killed a call of git later each time, until it isn't killed any more.

    Whoever iterates makes everything ready for the next run.
    """
    for at in range(1, 40):
        for when in whens:
            answer = shop.pw(*words, check=None, env=killer.env(at, when))
            if answer.exit != -9:
                assert at > 2, f"git was hardly called\n{answer}"
                assert answer.exit == 0, str(answer)
                return
            yield answer
    raise AssertionError(f"{words} called git without end")


def agree(shop: Shop, task: str, worker: str = "alice") -> dict[str, Any]:
    """Task, locks and worker tell the same story: held by the worker, or by nobody; gives the task."""
    status = shop.pw("status").data
    found: dict[str, Any] = shop.pw("task", "show", task).data["task"]
    locks = [lock for lock in status["locks"] if lock["taskId"] == task]
    workers = [one for one in status["workers"] if task in one["currentTasks"]]
    if found["status"] == "pending":
        assert (locks, workers, found["assignedTo"], found["token"]) == ([], [], None, None)
    else:
        assert [lock["workerId"] for lock in locks] == [worker] == [found["assignedTo"]]
        assert [lock["token"] for lock in locks] == [found["token"]]
        assert [one["id"] for one in workers] == ([worker] if found["status"] != "completed" else [])
    return found


def usable(shop: Shop, answer: Result) -> Path:
    """The claim's worktree is there, whole and clean, on its branch, unlocked, and knows its claim."""
    tree, branch = Path(answer.data["worktree"]), answer.data["branch"]
    assert git("symbolic-ref", "--short", "HEAD", cwd=tree) == branch
    assert git("status", "--porcelain", cwd=tree) == ""
    assert git("ls-files", cwd=tree) == git("ls-tree", "-r", "--name-only", "HEAD", cwd=tree)
    assert git("rev-parse", "HEAD", cwd=tree) == git("rev-parse", "origin/main", cwd=shop.work)
    folder = Path(git("rev-parse", "--absolute-git-dir", cwd=tree))
    assert not (folder / "locked").exists()
    owned = json.loads((folder / "pw/claims.json").read_text())
    assert [(own["task"], own["token"]) for own in owned] == [
        (answer.data["task"]["id"], answer.data["lock"]["token"])
    ]
    return tree


def sound(shop: Shop) -> None:
    """Git finds nothing wrong with the user's repository, with the store and with the upstream."""
    for repository in (shop.work, shop.work / ".git/pw/store.git", shop.bare):
        intact(repository)


def claim_again(shop: Shop) -> Result:
    """Claim, as somebody does whose first attempt was killed.

    A push that outlives its killed git-pw may win only while the second claim is made: that one is then told so, and
    what to say instead.
    """
    answer = shop.pw("claim", check=None)
    if answer.exit == 6:
        assert answer.data["holding"] == ["task-001"], str(answer)
        assert "git pw claim task-001" in answer.data["hint"]
        answer = shop.pw("claim", "task-001")
    assert answer.exit == 0, str(answer)
    return answer


def recovered(shop: Shop, before: dict[str, object], *, tidy: bool) -> None:
    """After a killed claim: all agree, a claim by that name stands, and everything of the user's is as it was."""
    if tidy:
        shop.pw("gc")
        agree(shop, "task-001")
    usable(shop, claim_again(shop))
    assert agree(shop, "task-001")["status"] == "claimed"
    assert keepsakes(shop.work) == before


@pytest.mark.parametrize("part", range(4))
def test_claim_killed_at_twenty_moments(shop: Shop, part: int) -> None:
    """Wherever in its run time a claim is killed, alone or with all it started, the next claim or gc mends it."""
    shop.task("Check passwords", "src/auth", "docs/**")
    furnish(shop.work)
    before = keepsakes(shop.work)
    began = time.monotonic()
    shop.pw("claim")
    took = time.monotonic() - began
    for moment in range(part, MOMENTS, 4):
        shop.pw("release", "task-001")
        shop.pw("claim", check=None, kill=took * (moment + 0.5) / MOMENTS, group=moment % 8 < 4)
        recovered(shop, before, tidy=moment % 3 == 0)
    sound(shop)


def test_claim_killed_in_the_middle_of_a_checkout(herd: Herd, tmp_path: Path) -> None:
    """A worktree that has only some of its files, one of them half written, gets the rest."""
    files = {f"src/{number % 40}/{number}.ts": f"// {number}\n" * 200 for number in range(4_000)}
    bare = make_upstream(tmp_path / "up.git", {"README.md": "Big\n", "docs/guide.md": "", **files})
    shop = Shop(bare, clone(bare, tmp_path / "work"), herd)
    shop.pw("init", "--no-hooks")
    shop.task("Check passwords", "src/1")
    before = keepsakes(shop.work)
    began = time.monotonic()
    shop.pw("claim")
    took = time.monotonic() - began
    for moment in range(6):
        shop.pw("release", "task-001")
        shop.pw("claim", check=None, kill=took * (0.25 + moment / 8), group=moment % 2 == 0)
        recovered(shop, before, tidy=False)
    sound(shop)


def is_gone(shop: Shop, tree: Path) -> bool:
    """Whether a worktree goes: one in which a killed command's children are still at work goes when they have ended."""
    until = time.monotonic() + 20
    while tree.exists() and time.monotonic() < until:
        shop.pw("worktree", "remove", "task-001", check=None)
    return not tree.exists()


def test_claim_killed_at_each_call_of_git(shop: Shop, killer: Killer) -> None:
    """Before and after each call of git that a claim makes, it can be killed and is mended by the next claim or gc."""
    shop.task("Check passwords", "src/auth", "docs/**")
    furnish(shop.work)
    before = keepsakes(shop.work)
    for number, _ in enumerate(each_call(shop, killer, "claim")):
        recovered(shop, before, tidy=number % 4 in {1, 2})
        shop.pw("release", "task-001")
        assert is_gone(shop, shop.work / ".worktrees/task-001")
    sound(shop)
    assert len({claim["id"] for claim in shop.operations("claim")}) == len(shop.operations("claim"))


def test_release_killed_at_each_call_of_git(shop: Shop, killer: Killer) -> None:
    """A killed release has given the task back or not; doing it again is safe, and the task can be claimed anew."""
    shop.task("Check passwords", "src/auth")
    furnish(shop.work)
    before = keepsakes(shop.work)
    usable(shop, shop.pw("claim"))
    for _ in each_call(shop, killer, "release", "task-001"):
        held = agree(shop, "task-001")["status"] == "claimed"
        again = shop.pw("release", "task-001", check=None)
        assert again.exit == 0 if held else again.exit in {0, 6}, str(again)
        assert agree(shop, "task-001")["status"] == "pending"
        usable(shop, shop.pw("claim", "task-001"))
        assert keepsakes(shop.work) == before
    sound(shop)


def test_killed_release_keeps_what_is_not_committed(shop: Shop, killer: Killer) -> None:
    """A file that was never committed outlives every killed release, and the one that isn't killed."""
    shop.task("Check passwords", "src/auth")
    tree = usable(shop, shop.pw("claim"))
    (tree / "notes.txt").write_text("mine\n")
    for _ in each_call(shop, killer, "release", "task-001", whens=("after",)):
        assert (tree / "notes.txt").read_text() == "mine\n"
        shop.pw("claim", "task-001")
    assert (tree / "notes.txt").read_text() == "mine\n"


def committed(shop: Shop, number: int) -> str:
    """Claim a new task and commit to its branch; its id."""
    task = shop.task(f"Task {number}", f"src/{number}.ts")
    tree = Path(shop.pw("claim", task).data["worktree"])
    (tree / f"src/{number}.ts").write_text("export {}\n")
    git("add", ".", cwd=tree)
    git("commit", "-qm", f"Task {number}", cwd=tree)
    return task


def test_complete_killed_at_each_call_of_git(shop: Shop, killer: Killer) -> None:
    """A killed complete is finished by the next: one place in the queue, and the branch on the remote with it."""
    task = committed(shop, 0)
    queue = []
    env: dict[str, str | None] = {}
    for number in range(1, 60):
        at, when = divmod(number - 1, 2)
        env = killer.env(at + 1, WHENS[when])
        if shop.pw("complete", task, check=None, env=env).exit != -9:
            break
        done = shop.pw("complete", task).data
        queue.append(task)
        assert done["position"] == len(queue)
        head = git("rev-parse", f"refs/heads/{done['task']['metadata']['branchName']}", cwd=shop.bare)
        assert head == git("rev-parse", "HEAD", cwd=shop.work / ".worktrees" / task)
        assert agree(shop, task)["status"] == "completed"
        task = committed(shop, number)
    assert len(queue) > 4
    assert [merge["taskId"] for merge in shop.pw("merge", "list").data["merges"]] == [*queue, task]
    assert len(shop.operations("complete")) == len(queue) + 1
    sound(shop)


def test_lock_killed_at_each_call_of_git(shop: Shop, killer: Killer) -> None:
    """A killed lock is there once or not at all; locking again gives the same lock."""
    for _ in each_call(shop, killer, "lock", "src/auth"):
        assert len(shop.pw("locks").data["locks"]) <= 1
        shop.pw("lock", "src/auth")
        (held,) = shop.pw("locks").data["locks"]
        assert (held["workerId"], held["lockedFiles"]) == ("alice", ["src/auth"])
        shop.pw("unlock", "src/auth")
    sound(shop)


def test_init_killed_at_each_call_of_git(herd: Herd, killer: Killer, tmp_path: Path) -> None:
    """A killed init is finished by the next: one ledger, named in .gitpw.toml, with hooks that fire."""
    for number in range(1, 60):
        bare = make_upstream(tmp_path / f"{number}/up.git")
        shop = Shop(bare, clone(bare, tmp_path / f"{number}/work"), herd)
        at, when = divmod(number - 1, 2)
        env = killer.env(at + 1, WHENS[when])
        if shop.pw("init", check=None, env=env).exit != -9:
            assert number > 6
            return
        ledger = shop.pw("init").data["ledger"]
        (begun,) = shop.operations()
        assert begun["request"]["ledger"] == ledger
        assert f'ledger = "{ledger}"' in (shop.work / ".gitpw.toml").read_text()
        findings = shop.pw("doctor").data["findings"]
        assert [one["level"] for one in findings if one["code"] == "hooks"] == ["ok"]
        intact(shop.work)
    raise AssertionError("init called git without end")
