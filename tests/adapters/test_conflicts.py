"""Conflicts told by git's own merge, many in one process, kept, and without a trace in the repository."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path

import pytest

from gitpw.adapters import conflicts as module
from gitpw.adapters.conflicts import GitConflicts, Pair
from gitpw.adapters.git import GitRepo
from gitpw.adapters.process import Finished
from gitpw.domain.forecast import pairs
from gitpw.errors import FailedError
from tests.support.git import clone, git, make_upstream, run

TEXT = "".join(f"{number}\n" for number in range(30))
FILES = {"a.txt": TEXT, "b.txt": TEXT, "dir/x.txt": TEXT, "dir/y.txt": TEXT}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A clone in a folder whose name would be two in a list of paths."""
    return clone(make_upstream(tmp_path / "up.git", FILES, commits=1), tmp_path / "my: work")


@pytest.fixture
def conflicts(work: Path) -> GitConflicts:
    """Its conflicts."""
    return GitConflicts(GitRepo.discover(str(work)))


def branch(work: Path, name: str, *commands: str, start: str = "main") -> str:
    """A branch with one commit of what shell commands do; its tip."""
    git("checkout", "-q", "-b", name, start, cwd=work)
    for command in commands:
        run(["sh", "-ec", command], work)
    git("add", "-A", cwd=work)
    git("commit", "-q", "-m", name, cwd=work)
    tip = git("rev-parse", "HEAD", cwd=work)
    git("checkout", "-q", "main", cwd=work)
    return tip


def edit(file: str, line: int, text: str) -> str:
    """A command that changes one line."""
    return f"sed -i 's/^{line}$/{text}/' '{file}'"


SHAPES = {
    "one": [edit("a.txt", 5, "one")],
    "same place": [edit("a.txt", 5, "two")],
    "other place": [edit("a.txt", 25, "three")],
    "other file": [edit("b.txt", 5, "four")],
    "deleted": ["rm a.txt"],
    "moved": ["git mv a.txt c.txt"],
    "moved elsewhere": ["git mv a.txt d.txt"],
    "folder moved": ["git mv dir lib"],
    "new in folder": ["echo x > dir/new.txt"],
    "file for folder": ["git rm -rq dir", "echo x > dir"],
    "odd names": ["printf x > 'new\nline'", "printf x > ' \"é'"],
    "the same odd names": ["printf y > 'new\nline'", "printf y > ' \"é'"],
    "mode": ["chmod +x a.txt"],
    "link": ["rm b.txt", "ln -s a.txt b.txt"],
    "binary": ["printf 'a\\0b' > b.txt"],
}


def test_agrees_with_git_merge(work: Path, conflicts: GitConflicts) -> None:
    """Every pair of many shapes: the same verdict as `git merge`, and no real conflict is sorted out beforehand."""
    tips = {name: branch(work, f"b{number}", *does) for number, (name, does) in enumerate(SHAPES.items())}
    names = {tip: name for name, tip in tips.items()}
    every = list(itertools.combinations(tips.values(), 2))
    found = conflicts.conflicts(every, 60)
    for one, two in every:
        git("checkout", "-q", "--detach", one, cwd=work)
        merged = run(["git", "merge", "-q", "--no-edit", two], work, check=False)
        told = (names[one], names[two], found[one, two])
        assert bool(found[one, two]) == (merged.exit != 0), told
        git("reset", "-q", "--hard", cwd=work)
        git("clean", "-qfd", cwd=work)
    git("checkout", "-q", "main", cwd=work)
    base = git("rev-parse", "main", cwd=work)
    chosen = set(pairs(list(tips.values()), conflicts.changes(list(tips.values()), base, 60)))
    assert {pair for pair, files in found.items() if files} <= chosen
    assert found[tips["odd names"], tips["the same odd names"]] == [' "é', "new\nline"]
    assert len(chosen) < len(every) / 2


def test_leaves_no_trace(
    work: Path, conflicts: GitConflicts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No object, no ref, no index: only our own file. And no folder elsewhere, with memory or without."""
    one, two = branch(work, "one", edit("a.txt", 5, "x")), branch(work, "two", edit("a.txt", 5, "y"))
    before = {path: path.read_bytes() for path in (work / ".git").rglob("*") if path.is_file()}
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(module, "MEMORY", str(tmp_path / "none"))
    assert conflicts.conflicts([(one, two)], 60) == {(one, two): ["a.txt"]}
    after = {path: path.read_bytes() for path in (work / ".git").rglob("*") if path.is_file()}
    assert (
        set(after) - set(before) == {work / ".git" / "pw" / "conflicts.json"}
        or not (work / ".git" / "pw").exists()
    )
    assert {path: after[path] for path in before} == before
    assert list((tmp_path / "tmp").iterdir()) == []


def test_answers_are_kept(work: Path, conflicts: GitConflicts, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the pair, whichever comes first; a broken file is worth nothing; no more are kept than is sensible."""
    (work / ".git" / "pw").mkdir()
    one, two = branch(work, "one", edit("a.txt", 5, "x")), branch(work, "two", edit("a.txt", 5, "y"))
    conflicts.conflicts([(one, two)], 60)
    with monkeypatch.context() as patch:
        patch.setattr(GitRepo, "git", lambda *_args, **_more: pytest.fail("git was asked again"))
        assert conflicts.conflicts([(two, one)], 60) == {(two, one): ["a.txt"]}
    for broken in ("{", "[]", '{"x": 1}'):
        (work / ".git" / "pw" / "conflicts.json").write_text(broken)
        assert conflicts.conflicts([(one, two)], 60) == {(one, two): ["a.txt"]}
    monkeypatch.setattr(module, "KEPT", 1)
    main = git("rev-parse", "main", cwd=work)
    assert conflicts.conflicts([(main, one), (main, two)], 60) == {(main, one): [], (main, two): []}
    assert len(json.loads((work / ".git" / "pw" / "conflicts.json").read_text())) == 1


def test_pair_that_cannot_be_merged_is_left_out(work: Path, conflicts: GitConflicts) -> None:
    """The others are answered; a history of its own is a conflict, not an error."""
    one, two = branch(work, "one", edit("a.txt", 5, "x")), branch(work, "two", edit("a.txt", 5, "y"))
    git("checkout", "-q", "--orphan", "alone", cwd=work)
    git("commit", "-q", "-m", "alone", "--allow-empty", cwd=work)
    (work / "a.txt").write_text("z\n")
    git("commit", "-qam", "alone", cwd=work)
    alone = git("rev-parse", "HEAD", cwd=work)
    gone = "1" * 40
    asked: list[Pair] = [(gone, one), (one, two), (one, gone), (one, alone), (gone, two)]
    found = conflicts.conflicts(asked, 60)
    assert set(found) == {(one, two), (one, alone)}
    assert found[one, two] == ["a.txt"]
    assert found[one, alone]


def test_without_stdin_pairs_are_merged_one_by_one(
    work: Path, conflicts: GitConflicts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git 2.38 has no --stdin."""
    one, two = branch(work, "one", edit("a.txt", 5, "x")), branch(work, "two", edit("a.txt", 5, "y"))
    other = branch(work, "other", edit("b.txt", 5, "y"))
    real = GitRepo.git

    def old(repo: GitRepo, *args: str, **more: object) -> Finished:
        if "--stdin" in args:
            return Finished(129, b"", b"error: unknown option `stdin'")
        return real(repo, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(GitRepo, "git", old)
    found = conflicts.conflicts([(one, two), (one, other)], 60)
    assert found == {(one, two): ["a.txt"], (one, other): []}


def test_no_time_no_answer(work: Path, conflicts: GitConflicts) -> None:
    """What isn't known yet is missing, not clean."""
    one, two = branch(work, "one", edit("a.txt", 5, "x")), branch(work, "two", edit("a.txt", 5, "y"))
    assert conflicts.conflicts([(one, two)], 0) == {}
    with pytest.raises(FailedError, match="in time"):
        conflicts.changes([one, two], git("rev-parse", "main", cwd=work), 0)


def test_names_of_a_huge_conflict_are_cut(
    work: Path, conflicts: GitConflicts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays a conflict."""
    monkeypatch.setattr(module, "NAMED", 1)
    both = ("a.txt", "b.txt")
    one = branch(work, "one", *(edit(file, 5, "x") for file in both))
    two = branch(work, "two", *(edit(file, 5, "y") for file in both))
    assert conflicts.conflicts([(one, two)], 60) == {(one, two): ["a.txt"]}


@pytest.mark.parametrize("cut", range(8))
def test_half_an_answer_is_none(cut: int) -> None:
    """A process that was stopped in the middle: whole answers count, the last half one doesn't."""
    whole = "1\0oid\0\0" + "0\0oid\0a\0b\0\0"
    assert module._answers(whole) == [[], ["a", "b"]]
    assert module._answers(whole[: len(whole) - 1 - cut]) == [[]]


def test_changes_are_those_of_the_branch_alone(work: Path, conflicts: GitConflicts) -> None:
    """Not what it merged from the base, but what it changed in doing so; both ends of a rename; odd names."""
    one = branch(work, "one", edit("a.txt", 5, "x"), "git mv b.txt c.txt", "printf x > ' \1M\n'")
    git("checkout", "-q", "main", cwd=work)
    (work / "a.txt").write_text(TEXT.replace("5\n", "base\n"))
    (work / "dir/x.txt").write_text("base\n")
    git("commit", "-qam", "base", cwd=work)
    base = git("rev-parse", "HEAD", cwd=work)
    git("checkout", "-q", "one", cwd=work)
    run(["git", "merge", "-q", "main"], work, check=False)
    (work / "a.txt").write_text("both\n")
    git("commit", "-qam", "merged", cwd=work)
    two = git("rev-parse", "HEAD", cwd=work)
    found = conflicts.changes([one, two], base, 60)
    assert found[two].paths | found.get(one, found[two]).paths == {"a.txt", "b.txt", "c.txt", " \1M\n"}
    assert conflicts.changes([], base, 60) == {}
    assert conflicts.changes(["1" * 40], base, 60) == {}


def test_shallow_clone_has_no_phantoms(work: Path, tmp_path: Path) -> None:
    """Where the histories don't meet any more, nothing can be told, and nothing is."""
    one = branch(work, "one", edit("a.txt", 5, "x"))
    (work / "b.txt").write_text("base\n")
    git("commit", "-qam", "base", cwd=work)
    run(["git", "clone", "-q", "--depth=1", "--no-single-branch", work.as_uri(), tmp_path / "shallow"])
    shallow = GitConflicts(GitRepo.discover(str(tmp_path / "shallow")))
    base = git("rev-parse", "HEAD", cwd=tmp_path / "shallow")
    assert shallow.changes([one], base, 60) == {}


def test_hooks_environment_is_kept_out(
    work: Path, conflicts: GitConflicts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a hook of a commit, objects may lie in quarantine: they are read, and nothing is written there."""
    one, two = branch(work, "one", edit("a.txt", 5, "x")), branch(work, "two", edit("a.txt", 5, "y"))
    monkeypatch.setenv("GIT_INDEX_FILE", "nonsense")
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(work / ".git" / "objects"))
    assert conflicts.conflicts([(one, two)], 60) == {(one, two): ["a.txt"]}
    assert "GIT_OBJECT_DIRECTORY" in os.environ
