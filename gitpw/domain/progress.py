"""How far a task has come, and when it may be finished.

*Pace.* A few marks say when the percentage changed; the time between them over the work between them is the pace. A
gap of more than `LONG` in which things went far slower than in all other gaps was no work (a suspended machine, a
night): it counts as if it had gone `SLOWER` times as slowly as the rest, and no more.

*Where an estimate comes from*, best first: what the worker said, as long as that time isn't over; the pace of this
task; how long finished tasks of the same type took (the median, so that one that lay about for days says nothing);
the task's own estimate, which goes first where fewer than `ENOUGH` are finished.

What the clock does isn't trusted: marks that lie in the future are dropped, and no time that went backwards counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Any, NamedTuple

from pydantic import Field

from gitpw.domain.ids import ClaimId, TaskId, WorkerId
from gitpw.domain.record import Instant, Record
from gitpw.domain.task import Task

MOST = 12
"""How many marks are kept."""

MOMENT = timedelta(seconds=10)
"""What is said so soon after the claim was done before it."""

LEAST = 5
"""Percent that must have been done before there is a pace."""

LONG = timedelta(minutes=30)
SLOWER = 4

REMEMBERED = 21
"""Of how many finished tasks of a type it is known how long they took: few enough to write each time."""

ENOUGH = 3
"""So many of them say more than a task's own estimate."""

ALL = 100


class Source(StrEnum):
    """Where an estimate comes from."""

    SAID = "said"
    PACE = "pace"
    TYPE = "type"
    ESTIMATE = "estimate"


class Mark(Record):
    """When a task had come so far."""

    at: Instant
    percent: int = Field(ge=0, le=ALL)


class Words(NamedTuple):
    """What a worker says of its task; what is None stays as it was."""

    step: str | None = None
    done: int | None = None
    total: int | None = None
    percent: int | None = None
    eta: int | None = None


class Progress(Record):
    """What the worker last said; `estimated_time_remaining` is in minutes.

    In the ledger it is what was left when this was said; for readers it is what is left now, and `eta_source` says where
    that comes from. `until` (when the worker said that it will be finished) and `marks` are the ledger's own.
    """

    task_id: TaskId
    worker_id: WorkerId
    current_step: str = Field(default="", max_length=500)
    steps_completed: int = Field(default=0, ge=0)
    total_steps: int = Field(default=0, ge=0)
    percent_complete: int = Field(default=0, ge=0, le=ALL)
    estimated_time_remaining: int | None = Field(default=None, ge=0)
    last_updated: Instant
    eta_source: Source | None = None
    until: Instant | None = None
    marks: tuple[Mark, ...] = Field(default=(), max_length=MOST)

    def public(self) -> dict[str, Any]:
        """The record as `--json` shows it."""
        return self.model_dump(mode="json", by_alias=True, exclude={"eta_source", "until", "marks"})

    @property
    def eta(self) -> Eta | None:
        """What is left, as a reader is told."""
        if self.estimated_time_remaining is None or self.eta_source is None:
            return None
        return Eta(self.task_id, self.estimated_time_remaining, self.eta_source)


class Eta(NamedTuple):
    """Minutes that are left of a task, and where that comes from."""

    task_id: TaskId
    minutes: int
    source: Source


class Said(Record):
    """What a worker said of its task and what wasn't worth an operation of its own: it goes with the next one."""

    claim: ClaimId = Field(pattern=r"^[0-9a-f]{16}$")
    token: int
    progress: Progress


class Durations(Record):
    """How long the last finished tasks of a type took, in seconds, the latest last."""

    seconds: tuple[int, ...] = Field(default=(), max_length=REMEMBERED)

    @property
    def median(self) -> timedelta:
        """The middle one, where there is one at all; the module `statistics` would cost 10 ms to import."""
        ordered, last = sorted(self.seconds), len(self.seconds) - 1
        return timedelta(seconds=(ordered[last // 2] + ordered[(last + 1) // 2]) / 2)

    def and_one(self, begun: datetime | None, ended: datetime) -> Durations:
        """With one more; what took no time by its clocks says nothing."""
        if begun is None or ended <= begun:
            return self
        return Durations(seconds=(*self.seconds, int((ended - begun).total_seconds()))[-REMEMBERED:])


def begun(task: TaskId, worker: WorkerId, since: datetime) -> Progress:
    """Nothing was said yet."""
    return Progress(task_id=task, worker_id=worker, last_updated=since, marks=(Mark(at=since, percent=0),))


def advanced(old: Progress, at: datetime, words: Words) -> Progress | str:
    """What is known after a report; a string says what is wrong with it."""
    steps = old.total_steps if words.total is None else words.total
    taken = old.steps_completed if words.done is None else words.done
    if steps and taken > steps:
        return f"step {taken} of {steps} is beyond the end"
    percent = words.percent
    if percent is None:
        percent = ALL * taken // steps if words.done is not None and steps else old.percent_complete
    until = old.until if words.eta is None else at + timedelta(minutes=words.eta)
    return old.but(
        current_step=old.current_step if words.step is None else words.step,
        steps_completed=taken,
        total_steps=steps,
        percent_complete=percent,
        until=until,
        estimated_time_remaining=_minutes(until - at) if until is not None and until >= at else None,
        last_updated=at,
        marks=_marked(old, at, percent),
    )


def may_wait(shared: Progress, new: Progress, sparing: timedelta) -> bool:
    """Whether others needn't know yet: they were told a moment ago, and the step is the same."""
    same = (shared.current_step, shared.steps_completed, shared.total_steps) == (
        new.current_step,
        new.steps_completed,
        new.total_steps,
    )
    return same and timedelta() <= new.last_updated - shared.last_updated < sparing


def newest(known: Progress | None, said: Progress | None) -> Progress | None:
    """The later of two words on the same task."""
    if known is None or said is None:
        return known or said
    return said if said.last_updated >= known.last_updated else known


def expected(said: Progress | None, task: Task, finished: Durations, now: datetime) -> Eta | None:
    """How long a task that is being worked on will still take; None where nothing is known."""
    if said is not None:
        if said.until is not None and said.until >= now:
            return Eta(task.id, _minutes(said.until - now), Source.SAID)
        rate = pace(said.marks)
        if said.percent_complete == ALL or rate is not None:
            left = timedelta(seconds=(ALL - said.percent_complete) * (rate or 0))
            return Eta(
                task.id, _minutes(left - (now - max(said.marks, key=_at).at)) if left else 0, Source.PACE
            )
    if task.claimed_at is None:
        return None
    elapsed = max(now - task.claimed_at, timedelta())
    count = len(finished.seconds)
    if count >= ENOUGH or (count and task.estimated_duration is None):
        return Eta(task.id, _minutes(finished.median - elapsed), Source.TYPE)
    if task.estimated_duration is None:
        return None
    return Eta(task.id, _minutes(timedelta(minutes=task.estimated_duration) - elapsed), Source.ESTIMATE)


def pace(marks: Sequence[Mark]) -> float | None:
    """Seconds for a percent; None before that can be said."""
    gaps = [((two.at - one.at).total_seconds(), two.percent - one.percent) for one, two in pairwise(marks)]
    time, work = sum(gap[0] for gap in gaps), sum(gap[1] for gap in gaps)
    if work < LEAST or time < MOMENT.total_seconds():
        return None
    worked = 0.0
    for span, percent in gaps:
        others = (time - span) / (work - percent) if work > percent else None
        idle = others is not None and span > LONG.total_seconds()
        worked += min(span, SLOWER * (others or 0) * percent) if idle else span
    return worked / work


def _marked(old: Progress, at: datetime, percent: int) -> tuple[Mark, ...]:
    """The marks with one more: never back in time, never back in percent, and not too many."""
    marks = old.marks or (Mark(at=old.last_updated, percent=old.percent_complete),)
    kept = [mark for mark in marks if mark.at <= at and mark.percent < percent]
    if percent == old.percent_complete and marks[-1].at <= at:
        return marks
    if kept == [marks[0]] and kept[0].percent == 0 and at - kept[0].at < MOMENT:
        kept = []
    kept.append(Mark(at=at, percent=percent))
    return tuple(kept if len(kept) <= MOST else [kept[0], *kept[2:]])


def _at(mark: Mark) -> datetime:
    return mark.at


def _minutes(span: timedelta) -> int:
    """Whole minutes, rounded up; what is over is none."""
    return max(-(-span // timedelta(minutes=1)), 0)
