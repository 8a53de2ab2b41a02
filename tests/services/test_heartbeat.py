"""What happens to a claim while its renewal is under way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gitpw.app import open_context
from gitpw.errors import InvalidError, StaleError
from gitpw.services.heartbeat import heartbeat
from tests.support.cli import pw
from tests.support.git import clone, git, make_upstream


class Overtaken:
    """A ledger to which something is done between a decision and its being asked for."""

    def __init__(self, ledger: Any, rival: Any) -> None:
        self._ledger, self._rival = ledger, rival

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def transact(self, *words: Any, **more: Any) -> Any:
        """Let the rival act, once."""
        rival, self._rival = self._rival, lambda: None
        rival()
        return self._ledger.transact(*words, **more)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The worktree of a claim, on a machine with no remote."""
    work = clone(make_upstream(tmp_path / "up.git"), tmp_path / "work")
    git("remote", "remove", "origin", cwd=work)
    pw("init", "--no-hooks", cwd=work, check=0)
    pw("task", "add", "One", cwd=work, check=0)
    return Path(pw("--as", "alice", "claim", cwd=work, check=0).data["worktree"])


def beat(tree: Path, *rival: str) -> None:
    """Renew, overtaken by a command."""
    ctx = open_context(directory=str(tree))
    ledger: Any = Overtaken(ctx.ledger, lambda: pw(*rival, cwd=tree, check=0))
    heartbeat(replace(ctx, ledger=ledger), older=0)


def test_giving_back_meanwhile_is_no_loss(tree: Path) -> None:
    """Nothing is left to renew, and nobody has lost anything."""
    with pytest.raises(InvalidError, match="holds nothing here"):
        beat(tree, "release", "--keep-worktree")


def test_losing_it_meanwhile_is_one(tree: Path) -> None:
    """Told as such, by whom."""
    pw("lock", "README.md", cwd=tree, check=0)
    with pytest.raises(StaleError, match="by force by bob"):
        beat(tree, "--as", "bob", "unlock", "README.md", "--force", "--reason", "urgent")
