"""Claims on large ledgers against the same on an empty one.

A claim among 100,000 tasks and 10,000 locks: the bar is 1.5 times. One that finds nothing among 10,000 open tasks, and
says of each why: the bar is a second more than where there is no task at all.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.measure import alternate, median
from gitpw.adapters.clock import SystemClock
from gitpw.adapters.process import run as spawn
from gitpw.domain.lock import Held, Mode
from gitpw.domain.operation import Add, Author, Lock, NewTask, Register
from gitpw.ledger.journal import Journal
from gitpw.ledger.ledger import Ledger
from gitpw.ledger.remote import RemoteStore
from tests.support.git import clone, git, make_upstream, run
from tests.support.servers import HttpServer

LONG = 7 * 86_400


class Size(NamedTuple):
    """What is in a ledger; `rounds` is how many claims must find something."""

    tasks: int
    locks: int
    rounds: int
    demand: int


def main() -> None:
    """Print the medians, the ratio and the memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--locks", type=int, default=10_000)
    parser.add_argument(
        "--demand", type=int, default=0, help="so many files are all that the tasks want, and all are held"
    )
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument(
        "--open", type=int, default=10_000, help="open tasks of which none is to be had; 0 leaves that out"
    )
    options = parser.parse_args()
    size = Size(options.tasks, options.locks, options.rounds, options.demand)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        with HttpServer(root / "served") as server:
            small = _ledger(root, server, "small", Size(0, 0, options.rounds, 0))
            large = _ledger(root, server, "large", size)
            works = {
                name: lambda _number, where=where: _claim(where)
                for name, where in (("small", small), ("large", large))
            }
            if options.demand:
                _settle(large)
            times = alternate(works, options.rounds)
            explained = alternate({"explain": lambda _: _claim(large, explain=True)}, 2)["explain"]
            peak = _claim(large, "/usr/bin/time", "-f", "%M") if Path("/usr/bin/time").exists() else ""
            barren = _barren(root, server, options.open, options.rounds) if options.open else {}
    ratio = median(times["large"]) / median(times["small"])
    print(f"{options.tasks} tasks, {options.locks} locks: claim {median(times['large']):.0f} ms, ", end="")
    print(
        f"empty {median(times['small']):.0f} ms, ratio {ratio:.2f}{peak and f', peak {int(peak) // 1024} MB'}"
    )
    print(
        f"the same with --explain: {median(explained):.0f} ms, ratio {median(explained) / median(times['small']):.2f}"
    )
    if barren:
        full, none = median(barren["barren"]), median(barren["none"])
        print(
            f"{options.open} open tasks, none to be had: claim {full:.0f} ms, where there are none {none:.0f} ms, "
            f"ratio {full / none:.2f}, {full - none:.0f} ms more"
        )


def _claim(where: Path, *before: str, explain: bool = False) -> str:
    more = ["--explain"] if explain else []
    return run(
        [*before, "git-pw", "claim", "--no-worktree", "--as", "bench", "--json", *more], cwd=where
    ).err.strip()


def _barren(root: Path, server: HttpServer, tasks: int, rounds: int) -> dict[str, list[float]]:
    """Claims that find nothing: half of the tasks lie in a held folder, the others need skills, or wait."""
    none, barren = (_joined(root, server, name) for name in ("none", "barren"))
    ledger, author = _opened(server, barren, "barren")
    for begin in range(0, tasks, 10_000):
        more = tuple(map(_unwanted, range(begin, min(begin + 10_000, tasks))))
        ledger.transact(Add(tasks=more), author)
    ledger.transact(Lock(locks=(Held(resource="src", mode=Mode.EXCLUSIVE),), lease=LONG), author)
    _packed(root, barren, "barren")
    return alternate(
        {
            name: lambda _number, where=where: run(
                ["git-pw", "claim", "--no-worktree", "--json"], cwd=where, check=False
            )
            for name, where in (("none", none), ("barren", barren))
        },
        rounds,
    )


def _unwanted(number: int) -> NewTask:
    """Task number 4 holds back all that wait: it lies in the folder that is held."""
    if number % 4 == 1:
        return NewTask(title=f"Task {number}", skills=("cobol",))
    after = ("task-001",) if number % 4 == 3 else ()
    return NewTask(title=f"Task {number}", files=(f"src/{number % 100}/{number}.py",), after=after)


def _file(number: int, demand: int) -> str:
    return f"hot/{number % demand}.py" if demand else f"src/{number % 100}/{number}.py"


def _settle(where: Path) -> None:
    """Claim until what waits for held files stands aside: how many claims that takes, and the longest of them."""
    times = []
    for _ in range(60):
        began = time.perf_counter()
        _claim(where)
        times.append((time.perf_counter() - began) * 1000)
        if len(times) > 2 and times[-1] < 1.5 * times[-2] and times[-1] < max(times) / 2:
            break
    print(f"until the queue had settled: {len(times)} claims, the longest {max(times):.0f} ms")


def _ledger(root: Path, server: HttpServer, name: str, size: Size) -> Path:
    """A clone whose ledger has that many tasks and locks, and some more to claim.

    Where there is a demand, they come after all tasks that want the files in demand.
    """
    tasks, locks, rounds, demand = size
    where = _joined(root, server, name)
    ledger, author = _opened(server, where, name)
    ledger.transact(Register(id="bench", max_concurrent_tasks=1000), author)
    first = tuple(
        NewTask(title=f"Next {number}", priority=5 if demand else 1, files=(f"next/{number}.py",))
        for number in range(rounds + 70 if demand else rounds + 5)
    )
    ledger.transact(Add(tasks=first), author)
    for begin in range(0, tasks, 10_000):
        more = range(begin, min(begin + 10_000, tasks))
        ledger.transact(
            Add(tasks=tuple(NewTask(title=f"Task {n}", files=(_file(n, demand),)) for n in more)),
            author,
        )
    for begin in range(0, locks, 100):
        held = tuple(
            Held(resource=f"held/{n % 100}/{n}.py", mode=Mode.EXCLUSIVE) for n in range(begin, begin + 100)
        )
        ledger.transact(Lock(locks=held, lease=LONG), author.but(place=f"{begin:016x}"))
    if demand:
        wanted = tuple(Held(resource=_file(n, demand), mode=Mode.EXCLUSIVE) for n in range(demand))
        ledger.transact(Lock(locks=wanted, lease=LONG), author)
    _packed(root, where, name)
    return where


def _joined(root: Path, server: HttpServer, name: str) -> Path:
    """A clone with a ledger that has nothing in it."""
    make_upstream(root / "served" / f"{name}.git")
    where = clone(server.url(f"{name}.git"), root / name)
    for key in ("name", "email"):
        git("config", f"user.{key}", "bench@example.com", cwd=where)
    run(["git", "pw", "init"], cwd=where)
    return where


def _opened(server: HttpServer, where: Path, name: str) -> tuple[Ledger, Author]:
    """Its ledger, and somebody elsewhere who fills it."""
    folder = where / ".git/pw"
    store = RemoteStore(
        str(folder), spawn, "origin", str(where), lambda: [("remote.origin.url", server.url(f"{name}.git"))]
    )
    ledger = Ledger(store, Journal(folder / "journal"), SystemClock().now)
    return ledger, Author(worker="filler", host="elsewhere", place="0" * 16)


def _packed(root: Path, where: Path, name: str) -> None:
    """As repositories are after a while."""
    run(["git", "gc", "--quiet"], cwd=where / ".git/pw/store.git")
    run(["git", "gc", "--quiet"], cwd=root / "served" / f"{name}.git")


if __name__ == "__main__":
    main()
