"""A ledger that vanished, went backwards or became another one is reported, never begun anew, and can be put right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.shop import Shop
from tests.support.git import clone, git, make_upstream

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.race.runner import Herd

pytestmark = pytest.mark.fault

WRITES = (("claim",), ("task", "add", "More"), ("lock", "README.md"), ("init", "--no-hooks"), ("gc",))


def busy(shop: Shop) -> str:
    """Give the ledger a past and a present, with a yesterday in between; yesterday's commit."""
    shop.task("Check passwords", "src/auth")
    yesterday = shop.tip()
    shop.task("Count prices", "src/cart")
    shop.pw("claim", "task-001", "--no-worktree")
    return yesterday


def delete(shop: Shop, _yesterday: str) -> None:
    """Somebody pruned the ref."""
    shop.set_tip("")


def rewind(shop: Shop, yesterday: str) -> None:
    """Somebody restored yesterday's backup."""
    shop.set_tip(yesterday)


def rewind_and_go_on(shop: Shop, yesterday: str) -> None:
    """Yesterday's backup was restored, and somebody who had not seen today went on with it, past today's counter."""
    shop.set_tip(yesterday)
    stranger = shop.another("stranger")
    for number in range(4):
        stranger.pw("lock", f"docs/{number}.md", worker="stranger")


LOSSES = pytest.mark.parametrize("lose", [delete, rewind, rewind_and_go_on])


def what_there_is(shop: Shop) -> object:
    """Tasks, locks and workers, as they are known to this clone."""
    status = shop.pw("status", "--offline").data
    return status["tasks"], status["locks"], [worker["id"] for worker in status["workers"]]


@LOSSES
def test_loss_is_reported_by_every_command(shop: Shop, lose: Callable[[Shop, str], None]) -> None:
    """Each command that asks the remote says so with 78, names the way out, and changes nothing."""
    lose(shop, busy(shop))
    left = shop.tip()
    for words in (*WRITES, ("locks",), ("log",), ("status",)):
        refused = shop.pw(*words, check=78).data
        assert refused["code"] == "config"
        assert "git pw doctor --fix" in refused["hint"]
    found = shop.pw("doctor", check=1).data["findings"]
    assert [one["level"] for one in found if one["code"] == "ledger"] == ["error"]
    assert shop.tip() == left


@LOSSES
def test_doctor_restores_what_this_clone_knew(shop: Shop, lose: Callable[[Shop, str], None]) -> None:
    """After `doctor --fix` tasks, locks and workers are as they were, and the work goes on."""
    yesterday = busy(shop)
    before = what_there_is(shop)
    lose(shop, yesterday)
    found = shop.pw("doctor", "--fix").data["findings"]
    assert [one["fixed"] for one in found if one["code"] == "ledger"] == [True]
    assert what_there_is(shop) == before
    shop.pw("progress", "--step", "1/2", "still mine")
    assert shop.pw("claim", "task-002", "--no-worktree", worker="bob").data["task"]["assignedTo"] == "bob"
    assert [operation["request"]["verb"] for operation in shop.operations()][:1] == ["restore"]


@LOSSES
def test_tokens_never_come_twice(shop: Shop, lose: Callable[[Shop, str], None]) -> None:
    """Tokens that are granted after a restoration are greater than any that was granted before, by whomever."""
    yesterday = busy(shop)
    lose(shop, yesterday)
    before = {operation["counter"] for operation in shop.operations()} if shop.tip() else set()
    before |= {lock["token"] for lock in shop.pw("status", "--offline").data["locks"]}
    shop.pw("doctor", "--fix")
    tokens = [
        shop.pw("lock", f"src/{number}", worker=f"w{number}").data["lock"]["token"] for number in range(3)
    ]
    assert tokens == sorted(set(tokens))
    assert tokens[0] > max(before) + 900_000


@LOSSES
def test_other_clones_go_on(shop: Shop, lose: Callable[[Shop, str], None]) -> None:
    """Once one clone has restored the ledger, the others work on without being told anything."""
    other = shop.another("other")
    other.pw("locks")
    yesterday = busy(shop)
    up_to_date = shop.another("fresh")
    up_to_date.pw("lock", "README.md", worker="carol")
    shop.pw("locks")
    lose(shop, yesterday)
    shop.pw("doctor", "--fix")
    assert other.pw("claim", "task-002", "--no-worktree", worker="bob").data["lock"]["token"] > 1_000_000
    up_to_date.pw("unlock", "README.md", worker="carol")
    held = shop.pw("locks").data["locks"]
    assert sorted(lock["workerId"] for lock in held) == ["alice", "bob"]


def restored_from_behind(shop: Shop) -> Shop:
    """The ledger vanished and was restored by a clone that had not seen all of it; that clone."""
    behind = shop.another("behind")
    behind.pw("locks")
    busy(shop)
    shop.set_tip("")
    behind.pw("doctor", "--fix", worker="bob")
    return behind


def test_restorer_that_knew_less_is_found_out(shop: Shop) -> None:
    """A clone that had seen more than the one that restored says so, goes on, and tells what is to be done again."""
    behind = restored_from_behind(shop)
    refused = shop.pw("claim", check=78, worker="carol").data
    assert "operation 4" in refused["message"]
    assert "git pw doctor --fix" in refused["hint"]
    found = shop.pw("doctor", "--fix").data["findings"]
    assert "claim task-001" in str([one for one in found if one["code"] == "ledger"])
    assert shop.pw("locks").data["locks"] == behind.pw("locks").data["locks"] == []
    shop.task("Check passwords", "src/auth")
    behind.pw("claim", "--no-worktree", worker="bob")


def test_tokens_of_two_restorations_never_meet(shop: Shop) -> None:
    """A second restoration, by another clone, begins beyond every token that was granted after the first."""
    behind = restored_from_behind(shop)
    first = [behind.pw("lock", f"docs/{number}", worker="bob").data["lock"]["token"] for number in range(8)]
    shop.pw("claim", check=78, worker="carol")
    shop.pw("doctor", "--fix")
    second = [shop.pw("lock", f"test/{number}", worker="carol").data["lock"]["token"] for number in range(3)]
    assert min(second) > max(first)


def test_holder_under_a_restored_past_keeps_the_claim(shop: Shop) -> None:
    """Who held a task before the loss still holds it after the restoration, by the same token."""
    shop.task("Check passwords", "src/auth")
    token = shop.pw("claim").data["lock"]["token"]
    shop.set_tip("")
    shop.another("other").pw("status", check=78, worker="bob")
    shop.pw("doctor", "--fix")
    tree = shop.work / ".worktrees/task-001"
    shop.pw("progress", "--percent", "50", cwd=tree)
    assert shop.pw("claim", "task-001", cwd=tree).data["lock"]["token"] == token


def test_named_ledger_is_not_begun_anew(shop: Shop) -> None:
    """A clone that never saw the ledger, but whose .gitpw.toml names it, begins no other in its place."""
    git("add", ".gitpw.toml", cwd=shop.work)
    git("commit", "-qm", "Name the ledger", cwd=shop.work)
    git("push", "-q", "origin", "main", cwd=shop.work)
    shop.set_tip("")
    newcomer = shop.another("newcomer")
    for words in (("init", "--no-hooks"), ("claim",), ("status",)):
        newcomer.pw(*words, check=78, worker="bob")
    assert shop.tip() == ""


def another_ledger(shop: Shop, herd: Herd, folder: Path) -> str:
    """Put the ledger of an unrelated repository in the place of the shop's; its commit."""
    bare = make_upstream(folder / "stranger.git")
    stranger = Shop(bare, clone(bare, folder / "stranger"), herd)
    stranger.pw("init", "--no-hooks")
    for number in range(9):
        stranger.pw("lock", f"docs/{number}.md")
    git("fetch", "-q", bare, "+refs/pw/locks/main:refs/pw/locks/main", cwd=shop.bare)
    return shop.tip()


def test_replaced_ledger_is_refused_and_not_touched(shop: Shop, herd: Herd, tmp_path: Path) -> None:
    """Another ledger in its place is named with 78 by every command, and `doctor --fix` doesn't write over it."""
    busy(shop)
    theirs = another_ledger(shop, herd, tmp_path)
    for words in (*WRITES, ("locks",), ("status",)):
        assert shop.pw(*words, check=78).data["code"] == "config"
    found = shop.pw("doctor", "--fix", check=1).data["findings"]
    assert any(one["code"] == "ledger" and one["level"] == "error" for one in found)
    assert shop.tip() == theirs
