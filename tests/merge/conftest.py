"""One herd for all mergers that are run to their end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.race.runner import Herd, gathered

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def herd() -> Iterator[Herd]:
    """Starts git-pw processes without the wait for Python."""
    with gathered() as started:
        yield started
