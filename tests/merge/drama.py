"""One seed: three mergers take steps in an order that the seed decides, and things go wrong where it says so.

    python -m tests.merge.drama 17                  play a seed, and print what came of it
    python -m tests.merge.drama 17 --without swap   the same with a safety taken out: something must be found

What is real: the repositories, git, every git-pw process (see `players`), every SIGKILL, every test run on a checkout.
What is not: the processes take turns, so two never run in the same instant (`test_at_once` has those), and the clock
is put forward instead of waiting for leases to end. A suspended merger is one that gets no turn.

After the last fault everything gets time to settle; then `verdict` looks at all that is left.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gitpw.domain.merge import RETURNED
from gitpw.domain.task import TaskStatus
from tests.merge.controls import CONTROLS
from tests.merge.players import DIE, DIE_AFTER, GO, Player, Stage
from tests.merge.verdict import verdict
from tests.merge.world import Kind, World
from tests.race.herd import load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

KINDS: tuple[Kind, ...] = (
    "shared",
    "shared",
    "red",
    "clash",
    "clash",
    "rename",
    "mode",
    "fenced",
    *["plain"] * 5,
)
JOBS = len(KINDS)
TURNS = 500
"""Turns in which things go wrong; then they are given time to settle."""

ROUNDS = 15
"""How often all mergers run to their end before what is left is called stuck."""

LONG = 400.0
"""Seconds that a suspended merger sleeps: longer than its lease and the tolerated skew."""

MOST_KILLS, MOST_SLEEPS = 6, 3
FASTER = 0.15
"""How often somebody pushes to the base just before a merger does."""

MERGERS = ("m0", "m1", "m2")


@dataclass
class Fate:
    """What will become of a merger: at its nth step of some kind, it dies in one of three ways or falls asleep."""

    what: str
    nth: int
    how: str


@dataclass
class Drama:
    """A world, its mergers, and what the seed has in store for them."""

    world: World
    rng: random.Random
    fates: dict[str, Fate] = field(default_factory=dict)
    acting: dict[str, Player] = field(default_factory=dict)
    asleep: dict[str, int] = field(default_factory=dict)
    resting: dict[str, int] = field(default_factory=dict)
    dying: dict[str, bool] = field(default_factory=dict)
    kills: int = 0
    sleeps: int = 0

    def play(self) -> None:
        """Let things go wrong for a while, then let them settle."""
        for turn in range(TURNS):
            if turn > 60 and not self.left():
                break
            self.turn(turn)
        self.settle()

    def left(self) -> bool:
        """Whether any task isn't merged yet."""
        board = self.world.board()
        return any(
            not job.given_up and self.world.task(board, job).merged_at is None
            for job in self.world.jobs.values()
        )

    def turn(self, turn: int) -> None:
        """Somebody does something."""
        for name in [name for name, until in self.asleep.items() if until <= turn]:
            del self.asleep[name]
        chance = self.rng.random()
        if chance < 0.16:
            self.owner()
        elif chance < 0.20:
            self.rng.choice(EVENTS)(self)
        else:
            self.merger(turn)

    # owners

    def owner(self) -> None:
        """An owner goes on with something, if there is anything to do."""
        board = self.world.board()
        found = [job for job in self.world.jobs.values() if self.world.is_open(board, job)]
        if found:
            self.world.go_on(self.rng.choice(found[:5]))

    # mergers

    def merger(self, turn: int) -> None:
        """A merger that is awake takes a few steps."""
        awake = [name for name in MERGERS if name not in self.asleep and self.resting.get(name, 0) <= turn]
        if not awake:
            return
        name = self.rng.choice(awake)
        if name not in self.acting and not self.waiting():
            return
        for _ in range(self.rng.choice((1, 2, 5, 20, 60, 60))):
            player = self.acting.get(name) or self.begin(name)
            if not self.step(player, turn):
                return

    def waiting(self) -> bool:
        """Whether anything in the queue isn't with its owner."""
        return any(entry.state not in RETURNED for entry in self.world.board().merges())

    def begin(self, name: str) -> Player:
        """A merger starts, with a fate or without."""
        folder = self.world.folder
        self.acting[name] = self.world.stage.enter(
            name, ("merge", "--once"), folder / name, self.world.env(name, name)
        )
        self.dying.pop(name, None)
        self.fates.pop(name, None)
        if self.kills < MOST_KILLS and self.rng.random() < 0.75:
            self.fates[name] = self.fate()
        return self.acting[name]

    def fate(self) -> Fate:
        """At a push, at a test, or at any step."""
        what, most = self.rng.choice(
            (("push --", 5), ("push --", 3), ("sh -c sh check.sh", 3), ("", 250), ("", 60))
        )
        how = self.rng.choice(("before", "after", "within", "within", "sleep", "sleep after"))
        return Fate(what, self.rng.randint(1, most), how)

    def step(self, player: Player, turn: int) -> bool:
        """One step of a merger, to which its fate may come; whether it can take another."""
        order = self.order(player, turn)
        if order is None:
            return False
        self.world.stage.order(player, order)
        self.world.watch(player.name)
        if player.at is None:
            self.ended(player, turn)
            return False
        return True

    def order(self, player: Player, turn: int) -> bytes | None:
        """What happens to it at this step; None where it falls asleep before it."""
        if ":refs/heads/main" in (player.at or "") and self.rng.random() < FASTER:
            trivial(self)
        if self.dying.pop(player.name, False):
            return self.struck(player, turn, "before")
        fate = self.fates.get(player.name)
        if fate is None or fate.what not in (player.at or ""):
            return GO
        fate.nth -= 1
        if fate.nth:
            return GO
        del self.fates[player.name]
        if fate.how in {"after", "sleep after"}:
            self.dying[player.name] = fate.how == "after"
            if fate.how == "sleep after":
                self.fates[player.name] = Fate("", 1, "sleep")
            return GO
        return self.struck(player, turn, fate.how)

    def struck(self, player: Player, turn: int, how: str) -> bytes | None:
        """It dies, or falls asleep for long."""
        if how == "sleep" and self.sleeps < MOST_SLEEPS:
            self.sleeps += 1
            self.asleep[player.name] = turn + self.rng.randint(20, 90)
            self.world.stage.clock.forward(LONG)
            return None
        self.kills += 1
        return DIE_AFTER if how == "within" else DIE

    def ended(self, player: Player, turn: int) -> None:
        """A merger's process is over: one that was killed comes back, one that was told to wait waits."""
        del self.acting[player.name]
        world = self.world
        world.count(f"mergers that ended with {player.status}")
        if player.status == 75:
            world.stage.clock.forward(LONG / 2)
        done = player.answer
        if player.status == 75 or "landed" in done:
            self.resting[player.name] = turn + (8 if done.get("landed") else 30)
        elif player.status != -9:
            world.violations.append(f"{player.name} ended with {player.status}: {player.answer}")

    # the end

    def settle(self) -> None:
        """Everybody wakes up and ends, owners mend what came back, and mergers run until nothing is left to do."""
        world = self.world
        for player in list(self.acting.values()):
            while player.at is not None:
                world.stage.order(player)
                world.watch(player.name)
            self.ended(player, TURNS)
        mend(self)
        resume(self)
        for turn in range(ROUNDS):
            board = world.board()
            for job in [job for job in world.jobs.values() if world.is_open(board, job)]:
                world.go_on(job)
            if not self.left():
                break
            world.stage.clock.forward(2 * LONG)
            name = MERGERS[turn % len(MERGERS)]
            world.pw(world.folder / name, name, "merge", "--once")
        tidied(world, MERGERS)


def tidied(world: World, mergers: Sequence[str]) -> None:
    """Do what people do when something was killed: look after everything once."""
    for name in mergers:
        world.pw(world.folder / name, name, "merge", "--once")
    world.grow_old()
    for name in ("m0", "m1", "m2", "desk", "attic"):
        world.pw(world.folder / name, "ann", "doctor", "--fix")
        world.pw(world.folder / name, "ann", "gc", check=0)
    world.stage.still()


# what else happens


def trivial(drama: Drama) -> None:
    """Somebody pushes something harmless to the base."""
    drama.world.push_directly({f"direct/{len(drama.world.direct)}.txt": b"direct\n"})


def interfering(drama: Drama) -> None:
    """Somebody pushes what tasks are going to conflict with."""
    path = drama.world.folder / "elsewhere/shared/common.txt"
    git_lines = path.read_text().splitlines(keepends=True)
    git_lines[6] = f"pushed directly {len(drama.world.direct)}\n"
    if len(drama.world.direct) < 12:
        drama.world.push_directly({"shared/common.txt": "".join(git_lines).encode()})


def breaking(drama: Drama) -> None:
    """Somebody pushes what is red, or mends it."""
    if drama.world.broken:
        mend(drama)
    elif drama.rng.random() < 0.4:
        drama.world.push_directly({"broken/base": b"red\n"})
        drama.world.broken = True


def mend(drama: Drama) -> None:
    """The base is green again."""
    if drama.world.broken:
        drama.world.push_directly({"broken/base": None})
        drama.world.broken = False


def pausing(drama: Drama) -> None:
    """Somebody pauses the queue, or ends the pause."""
    if drama.world.paused:
        resume(drama)
    elif drama.rng.random() < 0.4:
        drama.world.pw(drama.world.folder / "attic", "boss", "merge", "pause", "--below", "2", check=0)
        drama.world.paused = True


def resume(drama: Drama) -> None:
    """The pause is over."""
    drama.world.pw(drama.world.folder / "attic", "boss", "merge", "resume", check=0)
    drama.world.paused = False


def queued(drama: Drama) -> list[str]:
    """The tasks that wait to be merged."""
    return [entry.task_id for entry in drama.world.board().merges() if entry.landing is None]


def going_first(drama: Drama) -> None:
    """Somebody is in a hurry."""
    if found := queued(drama):
        drama.world.pw(drama.world.folder / "attic", "boss", "merge", "first", drama.rng.choice(found))


def dropping(drama: Drama) -> None:
    """Somebody takes a task out of the queue; its owner hands it in again."""
    if found := queued(drama):
        drama.world.pw(drama.world.folder / "attic", "boss", "merge", "drop", drama.rng.choice(found))


def moving(drama: Drama) -> None:
    """An owner goes on working after handing in: hands in anew, or only pushes the branch."""
    world = drama.world
    board = world.board()
    found = [
        job
        for job in world.jobs.values()
        if world.task(board, job).status is TaskStatus.COMPLETED
        and (entry := board.entry(job.task)) is not None
        and entry.landing is None
        and job.kind != "fenced"
    ]
    if not found:
        return
    job = drama.rng.choice(found)
    job.content = f"{job.task} by {job.owner}, on second thoughts {len(job.subjects)}\n"
    world.work(job, {job.file: job.content.encode()})
    job.moved = True
    world.count("moved heads")
    if drama.rng.random() < 0.5:
        world.hand_in(job)
    else:
        world.push_branch(job)


def seizing(drama: Drama) -> None:
    """Somebody takes a task away from its owner by force; another does it, and the first one doesn't know."""
    world = drama.world
    board = world.board()
    for job in world.jobs.values():
        task = world.task(board, job)
        held = task.claim is not None and task.merged_at is None
        entry = board.entry(job.task)
        if (
            job.kind == "fenced"
            and job.owner in {"ann", "ben", "cat"}
            and held
            and (entry is None or not entry.landing)
        ):
            world.seize(job)


def handing_in_stale(drama: Drama) -> None:
    """Who lost a claim hands in all the same."""
    drama.world.hand_in_stale()


EVENTS: tuple[Callable[[Drama], None], ...] = (
    trivial,
    trivial,
    interfering,
    breaking,
    pausing,
    going_first,
    dropping,
    moving,
    moving,
    seizing,
    handing_in_stale,
)


def play(seed: int, folder: Path, without: str | None = None) -> dict[str, Any]:
    """Play a seed; what happened, and what was violated."""
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    said = folder / "said"
    said.mkdir()
    world = World(
        folder,
        Stage(said),
        rng,
        strategy=("rebase", "rebase", "squash", "merge")[seed % 4],
        window=rng.choice((1, 3, 5, 8)),
        atomic=seed % 3 != 2,
    )
    world.set_up(rng.sample(KINDS, JOBS))
    restore = CONTROLS[without]() if without else (lambda: None)
    drama = Drama(world, rng)
    try:
        drama.play()
    finally:
        restore()
    found = verdict(world)
    return {
        "play": f"seed {seed}",
        "landed": found.landed,
        "kills": drama.kills,
        "sleeps": drama.sleeps,
        "takeovers": found.takeovers,
        "operations": found.operations,
        "counts": world.counts,
        "violations": world.violations + found.violations,
    }


def main() -> None:
    """Play the seeds that are named."""
    from tests.race.crowd import short_lived

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", type=int, nargs="+")
    parser.add_argument("--without", choices=sorted(CONTROLS))
    parser.add_argument("--keep", type=Path, help="play in this folder, and leave everything there")
    options = parser.parse_args()
    load()
    for seed in options.seeds:
        with short_lived() as folder:
            report = play(seed, (options.keep or folder) / str(seed), options.without)
        sys.stdout.write(json.dumps(report) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
