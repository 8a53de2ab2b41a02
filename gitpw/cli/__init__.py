"""The command line: parse, call one service, print; errors become exit codes here and nowhere else."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from gitpw.errors import StaleError, StoppedError

COMPLETE = "_GIT_PW_COMPLETE"
"""The variable by which a shell asks for completions."""

PIPE = 141
"""The exit status of a program whose reader went away, as if SIGPIPE had ended it."""


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; the exit status. Answers, also errors, are printed."""
    arguments = list(sys.argv[1:] if words is None else words)
    try:
        if arguments == ["hook", "pre-commit"] and _free():
            return 0
        return _answered(arguments)
    except KeyboardInterrupt:
        return StoppedError.exit


def _free() -> bool:
    """Whether a commit is free at a glance; whatever goes wrong here, the command itself says better."""
    from gitpw.app import free_at_a_glance

    try:
        return free_at_a_glance()
    except Exception:  # noqa: BLE001 - nothing has been judged yet
        return False


def _answered(arguments: list[str]) -> int:
    """Run the command, and say what went wrong."""
    from gitpw.cli.session import ReaderGoneError, Session

    session = Session(json="--json" in arguments[: _end(arguments)])
    try:
        status = _run(session, arguments)
        session.flush()
        session.lapsed()
    except ReaderGoneError:
        _let_go()
        return PIPE
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - this is the one place where errors end
        from gitpw.cli.failure import explain

        refusal = explain(error, session, arguments)
        session.refuse(refusal)
        if refusal.exit != StaleError.exit:  # which says so itself
            session.lapsed()
        _let_go()
        return refusal.exit
    return status


def _end(arguments: list[str]) -> int:
    """Where the options end."""
    return arguments.index("--") if "--" in arguments else len(arguments)


def _run(session: object, arguments: list[str]) -> int:
    from click.exceptions import Exit

    from gitpw.cli.root import root

    if COMPLETE in os.environ:
        from gitpw.cli.suggestions import suggest

        for line in suggest(root, arguments):
            print(line)  # noqa: T201 - for a shell
        return 0
    try:
        with root.make_context("git-pw", arguments, obj=session) as context:
            root.invoke(context)
    except Exit as done:
        return done.exit_code
    return 0


def _let_go() -> None:
    """Push out what is left; where that can't be, let nothing complain about it when Python ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream:
                stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
