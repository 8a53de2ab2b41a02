"""`git pw log`: who did what, when and why."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gitpw.cli.commands import command, option
from gitpw.cli.output import local
from gitpw.cli.request import a_duration, a_worker, maybe_task
from gitpw.errors import OfflineError, UsageError

if TYPE_CHECKING:
    from datetime import timedelta

    from gitpw.cli.session import Session
    from gitpw.domain.ids import TaskId, WorkerId
    from gitpw.services.log import Event

PAUSES = (2.0, 30.0)
"""Seconds between two looks with `--follow`: after news, and at most."""


@command(
    "log", "git pw log", "git pw log --task task-007 --json", "git pw log --worker bob --since 2h --follow"
)
@option("--task", metavar="T", help="Only of this task.")
@option("--worker", metavar="W", help="Only by this worker.")
@option("--since", metavar="D", help="Only of the last 90s, 5m, 2h or 1d.")
@option("--follow", "-f", is_flag=True, help="Go on with what happens, until ^C.")
@option(
    "--all", "everything", is_flag=True, help="Back to the beginning, not only to when this clone joined."
)
def log(
    session: Session, task: str | None, worker: str | None, since: str | None, follow: bool, everything: bool
) -> None:
    """Show who did what and when, newest last.

    Reaches back to when this clone joined, with --all to the beginning. With -v it says which operations are signed.
    """
    if follow and session.json:
        raise UsageError(
            "--follow has no end, and --json is one document", hint="ask again with --since instead"
        )
    name, who = maybe_task(task), None if worker is None else a_worker(worker)
    after = None if since is None else a_duration(since, "--since")
    events = _events(session, name, who, since=after, everything=everything)
    lines = [_told(event, session) for event in events]
    if not follow:
        session.answer({"events": [_data(event) for event in events]}, *lines)
        return
    session.answer({}, *lines)
    _follow(session, name, who, max((event.counter for event in events), default=0))


def _events(
    session: Session,
    task: TaskId | None,
    worker: WorkerId | None,
    *,
    since: timedelta | None = None,
    everything: bool = False,
    after: int = 0,
) -> list[Event]:
    from gitpw.services.log import log as run

    return run(session.open(), task=task, worker=worker, since=since, everything=everything, after=after)


def _follow(session: Session, task: TaskId | None, worker: WorkerId | None, last: int) -> None:
    """Look again and again, less often while nothing happens."""
    pause, longest = PAUSES
    while True:
        session.flush()
        time.sleep(pause)
        try:
            events = _events(session, task, worker, after=last)
        except OfflineError as error:
            session.note(f"{error.message}; trying again")
            events = []
        session.answer({}, *(_told(event, session) for event in events))
        last = max([last, *(event.counter for event in events)])
        pause = PAUSES[0] if events else min(pause * 1.5, longest)


def _data(event: Event) -> dict[str, object]:
    return {
        "counter": event.counter,
        "id": event.id,
        "at": event.at,
        "workerId": event.worker_id,
        "verb": event.verb,
        "taskId": event.task_id,
        "detail": event.detail,
        **({"signature": event.signature} if event.signature is not None else {}),
    }


def _told(event: Event, session: Session) -> str:
    """One line; a commit's subject ends with the worker, which stands in front here."""
    signed = f"  {event.signature or 'unsigned'}" if session.verbose else ""
    return (
        f"{local(event.at)}{signed}  {event.worker_id}  {event.subject.removesuffix(f' ({event.worker_id})')}"
    )
