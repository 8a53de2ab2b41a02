"""worktree, worker, merge, log, health, gc, hook."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from gitpw.domain.ids import ClaimId, TaskId, WorkerId
from gitpw.domain.operation import Register
from gitpw.domain.worker import AgentType, Worker, WorkerMetadata, WorkerType
from gitpw.errors import HeldError, OfflineError
from gitpw.services.gc import Collected
from gitpw.services.log import Event
from gitpw.services.worktrees import WorktreeRow
from tests.cli.conftest import NOW, Cli, Opened, Serve

BOB = Worker(
    id=WorkerId("bob"), type=WorkerType.AI_AGENT, metadata=WorkerMetadata(agent_type=AgentType.CODEGEN)
)


def event(counter: int, subject: str = "claim task-001") -> Event:
    """One line of the log."""
    return Event(counter, "0" * 32, NOW, "bob", "claim", "task-001", {"token": 3}, subject)


def test_worktree_list(cli: Cli, serve: Serve) -> None:
    """Each with its task and state."""
    row = WorktreeRow("/shop/.worktrees/task-001", "fix/task-001", None, None, "lost", True, False)
    serve("worktrees.list_worktrees", [row])
    assert cli("worktree", "list").out.splitlines()[1].split() == ["-", "-", "lost", "fix/task-001", row.path]
    assert cli("worktree", "list", "--json").data["worktrees"][0]["path"] == row.path


def test_worktree_path_is_raw(cli: Cli, serve: Serve) -> None:
    """For `cd "$(…)"`."""
    serve("worktrees.worktree_path", "/shop/a\nb")
    assert cli("worktree", "path", "1").out == "/shop/a\nb\n"
    assert cli("worktree", "path", "1", "--json").data == {"ok": True, "path": "/shop/a\nb"}


def test_worktree_remove_prune_repair(cli: Cli, serve: Serve) -> None:
    """What is gone, what was kept; a dry run says what would go."""
    serve("worktrees.remove_worktree", ["kept branch x: it has commits"])
    answer = cli("worktree", "remove", "1")
    assert (answer.out, answer.err) == (
        "removed the worktree of task-001\n",
        "kept branch x: it has commits\n",
    )
    prune = serve("worktrees.prune_worktrees", ["/shop/t"])
    assert cli("worktree", "prune").out == "removed /shop/t\n"
    assert cli("worktree", "prune", "--dry-run", "--json").data == {
        "ok": True,
        "removed": ["/shop/t"],
        "dryRun": True,
    }
    assert prune.call_args.kwargs == {"dry_run": True}
    assert cli("worktree", "repair").out == "moved task-001\n"


def test_register_is_me_unless_told(cli: Cli, serve: Serve) -> None:
    """And asks only for what was said."""
    run = serve("workers.register", BOB)
    cli("worker", "register", "--skill", "sql")
    assert run.call_args.args[1] == Register(id=WorkerId("dana"), skills=("sql",))
    answer = cli(
        "worker", "register", "bob", "--type", "ai_agent", "--agent-type", "codegen", "--max-tasks", "2"
    )
    assert run.call_args.args[1] == Register(
        id=WorkerId("bob"), type=WorkerType.AI_AGENT, agent_type=AgentType.CODEGEN, max_concurrent_tasks=2
    )
    assert answer.out == "registered bob (ai_agent)\n"


def test_workers(cli: Cli, serve: Serve) -> None:
    """List, show and unregister."""
    serve("workers.list_workers", [BOB])
    assert cli("worker", "list").out.splitlines()[1].split() == ["bob", "ai", "codegen", "idle", "-", "-"]
    assert cli("worker", "list", "--json").data["workers"] == [BOB.public()]
    serve("workers.show_worker", BOB)
    assert "  type       ai codegen\n" in cli("worker", "show", "bob").out
    run = serve("workers.unregister")
    assert cli("worker", "unregister", "bob").out == "unregistered bob\n"
    assert run.call_args.args[1] == "bob"


def test_log_in_words_and_as_events(cli: Cli, serve: Serve) -> None:
    """The words can't harm a terminal; the events have the contract's fields."""
    run = serve("log.log", [event(1, "claim task-001 (bob)"), event(2, "claim \x1b[31mtask-002")])
    answer = cli("log", "--task", "1", "--worker", "bob", "--since", "2h", "--all")
    assert answer.out == (
        "2026-03-01 12:00:00  bob  claim task-001\n2026-03-01 12:00:00  bob  claim \\x1b[31mtask-002\n"
    )
    assert run.call_args.kwargs["since"].total_seconds() == 7200
    assert (run.call_args.kwargs["task"], run.call_args.kwargs["everything"]) == ("task-001", True)
    assert list(cli("log", "--json").data["events"][0]) == [
        *("counter", "id", "at", "workerId", "verb", "taskId", "detail"),
    ]


def test_log_follows_from_where_it_stopped(cli: Cli, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """No event twice, none left out; ^C ends it, a lost network doesn't."""
    pauses: list[float] = []
    looks: Iterator[list[Event] | BaseException] = iter(
        [[event(4)], OfflineError("offline"), [event(5, "release task-001")], [], []]
    )
    seen: list[int] = []

    def look(_: object, *, after: int, **_filters: object) -> list[Event]:
        seen.append(after)
        answer = next(looks, KeyboardInterrupt())
        if isinstance(answer, BaseException):
            raise answer
        return answer

    serve("log.log", look)
    monkeypatch.setattr("gitpw.cli.log.time.sleep", pauses.append)
    answer = cli("log", "--follow")
    assert answer.exit == 130
    assert answer.out.splitlines()[-1].endswith("release task-001")
    assert seen == [0, 4, 4, 5, 5, 5]
    assert pauses == [2.0, 3.0, 2.0, 3.0, 4.5]


def test_health(cli: Cli, serve: Serve) -> None:
    """Exit 1 with the problems; 0 with none."""
    serve("health.health", ["alice is lost"])
    answer = cli("health", "--json")
    assert (answer.exit, answer.data["problems"]) == (1, ["alice is lost"])
    assert cli("health").err.startswith("alice is lost\n1 problem found\n")
    serve("health.health", [])
    assert (cli("health").exit, cli("health").out) == (0, "all well\n")


def test_gc(cli: Cli, serve: Serve) -> None:
    """What was tidied; with --dry-run, what would be."""
    done = Collected([TaskId("task-001")], [ClaimId("0" * 16)], ["src/a"], [], ["/shop/t"], [])
    run = serve("gc.gc", done)
    assert cli("gc").out == "expired task-001: back in the queue\nunlocked src/a\nremoved worktree /shop/t\n"
    data = cli("gc", "--dry-run", "--json").data
    assert (data["expired"], data["dryRun"]) == (["task-001"], True)
    assert run.call_args.kwargs == {"dry_run": True}


@pytest.mark.parametrize("name", ["pre_commit", "post_commit", "refresh"])
def test_hooks(name: str, cli: Cli, serve: Serve, opened: Opened) -> None:
    """Silent when all is well, whatever the ledger is; a refusal has its own status."""
    serve(f"guard.{name}")
    assert cli("hook", name.replace("_", "-")).out == ""
    assert opened.calls[0]["need_ledger"] is False
    serve(f"guard.{name}", HeldError("src/a is held by bob"))
    assert cli("hook", name.replace("_", "-")).exit == 3


def test_pre_push_reads_what_git_says(cli: Cli, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """One ref a line, of any bytes."""
    run = serve("guard.pre_push")
    line = b"refs/heads/\xff\xe2\x80\xa8x 1 refs/heads/x 2"
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(line + b"\n" + line + b"\n")))
    assert cli("hook", "pre-push", "origin", "https://example.com/shop.git").exit == 0
    assert run.call_args.args[1] == "origin"
    assert [told.encode(errors="surrogateescape") for told in run.call_args.args[-1]] == [line, line]
