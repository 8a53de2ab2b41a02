"""A merger killed at each of its steps in turn, the first, the second …: another one finishes what it began.

    python -m tests.merge.steps before|within atomic|apart

For each step a task is handed in, a merger is killed there, and another merger, in another clone, runs to its end; the
next step is the other one's turn to die. With `within` the program that the step starts outlives it. `apart` is a host
that takes no atomic pushes: base and ledger move one after the other, and the steps are those after the tests.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

from tests.merge.drama import LONG, tidied
from tests.merge.players import DIE, DIE_AFTER, GO, Player, Stage
from tests.merge.verdict import verdict
from tests.merge.world import World
from tests.race.crowd import short_lived
from tests.race.herd import load

MOST = 70
LASTING = ("push --", " fetch ", " worktree add ", " checkout ", " clean ", "sh -c")
"""Programs whose work outlives the one who started them."""

TEST = "sh -c sh check.sh"


def killed(world: World, player: Player, nth: int, how: bytes, since: str) -> str | None:
    """Kill a merger at its nth step since another; the step's name, None where it hasn't so many."""
    seen, counted = not since, 0
    while player.at is not None:
        what = player.at
        mortal = seen and (how == DIE or any(word in what for word in LASTING))
        counted += mortal
        strikes = mortal and counted == nth
        world.stage.order(player, how if strikes else GO)
        world.watch(player.name)
        if strikes:
            return what
        seen = seen or since in what
    return None


def finished(world: World, name: str) -> bool:
    """Another merger runs until it may and there is nothing left; whether that worked."""
    for _ in range(4):
        world.stage.clock.forward(2 * LONG)
        world.pw(world.folder / name, name, "merge", "--once")
        if not world.board().merges():
            return True
    return False


def play(folder: Path, how: bytes, *, atomic: bool) -> dict[str, Any]:
    """Go through all steps; what was violated, and where each kill was."""
    (folder / "said").mkdir(parents=True)
    world = World(folder, Stage(folder / "said"), random.Random(0), "rebase", 5, atomic, flaky="x")
    world.set_up(["plain"] * MOST)
    steps: list[str] = []
    for number, job in enumerate(world.jobs.values()):
        job.commits = 1  # all mergers take the same steps
        world.go_on(job)
        world.go_on(job)
        name, other = ("m0", "m1") if number % 2 else ("m1", "m0")
        player = world.stage.enter(name, ("merge", "--once"), folder / name, world.env(name, name))
        step = killed(world, player, number + 1, how, "" if atomic else TEST)
        if step is None:
            break
        steps.append(step)
        if not finished(world, other):
            world.violations.append(f"after a kill at step {number + 1} ({step}) the queue hangs")
    tidied(world, ("m0", "m1"))
    for job in [job for job in world.jobs.values() if not job.subjects]:
        del world.jobs[job.task]
    found = verdict(world)
    return {
        "play": f"{len(steps)} steps",
        "steps": steps,
        "landed": found.landed,
        "violations": world.violations + found.violations,
    }


def main() -> None:
    """Play as the words say, and print what came of it."""
    how, host = sys.argv[1:]
    load()
    with short_lived() as folder:
        report = play(folder / "steps", DIE if how == "before" else DIE_AFTER, atomic=host == "atomic")
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
