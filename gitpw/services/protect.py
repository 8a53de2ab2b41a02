"""Keep lockable files read-only wherever nobody holds them."""

from __future__ import annotations

from gitpw.domain.guard import lockable
from gitpw.domain.policy import Guarding
from gitpw.errors import ConfigError, FailedError
from gitpw.services.ports import Context, Modes


def protect(ctx: Context, *checkouts: str | None, dry_run: bool = False) -> list[str]:
    """Bring the write bits of lockable files into line with what a checkout holds; the files that were changed.

    Without checkouts named, that is done in this one; None stands for it too. A claim that waits in the merge queue
    holds nothing to work on. With `dry_run`, what would be changed.
    """
    if not ctx.ledger.known():
        return []
    try:
        rules = ctx.rules.policy().policy
    except ConfigError:
        return []  # a commit will say so; what was asked for is done
    changed = []
    for path in dict.fromkeys(checkouts or (None,)):
        modes = ctx.modes(path)
        try:
            changed += [] if modes is None else _protected(ctx, modes, rules, dry_run=dry_run)
        except FailedError as error:
            ctx.tell(f"lockable files stay as they are: {error.message}")
    return changed


def everywhere(ctx: Context) -> list[str | None]:
    """All checkouts of this machine, this one first."""
    paths = [ctx.repo.main_root(), *(tree.path for tree in ctx.worktrees.all() if tree.present)]
    return [None, *(path for path in paths if path not in {None, ctx.repo.root})]


def give_back(ctx: Context) -> list[str]:
    """Make writable again, in all checkouts, what is read-only by our doing; the files."""
    found = (ctx.modes(path) for path in everywhere(ctx))
    return [name for modes in found if modes is not None for name in modes.set((), modes.frozen())]


def _protected(ctx: Context, modes: Modes, rules: Guarding, *, dry_run: bool) -> list[str]:
    before = modes.frozen()
    if not rules.lockable and not before:
        return []
    board = ctx.ledger.board()
    claims = ((own, board.claim(own.claim)) for own in modes.own())
    mine = [claim for own, claim in claims if claim and claim.token == own.token and not claim.queued]
    locks = [lock for claim in mine for lock in claim.locks]
    files = modes.tracked() if rules.lockable else ()
    held, free = lockable(board, locks, rules.lockable, rules.ignore, files)
    judged = {*held, *free}
    held += [name for name in before if name not in judged]
    return (modes.astray if dry_run or ctx.dry_run else modes.set)(free, held)
