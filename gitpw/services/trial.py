"""Find out by tests what can land, and let a command try to solve a conflict."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from gitpw.domain.ids import duration
from gitpw.domain.integration import Built, Clash, Strategy, Tested, Work
from gitpw.domain.search import RedBase, Runs, Try, Verdict, next_step
from gitpw.services.shift import Shift, Trial
from gitpw.services.stack import SHORT, Layer, Site, Stack


def judged(shift: Shift, site: Site, built: Stack) -> Verdict | RedBase:
    """Run tests until it is known what can land."""
    trees = [site.integrator.tree(site.tip), *(layer.built.tree for layer in built.layers)]
    keys = [tree_key(site, tree, built.layers[:at]) for at, tree in enumerate(trees)]
    while True:
        runs = {key: Runs(*shift.known.get(key, (0, 0))) for key in keys}
        if site.board.line.landed == site.tip and site.board.line.tests == stamp(site):
            runs[keys[0]] = Runs(green=1)
        step = next_step(keys, runs)
        if not isinstance(step, Try):
            return step
        layers = built.layers[: step.entries]
        commit = layers[-1].built.commit if layers else site.tip
        count(shift, keys[step.entries], tested_once(shift, site, commit, trees[step.entries], layers))


def tree_key(site: Site, tree: str, layers: Sequence[Layer]) -> str:
    """What a result holds for: a tree and the commands, since somebody last asked for another try."""
    tries = [layer.entry.tries for layer in layers if layer.entry.tries]
    said = json.dumps([tree, commands_of(site), site.board.line.resumes, tries])
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def stamp(site: Site) -> str:
    """What stands for the commands in the ledger."""
    return hashlib.sha256(json.dumps(commands_of(site)).encode()).hexdigest()[:16]


def count(shift: Shift, key: str, tested: Tested) -> None:
    """Keep a result."""
    green, red = shift.known.pop(key, [0, 0])
    shift.known[key] = [green + tested.green, red + (not tested.green)]
    if tested.green and red:
        shift.emit("flake", "green after it was red: a flake", {"key": key, "log": tested.log})
    shift.shop.testbed.keep(shift.known)


def tested_once(shift: Shift, site: Site, commit: str, tree: str, layers: Sequence[Layer]) -> Tested:
    """Run the tests on a commit, and report how they ended."""
    names = [layer.entry.task_id for layer in layers]
    what = ", ".join(names) or f"{shift.branch} itself"
    about = {"tasks": names, "commit": commit, "tree": tree}
    shift.emit("test", f"testing {what} at {commit[:SHORT]}", about)
    tested = shift.shop.testbed.test(
        commit,
        commands_of(site),
        timeout=duration(site.policy.merge.timeout).total_seconds(),
        env={
            "GITPW_BASE": shift.branch,
            "GITPW_BASE_COMMIT": site.tip,
            "GITPW_COMMIT": commit,
            "GITPW_TASKS": " ".join(names),
        },
        show=lambda line: shift.emit("output", f"  | {line}", {"line": line}),
        beat=shift.beat,
    )
    shift.tests.append(
        Trial(names, commit, tree, tested.green, tested.why, round(tested.seconds, 3), tested.log)
    )
    how = "green" if tested.green else f"red ({tested.why})"
    shift.emit(
        "green" if tested.green else "red",
        f"{what}: {how} after {tested.seconds:.1f} s; log: {tested.log}",
        {**about, "why": tested.why, "seconds": round(tested.seconds, 3), "log": tested.log},
    )
    return tested


def resolved(shift: Shift, site: Site, onto: str, work: Work, clash: Clash) -> Built | None:
    """Let the policy's command try to solve a conflict; what it gives is tested like anything else."""
    command = site.policy.merge.on_conflict
    if command is None or shift.ctx.dry_run:
        return None
    shift.emit("resolve", f"{work.task} conflicts in {', '.join(clash.files[:5])}: trying {command!r}", {})
    if shift.token is None:
        shift.hold(site)
    tree = shift.shop.testbed.resolve(
        onto,
        work.head,
        command,
        timeout=duration(site.policy.merge.timeout).total_seconds(),
        env={"GITPW_TASK": work.task, "GITPW_BASE": shift.branch, "GITPW_HEAD": work.head},
        beat=shift.beat,
    )
    if tree is None:
        shift.emit("resolve", f"{work.task}: the conflict is still there", {})
        return None
    strategy: Strategy = "merge" if site.policy.merge.strategy == "merge" else "squash"
    return site.integrator.commit_tree(onto, work, tree, strategy)


def commands_of(site: Site) -> list[str]:
    """The tests, as the base branch's policy has them."""
    test = site.policy.merge.test
    return [test] if isinstance(test, str) else list(test)
