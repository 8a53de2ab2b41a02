"""What stands against a range of commits: somebody's lock, the lack of one, or a claim that was lost meanwhile.

Nobody says by whose claim a pushed commit was made, so this is read off it: by the branch that it is for, by the
trailers `Pw-Task` and `Pw-Token` in its message, and, of a lock without a task, by the name of the person. Whoever
forges those is on record; it is not what is kept out here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import zip_longest
from typing import NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.guard import Rules, violations
from gitpw.domain.ids import TASK, ClaimId, TaskId, WorkerId
from gitpw.domain.lock import GIVEN_BACK, Claim, Ended
from gitpw.domain.policy import Guarding, Policy
from gitpw.domain.worker import WorkerType

NUMBER = re.compile(r"[0-9]{1,18}")

UNGUARDED = Policy(policy=Guarding(critical=[]))
"""The rules while nothing has landed yet: a repository begins with its critical files, and nobody could lock them."""


class Stamp(NamedTuple):
    """What a commit says of the claim that it was made by; at least one of the two."""

    task: TaskId | None
    token: int | None


class Committed(NamedTuple):
    """A commit, the files that it changes (a merge, where it differs from all its parents), and who committed it."""

    commit: str
    at: datetime
    files: tuple[str, ...]
    stamps: tuple[Stamp, ...] = ()
    by: str = ""
    merge: bool = False


class Span(NamedTuple):
    """The commits of `head` without those of `without`, for a branch that is to land on `base`, which is at `tip`.

    `landed` where they were pushed onto the base branch itself; `here` where it is what is checked out.
    """

    head: str
    without: tuple[str, ...] = ()
    branch: str | None = None
    base: str | None = None
    landed: bool = False
    here: bool = False
    tip: str | None = None


class Kind(StrEnum):
    """What stands against a change, the gravest first."""

    STALE = "stale"
    HELD = "held"
    NEEDS_LOCK = "needs_lock"
    WAS_HELD = "was_held"


class Finding(NamedTuple):
    """One thing that stands against a range, and the newest commit that it is about.

    `claim` is the one in the way, by its lock `locked`; of what is stale, the current one. `ending` tells what became
    of the claim that was lost, where that is still known.
    """

    kind: Kind
    commit: str
    file: str | None = None
    claim: Claim | None = None
    locked: str | None = None
    stamp: Stamp | None = None
    ending: Ended | None = None

    @property
    def about(self) -> tuple[object, ...]:
        """What makes two findings the same, whichever commit they were found at."""
        return self.kind, self.file, self.claim and self.claim.id, self.stamp


class Whose:
    """By which claims each commit of a range was made.

    By those of the branch that the range is for, and by those that the commit itself names: of a task whose claim
    was given anew meanwhile, the newest commit tells the token. A merge that names none is by those that it merges.
    """

    def __init__(
        self,
        branch: str | None,
        commits: Sequence[Committed],
        *,
        tasks: Container[TaskId] = (),
        claims: Container[ClaimId] = (),
    ) -> None:
        """The newest commits come first. What belongs to `tasks` and `claims` is known to be theirs."""
        self.branch = branch
        self.tasks = tasks
        self.claims = claims
        self._newest: dict[TaskId | None, Stamp] = {}
        for stamp in (stamp for commit in commits for stamp in commit.stamps):
            self._newest.setdefault(stamp.task, stamp)

    def stamps(self, commit: Committed) -> frozenset[Stamp]:
        """The claims that a commit is by, as it and the newer ones name them."""
        if commit.merge and not commit.stamps:
            return frozenset(self._newest.values())
        renewed = (self._newest.get(stamp.task, stamp) for stamp in commit.stamps if stamp.task is not None)
        return frozenset((*commit.stamps, *renewed))


class Ours:
    """The claims that some commits are by, in one state of the ledger."""

    def __init__(self, board: Board, whose: Whose, stamps: Container[Stamp], person: str) -> None:
        """Of commits with the same stamps, committed by the same person."""
        self._board = board
        self._whose = whose
        self._stamps = stamps
        self._person = person

    def __contains__(self, name: object) -> bool:
        claim = self._board.claim(ClaimId(str(name)))
        if claim is None:
            return False
        whose = self._whose
        said = (Stamp(None, claim.token), Stamp(claim.task, claim.token), Stamp(claim.task, None))
        return (
            claim.id in whose.claims
            or claim.task in whose.tasks
            or any(stamp in self._stamps for stamp in said)
            or is_of(self._board, claim.task, whose.branch)
            or (claim.branch is not None and claim.branch == whose.branch)
            or (claim.task is None and self._is_by(claim.worker))
        )

    def _is_by(self, worker: WorkerId) -> bool:
        """Whether the person committed under the name that the ledger has for a worker: not its id, but a name."""
        known = self._board.worker(worker)
        if known is None or known.type is not WorkerType.HUMAN:
            return False
        return known.name not in {"", worker} and known.name == self._person


def stamps(tasks: str, tokens: str) -> tuple[Stamp, ...]:
    """The trailers of a commit, each a list with commas; those that belong together stand at the same place."""
    named = [TaskId(one) if TASK.fullmatch(one) else None for one in _listed(tasks)]
    numbers = [int(one) if NUMBER.fullmatch(one) else None for one in _listed(tokens)]
    pairs = (Stamp(task, token) for task, token in zip_longest(named, numbers))
    return tuple(pair for pair in pairs if pair != (None, None))


def _listed(text: str) -> list[str]:
    return [one.strip() for one in text.split(",")] if text else []


def is_of(board: Board, task: TaskId | None, branch: str | None) -> bool:
    """Whether a branch is the one of a task."""
    found = None if task is None or branch is None else board.task(task)
    return found is not None and found.metadata.branch_name == branch


def owner(board: Board, branch: str | None) -> TaskId | None:
    """The task that a branch is for: its name has the task's in it."""
    named = re.findall(r"task-[0-9]{3,9}", branch or "")
    return next((TaskId(name) for name in named if is_of(board, TaskId(name), branch)), None)


def standing(board: Board, whose: Whose, rules: Rules, commits: Sequence[Committed]) -> list[Finding]:
    """What a state says against commits, the newest of which come first: of each file and lock, once."""
    order = {commit.commit: at for at, commit in enumerate(commits)}
    groups: dict[tuple[frozenset[Stamp], str], dict[str, str]] = {}
    for commit in commits:
        files = groups.setdefault((whose.stamps(commit), commit.by), {})
        for file in commit.files:
            files.setdefault(file, commit.commit)
    found: dict[tuple[object, ...], Finding] = {}
    for (said, person), newest in groups.items():
        for violation in violations(board, Ours(board, whose, said, person), rules, newest):
            kind = Kind.NEEDS_LOCK if violation.claim is None else Kind.HELD
            file, claim, locked = violation
            one = Finding(kind, newest[file], file, claim, locked)
            known = found.setdefault(one.about, one)
            if order[one.commit] < order[known.commit]:
                found[one.about] = one
    return list(found.values())


def outdated(
    board: Board, branch: str | None, changes: Sequence[Committed], fenced: Collection[TaskId] = ()
) -> list[Finding]:
    """The claims that the newest commits were made by and that were lost since; of a task's branch, that task's.

    A task that is `fenced` is known to be in the right hands: its branch moved by its current token.
    """
    only = owner(board, branch)
    newest: dict[TaskId, Finding] = {}
    for change in changes:
        for stamp in change.stamps:
            if stamp.task is not None and stamp.token is not None and only in {None, stamp.task}:
                newest.setdefault(stamp.task, Finding(Kind.STALE, change.commit, stamp=stamp))
    judged = (_lost(board, found) for task, found in newest.items() if task not in fenced)
    return [found for found in judged if found is not None]


def _lost(board: Board, found: Finding) -> Finding | None:
    """The finding with its story, None where the claim stands, was given back, or its work has landed.

    A claim that its own worker took anew is still in the same hands, though the commits bear the older token.
    """
    task = None if found.stamp is None or found.stamp.task is None else board.task(found.stamp.task)
    if found.stamp is None or found.stamp.token is None or task is None or task.merged_at is not None:
        return None
    claim = None if task.claim is None else board.claim(task.claim)
    ending = _ending(board, task.id, found.stamp.token)
    if claim is None:
        lost = ending is not None and ending.how not in GIVEN_BACK
    else:
        lost = claim.token != found.stamp.token and (ending is None or ending.worker != claim.worker)
    return found._replace(claim=claim, ending=ending) if lost else None


def _ending(board: Board, task: TaskId, token: int) -> Ended | None:
    """What became of the claim with that token: the claim bears the beginning of its operation's name."""
    operation = board.at_counter(token)
    ending = None if operation is None else board.ending(ClaimId(operation[:16]))
    return ending if ending is not None and ending.task == task else None
