"""How claims are granted, kept and ended: P1, P2 and P4 are decided here.

Every function works on a board and may leave it half changed when it refuses: the caller throws such a board away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import NamedTuple

from gitpw.domain import failure
from gitpw.domain.board import Board
from gitpw.domain.ids import ClaimId, TaskId, WorkerId, isoformat
from gitpw.domain.lock import (
    GIVEN_BACK,
    Claim,
    Ended,
    Held,
    Lease,
    Mode,
    ended,
    ending_soon,
    implausible,
    merged_locks,
    overdue,
)
from gitpw.domain.operation import (
    REMEMBERED,
    Done,
    Expire,
    Lock,
    Mine,
    OfTask,
    Operation,
    Outcome,
    Refused,
    Renew,
    Suspect,
    Take,
    Unlock,
    Warn,
)
from gitpw.domain.presence import is_due, is_young
from gitpw.domain.resource import Resource, resource
from gitpw.domain.task import MOST_LEFT, Left, Task, TaskStatus, commit_name, is_branch
from gitpw.domain.turns import Turns, goes_first, granted_turn, is_live, new_to, yourself
from gitpw.domain.worker import Worker, WorkerMetadata, WorkerStatus
from gitpw.errors import InvalidError

EXPIRED, TAKEN_OVER = "expired", "taken over"
"""How a claim ended that nobody renewed."""


class Conflict(NamedTuple):
    """A live lock in the way, and what was asked for."""

    claim: Claim
    held: Held
    wanted: str

    @property
    def what(self) -> str:
        """What was asked for, in words: with the lock that covers it, where that has another name."""
        covering = "" if self.wanted == self.held.resource else f" (locked as {self.held.resource})"
        return f"{self.wanted}{covering}"


class Sweep(NamedTuple):
    """The claims that make way for a set of locks."""

    locks: tuple[Held, ...]
    absorbed: tuple[Claim, ...]
    taken_over: tuple[Claim, ...]


def new_lease(board: Board, operation: Operation, seconds: int) -> Lease:
    """A lease from now on, by the asker's clock, no longer than the settings allow."""
    seconds = min(seconds, board.settings.longest_lease)
    return Lease(
        duration=seconds,
        written_at=operation.at,
        expires_at=operation.at + timedelta(seconds=seconds),
        host=operation.author.host,
        version=board.counter + 1,
    )


def may_take_over(board: Board, claim: Claim, operation: Operation) -> bool:
    """Whether the asker may treat this claim as over: its lease has ended, and it has seen the last renewal."""
    if claim.queued or claim.lease.version > operation.seen:
        return False
    lease, at, settings = claim.lease, operation.at, board.settings
    if not overdue(lease, at, settings) and not implausible(lease, at, settings):
        return False  # nearly always so: no need to look at all clocks
    return ended(claim.lease, operation.at, operation.author.host, board.clocks, board.settings)


def is_own(claim: Claim, operation: Operation) -> bool:
    """Whether the claim was made by the asker, in the same checkout."""
    return (claim.worker, claim.place) == (operation.author.worker, operation.author.place)


def sweep(
    board: Board, operation: Operation, wanted: tuple[Held, ...], own: ClaimId | None = None
) -> Sweep | Conflict:
    """What stands in the way of some locks: the first live lock, or all the claims that make way.

    The asker's own locks without a task, taken in the same checkout, are absorbed with everything that they lock.
    """
    absorbed: dict[ClaimId, Claim] = {}
    taken: dict[ClaimId, Claim] = {}
    todo, done = list(wanted), set[Held]()
    while todo:
        want = todo.pop()
        done.add(want)
        for claim, held in _overlaps(board, want):
            if claim.id == own or claim.id in absorbed or claim.id in taken:
                continue
            if claim.task is None and is_own(claim, operation):
                absorbed[claim.id] = claim
                todo += [lock for lock in claim.locks if lock not in done]
            elif held.mode is want.mode is Mode.SHARED:
                continue
            elif may_take_over(board, claim, operation):
                taken[claim.id] = claim
            else:
                return Conflict(claim, held, want.resource)
    locks = merged_locks(wanted, *(claim.locks for claim in absorbed.values()))
    return Sweep(locks, tuple(absorbed.values()), tuple(taken.values()))


def cleared(
    board: Board,
    operation: Operation,
    request: Take | Lock,
    wanted: tuple[Held, ...],
    own: Claim | None = None,
    task: TaskId | None = None,
) -> Sweep | Refused:
    """The claims that make way; or the refusal, where a live lock or somebody who goes first stands in the way."""
    found = sweep(board, operation, wanted, None if own is None else own.id)
    if isinstance(found, Conflict):
        return blocked_by(operation, found)
    mine = found.absorbed if own is None else (own, *found.absorbed)
    first = Turns(board, operation, request).before(new_to(board, wanted, mine), task)
    return found if first is None else goes_first(operation, first)


def _overlaps(board: Board, want: Held) -> Iterator[tuple[Claim, Held]]:
    for found, held in board.overlapping(board.seen(want.resource)):
        claim = board.claim(found)
        if claim is not None:
            yield claim, held


def held_words(operation: Operation, claim: Claim, what: str) -> str:
    """Who holds something, in words."""
    where = yourself(operation, claim.worker, claim.place)
    task = f" for {claim.task}" if claim.task and claim.task != what else ""
    return f"{what} is held by {claim.worker}{where}{task}"


def held_by(operation: Operation, claim: Claim, path: str | None, what: str) -> Refused:
    """The refusal that names the holder."""
    if claim.queued:
        hint = "it waits in the merge queue and is free once it has landed; see 'git pw merge list'"
    elif claim.lease.expires_at < operation.at:
        hint = (
            "its lease is overdue, but another clock must agree: run 'git pw gc' now and again in 10 minutes"
        )
    else:
        hint = f"held until {isoformat(claim.lease.expires_at)}; ask {claim.worker}, or see 'git pw locks'"
    return Refused(
        code="held",
        message=held_words(operation, claim, what),
        hint=hint,
        data={"holder": holder(claim, path)},
    )


def blocked_by(operation: Operation, conflict: Conflict) -> Refused:
    """The refusal that names the lock in the way."""
    return held_by(operation, conflict.claim, conflict.held.resource, conflict.what)


def holder(claim: Claim, path: str | None) -> dict[str, object]:
    """Who holds it, as JSON shows it."""
    return {
        "workerId": claim.worker,
        "taskId": claim.task,
        "path": path,
        "expiresAt": None if claim.queued else isoformat(claim.lease.expires_at),
    }


def enlisted(board: Board, operation: Operation) -> Worker:
    """The asker's record; who isn't registered is registered now, with room for one task."""
    author = operation.author
    known = board.worker(author.worker)
    if known is not None:
        return known
    return Worker(
        id=author.worker, type=author.type, name=author.name or author.worker, metadata=WorkerMetadata()
    )


def make_way(board: Board, operation: Operation, found: Sweep) -> None:
    """End the claims that a new one absorbs or takes over."""
    for claim in found.taken_over:
        void(board, operation, claim, TAKEN_OVER)
    for claim in found.absorbed:
        end(board, operation, claim, "absorbed")


def end(board: Board, operation: Operation, claim: Claim, how: str) -> None:
    """A claim is no more; its task, if any, is the caller's business."""
    board.drop_claim(
        claim,
        Ended(
            how=how,
            by=operation.author.worker,
            at=operation.at,
            counter=board.counter + 1,
            task=claim.task,
            worker=claim.worker,
        ),
    )
    worker = board.worker(claim.worker)
    if worker is not None and claim.task in worker.current_tasks:
        left = tuple(task for task in worker.current_tasks if task != claim.task)
        board.put_worker(worker.occupied(left))


def void(board: Board, operation: Operation, claim: Claim, how: str) -> None:
    """A claim was lost: all its locks are free and its task stands in line again, its branch still named.

    One whose lease ran out counts as a failure of its task, and one too many of them needs a person. A worker that
    has lost all that it held so is offline until it is heard of.
    """
    task = None if claim.task is None else board.task(claim.task)
    end(board, operation, claim, how)
    worker = board.worker(claim.worker)
    if how in {EXPIRED, TAKEN_OVER} and worker is not None and not worker.current_tasks:
        board.put_worker(worker.but(status=WorkerStatus.OFFLINE))
    if task is None:
        return
    task = left_by(task, claim, operation, how)
    hopeless = failure.lost(task, claim.worker, operation.at) if how == EXPIRED else None
    returned(board, task.but(attempts=task.attempts + (how == EXPIRED)))
    if hopeless is not None:
        board.put_task(hopeless)


def left_by(task: Task, claim: Claim, operation: Operation, how: str) -> Task:
    """The task with what its holder leaves behind, so that the next one can be told.

    Who gives a task back without a commit leaves nothing; of who is lost nobody knows that.
    """
    head = None if claim.head == task.base else commit_name(claim.head)
    gave_back = how in GIVEN_BACK
    branch = claim.pushed_to or claim.branch
    if branch is None or not is_branch(branch) or (gave_back and head is None):
        return task
    left = Left(
        worker=claim.worker,
        branch=branch,
        head=head,
        pushed=commit_name(claim.pushed),
        host=claim.lease.host,
        how=how,
        at=operation.at,
    )
    kept = [one for one in task.left if (one.worker, one.branch) != (left.worker, left.branch)]
    return task.but(left=(*kept, left)[-MOST_LEFT:])


def returned(board: Board, task: Task) -> None:
    """The task stands in line again, at the place that its age gives it."""
    for merge in board.merges():
        if merge.task_id == task.id:
            board.drop_merge(merge)
    board.drop_progress(task.id)
    board.put_task(
        task.but(
            status=TaskStatus.PENDING,
            assigned_to=None,
            token=None,
            claim=None,
            claimed_at=None,
            completed_at=None,
            failure=None,
            failure_kind=None,
            retry_at=None,
        )
    )


def new_claim(
    board: Board, operation: Operation, worker: Worker, locks: tuple[Held, ...], seconds: int
) -> Claim:
    """A grant to the asker; its id is the beginning of the operation's, its token the counter."""
    return Claim(
        id=ClaimId(operation.id[:16]),
        worker=worker.id,
        worker_type=worker.type,
        token=board.counter + 1,
        locks=locks,
        claimed_at=operation.at,
        lease=new_lease(board, operation, seconds),
        place=operation.author.place,
    )


def granted(claim: Claim, *notes: str) -> Done:
    """The answer that names a claim, its token and its files."""
    return Done(
        tasks=() if claim.task is None else (claim.task,),
        claim=claim.id,
        token=claim.token,
        detail={"files": [held.resource for held in claim.locks], "token": claim.token},
        notes=notes,
    )


def lock(board: Board, operation: Operation, request: Lock) -> Outcome:
    """Lock resources in a claim of their own, or within the asker's claim `into`."""
    unclear = unreadable(held.resource for held in request.locks)
    if unclear is not None:
        return unclear
    own = None
    if request.into is not None:
        own = board.claim(request.into)
        if own is None or own.worker != operation.author.worker:
            return lost(board, operation.author.worker, request.into, None)
        if own.queued:
            return Refused(
                code="invalid",
                message=f"{own.task} waits in the merge queue: nothing more is locked for it",
                hint="see 'git pw merge list'",
            )
    found = cleared(board, operation, request, request.locks, own)
    if isinstance(found, Refused):
        return found
    if own is None and len(found.absorbed) == 1 and not found.taken_over:
        own = found.absorbed[0] if found.locks == found.absorbed[0].locks else None
        found = found._replace(absorbed=()) if own else found
    make_way(board, operation, found)
    worker = enlisted(board, operation)
    board.put_worker(worker)
    lease = new_lease(board, operation, request.lease)
    if own is not None:
        claim = own.but(locks=merged_locks(own.locks, found.locks), lease=lease)
    else:
        claim = new_claim(board, operation, worker, found.locks, request.lease)
    board.put_claim(claim.but(reason=request.reason or claim.reason))
    granted_turn(board, operation, request, request.locks)
    return granted(claim)


def unlock(board: Board, operation: Operation, request: Unlock) -> Outcome:
    """Give up locks by name, or all without a task; with force, also what others hold."""
    if request.force and not request.reason:
        return Refused(code="invalid", message="--force needs a reason", hint="say why with --reason")
    unclear = unreadable(request.resources)
    if unclear is not None:
        return unclear
    if request.all:
        claims = [
            claim
            for claim in board.claims()
            if claim.task is None and claim.worker == operation.author.worker
        ]
        wanted = [(claim, held) for claim in claims for held in claim.locks]
    else:
        wanted = []
        for name in request.resources:
            found = _to_unlock(board, operation, request, board.seen(name), name)
            if isinstance(found, Refused):
                return found
            wanted += [(claim, held) for claim, held in found if (claim, held) not in wanted]
    return _unlocked(board, operation, request, wanted)


def _to_unlock(
    board: Board, operation: Operation, request: Unlock, wanted: Resource, name: str
) -> list[tuple[Claim, Held]] | Refused:
    held = [
        (claim, held)
        for claim, _ in _overlaps(board, Held(resource=name, mode=Mode.EXCLUSIVE))
        for held in claim.locks
        if board.seen(held.resource) == wanted
    ]
    mine = [
        (claim, lock) for claim, lock in held if claim.worker == operation.author.worker and not claim.queued
    ]
    if request.force and held:
        return held
    if mine:
        return mine
    for claim, _ in held:
        return Refused(
            code="invalid",
            message=f"{name} waits in the merge queue"
            if claim.worker == operation.author.worker
            else f"{name} is held by {claim.worker}, not by you",
            hint="git pw unlock --force --reason '…' voids the whole claim",
            data={"holder": holder(claim, name)},
        )
    for claim, lock_ in _overlaps(board, Held(resource=name, mode=Mode.EXCLUSIVE)):
        return Refused(
            code="invalid",
            message=f"{name} isn't locked by that name, but as {lock_.resource}",
            hint=f"git pw unlock {lock_.resource}",
            data={"holder": holder(claim, lock_.resource)},
        )
    return []


def _unlocked(board: Board, operation: Operation, request: Unlock, wanted: list[tuple[Claim, Held]]) -> Done:
    gone: dict[ClaimId, list[Held]] = {}
    voided: list[TaskId] = []
    for claim, held in wanted:
        gone.setdefault(claim.id, []).append(held)
    for name, helds in gone.items():
        claim_ = board.claim(name)
        if claim_ is None:
            continue
        left = tuple(held for held in claim_.locks if held not in helds)
        if claim_.worker != operation.author.worker or claim_.queued:
            voided += [claim_.task] if claim_.task is not None else []
            void(board, operation, claim_, f"unlocked by force: {request.reason}")
        elif claim_.task is None and not left:
            end(board, operation, claim_, "unlocked")
        else:
            board.put_claim(claim_.but(locks=left))
    files = sorted({held.resource for helds in gone.values() for held in helds})
    detail = {"files": files, "force": request.force, "reason": request.reason}
    return Done(tasks=tuple(voided), changed=bool(gone), detail=detail)


def renew(board: Board, operation: Operation, request: Renew) -> Outcome:
    """Begin leases anew by the tokens of their grants; several claims of a machine in one go."""
    lost_claims, kept = [], []
    for mine in request.claims:
        claim = board.claim(mine.claim)
        if claim is None or claim.token != mine.token:
            lost_claims.append(mine.claim)
        else:
            kept.append(claim.but(head=mine.head or claim.head))
    if not kept and lost_claims:
        return lost(board, operation.author.worker, lost_claims[0], None)
    older = request.older
    late = older is None or not all(is_young(claim, operation.at, older) for claim in kept)
    for claim in kept if late else ():
        if not claim.queued:
            board.put_claim(claim.but(lease=new_lease(board, operation, claim.lease.duration)))
    detail = {"renewed": [claim.id for claim in kept], "lost": lost_claims}
    return Done(changed=bool(kept) and late, detail=detail)


def freshened(board: Board, operation: Operation, claim: Claim) -> Claim:
    """The claim with a new lease if less than half of the old one is left, or somebody thinks that it is over."""
    if not is_due(claim, operation.at):
        return claim
    return claim.but(lease=new_lease(board, operation, claim.lease.duration))


def placed(board: Board, operation: Operation) -> None:
    """Note where the work stands on those claims of the asker that go along with an operation."""
    for claim, mine in _along(board, operation):
        if mine.head is not None and mine.head != claim.head:
            board.put_claim(claim.but(head=mine.head))


def carried(board: Board, operation: Operation) -> None:
    """Renew those leases of the asker's claims that go along with an operation and for which it is time."""
    for claim, _ in _along(board, operation):
        fresh = freshened(board, operation, claim)
        if fresh is not claim:
            board.put_claim(fresh)


def _along(board: Board, operation: Operation) -> Iterator[tuple[Claim, Mine]]:
    for mine in operation.along:
        claim = board.claim(mine.claim)
        if claim is not None and claim.token == mine.token and claim.worker == operation.author.worker:
            yield claim, mine


def suspect(board: Board, operation: Operation, request: Suspect) -> Outcome:
    """Note when this host first saw a lease overdue or impossibly long; a renewal wipes the note."""
    host, marked = operation.author.host, []
    for name in request.claims:
        claim = board.claim(name)
        if claim is None or claim.queued or host in claim.lease.marks:
            continue
        if overdue(claim.lease, operation.at, board.settings) or implausible(
            claim.lease, operation.at, board.settings
        ):
            marks = {**claim.lease.marks, host: operation.at}
            board.put_claim(claim.but(lease=claim.lease.but(marks=marks)))
            marked.append(name)
    return Done(changed=bool(marked), detail={"suspected": marked})


def warn(board: Board, operation: Operation, request: Warn) -> Outcome:
    """Note that leases end soon, of which nobody was told yet; a renewal wipes the note."""
    warned = []
    for name in request.claims:
        claim = board.claim(name)
        if claim is None or claim.queued or claim.lease.warned is not None:
            continue
        if ending_soon(claim.lease, operation.at):
            board.put_claim(claim.but(lease=claim.lease.but(warned=operation.at)))
            warned.append(name)
    return Done(changed=bool(warned), detail={"warned": warned})


def expire(board: Board, operation: Operation, _request: Expire) -> Outcome:
    """Void every claim whose lease has ended beyond doubt, and forget waits that are over and what was long ago."""
    over = [claim for claim in board.claims() if may_take_over(board, claim, operation)]
    for claim in over:
        void(board, operation, claim, EXPIRED)
    old = [name for name, ending in board.endings() if ending.counter < board.counter - REMEMBERED]
    for name in old:
        board.forget_ending(name)
    skew = board.settings.skew
    left = [one for one in board.waiters() if not is_live(one, operation.at, operation.author.host, skew)]
    for waiter in left:
        board.drop_waiter(waiter)
    tasks = tuple(claim.task for claim in over if claim.task is not None)
    files = sorted(held.resource for claim in over for held in claim.locks)
    return Done(
        changed=bool(over or old or left),
        tasks=tasks,
        detail={
            "files": files,
            "claims": [claim.id for claim in over],
            "waits": [waiter.worker for waiter in left],
            "needsPerson": [
                name for name in tasks if (task := board.task(name)) is not None and task.needs_person
            ],
        },
    )


def lost(board: Board, asker: WorkerId, claim: ClaimId | None, task: TaskId | None) -> Refused:
    """The refusal that tells a former holder what became of its claim."""
    ending = None if claim is None else board.ending(claim)
    named = task or (ending.task if ending else None)
    what = f"your claim on {named}" if named else "your claim"
    story = f"{what} is no longer the current one"
    if ending is not None:
        how, _, reason = ending.how.partition(": ")
        happened = "ran out and was ended" if how == "expired" else f"was {how}"
        by = "you" if ending.by == asker else ending.by
        story = f"{what} {happened} by {by} at {isoformat(ending.at)}{f' ({reason})' if reason else ''}"
    return Refused(code="stale", message=story, hint=_way_on(board, asker, named), data={"taskId": named})


def _way_on(board: Board, asker: WorkerId, name: TaskId | None) -> str:
    """What a former holder is to do: its work is kept, and where."""
    task = None if name is None else board.task(name)
    left = [] if task is None else [one.branch for one in task.left if one.worker == asker]
    kept = f"your work is kept on branch {left[-1]}" if left else "your commits and files are kept"
    if task is not None and task.assigned_to not in {None, asker}:
        return f"stop working on it: {kept}; {task.assigned_to} works on it now"
    return f"stop working on it: {kept}; 'git pw claim' asks for it again"


def mine(board: Board, operation: Operation, request: OfTask) -> tuple[Task, Claim] | Refused:
    """The asker's task and claim, or why it is not, or no longer, the asker's."""
    task = board.task(request.task)
    if task is None:
        return unknown(request.task)
    claim = None if task.claim is None else board.claim(task.claim)
    if request.token is not None and (claim is None or claim.token != request.token):
        return lost(board, operation.author.worker, request.claim, task.id)
    if claim is None:
        hint = f"git pw claim {task.id}" if task.status is TaskStatus.PENDING else "see 'git pw task list'"
        return Refused(code="invalid", message=f"{task.id} is {task.status}: nobody holds it", hint=hint)
    if claim.worker != operation.author.worker:
        return Refused(
            code="invalid",
            message=f"{task.id} is held by {claim.worker}, not by you ({operation.author.worker})",
            hint="say who you are with --as",
            data={"holder": holder(claim, None)},
        )
    return task, claim


def unknown(task: TaskId) -> Refused:
    """The refusal for a task that isn't there."""
    return Refused(code="invalid", message=f"there is no {task}", hint="see 'git pw task list'")


def unreadable(names: Iterable[str]) -> Refused | None:
    """The refusal for the first name that is no resource in canonical form: once stored, it would stop everybody."""
    for name in names:
        try:
            right = str(resource(name))
        except InvalidError as error:
            return Refused(code="invalid", message=error.message, hint=error.hint)
        if right != name:
            return Refused(
                code="invalid", message=f"{name!r} isn't in canonical form", hint=f"write it as {right}"
            )
    return None


def held_locks(files: Iterable[str], *, shared: bool) -> tuple[Held, ...]:
    """The same mode for all files."""
    mode = Mode.SHARED if shared else Mode.EXCLUSIVE
    return merged_locks(tuple(Held(resource=file, mode=mode) for file in files))
