"""A made-up working day of a web shop in a ledger in memory, and the page of it: the same each time."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gitpw.cli.page import page
from gitpw.domain.ids import LedgerId, TaskId, WorkerId
from gitpw.domain.lock import Held, Mode
from gitpw.domain.merge import MergeState
from gitpw.domain.operation import (
    Add,
    Author,
    Back,
    Begin,
    Complete,
    Done,
    Fail,
    Land,
    Landing,
    Lock,
    Mark,
    Merging,
    NewTask,
    Register,
    Report,
    Request,
    SendBack,
    Start,
    Take,
    Wait,
)
from gitpw.domain.worker import AgentType, WorkerType
from gitpw.ledger.journal import Journal
from gitpw.ledger.ledger import Ledger
from gitpw.ledger.memory import MemoryStore
from gitpw.services.overview import Overview, overview

EIGHT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
HEAD = "a" * 40


class Day:
    """A ledger whose clock is set by whoever tells the story, in minutes since eight."""

    def __init__(self, folder: Path, begin: datetime = EIGHT) -> None:
        self.begin = self.now = begin
        self.ledger = Ledger(MemoryStore(), Journal(folder / "journal"), lambda: self.now)
        self.ctx: Any = SimpleNamespace(
            ledger=self.ledger,
            clock=SimpleNamespace(now=lambda: self.now),
            me=SimpleNamespace(host="desk", worker="ada"),
            remote="origin",
            reports=SimpleNamespace(all=list),
            worktrees=SimpleNamespace(all=list),
            rules=SimpleNamespace(base=lambda: "main"),
            repo=SimpleNamespace(git_dir="/shop/.git", common_dir="/shop/.git", tips=lambda _: {}),
            checkout=SimpleNamespace(own=list),
        )
        self.merger: int | None = None
        self.do(Begin(ledger=LedgerId("0" * 20)))

    def at(self, minute: float) -> Day:
        """Set the clock."""
        self.now = self.begin + timedelta(minutes=minute)
        return self

    def do(self, request: Request, worker: str = "ada") -> Done:
        """Ask for something and get it."""
        author = Author(worker=WorkerId(worker), host="desk", place="0" * 16)
        outcome = self.ledger.transact(request, author).outcome
        assert isinstance(outcome, Done), outcome
        return outcome

    def begin_work(self, number: int, worker: str, minute: float, lease: int = 3600) -> None:
        """Claim a task and start it two minutes later."""
        task = TaskId(f"task-{number:03d}")
        self.at(minute).do(Take(task=task, lease=lease), worker)
        self.at(minute + 2).do(Start(task=task), worker)

    def hand_in(self, number: int, worker: str, minute: float) -> None:
        """Into the merge queue."""
        task = TaskId(f"task-{number:03d}")
        self.at(minute).do(Complete(task=task, head=HEAD, branch=f"fix/{task}"), worker)

    def say(self, number: int, worker: str, step: str, done: int, total: int) -> None:
        """How far a task has come."""
        self.do(Report(task=TaskId(f"task-{number:03d}"), step=step, done=done, total=total), worker)

    def merge(self, number: int, minute: float, conflict: str = "") -> None:
        """Let the merger land a task, or return it for a conflict."""
        task = TaskId(f"task-{number:03d}")
        self.mark(number, minute - 1, MergeState.TESTING)
        token = self.merger
        self.at(minute)
        if conflict:
            back = Back(task=task, head=HEAD, state=MergeState.CONFLICT, detail=conflict)
            self.do(SendBack(token=token, back=(back,)), "merger")
        else:
            landing = Landing(task=task, head=HEAD, commit="c" * 40)
            self.do(Land(token=token, landings=(landing,), commit="c" * 40), "merger")

    def mark(self, number: int, minute: float, state: MergeState, detail: str = "") -> None:
        """What the merger says of a task."""
        mark = Mark(task=TaskId(f"task-{number:03d}"), head=HEAD, state=state, detail=detail)
        self.at(minute)
        wish = Merging(place="0" * 16, lease=36_000, token=self.merger, marks=(mark,))
        self.merger = self.do(wish, "merger").token

    def seen(self) -> Overview:
        """What the page shows of it now."""
        return overview(self.ctx, offline=True)


TITLES = (
    "Prices that customers see are rounded to whole cents",
    "Log in with a passkey",
    "Search finds words with typing errors",
    "The cart survives a reload",
    "Invoices as PDF, with the tax of each country",
    "Count views without cookies",
    "Translate the checkout into Hebrew: קופה",
    "Refunds by the customer service",
    "Discounts for students",
    "Ship to islands",
)


def told(folder: Path) -> Day:
    """A day on which some things go well."""
    day = Day(folder)
    for name, kind in (("ada", None), ("bob", AgentType.CODEGEN), ("chen", AgentType.REVIEW), ("dora", None)):
        human = kind is None
        kinds = WorkerType.HUMAN if human else WorkerType.AI_AGENT
        day.do(Register(id=WorkerId(name), type=kinds, agent_type=kind, max_concurrent_tasks=2), name)
    files = ("src/prices", "src/login", "src/search", "src/cart", "src/invoices", "src/views")
    new = [
        NewTask(title=title, priority=1 + number % 4, files=files[number : number + 1], estimate=60)
        for number, title in enumerate(TITLES)
    ]
    new += [NewTask(title="Announce it", after=("task-008", "task-009"), priority=5)]
    day.do(Add(tasks=tuple(new)))
    day.begin_work(1, "ada", 5)
    day.begin_work(2, "bob", 9, 14_400)
    day.hand_in(1, "ada", 48)
    day.begin_work(3, "ada", 55)
    day.merge(1, 61)
    day.begin_work(6, "dora", 70)
    day.hand_in(3, "ada", 95)
    day.merge(3, 104, "conflict in src/search/index.ts")
    day.at(110).do(Fail(task=TaskId("task-006"), reason="the analytics service has no test account"), "dora")
    day.hand_in(3, "ada", 122)
    day.merge(3, 131)
    day.begin_work(4, "chen", 100, 7_200)
    day.begin_work(5, "ada", 133, 7_200)
    day.hand_in(2, "bob", 150)
    day.begin_work(7, "bob", 152)
    day.hand_in(4, "chen", 171)
    day.mark(4, 172, MergeState.TESTING, "tests run: 41 s")
    day.at(173)
    day.say(5, "ada", "writing tests for Norway", 5, 7)
    day.say(7, "bob", "asking for the words", 1, 4)
    readme = Held(resource="README.md", mode=Mode.EXCLUSIVE)
    day.at(174).do(Lock(locks=(readme,), lease=1800), "dora")
    day.do(Wait(want=Lock(locks=(readme,), lease=1800), seconds=1800), "chen")
    day.at(178)
    return day


def written() -> str:
    """The page of that day."""
    with tempfile.TemporaryDirectory() as folder:
        return page(told(Path(folder)).seen(), "shop")
