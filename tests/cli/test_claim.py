"""git pw claim."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from gitpw.domain.ids import TaskId
from gitpw.domain.reasons import Reason
from gitpw.errors import HeldError, NothingError
from gitpw.services.claim import Claimed
from tests.cli.conftest import Cli, Opened, Serve, a_claim, a_task

TREE = "/shop/.worktrees/task-001"
REASONS = [Reason(TaskId("task-002"), "held", "src/\x1b[1mb is held by bob")]


def claimed(worktree: str | None = TREE, reasons: list[Reason] | None = None) -> Claimed:
    """What the service answers."""
    return Claimed(a_task(), a_claim(), worktree, "fix/task-001", ["main is 2 commits ahead"], reasons)


def test_claim_answers_with_task_lock_worktree_and_branch(cli: Cli, serve: Serve) -> None:
    """Exactly these; notes where there are some, and reasons only where they were asked for."""
    serve("claim.claim", claimed())
    assert cli("claim", "--json").data == {
        "ok": True,
        "task": a_task().public(),
        "lock": a_claim().public()[0],
        "worktree": TREE,
        "branch": "fix/task-001",
        "notes": ["main is 2 commits ahead"],
    }


def test_claim_asks_for_what_was_said(cli: Cli, serve: Serve) -> None:
    """Every option arrives."""
    run = serve("claim.claim", claimed())
    cli(
        "claim",
        "7",
        "--file",
        "a b",
        "--file",
        "-c",
        "--shared",
        "--no-worktree",
        "--lease",
        "2h",
        "--wait",
        "90s",
    )
    assert run.call_args.kwargs == {
        "task": "task-007",
        "files": ["a b", "-c"],
        "shared": True,
        "worktree": False,
        "lease": "2h",
        "wait": "90s",
        "explain": False,
        "sparse": [],
        "checkout": True,
        "confirm": None,
        "resume": False,
    }


def test_wait_without_a_time_waits_as_the_policy_says(cli: Cli, serve: Serve, opened: Opened) -> None:
    """`--wait task-007` waits for task-007."""
    run = serve("claim.claim", claimed())
    cli("claim", "--wait", "task-007")
    assert run.call_args.kwargs["wait"] == opened.context.policy.claim.wait == "5m"
    assert run.call_args.kwargs["task"] == "task-007"


def test_claim_tells_people_what_they_got(cli: Cli, serve: Serve) -> None:
    """Results on stdout, what is worth knowing on stderr."""
    serve("claim.claim", claimed())
    answer = cli("claim")
    assert answer.out.splitlines() == [
        "claimed task-001: Fix auth bug",
        "  branch    fix/task-001",
        f"  worktree  {TREE}",
        "  exclusive src/auth/login.ts",
        "  lease     48m left",
    ]
    assert answer.err == "main is 2 commits ahead\n"


def test_print_path_prints_the_path_and_nothing_else(cli: Cli, serve: Serve) -> None:
    """Byte for byte: a folder may have any name."""
    odd = "/shop/new\nline/\x1b ü"
    serve("claim.claim", claimed(odd, REASONS))
    answer = cli("claim", "--print-path", "--explain")
    assert answer.out == f"{odd}\n"


def test_print_path_writes_the_bytes_of_the_name(cli: Cli, serve: Serve, tmp_path: Path) -> None:
    """A name that isn't UTF-8 comes out as it is."""
    serve("claim.claim", claimed("/shop/" + os.fsdecode(b"\xff")))
    with (tmp_path / "out").open("w") as file:
        real, sys.stdout = sys.stdout, file
        try:
            cli("claim", "--print-path")
        finally:
            sys.stdout = real
    assert (tmp_path / "out").read_bytes() == b"/shop/\xff\n"


def test_print_path_without_a_worktree_is_where_the_work_is(cli: Cli, serve: Serve) -> None:
    """The root of this checkout."""
    serve("claim.claim", claimed(None))
    assert cli("claim", "--print-path").out == "/shop\n"


def test_explain_says_why_not_the_others(cli: Cli, serve: Serve) -> None:
    """As data, and in words that can't harm a terminal."""
    serve("claim.claim", claimed(reasons=REASONS))
    assert cli("claim", "--explain", "--json").data["reasons"] == [
        {"taskId": "task-002", "code": "held", "reason": "src/\x1b[1mb is held by bob"}
    ]
    assert "not task-002: src/\\x1b[1mb is held by bob\n" in cli("claim", "--explain").err


def test_nothing_to_claim_says_why_only_when_asked(cli: Cli, serve: Serve) -> None:
    """Exit 4; the document always has the reasons."""
    told = [reason.public() for reason in REASONS]
    serve("claim.claim", NothingError("nothing to claim now", hint="wait", reasons=told))
    answer = cli("claim", "--json")
    assert (answer.exit, answer.data["reasons"]) == (4, told)
    assert cli("claim").err == "nothing to claim now\nhint: wait\n"
    assert cli("claim", "--explain").err.startswith("not task-002: ")


def test_a_refused_claim_prints_no_path(cli: Cli, serve: Serve) -> None:
    """So that `cd "$(git pw claim --print-path)"` stays where it is."""
    serve("claim.claim", HeldError("held by bob"))
    assert (cli("claim", "--print-path").exit, cli("claim", "--print-path").out) == (3, "")


def test_claim_of_a_part_of_the_tree(cli: Cli, serve: Serve) -> None:
    """Folders, or no file at all; not both."""
    run = serve("claim.claim", claimed())
    cli("claim", "--sparse", "src", "--sparse", "a b")
    assert run.call_args.kwargs["sparse"] == ["src", "a b"]
    cli("claim", "--no-checkout")
    assert run.call_args.kwargs["checkout"] is False
    for words in (["--sparse", "a", "--no-checkout"], ["--no-worktree", "--no-checkout"]):
        assert cli("claim", *words).exit == 2


@pytest.mark.parametrize(
    ("answer", "approved"), [("y\n", True), ("\n", False), ("", False), ("yes please\n", False)]
)
def test_person_is_asked_about_set_up_commands(
    cli: Cli, serve: Serve, monkeypatch: pytest.MonkeyPatch, answer: str, approved: bool
) -> None:
    """On a terminal, with the commands made harmless; only a plain yes is one."""
    run = serve(
        "claim.claim",
        lambda _ctx, **options: claimed(reasons=[]) if options["confirm"](["a\x1b[2J"]) else claimed(None),
    )
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    for stream in (sys.stdin, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    done = cli("claim")
    assert "  a\\x1b[2J\n" in done.err
    assert ("worktree" in done.out) is approved
    monkeypatch.undo()
    assert run.call_count == 1
