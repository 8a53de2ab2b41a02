"""What people are told of: which notices follow from an operation."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import Field

from gitpw.domain.board import Board
from gitpw.domain.event import Event
from gitpw.domain.failure import told
from gitpw.domain.ids import OperationId, TaskId, WorkerId, isoformat
from gitpw.domain.lock import Ended
from gitpw.domain.merge import MergeState
from gitpw.domain.operation import (
    Back,
    Complete,
    Done,
    Expire,
    Fail,
    Frozen,
    Judged,
    Land,
    Merging,
    Operation,
    Outcome,
    Refused,
    SendBack,
    Suspect,
    Take,
    Warn,
)
from gitpw.domain.record import Instant, Record

LOST = frozenset({"expired", "taken over"})
"""How a claim ends that its holder gave no sign of life for."""

MOST_FILES = 20
"""Files that a notice names."""


class Notice(Record):
    """One thing to be told: `worker_id` is whom it is about, `by` who wrote the operation that it follows from.

    `same` is alike for what need not be told again and again.
    """

    event: Event
    ledger: str
    counter: int
    operation: OperationId
    at: Instant
    worker_id: WorkerId | None = None
    by: WorkerId
    task_id: TaskId | None = None
    title: str | None = None
    priority: int | None = None
    branch_name: str | None = None
    commit: str | None = None
    reason: str | None = None
    files: tuple[str, ...] = ()
    detail: dict[str, Any] = Field(default_factory=dict)
    same: str | None = None

    @property
    def key(self) -> str:
        """The same for the same notice, whoever makes it and how often."""
        about = self.task_id or self.detail.get("claim") or "-"
        return f"{self.ledger}:{self.counter}:{self.operation}:{self.event}:{about}"

    @property
    def headline(self) -> str:
        """The notice in a line; what comes from the ledger in it is as it was written there."""
        if self.detail.get("test"):
            return f"a test of notifications by {self.by}, sent as one of {self.event}"
        return " ".join(_SENTENCES[self.event](self).split())

    @property
    def name(self) -> str:
        """Its task, with the title."""
        return f"{self.task_id}: {self.title}" if self.title else str(self.task_id)


def _about(notice: Notice) -> str:
    """What a lease is on."""
    return notice.task_id or ", ".join(notice.files) or "its locks"


_SENTENCES: Mapping[Event, Callable[[Notice], str]] = {
    Event.CLAIMED: lambda it: f"{it.worker_id} claimed {it.name}",
    Event.REFUSED: lambda it: f"{it.worker_id} was refused: {it.reason}",
    Event.COMPLETED: lambda it: f"{it.worker_id} completed {it.name}",
    Event.MERGED: lambda it: f"{it.name} was merged{f' as {it.commit[:12]}' if it.commit else ''}",
    Event.CONFLICT: lambda it: f"{it.name} is back with {it.worker_id}: {it.reason}",
    Event.FAILED: lambda it: f"{it.name} failed: {it.reason}",
    Event.LOST_WORKER: lambda it: f"{it.worker_id} is lost: its lease on {_about(it)} is over",
    Event.LEASE_ENDING: lambda it: f"the lease of {it.worker_id} on {_about(it)} ends at {it.reason}",
    Event.NEEDS_PERSON: lambda it: f"{it.name if it.task_id else 'merging'} needs a person: {it.reason}",
}


class Waiting(NamedTuple):
    """A notice that waits, and the keys of the targets that have it; `since` in Unix time, `age` in seconds."""

    path: str
    notice: Notice
    done: tuple[str, ...]
    since: float
    age: float


# What follows from an operation


def notices(board: Board, operation: Operation, outcome: Outcome, counter: int | None = None) -> list[Notice]:
    """What is to be told of an operation that was decided, on the board as it is then.

    `counter` is the operation's own where the board is of later.
    """
    if isinstance(outcome, Refused):
        return list(_refused(board, operation, outcome))
    tell = _TELLERS.get(type(operation.request))
    make = _Maker(board, operation, board.counter if counter is None else counter)
    found = list(tell(make, operation.request, outcome)) if tell is not None else []
    return found + list(_lost(make, operation))


class _Maker:
    """Makes notices of one operation."""

    def __init__(self, board: Board, operation: Operation, counter: int) -> None:
        self.board = board
        self.operation = operation
        self.counter = counter

    def __call__(
        self, event: Event, task: TaskId | None = None, worker: WorkerId | None = None, **more: Any
    ) -> Notice:
        """A notice with what is known of its task."""
        found = None if task is None else self.board.task(task)
        known = (
            {}
            if found is None
            else {
                "title": found.title,
                "priority": found.priority,
                "branch_name": found.metadata.branch_name,
                "files": found.files,
            }
        )
        fields = {**known, **{name: value for name, value in more.items() if value is not None}}
        fields["files"] = tuple(fields.get("files", ()))[:MOST_FILES]
        return Notice(
            event=event,
            ledger=self.board.meta.ledger,
            counter=self.counter,
            operation=self.operation.id,
            at=self.operation.at,
            by=self.operation.author.worker,
            worker_id=worker or self.operation.author.worker,
            task_id=task,
            **fields,
        )


def _claimed(make: _Maker, _request: Take, outcome: Done) -> Iterator[Notice]:
    for task in outcome.tasks:
        yield make(Event.CLAIMED, task, detail={"token": outcome.token})


def _completed(make: _Maker, request: Complete, outcome: Done) -> Iterator[Notice]:
    for task in outcome.tasks:
        yield make(Event.COMPLETED, task, commit=request.head)
        if not request.queue:
            yield make(Event.MERGED, task, commit=request.head)


def _failed(make: _Maker, request: Fail, outcome: Done) -> Iterator[Notice]:
    for task in outcome.tasks:
        worker = outcome.detail.get("worker")
        detail = {name: outcome.detail.get(name) for name in ("kind", "attempts", "retryAt")}
        yield make(Event.FAILED, task, worker, reason=request.reason, detail=detail)
        if outcome.detail.get("needsPerson"):
            yield make(Event.NEEDS_PERSON, task, worker, reason=request.reason, detail=detail)


def _landed(make: _Maker, request: Land, outcome: Done) -> Iterator[Notice]:
    commits = {landing.task: landing.commit for landing in request.landings}
    for name in outcome.tasks:
        task = make.board.task(name)
        yield make(Event.MERGED, name, None if task is None else task.assigned_to, commit=commits.get(name))
    yield from _returned(make, request, outcome)


def _returned(make: _Maker, request: Judged | Merging, outcome: Done) -> Iterator[Notice]:
    """What the merge queue sent back to its owners."""
    done = outcome.detail.get("returned") or ()
    for back in request.back:
        entry = make.board.entry(back.task)
        if back.task in done and (entry is None or entry.head == back.head):
            yield _sent_back(make, back)


def _sent_back(make: _Maker, back: Back) -> Notice:
    event = Event.CONFLICT if back.state is MergeState.CONFLICT else Event.FAILED
    task = make.board.task(back.task)
    owner = None if task is None else task.assigned_to
    return make(event, back.task, owner, reason=back.detail, commit=back.head, detail={"state": back.state})


def _frozen(make: _Maker, request: Frozen, _outcome: Done) -> Iterator[Notice]:
    reason = f"the base branch is red at {request.commit[:12]}: {request.detail}"
    yield make(Event.NEEDS_PERSON, reason=reason, commit=request.commit)


def _expired(make: _Maker, _request: Expire, outcome: Done) -> Iterator[Notice]:
    for name in outcome.detail.get("needsPerson", ()):
        task = make.board.task(name)
        reason = None if task is None else task.failure
        detail = {} if task is None else told(task)
        yield make(Event.NEEDS_PERSON, TaskId(name), reason=reason or "its workers were lost", detail=detail)


def _suspected(make: _Maker, _request: Suspect, outcome: Done) -> Iterator[Notice]:
    """Whose lease was overdue to nobody's clock before."""
    for name in outcome.detail.get("suspected", ()):
        claim = make.board.claim(name)
        if claim is not None and set(claim.lease.marks) == {make.operation.author.host}:
            detail = {"claim": claim.id, "leaseEnded": isoformat(claim.lease.expires_at)}
            files = [held.resource for held in claim.locks]
            yield make(Event.LOST_WORKER, claim.task, claim.worker, files=files, detail=detail)


def _warned(make: _Maker, _request: Warn, outcome: Done) -> Iterator[Notice]:
    for name in outcome.detail.get("warned", ()):
        claim = make.board.claim(name)
        if claim is not None:
            ends = isoformat(claim.lease.expires_at)
            files = [held.resource for held in claim.locks]
            detail = {"claim": claim.id, "leaseEnds": ends}
            yield make(Event.LEASE_ENDING, claim.task, claim.worker, reason=ends, files=files, detail=detail)


def _lost(make: _Maker, operation: Operation) -> Iterator[Notice]:
    """Whose claim was ended since nobody renewed it, unless a mark has told so already."""
    for name, ending in make.board.ended_at(make.counter):
        before = make.board.before.claim(name)
        marked = before is not None and before.lease.marks
        if ending.how in LOST and not marked and ending.worker != operation.author.worker:
            yield make(Event.LOST_WORKER, ending.task, ending.worker, **_over(before, name, ending))


def _over(before: Any, name: str, ending: Ended) -> dict[str, Any]:
    detail = {"claim": name, "how": ending.how}
    if before is None:
        return {"detail": detail}
    ended = isoformat(before.lease.expires_at)
    return {
        "files": [held.resource for held in before.locks],
        "detail": {**detail, "leaseEnded": ended},
    }


def _refused(board: Board, operation: Operation, outcome: Refused) -> Iterator[Notice]:
    """A refusal stands in no ledger, so that whoever asks again is refused again: that is the same piece of news."""
    if outcome.code not in {"held", "stale"} or not board.begun:
        return
    request, holder = operation.request, outcome.data.get("holder")
    named = getattr(request, "task", None) or outcome.data.get("taskId")
    words = [operation.author.worker, request.verb, named, outcome.code]
    words += (
        [str(holder.get(key)) for key in ("workerId", "taskId", "path")] if isinstance(holder, dict) else []
    )
    same = hashlib.sha256("\0".join(map(str, words)).encode(errors="replace")).hexdigest()[:32]
    detail = {"verb": request.verb, "code": outcome.code, "holder": holder}
    make = _Maker(board, operation, board.counter)
    task = None if named is None else TaskId(named)
    yield make(Event.REFUSED, task, reason=outcome.message, detail=detail, same=same)


_TELLERS: Mapping[type, Callable[[_Maker, Any, Done], Iterable[Notice]]] = {
    Complete: _completed,
    Expire: _expired,
    Fail: _failed,
    Frozen: _frozen,
    Land: _landed,
    Merging: _returned,
    SendBack: _returned,
    Suspect: _suspected,
    Take: _claimed,
    Warn: _warned,
}
