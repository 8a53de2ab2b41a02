"""Notices that still have to be sent from this machine: one small file each, in our folder in the common git dir.

A file is written as soon as its operation was acknowledged and goes when everybody was told, so what a killed process
left unsent is sent by a later one. One sender at a time holds the lock. A file's time of change is the moment before
which it isn't to be tried again. What has passed through here is remembered for a while, so that the same operation,
found again in the journal after a crash, isn't told twice.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gitpw.adapters.disk import read

if TYPE_CHECKING:
    from gitpw.domain.notice import Notice, Waiting

MOST = 500
"""Files; beyond that nobody is told, since nobody could read so much."""

LATEST = 86_400.0
"""Seconds after which a notice is no news any more."""

REMEMBERED = 64 * 1024
"""Bytes of the list of operations that have passed through here, beyond which half of it is forgotten."""

MUTE = 600.0
"""Seconds for which the same refusal isn't told again."""


class Spool:
    """The folder of waiting notices."""

    def __init__(self, folder: Path) -> None:
        """Nothing is made before the first notice."""
        self._folder = folder

    def put(self, notices: Sequence[Notice]) -> bool:
        """Write down what is to be told, each notice once; whether there is anything new."""
        passed = self._passed() if notices else set()
        news = [one for one in notices if _stem(one) not in passed and not self._muted(one)]
        if not news:
            return False
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        room = max(MOST - sum(1 for _ in self._files()), 0)
        for notice in news[:room]:
            self._write(self._folder / f"{_stem(notice)}.json", notice, (), time.time())
            self._append("passed", f"{_stem(notice)}\n")
        if len(news) > room:
            self.log(f"{len(news) - room} notices dropped: {MOST} are waiting")
        return room > 0

    def due(self) -> bool:
        """Whether something waits whose time has come; one look at a folder."""
        now = time.time()
        return any(_when(path) <= now for path in self._files())

    @contextmanager
    def sending(self) -> Iterator[bool]:
        """Whether this process is the one that sends until the block ends."""
        if not self._folder.is_dir():
            yield False
            return
        file = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            yield False
            return
        try:
            yield True
        finally:
            os.close(file)

    def waiting(self) -> list[Waiting]:
        """What is to be sent now, the oldest first; what is no notice, or no news any more, goes."""
        now, found = time.time(), []
        for path in sorted(self._files()):
            if _when(path) > now:
                continue
            one = _parsed(path, now)
            if one is None:
                path.unlink(missing_ok=True)
            elif one.age > LATEST:
                self.log(f"given up after a day: {one.notice.event} {one.notice.task_id or ''}")
                path.unlink(missing_ok=True)
            else:
                found.append(one)
        passed = self._passed() if found else set()
        for one in found:  # who was killed in `put` may not have come that far
            if _stem(one.notice) not in passed:
                self._append("passed", f"{_stem(one.notice)}\n")
        return found

    def told(self, one: Waiting, key: str) -> Waiting:
        """Note that a target has it."""
        one = one._replace(done=(*one.done, key))
        self._write(Path(one.path), one.notice, one.done, one.since)
        return one

    def drop(self, one: Waiting) -> None:
        """Everybody has it."""
        Path(one.path).unlink(missing_ok=True)

    def defer(self, one: Waiting, seconds: float) -> None:
        """Not to be tried again before so many seconds have passed."""
        with suppress(FileNotFoundError):
            os.utime(one.path, (time.time(), time.time() + seconds))

    def log(self, line: str) -> None:
        """Keep a line for who wonders what became of a notice."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with suppress(OSError):
            self._append("log", f"{moment} {' '.join(line.split())}\n")

    def _files(self) -> Iterator[Path]:
        with suppress(OSError), os.scandir(self._folder) as entries:
            yield from (Path(entry.path) for entry in entries if entry.name.endswith(".json"))

    def _write(self, path: Path, notice: Notice, done: Sequence[str], since: float) -> None:
        """Whole or not at all, and for this user alone; not synced: after a power cut, nobody waits for a notice."""
        content = json.dumps({"notice": notice.to_data(), "done": list(done), "since": since})
        fresh = path.with_suffix(f".{os.getpid()}.tmp")
        file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(file, "w") as stream:
            stream.write(content)
        fresh.replace(path)

    def _passed(self) -> set[str]:
        return set((read(str(self._folder / "passed")) or b"").decode(errors="replace").split())

    def _muted(self, notice: Notice) -> bool:
        """Whether the same refusal was told a moment ago: who asks in a loop is one piece of news."""
        if notice.same is None:
            return False
        now = time.time()
        lines = (read(str(self._folder / "refused")) or b"").decode(errors="replace").splitlines()
        for line in lines:
            at, _, known = line.partition(" ")
            if known == notice.same and at.isdecimal() and 0 <= now - int(at) < MUTE:
                return True
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._append("refused", f"{int(now)} {notice.same}\n")
        return False

    def _append(self, name: str, line: str) -> None:
        """Add a line to a list that forgets its older half when it has grown long."""
        path = self._folder / name
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with os.fdopen(file, "a", errors="replace") as stream:
            stream.write(line)
        if path.stat().st_size > REMEMBERED:
            lines = path.read_text(errors="replace").splitlines(keepends=True)
            fresh = path.with_suffix(f".{os.getpid()}.tmp")
            fresh.touch(0o600)
            fresh.write_text("".join(lines[len(lines) // 2 :]), errors="replace")
            fresh.replace(path)


def _stem(notice: Notice) -> str:
    """A notice's name: the same whoever makes it; names sort as the ledger counts."""
    digest = hashlib.sha256(notice.key.encode(errors="replace")).hexdigest()[:24]
    return f"{notice.counter:012d}-{digest}"


def _when(path: Path) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return float("inf")


def _parsed(path: Path, now: float) -> Waiting | None:
    """What a file holds; None for what a stranger, or a newer git pw, has put there."""
    from pydantic import ValidationError

    from gitpw.domain.notice import Notice, Waiting

    try:
        data = json.loads(read(str(path)) or b"")
        notice = Notice.from_json(json.dumps(data["notice"]).encode())
        since = float(data["since"])
        return Waiting(str(path), notice, tuple(map(str, data["done"])), since, now - since)
    except (ValueError, KeyError, TypeError, ValidationError):
        return None
