"""Pushed ledger commits: all that the rules grant is verified, and nothing else is."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from gitpw.domain.board import Board
from gitpw.domain.ids import TaskId, WorkerId
from gitpw.domain.lock import Claim
from gitpw.domain.operation import (
    Add,
    Complete,
    Done,
    Expire,
    Land,
    Landing,
    Lock,
    Moved,
    NewTask,
    Operation,
    Outcome,
    Register,
    Release,
    Restore,
    Take,
    Unlock,
)
from gitpw.errors import InvalidError
from gitpw.ledger.audit import AHEAD, audited, board_of
from gitpw.ledger.commits import COUNTER, OPERATION, OUTCOME
from tests.domain.state import HOUR, NOON, Dictionary, State, locks
from tests.domain.test_rulebook import Ledgers
from tests.ledger.pile import Pile, Pushed, told

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gitpw.domain.board import Key
    from gitpw.domain.operation import Request

LATER = NOON + timedelta(hours=12)
"""A server's clock by which every lease of the tests is over, and no operation is of the future."""


def wrong(pushed: Pushed, commit: str, *words: str, old: str | None = "tip") -> None:
    """The commit is no valid next state, and the refusal says why."""
    with pytest.raises(InvalidError) as refusal:
        audited(pushed.pile, pushed.tip if old == "tip" else old, commit, LATER)
    assert all(word in refusal.value.message for word in words), refusal.value.message


def edited(text: str, mark: str, **changes: Any) -> str:
    """A commit message with some fields of one of its documents changed."""
    lines = text.split("\n")
    number = next(number for number, line in enumerate(lines) if line.startswith(mark))
    data = json.loads(lines[number].removeprefix(mark))
    for path, value in changes.items():
        *above, last = path.split("__")
        here = data
        for name in above:
            here = here[name]
        here[last] = value
    lines[number] = mark + json.dumps(data, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return "\n".join(lines)


class Verified(Ledgers):
    """Whatever workers ask for: what is granted verifies, and a copy with one thing changed in it doesn't."""

    def __init__(self) -> None:
        super().__init__()
        self.pile = Pile()
        self.tip: str | None = None

    def ask(self, request: Request, worker: str, host: str, place: str = "main") -> Outcome:
        """Ask, and push what was granted."""
        before = self.state.cells
        outcome = super().ask(request, worker, host, place)
        if self.state.cells is not before and self.state.last is not None:
            self.push(before, self.state.last)
        return outcome

    def push(self, before: Dictionary, operation: Operation) -> None:
        """Push it, after a forgery of it."""
        after, text = told(before, operation)
        now = NOON + timedelta(minutes=self.minutes, hours=12)
        parents = [self.tip] if self.tip else []
        forge = FORGERIES[len(self.past) % len(FORGERIES)]
        forged = self.pile.commit(*forge(self.pile, after, text), *parents)
        commit = self.pile.commit(self.pile.tree(after), text, *parents)
        assert forged != commit, forge
        with pytest.raises(InvalidError):
            audited(self.pile, self.tip, forged, now)
        (step,) = audited(self.pile, self.tip, commit, now)
        assert (step.operation, step.commit) == (operation, commit)
        self.tip = commit


Forgery = "Callable[[Pile, Mapping[Key, bytes], str], tuple[str, str]]"


def some_cell_changed(pile: Pile, cells: Mapping[Key, bytes], text: str) -> tuple[str, str]:
    """One record is edited by hand."""
    key = sorted(cells)[len(text) % len(cells)]
    return pile.tree({**cells, key: cells[key] + b" "}), text


def some_cell_gone(pile: Pile, cells: Mapping[Key, bytes], text: str) -> tuple[str, str]:
    """One record is missing."""
    key = sorted(cells)[len(text) % len(cells)]
    return pile.tree({name: content for name, content in cells.items() if name != key}), text


def one_file_more(pile: Pile, cells: Mapping[Key, bytes], text: str) -> tuple[str, str]:
    """The commit carries another file."""
    return pile.tree(cells, **{"evil.sh": b"#!/bin/sh"}), text


def counter_ahead(pile: Pile, cells: Mapping[Key, bytes], text: str) -> tuple[str, str]:
    """The counter is another."""
    at = text.index(COUNTER) + len(COUNTER)
    return pile.tree(cells), text[:at] + "1" + text[at:]


def another_operation(pile: Pile, cells: Mapping[Key, bytes], text: str) -> tuple[str, str]:
    """The operation is another by its id."""
    return pile.tree(cells), edited(text, OPERATION, id="f" * 32)


def another_moment(pile: Pile, cells: Mapping[Key, bytes], text: str) -> tuple[str, str]:
    """The operation is of another time."""
    return pile.tree(cells), edited(text, OPERATION, at="2026-03-01T00:00:01Z")


def another_outcome(pile: Pile, cells: Mapping[Key, bytes], text: str) -> tuple[str, str]:
    """The answer is another."""
    return pile.tree(cells), edited(text, OUTCOME, token=4711)


def more_words(pile: Pile, cells: Mapping[Key, bytes], text: str) -> tuple[str, str]:
    """The message says more."""
    return pile.tree(cells), f"{text}\nReviewed-by: nobody\n"


def another_subject(pile: Pile, cells: Mapping[Key, bytes], text: str) -> tuple[str, str]:
    """The first line, which people read, tells another story."""
    return pile.tree(cells), f"nothing of interest{text}"


FORGERIES = (
    some_cell_changed,
    some_cell_gone,
    one_file_more,
    counter_ahead,
    another_operation,
    another_moment,
    another_outcome,
    more_words,
    another_subject,
)

Verified.TestCase.settings = settings(max_examples=40, stateful_step_count=30)
TestVerified = Verified.TestCase


@pytest.fixture
def pushed() -> Pushed:
    """A ledger with two tasks; ada holds the first with `a`, bob has locked `b`."""
    pushed = Pushed()
    for title, file in (("one", "a"), ("two", "c")):
        pushed.do(Add(tasks=(NewTask(title=title, files=(file,)),)))
    pushed.do(Take(lease=HOUR))
    pushed.do(Lock(locks=locks("b"), lease=HOUR), "bob")
    return pushed


def forged(pushed: Pushed, change: Callable[[Board, Operation], None], request: Request, who: str) -> str:
    """A commit whose state was made by other rules than the ledger's; all the rest is as it should be."""
    operation = pushed.state.operation(request, who)
    board = Board(pushed.state.cells)
    change(board, operation)
    outcome = Done()
    board.close(operation, outcome)
    cells = {**pushed.state.cells.contents, **board.changes}
    text = (
        f"{request.verb} ({who})\n\n{COUNTER}{board.counter}\n"
        f"{OPERATION}{json.dumps(operation.to_data(), sort_keys=True, separators=(',', ':'))}\n"
        f"{OUTCOME}{json.dumps(outcome.to_data(), sort_keys=True, separators=(',', ':'))}\n"
    )
    tree = pushed.pile.tree({key: content for key, content in cells.items() if content is not None})
    return pushed.pile.commit(tree, text, *([pushed.tip] if pushed.tip else []))


def test_several_at_once(pushed: Pushed) -> None:
    """A push may bring several operations; each is verified, and the state before each is at hand."""
    old = pushed.tip
    claim = pushed.state.board.task(TaskId("task-001"))
    assert claim is not None
    pushed.do(Complete(task=TaskId("task-001"), head="1" * 40))
    pushed.do(Land(landings=(Landing(task=TaskId("task-001"), head="1" * 40),)), "bob")
    assert pushed.tip is not None
    steps = audited(pushed.pile, old, pushed.tip, LATER)
    assert [step.operation.request.verb for step in steps] == ["complete", "land"]
    assert claim.claim is not None
    held = steps[1].before.claim(claim.claim)
    assert isinstance(held, Claim)
    assert held.queued
    after = board_of(pushed.pile, pushed.tip)
    assert after is not None
    assert after.claim(claim.claim) is None


def test_one_wrong_among_several(pushed: Pushed) -> None:
    """One that is wrong spoils all that follow it."""
    old = pushed.tip
    pushed.tip = forged(pushed, lambda *_: None, Release(task=TaskId("task-001")), "bob")
    pushed.state.done(Release(task=TaskId("task-001")), "ada")
    pushed.do(Register(id=WorkerId("cy")))
    assert pushed.tip is not None
    wrong(pushed, pushed.tip, "release", old=old)


def test_whole_history_of_a_ledger_that_moves_here(pushed: Pushed) -> None:
    """Where there is no ledger yet, one is taken from its beginning on."""
    pushed.do(Moved())
    assert pushed.tip is not None
    steps = audited(pushed.pile, None, pushed.tip, LATER)
    assert [step.operation.request.verb for step in steps] == [
        "begin",
        "add",
        "add",
        "claim",
        "lock",
        "moved",
    ]


def test_only_what_is_needed_is_read(pushed: Pushed) -> None:
    """One more operation costs a few dozen objects, however long the ledger's history is."""
    for number in range(30):
        pushed.do(Register(id=WorkerId(f"w{number}")))
    old, pushed.pile.reads = pushed.tip, []
    pushed.do(Take(lease=HOUR), "bob")
    assert pushed.tip is not None
    audited(pushed.pile, old, pushed.tip, LATER)
    assert pushed.pile.reads.count("commit") <= 8
    assert len(pushed.pile.reads) < 80


def test_release_of_somebody_elses(pushed: Pushed) -> None:
    """Another's claim can't be given up in its holder's place."""

    def drop(board: Board, _: Operation) -> None:
        claim = board.claim(board.task(TaskId("task-001")).claim)  # type: ignore[union-attr, arg-type]
        assert claim is not None
        board.put_claim(claim.but(locks=()))

    commit = forged(pushed, drop, Release(task=TaskId("task-001")), "bob")
    wrong(pushed, commit, "release by bob is refused: task-001 is held by ada")


def test_unlock_of_somebody_elses(pushed: Pushed) -> None:
    """Another's lock is given up by force or not at all; by force it is on record, and so it may be."""
    commit = forged(pushed, lambda *_: None, Unlock(resources=("b",)), "ada")
    wrong(pushed, commit, "unlock by ada is refused: b is held by bob")
    old = pushed.tip
    pushed.do(Unlock(resources=("b",), force=True, reason="bob is ill"), "ada")
    assert pushed.tip is not None
    (step,) = audited(pushed.pile, old, pushed.tip, LATER)
    assert step.outcome.detail["force"]


def test_forged_token(pushed: Pushed) -> None:
    """A claim's token is the ledger's to give."""

    def mint(board: Board, _: Operation) -> None:
        claim = board.claim(board.task(TaskId("task-001")).claim)  # type: ignore[union-attr, arg-type]
        assert claim is not None
        board.put_claim(claim.but(token=9999))

    commit = forged(pushed, mint, Register(id=WorkerId("ada"), name="Ada"), "ada")
    wrong(pushed, commit, "its message")
    honest = pushed.state.operation(Register(id=WorkerId("ada"), name="Ada"))
    after, text = told(pushed.state.cells, honest)
    (key,) = [key for key in after if key[0] == "claims" and b"task-001" in after[key]]
    after[key] = after[key].replace(b'"token":4', b'"token":9999')
    wrong(pushed, pushed.pile.commit(pushed.pile.tree(after), text, pushed.tip or ""), "its state is not")


def test_same_operation_twice(pushed: Pushed) -> None:
    """An operation that was applied is not applied again."""
    operation = pushed.state.operation(Register(id=WorkerId("cy")))
    pushed.tip = pushed.made(pushed.state.cells, operation, pushed.tip)
    pushed.state.apply(operation)
    again = pushed.pile.objects[pushed.tip].content
    text = again.partition(b"\n\n")[2].replace(f"{COUNTER}6".encode(), f"{COUNTER}7".encode())
    wrong(
        pushed, pushed.pile.commit(pushed.pile.tree(pushed.state.cells.contents), text, pushed.tip), "before"
    )


def test_what_changes_nothing(pushed: Pushed) -> None:
    """A commit that changes nothing is none: it would only move the counter."""
    pushed.do(Register(id=WorkerId("cy")))
    commit = forged(pushed, lambda *_: None, Register(id=WorkerId("cy")), "ada")
    wrong(pushed, commit, "changes nothing")


def test_rewritten_history(pushed: Pushed) -> None:
    """What was acknowledged stays: neither an older state nor another line of history replaces the current one."""
    old = pushed.tip
    assert old is not None
    before = pushed.state.cells
    pushed.do(Register(id=WorkerId("cy")))
    assert pushed.tip is not None
    wrong(pushed, old, "doesn't follow")
    other = pushed.made(before, pushed.state.operation(Register(id=WorkerId("eve")), seen=5), old)
    wrong(pushed, other, "doesn't follow")


def test_another_beginning(pushed: Pushed) -> None:
    """A ledger that is there isn't begun again, by whatever root."""
    other = Pushed()
    pushed.pile.objects.update(other.pile.objects)
    assert other.tip is not None
    wrong(pushed, other.tip, "doesn't follow")


def test_merge(pushed: Pushed) -> None:
    """The ledger has one line of history."""
    after, text = told(pushed.state.cells, pushed.state.operation(Register(id=WorkerId("cy"))))
    tip = pushed.tip or ""
    wrong(pushed, pushed.pile.commit(pushed.pile.tree(after), text, tip, tip), "merge")


def test_counter_jump(pushed: Pushed) -> None:
    """Each state counts one more than the one before it."""
    board = Board(pushed.state.cells)
    board.put_meta(board.meta.but(counter=50))
    cells = Dictionary({**pushed.state.cells.contents, **{k: v for k, v in board.changes.items() if v}})
    operation = pushed.state.operation(Register(id=WorkerId("cy")))
    wrong(pushed, pushed.made(cells, operation, pushed.tip), "its message")
    pushed.tip, old = pushed.made(cells, operation, pushed.tip), pushed.tip
    pushed.state.cells = Dictionary(told(cells, operation)[0])
    pushed.do(Register(id=WorkerId("dee")))
    assert pushed.tip is not None
    wrong(pushed, pushed.tip, "its message", old=old)


@pytest.mark.parametrize(
    "text",
    ["", "Fix a bug\n", f"x\n\n{COUNTER}6\n{OPERATION}[1]\n{OUTCOME}{{}}\n", f"x\n\n{OPERATION}{{}}\n"],
    ids=["empty", "ordinary", "list", "half"],
)
def test_no_operation(pushed: Pushed, text: str) -> None:
    """A commit that is no operation, such as one of the project's own, is no state of a ledger."""
    tree = pushed.pile.tree(pushed.state.cells.contents)
    wrong(pushed, pushed.pile.commit(tree, text, pushed.tip or ""), "no state of a ledger")


def test_what_is_no_commit(pushed: Pushed) -> None:
    """A tag or a file is no state of a ledger."""
    wrong(pushed, pushed.pile.put("blob", b"x"), "no state of a ledger")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"author__worker": "No Such Name"}, "author.worker"),
        ({"author__worker": ""}, "author.worker"),
        ({"request__verb": "conquer"}, "request"),
        ({"v": 2}, "version 2 is newer"),
        ({"id": "short"}, "id"),
        ({"seen": -1}, "seen"),
        ({"at": "yesterday"}, "at"),
        ({"author": None}, "author"),
    ],
    ids=str,
)
def test_operations_that_are_none(pushed: Pushed, change: dict[str, Any], words: str) -> None:
    """What can't be read, or is of a newer version, is refused and says what it is."""
    after, text = told(pushed.state.cells, pushed.state.operation(Register(id=WorkerId("cy"))))
    commit = pushed.pile.commit(pushed.pile.tree(after), edited(text, OPERATION, **change), pushed.tip or "")
    wrong(pushed, commit, words)


def test_operation_of_the_future(pushed: Pushed) -> None:
    """A clock that is far ahead is told so: every lease would look over by it."""
    old = pushed.tip
    hours = AHEAD.total_seconds() / 60 + 12 * 60
    pushed.do(Register(id=WorkerId("cy")), minutes=hours)
    assert pushed.tip is not None
    assert audited(pushed.pile, old, pushed.tip, LATER)
    pushed.do(Register(id=WorkerId("dee")), minutes=hours + 1)
    wrong(pushed, pushed.tip, "the clock of desk says 2026-03-04T00:01:00Z", old=old)


def test_lease_is_not_stolen_by_a_clock(pushed: Pushed) -> None:
    """A lease that still runs by the server's clock isn't taken over, whatever two others say."""
    old = pushed.tip
    outcome = pushed.do(Take(task=TaskId("task-001"), lease=HOUR), "eve", minutes=70)
    assert isinstance(outcome, Done)
    assert pushed.tip is not None
    with pytest.raises(
        InvalidError, match="takes over the claim of ada, whose lease runs until 2026-03-02T13:00"
    ):
        audited(pushed.pile, old, pushed.tip, NOON + timedelta(minutes=59))
    assert audited(pushed.pile, old, pushed.tip, NOON + timedelta(minutes=61))


def test_leases_are_not_ended_by_a_clock(pushed: Pushed) -> None:
    """The same for those who tidy up."""
    old = pushed.tip
    pushed.do(Expire(), "eve", minutes=70)
    assert pushed.tip is not None
    with pytest.raises(InvalidError, match="takes over the claim of"):
        audited(pushed.pile, old, pushed.tip, NOON)
    assert audited(pushed.pile, old, pushed.tip, LATER)


# restored


def restored(pushed: Pushed, **changes: Any) -> str:
    """A root commit with the ledger's state, restored; some of its meta record changed."""
    operation = pushed.state.operation(Restore(reason="it had vanished"))
    after, text = told(pushed.state.cells, operation)
    if changes:
        meta = json.loads(after["meta",])
        after["meta",] = json.dumps({**meta, **changes}).encode()
    return pushed.pile.commit(pushed.pile.tree(after), text)


def test_restored_where_there_is_none(pushed: Pushed) -> None:
    """A ledger that had vanished comes back with its marks; it goes on from there."""
    root = restored(pushed)
    (step,) = audited(pushed.pile, None, root, LATER)
    assert step.operation.request.verb == "restore"
    pushed.state.apply(step.operation)
    pushed.tip = root
    pushed.do(Register(id=WorkerId("cy")))
    assert pushed.tip is not None
    assert len(audited(pushed.pile, root, pushed.tip, LATER)) == 1
    assert len(audited(pushed.pile, None, pushed.tip, LATER)) == 2


def test_restored_over_another(pushed: Pushed) -> None:
    """Where there is a ledger, it isn't replaced by a restored one, unless the server allows it."""
    root = restored(pushed)
    wrong(pushed, root, "doesn't follow")
    assert audited(pushed.pile, pushed.tip, root, LATER, restart=True)


def test_restored_with_its_history(pushed: Pushed) -> None:
    """A restored ledger is a new beginning: as a next state, it would only make the counter jump."""
    operation = pushed.state.operation(Restore(reason="for fun"))
    wrong(pushed, pushed.made(pushed.state.cells, operation, pushed.tip), "begins anew")


@pytest.mark.parametrize(
    "changes",
    [{"restored": None}, {"leap": 7}, {"counter": 3}, {"operation": "f" * 32}, {"format": {"major": 9}}],
    ids=str,
)
def test_restored_without_its_marks(pushed: Pushed, changes: dict[str, Any]) -> None:
    """A root that doesn't bear the marks of a restored ledger is none."""
    with pytest.raises(Exception, match=r"no valid next state|reads up to"):
        audited(pushed.pile, None, restored(pushed, **changes), LATER)


def test_restored_with_a_record_that_is_none(pushed: Pushed) -> None:
    """A restored state must be legible."""
    operation = pushed.state.operation(Restore(reason="it had vanished"))
    after, text = told(pushed.state.cells, operation)
    after["tasks", "task-001"] = b"{}"
    commit = pushed.pile.commit(pushed.pile.tree(after), text)
    wrong(pushed, commit, "tasks/task-001 can't be read", old=None)


def test_root_that_is_no_beginning(pushed: Pushed) -> None:
    """A state without history is only believed where its operation says so."""
    after, text = told(pushed.state.cells, pushed.state.operation(Register(id=WorkerId("cy"))))
    wrong(pushed, pushed.pile.commit(pushed.pile.tree(after), text), "there is no ledger yet", old=None)


# what must not matter

ELSEWHERE = """
import pickle, sys
from gitpw.ledger.audit import audited
pile, old, new, now = pickle.load(sys.stdin.buffer)
print(len(audited(pile, old, new, now)))
"""


@pytest.mark.parametrize("seed", ["0", "1", "2"])
def test_another_process_decides_alike(seed: str) -> None:
    """Nothing depends on the order in which a process happens to hash: sets of names are in every operation."""
    import pickle

    pushed = Pushed()
    names = [f"t{number}" for number in range(12)]
    pushed.do(
        Add(
            tasks=tuple(
                NewTask(title=n, key=n, files=(n, f"{n}/*"), after=tuple(names[:i]))
                for i, n in enumerate(names)
            )
        )
    )
    pushed.do(Register(id=WorkerId("ada"), max_concurrent_tasks=9, skills=tuple(names)))
    pushed.do(Lock(locks=locks(*names, "*.md"), lease=HOUR))
    pushed.do(Take(lease=HOUR, locks=locks("x", "y/*", "z")))
    pushed.do(Lock(locks=locks("q", "r"), lease=HOUR), "bob")
    pushed.do(Unlock(all=True), "bob")
    pushed.do(Complete(task=TaskId("task-001"), queue=False))
    pushed.do(Expire(), "bob", minutes=90)
    found = subprocess.run(
        [sys.executable, "-c", ELSEWHERE],
        input=pickle.dumps((pushed.pile, None, pushed.tip, LATER)),
        capture_output=True,
        check=True,
        cwd=Path(__file__).parents[2],
        env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert int(found.stdout) == pushed.state.board.counter == 8


def test_decided_with_fractions_of_a_second() -> None:
    """An operation is decided as it is written down, to the second."""
    state = State()
    operation = state.operation(Register(id=WorkerId("cy")))
    exact = Operation(**{**dict(operation), "at": NOON + timedelta(microseconds=999_999)})
    assert exact.at == NOON
    assert Operation.from_json(exact.to_json()) == exact


def test_letters_of_a_newer_unicode(pushed: Pushed) -> None:
    """The first line may show a letter that our version of Unicode can't, or the other way round."""
    old = pushed.tip
    operation = pushed.state.operation(Add(tasks=(NewTask(title="a \U0001fae8 b"),)))
    after, text = told(pushed.state.cells, operation)
    for shown in (text, text.replace("\U0001fae8", " ", 1)):
        commit = pushed.pile.commit(pushed.pile.tree(after), shown, old or "")
        assert audited(pushed.pile, old, commit, LATER)
