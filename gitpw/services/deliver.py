"""Send the notices that wait on this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from gitpw.domain.audience import addressees
from gitpw.domain.notice import Notice, Waiting
from gitpw.domain.policy import Notify
from gitpw.domain.target import Sent, Target
from gitpw.errors import PwError
from gitpw.services.ports import Notifier, Post

SOONEST, LATEST = 60.0, 3_600.0
"""Seconds until a target that can't be reached is tried again: the older the notice, the longer."""


LOOK = 0.1
"""Seconds between two looks at whether another process is done."""


def deliver(post: Post, patience: float = 0.0) -> int:
    """Send what is due, in one process at a time; how many notices were sent to all that want them.

    Who comes while another sends leaves it to that one, which looks again when it has let the lock go; with `patience`
    it waits so many seconds for that.
    """
    sent, until = 0, time.monotonic() + patience
    while post.spool.due():
        with post.spool.sending() as alone:
            if alone:
                sent += _all(post)
                continue
        if time.monotonic() >= until:
            break
        time.sleep(LOOK)
    return sent


def _all(post: Post) -> int:
    notifier = post.notifier()
    try:
        rules, why = post.rules(), None
    except PwError as error:
        rules, why = (), error.message
    sent, silent = 0, dict[str, float]()
    for one in post.spool.waiting():
        if why is not None:
            post.spool.log(f"{_called(one.notice)}: {why}")
            post.spool.defer(one, LATEST)
        elif _one(post, notifier, rules, one, silent):
            sent += 1
    return sent


def _one(
    post: Post, notifier: Notifier, rules: Sequence[Notify], one: Waiting, silent: dict[str, float]
) -> bool:
    """Whether everybody has it now; `silent` are the targets that gave no answer, and how long to leave them alone."""
    waits = []
    for to, secret in _targets(post, notifier, rules, one.notice):
        if to.key in one.done:
            continue
        if to.key not in silent:
            result = notifier.send(to, one.notice, secret)
            post.spool.log(f"{_called(one.notice)}: {to.name}: {result.said}")
            if result.state != "later":
                one = post.spool.told(one, to.key)
                continue
            silent[to.key] = _pause(one, result)
        waits.append(silent[to.key])
    if waits:
        post.spool.defer(one, min(waits))
        return False
    post.spool.drop(one)
    return True


def _pause(one: Waiting, result: Sent) -> float:
    return min(max(result.after or 0.0, one.age, SOONEST), LATEST)


def _targets(
    post: Post, notifier: Notifier, rules: Sequence[Notify], notice: Notice
) -> Iterator[tuple[Target, str | None]]:
    """Who is to be told, each once, and the name of the secret that signs."""
    seen = set()
    for group in rules:
        for address in addressees(group, notice):
            try:
                to = notifier.resolve(address, plain_http=group.plain_http)
            except PwError as error:
                post.spool.log(f"{_called(notice)}: {error.message}")
                continue
            if to.key not in seen:
                seen.add(to.key)
                yield to, group.secret


def _called(notice: Notice) -> str:
    return f"{notice.event} {notice.task_id or notice.worker_id or ''}".strip()
