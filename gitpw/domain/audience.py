"""Who asked to be told of what: light, since every command asks whether anybody did."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from gitpw.domain.event import Event, event_named
from gitpw.domain.policy import Notify

if TYPE_CHECKING:
    from gitpw.domain.notice import Notice


def addressees(rules: Notify, notice: Notice) -> list[str]:
    """The addresses that a notice goes to, as the rules write them, each once."""
    found = list(rules.urls) if notice.event in chosen(rules.events) else []
    for rule in rules.rule:
        if (
            notice.event in chosen(rule.events)
            and _one_of(rule.tasks, notice.task_id)
            and _one_of(rule.workers, notice.worker_id)
        ):
            found += rule.urls
    return list(dict.fromkeys(found))


def _one_of(patterns: Sequence[str], name: str | None) -> bool:
    return not patterns or any(fnmatchcase(name or "", pattern) for pattern in patterns)


def events_wanted(rules: Notify) -> frozenset[Event]:
    """The events that somebody is told of."""
    groups = [rules.events] if rules.urls else []
    groups += [rule.events for rule in rules.rule]
    return frozenset(event for group in groups for event in chosen(group))


def chosen(names: Sequence[str]) -> frozenset[Event]:
    """The events of these names; without names, all."""
    return frozenset(filter(None, map(event_named, names))) if names else frozenset(Event)
