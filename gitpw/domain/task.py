"""A piece of work and its life, as one table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import Field

from gitpw.domain.ids import ClaimId, TaskId, WorkerId
from gitpw.domain.record import Instant, Record

LONGEST_BRANCH = 200
"""Characters: what file systems and hosts take."""

URGENT = 2
"""Priorities up to this one say that something is urgent: then so is what it waits for."""

UNESTIMATED = 30
"""Minutes that a task without an estimate counts for."""


class TaskType(StrEnum):
    """What kind of change a task is; the first word of its branch."""

    FIX = "fix"
    FEAT = "feat"
    REFACTOR = "refactor"
    TEST = "test"
    DOCS = "docs"
    CHORE = "chore"


class TaskStatus(StrEnum):
    """Where a task stands in its life."""

    PENDING = "pending"
    CLAIMED = "claimed"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


MOVES: Mapping[TaskStatus, frozenset[TaskStatus]] = {
    TaskStatus.PENDING: frozenset({TaskStatus.CLAIMED, TaskStatus.CANCELLED}),
    TaskStatus.CLAIMED: frozenset({TaskStatus.IN_PROGRESS, TaskStatus.PENDING}),
    TaskStatus.IN_PROGRESS: frozenset({TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.PENDING}),
    TaskStatus.COMPLETED: frozenset({TaskStatus.IN_PROGRESS, TaskStatus.PENDING}),
    TaskStatus.FAILED: frozenset({TaskStatus.PENDING, TaskStatus.CANCELLED}),
    TaskStatus.CANCELLED: frozenset({TaskStatus.PENDING}),
}


class TaskMetadata(Record):
    """What ties a task to the repository and its host."""

    issue_number: int | None = Field(default=None, ge=1)
    branch_name: str | None = None
    files: tuple[str, ...] = ()


class FailureKind(StrEnum):
    """Why a task failed, for programs; all but the last may go better another time."""

    TIMEOUT = "timeout"
    FILE_CONFLICT = "file-conflict"
    TEST_FAILURE = "test-failure"
    MERGE_CONFLICT = "merge-conflict"
    LOST_WORKER = "lost-worker"
    AGENT_ERROR = "agent-error"
    OTHER = "other"


class Reservation(Record):
    """Since which operation, and since when by its clock, the files of a task are kept for it: see `aging`."""

    since: int
    at: Instant


COMMIT = r"^[0-9a-f]{40,64}$"
"""The name of a commit, and no option or expression of git."""


class Left(Record):
    """What a worker has left of a task: its branch, and the last commit that is known of it.

    `pushed` is the commit that is known to be on the remote, `host` where it was worked on, `how` the claim ended.
    """

    worker: WorkerId
    branch: str
    head: str | None = Field(default=None, pattern=COMMIT)
    pushed: str | None = Field(default=None, pattern=COMMIT)
    host: str
    how: str
    at: Instant


MOST_LEFT = 8
"""Workers whose work on a task is remembered."""

INTERNAL = frozenset(
    {
        "attempts", "base", "chain", "claim", "failure_kind", "found_by", "head", "key", "landed", "left", "parent",
        "parked", "passed", "related", "reserved", "retry_at", "turn", "urgent",
    }
)  # fmt: skip


class Task(Record):
    """A task; `estimated_duration` is in minutes, `failure` says in words why it failed.

    The fields from `claim` on are the ledger's own: the claim that holds it, the commits at which its branch began,
    was handed in and landed, the minutes of work that hang on it, its place in the queue of open tasks, the file it
    stands aside for, the importer's key; how often it was passed over, and what is kept for it since when; the task
    that it is a part of, those that it has to do with, the one during which it was found; how often it has failed
    since a person last looked, as what, and when it is tried again; the priority of what waits for it, where that is
    urgent and more so than its own; what earlier workers left of it, newest last.
    """

    id: TaskId = Field(pattern=r"^task-[0-9]{3,9}$")
    type: TaskType = TaskType.FEAT
    title: str = Field(min_length=1, max_length=500)
    description: str = Field(default="", max_length=100_000)
    priority: int = Field(default=3, ge=1, le=5)
    dependencies: tuple[TaskId, ...] = ()
    estimated_duration: int | None = Field(default=None, ge=0, le=1_000_000)
    required_skills: tuple[str, ...] = ()
    assigned_to: WorkerId | None = None
    status: TaskStatus = TaskStatus.PENDING
    metadata: TaskMetadata = TaskMetadata()
    token: int | None = None
    created_at: Instant
    claimed_at: Instant | None = None
    completed_at: Instant | None = None
    merged_at: Instant | None = None
    failure: str | None = None
    claim: ClaimId | None = None
    base: str | None = None
    head: str | None = None
    landed: str | None = None
    chain: int = 0
    turn: str | None = None
    parked: str | None = None
    key: str | None = None
    passed: int = 0
    reserved: Reservation | None = None
    parent: TaskId | None = None
    related: tuple[TaskId, ...] = ()
    found_by: TaskId | None = None
    attempts: int = 0
    failure_kind: FailureKind | None = None
    retry_at: Instant | None = None
    urgent: int | None = Field(default=None, ge=1, le=URGENT)
    left: tuple[Left, ...] = ()

    @property
    def urgency(self) -> int:
        """The priority by which its turn comes: its own, or that of an urgent task that waits for it."""
        return self.priority if self.urgent is None else min(self.priority, self.urgent)

    @property
    def minutes(self) -> int:
        """The estimate, or what stands in for one."""
        return UNESTIMATED if self.estimated_duration is None else self.estimated_duration

    @property
    def files(self) -> tuple[str, ...]:
        """The resources that the task needs, in canonical form."""
        return self.metadata.files

    @property
    def is_open(self) -> bool:
        """Whether it is still to be done, or being done."""
        return self.merged_at is None and self.status is not TaskStatus.CANCELLED

    @property
    def needs_person(self) -> bool:
        """Whether it has failed and isn't tried again by itself."""
        return self.status is TaskStatus.FAILED and self.retry_at is None

    @property
    def is_dead_end(self) -> bool:
        """Whether what waits for it waits in vain unless somebody does something."""
        return self.status is TaskStatus.CANCELLED or self.needs_person

    def public(self) -> dict[str, Any]:
        """The record as `--json` shows it."""
        return self.model_dump(mode="json", by_alias=True, exclude=set(INTERNAL))


def commit_name(text: str | None) -> str | None:
    """A text that names a commit, else nothing."""
    return text if text is not None and re.fullmatch(COMMIT, text) else None


def slug(title: str, limit: int = 40) -> str:
    """The title in lower case with dashes, cut at a word: safe in a branch name."""
    words = re.findall(r"[a-z0-9]+", title.lower())
    text = ""
    for word in words:
        if text and len(text) + 1 + len(word) > limit:
            break
        text = f"{text}-{word}" if text else word[:limit]
    return text


_NEVER = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")


def is_branch(name: str) -> bool:
    """Whether git takes it for the name of a branch (`git check-ref-format --branch`)."""
    parts = name.split("/")
    plain = not _NEVER.search(name) and all(part and not part.startswith(".") for part in parts)
    ends = any(part.endswith((".", ".lock")) for part in parts)
    return (
        plain
        and not ends
        and not name.startswith("-")
        and name not in {"@", "HEAD"}
        and len(name) <= LONGEST_BRANCH
    )


def branch_name(template: str, task: Task) -> str:
    """Fill `{type}/{issue}-{id}-{slug}`; what is empty takes its dash with it."""
    issue = task.metadata.issue_number
    text = (
        template.replace("{type}", task.type.value)
        .replace("{issue}", "" if issue is None else str(issue))
        .replace("{id}", task.id)
        .replace("{slug}", slug(task.title))
    )
    parts = [re.sub(r"-{2,}", "-", part).strip("-.") for part in text.split("/")]
    return "/".join(part for part in parts if part)
