"""Set a repository up: the ledger, the hooks, `.gitpw.toml`. Run again, it repairs."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from gitpw.domain.ids import LedgerId
from gitpw.domain.operation import Begin, Done, Moved
from gitpw.domain.settings import Settings
from gitpw.errors import ConfigError, ContendedError, FailedError, InvalidError, PwError, UnknownError
from gitpw.ledger.ledger import Ledger
from gitpw.ledger.store import Swap
from gitpw.services.asking import granted, inform_hooks
from gitpw.services.ports import Context
from gitpw.services.protect import everywhere, protect_one

T = TypeVar("T")


class Initialised(NamedTuple):
    """What there is now, and what of it is new."""

    ledger: str
    remote: str | None
    created: bool
    moved: bool
    hooks: list[str]
    files: list[str]
    notes: list[str]


def init(ctx: Context, *, hooks: bool = True, new: bool = False) -> Initialised:
    """Join the ledger that there is; move this machine's to the remote; or, where there is none, begin one.

    Where `.gitpw.toml` names a ledger that isn't there, none is begun unless `new` says so.
    """
    notes: list[str] = []
    created = moved = False
    board = ctx.ledger.fresh() if ctx.ledger.store.tip() is None or ctx.remote else ctx.ledger.board()
    if ctx.local is not None:
        moved = _move(ctx, ctx.local)
    elif not board.begun:
        created = _begin(ctx, new=new)
    ledger = ctx.ledger.board().meta.ledger
    installed: list[str] = []
    if hooks:
        installed = list(ctx.hooks.install())
        notes += ctx.hooks.problems()
    files = ctx.files.write(ledger)
    inform_hooks(ctx)
    for checkout in everywhere(ctx):
        protect_one(ctx, checkout)
    return Initialised(ledger, ctx.remote, created, moved, installed, files, notes)


def _begin(ctx: Context, *, new: bool) -> bool:
    named = ctx.policy.ledger
    if named is not None and not new:
        raise ConfigError(
            f".gitpw.toml names ledger {named}, but {ctx.remote or 'this machine'} has none",
            hint="a clone that knows it restores it with 'git pw doctor --fix'; 'git pw init --new' begins another",
        )
    fold = (ctx.repo.config("core.ignorecase") or "").lower() == "true"
    request = Begin(ledger=LedgerId(secrets.token_hex(10)), settings=Settings(case_insensitive=fold))
    outcome = _or_elsewhere(ctx, lambda: ctx.ledger.transact(request, ctx.me)).outcome
    if isinstance(outcome, Done):
        return True
    if ctx.ledger.board().begun:
        return False
    granted(outcome)
    return False


def _or_elsewhere(ctx: Context, attempt: Callable[[], T]) -> T:
    """Make the ledger's ref; on a host that refuses it, the branch that stands in for it."""
    try:
        return attempt()
    except FailedError as refused:
        if ctx.fall_back is None:
            raise
        ctx.fall_back()
        try:
            done = attempt()
        except FailedError:
            raise refused from None
        ctx.tell("the remote refuses refs/pw/*: the ledger is kept on the branch refs/heads/pw/locks/main")
        return done


def _move(ctx: Context, local: Ledger) -> bool:
    """Take this machine's ledger to the remote; it never merges two.

    Every local writer obeys the `moved` mark before anybody else can write there.
    """
    mine = local.board()
    theirs = ctx.ledger.board()
    if theirs.begun and theirs.meta.ledger != mine.meta.ledger:
        raise ConfigError(
            f"{ctx.remote} has ledger {theirs.meta.ledger}, this machine has {mine.meta.ledger}: two are never merged",
            hint="'git pw uninstall' drops this machine's, then 'git pw init' joins the remote's",
        )
    if not mine.meta.moved:
        granted(local.transact(Moved(), ctx.me).outcome)
    if theirs.begun:
        return False
    tip = local.store.tip()
    if tip is None:
        raise InvalidError("there is no ledger to move")
    try:
        swap = _or_elsewhere(ctx, lambda: ctx.ledger.store.swap(None, tip))
    except PwError:
        local.transact(Moved(back=True), ctx.me)
        raise
    if swap is Swap.LOST:
        raise UnknownError("the answer was lost: the ledger may have moved", hint="'git pw init' finds out")
    if swap is not Swap.DONE:
        local.transact(Moved(back=True), ctx.me)
        raise ContendedError(f"somebody else began a ledger on {ctx.remote}", hint="git pw init")
    return True
