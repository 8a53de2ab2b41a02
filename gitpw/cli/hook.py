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


CHAINED_ONLY = "GITPW_CHAINED_ONLY"
"""Set where `git pw push` runs the user's own hooks: what calls us then has been judged already."""


@group("hook", "git pw hook pre-commit", hidden=True)
def hook() -> None:
    """Run one of our hooks; git calls it."""


@hook.command("pre-commit", "git pw hook pre-commit")
def pre_commit(session: Session) -> None:
    """Refuse to commit what someone else holds."""
    from gitpw.services.guard import pre_commit as run

    run(session.open(need_ledger=False))
    session.answer({})


@hook.command("pre-push", "git pw hook pre-push origin https://example.com/shop.git < lines")
@click.argument("remote")
@click.argument("url")
def pre_push(session: Session, remote: str, url: str) -> None:
    """Refuse to push what someone else holds; git's lines come on stdin."""
    from gitpw.services.guard import pre_push as run

    if CHAINED_ONLY not in os.environ:
        run(session.open(need_ledger=False), remote, url, _lines())
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


@hook.command("post-commit", "git pw hook post-commit")
def post_commit(session: Session) -> None:
    """Take note of a commit: it is a sign of life."""
    from gitpw.services.guard import post_commit as run

    run(session.open(need_ledger=False))
    session.answer({})


@hook.command("refresh", "git pw hook refresh")
def refresh(session: Session) -> None:
    """Bring the local snapshot of the locks up to date."""
    from gitpw.services.guard import refresh as run

    run(session.open(need_ledger=False))
    session.answer({})
