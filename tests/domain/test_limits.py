"""How long an agent may work on a task."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from gitpw.domain.ids import TaskId, WorkerId
from gitpw.domain.limits import time_limit
from gitpw.domain.policy import Agent, Policy
from gitpw.domain.task import Task, TaskType
from gitpw.domain.worker import Worker, WorkerType
from tests.domain.state import NOON

BOT = Worker(id=WorkerId("bot"), type=WorkerType.AI_AGENT)


def a_task(kind: TaskType) -> Task:
    """A task of some type."""
    return Task(id=TaskId("task-001"), title="t", type=kind, created_at=NOON)


def test_defaults() -> None:
    """By the type of the task."""
    limits = {kind.value: time_limit(Policy(), a_task(kind), BOT) for kind in TaskType}
    assert limits == {"fix": 300, "feat": 600, "refactor": 900, "test": 180, "docs": 120, "chore": 300}


def test_policy() -> None:
    """The policy's word counts."""
    policy = Policy(agent=Agent(timeout={"fix": "90s"}))
    assert time_limit(policy, a_task(TaskType.FIX), BOT) == 90
    assert time_limit(policy, a_task(TaskType.FEAT), BOT) == 600


def test_people_have_none() -> None:
    """Whatever the policy says."""
    assert (
        time_limit(
            Policy(agent=Agent(timeout={"fix": "1s"})), a_task(TaskType.FIX), BOT.but(type=WorkerType.HUMAN)
        )
        is None
    )


def test_only_types_have_limits() -> None:
    """A type that doesn't exist is an error, not silently nothing."""
    with pytest.raises(ValidationError, match="fixx"):
        Agent(timeout={"fixx": "90s"})
