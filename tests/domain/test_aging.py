"""Tasks that are passed over for a held file: they keep their turn, and their files are kept for them in the end."""

from __future__ import annotations

import pytest
from hypothesis import Phase, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gitpw.domain import aging
from gitpw.domain.aging import PASSES, PATIENCE, SEATS
from gitpw.domain.board import Board
from gitpw.domain.ids import TaskId
from gitpw.domain.operation import Cancel, Complete, Done, Edit, Lock, Release, Take, Unlock
from gitpw.domain.resource import overlap, resource
from gitpw.domain.task import Reservation, Task
from tests.domain.scan import best_by_scan, elders_by_scan, goes_first
from tests.domain.state import HOUR, NOON, State, locks, problems, table

LEASE = 100 * HOUR


def land(state: State, task: str) -> None:
    """Bring a claimed task home."""
    holder = state.task(task).assigned_to
    assert holder is not None
    state.done(Complete(task=TaskId(task), queue=False), holder)


def grab(state: State, worker: str, **about: float) -> TaskId:
    """The task that a worker gets."""
    return state.done(Take(lease=LEASE), worker, **about).tasks[0]


def relay(state: State, rounds: int) -> tuple[TaskId, int]:
    """Two workers whose small tasks overlap in time, so that never both files are free; who needs both, and its turn.

    The number is that of the small tasks that began before it; -1 where it never began.
    """
    big = TaskId(state.add("big", "a", "b"))
    for file in ("a", "b"):
        state.add(f"first {file}", file, priority=2)
    for number in range(rounds):
        state.add("elsewhere", f"x{number}", priority=5)  # nobody is ever idle
    running = [grab(state, "ada"), grab(state, "bob")]
    for number in range(rounds):
        state.add("small", "ab"[number % 2])
        worker = ("ada", "bob")[number % 2]
        land(state, running[number % 2])
        running[number % 2] = grab(state, worker)
        if big in running:
            return big, number
    return big, -1


def test_small_tasks_do_not_overtake_for_ever() -> None:
    """A task that needs two files gets them, though smaller ones come in an endless row and want one each."""
    _, began = relay(State(), 40)
    assert 0 <= began <= 2 * PASSES + 2


def test_without_aging_they_would(monkeypatch: pytest.MonkeyPatch) -> None:
    """The row above does starve it where nothing is ever kept: so the test above can fail."""
    monkeypatch.setattr(aging, "PASSES", 10**9)
    assert relay(State(), 40)[1] == -1


def elder(state: State, *files: str, **about: int) -> TaskId:
    """A task that was passed over often enough, each time for the first file, which dora still holds."""
    name = TaskId(state.add("elder", *files, **about))
    state.done(Lock(locks=locks(files[0]), lease=LEASE), "dora")
    task = state.task(name)
    kept = task.but(passed=PASSES, reserved=Reservation(since=state.board.counter, at=NOON), parked=files[0])
    board = state.board
    board.put_task(kept)
    state.accept(board)
    assert problems(state.cells) == []
    return name


def told(state: State, worker: str = "ada", **about: float) -> dict[str, tuple[str, str]]:
    """Why each task isn't to be had."""
    return {one["taskId"]: (one["code"], one["reason"]) for one in state.why(worker, **about)}


def test_files_are_kept_for_an_elder() -> None:
    """What needs one of its files, or something under it, waits and is told for whom; what doesn't, goes on."""
    state = State()
    name = elder(state, "a", "src")
    small = state.add("small", "src/x.py")
    other = state.add("other", "lib")
    assert grab(state, "ada") == other
    code, why = told(state, "bob")[small]
    assert (code, why) == ("reserved", f"src/x.py is kept for {name}, which was passed over {PASSES} times")
    assert state.task(small).parked == "src/x.py"
    state.done(Release(task=other))
    assert grab(state, "bob") == other
    state.done(Edit(task=TaskId(small), files=("docs",)))
    assert grab(state, "cy") == small


def test_the_elder_goes_first_when_its_files_are_free() -> None:
    """It is granted before what waited for it, and that comes right after."""
    state = State()
    name = elder(state, "a", "b")
    small = state.add("small", "b")
    state.done(Unlock(all=True), "dora")
    assert grab(state, "ada") == name
    assert told(state, "bob")[small][0] == "held"
    land(state, name)
    assert grab(state, "bob") == small
    assert state.task(name).reserved is None


def test_more_urgent_tasks_go_before_it_for_a_while() -> None:
    """Each priority above its own has so many goes, then the files are kept from that one too."""
    state = State()
    name = elder(state, "a", "b", priority=3)
    for priority in (2, 1):
        for _ in range(PASSES):
            urgent = TaskId(state.add("urgent", "b", priority=priority))
            assert grab(state, "ada") == urgent
            land(state, urgent)
        last = state.add("urgent", "b", priority=priority)
        assert told(state)[last][0] == "reserved"
        state.done(Cancel(task=TaskId(last)))
    assert state.task(name).passed == 3 * PASSES


def test_two_elders_that_want_the_same() -> None:
    """The one that became one first goes first, whatever their ranks; they never wait for each other."""
    state = State()
    first = elder(state, "a", "m", priority=4)
    state.skip(1)
    second = elder(state, "z", "m", priority=4)
    state.done(Unlock(all=True), "dora")
    state.done(Lock(locks=locks("a"), lease=LEASE), "dora")
    assert told(state)[second][0] == "reserved"
    state.done(Unlock(all=True), "dora")
    assert grab(state, "ada") == first
    land(state, first)
    assert grab(state, "ada") == second


def test_nothing_is_kept_for_ever() -> None:
    """After two hours the files are anybody's, and the count begins again."""
    state = State()
    name = elder(state, "a", "b")
    small = TaskId(state.add("small", "b"))
    late = PATIENCE.total_seconds() / 60 + 1
    assert told(state)[small][0] == "reserved"
    assert grab(state, "ada", minutes=late) == small
    assert (state.task(name).reserved, state.task(name).passed) == (None, 0)
    assert problems(state.cells) == []


def test_whose_time_is_over_does_not_go_before_a_younger_elder() -> None:
    """Having been an elder earlier is no rank: only who sits before another goes before it."""
    state = State()
    late = PATIENCE.total_seconds() / 60 + 1
    old, young = elder(state, "x", "b"), elder(state, "y", "b")
    state.done(Unlock(resources=("x",)), "dora")
    board = state.board
    fresh = Reservation(since=board.counter, at=NOON + PATIENCE)
    board.put_task(state.task(young).but(reserved=fresh))
    state.accept(board)
    assert told(state, minutes=late)[old][1].startswith(f"b is kept for {young}")
    assert grab(state, "ada", minutes=1) == old


def test_a_reservation_from_a_wrong_clock_counts_for_nothing() -> None:
    """What was kept by a clock far ahead doesn't stop anybody whose clock isn't."""
    state = State()
    elder(state, "a", "b")
    small = TaskId(state.add("small", "b"))
    assert grab(state, "ada", minutes=-30) == small


def test_people_are_not_held_back() -> None:
    """What is claimed by name, or locked by hand, is granted though a file is kept for another."""
    state = State()
    elder(state, "a", "b", "c")
    small = TaskId(state.add("small", "b"))
    assert state.take("ada", task=small).task == small
    state.done(Lock(locks=locks("c"), lease=HOUR), "bob")


@pytest.mark.parametrize("change", ["files", "after", "cancel"])
def test_what_changes_loses_its_seat(change: str) -> None:
    """An elder that is changed, waits for something or isn't wanted any more keeps nothing."""
    state = State()
    name = elder(state, "a", "b")
    small = TaskId(state.add("small", "b"))
    if change == "cancel":
        state.done(Cancel(task=name))
    else:
        state.done(Edit(task=name, **({"files": ("x",)} if change == "files" else {"after": (small,)})))
    assert state.task(name).reserved is None
    assert grab(state, "ada") == small if change != "files" else grab(state, "ada") in {name, small}
    assert problems(state.cells) == []


def test_only_so_many_seats() -> None:
    """Files are kept for the first few elders; when one is done, the next moves up."""
    state = State()
    names = []
    for number in range(SEATS + 1):
        names.append(elder(state, f"held{number}", f"kept{number}"))
        state.skip(1)
    last = state.add("small", f"kept{SEATS}")
    first = state.add("small", "kept0")
    assert grab(state, "ada") == last
    state.done(Release(task=TaskId(last)))
    state.done(Cancel(task=names[0]))
    assert grab(state, "bob") == first
    assert told(state, "cy")[last][0] == "reserved"


FILES = ("a", "b", "c", "d")
needs = st.lists(st.sampled_from(FILES), min_size=1, max_size=2, unique=True).map(tuple)
jobs = st.tuples(needs, st.sampled_from([2, 3, 3, 3, 4]))


class Rush(RuleBasedStateMachine):
    """Workers that finish and claim, tasks that want few files over and over: who is kept waiting, and how long.

    Files are kept for whoever is passed over once, so that it happens often.
    """

    def __init__(self) -> None:
        super().__init__()
        self.state = State()
        self.minutes = 0.0
        self.passes, aging.PASSES = aging.PASSES, 1

    def teardown(self) -> None:
        """As patient as before."""
        aging.PASSES = self.passes

    @initialize(tasks=st.lists(jobs, min_size=6, max_size=12))
    def fill(self, tasks: list[tuple[tuple[str, ...], int]]) -> None:
        """Some work."""
        for files, priority in tasks:
            self.state.add("work", *files, priority=priority)

    @rule(job=jobs)
    def add(self, job: tuple[tuple[str, ...], int]) -> None:
        """More work."""
        self.state.add("more", *job[0], priority=job[1])

    @rule(worker=st.sampled_from("pqr"), minutes=st.sampled_from([0, 1, 1, 50]))
    def ask(self, worker: str, minutes: float) -> None:
        """A worker asks for a task, perhaps while it has one."""
        self.claim(worker, minutes)

    def claim(self, worker: str, minutes: float) -> None:
        """A worker without a task asks for one: it gets the best, and nobody's kept files."""
        self.minutes += minutes
        before = self.state.cells
        request = Take(lease=LEASE)
        outcome = self.state.do(request, worker, minutes=self.minutes)
        operation = self.state.last
        assert operation is not None
        board, tasks = Board(before), table(before, "tasks", Task)
        if isinstance(outcome, Done):
            chosen = tasks[outcome.tasks[0]]
            assert chosen.id == best_by_scan(before, operation, request)
            elders = elders_by_scan(board, tasks, operation)
            assert not any(goes_first(before, one, chosen, elders) for one in elders)
            free = best_by_scan(before, operation, request, keep=False)
            event("files were kept" if elders else "nothing was kept")
            if free != chosen.id:
                event("a kept file decided")
            for one in elders:
                if one.id != chosen.id and common(one, chosen):
                    assert chosen.priority < one.priority or chosen.reserved
                    assert one.passed < aging.PASSES * one.priority or chosen.reserved
        elif outcome.code == "nothing":
            assert best_by_scan(before, operation, request) is None

    @precondition(lambda self: list(self.state.board.claims()))
    @rule(number=st.integers(0, 3), landed=st.sampled_from([True, True, False]))
    def finish(self, number: int, landed: bool) -> None:
        """A worker is done with its task, or gives it back, and asks for another."""
        claims = sorted(self.state.board.claims(), key=lambda claim: claim.token)
        claim = claims[number % len(claims)]
        assert claim.task is not None
        request = Complete(task=claim.task, queue=False) if landed else Release(task=claim.task)
        self.state.done(request, claim.worker, minutes=self.minutes)
        self.claim(claim.worker, 1)

    @invariant()
    def holds(self) -> None:
        """All that a full scan can check; and a task is passed over so often at most before its files are kept."""
        assert problems(self.state.cells) == []
        for task in table(self.state.cells, "tasks", Task).values():
            assert (task.passed >= aging.PASSES) is (task.reserved is not None)


def common(one: Task, other: Task) -> bool:
    """Whether two tasks need a file in common."""
    return any(overlap(resource(mine), resource(its)) for mine in one.files for its in other.files)


Rush.TestCase.settings = settings(max_examples=30, stateful_step_count=40, phases=[Phase.generate])
TestRush = Rush.TestCase
