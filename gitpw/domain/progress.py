"""How far a task has come."""

from __future__ import annotations

from pydantic import Field

from gitpw.domain.ids import TaskId, WorkerId
from gitpw.domain.record import Instant, Record


class Progress(Record):
    """What the worker last said; `estimated_time_remaining` is in minutes."""

    task_id: TaskId
    worker_id: WorkerId
    current_step: str = ""
    steps_completed: int = Field(default=0, ge=0)
    total_steps: int = Field(default=0, ge=0)
    percent_complete: int = Field(default=0, ge=0, le=100)
    estimated_time_remaining: int | None = Field(default=None, ge=0)
    last_updated: Instant
