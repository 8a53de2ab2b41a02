"""The main job from a fresh clone to the merged work, as people type it and as programs read it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.race.runner import Herd, Run, gathered
from tests.support.cli import pw
from tests.support.git import Result as Answer
from tests.support.git import clone, git, make_upstream, run


def named(text: str, **inner: Mapping[str, object]) -> Mapping[str, object]:
    """A shape: the names of its fields, and the shapes of those that are records themselves."""
    return {**dict.fromkeys(text.split()), **inner}


SHAPES: Mapping[str, Mapping[str, object]] = {
    "task": named(
        "id type title description priority dependencies estimatedDuration requiredSkills assignedTo status token "
        "createdAt claimedAt completedAt mergedAt failure",
        metadata=named("issueNumber branchName files"),
    ),
    "lock": named("taskId workerId workerType claimedAt lockedFiles branchName expiresAt mode token"),
    "worker": named(
        "id type name skills maxConcurrentTasks currentTasks status lastActivity",
        metadata=named("githubUsername agentType"),
    ),
    "progress": named(
        "taskId workerId currentStep stepsCompleted totalSteps percentComplete estimatedTimeRemaining lastUpdated"
    ),
    "merge": named("taskId workerId branchName position state detail queuedAt updatedAt head prUrl"),
    "event": named("counter id at workerId verb taskId detail"),
}
"""The fields of each record, as the command line's contract has them."""

PLURALS = {"tasks": "task", "locks": "lock", "workers": "worker", "merges": "merge", "events": "event"}


def fields(value: Mapping[str, Any], shape: Mapping[str, object]) -> None:
    """A record has exactly the fields of its kind, and records in it have exactly theirs."""
    assert set(value) == set(shape)
    for name, inner in shape.items():
        if isinstance(inner, Mapping):
            fields(value[name], inner)


def check_records(data: Mapping[str, Any]) -> None:
    """All records of a document have exactly the fields of the contract; times end in Z."""
    for name, value in data.items():
        if name in SHAPES and isinstance(value, dict):
            fields(value, SHAPES[name])
        for one in value if isinstance(value, list) else ():
            kind = PLURALS.get(name, name)
            if kind in SHAPES:
                fields(one, SHAPES[kind])
                assert all(one[at].endswith("Z") for at in one if at.endswith("At") and one[at])


@dataclass(frozen=True)
class Desk:
    """One clone of the upstream and who works there."""

    bare: Path
    work: Path
    herd: Herd
    worker: str = "alice"

    def json(self, *words: str, check: int = 0, cwd: Path | None = None, worker: str = "") -> Any:
        """Run a command with --json: one document, whose records have the fields of the contract."""
        (done,) = self.herd.run(Run(words, cwd or self.work, {"GITPW_WORKER": worker or self.worker}))
        assert done.exit == check, f"expected exit {check}\n{done}"
        assert done.data["ok"] is (check == 0)
        check_records(done.data)
        return done.data

    def text(self, *words: str, check: int = 0, cwd: Path | None = None) -> Answer:
        """Run `git pw` as a person does."""
        done = run(["git", "pw", *words], cwd or self.work, {"GITPW_WORKER": self.worker}, check=False)
        assert done.exit == check, str(done)
        return done

    def beside(self, name: str, worker: str) -> Desk:
        """Another clone, of somebody else."""
        return replace(self, work=clone(self.bare, self.work.parent / name), worker=worker)


@pytest.fixture(scope="session")
def herd() -> Iterator[Herd]:
    """Starts git-pw processes without the wait for Python."""
    with gathered() as started:
        yield started


@pytest.fixture
def desk(herd: Herd, tmp_path: Path) -> Desk:
    """A fresh clone; nobody has said `init` yet."""
    bare = make_upstream(tmp_path / "up.git")
    return Desk(bare, clone(bare, tmp_path / "work"), herd)


@pytest.fixture
def begun(desk: Desk) -> Desk:
    """After `init`, with .gitpw.toml on the upstream."""
    desk.json("init")
    git("add", ".gitpw.toml", cwd=desk.work)
    git("commit", "-qm", "Name the ledger", cwd=desk.work)
    git("push", "-q", "origin", "main", cwd=desk.work)
    return desk


def change(tree: Path, file: str, message: str = "Change a file") -> Answer:
    """Change a file and commit it, as far as the hooks allow."""
    (tree / file).parent.mkdir(parents=True, exist_ok=True)
    with (tree / file).open("a") as content:
        content.write("// more\n")
    git("add", "--", file, cwd=tree)
    return run(["git", "commit", "-qm", message], tree, check=False)


def land(desk: Desk, branch: str) -> None:
    """Merge a branch into main by hand, and push."""
    git("fetch", "-q", "origin", cwd=desk.work)
    git("merge", "-q", "--no-edit", "--no-ff", f"origin/{branch}", cwd=desk.work)
    git("push", "-q", "origin", "main", cwd=desk.work)


def test_main_job_in_words(desk: Desk) -> None:
    """The commands of the README, one after the other, say what a person wants to know."""
    assert "made ledger" in desk.text("init").out
    added = desk.text(
        *("task", "add", "Fix auth bug", "--type", "fix", "--issue", "456"),
        *("--file", "src/auth/login.ts", "--priority", "1"),
    )
    assert added.out == "added task-001: Fix auth bug\n"
    tree = Path(desk.text("claim", "--print-path").out.removesuffix("\n"))
    assert tree == desk.work / ".worktrees/task-001"
    assert git("branch", "--show-current", cwd=tree) == "fix/456-task-001-fix-auth-bug"
    for words in (("locks",), ("status",)):
        assert {"src/auth/login.ts", "alice"} & set(desk.text(*words).out.split())
    assert change(tree, "src/auth/login.ts").exit == 0
    desk.text("progress", "--step", "3/7", "writing tests", cwd=tree)
    assert "42" in desk.text("status").out
    desk.text("heartbeat", cwd=tree)
    assert "number 1 in the merge queue" in desk.text("complete", cwd=tree).out
    assert "merge queue" in desk.text("release", cwd=tree).out
    desk.text("gc")
    told = desk.text("log").out
    assert [verb for verb in ("add task-001", "claim task-001", "complete task-001") if verb in told] == [
        "add task-001",
        "claim task-001",
        "complete task-001",
    ]


def test_main_job_in_json(begun: Desk) -> None:
    """The same for a program: each step's document says what was done, up to the merge by hand."""
    added = begun.json("task", "add", "Fix auth bug", "--type", "fix", "--issue", "456", "--file", "src/auth")
    assert (added["task"]["id"], added["task"]["status"]) == ("task-001", "pending")
    begun.json("task", "add", "Test the login", "--type", "test", "--after", "task-001")
    claimed = begun.json("claim")
    assert claimed["branch"] == claimed["task"]["metadata"]["branchName"] == "fix/456-task-001-fix-auth-bug"
    assert claimed["lock"]["lockedFiles"] == claimed["task"]["metadata"]["files"] == ["src/auth"]
    assert claimed["task"]["token"] == claimed["lock"]["token"]
    tree = Path(claimed["worktree"])
    assert change(tree, "src/auth/login.ts").exit == 0
    assert begun.json("start", cwd=tree)["task"]["status"] == "in_progress"
    progress = begun.json("progress", "--step", "3/7", "--eta", "10", "writing tests", cwd=tree)["progress"]
    assert (progress["percentComplete"], progress["estimatedTimeRemaining"]) == (42, 10)
    status = begun.json("status")
    assert set(status) >= {"asOf", "workers", "tasks", "progress", "locks", "merges", "warnings"}
    assert (status["progress"], status["locks"]) == ([progress], [claimed["lock"]])
    completed = begun.json("complete", cwd=tree)
    assert (completed["task"]["status"], completed["position"]) == ("completed", 1)
    (merge,) = begun.json("merge", "list")["merges"]
    head = git("rev-parse", "HEAD", cwd=tree)
    assert (merge["state"], merge["head"], merge["branchName"]) == ("queued", head, claimed["branch"])
    assert git("rev-parse", claimed["branch"], cwd=begun.bare) == head
    land(begun, claimed["branch"])
    assert begun.json("gc")["landed"] == ["task-001"]
    assert begun.json("task", "show", "task-001")["task"]["mergedAt"]
    assert begun.json("locks")["locks"] == []


def test_gc_after_a_merge_by_hand_tidies_up(begun: Desk) -> None:
    """What has landed is recognised: dependents become ready, worktree and branch go, and the lock with them."""
    begun.json("task", "add", "Fix auth bug", "--file", "src/auth")
    begun.json("task", "add", "Test the login", "--after", "task-001", "--file", "test")
    claimed = begun.json("claim")
    tree = Path(claimed["worktree"])
    assert begun.json("claim", "task-002", check=6, worker="bob")["message"].count("task-001") == 1
    change(tree, "src/auth/login.ts")
    begun.json("complete", cwd=tree)
    assert begun.json("claim", check=4, worker="bob")["reasons"][0]["taskId"] == "task-002"
    land(begun, claimed["branch"])
    begun.json("gc")
    assert not tree.exists()
    assert run(["git", "rev-parse", "-q", "--verify", claimed["branch"]], begun.work, check=False).exit != 0
    assert begun.json("claim", worker="bob")["task"]["id"] == "task-002"


@pytest.fixture
def held(begun: Desk) -> tuple[Desk, Path]:
    """Alice holds src/auth in another clone; in this one Bob has a worktree for src/cart."""
    begun.json("task", "add", "Fix auth bug", "--file", "src/auth")
    begun.json("task", "add", "Count prices", "--file", "src/cart")
    begun.beside("other", "alice").json("claim", "task-001")
    bob = replace(begun, worker="bob")
    return bob, Path(bob.json("claim", "task-002")["worktree"])


def test_commit_of_a_foreign_file_is_refused(held: tuple[Desk, Path]) -> None:
    """In the main checkout and in a worktree the hook names file, holder and way out; nothing is committed."""
    bob, tree = held
    for checkout in (bob.work, tree):
        head = git("rev-parse", "HEAD", cwd=checkout)
        refused = change(checkout, "src/auth/login.ts")
        assert refused.exit != 0
        assert "src/auth/login.ts is held by alice" in refused.err
        assert "hint: " in refused.err
        assert git("rev-parse", "HEAD", cwd=checkout) == head


def test_commit_of_an_own_file_is_allowed(held: tuple[Desk, Path]) -> None:
    """What one holds, and what nobody holds, can be committed; one's own lock doesn't hold elsewhere."""
    bob, tree = held
    assert change(tree, "src/cart/basket.ts").exit == 0
    assert change(tree, "docs/guide.md").exit == 0
    assert change(bob.work, "docs/guide.md").exit == 0
    until = time.monotonic() + 30  # the first commit is told in the background
    while (status := bob.json("task", "show", "task-002")["task"]["status"]) == "claimed":
        assert time.monotonic() < until
    assert status == "in_progress"


def test_critical_files_need_a_lock(held: tuple[Desk, Path]) -> None:
    """package.json can be committed only under a lock of one's own."""
    _, tree = held
    refused = change(tree, "package.json")
    assert refused.exit != 0
    assert "git pw lock" in refused.err
    pw("lock", "package.json", cwd=tree, check=0)
    assert run(["git", "commit", "-qm", "Change it"], tree).exit == 0


def test_push_of_a_foreign_file_is_refused(held: tuple[Desk, Path]) -> None:
    """Who got past the commit hook is stopped by the push hook; nothing arrives."""
    bob, tree = held
    (tree / "src/auth/login.ts").write_text("export {}\n")
    git("commit", "-qam", "Past the hook", "--no-verify", cwd=tree)
    refused = run(["git", "push", "origin", "HEAD"], tree, check=False)
    assert refused.exit != 0
    assert "src/auth/login.ts is held by alice" in refused.err
    assert "task-002" not in git("for-each-ref", "refs/heads", cwd=bob.bare)


def test_push_of_own_work_is_allowed(held: tuple[Desk, Path]) -> None:
    """`git push` and `git pw push` bring the branch of one's own task to the remote."""
    bob, tree = held
    change(tree, "src/cart/basket.ts")
    git("push", "-q", "origin", "HEAD", cwd=tree)
    change(tree, "src/cart/basket.ts")
    pushed = bob.json("push", cwd=tree)
    assert (
        git("rev-parse", pushed["branch"], cwd=bob.bare)
        == pushed["head"]
        == git("rev-parse", "HEAD", cwd=tree)
    )


def test_hooks_run_the_ones_that_were_there(desk: Desk) -> None:
    """A hook of the user's runs first, and can refuse; ours then refuses what it must."""
    own = desk.work / ".git/hooks/pre-commit"
    own.parent.mkdir(exist_ok=True)
    own.write_text('#!/bin/sh\necho "own hook: $0"\ngit diff --cached --quiet -- forbidden.txt\n')
    own.chmod(0o755)
    desk.json("init")
    desk.json("task", "add", "Fix auth bug", "--file", "src/auth")
    desk.beside("other", "bob").json("claim")
    desk.json("locks")
    forbidden = change(desk.work, "forbidden.txt")
    assert (forbidden.exit != 0, "own hook: " in forbidden.err + forbidden.out) == (True, True)
    git("reset", "-q", cwd=desk.work)
    foreign = change(desk.work, "src/auth/login.ts")
    assert (foreign.exit != 0, "held by bob" in foreign.err) == (True, True)
    git("reset", "-q", cwd=desk.work)
    assert change(desk.work, "docs/guide.md").exit == 0


def test_best_task_is_chosen_and_explained(begun: Desk) -> None:
    """Priority, then the longest chain of work, then age; what doesn't fit is passed over, with the reason."""
    begun.json("worker", "register", "--max-tasks", "5")
    begun.json("task", "add", "Late", "--priority", "4")
    begun.json("task", "add", "First of two", "--estimate", "10")
    begun.json("task", "add", "Held", "--priority", "1", "--file", "src/pay")
    begun.json("task", "add", "Second of two", "--after", "task-002")
    begun.json("task", "add", "Short", "--estimate", "5")
    begun.json("task", "add", "For another", "--priority", "1", "--skill", "rust")
    begun.beside("other", "bob").json("lock", "src/pay/card.ts")
    first = begun.json("claim", "--no-worktree", "--explain")
    assert first["task"]["id"] == "task-002"
    codes = {reason["taskId"]: reason["code"] for reason in first["reasons"]}
    assert set(first["reasons"][0]) == {"taskId", "code", "reason"}
    assert (codes["task-003"], codes["task-004"], codes["task-006"]) == ("held", "waiting", "skills")
    assert begun.json("claim", "--no-worktree")["task"]["id"] == "task-005"
    assert begun.json("claim", "--no-worktree")["task"]["id"] == "task-001"
    assert begun.json("claim", "--no-worktree", check=4)["code"] == "nothing"


def test_claim_by_name_answers_the_same_again(begun: Desk) -> None:
    """Naming a task that one holds gives the same grant; a bare claim has no room left and names what is held."""
    begun.json("task", "add", "Fix auth bug", "--file", "src/auth")
    begun.json("task", "add", "Count prices")
    claimed = begun.json("claim")
    assert begun.json("claim", "task-001") == claimed
    assert begun.json("claim", "task-001", cwd=Path(claimed["worktree"])) == claimed
    assert begun.json("claim", check=6)["holding"] == ["task-001"]


def test_release_gives_the_task_back_and_keeps_the_work(begun: Desk) -> None:
    """The task is pending again; a branch with commits and a worktree with changes stay, and are named."""
    begun.json("task", "add", "Fix auth bug", "--file", "src/auth")
    tree = Path(begun.json("claim")["worktree"])
    change(tree, "src/auth/login.ts")
    (tree / "notes.txt").write_text("mine\n")
    released = begun.json("release", "task-001")
    assert (released["task"]["status"], released["task"]["assignedTo"]) == ("pending", None)
    assert any("branch" in note for note in released["notes"])
    assert any("worktree" in note for note in released["notes"])
    assert (tree / "notes.txt").read_text() == "mine\n"
    assert begun.json("locks")["locks"] == []
    again = begun.json("claim", "task-001")
    assert Path(again["worktree"]) == tree
    assert git("log", "-1", "--format=%s", cwd=tree) == "Change a file"


def test_failed_task_can_be_tried_again(begun: Desk) -> None:
    """`fail` keeps the reason and frees the locks, `task retry` puts the task back into the queue."""
    begun.json("task", "add", "Fix auth bug", "--file", "src/auth")
    begun.json("claim", "--no-worktree")
    failed = begun.json("fail", "--reason", "needs a decision")["task"]
    assert (failed["status"], failed["failure"]) == ("failed", "needs a decision")
    assert begun.json("locks")["locks"] == []
    assert begun.json("task", "retry", "task-001")["task"]["status"] == "pending"
    assert begun.json("claim", "--no-worktree", worker="bob")["task"]["id"] == "task-001"


def test_tasks_can_be_edited_and_cancelled(begun: Desk) -> None:
    """`edit` changes what is given, `cancel` takes the task out, and `list` filters."""
    begun.json("task", "add", "Fix auth bug", "--file", "src/auth")
    begun.json("task", "add", "Test it")
    edited = begun.json(
        *("task", "edit", "2", "--title", "Test the login", "--priority", "1", "--after", "1"),
        *("--type", "test", "--estimate", "20", "--skill", "ts", "--file", "test"),
    )["task"]
    assert (edited["title"], edited["priority"], edited["dependencies"]) == (
        "Test the login",
        1,
        ["task-001"],
    )
    assert [task["id"] for task in begun.json("task", "list", "--ready")["tasks"]] == ["task-001"]
    assert begun.json("task", "edit", "2", "--no-after", "1")["task"]["dependencies"] == []
    assert begun.json("task", "cancel", "1")["task"]["status"] == "cancelled"
    cancelled = begun.json("task", "list", "--status", "cancelled")["tasks"]
    assert [task["id"] for task in cancelled] == ["task-001"]
    assert [task["id"] for task in begun.json("task", "list")["tasks"]] == ["task-002"]


def test_locks_are_upgraded_shared_and_absorbed(begun: Desk) -> None:
    """Shared locks tolerate each other; the only one may make it exclusive; a claim takes over one's own locks."""
    begun.json("task", "add", "Describe", "--file", "docs/guide.md")
    bob = begun.beside("other", "bob")
    assert begun.json("lock", "--shared", "docs")["lock"]["mode"] == "shared"
    bob.json("lock", "--shared", "docs")
    assert begun.json("lock", "docs", check=3)["holder"]["workerId"] == "bob"
    bob.json("unlock", "docs")
    assert begun.json("lock", "docs", "--reason", "a rewrite")["lock"]["mode"] == "exclusive"
    assert bob.json("lock", "--shared", "docs", check=3)["code"] == "held"
    absorbed = begun.json("claim", "--no-worktree")["lock"]
    assert absorbed["lockedFiles"] == ["docs", "docs/guide.md"]
    assert begun.json("locks")["locks"] == [absorbed]
    assert bob.json("locks", "docs/other.md")["locks"] == [absorbed]
    assert bob.json("locks", "src")["locks"] == []


def test_unlock_by_force_voids_the_claim(begun: Desk) -> None:
    """With a reason, which the log keeps, anybody can end a claim: its holder is stale from then on."""
    begun.json("task", "add", "Fix auth bug", "--file", "src/auth")
    tree = Path(begun.json("claim")["worktree"])
    bob = begun.beside("other", "bob")
    assert bob.json("unlock", "src/auth", check=6)["holder"]["workerId"] == "alice"
    bob.json("unlock", "src/auth", "--force", "--reason", "on holiday")
    for words in (("progress", "--percent", "9"), ("complete",), ("heartbeat",)):
        stale = begun.json(*words, check=5, cwd=tree)
        assert (stale["code"], "bob" in stale["message"]) == ("stale", True)
    refused = change(tree, "src/auth/login.ts")
    assert (refused.exit != 0, "bob" in refused.err) == (True, True)
    last = bob.json("log")["events"][-1]
    assert (last["verb"], last["workerId"], last["detail"]["reason"]) == ("unlock", "bob", "on holiday")
    assert bob.json("claim", "--no-worktree")["task"]["id"] == "task-001"


def test_second_clone_joins_by_itself(begun: Desk) -> None:
    """In a fresh clone every command works without `init`, and sees what is held."""
    begun.json("task", "add", "Fix auth bug", "--file", "src/auth")
    begun.json("task", "add", "Count prices", "--file", "src/cart")
    begun.json("claim")
    bob = begun.beside("other", "bob")
    assert bob.json("claim", "task-001", check=3)["holder"]["workerId"] == "alice"
    assert bob.json("claim")["task"]["id"] == "task-002"
    assert [lock["workerId"] for lock in begun.json("locks")["locks"]] == ["alice", "bob"]
    joined = bob.json("init")
    assert (joined["created"], joined["moved"]) == (False, False)


def test_workers_are_registered_listed_and_unregistered(begun: Desk) -> None:
    """A worker can introduce itself, change, be shown, and leave when it holds nothing."""
    bob = begun.json(
        *("worker", "register", "bob", "--type", "ai_agent", "--agent-type", "codegen", "--skill", "ts"),
        *("--max-tasks", "2", "--github", "bob-gh", "--name", "Bob"),
    )["worker"]
    assert (bob["type"], bob["status"], bob["maxConcurrentTasks"]) == ("ai_agent", "idle", 2)
    assert bob["metadata"] == {"githubUsername": "bob-gh", "agentType": "codegen"}
    begun.json("task", "add", "Fix auth bug", "--skill", "ts")
    begun.json("claim", "--no-worktree", check=4)
    begun.json("claim", "--no-worktree", worker="bob")
    shown = begun.json("worker", "show", "bob")["worker"]
    assert (shown["status"], shown["currentTasks"], shown["skills"]) == ("working", ["task-001"], ["ts"])
    assert begun.json("worker", "unregister", "bob", check=6)["code"] == "invalid"
    begun.json("release", "task-001", worker="bob")
    begun.json("worker", "unregister", "bob")
    assert "bob" not in [worker["id"] for worker in begun.json("worker", "list")["workers"]]


def test_log_tells_everything_once(begun: Desk) -> None:
    """Each operation is one event with its counter, newest last, and filters pick some."""
    begun.json("task", "add", "Fix auth bug", "--file", "src/auth")
    claimed = begun.json("claim", "--no-worktree")
    begun.json("lock", "README.md", "--reason", "a note", worker="bob")
    events = begun.json("log")["events"]
    assert [event["counter"] for event in events] == list(range(1, len(events) + 1))
    assert [event["verb"] for event in events] == ["begin", "add", "claim", "lock"]
    assert events[2]["detail"].items() >= {"files": ["src/auth"], "token": claimed["lock"]["token"]}.items()
    assert events[3]["detail"].items() >= {"files": ["README.md"], "reason": "a note"}.items()
    assert [event["verb"] for event in begun.json("log", "--worker", "bob")["events"]] == ["lock"]
    assert [event["verb"] for event in begun.json("log", "--task", "1")["events"]] == ["add", "claim"]
    newcomer = begun.beside("new", "zoe")
    assert len(newcomer.json("log", "--all")["events"]) == len(events)


def test_worktree_commands(begun: Desk) -> None:
    """Worktrees are listed, found, kept while they are worked on, and removed when they aren't."""
    begun.json("task", "add", "Fix auth bug", "--file", "src/auth")
    tree = begun.json("claim")["worktree"]
    listed = begun.json("worktree", "list")
    assert tree in str(listed)
    assert begun.text("worktree", "path", "task-001").out == f"{tree}\n"
    assert begun.json("worktree", "remove", "task-001", check=6)["code"] == "invalid"
    begun.json("release", "task-001", "--keep-worktree")
    assert Path(tree).is_dir()
    begun.json("worktree", "remove", "task-001")
    assert not Path(tree).exists()
    begun.json("worktree", "prune")
    begun.json("worktree", "repair")


OTHERS = (
    ("doctor",),
    ("doctor", "--fix"),
    ("config",),
    ("config", "claim.lease"),
    ("config", "claim.lease", "90m"),
    ("health",),
    ("gc", "--dry-run"),
    ("status", "--offline"),
    ("worktree", "prune", "--dry-run"),
    ("task", "list", "--mine"),
    ("claim", "--dry-run"),
    ("lock", "README.md", "--dry-run"),
    ("unlock", "--all"),
    ("merge", "list"),
    ("completion", "bash"),
    ("--version",),
    ("uninstall",),
)


def test_every_other_command_answers_with_one_document(begun: Desk) -> None:
    """With --json stdout is exactly one document, whatever the command."""
    begun.json("task", "add", "Fix auth bug", "--file", "src/auth")
    for words in OTHERS:
        begun.json(*words)


def test_dry_run_changes_nothing(begun: Desk) -> None:
    """With --dry-run a claim, a lock and an add say what would happen, and the ledger stays where it is."""
    begun.json("task", "add", "Fix auth bug", "--file", "src/auth")
    tip = git("rev-parse", "refs/pw/locks/main", cwd=begun.bare)
    would = begun.json("claim", "--dry-run")
    assert (would["task"]["id"], would["dryRun"]) == ("task-001", True)
    begun.json("lock", "README.md", "--dry-run")
    assert git("rev-parse", "refs/pw/locks/main", cwd=begun.bare) == tip
    assert not (begun.work / ".worktrees").exists()


def everything(work: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and content of all files of a clone but objects and what a commit or a fetch writes."""
    left_out = {"objects", "logs", "ORIG_HEAD", "FETCH_HEAD", "COMMIT_EDITMSG", "index"}
    return {
        str(path.relative_to(work)): (path.stat().st_mode, path.read_bytes())
        for path in sorted(work.rglob("*"))
        if path.is_file()
        and not left_out & set(path.relative_to(work / ".git").parts[:1] if ".git" in path.parts else ())
    }


@pytest.mark.parametrize("hooks", ["none", "own", "husky"])
def test_uninstall_leaves_the_repository_as_it_was(desk: Desk, hooks: str) -> None:
    """Config, hooks and excludes are byte for byte what they were; only .gitpw.toml, the team's file, is left."""
    git("config", "alias.st", "status", cwd=desk.work)
    (desk.work / ".git/info/exclude").write_text("# mine\n*.log")
    folder = desk.work / (".husky" if hooks == "husky" else ".git/hooks")
    folder.mkdir(exist_ok=True)
    if hooks == "husky":
        git("config", "core.hooksPath", ".husky", cwd=desk.work)
    if hooks != "none":
        for name, text in (("pre-commit", "#!/bin/sh\nexit 0\n"), ("pre-push", "#!/usr/bin/env python3\n")):
            (folder / name).write_text(text)
            (folder / name).chmod(0o750)
    before = everything(desk.work)
    desk.json("init")
    desk.json("task", "add", "Fix auth bug", "--file", "src/auth")
    desk.json("claim", "--no-worktree")
    desk.json("lock", "README.md")
    assert everything(desk.work) != before
    desk.json("uninstall")
    assert set(everything(desk.work)) - set(before) == {".gitpw.toml"}
    (desk.work / ".gitpw.toml").unlink()
    assert everything(desk.work) == before
    assert git("status", "--porcelain", cwd=desk.work) == ("?? .husky/" if hooks == "husky" else "")


def test_uninstall_keeps_worktrees_and_the_others_ledger(begun: Desk) -> None:
    """Worktrees and branches stay and are named; on the remote the ledger stays until somebody says --purge-remote."""
    begun.json("task", "add", "Fix auth bug", "--file", "src/auth")
    tree = begun.json("claim")["worktree"]
    assert tree in str(begun.json("uninstall")["kept"])
    assert Path(tree, "README.md").exists()
    assert change(Path(tree), "docs/guide.md").exit == 0
    assert begun.beside("other", "bob").json("locks")["locks"][0]["workerId"] == "alice"
    begun.json("uninstall", "--purge-remote")
    assert "refs/pw" not in git("for-each-ref", cwd=begun.bare)
