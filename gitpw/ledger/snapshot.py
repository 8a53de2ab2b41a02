"""A git tree as the cells of a board: read lazily, written by touching only the folders that change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pygit2
from pygit2.enums import FileMode

from gitpw.domain.board import Key
from gitpw.errors import ConfigError
from gitpw.ledger import layout

EMPTY = pygit2.Oid(hex="e69de29bb2d1d6434b8b29ae775ad8c2e48c5391")
"""The blob without content, which many cells share."""


class Snapshot:
    """The cells of one tree; what isn't of the expected kind is reported as a `ConfigError`."""

    def __init__(self, repo: pygit2.Repository, tree: pygit2.Tree) -> None:
        """Read from a tree of the private store."""
        self._repo = repo
        self._trees: dict[tuple[str, ...], pygit2.Tree | None] = {(): tree}
        self._names: dict[Key, Sequence[str]] = {}

    def load(self, key: Key) -> bytes | None:
        """The content of a cell."""
        path = layout.entries(key)
        folder = self._tree(path[:-1])
        try:
            found = None if folder is None else folder[path[-1]]
        except KeyError:
            return None
        if found is None or isinstance(found, pygit2.Tree):
            return None
        if not isinstance(found, pygit2.Blob):
            raise ConfigError(f"the ledger's entry {'/'.join(path)} is no record", hint="see 'git pw doctor'")
        return found.data

    def names(self, key: Key) -> Sequence[str]:
        """What is filed directly under a key, sorted."""
        if key not in self._names:
            self._names[key] = self._listed(key)
        return self._names[key]

    def _listed(self, key: Key) -> Sequence[str]:
        folder = self._tree(layout.entries(key))
        if folder is None:
            return ()
        if not layout.is_hashed_table(key):
            return sorted(layout.decoded(entry.name) for entry in folder if entry.name)
        hashed = [entry for entry in folder if isinstance(entry, pygit2.Tree)]
        return sorted(layout.decoded(entry.name) for inner in hashed for entry in inner if entry.name)

    def _tree(self, path: tuple[str, ...]) -> pygit2.Tree | None:
        if path not in self._trees:
            above = self._tree(path[:-1])
            found = None if above is None or path[-1] not in above else above[path[-1]]
            self._trees[path] = found if isinstance(found, pygit2.Tree) else None
        return self._trees[path]


def written(
    repo: pygit2.Repository, base: pygit2.Tree | None, changes: Mapping[Key, bytes | None]
) -> pygit2.Oid:
    """Write the objects of a changed state; the name of its tree."""
    found = _folder(repo, base, layout.branch(changes))
    return found if found is not None else repo.TreeBuilder().write()


def _blob(repo: pygit2.Repository, content: bytes | None) -> pygit2.Oid | None:
    if content is None:
        return None
    return EMPTY if content == b"" and EMPTY in repo else repo.create_blob(content)


def _folder(repo: pygit2.Repository, base: pygit2.Tree | None, branch: layout.Branch) -> pygit2.Oid | None:
    """Write one changed folder; None where nothing is left in it."""
    builder = repo.TreeBuilder() if base is None else repo.TreeBuilder(base)
    for name, content in branch.items():
        old = base[name] if base is not None and name in base else None
        if isinstance(content, dict):
            below = _folder(repo, old if isinstance(old, pygit2.Tree) else None, content)
            mode = FileMode.TREE
        else:
            below = _blob(repo, content)
            mode = FileMode.BLOB
        if below is not None:
            builder.insert(name, below, mode)
        elif old is not None:
            builder.remove(name)
    return builder.write() if len(builder) else None
