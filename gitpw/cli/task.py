"""`git pw task`: add, list, show, edit, split, cancel, retry, graph, import, export."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from gitpw.cli.commands import Callback, group, option
from gitpw.cli.graph import blocked, state
from gitpw.cli.output import counted, left, local, remaining, span, told
from gitpw.cli.request import a_task, batch_formats, built, maybe_task, one_of, some, task_states, task_types
from gitpw.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from gitpw.cli.session import Session
    from gitpw.domain.task import Task
    from gitpw.services.list_tasks import Listed
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
        option("--parent", metavar="TASK", help="The task that it is a part of."),
        option(
            "--related",
            multiple=True,
            metavar="TASK",
            help="A task that it has to do with; may be repeated.",
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

    for name in ("after", "files", "related", "skills"):
        fields[name] = some(fields[name])
    for name in ("after", "related"):
        if fields[name]:
            fields[name] = tuple(map(a_task, fields[name]))
    fields["parent"] = maybe_task(fields["parent"])
    return {"type": one_of(TaskType, kind, "type of task"), **fields}


@task.command(
    "add",
    'git pw task add "Fix auth bug" --type fix --issue 456 --file src/auth/login.ts --priority 1',
    'git pw task add "Describe the login" --type docs --after task-001 --estimate 20',
)
@click.argument("title")
@_fields
@option("--found-by", metavar="TASK", help="The task during which it was found.")
def add(session: Session, title: str, found_by: str | None, **fields: Any) -> None:
    """Add a task to the queue.

    A task with a --parent is a part of it: the parent is complete when all its parts are merged, and isn't claimed.
    """
    from gitpw.domain.operation import NewTask
    from gitpw.services.add_tasks import add_tasks

    new = built(NewTask, title=title, found_by=maybe_task(found_by), **_common(**fields))
    made = add_tasks(session.open(changes=True, rehearsed=True), [new])[0]
    notes = _long([made])
    session.notes(notes)
    session.report({"task": made, **_noted(notes)}, f"added {made.id}: {made.title}", brief=[made.id])


def _long(tasks: Iterable[Task]) -> list[str]:
    """A hint for each task that should take longer than is good."""
    from gitpw.domain.planning import LONG

    return [
        f"{one.id} should take {one.estimated_duration} minutes, more than {LONG}: "
        f"'git pw task split {one.id} TITLE…' makes parts of it"
        for one in tasks
        if (one.estimated_duration or 0) > LONG
    ]


def _noted(notes: Sequence[str]) -> dict[str, object]:
    """Hints in a document, where there are any."""
    return {"notes": notes} if notes else {}


@task.command(
    "list", "git pw task list", "git pw task list --ready --json", "git pw task list --status failed"
)
@option(
    "--status",
    values=task_states,
    metavar="S",
    help="Only pending, claimed, in_progress, completed, failed or cancelled ones.",
)
@option("--ready", is_flag=True, help="Only those that I could claim now, and why not the others.")
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
    data = {"tasks": found.tasks, "blocked": blocked(found.blocked), "asOf": found.as_of}
    if found.reasons is not None:
        data["reasons"] = [one.public() for one in found.reasons]
    session.table(
        data,
        head,
        [_row(one, found) for one in found.tasks],
        "no such tasks" if status or ready or mine else "no open tasks",
    )
    if not session.json:
        session.notes(f"not {one.task}: {one.reason}" for one in found.reasons or ())


def _row(one: Task, found: Listed) -> tuple[str, ...]:
    return (
        one.id,
        str(one.priority),
        one.type.value,
        state(one, found.blocked),
        one.assigned_to or "-",
        one.title,
    )


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
        "eta": shown.progress and shown.progress.eta,
        "waitsFor": shown.waits_for,
        "dependents": shown.dependents,
        "blocked": shown.blocked,
        "parent": shown.task.parent,
        "parts": [part.id for part in shown.parts],
        "related": shown.related,
        "foundBy": shown.task.found_by,
        "found": shown.found,
        "attempts": shown.task.attempts,
        "failureKind": shown.task.failure_kind,
        "retryAt": shown.task.retry_at,
        "needsPerson": shown.task.needs_person,
        "timeLimit": shown.time_limit,
        "left": shown.left,
        "asOf": shown.as_of,
    }
    session.aged(shown.as_of, context)
    session.answer(data, *_told(shown, context.clock.now()))


def _told(shown: Shown, now: datetime) -> list[str]:
    """The task in lines of `name  value`; what is empty is left out."""
    one = shown.task
    facts = {
        "status": state(one, {}),
        "blocked": shown.blocked,
        "type": f"{one.type.value}, priority {one.priority}{_pulled(one)}",
        "worker": one.assigned_to,
        "lease": left(shown.claim.lease.expires_at, now) if shown.claim and not shown.claim.queued else None,
        "progress": shown.progress and told(shown.progress),
        "eta": shown.progress and remaining(shown.progress),
        "branch": one.metadata.branch_name,
        "issue": one.metadata.issue_number and f"#{one.metadata.issue_number}",
        "estimate": one.estimated_duration is not None and f"{one.estimated_duration} min",
        "skills": ", ".join(one.required_skills),
        "limit": shown.time_limit and f"{span(timedelta(seconds=shown.time_limit))} of work for an agent",
        "part of": one.parent,
        "parts": _parts(shown.parts),
        "waits for": ", ".join(shown.waits_for),
        "needed by": ", ".join(shown.dependents),
        "related": ", ".join(shown.related),
        "found in": one.found_by,
        "found": ", ".join(shown.found),
        "failure": one.failure
        and (f"{one.failure} ({one.failure_kind})" if one.failure_kind else one.failure),
        "attempts": one.attempts,
        "left": str(shown.left[-1]) if shown.left else None,
        "before": "; ".join(map(str, shown.left[:-1])),
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


def _pulled(one: Task) -> str:
    """What an urgent task that waits for it makes of its priority."""
    return "" if one.urgency == one.priority else f" (as urgent as what waits for it: {one.urgency})"


def _parts(parts: Sequence[Task]) -> str:
    """How many of the parts are done, and which are left."""
    if not parts:
        return ""
    open_ = ", ".join(part.id for part in parts if part.is_open)
    done = sum(part.merged_at is not None for part in parts)
    return f"{done} of {len(parts)} merged{f'; left: {open_}' if open_ else ''}"


@task.command(
    "edit",
    "git pw task edit task-007 --priority 1",
    "git pw task edit 7 --after 3 --no-after 4",
)
@click.argument("task_id", metavar="TASK")
@option("--title", metavar="T", help="What it is called.")
@_fields
@option("--no-after", multiple=True, metavar="TASK", help="A task that it needn't wait for; may be repeated.")
@option("--no-parent", is_flag=True, help="Make it a task of its own.")
@option(
    "--no-related",
    multiple=True,
    metavar="TASK",
    help="A task that it has nothing to do with; may be repeated.",
)
def edit(
    session: Session,
    task_id: str,
    title: str | None,
    no_after: tuple[str, ...],
    no_parent: bool,
    no_related: tuple[str, ...],
    **fields: Any,
) -> None:
    """Change what is given, leave the rest.

    --after and --related add to what there is, --no-after and --no-related take away; --file and --skill replace.
    """
    from gitpw.domain.operation import Edit
    from gitpw.services.edit_task import edit_task

    if no_parent and fields["parent"]:
        raise UsageError("--parent and --no-parent contradict each other", hint="leave out one of them")
    changes = {
        **_common(**fields),
        "title": title,
        "no_after": tuple(map(a_task, no_after)) or None,
        "no_related": tuple(map(a_task, no_related)) or None,
        "no_parent": no_parent or None,
    }
    if all(change is None for change in changes.values()):
        raise UsageError("nothing to change was given", hint="'git-pw task edit -h' lists what can be")
    done = edit_task(session.open(changes=True, rehearsed=True), built(Edit, task=a_task(task_id), **changes))
    notes = _long([done]) if changes["estimate"] is not None else []
    session.notes(notes)
    session.report({"task": done, **_noted(notes)}, f"changed {done.id}: {done.title}")


@task.command(
    "split",
    'git pw task split task-007 "Parse the options" "Print the result"',
    'git pw task split 7 "Describe it" --type docs --file docs --estimate 15',
)
@click.argument("task_id", metavar="TASK")
@click.argument("titles", metavar="TITLE...", nargs=-1, required=True)
@option(
    "--estimate", type=int, metavar="MIN", help="How many minutes each should take.  [default: its share]"
)
@option("--skill", "skills", multiple=True, metavar="S", help="A skill that each needs; may be repeated.")
@option("--file", "files", files=True, multiple=True, metavar="R", help="What each locks; may be repeated.")
@option("--priority", type=int, metavar="N", help="1 (first) to 5.")
@option("--type", "kind", values=task_types, metavar="T", help="fix, feat, refactor, test, docs or chore.")
def split(session: Session, task_id: str, titles: tuple[str, ...], kind: str | None, **fields: Any) -> None:
    """Take a task apart: it is complete when its parts are.

    What isn't given the parts have from it: type, priority, files, skills, and their share of its time. They wait for
    what it waits for, and what waits for it goes on waiting for it.
    """
    from gitpw.domain.operation import Split
    from gitpw.domain.task import TaskType
    from gitpw.services.split_task import split_task

    fields = {**fields, "files": some(fields["files"]), "skills": some(fields["skills"])}
    request = built(
        Split, task=a_task(task_id), titles=titles, type=one_of(TaskType, kind, "type of task"), **fields
    )
    done = split_task(session.open(changes=True, rehearsed=True), request)
    notes = _long(done.parts)
    session.notes(notes)
    session.report(
        {"task": done.whole, "tasks": done.parts, **_noted(notes)},
        f"split {done.whole.id}: {done.whole.title}",
        *(f"  {part.id}: {part.title}" for part in done.parts),
        brief=[part.id for part in done.parts],
    )


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


@task.command(
    "graph", "git pw task graph", "git pw task graph task-007", "git pw task graph --dot | dot -Tsvg"
)
@click.argument("task_id", metavar="[TASK]", required=False)
@option("--all", "everything", is_flag=True, help="Also what is merged or cancelled.")
@option("--dot", "as_dot", is_flag=True, help="For Graphviz.")
@option("--mermaid", "as_mermaid", is_flag=True, help="For Mermaid, which GitHub shows in Markdown.")
def graph(session: Session, task_id: str | None, everything: bool, as_dot: bool, as_mermaid: bool) -> None:
    """Show which task waits for which: what comes first above, what waits for it under it.

    With TASK only what that one waits for, and what waits for it.
    """
    from gitpw.cli import graph as drawn
    from gitpw.services.graph import graph as run

    if as_dot and as_mermaid:
        raise UsageError("--dot and --mermaid contradict each other", hint="leave out one of them")
    context = session.open()
    found = run(context, maybe_task(task_id), everything=everything)
    session.aged(found.as_of, context)
    data = {
        "tasks": found.tasks,
        "edges": [{"from": edge.source, "to": edge.target, "kind": edge.kind} for edge in found.edges],
        "blocked": blocked(found.blocked),
        "asOf": found.as_of,
    }
    if not (found.tasks or as_dot or as_mermaid or session.json):
        session.note("no open tasks")
    draw = drawn.dot if as_dot else drawn.mermaid if as_mermaid else None
    session.answer(
        data, *(draw(found) if draw else drawn.tree(found, drawn.FINE if session.fine else drawn.PLAIN))
    )


@task.command(
    "import",
    "git pw task import tasks.toml",
    "jq -c '.[]' issues.json | git pw task import - --format jsonl",
)
@click.argument("file")
@option(
    "--format",
    "how",
    values=batch_formats,
    metavar="F",
    help="toml, json or jsonl.  [default: by its name or text]",
)
def import_(session: Session, file: str, how: str | None) -> None:
    """Add the tasks of a FILE, or with - of stdin: all or none.

    TOML with [[task]], JSON as a list or {"tasks": [...]}, or JSON Lines. Keys: title, description, type, priority,
    files, after, skills, estimate, issue, parent, related, found_by, and key: your own name for it, which others in
    the file may use, and by which a second import knows it and adds nothing. An error names the line.
    """
    from gitpw.domain.batch import Format
    from gitpw.services.import_tasks import import_tasks

    kind = one_of(Format, how, "format")
    name, text = session.read(file)
    done = import_tasks(session.open(changes=True, rehearsed=True), name, text, kind)
    added = len(done.added)
    known = len(done.tasks) - added
    notes = _long(done.added)
    if len(notes) > 1:
        notes = [
            f"{len(notes)} of them should take longer than is good: 'git pw task split' makes parts of one"
        ]
    session.notes(notes)
    session.report(
        {"tasks": done.tasks, "added": [one.id for one in done.added], **_noted(notes)},
        f"added {counted(added, 'task')}" + (f"; {known} known already" if known else ""),
        brief=[one.id for one in done.tasks],
    )


@task.command(
    "export",
    "git pw task export > tasks.toml",
    "git pw task export --format jsonl --status pending --status failed",
)
@option("--format", "how", values=batch_formats, metavar="F", help="toml, json or jsonl.  [default: toml]")
@option(
    "--status",
    "statuses",
    multiple=True,
    values=task_states,
    metavar="S",
    help="Only tasks of that status; may be repeated.  [default: all but merged and cancelled ones]",
)
def export(session: Session, how: str | None, statuses: tuple[str, ...]) -> None:
    """Write tasks so that 'git pw task import' reads them, here or elsewhere.

    What is imported where it came from is known there and not added again.
    """
    from gitpw.domain.batch import Format, said
    from gitpw.services.export_tasks import export_tasks

    kind = one_of(Format, how, "format") or Format.TOML
    done = export_tasks(session.open(), kind, statuses)
    session.notes(done.left_out)
    if session.json:
        session.answer({"tasks": [said(one) for one in done.tasks], "notes": done.left_out})
    else:
        session.text(done.text)
