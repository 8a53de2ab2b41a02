"""Which key must sign an operation, and who may change keys.

A key is its worker's own from the moment it is registered, whether signing is on or not: whoever wants to register
the first one proves to have it, and only the old one can sign for a new one. Where a key was lost, an administrator
replaces it by force, on record. Administrators are in the ledger's settings; before there are any, everybody with a key
is one.
"""

from __future__ import annotations

from gitpw.domain.board import Board
from gitpw.domain.ids import WorkerId
from gitpw.domain.operation import Begin, Operation, Refused, Register, Restore, Signing, Unregister
from gitpw.domain.signing import SigningKey

HOW = "git pw worker register --signing-key FILE"


def required(board: Board, operation: Operation) -> SigningKey | Refused | None:
    """The key that must have signed an operation on this state; None where none need have, `Refused` where none could."""
    request, me = operation.request, operation.author.worker
    if isinstance(request, Begin):
        return None
    match request:
        case Register():
            found = _registering(board, me, request)
        case Unregister():
            found = _unregistering(board, me, request)
        case Signing():
            found = _deciding(board, me, request)
        case Restore() if board.settings.signed and not overrules(board, me):
            found = _not_administrator(board, "restores a signed ledger")
        case _:
            found = None
    if found is not None or not board.settings.signed:
        return found
    return _own(board, me)


def overrules(board: Board, worker: WorkerId) -> bool:
    """Whether a worker may decide about other workers' keys."""
    return not board.settings.administrators or worker in board.settings.administrators


def _own(board: Board, me: WorkerId) -> SigningKey | Refused:
    key = board.signer(me)
    if key is not None:
        return key
    what = "operations are signed here" if board.settings.signed else "this is signed"
    return Refused(code="invalid", message=f"{what}, and {me} has registered no key to sign with", hint=HOW)


def _registering(board: Board, me: WorkerId, request: Register) -> SigningKey | Refused | None:
    old, new = board.signer(request.id), request.signing_key
    if new is None or new == old:
        return None
    if request.id == me:
        return new if old is None else old
    if old is not None and not (request.force and request.reason):
        return Refused(
            code="invalid",
            message=f"{request.id} has a signing key, which only its own signature replaces",
            hint="where it is lost, an administrator replaces it: --force --reason TEXT",
        )
    if old is not None and not overrules(board, me):
        return _not_administrator(board, "replaces the key of another worker")
    return _own(board, me)


def _unregistering(board: Board, me: WorkerId, request: Unregister) -> SigningKey | Refused | None:
    if request.id in board.settings.administrators:
        return Refused(
            code="invalid",
            message=f"{request.id} is an administrator of the ledger",
            hint="name others first: git pw signing on --admin WORKER",
        )
    if board.signer(request.id) is None:
        return None
    if request.id != me and not overrules(board, me):
        return _not_administrator(board, "unregisters another worker that has a signing key")
    return _own(board, me)


def _deciding(board: Board, me: WorkerId, request: Signing) -> SigningKey | Refused:
    if not overrules(board, me):
        return _not_administrator(board, "turns signing on or off")
    for name in request.administrators:
        if board.signer(name) is None:
            message = f"{name} can't be an administrator: it has registered no signing key"
            return Refused(code="invalid", message=message, hint=f"as {name}: {HOW}")
    return _own(board, me)


def _not_administrator(board: Board, what: str) -> Refused:
    who = ", ".join(board.settings.administrators)
    return Refused(code="invalid", message=f"only an administrator {what}", hint=f"ask {who}")


def changed_keys(operation: Operation) -> dict[WorkerId, SigningKey | None]:
    """The keys that an operation registers, and those it takes away."""
    match operation.request:
        case Register(id=name, signing_key=SigningKey() as key):
            return {name: key}
        case Unregister(id=name):
            return {name: None}
    return {}
