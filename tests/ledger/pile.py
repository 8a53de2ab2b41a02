"""Git objects in a dictionary, and ledgers pushed into it, made whole each time and without a word of the code under test."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gitpw.domain.board import Board, Key
from gitpw.domain.operation import Begin, Done, Operation, Outcome
from gitpw.domain.rulebook import apply
from gitpw.ledger.commits import message
from gitpw.ledger.layout import entries
from gitpw.ledger.objects import Object
from tests.domain.state import LEDGER, Dictionary, State

if TYPE_CHECKING:
    from gitpw.domain.operation import Request


class Pile:
    """Objects by their names; `reads` counts what was looked at, by kind."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.reads: list[str] = []

    def read(self, name: str) -> Object | None:
        """The object of that name."""
        found = self.objects.get(name)
        self.reads += [found.kind] if found else []
        return found

    def put(self, kind: str, content: bytes) -> str:
        """Add an object; its name."""
        name = hashlib.sha1(f"{kind} {len(content)}\0".encode() + content).hexdigest()
        self.objects[name] = Object(name, kind, content)
        return name

    def tree(self, cells: Mapping[Key, bytes], **more: bytes) -> str:
        """The whole tree of a state, with some more files in its root."""
        root: dict[bytes, Any] = {name.encode(): content for name, content in more.items()}
        for key, content in cells.items():
            *folders, last = (part.encode("utf-8", "surrogateescape") for part in entries(key))
            here = root
            for folder in folders:
                here = here.setdefault(folder, {})
            here[last] = content
        return self._folder(root)

    def _folder(self, here: dict[bytes, Any]) -> str:
        lines = []
        for name, content in here.items():
            below = isinstance(content, dict)
            made = self._folder(content) if below else self.put("blob", content)
            mode = b"40000" if below else b"100644"
            lines.append((name + b"/" * below, mode + b" " + name + b"\0" + bytes.fromhex(made)))
        return self.put("tree", b"".join(line for _, line in sorted(lines)))

    def commit(self, tree: str, text: str | bytes, *parents: str) -> str:
        """Add a commit; its name."""
        who = "git-pw <git-pw@localhost> 1700000000 +0000"
        head = [f"tree {tree}", *(f"parent {one}" for one in parents), f"author {who}", f"committer {who}"]
        body = text if isinstance(text, bytes) else text.encode()
        return self.put("commit", "\n".join(head).encode() + b"\n\n" + body)


class Pushed:
    """A ledger whose every granted operation became a commit."""

    def __init__(self, state: State | None = None) -> None:
        self.pile = Pile()
        self.state = state or State(begun=False)
        self.tip: str | None = None
        if state is None:
            self.do(Begin(ledger=LEDGER))

    def do(self, request: Request, worker: str = "ada", **about: Any) -> Outcome:
        """Ask for something, and commit it where it is granted."""
        operation = self.state.operation(request, worker, **about)
        before = self.state.cells
        outcome = self.state.apply(operation)
        if isinstance(outcome, Done) and outcome.changed:
            self.tip = self.made(before, operation, self.tip)
        return outcome

    def made(self, before: Dictionary, operation: Operation, parent: str | None) -> str:
        """The commit of an operation that is granted on a state."""
        after, text = told(before, operation)
        return self.pile.commit(self.pile.tree(after), text, *([parent] if parent else []))


def told(before: Dictionary, operation: Operation) -> tuple[dict[Key, bytes], str]:
    """The cells after an operation that is granted, and its commit message."""
    board = Board(before)
    outcome = apply(board, operation)
    assert isinstance(outcome, Done), outcome
    after = dict(before.contents)
    for key, content in board.changes.items():
        if content is None:
            after.pop(key, None)
        else:
            after[key] = content
    return after, message(board, operation, outcome)
