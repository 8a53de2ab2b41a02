"""`git pw worktree`: list, path, remove, prune, repair."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gitpw.cli.commands import group
from gitpw.cli.request import a_task

if TYPE_CHECKING:
    from gitpw.cli.session import Session


@group("worktree", "git pw worktree list", 'cd "$(git pw worktree path task-007)"', "git pw worktree prune")
def worktree() -> None:
    """List, find and tidy the worktrees of tasks."""


@worktree.command("list", "git pw worktree list")
def list_(session: Session) -> None:
    """List the worktrees with their branch, task and state."""
    from gitpw.services.worktrees import list_worktrees

    found = list_worktrees(session.open())
    rows = [(one.task or "-", one.worker or "-", one.state, one.branch or "-", one.path) for one in found]
    session.table({"worktrees": found}, ("TASK", "WORKER", "STATE", "BRANCH", "PATH"), rows, "no worktrees")


@worktree.command("path", 'cd "$(git pw worktree path task-007)"')
@click.argument("task")
def path(session: Session, task: str) -> None:
    """Print the path of a task's worktree."""
    from gitpw.services.worktrees import worktree_path

    found = worktree_path(session.open(), a_task(task))
    if session.json:
        session.answer({"path": found})
    else:
        session.raw(found)


@worktree.command("remove", "git pw worktree remove task-007")
@click.argument("task")
def remove(session: Session, task: str) -> None:
    """Remove a task's worktree; one with changes is kept, and so is its branch."""
    from gitpw.services.worktrees import remove_worktree

    name = a_task(task)
    notes = remove_worktree(session.open(changes=True), name)
    session.notes(notes)
    session.report({"task": name, "notes": notes}, f"removed the worktree of {name}")


@worktree.command("prune", "git pw worktree prune", "git pw worktree prune --dry-run")
def prune(session: Session) -> None:
    """Remove the worktrees whose work is merged or gone."""
    from gitpw.services.worktrees import prune_worktrees

    gone = prune_worktrees(session.open(), dry_run=session.dry_run)
    did = "would remove" if session.dry_run else "removed"
    session.report({"removed": gone}, *([f"{did} {one}" for one in gone] or ["nothing to prune"]))


@worktree.command("repair", "git pw worktree repair")
def repair(session: Session) -> None:
    """Mend the worktrees that were moved."""
    done = session.open(need_ledger=False, changes=True).worktrees.repair()
    session.report({"repaired": done}, *(list(done) or ["nothing to repair"]))
