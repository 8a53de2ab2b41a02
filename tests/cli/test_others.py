"""worktree, worker, merge, log, health, gc, hook."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace

import pytest

from gitpw.domain.ids import ClaimId, TaskId, WorkerId
from gitpw.domain.operation import Register
from gitpw.domain.trail import Event
from gitpw.domain.worker import AgentType, Worker, WorkerMetadata, WorkerType
from gitpw.errors import HeldError, OfflineError
from gitpw.services.forecast import Branch, Clash
from gitpw.services.gc import Collected
from gitpw.services.health import Health
from gitpw.services.overdue import Overdue
from gitpw.services.provision import SetUp
from gitpw.services.workers import Shown
from gitpw.services.worktrees import Kept, Pruned, Surveyed, WorktreeRow
from tests.cli.conftest import NOW, Cli, Opened, Serve, a_claim

BOB = Worker(
    id=WorkerId("bob"), type=WorkerType.AI_AGENT, metadata=WorkerMetadata(agent_type=AgentType.CODEGEN)
)


def event(counter: int, subject: str = "claim task-001") -> Event:
    """One line of the log."""
    return Event(
        counter, int(NOW.timestamp()), "0" * 32, "0" * 40, "bob", "claim", "task-001", subject, '{"token":3}'
    )


def a_row(number: int = 1) -> WorktreeRow:
    """A worktree of a task."""
    task = TaskId(f"task-{number:03}")
    return WorktreeRow(f"/shop/w {number}", f"fix/{task}", task, WorkerId("alice"), "claimed", True, False)


def surveyed(number: int = 1) -> Surveyed:
    """What was found out about it, and of the second nothing."""
    clash = Clash(
        Branch(TaskId("task-001"), WorkerId("alice"), "fix/task-001", "0" * 40), None, "main", ["a"]
    )
    found = (2, 1, 3, 5 << 20, [clash], NOW - timedelta(hours=3)) if number == 1 else (None,) * 4 + ([], None)
    return Surveyed(*a_row(number), *found)  # type: ignore[arg-type]


def test_worktree_list(cli: Cli, serve: Serve) -> None:
    """Each with what is known of it, and a dash for what isn't."""
    serve("worktrees.list_worktrees", [a_row(1), a_row(2)])
    serve("worktrees.survey", lambda *_: iter([surveyed(1), surveyed(2)]))
    first, second = (line.split(maxsplit=10) for line in cli("worktree", "list").out.splitlines()[1:])
    assert first == [
        *["task-001", "alice", "claimed", "+2", "-1", "3", "main", "3h00m", "5.0M", "fix/task-001"],
        "/shop/w 1",
    ]
    assert " ".join(second) == "task-002 alice claimed - - - - - fix/task-002 /shop/w 2"
    row = cli("worktree", "list", "--json").data["worktrees"][0]
    assert (row["ahead"], row["behind"], row["changes"], row["size"]) == (2, 1, 3, 5 << 20)
    assert row["createdAt"] == "2026-03-01T09:00:00Z"
    assert row["conflicts"][0]["with"] == {"taskId": None, "workerId": None, "branchName": "main"}


def test_worktree_list_on_a_terminal_shows_rows_as_they_come(
    terminal: Cli, serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first is there before the second is known, and both are in line."""
    seen: list[str] = []

    def slowly(*_: object) -> Iterator[Surveyed]:
        yield surveyed(1)
        seen.append(capsys.readouterr().out)
        yield surveyed(2)

    serve("worktrees.list_worktrees", [a_row(1), a_row(2)])
    serve("worktrees.survey", slowly)
    rest = terminal("worktree", "list").out
    head, first = seen[0].splitlines()
    assert first.split()[0] == "task-001"
    assert head.index("PATH") == first.index("/shop") == rest.index("/shop")


def test_no_worktrees(cli: Cli, serve: Serve) -> None:
    """Says so."""
    serve("worktrees.list_worktrees", [])
    serve("worktrees.survey", lambda *_: iter(()))
    assert cli("worktree", "list").err == "no worktrees\n"
    assert cli("worktree", "list", "--json").data == {"ok": True, "worktrees": []}


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
    prune = serve("worktrees.pruned", Pruned(["/shop/t"], []))
    assert cli("worktree", "prune").out == "removed /shop/t\n"
    assert cli("worktree", "prune", "--dry-run", "--json").data == {
        "ok": True,
        "removed": ["/shop/t"],
        "dryRun": True,
    }
    assert prune.call_args.kwargs == {"dry_run": True}
    serve("worktrees.pruned", Pruned([], [Kept("/shop/t", TaskId("task-001"), "2 untracked files")]))
    assert cli("worktree", "prune").err == "kept worktree /shop/t: 2 untracked files\n"
    assert cli("worktree", "prune", "--json").data["kept"] == [
        {"path": "/shop/t", "task": "task-001", "reason": "2 untracked files"}
    ]
    assert cli("worktree", "repair").out == "moved task-001\n"


def test_worktree_setup(cli: Cli, serve: Serve) -> None:
    """The commands; one that fails is a failure, with all that is known."""
    run = serve("provision.set_up_worktree", ("/shop/t", SetUp(["npm ci"], True, 1)))
    assert cli("worktree", "setup", "1", "--approve").out == "npm ci\n"
    assert run.call_args.args[1] == "task-001"
    assert run.call_args.args[2](["npm ci"]) is True
    serve("provision.set_up_worktree", ("/shop/t", SetUp(["npm ci"], True, 0, "npm ci (exit 1)")))
    answer = cli("worktree", "setup", "--json")
    assert (answer.exit, answer.data["message"]) == (1, "a set-up command failed: npm ci (exit 1)")
    assert answer.data["commands"] == ["npm ci"]


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
    assert cli("worker", "list").out.splitlines()[1].split() == [
        *("bob", "ai", "codegen", "idle", "0", "of", "1", "-", "-"),
    ]
    assert cli("worker", "list", "--json").data["workers"] == [BOB.public()]
    serve("workers.show_worker", Shown(BOB, [a_claim(worker="bob")]))
    told = cli("worker", "show", "bob").out
    assert "  type       ai codegen\n" in told
    assert "  leases     task-001 48m left\n" in told
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


def test_log_of_some_kinds(cli: Cli, serve: Serve) -> None:
    """Verbs and a number are passed on; what can't be meant is refused, with what could."""
    run = serve("log.log", [])
    cli("log", "--verb", "claim", "--verb", "land", "-n", "5")
    assert run.call_args.kwargs["verbs"] == {"claim", "land"}
    assert run.call_args.kwargs["limit"] == 5
    refused = cli("log", "--verb", "clam", "--json")
    assert (refused.exit, "claim, complete" in refused.data["hint"]) == (6, True)
    assert cli("log", "--limit", "-1").exit == 6
    assert cli("log", "--limit", "many").exit == 2


def test_log_folds_renewals(cli: Cli, serve: Serve) -> None:
    """Those of a worker between two other things that it did are a line; programs get each of them."""
    ticks = [
        *(("bob", "renew", minute) for minute in (0, 5, 10)),
        *(("ada", "renew", 3), ("ada", "claim", 4), ("bob", "renew", 20), ("bob", "release", 30)),
        *(("bob", "renew", 31), ("bob", "renew", 60 * 24)),
    ]
    events = [
        event(number, f"{verb} something ({worker})")._replace(
            at=int(NOW.timestamp()) + 60 * minute, worker=worker, verb=verb
        )
        for number, (worker, verb, minute) in enumerate(ticks, 1)
    ]
    serve("log.log", events)
    assert cli("log").out.splitlines() == [
        "2026-03-01 12:00:00  bob  renewed 4 times until 12:20",
        "2026-03-01 12:03:00  ada  renew something",
        "2026-03-01 12:04:00  ada  claim something",
        "2026-03-01 12:30:00  bob  release something",
        "2026-03-01 12:31:00  bob  renewed 2 times until 2026-03-02 12:00",
    ]
    assert len(cli("log", "--json").data["events"]) == len(ticks)


def test_log_follows_from_where_it_stopped(cli: Cli, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """No event twice, none left out; ^C ends it, a lost network doesn't, and is told when it goes and when it is back."""
    pauses: list[float] = []
    gone = OfflineError("origin can't be reached")
    looks: Iterator[list[Event] | BaseException] = iter(
        [[event(4)], gone, gone, [event(5, "release task-001")], [], gone]
    )
    seen: list[tuple[int, bool]] = []

    def look(_: object, *, after: int = 0, current: bool = False, **_filters: object) -> list[Event]:
        seen.append((after, current))
        answer = next(looks, KeyboardInterrupt())
        if isinstance(answer, BaseException):
            raise answer
        return answer

    serve("log.log", look)
    monkeypatch.setattr("gitpw.cli.log.time.sleep", pauses.append)
    answer = cli("log", "--follow")
    assert answer.exit == 130
    assert answer.out.splitlines()[-1].endswith("release task-001")
    assert seen == [(0, False), *((last, True) for last in (4, 4, 4, 5, 5, 5))]
    assert pauses == [2.0, 3.0, 4.5, 2.0, 3.0, 4.5]
    assert answer.err.splitlines()[:3] == [
        "origin can't be reached; trying again",
        "the remote answers again",
        "origin can't be reached; trying again",
    ]


def test_health(cli: Cli, serve: Serve) -> None:
    """Exit 1 with the problems; 0 with none, and with those of which only this clock speaks."""
    late = Overdue(WorkerId("alice"), TaskId("task-001"), ["src/a"], "fix/a", NOW, "box", sure=True)
    serve("health.health", Health([str(late)], [late.worker], [late], [], [], None))
    answer = cli("health", "--json")
    assert (answer.exit, answer.data["problems"], answer.data["lost"]) == (1, [str(late)], ["alice"])
    assert answer.data["overdue"][0]["lockedFiles"] == ["src/a"]
    assert cli("health").err.startswith(f"{late}\n1 problem found\n")
    unsure = late._replace(sure=False)
    serve("health.health", Health([], [], [], [unsure], [], None))
    answer = cli("health")
    assert (answer.exit, answer.out) == (0, "nothing is overdue for sure\n")
    assert "by this clock alone" in answer.err
    serve("health.health", Health([], [], [], [], [], None))
    assert (cli("health").exit, cli("health").out) == (0, "all well\n")


def test_gc(cli: Cli, serve: Serve) -> None:
    """What was tidied; with --dry-run, what would be."""
    done = Collected(
        [TaskId("task-001")],
        [ClaimId("0" * 16)],
        ["src/a"],
        [],
        ["/shop/t"],
        [],
        ["fix/task-001"],
        [],
        waits=["bob"],
    )
    run = serve("gc.gc", done)
    assert cli("gc").out.splitlines() == [
        "expired task-001: back in the queue",
        "unlocked src/a",
        "ended the wait of bob, who gave no sign of life",
        "removed worktree /shop/t",
        "deleted branch fix/task-001 of the remote",
    ]
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


def test_pre_push_by_the_pre_commit_framework(
    cli: Cli, serve: Serve, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says in the environment what git says; where it names no commit, all of the branch is new."""
    run = serve("guard.pre_push")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO()))
    opened.context.repo.resolve = {"refs/heads/x": "b" * 40}.get
    for name, value in {
        "PRE_COMMIT": "1",
        "PRE_COMMIT_REMOTE_NAME": "origin",
        "PRE_COMMIT_REMOTE_URL": "https://example.com/shop.git",
        "PRE_COMMIT_LOCAL_BRANCH": "refs/heads/x",
        "PRE_COMMIT_REMOTE_BRANCH": "refs/heads/y",
    }.items():
        monkeypatch.setenv(name, value)
    assert cli("hook", "pre-push").exit == 0
    assert run.call_args.args[1:3] == ("origin", "https://example.com/shop.git")
    assert run.call_args.args[-1] == [f"refs/heads/x {'b' * 40} refs/heads/y {'0' * 40}"]
    monkeypatch.setenv("PRE_COMMIT_FROM_REF", "c" * 40)
    monkeypatch.setenv("PRE_COMMIT_TO_REF", "d" * 40)
    assert cli("hook", "pre-push").exit == 0
    assert run.call_args.args[-1] == [f"refs/heads/x {'d' * 40} refs/heads/y {'c' * 40}"]
    monkeypatch.delenv("PRE_COMMIT_REMOTE_NAME")
    assert cli("hook", "pre-push").exit == 0
    assert run.call_count == 2


def test_pre_push_without_a_remote_is_a_mistake(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody called it who isn't git."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO()))
    assert cli("hook", "pre-push").exit == 2


@pytest.mark.parametrize(("new", "told"), [([], False), (["a"], True)])
def test_pre_push_that_reads_nothing_says_so(
    cli: Cli, serve: Serve, opened: Opened, monkeypatch: pytest.MonkeyPatch, new: list[str], told: bool
) -> None:
    """Another hook has read what was for us; without anything to push it would have been nothing anyway."""
    serve("guard.pre_push")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO()))
    opened.context.repo.resolve = {"HEAD": "b" * 40}.get
    opened.context.repo.new_commits = lambda *_: new
    done = cli("hook", "pre-push", "origin", "x")
    assert done.exit == 0
    assert ("standard input" in done.err) is told
