"""What commands ask of a server: a write that nobody contends for is one push, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.cli import pw
from tests.support.git import clone, make_upstream
from tests.support.servers import HttpServer

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
        """The requests, method and path within the repository, that one command makes."""
        before = len(self.server.requests(self.name))
        pw(*words, cwd=self.work, check=0)
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
