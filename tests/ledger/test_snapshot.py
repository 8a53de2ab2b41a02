"""A git tree as cells: it says what a table in memory says, and a change touches nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pygit2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gitpw.errors import ConfigError
from gitpw.ledger.layout import entries
from gitpw.ledger.memory import Table
from gitpw.ledger.snapshot import Snapshot, written

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gitpw.domain.board import Key

TABLES = ("tasks", "dependents", "ready", "paths")
PARTS = ("a", "b", ".git", "x/y", "", "%", "\u00e9", "\udc80", "=a", "!c")

part = st.sampled_from(PARTS)
keys = st.one_of(
    st.just(("meta",)),
    st.tuples(st.sampled_from(TABLES[:1]), part),
    st.tuples(st.sampled_from(TABLES[1:]), part, part),
)
"""Keys of which none is what another is filed under, as on a board."""
changes = st.dictionaries(keys, st.none() | st.binary(max_size=3), max_size=8)


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> pygit2.Repository:
    """A private store."""
    return pygit2.init_repository(str(tmp_path_factory.mktemp("store")), bare=True)


def tree(repo: pygit2.Repository, oid: pygit2.Oid) -> pygit2.Tree:
    """The tree of that name."""
    found = repo[oid]
    assert isinstance(found, pygit2.Tree)
    return found


def write(repo: pygit2.Repository, *steps: Mapping[Key, bytes | None]) -> pygit2.Tree:
    """The tree after some changes, one after the other."""
    base: pygit2.Tree | None = None
    for step in steps:
        base = tree(repo, written(repo, base, step))
    assert base is not None
    return base


def oids(found: pygit2.Tree, prefix: str = "") -> dict[str, str]:
    """The name of every folder of a tree, by its path."""
    below = {"": str(found.id)} if not prefix else {}
    for entry in found:
        if isinstance(entry, pygit2.Tree):
            below[f"{prefix}{entry.name}"] = str(entry.id)
            below |= oids(entry, f"{prefix}{entry.name}/")
    return below


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(changes, min_size=1, max_size=5))
def test_like_a_table(repo: pygit2.Repository, steps: list[dict[Key, bytes | None]]) -> None:
    """After any changes, a tree loads and lists what a table in memory does, at every depth."""
    contents: dict[Key, bytes] = {}
    base: pygit2.Tree | None = None
    for step in steps:
        base = tree(repo, written(repo, base, step))
        contents |= {key: raw for key, raw in step.items() if raw is not None}
        for key in (key for key, raw in step.items() if raw is None):
            contents.pop(key, None)
        snapshot, table = Snapshot(repo, base), Table(contents)
        for key in {
            (),
            ("nowhere",),
            *step,
            *contents,
            *(one[:-1] for one in step),
            *(one[:1] for one in step),
        }:
            assert not key or snapshot.load(key) == table.load(key)
            assert list(snapshot.names(key)) == list(table.names(key))


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=changes, second=changes)
def test_the_same_contents_are_the_same_tree(
    repo: pygit2.Repository, first: dict[Key, bytes | None], second: dict[Key, bytes | None]
) -> None:
    """A tree depends on what is in it, and not on how that came about: no empty folders stay behind."""
    contents = {**first, **second}
    kept = {key: raw for key, raw in contents.items() if raw is not None}
    assert write(repo, first, second).id == write(repo, kept).id


def test_untouched_folders_stay(repo: pygit2.Repository) -> None:
    """A change writes the folders on its way and no others."""
    start = {("tasks", f"task-{number:03d}"): b"{}" for number in range(60)}
    before = write(repo, {**start, ("paths", "=src", "!c"): b"x", ("ready", "-", "3"): b""})
    key: Key = ("tasks", "task-007")
    after = write(repo, {**start, ("paths", "=src", "!c"): b"x", ("ready", "-", "3"): b""}, {key: b"{1}"})
    path = entries(key)
    changed = {name for name, oid in oids(after).items() if oids(before).get(name) != oid}
    assert changed == {"", path[0], "/".join(path[:2])}


def test_nothing_left(repo: pygit2.Repository) -> None:
    """A state from which all is taken is an empty tree, with nothing in it."""
    empty = write(repo, {("paths", "=a", "=b", "!c"): b"x"}, {("paths", "=a", "=b", "!c"): None})
    assert len(empty) == 0
    assert list(Snapshot(repo, empty).names(("paths",))) == []


def test_removing_what_is_not_there(repo: pygit2.Repository) -> None:
    """Taking away what isn't there changes nothing."""
    before = write(repo, {("meta",): b"x"})
    assert write(repo, {("meta",): b"x"}, {("tasks", "a"): None, ("paths", "=a", "!c"): None}).id == before.id


def test_a_cell_below_a_cell_is_a_mistake(repo: pygit2.Repository) -> None:
    """Nothing can be filed under what is a cell itself: that is a mistake of the program."""
    with pytest.raises(TypeError):
        written(repo, None, {("paths", "=a"): b"x", ("paths", "=a", "!c"): b"x"})


def strange(repo: pygit2.Repository) -> pygit2.Tree:
    """A tree with a link, a folder and a submodule where records should be."""
    builder = repo.TreeBuilder()
    folder = write(repo, {("x",): b"x"}).id
    builder.insert("meta", repo.create_blob(b"/etc/passwd"), pygit2.enums.FileMode.LINK)
    builder.insert("settings", folder, pygit2.enums.FileMode.TREE)
    builder.insert("module", pygit2.Oid(hex="1" * 40), pygit2.enums.FileMode.COMMIT)
    tasks = repo.TreeBuilder()
    tasks.insert("task-001", repo.create_blob(b"{}"), pygit2.enums.FileMode.BLOB)
    builder.insert("tasks", tasks.write(), pygit2.enums.FileMode.TREE)
    return tree(repo, builder.write())


def test_other_things_than_records(repo: pygit2.Repository) -> None:
    """A link is never followed, a folder is no record, a submodule is reported, a stray file is no folder."""
    snapshot = Snapshot(repo, strange(repo))
    assert snapshot.load(("meta",)) == b"/etc/passwd"
    assert snapshot.load(("settings",)) is None
    with pytest.raises(ConfigError, match="module is no record"):
        snapshot.load(("module",))
    assert list(snapshot.names(("tasks",))) == []
    assert list(snapshot.names(("meta",))) == []
    assert snapshot.load(("meta", "x")) is None
