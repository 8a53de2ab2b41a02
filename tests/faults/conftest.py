"""A shop with a ledger on a path, and quick git-pw processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.shop import Shop
from tests.race.runner import Herd, gathered
from tests.support.git import clone, make_upstream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
