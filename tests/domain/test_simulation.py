"""A small project from its first task to its last, by the real scheduler in virtual time."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.simulate import Cells, Job, Shape, bounds, first_in_first_out, generated, run, scheduled
from gitpw.domain.operation import NewTask


def job(minutes: float, *files: str, after: tuple[int, ...] = (), **about: object) -> Job:
    """A task that takes as long as was thought."""
    new = NewTask(
        title="t", key=None, files=files, after=tuple(f"task-{one + 1:03d}" for one in after),
        estimate=int(minutes), **about,
    )  # fmt: skip
    return Job(new, minutes, after)


def test_bounds() -> None:
    """The longest chain, the work for each, the most wanted file."""
    jobs = [job(30, "a"), job(20, "a", "b", after=(0,)), job(40, "b")]
    assert bounds(jobs, 3) == (50, 30, 60)


def test_one_critical_file() -> None:
    """Tasks that need the same file run one after another, without a pause between them."""
    jobs = [job(10, "package.json") for _ in range(6)]
    done = run(jobs, 4, scheduled)
    assert done.makespan == bounds(jobs, 4).best == 60
    assert done.order == sorted(done.order)


def test_the_long_chain_goes_first() -> None:
    """What much work hangs on is begun before what is older: as early as can be."""
    jobs = [job(20), job(20), job(20), job(10), job(30, after=(3,)), job(30, after=(4,))]
    assert run(jobs, 2, scheduled).makespan == bounds(jobs, 2).best == 70
    assert run(jobs, 2, first_in_first_out).makespan > 70


@pytest.mark.parametrize("seed", range(3))
def test_a_project(seed: int) -> None:
    """All is done, each once; near what is possible; nobody waits for longer than all the others take together."""
    shape = Shape(tasks=90, files=40, skew=0.8, shuffled=True)
    jobs = generated(seed, shape)
    bound = bounds(jobs, 8)
    done = run(jobs, 8, scheduled)
    assert Counter(done.order) == Counter(f"task-{number:03d}" for number in range(1, 91))
    assert bound.best - 0.001 < done.makespan < 1.5 * bound.best
    assert max(done.waits.values()) < done.makespan


@pytest.mark.parametrize("seed", range(3))
def test_priorities_cost_next_to_nothing(seed: int) -> None:
    """Urgent tasks land earlier than if all were equal, the whole hardly later; nobody is idle without need."""
    jobs = generated(seed, Shape(tasks=120, files=200, urgent=True))
    even = [one._replace(new=one.new.but(priority=3)) for one in jobs]
    ours, equal = run(jobs, 8, scheduled), run(even, 8, scheduled)
    urgent = [place for place, one in enumerate(jobs) if one.new.priority < 3]
    assert sum(ours.landed[place] for place in urgent) < sum(equal.landed[place] for place in urgent)
    assert ours.makespan < 1.1 * equal.makespan
    assert ours.idle < 0.01


def test_cells_that_change_in_place() -> None:
    """Names come and go with what is under them."""
    cells = Cells()
    for key in (("a", "b", "c"), ("a", "b"), ("a", "d")):
        cells.change(key, b"x")
    assert (cells.names(()), cells.names(("a",)), cells.names(("a", "b"))) == (("a",), ("b", "d"), ("c",))
    cells.change(("a", "b", "c"), None)
    assert cells.names(("a",)) == ("b", "d")
    cells.change(("a", "b"), None)
    cells.change(("a", "d"), None)
    assert (cells.names(("a",)), cells.names(())) == ((), ())
