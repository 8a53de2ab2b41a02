"""git pw status: the dashboard."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gitpw.cli.dashboard import IDLE_SHOWN, bar, dashboard
from gitpw.domain.ids import ClaimId, TaskId, WorkerId
from gitpw.domain.merge import Merge
from gitpw.domain.metrics import Metric, Sample
from gitpw.domain.progress import Progress
from gitpw.domain.worker import AgentType, Worker, WorkerMetadata, WorkerType
from gitpw.services.status import Status
from tests.cli.conftest import NOW, Cli, Serve, a_claim, a_lease, a_waiter

EVIL = "Fix \x1b[31m[bold]auth[/bold]\u202e"


def a_worker(name: str, agent: AgentType | None = None) -> Worker:
    """A worker, human unless an agent."""
    kind = WorkerType.AI_AGENT if agent else WorkerType.HUMAN
    return Worker(id=WorkerId(name), type=kind, metadata=WorkerMetadata(agent_type=agent))


def a_status(**fields: Any) -> Status:
    """Alice and Bob at work, Charlie idle, one task in the merge queue."""
    said = Progress(
        task_id=TaskId("task-001"),
        worker_id=WorkerId("alice"),
        current_step="writing tests",
        percent_complete=43,
        estimated_time_remaining=95,
        last_updated=NOW,
    )
    merge = Merge(
        task_id=TaskId("task-003"),
        worker_id=WorkerId("bob"),
        branch_name="docs/task-003",
        position=1,
        queued_at=NOW,
        updated_at=NOW,
        claim=ClaimId("3" * 16),
    )
    bobs = {"worker": WorkerId("bob"), "worker_type": WorkerType.AI_AGENT}
    claims = [
        a_claim(1),
        a_claim(2, **bobs, lease=a_lease(-7)),
        a_claim(3, **bobs, queued=True),
        a_claim(None),
    ]
    known: dict[str, Any] = {
        "as_of": NOW - timedelta(seconds=90),
        "workers": [
            a_worker("alice"),
            a_worker("bob", AgentType.CODEGEN),
            a_worker("charlie", AgentType.REVIEW),
        ],
        "tasks": {"pending": 4, "claimed": 1, "in_progress": 1, "completed": 1, "failed": 0},
        "progress": [said],
        "locks": [lock for claim in claims for lock in claim.public()],
        "claims": claims,
        "merges": [merge],
        "warnings": [],
        "titles": {TaskId("task-001"): EVIL, TaskId("task-002"): "Discounts in the cart"},
        "ledger": "4f2a",
        "remote": "origin",
    }
    return Status(**{**known, **fields})


def test_status_as_data(cli: Cli, serve: Serve) -> None:
    """The contract's fields, and where the ledger is."""
    run = serve("status.status", a_status())
    data = cli("status", "--json", "--offline").data
    assert list(data) == [
        *("ok", "asOf", "workers", "tasks", "progress", "locks", "waits", "merges", "warnings"),
        *("blocked", "failed", "ledger", "remote"),
    ]
    assert data["asOf"] == "2026-03-01T11:58:30Z"
    assert data["merges"][0]["position"] == 1
    assert run.call_args.kwargs == {"offline": True}


def test_status_in_a_pipe_is_plain_text(cli: Cli, serve: Serve) -> None:
    """ASCII but for what people named, aligned, nothing cut off."""
    serve("status.status", a_status())
    lines = cli("status").out.splitlines()
    assert lines[0] == "3 workers, 2 at work; ledger on origin, as of 1m ago"
    head = lines[2]
    alice = lines[3]
    assert head.split() == ["WORKER", "TYPE", "TASK", "PROGRESS", "ETA", "LEASE"]
    assert alice[head.index("TASK") :].startswith(
        "task-001 Fix \\x1b[31m[bold]auth[/bold]\\u202e  ####------  43%"
    )
    assert alice.endswith("1h35m  48m")
    assert lines[4].split()[:4] == ["alice", "human", "lock", "on"]
    assert lines[5].endswith("over 7m")
    assert lines[6].split() == ["charlie", "ai", "review", "(idle)"]
    assert "tasks: 4 pending, 1 claimed, 1 in progress, 1 completed" in lines
    assert lines[-3].split() == ["1", "task-003", "bob", "queued", "docs/task-003"]
    assert lines[-1] == "All workers operational"


def test_status_shows_who_waits(cli: Cli, serve: Serve) -> None:
    """With what for, and the place in line."""
    task = {"verb": "claim", "locks": ()}
    waits = [(a_waiter(), 1), (a_waiter(8, **task), 2), (a_waiter(9, task=TaskId("task-003"), **task), 1)]
    serve("status.status", a_status(waits=waits))
    (line,) = [line for line in cli("status").out.splitlines() if line.startswith("locks: ")]
    assert line.split("; ")[1:] == [
        "bob waits for src/auth (number 1)",
        "bob waits for a task (number 2)",
        "bob waits for task-003 (number 1)",
    ]
    assert [one["place"] for one in cli("status", "--json").data["waits"]] == [1, 2, 1]


def test_warnings_take_the_place_of_the_verdict(cli: Cli, serve: Serve) -> None:
    """Both can't be true."""
    serve("status.status", a_status(warnings=["bob is \x07lost"]))
    answer = cli("status")
    assert answer.out.endswith("warning: bob is \\x07lost\n")
    assert "operational" not in answer.out


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 140])
def test_status_fits_the_terminal(
    columns: int, terminal: Cli, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However narrow, with names that try to break out of it."""
    monkeypatch.setenv("COLUMNS", str(columns))
    serve("status.status", a_status(warnings=["bob is lost: " + "x" * 200]))
    answer = terminal("status")
    assert "\x1b" not in answer.out
    assert "\u202e" not in answer.out
    assert max(map(len, answer.out.splitlines())) <= columns
    assert "task-001"[: columns // 4] in answer.out


def test_status_on_a_terminal_shows_it_all(
    terminal: Cli, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bars, kinds, times and steps where there is room."""
    monkeypatch.setenv("COLUMNS", "140")
    serve("status.status", a_status())
    out = terminal("status").out
    for part in (
        "████░░░░░░  43%",
        "ai codegen",
        "1h35m",
        "over 7m",
        "writing tests",
        "All workers operational",
    ):
        assert part in out


def test_colours_are_left_out_on_request(
    terminal: Cli, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By NO_COLOR and by --no-color; otherwise there are some."""
    serve("status.status", a_status())
    monkeypatch.delenv("NO_COLOR")
    assert "\x1b[3" in terminal("status").out
    assert "\x1b[3" not in terminal("status", "--no-color").out


def test_a_crowd_of_idle_workers_is_counted() -> None:
    """A thousand workers without work don't hide those with some."""
    board = dashboard(a_status(workers=[a_worker(f"w{n:03}") for n in range(1000)]), NOW)
    assert len(board.rows) == 3 + IDLE_SHOWN
    assert board.more == f"and {1000 - IDLE_SHOWN} more workers without work"


def test_nobody_and_nothing() -> None:
    """A new ledger is no special case."""
    board = dashboard(
        a_status(workers=[], claims=[], locks=[], merges=[], progress=[], tasks={}, remote=None, as_of=NOW),
        NOW,
    )
    assert (board.rows, board.queue, board.locks) == ([], "none", "none")
    assert board.summary == "0 workers, 0 at work; ledger on this machine alone, up to date"


@pytest.mark.parametrize(("percent", "shown"), [(None, ""), (0, "----------   0%"), (100, "########## 100%")])
def test_bar(percent: int | None, shown: str) -> None:
    """Ten cells and a number."""
    assert bar(percent) == shown


def test_status_as_numbers(cli: Cli, serve: Serve) -> None:
    """Letter for letter, without asking anybody if so told; JSON is another format."""
    run = serve(
        "metrics.metrics", [Metric("gitpw_claims", "gauge", "Claims.", [Sample(3, {"by": "a\x1bb"})])]
    )
    told = cli("status", "--prometheus", "--offline").out
    assert told == '# HELP gitpw_claims Claims.\n# TYPE gitpw_claims gauge\ngitpw_claims{by="a\ufffdb"} 3\n'
    assert run.call_args.kwargs == {"offline": True}
    assert cli("status", "--prometheus", "--json").exit == 2
