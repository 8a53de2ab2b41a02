"""One entry of the merge queue, and where it conflicts with the base branch."""

from __future__ import annotations

from typing import NamedTuple

from gitpw.domain.ids import TaskId
from gitpw.domain.integration import Conflict
from gitpw.domain.lineup import lined_up
from gitpw.domain.merge import Merge
from gitpw.errors import InvalidError
from gitpw.services.base import base_branch
from gitpw.services.ports import Context
from gitpw.services.show_task import known_task
from gitpw.services.stack import Site, commands, work_of


class Shown(NamedTuple):
    """The entry at its place, its conflicts with the base branch as it is now, and what its owner can do."""

    entry: Merge
    position: int
    conflicts: list[Conflict]
    commands: list[str]


def show_merge(ctx: Context, task: TaskId) -> Shown:
    """The entry, its file in conflict three ways; raises `InvalidError` where the task isn't in the queue."""
    board, _, _ = ctx.ledger.freshest()
    line = lined_up(board)
    entry = next((one for one in line if one.task_id == task), None)
    if entry is None:
        found = known_task(board, task)
        state = "merged" if found.merged_at is not None else found.status
        raise InvalidError(f"{task} isn't in the merge queue: it is {state}", hint="see 'git pw merge list'")
    position = line.index(entry) + 1
    if ctx.workshop is None or entry.head is None:
        return Shown(entry, position, [], [])
    integrator, branch = ctx.workshop().integrator, base_branch(ctx)
    names = [branch, *([entry.branch_name] if entry.branch_name else [])]
    tips = integrator.tips(ctx.remote, names)
    tip = tips.get(branch)
    if tip is None:
        return Shown(entry, position, [], [])
    if ctx.remote is not None:
        integrator.bring(ctx.remote, branch, tips)
    if not integrator.has(entry.head):
        return Shown(entry, position, [], [])
    conflicts = integrator.conflicts(tip, work_of(board, entry))
    site = Site(board, integrator, ctx.policy, ctx.remote, branch, tip, tips, lambda *_: None)
    return Shown(entry, position, conflicts, commands(site, entry) if conflicts else [])
