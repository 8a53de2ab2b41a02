"""What earlier workers left of a task, and where it can be had: on the remote, in a worktree here, on their host."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from gitpw.domain.ids import WorkerId
from gitpw.domain.task import Left, Task, is_branch
from gitpw.services.base import FETCH_TIMEOUT, base_tip
from gitpw.services.ports import Context, Worktree

SHORT = 10
"""Digits of a commit that people want to see."""


class Leftover(NamedTuple):
    """One worker's work on a task, as far as it can be seen from here.

    `head` is its last commit that is known, `pushed` where its branch stands on the remote, `here` whether the commit
    is in this repository. `worktree` is its folder on this machine, with so many uncommitted and untracked files.
    """

    worker: WorkerId
    branch: str
    head: str | None
    pushed: str | None
    here: bool
    host: str
    worktree: str | None
    changes: int
    how: str
    at: datetime

    def __str__(self) -> str:
        """Whose work is where, in a sentence."""
        return self.told(f"{self.worker}'s")

    def told(self, whose: str) -> str:
        """The same, with another word for whose it is."""
        at = "" if self.head is None else f" at {self.head[:SHORT]}"
        return f"{whose} work is on branch {self.branch}{at} ({self._where()})"

    def _where(self) -> str:
        if self.head is None:
            return f"if there is any: on host {self.host}"
        if self.head == self.pushed:
            places = ["pushed"]
        elif self.here:
            places = ["not pushed" if self.pushed is None else f"pushed up to {self.pushed[:SHORT]}"]
        else:
            upto = "" if self.pushed is None else f"; pushed up to {self.pushed[:SHORT]}"
            places = [f"only on host {self.host}{upto}"]
        if self.worktree is not None:
            files = "file" if self.changes == 1 else "files"
            more = f", with {self.changes} uncommitted or untracked {files}" if self.changes else ""
            places.append(f"here in {self.worktree}{more}")
        return "; ".join(places)

    def public(self) -> dict[str, object]:
        """As `--json` shows it."""
        return {
            "workerId": self.worker,
            "branchName": self.branch,
            "head": self.head,
            "pushed": self.pushed is not None and self.head == self.pushed,
            "pushedHead": self.pushed,
            "here": self.here,
            "host": self.host,
            "worktree": self.worktree,
            "changes": self.changes,
            "reason": self.how,
            "at": self.at,
        }


def leftovers(ctx: Context, task: Task, *, ask: bool = True) -> list[Leftover]:
    """What is left of a task and not on the base branch yet, newest last; without `ask` as far as is known here."""
    lefts = [left for left in task.left if is_branch(left.branch)]
    if not lefts or task.merged_at is not None:
        return []
    trees = ctx.worktrees.all()
    tips = ctx.repo.tips([f"refs/heads/{left.branch}" for left in lefts])
    base = base_tip(ctx)
    found = [
        _leftover(ctx, task, left, trees, tips.get(f"refs/heads/{left.branch}"), ask=ask) for left in lefts
    ]
    return [one for one in found if one.changes or not _is_on(ctx, one.head, base)]


def _is_on(ctx: Context, head: str | None, base: str | None) -> bool:
    return head is not None and base is not None and ctx.repo.ancestor(head, base)


def _leftover(
    ctx: Context, task: Task, left: Left, trees: Sequence[Worktree], local: str | None, *, ask: bool
) -> Leftover:
    tree = next((tree for tree in trees if tree.present and _is_of(tree, task, left)), None)
    there = _there(ctx, left.branch, ask=ask)
    head = (
        (tree.head if tree else None) or (local if left.host == ctx.me.host else None) or left.head or there
    )
    if head is not None and there not in {None, head} and _is_on(ctx, head, there):
        head = there  # more was pushed than was told
    return Leftover(
        worker=left.worker,
        branch=left.branch,
        head=head,
        pushed=there,
        here=head is not None and ctx.repo.resolve(head) is not None,
        host=left.host,
        worktree=tree.path if tree else None,
        changes=len(ctx.worktrees.dirty(tree)) if tree else 0,
        how=left.how,
        at=left.at,
    )


def _is_of(tree: Worktree, task: Task, left: Left) -> bool:
    """Whether a worktree is the one that was worked in, as long as that worker hasn't begun anew in it."""
    if tree.own is None:
        return tree.branch == left.branch
    return (tree.own.task, tree.own.worker) == (task.id, left.worker)


def _there(ctx: Context, branch: str, *, ask: bool) -> str | None:
    """Where a branch stands on the remote; its commits are fetched if need be."""
    if ctx.remote is None:
        return None
    if not ask or ctx.dry_run:
        return ctx.repo.resolve(f"refs/remotes/{ctx.remote}/{branch}")
    tip = ctx.repo.branches_there(ctx.remote, branch).get(branch)
    if tip is not None and ctx.repo.resolve(f"refs/remotes/{ctx.remote}/{branch}") != tip:
        ctx.repo.fetch_branch(ctx.remote, branch, FETCH_TIMEOUT)
    return tip
