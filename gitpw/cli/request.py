"""What people type, as the services want it: task ids, types, durations, requests."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from gitpw.errors import InvalidError, UsageError

if TYPE_CHECKING:
    from datetime import timedelta
    from enum import StrEnum

    from gitpw.cli.session import Session
    from gitpw.domain.ids import TaskId, WorkerId
    from gitpw.services.ports import Context
    from gitpw.services.provision import Confirm

E = TypeVar("E", bound="StrEnum")

STEPS = re.compile(r"(\d{1,6})/(\d{1,6})")


def a_task(text: str) -> TaskId:
    """A task's id; `7` is short for `task-007`."""
    from gitpw.domain.ids import task_id

    return task_id(text)


def maybe_task(text: str | None) -> TaskId | None:
    """A task's id, if one was given."""
    return None if text is None else a_task(text)


def a_worker(text: str) -> WorkerId:
    """A worker's id."""
    from gitpw.domain.ids import worker_id

    return worker_id(text)


def one_of(kind: type[E], text: str | None, name: str) -> E | None:
    """A member of a set, if one was given; raises `InvalidError` with those that there are."""
    if text is None:
        return None
    try:
        return kind(text)
    except ValueError:
        known = ", ".join(member.value for member in kind)
        raise InvalidError(f"{text!r} is no {name}", hint=f"choose one of {known}") from None


def a_duration(text: str, name: str) -> timedelta:
    """A length of time that isn't nothing; raises `UsageError` where it is none, `InvalidError` where it is zero."""
    from gitpw.domain.ids import duration

    length = duration(text)
    if not length:
        raise InvalidError(f"{name} must be longer than nothing", hint="write it as 90s, 5m, 2h or 1d")
    return length


def lease(text: str | None) -> str | None:
    """The lease as typed, once it is known to be one."""
    if text is not None:
        a_duration(text, "--lease")
    return text


def waiting(text: str | None, context: Context) -> str | None:
    """The value of `--wait`, by the policy where it was left out."""
    from gitpw.cli.commands import LEFT_OUT

    if text is None:
        return None
    if text == LEFT_OUT:
        return context.policy.claim.wait
    a_duration(text, "--wait")
    return text


def asking(session: Session) -> Confirm | None:
    """How to ask a person whether set-up commands may run; None where nobody can be asked."""
    if not session.interactive:
        return None

    def ask(commands: Sequence[str]) -> bool:
        session.complain("the base branch names these set-up commands for new worktrees:")
        for command in commands:
            session.complain(f"  {command}")
        return session.confirm("run exactly these, now and for every new worktree here?")

    return ask


def steps(text: str | None) -> tuple[int | None, int | None]:
    """`3/7` as (3, 7)."""
    if text is None:
        return None, None
    found = STEPS.fullmatch(text)
    if found is None:
        raise UsageError(f"{text!r} is no step", hint="write it as 3/7: the third of seven is done")
    done, total = int(found[1]), int(found[2])
    if total < 1 or done > total:
        raise InvalidError(f"--step {text}: there are only {total} steps", hint="write it as 3/7")
    return done, total


def built(kind: type[Any], **fields: object) -> Any:
    """A request without what wasn't said; raises `InvalidError` where a field is out of range."""
    from pydantic import ValidationError

    from gitpw.cli.failure import out_of_range

    try:
        return kind(**{name: value for name, value in fields.items() if value is not None})
    except ValidationError as error:
        raise out_of_range(error) from error


def task_types() -> Iterable[str]:
    """What `--type` of a task may be."""
    from gitpw.domain.task import TaskType

    return TaskType


def task_states() -> Iterable[str]:
    """What `--status` may be."""
    from gitpw.domain.task import TaskStatus

    return TaskStatus


def failure_kinds() -> Iterable[str]:
    """What `--kind` of a failure may be."""
    from gitpw.domain.task import FailureKind

    return FailureKind


def batch_formats() -> Iterable[str]:
    """What `--format` of a file of tasks may be."""
    from gitpw.domain.batch import Format

    return Format


def worker_types() -> Iterable[str]:
    """What `--type` of a worker may be."""
    from gitpw.domain.worker import WorkerType

    return WorkerType


def agent_types() -> Iterable[str]:
    """What `--agent-type` may be."""
    from gitpw.domain.worker import AgentType

    return AgentType


def some(values: Iterable[str]) -> tuple[str, ...] | None:
    """The values of an option that may be repeated; None if it wasn't given."""
    return tuple(values) or None
