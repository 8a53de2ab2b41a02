"""Worktrees and early warning, as people at several machines meet them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.race.runner import Herd, Run, gathered
from tests.support.git import clone, git, make_upstream, run

LINES = "".join(f"{number}\n" for number in range(30))
FILES = {".gitignore": ".env\nnode_modules/\n", "src/x.py": LINES, "src/y.py": LINES, "docs/a.md": "a\n"}


@dataclass(frozen=True)
class Desk:
    """One clone and who works there."""

    herd: Herd
    bare: Path
    work: Path
    worker: str

    def pw(self, *words: str, check: int = 0, cwd: Path | None = None, worker: str = "") -> Any:
        """Run a command with --json; its document."""
        (done,) = self.herd.run(Run(words, cwd or self.work, {"GITPW_WORKER": worker or self.worker}))
        assert done.exit == check, f"expected exit {check}\n{done}"
        return done.data

    def beside(self, name: str) -> Desk:
        """Another clone, of somebody else."""
        return Desk(self.herd, self.bare, clone(self.bare, self.work.parent / name), name)

    def land(self, file: str, text: str, message: str = "direct") -> str:
        """Somebody pushes a change to main without asking anybody; the new tip."""
        other = clone(self.bare, self.work.parent / f"push-{len(list(self.work.parent.iterdir()))}")
        (other / file).parent.mkdir(parents=True, exist_ok=True)
        (other / file).write_text(text)
        git("add", "-A", cwd=other)
        git("commit", "-qm", message, cwd=other)
        git("push", "-q", "origin", "HEAD:main", cwd=other)
        return git("rev-parse", "HEAD", cwd=other)

    def merge(self, branch: str) -> None:
        """Merge a branch into main by hand, and let the ledger see that it has landed."""
        other = clone(self.bare, self.work.parent / f"merge-{len(list(self.work.parent.iterdir()))}")
        git("merge", "-q", "--no-edit", "--no-ff", f"origin/{branch}", cwd=other)
        git("push", "-q", "origin", "main", cwd=other)

    def rules(self, text: str) -> None:
        """Commit more of .gitpw.toml, and push it."""
        with (self.work / ".gitpw.toml").open("a") as file:
            file.write(text)
        git("commit", "-qam", "rules", cwd=self.work)
        git("push", "-q", "origin", "main", cwd=self.work)


@pytest.fixture(scope="session")
def herd() -> Iterator[Herd]:
    """Starts git-pw processes without the wait for Python."""
    with gathered() as started:
        yield started


@pytest.fixture
def alice(herd: Herd, tmp_path: Path) -> Desk:
    """A clone with a ledger and three tasks."""
    bare = make_upstream(tmp_path / "up.git", FILES, commits=1)
    desk = Desk(herd, bare, clone(bare, tmp_path / "a lice"), "alice")
    desk.pw("init")
    git("add", ".gitpw.toml", cwd=desk.work)
    git("commit", "-qm", "Name the ledger", cwd=desk.work)
    git("push", "-q", "origin", "main", cwd=desk.work)
    for title, file in (("X", "src/x.py"), ("Y", "src/y.py"), ("Docs", "docs")):
        desk.pw("task", "add", title, "--file", file)
    return desk


def edit(tree: Path, file: str, line: int, text: str, *, hooks: bool = True) -> None:
    """Change one line and commit it."""
    lines = (tree / file).read_text().splitlines()
    lines[line] = text
    (tree / file).write_text("\n".join(lines) + "\n")
    git("commit", "-qam", text, *(() if hooks else ("--no-verify",)), cwd=tree)


def both_change(alice: Desk) -> tuple[Desk, Path]:
    """Bob has changed and pushed what Alice is changing; Bob's desk, and Alice's worktree."""
    bob = alice.beside("bob")
    tree = Path(alice.pw("claim", "task-001")["worktree"])
    theirs = Path(bob.pw("claim", "task-002")["worktree"])
    edit(tree, "src/x.py", 5, "alice")
    edit(theirs, "src/x.py", 5, "bob", hooks=False)
    git("push", "-q", "--no-verify", "origin", "HEAD", cwd=theirs)
    return bob, tree


# Early warning


def test_status_warns_of_conflicts_to_come(alice: Desk) -> None:
    """Between branches of two clones, for both; in words and as data; and no more once it is resolved."""
    bob, tree = both_change(alice)
    told = alice.pw("status")
    (conflict,) = told["conflicts"]
    assert {conflict["taskId"], conflict["with"]["taskId"]} == {"task-001", "task-002"}
    assert {conflict["workerId"], conflict["with"]["workerId"]} == {"alice", "bob"}
    assert conflict["files"] == ["src/x.py"]
    assert "task-001 (alice) and task-002 (bob) would conflict now: src/x.py" in told["warnings"]
    assert bob.pw("status").get("conflicts") is None  # Alice hasn't pushed
    git("push", "-q", "origin", "HEAD", cwd=tree)
    assert len(bob.pw("status")["conflicts"]) == 1
    assert len(alice.pw("status", "--offline")["conflicts"]) == 1
    edit(tree, "src/x.py", 5, "5")
    assert "conflicts" not in alice.pw("status")


def test_status_warns_of_conflicts_with_the_base(alice: Desk) -> None:
    """What somebody pushed to main in the meantime; not to those whom it doesn't meet."""
    tree = Path(alice.pw("claim", "task-001")["worktree"])
    edit(tree, "src/x.py", 5, "alice")
    alice.land("src/x.py", LINES.replace("5\n", "direct\n", 1))
    bob = alice.beside("bob")
    bob.pw("claim", "task-002")
    git("fetch", "-q", cwd=alice.work)
    told = alice.pw("status")
    assert told["warnings"] == ["task-001 (alice) would conflict with main now: src/x.py"]
    assert told["conflicts"][0]["with"] == {"taskId": None, "workerId": None, "branchName": "main"}


def test_status_is_quiet_where_there_is_nothing_to_compare(alice: Desk, tmp_path: Path) -> None:
    """No branch, no commits, no remote to ask, a branch that is gone."""
    alice.pw("claim", "task-001", "--no-worktree")
    tree = Path(alice.pw("claim", "task-003", worker="carol")["worktree"])
    assert alice.pw("status")["warnings"] == []
    edit(tree, "src/x.py", 3, "carol", hooks=False)
    alice.bare.rename(tmp_path / "away.git")
    (warning,) = alice.pw("status")["warnings"]
    assert "conflict" not in warning
    shutil.rmtree(tree)
    (warning,) = alice.pw("status")["warnings"]
    assert "conflict" not in warning


def test_claim_says_who_changes_the_same_files(alice: Desk) -> None:
    """On which branch; nothing is said of files that nobody changed; a claim of nobody's files says nothing."""
    bob = alice.beside("bob")
    theirs = Path(bob.pw("claim", "task-002")["worktree"])
    edit(theirs, "src/x.py", 5, "bob", hooks=False)
    git("push", "-q", "--no-verify", "origin", "HEAD", cwd=theirs)
    told = alice.pw("claim", "task-001")
    assert told["notes"] == ["src/x.py also changed on bob's branch feat/task-002-y (task-002)"]
    assert "notes" not in alice.pw("claim", "task-003", worker="carol")


def test_resuming_says_with_whom_the_branch_would_conflict(alice: Desk) -> None:
    """A claim of a task whose branch has commits already."""
    _, tree = both_change(alice)
    alice.pw("release", "task-001")
    assert tree.exists() is False
    notes = alice.pw("claim", "task-001")["notes"]
    assert "task-001 (alice) and task-002 (bob) would conflict now: src/x.py" in notes


# Stale bases


def left_behind(desk: Desk, *, commits: bool = False) -> str:
    """A branch of task-001 that begins before a change of src/x.py on main; main's tip."""
    git("branch", "feat/task-001-x", "origin/main", cwd=desk.work)
    if commits:
        git("worktree", "add", "-q", "../tmp", "feat/task-001-x", cwd=desk.work)
        git("commit", "-q", "--allow-empty", "-m", "own", "--no-verify", cwd=desk.work.parent / "tmp")
        git("worktree", "remove", "../tmp", cwd=desk.work)
    tip = desk.land("src/x.py", LINES.replace("5\n", "new\n", 1))
    git("fetch", "-q", cwd=desk.work)
    return tip


def test_claim_brings_in_newer_versions(alice: Desk) -> None:
    """Of locked files, where the branch has nothing of its own; the user's own branch stays where it is (P7)."""
    tip = left_behind(alice)
    before = git("rev-parse", "main", cwd=alice.work)
    told = alice.pw("claim", "task-001")
    assert told["notes"] == ["brought the worktree up to main, which has newer versions of src/x.py"]
    assert git("rev-parse", "HEAD", cwd=Path(told["worktree"])) == tip
    assert git("rev-parse", "main", cwd=alice.work) == before
    alice.pw("release", "task-001")
    assert git("branch", "--list", "feat/task-001-x", cwd=alice.work) == ""  # it had nothing of its own


def test_claim_says_what_it_cannot_bring_in(alice: Desk) -> None:
    """A branch with commits stays as it is."""
    left_behind(alice, commits=True)
    told = alice.pw("claim", "task-001")
    (note,) = told["notes"]
    assert note.startswith("main has newer versions of src/x.py than this checkout: git -C '")
    assert note.endswith("rebase origin/main")
    run(["sh", "-c", note.partition(": ")[2]])
    assert "notes" not in alice.pw("claim", "task-001")


def test_policy_may_only_warn(alice: Desk) -> None:
    """`stale = "warn"` moves nothing."""
    alice.rules('\n[claim]\nstale = "warn"\n')
    tip = left_behind(alice)
    told = alice.pw("claim", "task-001")
    assert "main has newer versions of src/x.py" in told["notes"][0]
    assert git("rev-parse", "HEAD", cwd=Path(told["worktree"])) != tip


def test_policy_may_refuse(alice: Desk) -> None:
    """`stale = "refuse"`: nothing is held afterwards; what can be brought in is no reason to refuse."""
    alice.rules('\n[claim]\nstale = "refuse"\n')
    left_behind(alice, commits=True)
    told = alice.pw("claim", "task-001", check=6)
    assert told["files"] == ["src/x.py"]
    assert "rebase origin/main" in told["hint"]
    assert alice.pw("locks")["locks"] == []
    assert alice.pw("task", "show", "task-001")["task"]["status"] == "pending"
    told = alice.pw("lock", "src/x.py", check=6)
    assert told["files"] == ["src/x.py"]
    assert alice.pw("locks")["locks"] == []
    git("pull", "-q", cwd=alice.work)
    alice.pw("lock", "src/x.py")
    alice.pw("lock", "src/y.py")


def test_lock_says_what_is_newer(alice: Desk) -> None:
    """In the main checkout the user's branch stays; in a task's worktree it is brought in; other files don't matter."""
    tree = Path(alice.pw("claim", "task-001")["worktree"])
    alice.land("src/y.py", "new\n")
    git("fetch", "-q", cwd=alice.work)
    assert "notes" not in alice.pw("lock", "docs/b.md")
    before = git("rev-parse", "main", cwd=alice.work)
    (note,) = alice.pw("lock", "src/y.py")["notes"]
    assert note.startswith("main has newer versions of src/y.py than this checkout: git -C")
    assert git("rev-parse", "main", cwd=alice.work) == before
    alice.pw("unlock", "--all")
    told = alice.pw("lock", "src/*.py", cwd=tree)
    assert told["notes"] == ["brought the worktree up to main, which has newer versions of src/y.py"]
    assert (tree / "src/y.py").read_text() == "new\n"


def test_same_content_is_not_newer(alice: Desk) -> None:
    """A change that the branch has too, by another commit, is no reason to speak."""
    tree = Path(alice.pw("claim", "task-001")["worktree"])
    edit(tree, "src/x.py", 5, "same")
    alice.land("src/x.py", (tree / "src/x.py").read_text())
    git("fetch", "-q", cwd=alice.work)
    assert "notes" not in alice.pw("claim", "task-001")


# What a worktree gets


def test_set_up_commands_need_a_persons_word(alice: Desk, tmp_path: Path) -> None:
    """Once, for exactly these words, in this clone; they run in each new worktree, and a failure costs no claim."""
    done = tmp_path / "done"
    alice.rules(f'\n[claim]\nsetup = ["pwd >> {done}"]\n')
    told = alice.pw("claim", "task-001")
    (note,) = told["notes"]
    assert f"pwd >> {done}" in note
    assert "git pw worktree setup task-001 --approve" in note
    alice.pw("claim", "task-001")
    assert alice.pw("worktree", "setup", "task-001", check=6)["commands"] == [f"pwd >> {done}"]
    assert not done.exists()
    assert alice.pw("worktree", "setup", "task-001", "--approve")["ran"] == 1
    second = alice.pw("claim", "task-002", worker="bob")
    assert "notes" not in second
    assert done.read_text() == f"{told['worktree']}\n{second['worktree']}\n"
    alice.rules("# the same again\n")
    text = (alice.work / ".gitpw.toml").read_text()
    (alice.work / ".gitpw.toml").write_text(text.replace("pwd >>", "false; exit 3; pwd >>"))
    git("commit", "-qam", "other commands", cwd=alice.work)
    git("push", "-q", cwd=alice.work)
    third = alice.pw("claim", "task-003", worker="carol")
    assert "nobody approved them: false; exit 3" in third["notes"][0]
    failed = alice.pw("worktree", "setup", "task-003", "--approve", check=1)
    assert failed["message"].endswith("(exit 3)")
    alice.pw("release", "task-003", worker="carol")
    (note,) = alice.pw("claim", "task-003", worker="carol")["notes"]
    assert "(exit 3); the claim stands" in note
    log = json.dumps(alice.pw("log", "--all"))
    assert "pwd >>" not in log


def test_commands_of_the_checkout_never_run(alice: Desk, tmp_path: Path) -> None:
    """Only those of the base branch: not what somebody wrote into a branch or a file here."""
    with (alice.work / ".gitpw.toml").open("a") as file:
        file.write(f'\n[claim]\nsetup = ["touch {tmp_path}/ran"]\n')
    assert alice.pw("worktree", "setup", "--approve")["commands"] == []
    assert "notes" not in alice.pw("claim", "task-001")
    assert not (tmp_path / "ran").exists()


def test_ignored_files_come_along(alice: Desk) -> None:
    """What `.worktreeinclude` names; once, and not again when the claim is named again."""
    (alice.work / ".env").write_text("SECRET\n")
    (alice.work / "node_modules").mkdir()
    (alice.work / "node_modules/x.js").write_text("x")
    (alice.work / ".worktreeinclude").write_text(".env\nnode_modules/\n")
    told = alice.pw("claim", "task-001")
    tree = Path(told["worktree"])
    assert told["notes"] == ["copied .env, node_modules/, as .worktreeinclude says"]
    assert (tree / ".env").read_text() == "SECRET\n"
    (tree / ".env").unlink()
    assert "notes" not in alice.pw("claim", "task-001")
    assert not (tree / ".env").exists()
    assert git("status", "--porcelain", cwd=tree) == ""


def test_parts_of_the_tree(alice: Desk) -> None:
    """Folders that were named, with those of the claim; or none."""
    first = Path(alice.pw("claim", "task-003", "--sparse", "none")["worktree"])
    assert sorted(child.name for child in first.iterdir()) == [".git", ".gitignore", ".gitpw.toml", "docs"]
    second = Path(alice.pw("claim", "task-001", "--no-checkout", worker="bob")["worktree"])
    assert [child.name for child in second.iterdir()] == [".git"]
    alice.pw("release", "task-001", worker="bob")
    assert not second.exists()
    assert alice.pw("claim", "task-002", "--sparse", "s*", worker="dan", check=6)["hint"]
    assert alice.pw("claim", "task-002", "--sparse", "../..", worker="dan", check=6)["hint"]


# The list of worktrees, and taking them away


def test_list_says_what_matters(alice: Desk) -> None:
    """State, commits, changes, conflicts with others, age and size; worktrees of the user aren't ours to list."""
    git("worktree", "add", "-q", "--detach", "../theirs", cwd=alice.work)
    _, tree = both_change(alice)
    alice.pw("status")
    (tree / "new").write_text("x")
    (row,) = alice.pw("worktree", "list")["worktrees"]
    assert {key: row[key] for key in ("task", "worker", "path", "present", "locked", "branch")} == {
        "task": "task-001", "worker": "alice", "path": str(tree), "present": True,
        "locked": False, "branch": "feat/task-001-x",
    }  # fmt: skip
    assert (row["ahead"], row["behind"], row["changes"]) == (1, 0, 1)
    assert row["conflicts"][0]["files"] == ["src/x.py"]
    assert row["createdAt"].endswith("Z")
    assert row["size"] > 0
    git("worktree", "lock", tree, cwd=alice.work)
    shutil.rmtree(tree)
    (row,) = alice.pw("worktree", "list")["worktrees"]
    assert (row["present"], row["locked"], row["changes"], row["size"]) == (False, True, None, None)
    assert alice.pw("worktree", "path", "task-001", check=6)["hint"]


def test_path_of_a_task_and_of_the_main_checkout(alice: Desk) -> None:
    """From anywhere."""
    tree = alice.pw("claim", "task-001")["worktree"]
    assert alice.pw("worktree", "path", "1", cwd=alice.work / "src")["path"] == tree
    assert alice.pw("worktree", "path", cwd=Path(tree) / "src")["path"] == str(alice.work)
    assert alice.pw("worktree", "path", "task-002", check=6)["hint"]


def landed(alice: Desk) -> Path:
    """The worktree of a task that has landed."""
    tree = Path(alice.pw("claim", "task-001")["worktree"])
    edit(tree, "src/x.py", 5, "alice")
    alice.pw("complete", cwd=tree)
    alice.merge("feat/task-001-x")
    return tree


@pytest.mark.parametrize("kept", ["changed", "untracked", "committed", "locked", "inside"])
def test_prune_keeps_and_names_what_is_not_safe(alice: Desk, kept: str) -> None:
    """All conditions of a removal, one by one; when it is met, the worktree and its branch go."""
    tree = landed(alice)
    if kept == "changed":
        (tree / "src/x.py").write_text("more\n")
    if kept == "untracked":
        (tree / "new").write_text("more\n")
    if kept == "committed":
        git("commit", "-q", "--allow-empty", "-m", "more", "--no-verify", cwd=tree)
    if kept == "locked":
        git("worktree", "lock", tree, cwd=alice.work)
    with subprocess.Popen(
        ["sh", "-c", "read _"], cwd=tree if kept == "inside" else alice.work, stdin=-1
    ) as one:
        alice.pw("gc")
        assert tree.exists()
        (named,) = alice.pw("worktree", "prune", "--dry-run")["kept"]
        assert named == alice.pw("worktree", "prune")["kept"][0]
        one.communicate(b"")
    assert (named["path"], named["task"]) == (str(tree), "task-001")
    assert named["reason"]
    if kept == "committed":
        git("reset", "-q", "--hard", "HEAD~1", cwd=tree)
    if kept == "locked":
        git("worktree", "unlock", tree, cwd=alice.work)
    if kept in {"changed", "untracked"}:
        git("checkout", "-q", ".", cwd=tree)
        git("clean", "-qf", cwd=tree)
    assert alice.pw("worktree", "prune") == {"ok": True, "removed": [str(tree)]}
    assert not tree.exists()
    assert git("branch", "--list", "feat/*", cwd=alice.work) == ""


def test_folder_that_is_gone_is_pruned_with_its_branch(alice: Desk) -> None:
    """If it has landed."""
    tree = landed(alice)
    shutil.rmtree(tree)
    alice.pw("gc")
    assert git("branch", "--list", "feat/*", cwd=alice.work) == ""
    assert str(tree) not in git("worktree", "list", cwd=alice.work)


def test_remove_refuses_where_somebody_is(alice: Desk) -> None:
    """Being worked on, one's own current folder, a program's; and says what to do."""
    tree = Path(alice.pw("claim", "task-001")["worktree"])
    assert "release" in alice.pw("worktree", "remove", "task-001", check=6)["hint"]
    alice.pw("release", "task-001", "--keep-worktree")
    told = alice.pw("worktree", "remove", "task-001", check=6, cwd=tree / "src")
    assert told["hint"] == f"cd '{alice.work}', and try again"
    with subprocess.Popen(["sh", "-c", "read _"], cwd=tree / "src", stdin=-1) as inside:
        told = alice.pw("worktree", "remove", "task-001", check=6)
        inside.communicate(b"")
    assert f"sh ({inside.pid}) works in it" in told["message"]
    alice.pw("worktree", "remove", "task-001")
    assert not tree.exists()


def test_release_from_within_keeps_the_worktree_findable(alice: Desk) -> None:
    """One can't take away what one stands on; later it is still listed and can be removed."""
    tree = Path(alice.pw("claim", "task-001")["worktree"])
    alice.pw("release", cwd=tree)
    assert tree.exists()
    (row,) = alice.pw("worktree", "list")["worktrees"]
    assert (row["task"], row["worker"], row["state"]) == ("task-001", None, "pending")
    alice.pw("worktree", "remove", "task-001")
    assert not tree.exists()


def test_branch_that_is_checked_out_elsewhere(alice: Desk) -> None:
    """Is named with its place and what to do; working there needs no worktree of ours."""
    git("worktree", "add", "-q", "-b", "feat/task-001-x", "../theirs", cwd=alice.work)
    told = alice.pw("claim", "task-001", check=1)
    theirs = alice.work.parent / "theirs"
    assert f"checked out in {theirs}" in told["message"]
    assert "--no-worktree" in told["hint"]
    alice.pw("release", "task-001")
    assert alice.pw("claim", "task-001", "--no-worktree", cwd=theirs)["worktree"] is None


def test_repository_and_worktree_that_were_moved(alice: Desk, tmp_path: Path) -> None:
    """Are mended by name, and then go on as before."""
    alice.pw("claim", "task-001")
    moved = Desk(alice.herd, alice.bare, tmp_path / "moved", "alice")
    alice.work.rename(moved.work)
    assert moved.pw("worktree", "repair")["repaired"]
    tree = moved.work / ".worktrees/task-001"
    assert moved.pw("worktree", "path", "task-001")["path"] == str(tree)
    far = tmp_path / "far"
    tree.rename(far)
    assert moved.pw("worktree", "repair", os.path.relpath(far, moved.work))["repaired"] == [f"repaired {far}"]
    edit(far, "src/x.py", 3, "moved")
    assert moved.pw("complete", cwd=far)["task"]["status"] == "completed"


@pytest.mark.race
def test_twenty_claims_at_once_make_twenty_worktrees(alice: Desk) -> None:
    """On one machine, in one clone, each with its own files."""
    lines = [f"src/new-{number}.py" for number in range(17)]
    for number, file in enumerate(lines):
        alice.pw("task", "add", f"Task {number}", "--file", file)
    calls = [Run(["claim"], alice.work, {"GITPW_WORKER": f"w{number}"}) for number in range(20)]
    answers = alice.herd.run(*calls)
    assert [answer.exit for answer in answers] == [0] * 20, "\n".join(map(str, answers))
    trees = {answer.data["worktree"] for answer in answers}
    assert len(trees) == 20
    for tree in trees:
        assert git("status", "--porcelain", cwd=Path(tree)) == ""
        assert (Path(tree) / "src/x.py").read_text() == LINES
    rows = alice.pw("worktree", "list")["worktrees"]
    assert {row["path"] for row in rows} == trees
