"""`gpw`: the shell function that goes where a command names."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.cli.test_completion import CHECK, needs

LOAD = {shell: f'eval "$(git-pw shell-init {shell})"' for shell in ("bash", "zsh")}
LOAD["fish"] = "git-pw shell-init fish | source"

STAND_IN = """#!/bin/sh
case $1 in
    shell-init) exec "$REAL" "$@" ;;
esac
printf '[%s]' "$@" >&2
case $1 in
    worktree | claim) [ -n "$ANSWER" ] && printf '%s\\n' "$ANSWER" ;;
esac
exit "${STATUS:-0}"
"""


@pytest.fixture
def shell_env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git-pw that says with what it was called, and answers with a path; the folder that it names."""
    import os
    import shutil

    real = shutil.which("git-pw")
    assert real is not None
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "git-pw").write_text(STAND_IN)
    (folder / "git-pw").chmod(0o755)
    there = tmp_path / "a tree\nwith é"
    there.mkdir()
    monkeypatch.setenv("REAL", real)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("ANSWER", str(there))
    monkeypatch.setenv("CDPATH", "/")
    return there


def called(shell: str, script: str) -> tuple[str, str, int]:
    """What a shell says on both streams, and its exit status."""
    needs(shell)
    bare = {"bash": ["bash", "--norc"], "zsh": ["zsh", "-f"], "fish": ["fish", "--no-config"]}[shell]
    done = subprocess.run(
        [*bare, "-c", f"{LOAD[shell]}\n{script}"], capture_output=True, check=False, text=True, timeout=60
    )
    return done.stdout, done.stderr, done.returncode


@pytest.mark.parametrize("shell", LOAD)
def test_scripts_parse(shell: str, cli: Cli, tmp_path: Path) -> None:
    """Each in its own shell."""
    needs(shell)
    script = tmp_path / "script"
    script.write_text(cli("shell-init", shell).out)
    done = subprocess.run([*CHECK[shell], script], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_unknown_shell(cli: Cli) -> None:
    """With those that there are."""
    answer = cli("shell-init", "tcsh")
    assert (answer.exit, "bash, fish, zsh" in answer.err) == (6, True)


@pytest.mark.parametrize("shell", LOAD)
def test_goes_to_the_worktree(shell: str, shell_env: Path) -> None:
    """After a claim, and by name; whatever the path has in it."""
    out, err, status = called(shell, "gpw claim task-007 --file 'a b'; pwd; cd /; gpw cd; pwd; gpw cd 7; pwd")
    assert (out, status) == (f"{shell_env}\n" * 3, 0)
    assert err == "[claim][--print-path][task-007][--file][a b][worktree][path][worktree][path][7]"


@pytest.mark.parametrize("shell", LOAD)
def test_stays_where_a_claim_is_refused(
    shell: str, shell_env: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With the exit status that says why."""
    monkeypatch.setenv("ANSWER", "")
    monkeypatch.setenv("STATUS", "3")
    monkeypatch.chdir(tmp_path)
    status = "$status" if shell == "fish" else "$?"
    out, _, _ = called(shell, f"gpw claim; echo {status}; gpw cd 7; echo {status}; pwd")
    assert out == f"3\n3\n{tmp_path}\n"
    assert shell_env.is_dir()


@pytest.mark.parametrize("shell", LOAD)
@pytest.mark.parametrize(
    "words",
    ["status", "claim --json", "claim task-007 --no-worktree", "claim -h", "claim --print-path", "''"],
)
def test_everything_else_is_git_pw(shell: str, words: str, shell_env: Path, tmp_path: Path) -> None:
    """Its words, its output, its exit status; and nobody goes anywhere."""
    out, err, _ = called(shell, f"cd '{tmp_path}'; gpw {words}; pwd")
    assert out.endswith(f"{tmp_path}\n")
    assert err == "".join(f"[{word}]" for word in words.replace("''", " ").split(" ")).replace("[][]", "[]")
    assert shell_env.is_dir()
