"""Names in the tree: each reads back, and no host refuses one."""

from __future__ import annotations

import string
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gitpw.ledger.layout import HASHED, decoded, encoded, entries, fan_out, is_hashed_table
from tests.support.git import environment, git, run

if TYPE_CHECKING:
    from pathlib import Path

NAMES = st.one_of(
    st.text(max_size=20),
    st.binary(max_size=12).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
    st.text("=!.%/~\\git1~ \u200c\u200d\ufeff\x00\n:-", max_size=12),
)
"""What a path component or a person's word can be; bytes that aren't UTF-8 come as Python reads them."""

UGLY = [
    "",
    ".",
    "..",
    "...",
    ".git",
    ".GIT",
    ".Git ",
    ".git.",
    "git~1",
    "GIT~1",
    ".g\u200cit",
    "\u200c.git",
    ".\u200egit",
    "\ufeff.gi\u202at",
    ".git\u206f",
    ".gitmodules",
    ".GitModules",
    "\u200d.gitmodules",
    "gitmod~1",
    "gi7eba~1",
    ".gitattributes",
    ".gitignore",
    ".mailmap",
    "a\\.git",
    "\\.git\\config",
    "a\\git~1",
    ".git::$INDEX_ALLOCATION",
    ".git:x",
    "a/b",
    "/",
    "%",
    "%2F",
    "%%",
    "a\nb",
    "\x00",
    "\x7f",
    "\x85",
    "\udc80",
    "\udcff\udcfe",
    "CON",
    "-rf",
    " ",
    "a ",
    "\u00e9",
    "e\u0301",
    "\u4fee\u6b63",
    "\U0001f600",
    "x" * 4_000,
    "\u00e9" * 2_000,
]


@given(NAMES)
@example("")
@example(".g\u200cit")
@example("\udc80")
def test_round_trip(name: str) -> None:
    """A name reads back from its entry."""
    assert decoded(encoded(name)) == name


@given(NAMES, NAMES)
@example("%", "")
@example("%2F", "/")
def test_no_two_names_in_one_place(one: str, two: str) -> None:
    """Different names have different entries."""
    assert (encoded(one) == encoded(two)) is (one == two)


@pytest.mark.parametrize("name", UGLY)
def test_ugly_names_round_trip(name: str) -> None:
    """Names that some program trips over read back."""
    assert decoded(encoded(name)) == name


@given(NAMES)
def test_entries_are_harmless(name: str) -> None:
    """An entry is a single component that no file system takes for another, or hides."""
    entry = encoded(name)
    assert entry
    assert not entry.startswith(".")
    assert not set(entry) & set("/~\\\x00\n\r\t\x1b\x7f\u200c\u200d\u202e\ufeff")
    entry.encode()


def test_common_names_stay_as_they_are() -> None:
    """What people can read in a tree stays readable."""
    for name in ("task-001", "=src", "=[id]", "!0123abcd", "c++", "caf\u00e9", "a b", string.ascii_letters):
        assert encoded(name) == name


def test_tables_are_spread() -> None:
    """Tables that grow lie in folders by hash; what is filed deeper stays with its name."""
    assert entries(("meta",)) == ("meta",)
    assert entries(("tasks", "task-001")) == ("tasks", fan_out("task-001"), "task-001")
    assert entries(("dependents", "task-001", "task-002"))[1] == fan_out("task-001")
    assert entries(("ready", "-", "3", "999999")) == ("ready", "-", "3", "999999")
    assert all(is_hashed_table((table,)) and not is_hashed_table((table, "x")) for table in HASHED)
    assert len({fan_out(f"task-{number:03d}") for number in range(10_000)}) == 256


def tree_of(repo: Path, names: list[str]) -> str:
    """A commit whose tree, and a folder in it, have an entry for each name."""
    blob = git("hash-object", "-w", "--stdin", cwd=repo, input="{}")
    lines = "".join(f"100644 blob {blob}\t{encoded(name)}\x00" for name in names)
    inner = run(["git", "mktree", "-z"], repo, input=lines).out.strip()
    deep = git("mktree", cwd=repo, input=f"040000 tree {inner}\tpaths\n040000 tree {inner}\tready\n")
    folders = "".join(f"040000 tree {deep}\t{encoded(name)}\x00" for name in names)
    outer = run(["git", "mktree", "-z"], repo, input=folders).out.strip()
    commit = git("commit-tree", outer, "-m", "names", cwd=repo, env=IDENTITY)
    git("update-ref", "refs/pw/locks/main", commit, cwd=repo)
    return commit


IDENTITY = {
    f"GIT_{who}_{what}": "x@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
}


def test_git_takes_all_names(tmp_path: Path) -> None:
    """Git's strictest checks, as hosts make them of a push, have nothing against a tree with all these names."""
    git("init", "-q", "--bare", str(tmp_path / "store"), cwd=tmp_path)
    git("init", "-q", "--bare", str(tmp_path / "host"), cwd=tmp_path)
    for setting in ("transfer.fsckObjects", "receive.fsckObjects", "core.protectHFS", "core.protectNTFS"):
        git("config", setting, "true", cwd=tmp_path / "host")
    tree_of(tmp_path / "store", UGLY)
    checked = run(["git", "fsck", "--strict", "--full"], tmp_path / "store", check=False)
    assert checked.exit == 0, checked
    assert not [line for line in checked.err.splitlines() if "warning" in line or "error" in line], checked
    git("push", "-q", str(tmp_path / "host"), "refs/pw/locks/main", cwd=tmp_path / "store")


@pytest.mark.parametrize("name", [".git", "git~1", ".g\u200cit", "\u200c.git", "a\\.git", ".."])
def test_git_would_refuse_them_raw(tmp_path: Path, name: str) -> None:
    """The same checks refuse these names as they are: the encoding is there for a reason."""
    git("init", "-q", "--bare", str(tmp_path / "store"), cwd=tmp_path)
    blob = git("hash-object", "-w", "--stdin", cwd=tmp_path / "store", input="{}")
    raw = f"100644 {name}\x00".encode() + bytes.fromhex(blob)
    made = subprocess.run(
        ["git", "hash-object", "-w", "-t", "tree", "--literally", "--stdin"],
        cwd=tmp_path / "store",
        env=environment(None),
        input=raw,
        capture_output=True,
        check=True,
    )
    assert made.stdout
    checked = run(["git", "fsck", "--strict", "--full"], tmp_path / "store", check=False)
    assert checked.exit != 0
