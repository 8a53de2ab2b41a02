"""What to test next, over every queue of up to seven entries and every set of culprits."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from gitpw.domain.search import ENOUGH, RedBase, Runs, Try, Verdict, grown, halved, next_step

LONGEST = 7


def outcomes(length: int) -> Iterator[frozenset[int]]:
    """Every set of entries that are to blame, 0 being the base branch."""
    for size in range(length + 2):
        yield from map(frozenset, itertools.combinations(range(length + 1), size))


def searched(length: int, green: Callable[[int, int], bool]) -> tuple[Verdict | RedBase, Counter[int]]:
    """Follow the steps; `green` says how the nth run (from 0) of the tree with so many entries ends."""
    trees = [f"tree {at}" for at in range(length + 1)]
    known: dict[str, Runs] = {}
    ran: Counter[int] = Counter()
    while True:
        step = next_step(trees, known)
        if not isinstance(step, Try):
            return step, ran
        runs = known.get(trees[step.entries], Runs())
        good = green(step.entries, ran[step.entries])
        known[trees[step.entries]] = Runs(runs.green + good, runs.red + (not good))
        ran[step.entries] += 1
        assert sum(ran.values()) < 50, "the search goes on without end"


@pytest.mark.parametrize("length", range(1, LONGEST + 1))
def test_the_first_culprit_is_found_and_all_before_it_land(length: int) -> None:
    """A tree is red if a culprit is in it; nothing that is red lands, and nobody else is blamed."""
    for culprits in outcomes(length):
        first = min(culprits, default=length + 1)
        step, ran = searched(length, lambda entries, _, first=first: entries < first)
        if first == 0:
            assert step == RedBase()
        elif first > length:
            assert (step, sum(ran.values())) == (Verdict(length, blamed=False), 1)
        else:
            assert step == Verdict(first - 1, blamed=True)
        assert max(ran.values()) <= ENOUGH


@pytest.mark.parametrize("length", range(1, LONGEST + 1))
def test_a_search_takes_no_more_runs_than_halving_does(length: int) -> None:
    """Twice all, once the base, a halving, and once more the one to blame."""
    most = 2 + 1 + math.ceil(math.log2(length)) + 1 if length > 1 else 3
    for first in range(1, length + 1):
        _, ran = searched(length, lambda entries, _, first=first: entries < first)
        assert sum(ran.values()) <= most


@pytest.mark.parametrize("length", range(1, 5))
def test_a_flake_never_sends_anybody_back(length: int) -> None:
    """Whatever trees are red at their first run alone: with no culprit, everything lands."""
    for flaky in outcomes(length):
        step, ran = searched(length, lambda entries, run, flaky=flaky: run > 0 or entries not in flaky)
        assert step == Verdict(length, blamed=False)
        assert sum(ran.values()) <= 2


@pytest.mark.parametrize("length", range(1, 6))
def test_flakes_beside_a_culprit_cost_runs_and_nothing_else(length: int) -> None:
    """The culprit is blamed, unless a flake made everything up to it look red and a second run cleared that."""
    for first, flaky in itertools.product(range(1, length + 1), outcomes(length)):
        step, _ = searched(
            length,
            lambda entries, run, first=first, flaky=flaky: (
                entries < first and (run > 0 or entries not in flaky)
            ),
        )
        assert step == Verdict(first - 1, blamed=True)


def test_nothing_is_tested_twice_that_is_known() -> None:
    """Results of earlier rounds count."""
    known = {"base": Runs(green=1), "one": Runs(green=1), "two": Runs(red=2)}
    assert next_step(["base", "one", "two"], known) == Verdict(1, blamed=True)
    assert next_step(["base", "one"], known) == Verdict(1, blamed=False)


def test_an_empty_queue_needs_no_test() -> None:
    """There is nothing to say of the base branch either."""
    assert next_step(["base"], {}) == Verdict(0, blamed=False)


def test_what_runs_say() -> None:
    """One green is enough, two reds are."""
    assert not Runs(green=1, red=2).is_red
    assert Runs(green=1, red=5).is_green
    assert Runs(red=1).looks_red
    assert not Runs(red=1).is_red
    assert Runs(red=2).is_red
    assert not Runs().looks_red


def test_the_window_halves_on_red_and_grows_by_one_on_green() -> None:
    """It never exceeds the policy's, and is never nothing."""
    assert [halved(window) for window in (8, 5, 2, 1)] == [4, 2, 1, 1]
    assert [grown(window, 5) for window in (1, 4, 5, 9)] == [2, 5, 5, 5]
