"""Put an entry of the merge queue before all others."""

from __future__ import annotations

from gitpw.domain.ids import TaskId
from gitpw.domain.merge import Merge
from gitpw.domain.operation import First
from gitpw.services.asking import entry_after
from gitpw.services.ports import Context


def put_first(ctx: Context, task: TaskId) -> Merge:
    """Put an entry of the merge queue before all others."""
    return entry_after(ctx, First(task=task), task)
