"""Every exception as what a person can act on: a message, a hint and an exit status."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from typing import TYPE_CHECKING

import click

from gitpw.errors import BugError, FailedError, InvalidError, PwError, StoppedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import ValidationError

    from gitpw.cli.session import Session

SURROUNDINGS = {
    errno.EACCES,
    errno.EDQUOT,
    errno.EIO,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOSPC,
    errno.EPERM,
    errno.EROFS,
}
"""What the machine may refuse without anybody's mistake here."""

OPTIONS = {
    "agentType": "--agent-type",
    "done": "--step",
    "estimate": "--estimate",
    "eta": "--eta",
    "files": "--file",
    "githubUsername": "--github",
    "id": "the worker's id",
    "issue": "--issue",
    "lease": "--lease",
    "maxConcurrentTasks": "--max-tasks",
    "name": "--name",
    "percent": "--percent",
    "priority": "--priority",
    "reason": "--reason",
    "skills": "--skill",
    "total": "--step",
    "type": "--type",
    "worker": "the worker's id",
}
"""How a person knows the fields of a request."""


def explain(error: BaseException, session: Session, words: Sequence[str]) -> PwError:
    """What to tell: our own errors as they are, the outside's in our words, the rest as a bug with a log."""
    if isinstance(error, (KeyboardInterrupt, EOFError, click.Abort)):
        return StoppedError("interrupted", hint="what was under way is settled by the next command")
    if session.verbose > 1:
        for line in "".join(traceback.format_exception(error)).splitlines():
            session.complain(line)
    if isinstance(error, PwError):
        return error
    if isinstance(error, click.UsageError):
        return misused(error)
    if isinstance(error, click.ClickException):
        return FailedError(_line(error.format_message()))
    if isinstance(error, OSError) and error.errno in SURROUNDINGS:
        return refused_by_system(error)
    return invalid_request(error) or bug(error, session, words)


def misused(error: click.UsageError) -> UsageError:
    """Click's complaint in our form: lower case, no period, and where to look."""
    path = error.ctx.command_path if error.ctx else "git-pw"
    if isinstance(error, click.NoSuchOption):
        near = error.possibilities
        hint = f"did you mean {near[0]}?" if near else f"'{path} -h' lists them"
        return UsageError(f"{path} has no option {error.option_name}", hint=hint)
    return UsageError(_line(error.format_message()), hint=f"'{path} -h' shows how it is used")


def _line(text: str) -> str:
    line = " ".join(text.split()).rstrip(".")
    return line[:1].lower() + line[1:]


def refused_by_system(error: OSError) -> FailedError:
    """What the machine said, with the file that it is about."""
    said = _line(os.strerror(error.errno or 0))
    hint = "put that right and run the command again: what was under way is settled then"
    return FailedError(f"{said}: {error.filename}" if error.filename else said, hint=hint)


def invalid_request(error: BaseException) -> InvalidError | None:
    """A request that pydantic refused; None where it was something else, such as a record."""
    pydantic = sys.modules.get("pydantic")
    operation = sys.modules.get("gitpw.domain.operation")
    if pydantic is None or operation is None or not isinstance(error, pydantic.ValidationError):
        return None
    known = getattr(operation, error.title, None)
    if known is None or error.title in {"Operation", "Done", "Refused"}:
        return None
    return out_of_range(error)


def out_of_range(error: ValidationError) -> InvalidError:
    """The first complaint of a validation, in the words of the command line."""
    from gitpw.domain.record import complaint

    field, said = complaint(error)
    head, *words = field.split("_")
    name = OPTIONS.get(head + "".join(word.capitalize() for word in words), field)
    return InvalidError(f"{name} {said}", hint="the command's -h shows what is allowed")


def bug(error: BaseException, session: Session, words: Sequence[str]) -> BugError:
    """An error that nobody foresaw; its story goes into a file."""
    from gitpw.cli.crash import write_log

    path = write_log(error, words, session.directory)
    said = " ".join(f"{type(error).__name__}: {error}".split())[:300].rstrip(".")
    if path is None:
        return BugError(f"internal error: {said}", hint="run it again with -vv, and report what it shows")
    return BugError(
        f"internal error: {said}; the log is {path}", hint="please report it, with the log", log=path
    )
