"""One page of all of it, that needs no network: the state, the last day, and history.

Nothing on it runs, and its policy allows nothing to be loaded: only the style that it brings along, by its hash.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from gitpw.cli.dashboard import Dashboard, Row, dashboard, kind
from gitpw.cli.markup import Child, Markup, element, joined, told
from gitpw.cli.output import counted, span
from gitpw.cli.timeline import MOST_SPANS, timeline
from gitpw.domain.history import DAY, Histogram, Tally
from gitpw.domain.ids import isoformat
from gitpw.domain.task import TaskStatus
from gitpw.services.overview import HELD_BACK, MERGED, MOST

if TYPE_CHECKING:
    from gitpw.domain.task import Task
    from gitpw.domain.worker import Worker
    from gitpw.services.overview import Overview

MOST_WARNINGS, MOST_WORKERS, MOST_FILES, MOST_SAID = 100, 100, 5, 300
"""What is shown of lists: warnings, workers in history, files of a lock; and letters of a detail."""

DAYS = 14
OLD = timedelta(minutes=10)

KINDS = {
    TaskStatus.PENDING.value: "ready",
    HELD_BACK: "held back",
    TaskStatus.CLAIMED.value: "claimed",
    TaskStatus.IN_PROGRESS.value: "in progress",
    TaskStatus.COMPLETED.value: "handed in",
    TaskStatus.FAILED.value: "failed",
    MERGED: "merged",
    TaskStatus.CANCELLED.value: "cancelled",
}
"""What has become of tasks, in the order of a page, and in words."""

SECTIONS = {
    "workers": "Workers",
    "merges": "Merge queue",
    "waits": "Waits and locks",
    "tasks": "Tasks",
    "timeline": "Timeline",
    "history": "History",
}


def page(seen: Overview, name: str) -> str:
    """The page about the repository of that name, as text."""
    board = dashboard(seen.status, seen.now)
    body = element(
        "body",
        element("a", "Skip to the content", href="#content", class_="skip"),
        _head(seen, name),
        _contents(),
        element(
            "main",
            _numbers(seen, board),
            _warnings(board),
            _section("workers", *_workers(board)),
            _section("merges", _merges(seen, board)),
            _section("waits", element("h3", "Waits"), _waits(seen), element("h3", "Locks"), _locks(seen)),
            _section("tasks", *_tasks(seen)),
            _section("timeline", timeline(seen)),
            _section("history", *_history(seen)),
            id="content",
        ),
        _foot(),
    )
    return f"<!DOCTYPE html>\n{element('html', _meta(name), body, lang='en', dir='ltr')}\n"


@cache
def _style() -> str:
    return (Path(__file__).parent / "page.css").read_text(encoding="utf-8")


def _meta(name: str) -> Markup:
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="robots", content="noindex"),
        element("title", f"{name}: who does what"),
        element("style", Markup(style)),
    )


# --- the frame of it ------------------------------------------------------------------------------------------------


def _head(seen: Overview, name: str) -> Markup:
    return element("header", element("h1", told(name), ": who does what"), _age(seen))


def _age(seen: Overview) -> Markup:
    """Of when it is: the page may be looked at much later than it was written."""
    as_of = seen.status.as_of or seen.now
    age = max(seen.now - as_of, timedelta())
    if seen.status.current:
        known = "current when this page was written"
    else:
        known = f"{span(age)} old when this page was written at {minute(seen.now)}"
    where = "" if seen.status.remote else " The ledger is on one machine alone."
    return element(
        "p",
        "State of ",
        element("time", minute(as_of), datetime=isoformat(as_of)),
        ", ",
        element("span", known, class_="old" if not seen.status.current and age > OLD else None),
        f".{where} The page doesn't renew itself; all times are UTC.",
        class_="soft",
    )


def _contents() -> Markup:
    links = [element("li", element("a", title, href=f"#{name}")) for name, title in SECTIONS.items()]
    return element("nav", element("ul", *links), aria_label="Parts of this page")


def _section(name: str, *children: Child) -> Markup:
    heading = element("h2", SECTIONS[name], id=f"{name}-title")
    return element("section", heading, *children, id=name, aria_labelledby=f"{name}-title")


def _foot() -> Markup:
    words = (
        f"Lists end after {MOST} rows and say how many there are in all. The timeline shows the last 24 hours, at most "
        f"{MOST} tasks (the latest) and of each the last {MOST_SPANS} stretches, to the minute; history the last {DAYS} "
        "days. Written by git pw status --html."
    )
    return element("footer", element("p", words))


def minute(moment: datetime) -> str:
    """A moment to the minute, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _table(
    caption: str, head: Sequence[str], rows: Iterable[Sequence[Child]], classes: Sequence[str]
) -> Markup:
    """A table in a box that can be scrolled with the keyboard; the first cell of a row is its heading."""
    titles = [
        element("th", title, scope="col", class_="number" if name == "number" else None)
        for title, name in zip(head, classes, strict=True)
    ]
    lines = [
        element(
            "tr",
            *(_cell(place, cell, name) for place, (cell, name) in enumerate(zip(row, classes, strict=True))),
        )
        for row in rows
    ]
    table = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *titles)),
        element("tbody", *lines),
    )
    return element("div", table, class_="scroll", tabindex="0", role="region", aria_label=caption)


def _cell(place: int, content: Child, name: str) -> Markup:
    if place == 0:
        return element("th", content, scope="row", class_=name)
    return element("td", content, class_=name)


def _shortened(count: int, what: str) -> str:
    return counted(count, what) if count <= MOST else f"{MOST} of {counted(count, what)}"


def _cut(words: str) -> Markup:
    return told(words, MOST_SAID)


# --- the state ------------------------------------------------------------------------------------------------------


def _numbers(seen: Overview, board: Dashboard) -> Markup:
    totals = _totals(seen)
    working = len({claim.worker for claim in seen.status.claims if not claim.queued})
    shown = {
        "Workers": str(len(seen.status.workers)),
        "At work": str(working),
        "Tasks ready": str(totals[TaskStatus.PENDING.value]),
        "Held back": str(totals[HELD_BACK]),
        "In progress": str(totals[TaskStatus.CLAIMED.value] + totals[TaskStatus.IN_PROGRESS.value]),
        "Merge queue": str(len(board.merges)),
        "Merged": str(totals[MERGED]),
        "Failed": str(totals[TaskStatus.FAILED.value]),
    }
    return element(
        "dl",
        *(element("div", element("dt", name), element("dd", number)) for name, number in shown.items()),
        class_="numbers",
        aria_label="At a glance",
    )


def _totals(seen: Overview) -> dict[str, int]:
    found = dict.fromkeys(KINDS, 0)
    for (_, name), number in seen.counts.items():
        found[name] = found.get(name, 0) + number
    return found


def _warnings(board: Dashboard) -> Markup:
    if not board.warnings:
        return element("section", element("p", board.verdict), class_="well", aria_label="Warnings")
    lines = [element("li", _cut(one)) for one in board.warnings[:MOST_WARNINGS]]
    hidden = len(board.warnings) - MOST_WARNINGS
    if hidden > 0:
        lines.append(element("li", f"and {counted(hidden, 'more warning')}"))
    title = element("h2", counted(len(board.warnings), "warning"), id="warnings-title")
    return element(
        "section", title, element("ul", *lines), class_="warnings", aria_labelledby="warnings-title"
    )


def _workers(board: Dashboard) -> Iterator[Child]:
    if not board.rows:
        yield element("p", "Nobody has registered yet.")
        return
    yield _table(
        f"Who does what now ({_shortened(len(board.rows), 'row')})",
        ("Worker", "Type", "Task", "Progress", "Time left", "Lease left"),
        map(_worker, board.rows[:MOST]),
        ("name", "short", "words", "short", "short", "short"),
    )
    if board.more:
        yield element("p", board.more, class_="soft")


def _worker(row: Row) -> tuple[Child, ...]:
    step = element("div", _cut(row.step), class_="soft") if row.step else None
    bar = None
    if row.percent is not None:
        label = f"{row.percent}% of {row.task[:80]}"
        bar = element("progress", value=row.percent, max=100, aria_label=label)
    lease = element("span", row.lease, class_="late") if row.late else row.lease
    return (
        told(row.worker),
        row.kind,
        joined([told(row.task), step]),
        None if bar is None else joined([bar, f" {row.percent}%"]),
        row.eta,
        lease,
    )


def _merges(seen: Overview, board: Dashboard) -> Markup:
    titles: Mapping[str, str] = {str(name): title for name, title in seen.status.titles.items()}
    if not board.merges:
        return element("p", "The merge queue is empty.")
    return _table(
        f"{_shortened(len(board.merges), 'task')} in the merge queue, the next one first",
        ("Place", "Task", "Worker", "State", "Detail"),
        (
            (
                place,
                told(f"{task} {titles.get(task, '')}".rstrip()),
                told(worker),
                element("span", state, class_=state),
                _cut(detail),
            )
            for place, task, worker, state, detail in board.merges[:MOST]
        ),
        ("short", "words", "name", "short", "words"),
    )


def _waits(seen: Overview) -> Markup:
    waits = seen.status.waits
    if not waits:
        return element("p", "Nobody waits.")
    return _table(
        f"{_shortened(len(waits), 'wait')}, in line",
        ("Worker", "Waits for", "Place", "Since"),
        (
            (told(waiter.worker), _cut(waiter.wish), str(place), minute(waiter.since))
            for waiter, place in waits[:MOST]
        ),
        ("name", "words", "short", "short"),
    )


def _locks(seen: Overview) -> Markup:
    locks = [lock for lock in seen.status.locks if lock["lockedFiles"]]
    if not locks:
        return element("p", "Nothing is locked.")
    return _table(
        f"{_shortened(len(locks), 'lock')}",
        ("Worker", "Task", "Files", "Mode", "Until"),
        (
            (
                told(lock["workerId"]),
                lock["taskId"] or "",
                joined(_files(lock["lockedFiles"])),
                lock["mode"],
                _until(lock["expiresAt"]),
            )
            for lock in locks[:MOST]
        ),
        ("name", "short", "words", "short", "short"),
    )


def _until(moment: str | None) -> str:
    return "it is merged" if moment is None else minute(datetime.fromisoformat(moment))


def _files(names: Sequence[str]) -> Iterator[Markup]:
    for name in names[:MOST_FILES]:
        yield element("div", _cut(name))
    if len(names) > MOST_FILES:
        yield element("div", f"and {len(names) - MOST_FILES} more", class_="soft")


# --- tasks ----------------------------------------------------------------------------------------------------------


def _tasks(seen: Overview) -> Iterator[Child]:
    totals = _totals(seen)
    if not any(totals.values()):
        yield element("p", "There are no tasks yet.")
        return
    yield element("h3", "By priority")
    yield _table(
        "How many tasks there are of each priority (1 is the most urgent) and status",
        ("Priority", *KINDS.values(), "all"),
        _matrix(seen, totals),
        ("short", *["number"] * (len(KINDS) + 1)),
    )
    yield element("h3", "By status")
    for name, words in KINDS.items():
        listed = seen.listed.get(name)
        if listed:
            yield _listed(seen, words, totals[name], listed)


def _matrix(seen: Overview, totals: dict[str, int]) -> Iterator[Sequence[Child]]:
    for priority in sorted({priority for priority, _ in seen.counts}):
        numbers = [seen.counts.get((priority, name), 0) for name in KINDS]
        yield str(priority), *map(_number, numbers), str(sum(numbers))
    yield "all", *(_number(totals[name]) for name in KINDS), str(sum(totals.values()))


def _number(value: int) -> str:
    return str(value) if value else "–"  # noqa: RUF001 - as in other tables


def _listed(seen: Overview, words: str, total: int, tasks: Sequence[Task]) -> Markup:
    caption = f"Tasks that are {words}, the most urgent first"
    return element(
        "details",
        element("summary", words, " ", element("span", _shortened(total, "task"), class_="soft")),
        _table(
            caption,
            ("Task", "Priority", "Type", "Title", "Worker", "Note"),
            (
                (
                    task.id,
                    str(task.priority),
                    task.type.value,
                    told(task.title),
                    told(task.assigned_to or ""),
                    _cut(_remark(seen, task)),
                )
                for task in tasks
            ),
            ("short", "short", "short", "words", "name", "words"),
        ),
    )


def _remark(seen: Overview, task: Task) -> str:
    """Why it isn't further on."""
    if task.status is TaskStatus.FAILED:
        again = f"tried again at {minute(task.retry_at)}" if task.retry_at else "needs a person"
        return "; ".join(filter(None, [task.failure, again]))
    blocker = seen.status.blocked.get(task.id)
    if blocker is not None:
        return f"blocked by {blocker.name} ({blocker.state})"
    if task.status is TaskStatus.PENDING and task.dependencies:
        return f"after {', '.join(task.dependencies)}"
    return ""


# --- history --------------------------------------------------------------------------------------------------------


def _history(seen: Overview) -> Iterator[Child]:
    total = seen.history.total
    if not any(total):
        yield element("p", "Nothing has happened yet.")
        return
    yield element("p", _lately("From added to first claimed", seen.history.until_claimed))
    yield element("p", _lately("From handed in to merged", seen.history.until_merged))
    yield element("p", f"Conflict rate: {_rate(total)} of what has left the merge queue was a conflict.")
    yield element("h3", "By day")
    yield _days(seen)
    yield element("h3", "By worker")
    yield _by_worker(seen)


def _lately(what: str, waits: Histogram) -> str:
    if not waits.count:
        return f"{what}: no task yet."
    half, most = (_within(waits.quantile(part)) for part in (0.5, 0.9))
    mean = span(timedelta(seconds=waits.total / waits.count))
    return f"{what}: {mean} on average; half {half}, nine of ten {most} ({counted(waits.count, 'task')})."


def _within(bound: float | None) -> str:
    if bound is None or bound == float("inf"):
        return "longer than 7d"
    return f"within {span(timedelta(seconds=bound))}"


def _rate(tally: Tally) -> str:
    return "–" if tally.conflict_rate is None else f"{100 * tally.conflict_rate:.0f}%"  # noqa: RUF001 - as in other tables


def _days(seen: Overview) -> Markup:
    today = seen.end // DAY * DAY
    known = seen.history.by_day(today - (DAYS - 1) * DAY, today)
    first = min(known, default=today)
    days = {at: known.get(at, Tally()) for at in range(today, first - 1, -DAY)}
    most = max((day.merged for day in days.values()), default=0) or 1
    return _table(
        f"Throughput of the last {counted(len(days), 'day')}, in UTC",
        (
            "Day",
            "Merged",
            "Added",
            "Claimed",
            "Handed in",
            "Conflicts",
            "Tests red",
            "Failed",
            "Lost",
            "Mean wait",
            "Conflict rate",
        ),
        (
            (
                f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}",
                joined([_bar(day.merged, most), _number(day.merged)]),
                *map(
                    _number,
                    (day.added, day.claimed, day.completed, day.conflicts, day.red, day.failed, day.lost),
                ),
                _wait(day),
                _rate(day),
            )
            for at, day in days.items()
        ),
        ("short", *["number"] * 10),
    )


def _bar(number: int, most: int) -> Markup:
    """As long as the number is great, for the eye alone: the number stands beside it."""
    drawn = element("rect", width=100 * number // most, height=10, class_="merged")
    return element("svg", drawn, viewBox="0 0 100 10", class_="bar", aria_hidden="true")


def _wait(tally: Tally) -> str:
    return "–" if tally.mean_wait is None else span(timedelta(seconds=tally.mean_wait))  # noqa: RUF001 - as above


def _by_worker(seen: Overview) -> Markup:
    workers = {str(one.id): one for one in seen.status.workers}
    tallies = seen.history.workers
    names = sorted({*workers, *tallies}, key=lambda name: (-tallies.get(name, Tally()).merged, name))
    count = counted(len(names), "worker")
    caption = count if len(names) <= MOST_WORKERS else f"{MOST_WORKERS} of {count}"
    return _table(
        f"{caption}, who merged most first",
        ("Worker", "Type", "Now", "Merged", "Conflicts", "Failed", "Lost", "Worked", "Mean wait"),
        (_done(name, workers.get(name), tallies.get(name, Tally())) for name in names[:MOST_WORKERS]),
        ("name", "short", "short", *["number"] * 6),
    )


def _done(name: str, worker: Worker | None, tally: Tally) -> tuple[Child, ...]:
    return (
        told(name),
        kind(worker) if worker else "",
        worker.status.value if worker else "gone",
        *map(_number, (tally.merged, tally.conflicts, tally.failed, tally.lost)),
        span(timedelta(seconds=tally.worked)) if tally.worked else "–",  # noqa: RUF001 - as above
        _wait(tally),
    )
