"""What must be true when everything has settled, found with nothing but git and the ledger's own history."""

from __future__ import annotations

import fcntl
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pygit2

from gitpw.ledger.commits import Entry, read
from tests.merge.world import LEDGER
from tests.support.git import git, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gitpw.domain.board import Board
    from gitpw.domain.task import Task
    from tests.merge.world import Job, World

MERGERS_VERBS = {"freeze", "land", "landing", "merging", "return"}
LITTER = re.compile(r"^(trace|shallow)-|\.(tmp|new)$")
"""What is there only while a command is at work."""


@dataclass
class Verdict:
    """What was found; `takeovers` is how often a merger took the queue from another."""

    violations: list[str] = field(default_factory=list)
    landed: int = 0
    takeovers: int = 0
    operations: int = 0


def verdict(world: World) -> Verdict:
    """Look at everything."""
    found = Verdict()
    board = world.board()
    found.violations += _base(world)
    found.violations += _history(world, found)
    said = git("log", "--reverse", "--first-parent", "--format=%x01%B", "main", cwd=world.bare).split("\x01")
    if world.strategy == "merge":
        said = _by_landing(world)
    for job in world.jobs.values():
        found.violations += _job(world, board, job, said)
        task = world.task(board, job)
        found.landed += task.merged_at is not None
    found.violations += _left_behind(world, board)
    return found


# the base branch


def _base(world: World) -> Iterator[str]:
    """It only ever moved forward, one commit after the other, and nobody's direct push is lost."""
    greens = world.greens()
    log = (world.bare / "logs/refs/heads/main").read_text().splitlines()
    for line in log:
        old, new = line.split()[:2]
        if (
            set(old) != {"0"}
            and run(["git", "merge-base", "--is-ancestor", old, new], world.bare, check=False).exit
        ):
            yield f"the base went from {old[:12]} to {new[:12]}, which hasn't got it"
        by_queue = new not in {*world.direct, *world.before}
        if by_queue and git("rev-parse", f"{new}^{{tree}}", cwd=world.bare) not in greens:
            yield f"the base went to {new[:12]}, whose tree was never green"
    if world.strategy != "merge" and git("rev-list", "--merges", "main", cwd=world.bare):
        yield "the base's history isn't a line"
    for commit in world.direct:
        if run(["git", "merge-base", "--is-ancestor", commit, "main"], world.bare, check=False).exit:
            yield f"the direct push {commit[:12]} is lost"


def _by_landing(world: World) -> list[str]:
    """The messages of what each step of the base's own line brought with it."""
    steps = git("rev-list", "--reverse", "--first-parent", "main", cwd=world.bare).split()
    told, before = [], ""
    for step in steps:
        told.append(git("log", "--format=%B", step, *([f"^{before}"] if before else []), cwd=world.bare))
        before = step
    return told


# tasks


def _job(world: World, board: Board, job: Job, said: list[str]) -> Iterator[str]:
    """Landed whole, once, and after what it needs; or back with its owner, with a reason, and nothing of it landed."""
    task = world.task(board, job)
    for text in set(job.stale) - set(job.subjects):
        if _places(said, text):
            yield f"{text} landed although its claim was taken away"
    if task.merged_at is None:
        yield from _not_landed(board, job, task, said)
        return
    handed = job.heads.get(task.head or "")
    if handed is None:
        yield f"{job.task} landed as {task.head}, which nobody handed in"
        return
    places = {text: _places(said, text) for text in handed.subjects}
    yield from (
        f"{text} is on the base {len(found)} times" for text, found in places.items() if len(found) != 1
    )
    there = run(["git", "show", f"main:{job.file}"], world.bare, check=False).out
    if there != handed.content:
        yield f"{job.file} on the base is {there!r}, not {handed.content!r}"
    mine = [place for found in places.values() for place in found]
    yield from _in_order(world, task, mine, said)


def _not_landed(board: Board, job: Job, task: Task, said: list[str]) -> Iterator[str]:
    """Everybody mends what comes back, so only what was given up may not have landed."""
    if not job.given_up:
        entry = board.entry(job.task)
        yield f"{job.task} ({job.kind}) never landed: {task.status}, {entry and (entry.state, entry.detail)}"
    if any(_places(said, text) for text in (*job.subjects, *_texts(job))):
        yield f"{job.task} isn't merged, but on the base"


def _in_order(world: World, task: Task, mine: list[int], said: list[str]) -> Iterator[str]:
    """What it needs came before it."""
    for name in task.dependencies:
        theirs = [place for text in _texts(world.jobs[name]) for place in _places(said, text)]
        if mine and theirs and max(theirs) > min(mine):
            yield f"{task.id} landed before {name}, which it needs"


def _texts(job: Job) -> list[str]:
    """The subjects of all that was ever handed in."""
    return [text for handed in job.heads.values() for text in handed.subjects]


def _places(said: list[str], text: str) -> list[int]:
    """Where on the base a commit's subject stands, each occurrence."""
    pattern = re.compile(rf"(?<![\w.]){re.escape(text)}(?![\w.])")
    return [place for place, message in enumerate(said) for _ in pattern.findall(message)]


# the ledger


def _history(world: World, found: Verdict) -> Iterator[str]:
    """The counter has no gaps, each task was landed once, and no merger acted after it had been replaced."""
    entries = list(_entries(world.bare))
    found.operations = len(entries)
    counters = [entry.counter for entry in entries]
    if counters != list(range(counters[0], counters[0] + len(counters))):
        yield "the ledger's counter has gaps"
    token: int | None = None
    landed: set[str] = set()
    for entry in entries:
        request, outcome = entry.operation["request"], entry.outcome
        verb, by = request["verb"], request.get("token")
        if verb in MERGERS_VERBS and by is not None and by != token:
            yield f"operation {entry.counter} ({verb}) is by the merger {by}, not {token}"
        if verb == "merging" and outcome.get("token") is not None:
            found.takeovers += by is None and token is not None
            token = outcome["token"]
        if verb == "freeze" or request.get("leave"):
            token = None
        if verb == "land":
            yield from (f"{task} was landed twice" for task in outcome["tasks"] if task in landed)
            landed |= set(outcome["tasks"])


def _entries(bare: Path) -> Iterator[Entry]:
    """The ledger's operations, oldest first."""
    repo = pygit2.Repository(str(bare))
    tip = repo.references[LEDGER].target
    order = pygit2.enums.SortMode.TOPOLOGICAL | pygit2.enums.SortMode.REVERSE
    for commit in repo.walk(tip, order):
        entry = read(commit.raw_message.decode())
        if entry is not None:
            yield entry


# what is left


def _left_behind(world: World, board: Board) -> Iterator[str]:
    """No refs, worktrees, locks, open operations or processes but those that belong there."""
    kept = {"refs/heads/main", LEDGER}
    kept |= {
        f"refs/heads/{_branch(world, board, job)}"
        for job in world.jobs.values()
        if _may_stay(world, board, job)
    }
    unmerged = git("for-each-ref", "--format=%(refname)", "--no-merged=main", "refs/heads", cwd=world.bare)
    kept |= {f"refs/heads/{name}" for name in _of_the_lost(world, board)} & set(unmerged.split())
    yield from (f"{ref} is left on the upstream" for ref in _refs(world.bare) if ref not in kept)
    yield from (
        f"{claim.task} still has locks"
        for claim in board.claims()
        if _is_merged(world, board, str(claim.task))
    )
    if board.line.merger is not None:
        yield f"{board.line.merger.worker} still runs the queue"
    yield from (f"{path} is left" for path in world.folder.rglob("*.lock") if not _is_free(path))
    for name in ("desk", "attic", "m0", "m1", "m2"):
        yield from _left_in(world, board, world.folder / name)
    yield from (f"process {pid} is left" for pid in world.stage.strays())


def _is_free(path: Path) -> bool:
    """Whether it is a file that git-pw locks, and nobody does: git's own lock files mean something by being there."""
    if "pw" not in path.relative_to(path.anchor).parts:
        return False
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _may_stay(world: World, board: Board, job: Job) -> bool:
    """Whether a task's branch may be on the upstream: with its owner, or with more than was handed in."""
    return job.given_up or job.moved or bool(job.stale) or world.task(board, job).merged_at is None


def _of_the_lost(world: World, board: Board) -> set[str]:
    """The branches of workers who lost their task to another: what they did is theirs, and nobody deletes it."""
    return {left.branch for job in world.jobs.values() for left in world.task(board, job).left}


def _branch(world: World, board: Board, job: Job) -> str:
    return world.task(board, job).metadata.branch_name or ""


def _is_merged(world: World, board: Board, name: str) -> bool:
    return name in world.jobs and world.task(board, world.jobs[name]).merged_at is not None  # type: ignore[index]


def _refs(repository: Path) -> list[str]:
    return git("for-each-ref", "--format=%(refname)", cwd=repository).split()


def _left_in(world: World, board: Board, clone: Path) -> Iterator[str]:
    """In a clone: worktrees and branches of tasks that are merged, open operations, and files of our own."""
    ours = clone / ".git/pw"
    yield from (f"{path} is still open" for path in (ours / "journal").glob("*"))
    yield from (f"{path} is left" for path in (ours / "trash").glob("*"))
    yield from (
        f"{path} is left" for path in (*ours.glob("*"), *ours.glob("merge/*")) if LITTER.search(path.name)
    )
    keeps = {f"refs/remotes/origin/{name}" for name in ("HEAD", "main")} | {"refs/heads/main"}
    stays = {_branch(world, board, job) for job in world.jobs.values() if _may_stay(world, board, job)}
    stays |= _of_the_lost(world, board)
    keeps |= {f"{kind}/{name}" for name in stays for kind in ("refs/heads", "refs/remotes/origin")}
    fetches = clone.name in {"desk", "attic"}  # whoever fetches has what was there then, until they prune
    left = [
        ref for ref in _refs(clone) if ref not in keeps and not (fetches and ref.startswith("refs/remotes/"))
    ]
    yield from (f"{ref} is left in {clone.name}" for ref in left)
    trees = [
        line[9:]
        for line in git("worktree", "list", "--porcelain", cwd=clone).splitlines()
        if line[:9] == "worktree "
    ]
    for tree in trees[1:]:
        name = tree.rpartition("/")[2]
        may = name in world.jobs and _may_stay(world, board, world.jobs[name])  # type: ignore[index]
        if tree != str(ours / "merge/tree") and not may:
            yield f"worktree {tree} is left"
