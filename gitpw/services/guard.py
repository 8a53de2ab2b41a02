"""What the hooks ask: may these files be committed, may these commits be pushed?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from gitpw.domain.board import Board
from gitpw.domain.checkout import considered
from gitpw.domain.grant import holder
from gitpw.domain.guard import Violation, violations
from gitpw.domain.ids import ClaimId, WorkerId, duration, isoformat
from gitpw.domain.lock import Claim
from gitpw.domain.operation import Start
from gitpw.domain.task import TaskStatus
from gitpw.errors import HeldError, InvalidError, OfflineError, PwError
from gitpw.services.asking import ask, granted_no_more, inform_hooks
from gitpw.services.ports import Context, Own

COMMIT_PATIENCE = 3.0
PUSH_PATIENCE = 10.0
"""Seconds that a commit and a push may wait for the remote."""

QUICK = 1.0
"""Seconds that a commit waits for what would be nice to know."""

NOBODY = "0" * 40

GIVEN_BACK = frozenset({"released", "failed", "merged", "completed", "absorbed", "unlocked"})
"""Ways in which a claim ends by its holder's own doing: what is left of its worktree may be committed to."""


def pre_commit(ctx: Context) -> None:
    """Judge the staged files by the last known locks, brought up to date when they are older than the policy says."""
    files = ctx.repo.staged()
    board = _recent(ctx)
    if board is not None:
        inform_hooks(ctx)
        judge(ctx, board, files, "commit")


def pre_push(ctx: Context, remote: str, url: str, lines: Iterable[str]) -> None:
    """Judge the files of every commit that is new to our remote, by a fresh ledger.

    `git push URL` names the URL twice: it is our remote if ours has that URL.
    """
    if ctx.remote is None or not ctx.ledger.known():
        return
    if ctx.remote not in {remote, url} and ctx.repo.push_url(ctx.remote) != url:
        return
    pushed = [line.split() for line in lines]
    heads = {local for _, local, there, _ in pushed if local != NOBODY and not there.startswith("refs/pw/")}
    if not heads:
        return
    try:
        board = ctx.ledger.fresh(PUSH_PATIENCE)
    except OfflineError as error:
        _offline(ctx, error)
        board = ctx.ledger.board()
    files = dict.fromkeys(file for head in sorted(heads) for file in ctx.repo.new_files(head, ctx.remote))
    judge(ctx, board, list(files), "push")


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


def refresh(ctx: Context) -> None:
    """Bring the last known state up to date, and what is written down of it for the hooks."""
    ctx.ledger.fresh(PUSH_PATIENCE)
    inform_hooks(ctx)


def _recent(ctx: Context) -> Board | None:
    """The state to judge a commit by; None where there is no ledger to judge by.

    What is older than the policy's refresh age must be fetched, or the policy for being offline holds. What is
    younger is fetched too if the remote answers at once: a lock that was taken a moment ago counts.
    """
    if not ctx.ledger.known():
        return None
    asked = ctx.ledger.store.asked()
    age = timedelta(0) if asked is None else ctx.clock.now() - asked
    old = age > duration(ctx.rules.policy().policy.refresh)
    try:
        return ctx.ledger.fresh(COMMIT_PATIENCE if old else QUICK)
    except OfflineError as error:
        if old:
            _offline(ctx, error)
    return ctx.ledger.board()


def _offline(ctx: Context, error: OfflineError) -> None:
    """What the policy says of not knowing."""
    if ctx.rules.policy().policy.offline == "block":
        raise OfflineError(
            f"{error.message}: the locks can't be checked",
            hint='the policy says offline = "block"; try again later',
        ) from error
    asked = ctx.ledger.store.asked()
    since = isoformat(asked) if asked is not None else "an unknown time"
    ctx.tell(f"{error.message}: judged by the locks of {since}")


def judge(ctx: Context, board: Board, files: Sequence[str], verb: str) -> None:
    """Raise what forbids these files to be changed in this checkout: a lost claim, a foreign lock, a missing one."""
    mine = _standing(ctx, board, verb)
    found = violations(board, mine, ctx.rules.policy().policy, files)
    if not found:
        return
    held = [violation for violation in found if violation.claim is not None]
    listed = [_public(violation) for violation in found]
    if not held:
        names = ", ".join(dict.fromkeys(violation.file for violation in found))
        raise InvalidError(
            f"{verb} refused: {names} may be changed only under a lock of your own",
            hint=f"git pw lock -- {found[0].file}",
            violations=listed,
        )
    raise HeldError(
        f"{verb} refused: " + "; ".join(dict.fromkeys(_told(one, ctx.me.worker) for one in held)),
        hint=_way_out(held[0], ctx.me.worker, verb),
        holder=listed[found.index(held[0])]["holder"],
        violations=listed,
    )


def _way_out(violation: Violation[Claim], me: WorkerId, verb: str) -> str:
    """What can be done about the first of them."""
    holder = violation.claim.worker if violation.claim is not None else None
    if holder == me:
        return "you hold it in another checkout: make the change there, or give it back there first"
    if verb == "commit":
        return f"git restore --staged -- {violation.file}, or ask {holder}"
    return f"wait until it is free, ask {holder}, or take the change out of your commits"


def _told(violation: Violation[Claim], me: WorkerId) -> str:
    claim = violation.claim
    if claim is None:
        return violation.file
    task = f" for {claim.task}" if claim.task else ""
    until = "until it is merged" if claim.queued else f"until {isoformat(claim.lease.expires_at)}"
    holder = "you, in another checkout," if claim.worker == me else claim.worker
    return f"{violation.file} is held by {holder}{task} {until}"


def _public(violation: Violation[Claim]) -> dict[str, object]:
    by = None if violation.claim is None else holder(violation.claim, violation.locked)
    return {"file": violation.file, "holder": by}


def _standing(ctx: Context, board: Board, verb: str) -> dict[ClaimId, Claim]:
    """The claims by which this checkout is judged; one of its own that was taken away stops it."""
    mine: dict[ClaimId, Claim] = {}
    for own in _considered(ctx):
        claim = board.claim(own.claim)
        if claim is not None and claim.token == own.token:
            mine[claim.id] = claim
        elif own.task is not None and _was_taken(board, own):
            error = granted_no_more(board, ctx.me.worker, own)
            error.message = f"{verb} refused: {error.message}"
            raise error
        else:
            ctx.checkout.forget([own.claim])
    return mine


def _considered(ctx: Context) -> list[Own]:
    worker = ctx.environment.get("GITPW_WORKER") or ctx.repo.config("pw.worker")
    return considered(ctx.checkout.own(), worker, linked=ctx.repo.git_dir != ctx.repo.common_dir)


def _was_taken(board: Board, own: Own) -> bool:
    ending = board.ending(own.claim)
    return ending is None or ending.how not in GIVEN_BACK
