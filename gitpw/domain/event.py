"""The events that people can be told of.

claimed        somebody took a task
refused        somebody asked for what another holds, or acted on a claim that is no longer current
completed      a task was handed in
merged         its work is on the base branch
conflict       it conflicts and is back with its owner
failed         it failed, its own way or in the merge queue
lost_worker    a lease ran out without a sign of life
lease_ending   a lease is about to
needs_person   nothing goes on before a person has looked
"""

from __future__ import annotations

import difflib
from enum import StrEnum


class Event(StrEnum):
    """What can be told of."""

    CLAIMED = "claimed"
    REFUSED = "refused"
    COMPLETED = "completed"
    MERGED = "merged"
    CONFLICT = "conflict"
    FAILED = "failed"
    LOST_WORKER = "lost_worker"
    LEASE_ENDING = "lease_ending"
    NEEDS_PERSON = "needs_person"


def event_named(text: str) -> Event | None:
    """The event that a name stands for, written with `_`, `-` or blanks."""
    name = "_".join(text.lower().replace("-", "_").split())
    return Event(name) if name in set(Event) else None


def nearest_event(text: str) -> str:
    """A hint at what was meant by a name that is none."""
    near = difflib.get_close_matches(text.lower(), list(Event), 1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(Event)}"
