"""What the dashboard shows, before anybody draws it: lines, rows and numbers, nothing of terminals."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from gitpw.cli.output import counted, remaining, rounded, span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gitpw.domain.ids import TaskId, WorkerId
    from gitpw.domain.lock import Claim
    from gitpw.domain.progress import Progress
    from gitpw.domain.worker import Worker
    from gitpw.services.status import Status

IDLE_SHOWN = 8
"""Workers without work that are listed one by one; the others are counted."""

BAR = 10
"""Cells of a progress bar."""

HEAD = ("WORKER", "TYPE", "TASK", "PROGRESS", "ETA", "LEASE")
MERGE_HEAD = ("PLACE", "TASK", "WORKER", "STATE", "DETAIL")


class Row(NamedTuple):
    """A worker and one thing that it does; `late` where its lease is over."""

    worker: str
    kind: str
    task: str
    percent: int | None
    eta: str
    lease: str
    late: bool = False
    step: str = ""


class Dashboard(NamedTuple):
    """All that is shown, from top to bottom."""

    summary: str
    rows: list[Row]
    more: str | None
    queue: str
    locks: str
    merges: Sequence[tuple[str, ...]]
    warnings: list[str]

    @property
    def verdict(self) -> str:
        """What stands where warnings would."""
        return "All workers operational"


def dashboard(status: Status, now: datetime) -> Dashboard:
    """Arrange a status for people."""
    rows, idle = _rows(status, now)
    hidden = len(idle) - IDLE_SHOWN
    merges = [
        (str(place), one.task_id, one.worker_id, one.state.value, one.detail or one.branch_name or "")
        for place, one in enumerate(status.merges, 1)
    ]
    return Dashboard(
        summary=_summary(status, now),
        rows=[*rows, *idle[:IDLE_SHOWN]],
        more=f"and {counted(hidden, 'more worker')} without work" if hidden > 0 else None,
        queue=_queue(status),
        locks=_locks(status),
        merges=merges,
        warnings=list(status.warnings),
    )


def _summary(status: Status, now: datetime) -> str:
    working = len({claim.worker for claim in status.claims if not claim.queued})
    where = status.remote or "this machine alone"
    age = now - (status.as_of or now)
    told = "up to date" if status.current and age < timedelta(seconds=5) else f"as of {span(age)} ago"
    return f"{counted(len(status.workers), 'worker')}, {working} at work; ledger on {where}, {told}"


def _queue(status: Status) -> str:
    counts = [f"{number} {name.replace('_', ' ')}" for name, number in status.tasks.items() if number]
    return ", ".join(counts) or "none"


def _locks(status: Status) -> str:
    files = sum(len(record["lockedFiles"]) for record in status.locks)
    held = f"{files} held" if files else "none"
    waits = [f"{waiter.worker} waits for {waiter.wish} (number {place})" for waiter, place in status.waits]
    return "; ".join([held, *waits])


def _rows(status: Status, now: datetime) -> tuple[list[Row], list[Row]]:
    """Who does something, a row for each claim; and who doesn't."""
    held: dict[WorkerId, list[Claim]] = {}
    for claim in status.claims:
        if not claim.queued:
            held.setdefault(claim.worker, []).append(claim)
    said = {one.task_id: one for one in status.progress}
    known = {one.id: one for one in status.workers}
    rows, idle = [], []
    for name in sorted({*known, *held}):
        claims = sorted(held.get(name, []), key=lambda claim: claim.token)
        rows += [_row(claim, known.get(claim.worker), said, status, now) for claim in claims]
        if not claims:
            idle.append(Row(name, kind(known[name]), f"({known[name].status.value})", None, "", ""))
    return rows, idle


def kind(worker: Worker) -> str:
    """Who it is: `human`, `ai`, `ai codegen`."""
    agent = worker.metadata.agent_type
    if worker.type.value == "human":
        return "human"
    return f"ai {agent.value}" if agent else "ai"


def _row(
    claim: Claim, worker: Worker | None, progress: dict[TaskId, Progress], status: Status, now: datetime
) -> Row:
    said = progress.get(claim.task) if claim.task else None
    until = claim.lease.expires_at
    late = until <= now
    return Row(
        worker=claim.worker,
        kind=kind(worker) if worker else "ai" if claim.worker_type.value == "ai_agent" else "human",
        task=_doing(claim, status.titles),
        percent=said.percent_complete if said else (0 if claim.task else None),
        eta=remaining(said) if said else "",
        lease=f"over {span(now - until)}" if late else span(rounded(until - now)),
        late=late,
        step=said.current_step if said else "",
    )


def _doing(claim: Claim, titles: dict[TaskId, str]) -> str:
    if claim.task:
        return f"{claim.task} {titles.get(claim.task, '')}".rstrip()
    names = [held.resource for held in claim.locks]
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"lock on {names[0] if names else 'nothing'}{more}"


def bar(percent: int | None, full: str = "#", empty: str = "-", cells: int = BAR) -> str:
    """`[####------]  43%`; nothing where there is no progress to speak of."""
    if percent is None:
        return ""
    done = percent * cells // 100
    return f"{full * done}{empty * (cells - done)} {percent:3}%"


def lines(board: Dashboard) -> list[Sequence[str] | str]:
    """The whole for a pipe: lines, and rows of cells that belong into aligned columns."""
    told: list[Sequence[str] | str] = [board.summary, ""]
    told.append(HEAD)
    told += [(row.worker, row.kind, row.task, bar(row.percent), row.eta, row.lease) for row in board.rows]
    told += [board.more] if board.more else []
    told += ["", f"tasks: {board.queue}", f"locks: {board.locks}"]
    told += ["", MERGE_HEAD, *board.merges, ""] if board.merges else ["merge queue: empty"]
    told += [f"warning: {one}" for one in board.warnings] or [board.verdict]
    return told
