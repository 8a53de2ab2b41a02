"""Standing in line: how one begins, shows that one is still there, and ends; and the circles that are refused.

A *circle*: a waiter waits for what a claim holds, whose checkout waits for what … the first one holds. Nobody in it
would ever get anything, so the wait that would close it is refused. Who stands before somebody in line is waited for
as well. A worker in one checkout is one party, whatever it waits for and holds: what it was granted from there, and
what the checkout says it holds.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.grant import lock, may_take_over, unknown, unreadable
from gitpw.domain.ids import ClaimId
from gitpw.domain.lock import Claim, Mode
from gitpw.domain.operation import (
    Call,
    Done,
    Leave,
    Lock,
    Operation,
    Outcome,
    Refused,
    Take,
    Wait,
)
from gitpw.domain.schedule import choose, take
from gitpw.domain.turns import (
    LIFE,
    Standing,
    ahead_of,
    in_common,
    is_live,
    is_same,
    needs,
    standing,
    standing_of,
    wishes_of,
)
from gitpw.domain.waiter import Waiter

Party = tuple[str, str]
"""A worker and its checkout."""


class Step(NamedTuple):
    """Who waits for what, and who is in the way: the holder of a claim, or without one, somebody who goes first."""

    waiter: Waiter
    wanted: str
    other: str
    claim: Claim | None

    def public(self) -> dict[str, Any]:
        """The step as `--json` shows it."""
        return {
            "workerId": self.waiter.worker,
            "waitsFor": self.wanted,
            "heldBy" if self.claim is not None else "behind": self.other,
            "taskId": None if self.claim is None else self.claim.task,
        }

    def __str__(self) -> str:
        return f"waits for {self.wanted} {'behind' if self.claim is None else 'held by'} {self.other}"


class View(NamedTuple):
    """How things stand for one who waits.

    `refused` is None where it can have what it waits for; otherwise `claims` are in its way, and `ahead` are those
    who stand before it. `kept` are those of them but for whom it could go now. `silent` says that a sign of life is
    due: somebody asked for one, or it doesn't count any more.
    """

    waiter: Waiter
    refused: Refused | None
    claims: tuple[Claim, ...]
    ahead: tuple[Waiter, ...]
    kept: tuple[Waiter, ...]
    silent: bool

    @property
    def place(self) -> int:
        """Its place, counted from one."""
        return len(self.ahead) + 1


def wait(board: Board, operation: Operation, request: Wait) -> Outcome:
    """Stand in line, or show that one still stands there."""
    if request.ticket is not None:
        return _still_there(board, operation, request, request.ticket)
    want = request.want
    unclear = unreadable(held.resource for held in want.locks)
    if unclear is not None:
        return unclear
    task = want.task if isinstance(want, Take) else None
    if task is not None and board.task(task) is None:
        return unknown(task)
    author = operation.author
    waiter = Waiter(
        ticket=board.counter + 1,
        operation=operation.id,
        verb=want.verb,
        worker=author.worker,
        worker_type=author.type,
        host=author.host,
        place=author.place,
        task=task,
        locks=want.locks,
        shared=want.shared if isinstance(want, Take) else all(one.mode is Mode.SHARED for one in want.locks),
        into=want.into if isinstance(want, Lock) else None,
        holding=_holding(board, operation, request),
        since=operation.at,
        until=operation.at + _life(request),
    )
    closed = circle(board, operation, waiter)
    if closed:
        return _refused(waiter, closed)
    board.put_waiter(waiter)
    place = 1 + len(ahead_of(board, waiter, operation.at, author.host))
    detail = {"ticket": waiter.ticket, "place": place, "files": [held.resource for held in waiter.locks]}
    return Done(tasks=() if task is None else (task,), detail=detail)


def _still_there(board: Board, operation: Operation, request: Wait, ticket: int) -> Outcome:
    waiter = board.waiter(ticket)
    if waiter is None or not is_same(waiter, operation):
        return Refused(code="stale", message="that place in line is gone", hint="wait again")
    fresh = waiter.but(
        until=operation.at + _life(request), calls={}, holding=_holding(board, operation, request)
    )
    closed = circle(board, operation, fresh)
    if closed:
        return _refused(fresh, closed)
    board.put_waiter(fresh)
    return Done(changed=fresh != waiter, detail={"ticket": ticket})


def _life(request: Wait) -> timedelta:
    return min(timedelta(seconds=request.seconds), LIFE)


def _holding(board: Board, operation: Operation, request: Wait) -> tuple[ClaimId, ...]:
    """What the checkout says it holds, as far as it is true."""
    claims = [(name, board.claim(name)) for name in request.holding]
    return tuple(
        name for name, claim in claims if claim is not None and claim.worker == operation.author.worker
    )


def call(board: Board, operation: Operation, request: Call) -> Outcome:
    """Ask waiters for a sign of life: the asker's host remembers since when."""
    host, called = operation.author.host, []
    for ticket in request.tickets:
        waiter = board.waiter(ticket)
        known = None if waiter is None else waiter.calls.get(host)
        if waiter is not None and (known is None or known > operation.at):
            board.put_waiter(waiter.but(calls={**waiter.calls, host: operation.at}))
            called.append(ticket)
    return Done(changed=bool(called), detail={"called": called})


def leave(board: Board, operation: Operation, request: Leave) -> Outcome:
    """Wait no more; what a killed process has left is taken back by others of its machine."""
    left = []
    for ticket in request.tickets:
        waiter = board.waiter(ticket)
        if waiter is None:
            continue
        if operation.author.worker != waiter.worker and operation.author.host != waiter.host:
            return Refused(
                code="invalid", message=f"that is {waiter.worker}'s place in line", hint="see 'git pw locks'"
            )
        board.drop_waiter(waiter)
        left.append(ticket)
    return Done(changed=bool(left), detail={"left": left})


def view(board: Board, operation: Operation, want: Take | Lock) -> View | None:
    """How things stand for the one who has the ticket of `want`; None where it has none. The board is spoilt by it."""
    waiter = None if want.waiting is None else board.waiter(want.waiting)
    if waiter is None or not is_same(waiter, operation):
        return None
    claims = tuple({claim.id: claim for claim, _ in _in_the_way(board, operation, waiter)}.values())
    ahead = tuple(one.waiter for one in ahead_of(board, waiter, operation.at, operation.author.host))
    live = is_live(waiter, operation.at, operation.author.host, board.settings.skew)
    refused, kept = _decided(board, operation, want)
    kept = ahead if kept is None else tuple(kept)
    return View(waiter, refused, claims, ahead, kept, silent=bool(waiter.calls) or not live)


def _decided(
    board: Board, operation: Operation, want: Take | Lock
) -> tuple[Refused | None, Sequence[Waiter] | None]:
    """What the rule says, without the reasons for every task; and but for whom it would say yes: None for all ahead."""
    if isinstance(want, Take) and want.task is None:
        choice = choose(board, operation, want)
        if not isinstance(choice, Refused):
            nothing = Refused(code="nothing", message="nothing to claim now")
            return (nothing, choice.waiters) if choice.best is None else (None, ())
        outcome: Outcome = choice
    else:
        outcome = take(board, operation, want) if isinstance(want, Take) else lock(board, operation, want)
    if isinstance(outcome, Done):
        return None, ()
    return outcome, None if "waiter" in outcome.data else ()


# circles


class _Parties:
    """Those who wait, by party, looked up once; the new one is among them."""

    def __init__(self, board: Board, operation: Operation, new: Waiter) -> None:
        live = standing(board, operation.at, operation.author.host)
        self.new = new
        self.line = [one for one in live if one.waiter.ticket != new.ticket]
        self.line.append(standing_of(board, new))
        self.waits: dict[Party, list[Standing]] = {}
        self._holding: dict[ClaimId, list[Party]] = {}
        for one in self.line:
            self.waits.setdefault(party(one.waiter), []).append(one)
            for claim in one.waiter.holding:
                self._holding.setdefault(claim, []).append(party(one.waiter))

    def of(self, by: Claim | Waiter, waiter: Waiter) -> list[Party]:
        """The parties to which a claim or a place in line belongs that keeps a waiter waiting.

        What the new one's own checkout doesn't hold may be waited for: its worker was granted it for another one.
        """
        told = self._holding.get(by.id, []) if isinstance(by, Claim) else []
        itself = waiter is self.new and isinstance(by, Claim) and party(by) == party(self.new)
        return told if itself else [*told, party(by)]


def party(of: Claim | Waiter) -> Party:
    """One worker in one checkout."""
    return of.worker, of.place


def circle(board: Board, operation: Operation, new: Waiter) -> list[Step]:
    """The steps by which a wait would wait for itself, the shortest way; none where it doesn't."""
    parties = _Parties(board, operation, new)
    start = party(new)
    before: dict[Party, Step | None] = {start: None}
    todo = [start]
    while todo:
        here = todo.pop(0)
        waits = parties.waits.get(here, []) if here != start else parties.line[-1:]
        for step, by in (
            found for one in waits for found in _kept_by(board, operation, one, parties, before)
        ):
            for reached in parties.of(by, step.waiter):
                if reached == start:
                    return [*_way(before, step.waiter), step]
                if reached not in before:
                    before[reached] = step
                    todo.append(reached)
    return []


def _way(before: dict[Party, Step | None], waiter: Waiter) -> list[Step]:
    found: list[Step] = []
    step = before[party(waiter)]
    while step is not None:
        found.insert(0, step)
        step = before[party(step.waiter)]
    return found


def _kept_by(
    board: Board, operation: Operation, one: Standing, parties: _Parties, known: Container[Party]
) -> Iterator[tuple[Step, Claim | Waiter]]:
    """The claims, and the earlier waits of parties that aren't known yet, that keep a waiter from what it wants."""
    waiter, start = one.waiter, party(parties.new)
    for claim, wanted in _in_the_way(board, operation, waiter):
        if not claim.queued:  # that one's end is up to the merge queue
            yield Step(waiter, wanted, claim.worker, claim), claim
    for first in parties.line:
        its = party(first.waiter)
        if first.waiter.ticket >= waiter.ticket or (its in known and its != start):
            continue
        both_any = (
            waiter.takes_any and first.waiter.takes_any
        )  # what one of them gets, the other doesn't need
        wanted_too = None if both_any else in_common(first, one)
        if wanted_too is not None:
            yield Step(waiter, wanted_too, first.waiter.worker, None), first.waiter


def _in_the_way(board: Board, operation: Operation, waiter: Waiter) -> Iterator[tuple[Claim, str]]:
    """The claims that keep a waiter from what it waits for, and of what."""
    task = None if waiter.task is None else board.task(waiter.task)
    holder = None if task is None or task.claim is None else board.claim(task.claim)
    if task is not None and holder is not None and not may_take_over(board, holder, operation):
        yield holder, task.id
    for wish in wishes_of(board, needs(board, waiter)):
        for name, held in board.overlapping(wish.thing):
            claim = board.claim(name)
            if claim is None or claim.id == waiter.into or (claim.task is None and is_same(waiter, claim)):
                continue
            if held.mode is wish.held.mode is Mode.SHARED or may_take_over(board, claim, operation):
                continue
            yield claim, wish.held.resource


def _refused(new: Waiter, steps: Sequence[Step]) -> Refused:
    """The refusal that spells the circle out."""
    first, *rest = steps
    told = ", who ".join([f"{new.worker} {first}", *map(str, rest)])
    if not rest and first.claim is not None:
        for_what = f" for {first.claim.task}" if first.claim.task else ""
        told = f"{first.wanted} is held by yourself{for_what}"
    return Refused(
        code="invalid",
        message=f"waiting would never end: {told}",
        hint="give back what others wait for ('git pw unlock', 'git pw release'), then wait",
        data={"circle": [step.public() for step in steps]},
    )
