"""start, progress, push, complete, fail, release."""

from __future__ import annotations

from gitpw.domain.ids import WorkerId
from gitpw.domain.progress import Progress
from gitpw.domain.task import FailureKind, TaskStatus
from gitpw.services.complete import Completed
from gitpw.services.push import Pushed
from gitpw.services.release import Released
from tests.cli.conftest import NOW, Cli, Serve, a_task

SAID = Progress(
    task_id=a_task().id,
    worker_id=WorkerId("dana"),
    current_step="tests",
    percent_complete=43,
    last_updated=NOW,
)


def test_start_of_my_own_task(cli: Cli, serve: Serve) -> None:
    """Without a name it is the service that knows which."""
    run = serve("start.start", a_task())
    assert cli("start").out == "task-001 is in progress\n"
    assert run.call_args.args[1] is None


def test_progress_takes_steps_percent_and_words(cli: Cli, serve: Serve) -> None:
    """What isn't said stays None."""
    run = serve("progress.progress", SAID)
    answer = cli("progress", "--step", "3/7", "writing tests", "--json")
    assert run.call_args.kwargs == {
        "step": "writing tests",
        "done": 3,
        "total": 7,
        "percent": None,
        "eta": None,
    }
    assert answer.data["progress"]["percentComplete"] == 43
    cli("progress", "--percent", "0", "--eta", "0")
    assert run.call_args.kwargs == {"step": None, "done": None, "total": None, "percent": 0, "eta": 0}


def test_push(cli: Cli, serve: Serve) -> None:
    """Says what went where."""
    serve("push.push", Pushed("fix/task-001", "a" * 40, "origin"))
    assert cli("push").out == f"pushed fix/task-001 ({'a' * 10}) to origin\n"
    assert cli("push", "--json").data["head"] == "a" * 40


def test_complete_names_the_place_in_the_queue(cli: Cli, serve: Serve) -> None:
    """None where there is no queue."""
    serve("complete.complete", Completed(a_task(), 2, ["task-001 has no commits"]))
    answer = cli("complete")
    assert answer.out == "completed task-001, number 2 in the merge queue: Fix auth bug\n"
    assert answer.err == "task-001 has no commits\n"
    serve("complete.complete", Completed(a_task(), None, []))
    assert cli("complete", "--json").data["position"] is None


def test_fail_needs_a_reason(cli: Cli, serve: Serve) -> None:
    """And passes it on as it is."""
    run = serve("fail.fail", a_task())
    assert cli("fail").exit == 2
    assert (
        cli("fail", "7", "--reason", "-- the API\nis gone").out == "failed task-001: -- the API\\nis gone\n"
    )
    assert run.call_args.args[1:] == ("task-007", "-- the API\nis gone", "other")
    failed = a_task(status=TaskStatus.FAILED, attempts=1, failure_kind=FailureKind.TIMEOUT, retry_at=NOW)
    serve("fail.fail", failed)
    answer = cli("fail", "--reason", "slow", "--kind", "timeout", "--json")
    assert (answer.data["retryAt"], answer.data["needsPerson"], answer.data["kind"]) == (
        "2026-03-01T12:00:00Z",
        False,
        "timeout",
    )
    assert run.call_args.args[3] == "timeout"
    assert "it is tried again at" in cli("fail", "--reason", "slow", "--kind", "timeout").out
    assert cli("fail", "--reason", "slow", "--kind", "nope").exit == 6


def test_release_says_what_it_kept(cli: Cli, serve: Serve) -> None:
    """On stderr; the result is on stdout."""
    run = serve("release.release", Released(a_task(), ["kept branch fix/task-001: it has commits"]))
    answer = cli("release", "--keep-worktree")
    assert (answer.out, answer.err) == (
        "released task-001: Fix auth bug\n",
        "kept branch fix/task-001: it has commits\n",
    )
    assert run.call_args.kwargs == {"keep_worktree": True}


def test_nothing_to_release_is_no_error(cli: Cli, serve: Serve) -> None:
    """Running it twice is safe."""
    serve("release.release", Released(None, ["nothing to release: task-001 is merged"]))
    answer = cli("release")
    assert (answer.exit, answer.out) == (0, "nothing to release: task-001 is merged\n")
    assert cli("release", "--json").data["task"] is None
