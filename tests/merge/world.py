"""A team's repositories: a bare upstream, owners who work on tasks, mergers, and somebody who pushes to the base directly.

The tests of the base branch (`check.sh`) write down which tree they ran on, as it lay on the disk, and how it went:
red while anything is in `broken/` or both halves of a clash are there, and red once, for no reason, on some trees.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pygit2

from gitpw.app import open_context
from gitpw.domain.board import Board
from gitpw.domain.ids import TaskId
from gitpw.domain.merge import RETURNED, Merge
from gitpw.domain.operation import NewTask
from gitpw.domain.task import Task, TaskStatus
from gitpw.ledger.snapshot import Snapshot
from gitpw.services.add_tasks import add_tasks
from tests.support.git import clone, git, make_upstream, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.merge.players import Stage

LEDGER = "refs/pw/locks/main"
CHECK = """\
export GIT_INDEX_FILE="$PW_RECORD.$$"
git add -A && tree=$(git write-tree)
rm -f "$GIT_INDEX_FILE"
result=green
[ -z "$(ls broken 2>/dev/null)" ] || result=red
[ -e clash/a ] && [ -e clash/b ] && result=red
case $tree in [$PW_FLAKY]*) grep -q "^$tree" "$PW_RECORD" || result=flake ;; esac
echo "$tree $result $GITPW_COMMIT" >>"$PW_RECORD"
[ $result = green ]
"""
APART = 6
"""Lines between two that tasks may change, so that changes of different ones don't touch."""

SPOTS = 8
OWNERS = ("ann", "ben", "cat")
Kind = Literal["plain", "shared", "red", "clash", "rename", "mode", "fenced"]


class Handed(NamedTuple):
    """What was handed in: the subjects of its commits, and what the task's own file holds."""

    subjects: list[str]
    content: str


@dataclass
class Job:
    """A task as its owner sees it; `heads` is what was handed in, by its last commit."""

    task: TaskId
    kind: Kind
    owner: str
    place: Path
    after: list[TaskId] = field(default_factory=list)
    commits: int = 1
    subjects: list[str] = field(default_factory=list)
    heads: dict[str, Handed] = field(default_factory=dict)
    content: str = ""
    given_up: bool = False
    moved: bool = False
    stale: list[str] = field(default_factory=list)

    @property
    def tree(self) -> Path:
        """Its worktree."""
        return self.place / ".worktrees" / self.task

    @property
    def file(self) -> str:
        """The file that it alone changes."""
        return f"src/{self.task}.txt"


@dataclass
class World:
    """Everything there is, and what went wrong in it."""

    folder: Path
    stage: Stage
    rng: random.Random
    strategy: str
    window: int
    atomic: bool
    flaky: str = "07"
    jobs: dict[TaskId, Job] = field(default_factory=dict)
    direct: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    stale: list[tuple[str, Path]] = field(default_factory=list)
    broken: bool = False
    paused: bool = False
    base: str = ""
    before: set[str] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=dict)

    # setting up

    def set_up(self, kinds: Sequence[Kind]) -> None:
        """Make the repositories, and add a task of each of these kinds."""
        lines = "".join(f"line {number}\n" for number in range(SPOTS * APART))
        files: dict[str, str | bytes] = {
            f"old/{number}.txt": f"{lines}{number}\n" for number in range(1, len(kinds) + 1)
        }
        files |= {"README.md": "A shop\n", "check.sh": CHECK, "shared/common.txt": lines}
        make_upstream(self.bare, files, commits=1)
        git("config", "core.logAllRefUpdates", "true", cwd=self.bare)
        if not self.atomic:
            git("config", "receive.advertiseAtomic", "false", cwd=self.bare)
        desk = clone(self.bare, self.folder / "desk")
        self.pw(desk, "ann", "init", "--no-hooks", check=0)
        self._write_policy(desk)
        for name in ("attic", "elsewhere", "m0", "m1", "m2"):
            clone(self.bare, self.folder / name)
        self.base = self.tip()
        self.before = set(git("rev-list", "main", cwd=self.bare).split())
        self._add_jobs(kinds)

    def _write_policy(self, desk: Path) -> None:
        with (desk / ".gitpw.toml").open("a") as file:
            file.write(
                f'\n[merge]\ntest = "sh check.sh"\nstrategy = "{self.strategy}"\nwindow = {self.window}\n'
            )
        git("add", ".gitpw.toml", cwd=desk)
        git("commit", "-qm", "Set the rules", cwd=desk)
        git("push", "-q", "origin", "main", cwd=desk)

    def _add_jobs(self, kinds: Sequence[Kind]) -> None:
        desk = self.folder / "desk"
        for owner in OWNERS:
            self.pw(desk, owner, "worker", "register", owner, "--max-tasks", "100", check=0)
        new = []
        for number, kind in enumerate(kinds, start=1):
            task = TaskId(f"task-{number:03}")
            job = Job(task, kind, self.rng.choice(OWNERS), desk, commits=self.rng.choice((1, 1, 2, 3)))
            chained = [earlier for earlier in self.jobs if self.jobs[earlier].kind == "plain"]
            if len(set(kinds)) > 1 and chained and self.rng.random() < 0.25:
                job.after.append(self.rng.choice(chained))
            self.jobs[task] = job
            priority = self.rng.choice((1, 3, 3, 3, 5))
            files = (job.file,) if kind == "fenced" else ()
            new.append(
                NewTask(title=f"Task {number}", priority=priority, after=tuple(job.after), files=files)
            )
        add_tasks(open_context(directory=str(desk), worker="ann"), new)

    # what is where

    @property
    def bare(self) -> Path:
        """The upstream."""
        return self.folder / "up.git"

    @property
    def record(self) -> Path:
        """What the tests wrote down."""
        return self.folder / "record"

    def greens(self) -> set[str]:
        """The trees on which the tests were green so far."""
        lines = self.record.read_text().splitlines() if self.record.exists() else []
        return {tree for tree, result, *_ in map(str.split, lines) if result == "green"}

    def tip(self, ref: str = "refs/heads/main") -> str:
        """Where a ref of the upstream stands."""
        return (self.bare / ref).read_text().strip()

    def board(self) -> Board:
        """The ledger, as it is on the upstream."""
        repo = pygit2.Repository(str(self.bare))
        found = repo[self.tip(LEDGER)]
        assert isinstance(found, pygit2.Commit)
        return Board(Snapshot(repo, found.tree))

    def env(self, worker: str, host: str = "desk") -> dict[str, str]:
        """What a git-pw process sees of the world."""
        own = {
            "GITPW_WORKER": worker,
            "GITPW_HOST": host,
            "PW_RECORD": str(self.record),
            "PW_FLAKY": self.flaky,
        }
        return {**os.environ, **own}

    def count(self, what: str) -> None:
        """Count something for the report."""
        self.counts[what] = self.counts.get(what, 0) + 1

    def watch(self, who: str) -> None:
        """Note where the base branch went, and whether that very tree was green before, if a merger moved it."""
        now = self.tip()
        if now == self.base or not self.base:
            return
        if who != "direct" and now not in self.direct:
            tree = git("rev-parse", f"{now}^{{tree}}", cwd=self.bare)
            if tree not in self.greens():
                self.violations.append(f"{who} moved the base to {now[:12]}, whose tree was never green")
        self.base = now

    # commands

    def pw(
        self, place: Path, worker: str, *words: str, check: int | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Run a command to its end."""
        host = place.name if place.parent == self.folder else "desk"
        status, data = self.stage.call(words, place, self.env(worker, host))
        assert check is None or status == check, f"{words}: {status} {data}"
        self.watch("a command")
        return status, data

    # owners

    def task(self, board: Board, job: Job) -> Task:
        """What the ledger says of a task."""
        found = board.task(job.task)
        assert found is not None
        return found

    def is_open(self, board: Board, job: Job) -> bool:
        """Whether an owner has something to do about it."""
        task, entry = self.task(board, job), board.entry(job.task)
        if job.given_up or task.merged_at is not None:
            return False
        if task.status is TaskStatus.PENDING:
            return not board.unmet(task)
        return task.status is not TaskStatus.COMPLETED or (entry is not None and entry.state in RETURNED)

    def go_on(self, job: Job) -> None:
        """The owner does what is next: claim and work, hand in, or mend what came back."""
        board = self.board()
        task, entry = self.task(board, job), board.entry(job.task)
        if task.status is TaskStatus.PENDING:
            self._begin(job)
        elif entry is not None and entry.state in RETURNED:
            self.count("returned")
            self._mend(job, entry)
            self.hand_in(job)
        elif task.status in {TaskStatus.CLAIMED, TaskStatus.IN_PROGRESS}:
            self.hand_in(job)

    def _begin(self, job: Job) -> None:
        status, data = self.pw(job.place, job.owner, "claim", job.task)
        if status != 0:
            self.violations.append(f"{job.owner} couldn't claim {job.task}: {data}")
            job.given_up = True
            return
        for number in range(job.commits):
            self.work(job, self._edit(job, number, last=number == job.commits - 1))
        if job.kind == "mode":
            (job.tree / f"old/{int(job.task[-3:])}.txt").chmod(0o755)
            self.work(job, {"data.bin": bytes(range(256)) * 4})

    def _edit(self, job: Job, number: int, *, last: bool) -> dict[str, bytes | None]:
        job.content = f"{job.task} by {job.owner}, version {number}\n"
        edit: dict[str, bytes | None] = {job.file: job.content.encode()}
        old = f"old/{int(job.task[-3:])}.txt"
        if job.kind == "rename" and last:
            edit |= {f"new/{job.task}.txt": (job.tree / old).read_bytes(), old: None}
        elif job.kind == "shared" and last:
            lines = (job.tree / "shared/common.txt").read_text().splitlines(keepends=True)
            lines[APART] = f"as {job.task} wants it\n"
            edit["shared/common.txt"] = "".join(lines).encode()
        elif job.kind == "red" and last:
            edit[f"broken/{job.task}"] = b"red\n"
        elif job.kind == "clash" and last:
            edit[f"clash/{self._half(job)}"] = job.task.encode()
        return edit

    def _half(self, job: Job) -> str:
        pair = [task for task, one in self.jobs.items() if one.kind == "clash"]
        return "ab"[pair.index(job.task)]

    def work(self, job: Job, edit: dict[str, bytes | None]) -> None:
        """Commit something in the task's worktree."""
        for name, content in edit.items():
            path = job.tree / name
            if content is None:
                path.unlink()
            else:
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(content)
        job.subjects.append(f"{job.task}.{job.owner}.{len(job.subjects)}")
        git("add", "-A", cwd=job.tree)
        git("commit", "-qm", job.subjects[-1], cwd=job.tree)

    def hand_in(self, job: Job) -> None:
        """Complete; a task that is landing just now can't be, nor one that has landed meanwhile."""
        head = git("rev-parse", "HEAD", cwd=job.tree)
        job.heads[head] = Handed(list(job.subjects), job.content)
        status, data = self.pw(job.tree, job.owner, "complete")
        if job.stale and status == 1 and data["hint"] == "fetch it and look":
            git("fetch", "-q", "origin", cwd=job.tree)
            status, data = self.pw(job.tree, job.owner, "complete")
        if status == 3 or (status == 6 and "landing" in data["message"]):
            self.count("hand-ins that had to wait")
        elif status == 5 and "was merged" in data["message"]:
            self.count("hand-ins that came too late")
            del job.heads[head]
        elif status != 0:
            self.violations.append(f"{job.owner} couldn't complete {job.task}: {data}")
            job.given_up = True

    def _mend(self, job: Job, entry: Merge) -> None:
        """Do what the queue says has to be done."""
        self.count(f"returned: {entry.data.get('reason') or entry.state}")
        if not entry.detail:
            self.violations.append(f"{job.task} came back without a reason")
        if entry.state == "conflict":
            self._rebase(job, entry.data["commands"])
        elif (job.tree / f"broken/{job.task}").exists():
            self.work(job, {f"broken/{job.task}": None})
        elif entry.data.get("reason") == "tests" and job.kind == "clash":
            half = f"clash/{self._half(job)}"
            if (job.tree / half).exists():
                self.work(job, {half: None})
        elif entry.data.get("reason") == "tests":
            self.violations.append(f"{job.task} was sound and came back: {entry.detail}")

    def _rebase(self, job: Job, commands: Sequence[str]) -> None:
        """Run the commands that the queue names; in a conflict the task's own version wins."""
        git("fetch", "-q", "origin", cwd=job.tree)
        rebase = next(command for command in commands if command.startswith("git rebase"))
        quiet = {"GIT_EDITOR": "true"}
        done = run(rebase.split(), job.tree, quiet, check=False)
        while done.exit:
            files = git("diff", "--name-only", "--diff-filter=U", cwd=job.tree).split()
            if not files:
                self.violations.append(f"{rebase} fails in {job.task}: {done.err}")
                return
            git("checkout", "--theirs", "--", *files, cwd=job.tree)
            git("add", "-A", cwd=job.tree)
            done = run(["git", "rebase", "--continue"], job.tree, quiet, check=False)

    # others

    def push_directly(self, edit: dict[str, bytes | None]) -> None:
        """Somebody pushes to the base branch without asking anybody."""
        place = self.folder / "elsewhere"
        while True:
            git("fetch", "-q", "origin", "main", cwd=place)
            git("reset", "-q", "--hard", "FETCH_HEAD", cwd=place)
            for name, content in edit.items():
                path = place / name
                path.parent.mkdir(exist_ok=True)
                path.unlink(missing_ok=True) if content is None else path.write_bytes(content)
            git("add", "-A", cwd=place)
            git("commit", "-q", "--allow-empty", "-m", f"direct.{len(self.direct)}", cwd=place)
            if run(["git", "push", "-q", "origin", "HEAD:main"], place, check=False).exit == 0:
                break
        self.direct.append(git("rev-parse", "HEAD", cwd=place))
        self.watch("direct")
        self.count("direct pushes")

    def push_branch(self, job: Job) -> None:
        """The owner pushes the branch with plain git, and hands nothing in."""
        branch = git("branch", "--show-current", cwd=job.tree)
        git("push", "-q", "origin", f"HEAD:{branch}", cwd=job.tree)

    def seize(self, job: Job) -> None:
        """The owner's claim is voided by force; from now on it is another's, in another clone."""
        attic = self.folder / "attic"
        self.pw(attic, "boss", "unlock", job.file, "--force", "--reason", "a test", check=0)
        self.stale.append((job.owner, job.tree))
        job.stale += job.subjects
        job.owner, job.place, job.subjects, job.heads = "dora", attic, [], {}
        self.count("seized")

    def hand_in_stale(self) -> None:
        """Who lost a claim, and hasn't heard of it, hands in."""
        for owner, tree in self.stale:
            status, data = self.pw(tree, owner, "complete")
            if status == 0:
                self.violations.append(f"{owner} handed in what was taken away: {data}")
            self.count("stale hand-ins")

    def grow_old(self) -> None:
        """Files that killed commands have left were left long ago."""
        for place in ("desk", "attic", "m0", "m1", "m2"):
            ours = self.folder / place / ".git/pw"
            for path in (*ours.glob("*"), *ours.glob("journal/*"), *ours.glob("merge/*")):
                if path.is_file():
                    os.utime(path, (0, 0))
