"""A repository without a remote that gains one: its ledger moves there whole, once, and never mixes with another."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.faults.shop import LEDGER, Shop, operations, real_git
from tests.support.git import clone, git, make_upstream, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.race.runner import Herd

pytestmark = pytest.mark.fault

KILLER = """#!/bin/sh
for word in "$@"; do
    [ "$word" = push ] || continue
    [ "$PW_WHEN" = before ] || {git} "$@"
    kill -9 $PPID
    exit 1
done
exec {git} "$@"
"""


@pytest.fixture
def alone(herd: Herd, tmp_path: Path) -> Shop:
    """A repository with a task, a claim and a lock, and without a remote; `bare` is the one it will have."""
    bare = tmp_path / "up.git"
    run(["git", "init", "-q", "--bare", "--initial-branch=main", bare])
    work = clone(make_upstream(tmp_path / "start.git"), tmp_path / "work")
    git("remote", "remove", "origin", cwd=work)
    shop = Shop(bare, work, herd)
    shop.pw("init", "--no-hooks")
    shop.task("Check passwords", "src/auth")
    shop.task("Count prices", "src/cart")
    shop.pw("claim", "task-001")
    shop.pw("lock", "README.md", worker="bob")
    return shop


def gain(shop: Shop) -> None:
    """Add the remote, with the history of the project and no ledger."""
    git("remote", "add", "origin", shop.bare, cwd=shop.work)
    git("push", "-q", "origin", "main", cwd=shop.work)


def held(shop: Shop) -> list[tuple[str, list[str]]]:
    """Who holds what."""
    return [(lock["workerId"], lock["lockedFiles"]) for lock in shop.pw("locks").data["locks"]]


def local(shop: Shop) -> list[int]:
    """The counters of the ledger of this machine."""
    return [one["counter"] for one in operations(shop.work / ".git/pw/store.git", LEDGER)]


HELD = [("alice", ["src/auth"]), ("bob", ["README.md"])]


def test_init_moves_the_ledger(alone: Shop) -> None:
    """Tasks, claims, locks, tokens and history go on where they were, now on the remote."""
    before = alone.pw("status").data
    gain(alone)
    moved = alone.pw("init", "--no-hooks").data
    assert (moved["moved"], moved["created"], moved["remote"]) == (True, False, "origin")
    after = alone.pw("status").data
    assert (after["tasks"], after["locks"]) == (before["tasks"], before["locks"])
    assert [worker["currentTasks"] for worker in after["workers"]] == [["task-001"], []]
    history = alone.operations()
    assert [one["counter"] for one in history] == list(range(1, len(history) + 1))
    alone.pw("progress", "--step", "1/2", "still mine")
    assert alone.operations()[-1]["request"]["verb"] == "progress"


def test_move_is_told_and_not_done_by_the_way(alone: Shop) -> None:
    """Until `init` moves it the ledger stays on this machine, works, and each command says so."""
    gain(alone)
    told = alone.pw("task", "add", "More")
    assert "git pw init" in told.err
    assert alone.tip() == ""
    assert held(alone) == HELD


def test_other_clones_join_the_moved_ledger(alone: Shop) -> None:
    """A clone that is made after the move joins by itself and sees what is held."""
    gain(alone)
    alone.pw("init", "--no-hooks")
    other = alone.another("other")
    assert held(other) == HELD
    assert other.pw("claim", "--no-worktree", worker="carol").data["task"]["id"] == "task-002"
    assert other.pw("lock", "README.md", worker="carol", check=3).data["holder"]["workerId"] == "bob"


def test_worktrees_move_with_it(alone: Shop) -> None:
    """A linked worktree that was made before the move works on the remote's ledger after it."""
    gain(alone)
    alone.pw("init", "--no-hooks")
    tree = alone.work / ".worktrees/task-001"
    (tree / "src/auth/login.ts").write_text("export {}\n")
    git("commit", "-qam", "Check", cwd=tree)
    alone.pw("complete", cwd=tree)
    assert [one["request"]["verb"] for one in alone.operations()][-1] == "complete"


def test_init_again_after_the_move_only_joins(alone: Shop) -> None:
    """A second `init` moves nothing."""
    gain(alone)
    alone.pw("init", "--no-hooks")
    tip = alone.tip()
    assert alone.pw("init", "--no-hooks").data["moved"] is False
    assert alone.tip() == tip


@pytest.fixture
def taken(alone: Shop, tmp_path: Path) -> Shop:
    """The remote that is gained has a ledger of its own; gives the shop of those who made that."""
    gain(alone)
    theirs = replace(alone, work=clone(alone.bare, tmp_path / "theirs"))
    theirs.pw("init", "--no-hooks", worker="zoe")
    theirs.pw("task", "add", "Theirs", worker="zoe")
    return theirs


def test_two_ledgers_are_never_merged(alone: Shop, taken: Shop) -> None:
    """With another ledger on the remote `init` is refused, and both stay as they are, and usable."""
    there, here = taken.tip(), local(alone)
    refused = alone.pw("init", "--no-hooks", check=78).data
    assert refused["code"] == "config"
    assert refused["hint"]
    assert (taken.tip(), local(alone)) == (there, here)
    assert held(alone) == HELD
    taken.pw("claim", "task-001", "--no-worktree", worker="zoe")


def test_dropping_ones_own_joins_theirs(alone: Shop, taken: Shop) -> None:
    """What the hint says works: `uninstall`, then `init`."""
    alone.pw("uninstall")
    (alone.work / ".gitpw.toml").unlink()
    assert alone.pw("init", "--no-hooks").data["created"] is False
    assert alone.pw("task", "show", "task-001").data["task"]["title"] == "Theirs"
    assert taken.pw("locks").data["locks"] == []


def killed_at_push(shop: Shop, folder: Path, when: str) -> None:
    """Begin to move the ledger, and be killed before or after the push that does it."""
    folder.mkdir()
    (folder / "git").write_text(KILLER.replace("{git}", real_git()))
    (folder / "git").chmod(0o755)
    gain(shop)
    env = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "PW_WHEN": when}
    assert shop.pw("init", "--no-hooks", check=None, env=env).exit == -9
    assert bool(shop.tip()) == (when == "after")


@pytest.mark.parametrize("when", ["before", "after"])
def test_interrupted_move_is_finished(alone: Shop, tmp_path: Path, when: str) -> None:
    """Killed before or after the push that moves the ledger, `init` is done again and nothing is lost or doubled."""
    before = local(alone)
    killed_at_push(alone, tmp_path / "killer", when)
    alone.pw("init", "--no-hooks")
    assert held(alone) == HELD
    history = [one["counter"] for one in alone.operations()]
    assert history == list(range(1, len(history) + 1))
    assert len(history) >= len(before)
    assert alone.pw("claim", "--no-worktree", worker="carol").data["task"]["id"] == "task-002"


def test_write_between_a_killed_move_and_the_next_init_is_not_lost(alone: Shop, tmp_path: Path) -> None:
    """A command after a killed move either is refused or is there once the move is done."""
    killed_at_push(alone, tmp_path / "killer", "before")
    added = alone.pw("task", "add", "In between", check=None)
    assert added.exit in {0, 78}, str(added)
    alone.pw("init", "--no-hooks")
    there = alone.pw("task", "list").data["tasks"]
    assert ("In between" in [task["title"] for task in there]) == (added.exit == 0)


def test_remote_that_refuses_leaves_the_ledger_here(alone: Shop) -> None:
    """A remote that doesn't take the ledger is named, and work goes on with the one of this machine."""
    gain(alone)
    hook = alone.bare / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho not permitted; exit 1\n")
    hook.chmod(0o755)
    before = local(alone)
    refused = alone.pw("init", "--no-hooks", check=1).data
    assert "not permitted" in f"{refused['message']} {refused['hint']}"
    assert held(alone) == HELD
    alone.pw("claim", "--no-worktree", worker="carol")
    assert len(local(alone)) > len(before)


def test_remote_that_is_down_leaves_the_ledger_here(alone: Shop) -> None:
    """A remote that can't be reached is named with 69, and work goes on with the ledger of this machine."""
    git("remote", "add", "origin", alone.work.parent / "nowhere.git", cwd=alone.work)
    alone.pw("init", "--no-hooks", check=69)
    assert held(alone) == HELD
    alone.pw("claim", "--no-worktree", worker="carol")
