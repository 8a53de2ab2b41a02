"""Signatures on the ledger's commits, in git's own format, and whether those of a history are what they must be.

What is signed is the commit without its `gpgsig` header: the tree, the parent and the message with the operation. So a
signature can't be copied to another commit, and an operation can't be played again. Which key must have signed is
decided by `domain/custody.py` on the state before: a reader needs the tree of a commit's parent, and nothing of the
commit itself has to be believed.

A history is verified once: the last known state is never moved to one that hasn't been. Besides the signature it is
checked that a commit counts one more than its parent, bears the operation that it remembers, and changes no key but as
that operation says. That the rest of its tree is what the operation makes of the one before is the word of whoever
signed it; a guarded server applies it again (`audit.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from pydantic import ValidationError

from gitpw.domain.board import Board, Cells
from gitpw.domain.custody import changed_keys, required
from gitpw.domain.ids import WorkerId
from gitpw.domain.operation import Begin, Operation, Refused, Restore, Signing
from gitpw.domain.signing import SigningKey
from gitpw.errors import ConfigError, FailedError
from gitpw.ledger.commits import read

HEADER, MORE = b"gpgsig ", b" "


class Signed(NamedTuple):
    """A commit as its signature covers it, and the key that must have made that; `signature` is None where there is none."""

    commit: str
    counter: int
    worker: WorkerId
    key: SigningKey
    payload: bytes
    signature: str | None


class Signatures(Protocol):
    """How signatures are made and verified."""

    def sign(self, key: SigningKey, payload: bytes) -> str:
        """Sign with the private part of a key, wherever that is; raises `UnsignableError` where it can't be used."""

    def complaints(self, signed: Sequence[Signed]) -> list[str | None]:
        """What is wrong with each signature, None where nothing is; raises `FailedError` where that can't be told."""


class History(Protocol):
    """The commits of a store."""

    def raw(self, commit: str) -> bytes | None:
        """A commit word for word; None where it isn't here."""

    def table(self, commit: str, name: str) -> str | None:
        """What names all that is in a table of a state; None where there is no such table."""

    def cells(self, commit: str | None) -> Cells:
        """The cells of a state."""


class ForgedError(ConfigError):
    """An operation isn't from whom it says it is; `tip` is the state that it was found in the history of."""

    tip: str | None = None

    def __init__(
        self, commit: str, why: str, *, counter: int | None = None, worker: str | None = None
    ) -> None:
        whose = f", in the name of {worker}," if worker is not None else ""
        which = f"operation {counter}" if counter is not None else "the state"
        super().__init__(
            f"{which} of the ledger ({commit[:10]}){whose} {why}",
            "it is not taken, and nothing is built on it: 'git pw doctor --fix' puts back the last state that was verified",
            ledger="forged",
            commit=commit,
            counter=counter,
            workerId=worker,
        )


class UnsignableError(FailedError):
    """The key that must sign can't be used here."""


class _Step(NamedTuple):
    """One commit of a history; `parent` is None at its root."""

    commit: str
    parent: str | None
    raw: bytes


def split(raw: bytes) -> tuple[bytes, str | None]:
    """A commit without its signature, and the signature; None where it has none, or more than one."""
    head, separator, message = raw.partition(b"\n\n")
    kept: list[bytes] = []
    found: list[list[bytes]] = []
    within = False
    for line in head.split(b"\n"):
        if line.startswith(HEADER):
            found.append([line.removeprefix(HEADER)])
            within = True
        elif within and line.startswith(MORE):
            found[-1].append(line[1:])
        else:
            within = False
            kept.append(line)
    payload = b"\n".join(kept) + separator + message
    one = b"\n".join(found[0]).decode(errors="replace") + "\n" if len(found) == 1 else None
    return payload, one


def parents(raw: bytes) -> list[str]:
    """The parents of a commit."""
    head = raw.partition(b"\n\n")[0]
    lines = (line.partition(b" ") for line in head.split(b"\n"))
    return [value.decode(errors="replace") for name, _, value in lines if name == b"parent"]


def verify(history: History, signatures: Callable[[], Signatures], known: str | None, tip: str) -> None:
    """Whether a state follows from the one that is known, by nothing but operations of whom they name.

    Without a known one the tip alone is verified, by what its parent says of keys. Raises `ForgedError`.
    """
    if known is not None and not _guarded(history, known, tip):
        return
    refuse_forged(signatures, list(_due(history, known, tip)))


def verify_past(history: History, signatures: Callable[[], Signatures], since: str) -> str | None:
    """Verify what led to a verified state, as far as it is here; the oldest state up to which that was possible.

    None where that is the first of all. Raises `ForgedError`.
    """
    steps = [_Step(since, _parent(history, since), b"")]
    while (at := steps[-1].parent) is not None and (raw := history.raw(at)) is not None:
        above = _parent(history, at)
        if above is not None and history.raw(above) is None:
            break  # who may have signed it is in a state that isn't here
        steps.append(_Step(at, above, raw))
    refuse_forged(signatures, [one for step in steps[:0:-1] if (one := _checked(history, step, None))])
    return None if steps[-1].parent is None else steps[-1].commit


def _parent(history: History, commit: str) -> str | None:
    return next(iter(parents(history.raw(commit) or b"")), None)


def refuse_forged(signatures: Callable[[], Signatures], due: Sequence[Signed]) -> None:
    """Verify signatures, all at once; raises `ForgedError` for the first that is none."""
    if not due:
        return
    for one, complaint in zip(due, signatures().complaints(due), strict=True):
        if complaint is not None:
            raise ForgedError(one.commit, complaint, counter=one.counter, worker=one.worker)


def _guarded(history: History, known: str, tip: str) -> bool:
    """Whether there is anything to be verified between two states: signing is on, or keys differ."""
    if history.table(known, "signers") != history.table(tip, "signers"):
        return True
    tables = {history.table(commit, "settings") for commit in (known, tip)}
    return len(tables) > 1 or Board(history.cells(tip)).settings.signed


def _due(history: History, known: str | None, tip: str) -> Iterator[Signed]:
    """The signatures that must be there, oldest first, once all else has been found right."""
    for step in reversed(_steps(history, known, tip)):
        found = _checked(history, step, known)
        if found is not None:
            yield found


def _steps(history: History, known: str | None, tip: str) -> list[_Step]:
    """The commits that led from the known state to the tip, newest first; of an unknown past the last alone."""
    steps: list[_Step] = []
    at: str | None = tip
    while at is not None and at != known:
        raw = history.raw(at)
        if raw is None:
            raise ForgedError(tip, "doesn't follow from the last state that was verified here")
        above = parents(raw)
        if len(above) > 1:
            raise ForgedError(at, "is a merge: the ledger has one line of history")
        steps.append(_Step(at, above[0] if above else None, raw))
        at = None if known is None else steps[-1].parent
    return steps


def follows(history: History, known: str, tip: str) -> bool:
    """Whether a state has another one in its past."""
    try:
        steps = _steps(history, known, tip)
    except ForgedError:
        return False
    return bool(steps) and steps[-1].parent == known


def _checked(history: History, step: _Step, known: str | None) -> Signed | None:
    """The signature that a commit needs; None where it needs none. Raises `ForgedError` for what can't be."""
    after = Board(history.cells(step.commit))
    payload, signature = split(step.raw)
    counter, operation = _operation(step.commit, payload)
    who = operation.author.worker
    if step.parent is None:
        before = _root(history, step, operation, known, after)
    else:
        before = Board(history.cells(step.parent))
        if not counter == after.counter == before.counter + 1 or after.meta.operation != operation.id:
            raise ForgedError(
                step.commit, f"doesn't follow operation {before.counter}", counter=counter, worker=who
            )
        _check_keys(history, step, before, after, operation)
    key = required(before, operation)
    if isinstance(key, Refused):
        raise ForgedError(step.commit, f"may not be: {key.message}", counter=counter, worker=who)
    if key is None:
        return None
    return Signed(step.commit, counter, who, key, payload, signature)


def _operation(commit: str, payload: bytes) -> tuple[int, Operation]:
    entry = read(payload.partition(b"\n\n")[2].decode(errors="replace"))
    if entry is None:
        raise ForgedError(commit, "has no operation")
    try:
        return entry.counter, Operation.from_json(json.dumps(entry.operation).encode())
    except ValidationError as error:
        raise ConfigError(
            f"operation {entry.counter} of the ledger ({commit[:10]}) can't be read, so it can't be verified",
            hint="if a newer git-pw made it, upgrade this one",
        ) from error


def _root(history: History, step: _Step, operation: Operation, known: str | None, after: Board) -> Board:
    """The state whose keys count for a commit without a past: the one known here, if any, else its own."""
    before = after if known is None else Board(history.cells(known))
    begins = isinstance(operation.request, Begin | Restore)
    # an old beginning is no new one: what goes on from it leaves out what was verified since
    if not begins or (known is not None and after.counter <= before.counter):
        raise ForgedError(
            step.commit, "doesn't follow from the last state that was verified here", counter=after.counter
        )
    if before.settings.signed and not after.settings.signed:
        raise ForgedError(step.commit, "was restored without signatures", counter=after.counter)
    now = after.signers()
    if not before.settings.signed and any(
        now.get(name, key) != key for name, key in before.signers().items()
    ):
        raise ForgedError(step.commit, "was restored with other keys", counter=after.counter)
    return before


def _check_keys(history: History, step: _Step, before: Board, after: Board, operation: Operation) -> None:
    """No key is registered, replaced or gone, and no rule about keys changed, but by the operation for it."""
    counter, who = after.counter, operation.author.worker
    expected = changed_keys(operation)
    same = step.parent is not None and (
        history.table(step.parent, "signers") == history.table(step.commit, "signers")
    )
    if not same or expected:
        wanted = {**before.signers(), **expected}
        if {name: key for name, key in wanted.items() if key is not None} != after.signers():
            raise ForgedError(step.commit, "changes a key that it doesn't name", counter=counter, worker=who)
    old, new = before.settings, after.settings
    if (old.signed, old.administrators) != (new.signed, new.administrators) and not isinstance(
        operation.request, Signing
    ):
        raise ForgedError(step.commit, "changes who must sign", counter=counter, worker=who)
