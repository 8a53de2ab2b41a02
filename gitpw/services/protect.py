"""Keep lockable files read-only wherever nobody holds them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gitpw.domain.guard import lockable
from gitpw.domain.policy import Guarding
from gitpw.errors import ConfigError, FailedError
from gitpw.services.ports import Context, Modes

HERE = (None,)


def protect(ctx: Context, checkouts: Iterable[str | None] = HERE) -> None:
    """Bring the write bits of lockable files into line with what some checkouts hold, by default this one.

    Every command that takes or gives a lock does so: where no file is lockable, it costs next to nothing.
    """
    try:
        if ctx.ledger.known() and not ctx.rules.lockable():
            checkouts = HERE  # what earlier rules made read-only elsewhere is found by the hooks there
    except ConfigError:
        return  # a commit will say so; what was asked for is done
    for path in dict.fromkeys(checkouts):
        protect_one(ctx, path)


def protect_one(ctx: Context, checkout: str | None, *, dry_run: bool = False) -> list[str]:
    """The same for one checkout, None for this one: the files that were changed, or with `dry_run` would be."""
    modes = ctx.modes(checkout)
    if modes is None or not ctx.ledger.known():
        return []
    try:
        lacks_rules = not ctx.rules.lockable() and not modes.frozen()
        return [] if lacks_rules else _protected(ctx, modes, dry_run=dry_run or ctx.dry_run)
    except (ConfigError, FailedError) as error:
        ctx.tell(f"lockable files stay as they are: {error.message}")
        return []


def everywhere(ctx: Context) -> Iterator[str | None]:
    """All checkouts of this machine, this one first."""
    yield None
    for path in (ctx.repo.main_root(), *(tree.path for tree in ctx.worktrees.all() if tree.present)):
        if path is not None and path != ctx.repo.root:
            yield path


def mine(ctx: Context) -> Iterator[str | None]:
    """This checkout and my worktrees."""
    yield None
    yield from (tree.path for tree in ctx.worktrees.all() if tree.own and tree.own.worker == ctx.me.worker)


def give_back(ctx: Context) -> list[str]:
    """Make writable again, in all checkouts, what is read-only by our doing; the files."""
    found = (ctx.modes(path) for path in everywhere(ctx))
    return [name for modes in found if modes is not None for name in modes.set((), modes.frozen())]


def _protected(ctx: Context, modes: Modes, *, dry_run: bool) -> list[str]:
    """A claim that waits in the merge queue holds nothing to work on."""
    rules: Guarding = ctx.rules.policy().policy
    board = ctx.ledger.board()
    claims = ((own, board.claim(own.claim)) for own in modes.own())
    held = [claim for own, claim in claims if claim and claim.token == own.token and not claim.queued]
    locks = [lock for claim in held for lock in claim.locks]
    files = modes.tracked() if rules.lockable else ()
    found = lockable(board, locks, rules.lockable, rules.ignore, files)
    judged = {*found.held, *found.free}
    writable = [*found.held, *(name for name in modes.frozen() if name not in judged)]
    return (modes.astray if dry_run else modes.set)(found.free, writable)
