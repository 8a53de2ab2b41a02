"""The doctor's rounds: bounded in time, and no check hides another."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from gitpw.adapters.process import GRACE
from gitpw.domain.checkup import AREAS, Finding, area
from gitpw.errors import FailedError
from gitpw.services import doctor
from gitpw.services.examine import visit

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

NOBODY = cast("Any", SimpleNamespace())


def test_all_questions_to_the_remote_take_ten_seconds_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time that one has taken is missing to the next; the last has a second, and who is late is stopped gently."""
    now = 100.0
    monkeypatch.setattr(visit.time, "monotonic", lambda: now)
    one = visit.Visit(NOBODY, fix=False)
    assert one.patience == visit.PATIENCE
    now += 5
    assert one.patience == visit.PATIENCE - 5
    now += 50
    assert one.patience == visit.LEAST
    assert visit.PATIENCE + GRACE <= 10


def test_check_that_fails_hides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what it had found, nor what the others find; a bug is told like anything else."""

    def well(_: visit.Visit) -> Iterator[Finding]:
        yield Finding("git", "ok", "git 2.38")

    def refused(_: visit.Visit) -> Iterator[Finding]:
        yield Finding("path", "warn", "another git-pw comes first")
        raise FailedError("the disk is full", "make room")

    def broken(_: visit.Visit) -> Iterator[Finding]:
        raise RuntimeError("no\nidea")
        yield

    monkeypatch.setattr(doctor, "CHECKS", (refused, broken, well))
    assert [(one.code, one.level, one.message, one.hint) for one in doctor.doctor(NOBODY)] == [
        ("path", "warn", "another git-pw comes first", None),
        ("doctor", "error", "the disk is full", "make room"),
        ("doctor", "error", "the check test_doctor.broken failed: RuntimeError: no idea", "please report it"),
        ("git", "ok", "git 2.38", None),
    ]


def test_every_code_has_one_subject() -> None:
    """And what has none is the doctor's own."""
    codes = [code for found in AREAS.values() for code in found]
    assert len(codes) == len(set(codes))
    assert (area("hooks-program"), area("unheard of")) == ("hooks", "doctor")
