"""Look for what is wrong, and put right what can be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from gitpw.domain.ids import isoformat
from gitpw.errors import ConfigError, OfflineError, PwError
from gitpw.services.asking import settle
from gitpw.services.gc import gc
from gitpw.services.ports import Context
from gitpw.services.worktrees import list_worktrees


class Finding(NamedTuple):
    """One thing that was looked at; `level` is ok, warn or error."""

    code: str
    level: str
    message: str
    hint: str | None = None
    fixed: bool = False


def doctor(ctx: Context, *, fix: bool = False) -> list[Finding]:
    """All findings; with `fix`, each that can be mended is, and says so."""
    return [found for look in CHECKS for found in look(ctx, fix)]


def _tools(ctx: Context, _fix: bool) -> Iterator[Finding]:
    for name, version, least in ctx.files.versions():
        if least is not None and _number(version) < _number(least):
            yield Finding(
                name, "error", f"{name} {version} is too old", hint=f"git-pw needs {least} or newer"
            )
        else:
            yield Finding(name, "ok", f"{name} {version}")
    for line in ctx.files.shadowed():
        yield Finding("path", "warn", line, hint="put the folder of this git-pw first on PATH")


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3] if part.isdigit())


def _ledger(ctx: Context, fix: bool) -> Iterator[Finding]:
    where = ctx.remote or "this machine"
    try:
        board = ctx.ledger.fresh()
    except OfflineError as error:
        yield Finding("remote", "error", error.message, hint=error.hint)
        return
    except ConfigError as error:
        yield from (
            _mended(ctx, error) if fix else [Finding("ledger", "error", error.message, hint=_way_out(error))]
        )
        return
    except PwError as error:
        yield Finding("remote", "error", error.message, hint=error.hint)
        return
    if not board.begun:
        yield Finding("ledger", "error", f"{where} has no ledger", hint="git pw init")
        return
    yield Finding("ledger", "ok", f"ledger {board.meta.ledger} on {where}, {board.counter} operations")
    now = ctx.clock.now()
    for host, clock in board.meta.hosts.items():
        ahead = (clock.at - now).total_seconds()
        if ahead > board.settings.skew:
            yield Finding(
                "clock",
                "warn",
                f"{host} wrote at {isoformat(clock.at)}, {ahead / 60:.0f} minutes ahead of this clock",
                hint="one of the two clocks is wrong: leases end late or early until it is set",
            )


def _way_out(error: ConfigError) -> str | None:
    """What to do about a ledger that can't be read: never "see the doctor", who says this."""
    if error.data.get("ledger") == "broken":
        return "'git pw doctor --fix' puts back the last state that this clone knew"
    return None if error.hint and "doctor'" in error.hint else error.hint


def _mended(ctx: Context, error: ConfigError) -> Iterator[Finding]:
    """Put a ledger right that vanished, went backwards, or was restored by somebody who knew less."""
    broken = error.data.get("ledger")
    if broken == "restored":
        missing = ctx.ledger.adopt()
        yield Finding("ledger", "warn", f"{error.message}: going on with it", fixed=True)
        for line in missing:
            yield Finding(
                "ledger", "warn", f"gone with the old ledger: {line}", hint="do it again if it still matters"
            )
    elif broken in {"vanished", "rewound", "broken"} and ctx.ledger.known():
        restored = ctx.ledger.restore(ctx.me, error.message)
        yield Finding(
            "ledger", "warn", f"{error.message}: restored, now at {restored.board.counter}", fixed=True
        )
    else:
        yield Finding("ledger", "error", error.message, hint=_way_out(error))


def _records(ctx: Context, _fix: bool) -> Iterator[Finding]:
    """Every record is read once: what can't be is named."""
    if not ctx.ledger.known():
        return
    try:
        board = ctx.ledger.board()
        broken = list(board.broken()) if board.begun else []
    except ConfigError:
        return
    for line in broken:
        yield Finding(
            "record", "error", line, hint="'git log refs/pw/tip' in .git/pw/store.git shows who wrote it"
        )


def _hooks(ctx: Context, fix: bool) -> Iterator[Finding]:
    problems = list(ctx.hooks.problems())
    if problems and fix:
        ctx.hooks.install()
        left = list(ctx.hooks.problems())
        for problem in problems:
            if problem not in left:
                yield Finding("hooks", "warn", problem, fixed=True)
        problems = left
    for problem in problems:
        yield Finding("hooks", "error", problem, hint="git pw doctor --fix")
    if not problems:
        yield Finding("hooks", "ok", "the hooks are in place")


def _worktrees(ctx: Context, fix: bool) -> Iterator[Finding]:
    missing = [tree.path for tree in ctx.worktrees.all() if not tree.present and not tree.locked]
    if missing and fix:
        for what in ctx.worktrees.repair():
            yield Finding("worktrees", "warn", what, fixed=True)
        return
    for row in list_worktrees(ctx) if ctx.ledger.known() else []:
        if row.present and row.state in {"pending", "lost"}:
            hint = f"git pw worktree remove {row.task}"
            yield Finding("worktrees", "warn", f"{row.path} is left of a claim that is no more", hint=hint)
    for path in missing:
        yield Finding("worktrees", "warn", f"worktree {path} is gone", hint="git pw worktree repair")


def _open(ctx: Context, fix: bool) -> Iterator[Finding]:
    if not ctx.ledger.known():
        return
    try:
        for _ in settle(ctx):
            yield Finding("claims", "warn", "a claim of yours was interrupted half way", hint="git pw claim")
        overdue = gc(ctx, dry_run=not fix)
    except PwError as error:
        yield Finding("claims", "warn", error.message, hint=error.hint)
        return
    for claim in overdue.claims:
        yield Finding("claims", "warn", f"claim {claim} is overdue", hint="git pw gc", fixed=fix)


CHECKS: tuple[Callable[[Context, bool], Iterator[Finding]], ...] = (
    _tools,
    _ledger,
    _records,
    _hooks,
    _worktrees,
    _open,
)
