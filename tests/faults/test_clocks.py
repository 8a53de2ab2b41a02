"""Clocks that are wrong, leases that end and laptops that sleep: told by libfaketime, on hosts told by GITPW_HOST."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Served
from tests.faults.clocks import FAR, HERE, THERE, Worker
from tests.race.runner import Herd
from tests.support.git import clone, git, make_upstream, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.cli import Result

pytestmark = pytest.mark.fault


def expiry(answer: Result) -> datetime:
    """When a lock that was granted ends."""
    return datetime.fromisoformat(answer.data["lock"]["expiresAt"])


CLAIM = ("claim", "task-001", "--no-worktree", "--lease", "10m")


def test_own_host_judges_by_its_own_clock(hire: Callable[..., Worker]) -> None:
    """On the host that wrote the lease it is over when lease and tolerated skew have passed, and not before."""
    alice, bob = hire("alice"), hire("bob")
    alice.at(0, *CLAIM)
    assert bob.at(14, *CLAIM, check=3).data["holder"]["workerId"] == "alice"
    taken = bob.at(16, *CLAIM).data
    assert taken["lock"]["workerId"] == "bob"


def test_takeover_has_a_greater_token_and_is_told(hire: Callable[..., Worker]) -> None:
    """The token grows at a takeover, and the former holder is told by whom with 5, whatever it tries."""
    alice, bob = hire("alice"), hire("bob")
    token = alice.at(0, *CLAIM).data["lock"]["token"]
    assert bob.at(16, *CLAIM).data["lock"]["token"] > token
    for words in (("progress", "--percent", "50"), ("complete",), ("heartbeat",), ("start",)):
        stale = alice.at(17, *words, check=5).data
        assert (stale["code"], "bob" in stale["message"]) == ("stale", True), words
    assert bob.at(17, "progress", "--percent", "10").data["progress"]["workerId"] == "bob"


def test_another_host_needs_a_second_clock(hire: Callable[..., Worker]) -> None:
    """One's own clock isn't enough on another host; it is when a third host has written later than the lease."""
    alice, bob = hire("alice", HERE), hire("bob", THERE)
    alice.at(0, *CLAIM)
    refused = bob.at(20, *CLAIM, check=3).data
    assert "another clock" in refused["hint"]
    hire("carol", FAR).at(20, "task", "add", "More")
    assert bob.at(20, *CLAIM).data["lock"]["workerId"] == "bob"


def test_the_holders_host_is_a_second_clock(hire: Callable[..., Worker]) -> None:
    """That the lease's own host has gone on writing after its end is evidence enough."""
    alice, bob = hire("alice", HERE), hire("bob", THERE)
    alice.at(0, *CLAIM)
    hire("dora", HERE).at(20, "task", "add", "More")
    assert bob.at(20, *CLAIM).data["lock"]["workerId"] == "bob"


def test_suspicion_counts_after_ten_minutes(hire: Callable[..., Worker]) -> None:
    """Alone with its clock a host marks the lease, and may take over ten minutes later."""
    alice, bob = hire("alice", HERE), hire("bob", THERE)
    alice.at(0, *CLAIM)
    assert bob.at(20, "gc").data["suspected"]
    bob.at(29, *CLAIM, check=3)
    assert bob.at(31, *CLAIM).data["lock"]["workerId"] == "bob"


def test_renewal_clears_a_suspicion(hire: Callable[..., Worker]) -> None:
    """A holder that gives a sign of life after the mark keeps the claim."""
    alice, bob = hire("alice", HERE), hire("bob", THERE)
    alice.at(0, *CLAIM)
    bob.at(20, "gc")
    alice.at(25, "heartbeat")
    assert bob.at(31, *CLAIM, check=3).data["holder"]["workerId"] == "alice"


def test_gc_returns_what_is_overdue(hire: Callable[..., Worker]) -> None:
    """`gc` gives the task of a lost worker back to the queue, and `health` says so before."""
    alice, bob = hire("alice"), hire("bob")
    alice.at(0, *CLAIM)
    bob.at(16, "health", check=1)
    assert bob.at(16, "gc").data["expired"] == ["task-001"]
    assert bob.at(16, "task", "show", "task-001").data["task"]["status"] == "pending"
    bob.at(16, "health")


def test_fast_host_cannot_steal(hire: Callable[..., Worker]) -> None:
    """A host whose clock is two hours fast takes nothing over, and helps no other host to do so."""
    alice, bob, carol = hire("alice", HERE), hire("bob", THERE), hire("carol", FAR)
    alice.at(0, "claim", "task-001", "--no-worktree")
    bob.at(120, "claim", "task-001", "--no-worktree", check=3)
    bob.at(120, "task", "add", "From the future")
    bob.at(121, "claim", "task-001", "--no-worktree", check=3)
    carol.at(1, "claim", "task-001", "--no-worktree", check=3)
    assert carol.at(1, "gc").data["claims"] == []
    alice.at(2, "progress", "--percent", "10")


def test_fast_host_cannot_steal_from_whoever_works_on(hire: Callable[..., Worker]) -> None:
    """Its mark and ten minutes of its own clock don't make a lease end whose holder gave a sign of life meanwhile."""
    alice, bob = hire("alice", HERE), hire("bob", THERE)
    alice.at(0, "claim", "task-001", "--no-worktree")
    assert bob.at(120, "gc").data["suspected"]
    alice.at(5, "progress", "--percent", "10")
    bob.at(131, "claim", "task-001", "--no-worktree", check=3)


def test_fast_host_cannot_block(hire: Callable[..., Worker]) -> None:
    """A lease that was written in the future counts from when it was first seen."""
    alice, bob = hire("alice", HERE), hire("bob", THERE)
    alice.at(180, *CLAIM)
    assert bob.at(0, "gc").data["suspected"]
    bob.at(14, *CLAIM, check=3)
    assert bob.at(16, *CLAIM).data["lock"]["workerId"] == "bob"


def test_fast_clock_is_reported(hire: Callable[..., Worker]) -> None:
    """`status` and `doctor` name the host whose clock is ahead."""
    alice, bob = hire("alice", HERE), hire("bob", THERE)
    bob.at(120, "task", "add", "From the future")
    assert any(THERE in warning for warning in alice.at(0, "status").data["warnings"])
    found = alice.at(0, "doctor", check=None).data["findings"]
    assert any(one["code"] == "clock" and THERE in one["message"] for one in found)


def test_doctor_finds_what_is_overdue(hire: Callable[..., Worker]) -> None:
    """It names the task, `--fix` gives it back to the queue, and then there is nothing left."""
    alice = hire("alice")
    alice.at(0, *CLAIM)
    hire("bob").at(0, "lock", "README.md")

    def found(minutes: int, *words: str) -> list[tuple[str, bool]]:
        findings = alice.at(minutes, "doctor", *words, check=None).data["findings"]
        return [(one["message"], one["fixed"]) for one in findings if one["code"] == "claims"]

    assert found(10) == []
    names = ["the claim of task-001 by alice is overdue", "the claim of README.md by bob is overdue"]
    assert sorted(found(131)) == [(name, False) for name in sorted(names)]
    assert sorted(found(131, "--fix")) == [(name, True) for name in sorted(names)]
    assert found(132) == []


@pytest.mark.server
@pytest.mark.parametrize(
    ("minutes", "way"), [(12, "12 minutes ahead of"), (-12, "12 minutes behind"), (1, "")]
)
def test_doctor_compares_this_clock_with_the_remotes(
    timeless: Herd, served: Served, tmp_path: Path, minutes: int, way: str
) -> None:
    """Where the remote says what time it is, as web servers do."""
    name = served.new_name()
    make_upstream(served.root / name)
    alice = Worker("alice", HERE, clone(served.server("http").url(name), tmp_path / "work"), timeless)
    alice.at(minutes, "init", "--no-hooks")
    findings = alice.at(minutes, "doctor", check=None).data["findings"]
    told = [one["message"] for one in findings if one["code"] == "clock"]
    assert told == ([f"this clock is {way} that of origin"] if way else [])


def test_slept_laptop_goes_on_if_nobody_took_over(hire: Callable[..., Worker]) -> None:
    """Hours after the lease has ended its holder renews it by the old token, as long as nobody took the claim over."""
    alice = hire("alice")
    granted = alice.at(0, *CLAIM)
    alice.at(180, "progress", "--percent", "10")
    held = alice.at(180, "claim", "task-001", "--no-worktree")
    assert held.data["lock"]["token"] == granted.data["lock"]["token"]
    assert (expiry(held) - expiry(granted)).total_seconds() > 170 * 60
    hire("bob").at(181, *CLAIM, check=3)


def test_worker_looks_offline_when_all_it_holds_is_overdue(hire: Callable[..., Worker]) -> None:
    """`status` says that it is offline, and warns."""
    alice, bob = hire("alice"), hire("bob")
    alice.at(0, *CLAIM)
    status = bob.at(20, "status").data
    assert [worker["status"] for worker in status["workers"] if worker["id"] == "alice"] == ["offline"]
    assert any("alice" in warning for warning in status["warnings"])


def test_bare_claim_takes_what_is_overdue(hire: Callable[..., Worker]) -> None:
    """Everyone judges leases when claiming: a task that only an overdue claim holds is to be had without `gc`."""
    alice, bob = hire("alice"), hire("bob")
    alice.at(0, *CLAIM)
    assert bob.at(16, "claim", "--no-worktree").data["task"]["id"] == "task-001"


def test_lock_takes_over_what_is_overdue(hire: Callable[..., Worker]) -> None:
    """Files of an overdue claim can be locked, and the whole claim is lost with the first of them."""
    alice, bob = hire("alice"), hire("bob")
    alice.at(0, *CLAIM)
    bob.at(16, "lock", "src/auth/login.ts")
    assert alice.at(17, "progress", "--percent", "50", check=5).data["code"] == "stale"
    assert bob.at(17, "task", "show", "task-001").data["task"]["status"] == "pending"


@pytest.fixture
def stale(hire: Callable[..., Worker]) -> tuple[Worker, Path, str]:
    """Alice has a worktree with a commit and one more change staged, and Bob has taken her task over."""
    alice, bob = hire("alice"), hire("bob")
    alice.at(0, "init")
    granted = alice.at(0, "claim", "task-001", "--lease", "10m").data
    tree = Path(granted["worktree"])
    (tree / "src/auth/login.ts").write_text("export {}\n")
    assert alice.git(1, "commit", "-qam", "Check", cwd=tree).exit == 0
    (tree / "src/auth/session.ts").write_text("export {}\n")
    git("add", ".", cwd=tree)
    bob.at(40, *CLAIM)
    return alice, tree, granted["branch"]


def test_stale_holder_cannot_commit(stale: tuple[Worker, Path, str]) -> None:
    """The pre-commit hook stops whoever lost the claim, says who has it, and leaves what is staged."""
    alice, tree, _ = stale
    head = git("rev-parse", "HEAD", cwd=tree)
    refused = alice.git(45, "commit", "-m", "More", cwd=tree)
    assert refused.exit != 0
    assert "bob" in refused.err
    assert git("rev-parse", "HEAD", cwd=tree) == head
    assert git("diff", "--cached", "--name-only", cwd=tree) == "src/auth/session.ts"


def test_stale_holder_cannot_push(stale: tuple[Worker, Path, str], tmp_path: Path) -> None:
    """Neither `git push`, stopped by the hook, nor `git pw push` nor `git pw complete` moves the branch."""
    alice, tree, branch = stale
    git("stash", cwd=tree)
    refused = alice.git(45, "push", "origin", "HEAD", cwd=tree)
    assert refused.exit != 0
    assert "bob" in refused.err
    for words in (("push",), ("complete",)):
        assert alice.at(45, *words, cwd=tree, check=5).data["code"] == "stale"
    there = run(
        ["git", "rev-parse", "-q", "--verify", f"refs/heads/{branch}"], tmp_path / "up.git", check=False
    )
    assert there.out == ""


def test_stale_holder_keeps_the_work(stale: tuple[Worker, Path, str]) -> None:
    """Release is refused as stale or answers that nothing is held; worktree, commits and changes stay."""
    alice, tree, branch = stale
    released = alice.at(45, "release", cwd=tree, check=None)
    assert released.exit in {0, 5, 6}, str(released)
    alice.at(46, "gc")
    assert (tree / "src/auth/session.ts").read_text() == "export {}\n"
    assert git("log", "-1", "--format=%s", branch, cwd=alice.work) == "Check"
