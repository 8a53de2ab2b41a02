"""Workers that are lost, laptops that sleep, and what is told of it: by clocks that jump."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults.clocks import HERE, THERE, Worker, library
from tests.support.git import environment, git
from tests.support.patience import SOON, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.fault

CLAIM = ("claim", "task-001", "--lease", "10m")


def commit(tree: Path, name: str = "src/auth/new.ts") -> str:
    """Make a commit in a worktree without any hook; its name."""
    (tree / name).write_text(f"export {{}} // {name}\n")
    git("add", ".", cwd=tree)
    git("commit", "-qm", "Work", "--no-verify", cwd=tree, env={"GITPW_WORKER": None})
    return git("rev-parse", "HEAD", cwd=tree)


def renewals(worker: Worker, minutes: int) -> int:
    """How often leases were renewed on their own."""
    events = worker.at(minutes, "log", "--all").data["events"]
    return sum(event["verb"] == "renew" for event in events)


# Who is there


def test_one_wrong_clock_declares_nobody_offline(hire: Callable[..., Worker]) -> None:
    """`worker`, `status` and `health` say alike that nobody is lost for sure; once another clock agrees, that she is."""
    alice, bob = hire("alice", HERE), hire("bob", THERE)
    alice.at(0, *CLAIM)

    def seen() -> list[str]:
        workers = bob.at(20, "worker", "list").data["workers"]
        workers += [bob.at(20, "worker", "show", "alice").data["worker"]]
        workers += bob.at(20, "status").data["workers"]
        return [one["status"] for one in workers if one["id"] == "alice"]

    assert seen() == ["working"] * 3
    healthy = bob.at(20, "health").data
    assert (healthy["lost"], healthy["overdue"]) == ([], [])
    assert [one["workerId"] for one in healthy["doubtful"]] == ["alice"]
    hire("dora", HERE).at(20, "task", "add", "More")
    assert seen() == ["offline"] * 3
    sick = bob.at(20, "health", check=1).data
    assert (sick["lost"], sick["code"]) == (["alice"], "failed")
    assert [(one["taskId"], one["lockedFiles"]) for one in sick["overdue"]] == [("task-001", ["src/auth"])]
    assert any("alice" in one and "task-001" in one for one in sick["problems"])


def test_health_changes_nothing(hire: Callable[..., Worker]) -> None:
    """It looks, and whoever is lost stays so until somebody claims or tidies."""
    alice, bob = hire("alice"), hire("bob")
    alice.at(0, *CLAIM)
    before = git("rev-parse", "refs/pw/locks/main", cwd=bob.work.parent / "up.git")
    bob.at(20, "health", check=1)
    assert git("rev-parse", "refs/pw/locks/main", cwd=bob.work.parent / "up.git") == before
    assert bob.at(16, "gc").data["expired"] == ["task-001"]
    assert bob.at(20, "health").data["problems"] == []
    shown = bob.at(20, "worker", "show", "alice").data["worker"]
    assert (shown["status"], shown["currentTasks"]) == ("offline", [])


# What a lost worker leaves


def test_the_next_one_is_told_where_the_work_is(hire: Callable[..., Worker]) -> None:
    """Only on the lost worker's host; and the next one begins on a branch of its own."""
    alice, bob = hire("alice"), hire("bob")
    claimed = alice.at(0, *CLAIM).data
    head = commit(Path(claimed["worktree"]))
    alice.at(1, "heartbeat", cwd=Path(claimed["worktree"]))
    tidied = bob.at(17, "gc").data
    assert head[:10] in tidied["left"][0]
    (left,) = bob.at(17, "task", "show", "task-001").data["left"]
    assert (left["workerId"], left["branchName"], left["head"]) == ("alice", claimed["branch"], head)
    assert (left["pushed"], left["here"], left["host"]) == (False, False, HERE)
    mine = bob.at(18, *CLAIM, "--continue")
    assert f"alice's work is on branch {claimed['branch']} at {head[:10]} (only on host {HERE})" in mine.err
    assert mine.data["branch"] == f"{claimed['branch']}-bob"
    assert mine.data["left"] == [{**left, "at": mine.data["left"][0]["at"]}]


@pytest.mark.parametrize("push", [("git", "push", "-q", "origin", "HEAD"), ("git-pw", "push")])
def test_what_was_pushed_can_be_continued(hire: Callable[..., Worker], push: tuple[str, ...]) -> None:
    """From where it stands on the remote, however it came there; what the lost worker has is never moved."""
    alice, bob = hire("alice"), hire("bob")
    claimed = alice.at(0, *CLAIM).data
    tree = Path(claimed["worktree"])
    head = commit(tree)
    if push[0] == "git":
        git(*push[1:], cwd=tree)
    else:
        alice.at(1, *push[1:], cwd=tree)
    alice.at(2, "progress", "--percent", "10", cwd=tree)
    (left,) = bob.at(18, "claim", "task-001").data["left"]
    assert (left["pushed"], left["here"]) == (True, True)
    again = bob.at(19, "claim", "task-001", "--continue")
    new = Path(again.data["worktree"])
    assert git("rev-parse", "HEAD", cwd=new) == head
    assert "this one begins there" in again.err
    commit(new, "src/auth/more.ts")
    bob.at(20, "push", cwd=new)
    there = git(
        "for-each-ref", "--format=%(refname:short)", "refs/heads/feat", cwd=alice.work.parent / "up.git"
    )
    assert set(there.split()) == {claimed["branch"], f"{claimed['branch']}-bob"}
    assert git("rev-parse", claimed["branch"], cwd=alice.work.parent / "up.git") == head


def test_work_of_its_own_is_kept_when_one_wants_to_continue(hire: Callable[..., Worker]) -> None:
    """Nothing is merged into commits that are there: the command for it is named."""
    alice, bob = hire("alice"), hire("bob")
    tree = Path(alice.at(0, *CLAIM).data["worktree"])
    commit(tree)
    alice.at(1, "push", cwd=tree)
    new = Path(bob.at(18, "claim", "task-001").data["worktree"])
    mine = commit(new, "src/auth/own.ts")
    again = bob.at(19, "claim", "task-001", "--continue")
    assert git("rev-parse", "HEAD", cwd=new) == mine
    assert f"git -C {new} merge" in again.err


def test_uncommitted_work_on_this_machine_is_named(hire: Callable[..., Worker]) -> None:
    """With its worktree, which stays as it is."""
    alice = hire("alice")
    bob = Worker("bob", HERE, alice.work, alice.herd)
    tree = Path(alice.at(0, *CLAIM).data["worktree"])
    head = commit(tree)
    (tree / "half.ts").write_text("const")
    told = bob.at(16, "claim", "task-001", "--continue")
    (left,) = told.data["left"]
    assert (left["head"], left["worktree"], left["changes"]) == (head, str(tree), 1)
    assert "1 uncommitted or untracked file" in told.err
    assert git("rev-parse", "HEAD", cwd=Path(told.data["worktree"])) == head
    assert (tree / "half.ts").read_text() == "const"


def test_who_comes_back_goes_on_with_its_own(hire: Callable[..., Worker]) -> None:
    """On its branch, at its commit, also in another clone."""
    alice = hire("alice")
    claimed = alice.at(0, *CLAIM).data
    head = commit(Path(claimed["worktree"]))
    alice.at(1, "push", cwd=Path(claimed["worktree"]))
    hire("bob").at(17, "gc")
    elsewhere = Worker("alice", THERE, hire("laptop", THERE).work, alice.herd)
    again = elsewhere.at(18, "claim", "task-001").data
    assert again["branch"] == claimed["branch"]
    assert git("rev-parse", "HEAD", cwd=Path(again["worktree"])) == head


# What is told of a lapsed lease


@pytest.mark.parametrize(
    "words", [("status",), ("task", "list"), ("log",), ("locks",), ("worker", "list"), ("task", "add", "X")]
)
def test_a_lapsed_lease_is_told_at_the_next_command(
    hire: Callable[..., Worker], words: tuple[str, ...]
) -> None:
    """Still mine, and what to do; after that it is over. The answer itself is as ever."""
    alice = hire("alice")
    tree = Path(alice.at(0, *CLAIM).data["worktree"])
    calm = alice.at(9, *words, cwd=tree)
    assert not any("your lease" in one for one in (*calm.data.get("warnings", ()), calm.err))
    if words[1:] == ("add", "X"):
        return  # which renews it
    told = alice.at(12, *words, cwd=tree)
    assert "your lease on task-001 ran out" in told.err
    assert "hint: 'git pw heartbeat' renews it" in told.err
    assert any("'git pw heartbeat' renews it" in one for one in told.data["warnings"])
    alice.at(12, "heartbeat", cwd=tree)
    assert "your lease" not in alice.at(12, *words, cwd=tree).err


def test_a_claim_that_was_taken_over_is_told_with_the_branch(hire: Callable[..., Worker]) -> None:
    """By whom, and that the work is kept; `release` ends it."""
    alice, bob = hire("alice"), hire("bob")
    claimed = alice.at(0, *CLAIM).data
    tree = Path(claimed["worktree"])
    bob.at(16, *CLAIM)
    told = alice.at(17, "task", "list", cwd=tree)
    assert "your claim on task-001 was taken over by bob" in told.err
    assert f"your work is kept on branch {claimed['branch']}; bob works on it now" in told.err
    assert told.err.count("taken over by bob") == 1
    elsewhere = alice.at(17, "task", "list")
    assert f"git pw -C {tree} release task-001" in elsewhere.err
    assert "taken over" not in alice.at(17 + 24 * 60, "task", "list").err
    alice.at(17, "release", "task-001", cwd=tree, check=None)
    assert "taken over" not in alice.at(17, "task", "list", cwd=tree).err


# Renewals without thought


def test_whatever_its_worker_asks_for_renews_a_lease_in_the_same_push(hire: Callable[..., Worker]) -> None:
    """When less than half is left, from any checkout of the machine; and not before."""
    alice = hire("alice")
    alice.at(0, *CLAIM)

    def expires() -> str:
        (lock,) = alice.at(0, "locks").data["locks"]
        return str(lock["expiresAt"])

    before = expires()
    alice.at(4, "task", "add", "Found")
    assert expires() == before
    alice.at(6, "task", "add", "Found too")
    assert expires() > before
    assert renewals(alice, 6) == 0


@pytest.fixture
def hooked(hire: Callable[..., Worker]) -> tuple[Worker, Path]:
    """Alice with hooks, in the worktree of her task, which she has begun."""
    alice = hire("alice")
    alice.at(0, "init")
    tree = Path(alice.at(0, *CLAIM).data["worktree"])
    alice.at(0, "start", cwd=tree)
    return alice, tree


def test_a_commit_renews_in_the_background(hooked: tuple[Worker, Path]) -> None:
    """The commit doesn't wait for it, and nothing of it holds the pipes of who has committed."""
    alice, tree = hooked
    for name, minutes in (("one.ts", 3), ("two.ts", 7)):
        (tree / name).write_text("export {}\n")
        assert alice.git(minutes, "add", ".", cwd=tree).exit == 0
        assert alice.git(minutes, "commit", "-qm", name, cwd=tree).exit == 0
    until(lambda: renewals(alice, 7))
    assert renewals(alice, 7) == 1
    head = git("rev-parse", "HEAD", cwd=tree)
    events = alice.at(7, "log", "--all").data["events"]
    assert events[-1]["verb"] == "renew"
    alice.at(30, "gc")
    (left,) = alice.at(30, "task", "show", "task-001").data["left"]
    assert left["head"] == head


def test_a_commit_doesnt_need_the_remote(hooked: tuple[Worker, Path]) -> None:
    """A renewal that can't be had fails nothing."""
    alice, tree = hooked
    (alice.work.parent / "up.git").rename(alice.work.parent / "gone.git")
    (tree / "one.ts").write_text("export {}\n")
    assert alice.git(7, "add", ".", cwd=tree).exit == 0
    assert alice.git(7, "commit", "-qm", "One", cwd=tree).exit == 0


# A laptop that sleeps


class Laptop:
    """A heartbeat on a machine whose clock can jump while it runs."""

    def __init__(self, worker: Worker, tree: Path, folder: Path) -> None:
        self.clock = folder / "clock"
        self.wake(0)
        about: dict[str, str | None] = {
            **worker.env(0),
            "FAKETIME": None,
            "FAKETIME_TIMESTAMP_FILE": str(self.clock),
            "LD_PRELOAD": str(library()),
        }
        self.err = folder / "err"
        self.out = folder / "out"
        with self.err.open("wb") as err, self.out.open("wb") as out:
            self.process = subprocess.Popen(
                [
                    Path(sys.executable).parent / "git-pw",
                    "--json",
                    "heartbeat",
                    "--every",
                    "5m",
                    "--parent",
                    "0",
                ],
                cwd=tree,
                env=environment(about),
                stdout=out,
                stderr=err,
                stdin=subprocess.DEVNULL,
            )
        until(lambda: b"pulse.py" in Path(f"/proc/{self.process.pid}/cmdline").read_bytes())

    def wake(self, minutes: int) -> None:
        """It is so many minutes later all at once."""
        fresh = self.clock.with_suffix(".new")
        fresh.write_text(f"{minutes:+}m\n")
        os.replace(fresh, self.clock)  # noqa: PTH105 - in one step


@pytest.fixture
def asleep(hire: Callable[..., Worker], tmp_path: Path) -> Iterator[tuple[Worker, Laptop]]:
    """Alice's laptop, with a claim and a heartbeat."""
    alice = hire("alice")
    laptop = Laptop(alice, Path(alice.at(0, *CLAIM).data["worktree"]), tmp_path)
    yield alice, laptop
    laptop.process.kill()
    laptop.process.wait()


def test_a_laptop_that_slept_renews_at_once(asleep: tuple[Worker, Laptop]) -> None:
    """Hours late, by the same token, since nobody has taken the claim over."""
    alice, laptop = asleep
    before = renewals(alice, 0)
    laptop.wake(180)
    until(lambda: renewals(alice, 180) > before)
    (lock,) = alice.at(181, "locks").data["locks"]
    assert alice.at(181, "task", "list").err == ""
    assert lock["workerId"] == "alice"
    assert laptop.process.poll() is None


def test_a_laptop_that_slept_too_long_is_told_and_ends(
    asleep: tuple[Worker, Laptop], hire: Callable[..., Worker]
) -> None:
    """With 5: the claim is another's by now."""
    _, laptop = asleep
    hire("bob").at(20, *CLAIM)
    laptop.wake(180)
    assert laptop.process.wait(SOON) == 5
    told = json.loads(laptop.out.read_text())
    assert told["code"] == "stale"
    assert "bob" in told["message"]
