"""Upkeep: health and gc."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitpw.cli.commands import command
from gitpw.cli.output import counted
from gitpw.errors import FailedError

if TYPE_CHECKING:
    from gitpw.cli.session import Session
    from gitpw.domain.ids import TaskId
    from gitpw.services.gc import Collected


@command("health", "git pw health", "git pw health --json || notify-send 'git pw needs a look'")
def health(session: Session) -> None:
    """Exit with 1 when something needs a look.

    For CI and monitors: a worker is lost, a lock is overdue, or a task needs a person. Nothing is changed. A lease that is over by this clock alone is told, and is no problem as
    long as no other clock agrees: that of anybody who wrote since, of the holder's host, or of a remote on the web.
    """
    from gitpw.services.health import health as run

    context = session.open()
    found = run(context)
    session.aged(found.as_of, context)
    session.notes(map(str, found.doubtful))
    data = {
        "problems": found.problems,
        "lost": found.lost,
        "overdue": found.overdue,
        "doubtful": found.doubtful,
        "needsPerson": found.needs_person,
        "asOf": found.as_of,
    }
    if not found.problems:
        session.answer(data, "nothing is overdue for sure" if found.doubtful else "all well")
        return
    if not session.json:
        for one in found.problems:
            session.complain(one)
    problems = counted(len(found.problems), "problem")
    raise FailedError(
        f"{problems} found", hint="see 'git pw status'; 'git pw gc' returns what is overdue", **data
    )


@command("gc", "git pw gc", "git pw gc --dry-run")
def gc(session: Session) -> None:
    """Return what overdue claims hold, and tidy up.

    Their tasks go back to the queue; merged worktrees and old records are pruned. A late run changes nothing: leases
    are judged at each claim.
    """
    from gitpw.services.gc import gc as run

    done = run(session.open(), dry_run=session.dry_run)
    names = ("expired", "claims", "files", "landed", "worktrees", "branches", "suspected", "left", "waits")
    session.report({name: getattr(done, name) for name in names}, *(_told(done) or ["nothing to tidy"]))


def _told(done: Collected) -> list[str]:
    lines = [f"expired {name}: {_then(done, name)}" for name in done.expired]
    lines += [f"  {told}" for told in done.left]
    lines += [f"unlocked {name}" for name in done.files]
    lines += [f"ended the wait of {name}, who gave no sign of life" for name in done.waits]
    lines += [f"landed {name}" for name in done.landed]
    lines += [f"removed worktree {name}" for name in done.worktrees]
    lines += [f"deleted branch {name} of the remote" for name in done.branches]
    return lines + [f"overdue by this clock, to be confirmed: {name}" for name in done.suspected]


def _then(done: Collected, name: TaskId) -> str:
    return (
        "its workers were lost too often: it needs a person"
        if name in done.needs_person
        else "back in the queue"
    )
