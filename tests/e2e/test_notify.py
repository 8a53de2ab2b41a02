"""Notifications by real processes: once, in the background, after crashes too, and without a secret anywhere."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.cli import Result, pw
from tests.support.git import clone, git, make_upstream
from tests.support.listener import Listener, Says

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "t0p-s3cret"
RULES = """
[notify]
urls = ["env:PW_HOOK"]
secret = "env:PW_SECRET"
"""


class Shop:
    """A clone whose rules have a listener told."""

    def __init__(self, bare: Path, work: Path, listener: Listener) -> None:
        self.bare, self.work, self.listener = bare, work, listener

    def pw(self, *words: str, **more: Any) -> Result:
        """Run git-pw in the clone."""
        return pw(*words, **{"cwd": self.work, **more})

    def add(self, title: str = "Fix auth", *words: str) -> None:
        """A task."""
        self.pw("task", "add", title, *words, check=0)

    def rules(self, text: str) -> None:
        """Put rules on the base branch."""
        file = self.work / ".gitpw.toml"
        head = file.read_text().partition("\n[notify]")[0]
        file.write_text(head + text)
        git("add", "-A", cwd=self.work)
        git("commit", "-qm", "rules", cwd=self.work)
        git("push", "-q", "origin", "main", cwd=self.work)

    def spool(self, work: Path | None = None) -> Path:
        """Where notices wait."""
        return (work or self.work) / ".git/pw/notify"

    def settle(self, work: Path | None = None) -> list[Path]:
        """Wait until nobody sends any more; the notices that are left for later."""
        spool, until = self.spool(work), time.monotonic() + 40
        while time.monotonic() < until:
            if not _sending(spool) and not [one for one in spool.glob("*.json") if _due(one)]:
                return list(spool.glob("*.json"))
            time.sleep(0.05)
        raise AssertionError(f"still sending: {list(spool.iterdir())}")

    def told(self, *events: str) -> list[tuple[str, str | None]]:
        """The events that were told and their tasks, of these kinds or of all."""
        found = [(one.event, one.data["taskId"]) for one in self.listener.told]
        return [one for one in found if not events or one[0] in events]


def _due(path: Path) -> bool:
    try:
        return path.stat().st_mtime <= time.time()
    except FileNotFoundError:
        return False


def _sending(spool: Path) -> bool:
    try:
        with (spool / "lock").open("rb+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    """A server whose address, and the secret, are in the environment."""
    with Listener() as running:
        monkeypatch.setenv("PW_HOOK", running.url)
        monkeypatch.setenv("PW_SECRET", SECRET)
        yield running


@pytest.fixture
def shop(tmp_path: Path, listener: Listener) -> Shop:
    """A clone with a ledger, rules on the base branch, and no task."""
    bare = make_upstream(tmp_path / "shop.git")
    shop = Shop(bare, clone(str(bare), tmp_path / "work"), listener)
    shop.pw("init", check=0)
    shop.rules(RULES)
    return shop


def test_the_life_of_a_task_is_told(shop: Shop) -> None:
    """Claimed, refused, completed, merged: once each, in order, signed, and with ids of their own."""
    shop.add()
    claim = shop.pw("claim", check=0).data
    shop.pw("--as", "bob", "claim", "task-001", check=3)
    tree = Path(claim["worktree"])
    (tree / "README.md").write_text("new\n")
    git("commit", "-qam", "work", cwd=tree)
    shop.pw("complete", cwd=tree, check=0)
    shop.pw("merge", "--once", check=0)
    told = shop.listener.wait(4)
    assert shop.settle() == []
    assert shop.told() == [(name, "task-001") for name in ("claimed", "refused", "completed", "merged")]
    assert all(one.signed_with(SECRET) for one in told)
    assert len({one.data["id"] for one in told}) == 4
    assert told[3].data["commit"] == git("rev-parse", "main", cwd=shop.bare)
    assert {one.data["repository"] for one in told} == {"shop"}


def test_hostile_titles_are_text(shop: Shop) -> None:
    """In a document, and in a chat."""
    shop.rules('\n[notify]\nurls = ["env:PW_HOOK", "env:PW_SLACK"]\n')
    title = '"}<!channel> $(touch x) `id` \u202eevil \u2603'
    shop.add(title)
    with Listener() as slack:
        shop.pw("claim", "--no-worktree", env={"PW_SLACK": f"slack+{slack.url}"}, check=0)
        assert shop.listener.wait()[0].data["title"] == title
        text = slack.wait()[0].data["text"]
    assert "&lt;!channel&gt;" in text
    assert "\u202e" not in text


def test_refusals_are_told_once_in_a_while(shop: Shop) -> None:
    """Who asks in a loop is one piece of news."""
    shop.add()
    shop.pw("claim", "--no-worktree", check=0)
    for _ in range(3):
        shop.pw("--as", "bob", "claim", "task-001", check=3)
    shop.listener.wait(2)
    shop.settle()
    assert shop.told() == [("claimed", "task-001"), ("refused", "task-001")]


def test_what_fails_needs_a_person(shop: Shop) -> None:
    """Two events of one operation."""
    shop.add()
    shop.pw("claim", check=0)
    shop.pw("fail", "task-001", "--reason", "no idea", check=0)
    shop.listener.wait(3)
    assert sorted(shop.told()[1:]) == [("failed", "task-001"), ("needs_person", "task-001")]


def test_a_conflict_is_told(shop: Shop) -> None:
    """By the merger, about the owner."""
    shop.add()
    tree = Path(shop.pw("claim", check=0).data["worktree"])
    (tree / "README.md").write_text("ours\n")
    git("commit", "-qam", "work", cwd=tree)
    (shop.work / "README.md").write_text("theirs\n")
    git("commit", "-qam", "direct", "--no-verify", cwd=shop.work)
    git("push", "-q", "--no-verify", "origin", "main", cwd=shop.work)
    shop.pw("complete", "task-001", cwd=tree, check=0)
    shop.pw("merge", "--once")
    told = shop.listener.wait(3)
    assert shop.told("conflict") == [("conflict", "task-001")]
    assert "README.md" in told[-1].data["reason"]


def test_two_machines_that_see_the_same_tell_it_once(shop: Shop, tmp_path: Path) -> None:
    """A lost worker, found by gc in two clones at once: who wrote it tells."""
    shop.add()
    shop.pw("claim", "--no-worktree", "--lease", "1s", check=0)
    other = clone(str(shop.bare), tmp_path / "other")
    pw("locks", cwd=other, check=0)
    later = {
        "GITPW_WORKER": "eve",
        "LD_PRELOAD": _faketime(),
        "FAKETIME": "+20m",
    }
    processes = [
        subprocess.Popen(["git-pw", "gc"], cwd=cwd, env={**os.environ, **later}, stdout=subprocess.DEVNULL)
        for cwd in (shop.work, other)
    ]
    assert [process.wait(60) for process in processes] == [0, 0]
    shop.listener.wait(2)
    shop.settle()
    shop.settle(other)
    pw("gc", cwd=other, env=later, check=0)
    shop.settle(other)
    assert shop.told("lost_worker") == [("lost_worker", "task-001")]


def _faketime() -> str:
    for folder in ("/usr/lib", "/usr/lib64", "/usr/local/lib"):
        for path in Path(folder).glob("**/libfaketime.so.1"):
            return str(path)
    if os.environ.get("CI") == "true":
        pytest.fail("libfaketime is missing")
    pytest.skip("libfaketime is missing")


def test_an_ending_lease_is_told_of_once(shop: Shop, tmp_path: Path) -> None:
    """By the first gc that notes it, and only where somebody wants to know."""
    shop.rules(RULES + 'events = ["lease ending"]\n')
    shop.add()
    shop.pw("claim", "--no-worktree", "--lease", "10m", check=0)
    later = {
        "LD_PRELOAD": _faketime(),
        "FAKETIME": "+8m",
        "GITPW_WORKER": "eve",
    }
    other = clone(str(shop.bare), tmp_path / "other")
    assert len(pw("gc", cwd=other, env=later, check=0).data["warned"]) == 1
    assert shop.pw("gc", env=later, check=0).data["warned"] == []
    assert shop.listener.wait()[0].data["workerId"].startswith("dana-")
    shop.settle(other)
    assert shop.told() == [("lease_ending", "task-001")]


KILLED = """
import os, sys
from gitpw.adapters import {module}
{module}.{name} = lambda *_, **__: os.kill(os.getpid(), 9)
from gitpw.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.fault
@pytest.mark.parametrize(
    ("module", "name"), [("spool", "Spool.put"), ("spool", "Spool._append"), ("process", "detach")]
)
def test_what_a_killed_process_left_is_told_by_the_next(shop: Shop, module: str, name: str) -> None:
    """Killed before it was written down, while it was, and before anybody was sent with it: once all the same."""
    shop.add()
    code = KILLED.format(module=module, name=name)
    words = [sys.executable, "-c", code, "claim", "--no-worktree"]
    assert subprocess.run(words, cwd=shop.work, check=False).returncode == -9
    assert shop.pw("status").data["tasks"]["claimed"] == 1
    shop.pw("heartbeat", check=0)
    shop.listener.wait()
    shop.pw("heartbeat", check=0)
    assert shop.settle() == []
    assert shop.told() == [("claimed", "task-001")]


def test_a_dead_server_delays_and_fails_nothing(shop: Shop, listener: Listener) -> None:
    """The command is done; what couldn't be sent waits, and a later command sends it."""
    with Listener() as gone:
        dead = gone.url
    shop.add()
    shop.pw("claim", "--no-worktree", env={"PW_HOOK": dead}, check=0)
    left = shop.settle()
    assert len(left) == 1
    assert left[0].stat().st_mode & 0o077 == 0
    shop.pw("status", check=0)
    assert listener.told == []
    os.utime(left[0], (0, 0))
    shop.pw("status", check=0)
    assert listener.wait()[0].event == "claimed"
    assert shop.settle() == []


def test_deliver_waits_for_who_sends(shop: Shop) -> None:
    """For machines that don't last: no longer than it is told to, and what is left it sends itself."""
    shop.add()
    shop.pw("claim", "--no-worktree", env={"GITPW_SENDING": "1"}, check=0)
    assert len(list(shop.spool().glob("*.json"))) == 1
    with (shop.spool() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert shop.pw("notify", "deliver", "--wait", "1s", check=0).data["sent"] == 0
    assert shop.pw("notify", "deliver", "--wait", check=0).data["sent"] == 1
    assert shop.told() == [("claimed", "task-001")]


def test_a_silent_server_holds_no_pipe(shop: Shop) -> None:
    """Who reads the command's output sees its end while the server still says nothing."""
    shop.add()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        shop.pw("claim", "--no-worktree", env={"PW_HOOK": url}, check=0, timeout=60)
        connection, _ = silent.accept()
        assert list(shop.spool().glob("*.json"))
        connection.close()
    shop.settle()


def test_only_the_rules_in_force_say_whom(shop: Shop) -> None:
    """Neither a task's branch nor uncommitted rules have anybody told."""
    with Listener() as evil:
        shop.add()
        tree = Path(shop.pw("claim", check=0).data["worktree"])
        shop.listener.wait(1)
        text = (tree / ".gitpw.toml").read_text()
        (tree / ".gitpw.toml").write_text(text.replace("env:PW_HOOK", evil.url))
        git("commit", "-qam", "rules of mine", "--no-verify", cwd=tree)
        shop.pw("fail", "--reason", "x", cwd=tree, check=0)
        shop.listener.wait(3)
        shop.settle()
        assert evil.told == []


def test_ones_own_configuration(shop: Shop) -> None:
    """A user's own addresses and events, next to the team's; a mistake there is told, and stops nothing."""
    with Listener() as own:
        git("config", "--add", "pw.notify.url", own.url, cwd=shop.work)
        git("config", "pw.notify.events", "completed, claimed", cwd=shop.work)
        git("config", "pw.notify.secret", "mine", cwd=shop.work)
        shop.add()
        shop.pw("claim", "--no-worktree", check=0)
        assert own.wait()[0].signed_with("mine")
        shop.pw("release", "task-001", check=0)
        git("config", "pw.notify.events", "mreged", cwd=shop.work)
        answer = shop.pw("claim", "--no-worktree", check=0)
        assert "pw.notify.events in git's configuration: 'mreged' is no event" in answer.err
        shop.listener.wait(2)
        shop.settle()
        assert len(own.told) == 1


def test_no_secret_anywhere(shop: Shop, listener: Listener) -> None:
    """In no output, however much is asked for, no log, no spool, no ledger, and no list of processes."""
    listener.answers[:] = [Says(500), Says(404), Says(302, (("Location", "http://127.0.0.1:1/"),)), Says(200)]
    shop.add()
    outputs = []
    for words in (
        ("-vv", "notify", "test"),
        ("-vv", "notify", "test", "--json"),
        ("-vv", "claim", "--no-worktree"),
        ("config", "notify.urls"),
        ("-vv", "notify", "test", "--dry-run"),
    ):
        answer = shop.pw(*words, json=False)
        outputs.append(answer.out + answer.err)
    shop.settle()
    kept = "".join(path.read_text(errors="replace") for path in shop.spool().iterdir() if path.is_file())
    ledger = git("log", "-p", "--all", cwd=shop.work / ".git/pw/store.git")
    for text in (*outputs, kept, ledger):
        assert SECRET not in text
        assert "s3cr3t-path" not in text
        assert str(listener.url.split(":")[2].partition("/")[0]) not in text
    assert "env:PW_HOOK" in outputs[0] + kept


def test_no_secret_is_written_into_rules(shop: Shop) -> None:
    """What is named there must be named, and an error doesn't repeat it."""
    shop.pw("config", "notify.secret", SECRET, check=6)
    answer = shop.pw("config", "notify.urls", f'["htp//{SECRET}"]', check=6, json=False)
    assert SECRET not in answer.out + answer.err


# notify test


def test_notify_test_says_what_happened_at_each(shop: Shop) -> None:
    """The exit status is 1 where anybody couldn't be told."""
    assert shop.pw("notify", "test", check=0).data["targets"][0]["ok"] is True
    assert shop.listener.told[0].data["detail"] == {"test": True}
    shop.rules('\n[notify]\nurls = ["env:PW_HOOK", "env:PW_NONE"]\n')
    answer = shop.pw("notify", "test", check=1).data
    assert [(one["target"], one["ok"]) for one in answer["targets"]] == [
        ("env:PW_HOOK", True),
        ("env:PW_NONE", False),
    ]
    assert answer["targets"][1]["said"] == "env:PW_NONE isn't set here"
    people = shop.pw("notify", "test", json=False)
    assert people.out.splitlines() == [
        "ok  env:PW_HOOK (webhook): 204 No Content",
        "failed  env:PW_NONE: env:PW_NONE isn't set here",
    ]
    assert people.err.splitlines()[-2:] == ["1 target of 2 couldn't be told", "hint: export PW_NONE=…"]


def test_notify_test_of_one_event(shop: Shop) -> None:
    """Only those who are told of it."""
    shop.rules('\n[notify]\nurls = ["env:PW_HOOK"]\nevents = ["merged"]\n')
    assert len(shop.pw("notify", "test", "--event", "merged", check=0).data["targets"]) == 1
    assert shop.listener.told[0].event == "merged"
    assert (
        "nobody is told of claimed"
        in shop.pw("notify", "test", "--event", "claimed", check=6).data["message"]
    )
    assert shop.pw("notify", "test", "--event", "mreged", check=6).data["hint"] == "did you mean merged?"


def test_notify_test_without_anybody(shop: Shop) -> None:
    """Is refused, with how to name somebody."""
    shop.rules("")
    assert "notify.urls" in shop.pw("notify", "test", check=6).data["hint"]


def test_notify_test_can_be_tried(shop: Shop) -> None:
    """Nothing is sent."""
    assert shop.pw("notify", "test", "--dry-run", check=0).data["dryRun"] is True
    assert shop.listener.told == []


def test_unknown_events_are_refused(shop: Shop) -> None:
    """With the line and the nearest right name."""
    (shop.work / ".gitpw.toml").write_text('[[notify.rule]]\nurls = ["desktop:"]\nevents = ["mreged"]\n')
    answer = shop.pw("status", check=78).data
    assert answer["message"] == ".gitpw.toml:3: notify.rule.events: 'mreged' is no event"
    assert answer["hint"] == "did you mean merged?"
