"""`git pw notify`: whether those who are to be told can be told."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from gitpw.cli.commands import LEFT_OUT, OptionalValue, group, option
from gitpw.cli.output import counted
from gitpw.cli.request import a_duration
from gitpw.errors import FailedError, InvalidError

if TYPE_CHECKING:
    from gitpw.cli.session import Session
    from gitpw.domain.event import Event
    from gitpw.services.ping import Pinged


def _events() -> list[str]:
    from gitpw.domain.event import Event

    return list(Event)


@group("notify", "git pw notify test", "git pw notify test --event merged")
def notify() -> None:
    """See that notifications arrive."""


@notify.command("test", "git pw notify test", "git pw notify test --event needs_person --json")
@option("--event", metavar="E", values=_events, help="Only to those who are told of this event.")
def test(session: Session, event: str | None) -> None:
    """Send a test to everybody who is told of something.

    Says for each what happened; exit status 1 when anybody couldn't be told. Whom to tell, the rules on the base
    branch say ([notify]), and for you alone pw.notify.url in git's configuration.
    """
    from gitpw.services.ping import ping

    chosen = None if event is None else _event(event)
    context = session.open(need_ledger=False, lenient=True, changes=True, rehearsed=True)
    if context.post is None:
        raise FailedError("there is nothing to send with")
    found = ping(context, context.post, chosen)
    lines = [_told(one) for one in found]
    failed = [one for one in found if not one.ok]
    if not failed:
        session.report({"targets": found}, *lines)
        return
    if not session.json:
        session.answer({}, *lines)
    hint = next((one.hint for one in failed if one.hint), None)
    raise FailedError(
        f"{counted(len(failed), 'target')} of {len(found)} couldn't be told",
        hint=hint
        or "correct [notify] in .gitpw.toml on the base branch, or pw.notify.url in git's configuration",
        targets=found,
    )


def _event(text: str) -> Event:
    from gitpw.domain.event import event_named, nearest_event

    found = event_named(text)
    if found is None:
        raise InvalidError(f"{text!r} is no event", hint=nearest_event(text))
    return found


def _told(one: Pinged) -> str:
    kind = f" ({one.kind})" if one.kind else ""
    return f"{'ok' if one.ok else 'failed'}  {one.target}{kind}: {one.said}"


@notify.command("deliver", "git pw notify deliver", "git pw gc && git pw notify deliver --wait 60s")
@option(
    "--wait",
    metavar="D",
    cls=OptionalValue,
    help="Wait so long, by default 60s, for another process that sends.",
)
def deliver(session: Session, wait: str | None) -> None:
    """Send what still waits on this machine.

    Commands do that by themselves, in the background. This is for machines that don't last, such as those of CI.
    """
    from gitpw.app import SENDING
    from gitpw.services.deliver import deliver as run

    os.environ[SENDING] = "1"
    patience = (
        0.0 if wait is None else 60.0 if wait == LEFT_OUT else a_duration(wait, "--wait").total_seconds()
    )
    post = session.open(need_ledger=False, lenient=True, changes=True).post
    sent = 0 if post is None else run(post, patience)
    session.report({"sent": sent}, f"sent {counted(sent, 'notice')}")
