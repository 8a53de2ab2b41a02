"""What a review found, in words and as JSON shows it."""

from __future__ import annotations

from gitpw.domain.grant import holder
from gitpw.domain.ids import isoformat
from gitpw.domain.lock import Claim
from gitpw.domain.review import Finding, Kind


def told(found: Finding) -> str:
    """The finding in a line, with its file, commit, holder, task and the end of the lease."""
    commit = found.commit[:10]
    match found.kind:
        case Kind.HELD:
            return f"{found.file} ({commit}) is held by {_holder(found.claim)}"
        case Kind.WAS_HELD:
            return (
                f"{found.file} ({commit}) was held by {_holder(found.claim, then=True)} when it was changed"
            )
        case Kind.NEEDS_LOCK:
            return f"{found.file} ({commit}) may be changed only under an exclusive lock of one's own"
        case Kind.STALE:
            return f"{_claimed(found)} ({commit}) is lost: {_story(found)}"


def _holder(claim: Claim | None, *, then: bool = False) -> str:
    if claim is None:
        return "nobody"
    task = f" for {claim.task}" if claim.task else ""
    until = "until it is merged" if claim.queued else f"until {isoformat(claim.lease.expires_at)}"
    return f"{claim.worker}{task}" if then else f"{claim.worker}{task} {until}"


def _claimed(found: Finding) -> str:
    task, token = found.stamp or (None, None)
    return f"the claim on {task} with token {token}"


def _story(found: Finding) -> str:
    """What became of the claim, and who has the task now."""
    ending, claim = found.ending, found.claim
    before = f"{ending.how} by {ending.by} at {isoformat(ending.at)}" if ending is not None else ""
    now = f"{claim.worker} has it with token {claim.token}" if claim is not None else ""
    return "; ".join(part for part in (before, now) if part) or "nobody remembers it"


def way_out(found: Finding) -> str:
    """What can be done about it."""
    task = found.stamp.task if found.stamp is not None else None
    match found.kind:
        case Kind.HELD if found.claim is not None and found.claim.task is None:
            return (
                f"wait until it is free, ask {found.claim.worker}, or take the change out; the lock's own commits "
                f"say so: git commit --amend --no-edit --trailer 'Pw-Token: {found.claim.token}'"
            )
        case Kind.HELD if found.claim is not None:
            return f"wait until it is free, ask {found.claim.worker}, or take the change out of the commits"
        case Kind.NEEDS_LOCK:
            return f"in the task's worktree: git pw lock -- {found.file}"
        case Kind.STALE if found.claim is not None:
            return f"leave it to {found.claim.worker}, who vouches for what is there with 'git pw push'"
        case Kind.STALE:
            return f"claim it again: git pw claim {task}"
    return "look whether both changes are still what they should be"


def public(found: Finding) -> dict[str, object]:
    """The finding as `--json` shows it."""
    by = None if found.claim is None else holder(found.claim, found.locked)
    data: dict[str, object] = {
        "file": found.file,
        "commit": found.commit,
        "kind": found.kind.value,
        "holder": by,
    }
    if found.stamp is not None:
        data |= {"taskId": found.stamp.task, "token": found.stamp.token}
    return {**data, "message": told(found), "hint": way_out(found)}
