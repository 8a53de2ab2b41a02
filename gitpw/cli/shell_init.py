"""`git pw shell-init`: a shell function that goes to the worktree which a command names; no program can do that."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gitpw.cli.commands import command
from gitpw.errors import InvalidError

if TYPE_CHECKING:
    from gitpw.cli.session import Session

SCRIPTS = {"bash": "gpw.sh", "fish": "gpw.fish", "zsh": "gpw.sh"}


@command(
    "shell-init",
    'eval "$(git pw shell-init bash)"   # in ~/.bashrc; zsh alike',
    "git pw shell-init fish | source    # in ~/.config/fish/config.fish",
)
@click.argument(
    "shell", shell_complete=lambda _context, _param, start: [one for one in SCRIPTS if one.startswith(start)]
)
def shell_init(session: Session, shell: str) -> None:
    """Print a shell function, `gpw`, that goes to worktrees.

    `gpw claim` claims and goes there, `gpw cd TASK` goes to a task's worktree and `gpw cd` back to the main checkout. Everything else is `git pw`.
    """
    if shell not in SCRIPTS:
        raise InvalidError(f"there is no function for {shell!r}", hint=f"choose one of {', '.join(SCRIPTS)}")
    script = (Path(__file__).parent / "wrappers" / SCRIPTS[shell]).read_text(encoding="utf-8")
    session.answer({"shell": shell, "script": script}, *script.rstrip("\n").split("\n"))
