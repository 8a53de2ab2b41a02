"""Who may be asked to work."""

from __future__ import annotations

from gitpw.domain.board import Board
from gitpw.domain.operation import Done, Operation, Outcome, Refused, Register, Signing, Unregister
from gitpw.domain.worker import Worker, WorkerType


def register(board: Board, operation: Operation, request: Register) -> Outcome:
    """A worker introduces itself, or changes what is given."""
    old = board.worker(request.id)
    worker = old or Worker(
        id=request.id,
        type=request.type
        or (operation.author.type if request.id == operation.author.worker else WorkerType.HUMAN),
        name=request.name or request.id,
    )
    given = {
        "type": request.type,
        "name": request.name,
        "skills": None if request.skills is None else tuple(sorted(set(request.skills))),
        "max_concurrent_tasks": request.max_concurrent_tasks,
    }
    meta = {"github_username": request.github_username, "agent_type": request.agent_type}
    metadata = worker.metadata.but(**{name: value for name, value in meta.items() if value is not None})
    worker = worker.but(
        metadata=metadata, **{name: value for name, value in given.items() if value is not None}
    )
    board.put_worker(worker)
    detail = {"worker": request.id}
    key = request.signing_key
    if key is None or key == board.signer(request.id):
        return Done(changed=worker != old, detail=detail)
    board.put_signer(request.id, key)
    return Done(detail={**detail, "signingKey": key.fingerprint})


def unregister(board: Board, _operation: Operation, request: Unregister) -> Outcome:
    """A worker leaves, with empty hands."""
    worker = board.worker(request.id)
    if worker is None:
        return Refused(
            code="invalid", message=f"there is no worker {request.id}", hint="see 'git pw worker list'"
        )
    for claim in board.claims():
        if claim.worker == request.id:
            what = claim.task or ", ".join(held.resource for held in claim.locks)
            return Refused(
                code="invalid",
                message=f"{request.id} still holds {what}",
                hint="release or unlock it first",
            )
    board.drop_worker(request.id)
    board.put_signer(request.id, None)
    return Done(detail={"worker": request.id})


def signing(board: Board, operation: Operation, request: Signing) -> Outcome:
    """Signatures are asked for from now on, or no longer; who may decide that is in `custody`."""
    old = board.settings
    chosen = request.administrators or old.administrators or (operation.author.worker,)
    new = old.but(signed=request.on, administrators=tuple(sorted(set(chosen))))
    board.put_settings(new)
    return Done(changed=new != old, detail={"on": new.signed, "administrators": list(new.administrators)})
