"""Land what is green, and send back what is to blame.

The base branch moves in one step with the ledger. Where that can't be, without a remote and on hosts without atomic
pushes, the landing is announced, the branch moved, and the landing recorded: whoever comes next finishes it or
withdraws it by looking at the branch.
"""

from __future__ import annotations

from collections.abc import Sequence

from gitpw.domain.lineup import lineup
from gitpw.domain.merge import Merge, MergeState
from gitpw.domain.operation import (
    Back,
    Done,
    Intend,
    Land,
    Landing,
    Outcome,
    SendBack,
    Withdraw,
)
from gitpw.domain.search import Verdict, grown, halved
from gitpw.errors import PwError
from gitpw.ledger.store import BranchError, Move, NotAtomicError
from gitpw.services.shift import Landed, Shift
from gitpw.services.stack import SHORT, Layer, Site, Stack, branch_of
from gitpw.services.trial import commands_of, stamp


def land(shift: Shift, site: Site, request: Land, entries: Sequence[Merge], *, more: bool) -> bool:
    """Land in one step; whether there may be more to do."""
    moves = _moves(shift, site, request, entries)
    try:
        outcome = _asked(shift, request, moves)
    except BranchError as error:
        return _rejected(shift, site, request, error)
    if not isinstance(outcome, Done):
        shift.emit("again", f"{outcome.message}: looking again", {"reason": outcome.message})
        return shift.patience()
    shift.beaten = 0
    shift.alone = False
    if request.leave:
        shift.token = None
    shift.tip = request.commit or site.tip
    _note_landed(shift, request, outcome, entries)
    shift.note_returned(request.back)
    ready = {entry.task_id for entry in lineup(shift.ctx.ledger.board()).ready}
    return more or bool(request.back) or bool(shift.deferred) or bool(ready - set(shift.skipped))


def _note_landed(shift: Shift, request: Land, outcome: Done, entries: Sequence[Merge]) -> None:
    """Remember and report what landed."""
    commits = {landing.task: landing.commit for landing in request.landings}
    for entry in entries:
        if entry.task_id not in outcome.tasks:
            continue
        commit = commits[entry.task_id]
        shift.landed.append(Landed(entry.task_id, commit, entry.worker_id))
        shift.emit(
            "landed",
            f"landed {entry.task_id} on {shift.branch} as {(commit or '')[:SHORT]}",
            {"taskId": entry.task_id, "commit": commit, "base": shift.branch},
        )


def _asked(shift: Shift, request: Land, moves: Sequence[Move]) -> Outcome:
    """In one step where that can be."""
    if shift.ctx.remote is None and request.onto is not None:
        return in_steps(shift, request, moves)
    try:
        return shift.ask(request, moves).outcome
    except NotAtomicError:
        return in_steps(shift, request, moves)


def _moves(shift: Shift, site: Site, request: Land, entries: Sequence[Merge]) -> list[Move]:
    """What moves with the landing: the base branch, and the branches of what landed, which go."""
    moves = []
    if request.onto is not None and request.commit is not None:
        moves.append(Move(f"refs/heads/{shift.branch}", request.onto, request.commit))
    if shift.ctx.remote is None:
        return moves
    for entry in entries:
        branch = branch_of(site, entry)
        there = site.tips.get(branch) if branch is not None else None
        ref = f"refs/heads/{branch}"
        if there is not None and there == entry.tip and ref not in shift.undeletable:
            moves.append(Move(ref, there, ""))
    return moves


def _rejected(shift: Shift, site: Site, request: Land, error: BranchError) -> bool:
    """The remote moved nothing: somebody was faster, or it doesn't want to."""
    base = f"refs/heads/{shift.branch}"
    if error.moved:
        name = error.ref.removeprefix("refs/heads/")
        shift.emit("again", f"{name} has moved meanwhile: building again", {"ref": error.ref})
        return shift.patience()
    if error.ref != base and error.ref not in shift.undeletable:
        shift.undeletable.add(error.ref)
        shift.emit("again", f"{error.message}: landing without deleting it", {"ref": error.ref})
        return True
    said = f"{error.message}{f' ({error.hint})' if error.hint else ''}"
    shift.emit("refused", said, {"ref": error.ref})
    going = [landing.task for landing in request.landings]
    if len(going) > 1 and not shift.alone:
        shift.alone = True
        return True
    shift.skip(site, request.landings, said, request.back)
    return True


def in_steps(shift: Shift, request: Land, moves: Sequence[Move]) -> Outcome:
    """Announce the landing, move the branch, record it: whoever comes next finishes or withdraws it."""
    if request.onto is None or request.commit is None:
        return _recorded(shift, request, moves)
    going = Intend(token=shift.token, landings=request.landings, onto=request.onto, commit=request.commit)
    outcome = shift.ask(going).outcome
    if not isinstance(outcome, Done):
        return outcome
    try:
        _advance(shift, request.onto, request.commit, moves)
    except BranchError:
        shift.ask(Withdraw(commit=request.commit))
        raise
    return _recorded(shift, request.but(onto=None), moves[1:])


def _advance(shift: Shift, onto: str, commit: str, moves: Sequence[Move]) -> None:
    if shift.ctx.remote is not None:
        shift.ctx.ledger.store.push(moves[:1])
        return
    why = shift.shop.integrator.advance(shift.branch, onto, commit)
    if why is not None:
        moved = shift.shop.integrator.tips(None, [shift.branch]).get(shift.branch) != onto
        raise BranchError(why, None, ref=f"refs/heads/{shift.branch}", moved=moved)


def _recorded(shift: Shift, request: Land, deletions: Sequence[Move]) -> Outcome:
    """Record what is on the base branch; its branches go first, or nobody would know of them any more."""
    for deletion in deletions:
        try:
            shift.ctx.ledger.store.push([deletion])
        except PwError as error:
            shift.ctx.tell(f"{deletion.ref} stays: {error.message}")
    return shift.ask(request).outcome


def settled(shift: Shift, site: Site) -> bool:
    """Finish or withdraw landings that were announced and then interrupted, by looking at the base branch."""
    open_ = [entry for entry in site.board.merges() if entry.landing is not None]
    if not open_:
        return False
    shift.hold(site)
    for commit in dict.fromkeys(entry.landing for entry in open_ if entry.landing is not None):
        entries = [entry for entry in open_ if entry.landing == commit]
        there = site.integrator.has(commit) and site.integrator.ancestor(commit, site.tip)
        names = ", ".join(entry.task_id for entry in entries)
        if not there:
            shift.ask(Withdraw(commit=commit))
            shift.emit("withdrawn", f"the landing of {names} was interrupted: it is tried again", {})
            continue
        landings = tuple(
            Landing(task=entry.task_id, head=entry.head, commit=_commit_of(entry, commit))
            for entry in entries
        )
        request = Land(token=shift.token, landings=landings)
        outcome = _recorded(shift, request, _moves(shift, site, request, entries))
        if isinstance(outcome, Done):
            _note_landed(shift, request, outcome, entries)
    return True


def _commit_of(entry: Merge, landing: str) -> str:
    """The entry's own commit in a landing that was announced."""
    own = entry.data.get("commit")
    return own if isinstance(own, str) else landing


def conclude(shift: Shift, site: Site, built: Stack, verdict: Verdict, *, more: bool) -> bool:
    """Land what is green, send back what is to blame."""
    layers = built.layers[: verdict.green]
    back = [*built.back]
    window = window_of(shift, site)
    if verdict.blamed:
        back.append(_blame(shift, site, built.layers, verdict.green))
        window = halved(window)
    elif built.layers:
        window = grown(window, site.policy.merge.window)
    if not layers and not built.there and not back:
        return False
    leave = not more and not back and not built.deferred
    landings = [
        Landing(task=layer.entry.task_id, head=layer.entry.head, commit=layer.built.commit)
        for layer in layers
    ]
    landings += [Landing(task=entry.task_id, head=entry.head, commit=site.tip) for entry in built.there]
    if not landings:
        outcome = shift.ask(
            SendBack(token=shift.token, back=tuple(back), window=None if shift.alone else window)
        ).outcome
        if isinstance(outcome, Done):
            shift.note_returned(back)
        return True
    request = Land(
        token=shift.token,
        landings=tuple(landings),
        onto=site.tip if layers else None,
        commit=layers[-1].built.commit if layers else None,
        tests=stamp(site) if commands_of(site) else None,
        back=tuple(back),
        window=None if shift.alone or window == site.board.line.window else window,
        leave=leave and shift.token is not None,
    )
    return land(shift, site, request, [*(layer.entry for layer in layers), *built.there], more=more)


def _blame(shift: Shift, site: Site, layers: Sequence[Layer], green: int) -> Back:
    """Return the entry after the longest green prefix: its tests were red twice, and green without it."""
    entry, built = layers[green]
    run = next((run for run in reversed(shift.tests) if run.tree == built.tree and not run.green), None)
    ahead = [layer.entry.task_id for layer in layers[:green]]
    why = run.why if run else "red before"
    where = f"; log on {shift.ctx.me.host}: {run.log}" if run else ""
    return Back(
        task=entry.task_id,
        head=entry.head,
        state=MergeState.FAILED,
        detail=f"tests failed twice with it on {shift.branch} at {site.tip[:SHORT]}: {why}{where}"[:2000],
        data={
            "reason": "tests",
            "why": why,
            "onto": site.tip,
            "commit": built.commit,
            "ahead": ahead,
            "commands": commands_of(site),
            "host": shift.ctx.me.host,
            "log": run.log if run else None,
            "output": shift.shop.testbed.tail(run.log) if run else "",
        },
    )


def window_of(shift: Shift, site: Site) -> int:
    """How many entries are built and tested together."""
    if shift.alone or site.policy.merge.mode == "pull-request":
        return 1
    most = site.policy.merge.window
    return min(site.board.line.window or most, most)
