"""What a lock can cover: a path with everything under it, or a glob; and when two of them overlap.

Two resources overlap when some path is covered by both. Each is a small automaton over characters: a path is its
letters, then the end or `/` and anything; in a glob `*` and `?` stay within a name and `**` crosses names. Whether
two automata accept a common word is decided exactly, by walking their product.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, StrEnum
from functools import lru_cache
from typing import TypeVar

from gitpw.errors import InvalidError

LITERAL = "literal:"
GLOB = "glob:"
WILD = frozenset("*?")
ROOT = "."
LONGEST = 4_000
"""Bytes of the longest path that can be locked: git itself takes 4,096."""


@dataclass(frozen=True, slots=True)
class Path:
    """A file or folder, relative to the root, and everything under it; `text` is empty for the root."""

    text: str

    def __str__(self) -> str:
        """The canonical form, which reads back as the same resource."""
        if not self.text:
            return ROOT
        special = not WILD.isdisjoint(self.text) or self.text.startswith((LITERAL, GLOB))
        return LITERAL + self.text if special else self.text

    @property
    def parts(self) -> tuple[str, ...]:
        """The names from the root down."""
        return tuple(self.text.split("/")) if self.text else ()


@dataclass(frozen=True, slots=True)
class Glob:
    """All paths that a pattern matches."""

    text: str

    def __str__(self) -> str:
        """The canonical form, which reads back as the same resource."""
        plain = not WILD.isdisjoint(self.text) and not self.text.startswith((LITERAL, GLOB))
        return self.text if plain else GLOB + self.text

    @property
    def anchor(self) -> tuple[str, ...]:
        """The leading names without a wildcard: every match lies under them."""
        names = []
        for name in self.text.split("/"):
            if not WILD.isdisjoint(name):
                break
            names.append(name)
        return tuple(names)


@dataclass(frozen=True, slots=True)
class File:
    """One file as git reports it, with nothing under it: what hooks judge."""

    text: str

    @property
    def parts(self) -> tuple[str, ...]:
        """The names from the root down."""
        return tuple(self.text.split("/"))


Resource = Path | Glob
"""What can be locked."""


class Mode(StrEnum):
    """Whether a lock tolerates others of its kind."""

    EXCLUSIVE = "exclusive"
    SHARED = "shared"


Covered = Path | Glob | File
"""What a lock can stand in the way of."""


@lru_cache(maxsize=65_536)
def resource(text: str, folder: str = "") -> Resource:
    """Read what a person wrote in `folder` (relative to the root): `src/auth`, `src/*.py`, `literal:…`, `glob:…`.

    Raises `InvalidError` for whatever can't be a tracked path of this repository.
    """
    if text.startswith(LITERAL):
        return Path(_normal(text.removeprefix(LITERAL), folder))
    if text.startswith(GLOB):
        pattern = _normal(text.removeprefix(GLOB), folder)
        if not pattern:
            raise InvalidError(f"{text!r} matches nothing", hint="the whole repository is '.'")
        return Glob(pattern)
    path = _normal(text, folder)
    return Path(path) if WILD.isdisjoint(text) else Glob(path)


def observed(path: str) -> File:
    """A path that git reported, taken as it is but for its Unicode form."""
    return File(unicodedata.normalize("NFC", path))


def _normal(text: str, folder: str) -> str:
    if not text.strip():
        raise InvalidError("an empty path can't be locked", hint="name a file, a folder or a glob")
    _check_letters(text)
    if _is_absolute(text):
        raise InvalidError(f"{text!r} is an absolute path", hint="name it relative to the current folder")
    names = [name for name in folder.split("/") if name]
    inside = [name for name in unicodedata.normalize("NFC", text).split("/") if name not in {"", "."}]
    while inside and inside[0] == ".." and names:
        del inside[0], names[-1]
    if ".." in inside:
        what = "leaves the repository" if _leaves(inside) else "has '..' in it"
        raise InvalidError(f"{text!r} {what}", hint="name a path inside the repository, without '..'")
    names += inside
    if names and not "".join(names).strip():
        raise InvalidError(f"{text!r} is blank", hint="lock the folder that holds it")
    if any(_is_git(name) for name in names):
        raise InvalidError(f"{text!r} is git's own", hint="only files of the work tree can be locked")
    path = unicodedata.normalize("NFC", "/".join(names))
    if _is_absolute(path):
        raise InvalidError(f"{text!r} would read as an absolute path", hint="lock the folder that holds it")
    if len(path.encode()) > LONGEST:
        raise InvalidError(f"that path is longer than {LONGEST} bytes", hint="lock a folder above it")
    return path


def _check_letters(text: str) -> None:
    if text.isascii() and text.isprintable():
        return
    kinds = {unicodedata.category(letter) for letter in text}
    if "Cs" in kinds:
        raise InvalidError(f"{text!a} is no UTF-8", hint="lock the folder that holds it")
    if "Cc" in kinds:
        raise InvalidError(f"{text!r} has control characters", hint="lock the folder that holds it")


def _is_absolute(text: str) -> bool:
    """Whether some system takes this for a path from its root."""
    return text.startswith(("/", "\\")) or text[1:3] in {":\\", ":/"}


def _leaves(names: list[str]) -> bool:
    """Whether a path with `..` in it ends up above where it began."""
    depth = 0
    for name in names:
        depth += -1 if name == ".." else 1
        if depth < 0:
            return True
    return False


def _is_git(name: str) -> bool:
    """Whether some file system takes this name for `.git`."""
    if name.isascii() and "git" not in name.lower():
        return False
    visible = "".join(letter for letter in name if unicodedata.category(letter) != "Cf")
    parts = (part.partition(":")[0] for part in visible.casefold().split("\\"))
    return any(part.rstrip(". ") in {".git", "git~1"} for part in parts)


class _Any(Enum):
    NAME = "any character but /"
    PATH = "any character"


_Step = str | _Any | None
"""A character, a class of characters, or None for a step that reads nothing."""

_Edges = tuple[tuple[tuple[_Step, int], ...], ...]


def _edges(thing: Covered) -> _Edges:
    """The automaton: state n's steps at index n; the last state accepts."""
    if isinstance(thing, Path):
        letters = list(thing.text)
        end = len(letters) + 2
        chain: list[list[tuple[_Step, int]]] = [[(letter, n + 1)] for n, letter in enumerate(letters)]
        into: _Step = "/" if letters else None
        chain += [[(None, end), (into, end - 1)], [(_Any.PATH, end - 1), (None, end)], []]
        return tuple(map(tuple, chain))
    if isinstance(thing, File):
        return (*(((letter, n + 1),) for n, letter in enumerate(thing.text)), ())
    return _glob_edges(thing.text)


def _glob_edges(text: str) -> _Edges:
    edges: list[list[tuple[_Step, int]]] = [[]]

    def then(step: _Step) -> None:
        edges[-1].append((step, len(edges)))
        edges.append([])

    at = 0
    while at < len(text):
        here = len(edges) - 1
        if text.startswith("**/", at) and (at == 0 or text[at - 1] == "/"):
            edges[here].append((None, here + 1))
            edges.append([(_Any.PATH, here + 1), ("/", here + 2)])
            edges[here].append((None, here + 2))
            edges.append([])
            at += 3
        elif text.startswith("**", at):
            edges[here].append((_Any.PATH, here))
            then(None)
            at += 2
        elif text[at] == "*":
            edges[here].append((_Any.NAME, here))
            then(None)
            at += 1
        else:
            then(_Any.NAME if text[at] == "?" else text[at])
            at += 1
    return tuple(map(tuple, edges))


def _meet(one: _Step, two: _Step) -> bool:
    """Whether some character takes both steps."""
    if isinstance(one, str) and isinstance(two, str):
        return one == two
    if isinstance(one, str):
        return two is _Any.PATH or one != "/"
    if isinstance(two, str):
        return one is _Any.PATH or two != "/"
    return True


def _pairs(one: _Edges, two: _Edges, at: tuple[int, int]) -> Iterator[tuple[int, int]]:
    here, there = at
    for step, after in one[here]:
        if step is None:
            yield after, there
            continue
        for other, beyond in two[there]:
            if other is not None and _meet(step, other):
                yield after, beyond
    for other, beyond in two[there]:
        if other is None:
            yield here, beyond


def _common_word(one: _Edges, two: _Edges) -> bool:
    goal = (len(one) - 1, len(two) - 1)
    seen = {(0, 0)}
    todo = [(0, 0)]
    while todo:
        at = todo.pop()
        if at == goal:
            return True
        for pair in _pairs(one, two, at):
            if pair not in seen:
                seen.add(pair)
                todo.append(pair)
    return False


WILDCARDS = re.compile(r"((?:(?<=/)|^)\*\*/|\*\*|\*|\?)")
EXPRESSIONS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


@lru_cache(maxsize=4_096)
def _matcher(glob: str) -> re.Pattern[str] | None:
    """The glob as a regular expression, much faster on one file; None with so many stars that it may go astray."""
    pieces = WILDCARDS.split(glob)  # what is literal, a wildcard, what is literal …
    if sum(piece != "?" for piece in pieces[1::2]) > 2:  # noqa: PLR2004 - two stars are quadratic at worst
        return None
    return re.compile(
        "".join(EXPRESSIONS[piece] if n % 2 else re.escape(piece) for n, piece in enumerate(pieces)),
        re.DOTALL,
    )


C = TypeVar("C", bound=Path | Glob | File)


def folded(thing: C) -> C:
    """The same without regard to case, as file systems that ignore case see it."""
    return type(thing)(unicodedata.normalize("NFC", thing.text.casefold()))


@lru_cache(maxsize=65_536)
def overlap(one: Covered, two: Covered) -> bool:
    """Whether some path is covered by both; fold both first where case doesn't count."""
    if isinstance(one, File) and isinstance(two, Path):
        return one.parts[: len(two.parts)] == two.parts
    if isinstance(one, Path) and isinstance(two, File):
        return overlap(two, one)
    if isinstance(one, Path) and isinstance(two, Path):
        shorter, longer = sorted((one.parts, two.parts), key=len)
        return longer[: len(shorter)] == shorter
    if isinstance(one, File) and isinstance(two, Glob):
        return overlap(two, one)
    if isinstance(one, Glob) and isinstance(two, File):
        return _matches(one, two)
    return _common_word(_edges(one), _edges(two))


def _matches(glob: Glob, file: File) -> bool:
    matcher = _matcher(glob.text)
    if matcher is not None:
        return matcher.fullmatch(file.text) is not None
    head, *_, tail = WILDCARDS.split(glob.text)
    plausible = file.text.startswith(head) and file.text.endswith(tail)
    return plausible and _common_word(_edges(glob), _edges(file))
