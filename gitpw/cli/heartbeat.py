"""`git pw heartbeat`: renew my leases, once or as long as my parent lives."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from gitpw.cli.commands import command, option
from gitpw.cli.output import counted, left
from gitpw.cli.request import a_duration
from gitpw.errors import ContendedError, InvalidError, OfflineError, UnknownError

if TYPE_CHECKING:
    from datetime import datetime

    from gitpw.cli.session import Session
    from gitpw.domain.lock import Claim
    from gitpw.services.heartbeat import Beaten

LOOK = 2.0
"""Seconds between two looks at the parent."""


@command("heartbeat", "git pw heartbeat", "git pw heartbeat --every 5m &")
@option(
    "--every",
    metavar="D",
    help="Go on, once in so long, until ^C, the end of my parent or the loss of the claim.",
)
def heartbeat(session: Session, every: str | None) -> None:
    """Renew the leases of my claims.

    Exit status 5 when mine was lost: stop working on it.
    """
    if every is None:
        _answer(session, *_beat(session))
        return
    _beat_on(session, a_duration(every, "--every").total_seconds())


def _beat(session: Session) -> tuple[Beaten, datetime]:
    from gitpw.services.heartbeat import heartbeat as run

    context = session.open(changes=True)
    done = run(context)
    session.notes(f"no longer current: claim {name} of this machine" for name in done.lost)
    return done, context.clock.now()


def _locks(claims: list[Claim]) -> list[dict[str, object]]:
    return [lock for claim in claims for lock in claim.public()]


def _answer(session: Session, done: Beaten, now: datetime) -> None:
    lines = [_told(claim, now) for claim in done.renewed] or ["nothing to renew"]
    session.report({"renewed": _locks(done.renewed), "lost": done.lost}, *lines)


def _told(claim: Claim, now: datetime) -> str:
    name = claim.task or ", ".join(held.resource for held in claim.locks)
    return f"renewed {name}: {left(claim.lease.expires_at, now)}"


def _beat_on(session: Session, pause: float) -> None:
    """Beat until there is nothing left to renew; a remote out of reach is no reason to stop."""
    parent, beats = os.getppid(), 0
    while os.getppid() == parent:
        try:
            done, now = _beat(session)
        except (ContendedError, OfflineError, UnknownError) as error:
            session.note(f"{error.message}; trying again")
        except InvalidError as error:
            if not beats:
                raise
            session.note(error.message)
            break
        else:
            beats += 1
            session.notes(_told(claim, now) for claim in done.renewed)
        _sleep(pause, parent)
    session.report({"beats": beats}, f"renewed {counted(beats, 'time')}")


def _sleep(pause: float, parent: int) -> None:
    """Until the pause is over by the wall clock, which goes on while the machine sleeps, or the parent is gone."""
    end = time.time() + pause
    while (rest := end - time.time()) > 0 and os.getppid() == parent:
        time.sleep(min(rest, LOOK))
