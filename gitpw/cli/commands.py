"""What every command has: the global options before or after its name, examples in its help, values that may be left out."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

import click

from gitpw.cli.session import Session
from gitpw.errors import UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Callback = Callable[..., None]
Values = Callable[[], Iterable[str]]

DURATION = re.compile(r"\d{1,9}[smhd]?")
LEFT_OUT = "default"
"""What an option says whose value was left out: `--wait` for `--wait 5m`."""

pass_session = click.make_pass_decorator(Session)


class GlobalOption(click.Option):
    """An option that each command takes, and only the root's help shows."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Nothing, except for the root."""
        return super().get_help_record(ctx) if ctx.parent is None else None


def _into(context: click.Context, _: click.Parameter, value: Sequence[str]) -> None:
    session = context.ensure_object(Session)
    for folder in value:
        session.directory = os.path.join(session.directory or "", folder)  # noqa: PTH118 - the words of -C, as git joins them


def _as(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.ensure_object(Session).worker = value


def _plain(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        context.ensure_object(Session).colour = False


def _more(context: click.Context, _: click.Parameter, value: int) -> None:
    context.ensure_object(Session).verbose += value


def _flag(context: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        setattr(context.ensure_object(Session), param.name or "", True)


def global_options() -> list[click.Parameter]:
    """The options that stand before or after any command."""

    def option(*names: str, help: str, callback: Callable[..., None], **more: Any) -> click.Option:  # noqa: A002
        return GlobalOption(names, help=help, callback=callback, expose_value=False, **more)

    return [
        option("-C", "into", metavar="DIR", multiple=True, callback=_into, help="Run as if started in DIR."),
        option("--as", "as_worker", metavar="WORKER", callback=_as, help="Act as this worker."),
        option("--json", is_flag=True, callback=_flag, help="Answer with one JSON document on stdout."),
        option(
            "-q", "--quiet", is_flag=True, callback=_flag, help="Say only what was asked for, and errors."
        ),
        option("-v", "--verbose", count=True, callback=_more, help="Say more; -vv also shows tracebacks."),
        option("--no-color", is_flag=True, callback=_plain, help="No colours; so does NO_COLOR=1."),
        option(
            "--dry-run",
            "dry_run",
            is_flag=True,
            callback=_flag,
            help="Say what would change, change nothing.",
        ),
    ]


def _help(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        text = context.get_help()
        context.ensure_object(Session).answer({"help": text}, *text.split("\n"))
        context.exit()


class Shared(click.Command):
    """A command with the global options and examples; answers to -h and --help like to any question."""

    def __init__(self, name: str, *, examples: Sequence[str] = (), **more: Any) -> None:
        more["add_help_option"] = False  # ours answers with --json too
        super().__init__(name, **more)
        self.examples = tuple(examples)
        self.params += global_options()
        self.params.append(
            click.Option(
                ["-h", "--help"],
                is_flag=True,
                is_eager=True,
                expose_value=False,
                callback=_help,
                help="Show this text.",
            )
        )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, after giving options whose value was left out their default."""
        return super().parse_args(ctx, spelled_out(args, self.params))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples, one a line."""
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':>{formatter.current_indent}}{example}\n")
        if ctx.parent is not None:
            formatter.write(
                "\nGlobal options (-C, --as, --json, -q, -v, --no-color, --dry-run): see 'git-pw --help'.\n"
            )


@click.pass_context
def _command_needed(context: click.Context) -> None:
    """With no command named, show the help and refuse."""
    if context.invoked_subcommand is not None:
        return
    session = context.ensure_object(Session)
    if not session.json:
        for line in [*context.get_help().split("\n"), ""]:
            session.complain(line)
    raise UsageError("no command given", hint=f"'{context.command_path} -h' lists them")


class Group(Shared, click.Group):
    """A command of commands."""

    def __init__(self, name: str, **more: Any) -> None:
        more["callback"] = _command_needed
        super().__init__(name, invoke_without_command=True, subcommand_metavar="COMMAND [ARGS]...", **more)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command by its name; a name that is none is refused with the nearest right one."""
        found = self.get_command(ctx, args[0])
        if found is None and not ctx.resilient_parsing:
            self._unknown(ctx, args[0])
        return args[0] if found else None, found, args[1:]

    def _unknown(self, ctx: click.Context, name: str) -> NoReturn:
        from difflib import get_close_matches

        near = get_close_matches(name, self.list_commands(ctx), 1)
        hint = (
            f"did you mean '{ctx.command_path} {near[0]}'?" if near else f"'{ctx.command_path} -h' lists them"
        )
        raise UsageError(f"'{name}' is no command of {ctx.command_path}", hint=hint)

    def command(self, name: str, *examples: str, **more: Any) -> Callable[[Callback], click.Command]:  # type: ignore[override]
        """Add a command; its callback gets the session first."""

        def wrap(callback: Callback) -> click.Command:
            made = command(name, *examples, **more)(callback)
            self.add_command(made)
            return made

        return wrap


class Root(Group):
    """The top: commands under headings, each imported when it is called."""

    def __init__(self, name: str, *, sections: Mapping[str, Mapping[str, str]], **more: Any) -> None:
        super().__init__(name, **more)
        self.sections = sections
        self.places = {name: place for section in sections.values() for name, place in section.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the headings."""
        del ctx
        return list(self.places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command."""
        del ctx
        if cmd_name not in self.places:
            return None
        module, name = self.places[cmd_name].split(":")
        found = getattr(import_module(f"gitpw.cli.{module}"), name)
        assert isinstance(found, click.Command)  # noqa: S101 - a mistake in the table
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands under their headings."""
        limit = formatter.width - 6 - max(map(len, self.places))
        for heading, section in self.sections.items():
            found = [(name, self.get_command(ctx, name)) for name in section]
            rows = [(name, one.get_short_help_str(limit)) for name, one in found if one and not one.hidden]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(
                        [(f"{name:{max(map(len, self.places))}}", text) for name, text in rows]
                    )


def command(name: str, *examples: str, **more: Any) -> Callable[[Callback], click.Command]:
    """Make a command; its callback gets the session first."""

    def wrap(callback: Callback) -> click.Command:
        return click.command(name, cls=Shared, examples=examples, **more)(pass_session(callback))

    return wrap


def group(name: str, *examples: str, **more: Any) -> Callable[[Callable[[], None]], Group]:
    """Make a group of commands; the function gives it its help."""

    def wrap(callback: Callable[[], None]) -> Group:
        return Group(name, examples=examples, help=callback.__doc__, **more)

    return wrap


class OptionalValue(click.Option):
    """An option whose value, a duration, may be left out."""


def option(
    *names: str, values: Values | None = None, files: bool = False, **more: Any
) -> Callable[[Callback], Callback]:
    """An option as click's, whose value shells complete from a set or from the files that there are."""
    return click.option(*names, **_completing(values, files=files), **more)


def argument(name: str, *, files: bool = False, **more: Any) -> Callable[[Callback], Callback]:
    """An argument as click's, which shells may complete from the files that there are."""
    return click.argument(name, **_completing(None, files=files), **more)


def _completing(values: Values | None, *, files: bool) -> dict[str, Any]:
    if files:
        return {"shell_complete": _some_file}
    if values is None:
        return {}

    def among(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
        return [value for value in map(str, values()) if value.startswith(incomplete)]

    return {"shell_complete": among}


def _some_file(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def spelled_out(args: Sequence[str], params: Sequence[click.Parameter]) -> list[str]:
    """The words, with `--wait` that no duration follows as `--wait=default`.

    Words that are another option's value, or stand after `--`, are left alone.
    """
    options = [param for param in params if isinstance(param, click.Option)]
    optional = {name for one in options if isinstance(one, OptionalValue) for name in one.opts}
    if not optional:
        return list(args)
    takes = {name for one in options if not (one.is_flag or one.count) for name in one.opts} - optional
    done: list[str] = []
    rest = list(args)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return [*done, word, *rest]
        if word in optional:
            follows = bool(rest) and DURATION.fullmatch(rest[0]) is not None
            word = f"{word}={rest.pop(0) if follows else LEFT_OUT}"
        done.append(word)
        if _awaits(word, takes) and rest:
            done.append(rest.pop(0))
    return done


def _awaits(word: str, takes: set[str]) -> bool:
    """Whether the next word is this one's value, be it `--file` or the last letter of `-qC`."""
    if word.startswith("--"):
        return word in takes
    if not word.startswith("-") or len(word) < 2:  # noqa: PLR2004
        return False
    letters = word[1:]
    first = next((i for i, letter in enumerate(letters) if f"-{letter}" in takes), None)
    return first == len(letters) - 1
