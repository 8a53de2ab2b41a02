"""The real scheduler with virtual workers in virtual time: how close it comes to what is possible at best.

Every decision is one of `gitpw.domain.rulebook.apply` on a ledger in memory; only the work itself is made up. What is
possible at best is at least as long as the longest chain of tasks, as all work shared evenly, and as all work on the
most wanted file, one task after another. The comparison is with first in, first out: the oldest task that is ready
and whose files are free, whatever hangs on it.
"""

from __future__ import annotations

import argparse
import hashlib
import heapq
import random
import statistics
from bisect import insort
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from graphlib import TopologicalSorter
from typing import NamedTuple

from gitpw.domain.board import Board, Key
from gitpw.domain.ids import LedgerId, OperationId, TaskId, WorkerId, task_number
from gitpw.domain.operation import Add, Author, Begin, Complete, Done, NewTask, Operation, Request, Take
from gitpw.domain.rulebook import apply

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LEASE = 7 * 86_400
USUAL = 3


class Job(NamedTuple):
    """A task, and how long it really takes, in minutes; `after` are places in the list."""

    new: NewTask
    minutes: float
    after: tuple[int, ...]


class Cells:
    """A state in memory that changes in place."""

    def __init__(self) -> None:
        self.contents: dict[Key, bytes] = {}
        self._below: dict[Key, list[str]] = defaultdict(list)

    def load(self, key: Key) -> bytes | None:
        """The content of a cell."""
        return self.contents.get(key)

    def names(self, key: Key) -> Sequence[str]:
        """What is filed directly under a key, sorted."""
        return tuple(self._below.get(key, ()))

    def change(self, key: Key, content: bytes | None) -> None:
        """Set a cell, or drop it, and keep the folders above it true."""
        there = key in self.contents
        if content is not None:
            self.contents[key] = content
        elif there:
            del self.contents[key]
        if there == (content is not None):
            return
        for depth in range(len(key) - 1, -1, -1):
            names, name, below = self._below[key[:depth]], key[depth], key[: depth + 1]
            if content is not None:
                if name in names:
                    return
                insort(names, name)
            elif below in self.contents or self._below.get(below):
                return
            else:
                names.remove(name)


class World:
    """A ledger in memory, and the minutes that have gone by."""

    def __init__(self) -> None:
        self.cells = Cells()
        self.now = 0.0
        self._asked = 0
        self.ask("boss", Begin(ledger=LedgerId("0" * 20)))

    @property
    def board(self) -> Board:
        """The state as it is."""
        return Board(self.cells)

    def ask(self, worker: str, request: Request) -> Done | None:
        """Apply a request; what is refused changes nothing."""
        self._asked += 1
        board = self.board
        operation = Operation(
            id=OperationId(hashlib.md5(str(self._asked).encode(), usedforsecurity=False).hexdigest()),
            author=Author(worker=WorkerId(worker), host="sim", place=worker),
            seen=board.counter,
            at=START + timedelta(minutes=self.now),
            request=request,
        )
        outcome = apply(board, operation)
        if not isinstance(outcome, Done):
            return None
        for key, content in board.changes.items():
            self.cells.change(key, content)
        return outcome


Chooser = Callable[[World, str], TaskId | None]
"""How a worker gets a task, if there is one for it."""


def scheduled(world: World, worker: str) -> TaskId | None:
    """As `git pw claim` does."""
    done = world.ask(worker, Take(lease=LEASE))
    return done.tasks[0] if done else None


def first_in_first_out(world: World, worker: str) -> TaskId | None:
    """The oldest that is ready and free."""
    for task in sorted(world.board.ready(frozenset()), key=lambda task: task_number(task.id)):
        if world.ask(worker, Take(task=task.id, lease=LEASE)):
            return task.id
    return None


class Run(NamedTuple):
    """What became of a simulation, in minutes; `waits` is how long each task was ready before it began.

    `landed` is when each job was done, and `idle` the share of all time of all workers in which one was idle while
    there was a task that it could have done.
    """

    makespan: float
    waits: dict[TaskId, float]
    order: list[TaskId]
    landed: list[float]
    idle: float


def run(jobs: Sequence[Job], workers: int, choose: Chooser) -> Run:
    """Let workers do all the jobs: whoever is free asks, and asks again when something has landed."""
    world = World()
    added = world.ask("boss", Add(tasks=tuple(job.new for job in jobs)))
    assert added is not None
    length = {task: job.minutes for task, job in zip(added.tasks, jobs, strict=True)}
    after = {
        task: [added.tasks[place] for place in job.after] for task, job in zip(added.tasks, jobs, strict=True)
    }
    landed: dict[TaskId, float] = {}
    waits: dict[TaskId, float] = {}
    order: list[TaskId] = []
    busy: list[tuple[float, str, TaskId]] = []
    idle = [f"w{number:02d}" for number in range(workers)]
    files = {task: frozenset(job.new.files) for task, job in zip(added.tasks, jobs, strict=True)}
    wasted = 0.0
    while len(landed) < len(jobs):
        for worker in list(idle):
            task = choose(world, worker)
            if task is None:
                break  # nor for the others: all can do the same
            idle.remove(worker)
            order.append(task)
            waits[task] = world.now - max((landed[name] for name in after[task]), default=0.0)
            heapq.heappush(busy, (world.now + length[task], worker, task))
        assert busy, "workers are idle, tasks are left, and nothing is under way"
        if idle:
            open_ = [task for task in length if task not in waits and landed.keys() >= set(after[task])]
            held = [files[task] for _, _, task in busy]
            wasted += min(len(idle), _possible(open_, files, held)) * (busy[0][0] - world.now)
        world.now = busy[0][0]
        while busy and busy[0][0] <= world.now:
            _, worker, task = heapq.heappop(busy)
            assert world.ask(worker, Complete(task=task, queue=False))
            landed[task] = world.now
            idle.append(worker)
    return Run(
        world.now, waits, order, [landed[task] for task in added.tasks], wasted / (workers * world.now)
    )


def _possible(
    tasks: Sequence[TaskId], files: Mapping[TaskId, frozenset[str]], held: Sequence[frozenset[str]]
) -> int:
    """How many of these tasks could begin side by side, by the files that are held and no other rule."""
    taken = set[str]().union(*held)
    count = 0
    for task in tasks:
        if taken.isdisjoint(files[task]):
            taken |= files[task]
            count += 1
    return count


class Bounds(NamedTuple):
    """What no schedule can beat, in minutes."""

    chain: float
    work: float
    file: float

    @property
    def best(self) -> float:
        """The longest of them."""
        return max(self)


def bounds(jobs: Sequence[Job], workers: int) -> Bounds:
    """The longest chain, all work shared evenly, all work on the most wanted file."""
    order = TopologicalSorter({place: job.after for place, job in enumerate(jobs)}).static_order()
    ends: dict[int, float] = {}
    files: dict[str, float] = defaultdict(float)
    for place in order:
        job = jobs[place]
        ends[place] = max((ends[one] for one in job.after), default=0.0) + job.minutes
        for file in job.new.files:
            files[file] += job.minutes
    total = sum(job.minutes for job in jobs)
    return Bounds(max(ends.values()), total / workers, max(files.values(), default=0.0))


class Shape(NamedTuple):
    """What a project is like: how many tasks and files, and how unevenly the files are in demand.

    `shuffled` tasks were written down in any order, the others each after what it waits for. `urgent` are those with
    priorities, which are people's word: they say what must come first, and cost time.
    """

    tasks: int = 1000
    files: int = 2000
    skew: float = 0.6
    shuffled: bool = False
    urgent: bool = False


def generated(seed: int, shape: Shape) -> list[Job]:
    """A project: layers of tasks that wait for some of the layer before, long and short ones, some files in demand."""
    chance = random.Random(seed)
    weights = [1 / (rank + 1) ** shape.skew for rank in range(shape.files)]
    layer = max(shape.tasks // 12, 1)
    jobs: list[Job] = []
    for place in range(shape.tasks):
        start, end = max(place - place % layer - layer, 0), place - place % layer
        count = min(chance.choice([0, 1, 1, 1, 2, 3]), end - start)
        after = tuple(sorted(chance.sample(range(start, end), count)))
        wanted = dict.fromkeys(chance.choices(range(shape.files), weights, k=chance.choice([0, 1, 1, 2, 3])))
        estimate = int(min(max(chance.lognormvariate(3.2, 0.7), 3), 240))
        priority = chance.choices([2, 3, 4], [1, 6, 1])[0]
        new = NewTask(
            title=f"task {place}",
            key=f"t{place}",
            files=tuple(f"src/{file:03d}.py" for file in wanted),
            after=tuple(f"t{one}" for one in after),
            estimate=estimate,
            priority=priority if shape.urgent else USUAL,
        )
        jobs.append(Job(new, estimate * chance.uniform(0.6, 1.6), after))
    return _shuffled(jobs, chance) if shape.shuffled else jobs


def _shuffled(jobs: Sequence[Job], chance: random.Random) -> list[Job]:
    """The same jobs in any order."""
    order = list(range(len(jobs)))
    chance.shuffle(order)
    place = {old: new for new, old in enumerate(order)}
    return [jobs[old]._replace(after=tuple(sorted(place[one] for one in jobs[old].after))) for old in order]


def main() -> None:
    """Print each simulation, and how close it came to the bound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    shapes = {
        "in order": Shape(options.tasks),
        "in any order": Shape(options.tasks, shuffled=True),
        "one file in demand": Shape(options.tasks, files=400, skew=0.8, shuffled=True),
        "with priorities": Shape(options.tasks, urgent=True),
    }
    print(
        "makespan ÷ bound; idle: worker time without work while there was some, in % of all; wait: how long a\n"
        "task was ready at most, in minutes; urgent: when tasks of priority 1 or 2 had landed, on average, ÷ bound;\n"
        "even: the scheduler, had all tasks the same priority\n"
    )
    for name, shape in shapes.items():
        found = [_compared(generated(seed, shape), options.workers, shape) for seed in range(options.seeds)]
        for one in found:
            print(f"{name:20} {one}", flush=True)
        print(f"{name:20} median {'   '.join(_medians(found))}\n", flush=True)


class Compared(NamedTuple):
    """One project by the scheduler and by others."""

    bound: Bounds
    runs: dict[str, Run]
    urgent: dict[str, float]

    def __str__(self) -> str:
        """A line."""
        chain, work, file = self.bound
        told = [f"bound {self.bound.best:5.0f} (chain {chain:.0f}, work {work:.0f}, file {file:.0f})"]
        for name, run_ in self.runs.items():
            soon = f", urgent {self.urgent[name]:.2f}" if name in self.urgent else ""
            wait = f"wait {max(run_.waits.values()):.0f}"
            told.append(f"{name} {self.ratio(name):.2f} (idle {100 * run_.idle:.2f}, {wait}{soon})")
        return "   ".join(told)

    def ratio(self, name: str) -> float:
        """How close one came to the bound."""
        return self.runs[name].makespan / self.bound.best


def _medians(found: Sequence[Compared]) -> list[str]:
    names = found[0].runs
    return [f"{name} {statistics.median(one.ratio(name) for one in found):.2f}" for name in names]


def _compared(jobs: Sequence[Job], workers: int, shape: Shape) -> Compared:
    """Run one project by the scheduler and by first in, first out; where it has priorities, also as if it had none."""
    bound = bounds(jobs, workers)
    runs = {"scheduler": run(jobs, workers, scheduled)}
    if shape.urgent:
        even = [job._replace(new=job.new.but(priority=USUAL)) for job in jobs]
        runs["even"] = run(even, workers, scheduled)
    runs["fifo"] = run(jobs, workers, first_in_first_out)
    urgent = [place for place, job in enumerate(jobs) if job.new.priority < USUAL]
    landed = (
        {
            name: statistics.mean(one.landed[place] for place in urgent) / bound.best
            for name, one in runs.items()
        }
        if urgent
        else {}
    )
    return Compared(bound, runs, landed)


if __name__ == "__main__":
    main()
