"""Text that can't harm a terminal, and values as JSON."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitpw.cli.output import INVISIBLE, JOINERS, aligned, camel, left, plain, remaining, safe, span
from gitpw.domain.ids import TaskId, WorkerId
from gitpw.domain.progress import Progress, Source

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Pair(NamedTuple):
    """An answer of a service."""

    as_of: datetime
    all_: bool


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("naïve 文字 🙂", "naïve 文字 🙂"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("one\ntwo\ttabs\rback", "one\\ntwo\\ttabs\\rback"),
        ("\u202eevil\u2066", "\\u202eevil\\u2066"),
        ("\x9b2J\x07", "\\x9b2J\\x07"),
        ("name-\udcff", "name-\\xff"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("👩\u200d💻", "👩\u200d💻"),
        ("no\u00a0break", "no\u00a0break"),
    ],
)
def test_what_steers_a_terminal_is_escaped_and_the_rest_stays(raw: str, shown: str) -> None:
    """Controls, ANSI, bidi marks and lone surrogates are shown, letters of any script are left alone."""
    assert safe(raw) == shown


@given(st.text(st.characters()))
def test_no_text_keeps_anything_invisible(text: str) -> None:
    """Whatever comes in, nothing goes out that a terminal would act on."""
    assert not [
        char for char in safe(text) if unicodedata.category(char) in INVISIBLE and char not in JOINERS
    ]


def test_answers_become_json_with_keys_in_camel_case() -> None:
    """A service's answer is spelled as the contract spells it, times in UTC with Z."""
    assert plain(Pair(NOW, True)) == {"asOf": "2026-03-01T12:00:00Z", "all": True}
    assert plain({"a": (1, {"y", "x"}, None)}) == {"a": [1, ["x", "y"], None]}


def test_camel() -> None:
    """`as_of` is `asOf`."""
    assert [camel(name) for name in ("task", "as_of", "pr_url", "all_")] == ["task", "asOf", "prUrl", "all"]


def test_columns_are_aligned_by_what_is_seen() -> None:
    """A wide letter takes two columns, an accent none."""
    assert aligned([["文字", "x"], ["e\u0301a", "y"], ["a\nb", "z"]]) == [
        "文字  x",
        "e\u0301a    y",
        "a\\nb  z",
    ]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0s"),
        (59, "59s"),
        (60, "1m"),
        (3600, "1h00m"),
        (7500, "2h05m"),
        (172_800, "2d0h"),
        (187_200, "2d4h"),
    ],
)
def test_span(seconds: int, words: str) -> None:
    """A length of time has at most two units."""
    assert span(timedelta(seconds=seconds)) == words


def test_a_lease_that_is_over_says_since_when() -> None:
    """What is left, or how long it is overdue."""
    assert left(NOW + timedelta(minutes=5), NOW) == "5m left"
    assert left(NOW - timedelta(minutes=5), NOW) == "overdue 5m"


def test_a_fresh_lease_says_what_was_asked_for() -> None:
    """Not a minute less, because a second has passed."""
    assert left(NOW + timedelta(minutes=60, seconds=-1), NOW) == "1h00m left"
    assert left(NOW + timedelta(seconds=20), NOW) == "20s left"


@pytest.mark.parametrize(
    ("percent", "minutes", "source", "told"),
    [
        (40, 75, Source.SAID, "1h15m"),
        (40, 12, Source.PACE, "12m (pace)"),
        (0, 3, Source.TYPE, "3m (its type)"),
        (0, 0, Source.ESTIMATE, "0s (estimate)"),
        (40, 5, None, "5m"),
        (40, None, None, ""),
        (100, 0, Source.PACE, ""),
        (100, 5, Source.SAID, "5m"),
    ],
)
def test_what_is_left(percent: int, minutes: int | None, source: Source | None, told: str) -> None:
    """With where that comes from, unless the worker said so; nothing of what is done."""
    said = Progress(
        task_id=TaskId("task-001"),
        worker_id=WorkerId("ada"),
        percent_complete=percent,
        estimated_time_remaining=minutes,
        eta_source=source,
        last_updated=NOW,
    )
    assert remaining(said) == told
