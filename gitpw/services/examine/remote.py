"""The remote: reached, with the right to push, and with the right time."""

from __future__ import annotations

from collections.abc import Iterator

from gitpw.domain.checkup import Finding, Greeting, Level
from gitpw.domain.settings import Settings
from gitpw.errors import FailedError, OfflineError, PwError
from gitpw.services.examine.visit import Visit

BRANCH = "refs/heads/pw/locks/main"


def reached(visit: Visit) -> Iterator[Finding]:
    """It answers, without asking for a password."""
    ctx = visit.ctx
    if ctx.far is None:
        message = "there is no remote: the ledger is on this machine alone"
        if ctx.repo.remotes():
            message = f"the ledger is on this machine alone, though there is {', '.join(ctx.repo.remotes())}"
            yield Finding("remote", Level.WARN, message, f"git pw init --remote {ctx.repo.remotes()[0]}")
        else:
            yield Finding("remote", Level.OK, message)
        return
    try:
        greeting = ctx.far.greet(visit.patience)
    except PwError as error:
        visit.offline = True
        code = "credentials" if isinstance(error, FailedError) else "remote"
        hint = error.hint
        if isinstance(error, OfflineError):
            hint = f"git ls-remote {ctx.remote} says more; commits follow the policy for being offline"
        yield Finding(code, Level.ERROR, error.message, hint)
        return
    yield Finding("remote", Level.OK, f"{ctx.remote} answers")
    yield from _ledgers(greeting)
    yield from _time(visit, greeting)


def pushed(visit: Visit) -> Iterator[Finding]:
    """It lets us push: tried with what is there already."""
    ctx = visit.ctx
    if ctx.far is None or visit.offline or not visit.known:
        return
    try:
        ctx.far.rehearse(visit.patience)
    except OfflineError as error:
        visit.offline = True
        yield Finding("remote", Level.ERROR, error.message, error.hint)
    except FailedError as error:
        yield Finding("push", Level.ERROR, error.message, error.hint)
    else:
        yield Finding("push", Level.OK, "it takes pushes")


def _ledgers(greeting: Greeting) -> Iterator[Finding]:
    """Where the ledger is; not in two places."""
    if len(greeting.refs) > 1:
        yield Finding(
            "namespace",
            Level.WARN,
            f"the remote has two ledgers, {' and '.join(sorted(greeting.refs))}: the second counts",
            f"look into the first; if nobody needs it: git push REMOTE :{BRANCH}",
        )
    elif BRANCH in greeting.refs:
        yield Finding("namespace", Level.OK, "the ledger is kept on a branch, as the host refuses refs/pw/*")


def _time(visit: Visit, greeting: Greeting) -> Iterator[Finding]:
    """This clock against the remote's, where that says what time it is."""
    if greeting.clock is None:
        return
    ahead = (visit.ctx.clock.now() - greeting.clock).total_seconds()
    if abs(ahead) > Settings().skew:
        way = "ahead of" if ahead > 0 else "behind"
        yield Finding(
            "clock",
            Level.WARN,
            f"this clock is {abs(ahead) / 60:.0f} minutes {way} that of {visit.ctx.remote}",
            "set it, for instance with 'timedatectl set-ntp true': leases are judged by it",
        )
