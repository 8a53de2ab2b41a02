"""A ledger in which everything happens once: each operation as it is asked for, and as its commit tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.ids import ClaimId, TaskId, WorkerId
from gitpw.domain.merge import MergeState
from gitpw.domain.operation import (
    Add,
    Back,
    Begin,
    Cancel,
    Complete,
    Done,
    Drop,
    Edit,
    Expire,
    Fail,
    First,
    Frozen,
    Intend,
    Land,
    Landing,
    Lock,
    Mark,
    Merging,
    Mine,
    Moved,
    NewTask,
    Operation,
    Push,
    Register,
    Release,
    Renew,
    Report,
    Requeue,
    Resume,
    Retry,
    SendBack,
    Split,
    Start,
    Stop,
    Suspect,
    Take,
    Unlock,
    Unregister,
    Withdraw,
)
from gitpw.domain.rulebook import apply
from gitpw.domain.task import FailureKind, TaskType
from gitpw.domain.worker import AgentType, WorkerType
from gitpw.ledger.commits import message
from tests.domain.state import HOUR, LEDGER, State, locks

if TYPE_CHECKING:
    from gitpw.domain.operation import Request

HEAD, OTHER, TIP = "a" * 40, "b" * 40, "c" * 40


class Told(NamedTuple):
    """An operation that was applied, and the message of its commit."""

    verb: str
    text: str


class Teller:
    """A ledger whose every operation is told."""

    def __init__(self) -> None:
        self.state = State(begun=False)
        self.told: list[Told] = []

    def do(self, request: Request, worker: str = "ada", **about: float | str) -> Done:
        """Ask for something that must be granted."""
        operation = Operation.from_json(self.state.operation(request, worker, **about).to_json())  # type: ignore[arg-type]
        board = Board(self.state.cells)
        outcome = apply(board, operation)
        assert isinstance(outcome, Done), (request, outcome)
        assert outcome.changed, request
        self.told.append(Told(request.verb, message(board, operation, outcome)))
        self.state.accept(board)
        return outcome


def story() -> list[Told]:
    """All of it."""
    teller = Teller()
    do = teller.do
    one, two, three = map(TaskId, ("task-001", "task-002", "task-003"))
    do(Begin(ledger=LEDGER))
    do(Register(id=WorkerId("bob"), type=WorkerType.AI_AGENT, agent_type=AgentType.CODEGEN), "bob")
    do(Add(tasks=(NewTask(title='Say "hi"\\n', type=TaskType.FIX, files=("src/a",)), NewTask(title="x\ty"))))
    do(Add(tasks=(NewTask(title="Änderung \u202e \U0001f600", description="\x1b[31m"),)))
    do(Edit(task=two, title="Other", priority=1))
    do(Split(task=three, titles=("first half", "second half")))
    taken = do(Take(task=one, lease=HOUR))
    assert taken.claim is not None
    assert taken.token is not None
    mine = Mine(claim=taken.claim, token=taken.token)
    do(Start(task=one), minutes=1)
    do(Report(task=one, step='write "tests", \\ and', done=1, total=3, eta=20), minutes=2)
    do(Renew(claims=(mine,)), minutes=3)
    do(Push(task=one, head=HEAD, branch="fix/task-001"), minutes=4)
    do(Lock(locks=locks("README.md"), lease=HOUR, reason='a "note"'), minutes=5)
    do(Unlock(resources=("README.md",)), minutes=6)
    do(Complete(task=one, head=HEAD, branch="fix/task-001"), minutes=7)
    begun = do(
        Merging(place="m", lease=600, marks=(Mark(task=one, head=HEAD, state=MergeState.TESTING),)), "mo"
    )
    do(First(task=one), minutes=8)
    do(
        SendBack(
            token=begun.token, back=(Back(task=one, head=HEAD, state=MergeState.CONFLICT, detail="no"),)
        ),
        "mo",
        minutes=9,
    )
    do(Requeue(task=one), minutes=10)
    do(Drop(task=one, reason="not yet"), minutes=11)
    do(Complete(task=one, head=OTHER, branch="fix/task-001"), minutes=12)
    do(
        Intend(
            token=begun.token, landings=(Landing(task=one, head=OTHER, commit=TIP),), onto=HEAD, commit=TIP
        ),
        "mo",
        minutes=13,
    )
    do(Withdraw(commit=TIP), "mo", minutes=14)
    do(
        Land(token=begun.token, landings=(Landing(task=one, head=OTHER, commit=TIP),), commit=TIP),
        "mo",
        minutes=15,
    )
    do(Frozen(token=begun.token, commit=TIP, detail="red"), "mo", minutes=16)
    do(Stop(reason="lunch"), minutes=17)
    do(Resume(), minutes=18)
    do(Take(task=two, lease=HOUR), "bob", minutes=20)
    do(Fail(task=two, reason="no idea", kind=FailureKind.OTHER), "bob", minutes=21)
    do(Retry(task=two), minutes=22)
    do(Take(task=two, lease=HOUR), "bob", minutes=23)
    do(Release(task=two), "bob", minutes=24)
    lost = do(Take(task=two, lease=60), "bob", minutes=25, host="far")
    assert lost.claim is not None
    do(Suspect(claims=(ClaimId(lost.claim),)), minutes=40)
    do(Expire(), minutes=60)
    do(Take(task=two, lease=HOUR, locks=locks("b")), "bob", minutes=61)
    do(Unlock(resources=("b",), force=True, reason="gone home"), minutes=62)
    do(Cancel(task=two), minutes=63)
    do(Take(task=TaskId("task-004"), lease=HOUR), "bob", minutes=64)
    do(Complete(task=TaskId("task-004"), queue=False), "bob", minutes=70)
    do(Unregister(id=WorkerId("bob")), minutes=71)
    do(Moved(), minutes=72)
    return teller.told
