"""The list of what is held that hooks read, and the pathspecs that stand for it."""

from __future__ import annotations

from pathlib import Path as File_
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gitpw.domain.checkout import Own
from gitpw.domain.glance import plainly_free
from gitpw.domain.ids import ClaimId, TaskId, WorkerId
from gitpw.domain.listing import Holding, Index, Listed, Listing, parsed, pathspec
from gitpw.domain.resource import File, Mode, observed, overlap, resource
from gitpw.domain.sheet import Asks, Origin, Sheet
from gitpw.domain.sheet import parsed as parsed_sheet
from tests.support.git import git, run

TIP = "5a1c67354819cc5b4e5c98ba1a8401ee2d67c405"
ONE, TWO = ClaimId("0123456789abcdef"), ClaimId("fedcba9876543210")

NAMES = [
    "README.md",
    "a",
    "a b/c",
    "a[1]/x",
    "aXb",
    "docs/K.md",
    "docs/\u212a.md",
    "docs/e\u0301.md",
    "docs/\u00e9.md",
    "docs/sub/x.md",
    "package.json",
    "src/app/[id]/page.tsx",
    "src/app/i/page.tsx",
    "src/package.json",
    "src/auth.ts",
    "src/auth/login.ts",
    "src/auth/x/y.ts",
    "x;y",
    "-dash",
    ":(top)odd",
    "!bang",
    "a\\b",
    "tab\there",
    "\u4e2d\u6587/\u6587.py",
]
"""Files of a repository, some of them odd."""

PIECES = [
    "*",
    "**",
    "**/",
    "?",
    "a",
    "b",
    "src",
    "/",
    "auth",
    "docs",
    ".md",
    "K",
    "\u00e9",
    "[id]",
    " ",
    "package.json",
    "x",
]


def listing(*claims: tuple[ClaimId, int, list[tuple[str, Mode]]], fold: bool = False) -> Listing:
    """A list of claims, each with a token and its locks."""
    held = {
        claim: Holding(token, tuple(Listed(resource(name), mode) for name, mode in locks))
        for claim, token, locks in claims
    }
    return Listing("refs/pw/tip", TIP, fold, held)


def sheet(**changes: Any) -> Sheet:
    """Rules that ask for nothing."""
    plain = Sheet(
        origin=Origin.BASE,
        file="",
        refs=(("refs/heads/main", TIP), ("refs/remotes/origin/HEAD", "")),
        asks=Asks.NETWORK,
        there="",
        age=60,
        worker="",
        enforce="held",
        trailers=True,
        lockable=False,
        critical=(),
        ignore=(),
    )
    return plain._replace(**changes)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 10**17),
            st.lists(
                st.tuples(
                    st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1), st.sampled_from(Mode)
                )
            ),
        ),
        max_size=4,
    ),
    st.booleans(),
)
def test_a_list_reads_back(claims: list[tuple[int, list[tuple[str, Mode]]]], fold: bool) -> None:
    """Whatever the names are, with the claims in their order."""
    held = {}
    for number, (token, locks) in enumerate(claims):
        things = []
        for name, mode in locks:
            try:
                things.append(Listed(resource(name), mode))
            except Exception:  # noqa: BLE001 - what can't be locked can't be listed
                continue
        held[ClaimId(f"{number:016x}")] = Holding(token, tuple(things))
    made = Listing("refs/pw/tip", TIP, fold, held)
    assert parsed(made.text()) == made


@given(st.data())
def test_a_list_that_was_cut_short_is_none(data: st.DataObject) -> None:
    """At any place."""
    text = listing((ONE, 1, [("src", Mode.EXCLUSIVE), ("docs/*.md", Mode.SHARED)]), (TWO, 2, [])).text()
    assert parsed(text[: data.draw(st.integers(0, len(text) - 1))]) is None
    assert parsed(text.replace("claim", "clam", 1)) is None


def test_index_finds_what_covers_a_file() -> None:
    """Folders above, the file itself, globs; not what lies beside it."""
    index = Index(
        listing(
            (ONE, 1, [("src", Mode.SHARED), ("src/a.py", Mode.EXCLUSIVE), ("src/b", Mode.EXCLUSIVE)]),
            (TWO, 2, [("**/*.py", Mode.EXCLUSIVE), (".", Mode.SHARED), ("doc*", Mode.SHARED)]),
        )
    )
    found = {(claim, lock.resource) for claim, lock in index.overlapping(observed("src/a.py"))}
    assert found == {(ONE, "src"), (ONE, "src/a.py"), (TWO, "**/*.py"), (TWO, ".")}


def test_index_folds_case() -> None:
    """Where the ledger does."""
    folding = Index(listing((ONE, 1, [("SRC/Pay", Mode.EXCLUSIVE)]), fold=True))
    assert list(folding.overlapping(folding.fold(observed("src/pay/x"))))
    plain = Index(listing((ONE, 1, [("SRC/Pay", Mode.EXCLUSIVE)])))
    assert not list(plain.overlapping(plain.fold(observed("src/pay/x"))))


def own(claim: ClaimId, token: int) -> Own:
    """What a checkout remembers."""
    return Own(claim, token, TaskId("task-001"), WorkerId("alice"))


@pytest.mark.parametrize(
    ("mine", "rules", "file", "free"),
    [
        ([], {}, "other", True),
        ([], {}, "src/a.py", False),
        ([own(ONE, 1)], {}, "src/a.py", True),
        ([own(ONE, 2)], {}, "other", False),
        ([own(TWO, 1)], {}, "other", False),
        ([], {"critical": ("**/x.json",)}, "deep/x.json", False),
        ([own(ONE, 1)], {"critical": ("src/**",)}, "src/a.py", True),
        ([], {"critical": ("**/x.json",), "ignore": ("deep",)}, "deep/x.json", True),
        ([], {"enforce": "strict"}, "other", False),
        ([], {"critical": ("../x",)}, "other", False),
    ],
)
def test_plainly_free(mine: list[Own], rules: dict[str, Any], file: str, free: bool) -> None:
    """Nobody else's, not critical, and no claim of one's own lost; rules that can't be read are for others to tell."""
    held = listing((ONE, 1, [("src", Mode.EXCLUSIVE)]))
    assert plainly_free(held, sheet(**rules), mine, [file]) is free


def test_a_sheet_reads_back() -> None:
    """With refs that have no file, and patterns with spaces."""
    made = sheet(critical=("a b/*.x", "**/y"), ignore=("docs",), origin=Origin.FILE, file="/a b/.gitpw.toml")
    assert parsed_sheet(made.text()) == made
    assert parsed_sheet(made.text()[:-4]) is None


@pytest.mark.parametrize("word", ["$(x)", "a'b", "a\nb", "`x`", "a\\b", "\u00e9"])
def test_a_sheet_with_odd_words_is_not_for_the_shell(word: str) -> None:
    """Nor are strict rules."""
    assert sheet(worker=word).script() == "unsure\n"
    assert sheet(refs=((f"refs/heads/{word}", TIP),)).script() == "unsure\n"
    assert sheet(enforce="strict").script() == "unsure\n"
    assert sheet().script().endswith("whole\n")


@pytest.fixture(scope="module")
def odd_files(tmp_path_factory: pytest.TempPathFactory) -> File_:
    """A repository in whose index they all are."""
    path = tmp_path_factory.mktemp("odd")
    git("init", "-q", cwd=path)
    blob = git("hash-object", "-w", "--stdin", cwd=path)
    lines = "".join(f"100644 {blob} 0\t{name}\0" for name in NAMES)
    git("update-index", "-z", "--index-info", cwd=path, input=lines)
    return path


@given(
    st.one_of(
        st.sampled_from(NAMES).map(lambda name: f"literal:{name}"),
        st.sampled_from(NAMES).map(lambda name: f"literal:{name.rpartition('/')[0] or name}"),
        st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join),
    )
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_pathspec_matches_at_least_what_is_covered(odd_files: File_, text: str) -> None:
    """By git's own judgement: the shell may ask Python too often, never too seldom."""
    try:
        thing = resource(text)
    except Exception:  # noqa: BLE001 - can't be locked
        return
    spec = pathspec(thing)
    assert spec.isascii()
    assert not set(spec) & set(" '\"`$\\;&|<>()[]{}!?:#~")
    found = run(["git", "ls-files", "-z", "--", spec], odd_files).out.split("\0")
    covered = {name for name in NAMES if overlap(thing, observed(name))}
    assert covered <= set(found), (spec, covered - set(found))


def test_a_file_named_by_the_kelvin_sign_is_the_letter() -> None:
    """Which is why K may be anything in a pathspec."""
    assert observed("docs/\u212a.md") == File("docs/K.md")
