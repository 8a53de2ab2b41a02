"""A task's life as a table, and the names that come of its title."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gitpw.domain.ids import TaskId, numbered_task, task_id, task_number
from gitpw.domain.task import MOVES, Task, TaskMetadata, TaskStatus, TaskType, branch_name, slug
from gitpw.errors import InvalidError
from tests.domain.state import NOON

TEMPLATE = "{type}/{issue}-{id}-{slug}"


def task(title: str = "Fix auth bug", issue: int | None = 456) -> Task:
    """The example of the README."""
    metadata = TaskMetadata(issue_number=issue)
    return Task(id=TaskId("task-001"), type=TaskType.FIX, title=title, created_at=NOON, metadata=metadata)


LIFE = """
    pending      claimed cancelled
    claimed      in_progress pending
    in_progress  completed failed pending
    completed    in_progress pending
    failed       pending cancelled
    cancelled    pending
"""


def test_life() -> None:
    """The table of a task's life is the one of DESIGN 7."""
    rows = [line.split() for line in LIFE.split("\n") if line.strip()]
    assert {state: sorted(after) for state, after in MOVES.items()} == {
        state: sorted(after) for state, *after in rows
    }


def test_every_state_leads_back() -> None:
    """No state is a dead end, and none leads to itself."""
    assert set(MOVES) == set(TaskStatus)
    assert all(after and state not in after for state, after in MOVES.items())


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Fix auth bug", "fix-auth-bug"),
        ("  --rf / ; rm *  ", "rf-rm"),
        ("../../etc/passwd", "etc-passwd"),
        ("refs/heads/x.lock", "refs-heads-x-lock"),
        ("@{-1}~^:?*[\\", "1"),
        ("\u00fcber caf\u00e9", "ber-caf"),
        ("\u4fee\u6b63", ""),
        ("a" * 50, "a" * 40),
        ("word " * 20, "word-word-word-word-word-word-word-word"),
        ("a" * 38 + " bcd", "a" * 38),
    ],
)
def test_slug(title: str, expected: str) -> None:
    """A title becomes a few words in lower case with dashes, cut at a word."""
    assert slug(title) == expected


@given(st.text(max_size=80))
def test_slug_is_safe(title: str) -> None:
    """Whatever the title, the slug is at most 40 of a-z, 0-9 and inner dashes."""
    found = slug(title)
    assert len(found) <= 40
    assert not found or all(part.isascii() and part.isalnum() for part in found.split("-"))


@pytest.mark.parametrize(
    ("template", "title", "issue", "expected"),
    [
        (TEMPLATE, "Fix auth bug", 456, "fix/456-task-001-fix-auth-bug"),
        (TEMPLATE, "Fix auth bug", None, "fix/task-001-fix-auth-bug"),
        (TEMPLATE, "\u4fee\u6b63", None, "fix/task-001"),
        ("{slug}", "\u4fee\u6b63", None, ""),
        ("pw/{id}", "Fix", None, "pw/task-001"),
        ("{slug}/{issue}/{id}", "Fix", None, "fix/task-001"),
        ("{id}", "{type}", 1, "task-001"),
        ("x-{slug}", "{id} {type}", 1, "x-id-type"),
    ],
)
def test_branch_name(template: str, title: str, issue: int | None, expected: str) -> None:
    """The template is filled, and what is empty takes its dash and its slash with it."""
    assert branch_name(template, task(title, issue)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("task-001", "task-001"), ("task-7", "task-007"), ("7", "task-007"), ("1234", "task-1234")],
)
def test_task_id(text: str, expected: str) -> None:
    """A task is named in full or by its number."""
    assert task_id(text) == expected


@pytest.mark.parametrize(
    "text", ["", "task-", "task-x", "-1", "task-1 ", "TASK-1", "1234567890", "../1", "task-1\n"]
)
def test_no_task_id(text: str) -> None:
    """Anything else is refused."""
    with pytest.raises(InvalidError):
        task_id(text)


@given(st.integers(1, 999_999_999))
def test_numbers_of_tasks(number: int) -> None:
    """The number of a task can be read from its id."""
    assert task_number(numbered_task(number)) == number


def test_unknown_fields_are_kept() -> None:
    """A field that a newer version added survives reading, changing and writing."""
    raw = task().to_json()[:-1] + b',"colour":{"r":[1,null]},"metadata":{"files":["a"],"lane":"x"}}'
    changed = Task.from_json(raw).but(title="Other")
    data = Task.from_json(changed.to_json()).to_data()
    assert (data["title"], data["colour"], data["metadata"]["lane"]) == ("Other", {"r": [1, None]}, "x")


@pytest.mark.parametrize(
    "change",
    [
        {"priority": 0},
        {"priority": 6},
        {"priority": "1"},
        {"title": ""},
        {"title": None},
        {"status": "asleep"},
        {"id": "../../etc"},
        {"id": "task-\u0661\u0661\u0661"},
        {"createdAt": "yesterday"},
        {"createdAt": "2026-03-02T12:00:00"},
        {"estimatedDuration": -1},
        {"estimatedDuration": 1.5},
        {"dependencies": "task-001"},
        {"chain": "long"},
    ],
)
def test_bad_records_are_refused(change: dict[str, object]) -> None:
    """A record with a value of the wrong type, or outside its range, isn't read."""
    with pytest.raises(ValidationError):
        Task.model_validate_json(json.dumps(task().to_data() | change))


def test_public_record_has_no_secrets_of_the_ledger() -> None:
    """What `--json` shows are the fields of the contract, and no others."""
    shown = set(task().public())
    assert shown == {
        *(
            "id",
            "type",
            "title",
            "description",
            "priority",
            "dependencies",
            "estimatedDuration",
            "requiredSkills",
        ),
        *(
            "assignedTo",
            "status",
            "metadata",
            "token",
            "createdAt",
            "claimedAt",
            "completedAt",
            "mergedAt",
            "failure",
        ),
    }
