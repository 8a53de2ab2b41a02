"""Builds in memory, held against what `git rebase` and `git merge` make of the same histories."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gitpw.adapters.git import GitRepo
from gitpw.adapters.integrate import REPLAYS, GitIntegrator
from gitpw.domain.ids import TaskId
from gitpw.domain.integration import Built, Clash, Work
from tests.support.git import git, run

TASK = TaskId("task-001")
LINES = "".join(f"{number}\n" for number in range(1, 13))
FILES = {"a.txt": LINES, "b.txt": LINES, "dir/c d.txt": LINES}
NEWER = os.environ.get("GITPW_NEWER_GIT")
"""The folder of a git that can replay, where the one on PATH can't."""


ELSEWHERE = {
    "merge": (("merge", "-q", "--no-edit"), ("merge", "--abort")),
    "pick": (("cherry-pick",), ("cherry-pick", "--abort")),
}
"""Steps that bring in what the other branch has, and how they are given up."""


class History:
    """A repository with a main branch and a task's branch, made by small steps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made = 0
        git("init", "-q", "-b", "main", folder, cwd=folder.parent)
        git("config", "gc.auto", "0", cwd=folder)
        for name, content in FILES.items():
            self.write(name, content)
        self.commit("begin")
        git("branch", "task", cwd=folder)
        self.base = self.tip("main")

    def tip(self, name: str) -> str:
        """The commit that a name stands for."""
        return git("rev-parse", f"{name}^{{commit}}", cwd=self.folder)

    def write(self, name: str, content: str) -> None:
        """Write a file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def commit(self, message: str, *options: str) -> str:
        """Commit everything there is."""
        self.made += 1
        git("add", "-A", cwd=self.folder)
        author = f"Author {self.made} <a{self.made}@example.com>"
        date = f"2026-01-01T00:{self.made // 60:02}:{self.made % 60:02}+02:00"
        words = ("commit", "-q", "--allow-empty", f"--author={author}", f"--date={date}", "-m", message)
        git(*words, *options, cwd=self.folder)
        return self.tip("HEAD")

    def on(self, branch: str) -> None:
        """Check a branch out."""
        git("checkout", "-q", branch, cwd=self.folder)

    def step(self, branch: str, kind: str, name: str, line: int) -> None:
        """Do something on a branch and commit it."""
        self.on(branch)
        other = "main" if branch == "task" else "task"
        if kind in ELSEWHERE:
            do, undo = ELSEWHERE[kind]
            if run(["git", *do, other], self.folder, check=False).exit:
                run(["git", *undo], self.folder, check=False)
                run(["git", "reset", "-q", "--hard"], self.folder, check=False)
            return
        text = f"{branch} {kind} {line}"
        path = self.folder / name
        if path.exists():
            self.change(path, kind, text, line)
        if kind == "add":
            self.write(f"new/{branch}{line}.txt", f"{text}\n")
        self.commit(f"{text}\n\nBody of {kind}.")

    def change(self, path: Path, kind: str, text: str, line: int) -> None:
        """Do something to a file."""
        if kind == "edit":
            lines = path.read_text().splitlines()
            lines[line % len(lines)] = text
            path.write_text("\n".join(lines) + "\n")
        elif kind == "same":
            path.write_text(path.read_text().replace("6\n", "six\n"))
        elif kind == "delete":
            path.unlink()
        elif kind == "rename":
            path.rename(path.with_name(f"{text} {path.name}"))
        elif kind == "mode":
            path.chmod(0o755)

    def rebased(self, tip: str, head: str) -> list[str] | None:
        """What `git rebase` makes of it: author, date, subject and tree of each commit; None where it conflicts."""
        git("checkout", "-q", "--detach", head, cwd=self.folder)
        done = run(["git", "-c", "rebase.autosquash=false", "rebase", "-q", tip], self.folder, check=False)
        if done.exit:
            run(["git", "rebase", "--abort"], self.folder, check=False)
            return None
        return self.told(tip, "HEAD")

    def told(self, tip: str, head: str) -> list[str]:
        """Author, date, subject and tree of each commit."""
        form = "--format=%an %ae %ad %s %T"
        return git("log", "--reverse", form, f"{tip}..{head}", cwd=self.folder).splitlines()


@pytest.fixture
def history(tmp_path: Path) -> History:
    """A main branch with one commit, and a task's branch at it."""
    return History(tmp_path / "work")


def integrator(folder: Path, program: str | None = None, monkeypatch: Any = None) -> GitIntegrator:
    """Builds in that repository, perhaps with another git."""
    if program is not None:
        monkeypatch.setenv("PATH", f"{program}{os.pathsep}{os.environ['PATH']}")
    return GitIntegrator(GitRepo.discover(str(folder)))


def work(history: History, **about: Any) -> Work:
    """The task's branch as work."""
    told = {"task": TASK, "title": "A task", "head": history.tip("task"), "base": None, "branch": "task"}
    return Work(**(told | about))


def untouched(folder: Path) -> dict[str, object]:
    """What a build may not change: refs, index, HEAD, files."""
    return {
        "refs": git("for-each-ref", cwd=folder),
        "HEAD": (folder / ".git/HEAD").read_bytes(),
        "index": (folder / ".git/index").read_bytes(),
        "status": git("status", "--porcelain", cwd=folder),
    }


STEPS = st.tuples(
    st.sampled_from(["task", "task", "main"]),
    st.sampled_from(
        ["edit", "edit", "edit", "add", "same", "delete", "rename", "mode", "empty", "pick", "merge"]
    ),
    st.sampled_from(list(FILES)),
    st.integers(0, 11),
)


PROGRAMS = (
    pytest.param(None, id="git"),
    pytest.param(NEWER, id="newer", marks=pytest.mark.skipif(not NEWER, reason="no GITPW_NEWER_GIT")),
)
"""The git on PATH, and one that can replay."""


@pytest.mark.parametrize("program", PROGRAMS)
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEPS, min_size=1, max_size=8))
def test_a_build_is_what_a_rebase_makes(program: str | None, steps: list[tuple[str, str, str, int]]) -> None:
    """The same commits with the same authors, dates, subjects and trees, or a conflict where that has one."""
    folder = Path(tempfile.mkdtemp())
    with pytest.MonkeyPatch.context() as monkeypatch:
        try:
            history = History(folder / "work")
            for step in steps:
                history.step(*step)
            tip, head = history.tip("main"), history.tip("task")
            before = untouched(history.folder)
            built = integrator(history.folder, program, monkeypatch).build(tip, work(history), "rebase")
            assert untouched(history.folder) == before
            expected = history.rebased(tip, head)
            if expected is None:
                assert isinstance(built, Clash) or built.note
            else:
                assert isinstance(built, Built)
                assert history.told(tip, built.commit) == expected
                assert built.tree == git("rev-parse", f"{built.commit}^{{tree}}", cwd=history.folder)
        finally:
            shutil.rmtree(folder)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_long_row_of_commits(
    history: History, program: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where git can replay, it does; nothing is left of the ref that it needs."""
    for line in range(6):
        history.step("task", "edit", "a.txt", line)
    history.step("main", "edit", "b.txt", 3)
    built = integrator(history.folder, program, monkeypatch).build(
        history.tip("main"), work(history), "rebase"
    )
    assert isinstance(built, Built)
    assert history.told("main", built.commit) == history.rebased(history.tip("main"), history.tip("task"))
    assert "refs/worktree" not in git("for-each-ref", cwd=history.folder)
    if program:
        git_version = run(["git", "version"], history.folder).out.split()[2]
        assert tuple(map(int, git_version.split(".")[:2])) >= REPLAYS


def test_a_conflict_names_its_files(history: History) -> None:
    """Odd names come as they are."""
    for branch in ("task", "main"):
        history.step(branch, "edit", "a.txt", 4)
        history.step(branch, "edit", "dir/c d.txt", 4)
    built = integrator(history.folder).build(history.tip("main"), work(history), "squash")
    assert isinstance(built, Clash)
    assert sorted(built.files) == ["a.txt", "dir/c d.txt"]
    assert isinstance(integrator(history.folder).build(history.tip("main"), work(history), "rebase"), Clash)


def test_a_conflict_solved_by_merging_the_base_lands_as_one_commit(history: History) -> None:
    """A rebase would ask for the solution again; the owner has given it."""
    history.step("task", "edit", "a.txt", 4)
    history.step("main", "edit", "a.txt", 4)
    history.on("task")
    run(["git", "merge", "-q", "main"], history.folder, check=False)
    history.write("a.txt", LINES.replace("5\n", "solved\n"))
    history.commit("merge main")
    built = integrator(history.folder).build(history.tip("main"), work(history), "rebase")
    assert isinstance(built, Built)
    assert built.note
    assert built.tree == git("rev-parse", "task^{tree}", cwd=history.folder)
    assert git("rev-list", "--count", f"main..{built.commit}", cwd=history.folder) == "1"


def test_what_came_before_its_base_is_not_part_of_the_work(history: History) -> None:
    """A branch that began at another's, which landed squashed, has no phantom conflicts."""
    history.step("task", "edit", "a.txt", 4)
    base = history.tip("task")
    history.step("task", "edit", "b.txt", 4)
    history.on("main")
    history.write("a.txt", (history.folder / "a.txt").read_text().replace("5\n", "otherwise\n"))
    history.commit("squashed otherwise")
    tip = history.tip("main")
    for strategy in ("rebase", "squash"):
        assert isinstance(integrator(history.folder).build(tip, work(history), strategy), Clash)  # type: ignore[arg-type]
        built = integrator(history.folder).build(tip, work(history, base=base), strategy)  # type: ignore[arg-type]
        assert isinstance(built, Built)
        assert built.files == ["b.txt"]


@pytest.mark.parametrize("strategy", ["rebase", "squash", "merge"])
def test_what_is_there_already_adds_nothing(history: History, strategy: Any) -> None:
    """Merged, picked, or nothing at all."""
    tip = history.tip("main")
    assert integrator(history.folder).build(tip, work(history), strategy) == Built(
        tip, git("rev-parse", "main^{tree}", cwd=history.folder), []
    )
    history.step("task", "edit", "a.txt", 4)
    history.on("main")
    git("merge", "-q", "--no-ff", "--no-edit", "task", cwd=history.folder)
    built = integrator(history.folder).build(history.tip("main"), work(history), strategy)
    assert isinstance(built, Built)
    assert built.commit == history.tip("main")


def test_what_was_picked_already_adds_nothing(history: History) -> None:
    """However it came there."""
    history.step("task", "edit", "a.txt", 4)
    history.step("main", "edit", "b.txt", 4)
    history.step("main", "pick", "a.txt", 0)
    for strategy in ("rebase", "squash"):
        built = integrator(history.folder).build(history.tip("main"), work(history), strategy)  # type: ignore[arg-type]
        assert isinstance(built, Built)
        assert built.commit == history.tip("main")


def message(history: History, commit: str) -> str:
    """A commit's message, to the byte."""
    return run(["git", "cat-file", "commit", commit], history.folder).out.partition("\n\n")[2]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Subject", "Subject\n\nPw-Task: task-001\n"),
        ("Subject\n\nBody", "Subject\n\nBody\n\nPw-Task: task-001\n"),
        ("Subject\n\nRefs: 1\nPw-Task: task-001", "Subject\n\nRefs: 1\nPw-Task: task-001\n"),
        ("Subject\n\nAbove\n---\nBelow", "Subject\n\nAbove\n---\nBelow\n\nPw-Task: task-001\n"),
        ("Ünïcödé ✓", "Ünïcödé ✓\n\nPw-Task: task-001\n"),
    ],
)
def test_the_trailer_names_the_task_once(history: History, before: str, after: str) -> None:
    """Whatever the message looks like."""
    history.on("task")
    history.write("a.txt", "changed\n")
    history.commit(before)
    built = integrator(history.folder).build(history.tip("main"), work(history), "rebase")
    assert isinstance(built, Built)
    assert message(history, built.commit) == after


def test_a_commit_that_needs_no_change_stays_the_same(history: History) -> None:
    """It is on the tip and has its trailer: as in a rebase, it is fast-forwarded."""
    history.on("task")
    history.write("a.txt", "changed\n")
    commit = history.commit("Subject\n\nPw-Task: task-001")
    built = integrator(history.folder).build(history.tip("main"), work(history), "rebase")
    assert isinstance(built, Built)
    assert built.commit == commit


def test_other_encodings_and_odd_authors_come_through(history: History) -> None:
    """Byte for byte: what git can store, a build keeps."""
    history.on("task")
    history.write("a.txt", "changed\n")
    git("add", "-A", cwd=history.folder)
    tree = git("write-tree", cwd=history.folder)
    raw = (
        f"tree {tree}\nparent {history.base}\nauthor  <> 1 +0000\ncommitter x <y> 1 +0000\n"
        "encoding latin1\n\nCaf"
    ).encode() + b"\xe9\n"
    (history.folder.parent / "raw").write_bytes(raw)
    made = git(
        "hash-object", "-t", "commit", "-w", "--literally", history.folder.parent / "raw", cwd=history.folder
    )
    git("reset", "-q", "--hard", made, cwd=history.folder)
    history.step("main", "edit", "b.txt", 4)
    built = integrator(history.folder).build(history.tip("main"), work(history), "rebase")
    assert isinstance(built, Built)
    from gitpw.adapters.process import run as started

    stored = started(["git", "cat-file", "commit", built.commit], cwd=str(history.folder)).out
    assert b"\nauthor  <> 1 +0000\n" in stored
    assert b"\nencoding latin1\n" in stored
    assert b"\n\nCaf\xe9\n\nPw-Task" in stored


def test_squash_is_one_commit_by_the_last_author_with_the_others_named(history: History) -> None:
    """All messages are in it."""
    history.step("task", "edit", "a.txt", 4)
    history.step("task", "edit", "b.txt", 4)
    history.step("main", "edit", "dir/c d.txt", 4)
    built = integrator(history.folder).build(history.tip("main"), work(history), "squash")
    assert isinstance(built, Built)
    assert git("log", "-1", "--format=%an %P", built.commit, cwd=history.folder) == (
        f"Author 3 {history.tip('main')}"
    )
    said = message(history, built.commit)
    assert said.startswith("A task\n\n* task edit 4")
    assert said.endswith("Co-authored-by: Author 2 <a2@example.com>\nPw-Task: task-001\n")


def test_merge_keeps_the_commits_and_names_the_task(history: History) -> None:
    """Two parents, the base branch first."""
    history.step("task", "edit", "a.txt", 4)
    history.step("main", "edit", "b.txt", 4)
    tip, head = history.tip("main"), history.tip("task")
    built = integrator(history.folder).build(tip, work(history), "merge")
    assert isinstance(built, Built)
    assert git("log", "-1", "--format=%P", built.commit, cwd=history.folder) == f"{tip} {head}"
    assert message(history, built.commit) == "Merge task: A task\n\nPw-Task: task-001\n"
    git("checkout", "-q", "--detach", tip, cwd=history.folder)
    git("merge", "-q", "--no-edit", head, cwd=history.folder)
    assert built.tree == git("rev-parse", "HEAD^{tree}", cwd=history.folder)


def test_the_other_side_of_a_conflict_is_named(history: History) -> None:
    """By its trailer the task that landed it; a commit of nobody's task by its author."""
    history.step("task", "edit", "a.txt", 4)
    history.on("main")
    history.write("a.txt", "theirs\n")
    history.commit("Landed\n\nPw-Task: task-007")
    history.write("a.txt", "directly\n")
    history.commit("Direct")
    found = integrator(history.folder).others(history.tip("main"), history.tip("task"), ["a.txt"])
    assert [(other.subject, other.task) for other in found] == [("Direct", None), ("Landed", "task-007")]


def test_the_three_sides_of_a_conflict(history: History) -> None:
    """As it was, as the base branch has it, as the task has it; a side that hasn't the file has none."""
    history.step("task", "edit", "a.txt", 4)
    history.step("task", "edit", "b.txt", 4)
    history.step("main", "edit", "a.txt", 4)
    history.step("main", "delete", "b.txt", 0)
    found = {
        one.file: one for one in integrator(history.folder).conflicts(history.tip("main"), work(history))
    }
    assert found["a.txt"].base == LINES
    assert "main edit 4" in (found["a.txt"].theirs or "")
    assert "task edit 4" in (found["a.txt"].ours or "")
    assert "|||||||" in found["a.txt"].marked
    assert found["b.txt"].theirs is None
    assert integrator(history.folder).conflicts(history.base, work(history)) == []


# the local base branch


def test_advance_moves_a_branch_that_nobody_has_checked_out(history: History) -> None:
    """From the value it was expected at, and from no other."""
    history.step("task", "edit", "a.txt", 4)
    head = history.tip("task")
    built = integrator(history.folder)
    assert built.advance("main", head, head) is not None
    assert built.advance("main", history.base, head) is None
    assert history.tip("main") == head


def test_advance_takes_a_clean_checkout_along(history: History) -> None:
    """What isn't committed elsewhere in it stays as it was."""
    history.step("task", "edit", "a.txt", 4)
    head = history.tip("task")
    history.on("main")
    history.write("b.txt", "mine\n")
    history.write("staged.txt", "mine\n")
    git("add", "staged.txt", cwd=history.folder)
    history.write("untracked.txt", "mine\n")
    assert integrator(history.folder).advance("main", history.base, head) is None
    assert run(["git", "status", "--porcelain"], history.folder).out.splitlines() == [
        " M b.txt",
        "A  staged.txt",
        "?? untracked.txt",
    ]
    assert "task edit" in (history.folder / "a.txt").read_text()


@pytest.mark.parametrize("how", ["changed", "staged", "untracked", "ignored"])
def test_advance_touches_nothing_where_work_is_in_the_way(history: History, how: str) -> None:
    """It says what, and nothing moves."""
    history.on("task")
    history.write("new.txt", "theirs\n")
    history.write("a.txt", "theirs\n")
    history.commit("theirs")
    history.on("main")
    name = "a.txt" if how in {"changed", "staged"} else "new.txt"
    if how == "ignored":
        (history.folder / ".git/info/exclude").write_text("new.txt\n")
    history.write(name, "mine\n")
    if how == "staged":
        git("add", name, cwd=history.folder)
    why = integrator(history.folder).advance("main", history.base, history.tip("task"))
    assert why is not None
    assert str(history.folder) in why
    assert (history.folder / name).read_text() == "mine\n"
    assert history.tip("main") == history.base


def test_advance_finishes_what_was_interrupted_half_way(history: History) -> None:
    """Files that are just what they would become are in nobody's way; one that differs is."""
    history.on("task")
    history.write("new.txt", "theirs\n")
    history.write("a.txt", "theirs\n")
    history.change(history.folder / "b.txt", "delete", "", 0)
    head = history.commit("theirs")
    history.on("main")
    history.write("new.txt", "theirs\n")
    history.write("a.txt", "mine\n")
    (history.folder / "b.txt").unlink()
    built = integrator(history.folder)
    assert built.advance("main", history.base, head) is not None
    assert history.tip("main") == history.base
    history.write("a.txt", "theirs\n")
    assert built.advance("main", history.base, head) is None
    assert (history.tip("main"), git("status", "--porcelain", cwd=history.folder)) == (head, "")


def test_advance_leaves_a_branch_alone_that_is_being_rebased(history: History) -> None:
    """The rebase would fail at its end."""
    history.step("task", "edit", "a.txt", 4)
    history.step("main", "edit", "a.txt", 4)
    main = history.tip("main")
    run(["git", "rebase", "-q", "task"], history.folder, check=False)
    built = integrator(history.folder).build(main, work(history, head=history.base), "rebase")
    assert isinstance(built, Built)
    why = integrator(history.folder).advance("main", main, history.tip("task"))
    assert why is not None
    assert "rebased" in why
    assert history.tip("main") == main
