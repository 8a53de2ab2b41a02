"""Whether a range of commits would be allowed, by the locks of now and of then."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from gitpw.domain.ids import ClaimId, TaskId, WorkerId
from gitpw.domain.operation import (
    Add,
    Author,
    Begin,
    Complete,
    Done,
    Land,
    Landing,
    Lock,
    NewTask,
    Push,
    Register,
    Release,
    Take,
    Unlock,
)
from gitpw.domain.policy import Guarding, Policy
from gitpw.domain.review import Committed, Span, Stamp
from gitpw.errors import OfflineError
from gitpw.ledger.journal import Journal
from gitpw.ledger.ledger import Ledger
from gitpw.ledger.memory import MemoryStore
from gitpw.services.check import Checked, check
from gitpw.services.findings import public, told, way_out
from tests.domain.state import HOUR, LEDGER, NOON, locks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gitpw.domain.operation import Request
    from gitpw.ledger.commits import Entry

ONE, TWO = TaskId("task-001"), TaskId("task-002")


class Shallow(MemoryStore):
    """A store that knows only its last states until it is asked for more; some can't be asked, some are offline."""

    def __init__(self) -> None:
        super().__init__()
        self.depth: int | None = None
        self.asked_for: list[int | None] = []
        self.is_offline = False

    def fetch(self, timeout: float = 60.0) -> str | None:
        """The current state, if the remote answers."""
        if self.is_offline:
            raise OfflineError("origin can't be reached: no route")
        return super().fetch(timeout)

    def deepen(self, by: int | None = None) -> bool:
        """Know more."""
        if self.is_offline:
            raise OfflineError("origin can't be reached: no route")
        if self.depth is None:
            return False
        self.asked_for.append(by)
        self.depth = None if by is None else self.depth + by
        return True

    def history(self, commit: str) -> Iterator[Entry]:
        """As much of it as is here."""
        for number, entry in enumerate(super().history(commit)):
            if self.depth is not None and number >= self.depth:
                return
            yield entry


class Shop:
    """A ledger whose clock is set by hand, and the commits of a range."""

    def __init__(self, folder: Path) -> None:
        self.minutes = 0.0
        self.store = Shallow()
        self.ledger = Ledger(self.store, Journal(folder / "journal"), self.now)
        self.policy = Policy(policy=Guarding(critical=[]))
        self.own: list[Any] = []
        self.commits: list[Committed] = []
        self.asked: list[tuple[str, ...]] = []
        self.said: list[str] = []
        self.brought: set[str] = set()
        self.environment: dict[str, str] = {}
        self.ask(Begin(ledger=LEDGER))

    def now(self) -> datetime:
        """The moment."""
        return NOON + timedelta(minutes=self.minutes)

    def ask(self, request: Request, worker: str = "ada", minutes: float | None = None) -> Done:
        """Ask for something that must be granted."""
        self.minutes = self.minutes if minutes is None else minutes
        author = Author(worker=WorkerId(worker), host=worker, place=worker)
        outcome = self.ledger.transact(request, author).outcome
        assert isinstance(outcome, Done), outcome
        return outcome

    def task(self, *files: str, worker: str = "ada", minutes: float | None = None) -> None:
        """Add a task with these files, which a worker claims."""
        self.ask(Add(tasks=(NewTask(title="work", files=files),)), worker, minutes)
        self.ask(Take(lease=HOUR), worker)

    def token(self, task: TaskId = ONE) -> int:
        """The current token of a task."""
        found = self.ledger.board().task(task)
        assert found is not None
        assert found.token is not None
        return found.token

    def branch(self, task: TaskId = ONE) -> str | None:
        """The branch of a task."""
        found = self.ledger.board().task(task)
        assert found is not None
        return found.metadata.branch_name

    def commit(
        self, name: str, *files: str, minutes: float = 0, task: TaskId | None = None, token: int | None = None
    ) -> None:
        """One commit more, newer than all."""
        said = () if task is None and token is None else (Stamp(task, token),)
        when = NOON + timedelta(minutes=minutes)
        self.commits.insert(0, Committed(name, when, files, said))

    def check(
        self, branch: str | None = None, *, landed: bool = False, here: bool = False, strict: bool = False
    ) -> Checked:
        """Check the commits, as those of a branch."""

        def changes(_: Sequence[str], without: Sequence[str] = (), **__: object) -> list[Committed]:
            self.asked.append(tuple(without))
            names = [change.commit for change in self.commits]
            gone = min((names.index(one) for one in without if one in names), default=len(names))
            return self.commits[:gone]

        context: Any = SimpleNamespace(
            ledger=self.ledger,
            policy=self.policy,
            joined=False,
            tell=self.said.append,
            checkout=SimpleNamespace(own=lambda: self.own),
            repo=SimpleNamespace(config=lambda _: None, git_dir="/g", common_dir="/g"),
            environment=self.environment,
        )

        def own(commits: Sequence[Committed], places: set[tuple[str, str]], tip: str) -> list[Committed]:
            assert tip == "tip"
            gone = {place for place in places if place[1] in self.brought}
            kept = [tuple(file for file in one.files if (one.commit, file) not in gone) for one in commits]
            return [one._replace(files=files) for one, files in zip(commits, kept, strict=True)]

        span = Span("head", ("base",), branch, "main", landed, here, "tip")
        return check(context, SimpleNamespace(changes=changes, own=own), span, strict_time=strict)

    def found(self, *args: Any, **about: Any) -> tuple[list[str], list[str]]:
        """The violations and the warnings of a check, each as its kind, file and commit."""
        checked = self.check(*args, **about)
        lists = (checked.violations, checked.warnings)
        first, second = ([f"{one.kind} {one.file} {one.commit}" for one in found] for found in lists)
        return first, second


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A ledger that began at noon."""
    return Shop(tmp_path)


def test_nothing_against_it(shop: Shop) -> None:
    """Files that nobody holds, and one's own."""
    shop.task("a")
    shop.commit("c1", "a", "b", minutes=1)
    checked = shop.check(shop.branch())
    assert (checked.violations, checked.warnings, checked.commits, checked.as_of) == ([], [], 1, None)
    shop.commits = []
    assert shop.check().commits == 0


def test_held_now(shop: Shop) -> None:
    """What somebody else holds now stands against it, whenever it was changed."""
    shop.commit("c1", "a", minutes=0)
    shop.task("a", worker="bob", minutes=5)
    assert shop.found() == (["held a c1"], [])
    assert shop.found(shop.branch()) == ([], [])


def test_brought_in(shop: Shop) -> None:
    """A held file that a commit only brings in from the base branch is no change of it, neither now nor then."""
    shop.ask(Lock(locks=locks("a", "b"), lease=HOUR), "bob", 5)
    shop.commit("c0", "a", minutes=6)
    shop.commit("c1", "a", "b", minutes=6)
    shop.brought = {"a"}
    assert shop.found() == (["held b c1"], [])
    shop.ask(Unlock(all=True), "bob", 10)
    assert shop.found() == ([], ["was_held b c1"])


def test_held_then(shop: Shop) -> None:
    """What somebody else held only when it was changed is a warning, or by request a violation."""
    shop.ask(Lock(locks=locks("a", "b"), lease=HOUR), "bob", 5)
    shop.commit("c1", "a", "c", minutes=6)
    shop.commit("c2", "b", minutes=4)
    shop.ask(Unlock(all=True), "bob", 10)
    shop.commit("c3", "a", minutes=11)
    assert shop.found() == ([], ["was_held a c1"])
    assert shop.found(strict=True) == (["was_held a c1"], [])


def test_held_then_and_now(shop: Shop) -> None:
    """The same file is told once."""
    shop.ask(Lock(locks=locks("a"), lease=HOUR), "bob", 5)
    shop.commit("c1", "a", minutes=6)
    assert shop.found() == (["held a c1"], [])


def test_state_of_the_moment_itself(shop: Shop) -> None:
    """A lock of the very second of a commit counts for it."""
    shop.ask(Lock(locks=locks("a"), lease=HOUR), "bob", 5)
    shop.ask(Unlock(all=True), "bob", 6)
    shop.commit("c1", "a", minutes=5)
    assert shop.found() == ([], ["was_held a c1"])


def test_clocks_that_disagree(shop: Shop) -> None:
    """States are in the order of the ledger: of those written by then, the last one counts."""
    shop.ask(Lock(locks=locks("a"), lease=HOUR), "bob", 50)
    shop.ask(Register(id=WorkerId("late")), "late", 20)
    shop.ask(Unlock(all=True), "bob", 55)
    shop.commit("c1", "a", minutes=25)
    assert shop.found() == ([], ["was_held a c1"])


def test_own_branch_in_other_hands_then(shop: Shop) -> None:
    """What an earlier holder of the same task did is the task's own."""
    shop.task("a", minutes=1)
    shop.commit("c1", "a", minutes=2, task=ONE, token=shop.token())
    shop.ask(Release(task=ONE), minutes=3)
    shop.ask(Take(task=ONE, lease=HOUR), "cy", 4)
    shop.commit("c2", "a", minutes=5, task=ONE, token=shop.token())
    assert shop.found(shop.branch()) == ([], [])


# critical files


def test_critical_now(shop: Shop) -> None:
    """A lock that is held now is enough, though it wasn't when the file was changed."""
    shop.policy = Policy(policy=Guarding(critical=["p"]))
    shop.commit("c1", "p", minutes=1)
    shop.task("x", minutes=2)
    assert shop.found(shop.branch()) == (["needs_lock p c1"], [])
    claim = shop.ledger.board().task(ONE)
    assert claim is not None
    shop.ask(Lock(locks=locks("p"), lease=HOUR, into=claim.claim), minutes=3)
    assert shop.found(shop.branch()) == ([], [])


def test_critical_then(shop: Shop) -> None:
    """A lock that was held when the file was changed is enough, though the claim has ended since."""
    shop.policy = Policy(policy=Guarding(critical=["p"]))
    shop.task("p", minutes=1)
    shop.commit("c1", "p", minutes=2)
    shop.ask(Complete(task=ONE, queue=False), minutes=3)
    assert shop.found(shop.branch()) == ([], [])
    assert shop.found("other") == (["needs_lock p c1"], ["was_held p c1"])
    shop.commit("c2", "p", minutes=4)
    assert shop.found(shop.branch()) == (["needs_lock p c2"], [])


def test_critical_before_the_ledger(shop: Shop) -> None:
    """Before there was a ledger nobody had locked anything."""
    shop.policy = Policy(policy=Guarding(critical=["p"]))
    shop.commit("c1", "p", minutes=-1)
    assert shop.found() == (["needs_lock p c1"], [])


def test_strict(shop: Shop) -> None:
    """Strict rules ask for a lock on each file."""
    shop.policy = Policy(policy=Guarding(critical=[], enforce="strict"))
    shop.task("a", minutes=1)
    shop.commit("c1", "a", "b", minutes=2)
    assert shop.found(shop.branch()) == (["needs_lock b c1"], [])


# claims that were lost


def test_stale(shop: Shop) -> None:
    """A branch whose newest commit is of a claim that somebody else took over."""
    shop.task("a", minutes=1)
    shop.commit("c1", "a", minutes=2, task=ONE, token=shop.token())
    shop.ask(Register(id=WorkerId("dee")), "dee", 80)
    shop.ask(Take(task=ONE, lease=HOUR), "cy", 80)
    found = shop.check(shop.branch()).violations
    assert [one.kind for one in found] == ["stale"]
    assert public(found[0])["token"] == 3
    assert "cy has it with token" in told(found[0])
    assert "leave it to cy" in way_out(found[0])


@pytest.mark.parametrize("by", ["push", "complete"])
def test_old_commits_that_the_new_holder_vouches_for(shop: Shop, by: str) -> None:
    """What the current claim itself has pushed or handed in is good, whoever committed it."""
    shop.task("a", minutes=1)
    shop.commit("c1", "a", minutes=2, task=ONE, token=shop.token())
    shop.commit("c2", "b", minutes=2)
    shop.ask(Release(task=ONE), minutes=3)
    shop.ask(Take(task=ONE, lease=HOUR), "cy", 4)
    assert shop.found(shop.branch())[0] == ["stale None c1"]
    if by == "push":
        shop.ask(Push(task=ONE, head="c2", branch="x"), "cy", 5)
    else:
        shop.ask(Complete(task=ONE, head="c1"), "cy", 5)
    assert shop.found(shop.branch()) == ([], [])


def test_vouched_for_before(shop: Shop) -> None:
    """What an earlier claim pushed vouches for nothing."""
    shop.task("a", minutes=1)
    shop.commit("c1", "a", minutes=2, task=ONE, token=shop.token())
    shop.ask(Push(task=ONE, head="c1", branch="x"), minutes=2)
    shop.ask(Release(task=ONE), minutes=3)
    shop.ask(Take(task=ONE, lease=HOUR), "cy", 4)
    assert shop.found(shop.branch())[0] == ["stale None c1"]


# on the base branch


def test_landed_by_the_queue(shop: Shop) -> None:
    """What the merge queue landed was judged by it, whoever holds the files since."""
    shop.task("a", minutes=1)
    shop.commit("c1", "a", minutes=2, task=ONE, token=shop.token())
    shop.ask(Complete(task=ONE, head="c0"), minutes=3)
    shop.ask(Land(landings=(Landing(task=ONE, head="c0", commit="c1"),)), "merger", 4)
    shop.ask(Lock(locks=locks("a"), lease=HOUR), "cy", 5)
    assert shop.found("main", landed=True) == ([], [])
    assert ("base", "c1") in shop.asked
    shop.commit("c2", "a", minutes=6)
    assert shop.found("main", landed=True) == (["held a c2"], [])


def test_pushed_before_somebody_took_the_lock(shop: Shop) -> None:
    """A lock that was taken when a change was on the base branch already is no reason to complain of the change."""
    shop.commit("c1", "a", minutes=2)
    shop.ask(Lock(locks=locks("a"), lease=HOUR), "cy", 5)
    assert shop.found("main", landed=True) == ([], ["held a c1"])
    assert shop.found("topic") == (["held a c1"], [])
    shop.commit("c2", "a", minutes=6)
    assert shop.found("main", landed=True) == (["held a c2"], [])


# here


def test_claims_of_this_checkout(shop: Shop) -> None:
    """Where it is this checkout's own work, its claims count, also those without a task; elsewhere they don't."""
    done = shop.ask(Lock(locks=locks("a"), lease=HOUR), minutes=1)
    shop.own = [SimpleNamespace(claim=ClaimId(done.claim or ""), worker="ada")]
    shop.commit("c1", "a", minutes=2)
    assert shop.found("x", here=True) == ([], [])
    assert shop.found("x") == (["held a c1"], [])
    shop.environment = {"GITPW_WORKER": "bob"}
    assert shop.found("x", here=True) == (["held a c1"], [])


# how far back


def test_no_further_back_than_needed(shop: Shop) -> None:
    """Of a long history, as much is fetched as the oldest commit asks for."""
    for number in range(300):
        shop.ask(Register(id=WorkerId(f"w{number}")), minutes=number)
    shop.commit("c1", "a", minutes=299)
    shop.store.depth = 1
    shop.check()
    assert shop.store.asked_for == []
    shop.commit("c2", "a", minutes=298)
    shop.check()
    assert shop.store.asked_for == [256]
    shop.commit("c3", "a", minutes=10)
    shop.check()
    assert shop.store.asked_for == [256, 256]


def test_history_that_can_not_be_had(shop: Shop) -> None:
    """Where earlier states can't be fetched, that is said, and the locks of now decide."""
    shop.ask(Lock(locks=locks("a"), lease=HOUR), "bob", 5)
    shop.commit("c1", "a", "b", minutes=1)
    shop.store.depth = 1
    before = shop.store.deepen

    def fails(by: int | None = None) -> bool:
        del by
        raise OfflineError("origin can't be reached: no route")

    shop.store.deepen = fails  # type: ignore[method-assign]
    assert shop.found() == (["held a c1"], [])
    assert shop.said == ["origin can't be reached: no route: earlier locks are not known"]
    shop.store.deepen = before  # type: ignore[method-assign]


def test_offline(shop: Shop) -> None:
    """Without the remote, the last known locks decide and it is said, or by policy nothing does."""
    shop.ask(Lock(locks=locks("a"), lease=HOUR), "bob", 5)
    shop.commit("c1", "a", minutes=6)
    shop.store.is_offline = True
    assert shop.found()[0] == ["held a c1"]
    assert "judged by the locks of" in shop.said[0]
    shop.policy = Policy(policy=Guarding(critical=[], offline="block"))
    with pytest.raises(OfflineError, match="the locks can't be checked"):
        shop.check()


def test_many_commits_and_states(shop: Shop) -> None:
    """Each commit is judged by its own state, however many there are of both."""
    for number in range(60):
        request = Lock(locks=locks("a"), lease=HOUR) if number % 2 else Unlock(all=True)
        if number:
            shop.ask(request, "bob", number)
        shop.commit(f"c{number}", "a", f"f{number}", minutes=number + 0.5)
    violations, warnings = shop.found()
    assert violations == ["held a c59"]
    shop.ask(Unlock(all=True), "bob", 70)
    violations, warnings = shop.found()
    assert violations == []
    assert warnings == [f"was_held a c{number}" for number in range(59, 0, -2)]
