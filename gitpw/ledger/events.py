"""Commits as events, quickly: plain JSON, of which only what is used is looked at and checked.

A hundred thousand commits are read in a second or two. Pydantic would take ten times as long, and what was once
accepted into the ledger must be shown whether it is valid or not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from sys import intern
from typing import Any

from gitpw.domain.ids import TASK
from gitpw.domain.trail import EARLIEST, LATEST, Event
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

WITH_FACTS = frozenset({"add", "split", "complete", "fail", "merging", "land", "return"})
"""Verbs of which history needs to know more."""

_COUNTER, _OPERATION, _OUTCOME = f"\n{COUNTER}", f"\n{OPERATION}", f"\n{OUTCOME}"
_ENDS = ("\n", "")
_USUAL = re.compile(
    r"([^\n]+)\n\n"
    + COUNTER
    + r"([0-9]{1,18})\n"
    + OPERATION
    + r'\{(?:"along":\[[^\n]*\],)?"at":"(20[0-9]{2}-[0-9]{2}-[0-2][0-9]T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)",'
    r'"author":\{[^{}\n]*"worker":"([a-z0-9._-]{1,63})"\},"id":"([0-9a-f]{32})",'
    r'"request":\{([^\n]*)"verb":"([a-z]{1,20})"(?:,"w[a-z]{1,20}":(?:null|true|false|[0-9]{1,18}))*\}(?:,"said":\[[^\n]*\])?,"seen":[0-9]{1,18},"v":1\}\n'
    + OUTCOME
    + r'\{"changed":true,"claim":(?:null|"[0-9a-f]{16}"),"detail":(\{[^\n]*\}),"notes":\[[^\n]*\],'
    r'"tasks":\[((?:"task-[0-9]{3,9}",?)*)\],"token":(null|[0-9]{1,18})\}\n'
)
"""A message as git-pw writes it. In JSON every quote within a string has a backslash, so none is taken for another."""

_QUICK = {
    **dict.fromkeys(("claim", "release", "lock", "unlock"), ""),
    **dict.fromkeys(("start", "progress", "push", "renew", "suspect", "expire"), ""),
    "add": '"type":"',
    **dict.fromkeys(("merging", "land", "return"), '"back":[]'),
    "complete": '"queue":true',
}
"""Verbs of which nobody needs to know more than that, where their request has these words."""

_SAID = re.compile(r'"(done|eta|percent|step|total)":("(?:[^"\\]|\\.)*"|[0-9]{1,18})')
"""What is said of progress."""

_TYPE = re.compile(r'"type":("[a-z]+")')
"""The types of new tasks."""

_decode = json.JSONDecoder(parse_constant=lambda _: None).raw_decode
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def event(text: str, commit: str, when: int) -> Event | None:
    """The event that a commit message holds, None where it holds none; `when` stands in for a time that isn't one."""
    usual = _USUAL.fullmatch(text)
    try:
        found = None if usual is None else _usual(usual, commit)
    except ValueError:  # no such day
        found = None
    return found or decoded(text, commit, when)


def _usual(found: re.Match[str], commit: str) -> Event | None:
    """The event of a message as git-pw writes most of them, cut out of it; None where there is more to it."""
    subject, counter, at, worker, identity, request, verb, detail, tasks, grant = found.groups()
    if verb not in _QUICK or _QUICK[verb] not in request or (not tasks and '"task":"' in request):
        return None
    more = []
    if '"token":' not in detail and (grant != "null" or verb in ALWAYS):
        more.append(f'"token":{grant}')
    if verb in ALWAYS and '"reason":' not in detail:
        more.append('"reason":null')
        if '"files":' not in detail or '"reason":"' in request:
            return None
    if verb == "progress":
        more += [f'"{name}":{value}' for name, value in _SAID.findall(request)]
    if more:
        detail = f"{detail[:-1]}{',' if len(detail) > len('{}') else ''}{','.join(more)}}}"
    if not subject.isprintable():
        return None
    seconds = int(datetime.fromisoformat(at).timestamp())
    names = tasks.replace('"', "").replace(",", " ")
    facts = f'{{"types":[{",".join(_TYPE.findall(request))}]}}' if verb == "add" else ""
    about = intern(worker), intern(verb), names, subject, detail, facts
    return Event(int(counter), seconds, identity, commit, *about)


def decoded(text: str, commit: str, when: int) -> Event | None:
    """The same of any message, with its JSON decoded."""
    parts = _parts(text)
    if parts is None:
        return None
    counter, operation, outcome = parts
    request, author = operation.get("request"), operation.get("author")
    if not isinstance(request, dict) or not isinstance(author, dict):
        return None
    identity, worker, verb = map(_word, (operation.get("id"), author.get("worker"), request.get("verb")))
    at, tasks = _seconds(operation.get("at"), when), _tasks(request, outcome)
    subject, detail = _line(text[: text.find("\n")]), _detail(verb, request, outcome)
    facts = _json(_facts(verb, request, outcome)) if verb in WITH_FACTS else ""
    return Event(counter, at, identity, commit, worker, verb, tasks, subject, detail, facts)


def _parts(text: str) -> tuple[int, dict[str, Any], dict[str, Any]] | None:
    """Counter, operation and outcome; the last of each counts, as in `commits.read`."""
    first, second, third = text.rfind(_COUNTER), text.rfind(_OPERATION), text.rfind(_OUTCOME)
    if first < 0 or second < 0 or third < 0:
        return None
    number = NUMBER.match(text, first + len(_COUNTER))
    try:
        operation, end = _decode(text, second + len(_OPERATION))
        outcome, last = _decode(text, third + len(_OUTCOME))
    except (ValueError, RecursionError):
        return None
    if number is None or text[number.end() : number.end() + 1] not in _ENDS:
        return None
    if text[end : end + 1] not in _ENDS or text[last : last + 1] not in _ENDS:
        return None
    if not isinstance(operation, dict) or not isinstance(outcome, dict):
        return None
    return int(number[0]), operation, outcome


def _word(value: object) -> str:
    return _line(value) if isinstance(value, str) else ""


def _line(text: str) -> str:
    """The text without what ends a field or a line of a list of events, where it is nobody's honest word."""
    return text if text.isprintable() else re.sub(r"[\t\n]", " ", text)


def _json(data: Mapping[str, Any]) -> str:
    """The object as text, "" for an empty one; one with numbers beyond all bounds isn't worth keeping."""
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


def _tasks(request: Mapping[str, Any], outcome: Mapping[str, Any]) -> str:
    named = outcome.get("tasks") or [request.get("task")]
    if not isinstance(named, list):
        return ""
    return " ".join([name for name in named[:MOST_TASKS] if isinstance(name, str) and TASK.fullmatch(name)])


def _detail(verb: str, request: Mapping[str, Any], outcome: Mapping[str, Any]) -> str:
    """What was granted, and for what reason."""
    found = outcome.get("detail")
    detail = found if isinstance(found, dict) else {}
    if outcome.get("token") is not None:
        detail.setdefault("token", outcome["token"])
    for name in TOLD.get(verb, ()):
        value = request.get(name)
        if value is not None or verb in ALWAYS:
            detail.setdefault(name, value)
    return _json(detail) or "{}"


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
