"""One seed in which nobody takes turns: three watching mergers, killed and stopped when they least expect it.

    python -m tests.merge.at_once 3

Here everything is real: mergers run side by side with leases of two seconds, SIGKILL and SIGSTOP come at moments that
the seed and the machine decide together, and a stopped merger sleeps longer than its lease. So no two runs are alike,
but what must hold in the end is what `verdict` says of the other seeds.
"""

from __future__ import annotations

import json
import random
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.merge.drama import MERGERS, Drama, moving, trivial
from tests.merge.players import Stage
from tests.merge.verdict import verdict
from tests.merge.world import Kind, World
from tests.race.crowd import short_lived
from tests.race.herd import load

WATCH = ("merge", "--watch", "--every", "1s", "--lease", "2s")
KINDS: tuple[Kind, ...] = (
    "shared",
    "shared",
    "red",
    "rename",
    "mode",
    "plain",
    "plain",
    "plain",
    "plain",
    "plain",
)
LASTS = 60.0
"""Seconds after which no more goes wrong."""


@dataclass
class Bustle:
    """A world whose mergers run side by side."""

    world: World
    running: dict[str, int] = field(default_factory=dict)
    stopped: dict[str, float] = field(default_factory=dict)
    kills: int = 0
    stops: int = 0

    def go_on(self) -> None:
        """Let things happen until all is merged, or the time is over; then end all mergers."""
        until = time.monotonic() + LASTS
        drama = Drama(self.world, self.world.rng)
        for name in MERGERS:
            self.start(name)
        while time.monotonic() < until and (drama.left() or self.kills + self.stops < 4):
            for name in [name for name, wakes in self.stopped.items() if wakes < time.monotonic()]:
                self.wake(name)
            chance = self.world.rng.random()
            if chance < 0.5:
                drama.owner()
            elif chance < 0.6:
                self.world.rng.choice((trivial, moving))(drama)
            elif chance < 0.8:
                self.strike()
            time.sleep(self.world.rng.uniform(0, 0.4))
        for name in list(self.stopped):
            self.wake(name)
        for pid in self.running.values():
            self.world.stage.end(pid, signal.SIGTERM)
        self.world.stage.still()
        drama.settle()

    def start(self, name: str) -> None:
        """A merger begins to watch."""
        place = self.world.folder / name
        self.running[name] = self.world.stage.start(WATCH, place, self.world.env(name, name))

    def strike(self) -> None:
        """A merger is killed and comes back, or is stopped for longer than its lease."""
        awake = [name for name in MERGERS if name not in self.stopped]
        if not awake:
            return
        name = self.world.rng.choice(awake)
        if self.world.rng.random() < 0.5:
            self.kills += 1
            self.world.stage.end(self.running[name], signal.SIGKILL)
            self.start(name)
        elif len(awake) > 1:
            self.stops += 1
            self.world.stage.send(self.running[name], signal.SIGSTOP)
            self.stopped[name] = time.monotonic() + self.world.rng.uniform(3, 6)

    def wake(self, name: str) -> None:
        """It goes on as if nothing had happened."""
        del self.stopped[name]
        self.world.stage.send(self.running[name], signal.SIGCONT)


def play(seed: int, folder: Path) -> dict[str, Any]:
    """Play a seed; what happened, and what was violated."""
    (folder / "said").mkdir(parents=True)
    rng = random.Random(seed)
    world = World(folder, Stage(folder / "said"), rng, "rebase", 5, seed % 2 == 0)
    world.set_up(rng.sample(KINDS, len(KINDS)))
    bustle = Bustle(world)
    try:
        bustle.go_on()
    finally:
        for pid in list(world.stage.free):
            world.stage.end(pid, signal.SIGKILL)
    found = verdict(world)
    return {
        "play": f"seed {seed}, all at once",
        "landed": found.landed,
        "kills": bustle.kills,
        "stops": bustle.stops,
        "takeovers": found.takeovers,
        "counts": world.counts,
        "violations": world.violations + found.violations,
    }


def main() -> None:
    """Play the seeds that are named."""
    seeds = [int(word) for word in sys.argv[1:]]
    load()
    for seed in seeds:
        with short_lived() as folder:
            sys.stdout.write(json.dumps(play(seed, folder / str(seed))) + "\n")


if __name__ == "__main__":
    main()
