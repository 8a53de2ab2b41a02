"""`git pw worktree`: list, path, remove, prune, repair, setup."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gitpw.cli.commands import argument, group, option
from gitpw.cli.output import amount, span
from gitpw.cli.request import a_task, asking, maybe_task
from gitpw.errors import FailedError

if TYPE_CHECKING:
    from datetime import datetime

    from gitpw.cli.session import Session
    from gitpw.services.worktrees import Surveyed


@group("worktree", "git pw worktree list", 'cd "$(git pw worktree path task-007)"', "git pw worktree prune")
def worktree() -> None:
    """List, find and tidy the worktrees of tasks."""


HEAD = ("TASK", "WORKER", "STATE", "COMMITS", "CHANGES", "CONFLICT", "AGE", "SIZE", "BRANCH", "PATH")

ROOM = (0, 0, 0, 7, 7, 8, 6, 6, 0)
"""The columns that come later than the others, and what they take."""


@worktree.command("list", "git pw worktree list", "git pw worktree list --json")
def list_(session: Session) -> None:
    """List the worktrees, and what would be lost or late with them.

    State of the task, commits ahead and behind the base branch, uncommitted files, with what it would conflict now, age and size. What can't be found out in three seconds is shown as "-".
    """
    from gitpw.services.worktrees import list_worktrees, survey

    context = session.open()
    rows = list_worktrees(context)
    found = survey(context, rows)
    if session.json:
        session.answer({"worktrees": list(found)})
        return
    now = context.clock.now()
    known = [
        [one.task or "-", one.worker or "-", one.state, "", "", "", "", "", one.branch or "-"] for one in rows
    ]
    session.progressively(HEAD, known, ROOM, (_cells(one, now) for one in found), "no worktrees")


def _cells(one: Surveyed, now: datetime) -> tuple[str, ...]:
    commits = "-" if one.ahead is None else f"+{one.ahead} -{one.behind}"
    clashing = {
        side.task if side else clash.base for clash in one.conflicts for side in (clash.one, clash.other)
    }
    return (
        one.task or "-",
        one.worker or "-",
        one.state if one.present else f"{one.state}, gone",
        commits,
        "-" if one.changes is None else str(one.changes),
        ",".join(sorted(clashing - {one.task})) or "-",
        "-" if one.created_at is None else span(now - one.created_at),
        "-" if one.size is None else amount(one.size),
        one.branch or "-",
        one.path,
    )


@worktree.command("path", 'cd "$(git pw worktree path task-007)"', 'cd "$(git pw worktree path)"')
@click.argument("task", required=False)
def path(session: Session, task: str | None) -> None:
    """Print the path of a task's worktree; without TASK, that of the main checkout."""
    from gitpw.services.worktrees import worktree_path

    name = maybe_task(task)
    found = worktree_path(session.open(need_ledger=name is not None), name)
    if session.json:
        session.answer({"path": found})
    else:
        session.raw(found)


@worktree.command("remove", "git pw worktree remove task-007")
@click.argument("task")
def remove(session: Session, task: str) -> None:
    """Remove a task's worktree.

    One with changes, or in which somebody is, stays. So does the branch if it has commits that haven't landed.
    """
    from gitpw.services.worktrees import remove_worktree

    name = a_task(task)
    notes = remove_worktree(session.open(changes=True), name)
    session.notes(notes)
    session.report({"task": name, "notes": notes}, f"removed the worktree of {name}")


@worktree.command("prune", "git pw worktree prune", "git pw worktree prune --dry-run")
def prune(session: Session) -> None:
    """Remove the worktrees and branches of tasks that have landed.

    What has changes, commits that weren't handed in, or somebody in it stays, and is named.
    """
    from gitpw.services.worktrees import pruned

    done = pruned(session.open(), dry_run=session.dry_run)
    for one in done.kept:
        session.note(f"kept worktree {one.path}: {one.reason}")
    did = "would remove" if session.dry_run else "removed"
    lines = [f"{did} {one}" for one in done.removed] or ["nothing to prune"]
    kept = {"kept": done.kept} if done.kept else {}
    session.report({"removed": done.removed, **kept}, *lines)


@worktree.command("repair", "git pw worktree repair", "git pw worktree repair ../moved/task-007")
@argument("paths", files=True, nargs=-1, metavar="[PATH...]")
def repair(session: Session, paths: tuple[str, ...]) -> None:
    """Mend the worktrees that were moved, or whose repository was.

    Those that lie where worktrees are made are found; others are to be named by PATH. Worktrees whose folder is gone are forgotten, their branches stay.
    """
    context = session.open(need_ledger=False, changes=True)
    done = context.worktrees.repair([session.placed(one) for one in paths])
    session.report({"repaired": done}, *(list(done) or ["nothing to repair"]))


@worktree.command("setup", "git pw worktree setup --approve", "git pw worktree setup task-007")
@click.argument("task", required=False)
@option(
    "--approve", is_flag=True, help="They may run, as they are, in every new worktree of this repository."
)
def setup(session: Session, task: str | None, approve: bool) -> None:
    """Run the set-up commands, in a task's worktree or in this one.

    They are `claim.setup` of .gitpw.toml on the base branch. They never run before a person has approved exactly these commands in this clone; changed ones need a new approval.
    """
    from gitpw.services.provision import set_up_worktree

    name = maybe_task(task)
    context = session.open(changes=True)
    path, done = set_up_worktree(context, name, (lambda _: True) if approve else asking(session))
    data = {"commands": done.commands, "approved": done.approved, "worktree": path, "ran": done.ran}
    if done.failed is not None:
        raise FailedError(f"a set-up command failed: {done.failed}", hint=f"it ran in {path}", **data)
    lines = list(done.commands) or ["the base branch names no set-up commands (claim.setup in .gitpw.toml)"]
    if done.commands and path is None:
        lines.append("approved" if done.approved else "not approved yet: git pw worktree setup --approve")
    session.report(data, *lines)
