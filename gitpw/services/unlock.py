"""Give up locks; by force, somebody else's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gitpw.domain.operation import Unlock
from gitpw.errors import UsageError
from gitpw.services.asking import ask, canonical, forget
from gitpw.services.ports import Context
from gitpw.services.protect import mine, protect


class Unlocked(NamedTuple):
    """The resources that were unlocked."""

    files: list[str]
    notes: list[str]


def unlock(
    ctx: Context,
    resources: Sequence[str],
    *,
    all_: bool = False,
    force: bool = False,
    reason: str | None = None,
) -> Unlocked:
    """Give up the named locks, or all of mine without a task. What isn't locked is only noted."""
    if not resources and not all_:
        raise UsageError("what is to be unlocked?", hint="git pw unlock src/auth, or --all")
    if force and not (reason or "").strip():
        raise UsageError("--force needs a reason", hint="say why with --reason: it is kept in the log")
    names = canonical(ctx, resources)
    done, answer = ask(ctx, Unlock(resources=names, all=all_, force=force, reason=reason))
    files = list(done.detail.get("files", ()))
    forget(ctx, answer.board)
    protect(ctx, mine(ctx))
    notes = [
        f"{name} was not locked" for name in names if str(answer.board.seen(name)) not in map(str, files)
    ]
    return Unlocked(files, notes)
