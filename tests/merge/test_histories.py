"""Two hundred branches through the queue: as many conflicts as `git rebase` finds one by one, and the same trees.

The branches are written into the upstream as they are, and claimed and handed in by operations of the ledger, without
owners' checkouts. The mergers are real processes; `git rebase` runs in a clone of its own.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pygit2
import pytest

from gitpw.app import open_context
from gitpw.domain.ids import TaskId, WorkerId
from gitpw.domain.operation import Complete, Done, NewTask, Register, Take
from gitpw.services.add_tasks import add_tasks
from tests.merge.histories import Branch, History
from tests.race.crowd import short_lived
from tests.race.runner import Run
from tests.support.git import clone, git, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gitpw.domain.operation import Author, Request
    from gitpw.ledger.ledger import Ledger
    from tests.race.runner import Herd

pytestmark = [pytest.mark.fault, pytest.mark.timeout(600)]

TOGETHER = 20
"""Branches that are worked on at the same time."""

LAG = 6
"""How many commits behind the base a branch may begin."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where the repositories lie."""
    with short_lived() as found:
        yield found


class Rebaser:
    """A clone in which branches are rebased one by one, as people do."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def replayed(self, tip: str, branches: Sequence[Branch]) -> tuple[str, list[int]]:
        """What the base becomes, and which of the branches conflict."""
        git("fetch", "-q", "origin", "+refs/heads/*:refs/remotes/origin/*", cwd=self.place)
        conflicts = []
        for number, branch in enumerate(branches):
            git("checkout", "-q", "--detach", branch.head, cwd=self.place)
            done = run(["git", "rebase", "-q", "--onto", tip, branch.base], self.place, check=False)
            if done.exit:
                git("rebase", "--abort", cwd=self.place)
                conflicts.append(number)
            else:
                tip = git("rev-parse", "HEAD", cwd=self.place)
        return git("rev-parse", f"{tip}^{{tree}}", cwd=self.place), conflicts


class Queue:
    """An upstream with a ledger, and whoever hands in and merges."""

    def __init__(self, herd: Herd, folder: Path, seed: int) -> None:
        self.herd, self.folder, self.bare = herd, folder, folder / "up.git"
        self.history = History(pygit2.init_repository(str(self.bare), bare=True), random.Random(seed))
        self._point("main", self.history.start())
        self.bare.joinpath("HEAD").write_text("ref: refs/heads/main\n")
        self.place = clone(self.bare, folder / "merger")
        self.pw("init", "--no-hooks")
        context = open_context(directory=str(self.place), worker="ann")
        self.ledger: Ledger = context.ledger
        self.ann: Author = context.me
        self.ask(Register(id=WorkerId("ann"), max_concurrent_tasks=1_000))
        add_tasks(context, [NewTask(title=f"Branch {number}") for number in range(10 * TOGETHER)])
        self.made = 0

    def pw(self, *words: str) -> dict[str, list[dict[str, object]]]:
        """What a command answers, whatever its exit status is."""
        (answer,) = self.herd.run(Run(words, self.place, {"GITPW_WORKER": "ann"}))
        found: dict[str, list[dict[str, object]]] = answer.data
        return found

    def ask(self, request: Request) -> None:
        """Ask the ledger."""
        outcome = self.ledger.transact(request, self.ann).outcome
        assert isinstance(outcome, Done), outcome

    def tip(self) -> str:
        """Where the base stands."""
        return git("rev-parse", "main", cwd=self.bare)

    def handed_in(self) -> list[Branch]:
        """Some people work at the same time, from bases that aren't the newest, and all hand in."""
        bases = git("rev-list", "--first-parent", f"-{LAG}", "main", cwd=self.bare).split()
        found = [self.history.branch(self.history.rng.choice(bases)) for _ in range(TOGETHER)]
        for branch in found:
            self.made += 1
            task, name = TaskId(f"task-{self.made:03}"), f"feat/branch-{self.made}"
            self._point(name, branch.head)
            self.ask(Take(task=task, lease=3_600, base=branch.base))
            self.ask(Complete(task=task, head=branch.head, branch=name))
        return found

    def merged(self) -> tuple[list[int], list[int]]:
        """The numbers of those that landed since the last time, and of those that came back with a conflict."""
        answer = self.pw("merge", "--once")
        first = self.made - TOGETHER + 1
        landed = [int(str(one["taskId"])[5:]) - first for one in answer["landed"]]
        back = [
            int(str(one["taskId"])[5:]) - first for one in answer["returned"] if one["state"] == "conflict"
        ]
        return landed, sorted(back)

    def _point(self, branch: str, commit: str) -> None:
        self.history.repo.references.create(f"refs/heads/{branch}", pygit2.Oid(hex=commit), force=True)


@pytest.mark.parametrize("seed", [1])
def test_queue_finds_the_conflicts_that_rebasing_finds(herd: Herd, folder: Path, seed: int) -> None:
    """Two hundred branches, twenty at a time: the same ones conflict, the others land, and the trees are identical."""
    queue = Queue(herd, folder, seed)
    rebaser = Rebaser(clone(queue.bare, folder / "rebaser"))
    conflicts = 0
    for _ in range(10):
        tip = queue.tip()
        branches = queue.handed_in()
        tree, expected = rebaser.replayed(tip, branches)
        landed, back = queue.merged()
        assert back == expected
        assert sorted(landed + back) == list(range(TOGETHER))
        assert git("rev-parse", "main^{tree}", cwd=queue.bare) == tree
        conflicts += len(back)
    assert 8 <= conflicts <= 32, f"{conflicts} of 200 conflict: not what real histories are like"
