"""One run of the command line: what its global options say, and the one way in which it answers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, TextIO

from gitpw.cli.output import aligned, padded, plain, safe, span, streamed
from gitpw.errors import FailedError, UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from gitpw.domain.policy import Policy
    from gitpw.errors import PwError
    from gitpw.services.life import Lapse
    from gitpw.services.ports import Context

BATCH = 500
"""Lines that are written at once."""

ELSEWHERE = "name a file in a folder that you may write to and that has room"

PLAIN = {"dumb", "unknown"}
"""Values of $TERM that promise nothing."""


class ReaderGoneError(Exception):
    """Nobody reads stdout any more: the end of `git pw log | head`."""


@contextmanager
def _reading() -> Iterator[None]:
    """Tell a closed stdout from any other broken pipe."""
    try:
        yield
    except BrokenPipeError as error:
        raise ReaderGoneError from error


@dataclass
class Session:
    """The global options, and how to open the repository and answer by them.

    `json` is known before the words are parsed, so that even a usage error is a document. People's results go to
    stdout; notes, progress and errors to stderr.
    """

    json: bool = False
    directory: str | None = None
    worker: str | None = None
    quiet: bool = False
    verbose: int = 0
    colour: bool = True
    dry_run: bool = False
    answered: bool = field(default=False, init=False)
    context: Context | None = field(default=None, init=False)
    lapses: list[Lapse] | None = field(default=None, init=False)

    def open(
        self,
        *,
        remote: str | None = None,
        need_ledger: bool = True,
        beginning: bool = False,
        changes: bool = False,
        pushes: bool = False,
        rehearsed: bool = False,
        lenient: bool = False,
        policy: Policy | None = None,
    ) -> Context:
        """The repository and its ledger as this run sees them; `changes` is for what can't be tried without effect.

        `rehearsed` commands can be tried all the same: their services change nothing in a dry run.
        The others are as in `gitpw.app.open_context`.
        """
        if changes and self.dry_run and not rehearsed:
            raise UsageError(
                "this command can't be tried with --dry-run", hint="leave it out; nothing was changed"
            )
        from gitpw.app import open_context

        if self.verbose:
            self._follow_log()
        context = open_context(
            directory=self.directory,
            worker=self.worker,
            remote=remote,
            need_ledger=need_ledger,
            beginning=beginning,
            pushes=pushes,
            dry_run=self.dry_run and rehearsed,
            lenient=lenient,
            policy=policy,
            tell=self.note,
        )
        self.context = context if need_ledger else None
        return context

    def lapsed(self) -> list[Lapse]:
        """What became of my claims meanwhile, by what is known once the command has done its work; told once.

        Commands that do without a ledger judge that themselves, if at all: the hooks. What can't be found out is no
        reason for a command to fail.
        """
        if self.lapses is None:
            self.lapses = []
            if self.context is not None:
                from gitpw.services.life import look

                with suppress(Exception):
                    self.lapses = look(self.context)
            for one in self.lapses:
                self.complain(one.message)
                self.complain(f"hint: {one.hint}")
        return self.lapses

    def _follow_log(self) -> None:
        import logging

        log = logging.getLogger("gitpw")
        log.setLevel(logging.INFO if self.verbose == 1 else logging.DEBUG)
        if not log.handlers:
            log.addHandler(logging.StreamHandler())

    def answer(self, data: Mapping[str, object], *lines: str) -> None:
        """Success: one JSON document, or lines for people (shown even when quiet)."""
        if self.json:
            lapsed = list(map(str, self.lapsed()))
            before = data.get("warnings", [])
            warned = {"warnings": [*plain(before), *lapsed]} if lapsed and isinstance(before, list) else {}
            self._document({"ok": True, **plain(data), **warned})
        else:
            self._lines(lines)

    def report(self, data: Mapping[str, object], *lines: str, brief: Sequence[str] = ()) -> None:
        """Success of a change: as `answer`, but with `-q` only what a script would want."""
        lines = tuple(brief) if self.quiet else lines
        if self.dry_run:
            data = {**data, "dryRun": True}
            self.note("dry run: nothing was changed")
        self.answer(data, *lines)

    def table(
        self, data: Mapping[str, object], head: Sequence[str], rows: Sequence[Sequence[str]], none: str
    ) -> None:
        """Success with a list: drawn on a terminal, plain aligned columns elsewhere."""
        if self.json:
            self.answer(data)
        elif not rows:
            self.note(none)
        elif self.terminal:
            from gitpw.cli.drawing import console, draw_rows

            draw_rows(console(colour=self.colour), head, rows)
        else:
            self._lines(aligned([head, *rows]))

    def progressively(
        self,
        head: Sequence[str],
        known: Sequence[Sequence[str]],
        room: Sequence[int],
        rows: Iterator[Sequence[str]],
        none: str,
    ) -> None:
        """A list whose rows take their time: each is shown as soon as it is there, on a terminal; else all together.

        `known` is what can be said of each row at once, without its last column, and `room` what the rest may take.
        """
        if not self.terminal or not known:
            self.table({}, head, list(rows), none)
            return
        sizes = streamed(head, known, room)
        self._lines([padded(head, sizes)])
        for row in rows:
            self._lines([padded(row, sizes)])
            self.flush()

    def placed(self, path: str) -> str:
        """A path as typed, seen from where this process is: -C says otherwise."""
        return os.path.join(self.directory or "", path)  # noqa: PTH118 - as typed

    @property
    def terminal(self) -> bool:
        """Whether a person looks at stdout and it can show more than lines."""
        return (
            not self.json and bool(sys.stdout) and sys.stdout.isatty() and os.environ.get("TERM") not in PLAIN
        )

    @property
    def fine(self) -> bool:
        """Whether stdout takes more letters than ASCII."""
        return "utf" in (getattr(sys.stdout, "encoding", None) or "").lower()

    @property
    def interactive(self) -> bool:
        """Whether somebody is there who can be asked: not a pipe, nor an agent."""
        return not self.json and all(one is not None and one.isatty() for one in (sys.stdin, sys.stderr))

    def confirm(self, question: str) -> bool:
        """Ask on standard error, since stdout may be `cd "$(…)"`; only a plain yes is one."""
        with suppress(OSError):
            _write(sys.stderr, f"{safe(question)} [y/N] ")
            sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in {"y", "yes"}

    def raw(self, text: str) -> None:
        """A path on a line of its own, byte for byte: for `cd "$(…)"`."""
        if sys.stdout:
            self.flush()
            with _reading():
                sys.stdout.buffer.write(os.fsencode(text) + b"\n")
                sys.stdout.buffer.flush()

    def text(self, text: str) -> None:
        """A file for others to read, letter for letter."""
        if sys.stdout:
            self.flush()
            with _reading():
                sys.stdout.buffer.write(text.encode())
                sys.stdout.buffer.flush()

    def read(self, name: str) -> tuple[str, str]:
        """A file, or with `-` stdin: what errors call it, and its text; a relative name is seen from -C."""
        try:
            if name == "-":
                raw = sys.stdin.buffer.read()
            else:
                with open(os.path.join(self.directory or "", name), "rb") as file:  # noqa: PTH118, PTH123 - as -C joins
                    raw = file.read()
        except OSError as error:
            said = (error.strerror or "it can't be read").lower()
            raise UsageError(f"{name}: {said}", hint="name a file, or - for stdin") from error
        called = "stdin" if name == "-" else name
        try:
            return called, raw.decode()
        except UnicodeDecodeError as error:
            line = raw[: error.start].count(b"\n") + 1
            raise UsageError(f"{called}:{line}: it isn't UTF-8", hint="save it as UTF-8") from error

    def check_target(self, name: str) -> None:
        """Raises `UsageError` where a file of that name can't be, seen from -C; `-` is stdout."""
        if name == "-":
            return
        if not name:
            raise UsageError("no file is named", hint="name a file, or - for stdout")
        path = os.path.realpath(self.placed(name))
        if os.path.isdir(path):  # noqa: PTH112 - as typed
            raise UsageError(f"{name} is a folder", hint="name a file in it")
        folder = os.path.dirname(path)  # noqa: PTH120 - where a link leads
        if not os.path.isdir(folder):  # noqa: PTH112 - as above
            raise UsageError(
                f"{name} can't be written: there is no folder {folder}", hint="make that folder first"
            )

    def write(self, name: str, text: str) -> None:
        """A file that others read as it was or as it is now, never half; a link stays one, a device or pipe is written to.

        Raises `FailedError`.
        """
        from stat import S_IMODE, S_ISREG

        from gitpw.adapters.disk import replace

        path = self.placed(name)
        try:
            known = os.stat(path) if os.path.exists(path) else None  # noqa: PTH110, PTH116 - as typed
            if known is not None and not S_ISREG(known.st_mode):
                with open(path, "wb") as file:  # noqa: PTH123 - as typed
                    file.write(text.encode())
                return
        except OSError as error:
            raise FailedError(f"{name} can't be written: {error.strerror}", hint=ELSEWHERE) from error
        try:
            replace(os.path.realpath(path), text.encode(), 0o666 if known is None else S_IMODE(known.st_mode))
        except FailedError as error:
            raise FailedError(error.message, hint=ELSEWHERE) from error

    def note(self, text: str) -> None:
        """Something worth knowing, for people."""
        if not self.quiet:
            self.complain(text)

    def notes(self, texts: Iterable[str]) -> None:
        """Several of them."""
        for text in texts:
            self.note(text)

    def aged(self, as_of: datetime | None, context: Context) -> None:
        """Say how old an answer is, where the remote couldn't be asked."""
        if as_of is not None:
            self.note(f"the remote can't be asked: this is {span(context.clock.now() - as_of)} old")

    def complain(self, text: str) -> None:
        """Something that a person must see, quiet or not; nobody there to see it is no reason to stop."""
        with suppress(OSError):
            _write(sys.stderr, f"{safe(text)}\n")

    def refuse(self, error: PwError) -> None:
        """Say what went wrong; with `--json`, as the one document if there wasn't one."""
        if self.json and not self.answered:
            told = {"ok": False, "code": error.code, "message": error.message, "hint": error.hint}
            with suppress(OSError, ReaderGoneError):
                self._document({**told, **plain(error.data), **told})
                return
        self.complain(error.message)
        if error.hint:
            self.complain(f"hint: {error.hint}")

    def flush(self) -> None:
        """Push out what was printed; raises OSError where it can't be written."""
        with _reading():
            if sys.stdout:
                sys.stdout.flush()

    def _document(self, data: Mapping[str, object]) -> None:
        import json

        text = json.dumps(data, allow_nan=False)
        self.answered = True
        with _reading():
            _write(sys.stdout, f"{text}\n")
        self.flush()

    def _lines(self, lines: Iterable[str]) -> None:
        told = iter(lines)
        with _reading():
            while batch := [f"{safe(line)}\n" for line in islice(told, BATCH)]:
                _write(sys.stdout, "".join(batch))


def _write(stream: TextIO | None, text: str) -> None:
    """Write to a stream that may be closed or know few letters."""
    if stream is None:
        return
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
