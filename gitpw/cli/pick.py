"""Choose from a list on a terminal: with arrow keys, or by number where the terminal can't move its cursor.

All of it happens on stderr and stdin, so that stdout stays free for the answer: `cd "$(git pw claim --pick …)"`.
"""

from __future__ import annotations

import os
import select
import shutil
import sys
import termios
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from gitpw.cli.output import safe, width
from gitpw.cli.session import PLAIN
from gitpw.errors import StoppedError, UsageError

UP, DOWN, ENTER, LEAVE = "up", "down", "enter", "leave"
KEYS = {
    b"\x1b[A": UP,
    b"\x1bOA": UP,
    b"k": UP,
    b"\x10": UP,
    b"\x1b[B": DOWN,
    b"\x1bOB": DOWN,
    b"j": DOWN,
    b"\x0e": DOWN,
    b"\r": ENTER,
    b"\n": ENTER,
    b"q": LEAVE,
    b"\x1b": LEAVE,
    b"\x04": LEAVE,
    b"": LEAVE,
}
"""What a key says; ^P and ^N as in shells, ^D and the end of input leave."""

PATIENCE = 0.05
"""Seconds in which the rest of a key's letters follow its escape."""


def terminal() -> bool:
    """Whether somebody is there to choose."""
    return bool(sys.stdin and sys.stderr) and sys.stdin.isatty() and sys.stderr.isatty()


def choose(title: str, rows: Sequence[str]) -> int:
    """The place of the row that was chosen; raises `StoppedError` where none was, `UsageError` without a terminal."""
    if not terminal():
        raise UsageError("there is no terminal to choose on", hint="name the task, or leave out --pick")
    rows = [safe(row) for row in rows]
    moves = os.environ.get("TERM", "dumb") not in PLAIN
    chosen = _by_keys(title, rows) if moves else _by_number(title, rows)
    if chosen is None:
        raise StoppedError("nothing was chosen", hint="nothing was claimed")
    return chosen


def _by_number(title: str, rows: Sequence[str]) -> int | None:
    """Ask for a number until it is one of the list's; nothing leaves."""
    _say(f"{title}\n" + "".join(f"{number:4}  {row}\n" for number, row in enumerate(rows, 1)))
    while True:
        _say(f"number (1 to {len(rows)}, nothing to leave): ")
        said = sys.stdin.readline().strip()
        if not said or said == "q":
            return None
        if said.isascii() and said.isdecimal() and 1 <= int(said) <= len(rows):
            return int(said) - 1
        _say(f"{safe(said)} is not in the list\n")


def _by_keys(title: str, rows: Sequence[str]) -> int | None:
    """Move with the arrows, or type a number; the list scrolls where it is longer than the terminal."""
    here, typed, drawn = 0, "", 0
    with _letter_by_letter() as fd:
        while True:
            drawn = _draw(title, rows, here, drawn)
            key = _key(fd)
            if key.isdigit():
                typed = typed + key if 1 <= int(typed + key) <= len(rows) else key
                here = int(typed) - 1 if 1 <= int(typed) <= len(rows) else here
                continue
            typed = ""
            if key in {UP, DOWN}:
                here = (here + (1 if key == DOWN else -1)) % len(rows)
            elif key in {ENTER, LEAVE}:
                _erase(drawn)
                return here if key == ENTER else None


@contextmanager
def _letter_by_letter() -> Iterator[int]:
    """Each key at once and unseen; ^C works as ever. Whatever happens, the terminal is as it was."""
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    try:
        tty.setcbreak(fd)
        yield fd
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


def _key(fd: int) -> str:
    """What the next key says; a digit is itself, and what says nothing is empty."""
    raw = os.read(fd, 1)
    if raw == b"\x1b":
        while len(raw) < 3 and select.select([fd], [], [], PATIENCE)[0]:  # noqa: PLR2004 - ESC [ A
            raw += os.read(fd, 1)
    return raw.decode() if raw.isdigit() else KEYS.get(raw, "")


def _draw(title: str, rows: Sequence[str], here: int, drawn: int) -> int:
    """Draw the list over the one before; how many lines it takes."""
    size = shutil.get_terminal_size()
    room = max(min(len(rows), size.lines - 3), 1)
    first = min(max(here - room // 2, 0), len(rows) - room)
    more = f" ({here + 1} of {len(rows)})" if room < len(rows) else ""
    lines = [f"{title}{more}: arrows or number, enter, q to leave"]
    for number, row in enumerate(rows[first : first + room], first):
        mark = ">" if number == here else " "
        lines.append(f"{mark} {number + 1:3}  {row}")
    back = f"\x1b[{drawn}A\r" if drawn else ""
    text = "".join(f"\x1b[2K{_cut(line, size.columns - 1)}\n" for line in lines)
    _say(back + text)
    return len(lines)


def _erase(drawn: int) -> None:
    _say(f"\x1b[{drawn}A\r\x1b[J")


def _cut(text: str, columns: int) -> str:
    """As much of a text as fits."""
    while width(text) > columns:
        text = text[:-1]
    return text


def _say(text: str) -> None:
    encoding = sys.stderr.encoding or "utf-8"
    sys.stderr.write(text.encode(encoding, "backslashreplace").decode(encoding))
    sys.stderr.flush()
