"""What may come next on a command line, for the shells' completion scripts: `kind<Tab>value<Tab>help` a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from click.shell_completion import CompletionItem, ShellComplete

if TYPE_CHECKING:
    import click


class Words(ShellComplete):
    """Our own protocol: the words come as arguments, so nothing needs to be quoted."""

    name = "words"

    def format_completion(self, item: CompletionItem[Any]) -> str:
        """One line of the answer."""
        return f"{item.type}\t{item.value}\t{item.help or ''}"


def suggest(root: click.Command, words: Sequence[str]) -> list[str]:
    """What could stand in place of the last word."""
    shell = Words(root, {}, "git-pw", "")
    *before, last = words or [""]
    return [shell.format_completion(item) for item in shell.get_completions(before, last)]
