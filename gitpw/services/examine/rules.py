"""`.gitpw.toml`, here and on the base branch."""

from __future__ import annotations

from collections.abc import Iterator

from gitpw.domain.checkup import Finding, Level
from gitpw.domain.guard import lockable
from gitpw.domain.policy import CRITICAL
from gitpw.errors import ConfigError
from gitpw.services.base import base_branch
from gitpw.services.examine.visit import Visit


def readable(visit: Visit) -> Iterator[Finding]:
    """The rules can be read, those of this checkout and those in force."""
    here = visit.ctx.faults.get("rules")
    if here is not None:
        yield Finding("rules", Level.ERROR, here.message, here.hint)
    try:
        visit.ctx.rules.policy()
    except ConfigError as error:
        if here is None or error.message != here.message:
            hint = f"until that is mended on {base_branch(visit.ctx)}, hooks and checks judge by the defaults, and nothing is merged"
            yield Finding("rules", Level.ERROR, error.message, hint)
    else:
        if here is None:
            yield Finding("rules", Level.OK, "the rules can be read")


def on_base(visit: Visit) -> Iterator[Finding]:
    """Every clone finds the rules, and the ledger's id, on the base branch."""
    ctx = visit.ctx
    if ctx.repo.root is None or "rules" in ctx.faults or not visit.known:
        return
    if not ctx.files.named():
        message = ".gitpw.toml doesn't name the ledger: a clone that finds none would begin another"
        if visit.fix:
            ctx.files.write(ctx.ledger.board().meta.ledger)
        yield Finding("rules", Level.WARN, message, "git pw init", fixed=visit.fix)
    try:
        there = ctx.rules.on_base()
    except ConfigError:
        return
    if not there:
        yield Finding(
            "rules-base",
            Level.WARN,
            f".gitpw.toml isn't on {base_branch(ctx)} yet: other clones don't know its rules",
            "git add .gitpw.toml, commit it and bring it there",
        )


def patterns(visit: Visit) -> Iterator[Finding]:
    """Patterns begin at the root: one that was meant for every folder matches nothing."""
    ctx = visit.ctx
    modes = ctx.modes(None)
    try:
        rules = ctx.rules.policy().policy
    except ConfigError:
        return
    lists = {"critical": rules.critical, "ignore": rules.ignore, "lockable": rules.lockable}
    wanted = [
        (f"policy.{name}", pattern)
        for name, found in lists.items()
        for pattern in found
        if pattern not in CRITICAL and not pattern.startswith(("**/", "glob:", "literal:"))
    ]
    if modes is None or not wanted or not visit.known:
        return
    files, board = modes.tracked(), ctx.ledger.board()
    for key, pattern in wanted:
        deeper = f"**/{pattern}"
        if any(lockable(board, (), [pattern], (), files)) or not any(
            lockable(board, (), [deeper], (), files)
        ):
            continue
        yield Finding(
            "rules-pattern",
            Level.WARN,
            f"{key}: {pattern!r} matches no file, as it begins at the root",
            f"did you mean {deeper!r}? git pw config --add {key} {deeper!r}",
        )
