"""Who works: people and AI agents, what they can do and how much at once."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field

from gitpw.domain.ids import TaskId, WorkerId
from gitpw.domain.record import Instant, Record
from gitpw.domain.signing import SigningKey


class WorkerType(StrEnum):
    """Who sits at the keyboard."""

    HUMAN = "human"
    AI_AGENT = "ai_agent"


class AgentType(StrEnum):
    """What an AI agent is for."""

    COORDINATOR = "coordinator"
    CODEGEN = "codegen"
    REVIEW = "review"


class WorkerStatus(StrEnum):
    """What a worker is doing."""

    IDLE = "idle"
    WORKING = "working"
    OFFLINE = "offline"


class WorkerMetadata(Record):
    """Where else a worker is known."""

    github_username: str | None = None
    agent_type: AgentType | None = None


class Worker(Record):
    """A registered worker; `current_tasks` are those that take up its room.

    The ledger keeps its key apart: `signing_key` is filled in for whoever is shown a worker.
    """

    id: WorkerId = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")
    type: WorkerType = WorkerType.HUMAN
    name: str = ""
    skills: tuple[str, ...] = ()
    max_concurrent_tasks: int = Field(default=1, ge=1)
    current_tasks: tuple[TaskId, ...] = ()
    status: WorkerStatus = WorkerStatus.IDLE
    last_activity: Instant | None = None
    metadata: WorkerMetadata = WorkerMetadata()
    signing_key: SigningKey | None = Field(default=None, exclude=True)

    def occupied(self, tasks: tuple[TaskId, ...]) -> Worker:
        """The same worker with other tasks in hand."""
        status = WorkerStatus.WORKING if tasks else WorkerStatus.IDLE
        return self.but(current_tasks=tasks, status=status)

    def public(self) -> dict[str, Any]:
        """The record as `--json` shows it."""
        key = {} if self.signing_key is None else {"signingKey": self.signing_key.to_data()}
        return {**self.to_data(), **key}
