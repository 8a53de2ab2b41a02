"""`git pw task`: add, list, show, edit, cancel, retry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gitpw.cli.commands import Callback, group, option
from gitpw.cli.output import left, local, told
from gitpw.cli.request import a_task, built, one_of, some, task_states, task_types
from gitpw.errors import UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from gitpw.cli.session import Session
    from gitpw.domain.task import Task
    from gitpw.services.show_task import Shown


@group(
    "task",
    'git pw task add "Fix auth bug" --type fix --file src/auth/login.ts --priority 1',
    "git pw task list --ready",
    "git pw task show task-007",
)
def task() -> None:
    """Add, list, show and change tasks."""


def _fields(callback: Callback) -> Callback:
    """The options that add and edit share."""
    for one in (
        option("--issue", type=int, metavar="N", help="The number of the issue that it belongs to."),
        option("--estimate", type=int, metavar="MIN", help="How many minutes it should take."),
        option(
            "--skill", "skills", multiple=True, metavar="S", help="A skill that it needs; may be repeated."
        ),
        option(
            "--after",
            multiple=True,
            metavar="TASK",
            help="A task that must be merged first; may be repeated.",
        ),
        option(
            "--file",
            "files",
            files=True,
            multiple=True,
            metavar="R",
            help="A file, folder or glob to lock; may be repeated.",
        ),
        option("--priority", type=int, metavar="N", help="1 (first) to 5.  [default: 3]"),
        option("--description", metavar="D", help="More about it."),
        option(
            "--type",
            "kind",
            values=task_types,
            metavar="T",
            help="fix, feat, refactor, test, docs or chore.  [default: feat]",
        ),
    ):
        callback = one(callback)
    return callback


def _common(kind: str | None, **fields: Any) -> dict[str, Any]:
    """What was said, as the requests call it."""
    from gitpw.domain.task import TaskType

    for name in ("after", "files", "skills"):
        fields[name] = some(fields[name])
    if fields["after"]:
        fields["after"] = tuple(map(a_task, fields["after"]))
    return {"type": one_of(TaskType, kind, "type of task"), **fields}


@task.command(
    "add",
    'git pw task add "Fix auth bug" --type fix --issue 456 --file src/auth/login.ts --priority 1',
    'git pw task add "Describe the login" --type docs --after task-001 --estimate 20',
)
@click.argument("title")
@_fields
def add(session: Session, title: str, **fields: Any) -> None:
    """Add a task to the queue."""
    from gitpw.domain.operation import NewTask
    from gitpw.services.add_tasks import add_tasks

    made = add_tasks(
        session.open(changes=True, rehearsed=True), [built(NewTask, title=title, **_common(**fields))]
    )[0]
    session.report({"task": made}, f"added {made.id}: {made.title}", brief=[made.id])


@task.command(
    "list", "git pw task list", "git pw task list --ready --json", "git pw task list --status failed"
)
@option(
    "--status",
    values=task_states,
    metavar="S",
    help="Only pending, claimed, in_progress, completed, failed or cancelled ones.",
)
@option("--ready", is_flag=True, help="Only those that could be claimed.")
@option("--mine", is_flag=True, help="Only my own.")
def list_(session: Session, status: str | None, ready: bool, mine: bool) -> None:
    """List the tasks that are neither merged nor cancelled."""
    from gitpw.domain.task import TaskStatus
    from gitpw.services.list_tasks import list_tasks

    wanted = one_of(TaskStatus, status, "status")
    context = session.open()
    found = list_tasks(context, status=wanted and wanted.value, ready=ready, mine=mine)
    session.aged(found.as_of, context)
    head = ("TASK", "P", "TYPE", "STATUS", "WORKER", "TITLE")
    session.table(
        {"tasks": found.tasks, "asOf": found.as_of},
        head,
        [_row(one) for one in found.tasks],
        "no such tasks" if status or ready or mine else "no open tasks",
    )


def _row(one: Task) -> tuple[str, ...]:
    status = "merged" if one.merged_at else one.status.value
    return (one.id, str(one.priority), one.type.value, status, one.assigned_to or "-", one.title)


@task.command("show", "git pw task show task-007", "git pw task show 7 --json")
@click.argument("task_id", metavar="TASK")
def show(session: Session, task_id: str) -> None:
    """Show all that is known of a task."""
    from gitpw.services.show_task import show_task

    context = session.open()
    shown = show_task(context, a_task(task_id))
    data = {
        "task": shown.task,
        "locks": [] if shown.claim is None else shown.claim.public(),
        "progress": shown.progress,
        "waitsFor": shown.waits_for,
        "dependents": shown.dependents,
        "blocked": shown.blocked,
        "asOf": shown.as_of,
    }
    session.aged(shown.as_of, context)
    session.answer(data, *_told(shown, context.clock.now()))


def _told(shown: Shown, now: datetime) -> list[str]:
    """The task in lines of `name  value`; what is empty is left out."""
    one = shown.task
    facts = {
        "status": "merged" if one.merged_at else one.status.value,
        "blocked": shown.blocked,
        "type": f"{one.type.value}, priority {one.priority}",
        "worker": one.assigned_to,
        "lease": left(shown.claim.lease.expires_at, now) if shown.claim and not shown.claim.queued else None,
        "progress": shown.progress and told(shown.progress),
        "branch": one.metadata.branch_name,
        "issue": one.metadata.issue_number and f"#{one.metadata.issue_number}",
        "estimate": one.estimated_duration is not None and f"{one.estimated_duration} min",
        "skills": ", ".join(one.required_skills),
        "waits for": ", ".join(shown.waits_for),
        "needed by": ", ".join(shown.dependents),
        "failure": one.failure,
        "created": local(one.created_at),
        "claimed": one.claimed_at and local(one.claimed_at),
        "completed": one.completed_at and local(one.completed_at),
        "merged": one.merged_at and local(one.merged_at),
    }
    lines = [f"{one.id}  {one.title}"]
    lines += [f"  {name:<10} {value}" for name, value in facts.items() if value]
    lines += [f"  {'file':<10} {name}" for name in one.files]
    if one.description:
        lines += ["", *(f"  {line}" for line in one.description.splitlines())]
    return lines


@task.command(
    "edit",
    "git pw task edit task-007 --priority 1",
    "git pw task edit 7 --after 3 --no-after 4",
)
@click.argument("task_id", metavar="TASK")
@option("--title", metavar="T", help="What it is called.")
@_fields
@option("--no-after", multiple=True, metavar="TASK", help="A task that it needn't wait for; may be repeated.")
def edit(session: Session, task_id: str, title: str | None, no_after: tuple[str, ...], **fields: Any) -> None:
    """Change what is given, leave the rest.

    --after adds to what it waits for, --no-after takes away; --file and --skill replace what there was.
    """
    from gitpw.domain.operation import Edit
    from gitpw.services.edit_task import edit_task

    changes = {**_common(**fields), "title": title, "no_after": tuple(map(a_task, no_after)) or None}
    if all(change is None for change in changes.values()):
        raise UsageError("nothing to change was given", hint="'git-pw task edit -h' lists what can be")
    done = edit_task(session.open(changes=True, rehearsed=True), built(Edit, task=a_task(task_id), **changes))
    session.report({"task": done}, f"changed {done.id}: {done.title}")


@task.command("cancel", "git pw task cancel task-007")
@click.argument("task_id", metavar="TASK")
def cancel(session: Session, task_id: str) -> None:
    """Take a task that isn't wanted any more out of the queue."""
    from gitpw.services.cancel_task import cancel_task

    done = cancel_task(session.open(changes=True, rehearsed=True), a_task(task_id))
    session.report({"task": done}, f"cancelled {done.id}: {done.title}")


@task.command("retry", "git pw task retry task-007")
@click.argument("task_id", metavar="TASK")
def retry(session: Session, task_id: str) -> None:
    """Put a failed or cancelled task back into the queue."""
    from gitpw.services.retry_task import retry_task

    done = retry_task(session.open(changes=True, rehearsed=True), a_task(task_id))
    session.report({"task": done}, f"{done.id} is {done.status.value} again: {done.title}")
