"""What the hooks ask: may these files be committed, may these commits be pushed?"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta

from gitpw.domain.board import Board
from gitpw.domain.guard import violations
from gitpw.domain.ids import ClaimId, duration, isoformat
from gitpw.domain.operation import Start
from gitpw.domain.presence import is_due
from gitpw.domain.task import TaskStatus
from gitpw.errors import OfflineError, PwError, StaleError
from gitpw.ledger.signing import ForgedError
from gitpw.services.asking import ask, inform_hooks
from gitpw.services.base import base_branch, known_tip
from gitpw.services.heartbeat import heartbeat
from gitpw.services.ports import Change, Context, Memory
from gitpw.services.protect import protect
from gitpw.services.refusing import Against, refusal
from gitpw.services.standing import Pushed, alive, branch_of, my_memories, of_branch, standing

COMMIT_PATIENCE = 3.0
PUSH_PATIENCE = 10.0
"""Seconds that a commit and a push may wait for the remote."""

QUICK = 1.0
"""Seconds that a commit waits for what would be nice to know."""

A_MOMENT = 30
"""Seconds within which another's renewal will do."""

Key = tuple[str, ClaimId | None]
"""A file and the claim in its way, None where what is missing is a lock."""


def pre_commit(ctx: Context) -> None:
    """Judge the staged files by the last known locks, brought up to date when they are older than the policy says.

    Where nothing is staged (only the message is amended), there is nothing to judge.
    """
    files = ctx.repo.staged()
    board = _recent(ctx) if files else None
    if board is None:
        return
    inform_hooks(ctx)
    try:
        judge(ctx, board, files)
    except StaleError:
        protect(ctx)
        raise


def pre_push(ctx: Context, remote: str, url: str, lines: Iterable[str]) -> None:
    """Judge every commit that is new to our remote, however that is named, by a fresh ledger.

    Each ref is judged by the claims of the checkout or task whose branch it is.
    """
    if ctx.remote is None or not ctx.ledger.known():
        return
    if ctx.remote not in {remote, url} and not ctx.repo.leads_to(ctx.remote, url):
        return
    pushed = [one for one in map(Pushed.read, lines) if one.judged]
    if not pushed:
        return
    board, memories = _now(ctx), my_memories(ctx)
    found: dict[Key, Against] = {}
    order: list[str] = []
    for mine, commits in _grouped(ctx, board, memories, ctx.remote, pushed):
        order += commits
        for key, against in _against(ctx, board, mine, memories, commits).items():
            before = found[key].commits if key in found else ()
            found[key] = against._replace(commits=(*before, *against.commits))
    if any(against.claim is None for against in found.values()) and _begins(ctx, pushed):
        found = {key: against for key, against in found.items() if against.claim is not None}
    if found:
        oldest = max((commit for against in found.values() for commit in against.commits), key=order.index)
        raise refusal(ctx, sorted(found.values(), key=lambda against: against.file), "push", oldest)


def _grouped(
    ctx: Context, board: Board, memories: Sequence[Memory], remote: str, pushed: Sequence[Pushed]
) -> list[tuple[frozenset[ClaimId], Sequence[str]]]:
    """The commits that are new, by the claims that they are judged by.

    A branch of a lost claim may not even be moved to what the remote has; other refs count for what they bring.
    """
    there = {one.there for one in pushed if not one.is_new}
    others = [one.head for one in pushed if one.branch is None]
    bring = bool(others) and bool(ctx.repo.new_commits(others, remote, there))
    groups: dict[frozenset[ClaimId], list[str]] = {}
    for one in pushed:
        if one.branch is not None or bring:
            mine = frozenset(of_branch(ctx, board, memories, one))
            groups.setdefault(mine, []).append(one.head)
    return [(mine, ctx.repo.new_commits(heads, remote, there)) for mine, heads in groups.items()]


def _begins(ctx: Context, pushed: Iterable[Pushed]) -> bool:
    """Whether the remote has no base branch before this push: until then, nobody needs a lock."""
    base = base_branch(ctx)
    return any(one.is_new and one.branch == base for one in pushed) and known_tip(ctx) is None


def _against(
    ctx: Context, board: Board, mine: frozenset[ClaimId], memories: Sequence[Memory], commits: Sequence[str]
) -> dict[Key, Against]:
    """What stands against pushing some commits, each judged by itself, since each could land.

    What is only brought in from upstream is left out, and a commit that is on another task's branch of mine, where it
    may have been made, is judged by that task's claim too.
    """
    rules = ctx.rules.lenient().policy
    suspects = {found.file for found in violations(board, mine, rules, ctx.repo.files_of(commits))}
    if not suspects:
        return {}
    changes = _own_changes(ctx, ctx.repo.changes(commits, suspects))
    claims = _claims_of(ctx, board, memories, list(dict.fromkeys(change.commit for change in changes)))
    found: dict[Key, Against] = {}
    for change in changes:
        for violation in violations(board, mine | claims[change.commit], rules, [change.file]):
            key = (violation.file, None if violation.claim is None else violation.claim.id)
            before = found[key].commits if key in found else ()
            found[key] = Against(violation, (*before, change.commit))
    return found


def _own_changes(ctx: Context, changes: Sequence[Change]) -> list[Change]:
    """Those changes that don't just bring in what the base branch has."""
    tip = known_tip(ctx)
    brought = ctx.repo.brought_in(tip, changes) if tip is not None else ()
    return [change for change in changes if change not in brought]


def _claims_of(
    ctx: Context, board: Board, memories: Sequence[Memory], commits: Sequence[str]
) -> dict[str, set[ClaimId]]:
    """For each commit, the claims of my checkouts whose branches contain it."""
    found: dict[str, set[ClaimId]] = {commit: set() for commit in commits}
    for one in memories:
        claims = alive(board, one.own)
        names = {name for name in (one.branch, *(branch_of(board, own) for own in one.own)) if name}
        for name in names if claims else ():
            outside = ctx.repo.outside(commits, name)
            for commit in commits:
                found[commit] |= set() if commit in outside else claims
    return found


def post_commit(ctx: Context) -> None:
    """The first commit says that the work has begun. It is a courtesy: what goes wrong here is not a commit's fault."""
    if not ctx.ledger.known():
        return
    board = ctx.ledger.board()
    for own in ctx.checkout.own():
        task = board.task(own.task) if own.task is not None else None
        if task is None or task.status is not TaskStatus.CLAIMED or task.claim != own.claim:
            continue
        try:
            ask(ctx, Start(task=task.id, claim=own.claim, token=own.token))
        except PwError as error:
            ctx.tell(f"{task.id} could not be marked as begun: {error.message}")
    _renew(ctx)
    protect(ctx)


def _renew(ctx: Context) -> None:
    """A commit is a sign of life: renew what has less than half of its lease left, with all that lives here."""
    ctx.traces.sign(ctx.clock.now().timestamp())
    board = ctx.ledger.board()
    claims = (board.claim(own.claim) for own in ctx.checkout.own())
    if not any(claim is not None and is_due(claim, ctx.clock.now()) for claim in claims):
        return
    try:
        heartbeat(ctx, older=A_MOMENT)
    except PwError as error:
        ctx.tell(f"the lease could not be renewed: {error.message}")


def refresh(ctx: Context) -> None:
    """Bring the last known state up to date, and what is written down of it for the hooks."""
    ctx.ledger.fresh(PUSH_PATIENCE)
    inform_hooks(ctx)
    protect(ctx)


def _recent(ctx: Context) -> Board | None:
    """The state to judge a commit by; None where there is no ledger to judge by.

    What is older than the policy's refresh age must be fetched, or the policy for being offline holds. What is
    younger is fetched too if the remote answers at once: a lock that was taken a moment ago counts.
    """
    if not ctx.ledger.known():
        return None
    asked = ctx.ledger.store.asked()
    age = timedelta(0) if asked is None else ctx.clock.now() - asked
    old = age > duration(ctx.rules.lenient().policy.refresh)
    try:
        return ctx.ledger.fresh(COMMIT_PATIENCE if old else QUICK)
    except OfflineError as error:
        if old:
            _offline(ctx, error)
    except ForgedError as error:
        ctx.tell(f"{error.message}: judged by the last state that was verified")
    return ctx.ledger.board()


def _now(ctx: Context) -> Board:
    """The state to judge a push by."""
    try:
        return ctx.ledger.fresh(PUSH_PATIENCE)
    except OfflineError as error:
        _offline(ctx, error)
        return ctx.ledger.board()


def _offline(ctx: Context, error: OfflineError) -> None:
    """What the policy says of not knowing."""
    if ctx.rules.lenient().policy.offline == "block":
        raise OfflineError(
            f"{error.message}: the locks can't be checked",
            hint='the policy says offline = "block"; try again later',
        ) from error
    asked = ctx.ledger.store.asked()
    since = isoformat(asked) if asked is not None else "an unknown time"
    ctx.tell(f"{error.message}: judged by the locks of {since}")


def judge(ctx: Context, board: Board, files: Collection[str]) -> None:
    """Raise what forbids these staged files to be changed here: a lost claim, a foreign lock, a missing one.

    What is only brought in from upstream is left out. Before there is a base branch, nobody needs a lock.
    """
    mine = standing(ctx, board, "commit")
    found = violations(board, mine, ctx.rules.lenient().policy, files)
    if not found:
        return
    changed = {
        change.file for change in _own_changes(ctx, ctx.repo.staged_changes({one.file for one in found}))
    }
    left = [Against(one) for one in found if one.file in changed]
    if any(one.claim is None for one in left) and ctx.repo.resolve("HEAD") is None and known_tip(ctx) is None:
        left = [one for one in left if one.claim is not None]
    if left:
        raise refusal(ctx, left, "commit")
