"""Histories with the shapes that real ones have, made from a seed.

Branches of one to twelve commits change, add, delete and rename files, flip modes and replace binaries, and often
enough they do it in the same places as others.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import NamedTuple

import pygit2
from pygit2.enums import FileMode

Tree = dict[str, tuple[int, str]]
"""Path to mode and blob."""

HOT = 0.02
"""How many changes are to the few files that everybody changes."""

FILES, BINARIES = 200, 60
LENGTHS = (1, 1, 1, 1, 1, 2, 2, 2, 3, 4, 6, 12)
"""Commits of a branch."""

WORDS = (
    "order",
    "basket",
    "price",
    "customer",
    "stock",
    "parcel",
    "refund",
    "voucher",
    "session",
    "retry",
    "queue",
)


class Branch(NamedTuple):
    """A branch: where it began, and its last commit."""

    base: str
    head: str


@dataclass
class History:
    """Writes commits into a bare repository; `heat` is how much more some files are changed than others."""

    repo: pygit2.Repository
    rng: random.Random
    heat: float = 0.3
    made: int = 0
    edits: dict[str, int] = field(default_factory=dict)

    def start(self) -> str:
        """The first commit: folders of text, and a few binaries."""
        tree: Tree = {}
        for number in range(FILES):
            path = f"{self.rng.choice(('src', 'src/cart', 'src/pay', 'docs', 'test'))}/{self.rng.choice(WORDS)}{number}.txt"
            tree[path] = (FileMode.BLOB, self._blob(self._lines(self.rng.randint(25, 120))))
        for number in range(BINARIES):
            tree[f"assets/{number}.bin"] = (FileMode.BLOB, self._blob(self.rng.randbytes(600)))
        return self._commit(tree, [], "Start")

    def branch(self, base: str) -> Branch:
        """A branch of some commits from a base."""
        head, tree = base, self.tree(base)
        for _ in range(self.rng.choice(LENGTHS)):
            for _ in range(self.rng.choice((1, 1, 2, 3))):
                self._edit(tree)
            self.made += 1
            head = self._commit(tree, [head], f"Change {self.made}")
        return Branch(base, head)

    def tree(self, commit: str) -> Tree:
        """All files of a commit."""
        found = self.repo[commit]
        assert isinstance(found, pygit2.Commit)
        index = pygit2.Index()
        index.read_tree(found.tree)
        return {entry.path: (entry.mode, str(entry.id)) for entry in index}

    # one change

    def _edit(self, tree: Tree) -> None:
        kinds = ("change", "insert", "cut", "add", "delete", "rename", "rename and change", "mode", "binary")
        (kind,) = self.rng.choices(kinds, weights=(50, 20, 8, 10, 1, 3, 2, 3, 3))
        self.edits[kind] = self.edits.get(kind, 0) + 1
        if kind == "add":
            name = f"src/{self.rng.choice(WORDS)}/new{self.made}-{self.rng.randrange(1000)}.txt"
            tree[name] = (FileMode.BLOB, self._blob(self._lines(self.rng.randint(5, 60))))
            return
        path = self._path(tree, binary=kind == "binary")
        mode, blob = tree[path]
        if kind == "binary":
            tree[path] = (mode, self._blob(self.rng.randbytes(600)))
        elif kind == "mode":
            flipped = FileMode.BLOB if mode == FileMode.BLOB_EXECUTABLE else FileMode.BLOB_EXECUTABLE
            tree[path] = (flipped, blob)
        elif kind == "delete":
            del tree[path]
        elif kind.startswith("rename"):
            del tree[path]
            folder = self.rng.choice(("src/moved", "docs", "src/pay"))
            tree[f"{folder}/{self.made}-{path.rpartition('/')[2]}"] = (
                mode,
                blob if kind == "rename" else self._blob(self._changed("change", self._text(blob))),
            )
        else:
            tree[path] = (mode, self._blob(self._changed(kind, self._text(blob))))

    def _path(self, tree: Tree, *, binary: bool) -> str:
        """A file, some more often than others."""
        paths = sorted(path for path in tree if path.endswith(".bin") == binary)
        place = (
            int(self.rng.paretovariate(self.heat))
            if self.rng.random() < HOT
            else self.rng.randrange(len(paths))
        )
        return paths[place % len(paths)]

    def _changed(self, kind: str, lines: list[bytes]) -> bytes:
        at = self.rng.randrange(len(lines) + 1)
        many = self.rng.choice((1, 1, 2, 4))
        new = [] if kind == "cut" else self._lines(many).splitlines(keepends=True)
        lines[at : at + (0 if kind == "insert" else many)] = new
        return b"".join(lines)

    # objects

    def _lines(self, many: int) -> bytes:
        return b"".join(f"{' '.join(self.rng.choices(WORDS, k=6))}\n".encode() for _ in range(many))

    def _text(self, blob: str) -> list[bytes]:
        found = self.repo[blob]
        assert isinstance(found, pygit2.Blob)
        return found.data.splitlines(keepends=True)

    def _blob(self, content: bytes) -> str:
        return str(self.repo.create_blob(content))

    def _commit(self, tree: Tree, parents: list[str], message: str) -> str:
        index = pygit2.Index()
        for path, (mode, blob) in tree.items():
            index.add(pygit2.IndexEntry(path, pygit2.Oid(hex=blob), FileMode(mode)))
        who = pygit2.Signature("Dana Example", "dana@example.com", 1_700_000_000 + self.made * 60, 60)
        made = self.repo.create_commit(
            None,
            who,
            who,
            f"{message}\n",
            index.write_tree(self.repo),
            [pygit2.Oid(hex=one) for one in parents],
        )
        return str(made)
