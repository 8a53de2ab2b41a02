"""Commits as events, quickly: plain JSON, of which only what is used is looked at and checked.

A hundred thousand commits are read in a second or two. Pydantic would take ten times as long, and what was once
accepted into the ledger must be shown whether it is valid or not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gitpw.domain.event import EARLIEST, LATEST, Event
from gitpw.domain.ids import TASK
from gitpw.ledger.commits import COUNTER, NUMBER, OPERATION, OUTCOME

MOST_TASKS = 10_000
"""Tasks of one operation that are looked at: no honest one has more."""

TOLD = {
    "fail": ("reason", "kind"),
    "progress": ("step", "done", "total", "percent", "eta"),
    "restore": ("reason",),
    "edit": (
        *("title", "type", "priority", "files", "after", "noAfter", "skills", "estimate", "issue"),
        *("parent", "noParent", "related", "noRelated"),
    ),
    "register": ("id", "type", "name", "skills", "maxConcurrentTasks"),
    "claim": ("files", "token", "reason"),
    "lock": ("files", "token", "reason"),
    "unlock": ("files", "token", "reason"),
    "release": ("files", "token", "reason"),
}
"""What of a request people see in the log's words, and programs in its detail."""

ALWAYS = frozenset({"claim", "lock", "unlock", "release"})
"""Whose detail has all of that, null where nothing was said."""

_decode = json.JSONDecoder(parse_constant=lambda _: None).raw_decode
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def event(text: str, commit: str, when: int) -> Event | None:
    """The event that a commit message holds, None where it holds none; `when` stands in for a time that isn't one."""
    parts = _parts(text)
    if parts is None:
        return None
    counter, operation, outcome = parts
    request, author = operation.get("request"), operation.get("author")
    if not isinstance(request, dict) or not isinstance(author, dict):
        return None
    verb = _word(request.get("verb"))
    return Event(
        counter,
        _seconds(operation.get("at"), when),
        _word(operation.get("id")),
        commit,
        _word(author.get("worker")),
        verb,
        " ".join(_tasks(request, outcome)),
        _line(text.partition("\n")[0]),
        _json(_detail(verb, request, outcome)) or "{}",
        _json(_facts(verb, request, outcome)),
    )


def _parts(text: str) -> tuple[int, dict[str, Any], dict[str, Any]] | None:
    """Counter, operation and outcome; the last of each counts, as in `commits.read`."""
    places = [text.rfind(f"\n{mark}") for mark in (COUNTER, OPERATION, OUTCOME)]
    if min(places) < 0:
        return None
    first = places[0] + 1 + len(COUNTER)
    number = text[first : first + 19].partition("\n")[0]
    try:
        operation, end = _decode(text, places[1] + 1 + len(OPERATION))
        outcome, last = _decode(text, places[2] + 1 + len(OUTCOME))
    except (ValueError, RecursionError):
        return None
    whole = text[end : end + 1] in {"\n", ""} and text[last : last + 1] in {"\n", ""}
    if not whole or not NUMBER.fullmatch(number):
        return None
    if not isinstance(operation, dict) or not isinstance(outcome, dict):
        return None
    return int(number), operation, outcome


def _word(value: object) -> str:
    return _line(value) if isinstance(value, str) else ""


def _line(text: str) -> str:
    """The text without what ends a field or a line of a list of events."""
    return text if text.isprintable() else text.replace("\t", " ").replace("\n", " ")


def _json(data: Mapping[str, Any]) -> str:
    """The object as text, "" for an empty one; numbers beyond all bounds aren't worth keeping."""
    try:
        return _encode(data) if data else ""
    except (ValueError, RecursionError):
        return ""


def _seconds(at: object, when: int) -> int:
    try:
        moment = datetime.fromisoformat(at) if isinstance(at, str) else None
        found = when if moment is None else int((moment if moment.tzinfo else _utc(moment)).timestamp())
    except (ValueError, OverflowError):
        found = when
    return min(max(found, EARLIEST), LATEST)


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


def _tasks(request: Mapping[str, Any], outcome: Mapping[str, Any]) -> list[str]:
    named = outcome.get("tasks") or [request.get("task")]
    if not isinstance(named, list):
        return []
    return [name for name in named[:MOST_TASKS] if isinstance(name, str) and TASK.fullmatch(name)]


def _detail(verb: str, request: Mapping[str, Any], outcome: Mapping[str, Any]) -> dict[str, Any]:
    """What was granted, and for what reason."""
    found = outcome.get("detail")
    detail = found if isinstance(found, dict) else {}
    if outcome.get("token") is not None:
        detail.setdefault("token", outcome["token"])
    for name in TOLD.get(verb, ()):
        value = request.get(name)
        if value is not None or verb in ALWAYS:
            detail.setdefault(name, value)
    return detail


def _facts(verb: str, request: Mapping[str, Any], outcome: Mapping[str, Any]) -> dict[str, Any]:
    """What history needs to know beyond the verb and its tasks; mostly nothing."""
    match verb:
        case "add":
            new = request.get("tasks")
            return {"types": [_type(one) for one in new[:MOST_TASKS]] if isinstance(new, list) else []}
        case "split":
            return {"type": _type(request)}
        case "complete" if request.get("queue") is False:
            return {"landed": True}
        case "fail":
            return {"kind": _word(request.get("kind"))}
        case "merging" | "land" | "return" if request.get("back"):
            return {"back": _back(request["back"], outcome)}
    return {}


def _type(new: object) -> str:
    kind = new.get("type") if isinstance(new, dict) else None
    return kind if isinstance(kind, str) and kind.isascii() and kind.isalpha() else ""


def _back(back: object, outcome: Mapping[str, Any]) -> dict[str, str]:
    """What a merger gave back to its owners, by how it had gone."""
    detail = outcome.get("detail")
    names = detail.get("returned") if isinstance(detail, dict) else None
    if not isinstance(back, list) or not isinstance(names, list):
        return {}
    states = {
        one["task"]: one["state"]
        for one in back[:MOST_TASKS]
        if isinstance(one, dict) and isinstance(one.get("task"), str) and isinstance(one.get("state"), str)
    }
    returned = (name for name in names[:MOST_TASKS] if isinstance(name, str) and TASK.fullmatch(name))
    return {name: states.get(name, "") for name in returned}
