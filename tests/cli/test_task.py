"""git pw task."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from gitpw.domain.ids import TaskId, WorkerId
from gitpw.domain.operation import Edit, NewTask, Split
from gitpw.domain.progress import Progress
from gitpw.domain.reasons import Blocker, Reason
from gitpw.domain.task import FailureKind, TaskStatus, TaskType
from gitpw.services.export_tasks import Exported
from gitpw.services.graph import Edge, Graph
from gitpw.services.import_tasks import Imported
from gitpw.services.list_tasks import Listed
from gitpw.services.show_task import Shown
from gitpw.services.split_task import Parts
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


# ties


def test_ties_are_passed_on(cli: Cli, serve: Serve) -> None:
    """At add and at edit; what contradicts itself is refused."""
    run = serve("add_tasks.add_tasks", [a_task()])
    cli("task", "add", "x", "--parent", "1", "--related", "2", "--related", "task-003", "--found-by", "4")
    (new,) = run.call_args.args[1]
    assert (new.parent, new.related, new.found_by) == ("task-001", ("task-002", "task-003"), "task-004")
    run = serve("edit_task.edit_task", a_task())
    cli("task", "edit", "1", "--no-parent", "--related", "2", "--no-related", "3")
    assert run.call_args.args[1] == Edit(
        task=TaskId("task-001"),
        no_parent=True,
        related=(TaskId("task-002"),),
        no_related=(TaskId("task-003"),),
    )
    assert cli("task", "edit", "1", "--parent", "2", "--no-parent").exit == 2
    assert cli("task", "add", "x", "--parent", "-").exit == 6


@pytest.mark.parametrize(("minutes", "hinted"), [(None, False), (30, False), (31, True)])
def test_a_long_task_gets_a_hint(minutes: int | None, hinted: bool, cli: Cli, serve: Serve) -> None:
    """On stderr and in the document, and only if it is too long."""
    serve("add_tasks.add_tasks", [a_task(estimated_duration=minutes)])
    assert ("git pw task split task-001" in cli("task", "add", "x").err) is hinted
    assert ("notes" in cli("task", "add", "x", "--json").data) is hinted


def test_split(cli: Cli, serve: Serve) -> None:
    """What isn't said is left to the whole."""
    run = serve("split_task.split_task", Parts(a_task(), [a_task(2, title="one"), a_task(3, title="two")]))
    answer = cli("task", "split", "1", "one", "two")
    assert run.call_args.args[1] == Split(task=TaskId("task-001"), titles=("one", "two"))
    assert answer.out == "split task-001: Fix auth bug\n  task-002: one\n  task-003: two\n"
    assert cli("-q", "task", "split", "1", "one", "two").out == "task-002\ntask-003\n"
    data = cli("task", "split", "1", "one", "--file", "a", "--type", "docs", "--json").data
    assert [one["id"] for one in data["tasks"]] == ["task-002", "task-003"]
    assert run.call_args.args[1].files == ("a",)
    assert cli("task", "split", "1").exit == 2
    assert cli("task", "split", "1", "").exit == 6


# what isn't to be had


def test_list_ready_says_why_not(cli: Cli, serve: Serve) -> None:
    """In words on stderr, and as data."""
    reason = Reason(TaskId("task-002"), "held", "src is held by bob\x1b")
    serve("list_tasks.list_tasks", Listed([a_task()], None, {}, [reason]))
    answer = cli("task", "list", "--ready")
    assert answer.err == "not task-002: src is held by bob\\x1b\n"
    assert cli("task", "list", "--ready", "--json").data["reasons"] == [reason.public()]
    serve("list_tasks.list_tasks", Listed([], None, {}, [reason]))
    assert "not task-002" in cli("task", "list", "--ready").err


def test_list_shows_how_each_stands(cli: Cli, serve: Serve) -> None:
    """Blocked, to be tried again, in need of a person."""
    blocked = {TaskId("task-001"): Blocker(TaskId("task-003"), a_task(3, status=TaskStatus.CANCELLED))}
    again = a_task(2, status=TaskStatus.FAILED, attempts=1, retry_at=NOW)
    tasks = [a_task(), again, a_task(4, status=TaskStatus.FAILED, failure_kind=FailureKind.OTHER)]
    serve("list_tasks.list_tasks", Listed(tasks, None, blocked))
    out = cli("task", "list").out
    assert "blocked by task-003 (cancelled)" in out
    assert "failed, again at 2026-03-01" in out
    assert "failed, needs a person" in out
    assert cli("task", "list", "--json").data["blocked"] == [
        {"taskId": "task-001", "by": "task-003", "status": "cancelled"}
    ]


def test_show_tells_of_ties_and_failures(cli: Cli, serve: Serve) -> None:
    """The whole, the parts, relatives, and what went wrong."""
    task = a_task(
        status=TaskStatus.FAILED, failure="slow", failure_kind=FailureKind.TIMEOUT, attempts=2, retry_at=NOW,
        parent=TaskId("task-008"), found_by=TaskId("task-007"),
    )  # fmt: skip
    parts = [a_task(5, merged_at=NOW), a_task(6)]
    shown = Shown(task, None, None, [], [], None, None, parts, [TaskId("task-009")], [], 300)
    serve("show_task.show_task", shown)
    out = cli("task", "show", "1").out
    for line in (
        "part of    task-008",
        "parts      1 of 2 merged; left: task-006",
        "related    task-009",
        "found in   task-007",
        "failure    slow (timeout)",
        "limit      5m of work for an agent",
    ):
        assert f"  {line}\n" in out
    data = cli("task", "show", "1", "--json").data
    assert (data["parent"], data["parts"], data["timeLimit"]) == ("task-008", ["task-005", "task-006"], 300)
    assert (data["retryAt"], data["needsPerson"], data["failureKind"]) == (
        "2026-03-01T12:00:00Z",
        False,
        "timeout",
    )


# graph


def a_graph(**titles: str) -> Graph:
    """A whole with a part, one after it, a relative and a finding; titles by `t1` and so on."""
    tasks = [a_task(number, title=titles.get(f"t{number}", f"title {number}")) for number in range(1, 6)]
    names = [task.id for task in tasks]
    edges = [
        Edge(names[0], names[2], "after"),
        Edge(names[0], names[1], "parent"),
        Edge(names[1], names[2], "after"),
        Edge(names[0], names[3], "related"),
        Edge(names[3], names[4], "found-by"),
    ]
    return Graph(tasks, edges, {names[2]: Blocker(TaskId("task-009"), None)}, None)


def test_graph_as_a_tree(cli: Cli, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes first above; each told once."""
    run = serve("graph.graph", a_graph())
    answer = cli("task", "graph")
    assert answer.out.splitlines() == [
        "task-001 [pending] title 1 ~ task-004",
        "├─ part: task-002 [pending] title 2",
        "│  └─ task-003 [blocked by task-009 (unknown)] title 3",
        "└─ task-003 (above)",
        "task-004 [pending] title 4 ~ task-001",
        "task-005 [pending] title 5 ~ found in task-004",
    ]
    assert run.call_args.kwargs == {"everything": False}
    cli("task", "graph", "7", "--all")
    assert (run.call_args.args[1], run.call_args.kwargs) == ("task-007", {"everything": True})
    monkeypatch.setattr("gitpw.cli.session.Session.fine", False)
    assert cli("task", "graph").out.isascii()


def test_graph_as_data(cli: Cli, serve: Serve) -> None:
    """Tasks in full, ties by kind."""
    serve("graph.graph", a_graph())
    data = cli("task", "graph", "--json").data
    assert data["edges"][1] == {"from": "task-001", "to": "task-002", "kind": "parent"}
    assert data["tasks"][0] == a_task(title="title 1").public()
    assert data["blocked"] == [{"taskId": "task-003", "by": "task-009", "status": "unknown"}]


ODD = '"a" \\N <b> [x] {y} #1; `z` | & \x1b[2J\nend'


def test_odd_titles_in_dot(cli: Cli, serve: Serve) -> None:
    """A title is one line within its quotes, whatever it holds."""
    serve("graph.graph", a_graph(t1=ODD))
    lines = cli("task", "graph", "--dot").out.splitlines()
    assert (lines[0], lines[-1]) == ("digraph tasks {", "}")
    (line,) = [line for line in lines if line.startswith('  "task-001" [label')]
    label = line.removeprefix('  "task-001" [label="').removesuffix('"];')
    rest = label.replace("\\\\", "").replace('\\"', "")
    assert '"' not in rest
    assert rest.count("\\") == rest.count("\\n") == 2
    if shutil.which("dot"):
        subprocess.run(["dot", "-Tsvg"], input="\n".join(lines), text=True, check=True, capture_output=True)


def test_odd_titles_in_mermaid(cli: Cli, serve: Serve) -> None:
    """Nothing in a title means anything there."""
    serve("graph.graph", a_graph(t1=ODD))
    lines = cli("task", "graph", "--mermaid").out.splitlines()
    assert lines[0] == "flowchart LR"
    label = lines[1].removeprefix('  task-001["').removesuffix('"]')
    assert not set("\"'`<>&|[]{}()\\") & set(label)
    assert "#34;a#34;" in label
    assert "  task-001 ==> task-002" in lines
    assert "  task-001 -.- task-004" in lines
    assert cli("task", "graph", "--dot", "--mermaid").exit == 2


def test_a_long_chain_is_drawn(cli: Cli, serve: Serve) -> None:
    """However long."""
    tasks = [a_task(number) for number in range(1, 1_500)]
    edges = [Edge(one.id, two.id, "after") for one, two in pairwise(tasks)]
    serve("graph.graph", Graph(tasks, edges, {}, None))
    assert len(cli("task", "graph").out.splitlines()) == len(tasks)


# files


def test_import(cli: Cli, serve: Serve, tmp_path: Path) -> None:
    """What is new and what isn't; the file is read as from -C."""
    run = serve(
        "import_tasks.import_tasks", Imported([a_task(), a_task(2)], [a_task(2, estimated_duration=90)])
    )
    (tmp_path / "t.toml").write_text("[[task]]")
    answer = cli("-C", str(tmp_path), "task", "import", "t.toml")
    assert answer.out == "added 1 task; 1 known already\n"
    assert "task split task-002" in answer.err
    assert run.call_args.args[1:] == ("t.toml", "[[task]]", None)
    data = cli("-C", str(tmp_path), "task", "import", "t.toml", "--json", "--format", "json").data
    assert (data["added"], [one["id"] for one in data["tasks"]]) == (["task-002"], ["task-001", "task-002"])
    assert run.call_args.args[3] == "json"


def test_import_from_stdin(cli: Cli, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a dash."""
    run = serve("import_tasks.import_tasks", Imported([], []))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO("é".encode())))
    assert cli("task", "import", "-").out == "added 0 tasks\n"
    assert run.call_args.args[1:3] == ("stdin", "é")


def test_import_of_what_cannot_be_read(cli: Cli, serve: Serve, tmp_path: Path) -> None:
    """No file, a folder, not UTF-8."""
    serve("import_tasks.import_tasks", Imported([], []))
    (tmp_path / "bad").write_bytes(b"one\n\xff")
    for name, said in (
        ("nowhere", "no such file"),
        (".", "is a directory"),
        ("bad", "bad:2: it isn't UTF-8"),
    ):
        answer = cli("-C", str(tmp_path), "task", "import", name)
        assert answer.exit == 2
        assert said in answer.err


def test_export(cli: Cli, serve: Serve) -> None:
    """The file and nothing else on stdout; what is left out on stderr."""
    run = serve(
        "export_tasks.export_tasks", Exported("[[task]]\n", [NewTask(title="x")], ["task-2 is left out"])
    )
    answer = cli("task", "export", "--status", "pending", "--status", "failed")
    assert (answer.out, answer.err) == ("[[task]]\n", "task-2 is left out\n")
    assert run.call_args.args[1:] == ("toml", ("pending", "failed"))
    assert cli("task", "export", "--format", "jsonl", "--json").data["tasks"] == [{"title": "x"}]
    assert cli("task", "export", "--format", "nope").exit == 6
