"""Whether pushed ledger commits are valid next states: each operation is applied again and must give what was pushed.

A commit holds its operation word for word, and one pure function decides it. So nothing of a pushed state has to be
believed: the state that the operation makes of the one before has one name, and the commit must bear it. Of what is
new only the commits are read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from pydantic import ValidationError

from gitpw.domain.board import Board, Empty
from gitpw.domain.custody import required
from gitpw.domain.ids import ClaimId, isoformat
from gitpw.domain.lock import implausible
from gitpw.domain.operation import Done, Operation, Refused, Restore
from gitpw.domain.rulebook import apply
from gitpw.errors import InvalidError
from gitpw.ledger import objects as git
from gitpw.ledger.commits import Entry, message, read
from gitpw.ledger.objects import Objects, TreeCells, tree_name
from gitpw.ledger.signing import ForgedError, Signatures, Signed, refuse_forged, split

AHEAD = timedelta(days=1)
"""How far the clock of whoever asks may be ahead of ours: what lies beyond would end leases long before their time."""

UPGRADE = "if it was made by a newer git-pw, the server needs that one too"


class Step(NamedTuple):
    """One verified commit: the states before and after it, what was asked and what was answered."""

    commit: str
    before: Board
    after: Board
    operation: Operation
    outcome: Done


class _Link(NamedTuple):
    commit: git.Commit
    entry: Entry


def board_of(objects: Objects, name: str) -> Board | None:
    """The state that a commit, or a ref, holds; None where it isn't there."""
    found = git.commit(objects, name)
    return None if found is None else _state(objects, found)


def _state(objects: Objects, commit: git.Commit | None) -> Board:
    return Board(Empty() if commit is None else TreeCells(objects, commit.tree))


def audited(
    objects: Objects,
    old: str | None,
    new: str,
    now: datetime,
    *,
    restart: bool = False,
    signatures: Callable[[], Signatures] | None = None,
) -> list[Step]:
    """The steps that lead from one state (None: from no ledger at all) to another, oldest first.

    With `restart` a ledger may begin anew, restored, where there is one. Raises `InvalidError` with what is wrong.
    """
    steps = [_step(objects, link, now) for link in reversed(_chain(objects, old, new, restart=restart))]
    known = None if old is None else board_of(objects, old)
    due = [one for step in steps if (one := _signed(objects, step, known)) is not None]
    if due and signatures is None:
        raise InvalidError("signatures can't be verified here")
    if signatures is not None:
        try:
            refuse_forged(signatures, due)
        except ForgedError as error:
            hint = "each worker signs with the key that it has registered: git pw worker register --signing-key FILE"
            raise InvalidError(error.message, hint=hint) from error
    return steps


def _signed(objects: Objects, step: Step, known: Board | None) -> Signed | None:
    """The signature that a step needs; one without a past, by the keys that were known before it, else its own."""
    author, before = step.operation.author.worker, step.before
    if not before.begun:
        before = known or step.after
    key = required(before, step.operation)
    raw = objects.read(step.commit)
    if isinstance(key, Refused):
        raise InvalidError(
            f"{step.commit[:10]} is no valid next state of the ledger: {key.message}", hint=key.hint
        )
    if key is None or raw is None:
        return None
    return Signed(step.commit, step.after.counter, author, key, *split(raw.content))


def _chain(objects: Objects, old: str | None, new: str, *, restart: bool) -> list[_Link]:
    """The commits from the new state back to the old one, each counted one less than the one after it."""
    known = None if old is None else board_of(objects, old)
    least = 0 if known is None else known.counter
    chain = [_link(objects, new)]
    while chain[-1].commit.parents not in {(old,), ()}:
        link = chain[-1]
        if len(link.commit.parents) > 1:
            raise _wrong(link, "it is a merge: the ledger has one line of history")
        before = _link(objects, link.commit.parents[0])
        if before.entry.counter != link.entry.counter - 1 or before.entry.counter <= 0:
            raise _wrong(link, f"its counter is {link.entry.counter}, after {before.entry.counter}")
        if before.entry.counter <= least and not restart:
            raise _rewritten(chain[0])
        chain.append(before)
    if not chain[-1].commit.parents and old is not None and not restart:
        raise _rewritten(chain[0])
    return chain


def _link(objects: Objects, name: str) -> _Link:
    found = git.commit(objects, name)
    entry = None if found is None else read(found.message.decode(errors="replace"))
    if found is None or entry is None:
        raise InvalidError(f"{name[:10]} is no state of a ledger: it has no operation", hint=UPGRADE)
    return _Link(found, entry)


def _step(objects: Objects, link: _Link, now: datetime) -> Step:
    """Apply the operation again, and compare."""
    operation = _operation(link.commit.name, json.dumps(link.entry.operation).encode(), now)
    if not link.commit.parents and isinstance(operation.request, Restore):
        return _restored(objects, link, operation, operation.request.above)
    verb = operation.request.verb
    if isinstance(operation.request, Restore):
        raise _wrong(link, "a restored ledger begins anew, without the history before it")
    parent = git.commit(objects, link.commit.parents[0]) if link.commit.parents else None
    board, before = _state(objects, parent), _state(objects, parent)
    outcome = apply(board, operation)
    if not isinstance(outcome, Done):
        raise _wrong(link, f"{verb} by {operation.author.worker} is refused: {outcome.message}", outcome.hint)
    if not outcome.changed:
        raise _wrong(link, "it was applied before, or changes nothing")
    _check_message(link, message(board, operation, outcome))
    if tree_name(objects, parent and parent.tree, board.changes) != link.commit.tree:
        raise _wrong(link, f"its state is not what '{verb}' makes of the one before")
    step = Step(link.commit.name, before, _state(objects, link.commit), operation, outcome)
    _check_takeovers(step, board, link, now)
    return step


def _restored(objects: Objects, link: _Link, operation: Operation, above: int) -> Step:
    """A state without history: it is what it says if all of it can be read and it bears the marks of its operation."""
    board = _state(objects, link.commit)
    meta = board.meta if board.begun else None
    if meta is None or meta.restored is None:
        raise _wrong(link, "it isn't marked as restored")
    known = board.outcome(operation.id, meta.counter - 1)
    for line in board.broken():
        raise _wrong(link, line)
    if known is None or not isinstance(known[1], Done) or meta.operation != operation.id:
        raise _wrong(link, "it doesn't remember its own operation")
    if meta.counter != meta.restored + meta.leap + 1 or meta.counter <= above:
        raise _wrong(link, f"its counter is {meta.counter}, restored from {meta.restored}")
    _check_message(link, message(board, operation, known[1]))
    return Step(link.commit.name, _state(objects, None), board, operation, known[1])


def check_post(objects: Objects, name: str, identity: str, now: datetime) -> None:
    """Whether an object is an operation posted for others to apply: a root commit with it as its message.

    Raises `InvalidError` with what is wrong.
    """
    found = git.commit(objects, name)
    if found is None or found.parents:
        raise InvalidError(f"{name[:10]} is no posted operation: it is no commit of its own", hint=UPGRADE)
    line = re.search(rb"^(?:Pw-Operation: )?(\{.*\})$", found.message, re.MULTILINE)
    operation = _operation(name, line[1] if line is not None else b"", now)
    if operation.id != identity:
        raise InvalidError(f"{name[:10]} is operation {operation.id}, posted as {identity}", hint=UPGRADE)


def _operation(name: str, raw: bytes, now: datetime) -> Operation:
    """An operation that may be asked for: one that can be read, and isn't of the far future."""
    try:
        operation = Operation.from_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidError(
            f"the operation of {name[:10]} can't be read: {where}: {first['msg']}", hint=UPGRADE
        ) from error
    if operation.at > now + AHEAD:
        raise InvalidError(
            f"the clock of {operation.author.host} says {isoformat(operation.at)}, here it is {isoformat(now)}",
            hint="set that clock: leases are judged by it",
        )
    return operation


def _check_message(link: _Link, expected: str) -> None:
    """The message must be word for word what git-pw would have written.

    Its first line is for people, and may differ in letters that one version of Unicode can print and another can't.
    """
    said, wanted = link.commit.message.partition(b"\n"), expected.encode().partition(b"\n")
    if said[2] != wanted[2] or _plain(said[0]) != _plain(wanted[0]):
        raise _wrong(link, "its message is not what git-pw writes for its operation", hint=UPGRADE)


def _plain(line: bytes) -> bytes:
    return re.sub(rb"[^!-~]", b"", line)


def _check_takeovers(step: Step, after: Board, link: _Link, now: datetime) -> None:
    """By our own clock too, the leases must be over whose claims were taken over: clocks can be made to lie."""
    for name in _taken_over(after):
        claim = step.before.claim(name)
        if claim is None or implausible(claim.lease, now, step.before.settings):
            continue
        if claim.lease.expires_at > now:
            until = isoformat(claim.lease.expires_at)
            raise _wrong(
                link,
                f"it takes over the claim of {claim.worker}, whose lease runs until {until}; "
                f"here it is {isoformat(now)}",
                hint="one of the two clocks is wrong",
            )


def _taken_over(after: Board) -> Iterator[ClaimId]:
    for key, content in after.changes.items():
        ending = after.ending(ClaimId(key[1])) if key[0] == "ended" and content is not None else None
        if ending is not None and ending.how in {"taken over", "expired"}:
            yield ClaimId(key[1])


def _wrong(link: _Link, why: str, hint: str | None = None) -> InvalidError:
    return InvalidError(f"{link.commit.name[:10]} is no valid next state of the ledger: {why}", hint=hint)


def _rewritten(link: _Link) -> InvalidError:
    return InvalidError(
        f"{link.commit.name[:10]} doesn't follow the ledger's current state: its history is never rewritten",
        hint="a restored ledger is taken where there is none, or where the server has 'git config pw.allowPurge true'",
    )
