"""Send a test to everybody who is told of anything."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gitpw.domain.audience import chosen
from gitpw.domain.event import Event
from gitpw.domain.ids import OperationId
from gitpw.domain.notice import Notice
from gitpw.domain.policy import Notify
from gitpw.domain.target import Sent, Target, shown
from gitpw.errors import InvalidError, PwError
from gitpw.services.ports import Context, Notifier, Post


class Pinged(NamedTuple):
    """What became of the test at one target."""

    target: str
    kind: str | None
    event: Event
    ok: bool
    said: str
    hint: str | None = None


def ping(ctx: Context, post: Post, event: Event | None = None) -> list[Pinged]:
    """What happened at each target; with an event, at those that are told of it. Raises `InvalidError` where there is none."""
    rules, notifier = post.rules(), post.notifier()
    addresses = {
        (address, group.secret, group.plain_http): told
        for group in rules
        for address, told in _addresses(group, event)
    }
    if not addresses:
        what = "anything" if event is None else event.value
        base = ctx.rules.base()
        raise InvalidError(
            f"nobody is told of {what}",
            hint=f"git pw config notify.urls '[\"env:SLACK_URL\"]' counts once it is on {base}",
        )
    found = []
    for (address, secret, plain_http), told in addresses.items():
        name, kind, sent, hint = _sent(ctx, notifier, address, secret, told, plain_http=plain_http)
        found.append(Pinged(name, kind, told, sent.state == "sent", sent.said, hint))
    return found


def _addresses(rules: Notify, event: Event | None) -> Iterator[tuple[str, Event]]:
    """Each address with an event that it is told of."""
    groups: list[tuple[Sequence[str], Sequence[str]]] = [(rules.urls, rules.events)]
    groups += [(rule.urls, rule.events) for rule in rules.rule]
    for urls, names in groups:
        events = chosen(names)
        if event is None or event in events:
            first = next(one for one in Event if one in events) if event is None else event
            yield from ((url, first) for url in urls)


def _sent(
    ctx: Context, notifier: Notifier, address: str, secret: str | None, event: Event, *, plain_http: bool
) -> tuple[str, str | None, Sent, str | None]:
    """What a target is called, its kind, what became of the test, and what to do about it."""
    try:
        to: Target = notifier.resolve(address, plain_http=plain_http)
    except PwError as error:
        return shown(address), None, Sent("refused", error.message), error.hint
    if ctx.dry_run:
        return to.name, to.kind.value, Sent("sent", "not sent: a dry run"), None
    return to.name, to.kind.value, notifier.send(to, _notice(ctx, event), secret), None


def _notice(ctx: Context, event: Event) -> Notice:
    ledger = ctx.ledger.board().meta.ledger if ctx.ledger.known() else ""
    return Notice(
        event=event,
        ledger=ledger,
        counter=0,
        operation=OperationId(secrets.token_hex(16)),
        at=ctx.clock.now(),
        worker_id=ctx.me.worker,
        by=ctx.me.worker,
        detail={"test": True},
    )
