"""git pw heartbeat."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from gitpw.domain.ids import ClaimId
from gitpw.errors import InvalidError, OfflineError, StaleError
from gitpw.services.heartbeat import Beaten
from tests.cli.conftest import Cli, Serve, a_claim


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time passes without waiting; the length of each nap."""
    now, naps = [0.0], []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        now[0] += seconds

    monkeypatch.setattr("gitpw.cli.heartbeat.time.time", lambda: now[0])
    monkeypatch.setattr("gitpw.cli.heartbeat.time.sleep", sleep)
    return naps


def test_one_beat(cli: Cli, serve: Serve) -> None:
    """Each claim, and what of this machine is no longer current."""
    serve("heartbeat.heartbeat", Beaten([a_claim(), a_claim(None)], [ClaimId("f" * 16)]))
    answer = cli("heartbeat")
    assert answer.out == "renewed task-001: 48m left\nrenewed src/auth/login.ts: 48m left\n"
    assert answer.err == f"no longer current: claim {'f' * 16} of this machine\n"
    data = cli("heartbeat", "--json").data
    assert [lock["taskId"] for lock in data["renewed"]] == ["task-001", None]
    assert data["lost"] == ["f" * 16]


def test_it_goes_on_until_there_is_nothing_left(cli: Cli, serve: Serve, naps: list[float]) -> None:
    """A remote out of reach is no reason to stop; nothing left to renew is."""
    answers: Iterator[object] = iter(
        [
            Beaten([a_claim()], []),
            OfflineError("offline"),
            Beaten([a_claim()], []),
            InvalidError("holds nothing"),
        ]
    )

    def beat(_: object) -> object:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    serve("heartbeat.heartbeat", beat)
    answer = cli("heartbeat", "--every", "5m", "--json")
    assert (answer.exit, answer.data) == (0, {"ok": True, "beats": 2})
    assert sum(naps) == 900


def test_a_lost_claim_ends_it(cli: Cli, serve: Serve, naps: list[float]) -> None:
    """With the status that says: stop working on it."""
    serve("heartbeat.heartbeat", StaleError("taken over by bob"))
    assert (cli("heartbeat", "--every", "1m").exit, naps) == (5, [])


def test_nothing_to_renew_at_the_start_is_refused(cli: Cli, serve: Serve, naps: list[float]) -> None:
    """Whoever starts it holds something, or is told."""
    serve("heartbeat.heartbeat", InvalidError("dana holds nothing here"))
    assert (cli("heartbeat", "--every", "1m").exit, naps) == (6, [])


def test_it_ends_with_its_parent(
    cli: Cli, serve: Serve, naps: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No orphan keeps a lease alive for ever."""
    parent = os.getppid()
    monkeypatch.setattr("gitpw.cli.heartbeat.os.getppid", lambda: parent if len(naps) < 3 else 1)
    serve("heartbeat.heartbeat", Beaten([a_claim()], []))
    assert cli("heartbeat", "--every", "5m").out == "renewed 1 time\n"
    assert len(naps) == 3
