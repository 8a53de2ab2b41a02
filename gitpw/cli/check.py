"""`git pw check`: for CI, and for whoever wants to know before they push."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from gitpw.cli.commands import command, option
from gitpw.cli.output import counted
from gitpw.errors import FailedError, InvalidError, OfflineError, UsageError

if TYPE_CHECKING:
    from gitpw.cli.session import Session
    from gitpw.domain.review import Finding
    from gitpw.services.check import Checked

FORMATS = ("text", "github", "sarif")


@command(
    "check",
    "git pw check",
    "git pw check --base origin/main --head my-branch",
    "git pw check --format sarif --output locks.sarif",
)
@option("--base", metavar="REF", help="What is there already.  [default: CI's word, else the base branch]")
@option("--head", metavar="REF", help="The newest commit to look at.  [default: CI's word, else HEAD]")
@option("--branch", metavar="NAME", help="The branch that the commits are for: it tells whose they are.")
@option(
    "--strict-time", is_flag=True, help="What was somebody else's when it was changed is a violation too."
)
@option(
    "--format",
    "form",
    metavar="F",
    values=lambda: FORMATS,
    help="text, github or sarif.  [default: github in GitHub Actions, else text]",
)
@option("--output", metavar="FILE", files=True, help="Write that into a file, and text as usual.")
def check(
    session: Session,
    *,
    base: str | None,
    head: str | None,
    branch: str | None,
    strict_time: bool,
    form: str | None,
    output: str | None,
) -> None:
    """Would this range of commits be allowed? For CI.

    Each commit is judged by the rules on the base branch: files that others hold, critical files without a lock,
    claims that were lost. Files that others held only when they were changed are warned of. Whose the commits are is
    read from the branch they are for and from their trailers. Exit status 1 when something stands against them, 69
    when the locks can't be known.
    """
    form = _form(session, form, output)
    from gitpw.app import find_span
    from gitpw.services.check import check as run

    found = find_span(directory=session.directory, base=base, head=head, branch=branch, tell=session.complain)
    if found is None:
        session.answer({"commits": 0, "violations": [], "warnings": []}, "there is nothing to check")
        return
    commits, span, policy = found
    try:
        context = session.open(policy=policy)
    except OfflineError as error:
        raise OfflineError(
            f"{error.message}: the locks can't be known", hint="run the check again when it can be reached"
        ) from error
    checked = run(context, commits, span, strict_time=strict_time)
    if output is not None:
        _write(output, _report(checked, form))
        form = "text"
    elif form != "text" and (report := _report(checked, form)):
        session.raw(report)
    session.aged(checked.as_of, context)
    _answer(session, checked, form)


def _form(session: Session, form: str | None, output: str | None) -> str:
    """The form of the report; GitHub's own where it would be read."""
    if form is not None and form not in FORMATS:
        raise InvalidError(f"{form!r} is no format", hint=f"choose one of {', '.join(FORMATS)}")
    if session.json and form not in {None, "text"} and output is None:
        raise UsageError(
            f"--json and --format {form} both want stdout", hint="give one a file: --output FILE"
        )
    if form is not None:
        return form
    is_read = os.environ.get("GITHUB_ACTIONS") == "true" and not session.json and output is None
    return "github" if is_read else "text"


def _report(checked: Checked, form: str) -> str:
    from importlib.metadata import version

    from gitpw.cli.reports import annotated, sarif

    if form == "sarif":
        return sarif(checked, version("gitpw"))
    if form == "github":
        return "\n".join(annotated(checked))
    return "\n".join(_told(checked.violations) + _told(checked.warnings))


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_bytes(os.fsencode(f"{text}\n"))
    except OSError as error:
        raise FailedError(f"{path} can't be written: {error.strerror}") from error


def _answer(session: Session, checked: Checked, form: str) -> None:
    """For people and as JSON, where the findings weren't told in another form already."""
    from gitpw.services.findings import public, told, way_out

    span = checked.span
    data = {
        "head": span.head,
        "base": span.base,
        "branch": span.branch,
        "commits": checked.commits,
        "asOf": checked.as_of,
        "violations": [public(found) for found in checked.violations],
        "warnings": [public(found) for found in checked.warnings],
    }
    if form == "text" and not session.json:
        for line in _told(checked.warnings):
            session.note(f"warning: {line}")
        for found in checked.violations:
            session.complain(told(found))
            if way_out(found) != way_out(checked.violations[0]):
                session.complain(f"  hint: {way_out(found)}")
    of = f"{counted(checked.commits, 'commit')}{f' for {span.branch}' if span.branch else ''}"
    if not checked.violations and form == "sarif":
        session.note(f"{of}: allowed")
        return
    if not checked.violations:
        session.report(data, f"{of}: allowed", brief=[])
        return
    said = f"{counted(len(checked.violations), 'violation')} found in {of}"
    raise FailedError(said, hint=way_out(checked.violations[0]), **data)


def _told(findings: list[Finding]) -> list[str]:
    from gitpw.services.findings import told

    return [told(found) for found in findings]
