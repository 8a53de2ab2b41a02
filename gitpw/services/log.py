"""What happened: the audit trail."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any, NamedTuple

from gitpw.domain.ids import TaskId, WorkerId
from gitpw.errors import OfflineError
from gitpw.ledger.commits import Entry
from gitpw.ledger.signing import ForgedError, split
from gitpw.services.ports import Context

TOLD = {
    "fail": ("reason", "kind"),
    "progress": ("step", "done", "total", "percent", "eta"),
    "restore": ("reason",),
    "edit": (
        "title",
        "type",
        "priority",
        "files",
        "after",
        "noAfter",
        "skills",
        "estimate",
        "issue",
        "parent",
        "noParent",
        "related",
        "noRelated",
    ),
    "register": ("id", "type", "name", "skills", "maxConcurrentTasks"),
}
"""What of a request people see in the log's words, and programs in its detail."""


class Event(NamedTuple):
    """One operation that was applied; what comes from the ledger has not been checked.

    `signature` is "verified", "signed" (but not verified here) or "unsigned"; None where nobody ever asked for any.
    """

    counter: int
    id: str
    at: datetime
    worker_id: str
    verb: str
    task_id: str | None
    detail: dict[str, Any]
    subject: str
    tasks: tuple[str, ...] = ()
    signature: str | None = None

    def public(self) -> dict[str, Any]:
        """The event as `--json` shows it."""
        return {
            "counter": self.counter,
            "id": self.id,
            "at": self.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "workerId": self.worker_id,
            "verb": self.verb,
            "taskId": self.task_id,
            "detail": self.detail,
            **({"signature": self.signature} if self.signature is not None else {}),
        }


def log(
    ctx: Context,
    *,
    task: TaskId | None = None,
    worker: WorkerId | None = None,
    since: timedelta | None = None,
    everything: bool = False,
    after: int = 0,
) -> list[Event]:
    """The events, newest last, as far back as they are here; with `everything`, from the beginning."""
    try:
        ctx.ledger.fresh(10.0)
        if everything:
            ctx.ledger.store.deepen()
    except OfflineError as error:
        if not ctx.ledger.known():
            raise
        ctx.tell(f"{error.message}: showing what is known here")
    except ForgedError as error:
        if not ctx.ledger.known():
            raise
        ctx.tell(f"{error.message}: showing what was verified")
    oldest = ctx.clock.now() - since if since is not None else None
    found = []
    verified = _verified(ctx)
    for entry in ctx.ledger.history():
        if entry.counter <= after:
            break
        event = _event(entry)
        if event is None or (oldest is not None and event.at < oldest):
            continue
        if (task is None or task in event.tasks) and (worker is None or worker == event.worker_id):
            found.append(event._replace(signature=_signature(ctx, entry, verified)))
    return found[::-1]


def _verified(ctx: Context) -> float | None:
    """The counter from which on signatures were verified here; None where nobody ever asked for any."""
    if not ctx.ledger.board().settings.administrators:
        return None
    return inf if ctx.remote is None else ctx.ledger.verified_from() or 0


def _signature(ctx: Context, entry: Entry, verified: float | None) -> str | None:
    if verified is None:
        return None
    raw = ctx.ledger.store.raw(entry.commit)
    if raw is None or split(raw)[1] is None:
        return "unsigned"
    return "verified" if entry.counter >= verified else "signed"


def _event(entry: Entry) -> Event | None:
    operation, outcome = entry.operation, entry.outcome
    request, author = operation.get("request"), operation.get("author")
    if not isinstance(request, Mapping) or not isinstance(author, Mapping):
        return None
    try:
        at = datetime.fromisoformat(str(operation.get("at")))
    except ValueError:
        return None
    named = request.get("task")
    tasks = tuple(map(str, outcome.get("tasks") or ())) or ((str(named),) if named else ())
    detail = outcome.get("detail")
    return Event(
        counter=entry.counter,
        id=str(operation.get("id")),
        at=at if at.tzinfo else at.replace(tzinfo=UTC),
        worker_id=str(author.get("worker")),
        verb=str(request.get("verb")),
        task_id=tasks[0] if len(tasks) == 1 else None,
        detail=_detail(request, outcome, dict(detail) if isinstance(detail, Mapping) else {}),
        subject=entry.subject,
        tasks=tasks,
    )


def _detail(request: Mapping[str, Any], outcome: Mapping[str, Any], detail: dict[str, Any]) -> dict[str, Any]:
    """What was granted, and for what reason."""
    if outcome.get("token") is not None:
        detail.setdefault("token", outcome["token"])
    verb = str(request.get("verb"))
    if verb in {"claim", "lock", "unlock", "release"}:
        for name in ("files", "token", "reason"):
            detail.setdefault(name, request.get(name))
    for name in TOLD.get(verb, ()):
        if request.get(name) is not None:
            detail.setdefault(name, request[name])
    return detail
