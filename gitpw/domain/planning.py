"""What is to be done, and in which order: tasks are added, changed, tied together and taken apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.grant import returned, unknown, unreadable
from gitpw.domain.graph import CircleError, ordered
from gitpw.domain.ids import TASK, TaskId, numbered_task, task_number
from gitpw.domain.operation import Add, Done, Edit, NewTask, Operation, Outcome, Refused, Split
from gitpw.domain.task import UNESTIMATED, URGENT, Task, TaskMetadata, TaskStatus

LONG = 30
"""Minutes; a task that should take longer is better split."""


class Links(NamedTuple):
    """The tasks that a new one has to do with."""

    after: tuple[TaskId, ...]
    parent: TaskId | None
    related: tuple[TaskId, ...]
    found_by: TaskId | None


class Plan(NamedTuple):
    """New tasks under their ids, what they have to do with others, and the wholes that they are parts of."""

    tasks: Mapping[TaskId, NewTask]
    links: Mapping[TaskId, Links]
    parts: Mapping[TaskId, Sequence[TaskId]]

    def name(self, task: TaskId) -> str:
        """What the one who adds it calls a task."""
        new = self.tasks.get(task)
        return task if new is None or new.key is None else new.key


# Adding


def add(board: Board, operation: Operation, request: Add) -> Outcome:
    """Add tasks, all or none; one whose key was imported before is not added again."""
    return _add(board, operation, request.tasks)


def _add(board: Board, operation: Operation, tasks: Sequence[NewTask]) -> Outcome:
    unclear = _unclear(tasks)
    if unclear is not None:
        return unclear
    known = [known_key(board, new.key) if new.key else None for new in tasks]
    number = board.meta.tasks
    ids: list[TaskId] = []
    for old in known:
        number += old is None
        ids.append(old or numbered_task(number))
    plan = _plan(board, tasks, ids, {task for task, old in zip(ids, known, strict=True) if old is None})
    if isinstance(plan, Refused):
        return plan
    try:
        order = ordered(plan.tasks, lambda task: _needs(board, plan, task))
    except CircleError as circle:
        return _circle(circle.tasks, plan, ids)
    board.put_meta(board.meta.but(tasks=number))
    _open_wholes(board, plan)
    weights = _weights(board, plan, order)
    for task in sorted(weights, key=task_number):
        new = plan.tasks[task]
        board.put_task(_new_task(operation, task, new, plan.links[task], weights[task]))
        if new.key:
            board.put_key(new.key, task)
    needed = {name for links in plan.links.values() for name in links.after}
    lift(board, sorted(needed - set(plan.tasks)))
    return Done(tasks=tuple(ids), changed=bool(plan.tasks), detail={"added": len(plan.tasks)})


def _unclear(tasks: Sequence[NewTask]) -> Refused | None:
    """A file that can't be locked, or a key that names two tasks."""
    seen: set[str] = set()
    for place, new in enumerate(tasks):
        if new.key in seen:
            return Refused(
                code="invalid",
                message=f"two tasks have the key {new.key}",
                hint="each needs its own",
                data={"entry": place},
            )
        if new.key:
            seen.add(new.key)
        unclear = _untitled(new.title) or unreadable(new.files)
        if unclear is not None:
            return unclear.but(data={"entry": place})
    return None


def _untitled(title: str | None) -> Refused | None:
    """The refusal for a title of which nobody would see anything."""
    if title is None or title.strip():
        return None
    return Refused(code="invalid", message="the title is blank", hint="say in a few words what is to be done")


def export_key(board: Board, task: Task) -> str:
    """The key by which a task is known elsewhere: its importer's, or this ledger's name for it."""
    return task.key or f"{board.meta.ledger}:{task.id}"


def known_key(board: Board, key: str) -> TaskId | None:
    """The task that was imported under a key, or exported from this ledger under it."""
    ledger, _, name = key.rpartition(":")
    if ledger == board.meta.ledger and TASK.fullmatch(name) and board.task(TaskId(name)) is not None:
        return TaskId(name)
    return board.keyed(key)


def _plan(
    board: Board, tasks: Sequence[NewTask], ids: Sequence[TaskId], fresh: set[TaskId]
) -> Plan | Refused:
    """What is to be added, with every name in it understood; the refusal names the entry that it is about."""
    names = {new.key: task for new, task in zip(tasks, ids, strict=True) if new.key}
    news: dict[TaskId, NewTask] = {}
    links: dict[TaskId, Links] = {}
    parts: dict[TaskId, list[TaskId]] = {}

    def named(name: str) -> TaskId | None:
        task = names.get(name) or (None if TASK.fullmatch(name) else known_key(board, name)) or TaskId(name)
        return task if task in fresh or board.task(task) is not None else None

    for place, (new, task) in enumerate(zip(tasks, ids, strict=True)):
        found = _links(new, task, named)
        if not isinstance(found, Refused) and found.parent is not None and found.parent not in fresh:
            found = _no_whole(board, found.parent) or found
        if isinstance(found, Refused):
            return found.but(data={**found.data, "entry": place})
        if task in fresh:
            news[task], links[task] = new, found
            if found.parent is not None:
                parts.setdefault(found.parent, []).append(task)
    return Plan(news, links, parts)


def _links(new: NewTask, task: TaskId, named: Callable[[str], TaskId | None]) -> Links | Refused:
    wanted = [("to come after", name) for name in new.after]
    wanted += [("to have to do with", name) for name in new.related]
    wanted += [("to be a part of", new.parent)] if new.parent is not None else []
    wanted += [("in which it was found", new.found_by)] if new.found_by is not None else []
    found: dict[str, TaskId] = {}
    for what, name in wanted:
        other = named(name)
        if other is None:
            return Refused(
                code="invalid", message=f"there is no {name} {what}", hint="see 'git pw task list'"
            )
        found[name] = other
    related = dict.fromkeys(found[name] for name in new.related)
    if task in related:
        return _itself(task)
    return Links(
        after=tuple(dict.fromkeys(found[name] for name in new.after)),
        parent=None if new.parent is None else found[new.parent],
        related=tuple(related),
        found_by=None if new.found_by is None else found[new.found_by],
    )


def _itself(task: TaskId) -> Refused:
    return Refused(code="invalid", message=f"{task} can't be related to itself", hint="name another task")


def _no_whole(board: Board, name: TaskId) -> Refused | None:
    """Why a task can have no more parts: its own work is being done, or is done."""
    task = board.task(name)
    if task is None:
        return unknown(name)
    if task.status in {TaskStatus.PENDING, TaskStatus.FAILED}:
        return None
    hint = "its holder gives it back first: git pw release" if task.claim is not None else "see its log"
    state = "merged" if task.merged_at is not None else task.status.value
    return Refused(code="invalid", message=f"{name} is {state}: it can have no parts now", hint=hint)


def _needs(board: Board, plan: Plan, task: TaskId) -> list[TaskId]:
    """What a task waits for once the plan is carried out."""
    links = plan.links.get(task)
    old = board.task(task)
    after = links.after if links is not None else old.dependencies if old is not None else ()
    return [*after, *board.parts(task), *plan.parts.get(task, ())]


def _circle(circle: list[TaskId], plan: Plan, ids: Sequence[TaskId]) -> Refused:
    entry = min(ids.index(task) for task in circle if task in plan.tasks)
    refusal = circle_refused(circle, [plan.name(task) for task in circle])
    return refusal.but(data={**refusal.data, "entry": entry})


def circle_refused(circle: list[TaskId], names: Sequence[str] | None = None) -> Refused:
    """The refusal that spells out a circle."""
    return Refused(
        code="invalid",
        message=f"that is a circle: {' → '.join(names or circle)}",
        hint="each waits for the next: leave out one of them",
        data={"circle": circle},
    )


def _weights(board: Board, plan: Plan, order: Sequence[TaskId]) -> dict[TaskId, Weight]:
    """What of the new work hangs on each new task."""
    weights = dict.fromkeys(plan.tasks, Weight())
    for task in reversed(order):
        if task not in plan.tasks:
            continue
        links, new = plan.links[task], plan.tasks[task]
        if links.parent in weights:
            whole = weights[links.parent]
            weights[task] = weights[task].heavier(
                whole.chain, whole.urgency(plan.tasks[links.parent].priority)
            )
        elif links.parent is not None:
            weights[task] = weights[task].heavier(*_weight_of_whole(board.task(links.parent)))
        here = weights[task].urgency(new.priority)
        minutes = UNESTIMATED if new.estimate is None else new.estimate
        for needed in links.after:
            if needed in weights:
                weights[needed] = weights[needed].heavier(weights[task].chain + minutes, here)
    return weights


def _open_wholes(board: Board, plan: Plan) -> None:
    """A failed task that is taken apart is wanted again: its work is that of its parts."""
    for name in plan.parts:
        whole = board.task(name)
        if whole is not None and whole.status is TaskStatus.FAILED:
            returned(board, whole)


def _new_task(operation: Operation, task: TaskId, new: NewTask, links: Links, weight: Weight) -> Task:
    return Task(
        id=task,
        type=new.type,
        title=new.title,
        description=new.description,
        priority=new.priority,
        dependencies=links.after,
        estimated_duration=new.estimate,
        required_skills=tuple(sorted(set(new.skills))),
        metadata=TaskMetadata(issue_number=new.issue, files=tuple(dict.fromkeys(new.files))),
        created_at=operation.at,
        chain=weight.chain,
        urgent=weight.above(new.priority),
        key=new.key,
        parent=links.parent,
        related=links.related,
        found_by=links.found_by,
    )


def split(board: Board, operation: Operation, request: Split) -> Outcome:
    """Make parts of a task: they wait for what it waits for, and what waits for it goes on waiting for it."""
    whole = board.task(request.task)
    if whole is None:
        return unknown(request.task)
    refusal = _no_whole(board, whole.id)
    if refusal is not None:
        return refusal
    share = whole.estimated_duration
    if share is not None:
        share = -(-share // len(request.titles))
    return _add(
        board,
        operation,
        [
            NewTask(
                title=title,
                type=request.type or whole.type,
                priority=request.priority or whole.priority,
                files=whole.files if request.files is None else request.files,
                skills=whole.required_skills if request.skills is None else request.skills,
                estimate=share if request.estimate is None else request.estimate,
                issue=whole.metadata.issue_number,
                after=tuple(board.unmet(whole)),
                parent=whole.id,
            )
            for title in request.titles
        ],
    )


# What hangs on a task


class Weight(NamedTuple):
    """What hangs on a task: minutes of work in a row, and the priority of the most urgent of it, if that is urgent."""

    chain: int = 0
    urgent: int | None = None

    def heavier(self, chain: int, urgency: int | None) -> Weight:
        """With this hanging on it as well."""
        found = [one for one in (self.urgent, urgency) if one is not None and one <= URGENT]
        return Weight(max(self.chain, chain), min(found, default=None))

    def urgency(self, priority: int) -> int:
        """How urgent a task of that priority is with this hanging on it."""
        return priority if self.urgent is None else min(priority, self.urgent)

    def above(self, priority: int) -> int | None:
        """What is noted of it with a task of that priority."""
        return None if self.urgent is None or self.urgent >= priority else self.urgent


def _weight_of_whole(whole: Task | None) -> Weight:
    """What hangs on the parts of a whole: what hangs on it, not its own time."""
    return Weight() if whole is None or not whole.is_open else Weight(whole.chain, whole.urgency)


def lift(board: Board, tasks: Iterable[TaskId]) -> None:
    """Bring what hangs on these tasks, and on all that they wait for, up to date."""
    todo = list(tasks)
    while todo:
        task = board.task(todo.pop())
        if task is None:
            continue
        weight = Weight()
        for one in map(board.task, board.dependents(task.id)):
            if one is not None and one.is_open:
                weight = weight.heavier(one.minutes + one.chain, one.urgency)
        if task.parent is not None:
            weight = weight.heavier(*_weight_of_whole(board.task(task.parent)))
        changed = task.but(chain=weight.chain, urgent=weight.above(task.priority))
        if changed != task:
            board.put_task(changed)
            todo += [*task.dependencies, *board.parts(task.id)]


# Wholes


def complete_wholes(board: Board, operation: Operation, names: Iterable[TaskId | None]) -> None:
    """Of these tasks, those whose parts are all merged, or not wanted any more, are complete; and so on above them.

    A whole none of whose parts was merged has not been done: it is to be had like any other task again.
    """
    todo = list(names)
    while todo:
        name = todo.pop()
        whole = None if name is None else board.task(name)
        if whole is None or whole.turn is None or not _is_done(board, whole):
            continue
        board.put_task(
            whole.but(status=TaskStatus.COMPLETED, completed_at=operation.at, merged_at=operation.at)
        )
        todo += [whole.parent, *board.dependents(whole.id)]


def _is_done(board: Board, whole: Task) -> bool:
    parts = [part for name in board.parts(whole.id) if (part := board.task(name)) is not None]
    return (
        not board.unmet(whole)
        and not any(part.is_open for part in parts)
        and any(part.merged_at is not None for part in parts)
    )


# Changing


def edit(board: Board, operation: Operation, request: Edit) -> Outcome:
    """Change a task that isn't finished; what its claim locks can't be changed under its holder."""
    task = board.task(request.task)
    if task is None:
        return unknown(request.task)
    refusal = (
        _untitled(request.title)
        or unreadable(request.files or ())
        or _unchangeable(task, request)
        or _unlinked(board, request)
    )
    if refusal is not None:
        return refusal
    changed = _edited(task, request)
    try:
        ordered([task.id], lambda name: _needs_then(board, task, changed, name))
    except CircleError as circle:
        return circle_refused(circle.tasks)
    if changed == task:
        return Done(tasks=(task.id,), changed=False)
    whole = None if changed.parent in {None, task.parent} else board.task(changed.parent or task.id)
    if whole is not None and whole.status is TaskStatus.FAILED:
        returned(board, whole)
    board.put_task(changed.but(parked=None, passed=0, reserved=None))
    lift(board, [task.id, *dict.fromkeys([*task.dependencies, *changed.dependencies, *board.parts(task.id)])])
    complete_wholes(board, operation, [task.id, task.parent])
    return Done(tasks=(task.id,))


def _unchangeable(task: Task, request: Edit) -> Refused | None:
    if task.status in {TaskStatus.PENDING, TaskStatus.FAILED}:
        return None
    locked = request.files is not None or request.after or request.no_after
    if task.claim is not None and task.status is not TaskStatus.COMPLETED and not locked:
        return None
    return Refused(
        code="invalid",
        message=f"{task.id} is {task.status}: that can't be changed now",
        hint="files of a claimed task are added with 'git pw lock' in its worktree",
    )


def _unlinked(board: Board, request: Edit) -> Refused | None:
    """A task that is named and isn't there, or can't be what it is named as."""
    wanted = [("to come after", name) for name in request.after]
    wanted += [("to have to do with", name) for name in request.related]
    for what, name in wanted:
        if board.task(name) is None:
            return Refused(
                code="invalid", message=f"there is no {name} {what}", hint="see 'git pw task list'"
            )
    if request.task in request.related:
        return _itself(request.task)
    return None if request.parent is None else _no_whole(board, request.parent)


def _needs_then(board: Board, old: Task, new: Task, name: TaskId) -> list[TaskId]:
    """What a task waits for once another is changed."""
    task = new if name == new.id else board.task(name)
    parts = [part for part in board.parts(name) if part != old.id]
    return [*(task.dependencies if task else ()), *parts, *([new.id] if name == new.parent else [])]


def _edited(task: Task, request: Edit) -> Task:
    given = {
        "title": request.title,
        "type": request.type,
        "description": request.description,
        "priority": request.priority,
        "estimated_duration": request.estimate,
        "required_skills": None if request.skills is None else tuple(sorted(set(request.skills))),
        "parent": request.parent,
    }
    meta = {"files": request.files, "issue_number": request.issue}
    metadata = task.metadata.but(**{name: value for name, value in meta.items() if value is not None})
    changed = task.but(
        metadata=metadata,
        dependencies=_changed(task.dependencies, request.after, request.no_after),
        related=_changed(task.related, request.related, request.no_related),
        **{name: value for name, value in given.items() if value is not None},
    )
    return changed.but(parent=None) if request.no_parent else changed


def _changed(before: Sequence[TaskId], more: Sequence[TaskId], less: Sequence[TaskId]) -> tuple[TaskId, ...]:
    return tuple(dict.fromkeys([*(name for name in before if name not in less), *more]))
