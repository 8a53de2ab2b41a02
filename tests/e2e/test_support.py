"""The sealed environment and the helpers that call git and git-pw do what the other tests rely on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.cli import Call, pw, pw_many
from tests.support.git import FILES, clone, git, make_upstream, run

if TYPE_CHECKING:
    from tests.conftest import Sealed

FAKE = """#!/bin/sh
case "$*" in
*slow*) sleep 30 ;;
*text*) echo hello ;;
*no*) echo '{"ok": false, "code": "held"}'; echo 'hint: wait' >&2; exit 3 ;;
*) printf '{"ok": true, "args": "%s", "who": "%s"}' "$*" "$GITPW_WORKER" ;;
esac
"""


@pytest.fixture
def fake(sealed: Sealed, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git-pw that answers as the test wants, first on PATH."""
    file = sealed.home / "fake/git-pw"
    file.parent.mkdir()
    file.write_text(FAKE)
    file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{file.parent}{os.pathsep}{os.environ['PATH']}")
    return file


def test_nothing_of_the_user_reaches_a_test(sealed: Sealed, tmp_path: Path) -> None:
    """Git sees the test's home, name and branch, and no variable of a worker or an agent is left."""
    run(["git", "init", "-q", tmp_path])
    origins = {
        line.split("\t")[0] for line in git("config", "--show-origin", "-l", cwd=tmp_path).splitlines()
    }
    assert origins == {f"file:{sealed.gitconfig}", "file:.git/config"}
    assert git("symbolic-ref", "HEAD", cwd=tmp_path) == "refs/heads/main"
    assert not [name for name in os.environ if name.startswith(("CLAUDE", "GITPW_", "SSH_", "XDG_"))]
    assert Path.home() == Path.cwd() == sealed.home


def test_the_environments_git_pw_is_first_on_path() -> None:
    """`git pw` and `git-pw` run what is under test."""
    assert shutil.which("git-pw") == str(Path(sys.executable).parent / "git-pw")


def test_upstream_is_the_same_in_each_run(tmp_path: Path) -> None:
    """Names of commits can be relied on, and a clone has every file."""
    one, two = make_upstream(tmp_path / "one.git"), make_upstream(tmp_path / "two.git")
    work = clone(one, tmp_path / "work")
    assert git("rev-parse", "main", cwd=one) == git("rev-parse", "main", cwd=two)
    assert set(git("ls-files", "-z", cwd=work).strip("\0").split("\0")) == set(FILES)


def test_upstream_takes_odd_names(tmp_path: Path) -> None:
    """Quotes, newlines, backslashes, Unicode and bytes arrive as they are."""
    files: dict[str, str | bytes] = {'a"b\n\\c ü': b"\xff\0", "-x": ""}
    bare = make_upstream(tmp_path / "odd.git", files, commits=1)
    names = git("-c", "core.quotePath=false", "ls-tree", "-rz", "--name-only", "main", cwd=bare)
    assert set(names.strip("\0").split("\0")) == set(files)


@pytest.mark.usefixtures("fake")
def test_pw_reads_json_and_checks_the_exit(tmp_path: Path) -> None:
    """The document is in `data`; an unexpected exit or text instead of JSON fails the test with all that was said."""
    assert pw("yes", cwd=tmp_path, env={"GITPW_WORKER": "bob"}, check=0).data["who"] == "bob"
    assert pw("no", cwd=tmp_path, check=3).data["code"] == "held"
    assert pw("text", cwd=tmp_path, json=False).out == "hello\n"
    with pytest.raises(AssertionError, match="hint: wait"):
        pw("no", cwd=tmp_path, check=0)
    with pytest.raises(AssertionError, match="isn't one JSON document"):
        pw("text", cwd=tmp_path)


@pytest.mark.usefixtures("fake")
def test_pw_many_answers_in_order(tmp_path: Path) -> None:
    """Twenty processes start together, and each answer stands where its call stood."""
    calls = [Call([f"call-{n}"], tmp_path, {"GITPW_WORKER": f"w{n}"}) for n in range(20)]
    answers = pw_many(calls)
    assert [answer.data["who"] for answer in answers] == [f"w{n}" for n in range(20)]
    assert answers[3].data["args"] == "--json call-3"


@pytest.mark.usefixtures("fake")
def test_pw_many_ends_what_hangs(tmp_path: Path) -> None:
    """A process that doesn't end in time is killed."""
    with pytest.raises(subprocess.TimeoutExpired):
        pw_many([Call(["yes"], tmp_path), Call(["slow"], tmp_path)], timeout=0.5)
