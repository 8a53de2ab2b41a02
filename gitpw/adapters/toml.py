"""TOML text with one value changed: all else stays as people wrote it, byte for byte.

`tomllib` says what a text means; here is only found where each value of it stands. The text is valid TOML already,
so whatever begins like a string, a table or a comment is one.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from difflib import SequenceMatcher
from typing import Any, NamedTuple

WIDEST = 100
"""A list that would make a longer line is written with one item a line."""

STRINGS = (
    r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}',
    r"'''(?:[^']|'{1,2}(?!'))*'{3,5}",
    r'"(?:[^"\\]|\\.)*"',
    r"'[^']*'",
)
STRING = "|".join(STRINGS)
SCALAR = re.compile(rf"{STRING}|\d{{4}}-\d\d-\d\d [^\s,\]}}#]+|[^\s,\[\]{{}}#=]+", re.DOTALL)
KEY = re.compile(rf"(?:{STRING}|[\w-]+)(?:[ \t]*\.[ \t]*(?:{STRING}|[\w-]+))*", re.DOTALL)
BLANK = re.compile(r"(?:\s|#[^\n]*)*")
REST = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
"""What may follow on a line that says no more."""

Path = tuple[str, ...]


class Item(NamedTuple):
    """An item of a list, from `start` to `end`, and the place of the comma behind it, if there is one."""

    start: int
    end: int
    comma: int | None


class Entry(NamedTuple):
    """A key and its value in the text; `inline` where it stands within braces, `items` where it is a list."""

    path: Path
    table: Path
    key: int
    value: int
    end: int
    inline: bool
    items: tuple[Item, ...] | None


class Table(NamedTuple):
    """A header line, `[path]`; the root's is empty and stands at the beginning."""

    path: Path
    start: int
    end: int


class Layout:
    """Where everything stands in a valid TOML text."""

    def __init__(self, text: str) -> None:
        """Raises `RecursionError` for what is nested too deeply."""
        self.text = text
        self.entries: list[Entry] = []
        self.tables = [Table((), 0, 0)]
        at = _skip(text, 0)
        while at < len(text):
            at = _skip(text, self._header(at) if text[at] == "[" else self._pair(at, self.tables[-1].path))

    def find(self, path: Path) -> Entry | None:
        """The entry of exactly that key."""
        return next((one for one in self.entries if one.path == path), None)

    def place(self, path: Path, item: int | None = None, nth: int = 0) -> int | None:
        """Where a key stands, or one item of its list; else its table, or the first thing in it.

        `nth` is for tables of which there are several: the key of that one is meant.
        """
        alike = [one.start for one in self.tables if one.path == path[:-1]]
        start = alike[nth] if nth < len(alike) else 0
        found = next((one for one in self.entries if one.path == path and one.key >= start), None)
        if found is None and len(alike) > 1:
            return start
        if found is not None:
            items = found.items or ()
            return items[item].start if item is not None and item < len(items) else found.key
        tables = [one.start for one in self.tables[1:] if one.path == path]
        inside = [one.key for one in self.entries if one.path[: len(path)] == path]
        inside += [one.start for one in self.tables[1:] if one.path[: len(path)] == path]
        return next(iter([*tables, *sorted(inside)]), None)

    def _header(self, at: int) -> int:
        start = at
        while self.text[at] in "[ \t":
            at += 1
        path, at = self._key(at)
        at = self.text.index("]", at)
        while self.text[at : at + 1] == "]":
            at += 1
        self.tables.append(Table(path, start, _line_end(self.text, at)))
        return at

    def _pair(self, at: int, above: Path, *, inline: bool = False) -> int:
        start = at
        path, at = self._key(at)
        value = _skip(self.text, self.text.index("=", at) + 1)
        place = len(self.entries)
        items = None
        if self.text[value] == "{":
            end = self._braces(value, (*above, *path))
        elif self.text[value] == "[":
            items, end = self._items(value)
        else:
            end = _scalar(self.text, value)
        table = self.tables[-1].path
        self.entries.insert(place, Entry((*above, *path), table, start, value, end, inline, items))
        return end

    def _key(self, at: int) -> tuple[Path, int]:
        found = KEY.match(self.text, at)
        if found is None:
            raise ValueError(self.text[at : at + 20])
        return key_parts(found[0]), found.end()

    def _braces(self, at: int, path: Path) -> int:
        at = _skip(self.text, at + 1)
        while self.text[at] != "}":
            at = _skip(self.text, self._pair(at, path, inline=True))
            if self.text[at] == ",":
                at = _skip(self.text, at + 1)
        return at + 1

    def _items(self, at: int) -> tuple[tuple[Item, ...], int]:
        items = []
        at = _skip(self.text, at + 1)
        while self.text[at] != "]":
            start, end = at, _value(self.text, at)
            at = _skip(self.text, end)
            comma = at if self.text[at] == "," else None
            items.append(Item(start, end, comma))
            at = at if comma is None else _skip(self.text, at + 1)
        return tuple(items), at + 1


def key_parts(key: str) -> Path:
    """A TOML key as its parts."""
    found: Any = tomllib.loads(f"{key} = 0")
    parts = []
    while isinstance(found, dict):
        name, found = next(iter(found.items()))
        parts.append(name)
    return tuple(parts)


def with_value(text: str, path: Path, value: Any) -> str:
    """The text with a key set to a value, in place where it is there, else where it belongs."""
    if isinstance(value, Mapping):
        kept = list(_leaves(value, path))
        for old in [leaf for leaf, _ in _leaves(_at(tomllib.loads(text), path), path)]:
            if old not in [leaf for leaf, _ in kept]:
                text = without(text, old)
        for leaf, inner in kept:
            text = with_value(text, leaf, inner)
        return text
    wanted = _pruned(_with(tomllib.loads(text), path, value))
    for edited in _candidates(Layout(text), path, value):
        with suppress(tomllib.TOMLDecodeError):
            if _pruned(tomllib.loads(edited)) == wanted:
                return edited
    raise ValueError(path)


def without(text: str, path: Path) -> str:
    """The text without a key, or without all that is in a table; its own line goes, with the comment behind it."""
    layout = Layout(text)
    found = next((one for one in layout.entries if one.path[: len(path)] == path), None)
    if found is None:
        return text
    if not found.inline:
        start, end = _line_start(text, found.key), _line_end(text, found.end)
        return without(text[:start] + text[end:], path)
    return without(_unbraced(layout, found), path)


def literal(value: Any) -> str:
    """A value as TOML on one line."""
    import tomli_w

    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    return tomli_w.dumps({"x": value}).removeprefix("x = ").rstrip("\n")


def dotted(path: Path) -> str:
    """A path as a TOML key."""
    return ".".join(part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else literal(part) for part in path)


# Finding the way through a text


def _skip(text: str, at: int) -> int:
    """Past white space, line ends and comments."""
    found = BLANK.match(text, at)
    return found.end() if found else at


def _scalar(text: str, at: int) -> int:
    found = SCALAR.match(text, at)
    if found is None:
        raise ValueError(text[at : at + 20])
    return found.end()


def _value(text: str, at: int) -> int:
    """The end of any value."""
    depth = 0
    while True:
        if text[at] in "[{":
            depth += 1
            at += 1
        elif text[at] in "]}":
            depth -= 1
            at += 1
        elif text[at] in ",=":
            at += 1
        else:
            at = _scalar(text, at)
        if depth == 0:
            return at
        at = _skip(text, at)


def _line_start(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def _line_end(text: str, at: int) -> int:
    """The beginning of the next line."""
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1


def _ending(text: str) -> str:
    """How the lines of a text end."""
    return "\r\n" if text.partition("\n")[0].endswith("\r") else "\n"


# Data


def _leaves(data: Any, above: Path) -> Iterator[tuple[Path, Any]]:
    """Each key in a table of tables that isn't a table itself."""
    if isinstance(data, Mapping):
        for name, inner in data.items():
            yield from _leaves(inner, (*above, name))
    elif data is not None:
        yield above, data


def _at(data: Any, path: Path) -> Any:
    for part in path:
        data = data.get(part) if isinstance(data, Mapping) else None
    return data


def _with(data: Any, path: Path, value: Any) -> Any:
    """The same data with one value set."""
    if not path:
        return value
    inner = data if isinstance(data, Mapping) else {}
    return {**inner, path[0]: _with(inner.get(path[0]), path[1:], value)}


def _pruned(data: Mapping[str, Any]) -> dict[str, Any]:
    """The same data without tables that hold nothing."""
    found = {name: _pruned(one) if isinstance(one, Mapping) else one for name, one in data.items()}
    return {name: one for name, one in found.items() if one != {}}


# Changing a text


def _candidates(layout: Layout, path: Path, value: Any) -> Iterator[str]:
    """Texts in which the key may have the value, the one that changes least first."""
    text, found = layout.text, layout.find(path)
    ending = _ending(text)
    if found is None:
        yield from _added(layout, path, value)
        return
    if found.items is not None and isinstance(value, list) and "\n" in text[found.value : found.end]:
        with suppress(TypeError):  # items that can't be compared by their hash
            old = _at(tomllib.loads(text), path)
            yield _spliced(text, _changes(layout.text, found, old, value))
    yield (
        text[: found.value]
        + (literal(value) if found.inline else _written(value, ending))
        + text[found.end :]
    )


def _written(value: Any, ending: str) -> str:
    """A value as TOML: a long list with one item a line."""
    line = literal(value)
    if not isinstance(value, list) or len(line) <= WIDEST:
        return line
    return f"[{ending}{''.join(f'  {literal(one)},{ending}' for one in value)}]"


def _added(layout: Layout, path: Path, new: Any) -> Iterator[str]:
    """Texts with a new key: in braces, at the end of its table, beside its dotted siblings, or in a table of its own."""
    text = layout.text
    value = _written(new, "\n")
    for depth in range(len(path) - 1, 0, -1):
        above, rest = path[:depth], dotted(path[depth:])
        braces = layout.find(above)
        if braces is not None and text[braces.value] == "{":
            yield _braced(layout, braces, f"{rest} = {literal(new)}")
        for table in layout.tables[1:]:
            if table.path == above:
                yield _inserted(text, _end_of(layout, table), f"{rest} = {value}")
        for sibling in reversed(layout.entries):
            if not sibling.inline and sibling.path[:depth] == above and len(sibling.table) < depth:
                key = dotted(path[len(sibling.table) :])
                yield _inserted(text, _line_end(text, sibling.end), f"{key} = {value}")
    if len(path) > 1:
        gap = "" if not text or text.endswith(("\n\n", "\n\r\n")) else "\n"
        yield _inserted(text, len(text), f"{gap}[{dotted(path[:1])}]\n{dotted(path[1:])} = {value}")
    yield _inserted(text, _end_of(layout, layout.tables[0]), f"{dotted(path)} = {value}")


def _end_of(layout: Layout, table: Table) -> int:
    """Behind the last thing that a table says; at the top of a file, behind the comment that it opens with."""
    inside = [one.end for one in layout.entries if one.table == table.path and one.key >= table.end]
    if inside:
        return _line_end(layout.text, max(inside))
    if table.path:
        return table.end
    opening = re.match(r"(?:[ \t]*#[^\n]*(?:\n|\Z))*", layout.text)
    return opening.end() if opening else 0


def _inserted(text: str, at: int, line: str) -> str:
    """The text with a line more."""
    ending = _ending(text)
    before = text[:at] if not at or text[:at].endswith("\n") else text[:at] + ending
    lines = "".join(one.rstrip("\r") + ending for one in line.split("\n"))
    return before + lines + text[at:]


def _braced(layout: Layout, braces: Entry, pair: str) -> str:
    """The text with one more pair in an inline table."""
    text = layout.text
    inside = [one.end for one in layout.entries if one.inline and braces.value < one.key < braces.end]
    if not inside:
        return f"{text[: braces.value]}{{ {pair} }}{text[braces.end :]}"
    return f"{text[: max(inside)]}, {pair}{text[max(inside) :]}"


def _unbraced(layout: Layout, pair: Entry) -> str:
    """The text with one pair less in an inline table."""
    text, at = layout.text, _skip(layout.text, pair.end)
    if text[at] == ",":
        return text[: pair.key] + text[_skip(text, at + 1) :]
    before = max(one for one in (text.rfind(",", 0, pair.key), text.rfind("{", 0, pair.key)))
    if text[before] == ",":
        return text[:before].rstrip(" \t") + text[pair.end :]
    return text[: before + 1] + text[at:]


Splice = tuple[int, int, str]
"""From where to where, and what stands there instead."""


def _spliced(text: str, splices: Iterable[Splice]) -> str:
    for start, end, instead in sorted(splices, reverse=True):
        text = text[:start] + instead + text[end:]
    return text


def _changes(text: str, found: Entry, old: Sequence[Any], new: Sequence[Any]) -> Iterator[Splice]:
    """What to change in a list over many lines, so that the items that stay keep their lines and comments."""
    items = found.items or ()
    for verb, start, end, left, right in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if verb != "equal":
            for item in items[start:end]:
                yield _item_removed(text, item)
            yield from _items_added(text, found, start, end, new[left:right])


def _item_removed(text: str, item: Item) -> Splice:
    """An item goes with its line and the comment behind it, where it has a line of its own."""
    behind = item.end if item.comma is None else item.comma + 1
    start = _line_start(text, item.start)
    if text[start : item.start].strip() == "" and REST.match(text, behind):
        return start, _line_end(text, behind), ""
    spaces = re.compile(r"[ \t]*").match(text, behind)
    return item.start, spaces.end() if spaces else behind, ""


def _items_added(text: str, found: Entry, start: int, end: int, values: Sequence[Any]) -> Iterator[Splice]:
    """New items before the item `end`, those from `start` on being on their way out."""
    items, words = found.items or (), ", ".join(map(literal, values))
    if not words:
        return
    here = items[end] if end < len(items) else None
    after = items[-1] if items and here is None else None
    at = found.end - 1 if here is None else here.start
    indent = text[
        _line_start(text, at if after is None else after.start) : at if after is None else after.start
    ]
    if after is not None:
        at = after.end if after.comma is None else after.comma + 1
    lines = "".join(
        f"{indent if items else indent + '  '}{literal(value)},{_ending(text)}" for value in values
    )
    alone = not indent.strip() and (after is None or REST.match(text, at) is not None)
    needs_comma = after is not None and after.comma is None and start == end
    if alone:
        if needs_comma:
            yield at, at, ","
        at = _line_start(text, at) if after is None else _line_end(text, at)
        yield at, at, lines
    elif after is not None:
        yield at, at, f", {words}" if needs_comma else f" {words}"
    else:
        yield at, at, f"{words}, "
