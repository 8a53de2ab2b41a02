"""The store of a repository without a remote."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pygit2
import pytest

from gitpw.domain.ids import TaskId
from gitpw.domain.operation import Moved, Release
from gitpw.errors import ConfigError
from gitpw.ledger.local import STALE, LocalStore
from gitpw.ledger.store import LOCAL, Swap
from tests.ledger.clients import Arena, Interrupted, new_task, take, wrapped

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def arena(tmp_path: Path) -> Arena:
    """A ledger of one machine."""
    return Arena("local", tmp_path)


def store_of(arena: Arena) -> LocalStore:
    """The store that all share."""
    store = arena.place().store()
    assert isinstance(store, LocalStore)
    return store


def test_moved_ledger_takes_nothing_more(arena: Arena) -> None:
    """A writer that began before the ledger moved to a remote can't write to what was left behind."""
    client, mover = arena.begun(), arena.client(worker="bob")
    client.done(new_task("one"))
    wrapped(client, lambda store: Interrupted(store, lambda: mover.done(Moved())))
    with pytest.raises(ConfigError, match="moved"):
        client.ask(take())
    assert client.open() == []
    board = client.ledger.board()
    assert (board.counter, list(board.claims())) == (3, [])


def test_moved_and_back(arena: Arena) -> None:
    """A move that failed is undone, and the ledger goes on."""
    client = arena.begun()
    client.done(new_task("one"))
    client.done(Moved())
    with pytest.raises(ConfigError):
        client.ask(take())
    client.done(Moved(back=True))
    client.done(take())
    client.done(Release(task=TaskId("task-001")))


def test_lock_file_of_a_killed_process(arena: Arena) -> None:
    """A lock file that is older than any swap can last is taken away, and a young one is waited for."""
    client = arena.begun()
    lock = store_of(arena).path / f"{LOCAL}.lock"
    lock.touch()
    old = time.time() - STALE - 1
    os.utime(lock, (old, old))
    client.done(new_task("one"))
    assert not lock.exists()


def test_young_lock_file_stays(arena: Arena) -> None:
    """A lock file that somebody may still need is not touched."""
    client = arena.begun()
    store = store_of(arena)
    lock = store.path / f"{LOCAL}.lock"
    lock.touch()
    tip = store.tip()
    assert store.swap(tip, str(tip)) is Swap.RACED
    assert lock.exists()
    lock.unlink()
    client.done(new_task("one"))


def test_swap_compares(arena: Arena) -> None:
    """A swap from another state than the current one changes nothing, nor does one that must be the first."""
    client = arena.begun()
    store = store_of(arena)
    first = store.tip()
    client.done(new_task("one"))
    second = store.tip()
    for old in (first, None, "1" * 40):
        assert store.swap(old, str(first)) is Swap.BEATEN
    assert store.tip() == second
    assert store.swap(second, str(first)) is Swap.DONE
    assert store.tip() == first


def test_state_is_always_current(arena: Arena) -> None:
    """There is nobody to ask: what is here is the truth, as of now."""
    client = arena.begun()
    assert client.store.asked() is None
    assert client.ledger.freshest()[1:] == (None, None)


def test_store_half_made(tmp_path: Path) -> None:
    """A store of which a killed process made only the folder is made whole."""
    arena = Arena("local", tmp_path)
    store = store_of(arena)
    (store.path / "refs").mkdir(parents=True)
    (store.path / "objects").mkdir()
    assert arena.begun().ledger.board().counter == 1


def test_store_that_cannot_be_opened(tmp_path: Path) -> None:
    """A store that is no repository is reported with what to do."""
    store = store_of(Arena("local", tmp_path))
    store.path.mkdir(parents=True)
    (store.path / "HEAD").write_text("nonsense")
    with pytest.raises(ConfigError) as caught:
        store.tip()
    assert str(store.path) in caught.value.message


def test_store_is_private_and_bare(arena: Arena) -> None:
    """The store is a bare repository in our own folder, with our ref and no branch."""
    arena.begun()
    store = store_of(arena)
    repo = pygit2.Repository(str(store.path))
    assert repo.is_bare
    assert list(repo.references) == [LOCAL]
    files = ["journal", "locks", "locks.sh", "store.git", "store.lock"]
    assert sorted(path.name for path in store.folder.iterdir()) == files
