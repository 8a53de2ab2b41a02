"""Progress as workers say it and others see it: here at once, elsewhere soon enough."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import pw
from tests.support.git import clone, git, make_upstream, run


class Desk:
    """Two clones of one upstream; in one of them alice works on a task in its worktree."""

    def __init__(self, folder: Path) -> None:
        self.bare = make_upstream(folder / "up.git")
        self.work, self.far = clone(self.bare, folder / "work"), folder / "far"
        pw("init", cwd=self.work, check=0)
        for title in ("Check passwords", "Count prices"):
            pw("task", "add", title, "--type", "fix", cwd=self.work, check=0)
        self.tree = Path(self.say("claim", cwd=self.work)["worktree"])
        clone(self.bare, self.far)

    def say(self, *words: str, cwd: Path | None = None, worker: str = "alice") -> dict[str, Any]:
        """Run one command, in alice's worktree unless told otherwise."""
        answer: dict[str, Any] = pw(*words, "--as", worker, cwd=cwd or self.tree, check=0).data
        return answer

    def percent(self, cwd: Path) -> int:
        """How far alice's task is, as seen in a clone."""
        progress: list[dict[str, Any]] = self.say("status", cwd=cwd, worker="bob")["progress"]
        return next(iter(one["percentComplete"] for one in progress), -1)

    @property
    def seen(self) -> tuple[int, int]:
        """Here, and in the other clone."""
        return self.percent(self.work), self.percent(self.far)

    def kept(self) -> list[Path]:
        """The files of what was held back."""
        return sorted((self.work / ".git").glob("**/pw/progress/*"))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Alice at work, her first word said."""
    desk = Desk(tmp_path)
    desk.say("progress", "--percent", "10", "reading")
    return desk


def test_here_at_once_elsewhere_when_the_step_changes(desk: Desk) -> None:
    """A percentage alone is held back; a new step, by number or by name, takes it along."""
    desk.say("progress", "--percent", "20")
    assert desk.seen == (20, 10)
    shown = desk.say("task", "show", "1", cwd=desk.work)
    assert (shown["progress"]["percentComplete"], shown["progress"]["currentStep"]) == (20, "reading")
    desk.say("progress", "writing")
    assert desk.seen == (20, 20)
    desk.say("progress", "--percent", "30")
    desk.say("progress", "--step", "3/4")
    assert desk.seen == (75, 75)
    assert desk.kept() == []


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (("lock", "README.md"), "tree"),
        (("heartbeat",), "work"),
        (("task", "add", "Another"), "work"),
        (("claim", "--no-worktree", "--as", "bob"), "work"),
    ],
)
def test_the_last_word_goes_with_the_next_operation(desk: Desk, words: tuple[str, ...], where: str) -> None:
    """Of whatever kind, from any checkout of the repository and by any of its workers."""
    desk.say("progress", "--percent", "35", "--eta", "10")
    assert desk.seen == (35, 10)
    pw(*words, *(() if "--as" in words else ("--as", "alice")), cwd=getattr(desk, where), check=0)
    assert desk.seen == (35, 35)
    assert desk.kept() == []


def test_it_goes_with_completion(desk: Desk) -> None:
    """Nothing is left behind when the work is handed in."""
    desk.say("progress", "--percent", "90")
    (desk.tree / "new.txt").write_text("x\n")
    git("add", "new.txt", cwd=desk.tree)
    git("commit", "-qm", "work", "--no-verify", cwd=desk.tree)
    desk.say("complete")
    assert desk.kept() == []
    assert desk.percent(desk.far) == 90


def test_a_dry_run_keeps_nothing(desk: Desk) -> None:
    """It only tells what would be."""
    assert desk.say("progress", "--percent", "20", "--dry-run")["progress"]["percentComplete"] == 20
    assert (desk.seen, desk.kept()) == ((10, 10), [])


def test_said_while_the_remote_is_away(desk: Desk) -> None:
    """The command fails as any other, and says that its word isn't lost; the next one takes it along."""
    away = desk.bare.rename(desk.bare.with_suffix(".away"))
    failed = pw("progress", "--step", "2/4", "--as", "alice", cwd=desk.tree, check=69)
    assert "goes with the next operation" in failed.data["hint"]
    away.rename(desk.bare)
    assert desk.seen == (50, 10)
    desk.say("heartbeat")
    assert desk.seen == (50, 50)


def test_the_first_word_starts_the_work(desk: Desk) -> None:
    """Also one that was said while the remote was away."""
    desk.say("claim", "2", "--no-worktree", cwd=desk.work, worker="bob")
    away = desk.bare.rename(desk.bare.with_suffix(".away"))
    pw("progress", "--percent", "5", "--as", "bob", cwd=desk.work, check=69)
    away.rename(desk.bare)
    desk.say("heartbeat", cwd=desk.work, worker="bob")
    assert desk.say("task", "show", "2", cwd=desk.far)["task"]["status"] == "in_progress"


def test_less_than_before_is_told(desk: Desk) -> None:
    """It is believed, and said."""
    desk.say("progress", "--percent", "60")
    back = pw("progress", "--percent", "40", "--as", "alice", cwd=desk.tree, check=0)
    assert "less than before (60%)" in back.err
    assert desk.percent(desk.work) == 40


def test_where_an_estimate_comes_from(desk: Desk) -> None:
    """The worker's word, in JSON with its source and in words; without one, the task's own estimate."""
    said = desk.say("progress", "--eta", "10")
    assert said["eta"] == {"taskId": "task-001", "minutes": 10, "source": "said"}
    assert desk.say("status", cwd=desk.work)["etas"] == [said["eta"]]
    desk.say("task", "edit", "2", "--estimate", "20", cwd=desk.work)
    desk.say("claim", "2", "--no-worktree", cwd=desk.work, worker="bob")
    assert desk.say("task", "show", "2")["eta"]["source"] == "estimate"
    assert "20m (estimate)" in run(["git", "pw", "status"], desk.far).out
    desk.say("fail", "2", "--reason", "no", cwd=desk.work, worker="bob")
    assert len(desk.say("status", cwd=desk.work)["etas"]) == 1


def test_finished_tasks_tell_of_the_next(desk: Desk) -> None:
    """How long the first one took is what the second may take."""
    desk.say("complete")
    desk.say("claim", "2", "--no-worktree", cwd=desk.work)
    assert desk.say("task", "show", "2")["eta"] == {"taskId": "task-002", "minutes": 1, "source": "type"}
