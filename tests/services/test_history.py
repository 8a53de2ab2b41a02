"""What has become of everything: gone on with from what was found out before, and the same as if read anew."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitpw.domain.history import History
from gitpw.domain.ids import LedgerId, TaskId, WorkerId
from gitpw.domain.lock import Held, Mode
from gitpw.domain.operation import Add, Author, Begin, Lock, NewTask, Release, Request, Start, Take
from gitpw.errors import OfflineError
from gitpw.ledger.journal import Journal
from gitpw.ledger.ledger import Ledger
from gitpw.ledger.memory import MemoryStore
from gitpw.services.history import NAME, chart, history
from gitpw.services.log import log
from gitpw.services.metrics import metrics

if TYPE_CHECKING:
    from pathlib import Path

    from gitpw.ledger.chronicle import Step

NOON = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)


class Counting(MemoryStore):
    """Says how many steps were looked at, and can be out of reach."""

    walked = 0
    offline = False

    def walk(self, commit: str) -> Any:
        """Newest first."""
        for step in super().walk(commit):
            self.walked += 1
            yield step

    def fetch(self, timeout: float = 60.0) -> str | None:
        """The current state."""
        if self.offline:
            raise OfflineError("origin can't be reached")
        return super().fetch(timeout)


class Desk:
    """A ledger in memory, and a context that has no more than history needs."""

    def __init__(self, folder: Path) -> None:
        self.store = Counting()
        self.ledger = Ledger(self.store, Journal(folder / "journal"), lambda: NOON)
        self.told: list[str] = []
        self.ctx: Any = SimpleNamespace(
            ledger=self.ledger,
            tell=self.told.append,
            clock=SimpleNamespace(now=lambda: NOON),
            me=SimpleNamespace(host="desk"),
            remote=None,
        )
        self.do(Begin(ledger=LedgerId("0" * 20)))

    def do(self, request: Request, worker: str = "ada") -> None:
        """Ask for something."""
        self.ledger.transact(request, Author(worker=WorkerId(worker), host="desk", place="0" * 16))

    def work(self, number: int) -> None:
        """Add a task, claim it and give it back."""
        self.do(Add(tasks=(NewTask(title="x"),)))
        task = TaskId(f"task-{number:03d}")
        self.do(Take(task=task, lease=3600))
        self.do(Release(task=task))

    def steps(self) -> list[Step]:
        """All of them, newest first."""
        assert self.store.current is not None
        return list(MemoryStore.walk(self.store, self.store.current))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A begun ledger."""
    return Desk(tmp_path)


def anew(desk: Desk) -> dict[str, Any]:
    """What reading everything gives."""
    return History().fold(step.event for step in reversed(desk.steps()) if step.event is not None).to_data()


def test_goes_on_from_before(desk: Desk) -> None:
    """Only what is new is looked at, and nothing where nothing is."""
    for number in (1, 2, 3):
        desk.work(number)
    assert history(desk.ctx).to_data() == anew(desk)
    desk.store.walked = 0
    assert history(desk.ctx).to_data() == anew(desk)
    assert desk.store.walked == 1
    desk.work(4)
    desk.store.walked = 0
    assert history(desk.ctx).to_data() == anew(desk)
    assert desk.store.walked == 4


@pytest.mark.parametrize(
    "kept", [b"", b"x", b"git-pw history 1 00000000\n{}", b"git-pw history 9 00000000\n"]
)
def test_kept_file_that_is_none(kept: bytes, desk: Desk) -> None:
    """All is read again."""
    desk.work(1)
    desk.store.keep(NAME, kept)
    assert history(desk.ctx).to_data() == anew(desk)


@given(st.integers(0, 2000), st.integers(1, 255))
def test_kept_file_that_is_damaged(place: int, bits: int) -> None:
    """A bit that has changed anywhere changes nothing of what is told."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder))
        desk.work(1)
        history(desk.ctx)
        kept = bytearray(desk.store.recall(NAME) or b"")
        kept[place % len(kept)] ^= bits
        desk.store.keep(NAME, bytes(kept))
        assert history(desk.ctx).to_data() == anew(desk)


def test_rewound_and_replaced(desk: Desk) -> None:
    """A history that isn't part of this one any more isn't gone on with."""
    desk.work(1)
    past = desk.store.current
    desk.work(2)
    history(desk.ctx)
    desk.store.current = past
    assert history(desk.ctx).to_data() == anew(desk)
    desk.do(Add(tasks=(NewTask(title="other"),)))
    assert history(desk.ctx).to_data() == anew(desk)


def test_no_ledger_yet(desk: Desk) -> None:
    """Nothing has happened."""
    desk.store.current = None
    assert history(desk.ctx).counter == 0


def test_chart_knows_who_is_gone(desk: Desk) -> None:
    """What the events leave open and the ledger doesn't has ended; what goes on goes on."""
    desk.do(Add(tasks=(NewTask(title="x"), NewTask(title="y"))))
    desk.do(Take(task=TaskId("task-001"), lease=3600))
    desk.do(Start(task=TaskId("task-001")))
    found = history(desk.ctx)
    (life,) = chart(desk.ctx, found, 0, 1 << 40)
    assert life.now is not None
    board = desk.ledger.board()
    task = board.task(TaskId("task-001"))
    assert task is not None
    board.put_task(task.but(claim=None, assigned_to=None))
    desk.ctx.ledger = SimpleNamespace(board=lambda: board)
    (life,) = chart(desk.ctx, found, 0, 1 << 40)
    assert (life.now, life.spans[-1].kind) == (None, "worked")


def test_log_filters(desk: Desk) -> None:
    """By verb, task, worker, number and what was seen before, newest last."""
    desk.work(1)
    desk.do(Lock(locks=(Held(resource="a", mode=Mode.SHARED),), lease=60), "bob")
    desk.work(2)
    assert [one.counter for one in log(desk.ctx)] == list(range(1, 9))
    assert [one.verb for one in log(desk.ctx, verbs={"claim", "lock"})] == ["claim", "lock", "claim"]
    assert [one.verb for one in log(desk.ctx, task=TaskId("task-002"))] == ["add", "claim", "release"]
    assert [one.counter for one in log(desk.ctx, worker=WorkerId("bob"))] == [5]
    assert [one.counter for one in log(desk.ctx, limit=2)] == [7, 8]
    assert log(desk.ctx, limit=0) == []
    assert [one.counter for one in log(desk.ctx, after=6)] == [7, 8]


def test_log_out_of_reach(desk: Desk) -> None:
    """What is known is shown, and that it is no more; unless it is to be the current state."""
    desk.store.offline = True
    assert len(log(desk.ctx)) == 1
    assert desk.told == ["origin can't be reached: showing what is known here"]
    with pytest.raises(OfflineError):
        log(desk.ctx, current=True)


def test_numbers(desk: Desk) -> None:
    """Of the ledger as it stands, and of its history."""
    desk.work(1)
    found = {metric.name: metric for metric in metrics(desk.ctx)}
    assert found["gitpw_tasks_claimed_total"].samples[0].value == 1
    assert found["gitpw_ledger_counter"].samples[0].value == 4
    assert json.dumps(history(desk.ctx).to_data())
