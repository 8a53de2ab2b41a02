"""Whether a file may be changed: the rule, held against a scan of everything that knows no tree and no automaton."""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitpw.domain.board import Board
from gitpw.domain.guard import matches, violations
from gitpw.domain.ids import ClaimId, WorkerId
from gitpw.domain.lock import Claim, Held, Lease, Mode
from gitpw.domain.policy import Guarding
from gitpw.domain.resource import observed
from gitpw.domain.worker import WorkerType
from tests.domain.state import NOON, Dictionary, State

NAMES = ("a", "b", "ab", "A")
FILES = [
    *NAMES,
    *(f"{one}/{two}" for one in NAMES for two in NAMES),
    *(f"a/{one}/{two}" for one in NAMES for two in NAMES),
]
EXCLUSIVE, SHARED = Mode.EXCLUSIVE, Mode.SHARED


class Lock(NamedTuple):
    """One lock of the claim number `claim`."""

    claim: int
    resource: str
    mode: Mode


def board(*locks: Lock, fold: bool = False) -> Board:
    """A board that holds these locks, whether or not a ledger would have granted all of them."""
    state = Board(Dictionary(State(case_insensitive=fold).cells.contents))
    for number in sorted({lock.claim for lock in locks}):
        held = tuple(Held(resource=lock.resource, mode=lock.mode) for lock in locks if lock.claim == number)
        state.put_claim(claim(number, *dict.fromkeys(held)))
    return state


def claim(number: int, *held: Held) -> Claim:
    """A live claim of so many locks."""
    lease = Lease(duration=3600, written_at=NOON, expires_at=NOON, host="desk", version=1)
    return Claim(
        id=name(number),
        worker=WorkerId(f"worker-{number}"),
        worker_type=WorkerType.HUMAN,
        token=number,
        locks=held,
        claimed_at=NOON,
        lease=lease,
    )


def name(number: int) -> ClaimId:
    """The id of a claim."""
    return ClaimId(f"{number:016x}")


def found(
    state: Board, *files: str, mine: tuple[int, ...] = (), **rules: object
) -> set[tuple[str, int | None, str | None]]:
    """The violations as sets are compared: file, number of the claim in the way, its lock."""
    guarding = Guarding.model_validate({"critical": [], **rules})
    told = violations(state, {name(number) for number in mine}, guarding, files)
    return {(one.file, None if one.claim is None else int(one.claim.id, 16), one.locked) for one in told}


# The rule by example


def test_foreign_lock_forbids() -> None:
    """What covers a file, as file, folder, root or glob, forbids its change; what doesn't, does not."""
    for covering in ("src/a.py", "src", ".", "src/*.py", "**/a.py", "glob:src/a.py"):
        assert found(board(Lock(1, covering, EXCLUSIVE)), "src/a.py") == {("src/a.py", 1, covering)}
    for other in ("src/a", "src/a.py/x", "src/a.pyc", "sr", "*.py", "literal:src/*.py"):
        assert found(board(Lock(1, other, EXCLUSIVE)), "src/a.py") == set()


def test_own_lock_allows() -> None:
    """Whichever mode, and whatever else is held."""
    for mode in Mode:
        assert found(board(Lock(1, "src", mode)), "src/a.py", mine=(1,)) == set()


def test_own_lock_is_no_leave_against_a_foreign_one() -> None:
    """Two claims of one worker exclude each other like any two."""
    state = board(Lock(1, "src", EXCLUSIVE), Lock(2, "src/a.py", EXCLUSIVE))
    assert found(state, "src/a.py", "src/b.py", mine=(1,)) == {("src/a.py", 2, "src/a.py")}


def test_shared_locks_tolerate_who_shares() -> None:
    """A foreign shared lock forbids, unless one's own covers the same file."""
    state = board(Lock(1, "src", SHARED), Lock(2, "src/a.py", SHARED))
    assert found(state, "src/a.py", mine=(2,)) == set()
    assert found(state, "src/b.py", mine=(2,)) == {("src/b.py", 1, "src")}


def test_all_that_is_in_the_way_is_named() -> None:
    """Every claim, by every lock of it."""
    state = board(Lock(1, "src", SHARED), Lock(2, "**/a.py", SHARED), Lock(2, "src/a.py", SHARED))
    assert found(state, "src/a.py") == {
        ("src/a.py", 1, "src"),
        ("src/a.py", 2, "**/a.py"),
        ("src/a.py", 2, "src/a.py"),
    }


@pytest.mark.parametrize(
    ("mode", "rules", "needs"),
    [
        (None, {"critical": ["**/a.py"]}, True),
        (SHARED, {"critical": ["**/a.py"]}, True),
        (EXCLUSIVE, {"critical": ["**/a.py"]}, False),
        (None, {"critical": ["other"]}, False),
        (None, {"enforce": "strict"}, True),
        (SHARED, {"enforce": "strict"}, True),
        (EXCLUSIVE, {"enforce": "strict"}, False),
        (None, {"enforce": "strict", "ignore": ["src"]}, False),
        (None, {"critical": ["src"], "ignore": ["src/*.py"]}, False),
        (None, {"critical": ["src"], "ignore": ["literal:src/*.py"]}, True),
    ],
)
def test_files_that_need_a_lock(mode: Mode | None, rules: dict[str, object], needs: bool) -> None:
    """Critical ones, or all where the policy is strict, need an exclusive lock of one's own; ignored ones none."""
    state = board(*([Lock(1, "src", mode)] if mode else []))
    missing = {("src/a.py", None, None)} if needs else set()
    assert found(state, "src/a.py", mine=(1,), **rules) == missing


def test_ignored_files_are_guarded_all_the_same() -> None:
    """The list says what needs no lock, not what nobody may lock."""
    state = board(Lock(1, "src", EXCLUSIVE))
    assert found(state, "src/a.py", ignore=["src"]) == {("src/a.py", 1, "src")}


def test_held_by_another_is_said_once() -> None:
    """That a lock of one's own is missing besides would be no news."""
    state = board(Lock(1, "src", EXCLUSIVE))
    assert found(state, "src/a.py", critical=["src"]) == {("src/a.py", 1, "src")}


def test_case_counts_as_the_ledger_says() -> None:
    """For locks and for the policy's patterns."""
    for fold in (False, True):
        state = board(Lock(1, "SRC/a.PY", EXCLUSIVE), fold=fold)
        assert found(state, "src/A.py") == ({("src/A.py", 1, "SRC/a.PY".casefold())} if fold else set())
        missing = {("x/Package.json", None, None)} if fold else set()
        assert found(state, "x/Package.json", critical=["**/package.JSON"]) == missing


def test_unicode_forms_are_one_name() -> None:
    """Git may report either form, and gets it back as it was."""
    composed = "caf\u00e9/\u1e9b\u0323"
    state = board(Lock(1, unicodedata.normalize("NFC", composed), EXCLUSIVE))
    for form in ("NFC", "NFD"):
        name_ = unicodedata.normalize(form, composed)
        assert {file for file, *_ in found(state, name_)} == {name_}


@pytest.mark.parametrize(
    "file",
    [
        "with space",
        "new\nline",
        "tab\t",
        '"',
        "-rf",
        ":(top)x",
        "back\\slash",
        "a*b",
        "caf\udce9",
        "\x01",
        "./odd",
    ],
)
def test_odd_names_are_covered_by_folders_and_globs(file: str) -> None:
    """Names that nobody can lock one by one."""
    for covering in (".", "src", "src/**", "src/*" if "/" not in file else "**"):
        assert found(board(Lock(1, covering, EXCLUSIVE)), f"src/{file}") == {(f"src/{file}", 1, covering)}
    assert found(board(), f"src/{file}", enforce="strict") == {(f"src/{file}", None, None)}


# The rule against a scan

PIECES = st.sampled_from(["a", "b", "A", "*", "?", "**"])
LOCKED = st.one_of(
    st.sampled_from([".", *FILES]),
    st.lists(PIECES, min_size=1, max_size=3).map("/".join),
    st.lists(PIECES, min_size=1, max_size=3).map("".join),
)
LOCKS = st.lists(st.builds(Lock, st.integers(1, 4), LOCKED, st.sampled_from([EXCLUSIVE, SHARED])), max_size=8)


def covers(pattern: str, file: str, *, fold: bool) -> bool:
    """Whether a lock, or a policy's pattern, covers a file: letter by letter, with every choice tried."""
    if fold:
        pattern, file = pattern.casefold(), file.casefold()
    if not set("*?") & set(pattern):
        return pattern in {".", file} or file.startswith(f"{pattern}/")
    return matched(pattern, 0, file, 0)


def matched(glob: str, at: int, file: str, here: int) -> bool:
    """Whether the rest of a glob matches the rest of a file."""
    if at == len(glob):
        return here == len(file)
    rest = range(here, len(file) + 1)
    if glob.startswith("**/", at) and (at == 0 or glob[at - 1] == "/"):
        return any(matched(glob, at + 3, file, n) for n in rest if n == here or file[n - 1] == "/")
    if glob.startswith("**", at):
        return any(matched(glob, at + 2, file, n) for n in rest)
    if glob[at] == "*":
        return any(matched(glob, at + 1, file, n) for n in rest if "/" not in file[here:n])
    if here == len(file) or (glob[at] == "?" and file[here] == "/") or glob[at] not in {"?", file[here]}:
        return False
    return matched(glob, at + 1, file, here + 1)


def scanned(
    locks: list[Lock], mine: set[int], rules: Guarding, file: str, *, fold: bool
) -> set[tuple[str, int | None]]:
    """What stands against changing a file, by looking at every lock."""
    covering = [lock for lock in locks if covers(lock.resource, file, fold=fold)]
    own = [lock.mode for lock in covering if lock.claim in mine]
    # A path that one claim holds twice, in two spellings or modes, is held exclusively.
    strict_ones = {
        (lock.claim, lock.resource.casefold() if fold else lock.resource)
        for lock in covering
        if lock.mode is EXCLUSIVE
    }
    against = {
        lock.claim
        for lock in covering
        if lock.claim not in mine
        and not (
            lock.mode is SHARED
            and (lock.claim, lock.resource.casefold() if fold else lock.resource) not in strict_ones
            and own
        )
    }
    if against:
        return {(file, number) for number in against}
    ignored = any(covers(pattern, file, fold=fold) for pattern in rules.ignore)
    critical = any(covers(pattern, file, fold=fold) for pattern in rules.critical)
    needed = (critical or rules.enforce == "strict") and not ignored
    return {(file, None)} if needed and EXCLUSIVE not in own else set()


@given(
    locks=LOCKS,
    mine=st.sets(st.integers(1, 5), max_size=2),
    rules=st.builds(
        Guarding,
        critical=st.lists(LOCKED, max_size=2),
        ignore=st.lists(LOCKED, max_size=2),
        enforce=st.sampled_from(["held", "strict"]),
    ),
    fold=st.booleans(),
)
def test_same_as_a_scan(locks: list[Lock], mine: set[int], rules: Guarding, fold: bool) -> None:
    """For any locks, claims of one's own and rules, each file is judged as by looking at all of them."""
    state = board(*locks, fold=fold)
    told = violations(state, {name(number) for number in mine}, rules, FILES)
    told_of = {(one.file, None if one.claim is None else int(one.claim.id, 16)) for one in told}
    expected: set[tuple[str, int | None]] = set()
    for file in FILES:
        expected |= scanned(locks, mine, rules, file, fold=fold)
    assert told_of == expected


@given(pattern=LOCKED, file=st.sampled_from(FILES), fold=st.booleans())
def test_patterns_are_read_as_locks_are(pattern: str, file: str, fold: bool) -> None:
    """Critical and ignored files are named as one would lock them."""
    state = board(fold=fold)
    assert matches(state, [pattern], state.fold(observed(file))) == covers(pattern, file, fold=fold)


@given(locks=LOCKS, files=st.lists(st.sampled_from(FILES), max_size=5))
def test_files_are_judged_one_by_one(locks: list[Lock], files: list[str]) -> None:
    """In the order in which they came, and none because of another."""
    state = board(*locks)
    apart = [one for file in files for one in violations(state, (), Guarding(), [file])]
    assert violations(state, (), Guarding(), files) == apart
