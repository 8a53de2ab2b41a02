"""How a refused change is told: every file up to a handful, who holds it for what and until when, and the way out."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime
from os.path import relpath
from typing import NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.grant import holder
from gitpw.domain.guard import Violation
from gitpw.domain.ids import ClaimId, WorkerId, isoformat
from gitpw.domain.lock import Claim
from gitpw.domain.task import TaskStatus
from gitpw.errors import HeldError, InvalidError, PwError
from gitpw.services.asking import granted_no_more
from gitpw.services.ports import Context, Own

HANDFUL = 5
"""Files, and holders, that are named; the rest is counted."""


class Against(NamedTuple):
    """A violation, and the commits in which it is; none where it is about to be committed."""

    violation: Violation[Claim]
    commits: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """The file that may not be changed."""
        return self.violation.file

    @property
    def claim(self) -> Claim | None:
        """What stands in the way, None where what is missing is a lock."""
        return self.violation.claim


def refusal(ctx: Context, found: Sequence[Against], verb: str, oldest: str | None = None) -> PwError:
    """The error that says why a commit or a push is refused; JSON has the whole list.

    `oldest` is the first of the commits that would have to be another for a push to be allowed.
    """
    groups: dict[ClaimId | None, list[Against]] = {}
    for one in found:
        groups.setdefault(None if one.claim is None else one.claim.id, []).append(one)
    lacking = groups.pop(None, [])
    held = list(groups.values())
    told = [_held(ctx, group) for group in held[:HANDFUL]]
    if held[HANDFUL:]:
        rest = sum(len(group) for group in held[HANDFUL:])
        told.append(f"{rest} more by {len(held[HANDFUL:])} other claims")
    if lacking:
        told.append(f"{_named(lacking)} may be changed only under a lock of your own")
    message = f"{verb} refused: {'; '.join(told)}"
    public = [_public(one) for one in found]
    if not held:
        return InvalidError(message, hint=f"git pw lock -- {_quoted(ctx, lacking)}", violations=public)
    first = held[0][0].violation
    by = None if first.claim is None else holder(first.claim, first.locked)
    hint = _way_out(ctx, held[0], [one for group in held for one in group], oldest)
    return HeldError(message, hint=hint, holder=by, violations=public)


def lost_claim(board: Board, me: WorkerId, own: Own, verb: str, where: str | None) -> PwError:
    """The error for a claim that is no longer the current one: what became of it, and what to do now.

    `where` is the checkout that remembers it, None for this one.
    """
    error = granted_no_more(board, me, own)
    error.message = f"{verb} refused: {error.message}"
    task = None if own.task is None else board.task(own.task)
    now_with = None if task is None or task.claim is None else board.claim(task.claim)
    if task is None:
        again = ""
    elif now_with is not None and now_with.worker != me:
        again = f"; {now_with.worker} works on {task.id} now, so ask there"
    elif now_with is not None:
        again = f"; you work on {task.id} in another checkout now"
    elif task.status is TaskStatus.PENDING:
        again = f"; 'git pw claim {task.id}' asks for it again, as long as nobody has it"
    else:
        again = f"; {task.id} is {task.status} now"
    kept = "what you changed stays as it is" if verb == "commit" else "your commits stay on their branch"
    there = "" if where is None else f"-C {shlex.quote(where)} "
    error.hint = f"{kept}{again}; 'git pw {there}release {own.task}' lets the checkout forget it"
    return error


def _held(ctx: Context, group: Sequence[Against]) -> str:
    """The files of one claim, and whose it is."""
    claim = group[0].claim
    if claim is None:
        return ""
    mine = claim.worker == ctx.me.worker
    locked = {one.violation.locked for one in group}
    covering = locked.pop() if len(locked) == 1 else None
    told = f" (locked as {covering})" if covering and covering != group[0].file else ""
    task = f" for {claim.task}" if claim.task else ""
    verb = "is" if len({one.file for one in group}) == 1 else "are"
    by = "you, in another checkout" if mine else str(claim.worker)
    return f"{_named(group)} {verb} held by {by}{told}{task}{_until(claim, ctx.clock.now())}"


def _until(claim: Claim, now: datetime) -> str:
    ends = isoformat(claim.lease.expires_at)
    if claim.queued:
        return " until it is merged"
    return f" until {ends}" if claim.lease.expires_at > now else f", whose lease ran out at {ends}"


def _way_out(ctx: Context, group: Sequence[Against], held: Sequence[Against], oldest: str | None) -> str:
    """What can be done about the files of the first claim, or about all that are held."""
    claim = group[0].claim
    if claim is None:
        return ""
    names = _quoted(ctx, group)
    leave = f"leave it out: git restore --staged -- {_quoted(ctx, held)}"
    if oldest is not None:
        leave = f"take it out of the commits: git rebase -i {oldest[:12]}^"
    if claim.worker == ctx.me.worker:
        return f"make the change where you hold it, or give it back there first; or {leave}"
    if claim.queued:
        return f"it is free once it has landed, see 'git pw merge list'; or {leave}"
    if claim.lease.expires_at <= ctx.clock.now():
        return f"take it over: git pw lock -- {names}; or {leave}"
    return f"wait for it: git pw lock --wait -- {names}; or ask {claim.worker}; or {leave}"


def _named(group: Sequence[Against]) -> str:
    """The first files by name, the others as a number."""
    names = list(dict.fromkeys(one.file for one in group))
    more = f" and {len(names) - HANDFUL} more" if names[HANDFUL:] else ""
    return ", ".join(names[:HANDFUL]) + more


def _quoted(ctx: Context, group: Sequence[Against]) -> str:
    """The files for a shell in the folder where the user is; where they are too many, the lock that covers them."""
    names = list(dict.fromkeys(one.file for one in group))
    covering = {one.violation.locked for one in group}
    if len(names) > HANDFUL and len(covering) == 1 and None not in covering:
        names = [name for name in covering if name is not None]
    if len(names) > HANDFUL or not all(name.isprintable() for name in names):
        return "FILE…"
    where = ctx.environment.get("GIT_PREFIX") or ctx.repo.prefix or "."
    near = (relpath(name, where) for name in names)
    return " ".join(shlex.quote(f"./{name}" if name.startswith(":") else name) for name in near)


def _public(one: Against) -> dict[str, object]:
    violation = one.violation
    by = None if violation.claim is None else holder(violation.claim, violation.locked)
    commits = {"commits": list(one.commits)} if one.commits else {}
    return {"file": violation.file, "holder": by, **commits}
