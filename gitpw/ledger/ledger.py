"""Read, decide, swap, again: the only way in which anything is ever changed.

An operation is decided on the last known state, without asking the remote first: whoever is alone pays one push and
nothing else. Only a push proves that the decision was based on the truth; so an answer that needs no push (a refusal,
or nothing to do) is given only on a state that was fetched for it.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.ids import OperationId
from gitpw.domain.operation import Author, Begin, Done, Operation, Outcome, Request, Restore
from gitpw.domain.rulebook import apply
from gitpw.errors import ConfigError, ContendedError, FailedError, OfflineError, PwError, UnknownError
from gitpw.ledger.commits import Entry, message
from gitpw.ledger.journal import Journal, Left
from gitpw.ledger.store import Move, Store, Swap

if TYPE_CHECKING:
    from gitpw.domain.trail import Event

DEADLINE = 60.0
"""Seconds after which a worker that is always beaten gives up."""

BUSY = 30.0
"""Seconds for which a lock file on the remote may stand in the way."""

TIDY = 256
"""After how many operations it is looked whether the store needs packing; each leaves some 25 loose objects."""

PAUSE = 0.25
"""The longest pause between two tries, in seconds."""


class Answer(NamedTuple):
    """An outcome, the board it holds on, and the operation that it answers."""

    outcome: Outcome
    board: Board
    operation: Operation


class Settled(NamedTuple):
    """What became of an operation that an earlier command left open."""

    operation: Operation
    outcome: Outcome | None
    path: Path


class Ledger:
    """A store, and the one way to change what it holds."""

    def __init__(
        self,
        store: Store,
        journal: Journal,
        now: Callable[[], datetime],
        *,
        expected: str | None = None,
        deadline: float = DEADLINE,
        dry_run: bool = False,
    ) -> None:
        """`expected` is the ledger's id where one is known; with `dry_run` all is decided and nothing is done."""
        self.store = store
        self.journal = journal
        self._now = now
        self._expected = expected
        self._deadline = deadline
        self._dry_run = dry_run
        self._lost = False

    # reading

    def board(self) -> Board:
        """The last known state; fetched where none is known yet."""
        tip = self.store.tip()
        return self._board(tip if tip is not None else self._fetched())

    def fresh(self, timeout: float = 60.0) -> Board:
        """The current state; raises `OfflineError`."""
        return self._board(self._fetched(timeout))

    def freshest(self, timeout: float = 10.0) -> tuple[Board, datetime | None, OfflineError | None]:
        """The current state where it can be had, else the last known one: the board, as of when, and why not now."""
        try:
            return self.fresh(timeout), None, None
        except OfflineError as error:
            if self.store.tip() is None:
                raise
            return self.board(), self.store.asked(), error

    def known(self) -> bool:
        """Whether some state is known here, without asking."""
        return self.store.tip() is not None

    def history(self) -> Sequence[Entry]:
        """The operations that led to the last known state, newest first, as far as they are here."""
        tip = self.store.tip()
        return [] if tip is None else list(self.store.history(tip))

    def events(self) -> Iterator[Event]:
        """The same as events, newest first: quick, also where there are very many."""
        tip = self.store.tip()
        return iter(()) if tip is None else self.store.events(tip)

    def _board(self, tip: str | None) -> Board:
        board = Board(self.store.cells(tip))
        if tip is not None:
            self._check_identity(board)
        return board

    def _check_identity(self, board: Board) -> None:
        if not board.begun:
            raise ConfigError(
                "the ledger's ref points to something that is no ledger",
                hint="git pw doctor",
                ledger="broken",
            )
        ledger = board.meta.ledger  # looks at the format too, before anything is read
        if self._expected is not None and ledger != self._expected:
            raise ConfigError(
                f"this is ledger {ledger}, .gitpw.toml names {self._expected}",
                hint="point pw.remote at the right remote, or correct .gitpw.toml",
            )

    def _fetched(self, timeout: float = 60.0) -> str | None:
        with self.store.lock():
            return self._fetch(timeout)

    def _fetch(self, timeout: float) -> str | None:
        known = self.store.tip()
        tip = self.store.fetch(timeout)
        if tip is None and known is not None:
            raise ConfigError(
                "the ledger has vanished from the remote",
                hint="'git pw doctor --fix' restores it from what this clone last knew",
                ledger="vanished",
            )
        if tip is not None and tip != known:
            self._check_continuity(known, tip)
            self.store.accept(tip)
        return tip

    def _check_continuity(self, known: str | None, tip: str) -> None:
        """What was once acknowledged must still be there."""
        new = self._board(tip)
        if known is None:
            return
        old = self._board(known)
        counter = old.counter
        if new.meta.ledger != old.meta.ledger:
            raise _replaced(old, new)
        restored = new.meta.restored
        leapt_over = restored is not None and restored < counter <= restored + new.meta.leap
        differs = new.remembers(counter) and new.at_counter(counter) != old.meta.operation
        if restored is not None and new.counter > counter and (leapt_over or differs):
            raise ConfigError(
                f"the ledger was restored by a clone that hadn't seen operation {counter}, which this one has",
                hint="'git pw doctor --fix' goes on with the restored one; see then what has to be done again",
                ledger="restored",
            )
        if new.counter < counter or leapt_over or differs:
            raise ConfigError(
                f"the ledger went backwards: operation {counter}, which this clone has seen, is gone from the remote",
                hint="'git pw doctor --fix' restores it",
                ledger="rewound",
            )

    # writing

    def transact(
        self, request: Request, author: Author, *, moves: Sequence[Move] = (), hold: bool = False
    ) -> Answer:
        """Decide a request and make it so, once; `hold` leaves its journal entry to be closed by the caller.

        Raises `OfflineError` (nothing was changed), `UnknownError` (the answer was lost), `ContendedError` and
        `FailedError`.
        """
        if self._dry_run:
            return self.preview(request, author)
        identity = OperationId(secrets.token_hex(16))
        try:
            answer = self._transact(identity, request, author, moves)
        except Exception as error:
            nothing_changed = isinstance(error, PwError) and not isinstance(error, UnknownError)
            if nothing_changed and not self._lost:
                self.journal.close(identity)
            else:
                self.journal.leave(identity)
            if self._lost and isinstance(error, FailedError):
                raise _unknown() from error  # of a later try: it can't say what became of the earlier one
            raise
        except BaseException:
            self.journal.leave(identity)
            raise
        if not hold or not isinstance(answer.outcome, Done):
            self.journal.close(identity)
        if _changed(answer.outcome) and answer.board.counter % TIDY == 0:
            self.store.tidy()
        return answer

    def preview(self, request: Request, author: Author) -> Answer:
        """What `transact` would answer now, without doing it."""
        board = self.fresh()
        operation = self._operation(OperationId(secrets.token_hex(16)), request, author, board)
        return Answer(apply(board, operation), board, operation)

    def _transact(
        self, identity: OperationId, request: Request, author: Author, moves: Sequence[Move]
    ) -> Answer:
        began = time.monotonic()
        busy_since: float | None = None
        first_seen: int | None = None
        asked = self._lost = False
        if self.store.tip() is None and not isinstance(request, Begin):
            self._fetched()
            asked = True
        while True:
            with self.store.lock():
                tip = self.store.tip()
                board = self._board(tip)
                first_seen = board.counter if first_seen is None else first_seen
                operation = self._operation(identity, request, author, board)
                known = board.outcome(identity, first_seen) if self._lost else None
                if known is not None:
                    return Answer(known[1], board, operation)
                outcome = self._decided(board, operation, fresh=asked)
                if outcome is None:
                    swap = None
                elif isinstance(outcome, Done) and outcome.changed:
                    swap = self._swap(tip, board, operation, outcome, moves)
                elif asked or self.store.asked() is None:
                    return Answer(outcome, board, operation)
                else:
                    swap = None
            if swap is Swap.DONE and outcome is not None:
                return Answer(outcome, board, operation)
            busy_since = self._look(swap, tip, busy_since)
            asked = True
            if time.monotonic() - began > self._deadline:
                raise self._gave_up()

    def _decided(self, board: Board, operation: Operation, *, fresh: bool) -> Outcome | None:
        """The outcome; None where the last known state can't be read, which the current one perhaps can."""
        try:
            return apply(board, operation)
        except ConfigError:
            if fresh or self.store.asked() is None:
                raise
            return None

    def _operation(self, identity: OperationId, request: Request, author: Author, board: Board) -> Operation:
        return Operation(id=identity, author=author, seen=board.counter, at=self._now(), request=request)

    def _swap(
        self, tip: str | None, board: Board, operation: Operation, outcome: Done, moves: Sequence[Move]
    ) -> Swap:
        self.journal.note(operation)
        commit = self.store.write(tip, board.changes, message(board, operation, outcome), operation.at)
        try:
            return self.store.swap(tip, commit, moves)
        except OfflineError:
            if not self._lost:
                raise
            return Swap.LOST  # an earlier try may have been applied: that nothing was sent now says nothing

    def _look(self, swap: Swap | None, tip: str | None, busy_since: float | None) -> float | None:
        """Find out where the ledger stands before the next try; since when a lock file has been in the way."""
        self._lost = self._lost or swap is Swap.LOST
        try:
            now_at = self._fetched()
        except OfflineError as error:
            if self._lost:
                raise _unknown() from error
            raise
        if swap is None:
            return None
        if swap is Swap.RACED and now_at == tip:
            began = busy_since or time.monotonic()
            if time.monotonic() - began > BUSY:
                raise FailedError(
                    "something on the remote has held a lock file of the ledger's ref for 30 s",
                    hint="a crashed push may have left 'refs/pw/locks/main.lock' in the remote repository: remove it",
                )
            _pause()
            return began
        _pause()
        return None

    def _gave_up(self) -> ContendedError | UnknownError:
        if self._lost:
            return _unknown()
        return ContendedError(
            f"others were faster for {self._deadline:.0f} seconds; nothing was changed", hint="try again"
        )

    # settling

    def settle(self) -> list[Settled]:
        """Find out what became of operations that earlier commands left open.

        Those that can never be applied any more are dropped. Those that were stay in the journal until
        `journal.close`; so do those of which nothing can be said yet, with no outcome.
        """
        settled = []
        for left in self.journal.left():
            found = self._settled(left)
            if found is not None:
                settled.append(found)
        return settled

    def _settled(self, left: Left) -> Settled | None:
        board = self.board()
        known = board.outcome(left.operation.id, left.counter)
        if known is None:
            try:
                board = self.fresh()
            except OfflineError:
                return Settled(left.operation, None, left.path)
            known = board.outcome(left.operation.id, left.counter)
        if known is not None:
            return Settled(left.operation, known[1], left.path)
        if board.counter > left.counter:
            left.path.unlink(missing_ok=True)
            return None
        return Settled(left.operation, None, left.path)

    # recovery

    def _legible(self, tip: str | None) -> Board:
        """The board of a state, or an empty one where it is no ledger at all; another's, or a newer one's, is no such."""
        try:
            return self._board(tip)
        except ConfigError as error:
            if error.data.get("ledger") != "broken":
                raise
            return Board(self.store.cells(None))

    def adopt(self) -> list[str]:
        """Go on with a ledger that another clone restored; what this clone had seen and the restored one lacks."""
        known = self.history()
        tip = self.store.fetch()
        restored = self._board(tip).meta.restored
        if tip is None or restored is None:
            raise FailedError("there is no restored ledger to go on with")
        self.store.accept(tip)
        return _lost_lines(known, restored)

    def restore(self, author: Author, reason: str) -> Answer:
        """Begin a vanished or rewound ledger again from the last state known here: a new root, a million ahead."""
        tip, there = self.store.tip(), self.store.fetch()
        board, other = self._board(tip), self._legible(there)
        if other.begun and board.begun and other.meta.ledger != board.meta.ledger:
            raise _replaced(board, other)
        request = Restore(reason=reason, above=other.counter)
        operation = self._operation(OperationId(secrets.token_hex(16)), request, author, board)
        outcome = apply(board, operation)
        if not isinstance(outcome, Done):
            raise FailedError("the ledger can't be restored from here")
        whole = self.store.write(tip, board.changes, message(board, operation, outcome), operation.at)
        root = self.store.orphaned(whole)
        swap = self.store.swap(there, root)
        if swap is Swap.LOST:
            raise _unknown()
        if swap is not Swap.DONE:
            raise ContendedError("somebody else restored the ledger meanwhile", hint="try again")
        return Answer(outcome, board, operation)


def _lost_lines(entries: Sequence[Entry], after: int) -> list[str]:
    return [entry.subject for entry in entries if entry.counter > after]


def _unknown() -> UnknownError:
    return UnknownError("the answer was lost: it may have been applied", hint="any next command finds out")


def _replaced(old: Board, new: Board) -> ConfigError:
    return ConfigError(
        f"the remote now has another ledger, {new.meta.ledger} instead of {old.meta.ledger}",
        hint="if that is meant, remove this clone's with 'git pw uninstall' and run 'git pw init'",
        ledger="replaced",
    )


def _changed(outcome: Outcome) -> bool:
    return isinstance(outcome, Done) and outcome.changed


def _pause() -> None:
    """Full jitter: those who were beaten together don't come back together."""
    time.sleep(random.uniform(0, PAUSE))  # noqa: S311 - not for secrets
