"""Try an entry of the merge queue again as it is."""

from __future__ import annotations

from gitpw.domain.ids import TaskId
from gitpw.domain.merge import Merge
from gitpw.domain.operation import Requeue
from gitpw.services.asking import entry_after
from gitpw.services.ports import Context


def requeue(ctx: Context, task: TaskId) -> Merge:
    """Try an entry of the merge queue again as it is."""
    return entry_after(ctx, Requeue(task=task), task)
