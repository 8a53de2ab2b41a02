"""Read, decide, swap, again: the only way in which anything is ever changed.

An operation is decided on the last known state, without asking the remote first: whoever is alone pays one push and
nothing else. Only a push proves that the decision was based on the truth; so an answer that needs no push (a refusal,
or nothing to do) is given only on a state that was fetched for it.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from gitpw.domain.backlog import may_say
from gitpw.domain.board import Board
from gitpw.domain.custody import required
from gitpw.domain.ids import OperationId
from gitpw.domain.operation import (
    MOST_SAID,
    Author,
    Begin,
    Done,
    Mine,
    Operation,
    Outcome,
    Refused,
    Request,
    Restore,
)
from gitpw.domain.progress import Said
from gitpw.domain.rulebook import apply
from gitpw.errors import ConfigError, ContendedError, FailedError, OfflineError, PwError, UnknownError
from gitpw.ledger.commits import Entry, message
from gitpw.ledger.journal import Journal, Left
from gitpw.ledger.signing import ForgedError, Signatures, UnsignableError, follows, verify, verify_past
from gitpw.ledger.store import FROM, Move, Sign, Store, Swap

if TYPE_CHECKING:
    from gitpw.domain.trail import Event

DEADLINE = 60.0
"""Seconds after which a worker that is always beaten gives up."""

BUSY = 30.0
"""Seconds for which a lock file on the remote may stand in the way."""

TIDY = 256
"""After how many operations it is looked whether the store needs packing; each leaves some 25 loose objects."""

LOOK = 0.05
"""Seconds between two looks at whether this machine knows of another state."""

PAUSE = 0.25
"""The longest pause between two tries, in seconds."""


class Answer(NamedTuple):
    """An outcome, the board it holds on, and the operation that it answers."""

    outcome: Outcome
    board: Board
    operation: Operation


Heard = Callable[[Board, Operation, Outcome, int], None]
"""Told of each operation that was decided, with its counter and the board as it is now; a crash may have it told twice."""


class Settled(NamedTuple):
    """What became of an operation that an earlier command left open."""

    operation: Operation
    outcome: Outcome | None
    path: Path


class Outbox(Protocol):
    """What was said of progress on this machine and goes with the next operation."""

    def all(self) -> Sequence[Said]:
        """The last word on each claim."""

    def drop(self, told: Iterable[Said]) -> None:
        """Forget what others know by now, unless something else was said meanwhile."""


class Ledger:
    """A store, and the one way to change what it holds."""

    def __init__(  # noqa: PLR0913 - each is a part of how a ledger is kept
        self,
        store: Store,
        journal: Journal,
        now: Callable[[], datetime],
        *,
        expected: str | None = None,
        deadline: float = DEADLINE,
        dry_run: bool = False,
        along: Callable[[Board, Author], tuple[Mine, ...]] = lambda _board, _author: (),
        signatures: Callable[[], Signatures] | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`expected` is the ledger's id where one is known; with `dry_run` all is decided and nothing is done.

        `signatures` is asked for only where something is signed; without it, nothing is and nothing is verified.
        `along` says which claims of the asker go along with an operation.
        """
        self.store = store
        self.journal = journal
        self._now = now
        self._expected = expected
        self._deadline = deadline
        self._dry_run = dry_run
        self._along = along
        self._lost = False
        self.outbox: Outbox | None = None
        self._signatures = signatures
        self._tell = tell
        self.heard: Heard | None = None

    # reading

    def board(self) -> Board:
        """The last known state; fetched where none is known yet."""
        tip = self.store.tip()
        return self._board(tip if tip is not None else self._fetched())

    def fresh(self, timeout: float = 60.0) -> Board:
        """The current state; raises `OfflineError`."""
        return self._board(self._fetched(timeout))

    def freshest(self, timeout: float = 10.0) -> tuple[Board, datetime | None, PwError | None]:
        """The current state where it can be had, else the last known one: the board, as of when, and why not now.

        Where that is forged, the last verified state is the one that counts now, and that is told.
        """
        try:
            return self.fresh(timeout), None, None
        except OfflineError as error:
            if self.store.tip() is None:
                raise
            return self.board(), self.store.asked(), error
        except ForgedError as error:
            if self.store.tip() is None:
                raise
            self._tell(f"{error.message}: this is the last state that was verified")
            return self.board(), None, error

    def rehearsed(self, request: Request, author: Author) -> tuple[Board, Operation]:
        """A request as an operation on the last known state, and that state: to see what would come of it."""
        board = self.board()
        return board, self._operation(OperationId(secrets.token_hex(16)), request, author, board)

    def wait_for_change(self, since: object, seconds: float) -> bool:
        """Whether another state than that of the trace `since` becomes the last one known within so many seconds.

        Nobody is asked: this is for what other processes of this machine find out or do.
        """
        until = time.monotonic() + seconds
        while self.store.trace() == since:
            left = until - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(LOOK, left))
        return True

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
        known, asked = self.store.tip(), self.store.asked()
        tip = self.store.fetch(timeout)
        if tip is None and known is not None:
            raise ConfigError(
                "the ledger has vanished from the remote",
                hint="'git pw doctor --fix' restores it from what this clone last knew",
                ledger="vanished",
            )
        if tip is not None and tip != known:
            try:
                self._check_follows(known, tip)
            except ForgedError as error:
                error.tip = tip
                self.store.unask(asked)
                raise
            self.store.accept(tip)
        return tip

    def _check_follows(self, known: str | None, tip: str) -> None:
        """What was acknowledged is still there, and what is new is of whom it names.

        A state that is made to look like an earlier one, on top of the known one, is forged rather than rewound.
        """
        try:
            self._check_continuity(known, tip)
        except ConfigError:
            if known is not None and self._signatures is not None and follows(self.store, known, tip):
                self._verify(known, tip)
            raise
        self._verify(known, tip)

    def _verify(self, known: str | None, tip: str) -> None:
        """Whether the operations since the known state are of whom they name; raises `ForgedError`."""
        if self._signatures is None:
            return
        if known is not None:
            verify(self.store, self._signatures, known, tip)
        elif self._board(tip).settings.signed:
            cut_off = self.store.deepen(1)  # who may have signed the tip is in the state before it
            verify(self.store, self._signatures, None, tip)
            if cut_off:
                self.store.mark(FROM, tip)
                self._tell(f"operations are signed here: verified from {self._board(tip).counter} on")

    def verify_past(self) -> None:
        """Verify what came before this clone joined, as far as it is here; raises `ForgedError`."""
        since = self.store.marked(FROM)
        if since is None or self._signatures is None:
            return
        try:
            self.store.mark(FROM, verify_past(self.store, self._signatures, since))
        except ForgedError as error:
            error.hint = (
                "it is in the ledger's past: whoever signed what follows it, didn't verify it, or made it"
            )
            raise

    def verified_from(self) -> int | None:
        """The counter from which on signatures were verified here; None where nothing was left out."""
        since = self.store.marked(FROM)
        return None if since is None else self._board(since).counter

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
        if _changed(answer.outcome) or not isinstance(answer.outcome, Done):
            self._hear(answer.board, answer.operation, answer.outcome, answer.board.counter)
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
        said = () if self.outbox is None else tuple(self.outbox.all())
        asked = self._lost = False
        unasked: tuple[str | None, Answer] | None = None
        if self.store.tip() is None and not isinstance(request, Begin):
            self._fetched()
            asked = True
        while True:
            with self.store.lock():
                tip = self.store.tip()
                if unasked is not None and unasked[0] == tip:
                    return unasked[1]  # what it was decided on has turned out to be the current state
                board = self._board(tip)
                first_seen = board.counter if first_seen is None else first_seen
                operation = self._operation(identity, request, author, board, said)
                known = board.outcome(identity, first_seen) if self._lost else None
                if known is not None:
                    return Answer(known[1], board, operation)
                outcome = self._decided(board, operation, fresh=asked)
                if outcome is None:
                    swap = None
                elif isinstance(outcome, Done) and outcome.changed:
                    swap = self._tried(tip, board, operation, outcome, moves, fresh=asked)
                elif asked or self.store.asked() is None:
                    return Answer(outcome, board, operation)
                else:
                    swap, unasked = None, (tip, Answer(outcome, board, operation))
            if swap is Swap.DONE and outcome is not None:
                self._told(board, operation, said)
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

    def _operation(
        self,
        identity: OperationId,
        request: Request,
        author: Author,
        board: Board,
        said: Sequence[Said] = (),
    ) -> Operation:
        return Operation(
            id=identity,
            author=author,
            seen=board.counter,
            at=self._now(),
            request=request,
            along=self._along(board, author) if board.begun else (),
            said=tuple(one for one in said if may_say(board, author.worker, one))[:MOST_SAID],
        )

    def _told(self, board: Board, operation: Operation, said: Sequence[Said]) -> None:
        """What went with an operation needn't go again, and what is said of claims that are no more never."""
        if self.outbox is not None and said:
            gone = [one for one in said if one in operation.said or not _is_current(board, one)]
            self.outbox.drop(gone)

    def _tried(
        self,
        tip: str | None,
        board: Board,
        operation: Operation,
        outcome: Done,
        moves: Sequence[Move],
        *,
        fresh: bool,
    ) -> Swap | None:
        """How the swap ended; None where the last known state names a key that can't sign, and the current one may not."""
        try:
            return self._swap(tip, board, operation, outcome, moves)
        except UnsignableError:
            if fresh or self.store.asked() is None:
                raise
            return None

    def _swap(
        self, tip: str | None, board: Board, operation: Operation, outcome: Done, moves: Sequence[Move]
    ) -> Swap:
        self.journal.note(operation)
        text = message(board, operation, outcome)
        commit = self.store.write(tip, board.changes, text, operation.at, self._sign(tip, operation))
        try:
            return self.store.swap(tip, commit, moves)
        except OfflineError:
            if not self._lost:
                raise
            return Swap.LOST  # an earlier try may have been applied: that nothing was sent now says nothing

    def _sign(self, tip: str | None, operation: Operation) -> Sign | None:
        """How an operation on that state is to be signed; None where it needn't be."""
        key = None if self._signatures is None else required(Board(self.store.cells(tip)), operation)
        if self._signatures is None or key is None or isinstance(key, Refused):
            return None
        signatures = self._signatures
        return lambda payload: signatures().sign(key, payload)

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
            self._hear(board, left.operation, known[1], known[0])
            return Settled(left.operation, known[1], left.path)
        if board.counter > left.counter:
            left.path.unlink(missing_ok=True)
            return None
        return Settled(left.operation, None, left.path)

    def _hear(self, board: Board, operation: Operation, outcome: Outcome, counter: int) -> None:
        """Say what was decided; what was done is done, whatever goes wrong here."""
        if self.heard is not None:
            with suppress(Exception):
                self.heard(board, operation, outcome, counter)

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
        self._verify(self.store.tip(), tip)
        self.store.accept(tip)
        return _lost_lines(known, restored)

    def put_back(self) -> str:
        """Put the last verified state back in place of a forged one, which is kept here; the commit of that.

        Nothing was built on the forged one by anybody who verifies, so this takes nothing away.
        """
        tip, there = self.store.tip(), self._forged_tip()
        if tip is None or there is None:
            raise FailedError("there is nothing to be put back: the ledger is as it was verified")
        self.store.mark(f"refs/pw/forged/{there}", there)
        swap = self.store.swap(there, tip)
        if swap is Swap.LOST:
            raise _unknown()
        if swap is not Swap.DONE:
            raise ContendedError("somebody else has changed the ledger meanwhile", hint="try again")
        return there

    def _forged_tip(self) -> str | None:
        """The state on the remote if it is forged."""
        try:
            self._fetched()
        except ForgedError as error:
            return error.tip
        return None

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
            raise FailedError(f"the ledger can't be restored from here: {outcome.message}", hint=outcome.hint)
        whole = self.store.write(tip, board.changes, message(board, operation, outcome), operation.at)
        root = self.store.orphaned(whole, self._sign(tip, operation))
        swap = self.store.swap(there, root)
        if swap is Swap.LOST:
            raise _unknown()
        if swap is not Swap.DONE:
            raise ContendedError("somebody else restored the ledger meanwhile", hint="try again")
        return Answer(outcome, board, operation)


def _is_current(board: Board, said: Said) -> bool:
    claim = board.claim(said.claim)
    return claim is not None and claim.token == said.token


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
