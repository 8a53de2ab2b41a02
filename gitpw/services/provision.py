"""Bring to a new worktree what it needs besides its tracked files: ignored files, and set-up commands once approved."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import NamedTuple

from gitpw.domain.ids import TaskId
from gitpw.errors import ConfigError, InvalidError
from gitpw.services.base import base_branch
from gitpw.services.forecast import shown
from gitpw.services.ports import Context

LARGE = 20_000
"""Tracked files from which on a smaller checkout is worth a word."""

Confirm = Callable[[Sequence[str]], bool]
"""Asks a person whether commands may run; None where nobody is there to be asked."""


class SetUp(NamedTuple):
    """The set-up commands, whether a person approved them, and how many of them ran; `failed` is the one that didn't."""

    commands: Sequence[str]
    approved: bool
    ran: int = 0
    failed: str | None = None


def provision(ctx: Context, task: TaskId, path: str, confirm: Confirm | None) -> list[str]:
    """What a worktree still needs, in words where a person should know. Nothing here costs the claim."""
    pending = ctx.provision.pending(path)
    if pending is None or ctx.dry_run:
        return []
    notes = _files(ctx, path) if pending == "all" else []
    ctx.provision.reached(path, "setup")
    try:
        done = set_up(ctx, path, confirm)
    except ConfigError as error:
        return [*notes, f"no set-up command was run: {error.message}"]
    if done.failed is not None:
        again = f"run them again with 'git pw worktree setup {task}'"
        notes.append(f"a set-up command failed: {done.failed}; the claim stands, {again}")
    elif not done.approved:
        listed = "; ".join(done.commands)
        again = f"'git pw worktree setup {task} --approve' approves and runs exactly these"
        notes.append(
            f"set-up commands of {base_branch(ctx)} were not run, since nobody approved them: {listed}; {again}"
        )
        return notes
    ctx.provision.reached(path, None)
    return notes


def set_up(ctx: Context, path: str | None, confirm: Confirm | None) -> SetUp:
    """Run the base branch's set-up commands in a worktree if a person approved exactly these; up to one that fails."""
    commands = ctx.rules.policy().claim.setup
    approved = not commands or ctx.provision.approved(commands)
    if not approved and confirm is not None and confirm(commands):
        ctx.provision.approve(commands)
        approved = True
    if not approved or path is None:
        return SetUp(commands, approved)
    for number, command in enumerate(commands):
        ctx.tell(f"set-up: {command}")
        status = ctx.provision.run(path, command)
        if status:
            return SetUp(commands, approved, number, f"{command} (exit {status})")
    return SetUp(commands, approved, len(commands))


def set_up_worktree(ctx: Context, task: TaskId | None, confirm: Confirm | None) -> tuple[str | None, SetUp]:
    """Run the set-up commands again, in a task's worktree or the one we are in, else only see to their approval."""
    from gitpw.services.worktrees import worktree_of

    path = worktree_of(ctx, task).path if task is not None else _here(ctx)
    done = set_up(ctx, path, confirm)
    if not done.approved and path is not None:
        raise InvalidError(
            f"nobody approved these set-up commands of {base_branch(ctx)}: {'; '.join(done.commands)}",
            hint=f"git pw worktree setup {task or ''}".rstrip() + " --approve",
            commands=list(done.commands),
        )
    if path is not None and done.failed is None:
        ctx.provision.reached(path, None)
    return path, done


def _here(ctx: Context) -> str | None:
    return ctx.repo.root if ctx.repo.git_dir != ctx.repo.common_dir else None


def _files(ctx: Context, path: str) -> list[str]:
    """Copy what is to be there, and say what isn't."""
    copied, problems = ctx.provision.include(path)
    notes = [f"copied {shown(copied)}, as .worktreeinclude says"] if copied else []
    notes += problems
    missing = ctx.provision.submodules(path)
    if missing:
        notes.append(
            f"submodules aren't there yet: {shown(missing)}; "
            f"'git -C {shlex.quote(path)} submodule update --init --recursive' brings them"
        )
    if ctx.worktrees.files(path) > LARGE:
        notes.append("this is a large tree: claim --sparse FOLDER or --no-checkout makes the next one faster")
    return notes
