"""The events of a ledger as they were read once: a file that only grows, so that each commit is parsed one time.

The file is a cache: whatever is wrong with it, the commits are read instead, and it is made anew. Its first line names
its version and the commit before its first event, with their CRC-32. Then come blocks: a line with the length of what
follows, the CRC-32 of commit and events, and the commit that the block leads up to; and the events, oldest first, one a
line. A commit's name stands for all that led to it, so a block is believed if its commit is in the history that is asked
for; a ledger that was restored, rewound or replaced doesn't have it. What a killed process left half written fails its
length or its CRC, and is overwritten.

One process writes at a time; who finds another one writing does without.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

from gitpw.domain.trail import Event

VERSION = "git-pw events 1"
"""Begins the file. To be counted up whenever events are made otherwise than before, from whatever reason."""

FIRST = re.compile(VERSION.encode() + rb" ([0-9a-f]{40}|-) (cut|whole) ([0-9a-f]{8})\n")
BLOCK = re.compile(rb"=(\d{1,9}) ([0-9a-f]{8}) ([0-9a-f]{40})\n")
LONGEST_LINE = 128

FIELDS = 10
"""Of an event that are kept."""

EVENTS = 1_000
"""Of one block."""

LARGEST = 1 << 26
"""Bytes; from there on the older half of the file goes, and is read from the commits when it is asked for."""


class Step(NamedTuple):
    """A commit of the ledger, the one before it ("" where there is none), and the event that it holds, if it does."""

    commit: str
    before: str
    event: Event | None


Walk = Callable[[str], Iterator[Step]]
"""The steps that led to a commit, newest first, as far back as they are here."""


class Block(NamedTuple):
    """Where a block's events are in the file, and what they must be."""

    begin: int
    size: int
    crc: int
    commit: str

    @property
    def end(self) -> int:
        """The place behind the block."""
        return self.begin + self.size


class Index(NamedTuple):
    """The blocks of a file, the commit before the first of them, and what tells whether the file is still that one."""

    before: str
    cut: bool
    blocks: list[Block]
    identity: tuple[int, int]


class _New:
    """What is read newest first and to be written oldest first; kept as text, which takes a fifth of the memory."""

    def __init__(self) -> None:
        self.before: str | None = None
        self._steps: list[Step] = []
        self._blocks: list[bytes] = []

    def add(self, step: Step) -> None:
        """One step further back."""
        self.before = step.before
        self._steps.append(step)
        if len(self._steps) == EVENTS:
            self._close()

    def _close(self) -> None:
        events = (step.event for step in reversed(self._steps) if step.event is not None)
        text = "".join(["\t".join(map(str, event[:FIELDS])) + "\n" for event in events])
        content = text.encode(errors="surrogatepass")
        commit = self._steps[0].commit
        head = b"=%d %08x %b\n" % (len(content), _crc(commit, content), commit.encode())
        self._blocks.append(head + content)
        self._steps.clear()

    def blocks(self) -> Iterator[bytes]:
        """The blocks as they are written."""
        if self._steps:
            self._close()
        return reversed(self._blocks)


class Chronicle:
    """The file, and the commits that it is made from."""

    def __init__(self, path: Path, walk: Walk) -> None:
        """Nothing is read or written yet."""
        self._path = path
        self._walk = walk

    def events(self, tip: str, *, keep: bool = True) -> Iterator[Event]:
        """The events that led to a state, newest first, as far back as they are here.

        What is new is kept for the next time once all of it was read, if it is to be.
        """
        with contextlib.ExitStack() as ends:
            file = self._opened(ends)
            index = None if file is None else _index(file)
            known = {} if index is None else {one.commit: place for place, one in enumerate(index.blocks)}
            new = _New()
            kept: list[Block] = []
            for step in self._walk(tip):
                if index is not None and step.commit in known:
                    kept = index.blocks[: known[step.commit] + 1]
                    break
                if keep:
                    new.add(step)
                if step.event is not None:
                    yield step.event
            if new.before is not None:
                self._keep(index, kept, new)
            if file is not None and index is not None and kept:
                yield from self._kept(file, index, kept)

    def _opened(self, ends: contextlib.ExitStack) -> BinaryIO | None:
        try:
            return ends.enter_context(self._path.open("rb"))
        except OSError:
            return None

    def _kept(self, file: BinaryIO, index: Index, blocks: list[Block]) -> Iterator[Event]:
        """The events of blocks, newest first, and those from before the file began."""
        told, at = 0, blocks[-1].commit
        for block in reversed(blocks):
            found = _read(file, block)
            if found is None:
                self.forget()
                yield from islice(self._told(at), told, None)
                return
            yield from found
            if found:
                told, at = 1, found[-1].commit
        if index.before:
            older = False
            for event in self._told(index.before):
                older = True
                yield event
            if older and not index.cut:
                self.forget()  # the next time it is all written from there

    def _told(self, commit: str) -> Iterator[Event]:
        return (step.event for step in self._walk(commit) if step.event is not None)

    def forget(self) -> None:
        """Make the file anew the next time."""
        with contextlib.suppress(OSError):
            self._path.unlink()

    def _keep(self, index: Index | None, kept: list[Block], new: _New) -> None:
        """Add events to the file behind some of its blocks; a disk that is full or read-only is no reason to fail."""
        with contextlib.suppress(OSError), self._alone() as alone:
            if not alone:
                return
            if index is None or not kept:
                self._replace(_head(new.before or "", cut=False), new.blocks())
            elif index.identity == _identity(self._path):
                self._append(kept, new)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[bool]:
        """Whether no other process is writing."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def _append(self, kept: list[Block], new: _New) -> None:
        with self._path.open("r+b") as file:
            size = kept[-1].end
            if size > LARGEST:
                half = next(place for place, one in enumerate(kept) if one.end > size // 2)
                if _read(file, kept[half]) is None:
                    self.forget()
                    return
                file.seek(kept[half].end)
                rest = file.read(size - kept[half].end)
                self._replace(_head(kept[half].commit, cut=True), [rest, *new.blocks()])
                return
            file.truncate(size)
            file.seek(size)
            file.writelines(new.blocks())

    def _replace(self, head: bytes, blocks: Iterable[bytes]) -> None:
        made = self._path.with_suffix(".tmp")
        with made.open("wb") as file:
            file.write(head)
            file.writelines(blocks)
        made.replace(self._path)


def _head(before: str, *, cut: bool) -> bytes:
    line = f"{VERSION} {before or '-'} {'cut' if cut else 'whole'}".encode()
    return b"%b %08x\n" % (line, zlib.crc32(line))


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_ino, found.st_size


def _index(file: BinaryIO) -> Index | None:
    """Where the blocks are, as far as the file is whole; None where it is none of ours."""
    found = os.fstat(file.fileno())
    first = FIRST.fullmatch(file.readline(LONGEST_LINE))
    if first is None or zlib.crc32(first[0][: first.start(3) - 1]) != int(first[3], 16):
        return None
    blocks: list[Block] = []
    while (line := BLOCK.fullmatch(file.readline(LONGEST_LINE))) is not None:
        block = Block(file.tell(), int(line[1]), int(line[2], 16), line[3].decode())
        if block.end > found.st_size:
            break
        blocks.append(block)
        file.seek(block.end)
    before = "" if first[1] == b"-" else first[1].decode()
    return Index(before, first[2] == b"cut", blocks, (found.st_ino, found.st_size))


def _read(file: BinaryIO, block: Block) -> list[Event] | None:
    """The events of a block, newest first; None where they aren't what was written."""
    file.seek(block.begin)
    content = file.read(block.size)
    if len(content) != block.size or _crc(block.commit, content) != block.crc:
        return None
    try:
        return [_event(line) for line in reversed(content.decode(errors="surrogatepass").split("\n")[:-1])]
    except (ValueError, TypeError):
        return None


def _crc(commit: str, content: bytes) -> int:
    return zlib.crc32(content, zlib.crc32(commit.encode()))


def _event(line: str) -> Event:
    counter, at, *words = line.split("\t")
    return Event._make((int(counter), int(at), *words, None))
