"""Forty seeds, step by step: 520 tasks, three mergers, and everything that can go wrong between them.

See `drama` for what is real in it and what isn't. To play a seed again: `python -m tests.merge.drama 17`.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.merge.drama import JOBS
from tests.merge.reports import played, told

pytestmark = [pytest.mark.fault, pytest.mark.race, pytest.mark.timeout(900)]

SEEDS = range(40)
EACH = 4
"""Seeds that one process plays."""

SUSPECTS = {"swap": range(6), "token": range(6)}
"""The seeds among which a control must find something."""


@pytest.mark.parametrize("first", SEEDS[::EACH])
def test_nothing_is_lost_landed_twice_or_left_behind(first: int) -> None:
    """Every landing was green on exactly its tree, once, in order; what isn't landed is with its owner; no litter."""
    reports = played("drama", *map(str, range(first, first + EACH)))
    assert not told(reports), told(reports)
    assert [report["landed"] for report in reports] == [JOBS] * EACH
    sums: Counter[str] = sum((Counter(report) for report in map(numbers, reports)), Counter())
    assert sums["kills"] >= EACH, sums
    assert sums["sleeps"] >= 1, sums
    assert sums["takeovers"] >= 1, sums


def numbers(report: dict[str, Any]) -> dict[str, int]:
    """What a report counts."""
    return {name: value for name, value in report.items() if isinstance(value, int)}


@pytest.mark.parametrize("control", SUSPECTS)
def test_harness_finds_what_a_missing_safety_does(control: str) -> None:
    """With the swap on the base taken out, or the fencing tokens, one of the same seeds violates something."""
    for seed in SUSPECTS[control]:
        if told(played("drama", str(seed), "--without", control)):
            return
    pytest.fail(f"nothing was found without the {control}")
