"""What has become of tasks and workers so far: spans for a timeline, counts by hour and day, times waited.

Events are folded in one by one, in the ledger's order; the result is a value that can be written down and gone on from,
so each event is looked at once. Its size is bounded whatever the ledger holds: of the oldest, only counts are kept.

Times are what the writers' clocks said, in seconds since 1970. Clocks can be wrong: no length is negative or longer than
a year, and an absurd time makes a bucket of its own, which readers leave out and which goes like all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass, field
from typing import Any, NamedTuple

from gitpw.domain.task import TaskType
from gitpw.domain.trail import Event

HOUR, DAY = 3_600, 86_400
LONGEST = 366 * DAY
"""Of one span: beyond that a clock was wrong."""

MOST_LIVES, MOST_IDLE, MOST_SPANS, MOST_WORKERS, MOST_VERBS = 5_000, 50_000, 50, 2_000, 100
"""What is kept: tasks that were worked on, tasks that never were, spans of one task, workers, verbs."""

HOURS, DAYS = 24 * 62, 800
"""Buckets that are kept: two months of hours, two years of days."""

TYPES = frozenset(kind.value for kind in TaskType)
CLAIMED, WORKED, QUEUED = "claimed", "worked", "queued"
"""The kinds of spans: held and not begun, worked on, waiting to be merged."""

ENDINGS = {
    "fail": ("failed", "failed"),
    "cancel": ("cancelled", ""),
    "expire": ("", "lost"),
    **dict.fromkeys(("retry", "release", "unlock"), ("", "")),
}
"""What leaves a task in nobody's hands: how it ended there, if it did, and as what that counts for who had it."""

BOUNDS = (60, 300, 900, 1_800, HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, DAY, 3 * DAY, 7 * DAY)
"""Seconds up to which waiting is counted in one bucket of a histogram; what is longer is in one more."""


class Span(NamedTuple):
    """A stretch of a task's life: what was done, by whom, and from when to when; `end` is None while it goes on."""

    kind: str
    worker: str
    begin: int
    end: int | None = None

    @property
    def minutes(self) -> tuple[int, int | None]:
        """From which minute to which since 1970, the last one included as soon as it has begun."""
        return self.begin // 60, None if self.end is None else max(-(-self.end // 60), self.begin // 60 + 1)


@dataclass(slots=True)
class Life:
    """What is known of a task that was worked on: `ending` is "" while it is open, else merged, failed or cancelled."""

    task: str
    type: str = ""
    added: int | None = None
    handed_in: int | None = None
    merged: int | None = None
    ending: str = ""
    conflicts: int = 0
    spans: list[Span] = field(default_factory=list)

    @property
    def now(self) -> Span | None:
        """The span that goes on."""
        return self.spans[-1] if self.spans and self.spans[-1].end is None else None

    @property
    def workers(self) -> list[str]:
        """Who has worked on it, the first one first."""
        return list(dict.fromkeys(span.worker for span in self.spans))

    @property
    def begin(self) -> int:
        """When it was first claimed."""
        return self.spans[0].begin if self.spans else self.added or 0


class Tally(list[int]):
    """How often what happened, and seconds in all; a list, because it is counted in several of them at each step.

    `red` are entries that the queue returned for failed tests, `worked` and `waited` seconds of work and from hand-in
    to merge.
    """

    NAMES = (
        *(
            "added",
            "claimed",
            "completed",
            "merged",
            "conflicts",
            "red",
            "failed",
            "lost",
            "worked",
            "waited",
        ),
    )

    def __init__(self, numbers: Iterable[int] = (0,) * len(NAMES)) -> None:
        """All of them, in order; nothing without."""
        super().__init__(numbers)

    def __getattr__(self, name: str) -> int:
        """A number by its name."""
        try:
            return self[self.NAMES.index(name)]
        except ValueError:
            raise AttributeError(name) from None

    @property
    def conflict_rate(self) -> float | None:
        """Which part of what left the merge queue was a conflict; None where nothing did."""
        left = self.merged + self.conflicts + self.red
        return self.conflicts / left if left else None

    @property
    def mean_wait(self) -> float | None:
        """Seconds from hand-in to merge, on average."""
        return self.waited / self.merged if self.merged else None


@dataclass(slots=True)
class Histogram:
    """Lengths of time: how many were at most as long as each of `BOUNDS`, and not as the one before; then the rest."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    total: int = 0

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(self.counts)

    def observe(self, seconds: int) -> None:
        """Count one length."""
        self.total += seconds
        place = next((place for place, bound in enumerate(BOUNDS) if seconds <= bound), len(BOUNDS))
        self.counts[place] += 1

    def cumulative(self) -> Iterator[tuple[float, int]]:
        """Each bound, the last one infinite, and how many were at most as long."""
        below = 0
        for bound, number in zip((*BOUNDS, float("inf")), self.counts, strict=True):
            below += number
            yield bound, below

    def quantile(self, part: float) -> float | None:
        """About how long that part of all took at most, by the bounds; None where there is nothing."""
        return next((bound for bound, below in self.cumulative() if below >= part * self.count > 0), None)


class History:
    """All of it, up to one event."""

    def __init__(self) -> None:
        """Nothing has happened yet."""
        self.counter = 0
        self.commit = ""
        self.first: int | None = None
        self.last: int | None = None
        self.total = Tally()
        self.verbs: dict[str, int] = {}
        self.workers: dict[str, Tally] = {}
        self.types: dict[str, Tally] = {}
        self.hours: dict[int, Tally] = {}
        self.days: dict[int, Tally] = {}
        self.until_claimed = Histogram()
        self.until_merged = Histogram()
        self.lives: dict[str, Life] = {}
        self.idle: dict[str, tuple[int, str]] = {}
        self._rules: Mapping[str, Callable[[Event], None]] = {
            "add": self._added,
            "split": self._added,
            "claim": self._claimed,
            **dict.fromkeys(("start", "progress", "push"), self._begun),
            "complete": self._completed,
            "land": self._landed,
            **dict.fromkeys(("merging", "return"), self._returned),
            "drop": self._dropped,
            "requeue": self._requeued,
            **dict.fromkeys(ENDINGS, self._ended),
        }

    def fold(self, events: Iterable[Event]) -> History:
        """Go on with what happened next, in the ledger's order."""
        verbs, rules, event = self.verbs, self._rules, None
        for event in events:
            verb = event.verb
            if self.first is None:
                self.first = event.at
            if verb not in verbs and len(verbs) >= MOST_VERBS:
                verb = "other"
            verbs[verb] = verbs.get(verb, 0) + 1
            rule = rules.get(event.verb)
            if rule is not None:
                rule(event)
        if event is not None:
            self.counter, self.commit, self.last = event.counter, event.commit, event.at
        return self

    # what a task goes through

    def _added(self, event: Event) -> None:
        kinds = iter(_types(event))
        for name in event.task_ids:
            kind = next(kinds, "")
            if name in self.idle or name in self.lives:
                continue
            known = kind if isinstance(kind, str) and kind in TYPES else ""
            self.idle[name] = event.at, known
            self._count("added", event.at, event.worker, known)
        _bound(self.idle, MOST_IDLE)

    def _claimed(self, event: Event) -> None:
        for name in event.task_ids[:1]:
            life = self._life(name)
            now = life.now
            if now is not None and now.worker == event.worker and now.kind != QUEUED:
                return
            if now is not None:
                self._close(life, event.at)
                self._count("lost", event.at, now.worker, life.type)
            if not life.spans and life.added is not None:
                self.until_claimed.observe(_length(life.added, event.at))
            self._open(life, CLAIMED, event.worker, event.at)
            self._count("claimed", event.at, event.worker, life.type)

    def _begun(self, event: Event) -> None:
        for name in event.task_ids[:1]:
            life = self._life(name)
            now = life.now
            if now is None or now.kind == CLAIMED:
                self._close(life, event.at)
                self._open(life, WORKED, event.worker, event.at)

    def _completed(self, event: Event) -> None:
        for name in event.task_ids[:1]:
            life = self._life(name)
            now = life.now
            if now is None or now.kind != QUEUED:
                self._close(life, event.at)
                self._open(life, QUEUED, event.worker, event.at)
                life.handed_in = event.at if life.handed_in is None else life.handed_in
                self._count("completed", event.at, event.worker, life.type)
            if event.known.get("landed") is True:
                self._merge(life, event.at)

    def _landed(self, event: Event) -> None:
        for name in event.task_ids:
            self._merge(self._life(name), event.at)
        self._returned(event)

    def _merge(self, life: Life, at: int) -> None:
        worker = life.spans[-1].worker if life.spans else ""
        self._close(life, at)
        waited = _length(life.handed_in, at)
        self.until_merged.observe(waited)
        self._count("merged", at, worker, life.type)
        self._count("waited", at, worker, life.type, waited)
        life.merged, life.ending = at, "merged"

    def _returned(self, event: Event) -> None:
        back = event.known.get("back")
        for name, state in back.items() if isinstance(back, dict) else ():
            life = self._life(name)
            worker = self._to_owner(life, event.at)
            life.conflicts += state == "conflict"
            self._count("conflicts" if state == "conflict" else "red", event.at, worker, life.type)

    def _dropped(self, event: Event) -> None:
        for name in event.task_ids[:1]:
            self._to_owner(self._life(name), event.at)

    def _to_owner(self, life: Life, at: int) -> str:
        """Whoever handed it in works on it again."""
        now = life.now
        if now is not None and now.kind == QUEUED:
            self._close(life, at)
            self._open(life, WORKED, now.worker, at)
        return life.spans[-1].worker if life.spans else ""

    def _requeued(self, event: Event) -> None:
        for name in event.task_ids[:1]:
            life = self._life(name)
            now = life.now
            if now is not None and now.kind == WORKED:
                self._close(life, event.at)
                self._open(life, QUEUED, now.worker, event.at)

    def _ended(self, event: Event) -> None:
        ending, counted = ENDINGS[event.verb]
        for name in event.task_ids:
            if name in self.idle and not ending:
                continue
            life = self._life(name)
            worker = life.now.worker if life.now is not None else "" if counted == "lost" else event.worker
            self._close(life, event.at)
            life.ending, life.handed_in = ending, None
            if counted:
                self._count(counted, event.at, worker, life.type)

    # what is kept of it

    def _life(self, name: str) -> Life:
        """The life of a task, now the last one that something happened to."""
        life = self.lives.pop(name, None)
        if life is None:
            added, kind = self.idle.pop(name, (None, ""))
            life = Life(name, kind, added)
        self.lives[name] = life
        if len(self.lives) > MOST_LIVES:
            gone = next((one for one in self.lives.values() if one.ending), None)
            self.lives.pop(gone.task if gone is not None else next(iter(self.lives)))
        return life

    def _close(self, life: Life, at: int) -> None:
        now = life.now
        if now is None:
            return
        length = _length(now.begin, at)
        life.spans[-1] = now._replace(end=now.begin + length)
        if now.kind == WORKED:
            self._count("worked", at, now.worker, life.type, length)

    def _open(self, life: Life, kind: str, worker: str, at: int) -> None:
        life.spans.append(Span(kind, worker, at))
        life.ending = ""
        if len(life.spans) > MOST_SPANS:
            del life.spans[0]

    def _count(self, what: str, at: int, worker: str, kind: str, number: int = 1) -> None:
        place = _PLACES[what]
        self.total[place] += number
        _tally(self.hours, at // HOUR, HOURS)[place] += number
        _tally(self.days, at // DAY, DAYS)[place] += number
        _tally(self.types, kind, len(TYPES) + 1)[place] += number
        if worker:
            _tally(self.workers, worker, MOST_WORKERS)[place] += number

    # what is shown of it

    def chart(self, begin: int, end: int, most: int = 500) -> list[Life]:
        """The tasks of which something happened in that time, the first claimed first; of too many, the latest."""
        found = [
            life
            for life in self.lives.values()
            if any(one.begin < end and (one.end is None or one.end >= begin) for one in life.spans)
        ]
        return sorted(found, key=lambda life: (life.begin, life.task))[-most:]

    def by_hour(self, begin: int, end: int) -> dict[int, Tally]:
        """What happened in each hour between two moments, by the moment that it begins at; none for quiet ones."""
        return _between(self.hours, HOUR, begin, end)

    def by_day(self, begin: int, end: int) -> dict[int, Tally]:
        """The same for days, in UTC."""
        return _between(self.days, DAY, begin, end)

    # written down

    def to_data(self) -> dict[str, Any]:
        """All of it as JSON."""
        tallies = ("workers", "types", "hours", "days")
        return {
            **{name: getattr(self, name) for name in ("counter", "commit", "first", "last", "verbs", "idle")},
            **{name: [[key, *one] for key, one in getattr(self, name).items()] for name in tallies},
            "total": self.total,
            "untilClaimed": astuple(self.until_claimed),
            "untilMerged": astuple(self.until_merged),
            "lives": [_life_data(life) for life in self.lives.values()],
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> History:
        """Read what `to_data` wrote; raises KeyError, TypeError or ValueError."""
        found = cls()
        for name in ("counter", "commit", "first", "last", "verbs"):
            setattr(found, name, data[name])
        for name in ("workers", "types", "hours", "days"):
            setattr(found, name, {key: Tally(numbers) for key, *numbers in data[name]})
        found.total = Tally(data["total"])
        found.until_claimed = Histogram(*data["untilClaimed"])
        found.until_merged = Histogram(*data["untilMerged"])
        found.idle = {name: (at, kind) for name, (at, kind) in data["idle"].items()}
        for *about, spans in data["lives"]:
            life = Life(*about)
            life.spans = [Span(*span) for span in spans]
            found.lives[life.task] = life
        return found


_PLACES = {name: place for place, name in enumerate(Tally.NAMES)}


def _life_data(life: Life) -> list[Any]:
    return [
        *(life.task, life.type, life.added, life.handed_in, life.merged, life.ending, life.conflicts),
        life.spans,
    ]


def _tally(tallies: dict[Any, Tally], key: Any, most: int) -> Tally:
    """The counts under a key; of too many keys, the one goes that came first."""
    found = tallies.get(key)
    if found is None:
        found = tallies[key] = Tally()
        _bound(tallies, most)
    return found


def _between(tallies: Mapping[int, Tally], length: int, begin: int, end: int) -> dict[int, Tally]:
    found = ((key * length, tally) for key, tally in sorted(tallies.items()))
    return {at: tally for at, tally in found if begin < at + length and at <= end}


def _bound(kept: dict[Any, Any], most: int) -> None:
    while len(kept) > most:
        kept.pop(next(iter(kept)))


def _length(begin: int | None, end: int) -> int:
    return 0 if begin is None else min(max(end - begin, 0), LONGEST)


def _types(event: Event) -> Iterable[object]:
    types = event.known.get("types")
    return types if isinstance(types, list) else [event.known.get("type")] * len(event.task_ids)
