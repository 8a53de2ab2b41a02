"""One herd for all races of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.race.runner import Herd, gathered

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def herd() -> Iterator[Herd]:
    """Starts git-pw processes, many at once."""
    with gathered() as started:
        yield started
