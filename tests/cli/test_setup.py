"""init, uninstall, doctor, config, demo."""

from __future__ import annotations

import sys
from pathlib import Path

from gitpw.adapters.policy import list_rules
from gitpw.cli.manual import DOCS
from gitpw.domain.checkup import AREAS
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


def test_every_finding_is_documented() -> None:
    """docs/doctor.md names every code, and docs/policy.md every key."""
    told = (DOCS / "doctor.md").read_text("utf-8")
    assert not [code for codes in AREAS.values() for code in codes if f"`{code}`" not in told]
    told = (DOCS / "policy.md").read_text("utf-8")
    keys = [rule.key for rule in list_rules(None)]
    assert not [key for key in keys if f"`{key}`" not in told and f"`{key.partition('.')[2]}`" not in told]


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


def test_config_says_where_a_rule_comes_from(cli: Cli, opened: Opened, tmp_path: Path) -> None:
    """The line of the file, or that it is the default."""
    opened.context.repo.root = str(tmp_path)
    (tmp_path / ".gitpw.toml").write_text("[claim]\nlease = '90m'\n")
    assert "claim.lease = 90m  # .gitpw.toml:2\nclaim.wait = 5m\n" in cli("config").out
    data = cli("config", "--json").data
    assert (data["origins"]["claim.lease"], data["origins"]["claim.wait"]) == (".gitpw.toml:2", "default")
    assert data["config"]["merge.base"] is None
    assert cli("config", "merge.base").out == "\n"


def test_config_of_the_hooks_says_when_it_counts(cli: Cli, opened: Opened, tmp_path: Path) -> None:
    """One note, also in the document: the base branch's version is the one that guards."""
    opened.context.repo.root = str(tmp_path)
    answer = cli("config", "--add", "policy.lockable", "**/*.psd")
    assert answer.out == 'policy.lockable = ["**/*.psd"]\n'
    assert answer.err == "the hooks follow it once .gitpw.toml is on trunk: commit it\n"
    assert cli("config", "policy.enforce", "strict", "--json").data["notes"] == [answer.err.strip()]
    assert cli("config", "--add", "policy.lockable", "**/*.psd").err == "nothing to change\n"
    assert cli("config", "--remove", "policy.lockable", "**/*.psd").out == "policy.lockable = []\n"


def test_config_takes_a_rule_out(cli: Cli, opened: Opened, tmp_path: Path) -> None:
    """The default holds again; a key that doesn't exist can be taken out too, and what is still wrong is told."""
    opened.context.repo.root = str(tmp_path)
    file = tmp_path / ".gitpw.toml"
    file.write_text("[claim]\nlease = '90m'\nleese = 1\n[merge]\nwindow = 0\n")
    assert cli("config").exit == 78
    answer = cli("config", "--unset", "claim.leese")
    assert (answer.exit, answer.out) == (0, "")
    assert answer.err.startswith("still wrong: .gitpw.toml:4: merge.window")
    assert cli("config", "merge.window", "4").out == "merge.window = 4\n"
    assert cli("config", "--unset", "claim.lease").out == "claim.lease = 60m\n"
    assert file.read_text() == "[claim]\n[merge]\nwindow = 4\n"


def test_config_refuses_what_makes_no_sense(cli: Cli, opened: Opened, tmp_path: Path) -> None:
    """A usage error, and nothing is written."""
    opened.context.repo.root = str(tmp_path)
    for words in (
        ("claim.lease", "1m", "2m"),
        ("--unset", "claim.lease", "1m"),
        ("--add", "policy.critical"),
        ("--add", "--remove", "policy.critical", "x"),
        ("--unset",),
    ):
        assert cli("config", *words, "--json").exit == 2
    assert not (tmp_path / ".gitpw.toml").exists()


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
