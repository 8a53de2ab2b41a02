"""Programs that are run: what comes back, and what stops them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from gitpw.adapters.process import CLEAN, complaint, detach, linger, run
from gitpw.errors import FailedError


def test_status_and_both_streams_come_back() -> None:
    """What a program says on each stream, and how it ends."""
    done = run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert done == (3, b"out\n", b"err\n", False)


def test_input_is_given_and_otherwise_empty() -> None:
    """A program never reads our own standard input."""
    assert run(["cat"], input=b"told").out == b"told"
    assert run(["cat"]).out == b""


def test_none_takes_a_variable_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """`env` is merged over the environment."""
    monkeypatch.setenv("GONE", "1")
    monkeypatch.setenv("KEPT", "2")
    done = run(["sh", "-c", "echo ${GONE-none} $KEPT $NEW"], env={"GONE": None, "NEW": "3"})
    assert done.out == b"none 2 3\n"


def test_settings_and_credentials_survive_cleaning() -> None:
    """`git -c`, ssh and password helpers are the user's words; git's own ties to a repository are not."""
    assert {"GIT_DIR", "GIT_INDEX_FILE", "GIT_QUARANTINE_PATH", "GIT_PREFIX"} <= CLEAN.keys()
    assert (
        not {"GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS", "GIT_SSH_COMMAND", "GIT_ASKPASS", "GIT_EXEC_PATH"}
        & CLEAN.keys()
    )


def test_timeout_stops_the_whole_group(tmp_path: Path) -> None:
    """A child of a late program is stopped with it."""
    mark = tmp_path / "mark"
    begun = time.monotonic()
    done = run(["sh", "-c", f"echo begun; (sleep 1.5; touch '{mark}') & sleep 30"], timeout=0.3)
    assert done.late
    assert done.status != 0
    assert done.out == b"begun\n"
    assert time.monotonic() - begun < 10
    time.sleep(1.5)
    assert not mark.exists()


def test_program_that_ignores_the_end_is_killed() -> None:
    """SIGTERM first, so that git can tidy up; then SIGKILL."""
    begun = time.monotonic()
    assert run(["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"], timeout=0.2).late
    assert time.monotonic() - begun < 10


def test_leftover_child_does_not_make_a_program_late() -> None:
    """A daemon that keeps the pipe open is not the program's lateness."""
    done = run(["sh", "-c", "echo done; sleep 5 & exit 4"], timeout=0.5)
    assert done == (4, b"done\n", b"", False)


def test_without_timeout_the_terminal_stays() -> None:
    """Ssh and git ask for passwords on the terminal of the session: it is kept unless there is a time limit."""
    session = ["sh", "-c", "ps -o sid= -p $$"]
    assert int(run(session).out) == os.getsid(0)
    assert int(run(session, timeout=5).out) != os.getsid(0)


def test_missing_git_has_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    """No traceback where git isn't installed."""
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(FailedError, match="git was not found") as caught:
        run(["git", "version"], env={"PATH": "/nowhere"})
    assert caught.value.hint


def test_missing_folder_is_not_a_missing_program(tmp_path: Path) -> None:
    """A folder that is gone is named."""
    with pytest.raises(FailedError, match="gone is no folder"):
        run(["git", "version"], cwd=str(tmp_path / "gone"))


def test_nul_in_an_argument_is_an_error_of_ours() -> None:
    """A hostile name can't raise anything else."""
    with pytest.raises(FailedError):
        run(["git", "a\0b"])


def test_names_of_any_bytes_go_through() -> None:
    """Arguments are decoded and encoded without loss."""
    assert run(["printf", "%s", os.fsdecode(b"\xff")]).out == b"\xff"


def test_held_file_stays_open_in_the_program(tmp_path: Path) -> None:
    """A lock passed on lasts as long as the program."""
    with (tmp_path / "lock").open("w") as file:
        done = run(["sh", "-c", f"echo held >/dev/fd/{file.fileno()}"], hold=[file.fileno()])
    assert done.status == 0
    assert (tmp_path / "lock").read_text() == "held\n"


def test_detached_program_goes_on(tmp_path: Path) -> None:
    """It outlives the call, which doesn't wait for it."""
    begun = time.monotonic()
    detach(["sh", "-c", "sleep 0.4; touch done"], cwd=str(tmp_path))
    assert time.monotonic() - begun < 0.35
    until = time.monotonic() + 10
    while not (tmp_path / "done").exists():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("err", "words"),
    [
        (b"hint: x\nfatal: no \x1b[31mway\nhint: y\n", "no  [31mway"),
        (b"error: a\nerror: b\n", "a"),
        (b"something\nelse\n", "else"),
        (b"", "no reason was given"),
    ],
)
def test_complaint_is_one_printable_line(err: bytes, words: str) -> None:
    """The line that says why, without control characters."""
    assert complaint(err) == words


def test_lingering_program_goes_on(tmp_path: Path) -> None:
    """Whether it is waited for or not; its end is noticed."""
    done = tmp_path / "done"
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    slow = linger(["sh", "-c", 'read -r _ <"$0"; touch "$1"', str(gate), str(done)])
    assert not slow.wait(0)
    assert not done.exists()
    quick = linger(["sh", "-c", "exit 3"], cwd=str(tmp_path))
    assert quick.wait(30)
    again = linger(["sh", "-c", 'echo >"$0"; until [ -e "$1" ]; do sleep 0.01; done', str(gate), str(done)])
    assert again.wait(30)
    assert done.exists()


def test_lingering_program_that_is_not_there() -> None:
    """Nobody waits for what has never begun."""
    assert linger(["no-such-program-at-all"]).wait(30)
