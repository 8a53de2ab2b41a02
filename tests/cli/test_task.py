"""git pw task."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gitpw.domain.ids import TaskId, WorkerId
from gitpw.domain.operation import Edit, NewTask
from gitpw.domain.progress import Progress
from gitpw.domain.task import TaskStatus, TaskType
from gitpw.services.list_tasks import Listed
from gitpw.services.show_task import Shown
from tests.cli.conftest import NOW, Cli, Serve, a_claim, a_task


def test_add_asks_for_what_was_said(cli: Cli, serve: Serve) -> None:
    """Files as typed, tasks in their full form."""
    run = serve("add_tasks.add_tasks", [a_task()])
    words = [
        "--type",
        "fix",
        "--priority",
        "1",
        "--file",
        "a",
        "--file",
        "b",
        "--after",
        "3",
        "--skill",
        "sql",
        "--estimate",
        "20",
        "--issue",
        "456",
    ]
    answer = cli("task", "add", "Fix auth bug", *words, "--description", "why\nnot")
    assert run.call_args.args[1] == [
        NewTask(
            title="Fix auth bug",
            type=TaskType.FIX,
            description="why\nnot",
            priority=1,
            files=("a", "b"),
            after=("task-003",),
            skills=("sql",),
            estimate=20,
            issue=456,
        )
    ]
    assert answer.out == "added task-001: Fix auth bug\n"


def test_add_answers_with_the_task(cli: Cli, serve: Serve) -> None:
    """Exactly the fields of the contract."""
    serve("add_tasks.add_tasks", [a_task()])
    answer = cli("task", "add", "x", "--json")
    assert answer.data == {"ok": True, "task": a_task().public()}
    assert list(answer.data["task"])[:4] == ["id", "type", "title", "description"]


def test_add_says_which_option_is_out_of_range(cli: Cli) -> None:
    """In the words of the command line."""
    assert cli("task", "add", "x", "--priority", "9").err.startswith("--priority must be at most 5\nhint: ")
    assert cli("task", "add", "x", "--type", "nope").err == (
        "'nope' is no type of task\nhint: choose one of fix, feat, refactor, test, docs, chore\n"
    )


def test_a_hostile_title_is_shown_harmless(cli: Cli, serve: Serve) -> None:
    """Titles come from anybody."""
    serve("list_tasks.list_tasks", Listed([a_task(title="\x1b[2Jgone\nadded task-666")], None))
    answer = cli("task", "list")
    assert "\\x1b[2Jgone\\nadded task-666" in answer.out
    assert len(answer.out.splitlines()) == 2


def test_list_is_aligned_in_a_pipe(cli: Cli, serve: Serve) -> None:
    """One line each, nothing cut off."""
    tasks = [a_task(), a_task(2, title="Long " * 40, status=TaskStatus.CLAIMED, assigned_to=WorkerId("bob"))]
    run = serve("list_tasks.list_tasks", Listed(tasks, None))
    answer = cli("task", "list", "--status", "pending", "--ready", "--mine")
    first, second, third = answer.out.splitlines()
    assert first.split() == ["TASK", "P", "TYPE", "STATUS", "WORKER", "TITLE"]
    assert second.index("Fix auth bug") == first.index("TITLE") == third.index("Long")
    assert third.endswith(("Long " * 40).strip())
    assert run.call_args.kwargs == {"status": "pending", "ready": True, "mine": True}


def test_list_says_how_old_it_is(cli: Cli, serve: Serve) -> None:
    """Where the remote couldn't be asked, on stderr and in the document."""
    serve("list_tasks.list_tasks", Listed([a_task()], NOW - timedelta(minutes=7)))
    assert cli("task", "list").err == "the remote can't be asked: this is 7m old\n"
    assert cli("task", "list", "--json").data["asOf"] == "2026-03-01T11:53:00Z"


def test_an_empty_list_is_an_empty_stdout(cli: Cli, serve: Serve) -> None:
    """A script that counts lines counts none."""
    serve("list_tasks.list_tasks", Listed([], None))
    answer = cli("task", "list")
    assert (answer.out, answer.err) == ("", "no open tasks\n")
    assert cli("task", "list", "--json").data["tasks"] == []


def test_list_on_a_terminal_is_a_table(terminal: Cli, serve: Serve) -> None:
    """Within its columns, without markup taken for orders."""
    serve("list_tasks.list_tasks", Listed([a_task(title="[red]not red[/red] " + "long " * 40)], None))
    answer = terminal("task", "list")
    assert "[red]not red[/red]" in answer.out
    assert "\x1b" not in answer.out
    assert max(map(len, answer.out.splitlines())) <= 80


def test_show_tells_all_that_is_known(cli: Cli, serve: Serve) -> None:
    """What is empty is left out; a description keeps its lines."""
    task = a_task(
        description="first\nsecond \x07", status=TaskStatus.IN_PROGRESS, assigned_to=WorkerId("alice")
    )
    said = Progress(
        task_id=task.id,
        worker_id=WorkerId("alice"),
        current_step="tests",
        steps_completed=3,
        total_steps=7,
        percent_complete=43,
        last_updated=NOW,
    )
    serve("show_task.show_task", Shown(task, a_claim(), said, [], [TaskId("task-009")], None, None))
    answer = cli("task", "show", "1")
    assert "  progress   43% (3/7) tests\n" in answer.out
    assert "  lease      48m left\n" in answer.out
    assert "  needed by  task-009\n" in answer.out
    assert answer.out.endswith("  first\n  second \\x07\n")
    assert "waits for" not in answer.out
    data = cli("task", "show", "1", "--json").data
    assert data["locks"][0]["workerId"] == "alice"
    assert data["progress"]["percentComplete"] == 43


def test_edit_changes_only_what_was_said(cli: Cli, serve: Serve) -> None:
    """The rest stays None."""
    run = serve("edit_task.edit_task", a_task())
    cli("task", "edit", "1", "--priority", "2", "--after", "2", "--no-after", "3")
    assert run.call_args.args[1] == Edit(
        task=TaskId("task-001"), priority=2, after=(TaskId("task-002"),), no_after=(TaskId("task-003"),)
    )
    assert cli("task", "edit", "1").exit == 2


@pytest.mark.parametrize(
    ("verb", "words"), [("cancel", "cancelled task-001"), ("retry", "task-001 is pending again")]
)
def test_cancel_and_retry(verb: str, words: str, cli: Cli, serve: Serve) -> None:
    """Each says what became of the task."""
    run = serve(f"{verb}_task.{verb}_task", a_task())
    assert cli("task", verb, "1").out == f"{words}: Fix auth bug\n"
    assert run.call_args.args[1] == "task-001"
