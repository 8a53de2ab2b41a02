"""The one place where errors become exit codes."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from gitpw import errors
from gitpw.domain.operation import Fail
from tests.cli.conftest import Cli, Serve, a_task

CONTRACT = {
    errors.FailedError: (1, "failed"),
    errors.UsageError: (2, "usage"),
    errors.HeldError: (3, "held"),
    errors.NothingError: (4, "nothing"),
    errors.StaleError: (5, "stale"),
    errors.InvalidError: (6, "invalid"),
    errors.OfflineError: (69, "offline"),
    errors.ContendedError: (75, "contended"),
    errors.UnknownError: (76, "unknown"),
    errors.ConfigError: (78, "config"),
    errors.NoRepoError: (128, "norepo"),
}


class Stored(BaseModel):
    """A record that isn't a request."""

    n: int


@pytest.mark.parametrize("kind", CONTRACT)
def test_each_refusal_has_its_status_and_its_document(
    kind: type[errors.PwError], cli: Cli, serve: Serve
) -> None:
    """`{"ok": false, "code", "message", "hint"}` and whatever the refusal adds, with the contract's exit status."""
    serve("start.start", kind("it is so", hint="do that", holder={"workerId": "bob"}))
    answer = cli("start", "--json")
    status, code = CONTRACT[kind]
    assert answer.exit == status
    assert answer.data == {
        "ok": False,
        "code": code,
        "message": "it is so",
        "hint": "do that",
        "holder": {"workerId": "bob"},
    }


def test_a_refusal_as_text_is_on_stderr_alone(cli: Cli, serve: Serve) -> None:
    """One line, then the hint on its own, and nothing on stdout."""
    serve("start.start", errors.HeldError("src/a.py is held by bob", hint="wait"))
    answer = cli("start")
    assert (answer.exit, answer.out, answer.err) == (3, "", "src/a.py is held by bob\nhint: wait\n")


def test_data_of_a_refusal_can_not_pose_as_success(cli: Cli, serve: Serve) -> None:
    """What a ledger put into an error's data never replaces `ok`, `code` or `message`."""
    serve("start.start", errors.InvalidError("no", ok=True, code="fine"))
    assert cli("start", "--json").data == {"ok": False, "code": "invalid", "message": "no", "hint": None}


def test_a_refusal_can_not_harm_a_terminal(cli: Cli, serve: Serve) -> None:
    """Messages carry names from the ledger."""
    serve("start.start", errors.HeldError("held by \x1b]0;evil\x07", hint="\u202eask"))
    assert cli("start").err == "held by \\x1b]0;evil\\x07\nhint: \\u202eask\n"


@pytest.mark.parametrize(
    "words",
    [
        ["--json"],
        ["--json", "nope"],
        ["claim", "--nope", "--json"],
        ["claim", "a", "b", "--json"],
        ["task", "--json"],
        ["task", "add", "--json"],
        ["task", "add", "x", "--priority", "high", "--json"],
        ["fail", "--json"],
        ["progress", "--step", "three", "--json"],
        ["progress", "--json"],
        ["log", "--since", "yesterday", "--json"],
        ["unlock", "--json"],
        ["unlock", "a", "--all", "--json"],
        ["unlock", "a", "--force", "--json"],
        ["lock", "--json"],
        ["claim", "--lease", "long", "--json"],
        ["claim", "--print-path", "--no-worktree", "--json"],
        ["log", "--follow", "--json"],
        ["--json", "-C"],
    ],
)
def test_words_that_are_off_are_a_usage_error_in_json_too(words: list[str], cli: Cli) -> None:
    """Exit 2, one document, in lower case without a period, with a hint."""
    answer = cli(*words)
    assert answer.exit == 2
    assert answer.err == ""
    assert answer.data["code"] == "usage"
    assert answer.data["message"] == answer.data["message"].rstrip(".")
    assert not answer.data["message"][0].isupper()
    assert answer.data["hint"]


@pytest.mark.parametrize(
    "words",
    [
        ["task", "add", "x", "--priority", "9"],
        ["task", "add", "x", "--priority", "0"],
        ["task", "add", "x", "--type", "nope"],
        ["task", "add", ""],
        ["task", "add", "x" * 501],
        ["task", "add", "x", "--estimate", "-1"],
        ["task", "add", "x", "--after", "soon"],
        ["task", "list", "--status", "nope"],
        ["task", "show", "nope"],
        ["progress", "--step", "8/7"],
        ["progress", "--step", "0/0"],
        ["progress", "--percent", "101"],
        ["progress", "--percent", "-1"],
        ["progress", "--eta", "-1"],
        ["claim", "--lease", "0m"],
        ["worker", "register", "Bob!"],
        ["worker", "register", "bob", "--type", "robot"],
        ["worker", "register", "bob", "--agent-type", "chief"],
        ["worker", "register", "bob", "--max-tasks", "0"],
        ["completion", "tcsh"],
    ],
)
def test_what_is_out_of_range_is_invalid(words: list[str], cli: Cli) -> None:
    """Exit 6 for a value that can be read and may not be."""
    answer = cli(*words, "--json")
    assert (answer.exit, answer.data["code"]) == (6, "invalid"), answer.out


def test_a_request_that_a_service_builds_out_of_range_is_invalid(cli: Cli, serve: Serve) -> None:
    """Pydantic's complaint about a request is told in the words of the command line."""
    serve("fail.fail", lambda *_: Fail(task=a_task().id, reason="x" * 2000))
    answer = cli("fail", "--reason", "long", "--json")
    assert (answer.exit, answer.data["message"]) == (6, "--reason must have at most 1000 characters")


def test_a_record_that_does_not_validate_is_no_fault_of_the_words(cli: Cli, serve: Serve) -> None:
    """Only requests are judged so: anything else is a bug."""
    serve("start.start", lambda *_: Stored.model_validate({"n": "x"}))
    assert cli("start", "--json").exit == 70


def test_interrupted(cli: Cli, serve: Serve) -> None:
    """^C is 130, in JSON too."""
    serve("start.start", KeyboardInterrupt())
    answer = cli("start", "--json")
    assert (answer.exit, answer.data["code"]) == (130, "interrupted")


def test_a_full_disk_is_not_a_bug(cli: Cli, serve: Serve) -> None:
    """What the machine refuses is told as it is."""
    serve("start.start", OSError(errno.ENOSPC, "No space left on device", "/shop/.git/pw"))
    answer = cli("start", "--json")
    assert (answer.exit, answer.data["message"]) == (1, "no space left on device: /shop/.git/pw")


def test_a_bug_leaves_a_log_in_our_own_folder(
    cli: Cli, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 70; the traceback is in a file that only the user can read, not on the screen."""
    (tmp_path / ".git" / "pw").mkdir(parents=True)
    (tmp_path / "src").mkdir()
    monkeypatch.chdir(tmp_path / "src")
    serve("start.start", ZeroDivisionError("by nothing"))
    answer = cli("start", "--json")
    log = Path(answer.data["log"])
    assert (answer.exit, answer.data["code"], answer.err) == (70, "bug", "")
    assert str(log) in answer.data["message"]
    assert log.parent == tmp_path / ".git" / "pw" / "logs"
    assert log.stat().st_mode & 0o077 == 0
    assert "ZeroDivisionError: by nothing" in log.read_text()


def test_a_bug_in_a_worktree_is_logged_in_the_common_folder(cli: Cli, serve: Serve, tmp_path: Path) -> None:
    """All worktrees of a repository share one folder for logs."""
    own = tmp_path / "shop" / ".git" / "worktrees" / "t"
    own.mkdir(parents=True)
    (own / "commondir").write_text("../..\n")
    (tmp_path / "shop" / ".git" / "pw").mkdir()
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / ".git").write_text(f"gitdir: {own}\n")
    serve("start.start", ZeroDivisionError())
    log = Path(cli("-C", str(tmp_path / "tree"), "start", "--json").data["log"])
    assert log.resolve().parent == tmp_path / "shop" / ".git" / "pw" / "logs"


def test_a_bug_outside_a_repository_is_logged_for_all_that(cli: Cli, serve: Serve, sealed: object) -> None:
    """The temporary folder takes it; nothing of ours is made where there was nothing."""
    del sealed
    serve("start.start", ZeroDivisionError())
    log = Path(cli("start", "--json").data["log"])
    assert log.is_file()
    log.unlink()


def test_a_traceback_is_shown_only_with_vv(cli: Cli, serve: Serve) -> None:
    """One -v isn't enough."""
    serve("start.start", errors.InvalidError("no"))
    assert "Traceback" not in cli("-v", "start").err
    assert "Traceback" in cli("start", "-vv").err


def test_a_broken_pipe_is_quiet() -> None:
    """A reader that went away is no error to talk about."""
    run = "import sys; from gitpw.cli import main; sys.exit(main(['--help']))"
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-c", run], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_refusal_that_nobody_reads_is_quiet_and_keeps_its_status() -> None:
    """With stdout and stderr closed there is still an exit status."""
    run = "import sys; from gitpw.cli import main; sys.exit(main(['--json', 'nope']))"
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-c", run], stdout=write, stderr=write, check=False)
    os.close(write)
    assert done.returncode == 2


def test_another_broken_pipe_is_not_taken_for_a_closed_stdout(cli: Cli, serve: Serve) -> None:
    """A connection that broke inside is not hidden."""
    serve("start.start", BrokenPipeError(errno.EPIPE, "Broken pipe"))
    assert cli("start", "--json").exit == 70


def test_an_answer_that_can_not_be_written_is_an_error() -> None:
    """A full disk behind stdout isn't success."""
    run = "import sys; from gitpw.cli import main; sys.exit(main(['--version']))"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", run], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(b"no space left on device\nhint: ")


def test_there_is_never_a_second_document(cli: Cli, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails after the answer is told on stderr."""
    serve("start.start", a_task())
    monkeypatch.setattr(
        "gitpw.cli.session.Session.flush", lambda _: (_ for _ in ()).throw(OSError(errno.EIO, "x"))
    )
    answer = cli("start", "--json")
    assert answer.exit == 1
    assert answer.data["ok"] is True
    assert answer.err


def test_the_program_answers_in_json_for_real() -> None:
    """`python -m gitpw` is the program."""
    done = subprocess.run([sys.executable, "-m", "gitpw", "--json", "nope"], capture_output=True, check=False)
    assert (done.returncode, json.loads(done.stdout)["code"]) == (2, "usage")
