"""Early warning: which branches of tasks would conflict if they were merged now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.forecast import Changes, pairs, touched
from gitpw.domain.ids import TaskId, WorkerId
from gitpw.domain.lock import Claim, Held
from gitpw.domain.task import is_branch
from gitpw.errors import FailedError
from gitpw.services.base import base_branch, base_tip
from gitpw.services.ports import Context, Fetch

MOST = 100
"""Branches that are compared with each other."""

LOOKED_THROUGH = 300
"""Claims among which a claim looks for others' branches: it mustn't take longer for what is nice to know."""

WAIT = 5.0
"""Seconds to wait for others' branches, most often less than 0.1; what comes later is known the next time."""

SHOWN = 3
"""Files that a sentence names."""


class Branch(NamedTuple):
    """Where the work on a task stands."""

    task: TaskId
    worker: WorkerId
    name: str
    tip: str


class Clash(NamedTuple):
    """Two branches that would conflict now, in which files; `other` is None for the base branch."""

    one: Branch
    other: Branch | None
    base: str
    files: Sequence[str]

    def __str__(self) -> str:
        """As a warning."""
        if self.other is None:
            return f"{_of(self.one)} would conflict with {self.base} now: {shown(self.files)}"
        return f"{_of(self.one)} and {_of(self.other)} would conflict now: {shown(self.files)}"

    def public(self) -> dict[str, object]:
        """As `--json` shows it."""
        other = _public(self.other) if self.other else {**_public(None), "branchName": self.base}
        return {**_public(self.one), "with": other, "files": self.files}


class Forecast(NamedTuple):
    """The conflicts to come; `unknown` pairs couldn't be merged in time."""

    clashes: list[Clash]
    unknown: int = 0


def forecast(
    ctx: Context, branches: Sequence[Branch], within: float, *, only: TaskId | None = None
) -> Forecast:
    """Which of the branches conflict with the base branch or with each other; with `only`, those of one task."""
    base = base_tip(ctx)
    ahead = {one.tip: one for one in branches[:MOST] if one.tip != base}
    if base is None or not ahead:
        return Forecast([])
    try:
        changed = ctx.conflicts.changes(list(ahead), base, within)
    except FailedError:
        return Forecast([], len(ahead))
    wanted = [(base, tip) for tip in ahead if changed.get(tip, Changes()).paths]
    wanted += pairs(list(ahead), changed)
    if only is not None:
        mine = {tip for tip, one in ahead.items() if one.task == only}
        wanted = [pair for pair in wanted if not mine.isdisjoint(pair)]
    found = ctx.conflicts.conflicts(wanted, within)
    name = base_branch(ctx)
    clashes = [
        Clash(ahead[two], None, name, files) if one == base else Clash(ahead[one], ahead[two], name, files)
        for (one, two), files in found.items()
        if files
    ]
    return Forecast(clashes, len(wanted) - len(found))


def also_changed(ctx: Context, board: Board, branches: Sequence[Branch], locks: Sequence[Held]) -> list[str]:
    """In words: which of the locked files others have changed on branches that haven't landed."""
    base = base_tip(ctx)
    if base is None or not branches or not locks:
        return []
    changed = ctx.conflicts.changes([one.tip for one in branches], base, WAIT)
    notes = []
    for one in branches:
        files = touched(board, locks, sorted(changed.get(one.tip, Changes()).paths))
        if files:
            whose = "your" if one.worker == ctx.me.worker else f"{one.worker}'s"
            notes.append(f"{shown(files)} also changed on {whose} branch {one.name} ({one.task})")
    return notes


def with_branches(claims: Iterable[Claim]) -> Iterator[Claim]:
    """Those by which somebody works on a task, on a branch that others can know.

    A name becomes part of a refspec: what isn't one is left out, whoever wrote it into the ledger.
    """
    return (claim for claim in claims if claim.task and claim.branch and is_branch(claim.branch))


def some_others(board: Board, but: TaskId | None) -> list[Claim]:
    """Claims of other tasks, as many as can be looked at in no time."""
    found = with_branches(islice(board.claims(), LOOKED_THROUGH))
    return [claim for claim in found if claim.task != but][:MOST]


def start_fetch(ctx: Context, claims: Sequence[Claim]) -> Fetch | None:
    """Begin to fetch the branches of claims, and the base; None where there is nobody to ask, or nothing to ask for."""
    names = [claim.branch for claim in claims if claim.branch is not None][:MOST]
    if ctx.remote is None or not names or ctx.dry_run:
        return None
    return ctx.repo.start_fetch(ctx.remote, [base_branch(ctx), *names])


def stands(ctx: Context, claims: Sequence[Claim]) -> list[Branch]:
    """Where the branches of claims stand: in the worktree here, else on the remote as last fetched, else locally."""
    trees = {
        tree.own.claim: tree.head for tree in ctx.worktrees.all() if tree.own is not None and tree.present
    }
    if ctx.repo.git_dir == ctx.repo.common_dir:
        trees |= {own.claim: ctx.repo.resolve("HEAD") for own in ctx.checkout.own() if own.task is not None}
    spaces = ["refs/heads/"] if ctx.remote is None else [f"refs/remotes/{ctx.remote}/", "refs/heads/"]
    known = ctx.repo.tips([f"{space}{claim.branch}" for claim in claims for space in spaces])
    found = []
    for claim in claims:
        places = [trees.get(claim.id), *(known.get(f"{space}{claim.branch}") for space in spaces)]
        tip = next(filter(None, places), None)
        if tip is not None and claim.task is not None and claim.branch is not None:
            found.append(Branch(claim.task, claim.worker, claim.branch, tip))
    return found


def shown(files: Sequence[str]) -> str:
    """Some files in words."""
    more = f" and {len(files) - SHOWN} more" if len(files) > SHOWN else ""
    return ", ".join(files[:SHOWN]) + more


def _of(branch: Branch) -> str:
    return f"{branch.task} ({branch.worker})"


def _public(branch: Branch | None) -> dict[str, object]:
    return {
        "taskId": branch and branch.task,
        "workerId": branch and branch.worker,
        "branchName": branch and branch.name,
    }
