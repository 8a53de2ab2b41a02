"""The rules as one machine: whatever many workers ask for in whatever order, the promises hold after every step."""

from __future__ import annotations

import json
from typing import Any, NamedTuple, get_args

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gitpw.domain.board import Board
from gitpw.domain.ids import ClaimId, TaskId, WorkerId
from gitpw.domain.lock import Claim, Held, Mode
from gitpw.domain.operation import (
    REMEMBERED,
    Add,
    Begin,
    Call,
    Cancel,
    Complete,
    Done,
    Edit,
    Expire,
    Fail,
    Land,
    Landing,
    Leave,
    Lock,
    Mine,
    Moved,
    NewTask,
    Operation,
    Outcome,
    Push,
    Refused,
    Register,
    Release,
    Renew,
    Report,
    Request,
    Restore,
    Retry,
    Split,
    Start,
    Suspect,
    Take,
    Unlock,
    Unregister,
    Wait,
)
from gitpw.domain.record import Record
from gitpw.domain.rulebook import LEAP, RULES
from gitpw.domain.settings import Settings
from gitpw.domain.task import FailureKind
from gitpw.domain.waiter import Waiter
from tests.domain.scan import best_by_scan, is_free, line_by_scan, over, stands_before
from tests.domain.state import LEDGER, State, problems, table

WORKERS = ("ada", "bob", "cy")
HOSTS = {"desk": 0, "lap": 0, "cloud": -2, "fast": 200, "slow": -200}
"""Hosts, and by how many minutes their clocks are wrong."""
RESOURCES = ("a", "a/b", "a/c", "A/B", "d", "e/f", "e/g", "e/*", "**/b", "glob:d", "literal:a*", "x?", ".")
SKILLS = ("go", "c/c++", "-", "x+y", "%2B")

numbers = st.integers(0, 30)
workers = st.sampled_from(WORKERS)
hosts = st.sampled_from(["desk", *sorted(HOSTS)])
places = st.sampled_from(["main", "main", "tree"])
some = st.booleans()
names = st.sampled_from(RESOURCES)
files = st.sampled_from([0, 1, 1, 2]).flatmap(lambda size: st.tuples(*[names] * size))
lock_ = st.builds(Held, resource=names, mode=st.sampled_from(sorted(Mode)))
extras = st.sampled_from([0, 0, 0, 1]).flatmap(lambda size: st.tuples(*[lock_] * size))
wishes = st.sampled_from([1, 2]).flatmap(lambda size: st.tuples(*[lock_] * size))
skill_sets = st.sampled_from([0, 0, 0, 1, 2]).flatmap(
    lambda size: st.tuples(*[st.sampled_from(SKILLS)] * size)
)
maybe = st.none() | numbers
rarely = st.sampled_from([None, None, None, 0, 1, 4])
new_tasks = st.tuples(
    files, st.sampled_from([(), (), (0,), (3,), (1, 2)]), skill_sets, st.integers(1, 3), rarely
)


PLANS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "add": st.fixed_dictionaries(
        {
            "tasks": st.lists(new_tasks, min_size=1, max_size=3),
            "chain": some,
            "key": st.none() | st.sampled_from("kl"),
        }
    ),
    "edit": st.fixed_dictionaries(
        {
            "task": numbers,
            "files": st.none() | files,
            "after": maybe,
            "without": maybe,
            "skills": st.none() | skill_sets,
            "estimate": st.none() | st.integers(0, 50),
            "priority": st.none() | st.integers(1, 3),
            "parent": rarely,
            "no_parent": some,
            "related": rarely,
        }
    ),
    "split": st.fixed_dictionaries(
        {"task": numbers, "titles": st.sampled_from([("x",), ("x", "y")]), "files": st.none() | files}
    ),
    "register": st.fixed_dictionaries(
        {
            "other": workers,
            "host": hosts,
            "room": st.sampled_from([None, None, 0, 1, 2, 3]),
            "skills": st.none() | skill_sets,
        }
    ),
}

WORDS: dict[str, tuple[type[Any], dict[str, Any]]] = {
    "complete": (Complete, {"head": "1" * 40}),
    "done": (Complete, {"queue": False}),
    "fail": (Fail, {"reason": "too hard"}),
    "stumble": (Fail, {"reason": "the network is down", "kind": FailureKind.AGENT_ERROR}),
    "progress": (Report, {"done": 1, "total": 3}),
    "push": (Push, {"head": "1" * 40, "branch": "b"}),
    "release": (Release, {}),
    "start": (Start, {}),
}


class Grant(NamedTuple):
    """A claim as its holder remembers it, long after it may have been lost."""

    claim: ClaimId
    token: int
    task: TaskId | None
    worker: str


class Ledgers(RuleBasedStateMachine):
    """Workers on hosts with wrong clocks ask for everything there is."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State(begun=False)
        self.minutes = 0
        self.grants: list[Grant] = []
        self.past: list[tuple[Operation, Outcome]] = []
        self.living: dict[str, Claim] = {}

    # asking

    @initialize(
        fold=some, room=st.sampled_from([1, 2, 3, 3]), tasks=st.lists(new_tasks, min_size=4, max_size=7)
    )
    def begin(self, fold: bool, room: int, tasks: list[Any]) -> None:
        """Begin a ledger that heeds case or doesn't, with some workers and tasks."""
        self.ask(Begin(ledger=LEDGER, settings=Settings(case_insensitive=fold)), "ada", "desk")
        for worker in WORKERS:
            about = {"id": WorkerId(worker), "max_concurrent_tasks": room, "skills": SKILLS[: room + 1]}
            self.ask(Register(**about), worker, "desk")
        self.add(tasks, chain=False, key=None)

    def ask(self, request: Request, worker: str, host: str, place: str = "main") -> Outcome:
        """Ask, and check what must be true of any answer."""
        before = self.state.cells
        contents = dict(before.contents)
        operation = self.state.operation(
            request, worker, host=host, place=place, minutes=self.minutes + HOSTS[host]
        )
        outcome = self.state.apply(operation)
        assert before.contents == contents
        if isinstance(outcome, Refused) or not outcome.changed:
            assert self.state.cells is before, "a refusal changes nothing"
        else:
            assert Board(self.state.cells).counter == (Board(before).counter if before.contents else 0) + 1
            self.past.append((operation, outcome))
        self.check_ends(Board(before), operation)
        self.check_grant(operation, outcome)
        self.check_turn(before, operation, outcome)
        return outcome

    def check_turn(self, before: Any, operation: Operation, outcome: Outcome) -> None:
        """Whoever is granted something new has overtaken nobody who waits for it, and waits no more."""
        request = operation.request
        if not isinstance(outcome, Done) or not outcome.changed or not isinstance(request, Take | Lock):
            return
        task, wanted = None, list(request.locks)
        into = request.into if isinstance(request, Lock) else outcome.claim
        if isinstance(request, Take) and outcome.claim not in table(before, "claims", Claim):
            task = outcome.tasks[0]
            mode = Mode.SHARED if request.shared else Mode.EXCLUSIVE
            wanted += [Held(resource=file, mode=mode) for file in self.state.task(task).files]
        waits = table(before, "waits", Waiter)
        own = waits.get(f"{request.waiting or 0:012d}")
        mine = own is not None and (own.worker, own.place) == (
            operation.author.worker,
            operation.author.place,
        )
        for one in line_by_scan(before, operation, request.waiting if mine else None):
            assert not stands_before(before, one, operation, wanted, task, into), f"{one} was overtaken"
        if own is not None and mine:
            assert self.state.board.waiter(own.ticket) is None

    def check_grant(self, operation: Operation, outcome: Outcome) -> None:
        """A new grant's token is larger than any before, and its claim has all that was asked for."""
        if isinstance(outcome, Done) and outcome.changed and isinstance(operation.request, Take | Lock):
            assert outcome.claim is not None
            claim = self.state.claim(outcome.claim)
            assert claim.token == outcome.token
            assert {lock.resource for lock in operation.request.locks} <= {
                lock.resource for lock in claim.locks
            }
            for lock in operation.request.locks:
                assert claim.mode(lock.resource) in {lock.mode, Mode.EXCLUSIVE}
            if claim.id not in {grant.claim for grant in self.grants}:
                assert claim.token > max((grant.token for grant in self.grants), default=0)
                assert claim.worker == operation.author.worker
                self.grants.append(Grant(claim.id, claim.token, claim.task, claim.worker))
                self.check_room(claim)

    def check_room(self, claim: Claim) -> None:
        """A task that was just granted fits its worker, and is locked whole."""
        if claim.task is None:
            return
        worker = self.state.board.worker(claim.worker)
        task = self.state.task(claim.task)
        assert worker is not None
        assert len(worker.current_tasks) <= worker.max_concurrent_tasks
        assert set(task.required_skills) <= set(worker.skills)
        assert set(task.files) <= {lock.resource for lock in claim.locks}
        assert not self.state.board.unmet(task)

    def check_ends(self, before: Board, operation: Operation) -> None:
        """A claim ends by its holder, by force, by landing, or because its lease had ended; and never lives again."""
        living = table(self.state.cells, "claims", Claim)
        assert not (set(living) - set(self.living)) & {grant.claim for grant in self.grants}
        for name, claim in self.living.items():
            if name in living:
                assert living[name].token == claim.token
                continue
            ending = self.state.board.ending(ClaimId(name))
            assert ending is not None
            if ending.how in {"taken over", "expired"}:
                assert not claim.queued
                assert over(before, claim.lease, operation), f"{claim} was taken over too early"
            elif not ending.how.startswith("unlocked by force") and ending.how != "merged":
                assert operation.author.worker == claim.worker
        self.living = living

    # time and workers

    @rule(minutes=st.sampled_from([1, 11, 33, 66, 400]))
    def wait(self, minutes: int) -> None:
        """Time passes."""
        self.minutes += minutes

    def register(self, other: str, host: str, room: int | None, skills: tuple[str, ...] | None) -> None:
        """Somebody changes what is known of a worker; one with no room leaves, unless it holds something."""
        if room == 0:
            outcome = self.ask(Unregister(id=WorkerId(other)), "bob", host)
            holds = any(claim.worker == other for claim in self.living.values())
            assert not holds or isinstance(outcome, Refused)
        else:
            self.ask(Register(id=WorkerId(other), max_concurrent_tasks=room, skills=skills), "bob", host)

    # the backlog

    @rule(
        data=st.data(), what=st.sampled_from(["add", "cancel", "edit", "edit", "register", "retry", "split"])
    )
    def plan(self, data: st.DataObject, what: str) -> None:
        """Somebody changes what is to be done, or by whom."""
        if what in {"cancel", "retry"}:
            kind = Cancel if what == "cancel" else Retry
            self.ask(kind(task=self.some_task(data.draw(numbers))), "cy", "desk")
        else:
            getattr(self, what)(**data.draw(PLANS[what]))

    def add(self, tasks: list[Any], chain: bool, key: str | None) -> None:
        """Add tasks, some after others, some in a row, some imported a second time."""
        known = self.state.board.meta.tasks
        new = []
        for place, (wanted, after, skills, priority, parent) in enumerate(tasks):
            needed = {f"task-{1 + number % known:03d}" for number in after} if known else set()
            if chain and place:
                needed.add(f"task-{known + place:03d}")
            new.append(
                NewTask(
                    title=f"task {place}",
                    files=wanted,
                    after=tuple(sorted(needed)),
                    skills=skills,
                    priority=priority,
                    estimate=None if priority == 1 else 10 * priority,
                    key=None if key is None else f"{key}{place}",
                    parent=None if parent is None or not known else f"task-{1 + parent % known:03d}",
                    related=(f"task-{1 + priority % known:03d}",) if known > priority else (),
                )
            )
        self.ask(Add(tasks=tuple(new)), "ada", "desk")

    def some_task(self, number: int) -> TaskId:
        """One of the tasks, or one that doesn't exist."""
        return TaskId(f"task-{1 + number % (self.state.board.meta.tasks + 1):03d}")

    def edit(
        self,
        task: int,
        after: int | None,
        without: int | None,
        parent: int | None,
        related: int | None,
        **about: Any,
    ) -> None:
        """Somebody changes a task."""
        request = Edit(
            task=self.some_task(task),
            after=() if after is None else (self.some_task(after),),
            no_after=() if without is None else (self.some_task(without),),
            parent=None if parent is None else self.some_task(parent),
            related=() if related is None else (self.some_task(related),),
            **about,
        )
        self.ask(request, "bob", "desk")

    def split(self, task: int, **about: Any) -> None:
        """Somebody takes a task apart."""
        self.ask(Split(task=self.some_task(task), **about), "bob", "desk")

    # claiming and locking

    @rule(worker=workers, host=hosts, place=places, extra=extras, shared=some)
    def claim_best(self, worker: str, host: str, place: str, extra: tuple[Held, ...], shared: bool) -> None:
        """A worker claims the best task, perhaps with more files, perhaps to share them."""
        self.take_best(worker, host, place, extra, shared=shared)

    def take_best(self, worker: str, host: str, place: str, extra: tuple[Held, ...], *, shared: bool) -> None:
        """Claim the task that comes first of those that a full scan finds to be had, or nothing if there is none."""
        before = self.state.cells
        request = Take(lease=3600, locks=extra, shared=shared)
        outcome = self.ask(request, worker, host, place)
        operation = self.state.last
        assert operation is not None
        best = best_by_scan(before, operation, request)
        if isinstance(outcome, Done):
            assert outcome.tasks == (best,)
        elif outcome.code == "nothing":
            assert best is None

    @rule(worker=workers, host=hosts)
    def claim(self, worker: str, host: str) -> None:
        """A worker claims the best task, with no special wishes."""
        self.take_best(worker, host, "main", (), shared=False)

    @rule(worker=workers, host=hosts, place=places, task=numbers, extra=extras, shared=some)
    def claim_named(
        self, worker: str, host: str, place: str, task: int, extra: tuple[Held, ...], shared: bool
    ) -> None:
        """A worker claims a task by name."""
        request = Take(task=self.some_task(task), lease=3600, locks=extra, shared=shared)
        self.ask(request, worker, host, place)

    @rule(worker=workers, host=hosts, place=places, wanted=wishes)
    def lock(self, worker: str, host: str, place: str, wanted: tuple[Held, ...]) -> None:
        """A worker locks resources without a task."""
        self.ask(Lock(locks=wanted, lease=3600), worker, host, place)

    @precondition(lambda self: self.grants)
    @rule(grant=numbers, host=hosts, wanted=wishes)
    def lock_into(self, grant: int, host: str, wanted: tuple[Held, ...]) -> None:
        """A holder, perhaps a former one, locks more within its claim."""
        mine = self.some_grant(grant)
        outcome = self.ask(Lock(locks=wanted, lease=3600, into=mine.claim), mine.worker, host)
        assert mine.claim in self.living or isinstance(outcome, Refused)

    # waiting

    @rule(
        worker=workers,
        host=hosts,
        place=places,
        wanted=wishes,
        task=st.none() | numbers,
        how=st.tuples(st.sampled_from([30, 300, 9_000]), st.sampled_from(["lock", "lock", "claim", "any"])),
    )
    def stand_in_line(
        self,
        worker: str,
        host: str,
        place: str,
        wanted: tuple[Held, ...],
        task: int | None,
        how: tuple[int, str],
    ) -> None:
        """A worker begins to wait for locks, for a task or for any task."""
        seconds, verb = how
        want: Take | Lock = Lock(locks=wanted, lease=3600)
        if verb != "lock":
            name = self.some_task(task or 0) if verb == "claim" else None
            want = Take(task=name, locks=wanted[1:], lease=3600)
        before = self.state.board.counter
        outcome = self.ask(Wait(want=want, seconds=seconds), worker, host, place)
        if isinstance(outcome, Done):
            made = self.state.board.waiter(before + 1)
            assert made is not None
            assert (made.worker, made.place, made.locks, made.task) == (worker, place, want.locks, made.task)

    @precondition(lambda self: any(self.state.board.waiters()))
    @rule(number=numbers, host=hosts)
    def take_turn(self, number: int, host: str) -> None:
        """One who waits tries whether it is granted now, and is if it is first and all is free."""
        waiters = list(self.state.board.waiters())
        one = waiters[number % len(waiters)]
        before = self.state.cells
        if one.verb == "claim":
            request = Take(task=one.task, locks=one.locks, lease=3600, waiting=one.ticket)
            self.ask(request, one.worker, host, one.place)
            return
        outcome = self.ask(Lock(locks=one.locks, lease=3600, waiting=one.ticket), one.worker, host, one.place)
        operation = self.state.last
        assert operation is not None
        line = line_by_scan(before, operation, one.ticket)
        first = not any(stands_before(before, other, operation, one.locks) for other in line)
        wanted = [(lock.resource, lock.mode) for lock in one.locks]
        free = is_free(Board(before), before, operation, wanted)
        assert isinstance(outcome, Done) or not (first and free)

    @precondition(lambda self: any(self.state.board.waiters()))
    @rule(number=numbers, worker=workers, host=hosts, what=st.sampled_from(["call", "answer", "leave"]))
    def signs(self, number: int, worker: str, host: str, what: str) -> None:
        """Somebody asks for a sign of life, one is given, or somebody waits no more."""
        waiters = list(self.state.board.waiters())
        one = waiters[number % len(waiters)]
        if what == "call":
            self.ask(Call(tickets=(one.ticket,)), worker, host)
        elif what == "leave":
            outcome = self.ask(Leave(tickets=(one.ticket,)), worker, host)
            assert isinstance(outcome, Refused) is (worker != one.worker and host != one.host)
        else:
            want = Lock(locks=one.locks or (Held(resource="a", mode=Mode.SHARED),), lease=60)
            self.ask(Wait(want=want, seconds=60, ticket=one.ticket), one.worker, host, one.place)

    @rule(
        worker=workers,
        which=numbers,
        name=names,
        force=some,
        everything=st.sampled_from([False, False, True]),
    )
    def unlock(self, worker: str, which: int, name: str, force: bool, everything: bool) -> None:
        """A worker gives up a lock, or all, or takes away somebody's by force; mostly one that there is."""
        before = self.living
        held = sorted(lock.resource for claim in before.values() for lock in claim.locks)
        wanted = (held[which % len(held)] if held and which % 4 else name,)
        reason = "it is urgent" if force else None
        request = Unlock(resources=wanted, all=everything, force=force, reason=reason)
        self.ask(request, worker, "desk")
        if not force:
            assert {before[claim].worker for claim in set(before) - set(self.living)} <= {worker}

    # holding

    def some_grant(self, number: int) -> Grant:
        """A live claim of a task in three of four cases, if there is any; else any claim that ever was."""
        live = [grant for grant in self.grants if grant.task and grant.claim in self.living]
        among = live if live and number % 4 else self.grants
        return among[number // 4 % len(among)]

    @precondition(lambda self: self.grants)
    @rule(which=st.lists(numbers, min_size=1, max_size=3), host=hosts)
    def renew(self, which: list[int], host: str) -> None:
        """A machine renews the claims that it remembers: those that are lost are told, and stay lost."""
        mine = [self.some_grant(number) for number in which]
        alive = [grant.claim for grant in mine if grant.claim in self.living]
        request = Renew(claims=tuple(Mine(claim=grant.claim, token=grant.token) for grant in mine))
        outcome = self.ask(request, mine[0].worker, host)
        if not alive:
            assert isinstance(outcome, Refused)
            assert outcome.code == "stale"
        else:
            assert isinstance(outcome, Done)
            assert outcome.detail["renewed"] == alive

    @rule(which=st.lists(numbers, max_size=3), worker=workers, host=hosts, marking=some)
    def tidy(self, which: list[int], worker: str, host: str, marking: bool) -> None:
        """A host marks leases that look over to it, or tidies up: nothing that may be taken over is left."""
        names = sorted(self.living)
        if marking and names:
            claims = tuple(ClaimId(names[number % len(names)]) for number in which)
            self.ask(Suspect(claims=claims), worker, host)
            return
        self.ask(Expire(), worker, host)
        assert self.state.last is not None
        after = self.state.last.but(seen=self.state.board.counter)
        left = [claim.lease for claim in self.living.values() if not claim.queued]
        assert not any(over(self.state.board, lease, after) for lease in left)

    @precondition(lambda self: self.grants)
    @rule(grant=numbers, named=some, host=hosts, verb=st.sampled_from(["start", "progress", "push"]))
    def work(self, grant: int, named: bool, host: str, verb: str) -> None:
        """A holder, perhaps a former one, works on its task."""
        self.say(grant, host, verb, named=named)

    @precondition(lambda self: self.grants)
    @rule(
        grant=numbers,
        named=some,
        host=hosts,
        verb=st.sampled_from(["complete", "complete", "done", "fail", "release", "stumble"]),
    )
    def hand_in(self, grant: int, named: bool, host: str, verb: str) -> None:
        """A holder, perhaps a former one, is done with its task, one way or the other."""
        self.say(grant, host, verb, named=named)

    def say(self, grant: int, host: str, verb: str, *, named: bool) -> None:
        """Say something of a task, with the token of its grant or without."""
        mine = self.some_grant(grant)
        task = mine.task or TaskId("task-001")
        about = {"claim": mine.claim, "token": mine.token} if named else {}
        lives = mine.claim in self.living
        exists = self.state.board.task(task) is not None
        kind, more = WORDS[verb]
        outcome = self.ask(kind(task=task, **about, **more), mine.worker, host)
        if named and not lives:
            assert isinstance(outcome, Refused)
            assert outcome.code == ("stale" if exists else "invalid")

    @precondition(lambda self: self.state.board.merges())
    @rule(task=numbers, right=some)
    def land(self, task: int, right: bool) -> None:
        """A merger records what it merged, perhaps another state of the branch than what waits, or another task."""
        merges = self.state.board.merges()
        name = self.some_task(task) if task % 5 == 0 else merges[task % len(merges)].task_id
        waits = {merge.task_id for merge in merges}
        outcome = self.ask(
            Land(landings=(Landing(task=name, head=("1" if right else "2") * 40),)), "ada", "desk"
        )
        assert isinstance(outcome, Done)
        assert outcome.changed is (name in waits and right)

    # again

    @precondition(lambda self: self.past)
    @rule(number=numbers)
    def same_again(self, number: int) -> None:
        """An operation that is applied a second time changes nothing, and is answered as the first time."""
        operation, outcome = self.past[-1 - number % len(self.past)]
        before = self.state.cells
        assert isinstance(outcome, Done)
        again = self.state.apply(operation)
        assert self.state.cells is before
        assert isinstance(again, Done)
        assert not again.changed
        assert again.but(changed=True).to_json() == outcome.to_json()

    @invariant()
    def holds(self) -> None:
        """All that a full scan can check."""
        if self.state.cells.contents:
            assert problems(self.state.cells) == []


Ledgers.TestCase.settings = settings(max_examples=120, stateful_step_count=50)
TestLedgers = Ledgers.TestCase


def test_every_request_has_a_rule() -> None:
    """There is nothing that may be asked and has no answer."""
    assert set(RULES) == set(get_args(Request))


def test_nothing_before_the_beginning() -> None:
    """Where there is no ledger, nothing but its beginning is granted."""
    assert State(begun=False).refused(Add(tasks=(NewTask(title="t"),))).hint == "git pw init"


def test_one_beginning() -> None:
    """A ledger that has begun doesn't begin again."""
    assert State().refused(Begin(ledger=LEDGER)).code == "invalid"


def test_newer_operations_are_left_alone() -> None:
    """An operation of a newer version is refused."""
    state = State()
    operation = state.operation(Register(id=WorkerId("ada")))
    outcome = state.apply(operation.but(v=2))
    assert isinstance(outcome, Refused)
    assert outcome.hint == "upgrade git-pw"


def test_too_old_operations_are_refused() -> None:
    """An operation that was decided before the ledger's memory begins is refused: it may have been applied."""
    state = State()
    operation = state.operation(Register(id=WorkerId("ada")))
    state.skip(REMEMBERED)
    assert isinstance(state.apply(operation), Done)
    state = State()
    operation = state.operation(Register(id=WorkerId("ada")))
    state.skip(REMEMBERED + 1)
    outcome = state.apply(operation)
    assert isinstance(outcome, Refused)
    assert outcome.code == "contended"


def test_applied_and_remembered() -> None:
    """An operation is answered as it was as long as the ledger's memory reaches back to it."""
    state = State()
    operation = state.operation(Register(id=WorkerId("ada")))
    first = state.apply(operation)
    assert isinstance(first, Done)
    state.skip(REMEMBERED - 1)
    again = state.apply(operation)
    assert isinstance(again, Done)
    assert again.to_json() == first.but(changed=False).to_json()


def test_restored_ledger_gives_new_tokens() -> None:
    """A restored ledger's counter is far ahead, and what was remembered before is still known."""
    state = State()
    state.room("ada", 2)
    state.add()
    state.add()
    old = state.take()
    before = state.last
    state.done(Restore(reason="it had vanished"))
    assert state.board.meta.restored == old.token
    assert state.take().token > old.token + LEAP
    assert before is not None
    assert isinstance(again := state.apply(before), Done)
    assert (again.changed, again.token) == (False, old.token)
    assert problems(state.cells) == []


def test_restored_above_what_another_has_seen() -> None:
    """A ledger is restored above every counter that is known, not only its own."""
    state = State()
    state.done(Restore(reason="it had gone backwards", above=5 * LEAP))
    assert state.board.counter > 6 * LEAP
    state.add()
    assert problems(state.cells) == []


def test_moved_and_back() -> None:
    """The mark of a ledger that moved can be set and taken away."""
    state = State()
    state.done(Moved())
    assert state.board.meta.moved
    state.done(Moved(back=True))
    assert not state.board.meta.moved


def test_records_read_back() -> None:
    """Every record that all kinds of operations have written reads back as what it was."""
    state = State()
    state.room("ada", 3)
    state.add("work", "a", "*.md", after=(), skills=(), issue=4, estimate=3, key="k")
    claim = state.take()
    state.done(Report(task=claim.task or TaskId(""), step="x", percent=3, eta=4))
    state.done(Complete(task=claim.task or TaskId(""), head="1" * 40))
    for key, raw in state.cells.contents.items():
        if raw.startswith(b"{"):
            assert json.loads(raw) == json.loads(Record.from_json(raw).to_json()), key
