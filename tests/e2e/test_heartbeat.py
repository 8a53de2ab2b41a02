"""`git pw heartbeat --every` as a real process: how it begins, whom it renews, and with what it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gitpw.cli import pulse
from tests.faults.clocks import require_faketime
from tests.support.cli import pw
from tests.support.git import clone, git, make_upstream
from tests.support.patience import SOON, until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.fault


@dataclass
class Shop:
    """A clone with a ledger, and heartbeats that are ended with the test."""

    work: Path
    folder: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def claim(self, worker: str) -> Path:
        """Add a task and claim it; its worktree."""
        pw("task", "add", f"For {worker}", cwd=self.work, check=0)
        return Path(pw("--as", worker, "claim", cwd=self.work, check=0).data["worktree"])

    def renewals(self) -> int:
        """How often leases were renewed on their own."""
        events = pw("log", "--all", cwd=self.work, check=0).data["events"]
        return sum(event["verb"] == "renew" for event in events)

    def beating(self, cwd: Path, *words: str, script: str = "exec git-pw --json heartbeat") -> Beating:
        """Start a heartbeat from a shell."""
        number = len(self.started)
        out, err = self.folder / f"{number}.out", self.folder / f"{number}.err"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                ["sh", "-c", f'{script} "$@"', "sh", *words], cwd=cwd, stdout=stdout, stderr=stderr
            )
        self.started.append(process)
        return Beating(process, out, err)


@dataclass(frozen=True)
class Beating:
    """A heartbeat that was started, and where its output goes."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    def pid(self) -> int:
        """The small process, once it sleeps."""
        return int(until(lambda: [pid for pid in self._candidates() if _sleeps(pid)])[0])

    def _candidates(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [self.process.pid, *map(int, children)]

    def answer(self) -> Any:
        """Its one document, once it has ended."""
        self.process.wait(SOON)
        return json.loads(self.out.read_text())


def _sleeps(pid: int) -> bool:
    with suppress(OSError):
        return b"pulse.py" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """An upstream on a path and a clone of it."""
    if not Path("/proc/self/task").is_dir():
        pytest.skip("there is no /proc")
    opened = Shop(clone(make_upstream(tmp_path / "up.git"), tmp_path / "work"), tmp_path)
    pw("init", "--no-hooks", cwd=opened.work, check=0)
    yield opened
    for process in opened.started:
        process.kill()
        process.wait()


def test_it_renews_and_takes_little_memory(shop: Shop) -> None:
    """The process that waits is a bare Python: a fraction of what a command takes."""
    beating = shop.beating(shop.claim("alice"), "--every", "1s")
    sleeper = beating.pid()
    status = Path(f"/proc/{sleeper}/status").read_text()
    size = int(status.partition("VmRSS:")[2].split()[0])
    assert size < 20_000
    until(lambda: shop.renewals() >= 2)


def test_it_ends_with_a_parent_that_is_killed(shop: Shop) -> None:
    """The shell that started it, also where git stands in between and lives on."""
    beating = shop.beating(
        shop.claim("alice"), "--every", "5m", script="trap : TERM; git pw --json heartbeat"
    )
    until(lambda: beating.err.exists() and _descendants(beating.process.pid))
    (sleeper,) = until(lambda: [pid for pid in _descendants(beating.process.pid) if _sleeps(pid)])
    beating.process.kill()
    until(lambda: not pulse.is_running(sleeper, ""))
    assert beating.answer() == {"ok": True, "beats": 1, "ended": "parent"}


def _descendants(pid: int) -> list[int]:
    """The processes below one."""
    found: list[int] = []
    todo = [pid]
    while todo:
        with suppress(OSError):
            children = Path(f"/proc/{(one := todo.pop())}/task/{one}/children").read_text().split()
            todo += map(int, children)
            found += map(int, children)
    return found


def test_it_ends_with_the_process_that_is_named(shop: Shop) -> None:
    """Whoever started it may be long gone: an agent's shells come and go."""
    tree = shop.claim("alice")
    with subprocess.Popen(["sleep", "600"]) as session:
        script = 'git-pw --json heartbeat "$@" & exit 0; :'
        beating = shop.beating(tree, "--every", "5m", "--parent", str(session.pid), script=script)
        beating.process.wait(SOON)
        until(lambda: "renewed task-001" in beating.err.read_text())
        assert beating.out.read_text() == ""
        session.kill()
    until(beating.out.read_text)
    assert json.loads(beating.out.read_text())["ended"] == "parent"


def test_it_ends_with_its_worktree_and_does_not_keep_it(shop: Shop) -> None:
    """It has its current folder elsewhere, so that the worktree can go; an own folder is none to work in."""
    tree = shop.claim("alice")
    beating = shop.beating(tree, "--every", "5m")
    beating.pid()
    pw("--as", "alice", "release", "task-001", cwd=shop.work, check=0)
    assert not tree.exists()
    assert beating.answer()["ended"] == "worktree"
    assert beating.process.returncode == 0


def test_a_worktree_that_is_deleted_ends_it(shop: Shop) -> None:
    """By hand, past git."""
    tree = shop.claim("alice")
    beating = shop.beating(tree, "--every", "1s")
    beating.pid()
    shutil.rmtree(tree)
    git("worktree", "prune", cwd=shop.work)
    assert beating.answer()["ended"] == "worktree"


def test_it_ends_when_its_claim_is_over(shop: Shop) -> None:
    """What was given back needs no renewal, and nobody did anything wrong."""
    tree = shop.claim("alice")
    beating = shop.beating(tree, "--every", "1s")
    beating.pid()
    pw("release", "--keep-worktree", cwd=tree, check=0)
    assert beating.answer()["ended"] == "over"
    assert beating.process.returncode == 0


def test_a_claim_that_was_taken_ends_it_with_5(shop: Shop, tmp_path: Path) -> None:
    """And with what the worker is to do."""
    tree = shop.claim("alice")
    (tree / "new.ts").write_text("export {}\n")
    git("add", ".", cwd=tree)
    git("commit", "-qm", "New", cwd=tree)
    pw("heartbeat", cwd=tree, check=0)
    beating = shop.beating(tree, "--every", "1s")
    beating.pid()
    pw("lock", "README.md", "--as", "alice", cwd=tree, check=0)
    other = clone(tmp_path / "up.git", tmp_path / "other")
    pw("--as", "bob", "unlock", "README.md", "--force", "--reason", "urgent", cwd=other, check=0)
    told = beating.answer()
    assert (beating.process.returncode, told["code"]) == (5, "stale")
    assert "bob" in told["message"]
    assert "feat/task-001-for-alice" in told["hint"]


def test_one_that_was_stopped_renews_when_it_goes_on(shop: Shop) -> None:
    """As after a suspend."""
    beating = shop.beating(shop.claim("alice"), "--every", "2s")
    sleeper = beating.pid()
    os.kill(sleeper, signal.SIGSTOP)
    until(lambda: pulse.fields(sleeper)[0] == "T")
    before = shop.renewals()
    time.sleep(4)
    assert shop.renewals() == before
    os.kill(sleeper, signal.SIGCONT)
    until(lambda: shop.renewals() > before)


def test_two_on_one_machine_make_one_push(shop: Shop) -> None:
    """Each renews what both hold, so the other has nothing to do: neither at its start nor later."""
    trees = [shop.claim("alice"), shop.claim("bob")]
    renewed = pw("heartbeat", cwd=trees[0], check=0).data["renewed"]
    assert {lock["taskId"] for lock in renewed} == {"task-001", "task-002"}
    assert shop.renewals() == 1
    both = [shop.beating(tree, "--every", "10m") for tree in trees]
    until(lambda: all("renewed task-002" in one.err.read_text() for one in both))
    quiet = [pw("hook", "beat", "500", cwd=tree, check=0).data["quiet"] for tree in trees]
    assert quiet == [True, True]
    assert shop.renewals() <= 2


def test_a_killed_worker_is_not_kept_alive_by_others(shop: Shop) -> None:
    """Its checkout gives no sign of life any more; one that does is renewed with the rest."""
    alice, bob, cy = (shop.claim(name) for name in ("alice", "bob", "cy"))
    later = {"FAKETIME": "+61m", **_faketime()}
    pw("status", cwd=cy, env={"FAKETIME": "+50m", **_faketime()}, check=0)
    renewed = pw("heartbeat", cwd=alice, env=later, check=0).data["renewed"]
    assert {lock["workerId"] for lock in renewed} == {"alice", "cy"}
    assert bob.exists()


def test_a_beat_without_a_session_keeps_nothing_alive_for_ever(shop: Shop) -> None:
    """It renews as long as there are other signs of life, and is none."""
    tree = shop.claim("alice")

    def alone(minutes: int, exit_: int) -> Any:
        env = {"FAKETIME": f"+{minutes}m", **_faketime()}
        return pw("hook", "beat", "270", "--alone", cwd=tree, env=env, check=exit_).data

    alone(40, 0)
    pw("status", cwd=tree, env={"FAKETIME": "+50m", **_faketime()}, check=0)
    alone(100, 0)
    assert "sign of life" in alone(112, 6)["message"]


def test_what_is_over_here_keeps_nothing_else_from_being_renewed(shop: Shop) -> None:
    """The main checkout stands for all that its worker holds; a task's worktree for its own claim alone."""
    tree = shop.claim("alice")
    pw("--as", "alice", "worker", "register", "--max-tasks", "2", cwd=shop.work, check=0)
    pw("task", "add", "More", cwd=shop.work, check=0)
    pw("--as", "alice", "claim", "--no-worktree", cwd=shop.work, check=0)
    pw("--as", "alice", "fail", "task-002", "--reason", "x", cwd=shop.work, check=0)
    renewed = pw("--as", "alice", "heartbeat", cwd=shop.work, check=0).data["renewed"]
    assert [lock["taskId"] for lock in renewed] == ["task-001"]
    pw("release", "--keep-worktree", cwd=tree, check=0)
    assert pw("heartbeat", cwd=tree, check=6).data["code"] == "invalid"


def _faketime() -> dict[str, str]:
    return {"LD_PRELOAD": str(require_faketime()), "FAKETIME_NO_CACHE": "1"}
