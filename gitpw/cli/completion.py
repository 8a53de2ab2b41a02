"""`git pw completion`: scripts that let a shell complete `git pw` as well as `git-pw`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gitpw.cli.commands import command
from gitpw.errors import InvalidError

if TYPE_CHECKING:
    from gitpw.cli.session import Session

SCRIPTS = {"bash": "git-pw.bash", "fish": "git-pw.fish", "zsh": "_git-pw"}


@command(
    "completion",
    "git pw completion bash > ~/.local/share/bash-completion/completions/git-pw",
    'eval "$(git pw completion bash)"   # in ~/.bashrc',
    'git pw completion zsh > "${fpath[1]}/_git-pw"',
    "git pw completion fish > ~/.config/fish/completions/git-pw.fish",
)
@click.argument(
    "shell", shell_complete=lambda _context, _param, start: [one for one in SCRIPTS if one.startswith(start)]
)
def completion(session: Session, shell: str) -> None:
    """Print the completion script of bash, zsh or fish.

    It completes `git pw` as well as `git-pw`.
    """
    if shell not in SCRIPTS:
        raise InvalidError(
            f"there is no completion for {shell!r}", hint=f"choose one of {', '.join(SCRIPTS)}"
        )
    script = (Path(__file__).parent / "completions" / SCRIPTS[shell]).read_text(encoding="utf-8")
    session.answer({"shell": shell, "script": script}, *script.rstrip("\n").split("\n"))
