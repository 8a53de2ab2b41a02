"""What a receiving repository refuses before anything moves in it: where no `--no-verify` reaches.

A push of the ledger must bring valid next states, and a push of commits is judged by the state that will be in force.
Nothing is fetched and nothing is written: the ledger is in this very repository, and what was pushed, in quarantine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gitpw.errors import InvalidError
from gitpw.ledger.audit import Step, audited, board_of, check_post
from gitpw.ledger.transport import NAMESPACES
from gitpw.services.gate import HEADS, TAGS, Gate, Update

if TYPE_CHECKING:
    from gitpw.domain.board import Board

POSTS = ("refs/pw/post/", "refs/heads/pw/post/")
PLACES = tuple(ref.removesuffix("/main") for ref in NAMESPACES.values())
"""Where nothing but the ledger may be: clients fetch what is there."""

PURGE = "pw.allowpurge"


def receive(gate: Gate, updates: Sequence[Update]) -> None:
    """Raise what forbids a push: all of it or nothing moves."""
    steps, board = _ledger(gate, updates)
    for update in updates:
        _check_place(gate, update)
    moved = [update for update in updates if update.new is not None and _is_code(update.ref)]
    if board is not None and moved:
        from gitpw.services.judge import judge

        judge(gate, moved, steps, board)


def _is_code(ref: str) -> bool:
    return ref.startswith((HEADS, TAGS)) and ref not in NAMESPACES.values() and not ref.startswith(POSTS)


def _ledger(gate: Gate, updates: Sequence[Update]) -> tuple[list[Step], Board | None]:
    """The operations that the push brings, verified, and the state that will be in force; None without a ledger."""
    current = {ref: found.name for ref in NAMESPACES.values() if (found := gate.objects.read(ref))}
    there = next(iter(current), None)
    moving = [update for update in updates if update.ref in NAMESPACES.values()]
    if len(moving) > 1 or (moving and there is not None and moving[0].ref != there):
        raise InvalidError(f"the ledger of this repository is {there or moving[0].ref}: it has no other")
    steps = _steps(gate, moving[0]) if moving else []
    if moving and moving[0].new is not None and moving[0].old == current.get(moving[0].ref):
        return steps, board_of(gate.objects, moving[0].new)
    # Without a new state; or with one that git will refuse, since it was made for another than the current one.
    return [], None if there is None else board_of(gate.objects, there)


def _steps(gate: Gate, update: Update) -> list[Step]:
    """The operations that lead from the ledger's old state to its new one."""
    if update.new is None and not _may_purge(gate):
        raise InvalidError(
            "the ledger is not deleted by a push: all locks would be gone",
            hint="an administrator allows it on the server: git config pw.allowPurge true",
        )
    if update.new is None:
        return []
    now = gate.clock.now()
    try:
        return audited(gate.objects, update.old, update.new, now, signatures=gate.signatures)
    except InvalidError:
        if not _may_purge(gate):
            raise
    return audited(gate.objects, update.old, update.new, now, restart=True, signatures=gate.signatures)


def _may_purge(gate: Gate) -> bool:
    return (gate.repo.config(PURGE) or "").lower() in {"true", "yes", "on", "1"}


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
