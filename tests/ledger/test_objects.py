"""Trees read and named through the git program: what libgit2 reads and writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pygit2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gitpw.errors import ConfigError
from gitpw.ledger.memory import Table
from gitpw.ledger.objects import NO_TREE, Object, TreeCells, commit, tree_name
from gitpw.ledger.snapshot import written
from tests.ledger.pile import Pile
from tests.ledger.test_snapshot import changes, repo, strange, tree

if TYPE_CHECKING:
    from gitpw.domain.board import Key

__all__ = ["repo"]


class Stored:
    """Objects of a repository, by way of libgit2."""

    def __init__(self, repo: pygit2.Repository) -> None:
        self.repo = repo

    def read(self, name: str) -> Object | None:
        """The object of that name."""
        kind, content = self.repo.read(name)
        names = {pygit2.GIT_OBJECT_BLOB: "blob", pygit2.GIT_OBJECT_TREE: "tree"}
        return Object(name, names[kind], content)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(changes, min_size=1, max_size=5))
def test_like_a_table_and_like_libgit2(repo: pygit2.Repository, steps: list[dict[Key, bytes | None]]) -> None:
    """After any changes, the tree has the name that libgit2 gives it, and reads like a table in memory."""
    contents: dict[Key, bytes] = {}
    base: pygit2.Oid | None = None
    objects = Stored(repo)
    for step in steps:
        name = tree_name(objects, None if base is None else str(base), step)
        base = written(repo, None if base is None else tree(repo, base), step)
        assert name == str(base)
        contents = {key: raw for key, raw in {**contents, **step}.items() if raw is not None}
        cells, table = TreeCells(objects, name), Table(contents)
        for key in {(), ("nowhere",), *step, *contents, *(one[:-1] for one in step)}:
            assert not key or cells.load(key) == table.load(key)
            assert list(cells.names(key)) == list(table.names(key))


def test_other_things_than_records(repo: pygit2.Repository) -> None:
    """A folder is no record, what isn't there is reported, a stray file is no folder."""
    found = strange(repo)
    pile = Pile()
    for oid in (found.id, found["tasks"].id, found["settings"].id):
        pile.objects[str(oid)] = Object(str(oid), "tree", repo[oid].read_raw())
    cells = TreeCells(pile, str(found.id))
    assert cells.load(("settings",)) is None
    with pytest.raises(ConfigError, match="module is no record"):
        cells.load(("module",))
    assert list(cells.names(("tasks",))) == []
    assert cells.load(("meta", "x")) is None
    with pytest.raises(ConfigError, match="can't be read"):
        TreeCells(pile, "1" * 40).load(("meta",))


def test_nothing_left() -> None:
    """A tree from which all is taken is the empty one."""
    pile = Pile()
    full = pile.tree({("tasks", "a"): b"x"})
    assert tree_name(pile, full, {("tasks", "a"): None}) == NO_TREE == pile.put("tree", b"")


def test_commit_with_more_headers() -> None:
    """A signature, a note of its encoding and a message with blank lines are no matter."""
    pile = Pile()
    raw = (
        b"tree "
        + b"1" * 40
        + b"\nparent "
        + b"2" * 40
        + b"\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n"
        b"gpgsig -----BEGIN\n \n tree x\n -----END\nencoding latin-1\n\nsubject\n\nparent 3\n"
    )
    found = commit(pile, pile.put("commit", raw))
    assert found is not None
    assert (found.tree, found.parents, found.message) == ("1" * 40, ("2" * 40,), b"subject\n\nparent 3\n")
    assert commit(pile, pile.put("blob", raw)) is None
