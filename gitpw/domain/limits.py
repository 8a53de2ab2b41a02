"""How long an agent may work on a task: by its type, as the policy says."""

from __future__ import annotations

from collections.abc import Mapping

from gitpw.domain.ids import duration
from gitpw.domain.policy import Policy
from gitpw.domain.task import Task, TaskType
from gitpw.domain.worker import Worker, WorkerType

DEFAULTS: Mapping[TaskType, int] = {
    TaskType.FIX: 300,
    TaskType.FEAT: 600,
    TaskType.REFACTOR: 900,
    TaskType.TEST: 180,
    TaskType.DOCS: 120,
    TaskType.CHORE: 300,
}
"""Seconds."""


def time_limit(policy: Policy, task: Task, worker: Worker) -> int | None:
    """Seconds of work on a task; None for people."""
    if worker.type is WorkerType.HUMAN:
        return None
    stated = policy.agent.timeout.get(task.type.value)
    return DEFAULTS[task.type] if stated is None else int(duration(stated).total_seconds())
