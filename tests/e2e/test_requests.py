"""What commands ask of a server: a write that nobody contends for is one push, and nothing else."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.support.cli import pw
from tests.support.git import clone, make_upstream
from tests.support.servers import HttpServer
from tests.support.waiting import waiting

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Served

pytestmark = pytest.mark.server

PUSH = [("GET", "info/refs?service=git-receive-pack"), ("POST", "git-receive-pack")]


class Counted:
    """A clone whose server tells what it was asked."""

    def __init__(self, server: HttpServer, name: str, work: Path) -> None:
        self.server, self.name, self.work = server, name, work

    def asked(self, *words: str) -> list[tuple[str, str]]:
        """The requests that one command makes."""
        before = self.so_far()
        pw(*words, cwd=self.work, check=0)
        return self.since(before)

    def so_far(self) -> int:
        """How many requests there were."""
        return len(self.server.requests(self.name))

    def since(self, before: int) -> list[tuple[str, str]]:
        """The later ones, method and path within the repository."""
        made = self.server.requests(self.name)[before:]
        return [(method, path.removeprefix(f"/{self.name}/")) for method, path in made]


@pytest.fixture
def counted(served: Served, tmp_path: Path) -> Counted:
    """A clone over http with a ledger and two tasks."""
    server = served.server("http")
    assert isinstance(server, HttpServer)
    name = served.new_name()
    make_upstream(served.root / name)
    work = clone(server.url(name), tmp_path / "work")
    pw("init", cwd=work, check=0)
    pw("task", "add", "Check passwords", "--file", "src/auth", cwd=work, check=0)
    return Counted(server, name, work)


@pytest.mark.parametrize("words", [("claim", "--no-worktree"), ("claim",), ("claim", "task-001")])
def test_claim_is_one_push_and_no_fetch(counted: Counted, words: tuple[str, ...]) -> None:
    """An uncontended claim asks for the refs once and pushes once, with a worktree or without."""
    assert counted.asked(*words) == PUSH


def test_all_writes_are_one_push_and_no_fetch(counted: Counted) -> None:
    """So are the other writes on the way from a task to its completion."""
    assert counted.asked("task", "add", "Count prices") == PUSH
    assert counted.asked("lock", "README.md") == PUSH
    counted.asked("claim", "task-001")
    assert counted.asked("progress", "--step", "1/2", "reading") == PUSH
    assert counted.asked("progress", "--percent", "60") == []
    assert counted.asked("heartbeat") == PUSH
    assert counted.asked("complete", "task-001") == PUSH


def test_a_look_is_one_fetch(counted: Counted) -> None:
    """`locks` asks once for the ledger and pushes nothing."""
    asked = counted.asked("locks")
    assert not [path for _, path in asked if "receive-pack" in path]
    assert [method for method, _ in asked].count("GET") == 1


def test_a_wait_for_this_machine_asks_nobody(counted: Counted) -> None:
    """What is held on the same machine is waited for without a request, and then costs one push; as does the place."""
    pw("lock", "README.md", cwd=counted.work, env={"GITPW_WORKER": "ada"}, check=0)
    with waiting("lock", "README.md", "--wait", cwd=counted.work, worker="bob") as bob:
        before = counted.so_far()
        time.sleep(4)  # longer than two pauses between questions would be
        assert counted.since(before) == []
        pw("unlock", "README.md", cwd=counted.work, env={"GITPW_WORKER": "ada"}, check=0)
        bob.end()
        assert counted.since(before) == [*PUSH, *PUSH]


def test_a_wait_for_others_only_asks_where_the_ledger_stands(counted: Counted, tmp_path: Path) -> None:
    """What is held elsewhere is asked for now and then, by looks at the refs; nothing is pushed meanwhile."""
    other = clone(counted.server.url(counted.name), tmp_path / "other")
    pw("lock", "README.md", cwd=other, env={"GITPW_WORKER": "ada"}, check=0)
    with waiting("lock", "README.md", "--wait", cwd=counted.work, worker="bob"):
        before = counted.so_far()
        time.sleep(6)  # what is looked at goes on by itself
        made = counted.since(before)
    assert 1 <= sum(method == "GET" for method, _ in made) <= 5
    assert not [path for _, path in made if "receive-pack" in path]
