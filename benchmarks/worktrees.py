"""Removing a worktree, predicting conflicts, listing worktrees: each against what git alone, or one by one, would take."""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

from benchmarks.measure import alternate, median
from gitpw.adapters.conflicts import GitConflicts
from gitpw.adapters.git import GitRepo
from gitpw.adapters.worktree import GitWorktrees
from gitpw.app import open_context
from gitpw.domain.checkout import Own
from gitpw.domain.forecast import pairs
from gitpw.domain.ids import ClaimId, TaskId, WorkerId
from gitpw.domain.operation import Add, NewTask, Register
from gitpw.services.claim import claim
from tests.support.git import git, run

LINES = 40


def main() -> None:
    """Print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=5_000)
    parser.add_argument("--branches", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = _repository(Path(folder, "work"), options.files, options.branches)
        _removal(work, options.files, options.rounds)
        _prediction(work, options.branches)
    with tempfile.TemporaryDirectory() as folder:
        _listing(_repository(Path(folder, "work"), 100, 0), options.branches)


def _repository(where: Path, files: int, branches: int) -> Path:
    """A repository with so many files, and branches of five changed files each of which some meet."""
    run(["git", "init", "-q", "--initial-branch=main", where])
    for key in ("name", "email"):
        git("config", f"user.{key}", "bench@example.com", cwd=where)
    stream = [_commit("main", 0, "", {number: _text(number) for number in range(files)})]
    for branch in range(branches):
        chosen = {(branch * 37 + step * 11) % min(files, 300) for step in range(5)}
        changed = {number: _text(number, f" by {branch}") for number in chosen}
        stream.append(_commit(f"b{branch}", branch, "from refs/heads/main\n", changed))
    subprocess.run(["git", "fast-import", "--quiet"], cwd=where, input=b"".join(stream), check=True)
    git("reset", "-q", "--hard", cwd=where)
    return where


def _text(number: int, mark: str = "") -> bytes:
    lines = (f"line {number} {line}{mark if line == LINES // 2 else ''}" for line in range(LINES))
    return "\n".join(lines).encode()


def _commit(branch: str, number: int, parent: str, files: dict[int, bytes]) -> bytes:
    head = (
        f"commit refs/heads/{branch}\ncommitter B <b@b> {1_700_000_000 + number} +0000\ndata 1\nb\n{parent}"
    )
    parts = [
        b"M 100644 inline src/d%d/f%d.txt\ndata %d\n%s\n" % (n % 100, n, len(t), t) for n, t in files.items()
    ]
    return head.encode() + b"".join(parts)


def _trees(work: Path) -> GitWorktrees:
    return GitWorktrees(GitRepo.discover(str(work)))


def _own(number: int) -> Own:
    return Own(ClaimId(f"{number:016x}"), number, TaskId(f"task-{number:03}"), WorkerId("bench"))


def _removal(work: Path, files: int, rounds: int) -> None:
    """With every check that we make, against git's own removal, which makes fewer; making them isn't measured."""
    trees = _trees(work)

    def made(number: int) -> None:
        trees.make(f".worktrees/task-{number:03}", f"t{number}", "main", _own(number))

    def ours(number: int) -> None:
        found = trees.find(TaskId(f"task-{number + 100:03}"))
        assert found is not None
        trees.remove(found)

    def bare(number: int) -> None:
        """What the removal itself comes to, the checks left out."""
        path = work / ".worktrees" / f"task-{number + 300:03}"
        path.rename(work / ".git/pw" / f"bare-{number}")
        git("worktree", "remove", path, cwd=work)

    def theirs(number: int) -> None:
        git("worktree", "remove", work / ".worktrees" / f"task-{number + 200:03}", cwd=work)

    for number in range(rounds + 1):
        for kind in (100, 200, 300):
            made(kind + number)
    times = alternate({"ours": ours, "theirs": theirs, "bare": bare}, rounds)
    mine, git_s, least = (median(times[name]) for name in ("ours", "theirs", "bare"))
    print(
        f"removal, {files} files: {mine:.0f} ms with all checks; git worktree remove {git_s:.0f} ms, "
        f"ratio {mine / git_s:.2f}; rename and forget alone {least:.0f} ms"
    )


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def _prediction(work: Path, branches: int) -> None:
    """All pairs of branches and each against the base: as `status` does it, anew and again, and pair by pair."""
    repo = GitRepo.discover(str(work))
    conflicts = GitConflicts(repo)
    tips = [str(repo.resolve(f"b{number}")) for number in range(branches)]
    base = str(repo.resolve("main"))

    def predicted() -> int:
        changed = conflicts.changes(tips, base, 60)
        wanted = [(base, tip) for tip in tips] + pairs(tips, changed)
        return len(conflicts.conflicts(wanted, 60))

    anew, again = _timed(predicted), _timed(predicted)
    every = list(combinations(tips, 2))
    Path(repo.common_dir, "pw", "conflicts.json").unlink()
    brute = _timed(lambda: conflicts.conflicts(every, 60))
    some = every[:: max(len(every) // 50, 1)]
    words = ["merge-tree", "--write-tree", "--name-only"]
    one = _timed(lambda: [repo.git(*words, *pair) for pair in some]) / len(some)
    print(
        f"prediction, {branches} branches, {len(every)} pairs: {anew:.0f} ms, again {again:.0f} ms; every pair merged "
        f"in one process {brute:.0f} ms; a process for each pair {one * len(every):.0f} ms, ratio {anew / (one * len(every)):.4f}"
    )


def _listing(work: Path, number: int) -> None:
    """`git pw worktree list` against `git worktree list`."""
    run(["git", "pw", "init"], cwd=work)
    ctx = open_context(directory=str(work), worker="bench")
    ctx.ledger.transact(Register(id="bench", max_concurrent_tasks=number), ctx.me)
    ctx.ledger.transact(Add(tasks=tuple(NewTask(title=f"Task {n}") for n in range(number))), ctx.me)
    for _ in range(number):
        claim(ctx)
    ours = _timed(lambda: run(["git", "pw", "worktree", "list", "--json"], cwd=work))
    theirs = _timed(lambda: run(["git", "worktree", "list"], cwd=work))
    print(f"list, {number} worktrees: {ours:.0f} ms; git worktree list, which says less, {theirs:.0f} ms")


if __name__ == "__main__":
    main()
