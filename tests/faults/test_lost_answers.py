"""A connection that is cut: the operation is in the ledger once or not at all, and what the command says of it is true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.faults.shop import Shop
from tests.support.git import clone, git, make_upstream
from tests.support.proxy import Fault, Proxy, When

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Served
    from tests.race.runner import Herd

pytestmark = [pytest.mark.fault, pytest.mark.server]

LIFE = (
    (("worker", "register", "--skill", "ts"), "register"),
    (("task", "add", "Check passwords", "--file", "src/auth"), "add"),
    (("claim", "task-001"), "claim"),
    (("lock", "README.md"), "lock"),
    (("progress", "--step", "1/2", "reading"), "progress"),
    (("heartbeat",), "renew"),
    (("unlock", "README.md"), "unlock"),
    (("push",), "push"),
    (("release", "task-001", "--keep-worktree"), "release"),
    (("claim", "task-001"), "claim"),
    (("complete", "task-001"), "complete"),
)
"""Commands in the order in which they make sense, each with the operation that it makes."""


@dataclass
class LastWord(Fault):
    """A push after which nobody can be reached any more."""

    proxy: Proxy | None = None

    def strikes(self) -> bool:
        """Count a push; if it is the one, the line goes dead once it is through."""
        struck = super().strikes()
        if struck and self.proxy is not None:
            self.proxy.refuse()
        return struck


@dataclass(frozen=True)
class Line:
    """A shop whose clone reaches the upstream through a proxy."""

    proxy: Proxy
    shop: Shop

    def die(self, when: When) -> None:
        """At the next push the server gets all of it or nothing, and then nobody reaches it any more."""
        self.proxy.fault = LastWord(when, 1, 1, proxy=self.proxy)


@pytest.fixture(params=["http", "git"])
def line(request: pytest.FixtureRequest, served: Served, herd: Herd, tmp_path: Path) -> Iterator[Line]:
    """A clone whose ledger is on the other side of a proxy."""
    name = served.new_name()
    bare = make_upstream(served.root / name)
    with Proxy(served.server(request.param)) as proxy:
        url = proxy.url(name)
        shop = Shop(bare, clone(url, tmp_path / "work"), herd, url)
        shop.pw("init", "--no-hooks")
        yield Line(proxy, shop)


def work_a_bit(shop: Shop) -> None:
    """A commit on the task's branch, the first time that there is one."""
    tree = shop.work / ".worktrees/task-001"
    if tree.is_dir() and not (tree / "new.ts").exists():
        (tree / "new.ts").write_text("export {}\n")
        git("add", "new.ts", cwd=tree)
        git("commit", "-qm", "Add a file", cwd=tree)


def test_lost_answer_is_found_out(line: Line) -> None:
    """Each command whose push was applied and whose answer was lost says so truthfully, and has been applied once."""
    shop = line.shop
    for number, (words, verb) in enumerate(LIFE, start=2):
        work_a_bit(shop)
        cuts = line.proxy.cuts
        line.proxy.drop_answer()
        shop.pw(*words, cwd=shop.work)
        line.proxy.heal()
        assert line.proxy.cuts == cuts + 1
        made = shop.operations()
        assert (len(made), made[-1]["request"]["verb"]) == (number, verb), words
        assert shop.open_operations() == []


def test_lost_question_is_asked_again(line: Line) -> None:
    """Each command whose push never arrived makes it again, or says that nothing was changed and does nothing."""
    shop = line.shop
    for number, (words, verb) in enumerate(LIFE, start=2):
        work_a_bit(shop)
        before = shop.tip()
        line.proxy.cut_before()
        answer = shop.pw(*words, check=None)
        line.proxy.heal()
        assert answer.exit in {0, 69}, str(answer)
        if answer.exit == 69:
            assert shop.tip() == before
            shop.pw(*words)
        made = shop.operations()
        assert (len(made), made[-1]["request"]["verb"]) == (number, verb), words
        assert shop.open_operations() == []


def test_complete_whose_answer_was_lost_moved_the_branch_with_it(line: Line) -> None:
    """The branch and the ledger go together, also when nobody hears of it."""
    shop = line.shop
    shop.task("Check passwords", "src/auth")
    branch = shop.pw("claim").data["branch"]
    work_a_bit(shop)
    line.proxy.drop_answer()
    shop.pw("complete")
    head = git("rev-parse", branch, cwd=shop.work)
    assert git("rev-parse", f"refs/heads/{branch}", cwd=shop.bare) == head
    assert [merge["head"] for merge in shop.pw("merge", "list").data["merges"]] == [head]


def test_claim_with_no_word_afterwards_is_finished_by_the_next(line: Line) -> None:
    """Applied, and then nobody could be asked: 76, and the next claim finishes that very claim, worktree and all."""
    shop = line.shop
    shop.task("Check passwords", "src/auth")
    shop.task("Count prices", "src/cart")
    line.die(When.AFTER)
    unknown = shop.pw("claim", check=76).data
    assert unknown["code"] == "unknown"
    assert "any next command finds out" in unknown["hint"]
    (granted,) = shop.operations("claim")
    still = shop.pw("claim", check=None)
    assert still.exit in {69, 76}, str(still)
    line.proxy.heal()
    shop.another("other").pw("task", "add", "Meanwhile", worker="bob")
    finished = shop.pw("claim").data
    assert finished["lock"]["token"] == granted["counter"]
    assert (shop.work / ".worktrees/task-001/README.md").exists()
    assert shop.operations("claim") == [granted]
    assert shop.open_operations() == []


def test_claim_that_never_arrived_is_made_once(line: Line) -> None:
    """Nothing arrived and nobody could be asked: 76 or 69, and the next claim is the only one in the log."""
    shop = line.shop
    shop.task("Check passwords", "src/auth")
    line.die(When.BEFORE)
    answer = shop.pw("claim", check=None)
    assert answer.exit in {69, 76}, str(answer)
    assert shop.operations("claim") == []
    line.proxy.heal()
    token = shop.pw("claim").data["lock"]["token"]
    shop.pw("heartbeat")
    assert [claim["counter"] for claim in shop.operations("claim")] == [token]
    assert shop.open_operations() == []


@pytest.mark.parametrize("when", When)
def test_unknown_outcome_of_add_is_told_by_the_next_command(line: Line, when: When) -> None:
    """A task whose fate was unknown is there once if it arrived, else not, and the journal doesn't add it later."""
    shop = line.shop
    line.die(when)
    shop.pw("task", "add", "Check passwords", check=76 if when is When.AFTER else None)
    line.proxy.heal()
    told = shop.pw("worker", "register")
    arrived = 1 if when is When.AFTER else 0
    assert ("an earlier 'add'" in told.err) == bool(arrived)
    shop.pw("worker", "register", "--skill", "ts")
    assert len(shop.operations("add")) == arrived
    assert shop.open_operations() == []


def test_unknown_outcome_of_complete_is_found_by_doing_it_again(line: Line) -> None:
    """A second complete of what was completed already says yes and changes nothing."""
    shop = line.shop
    shop.task("Check passwords", "src/auth")
    shop.pw("claim")
    work_a_bit(shop)
    line.die(When.AFTER)
    shop.pw("complete", check=76)
    line.proxy.heal()
    assert shop.pw("complete", "task-001").data["position"] == 1
    assert len(shop.operations("complete")) == 1


def test_nobody_there_changes_nothing(line: Line) -> None:
    """With the server down from the start a write is refused with 69, and a read answers from what is known."""
    shop = line.shop
    shop.task("Check passwords", "src/auth")
    before = shop.tip()
    line.proxy.refuse()
    refused = shop.pw("claim", check=69).data
    assert (refused["code"], "nothing was changed" in f"{refused['message']} {refused['hint']}") == (
        "offline",
        True,
    )
    known = shop.pw("status").data
    assert known["tasks"]["pending"] == 1
    assert any("reached" in warning for warning in known["warnings"])
    line.proxy.heal()
    assert shop.tip() == before
    assert shop.open_operations() == []
