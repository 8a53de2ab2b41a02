"""Taking turns: the work and its baseline alternate, so that a noisy machine troubles both alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def alternate(works: Mapping[str, Callable[[int], None]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each work in each round; a round runs every work once, and the first round doesn't count."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            began = time.perf_counter()
            work(number)
            if number:
                times[name].append((time.perf_counter() - began) * 1000)
    return times


def median(times: list[float]) -> float:
    """The middle one."""
    return statistics.median(times)
