"""`git pw status`: who does what, what is stuck, and what merges next."""

from __future__ import annotations

from itertools import groupby
from pathlib import PurePath
from typing import TYPE_CHECKING

from gitpw.cli.commands import command, option
from gitpw.cli.dashboard import Dashboard, dashboard, lines
from gitpw.cli.graph import blocked
from gitpw.cli.output import aligned
from gitpw.errors import UsageError

if TYPE_CHECKING:
    from gitpw.cli.session import Session
    from gitpw.domain.task import Task
    from gitpw.services.status import Status


@command(
    "status",
    "git pw status",
    "git pw status --json",
    "git pw status --offline",
    "git pw status --html status.html",
    "git pw status --prometheus > /var/lib/node_exporter/gitpw.prom",
)
@option("--offline", is_flag=True, help="Ask nobody: show what is known here.")
@option("--html", "page", metavar="FILE", help="As one page for a browser; - is stdout.")
@option("--prometheus", is_flag=True, help="As numbers for monitoring, in Prometheus' text format.")
def status(session: Session, offline: bool, page: str | None, prometheus: bool) -> None:
    """Show who does what, and what needs a look.

    Workers, tasks, progress, locks, the merge queue and warnings.
    """
    if page is not None and prometheus:
        raise UsageError("--html and --prometheus are two answers", hint="ask for one after the other")
    if page is not None:
        _publish(session, page, offline=offline)
        return
    if prometheus:
        _measure(session, offline=offline)
        return
    from gitpw.services.status import status as run

    context = session.open()
    found = run(context, offline=offline)
    if session.json:
        session.answer(_data(found))
        return
    board = dashboard(found, context.clock.now())
    if session.terminal:
        from gitpw.cli.drawing import console, draw_dashboard

        draw_dashboard(console(colour=session.colour), board)
    else:
        session.answer({}, *_lines(board))


def _measure(session: Session, *, offline: bool) -> None:
    """The numbers; they are a format of their own, which JSON is not."""
    if session.json:
        raise UsageError("--prometheus is a format of its own", hint="leave --json away")
    from gitpw.domain.metrics import exposition
    from gitpw.services.metrics import metrics

    session.text(exposition(metrics(session.open(), offline=offline)))


def _publish(session: Session, file: str, *, offline: bool) -> None:
    """Write the page; where it can't be written, that is said before anything is asked."""
    if file == "-" and session.json:
        raise UsageError("--html - and --json both want stdout", hint="name a file for the page")
    session.check_target(file)
    from gitpw.cli.page import page
    from gitpw.services.overview import overview

    context = session.open()
    seen = overview(context, offline=offline)
    root = context.repo.main_root() or context.repo.common_dir
    text = page(seen, PurePath(root).name.removesuffix(".git") or "git pw")
    if file == "-":
        session.text(text)
        return
    if not session.dry_run:
        session.write(file, text)
    data = {**_data(seen.status), "page": file}
    session.report(data, f"{file} is written: {dashboard(seen.status, seen.now).summary}")


def _data(found: Status) -> dict[str, object]:
    etas = [one.eta for one in found.progress if one.eta is not None]
    return {
        "asOf": found.as_of,
        "workers": found.workers,
        "tasks": found.tasks,
        "progress": found.progress,
        "locks": found.locks,
        "waits": [waiter.public(place) for waiter, place in found.waits],
        "merges": [one.public(place) for place, one in enumerate(found.merges, 1)],
        "warnings": found.warnings,
        "blocked": blocked(found.blocked),
        "failed": [_failed(one) for one in found.failed],
        "ledger": found.ledger,
        "remote": found.remote,
        **({"etas": etas} if etas else {}),
        **({"conflicts": found.conflicts} if found.conflicts else {}),
    }


def _failed(task: Task) -> dict[str, object]:
    """A failed task as a notification needs it."""
    from gitpw.domain.failure import told

    return {"taskId": task.id, "reason": task.failure, **told(task)}


def _lines(board: Dashboard) -> list[str]:
    """The dashboard for a pipe, its rows aligned."""
    told: list[str] = []
    for is_text, group in groupby(lines(board), lambda one: isinstance(one, str)):
        block = list(group)
        told += map(str, block) if is_text else aligned(block)
    return told
