"""What may be asked of the ledger, as data: a request, who asks, and what is answered."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from gitpw.domain.ids import ClaimId, LedgerId, OperationId, TaskId, WorkerId
from gitpw.domain.lock import Held
from gitpw.domain.merge import MergeState
from gitpw.domain.progress import Said
from gitpw.domain.record import Instant, Record
from gitpw.domain.settings import Settings
from gitpw.domain.signing import SigningKey
from gitpw.domain.task import COMMIT, FailureKind, TaskType
from gitpw.domain.worker import AgentType, WorkerType

VERSION = 1
"""Of the operations; one that is higher is left alone."""

REMEMBERED = 10_000
"""How many of the last operations the ledger can still recognise."""

MOST_SAID = 100
"""Of so many tasks an operation takes along how far they have come."""


class Begin(Record):
    """The first operation of a ledger."""

    verb: Literal["begin"] = "begin"
    ledger: LedgerId
    settings: Settings = Settings()


class Moved(Record):
    """The ledger of this machine now lives on a remote; `back` undoes it."""

    verb: Literal["moved"] = "moved"
    back: bool = False


class Restore(Record):
    """A ledger that had vanished or gone backwards begins again, from the state that one clone last knew.

    Its counter will be beyond `above` too: what it goes back over may have granted tokens.
    """

    verb: Literal["restore"] = "restore"
    reason: str
    above: int = Field(default=0, ge=0)


class NewTask(Record):
    """A task to be added; `key` is the importer's own name for it.

    `after` (what must be merged first), `parent` (what it is a part of), `related` and `found_by` may name keys of
    the same request.
    """

    title: str = Field(min_length=1, max_length=500)
    type: TaskType = TaskType.FEAT
    description: str = Field(default="", max_length=100_000)
    priority: int = Field(default=3, ge=1, le=5)
    files: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    estimate: int | None = Field(default=None, ge=0, le=1_000_000)
    issue: int | None = Field(default=None, ge=1)
    key: str | None = Field(default=None, max_length=200)
    parent: str | None = None
    related: tuple[str, ...] = ()
    found_by: str | None = None


class Add(Record):
    """New tasks, all or none."""

    verb: Literal["add"] = "add"
    tasks: tuple[NewTask, ...]


class Edit(Record):
    """Change what is given, leave the rest; `after` adds dependencies and `no_after` removes them, and so `related`."""

    verb: Literal["edit"] = "edit"
    task: TaskId
    title: str | None = Field(default=None, min_length=1, max_length=500)
    type: TaskType | None = None
    description: str | None = Field(default=None, max_length=100_000)
    priority: int | None = Field(default=None, ge=1, le=5)
    files: tuple[str, ...] | None = None
    after: tuple[TaskId, ...] = ()
    no_after: tuple[TaskId, ...] = ()
    skills: tuple[str, ...] | None = None
    estimate: int | None = Field(default=None, ge=0, le=1_000_000)
    issue: int | None = Field(default=None, ge=1)
    parent: TaskId | None = None
    no_parent: bool = False
    related: tuple[TaskId, ...] = ()
    no_related: tuple[TaskId, ...] = ()


class Split(Record):
    """Make parts of a task, which is complete when they are; what isn't given they have from the whole."""

    verb: Literal["split"] = "split"
    task: TaskId
    titles: tuple[Annotated[str, Field(min_length=1, max_length=500)], ...] = Field(min_length=1)
    type: TaskType | None = None
    priority: int | None = Field(default=None, ge=1, le=5)
    files: tuple[str, ...] | None = None
    skills: tuple[str, ...] | None = None
    estimate: int | None = Field(default=None, ge=0, le=1_000_000)


class Cancel(Record):
    """The task isn't wanted any more."""

    verb: Literal["cancel"] = "cancel"
    task: TaskId


class Retry(Record):
    """A failed or cancelled task is wanted again, as if it had never failed."""

    verb: Literal["retry"] = "retry"
    task: TaskId


class Take(Record):
    """Claim a task, the named one or the best, with its files and those of `locks`; `branch` is a template.

    `waiting` is the ticket of who has stood in line for exactly that.
    """

    verb: Literal["claim"] = "claim"
    task: TaskId | None = None
    locks: tuple[Held, ...] = ()
    shared: bool = False
    lease: int = Field(ge=1)
    branch: str = "{type}/{issue}-{id}-{slug}"
    base: str | None = None
    holding: ClaimId | None = None
    waiting: int | None = None


class Lock(Record):
    """Lock resources without a task, or within the claim `into`; `waiting` is as in `Take`."""

    verb: Literal["lock"] = "lock"
    locks: tuple[Held, ...] = Field(min_length=1)
    lease: int = Field(ge=1)
    into: ClaimId | None = None
    reason: str | None = Field(default=None, max_length=1_000)
    waiting: int | None = None


class Wait(Record):
    """Stand in line for what can't be granted now, for so many seconds; with a `ticket`, still stand there.

    `holding` are the claims of the checkout that waits: what others may wait for meanwhile.
    """

    verb: Literal["wait"] = "wait"
    want: Annotated[Take | Lock, Field(discriminator="verb")]
    seconds: int = Field(ge=1)
    holding: tuple[ClaimId, ...] = ()
    ticket: int | None = None


class Call(Record):
    """Ask waiters for a sign of life."""

    verb: Literal["call"] = "call"
    tickets: tuple[int, ...]


class Leave(Record):
    """Wait no more."""

    verb: Literal["leave"] = "leave"
    tickets: tuple[int, ...]


class Unlock(Record):
    """Give up locks; with `force`, anybody's."""

    verb: Literal["unlock"] = "unlock"
    resources: tuple[str, ...] = ()
    all: bool = False
    force: bool = False
    reason: str | None = Field(default=None, max_length=1_000)


class Mine(Record):
    """A claim as its holder knows it, and where its work stands."""

    claim: ClaimId
    token: int
    head: str | None = Field(default=None, pattern=COMMIT)


class Renew(Record):
    """Begin the leases anew; those that were lost are named in the answer.

    With `older`, only if one of them was last renewed longer ago than so many seconds.
    """

    verb: Literal["renew"] = "renew"
    claims: tuple[Mine, ...]
    older: int | None = Field(default=None, ge=0)


class Suspect(Record):
    """Mark leases that look overdue, or impossibly long, to this host's clock."""

    verb: Literal["suspect"] = "suspect"
    claims: tuple[ClaimId, ...]


class Expire(Record):
    """Return what overdue claims hold, all of them or those named."""

    verb: Literal["expire"] = "expire"


class OfTask(Record):
    """What is said of a task by its holder; without a token, the ledger's word for whose it is counts."""

    task: TaskId
    claim: ClaimId | None = None
    token: int | None = None


class Start(OfTask):
    """Work has begun."""

    verb: Literal["start"] = "start"


class Report(OfTask):
    """How far the work has come; what is None stays as it was."""

    verb: Literal["progress"] = "progress"
    step: str | None = Field(default=None, max_length=500)
    done: int | None = Field(default=None, ge=0)
    total: int | None = Field(default=None, ge=1)
    percent: int | None = Field(default=None, ge=0, le=100)
    eta: int | None = Field(default=None, ge=0, le=1_000_000)


class Push(OfTask):
    """The branch moves together with this operation."""

    verb: Literal["push"] = "push"
    head: str
    branch: str


class Complete(OfTask):
    """The work is done: into the merge queue, or landed at once where no queue is wanted.

    `late` are locks on what was changed beyond what the claim covers, taken in the same step.
    """

    verb: Literal["complete"] = "complete"
    head: str | None = None
    branch: str | None = None
    queue: bool = True
    late: tuple[Held, ...] = ()


class Fail(OfTask):
    """The work can't be done, or not this time: what `kind` says decides whether it is tried again by itself."""

    verb: Literal["fail"] = "fail"
    reason: str = Field(min_length=1, max_length=1_000)
    kind: FailureKind = FailureKind.OTHER


class Release(OfTask):
    """Back into the queue of tasks."""

    verb: Literal["release"] = "release"


class Landing(Record):
    """A task whose work is on the base branch, as `commit`."""

    task: TaskId
    head: str | None
    commit: str | None = None


class Mark(Record):
    """What a merger says of an entry while it waits; `pushed` is what it put on the branch."""

    task: TaskId
    head: str | None
    state: MergeState
    detail: str = Field(default="", max_length=2_000)
    pushed: str | None = None
    pr_url: str | None = None


class Back(Record):
    """An entry that goes back to its owner, and why."""

    task: TaskId
    head: str | None
    state: Literal[MergeState.CONFLICT, MergeState.FAILED]
    detail: str = Field(max_length=2_000)
    data: dict[str, Any] = Field(default_factory=dict)


class Merging(Record):
    """Run the queue from now on, or go on running it by `token`.

    `gone` is the token of the merger of the same clone, which is known to have ended; `base` is where the base branch
    stands: that it was red at another commit says nothing of this one. With `keep`, the marks of before stand.
    """

    verb: Literal["merging"] = "merging"
    place: str
    lease: int = Field(ge=1)
    token: int | None = None
    gone: int | None = None
    base: str | None = None
    marks: tuple[Mark, ...] = ()
    keep: bool = False
    back: tuple[Back, ...] = ()


class Judged(Record):
    """What a merger found out: `token` is its own, `window` how far it looks ahead next time."""

    token: int | None = None
    back: tuple[Back, ...] = ()
    window: int | None = Field(default=None, ge=1)
    leave: bool = False


class Land(Judged):
    """Record what was merged.

    With `onto`, the base branch moves from there to `commit` together with this operation, and it holds for all of
    the landings or for none. Without, their work is there already. `tests` stands for the tests that were green.
    """

    verb: Literal["land"] = "land"
    landings: tuple[Landing, ...]
    onto: str | None = None
    commit: str | None = None
    tests: str | None = None


class Intend(Record):
    """The base branch is about to be moved from `onto` to `commit`, where that can't be one step with the ledger."""

    verb: Literal["landing"] = "landing"
    token: int | None = None
    landings: tuple[Landing, ...] = Field(min_length=1)
    onto: str
    commit: str


class Withdraw(Record):
    """What was about to land by moving the base branch to `commit` didn't."""

    verb: Literal["withdraw"] = "withdraw"
    commit: str


class SendBack(Judged):
    """Return entries to their owners, or give up running the queue."""

    verb: Literal["return"] = "return"


class Frozen(Record):
    """The base branch itself is red."""

    verb: Literal["freeze"] = "freeze"
    token: int | None = None
    commit: str
    detail: str = Field(default="", max_length=2_000)


class Drop(Record):
    """Take an entry out of the queue: its owner has the task again."""

    verb: Literal["drop"] = "drop"
    task: TaskId
    reason: str | None = Field(default=None, max_length=1_000)


class First(Record):
    """An entry goes before all others."""

    verb: Literal["first"] = "first"
    task: TaskId


class Requeue(Record):
    """An entry is tried again as it is."""

    verb: Literal["requeue"] = "requeue"
    task: TaskId


class Stop(Record):
    """Nothing is merged for now, or nothing of a lower priority than `below`."""

    verb: Literal["pause"] = "pause"
    below: int | None = Field(default=None, ge=1, le=5)
    reason: str = Field(default="", max_length=1_000)


class Resume(Record):
    """Merging goes on."""

    verb: Literal["resume"] = "resume"


class Register(Record):
    """A worker introduces itself, or changes what is known of it.

    `force` is for an administrator who replaces a key that its worker has lost.
    """

    verb: Literal["register"] = "register"
    id: WorkerId = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")
    type: WorkerType | None = None
    name: str | None = Field(default=None, max_length=200)
    skills: tuple[str, ...] | None = None
    max_concurrent_tasks: int | None = Field(default=None, ge=1, le=1_000)
    github_username: str | None = None
    agent_type: AgentType | None = None
    signing_key: SigningKey | None = None
    force: bool = False
    reason: str | None = Field(default=None, max_length=1_000)


class Unregister(Record):
    """A worker leaves."""

    verb: Literal["unregister"] = "unregister"
    id: WorkerId


class Signing(Record):
    """From now on every operation must be signed, or none need be.

    `administrators` are those from now on; where none are named, those of before, or at first whoever asks.
    """

    verb: Literal["signing"] = "signing"
    on: bool
    administrators: tuple[WorkerId, ...] = Field(default=(), max_length=100)


Request = (
    Add
    | Begin
    | Call
    | Cancel
    | Complete
    | Drop
    | Edit
    | Expire
    | Fail
    | First
    | Frozen
    | Intend
    | Land
    | Leave
    | Lock
    | Merging
    | Moved
    | Push
    | Register
    | Release
    | Renew
    | Report
    | Requeue
    | Restore
    | Resume
    | Retry
    | SendBack
    | Signing
    | Split
    | Start
    | Stop
    | Suspect
    | Take
    | Unlock
    | Unregister
    | Wait
    | Withdraw
)


class Author(Record):
    """Who asks: the worker, and the host and checkout it asks from."""

    worker: WorkerId = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")
    type: WorkerType = WorkerType.HUMAN
    name: str = ""
    host: str
    place: str = ""


class Operation(Record):
    """A request at a moment; `seen` is the counter of the state it was decided on.

    `along` are claims of the asker that go on with it: their leases are renewed where it is time, and where their
    work stands is noted.
    `said` is what was said of progress meanwhile and goes with it, if there is something.
    """

    v: int = VERSION
    id: OperationId = Field(pattern=r"^[0-9a-f]{32}$")
    author: Author
    seen: int = Field(ge=0)
    at: Instant
    request: Annotated[Request, Field(discriminator="verb")]
    along: tuple[Mine, ...] = ()
    said: tuple[Said, ...] = Field(default=(), max_length=MOST_SAID)

    @model_serializer(mode="wrap")
    def _brief(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Nothing of what doesn't go along: an operation reads as it always did."""
        data: dict[str, Any] = handler(self)
        return {name: value for name, value in data.items() if value or name not in {"said", "along"}}


class Done(Record):
    """Granted; `changed` is false where everything was so already. `notes` are for people."""

    tasks: tuple[TaskId, ...] = ()
    claim: ClaimId | None = None
    token: int | None = None
    changed: bool = True
    detail: dict[str, Any] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Refused(Record):
    """An expected no: `code` as in the table of exit statuses."""

    code: Literal["held", "nothing", "stale", "invalid", "contended"]
    message: str
    hint: str | None = None
    data: dict[str, Any] = Field(default_factory=dict)


Outcome = Done | Refused
