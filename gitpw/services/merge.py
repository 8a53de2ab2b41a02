"""Run the merge queue: build what is next, test it, land it, and send back what can't land.

All decisions are the domain's (`lineup`, `search`, `merging`); here is the order of the steps, and what each does to
the outside. A round begins with a fresh look at everything, so a round that was beaten or interrupted is simply done
again: results of tests are kept by what was tested.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.ids import TaskId, duration
from gitpw.domain.integration import Built, Clash, Strategy, Tested, Work
from gitpw.domain.lineup import Held, lineup
from gitpw.domain.merge import Merge, MergeState
from gitpw.domain.operation import (
    Back,
    Done,
    Frozen,
    Intend,
    Land,
    Landing,
    Mark,
    Merging,
    Outcome,
    Request,
    SendBack,
    Withdraw,
)
from gitpw.domain.policy import Policy
from gitpw.domain.search import RedBase, Runs, Try, Verdict, grown, halved, next_step
from gitpw.errors import ContendedError, FailedError, InvalidError, OfflineError, PwError, UnknownError
from gitpw.ledger.ledger import Answer
from gitpw.ledger.store import BranchError, Move, NotAtomicError
from gitpw.services.asking import refusal, settle
from gitpw.services.base import base_branch
from gitpw.services.ports import Context, Pull, Workshop
from gitpw.services.pull_request import PullRequest
from gitpw.services.stack import SHORT, Layer, Site, Stack, branch_of, stack
from gitpw.services.worktrees import prune_worktrees

LEASE = 180
"""Seconds of the merger's lease; it is renewed when half of it is over."""

POLL = 5.0
"""Seconds between two looks at a host."""

PATIENT = 20
"""How often in a row the base branch may have moved just before the landing."""

Emit = Callable[[str, str, Mapping[str, object]], None]
"""Report an event: its name, what people read, and its data."""


class Landed(NamedTuple):
    """A task that landed, as `commit` of the base branch."""

    task_id: TaskId
    commit: str | None
    worker_id: str


class Trial(NamedTuple):
    """One run of the tests on the commit of some tasks."""

    tasks: list[TaskId]
    commit: str
    tree: str
    green: bool
    why: str
    seconds: float
    log: str


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
    if ctx.policy.merge.mode == "none":
        raise InvalidError('merge.mode is "none": nothing is queued', hint="git pw config merge.mode direct")
    if ctx.workshop is None:
        raise InvalidError("nothing can be merged here")
    queue = _Queue(ctx, ctx.workshop(), emit, lease, poll)
    if dry_run:
        return queue.rehearsed()
    settle(ctx)
    with queue.shop.testbed.alone():
        try:
            while queue.round():
                pass
        finally:
            queue.leave()
    prune_worktrees(ctx)
    return queue.merged()


class _Queue:
    """One merger at work."""

    def __init__(self, ctx: Context, shop: Workshop, emit: Emit, lease: int, poll: float) -> None:
        self.ctx = ctx
        self.shop = shop
        self.emit = emit
        self.lease = lease
        self.poll = poll
        self.branch = base_branch(ctx)
        self.tip: str | None = None
        self.token: int | None = None
        self.renewed = 0.0
        self.beaten = 0
        self.alone = False
        self.frozen: str | None = None
        self.skipped: dict[TaskId, str] = {}
        self.undeletable: set[str] = set()
        self.landed: list[Landed] = []
        self.returned: list[Back] = []
        self.deferred: list[Held] = []
        self.tests: list[Trial] = []
        self.known = shop.testbed.results()

    # A round

    def round(self) -> bool:
        """Look, build, test, land; whether there may be more to do."""
        board = self.ctx.ledger.fresh()
        if not board.merges():
            return False
        try:
            site = self._site(board)
        except BranchError as error:
            self.emit("again", f"{error.message}: looking again", {"ref": error.ref})
            return self._patience()
        if self._settled_landings(site):
            return True
        if self._is_frozen(site):
            return False
        ready = [entry for entry in lineup(board).ready if entry.task_id not in self.skipped]
        if not ready:
            return False
        built = stack(site, ready, self._window(site))
        self.deferred = built.deferred
        if built.layers and site.policy.merge.mode == "pull-request":
            return self._through_pull_request(site, built)
        if built.layers and self._commands(site):
            self._announce(site, built)
            built = built._replace(back=[])
            step = self._judged(site, built)
        else:
            step = Verdict(len(built.layers), blamed=False)
        if isinstance(step, RedBase):
            self._freeze(site)
            return False
        return self._conclude(site, built, step, more=len(ready) > len(built.layers) + len(built.there))

    def rehearsed(self) -> Merged:
        """What a round would do, without doing it."""
        board = self.ctx.ledger.fresh()
        if board.merges():
            site = self._site(board)
            if not self._is_frozen(site):
                self._rehearse(site)
        return self.merged()

    def _rehearse(self, site: Site) -> None:
        ready = lineup(site.board).ready
        left = list(ready)
        window = self._window(site)
        built = stack(site, left, window)
        self.deferred = built.deferred
        self.returned = built.back
        for back in built.back:
            self.emit("return", f"{back.task} would go back to its owner: {back.detail}", back.to_data())
        for entry in built.there:
            self.emit("land", f"{entry.task_id} is on {self.branch} already: would be recorded as merged", {})
            self.landed.append(Landed(entry.task_id, site.tip, entry.worker_id))
        names = [layer.entry.task_id for layer in built.layers]
        commands = self._commands(site)
        if names:
            how = (
                f"would be tested together with {' && '.join(commands)!r}, then land"
                if commands
                else (f"would land untested: merge.test isn't set on {self.branch}")
            )
            self.emit("test", f"{', '.join(names)} {how}", {"tasks": names, "commands": commands})
        for layer in built.layers:
            note = f" {layer.built.note}" if layer.built.note else ""
            self.emit("land", f"{layer.entry.task_id} would land as {layer.built.commit[:SHORT]}{note}", {})
            self.landed.append(Landed(layer.entry.task_id, layer.built.commit, layer.entry.worker_id))
        beyond = (
            {entry.task_id for entry in left} - set(names) - built.out - {one.task_id for one in built.there}
        )
        for entry in left:
            if entry.task_id in beyond:
                self.skipped[entry.task_id] = f"comes after these: the window is {window}"

    def _site(self, board: Board) -> Site:
        """Everything as it is now; raises `OfflineError`, `InvalidError` where there is no base branch."""
        integrator = self.shop.integrator
        site = Site(board, integrator, self.ctx.policy, self.ctx.remote, self.branch, "", {}, lambda *_: None)
        branches = [name for entry in board.merges() if (name := branch_of(site, entry)) is not None]
        tips = integrator.tips(self.ctx.remote, [self.branch, *branches])
        tip = tips.get(self.branch)
        if tip is None:
            where = f" on {self.ctx.remote}" if self.ctx.remote else ""
            raise InvalidError(
                f"there is no branch {self.branch}{where} to merge into",
                hint="push it first, or name another with 'git pw config merge.base NAME'",
            )
        if self.ctx.remote is not None:
            integrator.bring(self.ctx.remote, self.branch, tips)
        self.tip = tip
        site = site._replace(tip=tip, tips=tips, policy=self._policy(tip))
        if site.policy.merge.mode == "pull-request" and self.shop.forge is None:
            raise InvalidError(
                f'merge.mode is "pull-request" on {self.branch}, and no host is configured to open them at',
                hint="configure one, or: git pw config merge.mode direct",
            )
        return site._replace(resolve=lambda onto, work, clash: self._resolve(site, onto, work, clash))

    def _policy(self, tip: str) -> Policy:
        """The rules as they stand on the base branch: not those of a branch under test, nor those of this checkout."""
        text = self.shop.integrator.text(tip, ".gitpw.toml")
        rules = Policy() if text is None else self.shop.rules(text, f"{self.branch}:.gitpw.toml")
        here = self.ctx.policy.merge
        if here.test and not rules.merge.test:
            self.ctx.tell(
                f"merge.test of this checkout's .gitpw.toml doesn't count before it is on {self.branch}: commit and push it"
            )
        return rules

    def _window(self, site: Site) -> int:
        most = site.policy.merge.window
        return (
            1
            if self.alone or site.policy.merge.mode == "pull-request"
            else min(site.board.line.window or most, most)
        )

    def _commands(self, site: Site) -> list[str]:
        test = site.policy.merge.test
        return [test] if isinstance(test, str) else list(test)

    def _is_frozen(self, site: Site) -> bool:
        freeze = site.board.line.freeze
        if freeze is None or freeze.commit != site.tip:
            return False
        self.frozen = f"{self.branch} itself is red at {site.tip[:SHORT]}: {freeze.detail}"
        return True

    # The lease

    def _ask(self, request: Request, moves: Sequence[Move] = ()) -> Answer:
        """Ask the ledger; a merger that was replaced stops."""
        answer = self.ctx.ledger.transact(request, self.ctx.me, moves=moves)
        outcome = answer.outcome
        if not isinstance(outcome, Done) and "merger" in outcome.data:
            self.token = None
            raise ContendedError(outcome.message, outcome.hint, **outcome.data)
        return answer

    def _announce(self, site: Site, built: Stack) -> None:
        """Take or renew the queue, say what is being tested and what waits, and send back what can't be built."""
        names = [layer.entry.task_id for layer in built.layers]
        onto = f"on {self.branch} at {site.tip[:SHORT]}"
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
        self._hold(site, marks, built.back)
        self._note_returned(built.back)

    def _hold(
        self,
        site: Site,
        marks: Sequence[Mark] = (),
        back: Sequence[Back] = (),
        moves: Sequence[Move] = (),
    ) -> None:
        place, now = self.shop.testbed.place(), site.board.line.merger
        request = Merging(
            place=place,
            lease=self.lease,
            token=self.token,
            gone=now.token if now is not None and now.place == place else None,
            base=site.tip,
            marks=tuple(marks),
            back=tuple(back),
        )
        outcome = self._ask(request, moves).outcome
        if not isinstance(outcome, Done):
            raise refusal(outcome.code, outcome.message, outcome.hint, outcome.data)
        if outcome.token is None:
            raise ContendedError(
                f"{outcome.detail.get('suspected')} runs the merge queue, but its lease looks overdue",
                hint="to be confirmed by this clock: try again in a few minutes",
            )
        self.token = outcome.token
        self.renewed = time.monotonic()

    def _beat(self) -> None:
        """Renew the lease when half of it is over; raises `ContendedError` where it was lost."""
        if self.token is None or time.monotonic() - self.renewed < self.lease / 2:
            return
        self.renewed = time.monotonic()
        renewal = Merging(
            place=self.shop.testbed.place(), lease=self.lease, token=self.token, base=self.tip, keep=True
        )
        try:
            self._ask(renewal)
        except (OfflineError, UnknownError) as error:
            self.ctx.tell(f"the merger's lease couldn't be renewed: {error.message}")

    def leave(self) -> None:
        """Give the queue up, if it is ours."""
        if self.token is None:
            return
        token, self.token = self.token, None
        try:
            self.ctx.ledger.transact(SendBack(token=token, leave=True), self.ctx.me)
        except PwError as error:
            self.ctx.tell(f"the merger's lease couldn't be given up: {error.message}; it ends by itself")

    # Testing

    def _judged(self, site: Site, built: Stack) -> Verdict | RedBase:
        """Run tests until it is known what can land."""
        trees = [site.integrator.tree(site.tip), *(layer.built.tree for layer in built.layers)]
        keys = [self._key(site, tree, built.layers[:at]) for at, tree in enumerate(trees)]
        while True:
            runs = {key: Runs(*self.known.get(key, (0, 0))) for key in keys}
            if site.board.line.landed == site.tip and site.board.line.tests == self._stamp(site):
                runs[keys[0]] = Runs(green=1)
            step = next_step(keys, runs)
            if not isinstance(step, Try):
                return step
            layers = built.layers[: step.entries]
            commit = layers[-1].built.commit if layers else site.tip
            self._count(keys[step.entries], self._test(site, commit, trees[step.entries], layers))

    def _key(self, site: Site, tree: str, layers: Sequence[Layer]) -> str:
        """What a result holds for: a tree and the commands, since somebody last asked for another try."""
        tries = [layer.entry.tries for layer in layers if layer.entry.tries]
        said = json.dumps([tree, self._commands(site), site.board.line.resumes, tries])
        return hashlib.sha256(said.encode()).hexdigest()[:32]

    def _stamp(self, site: Site) -> str:
        return hashlib.sha256(json.dumps(self._commands(site)).encode()).hexdigest()[:16]

    def _count(self, key: str, tested: Tested) -> None:
        green, red = self.known.pop(key, [0, 0])
        self.known[key] = [green + tested.green, red + (not tested.green)]
        if tested.green and red:
            self.emit("flake", "green after it was red: a flake", {"key": key, "log": tested.log})
        self.shop.testbed.keep(self.known)

    def _test(self, site: Site, commit: str, tree: str, layers: Sequence[Layer]) -> Tested:
        names = [layer.entry.task_id for layer in layers]
        what = ", ".join(names) or f"{self.branch} itself"
        about = {"tasks": names, "commit": commit, "tree": tree}
        self.emit("test", f"testing {what} at {commit[:SHORT]}", about)
        tested = self.shop.testbed.test(
            commit,
            self._commands(site),
            timeout=duration(site.policy.merge.timeout).total_seconds(),
            env={
                "GITPW_BASE": self.branch,
                "GITPW_BASE_COMMIT": site.tip,
                "GITPW_COMMIT": commit,
                "GITPW_TASKS": " ".join(names),
            },
            show=lambda line: self.emit("output", f"  | {line}", {"line": line}),
            beat=self._beat,
        )
        self.tests.append(
            Trial(names, commit, tree, tested.green, tested.why, round(tested.seconds, 3), tested.log)
        )
        how = "green" if tested.green else f"red ({tested.why})"
        self.emit(
            "green" if tested.green else "red",
            f"{what}: {how} after {tested.seconds:.1f} s; log: {tested.log}",
            {**about, "why": tested.why, "seconds": round(tested.seconds, 3), "log": tested.log},
        )
        return tested

    def _resolve(self, site: Site, onto: str, work: Work, clash: Clash) -> Built | None:
        """Let the policy's command try to solve a conflict; what it gives is tested like anything else."""
        command = site.policy.merge.on_conflict
        if command is None or self.ctx.dry_run:
            return None
        self.emit("resolve", f"{work.task} conflicts in {', '.join(clash.files[:5])}: trying {command!r}", {})
        if self.token is None:
            self._hold(site)
        tree = self.shop.testbed.resolve(
            onto,
            work.head,
            command,
            timeout=duration(site.policy.merge.timeout).total_seconds(),
            env={"GITPW_TASK": work.task, "GITPW_BASE": self.branch, "GITPW_HEAD": work.head},
            beat=self._beat,
        )
        if tree is None:
            self.emit("resolve", f"{work.task}: the conflict is still there", {})
            return None
        strategy: Strategy = "merge" if site.policy.merge.strategy == "merge" else "squash"
        return site.integrator.commit_tree(onto, work, tree, strategy)

    def _freeze(self, site: Site) -> None:
        """The base branch is red itself: nothing can be said of the entries."""
        run = next((run for run in reversed(self.tests) if run.commit == site.tip), None)
        detail = f"{run.why}; log on {self.ctx.me.host}: {run.log}" if run else "its tests were red before"
        self._ask(Frozen(token=self.token, commit=site.tip, detail=detail))
        self.token = None
        self.frozen = f"{self.branch} itself is red at {site.tip[:SHORT]}: {detail}"
        self.emit("freeze", self.frozen, {"commit": site.tip})

    # Landing

    def _conclude(self, site: Site, built: Stack, verdict: Verdict, *, more: bool) -> bool:
        """Land what is green, send back what is to blame."""
        layers = built.layers[: verdict.green]
        back = [*built.back]
        window = self._window(site)
        if verdict.blamed:
            back.append(self._blame(site, built.layers, verdict.green))
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
            outcome = self._ask(
                SendBack(token=self.token, back=tuple(back), window=None if self.alone else window)
            ).outcome
            if isinstance(outcome, Done):
                self._note_returned(back)
            return True
        request = Land(
            token=self.token,
            landings=tuple(landings),
            onto=site.tip if layers else None,
            commit=layers[-1].built.commit if layers else None,
            tests=self._stamp(site) if self._commands(site) else None,
            back=tuple(back),
            window=None if self.alone or window == site.board.line.window else window,
            leave=leave and self.token is not None,
        )
        return self._land(site, request, [*(layer.entry for layer in layers), *built.there], more=more)

    def _land(self, site: Site, request: Land, entries: Sequence[Merge], *, more: bool) -> bool:
        moves = self._moves(site, request, entries)
        try:
            if self.ctx.remote is None and request.onto is not None:
                outcome = self._in_steps(request, moves)
            else:
                outcome = self._ask(request, moves).outcome
        except NotAtomicError:
            outcome = self._in_steps(request, moves)
        except BranchError as error:
            return self._rejected(site, request, error)
        if not isinstance(outcome, Done):
            self.emit("again", f"{outcome.message}: looking again", {"reason": outcome.message})
            return self._patience()
        self.beaten = 0
        self.alone = False
        if request.leave:
            self.token = None
        self.tip = request.commit or site.tip
        for entry in entries:
            commit = next((one.commit for one in request.landings if one.task == entry.task_id), None)
            self.landed.append(Landed(entry.task_id, commit, entry.worker_id))
            self.emit(
                "landed",
                f"landed {entry.task_id} on {self.branch} as {(commit or '')[:SHORT]}",
                {"taskId": entry.task_id, "commit": commit, "base": self.branch},
            )
        self._note_returned(request.back)
        return more or bool(request.back) or bool(self.deferred)

    def _moves(self, site: Site, request: Land, entries: Sequence[Merge]) -> list[Move]:
        """What moves with the landing: the base branch, and the branches of what landed, which go."""
        moves = []
        if request.onto is not None and request.commit is not None:
            moves.append(Move(f"refs/heads/{self.branch}", request.onto, request.commit))
        if self.ctx.remote is None:
            return moves
        for entry in entries:
            branch = branch_of(site, entry)
            there = site.tips.get(branch) if branch is not None else None
            ref = f"refs/heads/{branch}"
            if there is not None and there == entry.tip and ref not in self.undeletable:
                moves.append(Move(ref, there, ""))
        return moves

    def _rejected(self, site: Site, request: Land, error: BranchError) -> bool:
        """The remote moved nothing: somebody was faster, or it doesn't want to."""
        base = f"refs/heads/{self.branch}"
        if error.moved:
            name = error.ref.removeprefix("refs/heads/")
            self.emit("again", f"{name} has moved meanwhile: building again", {"ref": error.ref})
            return self._patience()
        if error.ref != base and error.ref not in self.undeletable:
            self.undeletable.add(error.ref)
            self.emit("again", f"{error.message}: landing without deleting it", {"ref": error.ref})
            return True
        said = f"{error.message}{f' ({error.hint})' if error.hint else ''}"
        self.emit("refused", said, {"ref": error.ref})
        going = [landing.task for landing in request.landings]
        if len(going) > 1 and not self.alone:
            self.alone = True
            return True
        self._skip(site, request.landings, said, request.back)
        return True

    def _skip(self, site: Site, landings: Sequence[Landing], said: str, back: Sequence[Back] = ()) -> None:
        """Leave these for another time, and say why."""
        marks = []
        for landing in landings:
            self.skipped[landing.task] = said
            marks.append(
                Mark(task=landing.task, head=landing.head, state=MergeState.WAITING, detail=said[:2000])
            )
        self._hold(site, marks, back)
        self._note_returned(back)

    def _patience(self) -> bool:
        self.beaten += 1
        if self.beaten >= PATIENT:
            raise ContendedError(
                f"{self.branch} was moved by others {self.beaten} times in a row just before the landing",
                hint="try again",
            )
        return True

    def _note_returned(self, back: Sequence[Back]) -> None:
        for one in back:
            self.returned.append(one)
            self.emit("returned", f"{one.task} goes back to its owner: {one.detail}", one.to_data())

    def _blame(self, site: Site, layers: Sequence[Layer], green: int) -> Back:
        """Return the entry after the longest green prefix: its tests were red twice, and green without it."""
        entry, built = layers[green]
        run = next((run for run in reversed(self.tests) if run.tree == built.tree and not run.green), None)
        ahead = [layer.entry.task_id for layer in layers[:green]]
        why = run.why if run else "red before"
        where = f"; log on {self.ctx.me.host}: {run.log}" if run else ""
        return Back(
            task=entry.task_id,
            head=entry.head,
            state=MergeState.FAILED,
            detail=f"tests failed twice with it on {self.branch} at {site.tip[:SHORT]}: {why}{where}"[:2000],
            data={
                "reason": "tests",
                "why": why,
                "onto": site.tip,
                "commit": built.commit,
                "ahead": ahead,
                "commands": self._commands(site),
                "host": self.ctx.me.host,
                "log": run.log if run else None,
                "output": self.shop.testbed.tail(run.log) if run else "",
            },
        )

    # Landing through pull requests

    def _through_pull_request(self, site: Site, built: Stack) -> bool:
        """Push the rebased head to the pull request, wait for the host's checks of it, and land it."""
        entry = built.layers[0].entry
        try:
            return self._pulled(site, built)
        except BranchError as error:
            if error.moved:
                self.emit("again", f"{error.ref} has moved meanwhile: building again", {"ref": error.ref})
                return self._patience()
            said = error.message
        except FailedError as error:
            said = f"{error.message}{f' ({error.hint})' if error.hint else ''}"
        self._skip(site, [Landing(task=entry.task_id, head=entry.head)], said)
        return True

    def _pulled(self, site: Site, built: Stack) -> bool:
        layer = built.layers[0]
        branch, task = branch_of(site, layer.entry), site.board.task(layer.entry.task_id)
        if branch is None or task is None or self.shop.forge is None:
            raise FailedError(f"{layer.entry.task_id} has no branch to open a pull request for")
        request = PullRequest(self.shop.forge, branch, self.branch, beat=self._beat, poll=self.poll)
        pull = request.opened(task)
        layer = self._published(site, built, branch, pull)
        built = built._replace(layers=[layer], back=[])
        request.shown(pull, layer.built.commit)
        step = self._judged(site, built) if self._commands(site) else Verdict(1, blamed=False)
        if isinstance(step, RedBase):
            self._freeze(site)
            return False
        if step.blamed:
            return self._conclude(site, built, step, more=True)
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
            self._ask(SendBack(token=self.token, back=(back,)))
            self._note_returned([back])
            return True
        return self._land_pull(site, layer, request, pull)

    def _published(self, site: Site, built: Stack, branch: str, pull: Pull) -> Layer:
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
            detail=f"on {self.branch} at {site.tip[:SHORT]}: {pull.url}"[:2000],
            pushed=commit,
            pr_url=pull.url,
        )
        moves = [Move(f"refs/heads/{branch}", there, commit)] if there != commit else []
        try:
            self._hold(site, [mark], built.back, moves)
        except NotAtomicError:
            self._hold(site, [mark], built.back)
            self.ctx.ledger.store.push(moves)
        self._note_returned(built.back)
        self.emit(
            "rebased",
            f"{entry.task_id} is {commit[:SHORT]} at {pull.url}",
            {"taskId": entry.task_id, "commit": commit, "url": pull.url},
        )
        return layer

    def _land_pull(self, site: Site, layer: Layer, request: PullRequest, pull: Pull) -> bool:
        """Push the base branch where that is allowed; else let the host merge, and look at what it made."""
        entry, commit = layer.entry, layer.built.commit
        landing = Landing(task=entry.task_id, head=entry.head, commit=commit)
        land = Land(
            token=self.token,
            landings=(landing,),
            onto=site.tip,
            commit=commit,
            tests=self._stamp(site) if self._commands(site) else None,
        )
        move = Move(f"refs/heads/{self.branch}", site.tip, commit)
        try:
            try:
                outcome = self._ask(land, [move]).outcome
            except NotAtomicError:
                outcome = self._in_steps(land, [move])
        except BranchError as error:
            if error.moved:
                raise
            if not request.merged(pull, commit, site.policy.merge.strategy):
                self._skip(site, [landing], f"{pull.url} waits in the host's own queue")
                return True
            outcome = self._merged_by_host(site, layer)
        if not isinstance(outcome, Done):
            self.emit("again", f"{outcome.message}: looking again", {"reason": outcome.message})
            return self._patience()
        self.beaten = 0
        self.landed.append(Landed(entry.task_id, commit, entry.worker_id))
        self.emit(
            "landed",
            f"landed {entry.task_id} on {self.branch} through {pull.url}",
            {"taskId": entry.task_id, "commit": commit, "base": self.branch, "url": pull.url},
        )
        self._pruned(site, layer, request, pull)
        return True

    def _merged_by_host(self, site: Site, layer: Layer) -> Outcome:
        """Record what the host has merged; where its tree isn't the tested one, the base branch is tested as it is."""
        tip = site.integrator.tips(self.ctx.remote, [self.branch])[self.branch]
        if self.ctx.remote is not None:
            site.integrator.bring(self.ctx.remote, {self.branch: tip})
        self.tip = tip
        entry = layer.entry
        landing = Landing(task=entry.task_id, head=entry.head, commit=tip)
        outcome = self._ask(Land(token=self.token, landings=(landing,))).outcome
        if site.integrator.tree(tip) != layer.built.tree:
            said = f"{self.branch} at {tip[:SHORT]} isn't what was tested: somebody else was merged before it"
            self.emit("differs", said, {"commit": tip, "tested": layer.built.commit})
            self._retest(site._replace(tip=tip))
        return outcome

    def _retest(self, site: Site) -> None:
        if not self._commands(site):
            return
        tree = site.integrator.tree(site.tip)
        tested = self._test(site, site.tip, tree, [])
        self._count(self._key(site, tree, []), tested)
        if not tested.green:
            self._freeze(site)

    def _pruned(self, site: Site, layer: Layer, request: PullRequest, pull: Pull) -> None:
        """The branch goes when the host shows the merge, and what was built on it points to the base branch."""
        branch = branch_of(site, layer.entry)
        if not request.seen_merged(pull):
            self.ctx.tell(f"{pull.url} isn't shown as merged: its branch stays")
            return
        try:
            self.ctx.ledger.store.push([Move(f"refs/heads/{branch}", layer.built.commit, "")])
        except PwError as error:
            self.ctx.tell(f"{branch} stays: {error.message}")

    # Landing where branch and ledger can't move in one

    def _in_steps(self, request: Land, moves: Sequence[Move]) -> Outcome:
        """Announce the landing, move the branch, record it: whoever comes next finishes or withdraws it."""
        if request.onto is None or request.commit is None:
            return self._recorded(request, moves)
        going = Intend(token=self.token, landings=request.landings, onto=request.onto, commit=request.commit)
        outcome = self._ask(going).outcome
        if not isinstance(outcome, Done):
            return outcome
        try:
            self._advance(request.onto, request.commit, moves)
        except BranchError:
            self._ask(Withdraw(commit=request.commit))
            raise
        return self._recorded(request.but(onto=None), moves[1:])

    def _advance(self, onto: str, commit: str, moves: Sequence[Move]) -> None:
        if self.ctx.remote is not None:
            self.ctx.ledger.store.push(moves[:1])
            return
        why = self.shop.integrator.advance(self.branch, onto, commit)
        if why is not None:
            moved = self.shop.integrator.tips(None, [self.branch]).get(self.branch) != onto
            raise BranchError(why, None, ref=f"refs/heads/{self.branch}", moved=moved)

    def _recorded(self, request: Land, deletions: Sequence[Move]) -> Outcome:
        """Record what is on the base branch; its branches go first, or nobody would know of them any more."""
        for deletion in deletions:
            try:
                self.ctx.ledger.store.push([deletion])
            except PwError as error:
                self.ctx.tell(f"{deletion.ref} stays: {error.message}")
        return self._ask(request).outcome

    def _settled_landings(self, site: Site) -> bool:
        """Finish or withdraw landings that were announced and then interrupted, by looking at the base branch."""
        open_ = [entry for entry in site.board.merges() if entry.landing is not None]
        if not open_:
            return False
        self._hold(site)
        for commit in dict.fromkeys(entry.landing for entry in open_ if entry.landing is not None):
            entries = [entry for entry in open_ if entry.landing == commit]
            there = site.integrator.has(commit) and site.integrator.ancestor(commit, site.tip)
            names = ", ".join(entry.task_id for entry in entries)
            if not there:
                self._ask(Withdraw(commit=commit))
                self.emit("withdrawn", f"the landing of {names} was interrupted: it is tried again", {})
                continue
            landings = tuple(
                Landing(task=entry.task_id, head=entry.head, commit=entry.data.get("commit") or commit)
                for entry in entries
            )
            self._recorded(
                Land(token=self.token, landings=landings), self._moves(site, Land(landings=landings), entries)
            )
            for landing in landings:
                self.landed.append(Landed(landing.task, landing.commit, entries[0].worker_id))
            self.emit("landed", f"the landing of {names} was interrupted after it: recorded", {})
        return True

    # The answer

    def merged(self) -> Merged:
        """What came of it all."""
        board = self.ctx.ledger.board()
        done = {one.task_id for one in self.landed} | {back.task for back in self.returned}
        reasons = {held.entry.task_id: held.reason for held in lineup(board).held}
        reasons |= {held.entry.task_id: held.reason for held in self.deferred}
        reasons |= self.skipped
        waiting = [
            Waiting(entry.task_id, reasons.get(entry.task_id) or self.frozen or "its turn hasn't come")
            for entry in board.merges()
            if entry.task_id not in done
        ]
        red = bool(self.returned or self.frozen or self.skipped)
        return Merged(
            self.branch, self.tip, self.landed, self.returned, waiting, self.tests, self.frozen, red
        )


def _beside(names: Sequence[TaskId], name: TaskId) -> str:
    others = [other for other in names if other != name]
    return f"with {', '.join(others)}" if others else ""
