"""Land through pull requests: push the rebased head, wait for the host's checks of it, and merge by that commit."""

from __future__ import annotations

from gitpw.domain.ids import duration
from gitpw.domain.merge import MergeState
from gitpw.domain.operation import Back, Done, Land, Landing, Mark, Outcome, SendBack
from gitpw.domain.search import RedBase, Verdict
from gitpw.errors import FailedError, PwError
from gitpw.ledger.store import BranchError, Move, NotAtomicError
from gitpw.services.landing import conclude, in_steps
from gitpw.services.ports import Pull
from gitpw.services.pull_request import PullRequest
from gitpw.services.shift import Landed, Shift
from gitpw.services.stack import SHORT, Layer, Site, Stack, branch_of
from gitpw.services.trial import commands_of, count, judged, stamp, tested_once, tree_key


def through_pull_request(shift: Shift, site: Site, built: Stack) -> bool:
    """Push the rebased head to the pull request, wait for the host's checks of it, and land it."""
    entry = built.layers[0].entry
    try:
        return _pulled(shift, site, built)
    except BranchError as error:
        if error.moved:
            shift.emit("again", f"{error.ref} has moved meanwhile: building again", {"ref": error.ref})
            return shift.patience()
        said = error.message
    except FailedError as error:
        said = f"{error.message}{f' ({error.hint})' if error.hint else ''}"
    shift.skip(site, [Landing(task=entry.task_id, head=entry.head)], said)
    return True


def _pulled(shift: Shift, site: Site, built: Stack) -> bool:
    layer = built.layers[0]
    branch, task = branch_of(site, layer.entry), site.board.task(layer.entry.task_id)
    if branch is None or task is None or shift.shop.forge is None:
        raise FailedError(f"{layer.entry.task_id} has no branch to open a pull request for")
    request = PullRequest(shift.shop.forge, branch, shift.branch, beat=shift.beat, poll=shift.poll)
    pull = request.opened(task)
    layer = _published(shift, site, built, branch, pull)
    built = built._replace(layers=[layer], back=[])
    request.shown(pull, layer.built.commit)
    step = judged(shift, site, built) if commands_of(site) else Verdict(1, blamed=False)
    if isinstance(step, RedBase):
        shift.freeze(site)
        return False
    if step.blamed:
        return conclude(shift, site, built, step, more=True)
    timeout = duration(site.policy.merge.timeout).total_seconds()
    failed = request.checked(pull, layer.built.commit, timeout)
    if failed:
        back = Back(
            task=layer.entry.task_id,
            head=layer.entry.head,
            state=MergeState.FAILED,
            detail=f"checks failed at {pull.url}: {failed}"[:2000],
            data={"reason": "checks", "commit": layer.built.commit, "url": pull.url, "checks": failed},
        )
        shift.ask(SendBack(token=shift.token, back=(back,)))
        shift.note_returned([back])
        return True
    return _land_pull(shift, site, layer, request, pull)


def _published(shift: Shift, site: Site, built: Stack, branch: str, pull: Pull) -> Layer:
    """Let the branch stand at the rebased head, in one step with a note of it; the layer with that head.

    What an interrupted merger has pushed is taken as it is, if it is the same on the same commit.
    """
    layer = built.layers[0]
    entry, there = layer.entry, site.tips.get(branch, "")
    integrator = site.integrator
    same = entry.pushed == there and integrator.has(there) and integrator.ancestor(site.tip, there)
    if same and integrator.tree(there) == layer.built.tree:
        layer = layer._replace(built=layer.built._replace(commit=there))
    commit = layer.built.commit
    mark = Mark(
        task=entry.task_id,
        head=entry.head,
        state=MergeState.REBASING,
        detail=f"on {shift.branch} at {site.tip[:SHORT]}: {pull.url}"[:2000],
        pushed=commit,
        pr_url=pull.url,
    )
    moves = [Move(f"refs/heads/{branch}", there, commit)] if there != commit else []
    try:
        shift.hold(site, [mark], built.back, moves)
    except NotAtomicError:
        shift.hold(site, [mark], built.back)
        shift.ctx.ledger.store.push(moves)
    shift.note_returned(built.back)
    shift.emit(
        "rebased",
        f"{entry.task_id} is {commit[:SHORT]} at {pull.url}",
        {"taskId": entry.task_id, "commit": commit, "url": pull.url},
    )
    return layer


def _land_pull(shift: Shift, site: Site, layer: Layer, request: PullRequest, pull: Pull) -> bool:
    """Push the base branch where that is allowed; else let the host merge, and look at what it made."""
    entry, commit = layer.entry, layer.built.commit
    landing = Landing(task=entry.task_id, head=entry.head, commit=commit)
    land = Land(
        token=shift.token,
        landings=(landing,),
        onto=site.tip,
        commit=commit,
        tests=stamp(site) if commands_of(site) else None,
    )
    move = Move(f"refs/heads/{shift.branch}", site.tip, commit)
    try:
        try:
            outcome = shift.ask(land, [move]).outcome
        except NotAtomicError:
            outcome = in_steps(shift, land, [move])
    except BranchError as error:
        if error.moved:
            raise
        if not request.merged(pull, commit, site.policy.merge.strategy):
            shift.skip(site, [landing], f"{pull.url} waits in the host's own queue")
            return True
        outcome = _merged_by_host(shift, site, layer)
    if not isinstance(outcome, Done):
        shift.emit("again", f"{outcome.message}: looking again", {"reason": outcome.message})
        return shift.patience()
    shift.beaten = 0
    shift.landed.append(Landed(entry.task_id, commit, entry.worker_id))
    shift.emit(
        "landed",
        f"landed {entry.task_id} on {shift.branch} through {pull.url}",
        {"taskId": entry.task_id, "commit": commit, "base": shift.branch, "url": pull.url},
    )
    _pruned(shift, site, layer, request, pull)
    return True


def _merged_by_host(shift: Shift, site: Site, layer: Layer) -> Outcome:
    """Record what the host has merged; where its tree isn't the tested one, the base branch is tested as it is."""
    tip = site.integrator.tips(shift.ctx.remote, [shift.branch])[shift.branch]
    if shift.ctx.remote is not None:
        site.integrator.bring(shift.ctx.remote, shift.branch, {shift.branch: tip})
    shift.tip = tip
    entry = layer.entry
    landing = Landing(task=entry.task_id, head=entry.head, commit=tip)
    outcome = shift.ask(Land(token=shift.token, landings=(landing,))).outcome
    if site.integrator.tree(tip) != layer.built.tree:
        said = f"{shift.branch} at {tip[:SHORT]} isn't what was tested: somebody else was merged before it"
        shift.emit("differs", said, {"commit": tip, "tested": layer.built.commit})
        _retest(shift, site._replace(tip=tip))
    return outcome


def _retest(shift: Shift, site: Site) -> None:
    if not commands_of(site):
        return
    tree = site.integrator.tree(site.tip)
    tested = tested_once(shift, site, site.tip, tree, [])
    count(shift, tree_key(site, tree, []), tested)
    if not tested.green:
        shift.freeze(site)


def _pruned(shift: Shift, site: Site, layer: Layer, request: PullRequest, pull: Pull) -> None:
    """The branch goes when the host shows the merge, and what was built on it points to the base branch."""
    branch = branch_of(site, layer.entry)
    if not request.seen_merged(pull):
        shift.ctx.tell(f"{pull.url} isn't shown as merged: its branch stays")
        return
    try:
        shift.ctx.ledger.store.push([Move(f"refs/heads/{branch}", layer.built.commit, "")])
    except PwError as error:
        shift.ctx.tell(f"{branch} stays: {error.message}")
