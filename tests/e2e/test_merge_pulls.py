"""The merge queue through pull requests, at a host that stands on the upstream itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gitpw.app import open_context
from gitpw.errors import InvalidError
from gitpw.services.merge import Merged, merge
from gitpw.services.ports import Check
from tests.support.cli import pw
from tests.support.forge import LocalForge
from tests.support.git import clone, git, make_upstream

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HERE = {"GITPW_WORKER": "alice"}
PROTECTED = (
    'while read old new ref; do test "$ref" != refs/heads/main || { echo protected >&2; exit 1; }; done\n'
)


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone whose policy asks for pull requests."""
    bare = make_upstream(tmp_path / "up.git")
    work = clone(bare, tmp_path / "work")
    monkeypatch.setenv("GITPW_WORKER", "alice")
    pw("init", "--no-hooks", cwd=work, check=0)
    with (work / ".gitpw.toml").open("a") as file:
        file.write('[merge]\nmode = "pull-request"\ntest = "test ! -e bad.txt"\n')
    git("add", "-A", cwd=work)
    git("commit", "-qm", "policy", cwd=work)
    git("push", "-q", "origin", "main", cwd=work)
    pw("worker", "register", "alice", "--max-tasks", "9", cwd=work, check=0)
    return work


@pytest.fixture
def forge(work: Path) -> LocalForge:
    """The host."""
    return LocalForge(work.parent / "up.git")


def finish(work: Path, title: str, files: Mapping[str, str]) -> tuple[str, str]:
    """Do a task and hand it in; its id and its branch."""
    named = [word for file in files for word in ("--file", file)]
    task: str = pw("task", "add", title, *named, cwd=work, check=0).data["task"]["id"]
    claimed = pw("claim", task, cwd=work, check=0).data
    tree = work.__class__(claimed["worktree"])
    for name, content in files.items():
        (tree / name).write_text(content)
    git("add", "-A", cwd=tree)
    git("commit", "-qm", title, cwd=tree)
    pw("complete", cwd=tree, check=0)
    return task, claimed["branch"]


def run(work: Path, forge: LocalForge | None) -> tuple[Merged, list[str]]:
    """Run the queue; what came of it, and its events."""
    context = open_context(directory=str(work))
    assert context.workshop is not None
    shop = context.workshop()._replace(forge=forge)
    events: list[str] = []
    done = merge(replace(context, workshop=lambda: shop), lambda event, *_: events.append(event), poll=0.01)
    return done, events


def tip(work: Path, branch: str = "main") -> str:
    """Where a branch stands on the upstream, empty where it doesn't exist."""
    return git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}", cwd=work.parent / "up.git")


def protect(work: Path) -> None:
    """Nobody may push the base branch."""
    hook = work.parent / "up.git/hooks/pre-receive"
    hook.write_text(f"#!/bin/sh\n{PROTECTED}")
    hook.chmod(0o755)


def test_without_a_host_it_is_refused(work: Path) -> None:
    """With what to do about it."""
    finish(work, "one", {"a.txt": "x\n"})
    with pytest.raises(InvalidError, match="no host is configured"):
        run(work, None)
    assert pw("merge", cwd=work, check=6).data["hint"]


def test_the_rebased_head_is_pushed_checked_and_landed(work: Path, forge: LocalForge) -> None:
    """The host shows it late, checks exactly that commit, and shows it merged; then the branch goes."""
    forge.lag = 3
    seen: list[str] = []
    looks = iter([None, [Check("ci", "pending")], [Check("ci", "success")]])

    def says(commit: str) -> list[Check] | None:
        seen.append(commit)
        return next(looks)

    forge.says = says
    task, branch = finish(work, "one", {"a.txt": "x\n"})
    handed = tip(work, branch)
    other = clone(work.parent / "up.git", work.parent / "other")
    (other / "direct.txt").write_text("x\n")
    git("add", "-A", cwd=other)
    git("commit", "-qm", "direct", cwd=other)
    git("push", "-q", "origin", "main", cwd=other)
    done, _ = run(work, forge)
    assert [(one.task_id, one.commit) for one in done.landed] == [(task, tip(work))]
    assert set(seen) == {tip(work)} != {handed}
    assert (forge.requests[1].state, forge.requests[1].title) == ("merged", "one")
    assert tip(work, branch) == ""
    assert pw("merge", "list", cwd=work, check=0).data["merges"] == []


def test_the_entry_shows_its_pull_request(work: Path, forge: LocalForge) -> None:
    """Also when its checks were red and it is back with its owner."""
    forge.says = lambda _: [Check("lint", "failure"), Check("ci", "success")]
    task, _ = finish(work, "one", {"a.txt": "x\n"})
    before = tip(work)
    done, _ = run(work, forge)
    assert [back.task for back in done.returned] == [task]
    (entry,) = pw("merge", "list", cwd=work, check=0).data["merges"]
    assert (entry["prUrl"], entry["state"]) == ("forge:1", "failed")
    assert "lint" in entry["detail"]
    assert tip(work) == before


def test_own_tests_count_as_well(work: Path, forge: LocalForge) -> None:
    """Before the host's checks are waited for."""
    task, _ = finish(work, "one", {"bad.txt": "x\n"})
    done, _ = run(work, forge)
    assert [back.task for back in done.returned] == [task]


@pytest.mark.parametrize("strategy", ["rebase", "squash", "merge"])
def test_where_the_base_is_protected_the_host_merges(work: Path, forge: LocalForge, strategy: str) -> None:
    """One at a time, by the commit that was tested; what it made is compared."""
    with (work / ".gitpw.toml").open("a") as file:
        file.write(f'strategy = "{strategy}"\n')
    git("commit", "-qam", "strategy", cwd=work)
    git("push", "-q", "origin", "main", cwd=work)
    protect(work)
    tasks = [finish(work, f"task {number}", {f"new{number}.txt": "x\n"})[0] for number in range(3)]
    done, events = run(work, forge)
    assert [one.task_id for one in done.landed] == tasks
    assert [did for did in forge.did if did.startswith("merge")] == ["merge 1", "merge 2", "merge 3"]
    assert "differs" not in events


def test_what_the_host_made_of_something_else_is_tested_as_it_is(work: Path, forge: LocalForge) -> None:
    """Somebody was merged just before: what landed isn't what was tested; red, the queue freezes."""
    protect(work)
    task, _ = finish(work, "one", {"a.txt": "x\n"})

    def rival() -> None:
        bare = work.parent / "up.git"
        blob = git("hash-object", "-w", "--stdin", cwd=bare)
        tree = git("ls-tree", "main", cwd=bare) + f"\n100644 blob {blob}\tbad.txt"
        (bare / "tree").write_text(f"{tree}\n")
        made_tree = git("-c", "alias.made=!git mktree <tree", "made", cwd=bare)
        made = git("commit-tree", made_tree, "-p", "main", "-m", "rival", cwd=bare)
        git("update-ref", "refs/heads/main", made, cwd=bare)

    forge.before_merge = rival
    done, events = run(work, forge)
    assert [one.task_id for one in done.landed] == [task]
    assert "differs" in events
    assert done.frozen
    assert "red" in done.frozen


def test_the_hosts_own_queue_is_handed_over_to(work: Path, forge: LocalForge) -> None:
    """The entry waits; once the host has merged it, it is recorded."""
    protect(work)
    forge.queue = True
    task, _ = finish(work, "one", {"a.txt": "x\n"})
    done, _ = run(work, forge)
    assert (done.landed, [one.task_id for one in done.waiting]) == ([], [task])
    assert "queue" in done.waiting[0].reason
    forge.merge(1, tip(work, forge.requests[1].branch), "squash")
    done, _ = run(work, forge)
    assert [one.task_id for one in done.landed] == [task]


def test_children_are_retargeted_before_the_branch_goes(work: Path, forge: LocalForge) -> None:
    """Else the host would close them."""
    _, branch = finish(work, "one", {"a.txt": "x\n"})
    other = clone(work.parent / "up.git", work.parent / "other")
    git("checkout", "-q", "-b", "child", f"origin/{branch}", cwd=other)
    (other / "child.txt").write_text("x\n")
    git("add", "-A", cwd=other)
    git("commit", "-qm", "child", cwd=other)
    git("push", "-q", "origin", "child", cwd=other)
    forge.create("child", branch, "child", "")
    run(work, forge)
    assert (forge.requests[1].base, forge.pull(1).state) == ("main", "open")
    assert tip(work, branch) == ""


def test_a_host_that_never_shows_the_head_stops_nobody(
    work: Path, forge: LocalForge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry waits with a reason; it isn't merged."""
    monkeypatch.setattr("gitpw.services.pull_request.SHOWN", 0.1)
    finish(work, "one", {"a.txt": "x\n"})
    forge.lag = 10_000
    other = clone(work.parent / "up.git", work.parent / "other")
    (other / "direct.txt").write_text("x\n")
    git("add", "-A", cwd=other)
    git("commit", "-qm", "direct", cwd=other)
    git("push", "-q", "origin", "main", cwd=other)
    done, _ = run(work, forge)
    assert "still shows another commit" in done.waiting[0].reason
    assert done.landed == []


def test_what_an_interrupted_merger_pushed_is_taken_up(
    work: Path, forge: LocalForge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same commit isn't pushed and checked again."""
    task, branch = finish(work, "one", {"a.txt": "x\n"})

    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    forge.says = interrupted
    with pytest.raises(KeyboardInterrupt):
        run(work, forge)
    pushed = tip(work, branch)
    forge.says = lambda _: ()
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2030-01-01T00:00:00Z")
    done, _ = run(work, forge)
    assert [(one.task_id, one.commit) for one in done.landed] == [(task, pushed)]
