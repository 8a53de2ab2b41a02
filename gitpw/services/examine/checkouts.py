"""The checkouts of this machine: worktrees that lead nowhere, and files that should be read-only."""

from __future__ import annotations

from collections.abc import Iterator

from gitpw.domain.checkup import Finding, Level
from gitpw.errors import PwError
from gitpw.services.examine.visit import Visit
from gitpw.services.ports import Worktree
from gitpw.services.protect import everywhere, protect_one
from gitpw.services.worktrees import WorktreeRow, list_worktrees, remove_worktree

SOME = 3
"""How many files are named."""


def gone(visit: Visit) -> Iterator[Finding]:
    """Every worktree of ours has its folder."""
    missing = [tree for tree in visit.ctx.worktrees.all() if not tree.present]
    for tree in missing:
        if tree.locked:
            hint = f"bring it back, or: git worktree unlock {tree.path}; git pw doctor --fix"
            yield Finding("worktrees", Level.WARN, f"worktree {tree.path} is gone, but locked", hint)
    unlocked = [tree for tree in missing if not tree.locked]
    if not visit.fix:
        yield from map(_missing, unlocked)
        return
    if unlocked:
        for what in visit.ctx.worktrees.repair():
            yield Finding("worktrees", Level.WARN, what, fixed=True)
        left = [tree for tree in visit.ctx.worktrees.all() if not tree.present and not tree.locked]
        yield from map(_missing, left)


def outlived(visit: Visit) -> Iterator[Finding]:
    """Every worktree belongs to a claim that still is; one in which nothing would be lost goes."""
    rows = list_worktrees(visit.ctx) if visit.known else []
    for row in rows:
        if not row.present or row.state not in {"pending", "lost", "cancelled"}:
            continue
        message = f"worktree {row.path} is left of a claim that is no more"
        kept = _kept(visit, row) if visit.fix else None
        if visit.fix and kept is None:
            yield Finding("worktrees", Level.WARN, f"{message}: removed", fixed=True)
        else:
            why = f": {kept}" if kept else ""
            hint = f"look whether anybody needs it, then: git pw worktree remove {row.task}"
            yield Finding("worktrees", Level.WARN, message + why, hint)


def ignored(visit: Visit) -> Iterator[Finding]:
    """The folder of the worktrees doesn't turn up in `git status`."""
    template = visit.ctx.policy.claim.worktrees
    if visit.ctx.repo.root is None or not visit.known or visit.ctx.repo.excludes(template):
        return
    message = f"the folder of {template} is not ignored: it turns up in 'git status'"
    fixed = visit.fix and visit.ctx.repo.exclude(template)
    yield Finding("ignored", Level.WARN, message, "git pw doctor --fix", fixed)


def protected(visit: Visit) -> Iterator[Finding]:
    """Lockable files are read-only where nobody holds them, and nowhere else."""
    for path in everywhere(visit.ctx) if visit.known else ():
        files = protect_one(visit.ctx, path, dry_run=not visit.fix)
        if files:
            where = path or visit.ctx.repo.root
            names = ", ".join(files[:SOME]) + (" …" if files[SOME:] else "")
            message = f"write bits in {where} were not what the locks say, of {len(files)} lockable: {names}"
            yield Finding("lockable", Level.WARN, message, "git pw doctor --fix", fixed=visit.fix)


def _missing(tree: Worktree) -> Finding:
    return Finding(
        "worktrees", Level.WARN, f"worktree {tree.path} is gone", f"git worktree remove {tree.path}"
    )


def _kept(visit: Visit, row: WorktreeRow) -> str | None:
    """Take a worktree away in which nothing would be lost; why it stays, None where it is gone."""
    ctx = visit.ctx
    if row.task is None or row.worker != ctx.me.worker:
        return f"it is {row.worker}'s"
    if row.locked:
        return "it is locked"
    if ctx.repo.inside(row.path):
        return "you are in it"
    try:
        remove_worktree(ctx, row.task)
    except PwError as error:
        return error.message
    return None
