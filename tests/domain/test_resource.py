"""Resources: their one spelling, what is refused, and when two of them overlap."""

from __future__ import annotations

import itertools
import re
import unicodedata
from functools import cache

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gitpw.domain.resource import (
    File,
    Glob,
    Path,
    Resource,
    folded,
    observed,
    overlap,
    resource,
)
from gitpw.errors import InvalidError

NFC, NFD = "caf\u00e9", "cafe\u0301"


@pytest.mark.parametrize(
    ("text", "thing"),
    [
        ("src/auth", Path("src/auth")),
        ("src/auth/", Path("src/auth")),
        ("./src//auth/.", Path("src/auth")),
        (".", Path("")),
        ("./", Path("")),
        ("-rf", Path("-rf")),
        ("--force/x", Path("--force/x")),
        ("src/app/[id]/page.tsx", Path("src/app/[id]/page.tsx")),
        ("a b/c d", Path("a b/c d")),
        ("src/{a,b}!", Path("src/{a,b}!")),
        ("...", Path("...")),
        (".gitignore", Path(".gitignore")),
        (".github/workflows", Path(".github/workflows")),
        ("a.git", Path("a.git")),
        ("a:b\\c", Path("a:b\\c")),
        ("src/*.py", Glob("src/*.py")),
        ("**/go.mod", Glob("**/go.mod")),
        ("a?", Glob("a?")),
        ("literal:a*", Path("a*")),
        ("literal:literal:a", Path("literal:a")),
        ("glob:src/a.py", Glob("src/a.py")),
        ("glob:./src//*", Glob("src/*")),
        (NFD, Path(NFC)),
    ],
)
def test_normal_form(text: str, thing: Resource) -> None:
    """What a person writes has one normal form."""
    assert resource(text) == thing


@pytest.mark.parametrize(
    ("text", "folder", "thing"),
    [
        ("a.py", "src", Path("src/a.py")),
        ("../a.py", "src/auth", Path("src/a.py")),
        ("../../a.py", "src/auth/", Path("a.py")),
        ("..", "src", Path("")),
        (".", "src/auth", Path("src/auth")),
        ("*.py", "src", Glob("src/*.py")),
        ("literal:*.py", "src", Path("src/*.py")),
        ("x", NFD, Path(f"{NFC}/x")),
    ],
)
def test_relative_to_a_folder(text: str, folder: str, thing: Resource) -> None:
    """A name is taken relative to the folder in which it was written."""
    assert resource(text, folder) == thing


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "..",
        "../x",
        "a/../../x",
        "a/..",
        "/etc/passwd",
        "\\windows",
        "C:\\x",
        "c:/x",
        ".git",
        ".git/config",
        ".GIT/config",
        "a/.git/x",
        ".git./x",
        ".git /x",
        "git~1/x",
        "GIT~1",
        ".g\u200cit/config",
        "\u200c.git",
        ".gi\ufefft",
        ".git::$INDEX_ALLOCATION",
        "a\\.git\\config",
        "a\nb",
        "a\x00b",
        "a\x7fb",
        "a\x1b[31m",
        "a\x85b",
        "a\udc80b",
        "literal:",
        "literal:../x",
        "literal:.git",
        "glob:",
        "glob:.",
        "glob:/x",
        "glob:../*",
        "glob:.git/*",
        "x" * 4_001,
    ],
)
def test_refusals(text: str) -> None:
    """What can't be a tracked path of this repository is refused."""
    with pytest.raises(InvalidError):
        resource(text)


def test_leaving_by_the_folder() -> None:
    """More steps up than the folder has are refused."""
    with pytest.raises(InvalidError, match=r"\.\."):
        resource("../../../x", "src/auth")


def test_unicode_forms_are_one() -> None:
    """The two ways to write a letter with an accent name the same file."""
    assert resource(NFC) == resource(NFD) == Path(observed(NFD).text)
    assert overlap(resource(NFC), resource(f"{NFD}/x"))


def test_observed_is_literal() -> None:
    """A path that git reported is never a glob, and never refused."""
    assert observed("a*/.git\n") == File("a*/.git\n")


PIECES = st.text(st.sampled_from("ab*?.-:[\u00e9e\u0301 Z/\\"), max_size=12)


@given(st.builds("".join, st.tuples(st.sampled_from(["", "literal:", "glob:"]), PIECES)))
@example("literal:glob:*")
@example("glob:literal:a")
@example("literal:.")
@example("glob:.")
@example("./\\")
@example("./C:/x")
def test_canonical_form_reads_back(text: str) -> None:
    """The canonical form of a resource reads back as that resource, from the root."""
    try:
        thing = resource(text)
    except InvalidError:
        return
    assert resource(str(thing)) == thing
    assert unicodedata.is_normalized("NFC", thing.text)


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ("src/auth", "src/auth", True),
        ("src/auth", "src/auth/login.ts", True),
        ("src/auth", "src/authors", False),
        ("a/b", "a-b", False),
        (".", "anything/at/all", True),
        (".", "*", True),
        ("src/*.py", "src/a.py", True),
        ("src/*.py", "src/sub/a.py", False),
        ("src/**/*.py", "src/a.py", True),
        ("src/**/*.py", "src/x/y/a.py", True),
        ("**/package.json", "package.json", True),
        ("**/package.json", "web/package.json", True),
        ("**/package.json", "glob:web/my-package.json", False),
        ("**/package.json", "web/my-package.json", True),
        ("**/package.json", "web", True),
        ("docs/**", "docs", True),
        ("docs/**", "docs2/x", False),
        ("src/*", "src/auth/login.ts", False),
        ("src/*", "src", True),
        ("a*c", "abc/d", False),
        ("a**c", "abc/dc", True),
        ("*.py", "*.ts", False),
        ("a*", "*b", True),
        ("a?", "?b", True),
        ("a?", "?", False),
        ("src/*/a", "src/b/*", True),
        ("src/*/a", "src/b/c*", False),
        ("**/x/**", "x/*", True),
        ("glob:src/a", "src/a/b", False),
        ("glob:src/a", "src", True),
        ("src/app/[id]/page.tsx", "src/app/i/page.tsx", False),
        ("literal:a*", "ab", False),
        ("literal:a*", "a*", True),
    ],
)
def test_overlap_by_example(one: str, two: str, expected: bool) -> None:
    """Two resources overlap when the same, one inside the other, or one path is matched by both; order is the same."""
    assert overlap(resource(one), resource(two)) is expected
    assert overlap(resource(two), resource(one)) is expected


LENGTH = 7
"""Two resources of up to 4 characters that overlap do so on a path of this length, if not on a shorter one."""
PATHS = [
    text
    for length in range(1, LENGTH + 1)
    for text in map("".join, itertools.product("ab/", repeat=length))
    if "//" not in text and not text.startswith("/") and not text.endswith("/")
]


@cache
def covered(thing: Resource) -> frozenset[str]:
    """All paths that a resource covers, by a regular expression."""
    if isinstance(thing, Path):
        pattern = f"{re.escape(thing.text)}(/.*)?" if thing.text else ".*"
    else:
        words = re.split(r"((?:(?<=/)|^)\*\*/|\*\*|\*|\?)", thing.text)
        meaning = {"**/": "(.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
        pattern = "".join(meaning.get(word, re.escape(word)) for word in words)
    matches = re.compile(pattern).fullmatch
    return frozenset(path for path in PATHS if matches(path))


def small(alphabet: str) -> st.SearchStrategy[str]:
    """Texts of up to 4 characters without an empty name."""
    return st.text(alphabet, min_size=1, max_size=4).filter(lambda text: all(text.split("/")))


FILES = small("ab/").map(File)
SMALL = st.one_of(small("ab/").map(Path), small("ab*?/").map(Glob), st.just(Path("")))


@given(SMALL, SMALL)
@settings(max_examples=600)
@example(Glob("a**b"), Glob("a/*b"))
@example(Glob("**/a"), Path("a"))
@example(Path("a/b"), Glob("**/*"))
def test_overlap_is_exact(one: Resource, two: Resource) -> None:
    """Two resources overlap exactly when some path is covered by both, as a list of all short paths shows."""
    assert overlap(one, two) is bool(covered(one) & covered(two))


@given(FILES, SMALL)
@settings(max_examples=300)
@example(File("a/b"), Glob("a/b/*"))
@example(File("a"), Path("a/b"))
@example(File("a"), Glob("a**/**/*a"))
@example(File("ab"), Glob("a*/**/*/b"))
def test_a_file_is_no_folder(one: File, two: Resource) -> None:
    """A file that git reported is covered by exactly the resources that match its path."""
    assert overlap(one, two) is overlap(two, one) is (one.text in covered(two))
    assert overlap(one, File(two.text)) is (one.text == two.text)


@given(SMALL)
def test_overlap_with_itself(thing: Resource) -> None:
    """Whatever covers a path overlaps itself."""
    assert overlap(thing, thing)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("README.md", "readme.MD"),
        ("SRC/*.Py", "src/A.pY"),
        ("STRASSE", "stra\u00dfe"),
        ("\u00c9t\u00e9", "e\u0301te\u0301"),
    ],
)
def test_folding(one: str, two: str) -> None:
    """Without regard to case, names that some file system takes for the same overlap; with it, they don't."""
    assert overlap(folded(resource(one)), folded(resource(two)))
    assert not overlap(resource(one), resource(two))


@given(SMALL, SMALL)
def test_folding_only_adds(one: Resource, two: Resource) -> None:
    """What overlaps still overlaps without regard to case."""
    up = type(one)(one.text.upper())
    assert overlap(one, two) is overlap(folded(up), folded(two))


@settings(max_examples=50)
@given(st.lists(st.sampled_from(["*", "**", "a", "?", "a*", "**/", "*a"]), min_size=8, max_size=30))
def test_long_globs_are_decided_fast(pieces: list[str]) -> None:
    """Patterns that drive matchers with backtracking mad are decided like any other."""
    thing = resource("glob:" + "".join(pieces))
    assert overlap(thing, Path("a" * 200)) in {True, False}


@pytest.mark.parametrize(
    ("lock", "file", "held"),
    [
        ("src", "src/a.py", True),
        ("src/a.py", "src/a.py", True),
        ("src/a.py/b", "src/a.py", False),
        (".", "b", True),
        ("**/package.json", "b", False),
        ("**/package.json", "web/package.json", True),
        ("src/**/x.py", "src", False),
    ],
)
def test_a_file_has_nothing_under_it(lock: str, file: str, held: bool) -> None:
    """What git reports as changed is a file: a lock that only covers paths below such a name is not in its way."""
    assert overlap(resource(lock), observed(file)) is held
    assert overlap(observed(file), resource(lock)) is held
