"""Numbers for monitoring, as Prometheus' own parser reads them."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gitpw.domain.history import History
from gitpw.domain.ids import TaskId, WorkerId
from gitpw.domain.metrics import Age, Metric, Sample, exposition, metrics
from gitpw.domain.operation import Complete, Stop
from gitpw.ledger.events import event
from tests.domain.state import NOON, State, locks
from tests.domain.story import story

Found = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parsed(text: str) -> Found:
    """Every number by its name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Found, name: str, **labels: str) -> float:
    """One number."""
    return found[f"gitpw_{name}", tuple(sorted(labels.items()))]


def told(state: State, history: History | None = None, age: Age | None = None) -> Found:
    """What is said of a ledger."""
    board = state.board
    return parsed(exposition(metrics(board, board.workers(), history or History(), age or Age(None, NOON))))


def test_how_it_stands() -> None:
    """Tasks, workers, locks and the merge queue, as they are."""
    state = State()
    for title in ("one", "two", "three"):
        state.add(title, f"src/{title}")
    state.room("ada", 3)
    state.take("ada", "task-001")
    state.take("bob", "task-002", locks=locks("doc", shared=True))
    state.done(Complete(task=TaskId("task-001"), head="a" * 40, branch="x"))
    state.done(Stop(reason="lunch"))
    found = told(state, age=Age(NOON - timedelta(seconds=90), NOON + timedelta(hours=2)))
    assert value(found, "tasks", status="pending") == value(found, "tasks", status="completed") == 1
    assert value(found, "workers", presence="working", type="human") == 1
    assert value(found, "workers", presence="idle", type="human") == 1
    assert (value(found, "locks", mode="exclusive"), value(found, "locks", mode="shared")) == (2, 1)
    assert (value(found, "claims"), value(found, "claims_overdue")) == (2, 1)
    assert value(found, "merge_queue_length", state="queued") == 1
    assert value(found, "merge_queue_oldest_seconds") == 7200
    assert (value(found, "merge_queue_paused"), value(found, "merge_queue_frozen")) == (1, 0)
    assert (value(found, "ledger_age_seconds"), value(found, "ledger_current")) == (7290, 0)
    assert value(found, "ledger_counter") == state.board.counter


def test_what_has_become_of_it() -> None:
    """Counters by type and verb, and histograms whose last bucket counts all."""
    events = [one for text in story() if (one := event(text.text, "0" * 40, 0)) is not None]
    found = told(State(), History().fold(events))
    assert value(found, "operations_total", verb="claim") == 6
    assert value(found, "tasks_merged_total", type="fix") == 1
    assert value(found, "merge_conflicts_total", type="fix") == 1
    assert value(found, "worker_merged_total", worker="ada") == 1
    assert (
        value(found, "task_merge_seconds_count") == value(found, "task_merge_seconds_bucket", le="+Inf") == 2
    )
    assert value(found, "task_merge_seconds_sum") > 0
    assert value(found, "ledger_last_operation_timestamp_seconds") == events[-1].at


def test_nothing_yet() -> None:
    """A new ledger has all metrics, at zero."""
    found = told(State())
    assert value(found, "tasks_merged_total", type="unknown") == 0
    assert value(found, "ledger_current") == 1
    assert not any(math.isnan(number) for number in found.values())


@pytest.mark.parametrize("label", ['a"b\\c', "x\ny", "\x1b[31m", "\u202e", "é ✓", 'worker",evil="1'])
def test_labels_can_be_anything(label: str) -> None:
    """They come out of the parser as they went in, but for what isn't printable."""
    text = exposition([Metric("gitpw_x", "gauge", "A\nhelp \\ text", [Sample(1, {"worker": label})])])
    assert len(text.splitlines()) == 3
    assert text.isascii() or "\x1b" not in text
    plain = "".join(letter if letter.isprintable() else "\ufffd" for letter in label)
    assert parsed(text) == {("gitpw_x", (("worker", plain),)): 1}


def test_names_are_as_they_should_be() -> None:
    """Counters end with _total, all have help and one type, and units are spelt out."""
    board = State().board
    for metric in metrics(board, [], History(), Age(None, NOON)):
        assert (metric.kind == "counter") == metric.name.endswith("_total")
        assert metric.name.startswith("gitpw_")
        assert metric.help.endswith(".")


def test_workers_with_series_of_their_own_are_few() -> None:
    """Those who merged most."""
    history = History()
    events = [one for text in story() if (one := event(text.text, "0" * 40, 0)) is not None]
    history.fold(one._replace(worker=WorkerId(f"w{number}")) for number in range(300) for one in events)
    found = told(State(), history)
    assert sum(name == "gitpw_worker_merged_total" for name, _ in found) == 200
