"""The merge queue with real repositories: what lands, what goes back, and what is never touched."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gitpw.app import open_context
from gitpw.domain.ids import TaskId
from gitpw.domain.operation import Complete
from tests.faults.shop import furnish, keepsakes
from tests.race.runner import Herd, Run, gathered
from tests.support.git import clone, git, make_upstream, run
from tests.support.team import NUMBERED, Team, line, processes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Remote

FILES = {f"{name}.txt": NUMBERED for name in "abcdefg"}


@pytest.fixture(scope="session")
def herd() -> Iterator[Herd]:
    """Starts git-pw processes without the wait for Python."""
    with gathered() as started:
        yield started


def gather(herd: Herd, bare: Path, url: str, folder: Path) -> Team:
    """A team with a ledger, a worker with much room, and a lab."""
    (folder / "lab").mkdir()
    team = Team(bare, clone(url, folder / "work"), herd, folder / "lab", url)
    for name, content in FILES.items():
        (team.work / name).write_text(content)
    team.pw("init", "--no-hooks")
    git("add", "-A", cwd=team.work)
    git("commit", "-qm", "files", cwd=team.work)
    git("push", "-q", "origin", "main", cwd=team.work)
    for worker in ("alice", "bob"):
        team.pw("worker", "register", worker, "--max-tasks", "50")
    return team


@pytest.fixture
def team(herd: Herd, tmp_path: Path) -> Team:
    """On an upstream on a path."""
    bare = make_upstream(tmp_path / "up.git")
    return gather(herd, bare, str(bare), tmp_path)


@pytest.fixture
def alone(herd: Herd, tmp_path: Path) -> Team:
    """A repository without a remote."""
    work = tmp_path / "work"
    git("init", "-q", work, cwd=tmp_path)
    for name, content in FILES.items():
        (work / name).write_text(content)
    (tmp_path / "lab").mkdir()
    team = Team(None, work, herd, tmp_path / "lab")
    git("add", "-A", cwd=work)
    git("commit", "-qm", "files", cwd=work)
    team.pw("init", "--no-hooks")
    team.policy("")
    for worker in ("alice", "bob"):
        team.pw("worker", "register", worker, "--max-tasks", "50")
    return team


def trailers(team: Team) -> str:
    """Those of the last commit on the base branch."""
    return git("log", "-1", "--format=%(trailers:only,unfold)", "main", cwd=team.home).strip()


def test_finished_work_lands_over_every_transport(herd: Herd, remote: Remote, tmp_path: Path) -> None:
    """In order, tested together, in one push that also deletes the branches; authors stay, trailers name the task."""
    team = gather(herd, remote.bare, remote.url, tmp_path)
    team.tested("! test -e bad.txt")
    before = team.main
    one = team.finish("one", {"a.txt": line(3, "one")})
    two = team.finish("two", {"b.txt": line(3, "two"), "bad.txt": "bad\n"}, worker="bob")
    three = team.finish("three", {"c.txt": line(3, "three")})
    done = team.pw("merge", check=1).data
    assert [landed["taskId"] for landed in done["landed"]] == [one, three]
    (returned,) = done["returned"]
    assert (returned["taskId"], returned["state"], returned["data"]["reason"]) == (two, "failed", "tests")
    assert team.subjects(before) == ["one", "three"]
    assert team.content("a.txt") == line(3, "one")
    assert trailers(team) == f"Pw-Task: {three}"
    assert [name for name in team.branches() if two not in name] == []
    task = team.pw("task", "show", one).data["task"]
    assert task["mergedAt"]
    assert team.pw("locks").data["locks"][0]["taskId"] == two
    assert team.pw("task", "show", two).data["task"]["status"] == "in_progress"
    tested = {run["tree"] for run in done["tests"] if run["green"]}
    assert git("rev-parse", "main^{tree}", cwd=team.home) in tested
    assert team.pw("merge").data["landed"] == []


def test_without_a_remote_branch_and_ledger_move_on_this_machine(alone: Team) -> None:
    """The clean checkout of the base branch goes along, with what isn't committed in it."""
    before = alone.main
    one = alone.finish("one", {"a.txt": line(3, "one")})
    (alone.work / "g.txt").write_text("mine\n")
    (alone.work / "untracked.txt").write_text("mine\n")
    assert [landed["taskId"] for landed in alone.pw("merge").data["landed"]] == [one]
    assert alone.subjects(before) == ["one"]
    assert (alone.work / "a.txt").read_text() == line(3, "one")
    assert run(["git", "status", "--porcelain"], alone.work).out == " M g.txt\n?? untracked.txt\n"
    assert alone.branches() == []
    assert not (alone.work / ".worktrees" / one).exists()


def test_without_a_remote_work_in_the_way_stops_the_landing_and_nothing_else(alone: Team) -> None:
    """It says what is in the way; once that is gone, it lands without another test."""
    alone.tested("true")
    one = alone.finish("one", {"a.txt": line(3, "one")})
    before = alone.main
    (alone.work / "a.txt").write_text("mine\n")
    done = alone.pw("merge", check=1).data
    assert "a.txt" in done["waiting"][0]["reason"]
    assert (alone.main, (alone.work / "a.txt").read_text()) == (before, "mine\n")
    assert alone.queue()[one]["state"] == "waiting"
    git("checkout", "-q", "a.txt", cwd=alone.work)
    assert alone.pw("merge").data["tests"] == []
    assert alone.content("a.txt") == line(3, "one")


def test_without_a_remote_a_detached_head_gets_its_branch(alone: Team) -> None:
    """Its commits would be on nothing once the worktree is gone."""
    task, tree = alone.start("one", "a.txt")
    git("checkout", "-q", "--detach", cwd=tree)
    head = alone.change(tree, {"a.txt": line(3, "one")}, "one")
    alone.pw("complete", cwd=tree)
    assert git("rev-parse", alone.queue()[task]["branchName"], cwd=alone.work) == head
    alone.pw("merge")
    assert alone.content("a.txt") == line(3, "one")


def test_a_detached_head_is_handed_in(team: Team) -> None:
    """On the branch that the claim named."""
    _, tree = team.start("one", "a.txt")
    git("checkout", "-q", "--detach", cwd=tree)
    team.change(tree, {"a.txt": line(3, "one")}, "one")
    team.pw("complete", cwd=tree)
    team.pw("merge")
    assert team.content("a.txt") == line(3, "one")


@pytest.mark.parametrize("strategy", ["squash", "merge"])
def test_other_strategies(team: Team, strategy: str) -> None:
    """One commit a task, or a merge of its commits."""
    team.policy(f'[merge]\nstrategy = "{strategy}"\n')
    before = team.main
    task, tree = team.start("A title", "a.txt")
    team.change(tree, {"a.txt": line(3, "x")}, "first")
    team.change(tree, {"a.txt": line(3, "one")}, "second")
    team.pw("complete", cwd=tree)
    team.pw("merge")
    count = git("rev-list", "--count", "--first-parent", f"{before}..main", cwd=team.home)
    parents = git("log", "-1", "--format=%P", "main", cwd=team.home).split()
    assert (count, len(parents)) == ("1", 1 if strategy == "squash" else 2)
    assert trailers(team) == f"Pw-Task: {task}"
    assert not (team.work / ".worktrees" / task).exists()


# what was changed beyond what was declared


def test_undeclared_files_are_locked_when_the_work_is_handed_in(team: Team) -> None:
    """In the same step: nobody else can claim them until it has landed."""
    task, tree = team.start("one", "a.txt")
    team.change(tree, {"a.txt": "x\n", "b.txt": "x\n", "odd [name] *.txt": "x\n"}, "one")
    said = team.pw("complete", cwd=tree).data
    assert any("b.txt" in note for note in said["notes"])
    (lock,) = team.pw("locks").data["locks"]
    assert set(lock["lockedFiles"]) == {"a.txt", "b.txt", "literal:odd [name] *.txt"}
    assert team.pw("lock", "b.txt", worker="bob", check=3).data["holder"]["taskId"] == task
    team.pw("merge")
    assert team.pw("locks").data["locks"] == []


def test_undeclared_files_that_somebody_holds_are_refused(team: Team) -> None:
    """Nothing was handed in then."""
    task, tree = team.start("one", "a.txt")
    team.pw("lock", "b.txt", worker="bob")
    team.change(tree, {"a.txt": "x\n", "b.txt": "x\n"}, "one")
    refused = team.pw("complete", cwd=tree, check=3).data
    assert refused["holder"]["workerId"] == "bob"
    assert team.queue() == {}
    assert team.pw("task", "show", task).data["task"]["status"] != "completed"
    assert team.branches() == []


@pytest.mark.parametrize("rule", ['enforce = "strict"', 'critical = ["b.txt"]'])
def test_undeclared_files_are_refused_where_the_policy_asks_for_a_lock(team: Team, rule: str) -> None:
    """The rule of the base branch counts; a lock of one's own helps."""
    team.policy(f"[policy]\n{rule}\n")
    _, tree = team.start("one", "a.txt")
    team.change(tree, {"a.txt": "x\n", "b.txt": "x\n"}, "one")
    refused = team.pw("complete", cwd=tree, check=6).data
    assert [one["file"] for one in refused["violations"]] == ["b.txt"]
    team.pw("lock", "b.txt", cwd=tree)
    team.pw("complete", cwd=tree)


def test_what_others_merged_into_the_branch_is_not_the_tasks_own(team: Team) -> None:
    """Bringing the branch up to date declares nothing."""
    _, tree = team.start("one", "a.txt")
    team.change(tree, {"a.txt": "x\n"}, "one")
    team.direct({"c.txt": "direct\n"})
    git("fetch", "-q", cwd=tree)
    git("merge", "-q", "--no-edit", "origin/main", cwd=tree)
    assert team.pw("complete", cwd=tree).data["notes"] == []


def test_handed_in_anew_the_new_head_lands(team: Team) -> None:
    """At the place that it had."""
    one, tree = team.start("one", "a.txt")
    team.change(tree, {"a.txt": line(3, "first")}, "first")
    team.pw("complete", cwd=tree)
    team.finish("two", {"b.txt": "x\n"})
    team.change(tree, {"a.txt": line(3, "second")}, "second")
    team.pw("complete", one, cwd=tree)
    assert list(team.queue()) == [one, "task-002"]
    team.pw("merge")
    assert team.content("a.txt") == line(3, "second")


# red


def test_a_flake_is_run_once_more_and_lands(team: Team) -> None:
    """The first run alone was red."""
    team.tested('test "$runs" -ne 1')
    one = team.finish("one", {"a.txt": "x\n"})
    done = team.pw("merge").data
    assert [run["green"] for run in done["tests"]] == [False, True]
    assert [landed["taskId"] for landed in done["landed"]] == [one]


def test_a_red_base_freezes_the_queue_until_it_is_mended(team: Team) -> None:
    """Nobody goes back; a push to the base branch thaws it."""
    team.direct({"broken.txt": "x\n"})
    git("pull", "-q", cwd=team.work)
    team.tested("! test -e broken.txt")
    one = team.finish("one", {"a.txt": "x\n"})
    assert "red" in team.pw("merge", check=1).data["frozen"]
    count = len(team.runs())
    assert "red" in team.pw("merge", check=1).data["frozen"]
    assert len(team.runs()) == count
    assert team.queue()[one]["state"] == "queued"
    team.direct({"broken.txt": None})
    assert [landed["taskId"] for landed in team.pw("merge").data["landed"]] == [one]


def test_resume_tests_a_red_base_anew(team: Team) -> None:
    """The fault was outside of the repository."""
    (team.lab / "down").touch()
    team.tested('! test -e "$LAB/down"')
    one = team.finish("one", {"a.txt": "x\n"})
    assert team.pw("merge", check=1).data["frozen"]
    (team.lab / "down").unlink()
    assert team.pw("merge", check=1).data["frozen"]
    team.pw("merge", "resume")
    assert [landed["taskId"] for landed in team.pw("merge").data["landed"]] == [one]


def test_retry_tests_anew_what_went_back(team: Team) -> None:
    """Red results of before don't count."""
    (team.lab / "down").touch()
    team.tested('! test -e "$LAB/down" || ! test -e new.txt')
    one = team.finish("one", {"new.txt": "x\n"})
    team.pw("merge", check=1)
    assert team.queue()[one]["state"] == "failed"
    (team.lab / "down").unlink()
    team.pw("merge", "retry", one)
    assert [landed["taskId"] for landed in team.pw("merge").data["landed"]] == [one]


def test_the_tests_of_the_base_branch_count(team: Team) -> None:
    """A task can't switch its own test off."""
    team.tested("! test -e bad.txt")
    task, tree = team.start("one", ".gitpw.toml", "bad.txt")
    text = (tree / ".gitpw.toml").read_text()
    head, _, _ = text.rpartition("test = ")
    team.change(tree, {".gitpw.toml": f'{head}test = "true"\n', "bad.txt": "x\n"}, "one")
    team.pw("complete", cwd=tree)
    assert team.pw("merge", check=1).data["returned"][0]["taskId"] == task


def test_tests_that_take_too_long_end_with_all_that_they_started(team: Team) -> None:
    """Also what ignores gentle signals, in the background."""
    mark = f"1{time.time_ns()}"
    team.tested(f"(trap '' INT TERM; sleep {mark}) & sleep {mark}", 'timeout = "1s"\n')
    team.finish("one", {"a.txt": "x\n"})
    done = team.pw("merge", check=1).data
    assert "stopped after 1 s" in done["tests"][0]["why"]
    assert processes(mark) == []


def test_a_killed_merger_takes_its_tests_along_and_costs_a_delay_only(team: Team) -> None:
    """The next one in the same clone needs no patience."""
    mark = f"1{time.time_ns()}"
    team.tested(f'test -e "$LAB/go" || sleep {mark}')
    one = team.finish("one", {"a.txt": "x\n"})
    assert team.pw("merge", check=None, kill=1.5).exit == -9
    until = time.monotonic() + 10
    while processes(mark) and time.monotonic() < until:
        time.sleep(0.05)
    assert processes(mark) == []
    (team.lab / "go").touch()
    assert [landed["taskId"] for landed in team.pw("merge").data["landed"]] == [one]


# others at work at the same time


def test_a_push_to_the_base_during_the_tests_means_to_test_again(team: Team) -> None:
    """What lands is what was tested."""
    other = clone(str(team.bare), team.lab / "other")
    push = f"cd '{other}' && git pull -q && echo x >direct.txt && git add . && git commit -qm direct && git push -q origin main"
    team.tested(f'test "$runs" -ne 1 || ( unset GIT_DIR; {push} )')
    before = team.main
    team.finish("one", {"a.txt": "x\n"})
    team.pw("merge")
    assert team.subjects(before) == ["direct", "one"]
    assert team.runs()[-1] == git("rev-parse", "main^{tree}", cwd=team.home)
    assert len(team.runs()) == 2


def test_a_branch_that_moved_after_it_was_handed_in_goes_back(team: Team) -> None:
    """Whoever pushed, nobody has handed that in."""
    task, tree = team.start("one", "a.txt")
    team.change(tree, {"a.txt": "x\n"}, "one")
    team.pw("complete", cwd=tree)
    team.change(tree, {"a.txt": "y\n"}, "late")
    branch = git("branch", "--show-current", cwd=tree)
    git("push", "-q", "--no-verify", "origin", branch, cwd=tree)
    before = team.main
    (returned,) = team.pw("merge", check=1).data["returned"]
    assert returned["data"]["reason"] == "moved"
    assert team.main == before
    team.pw("complete", task, cwd=tree)
    team.pw("merge")
    assert team.content("a.txt") == "y\n"


@pytest.mark.parametrize("then", ["drop", "pause"])
def test_what_is_decided_during_the_tests_counts(team: Team, then: str) -> None:
    """Dropped or paused, it doesn't land, whatever the tests say."""
    words = "merge drop task-001" if then == "drop" else "merge pause"
    team.tested(f"cd '{team.work}' && git-pw -q --as bob {words} >/dev/null 2>&1; true")
    one = team.finish("one", {"a.txt": "x\n"})
    before = team.main
    done = team.pw("merge").data
    assert (done["landed"], team.main) == ([], before)
    if then == "drop":
        assert team.pw("task", "show", one).data["task"]["status"] == "in_progress"
    else:
        assert "paused" in done["waiting"][0]["reason"]


def test_a_second_merger_waits_its_turn(team: Team) -> None:
    """In the same clone and in another; the first lands."""
    go = team.lab / "go"
    team.tested(f"until test -e '{go}'; do sleep 0.05; done")
    team.finish("one", {"a.txt": "x\n"})
    other = team.another("second")
    watcher = (
        f"until git --git-dir='{team.bare}' log -1 --format=%s refs/pw/locks/main | grep -q merging; do sleep 0.05; done; "
        f"cd '{other.work}' && git-pw --json --as bob merge; echo $? >'{team.lab}/second'; touch '{go}'"
    )
    with subprocess.Popen(["sh", "-c", watcher], stdout=subprocess.PIPE) as process:
        done = team.pw("merge").data
        said = json.loads(process.communicate(timeout=60)[0])
    assert len(done["landed"]) == 1
    assert (team.lab / "second").read_text() == "75\n"
    assert (said["code"], said["merger"]["workerId"]) == ("contended", "alice"), said


TAKEOVER = """
import sys
from gitpw.app import open_context
from gitpw.domain.operation import Merging

context = open_context(directory=sys.argv[1], worker="bob")
merger = context.ledger.fresh().line.merger
request = Merging(place=merger.place, lease=600, gone=merger.token)
context.ledger.transact(request, context.me)
"""
"""Takes the queue over from a merger that others believe to be gone."""


@pytest.mark.parametrize(("lease", "then"), [("2s", "sleep {}"), ("1h", "true {}")])
def test_a_merger_that_was_replaced_lands_nothing(team: Team, lease: str, then: str) -> None:
    """At its next heartbeat its tests are stopped; one that wakes up later is stopped by its token."""
    other = team.another("second")
    (team.lab / "takeover.py").write_text(TAKEOVER)
    mark = f"1{time.time_ns()}"
    team.tested(f"'{sys.executable}' '{team.lab}/takeover.py' '{other.work}' && {then.format(mark)}")
    team.finish("one", {"a.txt": "x\n"})
    before = team.main
    refused = team.pw("merge", "--lease", lease, check=75).data
    assert "taken over" in refused["message"]
    assert (team.main, processes(mark)) == (before, [])
    assert team.pw("merge", "list").data["queue"]["merger"]["workerId"] == "bob"


# conflicts


def conflicting(team: Team) -> tuple[str, Path]:
    """A task of Alice's that conflicts with what Bob landed."""
    task, tree = team.start("mine", "a.txt", shared=True)
    team.change(tree, {"a.txt": line(3, "one")}, "mine")
    team.finish("other", {"a.txt": line(3, "other")}, shared=True, worker="bob")
    team.pw("merge")
    team.pw("complete", task, cwd=tree)
    return task, tree


def test_a_conflict_goes_back_with_all_that_its_owner_needs(team: Team) -> None:
    """The files, the other task and its worker, and commands that solve it; completed again it keeps its place."""
    task, tree = conflicting(team)
    after = team.finish("after", {"b.txt": "x\n"})
    done = team.pw("merge", check=1).data
    assert [landed["taskId"] for landed in done["landed"]] == [after]
    (back,) = done["returned"]
    assert (back["taskId"], back["state"], back["data"]["files"]) == (task, "conflict", ["a.txt"])
    other = back["data"]["others"][0]
    assert (other["subject"], other["workerId"]) == ("other", "bob")
    assert f"{other['taskId']} by bob" in back["detail"]
    shown = team.pw("merge", "show", task).data
    (conflict,) = shown["conflicts"]
    assert (conflict["base"], conflict["theirs"], conflict["ours"]) == (
        NUMBERED,
        line(3, "other"),
        line(3, "one"),
    )
    assert team.pw("task", "show", task).data["task"]["status"] == "in_progress"
    *_, rebase, solved, complete = shown["commands"]
    git("fetch", "-q", cwd=tree)
    assert run(rebase.split(), tree, check=False).exit != 0
    (tree / "a.txt").write_text(line(3, "both"))
    run(["sh", "-c", solved], tree, {"GIT_EDITOR": "true"})
    second = team.finish("second", {"c.txt": "x\n"})
    assert complete == f"git pw complete {task}"
    team.pw("complete", task, cwd=tree)
    assert list(team.queue()) == [task, second]
    team.pw("merge")
    assert team.content("a.txt") == line(3, "both")


def test_a_conflict_with_an_entry_ahead_waits_for_it(team: Team) -> None:
    """It is built again once that has landed, and only then goes back."""
    team.tested("true")
    one = team.finish("one", {"a.txt": line(3, "one")}, shared=True)
    two = team.finish("two", {"a.txt": line(3, "two")}, shared=True, worker="bob")
    three = team.finish("three", {"b.txt": "x\n"})
    dry = team.pw("merge", "--dry-run").data
    assert [waiting["taskId"] for waiting in dry["waiting"]] == [two]
    assert one in dry["waiting"][0]["reason"]
    done = team.pw("merge", check=1).data
    assert [landed["taskId"] for landed in done["landed"]] == [one, three]
    assert [back["taskId"] for back in done["returned"]] == [two]


def test_a_deferred_entry_lands_by_itself_when_the_one_ahead_goes_back(team: Team) -> None:
    """It never conflicted with the base branch."""
    team.tested("! grep -q bad a.txt")
    team.finish("one", {"a.txt": line(3, "bad")}, shared=True)
    two = team.finish("two", {"a.txt": line(3, "two")}, shared=True, worker="bob")
    done = team.pw("merge", check=1).data
    assert [landed["taskId"] for landed in done["landed"]] == [two]


@pytest.mark.parametrize("strategy", ["rebase", "merge"])
def test_a_command_may_solve_a_conflict(team: Team, strategy: str) -> None:
    """What it makes is tested like anything else; its author is the task's."""
    file = team.lab / "solve.sh"
    file.write_text(f"test \"$GITPW_CONFLICTS\" = a.txt && cp '{team.lab}/solution' a.txt\n")
    (team.lab / "solution").write_text(line(3, "solved"))
    more = f'on_conflict = "sh \'{file}\'"\nstrategy = "{strategy}"\n'
    team.tested("grep -q solved a.txt || ! grep -q one a.txt", more)
    task, _ = conflicting(team)
    assert [landed["taskId"] for landed in team.pw("merge").data["landed"]] == [task]
    assert team.content("a.txt") == line(3, "solved")
    assert team.runs()[-1] == git("rev-parse", "main^{tree}", cwd=team.home)


def test_a_command_that_leaves_the_conflict_solves_nothing(team: Team) -> None:
    """It goes back as it would have without."""
    team.policy('[merge]\non_conflict = "true"\n')
    task, _ = conflicting(team)
    assert [back["taskId"] for back in team.pw("merge", check=1).data["returned"]] == [task]


# the remote has a say


def hook(bare: Path, name: str, text: str) -> None:
    """Put a hook on the upstream."""
    file = bare / "hooks" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


def test_a_commit_that_the_remote_refuses_is_told_in_its_words_and_stops_nobody_else(team: Team) -> None:
    """The others land one by one."""
    refuse = (
        'while read old new ref; do test "$ref" != refs/heads/main || ! git log --format=%s $old..$new '
        "| grep -q forbidden || { echo 'no such words here' >&2; exit 1; }; done"
    )
    hook(team.home, "pre-receive", refuse)
    one = team.finish("one", {"a.txt": "x\n"})
    two = team.finish("forbidden", {"b.txt": "x\n"})
    three = team.finish("three", {"c.txt": "x\n"})
    done = team.pw("merge", check=1).data
    assert [landed["taskId"] for landed in done["landed"]] == [one, three]
    (waiting,) = done["waiting"]
    assert waiting["taskId"] == two
    assert "no such words here" in waiting["reason"]
    assert "no such words here" in team.queue()[two]["detail"]
    hook(team.home, "pre-receive", "exit 0")
    assert [landed["taskId"] for landed in team.pw("merge").data["landed"]] == [two]


def test_a_remote_that_keeps_its_branches_gets_the_work_all_the_same(team: Team) -> None:
    """Nothing is deleted there."""
    git("config", "receive.denyDeletes", "true", cwd=team.home)
    team.finish("one", {"a.txt": "x\n"})
    team.pw("merge")
    assert team.content("a.txt") == "x\n"
    assert len(team.branches()) == 1
    assert team.pw("gc").data["branches"] == []
    git("config", "receive.denyDeletes", "false", cwd=team.home)
    assert len(team.pw("gc").data["branches"]) == 1
    assert team.branches() == []


def test_hosts_without_atomic_pushes(team: Team) -> None:
    """Announced, pushed, recorded: complete, push and merge work, and leave nothing behind."""
    git("config", "receive.advertiseAtomic", "false", cwd=team.home)
    team.tested("! test -e bad.txt")
    one, tree = team.start("one", "a.txt")
    team.change(tree, {"a.txt": "x\n"}, "one")
    team.pw("push", cwd=tree)
    team.change(tree, {"a.txt": "y\n"}, "two")
    team.pw("complete", cwd=tree)
    two = team.finish("bad", {"bad.txt": "x\n"})
    done = team.pw("merge", check=1).data
    assert ([landed["taskId"] for landed in done["landed"]], done["returned"][0]["taskId"]) == ([one], two)
    assert team.content("a.txt") == "y\n"
    assert [name for name in team.branches() if one in name] == []


def test_a_stale_token_is_refused_on_hosts_without_atomic_pushes(team: Team) -> None:
    """Before the branch moves."""
    git("config", "receive.advertiseAtomic", "false", cwd=team.home)
    _, tree = team.start("one", "a.txt")
    team.change(tree, {"a.txt": "x\n"}, "one")
    team.pw("unlock", "a.txt", "--force", "--reason", "x", worker="bob")
    for words in (("push",), ("complete",)):
        team.pw(*words, cwd=tree, check=5)
    assert team.branches() == []


# what is nobody's business


def test_nothing_of_the_users_is_touched(team: Team) -> None:
    """HEAD, index, stash, config, branches and files are as they were, during tests and after."""
    team.tested("! test -e bad.txt && echo generated >generated.txt")
    task, _ = conflicting(team)
    team.finish("one", {"b.txt": "x\n"})
    team.finish("two", {"bad.txt": "x\n"})
    furnish(team.work)
    before = keepsakes(team.work)
    done = team.pw("merge", check=1).data
    assert task in {back["taskId"] for back in done["returned"]}
    assert keepsakes(team.work) == before


def test_a_dry_run_says_what_would_be_and_changes_nothing(team: Team) -> None:
    """Neither here nor on the remote."""
    team.tested("true")
    task, _ = conflicting(team)
    one = team.finish("one", {"b.txt": "x\n"})
    everything = git("for-each-ref", cwd=team.home)
    done = team.pw("merge", "--dry-run").data
    assert (done["dryRun"], [landed["taskId"] for landed in done["landed"]]) == (True, [one])
    assert [back["taskId"] for back in done["returned"]] == [task]
    assert git("for-each-ref", cwd=team.home) == everything
    assert team.queue()[one]["state"] == "queued"


def test_what_is_on_the_base_already_is_recorded(team: Team) -> None:
    """Merged by hand, picked, or without a commit of its own; without a test."""
    team.tested("true")
    before = len(team.runs())
    one, tree = team.start("one", "a.txt")
    head = team.change(tree, {"a.txt": "x\n"}, "one")
    team.pw("complete", cwd=tree)
    two, tree = team.start("two", "b.txt")
    team.pw("complete", cwd=tree)
    other = clone(str(team.bare), team.lab / "other")
    git("cherry-pick", "-x", head, cwd=other)
    git("push", "-q", "origin", "main", cwd=other)
    tip = team.main
    assert {landed["taskId"] for landed in team.pw("merge").data["landed"]} == {one, two}
    assert (team.main, len(team.runs())) == (tip, before)
    assert team.branches() == []


def test_a_landed_worktree_goes_on_its_own_machine(team: Team) -> None:
    """By the next command that has to do with worktrees there; one with changes stays."""
    other = team.another("second")
    task, tree = other.start("one", "a.txt")
    other.change(tree, {"a.txt": "x\n"}, "one")
    other.pw("complete", cwd=tree)
    kept, dirty = other.start("two", "b.txt")
    other.change(dirty, {"b.txt": "x\n"}, "two")
    other.pw("complete", cwd=dirty)
    (dirty / "late.txt").write_text("mine\n")
    team.pw("merge")
    assert tree.exists()
    other.pw("gc")
    assert not tree.exists()
    assert (dirty / "late.txt").exists()
    assert git("branch", "--list", f"*{task}*", cwd=other.work) == ""
    assert kept in git("branch", "--list", f"*{kept}*", cwd=other.work)


def test_events_are_lines_of_json(team: Team, tmp_path: Path) -> None:
    """For machines; stdout has one document all the same."""
    team.tested("echo said")
    one = team.finish("one", {"a.txt": "x\n"})
    file = tmp_path / "events.jsonl"
    team.pw("merge", "--events", str(file))
    events = [json.loads(told) for told in file.read_text().splitlines()]
    assert [event["event"] for event in events] == ["test", "output", "green", "landed"]
    assert events[1]["line"] == "said"
    assert (events[-1]["taskId"], events[-1]["base"]) == (one, "main")
    assert all(event["at"].endswith("Z") for event in events)


@pytest.mark.parametrize("options", [("--bare",), ("--depth", "1")])
def test_ci_merges_from_a_bare_or_a_shallow_clone(team: Team, options: tuple[str, ...]) -> None:
    """It fetches what it needs, and tests in a worktree of its own."""
    team.tested("test -e README.md")
    before = team.main
    team.finish("one", {"a.txt": "x\n"})
    team.finish("two", {"b.txt": "x\n"})
    run(["git", "clone", "-q", *options, f"file://{team.bare}", str(team.lab / "ci")], team.lab)
    assert len(team.pw("merge", cwd=team.lab / "ci", worker="ci").data["landed"]) == 2
    assert team.subjects(before) == ["one", "two"]


def test_without_the_remote_nothing_happens(team: Team) -> None:
    """And it is said so."""
    team.finish("one", {"a.txt": "x\n"})
    team.home.rename(team.lab / "gone")
    assert team.pw("merge", check=69).data["code"] == "offline"


def test_without_a_base_branch_it_says_so(team: Team) -> None:
    """And with no queue wanted."""
    team.finish("one", {"a.txt": "x\n"})
    team.policy('[merge]\nbase = "nowhere"\n')
    assert "nowhere" in team.pw("merge", check=6).data["message"]
    file = team.work / ".gitpw.toml"
    file.write_text(file.read_text().replace('base = "nowhere"', 'mode = "none"'))
    team.policy("")
    assert "none" in team.pw("merge", check=6).data["message"]


def test_mergers_of_many_clones_land_everything_once(team: Team) -> None:
    """Three at once: each task lands, each landing on a tree that was tested."""
    team.tested("true")
    before = team.main
    titles = [f"task {number}" for number in range(6)]
    for number, title in enumerate(titles):
        team.finish(title, {f"new{number}.txt": "x\n"})
    clones = [team, team.another("second"), team.another("third")]
    landed: list[str] = []
    for _ in range(10):
        answers = team.herd.run(
            *(Run(["merge"], one.work, {"GITPW_WORKER": f"merger-{at}"}) for at, one in enumerate(clones))
        )
        assert {answer.exit for answer in answers} <= {0, 75}, "\n".join(map(str, answers))
        landed += [one["taskId"] for answer in answers if answer.exit == 0 for one in answer.data["landed"]]
        if not team.queue():
            break
    assert sorted(landed) == [f"task-{number:03d}" for number in range(1, 7)]
    assert team.subjects(before) == titles
    assert git("rev-parse", "main^{tree}", cwd=team.home) in team.runs()


def test_without_a_queue_finished_work_keeps_its_branch(alone: Team) -> None:
    """Nobody has merged it: its commits are nowhere else."""
    alone.policy('[merge]\nmode = "none"\n')
    task, tree = alone.start("one", "a.txt")
    head = alone.change(tree, {"a.txt": "x\n"}, "one")
    branch = git("branch", "--show-current", cwd=tree)
    alone.pw("complete", cwd=tree)
    alone.pw("gc")
    assert git("rev-parse", branch, cwd=alone.work) == head
    assert alone.pw("task", "show", task).data["task"]["mergedAt"]


def test_work_that_git_cannot_merge_goes_back_and_stops_nobody(team: Team) -> None:
    """A history that has nothing in common with the base branch's, for instance."""
    team.policy('[policy]\ncritical = []\n[merge]\nstrategy = "squash"\n')
    odd, tree = team.start("odd", "odd.txt")
    git("checkout", "-q", "--orphan", "elsewhere", cwd=tree)
    git("rm", "-rfq", ".", cwd=tree)
    head = team.change(tree, {"odd.txt": "x\n"}, "odd")
    git("checkout", "-q", "--detach", cwd=tree)
    assert git("rev-parse", "HEAD", cwd=tree) == head
    team.pw("complete", odd, cwd=tree)
    one = team.finish("one", {"new.txt": "x\n"})
    done = team.pw("merge", check=1).data
    assert [landed["taskId"] for landed in done["landed"]] == [one]
    assert [(back["taskId"], back["data"]["reason"]) for back in done["returned"]] == [(odd, "build")]


def test_what_the_ledger_says_is_never_an_option_of_git(team: Team) -> None:
    """A head that is no commit's name goes back like one that is gone."""
    team.finish("one", {"a.txt": "x\n"})
    context = open_context(directory=str(team.work), worker="alice")
    context.ledger.transact(Complete(task=TaskId("task-001"), head="--help", branch="--all"), context.me)
    (back,) = team.pw("merge", check=1).data["returned"]
    assert "can't be found" in back["detail"]
