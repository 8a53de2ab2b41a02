"""What this machine has asked and not yet seen through: found again after any crash, and by one process at a time."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from gitpw.ledger import journal as module
from gitpw.ledger.journal import Journal
from tests.domain.state import State
from tests.ledger.clients import SPAWN, new_task

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event
    from pathlib import Path

    from gitpw.domain.operation import Operation


def operation(state: State | None = None) -> Operation:
    """Any operation."""
    return (state or State()).operation(new_task("Fix \u201cauth\u201d bug\n"))


def names(folder: Path) -> list[str]:
    """What is in the folder."""
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_nothing_before_the_first_operation(tmp_path: Path) -> None:
    """Looking for what was left makes nothing."""
    assert list(Journal(tmp_path / "journal").left()) == []
    assert names(tmp_path) == []


def test_left_by_a_crash(tmp_path: Path) -> None:
    """What was noted and not closed is found by the next process, word for word."""
    noted = operation()
    first = Journal(tmp_path)
    first.note(noted)
    first.leave(noted.id)
    (left,) = Journal(tmp_path).left()
    assert left.operation.to_json() == noted.to_json()
    assert (left.counter, left.path) == (noted.seen, tmp_path / f"{noted.id}.json")


def test_closed(tmp_path: Path) -> None:
    """What was seen through is gone, and closing it once more is nothing."""
    journal, noted = Journal(tmp_path), operation()
    journal.note(noted)
    journal.close(noted.id)
    journal.close(noted.id)
    assert names(tmp_path) == []


def test_noted_again(tmp_path: Path) -> None:
    """What is tried on another state is noted with that state."""
    state = State()
    journal, noted = Journal(tmp_path), operation(state)
    for seen in (98, 99, 100, 7):
        journal.note(noted.but(seen=seen))
    journal.leave(noted.id)
    (left,) = Journal(tmp_path).left()
    assert (left.counter, left.operation.seen) == (7, 7)


def test_own_operations_are_not_left(tmp_path: Path) -> None:
    """What this process works on is not left, for it or for any other."""
    journal, noted = Journal(tmp_path), operation()
    journal.note(noted)
    assert list(journal.left()) == []
    assert list(Journal(tmp_path).left()) == []
    journal.leave(noted.id)
    assert [left.operation.id for left in journal.left()] == [noted.id]


def test_one_looks_at_a_time(tmp_path: Path) -> None:
    """While one process looks at what was left, no other does."""
    journal, noted = Journal(tmp_path), operation()
    journal.note(noted)
    journal.leave(noted.id)
    for _ in Journal(tmp_path).left():
        assert list(Journal(tmp_path).left()) == []
    assert len(list(Journal(tmp_path).left())) == 1


def test_several_in_a_row(tmp_path: Path) -> None:
    """All that were left are found, and one that vanishes while the others are looked at is passed over."""
    state, journal = State(), Journal(tmp_path)
    noted = [operation(state) for _ in range(3)]
    for one in noted:
        journal.note(one)
        journal.leave(one.id)
    found = Journal(tmp_path).left()
    first = next(found)
    gone = next(one.id for one in noted if one.id != first.operation.id)
    (tmp_path / f"{gone}.json").unlink()
    assert {first.operation.id, gone, *(left.operation.id for left in found)} == {one.id for one in noted}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"\x00" * 40,
        b"[]",
        b"null",
        b"{}",
        b"\xff",
        b'{"operation": {}, "counter": 1}',
        b'{"operation": {}}',
        b'{"counter": 1}',
        b'{"operation": "x", "counter": 1}',
    ],
)
def test_half_written(tmp_path: Path, raw: bytes) -> None:
    """What can't be read was never tried, and goes; what stands beside it is found."""
    journal, noted = Journal(tmp_path), operation()
    journal.note(noted)
    journal.leave(noted.id)
    (tmp_path / f"{'0' * 32}.json").write_bytes(raw)
    assert [left.operation.id for left in Journal(tmp_path).left()] == [noted.id]
    assert names(tmp_path) == [f"{noted.id}.json"]


@pytest.mark.parametrize("counter", ["x", None, [], {}])
def test_counter_of_a_wrong_type(tmp_path: Path, counter: object) -> None:
    """A counter that is none makes the whole note worthless, and no error."""
    noted = operation()
    (tmp_path / f"{noted.id}.json").write_text(json.dumps({"operation": noted.to_data(), "counter": counter}))
    assert list(Journal(tmp_path).left()) == []


def test_other_files_stay(tmp_path: Path) -> None:
    """What isn't a note is left alone."""
    (tmp_path / "README").write_text("mine")
    assert list(Journal(tmp_path).left()) == []
    assert names(tmp_path) == ["README"]


def test_cannot_be_written(tmp_path: Path) -> None:
    """Where nothing can be noted, nothing is tried: the error comes out."""
    (tmp_path / "journal").write_text("a file")
    with pytest.raises(OSError, match="journal"):
        Journal(tmp_path / "journal").note(operation())


def notes_and_dies(folder: Path, ready: Event) -> None:
    """Note an operation and wait to be killed."""
    Journal(folder).note(operation())
    ready.set()
    signal.pause()


@pytest.mark.fault
def test_killed(tmp_path: Path) -> None:
    """A note is held as long as its process lives, and is left the moment it is killed."""
    ready = SPAWN.Event()
    process = SPAWN.Process(target=notes_and_dies, args=(tmp_path, ready), daemon=True)
    process.start()
    assert ready.wait(30)
    assert list(Journal(tmp_path).left()) == []
    process.kill()
    process.join(10)
    assert len(list(Journal(tmp_path).left())) == 1


@pytest.mark.race
@pytest.mark.parametrize("moment", ["flock", "pwrite", "ftruncate", "fsync"])
def test_rival_looks_while_it_is_written(
    tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks for what was left, at whatever moment, neither takes away nor takes hold of what is being noted."""
    place: Any = module.fcntl if moment == "flock" else module.os
    real, seen = getattr(place, moment), []

    def rival(*args: Any) -> Any:
        monkeypatch.setattr(place, moment, real)
        found = Journal(tmp_path).left()
        seen.extend(found)
        return real(*args)

    monkeypatch.setattr(place, moment, rival)
    noted, journal = operation(), Journal(tmp_path)
    journal.note(noted)
    assert seen == []
    journal.leave(noted.id)
    assert [left.operation.id for left in Journal(tmp_path).left()] == [noted.id]
