"""Commits as events: the quick way and the careful one say the same, and nothing that a commit holds can harm."""

from __future__ import annotations

import json
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gitpw.domain.operation import Request
from gitpw.domain.trail import Event
from gitpw.ledger.commits import COUNTER, OPERATION, OUTCOME, read
from gitpw.ledger.events import decoded, event
from tests.domain.story import story

NAME = "0" * 40
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=8,
)


def message(operation: object, outcome: object, counter: object = 7, subject: str = "claim") -> str:
    """A commit message that anybody may have pushed."""
    return f"{subject}\n\n{COUNTER}{counter}\n{OPERATION}{json.dumps(operation)}\n{OUTCOME}{json.dumps(outcome)}\n"


def test_story_has_every_verb() -> None:
    """The other tests mean all of them, but for those of the waiting queue, of keys, of lost ledgers and of leases about to end."""
    verbs = {kind.model_fields["verb"].default for kind in get_args(Request)}
    assert verbs - {told.verb for told in story()} == {"restore", "wait", "call", "leave", "signing", "warn"}


def test_quickly_as_carefully() -> None:
    """What is cut out of a message is what decoding it gives."""
    cut = 0
    for told in story():
        quick, careful = event(told.text, NAME, 0), decoded(told.text, NAME, 0)
        assert quick is not None
        assert careful is not None
        assert quick._replace(detail="") == careful._replace(detail="")
        assert quick.data == careful.data
        cut += quick.detail != careful.detail
    assert cut > 0  # not all were decoded


def test_events_agree_with_entries() -> None:
    """Counter, subject, author, time and tasks are those of the commit."""
    for told in story():
        found, entry = event(told.text, NAME, 0), read(told.text)
        assert found is not None
        assert entry is not None
        operation = entry.operation
        assert (found.counter, found.subject, found.id) == (entry.counter, entry.subject, operation["id"])
        assert (found.worker, found.verb) == (operation["author"]["worker"], told.verb)
        assert found.public()["at"] == operation["at"]
        assert found.task_ids == entry.outcome["tasks"] or found.task_ids == [operation["request"]["task"]]


def test_details_of_what_was_granted() -> None:
    """Files, token and reason of claims and locks; what was said of progress, failures and edits."""
    found: dict[str, Event] = {}
    for told in story():
        one = event(told.text, NAME, 0)
        assert one is not None
        found.setdefault(told.verb, one)
    assert found["claim"].data == {"files": ["src/a"], "token": 7, "reason": None}
    assert found["lock"].data["reason"] == 'a "note"'
    assert found["progress"].data == {
        "token": 7,
        "step": 'write "tests", \\ and',
        "done": 1,
        "total": 3,
        "eta": 20,
    }
    assert found["fail"].data["reason"] == "no idea"
    assert found["edit"].data["title"] == "Other"
    assert found["return"].known == {"back": {"task-001": "conflict"}}
    assert found["add"].known == {"types": ["fix", "feat"]}


@pytest.mark.parametrize(
    "at",
    [None, 7, "yesterday", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-02-30T00:00:00Z"],
)
def test_absurd_times(at: object) -> None:
    """The commit's own time stands in for what is none; what can't be shown everywhere is brought into bounds."""
    found = event(
        message({"id": "x", "at": at, "author": {"worker": "bob"}, "request": {"verb": "claim"}}, {}),
        NAME,
        60,
    )
    assert found is not None
    assert 0 <= found.at < 253_402_300_799
    assert found.moment.astimezone().year < 10_000


@given(ANYTHING, ANYTHING, st.text())
@example({"author": {}, "request": {"verb": "add", "tasks": [1]}}, {"tasks": "task-001"}, "\x1b]0;x\x07\t")
@example(
    {"author": {"worker": "a\tb\nc"}, "request": {"verb": "land", "back": [[]]}},
    {"detail": {"returned": [1]}},
    "",
)
@example(
    {"author": {}, "request": {"verb": "claim"}},
    {"detail": {"n": float("inf")}, "token": float("nan")},
    "\ud800",
)
@example(
    {"author": {"worker": ["x"]}, "request": {"verb": {}}, "id": 5}, {"tasks": ["../x", "task-1 2", 3]}, "x"
)
def test_anything_is_an_event_or_none(operation: object, outcome: object, subject: str) -> None:
    """Never an exception; what is an event fits on one line of tab-separated fields, and its detail is JSON."""
    found = event(message(operation, outcome, subject=subject), NAME, 0)
    if found is not None:
        assert all("\t" not in str(word) and "\n" not in str(word) for word in found[:10])
        json.dumps(found.public(), allow_nan=False)


@pytest.mark.parametrize(
    "operation",
    [{}, [], {"author": {}, "request": {}}, {"author": {"worker": "bob"}, "request": {"verb": "nap"}}],
)
def test_operations_of_other_versions(operation: object) -> None:
    """What has an author and a request is shown, whatever it is."""
    found = event(message(operation, {}), NAME, 0)
    assert (found is not None) == ("request" in operation if isinstance(operation, dict) else False)


@pytest.mark.parametrize(
    "text",
    ["", "hello", f"x\n\n{COUNTER}1", f"x\n\n{COUNTER}1x\n{OPERATION}{{}}\n{OUTCOME}{{}}", "\n" + "[" * 99],
)
def test_other_commits(text: str) -> None:
    """They are no events."""
    assert event(text, NAME, 0) is None


def test_damaged_details() -> None:
    """A detail that is no JSON is none."""
    assert Event(1, 0, "", "", "", "", "", "", "{").data == {}
    assert Event(1, 0, "", "", "", "", "", "", "[1]").data == {}
