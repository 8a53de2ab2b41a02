"""`.gitpw.toml`: the rules of a repository, read, and changed without disturbing what people wrote around them."""

from __future__ import annotations

import difflib
import itertools
import os
import re
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ValidationError

from gitpw.adapters.disk import replace
from gitpw.domain.policy import Policy
from gitpw.errors import ConfigError, InvalidError, PwError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NAME = ".gitpw.toml"

LONGEST = 1 << 20
"""Bytes; a file beyond that is no policy."""

EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "a table",
    "float_parsing": "a number",
    "float_type": "a number",
    "int_type": "a whole number",
    "list_type": 'a list, as in ["…"]',
    "model_type": "a table",
    "string_type": "a text in quotes",
}
"""What was expected, by pydantic's name of the error."""

INITIAL = """\
# The rules of git pw for this repository. All of them, with their defaults: git pw config

ledger = {ledger}  # the ledger's id: where it is missing, 'git pw init' doesn't begin another in silence

# [policy]
# critical = ["**/package-lock.json"]   # changed only under an exclusive lock
# enforce = "strict"                    # every change needs a lock

# [claim]
# lease = "60m"

# [merge]
# base = "main"
# test = "make test"
"""


class Wrong(NamedTuple):
    """What is wrong with one key."""

    key: tuple[str, ...]
    what: str
    hint: str | None
    kind: str


def load_policy(root: str | None) -> Policy:
    """The rules in the root of a checkout; the defaults where there is no file. Raises `ConfigError`."""
    text = _text(root)
    return Policy() if text is None else parse_policy(text)


def parse_policy(text: str, where: str = NAME) -> Policy:
    """Read rules; `where` names the file in errors. Raises `ConfigError` with the line."""
    data = _parsed(text, where)
    found = _wrong(data)
    if found is None:
        return Policy.model_validate(data)
    line = _line_of(text.splitlines(), found.key)
    place = where if line is None else f"{where}:{line + 1}"
    hint = found.hint or f"git pw config {'.'.join(found.key)} VALUE"
    raise ConfigError(f"{place}: {'.'.join(found.key)}: {found.what}", hint=hint)


def get_value(root: str | None, key: str) -> Any:
    """The value of a key such as `claim.lease`, its default where it isn't set. Raises `ConfigError`."""
    return _at(load_policy(root), _path(key))


def set_value(root: str, key: str, text: str) -> None:
    """Set a key to what a person typed, leaving comments and layout alone as far as can be.

    Raises `ConfigError` for a key that doesn't exist or a file that is broken already, `UsageError` and
    `InvalidError` for a value that doesn't fit.
    """
    path = _path(key)
    before = _text(root) or ""
    parse_policy(before)
    value = _fitting(path, text)
    wanted = _with(_parsed(before, NAME), path, value)
    found = _wrong(wanted)
    if found is not None:
        raise InvalidError(f"{'.'.join(found.key)}: {found.what}", hint=found.hint)
    _write(root, _edited(before, path, value, wanted))


def write_initial(root: str, ledger: str) -> bool:
    """Write a small file with the ledger's id; False where there is a file already."""
    if os.path.lexists(Path(root, NAME)):
        return False
    _write(root, INITIAL.format(ledger=_literal(ledger)))
    return True


def _write(root: str, text: str) -> None:
    replace(str(Path(root, NAME)), text.encode())


def _text(root: str | None) -> str | None:
    """The file as it is; None where there is none."""
    if root is None:
        return None
    path = Path(root, NAME)
    if not os.path.lexists(path):
        return None
    # What is checked in may be a link to a device, or as large as somebody likes.
    if not path.is_file() or path.stat().st_size > LONGEST:
        raise ConfigError(f"{NAME} is no ordinary file", hint="it is a TOML file of less than a megabyte")
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{NAME} isn't UTF-8: byte {error.start}", hint="save it as UTF-8") from error
    except OSError as error:
        raise ConfigError(f"{NAME} can't be read: {error.strerror}") from error


def _parsed(text: str, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        at = re.search(r" \(at line (\d+), column (\d+)\)$", str(error))
        line = at[1] if at else str(len(text.splitlines()) or 1)
        what = str(error)[: at.start()] if at else "the file ends too early"
        raise ConfigError(
            f"{where}:{line}: {what[:1].lower()}{what[1:]}", hint="it is no valid TOML"
        ) from error


def _wrong(data: Mapping[str, Any]) -> Wrong | None:
    """The first thing that is wrong, if any."""
    with suppress(ValidationError, PwError):
        Policy.model_validate(data)
        return None
    # Once more key by key: a rule of our own that complains (a duration) doesn't know its key.
    return next(found for key, part in _leaves(data) if (found := _wrong_leaf(key, part)) is not None)


def _leaves(data: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Each key, with a file that holds nothing else."""
    for name, value in data.items():
        if isinstance(value, dict) and value:
            for key, part in _leaves(value):
                yield (name, *key), {name: part}
        else:
            yield (name,), {name: value}


def _wrong_leaf(key: tuple[str, ...], data: Mapping[str, Any]) -> Wrong | None:
    try:
        Policy.model_validate(data)
    except PwError as error:
        return Wrong(key, error.message, error.hint, "value")
    except ValidationError as error:
        return _explained(error)
    return None


def _explained(error: ValidationError) -> Wrong:
    told = error.errors()
    first = told[0]
    # Below a key pydantic's path goes on with the place in a list, or the name of each type that would have done.
    deeper = (
        at for at, part in enumerate(first["loc"]) if isinstance(part, int) or part in {"str", "list[str]"}
    )
    key = tuple(str(part) for part in first["loc"][: next(deeper, None)])
    kind = first["type"]
    if kind == "extra_forbidden":
        return Wrong(key, "there is no such key", _nearest(key), "unknown")
    if kind in EXPECTED:
        expected = " or ".join(
            dict.fromkeys(EXPECTED[one["type"]] for one in told if one["type"] in EXPECTED)
        )
        return Wrong(key, f"expected {expected}", None, "type")
    if kind == "literal_error":
        return Wrong(key, f"expected {first['ctx']['expected']}", None, "value")
    return Wrong(key, first["msg"].replace("Input should be", "expected"), None, "value")


def _known() -> list[str]:
    """All keys there are, with dots."""
    keys = []
    for name, field in Policy.model_fields.items():
        section = field.annotation
        keys.append(name)
        if isinstance(section, type) and issubclass(section, BaseModel):
            keys += [f"{name}.{key}" for key in section.model_fields]
    return keys


def _nearest(key: tuple[str, ...]) -> str:
    """Which key may have been meant: by its whole name, else by its last part."""
    known = _known()
    near = difflib.get_close_matches(".".join(key), known, n=1, cutoff=0.75)
    if not near:
        by_last = {name.rpartition(".")[2]: name for name in reversed(known)}
        near = [by_last[last] for last in difflib.get_close_matches(key[-1], list(by_last), n=1, cutoff=0.6)]
    return f"did you mean {near[0]}?" if near else "'git pw config' lists the keys there are"


def _path(key: str) -> tuple[str, ...]:
    """A key with dots as its parts; raises `ConfigError` where there is no such key."""
    section, _, rest = key.partition(".")
    known = _known()
    if key in known:
        return tuple(part for part in (section, rest) if part)
    table, _, entry = rest.partition(".")
    if entry and f"{section}.{table}" in known and _takes(section, table, {entry: "1s"}):
        return section, table, entry
    raise ConfigError(f"{key}: there is no such key", hint=_nearest(tuple(key.split("."))))


def _takes(section: str, key: str, value: object) -> bool:
    return _wrong({section: {key: value}}) is None


def _fitting(path: tuple[str, ...], text: str) -> Any:
    """The value that a person means by this text, by what the key takes."""
    failed: list[Wrong] = []
    for value in _readings(text):
        found = _wrong(_with({}, path, value))
        if found is None and isinstance(value, str) <= isinstance(_taken(path, value), str):
            return value
        failed += [found] if found else []
    told = next((found for found in failed if found.kind == "value"), failed[0])
    kind = InvalidError if told.kind == "value" else UsageError
    raise kind(f"{'.'.join(path)}: {text!r} won't do: {told.what}", hint=told.hint)


def _taken(path: tuple[str, ...], value: Any) -> Any:
    """What becomes of a value: pydantic also takes a number that is written as a text."""
    return _at(Policy.model_validate(_with({}, path, value)), path)


def _at(policy: Policy, path: tuple[str, ...]) -> Any:
    """The value of a key; None for an entry that a table doesn't have."""
    found: Any = policy.model_dump(mode="json")
    for part in path:
        found = found.get(part)
    return found


def _readings(text: str) -> Iterator[Any]:
    """What a text can mean, likeliest first: a TOML list, the text itself, another TOML value, a list of one."""
    literal: Any = text
    with suppress(tomllib.TOMLDecodeError, RecursionError):
        literal = tomllib.loads(f"x = {text}")["x"] if "\n" not in text else text
    if isinstance(literal, list):
        yield literal
    yield text
    if not isinstance(literal, str | list):
        yield literal
    word = text.strip().lower()
    if word in {"yes", "on", "no", "off", "true", "false"}:
        yield word in {"yes", "on", "true"}
    yield [text]


def _with(data: Mapping[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """The same data with one value set."""
    first, *rest = path
    inner = data.get(first, {})
    return {
        **data,
        first: _with(inner if isinstance(inner, dict) else {}, tuple(rest), value) if rest else value,
    }


def _edited(before: str, path: tuple[str, ...], value: Any, wanted: dict[str, Any]) -> str:
    """The text with the value in it: the line changed in place, or added to its table, or else all written anew."""
    for text in (*_in_place(before, path, value), *_added(before, path, value)):
        with suppress(tomllib.TOMLDecodeError, RecursionError):
            if tomllib.loads(text) == wanted:
                return text
    import tomli_w

    return tomli_w.dumps(wanted)


def _in_place(before: str, path: tuple[str, ...], value: Any) -> Iterator[str]:
    """Texts in which the line of the key is another; the old value may go on over any number of lines."""
    lines = before.splitlines(keepends=True)
    start = _line_of(lines, path)
    if start is None:
        return
    named = lines[start].partition("=")[0]
    ending = "\r\n" if lines[start].endswith("\r\n") else "\n"
    for end in range(start + 1, len(lines) + 1):
        for comment in _comments(lines[start]) if end == start + 1 else [""]:
            yield "".join([*lines[:start], f"{named}= {_literal(value)}{comment}{ending}", *lines[end:]])


def _comments(line: str) -> list[str]:
    """What may be the comment at the end of a line, the likeliest first, and none at last."""
    found = []
    for at in (match.start() for match in re.finditer(r"\s*#", line)):
        with suppress(tomllib.TOMLDecodeError):
            if tomllib.loads(line[:at]) == tomllib.loads(line):
                found.append(line[at:].rstrip("\r\n"))
    return [*found, ""]


def _added(before: str, path: tuple[str, ...], value: Any) -> Iterator[str]:
    """Texts with a new line: at the end of the key's table, in a table of its own, or with dots at the top."""
    lines = before.splitlines(keepends=True)
    ending = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += ending
    for depth in range(len(path) - 1, 0, -1):
        end = _end_of(lines, path[:depth])
        if end is not None:
            yield "".join(
                [*lines[:end], f"{_dotted(path[depth:])} = {_literal(value)}{ending}", *lines[end:]]
            )
    if len(path) > 1:
        gap = [ending] if lines else []
        table = [f"[{_dotted(path[:1])}]{ending}", f"{_dotted(path[1:])} = {_literal(value)}{ending}"]
        yield "".join([*lines, *gap, *table])
    end = _end_of(lines, ()) or 0
    yield "".join([*lines[:end], f"{_dotted(path)} = {_literal(value)}{ending}", *lines[end:]])


def _end_of(lines: list[str], table: tuple[str, ...]) -> int | None:
    """After the last line that says something in a table; None where the file has no such table."""
    within: tuple[str, ...] = ()
    end = None if table else len(list(itertools.takewhile(_is_comment, lines)))
    for number, line in enumerate(lines):
        within = _header(line) or within
        if within == table and line.strip() and not _is_comment(line):
            end = number + 1
    return end


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _line_of(lines: list[str], path: tuple[str, ...]) -> int | None:
    """The line at which a key, or else its table, stands; as well as can be told without parsing TOML."""
    within: tuple[str, ...] = ()
    table = None
    for number, line in enumerate(lines):
        header = _header(line)
        if header is not None:
            within = header
            table = number if header == path else table
        elif "=" in line and within + _parts(line.partition("=")[0]) == path:
            return number
    return table


def _header(line: str) -> tuple[str, ...] | None:
    found = re.match(r"\s*\[\[?([^\[\]]+)\]\]?\s*(#.*)?$", line.rstrip("\r\n"))
    return _parts(found[1]) if found and "=" not in found[1] and "," not in found[1] else None


def _parts(key: str) -> tuple[str, ...]:
    """A TOML key as its parts; what isn't one has none that match."""
    with suppress(tomllib.TOMLDecodeError):
        found: Any = tomllib.loads(f"{key.strip()} = 0")
        parts = []
        while isinstance(found, dict) and found:
            name, found = next(iter(found.items()))
            parts.append(name)
        return tuple(parts) or ("",)
    return ("",)


def _dotted(path: tuple[str, ...]) -> str:
    return ".".join(part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else _literal(part) for part in path)


def _literal(value: Any) -> str:
    """A value as TOML, on one line."""
    import tomli_w

    if isinstance(value, list):
        return f"[{', '.join(_literal(one) for one in value)}]"
    return tomli_w.dumps({"x": value}).removeprefix("x = ").rstrip("\n")
