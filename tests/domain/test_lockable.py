"""Lockable files: which are to be read-only, and that a change of one needs a lock of one's own."""

from __future__ import annotations

import pytest

from gitpw.domain.guard import Lockable, lockable, violations
from gitpw.domain.lock import Claim
from gitpw.domain.operation import Lock
from gitpw.domain.policy import Guarding
from tests.domain.state import HOUR, State, locks

POLICY = Guarding(critical=[], lockable=["**/*.psd", "art"], ignore=["art/sketch"])
FILES = ["a.psd", "art/b", "art/sketch/c.psd", "src/a.py", "ART/d", "x/y.PSD"]


def claimed(state: State, *names: str, shared: bool = False) -> Claim:
    """A claim of files without a task."""
    done = state.done(Lock(locks=locks(*names, shared=shared), lease=HOUR))
    assert done.claim is not None
    return state.claim(done.claim)


def judged(state: State, files: list[str], *mine: Claim) -> Lockable:
    """What is to be read-only under some claims."""
    held = [lock for claim in mine for lock in claim.locks]
    return lockable(state.board, held, POLICY.lockable, POLICY.ignore, files)


@pytest.fixture
def state() -> State:
    """A new ledger."""
    return State()


def test_what_nobody_holds_is_read_only(state: State) -> None:
    """But for what the policy ignores; other files are no business of the rule."""
    assert judged(state, FILES) == Lockable([], ["a.psd", "art/b"])


def test_what_is_held_is_writable(state: State) -> None:
    """By an exclusive lock on the file, its folder or a glob; a shared one is not enough."""
    mine = claimed(state, "art", "*.psd")
    assert judged(state, FILES, mine) == Lockable(["a.psd", "art/b"], [])
    shared = claimed(State(), "art", shared=True)
    assert judged(state, ["art/b"], shared) == Lockable([], ["art/b"])


def test_case_counts_as_the_ledger_says() -> None:
    """Where it ignores case, so do the patterns."""
    assert judged(State(case_insensitive=True), FILES).free == ["a.psd", "art/b", "ART/d", "x/y.PSD"]


def test_change_needs_a_lock_of_ones_own(state: State) -> None:
    """As with critical files: a read-only bit alone is lifted by every program that replaces a file."""
    mine = claimed(state, "art/b")
    found = violations(state.board, [mine.id], POLICY, FILES)
    assert [(one.file, one.claim) for one in found] == [("a.psd", None)]
    assert violations(state.board, [], POLICY, ["src/a.py", "art/sketch/c.psd"]) == []
