"""What a checkout remembers."""

from __future__ import annotations

import fcntl
import json
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from gitpw.adapters.checkout import GitCheckout
from gitpw.adapters.disk import locked
from gitpw.domain.checkout import Own
from gitpw.domain.ids import ClaimId, TaskId, WorkerId
from gitpw.errors import ContendedError, FailedError


def claim(number: int, task: int | None = None) -> Own:
    """A claim with a made-up id."""
    return Own(
        ClaimId(f"{number:016x}"),
        number,
        None if task is None else TaskId(f"task-{task:03d}"),
        WorkerId("alice"),
    )


def test_place_is_made_once(tmp_path: Path) -> None:
    """Sixteen hex digits that stay."""
    place = GitCheckout(str(tmp_path)).place()
    assert len(place) == 16
    assert int(place, 16) >= 0
    assert GitCheckout(str(tmp_path)).place() == place


def _place(folder: str) -> str:
    return GitCheckout(folder).place()


def _remember(folder: str, number: int) -> None:
    GitCheckout(folder).remember(claim(number))


def test_place_is_the_same_for_all_who_ask_first(tmp_path: Path) -> None:
    """Processes that race to make it agree."""
    with ProcessPoolExecutor(8, mp_context=get_context("forkserver")) as pool:
        places = set(pool.map(_place, [str(tmp_path)] * 32))
    assert len(places) == 1


def test_broken_place_is_made_anew(tmp_path: Path) -> None:
    """A file that holds no id is replaced."""
    (tmp_path / "pw").mkdir()
    (tmp_path / "pw" / "place").write_text("../../etc\n")
    assert len(GitCheckout(str(tmp_path)).place()) == 16


def test_place_is_empty_where_it_cannot_be_written(tmp_path: Path) -> None:
    """A file in the way of our folder is no reason for a traceback."""
    (tmp_path / "pw").write_text("")
    assert GitCheckout(str(tmp_path)).place() == ""
    with pytest.raises(FailedError, match="can't be locked"):
        GitCheckout(str(tmp_path)).remember(claim(1))


def test_claims_are_remembered_in_order(tmp_path: Path) -> None:
    """What was remembered comes back."""
    checkout = GitCheckout(str(tmp_path))
    checkout.remember(claim(1, task=1))
    checkout.remember(claim(2))
    assert checkout.own() == [claim(1, task=1), claim(2)]


def test_claim_of_the_same_id_is_replaced(tmp_path: Path) -> None:
    """A claim that got another token is there once."""
    checkout = GitCheckout(str(tmp_path))
    checkout.remember(claim(1))
    checkout.remember(claim(1)._replace(token=9))
    assert checkout.own() == [claim(1)._replace(token=9)]


def test_claim_of_the_same_task_is_replaced(tmp_path: Path) -> None:
    """The lost claim of a task that was claimed again would make the hooks refuse."""
    checkout = GitCheckout(str(tmp_path))
    checkout.remember(claim(1, task=7))
    checkout.remember(claim(2, task=7))
    assert checkout.own() == [claim(2, task=7)]


def test_forgotten_claims_are_gone(tmp_path: Path) -> None:
    """The others stay; without any there is no file, which the hooks look for."""
    checkout = GitCheckout(str(tmp_path))
    checkout.remember(claim(1))
    checkout.remember(claim(2))
    checkout.forget([claim(1).claim, claim(3).claim])
    assert checkout.own() == [claim(2)]
    checkout.forget([claim(2).claim])
    assert checkout.own() == []
    assert not (tmp_path / "pw" / "claims.json").exists()


def test_parallel_claims_are_all_remembered(tmp_path: Path) -> None:
    """No update is lost among processes."""
    with ProcessPoolExecutor(8, mp_context=get_context("forkserver")) as pool:
        list(pool.map(_remember, [str(tmp_path)] * 24, range(24)))
    assert len(GitCheckout(str(tmp_path)).own()) == 24


# What the shims read


def test_own_says_what_claims_say(tmp_path: Path) -> None:
    """One line for each claim, in order; no file where there are no claims."""
    checkout, own = GitCheckout(str(tmp_path)), tmp_path / "pw" / "own"
    checkout.remember(claim(1))
    checkout.remember(claim(2, task=7))
    assert own.read_text() == "0000000000000001 1 -- alice\n0000000000000002 2 task-007 alice\n"
    checkout.forget([claim(1).claim])
    assert own.read_text() == "0000000000000002 2 task-007 alice\n"
    checkout.forget([claim(2).claim])
    assert not own.exists()


@pytest.mark.parametrize("left", [None, b"", b"\xff", b"0000000000000009 9 task-009 bob\n"])
def test_own_is_healed_from_the_claims(tmp_path: Path, left: bytes | None) -> None:
    """A writer was killed between the two files, or was of a version that had only one."""
    checkout, own = GitCheckout(str(tmp_path)), tmp_path / "pw" / "own"
    checkout.remember(claim(1))
    own.unlink()
    if left is not None:
        own.write_bytes(left)
    assert checkout.own() == [claim(1)]
    assert own.read_text() == "0000000000000001 1 -- alice\n"


def test_own_without_claims_is_taken_away(tmp_path: Path) -> None:
    """Claims that are gone, or can't be read, are none."""
    own = tmp_path / "pw" / "own"
    own.parent.mkdir()
    for content in (None, b"{"):
        own.write_text("0000000000000009 9 task-009 bob\n")
        if content is not None:
            own.with_name("claims.json").write_bytes(content)
        assert GitCheckout(str(tmp_path)).own() == []
        assert not own.exists()


def test_own_that_cannot_be_healed_is_no_fault(tmp_path: Path) -> None:
    """The claims are answered all the same: a folder may be read-only, or in the way."""
    checkout, own = GitCheckout(str(tmp_path)), tmp_path / "pw" / "own"
    checkout.remember(claim(1))
    own.unlink()
    own.mkdir()
    assert checkout.own() == [claim(1)]


GOOD = claim(1)._asdict()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b"{}",
        b"[3]",
        b"[{}]",
        json.dumps([{**GOOD, "claim": "../../../x"}]).encode(),
        json.dumps([{**GOOD, "claim": 5}]).encode(),
        json.dumps([{**GOOD, "token": True}]).encode(),
        json.dumps([{**GOOD, "token": "1"}]).encode(),
        json.dumps([{**GOOD, "task": "task-1/../.."}]).encode(),
        json.dumps([{**GOOD, "worker": "-x"}]).encode(),
    ],
)
def test_bad_claims_count_as_none_and_are_put_aside(tmp_path: Path, content: bytes) -> None:
    """Broken or hostile content is never a traceback, and never overwritten."""
    file = tmp_path / "pw" / "claims.json"
    file.parent.mkdir()
    file.write_bytes(content)
    checkout = GitCheckout(str(tmp_path))
    assert checkout.own() == []
    checkout.remember(claim(2))
    assert checkout.own() == [claim(2)]
    assert file.with_name("claims.json.bad").read_bytes() == content


def test_keys_of_a_newer_version_are_no_fault(tmp_path: Path) -> None:
    """A claim with more to it than we know is still a claim."""
    file = tmp_path / "pw" / "claims.json"
    file.parent.mkdir()
    file.write_text(json.dumps([{**GOOD, "more": 1}]))
    assert GitCheckout(str(tmp_path)).own() == [claim(1)]


def test_lock_is_held_on_the_file_that_others_see(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last owner may take the file away between our opening and our locking it."""
    path = tmp_path / "lock"
    flock = fcntl.flock

    def late(file: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        path.unlink()
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with locked(str(path)) as held:
        assert os.path.samestat(os.fstat(held.file), path.stat())
        with pytest.raises(ContendedError), locked(str(path), 0.05):
            pass


def test_lock_is_given_up_on_in_time(tmp_path: Path) -> None:
    """Its owner may be suspended."""
    path = str(tmp_path / "lock")
    with locked(path), pytest.raises(ContendedError), locked(path, 0.05):
        pass


def test_lock_tells_of_a_killed_owner(tmp_path: Path) -> None:
    """What the owner did not take away says so; an orderly end leaves nothing."""
    path = tmp_path / "lock"
    with locked(str(path)) as first:
        assert not first.abandoned
    assert not path.exists()
    path.write_text("held\n")
    with locked(str(path)) as second:
        assert second.abandoned
