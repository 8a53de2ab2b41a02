"""Would this range of commits be allowed? Judged as hooks judge it, from anywhere: by the locks of now and of then."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.checkout import considered
from gitpw.domain.ids import ClaimId, TaskId, isoformat
from gitpw.domain.review import Committed, Finding, Kind, Span, Whose, outdated, standing
from gitpw.errors import OfflineError
from gitpw.ledger.commits import Entry
from gitpw.services.brought import without_brought_in
from gitpw.services.ports import Commits, Context

PATIENCE = 60.0
"""Seconds: a check that can't see the locks is of no use, so it waits."""

DEEPER = (256, 4_096, None)
"""How many more of the ledger's earlier states are fetched at a time, at last all."""


class Checked(NamedTuple):
    """What stands against a range, and what might; `as_of` where the locks aren't those of now."""

    span: Span
    commits: int
    violations: list[Finding]
    warnings: list[Finding]
    as_of: datetime | None


class Past:
    """The ledger's earlier states, fetched as far back as they are asked for."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._more = list(DEEPER)
        self.entries: list[Entry] = []

    def reach(self, enough: Callable[[Entry], bool]) -> None:
        """See that the states go back to one that is enough, or to the first that can be had."""
        while not self._goes_back_to(enough):
            if not self._more or not self._deepen(self._more.pop(0)):
                return

    def verify(self) -> None:
        """See that these states are of whom they name, where they are signed; raises `ForgedError`."""
        self._ctx.ledger.verify_past()

    def _goes_back_to(self, enough: Callable[[Entry], bool]) -> bool:
        tip = self._ctx.ledger.store.tip()
        self.entries = []
        for entry in self._ctx.ledger.store.history(tip) if tip is not None else ():
            self.entries.append(entry)
            if enough(entry):
                return True
        return False

    def _deepen(self, by: int | None) -> bool:
        try:
            return self._ctx.ledger.store.deepen(by)
        except OfflineError as error:
            self._ctx.tell(f"{error.message}: earlier locks are not known")
            return False

    def states(self, moments: Sequence[datetime]) -> list[str | None]:
        """The state of each moment: the newest that was written by then; None before the ledger began.

        Where a ledger was restored, its first state is all that is known of the time before.
        """
        lows: list[tuple[float, str]] = []  # each written earlier than all newer ones
        for entry in self.entries:
            at = moment(entry)
            if at is not None and (not lows or -at.timestamp() > lows[-1][0]):
                lows.append((-at.timestamp(), entry.commit))
        last = self.entries[-1] if self.entries else None
        eldest = last.commit if last is not None and _request(last).get("verb") == "restore" else None
        found = (bisect_left(lows, (-when.timestamp(), "")) for when in moments)
        return [lows[at][1] if at < len(lows) else eldest for at in found]

    def landed(self) -> list[str]:
        """The commits of the base branch that the merge queue made."""
        return [
            str(landing.get("commit"))
            for entry in self.entries
            for landing in _list(_request(entry).get("landings"))
            if isinstance(landing, Mapping) and landing.get("commit")
        ]

    def pushed(self, task: TaskId, since: int) -> set[str]:
        """What a task's branch was moved to by its claim, after that had been granted."""
        self.reach(lambda entry: entry.counter <= since)
        return {
            str(request.get("head"))
            for entry in self.entries
            if entry.counter > since and (request := _request(entry)).get("task") == task
        }


def moment(entry: Entry) -> datetime | None:
    """When an operation was asked for, by its asker's clock."""
    try:
        at = datetime.fromisoformat(str(entry.operation.get("at")))
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _request(entry: Entry) -> Mapping[str, object]:
    found = entry.operation.get("request")
    return found if isinstance(found, Mapping) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def check(ctx: Context, commits: Commits, span: Span, *, strict_time: bool = False) -> Checked:
    """Judge the commits of a range; what was somebody else's at the time is only warned of, unless `strict_time`.

    The merge queue has judged what it landed. Raises `OfflineError` where the locks can't be known.
    """
    board, as_of = _board(ctx)
    past = Past(ctx)
    changes = _not_landed(commits, past, span)

    def judge(some: Sequence[Committed]) -> list[Finding]:
        violations, warnings = _judged(ctx, board, past, span, some)
        return [*violations, *warnings]

    own = without_brought_in(commits, changes, span.tip, judge)
    violations, warnings = _judged(ctx, board, past, span, own)
    if strict_time:
        violations, warnings = [*violations, *warnings], []
    return Checked(span, len(changes), violations, warnings, as_of)


def _not_landed(commits: Commits, past: Past, span: Span) -> Sequence[Committed]:
    """The commits of the range, but for those that the merge queue has landed."""
    changes = commits.changes([span.head], span.without)
    if not changes:
        return changes
    oldest = min(change.at for change in changes)
    past.reach(lambda entry: (at := moment(entry)) is not None and at <= oldest)
    past.verify()
    landed = past.landed()
    return commits.changes([span.head], [*span.without, *landed]) if landed else changes


def _judged(
    ctx: Context, board: Board, past: Past, span: Span, changes: Sequence[Committed]
) -> tuple[list[Finding], list[Finding]]:
    """What stands against the commits, and what might."""
    held, lacking = _now(ctx, board, span, changes)
    was_held, lacked = _then(ctx, past, span, changes)
    files = {found.file for found in held}
    warnings = [found for found in was_held if found.file not in files]
    if span.landed:
        # A lock that was taken when the change was there already stands against nothing but the next one.
        then = {found.about[1:] for found in was_held}
        warnings += [found for found in held if found.about[1:] not in then]
        held = [found for found in held if found.about[1:] in then]
    lacking = [found._replace(commit=lacked[found.file]) for found in lacking if found.file in lacked]
    return [*_stale(past, board, span, changes), *held, *lacking], warnings


def _board(ctx: Context) -> tuple[Board, datetime | None]:
    """The locks of now; where they can't be had, the last known, if the policy is content with them."""
    if ctx.joined:
        return ctx.ledger.board(), None
    try:
        return ctx.ledger.fresh(PATIENCE), None
    except OfflineError as error:
        if ctx.policy.policy.offline == "block" or not ctx.ledger.known():
            raise OfflineError(
                f"{error.message}: the locks can't be checked", hint="try again when it can be reached"
            ) from error
        asked = ctx.ledger.store.asked()
        ctx.tell(
            f"{error.message}: judged by the locks of {isoformat(asked) if asked else 'an unknown time'}"
        )
        return ctx.ledger.board(), asked


def _now(
    ctx: Context, board: Board, span: Span, changes: Sequence[Committed]
) -> tuple[list[Finding], list[Finding]]:
    """What others hold now, and what nobody of ours has locked now though it must be."""
    whose = Whose(span.branch, changes, claims=_own(ctx, span))
    found = standing(board, whose, ctx.policy.policy, changes)
    held = [one for one in found if one.kind is Kind.HELD]
    return held, [one for one in found if one.kind is Kind.NEEDS_LOCK]


def _own(ctx: Context, span: Span) -> set[ClaimId]:
    """The claims of this checkout, where it is its own work that is asked about."""
    if not span.here:
        return set()
    worker = ctx.environment.get("GITPW_WORKER") or ctx.repo.config("pw.worker")
    linked = ctx.repo.git_dir != ctx.repo.common_dir
    return {own.claim for own in considered(ctx.checkout.own(), worker, linked=linked)}


def _then(
    ctx: Context, past: Past, span: Span, changes: Sequence[Committed]
) -> tuple[list[Finding], dict[str | None, str]]:
    """What others held when it was changed; and each file that was changed without an own lock on it then."""
    whose = Whose(span.branch, changes, claims=_own(ctx, span))
    held: dict[tuple[object, ...], Finding] = {}
    lacked: dict[str | None, str] = {}
    for state, group in _by_state(past, changes):
        if state is None:
            for change in group:
                lacked |= {file: change.commit for file in change.files if file not in lacked}
            continue
        board = Board(ctx.ledger.store.cells(state))
        for found in standing(board, whose, ctx.policy.policy, group):
            lacked.setdefault(found.file, found.commit)
            if found.claim is not None:
                held.setdefault(found.about, found._replace(kind=Kind.WAS_HELD))
    return list(held.values()), lacked


def _by_state(past: Past, changes: Sequence[Committed]) -> Iterator[tuple[str | None, list[Committed]]]:
    """The changes by the state of the ledger when they were committed."""
    groups: dict[str | None, list[Committed]] = {}
    for change, state in zip(changes, past.states([change.at for change in changes]), strict=True):
        groups.setdefault(state, []).append(change)
    yield from groups.items()


def _stale(past: Past, board: Board, span: Span, changes: Sequence[Committed]) -> list[Finding]:
    """The claims that were lost, but for those of tasks whose branch the current claim itself moved to there."""
    return [
        found
        for found in outdated(board, span.branch, changes)
        if found.claim is None or not _vouched(past, found.claim.token, found, changes)
    ]


def _vouched(past: Past, token: int, found: Finding, changes: Sequence[Committed]) -> bool:
    """Whether the commit, or one that came after it, was pushed or handed in by the claim with that token."""
    if found.stamp is None or found.stamp.task is None:
        return False
    names = [change.commit for change in changes]
    newer = names[: names.index(found.commit) + 1]
    return not past.pushed(found.stamp.task, token).isdisjoint(newer)
