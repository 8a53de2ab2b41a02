"""The small process that makes beats: when it makes one, and when it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitpw.cli import pulse


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time passes without waiting, on both clocks; the length of each nap."""
    now, naps = [0.0], []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(pulse.time, "time", lambda: 1e9 + now[0])
    monkeypatch.setattr(pulse.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(pulse.time, "sleep", sleep)
    return naps


@pytest.fixture
def beats(monkeypatch: pytest.MonkeyPatch, naps: list[float]) -> Iterator[list[tuple[int, bytes]]]:
    """What each beat answers; all are needed."""
    left: list[tuple[int, bytes]] = []
    monkeypatch.setattr(pulse, "beat", lambda _command, _file: left.pop(0))
    yield left
    assert (left, bool(naps)) == ([], True)


def watching(folder: Path, process: int = 0) -> pulse.Watch:
    """A watch on a folder, and on a process if one is named."""
    return pulse.Watch(str(process), "", str(folder))


def go_on(watch: pulse.Watch, *, quiet: bool = False, as_json: bool = False) -> int:
    """Five minutes between two beats, one of which is done."""
    return pulse.go_on(watch, 300.0, 1, ["beat"], json=as_json, quiet=quiet)


def test_nothing_left_ends_it(
    tmp_path: Path, naps: list[float], beats: list[tuple[int, bytes]], capfd: pytest.CaptureFixture[str]
) -> None:
    """A ledger out of reach is asked again soon and told once; nothing left to renew is the end, and no failure."""
    beats += [(0, b"renewed\n"), (69, b"offline\n"), (69, b"offline\n"), (0, b"renewed\n"), (6, b"nothing\n")]
    assert go_on(watching(tmp_path)) == 0
    out, err = capfd.readouterr()
    assert err == "renewed\noffline\nrenewed\nnothing\n"
    assert out == "renewed 3 times\n"
    assert sum(naps) == 300 + 300 + 30 + 30 + 300


def test_a_lost_claim_ends_it(
    tmp_path: Path, beats: list[tuple[int, bytes]], capfd: pytest.CaptureFixture[str]
) -> None:
    """With the status that says: stop working on it, and what the beat said."""
    beats += [(5, b'{"ok": false, "code": "stale"}\n')]
    assert go_on(watching(tmp_path), as_json=True) == 5
    assert json.loads(capfd.readouterr().out)["code"] == "stale"


def test_it_ends_with_its_checkout(
    tmp_path: Path, naps: list[float], capfd: pytest.CaptureFixture[str]
) -> None:
    """Also where another stands in its place by now."""
    place = tmp_path / "tree"
    place.mkdir()
    watch = watching(place)
    place.rename(tmp_path / "trash")
    place.mkdir()
    assert go_on(watch, as_json=True) == 0
    assert json.loads(capfd.readouterr().out) == {"ok": True, "beats": 1, "ended": "worktree"}
    assert naps == []


def test_it_ends_with_its_parent(tmp_path: Path, naps: list[float]) -> None:
    """One that was killed and not yet buried has ended too."""
    with subprocess.Popen(["sleep", "60"]) as parent:
        watch = watching(tmp_path, parent.pid)
        assert watch.over() is None
        parent.kill()
        os.waitid(os.P_PID, parent.pid, os.WEXITED | os.WNOWAIT)
        assert watch.over() == "parent"
        assert go_on(watch) == 0
    assert naps == []


def test_another_process_of_the_same_number_is_no_parent(tmp_path: Path) -> None:
    """Numbers come again: the moment of its start belongs to it."""
    started = pulse.fields(os.getpid())[19]
    assert pulse.Watch(str(os.getpid()), started, str(tmp_path)).over() is None
    assert pulse.Watch(str(os.getpid()), str(int(started) + 1), str(tmp_path)).over() == "parent"


@pytest.mark.parametrize("clock", ["time", "monotonic"])
def test_it_notices_that_it_is_late(
    tmp_path: Path, naps: list[float], monkeypatch: pytest.MonkeyPatch, clock: str
) -> None:
    """By either clock: one goes on while the machine sleeps, the other can't be set back."""
    real = getattr(pulse.time, clock)
    monkeypatch.setattr(pulse.time, clock, lambda: real() + (7200 if len(naps) > 1 else 0))
    why, late = pulse.sleep(300.0, watching(tmp_path))
    assert (why, len(naps)) == (None, 2)
    assert late == 7200 - 300 + 4


def test_being_late_is_told(
    tmp_path: Path,
    beats: list[tuple[int, bytes]],
    monkeypatch: pytest.MonkeyPatch,
    naps: list[float],
    capfd: pytest.CaptureFixture[str],
) -> None:
    """And renewed at once."""
    real = pulse.time.time
    monkeypatch.setattr(pulse.time, "time", lambda: real() + (7200 if naps else 0))
    beats += [(6, b"nothing\n")]
    go_on(watching(tmp_path))
    assert capfd.readouterr().err.startswith("115 minutes late: renewing now\n")


def test_a_beat_is_a_process() -> None:
    """Its status and what it says on one file; what it leaves behind may hold the pipe as long as it likes."""
    said = [sys.executable, "-c", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(69)"]
    assert pulse.beat(said, 1) == (69, b"out\n")
    assert pulse.beat(said, 2) == (69, b"err\n")
    assert pulse.beat(["/bin/sh", "-c", "sleep 5 & echo $! >&2"], 2)[0] == 0


def test_it_imports_next_to_nothing() -> None:
    """It waits for hours: nothing of ours, nothing slow."""
    words = "import sys, runpy; runpy.run_path(sys.argv[1], run_name='pulse'); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", words, str(pulse.__file__)], capture_output=True, check=True
    )
    loaded = set(done.stdout.decode().split())
    assert not {name for name in loaded if name.partition(".")[0] in {"gitpw", "click", "pygit2", "pydantic"}}
    assert not loaded & {"subprocess", "pathlib", "json", "re", "logging", "threading"} - RUNPY


RUNPY = {"re", "pathlib"}
"""What runpy itself may need."""
