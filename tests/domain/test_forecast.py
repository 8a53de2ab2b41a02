"""Which branches need a merge to find out whether they conflict."""

from __future__ import annotations

import pytest

from gitpw.domain.board import Board
from gitpw.domain.forecast import Changes, changes, may_clash, pairs, touched
from tests.domain.state import Dictionary, locks


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ("M a", "M a", True),
        ("M a", "M b", False),
        ("M src/a", "M src/b", False),
        ("A x", "A x/y/z", True),  # a file of one is a folder of the other
        ("D x/y;A x", "M x/y", True),
        ("A x", "A xy", False),
        ("D src/a;A lib/a", "A src/new", True),  # the folder may have been renamed
        ("D src/a;A lib/a", "A src/deep/new", True),
        ("D src/a", "M src/b", False),
        ("D src/a", "A lib/b", False),
        ("D a;A lib/a", "A b", True),  # so may the root
        ("MM a", "M a", True),  # a merge that differs from both parents
        ("", "M a", False),
    ],
)
def test_may_clash(one: str, two: str, expected: bool) -> None:
    """Both ways round."""
    mine, other = (
        changes(
            (status, path) for status, _, path in (part.partition(" ") for part in text.split(";") if part)
        )
        for text in (one, two)
    )
    assert may_clash(mine, other) is expected
    assert may_clash(other, mine) is expected


def test_pairs_are_those_that_may_clash() -> None:
    """Each once, in order; what changed nothing, or isn't known, has no pair."""
    known = {name: changes([("M", path)]) for name, path in (("a", "x"), ("b", "y"), ("c", "x"), ("d", "x"))}
    known["e"] = Changes()
    assert pairs(["a", "b", "c", "a", "d", "e", "f"], known) == [("a", "c"), ("a", "d"), ("c", "d")]


def test_touched_files() -> None:
    """By path, folder and glob, literal names too."""
    held = locks("src/auth", "docs/*.md", "literal:a*b")
    files = ["src/auth/x.py", "src/author.py", "docs/a.md", "docs/deep/a.md", "a*b", "axb"]
    assert touched(Board(Dictionary()), held, files) == ["src/auth/x.py", "docs/a.md", "a*b"]
    assert touched(Board(Dictionary()), [], files) == []
