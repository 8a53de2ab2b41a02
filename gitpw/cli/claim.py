"""`git pw claim`: the best task for me, with its locks, branch and worktree."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from gitpw.cli.commands import OptionalValue, command, option
from gitpw.cli.output import aligned, left, noted
from gitpw.cli.request import asking, maybe_task, waiting
from gitpw.cli.request import lease as a_lease
from gitpw.errors import InvalidError, NothingError, UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from gitpw.cli.session import Session
    from gitpw.domain.ids import TaskId
    from gitpw.services.claim import Claimed
    from gitpw.services.ports import Context


@command(
    "claim",
    "git pw claim",
    "git pw claim task-007 --file src/auth --wait 10m",
    'cd "$(git pw claim --print-path)"',
    "git pw claim --json --explain",
)
@click.argument("task", required=False)
@option(
    "--file",
    "files",
    files=True,
    multiple=True,
    metavar="R",
    help="A file, folder or glob to lock too; may be repeated.",
)
@option("--shared", is_flag=True, help="Take the locks shared: others may share them.")
@option("--no-worktree", is_flag=True, help="Work in this checkout.")
@option("--lease", metavar="D", help="How long it stands without a sign of life.  [default: 60m]")
@option(
    "--wait",
    cls=OptionalValue,
    metavar="[D]",
    help="Wait in line, so long at most, while it is held.  [default: 5m]",
)
@option(
    "--sparse",
    files=True,
    multiple=True,
    metavar="R",
    help="Check out only this folder, and those of the files claimed; may be repeated.",
)
@option("--no-checkout", is_flag=True, help="Make the worktree without any file.")
@option("--continue", "resume", is_flag=True, help="Begin at what the last worker of the task left.")
@option("--explain", is_flag=True, help="Say why each other task wasn't chosen.")
@option("--pick", is_flag=True, help="Choose from a list, on a terminal.")
@option("--print-path", is_flag=True, help="Print the worktree's path and nothing else.")
def claim(
    session: Session,
    *,
    task: str | None,
    files: tuple[str, ...],
    shared: bool,
    no_worktree: bool,
    lease: str | None,
    wait: str | None,
    sparse: tuple[str, ...],
    no_checkout: bool,
    resume: bool,
    explain: bool,
    pick: bool,
    print_path: bool,
) -> None:
    """Claim a task, the named one or the best for me.

    Takes the task, its locks, a branch and a worktree, or nothing at all. Without TASK it is always a new one; naming one that I hold answers the same again.
    """
    if print_path and no_worktree:
        raise UsageError(
            "--print-path needs a worktree", hint="leave out one of --print-path and --no-worktree"
        )
    if pick and task is not None:
        raise UsageError("--pick chooses a task, and one is named", hint="leave out one of them")
    if no_worktree + no_checkout + bool(sparse) > 1:
        raise UsageError(
            "--no-worktree, --no-checkout and --sparse exclude each other", hint="leave out all but one"
        )
    name, lease = maybe_task(task), a_lease(lease)
    context = session.open(changes=True, pushes=True, rehearsed=True)
    if pick:
        name = _picked(context)
    from gitpw.services.claim import claim as run

    try:
        done = run(
            context,
            task=name,
            files=list(files),
            shared=shared,
            worktree=not no_worktree,
            lease=lease,
            wait=waiting(wait, context),
            explain=explain,
            sparse=list(sparse),
            checkout=not no_checkout,
            confirm=asking(session),
            resume=resume,
        )
    except (InvalidError, NothingError) as error:
        if explain and not session.json:
            _explain(session, error.data.get("reasons"))
        raise
    session.notes(done.notes)
    if not session.json:
        _explain(session, done.reasons)
    if print_path and not session.json:
        if sys.stderr and sys.stderr.isatty():
            session.notes(_told(done, context.clock.now()))
        session.raw(done.worktree or context.repo.root or "")
        return
    lines = _told(done, context.clock.now())
    session.report(_data(done), *lines, brief=[done.task.id])


def _picked(context: Context) -> TaskId | None:
    """The task that a person chooses; None where there is none to choose from."""
    from gitpw.cli import pick
    from gitpw.services.list_tasks import list_tasks

    if not pick.terminal():
        raise UsageError("there is no terminal to choose on", hint="name the task, or leave out --pick")
    tasks = list_tasks(context, ready=True).tasks
    if not tasks:
        return None
    rows = aligned([(one.id, f"p{one.priority}", one.type.value, one.title) for one in tasks])
    return tasks[pick.choose("which task?", rows)].id


def _data(done: Claimed) -> dict[str, object]:
    data: dict[str, object] = {
        "task": done.task,
        "lock": done.claim.public()[0],
        "worktree": done.worktree,
        "branch": done.branch,
        **noted(done.notes),
    }
    if done.left:
        data["left"] = done.left
    if done.time_limit is not None:
        data["timeLimit"] = done.time_limit
    return data if done.reasons is None else {**data, "reasons": [one.public() for one in done.reasons]}


def _told(done: Claimed, now: datetime) -> list[str]:
    lines = [f"claimed {done.task.id}: {done.task.title}"]
    if done.branch:
        lines.append(f"  branch    {done.branch}")
    if done.worktree:
        lines.append(f"  worktree  {done.worktree}")
    lines += [f"  {held.mode.value:<9} {held.resource}" for held in done.claim.locks]
    lines.append(f"  lease     {left(done.claim.lease.expires_at, now)}")
    return lines


def _explain(session: Session, reasons: object) -> None:
    """Why not the other tasks; from an error's data or from the answer."""
    if not isinstance(reasons, Iterable):
        return
    for one in reasons:
        told = one if isinstance(one, dict) else one.public()
        session.complain(f"not {told['taskId']}: {told['reason']}")
