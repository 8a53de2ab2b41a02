"""What keeps the queue safe, taken out one at a time: each must make the harness find something."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Restore = Callable[[], None]


def _swapped(*changes: tuple[Any, str, Any]) -> Restore:
    """Put other things in the places of some; what puts the old ones back."""
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in changes]
    for owner, name, new in changes:
        setattr(owner, name, new)

    def restore() -> None:
        for owner, name, old in before:
            setattr(owner, name, old)

    return restore


def without_swap() -> Restore:
    """The base branch is pushed by force, wherever it stands; the ledger's own swap stays."""
    from gitpw.adapters import process
    from gitpw.ledger.remote import RemoteStore

    pushed = RemoteStore._git

    def forced(self: RemoteStore, *args: str, **options: Any) -> process.Finished:
        if "push" in args:
            args = tuple(f"+{arg}" if arg.endswith(":refs/heads/main") else arg for arg in args)
            args = tuple(arg for arg in args if not arg.startswith("--force-with-lease=refs/heads/main:"))
        return pushed(self, *args, **options)

    return _swapped((RemoteStore, "_git", forced))


def without_token() -> Restore:
    """Whoever lost a claim, or the queue, is believed to have it still."""
    from gitpw.domain import backlog, grant, merging

    mine = grant.mine

    def anybodys(board: Any, operation: Any, request: Any) -> Any:
        """As if the claim were the asker's own and current."""
        task = board.task(request.task)
        claim = None if task is None or task.claim is None else board.claim(task.claim)
        if claim is None:
            return mine(board, operation, request)
        return task, claim

    changes = [(merging, "_not_current", lambda *_: None)]
    changes += [(module, "mine", anybodys) for module in (backlog, grant) if hasattr(module, "mine")]
    return _swapped(*changes)


CONTROLS: Mapping[str, Callable[[], Restore]] = {"swap": without_swap, "token": without_token}
