"""A merger killed at every step that it takes: see `steps`."""

from __future__ import annotations

import pytest

from tests.merge.reports import played, told

pytestmark = [pytest.mark.fault, pytest.mark.timeout(900)]


@pytest.mark.parametrize(
    ("how", "host", "least"),
    [("before", "atomic", 30), ("within", "atomic", 7), ("before", "apart", 10), ("within", "apart", 5)],
)
def test_what_a_killed_merger_began_is_finished_by_another(how: str, host: str, least: int) -> None:
    """Each task lands once, tested, whichever step its merger died at, and nothing is left behind."""
    (report,) = played("steps", how, host)
    assert not told([report]), told([report])
    assert len(report["steps"]) >= least
    assert report["landed"] == len(report["steps"]) + 1
    assert any(" --atomic " in step for step in report["steps"])
