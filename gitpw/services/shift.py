"""One merger at work: what it needs, what it holds, and what it has found out so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.ids import TaskId
from gitpw.domain.lineup import Held
from gitpw.domain.merge import MergeState
from gitpw.domain.operation import Back, Done, Frozen, Landing, Mark, Merging, Request, SendBack
from gitpw.errors import ContendedError, OfflineError, PwError, UnknownError
from gitpw.ledger.ledger import Answer
from gitpw.ledger.store import Move
from gitpw.services.asking import refusal
from gitpw.services.base import base_branch
from gitpw.services.ports import Context, Workshop
from gitpw.services.stack import SHORT, Site

PATIENT = 20
"""How often in a row the base branch may have moved just before the landing."""

Emit = Callable[[str, str, Mapping[str, object]], None]
"""Report an event: its name, what people read, and its data."""


class Landed(NamedTuple):
    """A task that landed, as `commit` of the base branch."""

    task_id: TaskId
    commit: str | None
    worker_id: str


class Trial(NamedTuple):
    """One run of the tests on the commit of some tasks."""

    tasks: list[TaskId]
    commit: str
    tree: str
    green: bool
    why: str
    seconds: float
    log: str


class Shift:
    """A merger from its first look to its last: `token` is its lease's, while it has one.

    `alone` while entries land one by one because the remote refused them together; `undeletable` are branches that
    the remote keeps.
    """

    def __init__(self, ctx: Context, shop: Workshop, emit: Emit, *, lease: int, poll: float) -> None:
        self.ctx = ctx
        self.shop = shop
        self.emit = emit
        self.lease = lease
        self.poll = poll
        self.branch = base_branch(ctx)
        self.tip: str | None = None
        self.token: int | None = None
        self.renewed = 0.0
        self.beaten = 0
        self.alone = False
        self.frozen: str | None = None
        self.skipped: dict[TaskId, str] = {}
        self.undeletable: set[str] = set()
        self.landed: list[Landed] = []
        self.returned: list[Back] = []
        self.deferred: list[Held] = []
        self.tests: list[Trial] = []
        self.known = shop.testbed.results()

    def ask(self, request: Request, moves: Sequence[Move] = ()) -> Answer:
        """Ask the ledger; a merger that was replaced stops."""
        answer = self.ctx.ledger.transact(request, self.ctx.me, moves=moves)
        outcome = answer.outcome
        if not isinstance(outcome, Done) and "merger" in outcome.data:
            self.token = None
            raise ContendedError(outcome.message, outcome.hint, **outcome.data)
        return answer

    def hold(
        self,
        site: Site,
        marks: Sequence[Mark] = (),
        back: Sequence[Back] = (),
        moves: Sequence[Move] = (),
    ) -> Board:
        """Take or renew the queue, say what is done with which entries, and send some back, in one step.

        The board as it is then.
        """
        place, now = self.shop.testbed.place(), site.board.line.merger
        request = Merging(
            place=place,
            lease=self.lease,
            token=self.token,
            gone=now.token if now is not None and now.place == place else None,
            base=site.tip,
            marks=tuple(marks),
            back=tuple(back),
        )
        answer = self.ask(request, moves)
        outcome = answer.outcome
        if not isinstance(outcome, Done):
            raise refusal(outcome.code, outcome.message, outcome.hint, outcome.data)
        if outcome.token is None:
            raise ContendedError(
                f"{outcome.detail.get('suspected')} runs the merge queue, but its lease looks overdue",
                hint="to be confirmed by this clock: try again in a few minutes",
            )
        self.token = outcome.token
        self.renewed = time.monotonic()
        return answer.board

    def beat(self) -> None:
        """Renew the lease when half of it is over; raises `ContendedError` where it was lost."""
        if self.token is None or time.monotonic() - self.renewed < self.lease / 2:
            return
        self.renewed = time.monotonic()
        renewal = Merging(
            place=self.shop.testbed.place(), lease=self.lease, token=self.token, base=self.tip, keep=True
        )
        try:
            self.ask(renewal)
        except (OfflineError, UnknownError) as error:
            self.ctx.tell(f"the merger's lease couldn't be renewed: {error.message}")

    def leave(self) -> None:
        """Give the queue up, if it is ours."""
        if self.token is None:
            return
        token, self.token = self.token, None
        try:
            self.ctx.ledger.transact(SendBack(token=token, leave=True), self.ctx.me)
        except PwError as error:
            self.ctx.tell(f"the merger's lease couldn't be given up: {error.message}; it ends by itself")

    def note_returned(self, back: Sequence[Back]) -> None:
        """Remember and report what went back to its owners."""
        for one in back:
            self.returned.append(one)
            self.emit("returned", f"{one.task} goes back to its owner: {one.detail}", one.to_data())

    def skip(self, site: Site, landings: Sequence[Landing], said: str, back: Sequence[Back] = ()) -> None:
        """Leave these for another time, and say why."""
        marks = []
        for landing in landings:
            self.skipped[landing.task] = said
            marks.append(
                Mark(task=landing.task, head=landing.head, state=MergeState.WAITING, detail=said[:2000])
            )
        self.hold(site, marks, back)
        self.note_returned(back)

    def patience(self) -> bool:
        """Count that others were faster; True for another round, `ContendedError` where there were too many."""
        self.beaten += 1
        if self.beaten >= PATIENT:
            raise ContendedError(
                f"{self.branch} was moved by others {self.beaten} times in a row just before the landing",
                hint="try again",
            )
        return True

    def freeze(self, site: Site) -> None:
        """The base branch is red itself: nothing can be said of the entries."""
        run = next((run for run in reversed(self.tests) if run.commit == site.tip), None)
        detail = f"{run.why}; log on {self.ctx.me.host}: {run.log}" if run else "its tests were red before"
        self.ask(Frozen(token=self.token, commit=site.tip, detail=detail))
        self.token = None
        self.frozen = f"{self.branch} itself is red at {site.tip[:SHORT]}: {detail}"
        self.emit("freeze", self.frozen, {"commit": site.tip})
