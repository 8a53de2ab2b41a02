"""What still has to be sent from this machine: whole, private, bounded, and once."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gitpw.adapters import spool as module
from gitpw.adapters.spool import Spool
from gitpw.domain.event import Event
from gitpw.domain.ids import OperationId
from gitpw.domain.notice import Notice

ONE, TWO = OperationId("1" * 32), OperationId("2" * 32)


def a_notice(counter: int = 7, **fields: object) -> Notice:
    """A notice of one operation."""
    known: dict[str, object] = {
        "event": Event.MERGED,
        "ledger": "l",
        "counter": counter,
        "operation": ONE,
        "at": datetime(2026, 3, 2, tzinfo=UTC),
        "by": "ada",
        "task_id": "task-001",
    }
    return Notice(**{**known, **fields})  # type: ignore[arg-type]


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """An empty one."""
    return Spool(tmp_path / "pw" / "notify")


def test_nothing_is_made_before_there_is_something(spool: Spool, tmp_path: Path) -> None:
    """A look at what isn't there is no error."""
    assert not spool.due()
    assert spool.waiting() == []
    assert not spool.put([])
    with spool.sending() as alone:
        assert not alone
    assert list(tmp_path.iterdir()) == []


def test_what_is_put_comes_back_in_order_and_is_private(spool: Spool, tmp_path: Path) -> None:
    """The oldest operation first; nobody else on the machine can read it."""
    assert spool.put([a_notice(12, operation=TWO)])
    assert spool.put([a_notice(7), a_notice(7, task_id="task-002")])
    assert [one.notice.counter for one in spool.waiting()] == [7, 7, 12]
    for path in (tmp_path / "pw" / "notify").iterdir():
        assert path.stat().st_mode & 0o077 == 0


def test_the_same_operation_is_told_once(spool: Spool) -> None:
    """Though it is found in the journal again after a crash, and all of it has been sent meanwhile."""
    assert spool.put([a_notice()])
    for one in spool.waiting():
        spool.drop(one)
    assert not spool.put([a_notice()])
    assert not spool.due()


def test_what_was_written_before_a_crash_is_overwritten(spool: Spool, tmp_path: Path) -> None:
    """Killed before that was noted: found again, before it is sent or after, it isn't told twice."""
    spool.put([a_notice()])
    passed = tmp_path / "pw" / "notify" / "passed"
    passed.unlink()
    assert spool.put([a_notice()])
    passed.unlink()
    for one in spool.waiting():
        spool.drop(one)
    assert not spool.put([a_notice()])
    assert not spool.due()


def test_one_sender_at_a_time(spool: Spool, tmp_path: Path) -> None:
    """The second is told so; the lock ends with its owner."""
    spool.put([a_notice()])
    other = Spool(tmp_path / "pw" / "notify")
    with spool.sending() as first, other.sending() as second:
        assert (first, second) == (True, False)
    with other.sending() as alone:
        assert alone


def test_who_has_it_is_remembered(spool: Spool) -> None:
    """So that a target isn't told again when another was out of reach."""
    spool.put([a_notice()])
    spool.told(spool.waiting()[0], "slack")
    assert spool.waiting()[0].done == ("slack",)


def test_what_is_deferred_is_left_alone(spool: Spool) -> None:
    """Until its time has come."""
    spool.put([a_notice()])
    spool.defer(spool.waiting()[0], 60)
    assert (spool.due(), spool.waiting()) == (False, [])


def test_no_news_after_a_day(spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes, and that is written down."""
    spool.put([a_notice()])
    monkeypatch.setattr(module, "LATEST", -1.0)
    assert spool.waiting() == []
    assert list((tmp_path / "pw" / "notify").glob("*.json")) == []
    assert "given up" in (tmp_path / "pw" / "notify" / "log").read_text()


def test_what_is_no_notice_goes(spool: Spool, tmp_path: Path) -> None:
    """Half a file, or another program's."""
    spool.put([a_notice()])
    for name, text in (
        ("1.json", "{"),
        ("2.json", "[]"),
        ("3.json", '{"notice": {}, "done": [], "since": 1}'),
    ):
        (tmp_path / "pw" / "notify" / name).write_text(text)
    assert len(spool.waiting()) == 1
    assert len(list((tmp_path / "pw" / "notify").glob("*.json"))) == 1


def test_there_is_room_for_so_many(spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is dropped, and that is written down."""
    monkeypatch.setattr(module, "MOST", 3)
    for number in range(5):
        spool.put([a_notice(number, operation=f"{number:032x}")])
    assert [one.notice.counter for one in spool.waiting()] == [0, 1, 2]
    assert "dropped" in (tmp_path / "pw" / "notify" / "log").read_text()


def test_the_same_refusal_is_told_once_in_a_while(spool: Spool) -> None:
    """Who asks in a loop is one piece of news; another refusal is another."""
    for number in range(4):
        spool.put([a_notice(operation=f"{number:032x}", same="x")])
    spool.put([a_notice(operation=TWO, same="y")])
    assert sorted(one.notice.same or "" for one in spool.waiting()) == ["x", "y"]


def test_lists_forget(spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The older half, when they have grown long."""
    monkeypatch.setattr(module, "REMEMBERED", 400)
    for number in range(30):
        spool.put([a_notice(number, operation=f"{number:032x}")])
    passed = tmp_path / "pw" / "notify" / "passed"
    assert passed.stat().st_size <= 400
    assert passed.read_text().splitlines()[-1].startswith(f"{29:012d}-")
    assert passed.stat().st_mode & 0o077 == 0


def test_a_time_ahead_is_waited_for_no_longer_than_it_says(spool: Spool, tmp_path: Path) -> None:
    """The moment is the file's own time of change."""
    spool.put([a_notice()])
    path = next((tmp_path / "pw" / "notify").glob("*.json"))
    os.utime(path, (time.time(), time.time() - 1))
    assert spool.due()
