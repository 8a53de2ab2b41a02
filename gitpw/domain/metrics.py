"""Numbers for monitoring, in the text exposition format of Prometheus, version 0.0.4."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal, NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.history import Histogram, History, Tally
from gitpw.domain.lineup import lined_up
from gitpw.domain.lock import overdue
from gitpw.domain.merge import RETURNED, MergeState
from gitpw.domain.resource import Mode
from gitpw.domain.task import TaskStatus
from gitpw.domain.worker import Worker, WorkerStatus, WorkerType

MOST_WORKERS = 200
"""That have series of their own, those who merged most: each label value costs whoever scrapes."""

Labels = Mapping[str, str]


class Sample(NamedTuple):
    """One number; `suffix` is added to the name of its metric."""

    value: float
    labels: Labels = {}  # noqa: RUF012 - never changed
    suffix: str = ""


class Metric(NamedTuple):
    """A metric, and its numbers; the name ends with its unit, and a counter's with `_total`."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    samples: list[Sample]


class Age(NamedTuple):
    """When the state was last known to be the current one: None where it is known to be so now."""

    as_of: datetime | None
    now: datetime

    @property
    def seconds(self) -> float:
        """How long ago that was."""
        return 0.0 if self.as_of is None else max((self.now - self.as_of).total_seconds(), 0.0)


def exposition(metrics: Iterable[Metric]) -> str:
    """The text that a scraper reads."""
    return "".join(f"{line}\n" for metric in metrics for line in _lines(metric))


def _lines(metric: Metric) -> Iterable[str]:
    told = metric.help.replace("\\", "\\\\").replace("\n", "\\n")
    yield f"# HELP {metric.name} {told}"
    yield f"# TYPE {metric.name} {metric.kind}"
    for sample in metric.samples:
        labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in sample.labels.items())
        shown = f"{{{labels}}}" if labels else ""
        yield f"{metric.name}{sample.suffix}{shown} {_number(sample.value)}"


def _escaped(value: str) -> str:
    """A label's value; what isn't printable isn't shown to anybody's terminal."""
    plain = "".join(letter if letter.isprintable() else "\ufffd" for letter in value)
    return plain.replace("\\", "\\\\").replace('"', '\\"')


def _number(value: float) -> str:
    if value == float("inf"):
        return "+Inf"
    return str(int(value)) if value == int(value) else repr(value)


def metrics(board: Board, workers: Iterable[Worker], history: History, age: Age) -> list[Metric]:
    """All that there is to say of a ledger: how it stands, and what has become of it so far."""
    return [
        *_standing(board, list(workers), age),
        *_merging(board, age),
        *_so_far(history),
        *_ages(board, history, age),
    ]


def _gauge(name: str, told: str, samples: Iterable[Sample] | float) -> Metric:
    return Metric(
        f"gitpw_{name}",
        "gauge",
        told,
        [Sample(samples)] if isinstance(samples, int | float) else list(samples),
    )


def _counter(name: str, told: str, samples: Iterable[Sample] | float) -> Metric:
    found = _gauge(name, told, samples)
    return found._replace(name=f"{found.name}_total", kind="counter")


def _standing(board: Board, workers: list[Worker], age: Age) -> list[Metric]:
    counts = board.meta.counts
    claims = list(board.claims())
    late = sum(not claim.queued and overdue(claim.lease, age.now, board.settings) for claim in claims)
    modes = [held.mode for claim in claims for held in claim.locks]
    return [
        _gauge(
            "tasks",
            "Tasks by status; completed ones are merged or wait to be.",
            (Sample(counts.get(status, 0), {"status": status.value}) for status in TaskStatus),
        ),
        _gauge(
            "workers",
            "Registered workers by presence and type.",
            (
                Sample(
                    sum((one.status, one.type) == (status, kind) for one in workers),
                    {"presence": status.value, "type": kind.value},
                )
                for status in WorkerStatus
                for kind in WorkerType
            ),
        ),
        _gauge(
            "locks",
            "Locked files, folders and patterns.",
            (Sample(modes.count(mode), {"mode": mode.value}) for mode in Mode),
        ),
        _gauge("claims", "Claims that hold something, with a task or without.", len(claims)),
        _gauge("claims_overdue", "Claims whose lease is over, and which nobody has returned yet.", late),
    ]


def _merging(board: Board, age: Age) -> list[Metric]:
    entries, line = lined_up(board), board.line
    waiting = [one.queued_at for one in entries if one.state not in RETURNED]
    oldest = max(((age.now - at).total_seconds() for at in waiting), default=0)
    return [
        _gauge(
            "merge_queue_length",
            "Entries of the merge queue by state.",
            (
                Sample(sum(one.state is state for one in entries), {"state": state.value})
                for state in MergeState
                if state is not MergeState.MERGED
            ),
        ),
        _gauge(
            "merge_queue_oldest_seconds",
            "How long the first handed in has waited to be merged.",
            max(oldest, 0),
        ),
        _gauge("merge_queue_paused", "1 while somebody has paused merging.", line.pause is not None),
        _gauge("merge_queue_frozen", "1 while the base branch is red.", line.freeze is not None),
    ]


def _so_far(history: History) -> list[Metric]:
    most = sorted(history.workers.items(), key=lambda one: (-one[1].merged, one[0]))[:MOST_WORKERS]
    return [
        _counter(
            "operations",
            "Operations of the ledger by verb.",
            (Sample(number, {"verb": verb}) for verb, number in sorted(history.verbs.items())),
        ),
        *(_counter(name, told, _by_type(history, field)) for field, name, told in _COUNTED),
        _counter("work_seconds", "Time worked on tasks, from start to hand-in.", _by_type(history, "worked")),
        _counter(
            "worker_merged",
            "Merged tasks by who handed them in.",
            (Sample(tally.merged, {"worker": worker}) for worker, tally in most),
        ),
        _histogram(
            "task_pickup_seconds", "From when a task was added to its first claim.", history.until_claimed
        ),
        _histogram(
            "task_merge_seconds", "From when a task was handed in to its merge.", history.until_merged
        ),
    ]


_COUNTED = (
    ("added", "tasks_added", "Tasks that were added."),
    ("claimed", "tasks_claimed", "Claims of tasks."),
    ("completed", "tasks_completed", "Hand-ins to the merge queue."),
    ("merged", "tasks_merged", "Tasks that were merged."),
    ("conflicts", "merge_conflicts", "Entries that the merge queue returned for a conflict."),
    ("red", "merge_failures", "Entries that the merge queue returned for failed tests."),
    ("failed", "tasks_failed", "Failures that workers reported."),
    ("lost", "tasks_lost", "Tasks whose worker was lost."),
)


def _by_type(history: History, field: str) -> list[Sample]:
    place = Tally.NAMES.index(field)
    found = sorted(history.types.items()) or [("", Tally())]
    return [Sample(tally[place], {"type": kind or "unknown"}) for kind, tally in found]


def _histogram(name: str, told: str, found: Histogram) -> Metric:
    buckets = [Sample(below, {"le": _number(bound)}, "_bucket") for bound, below in found.cumulative()]
    return Metric(
        f"gitpw_{name}",
        "histogram",
        told,
        [*buckets, Sample(found.total, suffix="_sum"), Sample(found.count, suffix="_count")],
    )


def _ages(board: Board, history: History, age: Age) -> list[Metric]:
    last = history.last or 0
    return [
        _gauge("ledger_counter", "The number of the last operation.", board.counter),
        _gauge("ledger_last_operation_timestamp_seconds", "When that was, by its writer's clock.", last),
        _gauge(
            "ledger_age_seconds", "How long ago this was last known to be the current state.", age.seconds
        ),
        _gauge("ledger_current", "1 if this is known to be the current state.", age.as_of is None),
    ]
