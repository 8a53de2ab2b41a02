"""The merge queue: how many test runs it uses, and what a landing costs against a bare `git push`.

The runs are counted with the queue's own rules, on a hundred entries of which five are red, at random places, a
thousand times; then in a real queue of twenty entries of which two are red. The baselines are testing one by one, and
the ideal: somebody who knows which are red, and only has to show it, twice each, before they go back.
A landing is the time from the end of the tests to the word that it is recorded, as `--events` has it: one push that
moves the base, the ledger and the task's branch.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from datetime import datetime
from pathlib import Path

from benchmarks.measure import median
from gitpw.domain.search import ENOUGH, Runs, Try, Verdict, grown, halved, next_step
from tests.support.git import clone, git, make_upstream, run
from tests.support.proxy import Proxy
from tests.support.servers import HttpServer

ROUNDS = 1_000


def main() -> None:
    """Print the counts, then the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=12, help="landings that are timed")
    parser.add_argument("--round-trip", type=float, nargs="*", default=[0.0, 50.0], help="milliseconds")
    options = parser.parse_args()
    for window in (5, 10, 20):
        _counted(100, 5, window)
    with tempfile.TemporaryDirectory() as folder:
        _real(Path(folder), 20, 2)
    for round_trip in options.round_trip:
        with tempfile.TemporaryDirectory() as folder:
            _timed(Path(folder), round_trip, options.rounds)


# how many runs


def runs_used(red: list[bool], most: int) -> int:
    """How many test runs the queue needs until every green entry has landed and every red one is back."""
    left = list(enumerate(red))
    known: dict[str, Runs] = {"": Runs()}
    landed: list[int] = []
    window, used = most, 0
    while left:
        layers = left[:window]
        trees = [str([*landed, *(number for number, _ in layers[:at])]) for at in range(len(layers) + 1)]
        if landed:
            known[trees[0]] = Runs(green=1)
        step = next_step(trees, known)
        while isinstance(step, Try):
            used += 1
            before = known.get(trees[step.entries], Runs())
            bad = any(is_red for _, is_red in layers[: step.entries])
            known[trees[step.entries]] = Runs(before.green + (not bad), before.red + bad)
            step = next_step(trees, known)
        assert isinstance(step, Verdict)
        landed += [number for number, _ in layers[: step.green]]
        left = left[step.green + step.blamed :]
        window = halved(window) if step.blamed else grown(window, most)
    return used


def _counted(entries: int, reds: int, window: int) -> None:
    rng = random.Random(1)
    used = []
    for _ in range(ROUNDS):
        places = set(rng.sample(range(entries), reds))
        used.append(runs_used([place in places for place in range(entries)], window))
    alone = entries - reds + ENOUGH * reds
    ideal = -(-(entries - reds) // window) + ENOUGH * reds
    mean = sum(used) / len(used)
    print(
        f"{entries} entries, {reds} red, window {window:2}: {mean:.1f} test runs ({min(used)} to {max(used)}); "
        f"one by one {alone}, ratio {mean / alone:.2f}; ideal {ideal}, ratio {mean / ideal:.2f}"
    )


def _real(folder: Path, entries: int, reds: int) -> None:
    """The same with a real queue, whose count must be that of the rules."""
    bare = make_upstream(folder / "up.git")
    work = clone(bare, folder / "work")
    _prepared(work, 'test = "test ! -e red"\n')
    places = set(random.Random(1).sample(range(entries), reds))
    for number in range(entries):
        _handed_in(work, number, f"red/{number}.py" if number in places else f"src/file{number}.py")
    done = run(["git-pw", "--json", "merge", "--once"], cwd=work, check=False, timeout=600)
    answer = json.loads(done.out)
    expected = runs_used([place in places for place in range(entries)], 5)
    print(
        f"{entries} real entries, {reds} red, window 5: {len(answer['tests'])} test runs, by the rules {expected}; "
        f"one by one {entries - reds + ENOUGH * reds}; {len(answer['landed'])} landed, {len(answer['returned'])} went back"
    )


# how long


def _timed(folder: Path, round_trip: float, rounds: int) -> None:
    with HttpServer(folder / "served") as server:
        make_upstream(folder / "served/shop.git")
        with Proxy(server, round_trip_ms=round_trip) as proxy:
            work = clone(proxy.url("shop.git"), folder / "work")
            plain = clone(proxy.url("shop.git"), folder / "plain")
            _prepared(work, 'test = "true"\n')
            landings, pushes = [], []
            for number in range(rounds + 1):
                _handed_in(work, number, f"src/file{number}.py")
                landings.append(_landed(work, folder / f"{number}.jsonl"))
                git("commit", "--quiet", "--allow-empty", "-m", f"{number}", cwd=plain)
                pushes.append(_pushed(plain, number))
    landing, push = median(landings[1:]), median(pushes[1:])
    print(
        f"round trip {round_trip:3.0f} ms: landing {landing:4.0f} ms, git push {push:4.0f} ms, ratio {landing / push:.2f}"
    )


def _landed(work: Path, events: Path) -> float:
    """Milliseconds between the end of the tests and the landing."""
    run(["git-pw", "merge", "--once", "--events", str(events)], cwd=work)
    at = {
        one["event"]: datetime.fromisoformat(one["at"])
        for one in map(json.loads, events.read_text().splitlines())
    }
    return (at["landed"] - at["green"]).total_seconds() * 1000


def _pushed(plain: Path, number: int) -> float:
    began = datetime.now().astimezone()
    run(["git", "push", "--quiet", "origin", f"HEAD:refs/heads/bench-{number}"], cwd=plain)
    return (datetime.now().astimezone() - began).total_seconds() * 1000


# a team


def _prepared(work: Path, rules: str) -> None:
    git("config", "user.name", "Bench", cwd=work)
    git("config", "user.email", "bench@example.com", cwd=work)
    run(["git", "pw", "init", "--no-hooks"], cwd=work)
    run(["git", "pw", "worker", "register", "bench", "--max-tasks", "1000"], cwd=work)
    with (work / ".gitpw.toml").open("a") as file:
        file.write(f"\n[merge]\n{rules}")
    git("add", ".gitpw.toml", cwd=work)
    git("commit", "--quiet", "-m", "Set the rules", cwd=work)
    git("push", "--quiet", "origin", "main", cwd=work)


def _handed_in(work: Path, number: int, file: str) -> None:
    """A task that adds a file, in the queue."""
    for words in (["task", "add", f"Task {number}"], ["claim", f"task-{number + 1:03}"]):
        run(["git-pw", *words, "--as", "bench"], cwd=work)
    tree = work / f".worktrees/task-{number + 1:03}"
    (tree / file).parent.mkdir(parents=True, exist_ok=True)
    (tree / file).write_text(f"{number}\n")
    git("add", "--all", cwd=tree)
    git("commit", "--quiet", "-m", f"Add {file}", cwd=tree)
    run(["git-pw", "complete", "--as", "bench"], cwd=tree)


if __name__ == "__main__":
    main()
