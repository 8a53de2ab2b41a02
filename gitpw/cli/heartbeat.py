"""`git pw heartbeat`: renew my leases, once or as long as my session lasts."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from gitpw.cli.commands import command, option
from gitpw.cli.output import left
from gitpw.cli.request import a_duration
from gitpw.errors import ContendedError, InvalidError, OfflineError, UnknownError

if TYPE_CHECKING:
    from datetime import datetime

    from gitpw.cli.session import Session
    from gitpw.domain.lock import Claim
    from gitpw.services.heartbeat import Beaten
    from gitpw.services.ports import Context

SHARE = 0.9
"""The part of the pause within which another's renewal will do: of several on a machine, one pushes."""

A_MOMENT = 5
"""Seconds: of several that are started together, one pushes."""


@command(
    "heartbeat",
    "git pw heartbeat",
    "git pw heartbeat --every 5m &",
    'git pw heartbeat --every 5m --parent "$PPID" &',
)
@option(
    "--every",
    metavar="D",
    help="Go on, once in so long, until ^C or the end of my session, my worktree or my claim.",
)
@option(
    "--parent",
    type=int,
    metavar="PID",
    help="The process that I end with; 0 for none.  [default: whoever started me, or the agent's session]",
)
def heartbeat(session: Session, every: str | None, parent: int | None) -> None:
    """Renew the leases of my claims.

    In one push with those of all others who live on this machine. Exit status 5 when mine was lost: stop working on
    it.
    """
    if every is None:
        _answer(session, *_beat(session))
        return
    pause = a_duration(every, "--every").total_seconds()
    watched = _watched(parent)
    if parent is None and not watched[0]:
        session.note(
            "whoever started it has gone: it ends when nobody gives a sign of life here for as long as a lease lasts "
            "(see --parent)"
        )
    context = session.open(changes=True)
    try:
        done = _renewed(session, context, min(int(pause * SHARE), A_MOMENT))
    except (ContendedError, OfflineError, UnknownError) as error:
        session.note(f"{error.message}; trying again")
        _go_on(session, context, pause, 0, watched, alone=parent is None)
    session.notes(_told(claim, context.clock.now()) for claim in done.renewed)
    _go_on(session, context, pause, 1, watched, alone=parent is None)


def _watched(parent: int | None) -> tuple[int, str]:
    """The process whose end is to be the end; raises `InvalidError` for one that isn't there."""
    from gitpw.adapters.identity import guardian
    from gitpw.cli.pulse import fields, is_running

    if parent is None:
        return guardian(os.environ)
    if parent < 0 or (parent and not is_running(parent, "")):
        raise InvalidError(f"there is no process {parent}", hint="--parent takes the id of one that runs")
    return parent, (fields(parent)[19:20] or [""])[0]


def _go_on(
    session: Session, context: Context, pause: float, beats: int, watched: tuple[int, str], *, alone: bool
) -> NoReturn:
    """Become the small process that waits for the next beat; `alone` if it is no sign of life without a parent."""
    from gitpw.cli import pulse

    repo, me = context.repo, context.me
    place = os.path.abspath(repo.root or repo.common_dir)  # noqa: PTH100 - links stay as they are
    python = sys.executable
    older = max(int(pause * SHARE), 1)
    how = ["--json"] if session.json else []
    words = [*how, "-C", place, "--as", me.worker, "hook", "beat", str(older)]
    words += ["--alone"] if alone and not watched[0] else []
    flags = f"{'j' if session.json else ''}{'q' if session.quiet else ''}-"
    beat = [python, "-P", "-m", "gitpw", *words]
    process, started = watched
    about = [str(pause), str(beats), str(process), started, os.path.abspath(repo.git_dir), flags]  # noqa: PTH100
    session.flush()
    os.execv(python, [python, "-I", "-S", str(Path(pulse.__file__)), *about, *beat])  # noqa: S606 - no shell is wanted


def beat(session: Session, older: int, *, alone: bool) -> None:
    """One beat of those that `--every` makes; `alone` where nobody's life stands behind it."""
    context = session.open(changes=True)
    session.context = None  # whoever made the beat is told of nothing but this
    done = _renewed(session, context, older, alone=alone)
    if not done.quiet:
        session.notes(_told(claim, context.clock.now()) for claim in done.renewed)
    session.answer({"renewed": _locks(done.renewed), "quiet": done.quiet})


def _beat(session: Session) -> tuple[Beaten, datetime]:
    context = session.open(changes=True)
    done = _renewed(session, context, None)
    return done, context.clock.now()


def _renewed(session: Session, context: Context, older: int | None, *, alone: bool = False) -> Beaten:
    from gitpw.services.heartbeat import heartbeat as run

    done = run(context, older=older, alone=alone)
    session.notes(f"no longer current: claim {name} of this machine" for name in done.lost)
    return done


def _locks(claims: list[Claim]) -> list[dict[str, object]]:
    return [lock for claim in claims for lock in claim.public()]


def _answer(session: Session, done: Beaten, now: datetime) -> None:
    lines = [_told(claim, now) for claim in done.renewed] or ["nothing to renew"]
    session.report({"renewed": _locks(done.renewed), "lost": done.lost}, *lines)


def _told(claim: Claim, now: datetime) -> str:
    name = claim.task or ", ".join(held.resource for held in claim.locks)
    return f"renewed {name}: {left(claim.lease.expires_at, now)}"
