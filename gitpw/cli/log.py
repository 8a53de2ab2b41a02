"""`git pw log`: who did what, when and why."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from gitpw.cli.commands import command, option
from gitpw.cli.output import local
from gitpw.cli.request import a_duration, a_worker, maybe_task
from gitpw.errors import InvalidError, OfflineError, UsageError

if TYPE_CHECKING:
    from gitpw.cli.session import Session
    from gitpw.domain.trail import Event

PAUSES = (2.0, 30.0)
"""Seconds between two looks with `--follow`: after news, and at most."""

RENEW = "renew"


def all_verbs() -> list[str]:
    """What can be asked of a ledger, by the word that the log's events have for it."""
    from typing import get_args

    from gitpw.domain.operation import Request

    return sorted(kind.model_fields["verb"].default for kind in get_args(Request))


@command(
    "log", "git pw log", "git pw log --task task-007 --json", "git pw log --worker bob --since 2h --follow"
)
@option("--task", metavar="T", help="Only of this task.")
@option("--worker", metavar="W", help="Only by this worker.")
@option(
    "--verb", "verbs", metavar="V", multiple=True, help="Only what was done: claim, lock, land …; repeatable."
)
@option("--since", metavar="D", help="Only of the last 90s, 5m, 2h or 1d.")
@option("--limit", "-n", metavar="N", type=int, help="Only the last N.")
@option("--follow", "-f", is_flag=True, help="Go on with what happens, until ^C.")
@option(
    "--all", "everything", is_flag=True, help="Back to the beginning, not only to when this clone joined."
)
def log(  # noqa: PLR0917 - one for each option
    session: Session,
    task: str | None,
    worker: str | None,
    verbs: tuple[str, ...],
    since: str | None,
    limit: int | None,
    follow: bool,
    everything: bool,
) -> None:
    """Show who did what and when, newest last.

    Reaches back to when this clone joined, with --all to the beginning. For people, the renewals of a worker between
    two other things that it did are one line. With -v it says which operations are signed.
    """
    if follow and session.json:
        raise UsageError(
            "--follow has no end, and --json is one document", hint="ask again with --since instead"
        )
    wanted: dict[str, Any] = {
        "task": maybe_task(task),
        "worker": None if worker is None else a_worker(worker),
        "verbs": _known(verbs),
    }
    if limit is not None and limit < 0:
        raise InvalidError("--limit can't be negative", hint="--limit 20 shows the last 20")
    after = None if since is None else a_duration(since, "--since")
    events = _events(session, **wanted, since=after, limit=limit, everything=everything)
    if session.json:
        session.answer({"events": [event.public() for event in events]})
        return
    session.answer({}, *_lines(events, signed=session.verbose > 0))
    if follow:
        _follow(session, wanted, max((event.counter for event in events), default=0))


def _known(verbs: Sequence[str]) -> frozenset[str]:
    wanted = frozenset(verbs)
    for verb in sorted(wanted.difference(all_verbs() if wanted else ())):
        raise InvalidError(f"there is no verb {verb!r}", hint=f"one of {', '.join(all_verbs())}")
    return wanted


def _events(session: Session, **wanted: Any) -> list[Event]:
    from gitpw.services.log import log as run

    return run(session.open(), **wanted)


def _follow(session: Session, wanted: dict[str, Any], last: int) -> None:
    """Look again and again, less often while nothing happens; of a lost network, say when it goes and when it is back."""
    pause, longest = PAUSES
    lost = False
    while True:
        session.flush()
        time.sleep(pause)
        events: list[Event] = []
        try:
            events = _events(session, **wanted, after=last, current=True)
            if lost:
                session.note("the remote answers again")
            lost = False
        except OfflineError as error:
            if not lost:
                session.note(f"{error.message}; trying again")
            lost = True
        session.answer({}, *_lines(events, signed=session.verbose > 0))
        last = max([last, *(event.counter for event in events)])
        pause = PAUSES[0] if events else min(pause * 1.5, longest)


def _lines(events: Sequence[Event], *, signed: bool) -> Iterator[str]:
    """A line for each event; the renewals of a worker between two other things that it did share the first one's."""
    runs: dict[str, list[Event]] = {}
    heads: dict[int, list[Event]] = {}
    for event in events:
        if event.verb != RENEW:
            runs.pop(event.worker, None)
        elif event.worker in runs:
            runs[event.worker].append(event)
        else:
            heads[event.counter] = runs[event.worker] = [event]
    for event in events:
        if event.verb != RENEW or len(heads.get(event.counter, ())) == 1:
            yield _told(event, signed=signed)
        elif event.counter in heads:
            yield _renewed(heads[event.counter])


def _renewed(run: list[Event]) -> str:
    first, last = run[0], run[-1]
    until = _clock(last.at)
    if until[:10] == _clock(first.at)[:10]:
        until = until[11:]
    return f"{_clock(first.at)}  {first.worker}  renewed {len(run)} times until {until[:-3]}"


def _told(event: Event, *, signed: bool) -> str:
    """One line; a commit's subject ends with the worker, which stands in front here."""
    seal = f"  {event.signature or 'unsigned'}" if signed else ""
    what = event.subject.removesuffix(f" ({event.worker})")
    return f"{_clock(event.at)}{seal}  {event.worker}  {what}"


def _clock(at: int) -> str:
    """The moment on this machine's clock; many events share a minute."""
    return f"{_minute(at // 60)}{at % 60:02}"


@lru_cache(maxsize=4_096)
def _minute(minutes: int) -> str:
    from datetime import UTC, datetime

    return local(datetime.fromtimestamp(60 * minutes, UTC))[:-2]
