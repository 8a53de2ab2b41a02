"""`git pw hook`: what the shims in the hooks folder call."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from gitpw.cli.commands import group

if TYPE_CHECKING:
    from gitpw.cli.session import Session


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


@hook.command("post-commit", "git pw hook post-commit")
def post_commit(session: Session) -> None:
    """Take note of a commit: it is a sign of life."""
    from gitpw.services.guard import post_commit as run

    run(session.open(need_ledger=False))
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

    protect(session.open(need_ledger=False))
    session.answer({})


@hook.command("refresh", "git pw hook refresh")
def refresh(session: Session) -> None:
    """Bring the local snapshot of the locks up to date."""
    from gitpw.services.guard import refresh as run

    run(session.open(need_ledger=False))
    session.answer({})
