"""TOML text, changed in one place."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import Any

import pytest
import tomli_w
from hypothesis import assume, given
from hypothesis import strategies as st

from gitpw.adapters.toml import Layout, with_value, without

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAMES = st.sampled_from(["a", "b", "c-1", "d e", 'q"', "ü"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(tuple)
VALUES = st.one_of(
    TEXT, st.booleans(), st.integers(-9, 9), st.lists(TEXT, max_size=4), st.just(["x" * 60] * 2)
)

Path = tuple[str, ...]


@dataclass
class Line:
    """A line of a made-up file, and the keys that it belongs to."""

    text: str
    keys: tuple[Path, ...] = ()


@dataclass
class Document:
    """A made-up file: its lines, and what it says."""

    lines: list[Line]
    data: dict[str, Any]
    ending: str

    @property
    def text(self) -> str:
        """The file."""
        return "".join(line.text + self.ending for line in self.lines)


def merged(data: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """The same data with a value more, or less where it is None."""
    head, *rest = path
    below = data.get(head)
    inner = merged(below if isinstance(below, dict) else {}, tuple(rest), value) if rest else value
    kept = {name: one for name, one in data.items() if name != head}
    return kept if inner in (None, {}) else {**kept, head: inner}


def value_at(data: Any, path: Path) -> Any:
    """What stands at a path, None where nothing does."""
    for part in path:
        data = data.get(part) if isinstance(data, dict) else None
    return data


@st.composite
def written_keys(draw: st.DrawFn, parts: Path) -> str:
    """A key with dots, bare or quoted in either way, and with room around the dots."""
    words = []
    for part in parts:
        ways = [tomli_w.dumps({"x": part}).removeprefix("x = ").strip()]
        ways += [f"'{part}'"] if "'" not in part else []
        ways += [part] if part.isascii() and part.replace("-", "").isalnum() else []
        words.append(draw(st.sampled_from(ways)))
    return draw(st.sampled_from([".", " . "])).join(words)


@st.composite
def written_values(draw: st.DrawFn, value: Any, *, wide: bool) -> list[str]:
    """A value on one line, or on several: a list with comments in it, a text in three quotes."""
    plain = tomli_w.dumps({"x": value}).removeprefix("x = ").strip()
    if isinstance(value, list):
        items = [tomli_w.dumps({"x": one}).removeprefix("x = ").strip() for one in value]
        if not wide or not draw(st.booleans()):
            return [f"[{', '.join(items)}]"]
        lines = [draw(st.sampled_from(["[", "[ # opens, [", "[  "]))]
        for number, item in enumerate(items):
            lines += draw(st.sampled_from([[], ["  # about ], it"], [""]]))
            last = number + 1 == len(items) and draw(st.booleans())
            lines.append(f"  {item}{'' if last else ','}{draw(st.sampled_from(['', '  # behind, it ]']))}")
        return [*lines, draw(st.sampled_from(["]", "  ]"]))]
    plainly = isinstance(value, str) and value.isprintable() and "'" not in value
    if wide and plainly and draw(st.booleans()):
        return ["'''", f"{value}'''"]
    return [plain]


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """Files in which every way to write a key occurs."""
    lines: list[Line] = []
    data: dict[str, Any] = {}
    noise = st.lists(st.sampled_from(["", "# a comment", "  # [not] a = header", "\t"]), max_size=2)
    tops = draw(st.lists(NAMES, unique=True, max_size=4))
    late: list[tuple[str, str]] = []
    for top in tops:
        way = draw(st.sampled_from(["value", "dotted", "inline", "table", "sub"]))
        if way in {"table", "sub"}:
            late.append((top, way))
            continue
        lines += [Line(one) for one in draw(noise)]
        if way == "value":
            data[top] = draw(VALUES)
            lines += draw(statements((top,), (), data[top]))
        elif way == "dotted":
            for name in draw(st.lists(NAMES, unique=True, min_size=1, max_size=3)):
                data.setdefault(top, {})[name] = value = draw(VALUES)
                lines += draw(statements((top, name), (), value))
        else:
            data[top] = draw(st.dictionaries(NAMES, VALUES, max_size=3))
            pairs = [
                f"{draw(written_keys((name,)))} = {draw(written_values(value, wide=False))[0]}"
                for name, value in data[top].items()
            ]
            keys = ((top,), *((top, name) for name in data[top]))
            lines.append(Line(f"{draw(written_keys((top,)))} = {{ {', '.join(pairs)} }}  # in braces", keys))
    for top, way in late:
        path = (top,) if way == "table" else (top, draw(NAMES))
        lines += [Line(one) for one in draw(noise)]
        lines.append(Line(f"[{draw(written_keys(path))}]{draw(st.sampled_from(['', '  # here']))}"))
        for name in draw(st.lists(NAMES, unique=True, max_size=3)):
            value = draw(VALUES)
            data = merged(data, (*path, name), value)
            lines += draw(statements((*path, name), path, value))
            lines += [Line(one) for one in draw(noise)]
    return Document(lines, data, draw(st.sampled_from(["\n", "\r\n"])))


@st.composite
def statements(draw: st.DrawFn, path: Path, table: Path, value: Any) -> list[Line]:
    """The lines of a key with its value."""
    key = draw(written_keys(path[len(table) :]))
    first, *more = draw(written_values(value, wide=True))
    indent = draw(st.sampled_from(["", "  "]))
    texts = [f"{indent}{key}{draw(st.sampled_from([' = ', '=']))}{first}", *more]
    texts[-1] += draw(st.sampled_from(["", "  # [says] why = this"]))
    return [Line(text, (path,)) for text in texts]


def stays(document: Document, path: Path, after: str) -> None:
    """Every line that doesn't belong to a key is there still, in its order, byte for byte."""
    rest = iter(after.split("\n"))
    for line in document.lines:
        if not any(key[: len(path)] == path or path[: len(key)] == key for key in line.keys):
            wanted = line.text + document.ending.removesuffix("\n")
            assert wanted in rest, f"{wanted!r} is gone from {after!r}"


@given(documents(), PATHS, VALUES)
def test_setting_changes_nothing_else(document: Document, path: Path, value: Any) -> None:
    """Whatever the layout: the value is there, and every other line is byte for byte what it was."""
    assert pruned(tomllib.loads(document.text)) == pruned(document.data)
    there = [value_at(tomllib.loads(document.text), path[:depth]) for depth in range(1, len(path) + 1)]
    assume(
        not isinstance(there[-1], dict) and all(one is None or isinstance(one, dict) for one in there[:-1])
    )
    after = with_value(document.text, path, value)
    assert pruned(tomllib.loads(after)) == pruned(merged(document.data, path, value))
    stays(document, path, after)
    assert after.count("\r\n") == (after.count("\n") if document.ending == "\r\n" and document.lines else 0)
    assert with_value(after, path, value) == after


def pruned(data: dict[str, Any]) -> dict[str, Any]:
    """The same without empty tables."""
    found = {name: pruned(one) if isinstance(one, dict) else one for name, one in data.items()}
    return {name: one for name, one in found.items() if one != {}}


@given(documents(), st.data())
def test_taking_out_changes_nothing_else(document: Document, data: st.DataObject) -> None:
    """The key is gone with its lines, and every other line is byte for byte what it was."""
    keys = sorted({key for line in document.lines for key in line.keys})
    path = data.draw(st.sampled_from(keys) if keys else PATHS)
    path = path[: data.draw(st.integers(1, len(path)))]
    after = without(document.text, path)
    assert pruned(tomllib.loads(after)) == pruned(merged(document.data, path, None))
    stays(document, path, after)
    assert without(after, path) == after


@given(st.lists(TEXT, max_size=5), st.lists(TEXT, max_size=5), st.data())
def test_items_that_stay_keep_their_comments(old: list[str], new: list[str], data: st.DataObject) -> None:
    """In a list over many lines, an item that is in both lists in the same order keeps its own line."""
    lines = [f"  {tomli_w.dumps({'x': one})[4:].strip()},  # {number}" for number, one in enumerate(old)]
    text = "\n".join(["# top", "x = [ # opens", *lines, "] # closes", "y = 1", ""])
    after = with_value(text, ("x",), new)
    assert tomllib.loads(after) == {"x": new, "y": 1}
    kept = data.draw(st.sampled_from(old)) if old else None
    if kept is not None and new == [one for one in old if one in new] and kept in new:
        assert lines[old.index(kept)] in after.split("\n")
    assert after.startswith("# top\nx = [ # opens\n")
    assert after.endswith("] # closes\ny = 1\n")


@pytest.mark.parametrize(
    ("text", "path", "item", "line"),
    [
        ("[a]\nb = [\n  'x',\n  'y',\n]\n", ("a", "b"), 1, 4),
        ("[a]\nb = 1\n", ("a",), None, 1),
        ("x = 1\na.b = 1\n", ("a",), None, 2),
        ("x = 1\n\na = { c = 2, b = [1, 2] }\n", ("a", "b"), 0, 3),
        ("\n[[a]]\n", ("a",), None, 2),
        ("x = 1\n", ("y",), None, None),
        ("a = 1979-05-27 07:32:00 # x\nb = '''\n\n''' \nc = 1", ("c",), None, 5),
    ],
)
def test_places_are_found(text: str, path: Path, item: int | None, line: int | None) -> None:
    """Of a key, an item of its list, a table, or the first thing in it."""
    place = Layout(text).place(path, item)
    assert (None if place is None else text.count("\n", 0, place) + 1) == line
