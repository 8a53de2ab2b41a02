"""Take out what `init` put in."""

from __future__ import annotations

from typing import NamedTuple

from gitpw.services.ports import Context
from gitpw.services.protect import give_back


class Uninstalled(NamedTuple):
    """What was taken out, and what was left because it may hold work."""

    removed: list[str]
    kept: list[str]


def uninstall(ctx: Context, *, purge_remote: bool = False) -> Uninstalled:
    """Hooks, our settings and our folder go; worktrees and branches stay, and are named."""
    kept = [
        f"worktree {tree.path}"
        for tree in ctx.worktrees.all()
        if tree.own is not None and tree.own.task is not None
    ]
    removed = []
    if purge_remote:
        removed += ctx.files.purge_remote()
    removed += [f"hook {name}" for name in ctx.hooks.uninstall()]
    given_back = give_back(ctx)
    removed += [f"the write protection of {len(given_back)} lockable files"] if given_back else []
    if ctx.workshop is not None:
        removed += ctx.workshop().testbed.remove()
    removed += ctx.files.remove()
    return Uninstalled(removed, kept)
