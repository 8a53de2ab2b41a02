"""Files of tasks, read and written: TOML `[[task]]`, JSON `[…]` or `{"tasks": […]}`, JSON Lines.

Whatever is wrong with a file is said with the line at which it is wrong.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from pydantic import ValidationError

from gitpw.domain.operation import NewTask
from gitpw.domain.record import complaint
from gitpw.errors import InvalidError, PwError, UsageError

KEYS = (
    "key", "title", "type", "description", "priority", "files", "after", "skills", "estimate", "issue", "parent",
    "related", "found_by",
)  # fmt: skip
"""What can be said of a task, in the order in which it is written."""


class Format(StrEnum):
    """How a file of tasks is written."""

    TOML = "toml"
    JSON = "json"
    JSONL = "jsonl"


EXTENSIONS = {"toml": Format.TOML, "json": Format.JSON, "jsonl": Format.JSONL, "ndjson": Format.JSONL}


class Found(NamedTuple):
    """One entry as it was read: its line, what it says, and at which line it says a certain key."""

    line: int
    data: object
    line_of: Callable[[str], int]


class Entry(NamedTuple):
    """A task that is to be added, and the line at which it begins."""

    line: int
    task: NewTask


def format_of(name: str, text: str) -> Format:
    """The format of a file by its extension, else by what is in it."""
    known = EXTENSIONS.get(name.rpartition(".")[2].lower()) if "." in name else None
    if known is not None:
        return known
    start = text.lstrip()
    if start.startswith("{"):
        first = start.partition("\n")[0]
        try:
            found = json.loads(first)
        except ValueError:
            return Format.JSON
        return Format.JSON if isinstance(found, dict) and "tasks" in found else Format.JSONL
    return Format.JSON if re.match(r"\[\s*(?:[{\]]|\Z)", start) else Format.TOML


def read(name: str, text: str, how: Format | None = None) -> list[Entry]:
    """The tasks of a file; `name` is what errors call it. Raises `UsageError` and `InvalidError` with the line."""
    text = text.removeprefix("\ufeff")
    found = READERS[how or format_of(name, text)](name, text)
    return [Entry(one.line, _task(name, one)) for one in found]


def wrong(name: str, line: int, what: str, hint: str | None = None) -> InvalidError:
    """The error that says where a file is wrong."""
    return InvalidError(f"{name}:{line}: {what}", hint=hint or "nothing was added")


def placed(name: str, line: int, error: PwError) -> PwError:
    """An error with the place in a file that it is about."""
    error.message = f"{name}:{line}: {error.message}"
    return error


def _unreadable(name: str, line: int, what: str, kind: str) -> UsageError:
    return UsageError(f"{name}:{line}: {what[:1].lower()}{what[1:]}", hint=f"it is no valid {kind}")


def _task(name: str, found: Found) -> NewTask:
    """What an entry says, checked."""
    if not isinstance(found.data, dict):
        raise wrong(name, found.line, "a task is a table of keys and values", "such as {'title': …}")
    for key in found.data:
        if key not in KEYS:
            near = difflib.get_close_matches(str(key), KEYS, 1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(KEYS)}"
            raise wrong(name, found.line_of(key), f"{key!r} is no key of a task", hint)
    if "title" not in found.data:
        raise wrong(name, found.line, "the task has no title", "title = '…'")
    given = {key: value for key, value in found.data.items() if value is not None}
    try:
        raw = json.dumps(given, default=str, allow_nan=False, ensure_ascii=False).encode()
        task = NewTask.model_validate_json(raw)
    except ValidationError as error:
        field, said = complaint(error)
        raise wrong(name, found.line_of(field) if field else found.line, f"{field} {said}".strip()) from error
    except UnicodeEncodeError as error:
        raise wrong(name, found.line, "a text has half a character in it") from error
    except ValueError as error:
        raise wrong(name, found.line, "a number is no number") from error
    if task.key == "":
        raise wrong(name, found.line_of("key"), "key must not be empty")
    return task


# JSON


class _Lines:
    """Which line an offset lies in."""

    def __init__(self, text: str) -> None:
        self._ends = [match.start() for match in re.finditer("\n", text)]

    def at(self, offset: int) -> int:
        return bisect_right(self._ends, offset - 1) + 1


class _Twice(dict[str, Any]):
    """An object that has a key twice, so that nobody knows which is meant."""

    key: str


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    twice = _Twice(found)
    names = [name for name, _ in pairs]
    twice.key = next(name for name in names if names.count(name) > 1)
    return twice


_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder(object_pairs_hook=_object)


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()


def _members(text: str, at: int) -> Iterator[tuple[str, int]]:
    """The keys of the object that begins there, and where their values begin; the text is known to be JSON."""
    at = _skip(text, at + 1)
    while not text.startswith("}", at):
        key, at = _DECODER.raw_decode(text, at)
        at = _skip(text, _skip(text, at) + 1)  # the colon
        yield key, at
        at = _after(text, _DECODER.raw_decode(text, at)[1])


def _after(text: str, end: int) -> int:
    """Where the next item begins, or the closing bracket stands."""
    end = _skip(text, end)
    return _skip(text, end + 1) if text.startswith(",", end) else end


def _elements(name: str, text: str, at: int, lines: _Lines) -> Iterator[Found]:
    """The elements of the list that begins there."""
    at = _skip(text, at + 1)
    while not text.startswith("]", at):
        data, end = _DECODER.raw_decode(text, at)
        if isinstance(data, _Twice):
            said = [value for key, value in _members(text, at) if key == data.key] or [at, at]
            raise wrong(name, lines.at(said[1]), f"{data.key} is said twice", "leave out one of them")
        yield Found(lines.at(at), data, _line_of(text, at, lines))
        at = _after(text, end)


def _line_of(text: str, start: int, lines: _Lines) -> Callable[[str], int]:
    """Finds the line of a key of the object that begins there: only looked for when it is wrong."""

    def line_of(key: str) -> int:
        if not text.startswith("{", start):
            return lines.at(start)
        return next(
            (lines.at(value) for name, value in _members(text, start) if name == key), lines.at(start)
        )

    return line_of


def _read_json(name: str, text: str) -> list[Found]:
    lines = _Lines(text)
    try:
        json.loads(text)
        start = _skip(text, 0)
        if text.startswith("{", start):
            found = next((value for key, value in _members(text, start) if key == "tasks"), None)
            if found is None:
                return [
                    Found(lines.at(start), _DECODER.raw_decode(text, start)[0], _line_of(text, start, lines))
                ]
            start = found
        if not text.startswith("[", start):
            raise wrong(name, lines.at(start), "tasks are a list", "[{'title': …}, …] or {'tasks': […]}")
        return list(_elements(name, text, start, lines))
    except json.JSONDecodeError as error:
        raise _unreadable(name, error.lineno, error.msg, "JSON") from error
    except RecursionError as error:
        raise _unreadable(name, 1, "it is nested too deeply", "JSON") from error


def _read_lines(name: str, text: str) -> list[Found]:
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                data = json.loads(line, object_pairs_hook=_object)
            except (ValueError, RecursionError) as error:
                what = error.msg if isinstance(error, json.JSONDecodeError) else "it is nested too deeply"
                raise _unreadable(name, number, what, "JSON") from error
            if isinstance(data, _Twice):
                raise wrong(name, number, f"{data.key} is said twice", "leave out one of them")
            found.append(Found(number, data, lambda _, number=number: number))  # type: ignore[misc]
    return found


# TOML


def _read_toml(name: str, text: str) -> list[Found]:
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        at = re.search(r" \(at line (\d+), column (\d+)\)$", str(error))
        line = int(at[1]) if at else len(text.splitlines()) or 1
        deep = isinstance(error, RecursionError)
        early = "it is nested too deeply" if deep else "the file ends too early"
        what = str(error)[: at.start()] if at else early
        raise _unreadable(name, line, what, "TOML") from error
    lines = text.split("\n")
    for key in data:
        if key != "task":
            raise wrong(name, _toml_line(lines, 0, key), f"{key!r} is no table of tasks", "write [[task]]")
    tasks = data.get("task", [])
    if not isinstance(tasks, list):
        raise wrong(name, _toml_line(lines, 0, "task"), "tasks are a list of tables", "write [[task]]")
    heads = _heads(lines, len(tasks))
    return [
        Found(head + 1, task, lambda key, head=head: _toml_line(lines, head, key))  # type: ignore[misc]
        for head, task in zip(heads, tasks, strict=True)
    ]


_HEAD = re.compile(r"""\s*\[\[\s*(?:task|"task"|'task')\s*\]\]\s*(?:#.*)?$""")


def _heads(lines: Sequence[str], count: int) -> list[int]:
    """The lines at which the tasks begin; a text of many lines may hold what only looks like it."""
    looks = [number for number, line in enumerate(lines) if _HEAD.match(line)]
    if len(looks) == count:
        return looks
    if len(looks) < count:  # written as one list
        inline = [number for number, line in enumerate(lines) if line.lstrip().startswith("{")]
        return inline if len(inline) == count else [_toml_line(lines, 0, "task") - 1] * count
    real: list[int] = []
    for number in looks:
        try:
            tomllib.loads("\n".join(lines[real[-1] if real else 0 : number]))
        except tomllib.TOMLDecodeError:
            continue  # within a text
        real.append(number)
    return real if len(real) == count else looks[:count]


def _toml_line(lines: Sequence[str], start: int, key: str) -> int:
    """The line of a key from a line on, counted from one; that line if it isn't found."""
    said = re.compile(rf"""\s*(?:\[*\s*)?["']?{re.escape(key)}["']?\s*[=.\]]""")
    for number in range(start, len(lines)):
        if number > start and _HEAD.match(lines[number]):
            break
        if said.match(lines[number]) and not (number == start and _HEAD.match(lines[number])):
            return number + 1
    return start + 1


READERS: Mapping[Format, Callable[[str, str], list[Found]]] = {
    Format.JSON: _read_json,
    Format.JSONL: _read_lines,
    Format.TOML: _read_toml,
}


# Writing


def said(task: NewTask) -> dict[str, Any]:
    """What there is to say of a task: what is as it is by default is left out."""
    data = task.model_dump(mode="json", exclude_defaults=True)
    return {key: data[key] for key in KEYS if key in data}


def written(tasks: Iterable[NewTask], how: Format, toml: Callable[[Mapping[str, Any]], str]) -> str:
    """A file of tasks; `toml` writes TOML."""
    data = [said(task) for task in tasks]
    if how is Format.TOML:
        return "\n".join(f"[[task]]\n{toml(one)}" for one in data)
    rows = [json.dumps(one, ensure_ascii=False) for one in data]
    if how is Format.JSONL:
        return "".join(f"{row}\n" for row in rows)
    return '{"tasks": [\n' + ",\n".join(f"  {row}" for row in rows) + "\n]}\n"
