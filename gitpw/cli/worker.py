"""`git pw worker`: register, list, show, unregister."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gitpw.cli.commands import group, option
from gitpw.cli.dashboard import kind
from gitpw.cli.output import left, local
from gitpw.cli.request import a_worker, agent_types, built, one_of, some, worker_types
from gitpw.errors import UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from gitpw.cli.session import Session
    from gitpw.domain.lock import Claim
    from gitpw.services.workers import Shown


@group(
    "worker",
    "git pw worker list",
    "git pw worker register bob --type ai_agent --agent-type codegen --skill python",
)
def worker() -> None:
    """Register, list and show workers."""


@worker.command(
    "register",
    "git pw worker register",
    "git pw worker register bob --type ai_agent --agent-type codegen --max-tasks 2",
    "git pw worker register alice --skill react --skill sql --github alice-gh",
    "git pw worker register --signing-key ~/.ssh/id_ed25519.pub",
)
@click.argument("name", required=False)
@option("--type", "type_", values=worker_types, metavar="T", help="human or ai_agent.")
@option("--name", "full_name", metavar="TEXT", help="The name that people read.")
@option("--skill", "skills", multiple=True, metavar="S", help="What it can do, all of it; may be repeated.")
@option("--no-skills", is_flag=True, help="Take its skills away.")
@option("--max-tasks", type=int, metavar="N", help="How many tasks at once.  [default: 1]")
@option("--github", metavar="U", help="Its GitHub user.")
@option("--agent-type", values=agent_types, metavar="A", help="coordinator, codegen or review.")
@option(
    "--signing-key",
    files=True,
    metavar="FILE|KEY|FINGERPRINT",
    help="The ssh or gpg key that signs its operations; 'git' for the one that git signs with.",
)
@option("--force", is_flag=True, help="Replace another worker's key, which is lost.")
@option("--reason", metavar="TEXT", help="Why; needed with --force.")
def register(
    session: Session,
    *,
    name: str | None,
    type_: str | None,
    full_name: str | None,
    skills: tuple[str, ...],
    no_skills: bool,
    max_tasks: int | None,
    github: str | None,
    agent_type: str | None,
    signing_key: str | None,
    force: bool,
    reason: str | None,
) -> None:
    """Introduce a worker, me if no NAME is given, or change what is known of it.

    A registered signing key is its worker's own: only the old one can sign for a new one. Where it is lost, an
    administrator replaces it with --force --reason. See docs/identity.md.
    """
    from gitpw.domain.operation import Register
    from gitpw.domain.worker import AgentType, WorkerType
    from gitpw.services.workers import register as run

    fields = {
        "type": one_of(WorkerType, type_, "type of worker"),
        "agent_type": one_of(AgentType, agent_type, "type of agent"),
    }
    given = None if name is None else a_worker(name)
    context = session.open(changes=True, rehearsed=True)
    request = built(
        Register,
        id=given or context.me.worker,
        name=full_name,
        skills=() if no_skills and not skills else some(skills),
        max_concurrent_tasks=max_tasks,
        github_username=github,
        force=force,
        reason=reason,
        **fields,
    )
    _check_force(signing_key, reason, force=force)
    done = run(context, request, _as_typed(session, signing_key))
    lines = [f"registered {done.id} ({done.type.value})"]
    lines += [f"its operations are signed by {done.signing_key}"] if signing_key is not None else []
    session.report({"worker": done}, *lines, brief=[done.id])


def _check_force(signing_key: str | None, reason: str | None, *, force: bool) -> None:
    if force and (signing_key is None or not reason):
        raise UsageError("--force needs --signing-key and --reason", hint="git pw worker register -h")


def _as_typed(session: Session, signing_key: str | None) -> str | None:
    """What was given, as a path where it is one from the folder that is meant by -C."""
    import os.path

    placed = None if signing_key is None else session.placed(signing_key)
    return placed if placed is not None and os.path.isfile(placed) else signing_key  # noqa: PTH113 - as typed


@worker.command("list", "git pw worker list", "git pw worker list --json")
def list_(session: Session) -> None:
    """List the workers."""
    from gitpw.services.workers import list_workers

    found = list_workers(session.open())
    rows = [
        (
            one.id,
            kind(one),
            one.status.value,
            f"{len(one.current_tasks)} of {one.max_concurrent_tasks}",
            ", ".join(one.current_tasks) or "-",
            ", ".join(one.skills) or "-",
        )
        for one in found
    ]
    session.table(
        {"workers": found}, ("WORKER", "TYPE", "STATUS", "ROOM", "TASKS", "SKILLS"), rows, "no workers"
    )


@worker.command("show", "git pw worker show bob")
@click.argument("name", metavar="ID")
def show(session: Session, name: str) -> None:
    """Show all that is known of a worker."""
    from gitpw.services.workers import show_worker

    context = session.open()
    found = show_worker(context, a_worker(name))
    locks = [lock for claim in found.claims for lock in claim.public()]
    session.answer({"worker": found.worker, "locks": locks}, *_told(found, context.clock.now()))


def _told(found: Shown, now: datetime) -> list[str]:
    one = found.worker
    leases = [f"{_held(claim)} {left(claim.lease.expires_at, now)}" for claim in found.claims]
    facts = {
        "name": one.name,
        "type": kind(one),
        "status": one.status.value,
        "tasks": ", ".join(one.current_tasks),
        "leases": ", ".join(leases),
        "room for": str(one.max_concurrent_tasks),
        "skills": ", ".join(one.skills),
        "github": one.metadata.github_username,
        "signs with": one.signing_key and str(one.signing_key),
        "last seen": one.last_activity and local(one.last_activity),
    }
    return [one.id, *(f"  {name:<10} {value}" for name, value in facts.items() if value)]


def _held(claim: Claim) -> str:
    return claim.task or ", ".join(held.resource for held in claim.locks)


@worker.command("unregister", "git pw worker unregister bob")
@click.argument("name", metavar="ID")
def unregister(session: Session, name: str) -> None:
    """Take a worker off the list; one that holds something is refused."""
    from gitpw.services.workers import unregister as run

    given = a_worker(name)
    run(session.open(changes=True, rehearsed=True), given)
    session.report({"worker": given}, f"unregistered {given}")
