"""A shop with a ledger on a path, and quick git-pw processes, also such as are told another time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults.clocks import HERE, Worker, require_faketime
from tests.faults.shop import Shop
from tests.race.runner import Herd, gathered
from tests.support.git import clone, git, make_upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session")
def herd() -> Iterator[Herd]:
    """Starts git-pw processes without the wait for Python."""
    with gathered() as started:
        yield started


@pytest.fixture
def shop(herd: Herd, tmp_path: Path) -> Shop:
    """An upstream on a path, and a clone of it that has a ledger and no hooks."""
    bare = make_upstream(tmp_path / "up.git")
    opened = Shop(bare, clone(bare, tmp_path / "work"), herd)
    opened.pw("init", "--no-hooks")
    return opened


@pytest.fixture(scope="session")
def timeless() -> Iterator[Herd]:
    """Starts git-pw processes that look anew at each call what time they are told."""
    with gathered(LD_PRELOAD=str(require_faketime()), FAKETIME_NO_CACHE="1", FAKETIME="+0m") as started:
        yield started
    for left in Path("/dev/shm").glob("*faketime_s*_*"):  # whoever execs or is killed forgets to take it away
        if not Path("/proc", left.name.rpartition("_")[2]).exists():
            left.unlink(missing_ok=True)


@pytest.fixture
def hire(timeless: Herd, tmp_path: Path) -> Callable[..., Worker]:
    """Makes workers with a clone each; the first one makes the ledger and a task."""
    bare = make_upstream(tmp_path / "up.git")

    def hired(name: str, host: str = HERE) -> Worker:
        worker = Worker(name, host, clone(bare, tmp_path / name), timeless)
        if name == "alice":
            worker.at(0, "init", "--no-hooks")
            git("add", ".gitpw.toml", cwd=worker.work)
            git("commit", "-qm", "Name the ledger", cwd=worker.work)
            git("push", "-q", "origin", "main", cwd=worker.work)
            worker.at(0, "task", "add", "Check passwords", "--file", "src/auth")
        return worker

    return hired
