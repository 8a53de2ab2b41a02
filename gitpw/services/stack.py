"""Build the next entries of the merge queue one upon the other, and say what can't be built."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.grant import holder
from gitpw.domain.guard import Violation, violations
from gitpw.domain.ids import TaskId
from gitpw.domain.integration import Built, Clash, Other, Work
from gitpw.domain.lineup import Held, waits_for
from gitpw.domain.lock import Claim
from gitpw.domain.merge import Merge, MergeState
from gitpw.domain.operation import Back
from gitpw.domain.policy import Policy
from gitpw.domain.task import is_branch
from gitpw.errors import FailedError
from gitpw.services.ports import Integrator

SHORT = 12
NAMED = 5
"""How many files a sentence names."""

Resolve = Callable[[str, Work, Clash], Built | None]
"""Try to solve a conflict; None where that failed."""


class Layer(NamedTuple):
    """An entry, and its work on top of all before it."""

    entry: Merge
    built: Built


class Site(NamedTuple):
    """Where is built: the branch, where it stands, where the tasks' branches stand, and by which rules."""

    board: Board
    integrator: Integrator
    policy: Policy
    remote: str | None
    branch: str
    tip: str
    tips: dict[str, str]
    resolve: Resolve


class Stack(NamedTuple):
    """What can land together; what is on the base branch already; what goes back; what has to wait."""

    layers: list[Layer]
    there: list[Merge]
    back: list[Back]
    deferred: list[Held]

    @property
    def out(self) -> set[TaskId]:
        """The entries that don't land this time."""
        return {back.task for back in self.back} | {held.entry.task_id for held in self.deferred}


def stack(site: Site, entries: Sequence[Merge], window: int) -> Stack:
    """Build entries in their order until the window is full."""
    built = Stack([], [], [], [])
    for entry in entries:
        if len(built.layers) == window:
            break
        _add(site, built, entry)
    return built


def work_of(board: Board, entry: Merge) -> Work:
    """What is to be built for an entry."""
    task = board.task(entry.task_id)
    title = task.title if task is not None else entry.task_id
    return Work(entry.task_id, title, entry.head or "", entry.base, entry.branch_name)


def branch_of(site: Site, entry: Merge) -> str | None:
    """The entry's branch, if it is one that a task may have."""
    name = entry.branch_name
    fits = name is not None and is_branch(name) and name != site.branch and not name.startswith("pw/")
    return name if fits else None


def _add(site: Site, built: Stack, entry: Merge) -> None:
    waits = [name for name in _unmet(site.board, entry) if name in built.out]
    if waits:
        built.deferred.append(Held(entry, waits_for(site.board, waits)))
        return
    if entry.head is None:
        built.there.append(entry)
        return
    if not site.integrator.has(entry.head):
        built.back.append(_sent(entry, _gone(site, entry)))
        return
    onto = built.layers[-1].built.commit if built.layers else site.tip
    try:
        found = _build(site, onto, entry)
        if isinstance(found, Clash):
            _clashed(site, built, entry, found, onto)
            return
    except FailedError as error:  # one that git can't build must not stop the others
        built.back.append(
            _sent(entry, Why(f"it can't be built: {error.message}"[:2000], {"reason": "build"}))
        )
        return
    if found.commit == site.tip:
        built.there.append(entry)
        return
    why = _gone(site, entry) or _trespass(site, entry, found.files)
    if why is None:
        built.layers.append(Layer(entry, found))
    else:
        built.back.append(_sent(entry, why))


def _unmet(board: Board, entry: Merge) -> list[TaskId]:
    task = board.task(entry.task_id)
    return [] if task is None else board.unmet(task)


def _build(site: Site, onto: str, entry: Merge) -> Built | Clash:
    return site.integrator.build(onto, work_of(site.board, entry), site.policy.merge.strategy)


def _clashed(site: Site, built: Stack, entry: Merge, clash: Clash, onto: str) -> None:
    """A conflict with the base itself goes back; one with an entry ahead waits until that has landed."""
    alone = clash if onto == site.tip else _build(site, site.tip, entry)
    if isinstance(alone, Clash):
        solved = site.resolve(onto, work_of(site.board, entry), clash)
        if solved is not None and _trespass(site, entry, solved.files) is None:
            built.layers.append(Layer(entry, solved))
        else:
            built.back.append(_conflict(site, entry, alone))
        return
    ahead = {layer.entry.task_id: set(layer.built.files) for layer in built.layers}
    whose = [name for name, files in ahead.items() if files & set(clash.files)] or list(ahead)
    reason = f"conflicts with {', '.join(whose)} ahead of it in {_few(clash.files)}: built again after that"
    built.deferred.append(Held(entry, reason))


class Why(NamedTuple):
    """Why an entry goes back, in words and for programs."""

    detail: str
    data: dict[str, object]


def _sent(entry: Merge, why: Why | None) -> Back:
    detail, data = why or Why("its commits can't be found", {})
    return Back(task=entry.task_id, head=entry.head, state=MergeState.FAILED, detail=detail, data=data)


def _gone(site: Site, entry: Merge) -> Why | None:
    """Why what was handed in isn't what the branch has."""
    branch = branch_of(site, entry)
    if branch is None:
        return None
    there = site.tips.get(branch)
    if there == entry.tip:
        return None
    where = site.remote or "this repository"
    if there is None:
        return Why(f"its branch {branch} is gone from {where}", {"branch": branch, "reason": "gone"})
    return Why(
        f"its branch {branch} moved to {there[:SHORT]} after it was handed in at {(entry.tip or '')[:SHORT]}: complete it again",
        {"branch": branch, "reason": "moved", "head": there},
    )


def _trespass(site: Site, entry: Merge, files: Sequence[str]) -> Why | None:
    """Why its files may not be changed: somebody else's locks, or the lack of its own where the policy asks for it."""
    found = violations(site.board, {entry.claim}, site.policy.policy, files)
    if not found:
        return None
    said = "; ".join(dict.fromkeys(map(_told, found[:NAMED])))
    return Why(said, {"reason": "locked", "violations": [_public(one) for one in found]})


def _told(violation: Violation[Claim]) -> str:
    if violation.claim is None:
        return f"{violation.file} may be changed only under a lock of its own"
    return f"{violation.file} is held by {violation.claim.worker}"


def _public(violation: Violation[Claim]) -> dict[str, object]:
    by = None if violation.claim is None else holder(violation.claim, violation.locked)
    return {"file": violation.file, "holder": by}


def _conflict(site: Site, entry: Merge, clash: Clash) -> Back:
    """What the owner needs to know: the files, whose work is on the other side, and what to run."""
    others = site.integrator.others(site.tip, entry.head or "", clash.files)
    told = [_other(site.board, other) for other in others]
    names = dict.fromkeys(_by(one) for one in told)
    by = f" ({', '.join(list(names)[:3])})" if names else ""
    return Back(
        task=entry.task_id,
        head=entry.head,
        state=MergeState.CONFLICT,
        detail=f"conflicts with {site.branch} in {_few(clash.files)}{by}"[:2000],
        data={
            "files": clash.files,
            "at": clash.at,
            "onto": site.tip,
            "base": site.branch,
            "others": told,
            "commands": commands(site, entry),
        },
    )


def _other(board: Board, other: Other) -> dict[str, object]:
    task = None if other.task is None else board.task(other.task)
    return {
        "commit": other.commit,
        "subject": other.subject,
        "author": other.author,
        "taskId": None if task is None else task.id,
        "workerId": None if task is None else task.assigned_to,
    }


def _by(other: dict[str, object]) -> str:
    if other["taskId"] is None:
        return f"{str(other['commit'])[:SHORT]} by {other['author']}"
    return f"{other['taskId']} by {other['workerId']}"


def commands(site: Site, entry: Merge) -> list[str]:
    """What the owner runs to bring the branch up to date and hand it in again."""
    target = f"{site.remote}/{site.branch}" if site.remote else site.branch
    apart = (
        entry.base is not None
        and site.integrator.has(entry.base)
        and not site.integrator.ancestor(entry.base, site.tip)
    )
    rebase = f"git rebase --onto {target} {entry.base}" if apart else f"git rebase {target}"
    fetch = [f"git fetch {site.remote}"] if site.remote else []
    return [
        f'cd "$(git pw worktree path {entry.task_id})"',
        *fetch,
        rebase,
        "git add -A && git rebase --continue",
        f"git pw complete {entry.task_id}",
    ]


def _few(files: Sequence[str]) -> str:
    return f"{', '.join(files[:NAMED])}{f' and {len(files) - NAMED} more' if len(files) > NAMED else ''}"
