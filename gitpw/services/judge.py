"""What stands against pushed commits, by the locks of the ledger in the repository that receives them."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.guard import Rules
from gitpw.domain.ids import TaskId
from gitpw.domain.merge import MergeState
from gitpw.domain.operation import Complete, Land, Push
from gitpw.domain.policy import Policy, or_defaults
from gitpw.domain.review import UNGUARDED, Committed, Finding, Kind, Whose, outdated, standing
from gitpw.errors import HeldError, InvalidError, PwError, StaleError
from gitpw.ledger.audit import Step
from gitpw.services.brought import without_brought_in
from gitpw.services.findings import public, told, way_out
from gitpw.services.gate import HEADS, Gate, Update

SHOWN = 20
"""Findings that are told one by one."""


class Base(NamedTuple):
    """The base branch as it was before the push, and the rules on it; no commit where it is new."""

    ref: str
    commit: str | None
    policy: Policy


def judge(gate: Gate, moved: Sequence[Update], steps: Sequence[Step], board: Board) -> None:
    """Raise what stands against the commits that branches and tags get, by the state `board`.

    `steps` are the operations that come with them.
    """
    base = _base(gate)
    heads = [update.new for update in moved if update.new is not None]
    if not gate.commits.changes(heads, new=True):
        moved = [update for update in moved if update.ref == base.ref]
    found = {one.about: one for update in moved for one in _judged(gate, update, steps, board, base)}
    if found:
        raise _refused(gate, sorted(found.values(), key=lambda one: list(Kind).index(one.kind)))


def _base(gate: Gate) -> Base:
    """The base branch: the one that HEAD names, or the one that this names in its rules."""
    main = gate.repo.branch()
    if main is None or gate.objects.read(HEADS + main) is None:
        main = gate.repo.default_branch(None)
    base = _based(gate, main)
    named = base.policy.merge.base
    if named is None or named == main or gate.objects.read(HEADS + named) is None:
        return base
    return _based(gate, named)


def _based(gate: Gate, branch: str) -> Base:
    ref = HEADS + branch
    found = gate.objects.read(ref)
    if found is None:
        return Base(ref, None, UNGUARDED)
    return Base(ref, found.name, or_defaults(lambda: gate.policy_at(found.name), gate.tell))


def _judged(gate: Gate, update: Update, steps: Sequence[Step], board: Board, base: Base) -> Iterator[Finding]:
    """What stands against the commits that a ref gets: those that no branch and no tag has yet.

    The base branch isn't to get a file that somebody holds, though the commit be known by another branch. A branch
    that moves together with an operation of its own claim is judged by the states around that: what is released in
    this very push had been held for these commits.
    """
    heads = [update.new] if update.new else []
    onto = update.old if update.ref == base.ref else None
    new = gate.commits.changes(heads, new=True)
    changes = gate.commits.changes(heads, [onto]) if onto else new
    if not changes:
        return
    branch = update.ref.removeprefix(HEADS) if update.ref.startswith(HEADS) else None
    own = [step for step in steps if _moves(step, update, base)]
    tasks = {TaskId(task) for step in own for task in step.outcome.tasks}
    if onto:
        tasks |= {merge.task_id for merge in board.merges() if merge.state is MergeState.LANDING}
    states = [state for step in own for state in (step.before, step.after)] or [board]
    names = {one.commit for one in new}

    def standing_in_all(some: Sequence[Committed]) -> list[Finding]:
        whose, rules = Whose(branch, some, tasks=tasks), base.policy.policy
        first, *others = (_standing(state, whose, rules, some, names) for state in states)
        files = [{found.file for found in other} for other in others]
        return [found for found in first if all(found.file in other for other in files)]

    changes = without_brought_in(gate.commits, changes, base.commit, standing_in_all)
    yield from standing_in_all(changes)
    yield from outdated(board, branch, changes, tasks)


def _standing(
    board: Board, whose: Whose, rules: Rules, commits: Sequence[Committed], names: Container[str]
) -> list[Finding]:
    """What a state says against commits: what is held, in all of them, and what must be, in those of these names."""
    new = [one for one in commits if one.commit in names]
    held = [one for one in standing(board, whose, rules, commits) if one.kind is Kind.HELD]
    return [*held, *(one for one in standing(board, whose, rules, new) if one.kind is Kind.NEEDS_LOCK)]


def _moves(step: Step, update: Update, base: Base) -> bool:
    """Whether an operation is about this very move: of a task's branch by its holder, of the base by a landing."""
    request = step.operation.request
    if isinstance(request, Land):
        return update.ref == base.ref
    if isinstance(request, Push | Complete):
        return update.ref == f"{HEADS}{request.branch}" and update.new == request.head
    return False


def _refused(gate: Gate, found: list[Finding]) -> PwError:
    """The refusal; where there is more than one reason, each is told on a line of its own before."""
    for one in found[:SHOWN] if len(found) > 1 else ():
        gate.tell(told(one))
    if len(found) > SHOWN:
        gate.tell(f"… and {len(found) - SHOWN} more")
    said = told(found[0]) if len(found) == 1 else f"{len(found)} changes are not allowed"
    kind = {Kind.HELD: HeldError, Kind.STALE: StaleError}.get(found[0].kind, InvalidError)
    violations = [public(one) for one in found]
    return kind(
        f"push refused: {said}", way_out(found[0]), violations=violations, holder=violations[0]["holder"]
    )
