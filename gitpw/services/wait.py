"""Stand in line until it is granted, or the time is up.

*What it costs.* One operation to stand in line and one to be granted; a sign of life when somebody asks for it, or
every ten minutes. Between them the remote is asked for nothing but where the ledger stands, after pauses that grow
from one second to eight; one process asks for all of a machine. Whether to try is decided on the state that is known,
so nothing is pushed in vain. What happens on this machine is seen at once, by the file of the last known state; as
long as only this machine's own claims are in the way, the remote is asked every 20 seconds.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from gitpw.domain.board import Board
from gitpw.domain.failure import horizon
from gitpw.domain.ids import ClaimId, OperationId, duration
from gitpw.domain.lock import suspicious
from gitpw.domain.operation import Call, Leave, Lock, Operation, Refused, Suspect, Take, Wait
from gitpw.domain.turns import LIFE
from gitpw.domain.waiting import View, view
from gitpw.domain.worker import Worker
from gitpw.errors import ContendedError, HeldError, NothingError, OfflineError, PwError, UnknownError
from gitpw.services.asking import granted, here, refusal, settle
from gitpw.services.ports import Context

T = TypeVar("T")
W = TypeVar("W", Take, Lock)

FIRST, LONGEST = 1.0, 8.0
"""Seconds between two questions to the remote, at first and in the end."""

GROWTH = 2.0
"""The most by which a pause grows."""

NEAR = 20.0
"""The same where all that is in the way is held on this machine: half of the time in which a call is answered."""

PATIENCE = 5.0
"""Seconds for which those ahead may hesitate before they are called."""

AGAIN = 300.0
"""Seconds after which one that has answered is called again."""

PROLONG = LIFE.total_seconds() * 2 / 3
"""Seconds after which a sign of life is given unasked."""

TICK, KEPT_TICK = 15.0, 2.0
"""Seconds after which time alone may have changed something: a lease has ended, or somebody didn't answer a call."""

FETCH = 10.0
"""Seconds that the remote may take to say where the ledger stands."""

DECIDING = ("ready", "parked", "elders", "failed", "paths", "globs", "waits", "settings")
"""The tables that decide whether there is any task to be had: to look through all tasks is only worth while then."""


def wait(ctx: Context, length: str | None, request: W, attempt: Callable[[W], T]) -> T:
    """Try at once; what is held, or not there yet, is waited for as long as `length` says."""
    if length is None:
        return attempt(request)
    until = time.monotonic() + duration(length).total_seconds()
    try:
        return attempt(request)
    except (HeldError, NothingError) as error:
        refused = error
    line = _Line(ctx, request, length, until, refused)
    if ctx.dry_run:
        raise line.rehearsed()
    return line.stand(attempt)


class _Line(Generic[W]):
    """One's place in the queue, while one stands there."""

    def __init__(self, ctx: Context, request: W, length: str, until: float, refused: PwError) -> None:
        self._ctx = ctx
        self._request: W = request
        self._length = length
        self._until = until
        self._refused = refused
        self._operation: OperationId | None = None
        self._signed = 0.0
        self._tip: str | None = None
        self._view: View | None = None
        self._worker: Worker | None = None
        self._told: tuple[int, str] | None = None
        self._pause = FIRST
        self._asked = 0.0
        self._offline = False
        self._kept_since: float | None = None
        self._called: dict[int, float] = {}
        self._here: tuple[frozenset[ClaimId], bool] = (frozenset(), False)

    @property
    def _left(self) -> float:
        return self._until - time.monotonic()

    def rehearsed(self) -> PwError:
        """The refusal, with the place in line that one would have; raises what would be refused as well."""
        done = granted(self._ctx.ledger.preview(self._wish(), self._ctx.me).outcome)
        place = done.detail["place"]
        self._ctx.tell(f"{self._refused.message}: would wait up to {self._length}, as number {place} in line")
        self._refused.data["wait"] = {"place": place}
        return self._refused

    def stand(self, attempt: Callable[[W], T]) -> T:
        """Stand in line; the answer of the attempt that is granted. Raises `ContendedError` when the time is up."""
        try:
            self._join()
            return self._stood(attempt)
        finally:
            self._withdraw()

    def _stood(self, attempt: Callable[[W], T]) -> T:
        while True:
            trace = self._ctx.ledger.store.trace()
            found = self._look()
            if found is None:
                self._ctx.tell(
                    "others went on without this one, which gave no sign of life: at the end of the line"
                )
                self._join()
                continue
            if found.refused is None:
                try:
                    return attempt(self._request)
                except (HeldError, NothingError) as error:
                    self._refused, self._view = error, None
                except (ContendedError, OfflineError) as error:
                    self._ctx.tell(f"{error.message}: still waiting")
                    time.sleep(max(0.0, min(FIRST, self._left)))
            elif self._acted(found):
                continue
            if self._left <= 0:
                raise self._late(found)
            self._rest(found, trace)

    # saying so

    def _wish(self) -> Wait:
        holding = tuple(own.claim for own in here(self._ctx))
        return Wait(want=self._request, seconds=max(1, math.ceil(self._left)), holding=holding)

    def _join(self) -> None:
        self._close()
        self._request = self._request.but(waiting=None)
        answer = self._ctx.ledger.transact(self._wish(), self._ctx.me, hold=True)
        ticket = granted(answer.outcome).detail["ticket"]
        self._operation = answer.operation.id
        self._request = self._request.but(waiting=ticket)
        self._view, self._signed = None, time.monotonic()
        self._asked = self._signed

    def _withdraw(self) -> None:
        """Wait no more; where that can't be said now, the next command says it."""
        ticket, ledger = self._request.waiting, self._ctx.ledger
        if ticket is None or self._operation is None:
            return
        try:
            if ledger.board().waiter(ticket) is not None:
                ledger.transact(Leave(tickets=(ticket,)), self._ctx.me)
        except BaseException as error:
            ledger.journal.leave(self._operation)
            if not isinstance(error, PwError):
                raise
        else:
            self._close()

    def _close(self) -> None:
        if self._operation is not None:
            self._ctx.ledger.journal.close(self._operation)
        self._operation = None

    def _late(self, found: View) -> ContendedError:
        """The time is up."""
        refused = self._why(found)
        ahead = [one.public(place) for place, one in enumerate(found.ahead, 1)]
        data = {**refused.data, "wait": {"place": found.place, "ahead": ahead}}
        return ContendedError(f"still not free after {self._length}: {refused.message}", refused.hint, **data)

    def _why(self, found: View) -> PwError:
        """What is in the way now; that there is no task, with the reasons that the rule itself gave for it."""
        now = found.refused
        if now is None or (now.code == "nothing" and isinstance(self._refused, NothingError)):
            return self._refused
        return refusal(now.code, now.message, now.hint, now.data)

    # looking

    def _look(self) -> View | None:
        """How things stand in the last known state; None where one's place is lost."""
        ledger = self._ctx.ledger
        tip = ledger.store.tip()
        board, operation = ledger.rehearsed(self._request, self._ctx.me)
        if not self._is_settled(tip, board, operation):
            self._worker = board.worker(self._ctx.me.worker)
            self._view = view(board, operation, self._request)
        self._tip = tip
        if self._view is not None:
            self._show(self._view)
        return self._view

    def _is_settled(self, tip: str | None, board: Board, operation: Operation) -> bool:
        """Whether nothing has happened since that could matter to who waits for any task."""
        seen, before = self._view, self._tip
        if seen is None or before is None or tip is None or not seen.waiter.takes_any:
            return False
        if seen.refused is None or seen.kept:
            return False
        now = operation.at
        if any(board.run_out(now)) or board.due(now, horizon(now, board.settings.skew)):
            return False
        if _without_time(self._worker) != _without_time(board.worker(self._ctx.me.worker)):
            return False
        return before == tip or self._ctx.ledger.store.same(before, tip, DECIDING)

    def _show(self, found: View) -> None:
        """Tell one's place, when it has changed or something else is in the way."""
        if found.refused is None:
            return
        why = self._why(found).message
        if self._told == (found.place, why):
            return
        up_to = f"waiting up to {self._length}, " if self._told is None else ""
        self._told = (found.place, why)
        self._ctx.tell(f"{why}: {up_to}number {found.place} in line")

    # acting

    def _acted(self, found: View) -> bool:
        """Give or ask for a sign of life, where it is time to; whether the ledger was changed."""
        now = time.monotonic()
        if found.silent or now - self._signed > PROLONG:
            self._signed = now
            return self._said(self._wish().but(ticket=self._request.waiting))
        if not found.kept:
            self._kept_since = None
            return self._doubted(found)
        tip = self._ctx.ledger.store.tip()
        settle(self._ctx)  # those that were killed on this machine
        if self._ctx.ledger.store.tip() != tip:
            return True
        if self._kept_since is None:
            self._kept_since = now
        late = [one.ticket for one in found.kept if now - self._called.get(one.ticket, -AGAIN) >= AGAIN]
        if now - self._kept_since < PATIENCE or not late:
            return False
        self._called.update(dict.fromkeys(late, now))
        return self._said(Call(tickets=tuple(late)))

    def _doubted(self, found: View) -> bool:
        """Mark the leases in the way that look over, so that this clock may act on its own in a while."""
        ctx, settings = self._ctx, self._ctx.ledger.board().settings
        over = [
            claim.id
            for claim in found.claims
            if not claim.queued and suspicious(claim.lease, ctx.clock.now(), ctx.me.host, settings)
        ]
        return bool(over) and self._said(Suspect(claims=tuple(over)))

    def _said(self, request: Wait | Call | Suspect) -> bool:
        """Tell the ledger, if it can be told now; whether that changed it."""
        try:
            outcome = self._ctx.ledger.transact(request, self._ctx.me).outcome
        except (ContendedError, OfflineError, UnknownError):
            return False
        if isinstance(outcome, Refused) and outcome.code == "stale":
            return True  # one's place is gone, as the next look will find
        return granted(outcome).changed

    # resting

    def _rest(self, found: View, trace: object) -> None:
        """Until something changes on this machine, or it is time to look or to ask again."""
        tick = KEPT_TICK if found.kept else TICK
        if self._ctx.remote is None:
            self._ctx.ledger.wait_for_change(trace, min(tick, self._left))
            return
        pause = NEAR if self._is_near(found) else self._pause
        until_asking = self._asked + pause - time.monotonic()
        if self._ctx.ledger.wait_for_change(trace, min(until_asking, tick, self._left)):
            return
        if time.monotonic() >= self._asked + pause:
            self._ask()
            self._pause = min(self._pause * random.uniform(1, GROWTH), LONGEST)  # noqa: S311 - not for secrets
            self._asked = time.monotonic()

    def _ask(self) -> None:
        """Ask the remote where the ledger stands, unless another process of this machine has just done so."""
        asked = self._ctx.ledger.store.asked()
        age = None if asked is None else (self._ctx.clock.now() - asked).total_seconds()
        if age is not None and 0 <= age < self._pause / 2:
            return
        try:
            self._ctx.ledger.fresh(max(1.0, min(FETCH, self._left)))
            self._offline = False
        except OfflineError as error:
            if not self._offline:
                self._ctx.tell(f"{error.message}: still waiting")
            self._offline = True

    def _is_near(self, found: View) -> bool:
        """Whether all that is in the way is of this machine: whatever ends it is then seen here at once."""
        if found.waiter.takes_any or any(claim.queued for claim in found.claims):
            return False
        claims = frozenset(claim.id for claim in found.claims)
        if self._here[0] != claims:
            known = {own.claim for memory in self._ctx.worktrees.memories() for own in memory.own}
            self._here = (claims, claims <= known)
        return self._here[1] and all(self._ctx.ledger.journal.holds(one.operation) for one in found.ahead)


def _without_time(worker: Worker | None) -> Worker | None:
    """What decides which tasks a worker can have: when it was last heard of is no part of it."""
    return None if worker is None else worker.but(last_activity=None)
