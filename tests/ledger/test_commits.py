"""Operations as commits: a subject for people, the rest word for word."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pygit2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gitpw.adapters.process import run
from gitpw.domain.board import Board
from gitpw.domain.ids import TaskId, WorkerId
from gitpw.domain.operation import (
    Add,
    Complete,
    Done,
    Edit,
    Lock,
    Mine,
    NewTask,
    Operation,
    Register,
    Release,
    Renew,
    Report,
    Restore,
    Take,
    Unlock,
    Unregister,
)
from gitpw.domain.rulebook import apply
from gitpw.ledger.commits import COUNTER, OPERATION, OUTCOME, message, read, seconds, subject
from gitpw.ledger.local import LocalStore
from tests.domain.state import HOUR, State, locks

if TYPE_CHECKING:
    from pathlib import Path

    from gitpw.domain.operation import Request


def told(state: State, request: Request, worker: str = "ada") -> tuple[str, Operation, Done]:
    """The commit message of a request, which must be granted."""
    operation = state.operation(request, worker)
    board = state.board
    outcome = apply(board, operation)
    assert isinstance(outcome, Done)
    text = message(board, operation, outcome)
    state.apply(operation)
    return text, operation, outcome


ANYTHING = st.text(min_size=1, max_size=300).filter(str.strip)


@given(ANYTHING)
@example("a\nPw-Operation: {}\n\nPw-Outcome: {}")
@example("\u2028Pw-Counter: 7")
@example("\x1b[31m\r\n\u202e")
@example("x" * 500)
def test_round_trip(title: str) -> None:
    """Whatever people write, the operation and its outcome read back word for word."""
    state = State()
    text, operation, outcome = told(state, Add(tasks=(NewTask(title=title[:500], description=title),)))
    entry = read(text)
    assert entry is not None
    assert entry.counter == 2
    assert Operation.from_json(json.dumps(entry.operation).encode()).to_json() == operation.to_json()
    assert dict(entry.outcome) == outcome.to_data()


@given(ANYTHING)
@example("a\nb")
@example("\x1b[2J\u202eabc\u2066\u00a0\u2028")
@example("\u0000\u0085\ufeff")
def test_subjects_are_a_printable_line(title: str) -> None:
    """A subject is one line of at most 120 printable characters, whatever is in a title."""
    state = State()
    text, _, _ = told(state, Add(tasks=(NewTask(title=title),)))
    first = text.split("\n")[0]
    assert first.isprintable()
    assert len(first) <= 120
    assert text.split("\n")[1] == ""


def test_subjects() -> None:
    """People see what happened, to what, and who did it."""
    state = State()
    state.room("ada", 2)
    mine = Mine(claim=state.done(Lock(locks=locks("x"), lease=HOUR), "bob").claim or "", token=3)  # type: ignore[arg-type]
    requests: list[tuple[Request, str, str]] = [
        (Register(id=WorkerId("cy")), "ada", "register cy (ada)"),
        (Unregister(id=WorkerId("cy")), "ada", "unregister cy (ada)"),
        (Add(tasks=(NewTask(title="Fix auth bug"),)), "ada", "add task-001: Fix auth bug (ada)"),
        (Add(tasks=(NewTask(title="b"), NewTask(title="c"))), "bob", "add 2 tasks (bob)"),
        (Edit(task=TaskId("task-001"), priority=1), "ada", "edit task-001: Fix auth bug (ada)"),
        (Take(lease=HOUR), "ada", "claim task-001: Fix auth bug (ada)"),
        (
            Report(task=TaskId("task-001"), percent=40, step="tests"),
            "ada",
            "progress task-001 40 %: tests (ada)",
        ),
        (Lock(locks=locks("src", "lib"), lease=HOUR), "ada", "lock src, lib (ada)"),
        (Renew(claims=(mine,)), "bob", "renew 1 lease (bob)"),
        (Unlock(resources=("src",)), "ada", "unlock src (ada)"),
        (Unlock(resources=("x",), force=True, reason="r"), "ada", "unlock x by force: r (ada)"),
        (Complete(task=TaskId("task-001")), "ada", "complete task-001: Fix auth bug (ada)"),
        (Take(task=TaskId("task-002"), lease=HOUR), "bob", "claim task-002: b (bob)"),
        (Release(task=TaskId("task-002")), "bob", "release task-002: b (bob)"),
        (Restore(reason="r"), "ada", "restore the ledger (ada)"),
    ]
    for request, worker, expected in requests:
        text, _, _ = told(state, request, worker)
        assert text.split("\n")[0] == expected


def test_every_request_has_a_subject() -> None:
    """No operation is without words, whatever its task has become."""
    state = State()
    state.add("t")
    operation = state.operation(Take(lease=HOUR))
    assert subject(Board(state.cells), operation, Done()) == "claim (ada)"


def body(*, operation: str = "{}", outcome: str = "{}", counter: str = "7") -> str:
    """A commit message with these parts."""
    return f"hello\n\n{COUNTER}{counter}\n{OPERATION}{operation}\n{OUTCOME}{outcome}\n"


def test_shortest() -> None:
    """What is needed, and nothing that was checked."""
    entry = read(body())
    assert entry is not None
    assert entry == (7, "hello", {}, {}, "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "hello\n",
        "Merge branch 'main'\n\nSigned-off-by: x\n",
        body(operation=""),
        body(operation="["),
        body(operation="[]"),
        body(operation="7"),
        body(operation="null"),
        body(outcome="[]"),
        body(outcome='"x"'),
        body(outcome="{'a': 1}"),
        body(counter=""),
        body(counter="x"),
        body(counter="1.5"),
        body(counter="-7"),
        body(counter="\u0667"),
        body(counter="1_000"),
        body(counter="9" * 5_000),
        body(operation='{"a":' * 100_000),
        body(operation="[" * 100_000),
        body().replace(OPERATION, "Operation: "),
        body().replace(COUNTER, f" {COUNTER}"),
    ],
)
def test_hostile_messages(text: str) -> None:
    """A message that holds no operation holds none, however it is made."""
    assert read(text) is None


@given(st.text())
@example(body(operation='{"a": NaN}'))
def test_any_message(text: str) -> None:
    """Whatever a commit says, reading it fails in no other way."""
    found = read(text)
    assert found is None or isinstance(found.counter, int)


def test_history_passes_over_foreign_commits(tmp_path: Path) -> None:
    """A commit by another program, in whatever encoding, is left out of the history, and doesn't end it."""
    store = LocalStore(str(tmp_path / "pw"), run)
    text, *_ = told(State(), Add(tasks=(NewTask(title="t"),)))
    first = store.write(None, {}, text, datetime.now(UTC))
    tree = store.repo[first].tree.id  # type: ignore[union-attr]
    raw = (
        f"tree {tree}\nparent {first}\nauthor a <a> 0 +0000\ncommitter a <a> 0 +0000\n\n".encode()
        + b"\xff\xfe\n"
    )
    odd = store.repo.odb.write(pygit2.enums.ObjectType.COMMIT, raw)
    lying = raw.replace(b"\n\n", b"\nencoding no-such\n\n").replace(first.encode(), str(odd).encode())
    odder = store.repo.odb.write(pygit2.enums.ObjectType.COMMIT, lying)
    last = store.write(str(odder), {}, text, datetime.now(UTC))
    assert [entry.counter for entry in store.history(last)] == [2, 2]


def test_seconds() -> None:
    """Git counts seconds, whatever the time zone."""
    assert seconds(datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))) == 0
    assert seconds(datetime(2026, 3, 2, 12, tzinfo=UTC)) == 1_772_452_800
