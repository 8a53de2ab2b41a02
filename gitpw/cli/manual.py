"""The manual, made from the commands' own help: `python -m gitpw.cli.manual` writes it, `--check` compares."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from gitpw import errors
from gitpw.cli.commands import Group, Root, Shared
from gitpw.cli.root import root

DOCS = Path(__file__).parents[2] / "docs"
WIDTH = 88

INTRODUCTION = """\
# git pw: the command line

<!-- Made by `python -m gitpw.cli.manual` from the commands' own help. Change it there. -->

`git pw …` and `git-pw …` are the same. Global options stand before or after the command. With `--json`, stdout holds
exactly one JSON document: `{"ok": true, …}`, or `{"ok": false, "code": …, "message": …, "hint": …}` with the exit
status below. People's results go to stdout; notes, progress and errors to stderr.
"""

FILES = {
    ".gitpw.toml": "the rules of the repository, committed at its root; see 'git pw config'",
    "<common git dir>/pw/": "the local copy of the ledger, and logs of internal errors",
    "refs/pw/locks/main": "the ledger, on the remote",
}

VARIABLES = {
    "GITPW_WORKER": "who I am, where --as doesn't say so",
    "GITPW_WORKER_TYPE": "human or ai_agent, for a worker that isn't registered yet",
    "NO_COLOR": "no colours",
}


def statuses() -> list[tuple[int, str, str]]:
    """The exit statuses, their code in JSON and their meaning, as the errors themselves say it."""
    kinds = [
        kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.PwError)
    ]
    found = {
        kind.exit: (kind.exit, kind.code, _sentence(kind)) for kind in kinds if kind is not errors.PwError
    }
    return [(0, "-", "Done."), *sorted(found.values())]


def _sentence(kind: type[errors.PwError]) -> str:
    return inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0].replace("\n", " ")


def commands(group: Group, parent: click.Context) -> Iterator[tuple[click.Context, Shared]]:
    """Every command that isn't hidden, with a context that knows its path; groups before what is in them."""
    for name in group.list_commands(parent):
        found = group.get_command(parent, name)
        if isinstance(found, Shared) and not found.hidden:
            context = _context(found, name, parent)
            yield context, found
            if isinstance(found, Group):
                yield from commands(found, context)


def _context(command: click.Command, name: str, parent: click.Context | None) -> click.Context:
    return click.Context(
        command, info_name=name, parent=parent, terminal_width=WIDTH, max_content_width=WIDTH
    )


def markdown() -> str:
    """`docs/cli.md`."""
    top = _context(root, "git-pw", None)
    parts = [INTRODUCTION, _fenced(root.get_help(top)), "## Exit statuses\n", _table()]
    headings = _headings(root)
    for context, command in commands(root, top):
        if context.parent is top and (heading := headings.get(context.info_name or "")):
            parts.append(f"## {heading}\n")
        path = context.command_path.replace("git-pw", "git pw", 1)
        parts += [f"### {path}\n", _fenced(command.get_help(context))]
    return "\n".join(parts)


def _headings(group: Root) -> Mapping[str, str]:
    """The first command of each section, and the section's name."""
    return {next(iter(names)): heading for heading, names in group.sections.items()}


def _fenced(text: str) -> str:
    return f"```text\n{text}\n```\n"


def _table() -> str:
    rows = [f"| {status} | `{code}` | {meaning} |" for status, code, meaning in statuses()]
    return "\n".join(["| exit | code in JSON | meaning |", "|---|---|---|", *rows, ""])


def roff() -> str:
    """`docs/man/git-pw.1`: git shows it for `git pw --help`."""
    top = _context(root, "git-pw", None)
    lines = ['.TH GIT-PW 1 "" "git-pw" "Git Manual"', ".SH NAME"]
    lines += ["git-pw \\- many workers, people and AI agents, on one repository"]
    lines += [
        ".SH SYNOPSIS",
        "\\fBgit pw\\fR [\\fIoptions\\fR] \\fIcommand\\fR [\\fIargs\\fR]",
        ".SH DESCRIPTION",
    ]
    lines += _paragraphs(root.help)
    lines += [".PP", _escaped("'git pw -h' lists the commands, 'git pw COMMAND -h' tells about one.")]
    lines += [".SH GLOBAL OPTIONS", "They stand before or after the command.", *_options(root, top)]
    lines += [".SH COMMANDS"]
    for context, command in commands(root, top):
        lines += _section(context, command)
    lines += [".SH EXIT STATUS"]
    for status, code, meaning in statuses():
        lines += [".TP", f"\\fB{status}\\fR ({code})" if status else "\\fB0\\fR", _escaped(meaning)]
    lines += [".SH FILES", *_terms(FILES), ".SH ENVIRONMENT", *_terms(VARIABLES)]
    lines += [".SH SEE ALSO", "\\fBgit\\fR(1), \\fBgit-worktree\\fR(1)"]
    return "\n".join(lines) + "\n"


def _section(context: click.Context, command: Shared) -> list[str]:
    usage = " ".join(command.collect_usage_pieces(context))
    path = context.command_path.replace("git-pw", "git pw", 1)
    lines = [
        f'.SS "{_escaped(path)} {_escaped(usage)}"',
        *_paragraphs(command.help),
        *_options(command, context),
    ]
    examples = [_escaped(example) for example in command.examples]
    return [*lines, ".PP", "Examples:", ".PP", ".nf", ".RS", *examples, ".RE", ".fi"]


def _options(command: click.Command, context: click.Context) -> list[str]:
    """The options, without the arguments that the usage names, and --help, that all have."""
    lines = []
    for param in command.params:
        record = param.get_help_record(context) if isinstance(param, click.Option) else None
        if record is not None and "--help" not in param.opts:
            lines += [".TP", f"\\fB{_escaped(record[0])}\\fR", _escaped(record[1])]
    return lines


def _paragraphs(text: str | None) -> list[str]:
    lines: list[str] = []
    for paragraph in inspect.cleandoc(text or "").split("\n\n"):
        lines += [".PP", _escaped(" ".join(paragraph.split()))]
    return lines[1:]


def _terms(terms: Mapping[str, str]) -> list[str]:
    return [
        line for term, told in terms.items() for line in (".TP", f"\\fB{_escaped(term)}\\fR", _escaped(told))
    ]


def _escaped(text: str) -> str:
    """Text that means nothing to roff."""
    plain = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...").replace('"', "\\(dq")
    return f"\\&{plain}" if plain[:1] in {".", "'"} else plain


def pages() -> Mapping[Path, str]:
    """What is to stand where."""
    return {DOCS / "cli.md": markdown(), DOCS / "man" / "git-pw.1": roff()}


def main(words: list[str]) -> int:
    """Write the pages; with `--check`, say which are out of date."""
    stale = [path for path, text in pages().items() if not path.is_file() or path.read_text("utf-8") != text]
    for path in stale:
        if "--check" in words:
            sys.stderr.write(f"{path} is out of date: python -m gitpw.cli.manual\n")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(pages()[path], "utf-8")
    return int(bool(stale) and "--check" in words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
