"""Which claims have branches that others are compared with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gitpw.domain.ids import ClaimId, TaskId, WorkerId
from gitpw.domain.lock import Claim, Lease
from gitpw.domain.worker import WorkerType
from gitpw.services.forecast import shown, with_branches

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def claim(branch: str | None, task: str | None = "task-001") -> Claim:
    """A claim on a branch."""
    lease = Lease(duration=60, written_at=NOW, expires_at=NOW + timedelta(hours=1), host="h", version=1)
    return Claim(
        id=ClaimId("0" * 16),
        worker=WorkerId("alice"),
        worker_type=WorkerType.HUMAN,
        task=None if task is None else TaskId(task),
        token=1,
        claimed_at=NOW,
        branch=branch,
        lease=lease,
    )


@pytest.mark.parametrize(
    "branch",
    [None, "", "x:refs/heads/main", "--upload-pack=touch ran", "a*b", "../x", "a b", "x\n+y", "HEAD"],
)
def test_what_is_no_branch_is_left_out(branch: str | None) -> None:
    """Whoever may write the ledger can't have anything else fetched (P9)."""
    assert list(with_branches([claim(branch)])) == []


def test_what_is_one_counts() -> None:
    """If it is a task's."""
    good = claim("fix/7-task-001-é")
    assert list(with_branches([good, claim("fix/x", None)])) == [good]


def test_files_in_words() -> None:
    """A few by name."""
    assert shown(["a", "b", "c"]) == "a, b, c"
    assert shown(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
