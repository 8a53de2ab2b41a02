"""`git pw merge`: run the merge queue, see it, and decide about it."""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import click

from gitpw.cli.commands import group, option
from gitpw.cli.output import counted, plain
from gitpw.cli.request import a_duration, a_task
from gitpw.errors import ContendedError, FailedError, InvalidError, OfflineError, UnknownError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gitpw.cli.session import Session
    from gitpw.services.merge import Merged
    from gitpw.services.shift import Emit

SHORT = 12


@group(
    "merge",
    "git pw merge",
    "git pw merge --dry-run",
    "git pw merge --watch --events merge.jsonl",
    "git pw merge list",
    "git pw merge pause --below 1 --reason 'release day'",
)
def merge() -> None:
    """Run the merge queue, or see it and decide about it.

    Finished tasks are built onto the base branch one upon the other, tested together and landed in one step. What
    conflicts or is red goes back to its owner. Exit status 1 when something did, 75 when another merger is at work.
    """


merge.params[:0] = [
    click.Option(
        ["--once"], is_flag=True, help="Merge all that can be merged now, then end; so without options."
    ),
    click.Option(["--watch"], is_flag=True, help="Go on, until ^C."),
    click.Option(
        ["--every"], metavar="D", default="15s", show_default=True, help="With --watch: how often to look."
    ),
    click.Option(
        ["--lease"],
        metavar="D",
        default="3m",
        show_default=True,
        help="For how long others leave the queue to this merger when nothing is heard of it.",
    ),
    click.Option(["--events"], metavar="FILE", help="Append what happens to FILE, one JSON document a line."),
]


@click.pass_context
def _run(context: click.Context, once: bool, watch: bool, every: str, lease: str, events: str | None) -> None:
    """Run the queue where no other command is named."""
    from gitpw.cli.session import Session

    session = context.ensure_object(Session)
    if context.invoked_subcommand is not None:
        if once or watch or events:
            raise UsageError(
                f"--once, --watch and --events are for 'git pw merge' alone, not for {context.invoked_subcommand}"
            )
        return
    if once and watch:
        raise UsageError("--once and --watch exclude each other", hint="choose one")
    pause, seconds = a_duration(every, "--every"), int(a_duration(lease, "--lease").total_seconds())
    with _ended_by_term(), _reporter(session, events) as emit:
        if watch:
            if session.dry_run:
                raise UsageError("--watch can't be tried with --dry-run", hint="git pw merge --dry-run")
            _watch(session, emit, seconds, pause.total_seconds())
        _answer(session, _once(session, emit, seconds))


merge.callback = _run


def _once(session: Session, emit: Emit, lease: int) -> Merged:
    from gitpw.services.merge import merge as run

    return run(session.open(changes=True, rehearsed=True), emit, lease=lease, dry_run=session.dry_run)


def _watch(session: Session, emit: Emit, lease: int, pause: float) -> NoReturn:
    """Merge whenever there is something to merge; what goes wrong for a while is no reason to stop."""
    said = ""
    while True:
        try:
            done = _once(session, emit, lease)
        except (ContendedError, OfflineError, UnknownError) as error:
            text = f"{error.message}; trying again"
        else:
            text = done.frozen or ""
        if text and text != said:
            session.note(text)
        said = text
        time.sleep(pause)


@contextmanager
def _ended_by_term() -> Iterator[None]:
    """Take SIGTERM like ^C: tests are stopped and the queue is given up."""

    def stop(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _reporter(session: Session, events: str | None) -> Iterator[Emit]:
    """Tell people on stderr, and programs in a file."""
    import json
    from datetime import UTC, datetime

    try:
        file = open(events, "a", encoding="utf-8") if events else None  # noqa: SIM115, PTH123 - closed below
    except OSError as error:
        raise InvalidError(
            f"{events} can't be written: {error.strerror}", hint="name another file"
        ) from error

    def emit(event: str, text: str, data: Mapping[str, object]) -> None:
        session.note(text)
        if file is not None:
            at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            file.write(json.dumps({"at": at, "event": event, **plain(data), "text": text}) + "\n")
            file.flush()

    try:
        yield emit
    finally:
        if file is not None:
            file.close()


def _answer(session: Session, done: Merged) -> None:
    data = {
        "base": done.base,
        "tip": done.tip,
        "landed": done.landed,
        "returned": [_returned(back.to_data()) for back in done.returned],
        "waiting": done.waiting,
        "tests": done.tests,
        "frozen": done.frozen,
    }
    lines = _lines(session, done)
    if not done.red or session.dry_run:
        session.report(data, *lines)
        return
    if not session.json:
        for line in lines:
            session.complain(line)
    message = done.frozen or _trouble(done)
    hint = "git pw merge resume, when it is mended" if done.frozen else "see 'git pw merge list'"
    raise FailedError(message, hint=hint, **plain(data))


def _returned(back: dict[str, Any]) -> dict[str, Any]:
    return {"taskId": back["task"], **{name: back[name] for name in ("state", "detail", "head", "data")}}


def _trouble(done: Merged) -> str:
    told = []
    if done.returned:
        told.append(f"{counted(len(done.returned), 'task')} went back")
    refused = [one for one in done.waiting if one.reason]
    if refused and not done.returned:
        told.append(f"{counted(len(refused), 'task')} couldn't land")
    return "; ".join(told) or "not everything could land"


def _lines(session: Session, done: Merged) -> list[str]:
    landed, returned = ("would land", "would return") if session.dry_run else ("landed", "returned")
    lines = [f"{landed} {one.task_id} as {(one.commit or '-')[:SHORT]}" for one in done.landed]
    lines += [f"{returned} {back.task}: {back.detail}" for back in done.returned]
    lines += [f"waiting {one.task_id}: {one.reason}" for one in done.waiting]
    return lines or ["nothing to merge"]


@merge.command("list", "git pw merge list", "git pw merge list --json")
def list_(session: Session) -> None:
    """List what waits to be merged, next first."""
    from gitpw.services.merges import merges

    found = merges(session.open())
    data = {"merges": [one.public(place) for place, one in enumerate(found.entries, 1)], "queue": found.queue}
    rows = [
        (str(place), one.task_id, one.worker_id, one.state.value, one.branch_name or "-", one.detail or "-")
        for place, one in enumerate(found.entries, 1)
    ]
    head = ("PLACE", "TASK", "WORKER", "STATE", "BRANCH", "DETAIL")
    session.notes(found.notes)
    session.table(data, head, rows, "nothing waits to be merged")


@merge.command("show", "git pw merge show task-007", "git pw merge show task-007 --json")
@click.argument("task")
def show(session: Session, task: str) -> None:
    """Show an entry: its state, and where it conflicts with the base branch, side by side.

    For each file in conflict: the file as it was (base), as the base branch has it (theirs), and as the task has it
    (ours), and the file with the marks of the conflict.
    """
    from gitpw.services.show_merge import show_merge

    found = show_merge(session.open(), a_task(task))
    data = {
        "merge": found.entry.public(found.position),
        "data": found.entry.data,
        "conflicts": found.conflicts,
        "commands": found.commands,
    }
    lines = [f"{found.entry.task_id}  {found.entry.state.value}  {found.entry.detail}".rstrip()]
    for one in found.conflicts:
        lines += ["", f"--- {one.file}", *one.marked.splitlines()]
    for line in str(found.entry.data.get("output") or "").splitlines():
        lines.append(f"  | {line}")
    if found.commands:
        lines += ["", "to bring it up to date:", *(f"  {command}" for command in found.commands)]
    session.answer(data, *lines)


@merge.command("retry", "git pw merge retry task-007")
@click.argument("task")
def retry(session: Session, task: str) -> None:
    """Try an entry again as it is, also one that went back to its owner.

    Red results of before don't count.
    """
    from gitpw.services.requeue import requeue

    entry = requeue(session.open(changes=True, pushes=True, rehearsed=True), a_task(task))
    session.report({"merge": entry.public(entry.position)}, f"{entry.task_id} is in line again")


@merge.command("drop", "git pw merge drop task-007 --reason 'superseded by task-009'")
@click.argument("task")
@option("--reason", metavar="R", help="Why.")
def drop(session: Session, task: str, reason: str | None) -> None:
    """Take an entry out of the queue: its owner has the task again, with its locks."""
    from gitpw.services.drop import drop as run

    done = run(session.open(changes=True, pushes=True, rehearsed=True), a_task(task), reason)
    by = f" with {done.assigned_to} again" if done.assigned_to else ""
    session.report({"task": done}, f"{done.id} is out of the queue{by}")


@merge.command("first", "git pw merge first task-007")
@click.argument("task")
def first(session: Session, task: str) -> None:
    """Put an entry before all others; what it depends on still comes first."""
    from gitpw.services.put_first import put_first

    entry = put_first(session.open(changes=True, pushes=True, rehearsed=True), a_task(task))
    session.report({"merge": entry.public(1)}, f"{entry.task_id} is first in line")


@merge.command("pause", "git pw merge pause", "git pw merge pause --below 2 --reason 'release day'")
@option(
    "--below", metavar="PRIORITY", type=int, help="Only tasks of a lower priority than this wait; 1 is first."
)
@option("--reason", metavar="R", default="", help="Why; others see it.")
def pause(session: Session, below: int | None, reason: str) -> None:
    """Merge nothing for now, or nothing below a priority. What is being tested doesn't land either."""
    from gitpw.services.pause import pause as run

    if below is not None and not 1 <= below <= 5:  # noqa: PLR2004 - the priorities there are
        raise InvalidError(f"--below {below}: priorities are 1 to 5", hint="1 comes first")
    paused = run(session.open(changes=True, pushes=True, rehearsed=True), below, reason)
    which = "" if below is None else f" below priority {below}"
    session.report({"pause": paused}, f"merging is paused{which}: 'git pw merge resume' ends it")


@merge.command("resume", "git pw merge resume")
def resume(session: Session) -> None:
    """Go on after a pause, or after the base branch itself was red and has been mended."""
    from gitpw.services.resume import resume as run

    changed = run(session.open(changes=True, pushes=True, rehearsed=True))
    session.report({"changed": changed}, "merging goes on" if changed else "merging wasn't paused")
