"""What a checkout remembers of claims, and the linked worktrees that are made for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gitpw.domain.ids import ClaimId, TaskId, WorkerId


class Own(NamedTuple):
    """A claim as a checkout remembers it, in its own git dir."""

    claim: ClaimId
    token: int
    task: TaskId | None
    worker: WorkerId


class Trace(NamedTuple):
    """A claim that some checkout of this machine remembers, and where that checkout stands.

    `sign` is when it last gave a sign of life (unix time), `here` whether it is this one, `path` where a linked one is.
    """

    own: Own
    branch: str | None
    head: str | None
    sign: float | None
    here: bool
    linked: bool
    path: str | None = None


class Worktree(NamedTuple):
    """A linked worktree: `own` is the claim that it was made for, `present` whether its folder is there.

    `locked` is a person's `git worktree lock`, `made` the unix time at which it was made, if known, and `task` the
    one that it is for: by its claim, or by its place where the claim is over and forgotten.
    """

    path: str
    branch: str | None
    head: str | None
    own: Own | None
    locked: bool
    present: bool
    made: float | None = None
    task: TaskId | None = None


class Look(NamedTuple):
    """What was found out about a worktree in time, None for what wasn't.

    `ahead` and `behind` count commits against the base branch, `changes` uncommitted and untracked files, `size` bytes
    on the disk.
    """

    ahead: int | None = None
    behind: int | None = None
    changes: int | None = None
    size: int | None = None


class Memory(NamedTuple):
    """What a checkout, linked or main, remembers of claims; `branch` is None where HEAD is detached, `here` is this one."""

    path: str
    branch: str | None
    own: tuple[Own, ...]
    here: bool


def considered(own: Sequence[Own], worker: str | None, *, linked: bool) -> list[Own]:
    """The claims by which a checkout is judged.

    A linked worktree by its own; the main checkout, which several may share, by those of `worker`, whoever says to be
    one, else by all of them.
    """
    if linked or not worker:
        return list(own)
    return [one for one in own if one.worker == worker]
