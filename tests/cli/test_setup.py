"""init, uninstall, doctor, config, demo."""

from __future__ import annotations

import sys
from pathlib import Path

from gitpw.services.doctor import Finding
from gitpw.services.init import Initialised
from gitpw.services.uninstall import Uninstalled
from tests.cli.conftest import Cli, Opened, Serve

FINDINGS = [
    Finding("git", "ok", "git 2.39.5"),
    Finding("hooks", "error", "the pre-commit hook is gone", hint="git pw doctor --fix"),
    Finding("clock", "warn", "the clock of box2 is 7 minutes ahead"),
]


def test_init_begins_where_it_is_told(cli: Cli, serve: Serve, opened: Opened) -> None:
    """--remote goes to the repository, the rest to the service; no ledger is needed."""
    done = Initialised("4f2a", "upstream", True, False, ["pre-commit"], [".gitpw.toml"], ["husky is there"])
    run = serve("init.init", done)
    answer = cli("init", "--remote", "upstream", "--no-hooks", "--json")
    assert answer.data == {
        "ok": True,
        "ledger": "4f2a",
        "remote": "upstream",
        "created": True,
        "moved": False,
        "hooks": ["pre-commit"],
        "files": [".gitpw.toml"],
        "notes": ["husky is there"],
    }
    call = opened.calls[0]
    assert (call["remote"], call["need_ledger"], call["beginning"]) == ("upstream", False, True)
    assert run.call_args.kwargs == {"hooks": False, "new": False}


def test_init_says_what_is_new(cli: Cli, serve: Serve) -> None:
    """A line for each thing; what needs attention goes to stderr."""
    serve("init.init", Initialised("4f2a", None, False, True, ["pre-push"], [], ["husky is there"]))
    answer = cli("init")
    assert answer.out == "moved ledger 4f2a on this machine alone (there is no remote)\nhook pre-push\n"
    assert answer.err == "husky is there\n"


def test_uninstall_names_what_it_kept(cli: Cli, serve: Serve) -> None:
    """What may hold work stays, and is told."""
    run = serve("uninstall.uninstall", Uninstalled(["hook pre-push"], ["worktree /shop/.worktrees/task-001"]))
    answer = cli("uninstall", "--purge-remote")
    assert (answer.out, answer.err) == (
        "removed hook pre-push\n",
        "kept worktree /shop/.worktrees/task-001\n",
    )
    assert run.call_args.kwargs == {"purge_remote": True}


def test_doctor_fails_while_something_is_wrong(cli: Cli, serve: Serve) -> None:
    """Exit 1, with all findings; as text on stderr."""
    serve("doctor.doctor", FINDINGS)
    answer = cli("doctor", "--json")
    assert (answer.exit, answer.data["code"]) == (1, "failed")
    assert [one["level"] for one in answer.data["findings"]] == ["ok", "error", "warn"]
    answer = cli("doctor")
    assert answer.out == ""
    assert "error  the pre-commit hook is gone\n       hint: git pw doctor --fix\n" in answer.err


def test_doctor_is_content_with_what_it_fixed(cli: Cli, serve: Serve) -> None:
    """What was repaired is no failure."""
    run = serve("doctor.doctor", [FINDINGS[1]._replace(fixed=True)])
    answer = cli("doctor", "--fix")
    assert (answer.exit, answer.out) == (0, "fixed  the pre-commit hook is gone\n")
    assert run.call_args.kwargs == {"fix": True}


def test_config_lists_all_rules_with_dotted_names(cli: Cli) -> None:
    """Values that aren't text are shown as JSON."""
    answer = cli("config")
    assert "claim.lease = 60m\n" in answer.out
    assert "merge.window = 5\n" in answer.out
    assert cli("config", "--json").data["config"]["policy.trailers"] is True


def test_config_changes_one_rule(cli: Cli, opened: Opened, tmp_path: Path) -> None:
    """And shows it."""
    opened.context.repo.root = str(tmp_path)
    assert cli("config", "claim.lease", "90m").out == "claim.lease = 90m\n"
    assert cli("config", "claim.lease").out == "90m\n"
    assert cli("config", "merge.window", "7", "--json").data == {
        "ok": True,
        "key": "merge.window",
        "value": 7,
    }
    assert cli("config", "claim", "--json").data["value"]["lease"] == "90m"


def test_config_needs_a_root_to_write_to(cli: Cli, opened: Opened) -> None:
    """A bare repository has none."""
    opened.context.repo.root = None
    assert cli("config", "claim.lease", "90m", "--json").exit == 6


def test_demo_leaves_stdout_to_the_document(cli: Cli, serve: Serve) -> None:
    """The story goes to stderr with --json."""
    run = serve("demo.demo", lambda out, _run, *, keep: out.write(f"story {keep}\n") and None)
    answer = cli("demo", "--json", "--keep")
    assert (answer.data, answer.err) == ({"ok": True, "kept": True}, "story True\n")
    cli("demo")
    assert run.call_args.args[0] is not sys.stderr
