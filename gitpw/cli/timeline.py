"""Who worked on what and when, as a drawing to the minute and in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from gitpw.cli.markup import Markup, element, joined, told
from gitpw.cli.output import safe, width
from gitpw.cli.output import span as lasting
from gitpw.domain.history import CLAIMED, QUEUED, WORKED, Life, Span

if TYPE_CHECKING:
    from gitpw.services.overview import Overview

MOST_SPANS = 10
"""Of one task, the latest."""

LABELS, WIDTH, ROW, TOP, EDGE = 230, 1000, 24, 26, 10
"""Of the drawing, in its own units."""
COLUMNS = 30
"""Of a label: so many letters have room."""

STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 180, 240)
MOST_TICKS = 10

WORDS = {CLAIMED: "claimed", WORKED: "worked on", QUEUED: "waiting for the merge"}
HEIGHTS = {CLAIMED: 6, WORKED: 16, QUEUED: 10}
"""So that they can be told apart without colours."""


class Scale(NamedTuple):
    """Minutes since 1970 that are drawn, and between which of them there are lines."""

    first: int
    last: int
    step: int

    def place(self, minute: float) -> float:
        """Where a minute begins, from left to right."""
        part = (min(max(minute, self.first), self.last) - self.first) / (self.last - self.first)
        return round(LABELS + part * (WIDTH - LABELS - EDGE), 1)


class Shown(NamedTuple):
    """A stretch of minutes to draw; `open` where it goes on."""

    span: Span
    first: int
    last: int
    open: bool

    @property
    def words(self) -> str:
        """What was done, by whom, when and for how long."""
        begin, end = clock(self.first), clock(self.last)
        until = "now" if self.open else end.removeprefix(begin[:6])
        length = lasting(timedelta(minutes=self.last - self.first))
        return f"{begin} to {until} ({length}): {WORDS.get(self.span.kind, self.span.kind)} by {self.span.worker}"


def clock(minute: int) -> str:
    """A minute since 1970 as its day and time, in UTC."""
    return f"{datetime.fromtimestamp(60 * minute, UTC):%m-%d %H:%M}"


def timeline(seen: Overview) -> Markup:
    """The drawing, its key, and the same in words."""
    rows = [(life, shown) for life in seen.lives if (shown := _shown(life, seen))]
    if not rows:
        return element("p", "Nothing was worked on in the last 24 hours.")
    scale = _scaled(rows, seen.end)
    return joined(
        [
            _key(),
            element(
                "div",
                _drawn(rows, scale, seen),
                class_="scroll",
                tabindex="0",
                role="region",
                aria_label="Timeline, drawn",
            ),
            element("details", element("summary", "The timeline in words"), _in_words(rows, seen)),
        ]
    )


def _shown(life: Life, seen: Overview) -> list[Shown]:
    """The latest stretches that lie in the time that is shown."""
    begin, end = seen.begin // 60, -(-seen.end // 60)
    found = []
    for span in life.spans:
        first, last = span.minutes
        until = max(end, first + 1) if last is None else min(last, end)
        if until > max(first, begin):
            found.append(Shown(span, max(first, begin), until, last is None))
    return found[-MOST_SPANS:]


def _scaled(rows: Sequence[tuple[Life, Sequence[Shown]]], now: int) -> Scale:
    first = min(one.first for _, shown in rows for one in shown)
    last = max(-(-now // 60), first + 10)
    step = next((step for step in STEPS if (last - first) / step <= MOST_TICKS), STEPS[-1])
    return Scale(first // step * step, last, step)


def _key() -> Markup:
    kinds = [(kind, WORDS[kind], HEIGHTS[kind]) for kind in (CLAIMED, WORKED, QUEUED)]
    items = [
        element(
            "li",
            _sample(element("rect", x=0, y=8 - height // 2, width=16, height=height, class_=kind)),
            words,
        )
        for kind, words, height in kinds
    ]
    items.append(element("li", _sample(_diamond(8, 8)), "merged"))
    items.append(element("li", _sample(_cross(8, 8)), "failed or cancelled"))
    return element("ul", *items, class_="keys")


def _sample(drawn: Markup) -> Markup:
    return element("svg", drawn, class_="key", viewBox="0 0 16 16", aria_hidden="true")


def _diamond(x: float, y: float) -> Markup:
    return element("path", d=f"M{x} {y - 8}l7 8-7 8-7-8z", class_="merged mark")


def _cross(x: float, y: float) -> Markup:
    return element("path", d=f"M{x - 6} {y - 6}l12 12m0-12l-12 12", class_="ended mark")


def _drawn(rows: Sequence[tuple[Life, list[Shown]]], scale: Scale, seen: Overview) -> Markup:
    height = TOP + ROW * len(rows) + 4
    words = (
        f"{len(rows)} tasks from {clock(scale.first)} to {clock(scale.last)} UTC; the same follows in words"
    )
    return element(
        "svg",
        element("title", "Timeline of tasks", id="chart-title"),
        element("desc", words, id="chart-words"),
        *_grid(scale, height),
        *(_row(life, shown, TOP + ROW * place, scale, seen) for place, (life, shown) in enumerate(rows)),
        class_="chart",
        role="img",
        viewBox=f"0 0 {WIDTH} {height}",
        aria_labelledby="chart-title chart-words",
    )


def _grid(scale: Scale, height: int) -> Iterator[Markup]:
    for minute in range(scale.first, scale.last + 1, scale.step):
        x = scale.place(minute)
        yield element("line", x1=str(x), x2=str(x), y1=TOP - 4, y2=height, class_="grid")
        if x < WIDTH - 3 * EDGE:
            shown = clock(minute)
            yield element("text", shown[6:], x=str(x), y=12, class_="soft", text_anchor="middle")


def _row(life: Life, shown: Sequence[Shown], top: int, scale: Scale, seen: Overview) -> Markup:
    name = f"{life.task} {seen.titles.get(life.task, '')}".rstrip()
    middle = top + ROW // 2
    label = element(
        "svg",
        element("text", _fitting(name), x=0, y=16),
        x=0,
        y=top,
        width=LABELS - 10,
        height=ROW,
        class_="label",
    )
    bars = [_bar(one, name, middle, scale) for one in shown]
    return element(
        "g", element("title", name), label, *bars, _ended(life, shown[-1], middle, scale), class_="row"
    )


def _fitting(name: str) -> str:
    """As much of a name as there is room for."""
    shown = safe(name[:COLUMNS])
    if width(shown) <= COLUMNS and len(name) <= COLUMNS:
        return shown
    while width(shown) > COLUMNS - 1:
        shown = shown[:-1]
    return f"{shown}…"


def _bar(one: Shown, name: str, middle: int, scale: Scale) -> Markup:
    left, right = scale.place(one.first), scale.place(one.last)
    height = HEIGHTS.get(one.span.kind, 4)
    return element(
        "rect",
        element("title", f"{name[:200]}: {one.words}"),
        x=str(left),
        y=middle - height // 2,
        width=str(round(max(right - left, 2), 1)),
        height=height,
        class_=one.span.kind,
    )


def _ended(life: Life, last: Shown, middle: int, scale: Scale) -> Markup | None:
    if not life.ending:
        return None
    x = scale.place(last.last)
    return _diamond(x, middle) if life.ending == "merged" else _cross(x, middle)


def _in_words(rows: Sequence[tuple[Life, Sequence[Shown]]], seen: Overview) -> Markup:
    lines = [
        element(
            "tr",
            element("th", life.task, scope="row", class_="short"),
            element("td", told(seen.titles.get(life.task, "")), class_="words"),
            element("td", *_stretches(shown), class_="words"),
            element("td", _outcome(life), class_="short"),
        )
        for life, shown in rows
    ]
    head = [
        element("th", title, scope="col")
        for title in ("Task", "Title", "What happened (month-day hour:minute, UTC)", "Outcome")
    ]
    return element(
        "div",
        element(
            "table",
            element("caption", "The first claimed first"),
            element("thead", element("tr", *head)),
            element("tbody", *lines),
        ),
        class_="scroll",
        tabindex="0",
        role="region",
        aria_label="Timeline, in words",
    )


def _stretches(shown: Sequence[Shown]) -> Iterator[Markup]:
    for one in shown:
        yield element("div", told(one.words))


def _outcome(life: Life) -> str:
    conflicts = f"{life.conflicts} conflict{'s' if life.conflicts > 1 else ''}" if life.conflicts else ""
    return ", ".join(filter(None, [life.ending or "open", conflicts]))
