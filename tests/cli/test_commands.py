"""What all commands share: global options anywhere, help with examples, values that may be left out."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from gitpw.cli.commands import Group, Shared, spelled_out
from gitpw.cli.manual import commands
from gitpw.cli.root import root
from gitpw.services.unlock import Unlocked
from tests.cli.conftest import Cli, Opened, Serve, a_task

TOP = click.Context(root, info_name="git-pw")
ALL = {context.command_path.removeprefix("git-pw "): command for context, command in commands(root, TOP)}
WAIT = ALL["claim"].params


@pytest.mark.parametrize(
    "words",
    [
        ["-C", "x", "--as", "bob", "--json", "task", "cancel", "7"],
        ["task", "-C", "x", "--as", "bob", "--json", "cancel", "7"],
        ["task", "cancel", "7", "-C", "x", "--as", "bob", "--json"],
        ["task", "cancel", "-C", "x", "--as=bob", "--json", "--", "7"],
        ["-Cx", "task", "--as", "bob", "cancel", "--json", "7"],
    ],
)
def test_global_options_stand_before_or_after(
    words: list[str], cli: Cli, serve: Serve, opened: Opened
) -> None:
    """Wherever they are, they mean the same."""
    serve("cancel_task.cancel_task", a_task())
    answer = cli(*words)
    assert answer.data["ok"] is True
    assert [(call["directory"], call["worker"]) for call in opened.calls] == [("x", "bob")]


def test_folders_add_up_as_in_git(cli: Cli, serve: Serve, opened: Opened) -> None:
    """`-C a -C b` is `-C a/b`, across the command's name too."""
    serve("start.start", a_task())
    cli("-C", "a", "-C", "b", "start", "-C", "c")
    assert opened.calls[0]["directory"] == "a/b/c"


def test_what_stands_after_two_dashes_is_no_option(cli: Cli, serve: Serve) -> None:
    """A file may be called `--json`, or begin with a dash, or hold a newline."""
    done = serve("unlock.unlock", Unlocked([], []))
    answer = cli("unlock", "--", "--json", "-x y", "a\nb")
    assert done.call_args.args[1] == ["--json", "-x y", "a\nb"]
    assert not answer.out.startswith("{")


@pytest.mark.parametrize("name", ALL)
def test_every_command_has_an_example_in_its_help(name: str, cli: Cli) -> None:
    """And the example is of that command."""
    answer = cli(*name.split(), "--help")
    assert answer.exit == 0
    assert "Examples:" in answer.out
    assert any(f"git pw {name}" in example for example in ALL[name].examples)


@pytest.mark.parametrize("name", ALL)
def test_every_command_takes_the_global_options(name: str) -> None:
    """Each, on each."""
    known = {option for param in ALL[name].params for option in param.opts}
    assert {"-C", "--as", "--json", "-q", "-v", "--no-color", "--dry-run", "-h", "--help"} <= known


def test_all_commands_of_the_contract_are_there() -> None:
    """What people, agents and scripts rely on."""
    assert set(ALL) >= {
        *("init", "uninstall", "doctor", "config", "completion", "demo"),
        *(f"task {verb}" for verb in ("add", "list", "show", "edit", "cancel", "retry")),
        *("claim", "start", "progress", "heartbeat", "push", "complete", "fail", "release"),
        *("lock", "unlock", "locks"),
        *(f"worktree {verb}" for verb in ("list", "path", "remove", "prune", "repair", "setup")),
        *(f"worker {verb}" for verb in ("register", "list", "show", "unregister")),
        *("merge list", "status", "log", "health", "gc"),
    }


def test_help_groups_the_commands_under_headings(cli: Cli) -> None:
    """What shims call isn't shown."""
    answer = cli("--help")
    headings = [line[:-1] for line in answer.out.splitlines() if line.endswith(":")]
    assert headings == [
        "Options", "Set-up", "Tasks", "Working", "Workers", "Merging", "Seeing", "Upkeep", "Examples",
    ]  # fmt: skip
    assert "  hook" not in answer.out


def test_help_is_a_document_too(cli: Cli) -> None:
    """`--json` holds for --help and --version."""
    assert "Usage:" in cli("claim", "-h", "--json").data["help"]
    assert cli("--json", "--version").data["version"]


def test_a_group_without_a_command_shows_its_help_and_refuses(cli: Cli) -> None:
    """The help goes to stderr, as what it is: an error."""
    answer = cli("task")
    assert (answer.exit, answer.out) == (2, "")
    assert "git pw task list --ready" in answer.err
    assert answer.err.endswith("no command given\nhint: 'git-pw task -h' lists them\n")


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["clam"], "did you mean 'git-pw claim'?"),
        (["task", "lst"], "did you mean 'git-pw task list'?"),
        (["xyzzy"], "'git-pw -h' lists them"),
        (["claim", "--explian"], "did you mean --explain?"),
    ],
)
def test_a_slip_is_answered_with_the_nearest_right_word(words: list[str], hint: str, cli: Cli) -> None:
    """Of a command as of an option."""
    assert cli(*words, "--json").data["hint"] == hint


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["--wait"], ["--wait=default"]),
        (["--wait", "5m"], ["--wait=5m"]),
        (["--wait", "task-007"], ["--wait=default", "task-007"]),
        (["--wait", "--json"], ["--wait=default", "--json"]),
        (["--wait=90s", "7"], ["--wait=90s", "7"]),
        (["--file", "--wait", "7"], ["--file", "--wait", "7"]),
        (["-qC", "--wait", "7"], ["-qC", "--wait", "7"]),
        (["-Cx", "--wait"], ["-Cx", "--wait=default"]),
        (["--", "--wait"], ["--", "--wait"]),
    ],
)
def test_a_value_that_is_left_out_is_spelled_out(words: list[str], meant: list[str]) -> None:
    """`--wait [5m]` takes the next word only if it is a duration."""
    assert spelled_out(words, WAIT) == meant


def test_dry_run_never_changes_anything_in_silence(cli: Cli, serve: Serve) -> None:
    """A command that can't be tried says so instead of doing it."""
    done = serve("uninstall.uninstall", None)
    answer = cli("uninstall", "--dry-run", "--json")
    assert (answer.exit, answer.data["code"]) == (2, "usage")
    assert not done.called


def test_dry_run_is_passed_on(cli: Cli, serve: Serve, opened: Opened) -> None:
    """A command that can be tried leaves it to its service to change nothing."""
    serve("start.start", a_task())
    assert cli("start", "--dry-run", "--json").data["dryRun"] is True
    assert opened.calls[0]["dry_run"] is True


def test_quiet_leaves_the_id(cli: Cli, serve: Serve) -> None:
    """`id=$(git pw -q task add …)`."""
    serve("add_tasks.add_tasks", [a_task()])
    assert cli("-q", "task", "add", "x").out == "task-001\n"


LAZY = """
import sys
from gitpw.cli import main
for words in {words!r}:
    main(words)
print("loaded", *{{"github", "rich", "pydantic", "pygit2"}} & set(sys.modules))
"""


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        ([["--help"]], set()),
        ([["--version"]], set()),
        ([["claim", "--nope", "--json"]], set()),
        ([["claim", "--json"], ["locks"], ["status"]], {"pydantic", "pygit2"}),
    ],
)
def test_start_up_imports_nothing_that_is_not_needed(words: list[list[str]], extra: set[str]) -> None:
    """Neither rich nor PyGithub for what prints to a pipe, and nothing slow for what needs no repository."""
    done = subprocess.run(
        [sys.executable, "-c", LAZY.format(words=words)], capture_output=True, check=True, text=True
    )
    assert set(done.stdout.splitlines()[-1].split()) <= {"loaded", *extra}


def test_every_group_says_what_it_is_for() -> None:
    """Each command has a first sentence that fits the overview."""
    for name, command in ALL.items():
        assert isinstance(command, Shared)
        if " " not in name or isinstance(command, Group):
            assert not command.get_short_help_str(62).endswith("..."), name
