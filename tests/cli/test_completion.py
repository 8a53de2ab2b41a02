"""Shell completion, for `git pw` as well as `git-pw`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

CHECK = {"bash": ["bash", "-n"], "zsh": ["zsh", "-n"], "fish": ["fish", "--no-execute"]}

BASH = """
eval "$(git-pw completion bash)"
direct() { COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); __git_pw_complete; echo "${COMPREPLY[*]}"; }
by_git() { words=("$@") cword=$(($# - 1)); _git_pw; echo "${COMPREPLY[*]}"; }
direct git-pw cla
direct git-pw task add 'a b' --type f
by_git git pw unl
by_git git -C . pw task ''
__git_cmd_idx=3
by_git git --git-dir pw pw unl
"""

FISH = """
git-pw completion fish | source
for words in 'git-pw cla' 'git pw cla' 'git -C . pw task add --type ref'
    complete -C $words | string split --fields 1 \\t
end
true
"""


def needs(shell: str) -> None:
    """Skip where there is no such shell; in CI that is a failure."""
    if shutil.which(shell) is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{shell} is missing")
        pytest.skip(f"{shell} is missing")


@pytest.mark.parametrize("shell", CHECK)
def test_scripts_parse(shell: str, cli: Cli, tmp_path: Path) -> None:
    """Each in its own shell."""
    needs(shell)
    script = tmp_path / "script"
    script.write_text(cli("completion", shell).out)
    done = subprocess.run([*CHECK[shell], script], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_bash_completes_both_spellings() -> None:
    """Git's own completion finds `_git_pw`, with options of git before the command."""
    needs("bash")
    done = subprocess.run(["bash", "--norc", "-c", BASH], capture_output=True, check=True, text=True)
    assert done.stdout.splitlines() == [
        "claim",
        "fix feat",
        "unlock",
        "add cancel edit export graph import list retry show split",
        "unlock",
    ]


def test_fish_completes_both_spellings() -> None:
    """After `git pw`, not only after `git-pw`."""
    needs("fish")
    done = subprocess.run(["fish", "--no-config", "-c", FISH], capture_output=True, check=True, text=True)
    assert done.stdout.splitlines() == ["claim", "claim", "refactor"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["cla"], ["claim"]),
        (["task", "list", "--status", "c"], ["claimed", "completed", "cancelled"]),
        (["worker", "register", "--type", ""], ["human", "ai_agent"]),
        (["worker", "register", "--agent-type", "c"], ["coordinator", "codegen"]),
        (["completion", ""], ["bash", "fish", "zsh"]),
        (["claim", "--js"], ["--json"]),
    ],
)
def test_suggestions(words: list[str], found: list[str], cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, options and the values of sets."""
    monkeypatch.setenv("_GIT_PW_COMPLETE", "words")
    answer = cli(*words)
    assert answer.exit == 0
    told = [line.split("\t") for line in answer.out.splitlines()]
    assert [value for kind, value, _ in told if kind == "plain"] == found


@pytest.mark.parametrize("words", [["lock", ""], ["locks", "x"], ["claim", "--file", "sr"]])
def test_files_are_left_to_the_shell(words: list[str], cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """It knows them better."""
    monkeypatch.setenv("_GIT_PW_COMPLETE", "words")
    assert cli(*words).out.startswith("file\t")


def test_a_completion_imports_nothing_slow() -> None:
    """Somebody waits for it with a finger on the key."""
    run = "import sys; from gitpw.cli import main; main(['cla']); print(len({'rich', 'pydantic', 'github'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", run],
        env={**os.environ, "_GIT_PW_COMPLETE": "words"},
        capture_output=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == b"0"
