"""A store in memory: for dry runs, simulations and the tests of everything above it."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from gitpw.domain.board import Cells, Key
from gitpw.domain.trail import Event
from gitpw.ledger.chronicle import Step
from gitpw.ledger.commits import Entry, read
from gitpw.ledger.events import event
from gitpw.ledger.store import Move, Sign, Swap


class Table:
    """Cells in a dictionary."""

    def __init__(self, cells: Mapping[Key, bytes]) -> None:
        """Keep the cells, and an index of what is filed under what."""
        self.contents = dict(cells)
        self._below: dict[Key, set[str]] = {}
        for key in self.contents:
            for depth in range(len(key)):
                self._below.setdefault(key[:depth], set()).add(key[depth])

    def load(self, key: Key) -> bytes | None:
        """The content of a cell."""
        return self.contents.get(key)

    def names(self, key: Key) -> Sequence[str]:
        """What is filed directly under a key, sorted."""
        return sorted(self._below.get(key, ()))


class MemoryStore:
    """States by their hash; the current one is a name in memory."""

    def __init__(self) -> None:
        """Begin empty."""
        self.current: str | None = None
        self._states: dict[str, tuple[str | None, Table, str]] = {}
        self._kept: dict[str, bytes | None] = {}

    def tip(self) -> str | None:
        """The current state: memory is always up to date."""
        return self.current

    def fetch(self, timeout: float = 60.0) -> str | None:  # noqa: ARG002
        """The current state."""
        return self.current

    def accept(self, commit: str) -> None:
        """Nothing to do: there is only one."""

    def asked(self) -> datetime | None:
        """Always now."""
        return None

    def trace(self) -> object:
        """The current state's own name."""
        return self.current

    def same(self, one: str, other: str, tables: Sequence[str]) -> bool:
        """Whether two states have the same cells in these tables."""
        then, now = (
            {key: raw for key, raw in self._states[name][1].contents.items() if key[0] in tables}
            for name in (one, other)
        )
        return then == now

    def cells(self, commit: str | None) -> Cells:
        """The cells of a state."""
        return Table({}) if commit is None else self._states[commit][1]

    def write(
        self,
        parent: str | None,
        changes: Mapping[Key, bytes | None],
        text: str,
        at: datetime,
        sign: Sign | None = None,  # noqa: ARG002
    ) -> str:
        """Write a state that follows another; nothing points to it yet. Nobody else can write here: nothing is signed."""
        contents = {} if parent is None else dict(self._states[parent][1].contents)
        for key, content in changes.items():
            if content is None:
                contents.pop(key, None)
            else:
                contents[key] = content
        name = hashlib.sha1(f"{parent} {at} {text}".encode(), usedforsecurity=False).hexdigest()
        self._states[name] = (parent, Table(contents), text)
        return name

    def swap(self, old: str | None, new: str, moves: Sequence[Move] = ()) -> Swap:  # noqa: ARG002
        """Make `new` current if `old` still is."""
        if self.current != old:
            return Swap.BEATEN
        self.current = new
        return Swap.DONE

    def push(self, moves: Sequence[Move]) -> None:
        """There are no branches here."""

    def orphaned(self, commit: str, sign: Sign | None = None) -> str:  # noqa: ARG002
        """The same state without what led to it."""
        _, table, text = self._states[commit]
        name = hashlib.sha1(f"orphan {commit}".encode(), usedforsecurity=False).hexdigest()
        self._states[name] = (None, table, text)
        return name

    def raw(self, commit: str) -> bytes | None:  # noqa: ARG002
        """There are no commits here."""
        return None

    def table(self, commit: str, name: str) -> str | None:  # noqa: ARG002
        """There are no trees here."""
        return None

    def mark(self, name: str, commit: str | None) -> None:
        """Nothing to do: nothing is fetched here."""

    def marked(self, name: str) -> str | None:  # noqa: ARG002
        """Nothing is."""
        return None

    def unask(self, since: datetime | None) -> None:
        """Nothing to do."""

    def tidy(self) -> None:
        """Nothing to do."""

    def list_locks(self) -> None:
        """No hook asks a store that lives in one process."""

    def deepen(self, by: int | None = None) -> bool:  # noqa: ARG002
        """Nothing to do."""
        return False

    @contextlib.contextmanager
    def lock(self) -> Iterator[bool]:
        """Nobody else is here."""
        yield True

    def history(self, commit: str) -> Iterator[Entry]:
        """The operations that led to a state, newest first."""
        at: str | None = commit
        while at is not None:
            before, _, text = self._states[at]
            entry = read(text)
            if entry is not None:
                yield entry._replace(commit=at)
            at = before

    def walk(self, commit: str) -> Iterator[Step]:
        """The same as events, each with the name of its state."""
        at: str | None = commit
        while at is not None:
            before, _, text = self._states[at]
            yield Step(at, before or "", event(text, at, 0))
            at = before

    def events(self, commit: str, *, keep: bool = True) -> Iterator[Event]:  # noqa: ARG002
        """The events that led to a state, newest first."""
        return (step.event for step in self.walk(commit) if step.event is not None)

    def recall(self, name: str) -> bytes | None:
        """What was kept under a name."""
        return self._kept.get(name)

    def keep(self, name: str, content: bytes | None) -> None:
        """Keep something for the next time."""
        self._kept[name] = content
