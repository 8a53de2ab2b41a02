"""What has become of tasks and workers so far: kept up to date with the ledger, from what was found out before."""

from __future__ import annotations

import gc
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from gitpw.domain.history import History, Life
from gitpw.domain.ids import TaskId
from gitpw.domain.task import Task
from gitpw.domain.trail import Event
from gitpw.errors import OfflineError
from gitpw.ledger.store import Store
from gitpw.services.ports import Context

VERSION = b"git-pw history 1"
"""Begins the file. To be counted up whenever what is kept is made otherwise than before."""

NAME = "history"


def history(ctx: Context, *, whole: bool = False) -> History:
    """All that led to the last known state, as far back as it is here; with `whole`, what is missing is fetched.

    The ledger itself isn't asked for news: whoever shows this has done so. Where the rest can't be had, what is here
    must do.
    """
    store = ctx.ledger.store
    if whole:
        with suppress(OfflineError):
            deepen(store)
    tip = store.tip()
    if tip is None:
        return History()
    with without_cycles():
        known = _recalled(store)
        before = None if known is None else known.commit
        found = (None if known is None else _continued(store, known, tip)) or _made(store, tip)
    if found.commit != before:
        data = json.dumps(found.to_data(), separators=(",", ":")).encode()
        store.keep(NAME, b"%b %08x\n%b" % (VERSION, zlib.crc32(data), data))
    return found


@contextmanager
def without_cycles() -> Iterator[None]:
    """Nothing here is in a cycle; looking for some among so many tuples takes a third of the time (measured)."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def deepen(store: Store) -> None:
    """Fetch the history that isn't here; raises `OfflineError`."""
    if store.deepen():
        store.keep(NAME, None)


def chart(ctx: Context, known: History, begin: int, end: int, most: int = 500) -> list[Life]:
    """The rows of a timeline between two moments, in seconds since 1970; of too many, the latest.

    A claim that was taken over for its files, not for its task, leaves no trace of that among the events: what goes on
    by them and not by the ledger has ended, nobody knows when.
    """
    board = ctx.ledger.board()
    return [_settled(life, board.task(TaskId(life.task))) for life in known.chart(begin, end, most)]


def _settled(life: Life, task: Task | None) -> Life:
    now = life.now
    if now is None or (task is not None and task.claim is not None and task.assigned_to == now.worker):
        return life
    return replace(life, spans=[*life.spans[:-1], now._replace(end=now.begin)])


def _recalled(store: Store) -> History | None:
    head, _, data = (store.recall(NAME) or b"").partition(b"\n")
    if head != b"%b %08x" % (VERSION, zlib.crc32(data)):
        return None
    try:
        return History.from_data(json.loads(data))
    except (KeyError, TypeError, ValueError):
        return None


def _continued(store: Store, known: History, tip: str) -> History | None:
    """The history that goes on from a known one; None where that isn't part of what led here."""
    new: list[Event] = []
    for step in store.walk(tip):
        if step.commit == known.commit:
            return known.fold(reversed(new))
        if step.event is not None:
            if step.event.counter <= known.counter:
                break
            new.append(step.event)
    return None


def _made(store: Store, tip: str) -> History:
    """The history of all events, of which only what is needed is held at once."""
    slim = [
        Event(one.counter, one.at, "", one.commit, one.worker, one.verb, one.tasks, "", "{}", one.facts)
        for one in store.events(tip, keep=False)
    ]
    return History().fold(reversed(slim))
