"""Whether operations are signed, by whose keys, and who decides about that."""

from __future__ import annotations

from typing import NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.ids import WorkerId
from gitpw.domain.operation import Signing
from gitpw.domain.signing import KeyFormat, SigningKey
from gitpw.services.asking import ask
from gitpw.services.ports import Context


class Signed(NamedTuple):
    """How it stands; `verified_from` is the counter from which on this clone has verified, None where it is the first."""

    signed: bool
    administrators: tuple[WorkerId, ...]
    keys: dict[WorkerId, SigningKey]
    without: list[WorkerId]
    verified_from: int | None

    def allowed_signers(self) -> str:
        """The ssh keys as git and ssh-keygen read them: `gpg.ssh.allowedSignersFile`."""
        lines = (
            f'{worker} namespaces="git" {key.key}\n'
            for worker, key in self.keys.items()
            if key.format is KeyFormat.SSH
        )
        return "".join(lines)


def signing(ctx: Context) -> Signed:
    """How it stands, as of the last state that could be had."""
    board, _, _ = ctx.ledger.freshest()
    return _signed(ctx, board)


def verify_all(ctx: Context) -> Signed:
    """The same, once all that ever led to it was fetched and verified; raises `ForgedError`."""
    board = ctx.ledger.fresh()
    ctx.ledger.store.deepen()
    ctx.ledger.verify_past()
    return _signed(ctx, board)


def turn(ctx: Context, *, on: bool, administrators: tuple[WorkerId, ...] = ()) -> Signed:
    """Ask for signatures from now on, or no longer."""
    _, answer = ask(ctx, Signing(on=on, administrators=administrators))
    return _signed(ctx, answer.board)


def _signed(ctx: Context, board: Board) -> Signed:
    keys = board.signers()
    return Signed(
        signed=board.settings.signed,
        administrators=board.settings.administrators,
        keys=keys,
        without=[worker.id for worker in board.workers() if worker.id not in keys],
        verified_from=ctx.ledger.verified_from(),
    )
