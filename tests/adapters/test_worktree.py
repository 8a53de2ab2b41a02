"""Linked worktrees: made whole whatever has happened before, and taken away without losing anything."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gitpw.adapters.git import GitRepo
from gitpw.adapters.worktree import UNFINISHED, GitWorktrees
from gitpw.domain.checkout import Own
from gitpw.domain.ids import ClaimId, TaskId, WorkerId
from gitpw.errors import FailedError
from tests.support.git import clone, git, make_upstream, run

BRANCH = "fix/7-task-001-x"
PLACE = ".worktrees/task-001"
FILES = {"a.txt": "one\ntwo\nthree\n", "src/b.txt": "b\n" * 2000, "src/c.txt": "c\n"}


def own(number: int = 1, task: int = 1, worker: str = "alice") -> Own:
    """A claim of a task."""
    return Own(ClaimId(f"{number:016x}"), number, TaskId(f"task-{task:03d}"), WorkerId(worker))


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone in a folder with a space in its name; the current folder."""
    path = clone(make_upstream(tmp_path / "up.git", FILES), tmp_path / "my work")
    monkeypatch.chdir(path)
    return path


@pytest.fixture
def trees(work: Path) -> GitWorktrees:
    """Its worktrees."""
    return GitWorktrees(GitRepo.discover(str(work)), ".worktrees/{id}")


def made(trees: GitWorktrees, number: int = 1) -> Path:
    """Make the worktree of task-001; its path."""
    return Path(trees.make(PLACE, BRANCH, "origin/main", own(number)))


def names(folder: Path) -> list[str]:
    """What is in a folder."""
    return sorted(child.name for child in folder.iterdir())


def assert_whole(trees: GitWorktrees, work: Path, claim: Own) -> None:
    """The worktree of task-001 is all there, clean, on its branch, its own and unlocked; and nothing else is."""
    found = trees.find(TaskId("task-001"))
    assert found is not None
    assert (found.path, found.branch, found.own) == (str(work / PLACE), BRANCH, claim)
    assert (found.present, found.locked) == (True, False)
    assert trees.dirty(found) == []
    assert git("diff", "--stat", "HEAD", cwd=work / PLACE) == ""
    assert "locked" not in git("worktree", "list", "--porcelain", cwd=work)
    assert len(names(work / ".git" / "worktrees")) == 1
    assert [name for name in names(work / ".git" / "pw") if name.endswith(".lock")] == []


def registered(work: Path) -> Path:
    """A worktree as it is when its maker is killed right after git registered it; its git dir."""
    options = ["--no-checkout", "--no-track", "--lock", "--reason", UNFINISHED, "-b", BRANCH]
    git("worktree", "add", "-q", *options, PLACE, "origin/main", cwd=work)
    return work / ".git" / "worktrees" / "task-001"


def test_worktree_is_made_on_a_new_branch(trees: GitWorktrees, work: Path) -> None:
    """At the base, with the claim in its own git dir, and no configuration touched (P7)."""
    before = (work / ".git" / "config").read_bytes()
    path = made(trees)
    assert path == work / PLACE
    assert_whole(trees, work, own())
    assert git("rev-parse", "HEAD", cwd=path) == git("rev-parse", "origin/main", cwd=work)
    assert (work / ".git" / "config").read_bytes() == before
    assert GitRepo.discover(str(work)).dirty() == []


def test_making_it_again_changes_nothing(trees: GitWorktrees, work: Path) -> None:
    """Work in progress stays; a later claim of the same task takes the earlier one's place."""
    path = made(trees)
    (path / "a.txt").write_text("work\n")
    assert made(trees, 2) == path
    assert (path / "a.txt").read_text() == "work\n"
    assert [tree.own for tree in trees.all()] == [own(2)]
    git("checkout", "-q", "a.txt", cwd=path)
    assert_whole(trees, work, own(2))


def test_what_was_only_begun_is_nobodys_work(trees: GitWorktrees, work: Path) -> None:
    """A worktree without a file and without a claim isn't taken for what somebody left: it is made anew in its place."""
    registered(work)
    found = trees.find(TaskId("task-001"))
    assert found is not None
    assert (found.own, found.present) == (None, False)
    made(trees)
    assert_whole(trees, work, own())


def test_branch_that_exists_is_used(trees: GitWorktrees, work: Path) -> None:
    """What an earlier holder committed is not lost."""
    git("branch", BRANCH, "HEAD~1", cwd=work)
    path = made(trees)
    assert git("rev-parse", "HEAD", cwd=path) == git("rev-parse", "HEAD~1", cwd=work)


def test_made_from_within_another_worktree(trees: GitWorktrees, work: Path) -> None:
    """The template is relative to the main checkout, not to the worktree one is in."""
    first = made(trees)
    other = GitWorktrees(GitRepo.discover(str(first)), ".worktrees/{id}")
    path = other.make(".worktrees/task-002", "fix/two", "HEAD", own(2, task=2))
    assert path == str(work / ".worktrees" / "task-002")


def test_git_that_trusts_no_bare_repository(trees: GitWorktrees, work: Path) -> None:
    """Unless it is named: `safe.bareRepository`."""
    git("config", "--global", "safe.bareRepository", "explicit", cwd=work)
    made(trees)
    assert_whole(trees, work, own())
    trees.remove(trees.all()[0])
    assert trees.all() == []


def test_all_lists_the_users_worktrees_too(trees: GitWorktrees, work: Path, tmp_path: Path) -> None:
    """Without a claim; with a lock if the user locked it; present or not; the main checkout left out."""
    git("worktree", "add", "-q", "-b", "theirs", tmp_path / "theirs", cwd=work)
    git("worktree", "lock", tmp_path / "theirs", cwd=work)
    made(trees)
    listed = {tree.branch: (tree.own, tree.locked, tree.present) for tree in trees.all()}
    assert listed == {"theirs": (None, True, True), BRANCH: (own(), False, True)}
    (tmp_path / "theirs" / ".git").unlink()
    assert [tree.present for tree in trees.all() if tree.branch == "theirs"] == [False]


# What an interrupted call leaves


def test_killed_after_the_branch(trees: GitWorktrees, work: Path) -> None:
    """A branch without a worktree is used."""
    git("branch", "--no-track", BRANCH, "origin/main", cwd=work)
    made(trees)
    assert_whole(trees, work, own())


def test_killed_while_the_branch_was_made(trees: GitWorktrees, work: Path) -> None:
    """A lock that a killed git left on the branch is taken away, because its maker's lock file is there too."""
    lock = work / ".git" / "refs" / "heads" / f"{BRANCH}.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text("")
    ours = Path(trees._making(str(work / PLACE)))
    ours.parent.mkdir()
    ours.write_text("held\n")
    made(trees)
    assert_whole(trees, work, own())


@pytest.mark.parametrize("content", [{}, {"locked": ""}, {"locked": f"{UNFINISHED}\n"}])
def test_killed_before_git_knew_where(trees: GitWorktrees, work: Path, content: dict[str, str]) -> None:
    """What leads nowhere is taken away."""
    admin = work / ".git" / "worktrees" / "task-001"
    admin.mkdir(parents=True)
    for name, text in content.items():
        (admin / name).write_text(text)
    (work / ".git" / "pw").mkdir()
    (work / ".git" / "pw" / "worktrees.lock").write_text("held\n")
    made(trees)
    assert_whole(trees, work, own())


def test_killed_after_the_folder(trees: GitWorktrees, work: Path) -> None:
    """An empty folder is filled."""
    (work / PLACE).mkdir(parents=True)
    made(trees)
    assert_whole(trees, work, own())


@pytest.mark.parametrize("gone", [[], ["commondir"], ["HEAD", "commondir"]])
def test_killed_while_it_was_registered(trees: GitWorktrees, work: Path, gone: list[str]) -> None:
    """Without a file in it, it is made anew."""
    admin = registered(work)
    for name in gone:
        (admin / name).unlink()
    made(trees)
    assert_whole(trees, work, own())


def test_killed_while_it_was_registered_with_a_file_of_the_users(trees: GitWorktrees, work: Path) -> None:
    """What somebody has put there meanwhile stays."""
    admin = registered(work)
    (admin / "HEAD").write_text(f"{'0' * 40}\n")
    (admin / "HEAD.lock").write_text("")
    (admin / "commondir").unlink()
    (work / PLACE / "mine.txt").write_text("precious")
    made(trees)
    assert (work / PLACE / "mine.txt").read_text() == "precious"
    (work / PLACE / "mine.txt").unlink()
    assert_whole(trees, work, own())


def test_killed_in_the_middle_of_the_checkout(trees: GitWorktrees, work: Path) -> None:
    """Missing and half written files come; the user's stay, changed ones too; the stale index lock goes."""
    admin = registered(work)
    (admin / "index.lock").write_bytes(b"")
    (work / PLACE / "src").mkdir()
    (work / PLACE / "src" / "b.txt").write_text("b\n" * 700)
    (work / PLACE / "src" / "c.txt").write_text("mine\n")
    (work / PLACE / "mine.txt").write_text("precious\n")
    made(trees)
    found = trees.find(TaskId("task-001"))
    assert found is not None
    assert trees.dirty(found) == ["src/c.txt", "mine.txt"]
    assert (work / PLACE / "src" / "c.txt").read_text() == "mine\n"
    assert (work / PLACE / "src" / "b.txt").read_text() == "b\n" * 2000


def test_killed_after_the_checkout(trees: GitWorktrees, work: Path) -> None:
    """Only the mark was still there."""
    registered(work)
    git("checkout", "-q", cwd=work / PLACE)
    made(trees)
    assert_whole(trees, work, own())


def test_folder_that_was_deleted_is_brought_back(trees: GitWorktrees, work: Path) -> None:
    """From the index that git kept, with what was staged."""
    path = made(trees)
    (path / "staged.txt").write_text("staged\n")
    git("add", "staged.txt", cwd=path)
    run(["rm", "-rf", path])
    found = trees.find(TaskId("task-001"))
    assert found is not None
    assert not found.present
    assert trees.dirty(found) == []
    made(trees)
    assert (path / "staged.txt").read_text() == "staged\n"
    git("rm", "-qf", "staged.txt", cwd=path)
    assert_whole(trees, work, own())


def test_claim_file_that_is_missing_is_written(trees: GitWorktrees, work: Path) -> None:
    """A worktree of the right branch in the right place is taken for ours."""
    made(trees)
    (work / ".git" / "worktrees" / "task-001" / "pw" / "claims.json").unlink()
    made(trees, 2)
    assert_whole(trees, work, own(2))


@pytest.mark.fault
def test_killed_at_any_moment(trees: GitWorktrees, work: Path) -> None:
    """Half of the times with the git that it had started: the next call finishes, and nothing is left over."""
    code = (
        "from gitpw.adapters.git import GitRepo\nfrom gitpw.adapters.worktree import GitWorktrees\n"
        "from tests.adapters.test_worktree import made\n"
        "trees = GitWorktrees(GitRepo.discover())\nprint(flush=True)\nmade(trees)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    for number in range(12):
        words = [sys.executable, "-c", code]
        with subprocess.Popen(
            words, cwd=work, env=env, stdout=subprocess.PIPE, start_new_session=True
        ) as maker:
            assert maker.stdout is not None
            maker.stdout.readline()
            time.sleep(random.uniform(0, 0.06))
            if number % 2:
                maker.kill()
            else:
                os.killpg(maker.pid, signal.SIGKILL)
        made(trees, 2)
        assert_whole(trees, work, own(2))
        trees.remove(trees.all()[0])
        git("branch", "-D", BRANCH, cwd=work)


@pytest.mark.race
def test_twelve_at_once(trees: GitWorktrees, work: Path) -> None:
    """Processes that make a worktree each, and two for each task, don't get in each other's way."""
    code = (
        "import sys\nfrom gitpw.adapters.git import GitRepo\nfrom gitpw.adapters.worktree import GitWorktrees\n"
        "from tests.adapters.test_worktree import own\n"
        "n = int(sys.argv[1])\ntrees = GitWorktrees(GitRepo.discover())\nsys.stdin.read()\n"
        "trees.make(f'.worktrees/task-{n:03d}', f'fix/{n}', 'origin/main', own(n, task=n))\n"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    words = [sys.executable, "-c", code]
    makers = [
        subprocess.Popen([*words, str(n % 6)], cwd=work, env=env, stdin=subprocess.PIPE) for n in range(12)
    ]
    for maker in makers:
        assert maker.stdin is not None
        maker.stdin.close()
    assert [maker.wait(60) for maker in makers] == [0] * 12
    assert sorted(tree.own for tree in trees.all() if tree.own) == [own(n, task=n) for n in range(6)]
    assert [trees.dirty(tree) for tree in trees.all()] == [[]] * 6
    assert (work / ".git" / "info" / "exclude").read_text().count("/.worktrees/\n") == 1


# What is in the way


def test_folder_with_files_is_refused(trees: GitWorktrees, work: Path) -> None:
    """Nothing of it is touched, and no branch is made."""
    (work / PLACE).mkdir(parents=True)
    (work / PLACE / "mine.txt").write_text("precious")
    with pytest.raises(FailedError, match="in the way") as caught:
        made(trees)
    assert caught.value.hint
    assert names(work / PLACE) == ["mine.txt"]
    assert git("branch", "--list", BRANCH, cwd=work) == ""
    assert trees.all() == []


def test_worktree_without_its_git_file_is_refused_if_it_holds_files(trees: GitWorktrees) -> None:
    """They may be anybody's."""
    (made(trees) / ".git").unlink()
    with pytest.raises(FailedError, match="in the way"):
        made(trees)


def test_branch_in_use_elsewhere_is_named(trees: GitWorktrees, work: Path, tmp_path: Path) -> None:
    """With the place where it is checked out."""
    git("worktree", "add", "-q", "-b", BRANCH, tmp_path / "theirs", cwd=work)
    with pytest.raises(FailedError, match=f"{BRANCH} is checked out in {tmp_path / 'theirs'}"):
        made(trees)
    with pytest.raises(FailedError, match=f"main is checked out in {work}"):
        trees.make(PLACE, "main", "origin/main", own())


def test_worktree_of_another_task_or_worker_is_refused(trees: GitWorktrees) -> None:
    """Taking it over would give its holder the new claim, and the hooks would no longer stop him (P4)."""
    made(trees)
    for other in (own(2, task=2), own(2, worker="bob")):
        with pytest.raises(FailedError, match="claimed by alice"):
            trees.make(PLACE, BRANCH, "origin/main", other)
    assert [tree.own for tree in trees.all()] == [own()]


def test_users_worktree_on_another_branch_is_refused(trees: GitWorktrees, work: Path) -> None:
    """It is not ours."""
    git("worktree", "add", "-q", "-b", "theirs", PLACE, cwd=work)
    with pytest.raises(FailedError, match="is a worktree on theirs"):
        made(trees)


@pytest.mark.parametrize("branch", ["-q", "--force", "a..b", "main/x", "x.lock"])
def test_impossible_branch_is_refused(trees: GitWorktrees, work: Path, branch: str) -> None:
    """No name becomes an option, and nothing is left behind."""
    before = git("for-each-ref", cwd=work)
    with pytest.raises(FailedError):
        trees.make(PLACE, branch, "origin/main", own())
    assert git("for-each-ref", cwd=work) == before
    assert not (work / PLACE).exists()


def test_place_inside_the_git_dir_is_refused(trees: GitWorktrees) -> None:
    """A template may come from anybody who can push."""
    with pytest.raises(FailedError, match="inside git's own folder"):
        trees.make(".git/hooks/x", BRANCH, "origin/main", own())


# Taking away


def gone(path: Path) -> bool:
    """Whether a folder is gone for good, soon."""
    until = time.monotonic() + 10
    while path.exists() and any(path.iterdir()):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def test_clean_worktree_is_removed(trees: GitWorktrees, work: Path) -> None:
    """The folder and its registration go, the branch stays, other worktrees that are gone are left alone."""
    git("worktree", "add", "-q", "-b", "theirs", "../theirs", cwd=work)
    run(["rm", "-rf", work.parent / "theirs"])
    path = made(trees)
    trees.remove(trees.all()[0] if trees.all()[0].own else trees.all()[1])
    assert not path.parent.exists()
    assert [tree.branch for tree in trees.all()] == ["theirs"]
    assert git("branch", "--list", BRANCH, cwd=work)
    assert gone(work / ".git" / "pw" / "trash")


@pytest.mark.parametrize("change", ["modified", "staged", "untracked"])
def test_worktree_with_changes_is_not_removed(trees: GitWorktrees, change: str) -> None:
    """Nothing that is nowhere else is deleted (P6)."""
    path = made(trees)
    name = "new.txt" if change == "untracked" else "a.txt"
    (path / name).write_text("work\n")
    if change == "staged":
        git("add", "a.txt", cwd=path)
    with pytest.raises(FailedError, match=f"uncommitted changes: {name}") as caught:
        trees.remove(trees.all()[0])
    assert caught.value.data == {"files": [name]}
    assert (path / name).read_text() == "work\n"


def test_change_made_while_it_is_removed_is_kept(
    trees: GitWorktrees, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the move somebody saves a file: it is put back."""
    path = made(trees)
    rename = Path.rename

    def late(here: Path, there: Path) -> Path:
        if here == path:
            (path / "a.txt").write_text("late\n")
        return rename(here, there)

    monkeypatch.setattr(Path, "rename", late)
    with pytest.raises(FailedError, match=r"uncommitted changes: a\.txt"):
        trees.remove(trees.all()[0])
    assert (path / "a.txt").read_text() == "late\n"


def test_commits_on_no_branch_are_not_lost(trees: GitWorktrees) -> None:
    """A detached HEAD is let go only if a ref holds its commits."""
    path = made(trees)
    git("checkout", "-q", "--detach", cwd=path)
    git("commit", "-q", "--allow-empty", "-m", "x", cwd=path)
    with pytest.raises(FailedError, match="commits that are on no branch"):
        trees.remove(trees.all()[0])
    git("branch", "kept", cwd=path)
    trees.remove(trees.all()[0])
    assert trees.all() == []


def test_locked_worktree_is_not_removed(trees: GitWorktrees, work: Path) -> None:
    """The user's lock counts."""
    made(trees)
    git("worktree", "lock", "--reason", "on a stick", PLACE, cwd=work)
    with pytest.raises(FailedError, match="on a stick"):
        trees.remove(trees.all()[0])


def test_worktree_whose_folder_is_gone_is_forgotten(trees: GitWorktrees) -> None:
    """Git's registration goes too."""
    run(["rm", "-rf", made(trees)])
    trees.remove(trees.all()[0])
    assert trees.all() == []


def test_unfinished_worktree_can_be_removed(trees: GitWorktrees, work: Path) -> None:
    """Also where the checkout was interrupted."""
    registered(work)
    trees.remove(trees.all()[0])
    assert trees.all() == []
    git("branch", "-D", BRANCH, cwd=work)
    registered(work)
    (work / PLACE / "a.txt").write_text("one\n")
    trees.remove(trees.all()[0])
    assert trees.all() == []


def with_submodule(work: Path, tmp_path: Path, trees: GitWorktrees) -> Path:
    """The worktree of task-001 with a submodule that has one of its own, both of them there; the outer one."""
    always = ("-c", "protocol.file.allow=always")
    inner = clone(make_upstream(tmp_path / "inner.git"), tmp_path / "inner")
    outer = clone(make_upstream(tmp_path / "outer.git"), tmp_path / "outer")
    git(*always, "submodule", "--quiet", "add", tmp_path / "inner.git", "in ner", cwd=outer)
    git("commit", "-qm", "inner", cwd=outer)
    git("push", "-q", cwd=outer)
    git(*always, "submodule", "--quiet", "add", tmp_path / "outer.git", "lib/outer", cwd=work)
    git("commit", "-qm", "outer", cwd=work)
    git("push", "-q", cwd=work)
    path = made(trees)
    git(*always, "submodule", "--quiet", "update", "--init", "--recursive", cwd=path)
    assert inner.is_dir()
    return path / "lib/outer"


def test_clean_submodules_go_with_the_worktree(trees: GitWorktrees, work: Path, tmp_path: Path) -> None:
    """Where all that they have is on their remotes; git alone refuses."""
    with_submodule(work, tmp_path, trees)
    trees.remove(trees.all()[0])
    assert trees.all() == []
    assert gone(work / ".git" / "pw" / "trash")


@pytest.mark.parametrize("where", [".", "in ner"])
@pytest.mark.parametrize("loss", ["changed", "untracked", "committed", "stashed", "branch", "gone"])
def test_work_in_submodules_is_not_lost(
    trees: GitWorktrees, work: Path, tmp_path: Path, where: str, loss: str
) -> None:
    """Not what is uncommitted, and no commit that is on no remote, wherever it hangs; also of one taken out again."""
    path = with_submodule(work, tmp_path, trees)
    sub = path / where
    (sub / "README.md").write_text("work\n")
    if loss == "untracked":
        git("checkout", "-q", "README.md", cwd=sub)
        (sub / "new").write_text("work\n")
    if loss == "stashed":
        git("stash", "-q", cwd=sub)
    if loss in {"committed", "branch", "gone"}:
        git("checkout", "-q", "-b", "work", cwd=sub)
        git("commit", "-qam", "work", cwd=sub)
    if loss in {"branch", "gone"}:
        git("checkout", "-q", "--detach", "HEAD~1", cwd=sub)
    if loss == "gone":
        git("submodule", "--quiet", "deinit", "--force", "--all", cwd=work / PLACE)
    before = sorted(str(file) for file in (work / PLACE).rglob("*"))
    with pytest.raises(FailedError) as caught:
        trees.remove(trees.all()[0])
    assert caught.value.hint
    assert sorted(str(file) for file in (work / PLACE).rglob("*")) == before
    assert trees.all()[0].present


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="there is no other file system")
def test_worktree_on_another_file_system(trees: GitWorktrees) -> None:
    """Is removed without git's slow way, and what a killed removal left there is found."""
    elsewhere = Path(run(["mktemp", "-d", "-p", "/dev/shm"]).out.strip())
    try:
        path = trees.make(str(elsewhere / "task-001"), BRANCH, "origin/main", own())
        trees.make(str(elsewhere / "task-002"), "two", "origin/main", own(2, task=2))
        trees.remove(trees.find(TaskId("task-001")) or pytest.fail("it is gone"))
        assert not Path(path).exists()
        assert [tree.branch for tree in trees.all()] == ["two"]
        (elsewhere / ".task-009-00000000.gitpw-trash" / "x").mkdir(parents=True)
        trees.repair()
        until = time.monotonic() + 10
        while names(elsewhere) != ["task-002"] and time.monotonic() < until:
            time.sleep(0.02)
        assert names(elsewhere) == ["task-002"]
    finally:
        run(["rm", "-rf", elsewhere])


def test_worktree_that_git_must_delete(trees: GitWorktrees, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that can't be moved."""
    made(trees)
    monkeypatch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(OSError(16, "busy")))
    trees.remove(trees.all()[0])
    assert trees.all() == []


def test_occupants_are_named(trees: GitWorktrees) -> None:
    """Whoever has its current folder in it or below; not we, and not git."""
    path = made(trees)
    tree = trees.all()[0]
    assert trees.occupants(tree) == []
    with subprocess.Popen(["sh", "-c", "echo; read _"], cwd=path / "src", stdin=-1, stdout=-1) as inside:
        assert inside.stdout is not None
        inside.stdout.readline()
        assert trees.occupants(tree) == [f"sh ({inside.pid})"]
        inside.communicate(b"")
    assert trees.occupants(tree) == []


# Parts of a tree


def test_sparse_worktree(trees: GitWorktrees, work: Path) -> None:
    """The folders that were named and what lies above them; clean, and whole again when the user says so."""
    path = Path(trees.make(PLACE, BRANCH, "origin/main", own(), sparse=["none"]))
    assert names(path) == [".git", "README.md", "a.txt"]
    assert trees.dirty(trees.all()[0]) == []
    assert git("status", "--porcelain", cwd=work) == ""
    git("sparse-checkout", "disable", cwd=path)
    assert (path / "src/b.txt").exists()
    trees.remove(trees.all()[0])
    assert trees.all() == []


def test_sparse_main_checkout_hands_its_patterns_on(trees: GitWorktrees, work: Path) -> None:
    """A worktree is as large as the main checkout."""
    git("sparse-checkout", "set", "--cone", "none", cwd=work)
    assert names(made(trees)) == [".git", "README.md", "a.txt"]


def test_worktree_without_files(trees: GitWorktrees, work: Path) -> None:
    """Clean as long as nobody puts something there; the same again; can be removed, and filled by the user."""
    path = Path(trees.make(PLACE, BRANCH, "origin/main", own(), checkout=False))
    assert names(path) == [".git"]
    assert trees.make(PLACE, BRANCH, "origin/main", own()) == str(path)
    assert trees.dirty(trees.all()[0]) == []
    (path / "mine.txt").write_text("mine")
    assert trees.dirty(trees.all()[0]) == ["mine.txt"]
    with pytest.raises(FailedError, match=r"mine\.txt"):
        trees.remove(trees.all()[0])
    (path / "mine.txt").unlink()
    assert trees.advance(str(path), git("rev-parse", "origin/main", cwd=work))
    trees.remove(trees.all()[0])
    assert trees.all() == []


def test_number_of_files(trees: GitWorktrees, work: Path) -> None:
    """Tracked ones; none where there are none."""
    assert trees.files(str(made(trees))) == 4
    assert trees.files(str(work / "src")) == 0


def test_worktree_is_brought_forward(trees: GitWorktrees, work: Path) -> None:
    """If it has nothing of its own."""
    base = git("rev-parse", "origin/main", cwd=work)
    git("branch", BRANCH, f"{base}~1", cwd=work)
    path = made(trees)
    (path / "a.txt").write_text("mine\n")
    assert not trees.advance(str(path), base)
    git("checkout", "-q", "a.txt", cwd=path)
    (path / "new.txt").write_text("mine\n")
    assert not trees.advance(str(path), base)
    (path / "new.txt").unlink()
    assert trees.advance(str(path), base)
    assert git("rev-parse", BRANCH, cwd=work) == base
    git("commit", "-q", "--allow-empty", "-m", "mine", cwd=path)
    assert not trees.advance(str(path), base)


# Places


@pytest.mark.parametrize(
    "template", ["{id}", "../beside {id}", "~/wt/{id}", "a\nb/é {id}", "sub/{id}/tree", ".worktrees/{id}-w"]
)
def test_template(work: Path, template: str) -> None:
    """Relative to the main checkout, anywhere, with any letters; by its place a worktree is still known later."""
    trees = GitWorktrees(GitRepo.discover(str(work)), template)
    path = trees.make(template.replace("{id}", "task-001"), BRANCH, "origin/main", own())
    wanted = Path(template.replace("{id}", "task-001")).expanduser()
    assert path == os.path.normpath(work / wanted)
    (tree,) = trees.all()
    assert (tree.path, tree.task, tree.own, tree.present) == (path, "task-001", own(), True)
    (claims,) = work.glob(".git/worktrees/*/pw/claims.json")
    claims.unlink()
    found = trees.find(TaskId("task-001"))
    assert found is not None
    assert (found.path, found.task, found.own) == (path, "task-001", None)
    assert GitRepo.discover(str(work)).dirty() == []
    trees.remove(found)
    assert not Path(path).exists()


def test_users_worktree_is_nobodys(trees: GitWorktrees, work: Path) -> None:
    """Only a name that is a task's, where worktrees of tasks are, means one."""
    for place in ("theirs", "../task-001", ".worktrees/mine", ".worktrees/task-1x"):
        git("worktree", "add", "-q", "--detach", place, cwd=work)
    git("worktree", "add", "-q", "--detach", ".worktrees/task-002-bob", cwd=work)
    assert [tree.task for tree in trees.all() if tree.task] == ["task-002"]


# Looks


def test_look(trees: GitWorktrees, work: Path) -> None:
    """Commits on both sides, changes, and bytes; nothing where there is no time."""
    git("branch", BRANCH, "origin/main~1", cwd=work)
    path = made(trees)
    for message in ("one", "two"):
        git("commit", "-q", "--allow-empty", "-m", message, cwd=path)
    (path / "new.txt").write_text("x" * 50_000)
    base = git("rev-parse", "origin/main", cwd=work)
    found = trees.look(trees.all()[0], base, 60)
    assert (found.ahead, found.behind, found.changes) == (2, 1, 1)
    assert found.size is not None
    assert found.size > 50_000
    assert trees.look(trees.all()[0], base, 0) == (None, None, None, None)
    run(["rm", "-rf", path])
    assert trees.look(trees.all()[0], None, 60) == (None, None, None, None)
    assert trees.look(trees.all()[0], base, 60) == (2, 1, None, None)


def test_age(trees: GitWorktrees) -> None:
    """Since it was made."""
    before = time.time()
    made(trees)
    when = trees.all()[0].made
    assert when is not None
    assert before - 2 <= when <= time.time() + 1


def test_worktree_one_is_in_can_be_removed(trees: GitWorktrees) -> None:
    """The repository goes on answering afterwards."""
    path = made(trees)
    repo = GitRepo.discover(str(path))
    tree = trees.all()[0]
    GitWorktrees(repo).remove(tree)
    assert repo.delete_branch(BRANCH, tree.head or "")


# Mending


def test_repository_that_was_moved(trees: GitWorktrees, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the worktrees inside it."""
    made(trees)
    moved = work.parent / "elsewhere"
    monkeypatch.chdir(work.parent)
    work.rename(moved)
    again = GitWorktrees(GitRepo.discover(str(moved)))
    assert [tree.present for tree in again.all()] == [False]
    assert again.repair() == [f"repaired {moved / PLACE}"]
    assert_whole(again, moved, own())
    assert again.repair() == []


def test_worktree_that_was_moved(trees: GitWorktrees) -> None:
    """Beside where it was; a copy is not taken for the original."""
    path = made(trees)
    run(["cp", "-r", path, path.parent / "copy"])
    assert trees.repair() == []
    assert trees.all()[0].path == str(path)
    run(["rm", "-rf", path.parent / "copy"])
    path.rename(path.parent / "other")
    assert trees.repair() == [f"repaired {path.parent / 'other'}"]
    assert trees.all()[0].present


def test_worktree_that_was_moved_far_away(trees: GitWorktrees, work: Path, tmp_path: Path) -> None:
    """Is found where it is named, or from within; what is no worktree of ours is left alone."""
    path = made(trees)
    far = tmp_path / "far a\nway"
    path.rename(far)
    theirs = clone(tmp_path / "up.git", tmp_path / "theirs")
    assert trees.repair([str(tmp_path / "none"), str(theirs), str(tmp_path), str(far)]) == [f"repaired {far}"]
    assert trees.all()[0].path == str(far)
    far.rename(tmp_path / "farther")
    assert GitWorktrees(GitRepo.discover(str(tmp_path / "farther"))).repair() == [
        f"repaired {tmp_path / 'farther'}"
    ]
    assert trees.all()[0].present
    assert git("worktree", "list", "--porcelain", cwd=work).count("worktree ") == 2


def test_worktree_that_is_gone_is_pruned(trees: GitWorktrees, work: Path) -> None:
    """Ours; those of the user, and locked ones, are not ours to forget."""
    git("worktree", "add", "-q", "-b", "theirs", "../theirs", cwd=work)
    run(["rm", "-rf", work.parent / "theirs", made(trees)])
    assert trees.repair() == [f"pruned {work / PLACE}"]
    assert [tree.branch for tree in trees.all()] == ["theirs"]


def test_repair_empties_the_trash(trees: GitWorktrees, work: Path) -> None:
    """What a killed removal left there."""
    trash = work / ".git" / "pw" / "trash"
    (trash / "task-001-00000000" / "src").mkdir(parents=True)
    assert trees.repair() == []
    assert gone(trash)
