"""Lockable files: read-only until held, from the policy to the editor's refusal, with git's own commands in between."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.race.runner import Herd, Run, gathered
from tests.support.git import clone, git, make_upstream, run

FILES = {
    ".gitpw.toml": '[policy]\nlockable = ["**/*.psd", "art"]\nignore = ["art/sketch"]\ncritical = []\n',
    "art/logo.svg": "<svg/>\n",
    "art/sketch/one.psd": "sketch\n",
    "deep/er/a b.psd": "pixels\n",
    "main.py": "print()\n",
    "top.psd": "pixels\n",
}
LOCKABLE = {"art/logo.svg", "deep/er/a b.psd", "top.psd"}


@dataclass(frozen=True)
class Studio:
    """A clone with lockable files, and who works there."""

    bare: Path
    work: Path
    herd: Herd
    worker: str = "alice"

    def pw(self, *words: str, check: int = 0, cwd: Path | None = None) -> Any:
        """Run git-pw; the document."""
        (done,) = self.herd.run(Run(words, cwd or self.work, {"GITPW_WORKER": self.worker}))
        assert done.exit == check, f"expected exit {check}\n{done}"
        return done.data

    def git(self, *words: str, cwd: Path | None = None, check: bool = True) -> str:
        """Run git as a user does, with the hooks that it runs."""
        return run(["git", *words], cwd or self.work, {"GITPW_WORKER": self.worker}, check=check).out

    def frozen(self, tree: Path | None = None) -> set[str]:
        """The files that can't be written to."""
        root = tree or self.work
        return {
            str(path.relative_to(root))
            for path in root.rglob("*")
            if path.is_file()
            and not {".git", ".worktrees"} & set(path.relative_to(root).parts)
            and not path.stat().st_mode & stat.S_IWUSR
        }

    def beside(self, name: str, worker: str) -> Studio:
        """Another clone, set up, of somebody else."""
        other = replace(self, work=clone(self.bare, self.work.parent / name), worker=worker)
        other.rules()
        other.pw("init")
        return other

    def rules(self, *lines: str) -> None:
        """What the shims know of the policy."""
        file = self.work / ".git/pw/rules"
        file.parent.mkdir(exist_ok=True)
        file.write_text("".join(f"{line}\n" for line in lines or ("lockable on",)))


@pytest.fixture(scope="session")
def herd() -> Iterator[Herd]:
    """Starts git-pw processes without the wait for Python."""
    with gathered() as started:
        yield started


@pytest.fixture
def studio(herd: Herd, tmp_path: Path) -> Studio:
    """A clone after `init`."""
    bare = make_upstream(tmp_path / "up.git", FILES, commits=1)
    made = Studio(bare, clone(bare, tmp_path / "work"), herd)
    made.rules()
    made.pw("init")
    git("commit", "-qam", "Name the ledger", cwd=made.work)
    git("push", "-q", "origin", "main", cwd=made.work)
    return made


def edit(tree: Path, name: str) -> None:
    """Replace a file as many editors do, whatever its mode."""
    fresh = tree / "fresh.tmp"
    fresh.write_text((tree / name).read_text() + "more\n")
    fresh.chmod(0o644)
    fresh.replace(tree / name)


def test_init_makes_lockable_files_read_only(studio: Studio) -> None:
    """Those, and no others; `git status` sees nothing."""
    assert studio.frozen() == LOCKABLE
    assert studio.git("status", "--porcelain") == ""
    assert stat.S_IMODE((studio.work / "top.psd").stat().st_mode) == 0o444


def test_lock_and_unlock(studio: Studio) -> None:
    """Locked it can be written to and committed; unlocked it is read-only again; a shared lock is not enough."""
    studio.pw("lock", "art", "--shared")
    assert studio.frozen() == LOCKABLE
    studio.pw("lock", "top.psd", "art")
    assert studio.frozen() == {"deep/er/a b.psd"}
    edit(studio.work, "top.psd")
    studio.git("commit", "-qam", "Paint")
    studio.pw("unlock", "top.psd")
    assert studio.frozen() == {"deep/er/a b.psd", "top.psd"}
    studio.pw("unlock", "--all")
    assert studio.frozen() == LOCKABLE


def test_claim_release_and_complete(studio: Studio) -> None:
    """In the new worktree what the task holds is writable, until the work is given back or handed in."""
    studio.pw("task", "add", "Paint the logo", "--file", "art")
    tree = Path(studio.pw("claim")["worktree"])
    assert studio.frozen(tree) == LOCKABLE - {"art/logo.svg"}
    assert studio.frozen() == LOCKABLE
    studio.pw("release", "task-001", "--keep-worktree")
    assert studio.frozen(tree) == LOCKABLE
    studio.pw("claim", "task-001")
    assert studio.frozen(tree) == LOCKABLE - {"art/logo.svg"}
    edit(tree, "art/logo.svg")
    studio.git("commit", "-qam", "Paint", cwd=tree)
    studio.pw("complete", cwd=tree)
    assert studio.frozen(tree) == LOCKABLE


def test_fail_and_claim_here(studio: Studio) -> None:
    """A claim without a worktree counts for the checkout that it was made in."""
    studio.pw("task", "add", "Paint the logo", "--file", "art")
    studio.pw("claim", "--no-worktree")
    assert studio.frozen() == LOCKABLE - {"art/logo.svg"}
    studio.pw("fail", "task-001", "--reason", "no brush")
    assert studio.frozen() == LOCKABLE


def test_change_without_a_lock_is_refused(studio: Studio) -> None:
    """A program that replaces a read-only file doesn't notice: the commit does."""
    edit(studio.work, "top.psd")
    refused = run(["git", "commit", "-qam", "Paint"], studio.work, check=False)
    assert refused.exit != 0
    assert "hint: git pw lock -- top.psd" in refused.err


def switched(studio: Studio) -> None:
    """To a branch that has them in another version."""
    studio.git("checkout", "-q", "other")


def merged(studio: Studio) -> None:
    """Forward, without a commit."""
    studio.git("merge", "-q", "other")


def joined(studio: Studio) -> None:
    """With a commit."""
    studio.git("merge", "-q", "--no-ff", "-m", "Join", "other")


def rebased(studio: Studio) -> None:
    """Onto commits that have them."""
    (studio.work / "main.py").write_text("print(1)\n")
    studio.git("commit", "-qam", "Say one")
    studio.git("rebase", "-q", "other")


def restored(studio: Studio) -> None:
    """Single files, from another branch."""
    studio.git("checkout", "-q", "other", "--", "new.psd", "top.psd")


def pulled(studio: Studio) -> None:
    """What somebody else has pushed."""
    studio.git("push", "-q", "--no-verify", "origin", "other:main")
    studio.git("pull", "-q", "--ff-only")


@pytest.mark.parametrize("way", [switched, merged, joined, rebased, restored, pulled])
def test_what_git_writes_anew_is_read_only_again(studio: Studio, way: Callable[[Studio], None]) -> None:
    """After a switch, a merge, a rebase, a restore and a pull, by the shims alone; what is held stays writable."""
    studio.git("checkout", "-q", "-b", "other")
    studio.pw("lock", "top.psd", "new.psd")
    edit(studio.work, "top.psd")
    (studio.work / "new.psd").write_text("new\n")
    studio.git("add", "-A")
    studio.git("commit", "-qm", "Paint")
    studio.git("checkout", "-q", "main")
    studio.pw("unlock", "--all")
    studio.pw("lock", "deep/er/a b.psd")
    way(studio)
    assert studio.frozen() == {"art/logo.svg", "top.psd", "new.psd"}


def test_plain_worktree_is_protected_too(studio: Studio, tmp_path: Path) -> None:
    """One that somebody makes by hand."""
    studio.git("worktree", "add", "-q", "--detach", str(tmp_path / "tree"))
    assert studio.frozen(tmp_path / "tree") == LOCKABLE
    studio.pw("lock", "top.psd", cwd=tmp_path / "tree")
    assert studio.frozen(tmp_path / "tree") == LOCKABLE - {"top.psd"}
    assert studio.frozen() == LOCKABLE


def test_lost_claim_makes_files_read_only(studio: Studio) -> None:
    """Whoever finds out at the commit that the claim was taken away can't go on by mistake."""
    studio.pw("task", "add", "Paint the logo", "--file", "art")
    tree = Path(studio.pw("claim")["worktree"])
    bob = studio.beside("bob", "bob")
    bob.pw("unlock", "art", "--force", "--reason", "urgent")
    edit(tree, "art/logo.svg")
    assert run(["git", "commit", "-qam", "Paint"], tree, check=False).exit != 0
    assert studio.frozen(tree) == LOCKABLE


def test_rules_that_go_give_the_files_back(studio: Studio) -> None:
    """A policy without lockable files: the next checkout makes them writable, although the shims are told of none."""
    file = studio.work / ".gitpw.toml"
    file.write_text(file.read_text().replace('"**/*.psd", "art"', ""))
    for words in (("commit", "-qam", "No more locks"), ("push", "-q", "origin", "main")):
        studio.git("-c", "core.hooksPath=/dev/null", *words)
    studio.rules("other on")
    assert studio.frozen() == LOCKABLE
    studio.git("checkout", "-q", "--detach")
    assert studio.frozen() == set()
    assert not (studio.work / ".git/pw/read-only").exists()


def test_shims_end_in_the_shell_without_lockable_files(studio: Studio, tmp_path: Path) -> None:
    """No rules file, or none with that line: git-pw isn't started."""
    called = tmp_path / "called"
    program = tmp_path / "git-pw"
    program.write_text(f"#!/bin/sh\necho $* >>{called}\n")
    program.chmod(0o755)
    for name in ("post-checkout", "post-merge"):
        shim = studio.work / ".git/hooks" / name
        lines = [
            f"program={program}" if line.startswith("program=") else line
            for line in shim.read_text().splitlines()
        ]
        shim.write_text("\n".join(lines) + "\n")
    (studio.work / ".git/pw/read-only").unlink()
    for lines in (
        [],
        ["lockable off"],
        ["git-pw rules 1", "trailers on", "lockable off", "critical lockable on"],
    ):
        (studio.work / ".git/pw/rules").write_text("".join(f"{line}\n" for line in lines))
        studio.git("checkout", "-q", "--detach")
        studio.git("checkout", "-q", "main")
    (studio.work / ".git/pw/rules").unlink()
    studio.git("checkout", "-q", "--detach")
    assert not called.exists()
    studio.rules("critical x", "lockable on")
    studio.git("checkout", "-q", "main")
    assert called.read_text().startswith("hook post-checkout ")
    assert called.read_text().endswith(" 1\n")


def test_users_own_hooks_still_run(studio: Studio, tmp_path: Path) -> None:
    """Before ours, with their arguments; also in the worktree that a claim makes."""
    studio.pw("uninstall")
    for name in ("post-checkout", "post-merge"):
        file = studio.work / ".git/hooks" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\necho {name} $# >>{tmp_path / 'log'}\nexit 3\n")
        file.chmod(0o755)
    studio.rules()
    studio.pw("init")
    studio.git("checkout", "-q", "-b", "other", check=False)
    studio.git("commit", "-q", "--allow-empty", "-m", "x")
    studio.git("checkout", "-q", "main", check=False)
    studio.git("merge", "-q", "other")
    assert (tmp_path / "log").read_text().split("\n")[:3] == [
        "post-checkout 3",
        "post-checkout 3",
        "post-merge 1",
    ]
    assert studio.frozen() == LOCKABLE


def test_uninstall_gives_all_files_back(studio: Studio) -> None:
    """In every checkout; what the user had made read-only stays so."""
    (studio.work / "main.py").chmod(0o444)
    studio.pw("task", "add", "Say hello", "--file", "main.py")
    tree = Path(studio.pw("claim")["worktree"])
    assert studio.frozen(tree) == LOCKABLE
    removed = studio.pw("uninstall")["removed"]
    assert "the write protection of 6 lockable files" in removed
    assert (studio.frozen(), studio.frozen(tree)) == ({"main.py"}, set())


def test_untracked_and_foreign_files_stay_as_they_are(studio: Studio) -> None:
    """Untracked files, files with changes, links, and a folder of the index that is a link now."""
    (studio.work / "mine.psd").write_text("untracked\n")
    edit(studio.work, "top.psd")
    outside = studio.work.parent / "outside"
    outside.mkdir()
    (outside / "a b.psd").write_text("elsewhere\n")
    (studio.work / "deep/er/a b.psd").unlink()
    (studio.work / "deep/er").rmdir()
    (studio.work / "deep/er").symlink_to(outside)
    studio.pw("init")
    assert studio.frozen() == {"art/logo.svg", "top.psd"}
    assert (studio.work / "top.psd").read_text() == "pixels\nmore\n"
    assert os.access(outside / "a b.psd", os.W_OK)
    assert (outside / "a b.psd").stat().st_mode & stat.S_IWUSR


def test_dry_run_changes_no_mode(studio: Studio) -> None:
    """As it changes nothing else."""
    studio.pw("lock", "top.psd", "--dry-run")
    assert studio.frozen() == LOCKABLE


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_editor_is_refused(studio: Studio) -> None:
    """That is what it is all for."""
    with pytest.raises(PermissionError):
        (studio.work / "top.psd").write_text("x")
