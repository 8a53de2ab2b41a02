"""Operations as commits: a subject that people understand, then the operation and its outcome, verbatim."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from gitpw.domain.board import Board
from gitpw.domain.ids import TaskId
from gitpw.domain.operation import (
    Add,
    Begin,
    Call,
    Done,
    Drop,
    Edit,
    Expire,
    Fail,
    First,
    Frozen,
    Intend,
    Land,
    Leave,
    Lock,
    Merging,
    Moved,
    Operation,
    Register,
    Renew,
    Report,
    Requeue,
    Restore,
    Resume,
    SendBack,
    Signing,
    Split,
    Stop,
    Suspect,
    Unlock,
    Unregister,
    Wait,
    Warn,
    Withdraw,
)

OPERATION, OUTCOME, COUNTER = "Pw-Operation: ", "Pw-Outcome: ", "Pw-Counter: "

NUMBER = re.compile(r"[0-9]{1,18}")
SUBJECT = 120
"""Characters of the longest subject."""


class Entry(NamedTuple):
    """One line of the audit trail, as the commit has it: nothing in it has been checked.

    `commit` is the state that it led to, where it was read from a history.
    """

    counter: int
    subject: str
    operation: Mapping[str, Any]
    outcome: Mapping[str, Any]
    commit: str = ""


def message(board: Board, operation: Operation, outcome: Done) -> str:
    """The commit message of an operation that was applied to this board."""
    lines = [
        subject(board, operation, outcome),
        "",
        f"{COUNTER}{board.counter}",
        f"{OPERATION}{_json(operation.to_data())}",
        f"{OUTCOME}{_json(outcome.to_data())}",
    ]
    return "\n".join(lines) + "\n"


def _json(data: object) -> str:
    return json.dumps(data, ensure_ascii=True, sort_keys=True, separators=(",", ":"))


def subject(board: Board, operation: Operation, outcome: Done) -> str:
    """What happened, in a line."""
    return _one_line(f"{_what(board, operation, outcome)} ({operation.author.worker})")


def _one_line(text: str) -> str:
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    return text if len(text) <= SUBJECT else text[: SUBJECT - 1] + "…"


def _what(board: Board, operation: Operation, outcome: Done) -> str:
    request = operation.request
    tell = _TELLERS.get(type(request))
    if tell is not None:
        return tell(board, request, outcome)
    named = ", ".join(_named(board, task) for task in outcome.tasks[:3])
    return f"{request.verb} {named}".strip()


def _added(_board: Board, request: Add, outcome: Done) -> str:
    return (
        f"add {outcome.tasks[0]}: {request.tasks[0].title}"
        if len(outcome.tasks) == 1
        else f"add {len(outcome.tasks)} tasks"
    )


def _locked(_board: Board, request: Lock, _outcome: Done) -> str:
    why = f": {request.reason}" if request.reason else ""
    return f"lock {', '.join(held.resource for held in request.locks)}{why}"


def _unlocked(_board: Board, request: Unlock, outcome: Done) -> str:
    return f"unlock {', '.join(outcome.detail.get('files', ()))}{f' by force: {request.reason}' if request.force else ''}"


def _renewed(_board: Board, request: Renew, _outcome: Done) -> str:
    return f"renew {len(request.claims)} {'lease' if len(request.claims) == 1 else 'leases'}"


def _warned(board: Board, _request: Warn, outcome: Done) -> str:
    claims = [claim for name in outcome.detail.get("warned", ()) if (claim := board.claim(name)) is not None]
    names = (claim.task or f"locks of {claim.worker}" for claim in claims)
    return f"warn: about to end, the lease on {', '.join(names)}"


def _registered(_board: Board, request: Register, outcome: Done) -> str:
    key = outcome.detail.get("signingKey")
    force = f" by force: {request.reason}" if request.force and key else ""
    return f"register {request.id}{f' with the signing key {key}' if key else ''}{force}"


def _reported(board: Board, request: Report, _outcome: Done) -> str:
    progress = board.progress(request.task)
    far = f" {progress.percent_complete} %" if progress else ""
    return f"progress {request.task}{far}{': ' + request.step if request.step else ''}"


def _waits(board: Board, request: Wait, outcome: Done) -> str:
    if request.ticket is not None:
        return "still wait"
    waiter = board.waiter(outcome.detail.get("ticket", 0))
    return f"wait for {'something' if waiter is None else waiter.wish}"


def _merging(_board: Board, request: Merging, outcome: Done) -> str:
    if outcome.token is None:
        return "merging: the other merger's lease looks overdue"
    back = _back(outcome)
    what = f": {', '.join(mark.task for mark in request.marks)}" if request.marks else ""
    return f"{'go on' if outcome.detail.get('renewed') else 'begin'} merging{what}{back}"


def _land(_board: Board, request: Land, outcome: Done) -> str:
    commit = f" as {request.commit[:12]}" if request.commit else ""
    return f"land {', '.join(outcome.tasks) or 'nothing'}{commit}{_back(outcome)}"


def _sent_back(_board: Board, _request: SendBack, outcome: Done) -> str:
    back = _back(outcome).removeprefix("; ")
    return back or "end merging"


def _back(outcome: Done) -> str:
    names = outcome.detail.get("returned") or ()
    return f"; return {', '.join(names)} to its owner" if names else ""


def _paused(_board: Board, request: Stop, _outcome: Done) -> str:
    which = "" if request.below is None else f" below priority {request.below}"
    return f"pause merging{which}{': ' + request.reason if request.reason else ''}"


def _dropped(board: Board, request: Drop, _outcome: Done) -> str:
    why = f": {request.reason}" if request.reason else ""
    return f"take {_named(board, request.task)} out of the merge queue{why}"


def _expired(board: Board, _request: Expire, outcome: Done) -> str:
    files = [name for name in outcome.detail.get("files", ()) if isinstance(name, str)]
    what = [_named(board, task) for task in outcome.tasks] or files or ["old records"]
    more = f" and {len(what) - 3} more" if len(what) > 3 else ""  # noqa: PLR2004 - fit on a line
    return f"return what overdue claims held: {', '.join(what[:3])}{more}"


def _suspected(_board: Board, _request: Suspect, outcome: Done) -> str:
    number = len(outcome.detail.get("suspected", ()))
    return f"note that {number} {'lease looks' if number == 1 else 'leases look'} overdue"


_TELLERS: Mapping[type, Callable[[Board, Any, Done], str]] = {
    Add: _added,
    Begin: lambda *_: "begin the ledger",
    Call: lambda *_: "ask whether those ahead still wait",
    Drop: _dropped,
    Edit: lambda board, request, _: f"edit {_named(board, request.task)}",
    Expire: _expired,
    Fail: lambda board, request, _: f"fail {_named(board, request.task)}: {request.reason}",
    First: lambda board, request, _: f"put {_named(board, request.task)} first in the merge queue",
    Frozen: lambda _board, request, _: f"freeze: the base branch is red at {request.commit[:12]}",
    Intend: lambda _board, request, outcome: f"landing {', '.join(outcome.tasks)} as {request.commit[:12]}",
    Land: _land,
    Leave: lambda *_: "wait no more",
    Lock: _locked,
    Merging: _merging,
    Moved: lambda _board, request, _: (
        "keep the ledger on this machine after all" if request.back else "move the ledger to a remote"
    ),
    Register: _registered,
    Renew: _renewed,
    Report: _reported,
    Requeue: lambda board, request, _: f"put {_named(board, request.task)} back into the merge queue",
    Resume: lambda *_: "go on merging",
    Restore: lambda *_: "restore the ledger",
    Split: lambda board, request, outcome: (
        f"split {_named(board, request.task)} into {', '.join(outcome.tasks)}"
    ),
    SendBack: _sent_back,
    Signing: lambda _board, request, _: "sign operations" if request.on else "no longer sign operations",
    Stop: _paused,
    Suspect: _suspected,
    Unlock: _unlocked,
    Unregister: lambda _board, request, _: f"unregister {request.id}",
    Wait: _waits,
    Warn: _warned,
    Withdraw: lambda _board, request, outcome: (
        f"withdraw the landing of {', '.join(outcome.tasks)} as {request.commit[:12]}"
    ),
}


def _named(board: Board, name: TaskId) -> str:
    task = board.task(name)
    return name if task is None else f"{name}: {task.title}"


def read(text: str) -> Entry | None:
    """The operation that a commit message holds; None where it holds none."""
    parts = {}
    for line in text.splitlines():
        for mark in (OPERATION, OUTCOME, COUNTER):
            if line.startswith(mark):
                parts[mark] = line.removeprefix(mark)
    try:
        operation, outcome = json.loads(parts[OPERATION]), json.loads(parts[OUTCOME])
        counter = int(parts[COUNTER]) if NUMBER.fullmatch(parts[COUNTER]) else None
    except (KeyError, ValueError, RecursionError):
        return None
    if counter is None or not isinstance(operation, dict) or not isinstance(outcome, dict):
        return None
    return Entry(counter, text.partition("\n")[0], operation, outcome)


def seconds(moment: datetime) -> int:
    """A moment as git counts time."""
    return int(moment.astimezone(UTC).timestamp())
