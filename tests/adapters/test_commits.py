"""The commits of a range with all that git can put into one."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from gitpw.adapters.commits import GitCommits
from gitpw.adapters.git import GitRepo
from gitpw.domain.review import Stamp
from tests.support.git import clone, environment, git, make_upstream, run

if TYPE_CHECKING:
    from pathlib import Path

ODD = (
    "a b.txt",
    "-dash",
    'quo"te',
    "new\nline",
    "\nfirst",
    "tab\there",
    "\u00e9",
    "e\u0301",
    "bad\udcff",
    "0" * 40,
)
"""Names that git takes; some look like what stands between names."""


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A clone of the shop."""
    return clone(make_upstream(tmp_path / "up.git"), tmp_path / "work")


def commits(work: Path) -> GitCommits:
    """The commits of a checkout."""
    return GitCommits(GitRepo.discover(str(work)))


def commit(work: Path, message: str, *files: str) -> str:
    """Commit a new line in some files; the commit's name."""
    for name in files:
        with (work / name).open("a") as file:
            file.write("one more\n")
        git("--literal-pathspecs", "add", "--", name, cwd=work)
    git("commit", "-q", "--allow-empty", "--cleanup=verbatim", "-m", message, cwd=work)
    return git("rev-parse", "HEAD", cwd=work)


def test_names_as_they_are(work: Path) -> None:
    """Every name that git takes comes out as it went in."""
    commit(work, "Odd names", *ODD)
    (found,) = commits(work).changes(["HEAD"], ["origin/main"])
    assert sorted(found.files) == sorted(ODD)


def test_trailers(work: Path) -> None:
    """The trailers are read wherever git finds them, and nothing else is taken for one."""
    commit(work, "One\n\nPw-Task: task-001\nPw-Token: 12\n")
    commit(work, "Two, with a body\n\nPw-Token: 9\n\nMore text.\n\nSigned-off-by: A <a@b>\npw-token: 13\n")
    commit(work, "Three\n\nPw-Task: task-001\nPw-Task: task-002\nPw-Token: 14\nPw-Token: 15\n")
    commit(work, "Four: Pw-Token: 16\n")
    commit(work, "Five\n\nPw-Task: evil\n task-009\nPw-Token: 1,2\n")
    found = commits(work).changes(["HEAD"], ["origin/main"])
    assert [one.stamps for one in found] == [
        (Stamp(None, 1), Stamp(None, 2)),
        (),
        (Stamp("task-001", 14), Stamp("task-002", 15)),
        (Stamp(None, 13),),
        (Stamp("task-001", 12),),
    ]
    assert all(one.files == () for one in found)


def test_kinds_of_changes(work: Path) -> None:
    """Both ends of a rename, deletions, modes, links and submodules are changes."""
    git("mv", "README.md", "read me", cwd=work)
    git("rm", "-q", "docs/guide.md", cwd=work)
    git("update-index", "--chmod=+x", "package.json", cwd=work)
    (work / "link").symlink_to("nowhere")
    git("add", "link", cwd=work)
    git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module", cwd=work)
    git("commit", "-qm", "All sorts", cwd=work)
    (found,) = commits(work).changes(["HEAD"], ["origin/main"])
    assert sorted(found.files) == ["README.md", "docs/guide.md", "link", "module", "package.json", "read me"]


def test_merges(work: Path) -> None:
    """A merge counts where it differs from all its parents: brought in is not changed."""
    git("checkout", "-qb", "topic", cwd=work)
    own = commit(work, "Ours", "ours")
    git("checkout", "-q", "main", cwd=work)
    commit(work, "Theirs", "theirs")
    git("push", "-q", "origin", "main", cwd=work)
    git("checkout", "-q", "topic", cwd=work)
    git("merge", "-q", "--no-commit", "main", cwd=work)
    merged = commit(work, "Merge", *ODD)
    git("checkout", "-q", "main", cwd=work)
    range_ = commits(work).changes(["topic"], ["origin/main"])
    assert [one.merge for one in range_] == [True, False]
    assert {one.by for one in range_} == {"Dana Example"}
    found = {one.commit: sorted(one.files) for one in range_}
    assert found == {own: ["ours"], merged: sorted(ODD)}


def test_newest_first_with_their_times(work: Path) -> None:
    """The newest commit comes first by descent, whatever the clocks said."""
    for when in ("2026-03-01T12:00:00Z", "2026-01-01T12:00:00Z"):
        run(["git", "commit", "-q", "--allow-empty", "-m", when], work, {"GIT_COMMITTER_DATE": when})
    found = commits(work).changes(["HEAD"], ["origin/main"])
    assert [f"{one.at:%Y-%m-%d}" for one in found] == ["2026-01-01", "2026-03-01"]


def test_first_commit_of_a_repository(tmp_path: Path) -> None:
    """A root commit changes all its files."""
    git("init", "-q", tmp_path, cwd=tmp_path)
    commit(tmp_path, "First", "a", "b")
    (found,) = commits(tmp_path).changes(["HEAD"])
    assert sorted(found.files) == ["a", "b"]


def test_new_to_every_branch_and_tag(work: Path) -> None:
    """What a branch or a tag has isn't new; what only another ref has is."""
    one = commit(work, "One", "a")
    git("update-ref", "refs/notes/x", one, cwd=work)
    two = commit(work, "Two", "b")
    git("reset", "-q", "--hard", "origin/main", cwd=work)
    assert [found.commit for found in commits(work).changes([two], new=True)] == [two, one]
    git("tag", "v1", one, cwd=work)
    assert [found.commit for found in commits(work).changes([two, one], new=True)] == [two]
    git("branch", "b", two, cwd=work)
    assert commits(work).changes([two, one], new=True) == []


def test_what_is_not_here(work: Path) -> None:
    """A commit that isn't here excludes nothing."""
    head = commit(work, "One", "a")
    found = commits(work).changes([head], ["f" * 40, "origin/main"])
    assert [one.commit for one in found] == [head]


def test_settings_of_the_user_change_nothing(work: Path) -> None:
    """Renames, signatures, prefixes, order: whatever a person likes to see."""
    for key, value in {
        "diff.renames": "copies",
        "diff.ignoreSubmodules": "all",
        "diff.relative": "true",
        "log.showSignature": "true",
        "format.pretty": "fuller",
        "core.quotePath": "true",
        "i18n.logOutputEncoding": "latin-1",
    }.items():
        git("config", key, value, cwd=work)
    git("mv", "README.md", "\u00e9", cwd=work)
    commit(work, "Rename \u00e9\n\nPw-Token: 3\n")
    (found,) = GitCommits(GitRepo.discover(str(work / "src"))).changes(["HEAD"], ["origin/main"])
    assert (sorted(found.files), found.stamps) == (["README.md", "\u00e9"], (Stamp(None, 3),))


def test_many(tmp_path: Path) -> None:
    """Ten thousand commits are two processes."""
    bare = make_upstream(tmp_path / "up.git", {"a": "a"}, commits=1)
    who = "committer D <d@e> 1700000000 +0000\n"
    start = git("rev-parse", "main", cwd=bare)
    stream = [
        f"commit refs/heads/long\n{who}data 1\nx\n{f'from {start}{chr(10)}' if not n else ''}"
        f"M 100644 inline f{n % 7}\ndata {len(str(n))}\n{n}\n"
        for n in range(10_000)
    ]
    subprocess.run(
        ["git", "fast-import", "--quiet"],
        input="".join(stream).encode(),
        cwd=bare,
        check=True,
        env=environment(None),
    )
    found = commits(bare).changes(["long"], ["main"])
    assert len(found) == 10_000
    assert {file for one in found for file in one.files} == {f"f{n}" for n in range(7)}


def test_own(work: Path) -> None:
    """What a commit only brings in from the base branch isn't its own: picked, squashed, or done again alike."""
    git("checkout", "-qb", "topic", cwd=work)
    git("checkout", "-q", "main", cwd=work)
    picked = commit(work, "Theirs", "theirs", "other")
    commit(work, "Theirs again", "theirs")
    git("push", "-q", "origin", "main", cwd=work)
    git("checkout", "-q", "topic", cwd=work)
    commit(work, "First", "first")
    git("cherry-pick", picked, cwd=work)
    commit(work, "Ours", "ours", "theirs", "other")
    reader = commits(work)
    found = reader.changes(["topic"], ["origin/main"])
    tip = git("rev-parse", "origin/main", cwd=work)
    expected = [{"ours", "theirs", "other"}, {"theirs", "other"}, {"first"}]
    assert [set(one.files) for one in found] == expected
    everywhere = {(one.commit, file) for one in found for file in one.files}
    own = reader.own(found, everywhere, tip)
    assert [set(one.files) for one in own] == [{"ours", "other"}, set(), {"first"}]
    own = reader.own(found, {(found[1].commit, "other")}, tip)
    assert [set(one.files) for one in own] == [{"ours", "theirs", "other"}, {"theirs"}, {"first"}]
    assert [one._replace(files=()) for one in own] == [one._replace(files=()) for one in found]


def test_cut_off(work: Path, tmp_path: Path) -> None:
    """A shallow clone knows where it ends."""
    assert commits(work).cut_off() == frozenset()
    git("clone", "-q", "--depth=1", (tmp_path / "up.git").as_uri(), tmp_path / "thin", cwd=tmp_path)
    assert commits(tmp_path / "thin").cut_off() == {git("rev-parse", "HEAD", cwd=tmp_path / "thin")}
