"""Signing: that my key works, and that the ledger is as the rules want it."""

from __future__ import annotations

from collections.abc import Iterator

from gitpw.domain.checkup import Finding, Level
from gitpw.domain.custody import HOW
from gitpw.errors import ConfigError, PwError
from gitpw.services.examine.visit import Visit


def key(visit: Visit) -> Iterator[Finding]:
    """A registered key can sign; where operations are signed there must be one."""
    ctx = visit.ctx
    if not visit.known or ctx.keys is None:
        return
    board = ctx.ledger.board()
    mine = board.signer(ctx.me.worker)
    if mine is None:
        if board.settings.signed and board.worker(ctx.me.worker) is not None:
            message = f"operations are signed here, and {ctx.me.worker} has registered no key"
            yield Finding("signing", Level.ERROR, message, HOW)
        return
    try:
        ctx.keys().sign(mine, b"git-pw doctor\n")
    except PwError as error:
        level = Level.ERROR if board.settings.signed else Level.WARN
        yield Finding("signing", level, error.message, error.hint)
    else:
        since = ctx.ledger.verified_from()
        until = f"; operations are verified from {since} on" if since is not None else ""
        yield Finding("signing", Level.OK, f"the signing key {mine} works{until}")


def wanted(visit: Visit) -> Iterator[Finding]:
    """The rules and the ledger agree about signing."""
    ctx = visit.ctx
    if not visit.known:
        return
    try:
        rules = ctx.rules.policy().policy
    except ConfigError:
        return
    if rules.signed and not ctx.ledger.board().settings.signed:
        message = "the rules ask for signed operations, and the ledger takes unsigned ones"
        yield Finding("signing", Level.WARN, message, "git pw signing on")
