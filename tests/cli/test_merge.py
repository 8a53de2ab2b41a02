"""`git pw merge` and its commands."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from gitpw.domain.ids import ClaimId, TaskId, WorkerId
from gitpw.domain.integration import Conflict
from gitpw.domain.merge import Merge, MergeState, Pause
from gitpw.domain.operation import Back
from gitpw.errors import ContendedError
from gitpw.services.merge import Merged, Waiting
from gitpw.services.merges import Merges
from gitpw.services.shift import Landed
from gitpw.services.show_merge import Shown
from tests.cli.conftest import NOW, Cli, Serve, a_task

if TYPE_CHECKING:
    from pathlib import Path

ONE = TaskId("task-001")


def an_entry(**fields: Any) -> Merge:
    """An entry of the queue."""
    known = {
        "task_id": ONE,
        "worker_id": WorkerId("alice"),
        "branch_name": "fix/task-001",
        "position": 7,
        "queued_at": NOW,
        "updated_at": NOW,
        "claim": ClaimId("0" * 16),
    }
    return Merge(**{**known, **fields})


def came(**fields: Any) -> Merged:
    """What came of running the queue."""
    known: dict[str, Any] = {
        "base": "main",
        "tip": "a" * 40,
        "landed": [Landed(ONE, "a" * 40, "alice")],
        "returned": [],
        "waiting": [],
        "tests": [],
        "frozen": None,
        "red": False,
    }
    return Merged(**{**known, **fields})


BACK = Back(task=TaskId("task-002"), head="b" * 40, state=MergeState.FAILED, detail="exit 1")


def test_merge_says_what_landed(cli: Cli, serve: Serve) -> None:
    """Without options it runs once."""
    run = serve("merge.merge", came())
    assert cli("merge").out == f"landed task-001 as {'a' * 12}\n"
    assert run.call_args.kwargs == {"lease": 180, "dry_run": False}
    data = cli("merge", "--once", "--lease", "1m", "--json").data
    assert data["landed"] == [{"taskId": "task-001", "commit": "a" * 40, "workerId": "alice"}]
    assert run.call_args.kwargs["lease"] == 60


def test_an_empty_queue_is_no_error(cli: Cli, serve: Serve) -> None:
    """There is nothing to do."""
    serve("merge.merge", came(landed=[]))
    answer = cli("merge")
    assert (answer.exit, answer.out) == (0, "nothing to merge\n")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"returned": [BACK], "red": True}, "1 task went back"),
        ({"frozen": "main itself is red", "red": True}, "main itself is red"),
        ({"waiting": [Waiting(ONE, "refused")], "landed": [], "red": True}, "1 task couldn't land"),
    ],
)
def test_something_red_is_exit_1_with_the_whole_story(
    cli: Cli, serve: Serve, fields: dict[str, Any], message: str
) -> None:
    """In one document, and in words."""
    serve("merge.merge", came(**fields))
    answer = cli("merge", "--json")
    assert (answer.exit, answer.data["code"], answer.data["message"]) == (1, "failed", message)
    assert set(answer.data) >= {"landed", "returned", "waiting", "tests", "frozen", "base", "tip"}
    assert message in cli("merge").err


def test_a_dry_run_is_never_red(cli: Cli, serve: Serve) -> None:
    """It says what would be."""
    run = serve("merge.merge", came(returned=[BACK], red=True))
    answer = cli("merge", "--dry-run")
    assert answer.exit == 0
    assert "would land task-001" in answer.out
    assert "would return task-002: exit 1" in answer.out
    assert run.call_args.kwargs["dry_run"] is True


def test_another_merger_at_work_is_75(cli: Cli, serve: Serve) -> None:
    """With who it is."""
    serve("merge.merge", ContendedError("bob runs the merge queue", merger={"workerId": "bob"}))
    answer = cli("merge", "--json")
    assert (answer.exit, answer.data["merger"]) == (75, {"workerId": "bob"})


def test_watch_goes_on_until_it_is_interrupted(
    cli: Cli, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What goes wrong for a while is said once; SIGTERM ends it like ^C."""
    answers = iter([ContendedError("busy"), ContendedError("busy"), came()])
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    def once(*_: object, **__: object) -> Merged:
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    serve("merge.merge", once)
    monkeypatch.setattr("gitpw.cli.merge.time.sleep", nap)
    answer = cli("merge", "--watch", "--every", "2s")
    assert (answer.exit, naps) == (130, [2.0, 2.0, 2.0])
    assert answer.err.count("busy; trying again") == 1


def test_events_go_to_people_and_to_a_file(cli: Cli, serve: Serve, tmp_path: Path) -> None:
    """One JSON document a line."""

    def run(_: object, emit: Any, **__: object) -> Merged:
        emit("test", "testing task-001", {"tasks": [ONE]})
        return came()

    serve("merge.merge", run)
    answer = cli("merge", "--events", str(tmp_path / "events"))
    assert answer.err == "testing task-001\n"
    event = json.loads((tmp_path / "events").read_text())
    assert (event["event"], event["tasks"], event["text"]) == ("test", [ONE], "testing task-001")
    assert cli("merge", "--events", str(tmp_path)).exit == 6


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("merge", "--once", "--watch"), 2),
        (("merge", "--watch", "--dry-run"), 2),
        (("merge", "--once", "list"), 2),
        (("merge", "--every", "soon"), 2),
        (("merge", "--lease", "0s"), 6),
        (("merge", "nonsense"), 2),
        (("merge", "pause", "--below", "9"), 6),
        (("merge", "drop"), 2),
    ],
)
def test_words_that_are_off(cli: Cli, serve: Serve, words: tuple[str, ...], status: int) -> None:
    """Nothing is run then."""
    run = serve("merge.merge", came())
    assert cli(*words).exit == status
    assert not run.called


def test_list_counts_places(cli: Cli, serve: Serve) -> None:
    """The position in the ledger only grows: people count from one. What holds for the queue is said too."""
    one = an_entry()
    serve("merges.merges", Merges([one], {"merger": None, "window": 3}, ["paused by bob"]))
    data = cli("merge", "list", "--json").data
    assert (data["merges"], data["queue"]["window"]) == ([one.public(1)], 3)
    answer = cli("merge", "list")
    assert "task-001" in answer.out
    assert answer.err == "paused by bob\n"


def test_show_has_the_three_sides(cli: Cli, serve: Serve) -> None:
    """And what to run."""
    entry = an_entry(state=MergeState.CONFLICT, detail="conflicts", data={"output": "boom"})
    conflict = Conflict("a.txt", "base\n", "theirs\n", "mine\n", "<<<<<<< x\n")
    serve("show_merge.show_merge", Shown(entry, 1, [conflict], ["git rebase origin/main"]))
    answer = cli("merge", "show", "1")
    assert [said in answer.out for said in ("--- a.txt", "<<<<<<< x", "boom", "git rebase origin/main")] == [
        True
    ] * 4
    data = cli("merge", "show", "1", "--json").data
    assert data["conflicts"][0] == {
        "file": "a.txt",
        "base": "base\n",
        "theirs": "theirs\n",
        "ours": "mine\n",
        "marked": "<<<<<<< x\n",
    }
    assert data["merge"] == entry.public(1)


def test_people_decide(cli: Cli, serve: Serve) -> None:
    """Retry, drop, first, pause and resume say what they did."""
    serve("requeue.requeue", an_entry())
    assert cli("merge", "retry", "1").out == "task-001 is in line again\n"
    drop = serve("drop.drop", a_task(assigned_to=WorkerId("alice")))
    assert cli("merge", "drop", "1", "--reason", "x").out == "task-001 is out of the queue with alice again\n"
    assert drop.call_args.args[1:] == (ONE, "x")
    serve("put_first.put_first", an_entry())
    assert cli("merge", "first", "1").out == "task-001 is first in line\n"
    pause = serve("pause.pause", Pause(by=WorkerId("dana"), at=NOW, below=2))
    assert "below priority 2" in cli("merge", "pause", "--below", "2", "--reason", "x").out
    assert pause.call_args.args[1:] == (2, "x")
    serve("resume.resume", True)
    assert cli("merge", "resume").out == "merging goes on\n"
    serve("resume.resume", False)
    assert cli("merge", "resume").out == "merging wasn't paused\n"
