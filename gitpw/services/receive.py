"""What a receiving repository refuses before anything moves in it: where no `--no-verify` reaches.

A push of the ledger must bring valid next states, and a push of commits is judged by the state that will be in force.
Nothing is fetched and nothing is written: the ledger is in this very repository, and what was pushed, in quarantine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from gitpw.domain.board import Board
from gitpw.domain.ids import TaskId
from gitpw.domain.operation import Complete, Land, Push
from gitpw.domain.policy import Policy
from gitpw.domain.review import UNGUARDED, Change, Finding, Kind, Ours, outdated, standing
from gitpw.errors import ConfigError, HeldError, InvalidError, PwError, StaleError
from gitpw.ledger.audit import Step, audited, board_of, check_post
from gitpw.ledger.objects import Objects
from gitpw.ledger.transport import NAMESPACES
from gitpw.services.findings import public, told, way_out

if TYPE_CHECKING:
    from gitpw.services.ports import Clock, Commits

HEADS, TAGS = "refs/heads/", "refs/tags/"
POSTS = ("refs/pw/post/", "refs/heads/pw/post/")
PLACES = tuple(ref.removesuffix("/main") for ref in NAMESPACES.values())
"""Where nothing but the ledger may be: clients fetch what is there."""

PURGE = "pw.allowpurge"
SHOWN = 20
"""Findings that are told one by one."""


class Update(NamedTuple):
    """A ref that is to move: `old` is None where it is new, `new` where it is to go."""

    ref: str
    old: str | None
    new: str | None


class Receiver(Protocol):
    """What is asked of the receiving repository besides its objects and commits."""

    def config(self, key: str) -> str | None:
        """A value of git's configuration; the key in lower case."""

    def branch(self) -> str | None:
        """The branch that HEAD names."""

    def default_branch(self, remote: str | None) -> str:
        """The likeliest main branch."""


@dataclass(frozen=True)
class Gate:
    """A receiving repository, and how those who push are told more than one line."""

    objects: Objects
    commits: Commits
    repo: Receiver
    clock: Clock
    policy_at: Callable[[str], Policy]
    tell: Callable[[str], None]


class Base(NamedTuple):
    """The base branch, where it is, and the rules on it."""

    ref: str
    commit: str | None
    policy: Policy


def receive(gate: Gate, updates: Sequence[Update]) -> None:
    """Raise what forbids a push: all of it or nothing moves."""
    steps, board = _ledger(gate, updates)
    for update in updates:
        _check_place(gate, update)
    moved = [update for update in updates if update.new is not None and _is_code(update.ref)]
    if board is None or not moved:
        return
    base = _base(gate)
    new = gate.commits.changes([update.new for update in moved if update.new], new=True)
    judged = moved if new else [update for update in moved if update.ref == base.ref]
    found = [one for update in judged for one in _judged(gate, update, steps, board, base)]
    if found:
        raise _refused(gate, list(dict.fromkeys(found)))


def _is_code(ref: str) -> bool:
    return ref.startswith((HEADS, TAGS)) and ref not in NAMESPACES.values() and not ref.startswith(POSTS)


def _ledger(gate: Gate, updates: Sequence[Update]) -> tuple[list[Step], Board | None]:
    """The operations that the push brings, verified, and the state that will be in force; None without a ledger."""
    current = {ref: found.name for ref in NAMESPACES.values() if (found := gate.objects.read(ref))}
    there = next(iter(current), None)
    board = None if there is None else board_of(gate.objects, there)
    moving = [update for update in updates if update.ref in NAMESPACES.values()]
    if not moving:
        return [], board
    update = moving[0]
    if len(moving) > 1 or (there is not None and update.ref != there):
        raise InvalidError(
            f"the ledger of this repository is {there or moving[0].ref}: it has no other", hint="git pw init"
        )
    may_purge = (gate.repo.config(PURGE) or "").lower() in {"true", "yes", "on", "1"}
    if update.new is None:
        if not may_purge:
            raise InvalidError(
                "the ledger is not deleted by a push: all locks would be gone",
                hint="an administrator allows it on the server: git config pw.allowPurge true",
            )
        return [], board
    steps = audited(gate.objects, update.old, update.new, gate.clock.now(), restart=may_purge)
    if update.old != current.get(update.ref):
        return (
            [],
            board,
        )  # beaten: git will refuse it, and what else is pushed is judged as if it weren't there
    return steps, board_of(gate.objects, update.new)


def _check_place(gate: Gate, update: Update) -> None:
    """Refuse what lies where clients look for the ledger, and posted operations that are none."""
    if update.new is None or update.ref in NAMESPACES.values():
        return
    if update.ref in PLACES or update.ref.startswith(tuple(f"{place}/" for place in PLACES)):
        raise InvalidError(f"{update.ref} is in the ledger's place", hint="give it another name")
    if update.ref.startswith(POSTS):
        if update.old is not None:
            raise InvalidError(f"{update.ref} was posted: it isn't changed", hint="post another operation")
        check_post(gate.objects, update.new, update.ref.rpartition("/")[2], gate.clock.now())


def _base(gate: Gate) -> Base:
    """The base branch as it was before the push: the one that HEAD names, or the one that this names in its rules."""
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
    try:
        return Base(ref, found.name, gate.policy_at(found.name))
    except ConfigError as error:
        # Refused for this, nobody could ever push what puts it right.
        gate.tell(f"{error.message}: judged by the rules that hold without it")
        return Base(ref, found.name, Policy())


def _judged(gate: Gate, update: Update, steps: Sequence[Step], board: Board, base: Base) -> Iterator[Finding]:
    """What stands against the commits that a ref gets: those new to the base branch, or else to all branches and tags.

    A branch that moves together with an operation of its own claim is judged by the states around that: what is
    released in this very push had been held for these commits.
    """
    onto = update.ref == base.ref and update.old is not None
    heads = [update.new] if update.new else []
    changes = gate.commits.changes(heads, [update.old] if onto and update.old else (), new=not onto)
    if not changes:
        return
    branch = update.ref.removeprefix(HEADS) if update.ref.startswith(HEADS) else None
    own = [step for step in steps if _moves(step, update, base)]
    tasks = {TaskId(task) for step in own for task in step.outcome.tasks}
    states = [state for step in own for state in (step.before, step.after)] or [board]
    verdicts = [_standing(state, branch, changes, base.policy, tasks) for state in states]
    for found in verdicts[0]:
        if all(found.file in {other.file for other in verdict} for verdict in verdicts[1:]):
            yield found
    yield from outdated(board, branch, changes, tasks)


def _standing(
    board: Board, branch: str | None, changes: Sequence[Change], policy: Policy, tasks: set[TaskId]
) -> list[Finding]:
    return standing(board, Ours(board, branch, changes, tasks=tasks), policy.policy, changes)


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
    first = found[0]
    said = told(first) if len(found) == 1 else f"{len(found)} changes are not allowed"
    errors = {Kind.HELD: HeldError, Kind.STALE: StaleError}
    kind = errors.get(first.kind, InvalidError)
    violations = [public(one) for one in found]
    return kind(
        f"push refused: {said}", way_out(first), violations=violations, holder=violations[0]["holder"]
    )
