"""What a task's work looks like to whoever builds it onto the base branch, and what that gives."""

from __future__ import annotations

from typing import Literal, NamedTuple

from gitpw.domain.ids import TaskId

Strategy = Literal["rebase", "squash", "merge"]

TRAILER = "Pw-Task"
"""The trailer that names the task in the commits that land."""


class Work(NamedTuple):
    """The commits of a task: those that `head` contains, and neither `base` nor what it is built onto."""

    task: TaskId
    title: str
    head: str
    base: str | None
    branch: str | None


class Built(NamedTuple):
    """A task's work on top of something: `commit` is that something itself where there was nothing to add."""

    commit: str
    tree: str
    files: list[str]
    note: str = ""


class Clash(NamedTuple):
    """The files in which a task's work conflicts; `at` is the commit of the task that does."""

    files: list[str]
    at: str


class Conflict(NamedTuple):
    """A file in conflict: as it was, as either side has it (None where it hasn't), and with the marks of the conflict."""

    file: str
    base: str | None
    theirs: str | None
    ours: str | None
    marked: str


class Other(NamedTuple):
    """A commit on the other side of a conflict."""

    commit: str
    subject: str
    author: str
    task: TaskId | None


class Tested(NamedTuple):
    """How a run of the tests ended; `why` in words where it wasn't green."""

    green: bool
    why: str
    seconds: float
    log: str
