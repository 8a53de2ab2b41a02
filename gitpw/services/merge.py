"""Run the merge queue: build what is next, test it, land it, and send back what can't land.

All decisions are the domain's (`lineup`, `search`, `merging`); here is the order of the steps. A round begins with a
fresh look at everything, so a round that was beaten or interrupted is simply done again: results of tests are kept by
what was tested.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.ids import TaskId
from gitpw.domain.lineup import lineup
from gitpw.domain.merge import MergeState
from gitpw.domain.operation import Back, Mark
from gitpw.domain.policy import Policy
from gitpw.domain.search import RedBase, Verdict
from gitpw.errors import InvalidError
from gitpw.ledger.store import BranchError
from gitpw.services.asking import begin_signing, settle
from gitpw.services.landing import conclude, settled, window_of
from gitpw.services.ports import Context
from gitpw.services.pulls import through_pull_request
from gitpw.services.shift import Emit, Landed, Shift, Trial
from gitpw.services.stack import SHORT, Site, Stack, branch_of, stack
from gitpw.services.trial import commands_of, judged, resolved
from gitpw.services.worktrees import pruned

LEASE = 180
"""Seconds of the merger's lease; it is renewed when half of it is over."""

POLL = 5.0
"""Seconds between two looks at a host."""


class Waiting(NamedTuple):
    """An entry that hasn't landed, and why."""

    task_id: TaskId
    reason: str


class Merged(NamedTuple):
    """What came of running the queue; `frozen` is why nothing can land, `red` whether something went wrong."""

    base: str
    tip: str | None
    landed: list[Landed]
    returned: list[Back]
    waiting: list[Waiting]
    tests: list[Trial]
    frozen: str | None
    red: bool


def merge(
    ctx: Context, emit: Emit, *, lease: int = LEASE, poll: float = POLL, dry_run: bool = False
) -> Merged:
    """Merge all that can be merged now; with `dry_run`, say what would be done and why.

    `lease` and `poll` (how often a host is looked at) are in seconds. Raises `ContendedError` where another merger is at work.
    """
    if ctx.rules.policy().merge.mode == "none":
        raise InvalidError('merge.mode is "none": nothing is queued', hint="git pw config merge.mode direct")
    if ctx.workshop is None:
        raise InvalidError("nothing can be merged here")
    shift = Shift(ctx, ctx.workshop(), emit, lease=lease, poll=poll)
    if dry_run:
        return _rehearsed(shift)
    settle(ctx)
    begin_signing(ctx)
    with shift.shop.testbed.alone():
        try:
            while _round(shift):
                pass
        finally:
            shift.leave()
    for one in pruned(ctx).kept if shift.landed else ():
        ctx.tell(f"kept worktree {one.path}: {one.reason}")
    return _merged(shift)


def _round(shift: Shift) -> bool:
    """Look, build, test, land; whether there may be more to do."""
    board = shift.ctx.ledger.fresh()
    if not board.merges():
        return False
    try:
        site = _site(shift, board)
    except BranchError as error:
        shift.emit("again", f"{error.message}: looking again", {"ref": error.ref})
        return shift.patience()
    if settled(shift, site):
        return True
    ready = [entry for entry in lineup(board).ready if entry.task_id not in shift.skipped]
    if _is_frozen(shift, site) or not ready:
        return False
    built = stack(site, ready, window_of(shift, site))
    shift.deferred = built.deferred
    if built.layers and site.policy.merge.mode == "pull-request":
        return through_pull_request(shift, site, built)
    more = len(ready) > len(built.layers) + len(built.there)
    return _tested_and_landed(shift, site, built, more=more)


def _tested_and_landed(shift: Shift, site: Site, built: Stack, *, more: bool) -> bool:
    if not built.layers or not commands_of(site):
        return conclude(shift, site, built, Verdict(len(built.layers), blamed=False), more=more)
    if not _announced(shift, site, built):
        return True
    built = built._replace(back=[])
    step = judged(shift, site, built)
    if isinstance(step, RedBase):
        shift.freeze(site)
        return False
    return conclude(shift, site, built, step, more=more)


def _rehearsed(shift: Shift) -> Merged:
    """What a round would do, without doing it."""
    board = shift.ctx.ledger.fresh()
    if board.merges():
        site = _site(shift, board)
        if not _is_frozen(shift, site):
            _rehearse(shift, site)
    return _merged(shift)


def _rehearse(shift: Shift, site: Site) -> None:
    ready, window, commands = lineup(site.board).ready, window_of(shift, site), commands_of(site)
    built = stack(site, ready, window)
    shift.deferred, shift.returned = built.deferred, built.back
    for back in built.back:
        shift.emit("return", f"{back.task} would go back to its owner: {back.detail}", back.to_data())
    for entry in built.there:
        shift.emit("land", f"{entry.task_id} is on {shift.branch} already: would be recorded as merged", {})
        shift.landed.append(Landed(entry.task_id, site.tip, entry.worker_id))
    names = [layer.entry.task_id for layer in built.layers]
    if names:
        tested = f"be tested together with {' && '.join(commands)!r}, then land"
        how = tested if commands else f"land untested: merge.test isn't set on {shift.branch}"
        shift.emit("test", f"{', '.join(names)} would {how}", {"tasks": names, "commands": commands})
    for layer in built.layers:
        note = f" {layer.built.note}" if layer.built.note else ""
        shift.emit("land", f"{layer.entry.task_id} would land as {layer.built.commit[:SHORT]}{note}", {})
        shift.landed.append(Landed(layer.entry.task_id, layer.built.commit, layer.entry.worker_id))
    seen = {*names, *built.out, *(entry.task_id for entry in built.there)}
    later = [entry.task_id for entry in ready if entry.task_id not in seen]
    shift.skipped = dict.fromkeys(later, f"comes after these: the window is {window}")


def _site(shift: Shift, board: Board) -> Site:
    """Everything as it is now; raises `OfflineError`, `InvalidError` where there is no base branch."""
    integrator = shift.shop.integrator
    site = Site(board, integrator, shift.ctx.policy, shift.ctx.remote, shift.branch, "", {}, lambda *_: None)
    branches = [name for entry in board.merges() if (name := branch_of(site, entry)) is not None]
    tips = integrator.tips(shift.ctx.remote, [shift.branch, *branches])
    tip = tips.get(shift.branch)
    if tip is None:
        where = f" on {shift.ctx.remote}" if shift.ctx.remote else ""
        raise InvalidError(
            f"there is no branch {shift.branch}{where} to merge into",
            hint="push it first, or name another with 'git pw config merge.base NAME'",
        )
    if shift.ctx.remote is not None:
        integrator.bring(shift.ctx.remote, shift.branch, tips)
    site = site._replace(tip=tip, tips=tips, policy=_policy(shift, tip))
    shift.tip = tip
    if site.policy.merge.mode == "pull-request" and shift.shop.forge is None:
        raise InvalidError(
            f'merge.mode is "pull-request" on {shift.branch}, and no host is configured to open them at',
            hint="configure one, or: git pw config merge.mode direct",
        )
    return site._replace(resolve=lambda onto, work, clash: resolved(shift, site, onto, work, clash))


def _policy(shift: Shift, tip: str) -> Policy:
    """The rules as they stand on the base branch: not those of a branch under test, nor those of this checkout."""
    text = shift.shop.integrator.text(tip, ".gitpw.toml")
    rules = Policy() if text is None else shift.shop.rules(text, f"{shift.branch}:.gitpw.toml")
    here = shift.ctx.policy.merge
    if here.test and not rules.merge.test and shift.tip is None:
        shift.ctx.tell(
            f"merge.test of this checkout's .gitpw.toml doesn't count before it is on {shift.branch}: commit and push it"
        )
    return rules


def _is_frozen(shift: Shift, site: Site) -> bool:
    freeze = site.board.line.freeze
    if freeze is None or freeze.commit != site.tip:
        return False
    shift.frozen = f"{shift.branch} itself is red at {site.tip[:SHORT]}: {freeze.detail}"
    return True


def _announced(shift: Shift, site: Site, built: Stack) -> bool:
    """Take or renew the queue, say what is being tested and what waits, and send back what can't be built.

    False where others have landed something or taken an entry out since the look: then it has to be looked again.
    """
    names = [layer.entry.task_id for layer in built.layers]
    onto = f"on {shift.branch} at {site.tip[:SHORT]}"
    marks = [
        Mark(
            task=layer.entry.task_id,
            head=layer.entry.head,
            state=MergeState.TESTING,
            detail=f"{onto} {_beside(names, layer.entry.task_id)}".strip(),
        )
        for layer in built.layers
    ]
    marks += [
        Mark(
            task=held.entry.task_id,
            head=held.entry.head,
            state=MergeState.WAITING,
            detail=held.reason[:2000],
        )
        for held in built.deferred
    ]
    board = shift.hold(site, marks, built.back)
    shift.note_returned(built.back)
    still = {entry.task_id: entry.head for entry in lineup(board).ready}
    there = all(still.get(layer.entry.task_id) == layer.entry.head for layer in built.layers)
    return there and board.line.landed == site.board.line.landed


def _merged(shift: Shift) -> Merged:
    """What came of it all."""
    board = shift.ctx.ledger.board()
    done = {one.task_id for one in shift.landed} | {back.task for back in shift.returned}
    reasons = {held.entry.task_id: held.reason for held in lineup(board).held}
    reasons |= {held.entry.task_id: held.reason for held in shift.deferred}
    reasons |= shift.skipped
    waiting = [
        Waiting(entry.task_id, reasons.get(entry.task_id) or shift.frozen or "its turn hasn't come")
        for entry in board.merges()
        if entry.task_id not in done
    ]
    red = bool(shift.returned or shift.frozen or shift.skipped)
    return Merged(
        shift.branch, shift.tip, shift.landed, shift.returned, waiting, shift.tests, shift.frozen, red
    )


def _beside(names: Sequence[TaskId], name: TaskId) -> str:
    others = [other for other in names if other != name]
    return f"with {', '.join(others)}" if others else ""
