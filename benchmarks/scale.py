"""A claim on a ledger of 100,000 tasks and 10,000 locks, against the same on an empty one: the bar is 1.5 times."""

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
            peak = _claim(large, "/usr/bin/time", "-f", "%M") if Path("/usr/bin/time").exists() else ""
    ratio = median(times["large"]) / median(times["small"])
    print(f"{options.tasks} tasks, {options.locks} locks: claim {median(times['large']):.0f} ms, ", end="")
    print(
        f"empty {median(times['small']):.0f} ms, ratio {ratio:.2f}{peak and f', peak {int(peak) // 1024} MB'}"
    )


def _claim(where: Path, *before: str) -> str:
    return run(
        [*before, "git-pw", "claim", "--no-worktree", "--as", "bench", "--json"], cwd=where
    ).err.strip()


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
    make_upstream(root / "served" / f"{name}.git")
    where = clone(server.url(f"{name}.git"), root / name)
    for key in ("name", "email"):
        git("config", f"user.{key}", "bench@example.com", cwd=where)
    run(["git", "pw", "init"], cwd=where)
    author = Author(worker="filler", host="elsewhere", place="0" * 16)
    folder = where / ".git/pw"
    store = RemoteStore(
        str(folder), spawn, "origin", str(where), lambda: [("remote.origin.url", server.url(f"{name}.git"))]
    )
    ledger = Ledger(store, Journal(folder / "journal"), SystemClock().now)
    ledger.transact(Register(id="bench", max_concurrent_tasks=1000), author)
    first = tuple(
        NewTask(title=f"Next {number}", priority=5 if demand else 1, files=(f"next/{number}.py",))
        for number in range(rounds + 70 if demand else rounds + 2)
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
    run(["git", "gc", "--quiet"], cwd=folder / "store.git")
    run(["git", "gc", "--quiet"], cwd=root / "served" / f"{name}.git")
    return where


if __name__ == "__main__":
    main()
