"""The write bits of tracked files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitpw.adapters.git import GitRepo
from gitpw.adapters.modes import GitModes, modes_of
from tests.support.git import git

ODD = ["a b/c d", "line\nbreak", '"quoted"', "-dash", "caf\u00e9", "cafe\u0301", "tab\t", "[x]*?"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with a few files."""
    git("init", "-q", tmp_path / "work", cwd=tmp_path)
    for name in ("art/a.psd", "art/b.psd", "c.psd"):
        file = tmp_path / "work" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(name)
    git("add", "-A", cwd=tmp_path / "work")
    return tmp_path / "work"


def modes(root: Path) -> GitModes:
    """The write bits there."""
    found = modes_of(GitRepo.discover(str(root)), None)
    assert found is not None
    return found


def bits(file: Path) -> int:
    """The mode of a file, or of a link itself."""
    return file.lstat().st_mode & 0o7777


def test_write_bits_go_and_come_back(root: Path) -> None:
    """The executable bit stays, other files stay as they are, and what was changed is told."""
    (root / "c.psd").chmod(0o755)
    assert modes(root).set(["art/a.psd", "c.psd"], []) == ["art/a.psd", "c.psd"]
    assert [bits(root / name) for name in ("art/a.psd", "art/b.psd", "c.psd")] == [0o444, 0o644, 0o555]
    assert modes(root).set(["art/a.psd", "c.psd"], []) == []
    assert modes(root).frozen() == ["art/a.psd", "c.psd"]
    assert modes(root).set(["art/a.psd"], ["c.psd"]) == ["c.psd"]
    assert bits(root / "c.psd") == 0o755
    assert modes(root).set([], ["art/a.psd"]) == ["art/a.psd"]
    assert modes(root).frozen() == []
    assert not (root / ".git/pw/read-only").exists()
    assert git("status", "--porcelain", cwd=root).splitlines() == ["A  art/a.psd", "A  art/b.psd", "AM c.psd"]


def test_looking_changes_nothing(root: Path) -> None:
    """What is astray is told, and stays."""
    assert modes(root).astray(["c.psd"], ["art/a.psd"]) == ["c.psd"]
    assert bits(root / "c.psd") == 0o644
    assert modes(root).frozen() == []


def test_umask_says_who_may_write_again(root: Path) -> None:
    """As with a file that git writes anew; one that is writable already stays as it is."""
    modes(root).set(["c.psd"], [])
    before = os.umask(0o002)
    try:
        assert modes(root).set([], ["c.psd", "art/a.psd"]) == ["c.psd"]
    finally:
        os.umask(before)
    assert (bits(root / "c.psd"), bits(root / "art/a.psd")) == (0o664, 0o644)


def test_odd_names(root: Path) -> None:
    """Every byte of a name comes back."""
    names = [*ODD, os.fsdecode(b"latin-\xe9")]
    for name in names:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("x")
    git("add", "-A", cwd=root)
    assert set(modes(root).tracked()) >= set(names)
    modes(root).set(names, [])
    assert [bits(root / name) for name in names] == [0o444] * len(names)
    assert modes(root).frozen() == names


def test_only_ordinary_files_are_tracked(root: Path) -> None:
    """No links, no submodules, nothing untracked; a conflicted file once."""
    (root / "link.psd").symlink_to("c.psd")
    (root / "untracked.psd").write_text("x")
    git("add", "link.psd", cwd=root)
    oid = git("rev-parse", ":c.psd", cwd=root)
    entries = "".join(f"100644 {oid} {stage}\tboth.psd\n" for stage in (1, 2, 3))
    entries += f"160000 {oid} 0\tsub.psd\n"
    git("update-index", "--index-info", cwd=root, input=entries)
    assert modes(root).tracked() == ["art/a.psd", "art/b.psd", "both.psd", "c.psd"]


def test_nothing_outside_of_the_work_tree_is_touched(root: Path, tmp_path: Path) -> None:
    """A folder or a file that was replaced by a link leads nowhere."""
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("a.psd", "b.psd", "c.psd"):
        (outside / name).write_text("mine")
    for name in ("a.psd", "b.psd"):
        (root / "art" / name).unlink()
    (root / "art").rmdir()
    (root / "art").symlink_to(outside)
    (root / "c.psd").unlink()
    (root / "c.psd").symlink_to(outside / "c.psd")
    assert modes(root).set(["art/a.psd", "art/b.psd", "c.psd"], []) == []
    assert [bits(outside / name) for name in ("a.psd", "b.psd", "c.psd")] == [0o644] * 3


def test_what_is_no_file_is_left_alone(root: Path) -> None:
    """A file that is gone, a folder, a pipe in its place, or a folder that is a file."""
    for name in ("art/a.psd", "art/b.psd", "c.psd"):
        (root / name).unlink()
    (root / "c.psd").mkdir()
    os.mkfifo(root / "art/b.psd")
    assert modes(root).set(["art/a.psd", "art/b.psd", "c.psd", "c.psd/x", "no/such"], []) == []


def test_each_checkout_keeps_its_own_list(root: Path, tmp_path: Path) -> None:
    """A linked worktree has its own git dir; what is no checkout has no write bits."""
    git("commit", "-qm", "x", cwd=root)
    git("worktree", "add", "-q", "--detach", tmp_path / "tree", cwd=root)
    repo = GitRepo.discover(str(root))
    tree = modes_of(repo, str(tmp_path / "tree"))
    assert tree is not None
    tree.set(["c.psd"], [])
    assert (bits(tmp_path / "tree/c.psd"), bits(root / "c.psd")) == (0o444, 0o644)
    assert (tree.frozen(), modes(root).frozen()) == (["c.psd"], [])
    assert (root / ".git/worktrees/tree/pw/read-only").exists()
    assert modes_of(repo, str(tmp_path / "gone")) is None
    assert modes_of(repo, str(tmp_path)) is None


def test_bare_repository_has_no_files(tmp_path: Path) -> None:
    """And no write bits."""
    git("init", "-q", "--bare", tmp_path / "bare.git", cwd=tmp_path)
    assert modes_of(GitRepo.discover(str(tmp_path / "bare.git")), None) is None
