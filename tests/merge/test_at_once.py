"""Mergers that run side by side, killed and stopped as it comes: see `at_once`."""

from __future__ import annotations

import pytest

from tests.merge.at_once import KINDS
from tests.merge.reports import played, told

pytestmark = [pytest.mark.fault, pytest.mark.race, pytest.mark.timeout(600)]


@pytest.mark.parametrize("seed", range(4))
def test_side_by_side_nothing_is_lost_either(seed: int) -> None:
    """With leases of two seconds, kills and stops, every task lands once, on a tree that was green."""
    (report,) = played("at_once", str(seed))
    assert not told([report]), told([report])
    assert report["landed"] == len(KINDS)
    assert report["kills"] + report["stops"] >= 4
