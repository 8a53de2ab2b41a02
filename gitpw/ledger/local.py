"""The store of a repository without a remote: the worktrees of one machine coordinate through it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from datetime import datetime

import pygit2

from gitpw.domain.board import Board
from gitpw.errors import ConfigError
from gitpw.ledger.store import LOCAL, GitStore, Move, Swap

STALE = 10.0
"""Seconds after which a lock file of our own ref can't belong to anybody: a swap takes milliseconds."""


class LocalStore(GitStore):
    """The private repository is the ledger itself."""

    known = LOCAL

    def tip(self) -> str | None:
        """The current state."""
        return self.ref(LOCAL)

    def fetch(self, timeout: float = 60.0) -> str | None:  # noqa: ARG002
        """The current state: there is nobody to ask."""
        return self.tip()

    def accept(self, commit: str) -> None:
        """Nothing to do: what is here is all there is."""

    def asked(self) -> datetime | None:
        """Always now."""
        return None

    def swap(self, old: str | None, new: str, moves: Sequence[Move] = ()) -> Swap:  # noqa: ARG002
        """Make `new` current if `old` still is: lock the ref, read it again, compare, set.

        A ledger that has moved to a remote takes nothing more but the mark's removal: raises `ConfigError`.
        `references.create(force=False)` checks and then writes: 32 of 16,000 racing creations were won twice. The
        branches of `moves` are in this very repository already.
        """
        with self.repo.transaction() as transaction:
            try:
                transaction.lock_ref(LOCAL)
            except pygit2.GitError:
                self._clear_stale_lock()
                return Swap.RACED
            if self.ref(LOCAL) != old:
                return Swap.BEATEN
            if old is not None and self._moved(old) and self._moved(new):
                raise ConfigError("the ledger has just moved to a remote", hint="run the command again")
            transaction.set_target(LOCAL, pygit2.Oid(hex=new))
        self.list_locks()
        return Swap.DONE

    def push(self, moves: Sequence[Move]) -> None:
        """Nothing to do: the branches are in this very repository."""

    def _moved(self, commit: str) -> bool:
        return Board(self.cells(commit)).meta.moved

    def _clear_stale_lock(self) -> None:
        """Remove what a process that was killed in the middle of a swap left in the way of all others."""
        lock = self.path / f"{LOCAL}.lock"
        with contextlib.suppress(FileNotFoundError):
            if time.time() - lock.stat().st_mtime > STALE:
                lock.unlink()
