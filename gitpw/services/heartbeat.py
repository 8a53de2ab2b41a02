"""Renew the leases of this machine, in one push."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.ids import ClaimId
from gitpw.domain.lock import GIVEN_BACK, Claim
from gitpw.domain.operation import Mine, Renew
from gitpw.domain.presence import is_alive, is_young, known
from gitpw.errors import InvalidError, StaleError
from gitpw.services.asking import ask, granted_no_more, settle
from gitpw.services.life import sign
from gitpw.services.ports import Context, Own, Trace
from gitpw.services.protect import protect


class Beaten(NamedTuple):
    """The claims that were renewed, and the ids of those that are no longer the current ones.

    `quiet` where others had renewed all of them a moment ago.
    """

    renewed: list[Claim]
    lost: list[ClaimId]
    quiet: bool = False


def heartbeat(ctx: Context, *, older: int | None = None, alone: bool = False) -> Beaten:
    """Renew every claim that a checkout of this repository remembers, and those that the ledger says are mine.

    Of other workers only those whose checkout lives: nobody keeps alive what was killed. With `older`, nothing is done
    unless one of them was renewed longer ago than so many seconds, by whomever. A claim that is lost to one of this
    machine's workers doesn't keep the others from being renewed; where the checkout that asks lost its own, that is
    raised as a `StaleError` once the rest is renewed. Raises `InvalidError` where nothing of mine is left, and `alone`,
    where nobody's life stands behind it, also where nobody has given another sign of life for as long as a lease lasts.
    """
    settle(ctx)
    if not alone:
        sign(ctx)
    traces, board = ctx.traces.all(), ctx.ledger.board()
    here = [trace.own for trace in traces if trace.here and not _is_over(board, trace.own)]
    mine = {own.claim: Mine(claim=own.claim, token=own.token) for own in here}
    is_task_tree = ctx.repo.git_dir != ctx.repo.common_dir and any(trace.here for trace in traces)
    if not mine and not is_task_tree:
        mine = _elsewhere(ctx, board, traces)
    if not mine:
        raise _nothing_left(ctx, board, traces)
    if alone:
        _check_alive(ctx, board, traces, mine)
    mine |= {one.claim: one for one in _of_machine(ctx, board, traces)}
    standing = [claim for one in mine.values() if (claim := _current(board, one)) is not None]
    now = ctx.clock.now()
    if (
        older is not None
        and len(standing) == len(mine)
        and all(is_young(one, now, older) for one in standing)
    ):
        return Beaten(standing, [], quiet=True)
    try:
        done, answer = ask(ctx, Renew(claims=tuple(mine.values()), older=older))
    except StaleError as error:
        board = ctx.ledger.board()
        if all(_is_over(board, trace.own) for trace in traces if trace.own.claim in mine):
            raise _nothing_left(ctx, board, traces) from error  # given back while this was under way
        raise
    protect(ctx)
    lost = [ClaimId(name) for name in done.detail.get("lost", ())]
    gone = next((own for own in here if own.claim in lost and not _is_over(answer.board, own)), None)
    if gone is not None:
        raise granted_no_more(answer.board, ctx.me.worker, gone)
    renewed = [answer.board.claim(ClaimId(name)) for name in done.detail.get("renewed", ())]
    return Beaten([claim for claim in renewed if claim is not None], lost, quiet=not done.changed)


def _check_alive(ctx: Context, board: Board, traces: Sequence[Trace], mine: Mapping[ClaimId, Mine]) -> None:
    """Raise `InvalidError` where all of my checkouts have been silent for too long."""
    now = ctx.clock.now()
    signs = {trace.own.claim: trace.sign for trace in traces}
    claims = [claim for one in mine.values() if (claim := _current(board, one)) is not None]
    if claims and not any(is_alive(claim, signs.get(claim.id), now) for claim in claims):
        raise InvalidError(
            "nobody has given a sign of life here for as long as the lease lasts: it isn't renewed any more",
            hint="'git pw heartbeat --every 5m --parent PID' lives with a process that is named",
        )


def _current(board: Board, mine: Mine) -> Claim | None:
    claim = board.claim(mine.claim)
    return claim if claim is not None and claim.token == mine.token else None


def _is_over(board: Board, own: Own) -> bool:
    """Whether a claim has no lease any more by its holder's own doing: given back, or in the merge queue."""
    claim = board.claim(own.claim)
    if claim is not None:
        return claim.queued and claim.token == own.token
    ending = board.ending(own.claim)
    return ending is not None and ending.how in GIVEN_BACK


def _elsewhere(ctx: Context, board: Board, traces: Sequence[Trace]) -> dict[ClaimId, Mine]:
    """My claims, asked for from a checkout that has none."""
    found = {
        trace.own.claim: Mine(claim=trace.own.claim, token=trace.own.token)
        for trace in traces
        if trace.own.worker == ctx.me.worker and not _is_over(board, trace.own)
    }
    if not found:
        for claim in board.claims():
            if claim.worker == ctx.me.worker and claim.place == ctx.me.place and not claim.queued:
                found[claim.id] = Mine(claim=claim.id, token=claim.token)
    return found


def _of_machine(ctx: Context, board: Board, traces: Sequence[Trace]) -> Iterator[Mine]:
    """What lives on this machine, with where its work stands."""
    now = ctx.clock.now()
    for trace in traces:
        claim = _current(board, Mine(claim=trace.own.claim, token=trace.own.token))
        if claim is None or claim.queued:
            continue
        if trace.own.worker == ctx.me.worker or is_alive(claim, trace.sign, now):
            yield known(claim, trace)


def _nothing_left(ctx: Context, board: Board, traces: Sequence[Trace]) -> InvalidError:
    for trace in traces:
        claim = board.claim(trace.own.claim) if trace.here else None
        if claim is not None and claim.queued:
            return InvalidError(
                f"{claim.task} waits in the merge queue: its locks have no end",
                hint="see 'git pw merge list'",
            )
    return InvalidError(f"{ctx.me.worker} holds nothing here", hint="'git pw claim' gets a task")
