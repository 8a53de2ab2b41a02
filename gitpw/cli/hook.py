"""`git pw hook`: what the shims in the hooks folder call."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from gitpw.cli.commands import group
from gitpw.errors import UsageError

if TYPE_CHECKING:
    from gitpw.cli.session import Session
    from gitpw.services.gate import Update
    from gitpw.services.ports import Context, Repo


CHAINED_ONLY = "GITPW_CHAINED_ONLY"
"""Set where `git pw push` runs the user's own hooks: what calls us then has been judged already."""


@group("hook", "git pw hook pre-commit", hidden=True)
def hook() -> None:
    """Run one of our hooks; git calls it."""


def _opened(session: Session) -> Context:
    """What a hook needs. Rules in this checkout that can't be read stop nobody: those in force are the base branch's."""
    context = session.open(need_ledger=False, lenient=True)
    if "store" in context.faults:
        raise context.faults["store"]
    return context


@hook.command("pre-commit", "git pw hook pre-commit")
def pre_commit(session: Session) -> None:
    """Refuse to commit what someone else holds."""
    from gitpw.services.guard import pre_commit as run

    run(_opened(session))
    session.answer({})


@hook.command("pre-push", "git pw hook pre-push origin https://example.com/shop.git < lines")
@click.argument("remote", required=False)
@click.argument("url", required=False)
def pre_push(session: Session, remote: str | None, url: str | None) -> None:
    """Refuse to push what someone else holds; git's lines come on stdin.

    The pre-commit framework says in its environment what git says by arguments and stdin.
    """
    from gitpw.services.guard import pre_push as run

    remote = remote or os.environ.get("PRE_COMMIT_REMOTE_NAME")
    if remote is None and "PRE_COMMIT" not in os.environ:
        raise UsageError("which remote is pushed to?", hint="git pw hook pre-push REMOTE URL < LINES")
    if remote is not None and CHAINED_ONLY not in os.environ:
        context = _opened(session)
        url = url or os.environ.get("PRE_COMMIT_REMOTE_URL", remote)
        lines = _lines() or _framework_line(context.repo)
        if not lines and context.repo.resolve("HEAD") and context.repo.new_commits(["HEAD"], remote, ()):
            session.complain(
                "nothing came on standard input, so no push was checked: let 'git pw hook pre-push' read it first"
            )
        run(context, remote, url, lines)
    session.answer({})


def _lines() -> list[str]:
    """Standard input; ref names may be any bytes."""
    raw = sys.stdin.buffer.read() if sys.stdin else b""
    return [line for line in raw.decode(errors="surrogateescape").split("\n") if line]


@hook.command("pre-receive", "git pw hook pre-receive < lines")
def pre_receive(session: Session) -> None:
    """Refuse a push where it arrives; git's lines come on stdin."""
    from gitpw.app import open_gate
    from gitpw.services.receive import receive

    receive(open_gate(directory=session.directory, tell=session.complain), _updates(_lines()))
    session.answer({})


def _updates(lines: list[str]) -> list[Update]:
    """What git says of each ref: the commit it is at, the one it is to get, its name."""
    from gitpw.services.gate import Update

    found = []
    for line in lines:
        words = line.split(" ", 2)
        if len(words) != 3:  # noqa: PLR2004 - as git writes them
            raise UsageError(
                f"{line!r} is no line of a push", hint="git calls this: OLD NEW REF on each line"
            )
        old, new = (word if word.strip("0") else None for word in words[:2])
        found.append(Update(words[2], old, new))
    return found


def _framework_line(repo: Repo) -> list[str]:
    """The line that git would have written, as the pre-commit framework tells it; it tells one, and no deletion.

    Where it names no commit, the whole history is new to the remote.
    """
    local, there = (os.environ.get(f"PRE_COMMIT_{name}_BRANCH") for name in ("LOCAL", "REMOTE"))
    if local is None or there is None:
        return []
    pushed = os.environ.get("PRE_COMMIT_TO_REF") or repo.resolve(local)
    known = os.environ.get("PRE_COMMIT_FROM_REF")
    return [f"{local} {pushed} {there} {known or '0' * len(pushed)}"] if pushed else []


@hook.command("prepare-commit-msg", "git pw hook prepare-commit-msg .git/COMMIT_EDITMSG message")
@click.argument("words", metavar="FILE [SOURCE [COMMIT]]", nargs=-1, required=True)
def prepare_commit_msg(session: Session, words: tuple[str, ...]) -> None:
    """Say in a commit's message which task it is for, and by which claim."""
    _trailers(session, "prepare-commit-msg", words)


@hook.command("commit-msg", "git pw hook commit-msg .git/COMMIT_EDITMSG")
@click.argument("file")
def commit_msg(session: Session, file: str) -> None:
    """Say the same in a message that comes from an editor."""
    _trailers(session, "commit-msg", (file,))


def _trailers(session: Session, name: str, words: tuple[str, ...]) -> None:
    from gitpw.adapters.hooks import write_trailers

    write_trailers(name, words, session.directory)
    session.answer({})


@hook.command("post-commit", "git pw hook post-commit")
def post_commit(session: Session) -> None:
    """Take note of a commit: it is a sign of life."""
    from gitpw.services.guard import post_commit as run

    run(_opened(session))
    session.answer({})


@hook.command("post-checkout", "git pw hook post-checkout HEAD~1 HEAD 1")
@click.argument("words", nargs=-1)
def post_checkout(session: Session, words: tuple[str, ...]) -> None:
    """Keep lockable files read-only that nobody holds here."""
    _protect(session, words)


@hook.command("post-merge", "git pw hook post-merge 0")
@click.argument("words", nargs=-1)
def post_merge(session: Session, words: tuple[str, ...]) -> None:
    """Keep lockable files read-only that nobody holds here."""
    _protect(session, words)


def _protect(session: Session, _words: tuple[str, ...]) -> None:
    """What git says of the checkout or the merge doesn't matter here."""
    from gitpw.services.protect import protect

    protect(_opened(session))
    session.answer({})


@hook.command("beat", "git pw hook beat 270")
@click.argument("older", type=int)
@click.option("--alone", is_flag=True, help="Nobody's life stands behind it.")
def beat(session: Session, older: int, alone: bool) -> None:
    """Renew the leases of this machine, unless each was renewed within so many seconds."""
    from gitpw.cli.heartbeat import beat as run

    run(session, older, alone=alone)


@hook.command("refresh", "git pw hook refresh")
def refresh(session: Session) -> None:
    """Bring the local snapshot of the locks up to date."""
    from gitpw.services.guard import refresh as run

    run(_opened(session))
    session.answer({})
