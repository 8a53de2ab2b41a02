"""Choosing a task on a terminal: a real one, with a real process at the other end."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time

import pytest

from gitpw.cli import pick
from gitpw.errors import UsageError
from gitpw.services.list_tasks import Listed
from tests.cli.conftest import Cli, Serve, a_task
from tests.support.git import environment

PROGRAM = """
import sys
from gitpw.cli.pick import choose
from gitpw.errors import StoppedError
rows = [f"row {number}" for number in range(1, int(sys.argv[1]) + 1)]
rows[0] = "row \\x1b[2J1"
try:
    print("chose", choose("which?", rows) + 1)
except StoppedError as error:
    print(error.message)
"""


def played(keys: list[bytes], term: str, *, rows: int = 12) -> tuple[str, str]:
    """Press keys on a terminal, one after another as the program asks; what it drew, and what it answered."""
    mine, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(rows)],
        stdin=its,
        stderr=its,
        stdout=subprocess.PIPE,
        env=environment({"TERM": term, "COLUMNS": "60", "LINES": "10", "PYTHONIOENCODING": "utf-8"}),
    )
    os.close(its)
    seen = _until(mine, b"leave")
    for key in keys:
        os.write(mine, key)
        seen += _until(mine, b"")
    out, _ = process.communicate(timeout=30)
    os.close(mine)
    return re.sub(r"\x1b\[[0-9]*[AKJ]", "", seen.decode(errors="replace")), out.decode().strip()


def _until(fd: int, mark: bytes) -> bytes:
    """What is drawn until a mark, or without one until nothing more comes for a moment."""
    seen, until = b"", time.monotonic() + 20
    while time.monotonic() < until:
        ready = select.select([fd], [], [], 0.3 if not mark else 5)[0]
        if not ready and not mark:
            return seen
        try:
            seen += os.read(fd, 4096) if ready else b""
        except OSError:  # the program has left
            return seen
        if mark and mark in seen:
            return seen
    return seen


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        ([b"\r"], "chose 1"),
        ([b"\x1b[B", b"\x1b[B", b"\r"], "chose 3"),
        ([b"j", b"k", b"\x1bOA", b"\r"], "chose 12"),
        ([b"7", b"\n"], "chose 7"),
        ([b"1", b"2", b"\r"], "chose 12"),
        ([b"9", b"9", b"\x1b[A", b"\r"], "chose 8"),
        ([b"x", b"\x1b[B", b"\r"], "chose 2"),
        ([b"q"], "nothing was chosen"),
        ([b"\x1b"], "nothing was chosen"),
        ([b"\x04"], "nothing was chosen"),
    ],
)
def test_with_keys(keys: list[bytes], answer: str) -> None:
    """Arrows, letters, numbers of several digits, and the ways out."""
    drawn, out = played(keys, "xterm")
    assert out == answer
    assert "row \\x1b[2J1" in drawn


def test_a_long_list_scrolls() -> None:
    """No more is drawn than fits, and what is chosen is always seen."""
    drawn, out = played([b"9", b"0", b"\r"], "xterm", rows=100)
    assert out == "chose 90"
    first = drawn.split("leave")[1]
    assert "row 2" in first
    assert "row 9\r" not in first
    assert ">  90  row 90" in drawn


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ([b"3\n"], "chose 3"),
        ([b"0\n", b"13\n", b"x\n", b" 12 \n"], "chose 12"),
        ([b"\n"], "nothing was chosen"),
        ([b"\x04"], "nothing was chosen"),
    ],
)
def test_by_number_on_a_dumb_terminal(said: list[bytes], answer: str) -> None:
    """No cursor is moved; a number that isn't in the list is asked for again."""
    drawn, out = played(said, "dumb")
    assert out == answer
    assert "\x1b" not in drawn
    assert drawn.count("is not in the list") == len(said) - 1


def test_without_a_terminal(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is there to choose, so nothing is claimed; the same with a task named, which leaves no choice."""
    monkeypatch.setattr(pick, "terminal", lambda: False)
    with pytest.raises(UsageError):
        pick.choose("which?", ["one"])
    answer = cli("claim", "--pick", "--json")
    assert (answer.exit, answer.data["code"]) == (2, "usage")
    assert cli("claim", "7", "--pick").exit == 2


def test_what_is_chosen_is_claimed(cli: Cli, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """From what is to be had now; where nothing is, it is asked for as ever, and the answer says why."""
    monkeypatch.setattr(pick, "terminal", lambda: True)
    shown: list[str] = []

    def choose(title: str, rows: list[str]) -> int:
        shown.extend([title, *rows])
        return 1

    monkeypatch.setattr(pick, "choose", choose)
    serve("list_tasks.list_tasks", Listed([a_task(), a_task(2, title="other")], None, {}, []))
    run = serve("claim.claim", UsageError("as far as this goes"))
    cli("claim", "--pick")
    assert run.call_args.kwargs["task"] == "task-002"
    assert shown[2].split() == ["task-002", "p3", "feat", "other"]
    serve("list_tasks.list_tasks", Listed([], None, {}, []))
    cli("claim", "--pick")
    assert run.call_args.kwargs["task"] is None
