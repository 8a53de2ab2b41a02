"""The cells of a board and its indexes: what they say is what a full scan would say."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitpw.domain.board import HOSTS, MAJOR, Board, Empty, Key, skills_key, skills_of
from gitpw.domain.ids import ClaimId, TaskId, WorkerId
from gitpw.domain.lock import Claim, Held, Mode
from gitpw.domain.operation import REMEMBERED, Complete, Done, Lock, Register
from gitpw.domain.resource import File, Path, overlap, resource
from gitpw.domain.task import Task, TaskStatus
from gitpw.errors import ConfigError
from tests.domain.state import NOON, Dictionary, State, locks, problems, seen, table

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = st.sampled_from("abc")
KEYS = st.lists(NAMES, min_size=2, max_size=2).map(tuple)


@given(
    st.dictionaries(KEYS, st.binary(max_size=2)), st.lists(st.tuples(KEYS, st.none() | st.binary(max_size=2)))
)
def test_cells_with_changes(start: dict[Key, bytes], changes: list[tuple[Key, bytes | None]]) -> None:
    """A board with changes lists and loads like the cells that result from them."""
    board, after = Board(Dictionary(start)), dict(start)
    for key, content in changes:
        board._store(key, content)
        if content is None:
            after.pop(key, None)
        else:
            after[key] = content
    result = Dictionary(after)
    for key in [(), *((one,) for one in "abc"), *((one, two) for one in "abc" for two in "abc")]:
        assert list(board.names(key)) == list(result.names(key))
        assert board._load(key) == result.load(key)


def test_no_change_for_what_never_was() -> None:
    """What was stored and dropped again leaves no change behind."""
    board = Board(Dictionary())
    board._store(("a", "b"), b"x")
    board._store(("a", "b"), None)
    assert board.changes == {}
    assert list(board.names(())) == []


RESOURCES = st.builds(
    lambda kind, text: str(resource(kind + text)),
    st.sampled_from(["literal:", "glob:"]),
    st.text("abA*?/", min_size=1, max_size=5).filter(lambda text: not text.startswith("/")),
)
HELD = st.builds(Held, resource=RESOURCES, mode=st.sampled_from(sorted(Mode)))


def claim_of(number: int, held: list[Held]) -> Claim:
    """A claim without a task."""
    state = State()
    state.add()
    made = state.take()
    return made.but(id=ClaimId(f"{number:016x}"), task=None, locks=tuple(held))


@settings(max_examples=200)
@given(
    st.lists(st.lists(HELD, max_size=3), max_size=4),
    RESOURCES,
    st.booleans(),
    st.integers(0, 4),
    st.booleans(),
)
def test_overlapping_is_a_full_scan(
    held: list[list[Held]], wanted: str, fold: bool, dropped: int, single: bool
) -> None:
    """The trie and the list of globs find the locks that overlap a resource: all of them, and no others."""
    state = State(case_insensitive=fold)
    board = state.board
    claims = [claim_of(number, one) for number, one in enumerate(held)]
    for claim in claims:
        board.put_claim(claim)
    if dropped < len(claims):
        gone = claims.pop(dropped)
        board.put_claim(gone.but(locks=gone.locks[1:]))
        claims.insert(0, gone.but(locks=gone.locks[1:]))
    there = seen(state.cells, wanted)
    thing = File(there.text) if single and there.text else there
    expected = {
        (claim.id, str(seen(state.cells, lock.resource)))
        for claim in claims
        for lock in claim.locks
        if overlap(seen(state.cells, lock.resource), thing)
    }
    found = list(board.overlapping(thing))
    assert {(claim, str(seen(state.cells, lock.resource))) for claim, lock in found} == expected
    for name, lock in found:
        claim = next(one for one in claims if one.id == name)
        held_ = seen(state.cells, lock.resource)
        spelled = [one.mode for one in claim.locks if seen(state.cells, one.resource) == held_]
        assert lock.mode == min(spelled) if isinstance(held_, Path) else lock.mode in spelled


@pytest.mark.parametrize(
    ("held", "wanted"),
    [
        (".", "src"),
        (".", "src/auth/*.ts"),
        (".", "**"),
        ("src", "src/auth/*.ts"),
        ("src/auth", "src/auth/*.ts"),
        ("src/auth/login.ts", "src/**"),
        ("src/auth", "src/a*/**"),
        ("src", "src/auth/login.ts"),
        ("src/auth/login.ts", "src"),
        ("src/auth/login.ts", "."),
        ("src/*", "src/auth"),
        ("**/login.ts", "src/auth"),
    ],
)
def test_overlapping_from_above_and_below(held: str, wanted: str) -> None:
    """A lock is found by what lies under it and by what it lies under, be it a path or a glob."""
    state = State()
    board = state.board
    board.put_claim(claim_of(1, list(locks(held))))
    assert [str(lock.resource) for _, lock in board.overlapping(resource(wanted))] == [held]


def test_two_spellings_in_one_claim() -> None:
    """Where case doesn't count, a file that one claim holds both ways is held exclusively."""
    state = State(case_insensitive=True)
    both = (*locks("README"), *locks("readme", shared=True))
    state.done(Lock(locks=both, lease=60))
    assert state.refused(Lock(locks=locks("Readme", shared=True), lease=60), "bob").code == "held"


@given(st.lists(st.text(max_size=4), max_size=4))
def test_skills_as_a_name(skills: list[str]) -> None:
    """A set of skills can be read from its name, which is a single one."""
    name = skills_key(skills)
    assert skills_of(name) == set(skills)
    assert name
    assert "/" not in name


@given(
    st.lists(st.text("+-%2BDa/", max_size=3), max_size=3),
    st.lists(st.text("+-%2BDa/", max_size=3), max_size=3),
)
def test_names_of_skills_differ(one: list[str], two: list[str]) -> None:
    """Different sets of skills have different names."""
    assert (skills_key(one) == skills_key(two)) is (set(one) == set(two))


def test_tasks_come_in_order_of_creation() -> None:
    """Task 1000 comes after task 999, whatever their letters say."""
    board = State().board
    for number in ("1000", "999", "002"):
        board.put_task(Task(id=TaskId(f"task-{number}"), title="t", created_at=NOON))
    assert [task.id for task in board.tasks()] == ["task-002", "task-999", "task-1000"]


def test_ready_comes_in_order_of_claiming() -> None:
    """Priority first, then the longer chain, then the older."""
    board = State().board
    for number, priority, chain in ((1, 2, 0), (2, 2, 40), (300, 1, 0), (4, 2, 2_000_000), (5, 2, 40)):
        board.put_task(
            Task(id=TaskId(f"task-{number:03d}"), title="t", created_at=NOON, priority=priority, chain=chain)
        )
    assert [task.id for task in board.ready(frozenset())] == [
        "task-300",
        "task-004",
        "task-002",
        "task-005",
        "task-001",
    ]


def test_ready_by_skills() -> None:
    """A worker sees the tasks that it has all the skills for, and the others are told apart."""
    state = State()
    for skills in ((), ("go",), ("go", "sql"), ("c/c++",), ("-",)):
        state.add(skills=skills)
    board = state.board
    assert [task.id for task in board.ready(frozenset({"go", "c/c++"}))] == [
        "task-001",
        "task-002",
        "task-004",
    ]
    assert [name for name, _ in board.short_of_skills(frozenset({"go", "c/c++"}))] == ["task-003", "task-005"]


def step(state: State) -> Done:
    """Any operation."""
    number = state.board.counter
    return state.done(Register(id=WorkerId("ada"), name=f"name {number}"))


def test_recent_operations_are_found_while_they_are_remembered() -> None:
    """The outcome of an operation can be asked for until 10,000 others have followed it, and not after."""
    state = State()
    board = state.board
    operations = {}
    for number in range(2, REMEMBERED + 252):
        operation = state.operation(Register(id=WorkerId("ada")), seen=number - 1)
        board.close(operation, Done(detail={"number": number}))
        operations[number] = operation
    last = board.counter
    assert last == REMEMBERED + 251
    for number in (last, last - 1, last - 99, last - 100, last - 5_000, last - REMEMBERED + 1):
        found = board.outcome(operations[number].id, number - 1)
        assert found is not None
        assert found[0] == number
        assert board.at_counter(number) == operations[number].id
        assert board.outcome(operations[number].id, 0) == found
    for number in (2, last - REMEMBERED):
        assert board.outcome(operations[number].id, number - 1) is None
        assert board.at_counter(number) is None
    kept = [name for bucket in board.names(("recent",)) for name in board.names(("recent", bucket))]
    assert len(kept) == REMEMBERED


def test_hosts_that_were_heard_of_last_are_remembered() -> None:
    """The clocks of 32 hosts are kept, those that wrote last."""
    state = State()
    for number in range(HOSTS + 3):
        state.done(Register(id=WorkerId("ada"), name=str(number)), host=f"h{number}", minutes=-number)
    assert set(state.board.clocks) == {f"h{number}" for number in range(3, HOSTS + 3)}
    assert state.board.clocks["h7"] == NOON - timedelta(minutes=7)


def test_a_board_without_meta() -> None:
    """A state without the ledger's own record is no ledger."""
    board = Board(Dictionary({("tasks", "task-001"): b"{}"}))
    assert not board.begun
    assert board.counter == 0
    with pytest.raises(ConfigError, match="no meta record"):
        _ = board.meta


@pytest.mark.parametrize("shape", [{}, {"counter": "new shape", "ledger": ["x"]}])
def test_newer_format_is_refused_by_name(shape: dict[str, object]) -> None:
    """A ledger of a newer major format is refused with the advice to upgrade, whatever its records look like."""
    state = State()
    meta = json.loads(state.cells.contents["meta",]) | {"format": {"major": MAJOR + 1, "minor": 0}} | shape
    state.cells.contents["meta",] = json.dumps(meta).encode()
    with pytest.raises(ConfigError, match="format 2") as caught:
        _ = state.board.meta
    assert caught.value.hint == "upgrade git-pw"


def test_newer_minor_format_is_read_and_kept() -> None:
    """A ledger of a newer minor format is read, written, and keeps its version and what it has more."""
    state = State()
    meta = json.loads(state.cells.contents["meta",]) | {
        "format": {"major": MAJOR, "minor": 7, "x": 1},
        "lanes": [1],
    }
    state.cells.contents["meta",] = json.dumps(meta).encode()
    step(state)
    after = json.loads(state.cells.contents["meta",])
    assert after["format"] == {"major": MAJOR, "minor": 7, "x": 1}
    assert after["lanes"] == [1]


def spoil(state: State) -> list[tuple[Key, Callable[[Board], object]]]:
    """Cells of every kind, and a question that reads them."""
    state.room("ada", 3)
    state.add("one", "src/a", key="k")
    state.add("two", "*.md", after=("task-001",))
    claim = state.take()
    state.done(Lock(locks=locks("docs/*"), lease=60), "bob")
    glob = next(key for key in state.cells.contents if key[0] == "globs")
    turn = next(key for key in state.cells.contents if key[0] == "waiting")
    recent = next(key for key in state.cells.contents if key[0] == "recent")
    path = ("paths", "=src", "=a", f"!{claim.id}")
    keyed = next(key for key in state.cells.contents if key[0] == "keys")
    return [
        (("meta",), lambda board: board.meta),
        (("settings",), lambda board: board.settings),
        (("tasks", "task-001"), lambda board: board.task(TaskId("task-001"))),
        (("workers", "ada"), lambda board: list(board.workers())),
        (("claims", claim.id), lambda board: list(board.claims())),
        (glob, lambda board: list(board.overlapping(resource("docs")))),
        (path, lambda board: list(board.overlapping(resource("src")))),
        (recent, lambda board: board.at_counter(1)),
        (keyed, lambda board: board.keyed("k")),
        ((*turn[:-1], "x"), lambda board: list(board.waiting())),
    ]


@pytest.mark.parametrize(
    "raw", [b"\xff\xfe", b"[1]", b"{", b'{"id": 7, "mode": 7, "counter": {}, "skew": "x"}', b"null"]
)
@pytest.mark.parametrize("number", range(10))
def test_records_that_cannot_be_read(number: int, raw: bytes) -> None:
    """A record that isn't JSON, or has values of wrong types, is reported as what it is."""
    state = State()
    key, ask = spoil(state)[number]
    contents = {**state.cells.contents, key: raw}
    with pytest.raises(ConfigError, match="the ledger"):
        ask(Board(Dictionary(contents)))


def test_lock_of_what_cannot_be_locked() -> None:
    """A lock of a path outside the repository, which some other program wrote, is reported as what it is."""
    state = State()
    state.done(Lock(locks=locks("src/*"), lease=60))
    key = next(key for key in state.cells.contents if key[0] == "globs")
    raw = Held(resource="../*", mode=Mode.SHARED).to_json()
    with pytest.raises(ConfigError, match=r"holds a lock of '\.\./\*'"):
        list(Board(Dictionary({**state.cells.contents, key: raw})).overlapping(resource("src")))


CORRUPTIONS: dict[str, tuple[str, Callable[[dict[Key, bytes]], object]]] = {}


def corruption(
    rule: str,
) -> Callable[[Callable[[dict[Key, bytes]], object]], Callable[[dict[Key, bytes]], object]]:
    """Register a way to spoil a state, and the rule that must notice."""

    def add(spoiler: Callable[[dict[Key, bytes]], object]) -> Callable[[dict[Key, bytes]], object]:
        CORRUPTIONS[spoiler.__name__] = (rule, spoiler)
        return spoiler

    return add


def change(cells: dict[Key, bytes], key: Key, **fields: object) -> None:
    """Change fields of a record."""
    cells[key] = json.dumps(json.loads(cells[key]) | fields).encode()


def of(cells: dict[Key, bytes], table_: str, **fields: object) -> Key:
    """The first record of a table with these values."""
    for key, raw in sorted(cells.items()):
        if key[0] == table_ and (not fields or fields.items() <= json.loads(raw).items()):
            return key
    raise LookupError(table_)


@corruption("exclusion")
def two_holders(cells: dict[Key, bytes]) -> None:
    """Somebody else's claim has a lock on the same file."""
    held = [{"resource": "src", "mode": "shared"}]
    change(cells, of(cells, "claims", worker="bob"), locks=held)


@corruption("whole")
def task_without_claim(cells: dict[Key, bytes]) -> None:
    """A claim is gone, its task isn't free."""
    del cells[of(cells, "claims", worker="ada", queued=False)]


@corruption("whole")
def other_token(cells: dict[Key, bytes]) -> None:
    """A task has another token than its claim."""
    change(cells, of(cells, "tasks", status="claimed"), token=99)


@corruption("whole")
def worker_without_task(cells: dict[Key, bytes]) -> None:
    """A worker has room that is taken."""
    change(cells, ("workers", "ada"), currentTasks=[])


@corruption("whole")
def undead(cells: dict[Key, bytes]) -> None:
    """A claim lives that has ended."""
    cells["ended", of(cells, "claims")[1]] = b"{}"


@corruption("queue")
def lost_merge(cells: dict[Key, bytes]) -> None:
    """A completed task stands in no queue."""
    del cells[of(cells, "queue")]


@corruption("counts")
def miscount(cells: dict[Key, bytes]) -> None:
    """A count is wrong."""
    counts = json.loads(cells["meta",])["counts"]
    change(cells, ("meta",), counts=counts | {"pending": 9})


@corruption("standing")
def nowhere(cells: dict[Key, bytes]) -> None:
    """A pending task stands in no queue."""
    del cells[next(key for key in cells if key[0] == "ready")]


@corruption("standing")
def twice(cells: dict[Key, bytes]) -> None:
    """A task stands in two queues."""
    key = next(key for key in cells if key[0] == "ready")
    cells["waiting", *key[2:]] = b""


@corruption("standing")
def parked_for_nothing(cells: dict[Key, bytes]) -> None:
    """A task stands aside for a file that it doesn't need."""
    change(cells, of(cells, "tasks", parked="src"), metadata={"files": ["elsewhere"]})


@corruption("chains")
def short_chain(cells: dict[Key, bytes]) -> None:
    """A chain is too short."""
    change(cells, of(cells, "tasks", chain=30), chain=29)


@corruption("indexes")
def forgotten_lock(cells: dict[Key, bytes]) -> None:
    """A lock isn't in the trie."""
    del cells[next(key for key in cells if key[0] == "paths")]


@corruption("indexes")
def forgotten_glob(cells: dict[Key, bytes]) -> None:
    """A lock isn't in the list of globs."""
    del cells[next(key for key in cells if key[0] == "globs")]


@corruption("filed")
def forgotten_lease(cells: dict[Key, bytes]) -> None:
    """A claim isn't among those whose lease may end."""
    del cells[next(key for key in cells if key[0] == "leases")]


@corruption("filed")
def forgotten_dependent(cells: dict[Key, bytes]) -> None:
    """Nobody would tell who waits."""
    del cells[next(key for key in cells if key[0] == "dependents")]


@corruption("remembered")
def forgotten_operation(cells: dict[Key, bytes]) -> None:
    """The last operation isn't remembered."""
    del cells[max(key for key in cells if key[0] == "recent")]


def busy() -> State:
    """A state with something in every table."""
    state = State()
    state.room("ada", 3)
    first = state.add("first", "src/a", priority=1)
    state.add("second", "docs/*", after=(first,))
    state.add("third", "src", priority=2)
    state.add("fourth", "lib")
    state.add("fifth")
    state.done(Complete(task=state.take().task or TaskId("")))
    state.take()
    state.done(Lock(locks=locks("x/*"), lease=60), "bob")
    return state


def test_a_busy_state_is_sound() -> None:
    """The state that is spoilt below has something of everything, and nothing is wrong with it."""
    state = busy()
    assert problems(state.cells) == []
    assert {task.status for task in table(state.cells, "tasks", Task).values()} >= {
        TaskStatus.COMPLETED,
        TaskStatus.CLAIMED,
    }
    assert any(key[0] == "parked" for key in state.cells.contents)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_full_scan_notices(name: str) -> None:
    """Each rule of the full scan that the other tests rely on can fail."""
    rule, spoiler = CORRUPTIONS[name]
    cells = dict(busy().cells.contents)
    spoiler(cells)
    assert any(line.startswith(f"{rule}:") for line in problems(Dictionary(cells)))


def test_no_state() -> None:
    """Where there is no state, there is nothing."""
    assert Empty().load(("meta",)) is None
    assert list(Empty().names(())) == []
    assert not Board(Empty()).begun
