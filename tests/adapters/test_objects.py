"""Objects by their names, as the `git` program gives them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from gitpw.adapters import objects as module
from gitpw.adapters.git import GitRepo
from gitpw.adapters.objects import GitObjects
from gitpw.errors import FailedError
from tests.support.git import git, make_upstream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A bare repository."""
    return make_upstream(tmp_path / "up.git")


@pytest.fixture
def objects(bare: Path) -> Iterator[GitObjects]:
    """Its objects."""
    found = GitObjects(GitRepo.discover(str(bare)))
    yield found
    found.close()


def test_by_every_kind_of_name(objects: GitObjects, bare: Path) -> None:
    """By hash, ref, or path in a revision; each tells what it is."""
    tip = git("rev-parse", "main", cwd=bare)
    for name in (tip, "refs/heads/main", "main"):
        found = objects.read(name)
        assert found is not None
        assert (found.name, found.kind) == (tip, "commit")
        assert found.content.startswith(b"tree ")
    tree, blob = objects.read("main^{tree}"), objects.read("main:src/app/[id]/page.tsx")
    assert tree is not None
    assert tree.kind == "tree"
    assert blob is not None
    assert blob.content.startswith(b"export default")


@pytest.mark.parametrize(
    "name", ["f" * 40, "refs/heads/nowhere", "main:nothing", "", "a\nb", "a\0b", " ", "--help"]
)
def test_what_is_not_there(objects: GitObjects, name: str) -> None:
    """What isn't there is None, and the next question is answered all the same."""
    assert objects.read(name) is None
    assert objects.read("main") is not None


def test_empty_and_odd_contents(objects: GitObjects, bare: Path) -> None:
    """Contents come byte by byte."""
    for content in ("", "\n", "a\0b\n\n"):
        name = git("hash-object", "-w", "--stdin", cwd=bare, input=content)
        found = objects.read(name)
        assert found is not None
        assert found.content == content.encode()


def test_monsters(objects: GitObjects, bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too large to be part of a ledger isn't read."""
    monkeypatch.setattr(module, "LARGEST", 10)
    name = git("hash-object", "-w", "--stdin", cwd=bare, input="x" * 11)
    with pytest.raises(FailedError, match="11 bytes"):
        objects.read(name)


def test_git_that_is_gone(objects: GitObjects, tmp_path: Path) -> None:
    """A program that ends is an error, not an empty answer."""
    assert objects.read("main") is not None
    assert objects._git is not None
    objects._git.kill()
    objects._git.wait()
    with pytest.raises(FailedError):
        objects.read("main~1")
    del tmp_path


def test_quarantine(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What git tells its hooks of objects elsewhere is heeded."""
    quarantine = tmp_path / "quarantine"
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(quarantine))
    monkeypatch.setenv("GIT_ALTERNATE_OBJECT_DIRECTORIES", str(bare / "objects"))
    monkeypatch.setenv("GIT_QUARANTINE_PATH", str(quarantine))
    quarantine.mkdir()
    name = git("hash-object", "-w", "--stdin", cwd=bare, input="new")
    objects = GitObjects(GitRepo.discover(str(bare)))
    assert objects.read(name) is not None
    assert objects.read("main") is not None
    objects.close()
    assert sorted(path.name for path in quarantine.iterdir()) == [name[:2]]
    assert os.environ["GIT_QUARANTINE_PATH"] == str(quarantine)
