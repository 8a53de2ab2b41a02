"""What becomes of tasks: added, changed, worked on, finished, merged."""

from __future__ import annotations

from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter

from gitpw.domain.board import Board
from gitpw.domain.grant import (
    Conflict,
    blocked_by,
    end,
    freshened,
    make_way,
    mine,
    returned,
    sweep,
    unknown,
    unreadable,
)
from gitpw.domain.ids import TASK, TaskId, numbered_task
from gitpw.domain.lock import Claim, merged_locks
from gitpw.domain.merge import Merge, MergeState
from gitpw.domain.operation import (
    Add,
    Cancel,
    Complete,
    Done,
    Edit,
    Fail,
    NewTask,
    Operation,
    Outcome,
    Push,
    Refused,
    Release,
    Report,
    Retry,
    Start,
)
from gitpw.domain.progress import Progress
from gitpw.domain.task import MOVES, UNESTIMATED, Task, TaskMetadata, TaskStatus


def add(board: Board, operation: Operation, request: Add) -> Outcome:
    """Add tasks, all or none; one whose key was imported before is not added again."""
    unclear = _unclear(request)
    if unclear is not None:
        return unclear
    known = [board.keyed(new.key) if new.key else None for new in request.tasks]
    number = board.meta.tasks
    ids: list[TaskId] = []
    for old in known:
        if old is None:
            number += 1
        ids.append(old or numbered_task(number))
    names = {new.key: task for new, task in zip(request.tasks, ids, strict=True) if new.key}
    after: dict[TaskId, tuple[TaskId, ...]] = {}
    for new, task, old in zip(request.tasks, ids, known, strict=True):
        found = _dependencies(board, new, names, set(ids))
        if isinstance(found, Refused):
            return found
        if old is None:
            after[task] = found
    fresh = {task: new for new, task in zip(request.tasks, ids, strict=True) if task in after}
    try:
        order = list(TopologicalSorter(after).static_order())
    except CycleError as error:
        return _circle(list(reversed(error.args[1])))
    board.put_meta(board.meta.but(tasks=number))
    for task, chain in _chains(fresh, after, order).items():
        board.put_task(_new_task(operation, task, fresh[task], after[task], chain))
        if fresh[task].key:
            board.put_key(fresh[task].key or "", task)
    lift(board, {needed for needs in after.values() for needed in needs if needed not in after})
    return Done(tasks=tuple(ids), changed=bool(after), detail={"added": len(after)})


def _unclear(request: Add) -> Refused | None:
    """A file that can't be locked, or a key that names two tasks."""
    keys = [new.key for new in request.tasks if new.key]
    for twice in (key for key in keys if keys.count(key) > 1):
        return Refused(code="invalid", message=f"two tasks have the key {twice}", hint="each needs its own")
    return unreadable(file for new in request.tasks for file in new.files)


def _dependencies(
    board: Board, new: NewTask, names: dict[str, TaskId], ids: set[TaskId]
) -> tuple[TaskId, ...] | Refused:
    found: list[TaskId] = []
    for name in new.after:
        task = names.get(name) or (None if TASK.fullmatch(name) else board.keyed(name)) or TaskId(name)
        if task not in ids and board.task(task) is None:
            return Refused(
                code="invalid", message=f"there is no {name} to come after", hint="see 'git pw task list'"
            )
        if task not in found:
            found.append(task)
    return tuple(found)


def _chains(
    fresh: dict[TaskId, NewTask], after: dict[TaskId, tuple[TaskId, ...]], order: list[TaskId]
) -> dict[TaskId, int]:
    """Minutes of new work that hang on each new task."""
    chains = dict.fromkeys(sorted(after, key=lambda task: (len(task), task)), 0)
    for task in reversed(order):
        for needed in after.get(task, ()):
            if needed in chains:
                estimate = fresh[task].estimate
                minutes = UNESTIMATED if estimate is None else estimate
                chains[needed] = max(chains[needed], chains[task] + minutes)
    return chains


def _new_task(
    operation: Operation, task: TaskId, new: NewTask, after: tuple[TaskId, ...], chain: int
) -> Task:
    return Task(
        id=task,
        type=new.type,
        title=new.title,
        description=new.description,
        priority=new.priority,
        dependencies=after,
        estimated_duration=new.estimate,
        required_skills=tuple(sorted(set(new.skills))),
        metadata=TaskMetadata(issue_number=new.issue, files=tuple(dict.fromkeys(new.files))),
        created_at=operation.at,
        chain=chain,
        key=new.key,
    )


def _circle(tasks: list[TaskId]) -> Refused:
    return Refused(
        code="invalid",
        message=f"that is a circle: {' → '.join(tasks)}",
        hint="each comes after the next: leave out one of them",
        data={"circle": tasks},
    )


def lift(board: Board, tasks: Iterable[TaskId]) -> None:
    """Bring the chains of these tasks, and of all that they depend on, up to date."""
    todo = list(tasks)
    while todo:
        task = board.task(todo.pop())
        if task is None:
            continue
        waiting = [board.task(name) for name in board.dependents(task.id)]
        chain = max(
            (one.minutes + one.chain for one in waiting if one is not None and _wanted(one)), default=0
        )
        if chain != task.chain:
            board.put_task(task.but(chain=chain))
            todo += task.dependencies


def _wanted(task: Task) -> bool:
    return task.status is not TaskStatus.CANCELLED and task.merged_at is None


def edit(board: Board, _operation: Operation, request: Edit) -> Outcome:
    """Change a task that isn't finished; what its claim locks can't be changed under its holder."""
    task = board.task(request.task)
    if task is None:
        return unknown(request.task)
    unclear = unreadable(request.files or ())
    if unclear is not None:
        return unclear
    free = task.status in {TaskStatus.PENDING, TaskStatus.FAILED}
    if not free and (
        task.claim is None
        or task.status is TaskStatus.COMPLETED
        or request.files is not None
        or request.after
        or request.no_after
    ):
        return Refused(
            code="invalid",
            message=f"{task.id} is {task.status}: that can't be changed now",
            hint="files of a claimed task are added with 'git pw lock' in its worktree",
        )
    after = [name for name in task.dependencies if name not in request.no_after]
    for name in request.after:
        if board.task(name) is None:
            return Refused(
                code="invalid", message=f"there is no {name} to come after", hint="see 'git pw task list'"
            )
        path = _path(board, name, task.id)
        if path is not None:
            return _circle([task.id, *path])
        if name not in after:
            after.append(name)
    changed = _edited(task, request).but(dependencies=tuple(after))
    board.put_task(changed.but(parked=None))
    lift(board, {*task.dependencies, *after})
    return Done(tasks=(task.id,), changed=changed != task)


def _edited(task: Task, request: Edit) -> Task:
    given = {
        "title": request.title,
        "type": request.type,
        "description": request.description,
        "priority": request.priority,
        "estimated_duration": request.estimate,
        "required_skills": None if request.skills is None else tuple(sorted(set(request.skills))),
    }
    meta = {"files": request.files, "issue_number": request.issue}
    metadata = task.metadata.but(**{name: value for name, value in meta.items() if value is not None})
    return task.but(metadata=metadata, **{name: value for name, value in given.items() if value is not None})


def _path(board: Board, start: TaskId, goal: TaskId) -> list[TaskId] | None:
    """A way from one task along its dependencies to another, both included."""
    came: dict[TaskId, TaskId | None] = {start: None}
    todo = [start]
    while todo:
        name = todo.pop()
        if name == goal:
            way: list[TaskId] = []
            step: TaskId | None = name
            while step is not None:
                way.insert(0, step)
                step = came[step]
            return way
        task = board.task(name)
        for needed in task.dependencies if task else ():
            if needed not in came:
                came[needed] = name
                todo.append(needed)
    return None


def _move(task: Task, *steps: TaskStatus) -> Task | Refused:
    """Take a task through its life, step by step."""
    for step in steps:
        if task.status is step:
            continue
        if step not in MOVES[task.status]:
            return Refused(
                code="invalid",
                message=f"{task.id} is {task.status} and can't become {step}",
                hint="see its log",
            )
        task = task.but(status=step)
    return task


def cancel(board: Board, _operation: Operation, request: Cancel) -> Outcome:
    """The task isn't wanted any more; what waits for it shows it as its reason."""
    task = board.task(request.task)
    if task is None:
        return unknown(request.task)
    if task.status is TaskStatus.CANCELLED:
        return Done(tasks=(task.id,), changed=False)
    if task.claim is not None:
        return Refused(
            code="invalid",
            message=f"{task.id} is {task.status} by {task.assigned_to}",
            hint=f"its holder gives it back first: git pw release {task.id}",
        )
    moved = _move(task, TaskStatus.CANCELLED)
    if isinstance(moved, Refused):
        return moved
    board.put_task(moved.but(parked=None))
    lift(board, task.dependencies)
    return Done(tasks=(task.id,))


def retry(board: Board, _operation: Operation, request: Retry) -> Outcome:
    """A failed or cancelled task stands in line again."""
    task = board.task(request.task)
    if task is None:
        return unknown(request.task)
    if task.status is TaskStatus.PENDING:
        return Done(tasks=(task.id,), changed=False)
    if task.status not in {TaskStatus.FAILED, TaskStatus.CANCELLED}:
        return Refused(
            code="invalid",
            message=f"{task.id} is {task.status}",
            hint="only failed or cancelled tasks are retried",
        )
    returned(board, task)
    lift(board, task.dependencies)
    return Done(tasks=(task.id,))


def start(board: Board, operation: Operation, request: Start) -> Outcome:
    """Work has begun."""
    found = mine(board, operation, request)
    if isinstance(found, Refused):
        return found
    task, claim = found
    if task.status is TaskStatus.COMPLETED:
        return Refused(
            code="invalid", message=f"{task.id} waits in the merge queue", hint="see 'git pw merge list'"
        )
    if task.status is TaskStatus.IN_PROGRESS:
        return Done(tasks=(task.id,), claim=claim.id, token=claim.token, changed=False)
    return _begun(board, operation, task, claim)


def _begun(board: Board, operation: Operation, task: Task, claim: Claim) -> Outcome:
    moved = _move(task, TaskStatus.IN_PROGRESS)
    if isinstance(moved, Refused):
        return moved
    if moved != task:
        board.put_task(moved)
    board.put_claim(freshened(board, operation, claim))
    return Done(tasks=(task.id,), claim=claim.id, token=claim.token)


def report(board: Board, operation: Operation, request: Report) -> Outcome:
    """How far the work has come."""
    found = mine(board, operation, request)
    if isinstance(found, Refused):
        return found
    task, claim = found
    if task.status is TaskStatus.COMPLETED:
        return Refused(
            code="invalid", message=f"{task.id} is completed", hint="there is no more progress to report"
        )
    begun = _begun(board, operation, task, claim)
    if isinstance(begun, Refused):
        return begun
    old = board.progress(task.id) or Progress(
        task_id=task.id, worker_id=claim.worker, last_updated=operation.at
    )
    total = request.total if request.total is not None else old.total_steps
    done = request.done if request.done is not None else old.steps_completed
    if total and done > total:
        return Refused(code="invalid", message=f"step {done} of {total} is beyond the end", hint="--step 3/7")
    percent = request.percent
    if percent is None:
        percent = 100 * done // total if request.done is not None and total else old.percent_complete
    board.put_progress(
        old.but(
            worker_id=claim.worker,
            current_step=old.current_step if request.step is None else request.step,
            steps_completed=done,
            total_steps=total,
            percent_complete=percent,
            estimated_time_remaining=old.estimated_time_remaining if request.eta is None else request.eta,
            last_updated=operation.at,
        )
    )
    return begun


def push(board: Board, operation: Operation, request: Push) -> Outcome:
    """The branch moves in the same step, so the claim must still be the current one."""
    found = mine(board, operation, request)
    if isinstance(found, Refused):
        return found
    task, claim = found
    if task.status is TaskStatus.COMPLETED:
        return Refused(
            code="invalid", message=f"{task.id} waits in the merge queue", hint="see 'git pw merge list'"
        )
    begun = _begun(board, operation, task, claim)
    return (
        begun
        if isinstance(begun, Refused)
        else begun.but(detail={"head": request.head, "branch": request.branch})
    )


def complete(board: Board, operation: Operation, request: Complete) -> Outcome:
    """The work is done: its locks stay until it has landed, its room is free.

    What was handed in before and is handed in anew, changed or returned by the queue, keeps its place.
    """
    found = mine(board, operation, request)
    if isinstance(found, Refused):
        return found
    task, claim = found
    entry = board.entry(task.id)
    if task.status is TaskStatus.COMPLETED and (entry is None or request.head in {None, entry.head}):
        return Done(tasks=(task.id,), claim=claim.id, token=claim.token, changed=False)
    if entry is not None and entry.state is MergeState.LANDING:
        return Refused(
            code="invalid", message=f"{task.id} is landing just now", hint="see 'git pw merge list'"
        )
    late = _locked_late(board, operation, request, claim)
    if isinstance(late, Refused):
        return late
    claim = late
    moved = _move(task, TaskStatus.IN_PROGRESS, TaskStatus.COMPLETED)
    if isinstance(moved, Refused):
        return moved
    files = (*task.files, *(one.resource for one in request.late))
    metadata = task.metadata.but(
        branch_name=request.branch or task.metadata.branch_name, files=tuple(dict.fromkeys(files))
    )
    task = moved.but(head=request.head, metadata=metadata)
    queued(board, operation, task, claim)
    if not request.queue:
        landed_task(board, operation, task.id, "completed", None)
    else:
        _queue(board, operation, request, task, claim, entry)
    detail = {
        "head": request.head,
        "branch": request.branch,
        "declaredLate": [held.resource for held in request.late],
    }
    return Done(tasks=(task.id,), claim=claim.id, token=claim.token, detail=detail)


def _locked_late(board: Board, operation: Operation, request: Complete, claim: Claim) -> Claim | Refused:
    """The claim with locks also on what was changed beyond what it covers."""
    if not request.late:
        return claim
    unclear = unreadable(held.resource for held in request.late)
    if unclear is not None:
        return unclear
    found = sweep(board, operation, request.late, claim.id)
    if isinstance(found, Conflict):
        return blocked_by(operation, found)
    make_way(board, operation, found)
    return claim.but(locks=merged_locks(claim.locks, found.locks))


def queued(board: Board, operation: Operation, task: Task, claim: Claim) -> None:
    """The task is finished as far as its owner goes: its locks have no end, and its room is free."""
    board.put_task(task.but(status=TaskStatus.COMPLETED, completed_at=operation.at))
    board.put_claim(claim.but(queued=True))
    worker = board.worker(claim.worker)
    if worker is not None:
        board.put_worker(worker.occupied(tuple(one for one in worker.current_tasks if one != task.id)))


def _queue(
    board: Board, operation: Operation, request: Complete, task: Task, claim: Claim, before: Merge | None
) -> None:
    """Put the task in line, at the place that it had before if it had one."""
    position = board.meta.positions + 1
    new = Merge(
        task_id=task.id,
        worker_id=claim.worker,
        branch_name=request.branch,
        position=position,
        queued_at=operation.at,
        updated_at=operation.at,
        head=request.head,
        base=task.base,
        claim=claim.id,
    )
    if before is None:
        board.put_meta(board.meta.but(positions=position))
        board.put_merge(new)
    else:
        kept = ("position", "queued_at", "rank", "tries", "pr_url")
        board.put_merge(new.but(**{name: getattr(before, name) for name in kept}))


def fail(board: Board, operation: Operation, request: Fail) -> Outcome:
    """The work can't be done: the claim ends, the branch stays named."""
    found = mine(board, operation, request)
    if isinstance(found, Refused):
        return found
    task, claim = found
    if task.status is TaskStatus.COMPLETED:
        return Refused(code="invalid", message=f"{task.id} is completed", hint="it waits in the merge queue")
    moved = _move(task, TaskStatus.IN_PROGRESS, TaskStatus.FAILED)
    if isinstance(moved, Refused):
        return moved
    end(board, operation, claim, "failed")
    board.drop_progress(task.id)
    _unqueue(board, task.id)
    board.put_task(moved.but(failure=request.reason, claim=None, assigned_to=None, token=None))
    return Done(tasks=(task.id,), detail={"reason": request.reason, "files": _files(claim)})


def release(board: Board, operation: Operation, request: Release) -> Outcome:
    """The task goes back into the queue, the locks are free."""
    found = mine(board, operation, request)
    if isinstance(found, Refused):
        return found
    task, claim = found
    if task.status is TaskStatus.COMPLETED:
        return Refused(
            code="invalid",
            message=f"{task.id} waits in the merge queue: its locks end when it lands",
            hint="'git pw unlock --force --reason …' takes it out",
        )
    end(board, operation, claim, "released")
    returned(board, board.task(task.id) or task)
    return Done(tasks=(task.id,), detail={"files": _files(claim), "token": claim.token})


def _files(claim: Claim) -> list[str]:
    return [held.resource for held in claim.locks]


def landed_task(board: Board, operation: Operation, name: TaskId, how: str, commit: str | None) -> None:
    """A task is done, its work on the base branch as `commit` if that is known: its locks are free, its dependents ready."""
    task = board.task(name)
    if task is None:
        return
    claim = None if task.claim is None else board.claim(task.claim)
    board.put_task(
        task.but(
            status=TaskStatus.COMPLETED,
            completed_at=task.completed_at or operation.at,
            merged_at=operation.at,
            claim=None,
            landed=commit,
        )
    )
    if claim is not None:
        end(board, operation, claim, how)
    _unqueue(board, name)
    board.drop_progress(name)
    for waiting in board.dependents(name):
        dependent = board.task(waiting)
        if dependent is not None:
            board.put_task(dependent)


def _unqueue(board: Board, name: TaskId) -> None:
    entry = board.entry(name)
    if entry is not None:
        board.drop_merge(entry)
