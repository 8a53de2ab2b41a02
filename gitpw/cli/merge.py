"""`git pw merge`: what waits to land."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitpw.cli.commands import group

if TYPE_CHECKING:
    from gitpw.cli.session import Session


@group("merge", "git pw merge list")
def merge() -> None:
    """See the merge queue."""


@merge.command("list", "git pw merge list", "git pw merge list --json")
def list_(session: Session) -> None:
    """List what waits to be merged, next first."""
    from gitpw.services.merges import merges

    found = merges(session.open())
    data = {"merges": [one.public(place) for place, one in enumerate(found, 1)]}
    rows = [
        (str(place), one.task_id, one.worker_id, one.state.value, one.branch_name or "-", one.detail or "-")
        for place, one in enumerate(found, 1)
    ]
    head = ("PLACE", "TASK", "WORKER", "STATE", "BRANCH", "DETAIL")
    session.table(data, head, rows, "nothing waits to be merged")
