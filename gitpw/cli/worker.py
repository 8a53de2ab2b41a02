"""`git pw worker`: register, list, show, unregister."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gitpw.cli.commands import group, option
from gitpw.cli.dashboard import kind
from gitpw.cli.output import left, local
from gitpw.cli.request import a_worker, agent_types, built, one_of, some, worker_types

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
)
@click.argument("name", required=False)
@option("--type", "type_", values=worker_types, metavar="T", help="human or ai_agent.")
@option("--name", "full_name", metavar="TEXT", help="The name that people read.")
@option("--skill", "skills", multiple=True, metavar="S", help="What it can do, all of it; may be repeated.")
@option("--no-skills", is_flag=True, help="Take its skills away.")
@option("--max-tasks", type=int, metavar="N", help="How many tasks at once.  [default: 1]")
@option("--github", metavar="U", help="Its GitHub user.")
@option("--agent-type", values=agent_types, metavar="A", help="coordinator, codegen or review.")
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
) -> None:
    """Introduce a worker, me if no NAME is given, or change what is known of it."""
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
        **fields,
    )
    done = run(context, request)
    session.report({"worker": done}, f"registered {done.id} ({done.type.value})", brief=[done.id])


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
