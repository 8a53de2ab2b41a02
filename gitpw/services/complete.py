"""Hand finished work in to the merge queue."""

from __future__ import annotations

from typing import NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.guard import Violation, matches, violations
from gitpw.domain.ids import ClaimId, TaskId
from gitpw.domain.lineup import lined_up
from gitpw.domain.lock import Claim
from gitpw.domain.operation import Complete
from gitpw.domain.policy import Guarding
from gitpw.domain.resource import Path, observed
from gitpw.domain.task import Task
from gitpw.errors import InvalidError
from gitpw.services.asking import held, my_task, my_worktree
from gitpw.services.base import known_tip
from gitpw.services.ports import Context
from gitpw.services.protect import protect
from gitpw.services.push import hand_in, handed_in
from gitpw.services.show_task import known_task


class Completed(NamedTuple):
    """The task and its place in the merge queue, None where it needs none."""

    task: Task
    position: int | None
    notes: list[str]


def complete(ctx: Context, task: TaskId | None = None) -> Completed:
    """Push the branch and queue it, in one step that only the current token can take; refuses a dirty tree."""
    name, own = my_task(ctx, task)
    tree = my_worktree(ctx, name)
    dirty = ctx.worktrees.dirty(tree) if tree is not None else ctx.repo.dirty() if own is not None else ()
    dirty = [file for file in dirty if file != ".gitpw.toml"]
    if dirty:
        raise InvalidError(
            f"{name} has uncommitted changes: {', '.join(dirty[:5])}{' …' if dirty[5:] else ''}",
            hint="commit them, or put them out of the way with 'git stash -u'",
            files=list(dirty),
        )
    handed = handed_in(ctx, name)
    late = _late(ctx, name, handed.head)
    request = Complete(
        task=name,
        claim=own and own.claim,
        token=own and own.token,
        head=handed.head,
        branch=handed.branch,
        queue=ctx.rules.policy().merge.mode != "none",
        late=held(late, shared=False),
    )
    answer = hand_in(ctx, request, handed.moves)
    protect(ctx, None, tree.path if tree else None)
    found = known_task(answer.board, name)
    queue = [merge.task_id for merge in lined_up(answer.board)]
    notes = [f"locked as well: {', '.join(late)}"] if late else []
    if handed.head is not None and handed.head == found.base:
        notes.append(f"{name} has no commits")
    return Completed(found, queue.index(name) + 1 if name in queue else None, notes)


def _late(ctx: Context, name: TaskId, head: str | None) -> list[str]:
    """What the task changed and holds no lock on, as the ledger names it.

    Where the policy asks for a lock before a change, it is refused.
    """
    board = ctx.ledger.board()
    task = known_task(board, name)
    tip = known_tip(ctx)
    if head is None or task.claim is None or tip is None:
        return []
    files = ctx.repo.own_changes(head, tip, task.base)
    rules = ctx.rules.policy().policy
    missing = [found for found in violations(board, {task.claim}, rules, files) if found.claim is None]
    if missing:
        raise _unlocked(name, missing)
    late = [file for file in files if not _is_covered(board, task.claim, rules, file)]
    return [str(Path(observed(file).text)) for file in late if file.isprintable()]


def _is_covered(board: Board, claim: ClaimId, rules: Guarding, file: str) -> bool:
    path = board.fold(observed(file))
    return matches(board, rules.ignore, path) or any(found == claim for found, _ in board.overlapping(path))


def _unlocked(name: TaskId, missing: list[Violation[Claim]]) -> InvalidError:
    files = [violation.file for violation in missing]
    return InvalidError(
        f"{name} changed what may be changed only under a lock of its own: {', '.join(files[:5])}",
        hint=f"git pw lock -- {files[0]}, then complete again; or take the change out of your commits",
        violations=[{"file": file, "holder": None} for file in files],
    )
