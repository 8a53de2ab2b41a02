"""Locks without a task: lock, unlock, and who holds what."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from gitpw.cli.commands import OptionalValue, argument, command, option
from gitpw.cli.output import left, noted
from gitpw.cli.request import lease as a_lease
from gitpw.cli.request import waiting
from gitpw.errors import UsageError

if TYPE_CHECKING:
    from gitpw.cli.session import Session


@command(
    "lock",
    "git pw lock src/auth",
    "git pw lock 'src/**/*.sql' docs/schema.md --lease 2h --reason migration",
    "git pw lock --shared README.md",
    "git pw lock -- -odd-name.txt",
)
@argument("resources", files=True, nargs=-1, required=True, metavar="R...")
@option("--shared", is_flag=True, help="Others may share it.")
@option("--lease", metavar="D", help="How long it stands without a sign of life.  [default: 60m]")
@option(
    "--wait",
    cls=OptionalValue,
    metavar="[D]",
    help="Wait in line, so long at most, while it is held.  [default: 5m]",
)
@option("--reason", metavar="T", help="What for.")
def lock(
    session: Session,
    resources: tuple[str, ...],
    shared: bool,
    lease: str | None,
    wait: str | None,
    reason: str | None,
) -> None:
    """Lock files, folders or globs, all or none.

    No task is needed. Locking again what I hold renews it.
    """
    lease = a_lease(lease)
    context = session.open(changes=True, pushes=True, rehearsed=True)
    from gitpw.services.lock import lock as run

    done = run(
        context, list(resources), shared=shared, lease=lease, wait=waiting(wait, context), reason=reason
    )
    session.notes(done.notes)
    records = done.claim.public()
    mode = "shared" if shared else "exclusive"
    record = next((one for one in records if one["mode"] == mode), records[0])
    rest = left(done.claim.lease.expires_at, context.clock.now())
    lines = [f"locked {name} ({record['mode']}, {rest})" for name in record["lockedFiles"]]
    session.report({"lock": record, **noted(done.notes)}, *lines)


@command(
    "unlock",
    "git pw unlock src/auth",
    "git pw unlock --all",
    "git pw unlock src/auth --force --reason 'holder is on leave'",
)
@argument("resources", files=True, nargs=-1, metavar="[R...]")
@option("--all", "all_", is_flag=True, help="All that I hold without a task.")
@option("--force", is_flag=True, help="Also what is another's, or waits in the merge queue; needs --reason.")
@option("--reason", metavar="T", help="Why; it stands in the log.")
def unlock(session: Session, resources: tuple[str, ...], all_: bool, force: bool, reason: str | None) -> None:
    """Give up locks.

    With --force also those of others; the reason stands in the log.
    """
    if bool(resources) == all_:
        raise UsageError("name what to unlock, or --all", hint="'git pw locks' shows what is locked")
    if force and not (reason or "").strip():
        raise UsageError("--force needs --reason", hint="the holder will want to know why")
    context = session.open(changes=True, pushes=True, rehearsed=True)
    from gitpw.services.unlock import unlock as run

    done = run(context, list(resources), all_=all_, force=force, reason=reason)
    session.notes(done.notes)
    lines = [f"unlocked {name}" for name in done.files] or ["nothing was locked"]
    session.report({"unlocked": done.files, "notes": done.notes}, *lines)


@command("locks", "git pw locks", "git pw locks src/auth package.json", "git pw locks --json")
@argument("resources", files=True, nargs=-1, metavar="[R...]")
def locks(session: Session, resources: tuple[str, ...]) -> None:
    """Show who holds what, and who waits for it.

    With R… only the locks and the waits that stand in their way.
    """
    from gitpw.services.locks import locks as run

    context = session.open()
    found = run(context, list(resources))
    session.aged(found.as_of, context)
    now = context.clock.now()
    rows = [row for record in found.locks for row in _rows(record, now)]
    rows += [row for record in found.waits for row in _waiting(record)]
    head = ("RESOURCE", "MODE", "WORKER", "TASK", "LEASE")
    data = {"locks": found.locks, "waits": found.waits, "asOf": found.as_of}
    session.table(data, head, rows, "no locks")


def _rows(record: dict[str, Any], now: datetime) -> list[tuple[str, ...]]:
    """A lock's rows: one for each resource; a claim without any has none."""
    until = record["expiresAt"]
    rest = "in merge queue" if until is None else left(datetime.fromisoformat(until), now)
    return [
        (name, record["mode"], record["workerId"], record["taskId"] or "-", rest)
        for name in record["lockedFiles"]
    ]


def _waiting(record: dict[str, Any]) -> list[tuple[str, ...]]:
    """The rows of one who waits: one for each file, or for the task where there is none."""
    names = record["files"] or [record["taskId"] or "any task"]
    place = f"number {record['place']} in line"
    return [(name, "waiting", record["workerId"], record["taskId"] or "-", place) for name in names]
