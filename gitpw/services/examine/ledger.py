"""The ledger: that it is there, whole and not older than what this clone has seen."""

from __future__ import annotations

from collections.abc import Iterator

from gitpw.domain.board import Board
from gitpw.domain.checkup import Finding, Level
from gitpw.domain.ids import isoformat
from gitpw.errors import ConfigError, OfflineError, PwError
from gitpw.services.asking import settle
from gitpw.services.examine.visit import Visit
from gitpw.services.gc import gc


def store(visit: Visit) -> Iterator[Finding]:
    """The private repository can be opened."""
    error = visit.ctx.faults.get("store")
    if error is None:
        return
    aside = visit.ctx.files.renew_store() if visit.fix else None
    if aside is not None:
        message = f"{error.message}: moved to {aside}, and made anew from the remote"
        yield Finding("store", Level.ERROR, message, fixed=True)
    else:
        hint = (
            error.hint
            if visit.fix
            else "'git pw doctor --fix' moves it away and makes it anew from the remote"
        )
        yield Finding("store", Level.ERROR, error.message, hint if visit.ctx.far else error.hint)
        visit.offline = True  # all else would be said of a store that can't be read


def state(visit: Visit) -> Iterator[Finding]:
    """It is what this clone knows, or goes on from there."""
    ctx = visit.ctx
    if visit.offline:
        return
    try:
        board = ctx.ledger.fresh(visit.patience)
    except OfflineError as error:
        visit.offline = True
        yield Finding("remote", Level.ERROR, error.message, error.hint)
    except ConfigError as error:
        yield from _mended(visit, error)
    except PwError as error:
        yield Finding("ledger", Level.ERROR, error.message, error.hint)
    else:
        yield from _sound(visit, board)


def records(visit: Visit) -> Iterator[Finding]:
    """Every record is read once: what can't be is named."""
    if not visit.known:
        return
    for line in visit.ctx.ledger.board().broken():
        hint = "'git log refs/pw/tip' in .git/pw/store.git shows who wrote it"
        yield Finding("record", Level.ERROR, line, hint)


def claims(visit: Visit) -> Iterator[Finding]:
    """Nothing of mine is half done, and nothing is overdue."""
    ctx = visit.ctx
    if not visit.sound:
        return
    try:
        for left in settle(ctx):
            if left.outcome is not None:
                message = "a claim of yours was interrupted half way"
                yield Finding("claims", Level.WARN, message, "git pw claim")
        board = ctx.ledger.board()
        done = gc(ctx, dry_run=not visit.fix)
    except PwError as error:
        yield Finding("claims", Level.WARN, error.message, error.hint)
        return
    for claim in filter(None, map(board.claim, done.claims)):
        name = claim.task or ", ".join(held.resource for held in claim.locks)
        message = f"the claim of {name} by {claim.worker} is overdue"
        yield Finding("claims", Level.WARN, message, "git pw gc", fixed=visit.fix)
    for name in done.landed:
        message = f"{name} is on the base branch already, and not recorded as merged"
        yield Finding("claims", Level.WARN, message, "git pw gc", fixed=visit.fix)
    for path in done.worktrees:
        message = f"the worktree {path} is no longer needed"
        yield Finding("worktrees", Level.WARN, message, "git pw gc", fixed=visit.fix)


def journal(visit: Visit) -> Iterator[Finding]:
    """Nothing is open of which nobody knows whether it was applied."""
    for left in visit.ctx.ledger.journal.left():
        known = visit.known and visit.ctx.ledger.board().outcome(left.operation.id, left.counter)
        if not known:
            verb, at = left.operation.request.verb, isoformat(left.operation.at)
            message = f"nobody knows yet whether the '{verb}' of {at} was applied"
            hint = "once the ledger has moved on, any command that reaches the remote finds out"
            yield Finding("journal", Level.WARN, message, hint)


def _sound(visit: Visit, board: Board) -> Iterator[Finding]:
    where = visit.ctx.remote or "this machine"
    if not board.begun:
        yield Finding("ledger", Level.ERROR, f"{where} has no ledger", "git pw init")
        return
    visit.sound = True
    message = f"ledger {board.meta.ledger} on {where}, {board.counter} operations"
    yield Finding("ledger", Level.OK, message)
    now = visit.ctx.clock.now()
    for host, clock in board.meta.hosts.items():
        ahead = (clock.at - now).total_seconds()
        if ahead > board.settings.skew:
            yield Finding(
                "clock",
                Level.WARN,
                f"{host} wrote at {isoformat(clock.at)}, {ahead / 60:.0f} minutes ahead of this clock",
                "one of the two clocks is wrong: leases end late or early until it is set",
            )


def _mended(visit: Visit, error: ConfigError) -> Iterator[Finding]:
    """Put a ledger right that vanished, went backwards, or was restored by somebody who knew less."""
    ctx, broken = visit.ctx, error.data.get("ledger")
    if not visit.fix:
        yield Finding("ledger", Level.ERROR, error.message, _way_out(error))
    elif broken == "restored":
        missing = ctx.ledger.adopt()
        yield Finding("ledger", Level.WARN, f"{error.message}: going on with it", fixed=True)
        for line in missing:
            hint = "do it again if it still matters"
            yield Finding("ledger", Level.WARN, f"gone with the old ledger: {line}", hint)
    elif broken == "forged" and ctx.ledger.known():
        where = ctx.ledger.put_back()
        message = f"{error.message}: the last verified state is back, the other one is kept as refs/pw/forged/{where[:10]}…"
        yield Finding("ledger", Level.WARN, message, "find out who could push that", fixed=True)
    elif broken in {"vanished", "rewound", "broken"} and ctx.ledger.known():
        counter = ctx.ledger.restore(ctx.me, error.message).board.counter
        yield Finding("ledger", Level.WARN, f"{error.message}: restored, now at {counter}", fixed=True)
    else:
        yield Finding("ledger", Level.ERROR, error.message, _way_out(error))


def _way_out(error: ConfigError) -> str | None:
    """What to do about a ledger that can't be read: never "see the doctor", who says this."""
    if error.data.get("ledger") == "broken":
        return "'git pw doctor --fix' puts back the last state that this clone knew"
    return None if error.hint and "doctor'" in error.hint else error.hint
