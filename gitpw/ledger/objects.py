"""Git objects by their names, as the `git` program reads them, where libgit2 can't look or isn't worth its start.

What a push brings lies in quarantine until it is accepted: git's own programs see it there. Nothing is ever written
here; of a tree that would be, only the name is worked out.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

from gitpw.domain.board import Key
from gitpw.errors import ConfigError
from gitpw.ledger import layout

FOLDER, FILE = b"40000", b"100644"
NO_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
"""The name of the tree without entries."""

ENTRY = re.compile(rb"([0-7]+) ([^\0]+)\0(.{20})", re.DOTALL)


class Object(NamedTuple):
    """An object: its name as hex digits, its kind (commit, tree, blob, tag) and its content."""

    name: str
    kind: str
    content: bytes


class Objects(Protocol):
    """Where objects are read from."""

    def read(self, name: str) -> Object | None:
        """The object that a name, a ref or an expression such as `main:file` stands for; None where there is none."""


class Entry(NamedTuple):
    """One entry of a tree; `name` is 20 bytes."""

    mode: bytes
    name: bytes


Entries = dict[bytes, Entry]


class Commit(NamedTuple):
    """What matters of a commit."""

    name: str
    tree: str
    parents: tuple[str, ...]
    message: bytes


def commit(objects: Objects, name: str) -> Commit | None:
    """The commit of that name; None where it isn't there or is something else."""
    found = objects.read(name)
    if found is None or found.kind != "commit":
        return None
    head, _, message = found.content.partition(b"\n\n")
    fields = [line.split(b" ", 1) for line in head.split(b"\n")]
    trees = [value[0].decode() for key, *value in fields if key == b"tree" and value]
    parents = tuple(value[0].decode() for key, *value in fields if key == b"parent" and value)
    return Commit(found.name, trees[0], parents, message)


class TreeCells:
    """The cells of one tree, read lazily."""

    def __init__(self, objects: Objects, tree: str) -> None:
        self._objects = objects
        self._root = tree
        self._folder = lru_cache(maxsize=None)(self._read_folder)

    def load(self, key: Key) -> bytes | None:
        """The content of a cell."""
        path = layout.entries(key)
        found = self._folder(path[:-1]).get(_raw(path[-1]))
        if found is None or found.mode == FOLDER:
            return None
        content = self._objects.read(found.name.hex())
        if content is None or content.kind != "blob":
            raise ConfigError(f"the ledger's entry {'/'.join(path)} is no record", hint="see 'git pw doctor'")
        return content.content

    def names(self, key: Key) -> Sequence[str]:
        """What is filed directly under a key, sorted."""
        path = layout.entries(key)
        folder = self._folder(path)
        if layout.is_hashed_table(key):
            inner = [_text(name) for name, entry in folder.items() if entry.mode == FOLDER]
            return sorted(layout.decoded(_text(name)) for one in inner for name in self._folder((*path, one)))
        return sorted(layout.decoded(_text(name)) for name in folder)

    def _read_folder(self, path: tuple[str, ...]) -> Entries:
        """The entries of a folder; none where there is no such folder."""
        if not path:
            return entries(self._objects, self._root)
        found = self._folder(path[:-1]).get(_raw(path[-1]))
        return entries(self._objects, found.name.hex()) if found and found.mode == FOLDER else {}


def entries(objects: Objects, tree: str) -> Entries:
    """What is in a tree."""
    found = objects.read(tree)
    if found is None or found.kind != "tree":
        raise ConfigError("the ledger has a folder that can't be read", hint="see 'git pw doctor'")
    return {name: Entry(mode, raw) for mode, name, raw in ENTRY.findall(found.content)}


def tree_name(objects: Objects, base: str | None, changes: Mapping[Key, bytes | None]) -> str:
    """The name of the tree that another one becomes by changing some cells."""
    found = _folder_name(objects, base, layout.branch(changes))
    return NO_TREE if found is None else found.hex()


def _folder_name(objects: Objects, base: str | None, branch: layout.Branch) -> bytes | None:
    """The name of one changed folder; None where nothing is left in it."""
    here = {} if base is None else entries(objects, base)
    for name, content in branch.items():
        key, mode = _raw(name), FILE
        below: bytes | None = None
        if isinstance(content, dict):
            old, mode = here.get(key), FOLDER
            known = old.name.hex() if old is not None and old.mode == FOLDER else None
            below = _folder_name(objects, known, content)
        elif content is not None:
            below = _named("blob", content)
        if below is not None:
            here[key] = Entry(mode, below)
        else:
            here.pop(key, None)
    order = sorted(here.items(), key=lambda item: item[0] + (b"/" if item[1].mode == FOLDER else b""))
    content = b"".join(b"%b %b\0%b" % (entry.mode, name, entry.name) for name, entry in order)
    return _named("tree", content) if here else None


def _named(kind: str, content: bytes) -> bytes:
    """The name that git gives to an object."""
    return hashlib.sha1(b"%b %d\0" % (kind.encode(), len(content)) + content, usedforsecurity=False).digest()


def _raw(name: str) -> bytes:
    return name.encode(errors="surrogateescape")


def _text(name: bytes) -> str:
    return name.decode(errors="surrogateescape")
