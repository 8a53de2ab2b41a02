"""How answers look: values as JSON, text that can't harm a terminal, columns, times and durations in words."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gitpw.domain.progress import Progress

JOINERS = frozenset("\u200c\u200d")
"""Invisible, but scripts and emoji need them, and they move nothing."""

INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of what steers a terminal or hides in it: controls, bidi marks, lone surrogates, line ends."""

BYTES = range(0xDC80, 0xDD00)
"""The surrogates by which Python stands for the bytes of a name that isn't UTF-8."""

MINUTE, HOUR, DAY = 60, 3600, 86400


def safe(text: object) -> str:
    """The text with everything escaped that could steer a terminal, reorder or hide what is read."""
    words = str(text)
    return words if words.isprintable() else "".join(map(_shown, words))


def _shown(char: str) -> str:
    if char in JOINERS or unicodedata.category(char) not in INVISIBLE:
        return char
    code = ord(char)
    if code in BYTES:
        return f"\\x{code % 256:02x}"
    return char.encode("unicode_escape", "surrogatepass").decode()


def plain(value: object) -> Any:
    """The value as `json` can write it: records by their public form, keys of our own answers in camelCase."""
    match value:
        case Enum():
            return value.value
        case None | bool() | int() | float() | str():
            return value
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        case date():
            return value.isoformat()
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
    return _unpacked(value)


def _unpacked(value: object) -> Any:
    for name in ("public", "to_data", "_asdict", "model_dump"):
        method = getattr(value, name, None)
        if method is not None and not isinstance(value, type):
            found = plain(method())
            return {camel(key): item for key, item in found.items()} if name == "_asdict" else found
    if hasattr(value, "__dataclass_fields__"):
        return {camel(name): plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, AbstractSet):
        return sorted(map(plain, value))
    if isinstance(value, Iterable):
        return [plain(item) for item in value]
    return str(value)


def camel(name: str) -> str:
    """`as_of` as `asOf`; what ends in `_` because Python wants it so loses that."""
    first, *others = name.strip("_").split("_")
    return first + "".join(word.capitalize() for word in others)


def width(text: str) -> int:
    """The columns that a text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(char) else 1 + _wide(char) for char in text)


def _wide(char: str) -> bool:
    return unicodedata.east_asian_width(char) in {"F", "W"}


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines of aligned columns, two spaces apart, nothing cut off; the cells are made safe."""
    cells = [[safe(cell) for cell in row] for row in rows]
    sizes = [max(map(width, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(_padded(cell, size) for cell, size in zip(row, sizes, strict=True)).rstrip()
        for row in cells
    ]


def streamed(head: Sequence[str], known: Sequence[Sequence[str]], room: Sequence[int]) -> list[int]:
    """The widths of columns whose rows come one by one: what is known of them, and `room` for what isn't; the last has none."""
    lists = zip(*([safe(cell) for cell in row] for row in known), strict=True)
    sizes = [max(map(width, column)) for column in lists]
    return [max(width(title), size, least) for title, size, least in zip(head, sizes, room, strict=False)] + [
        0
    ]


def padded(row: Sequence[str], sizes: Sequence[int]) -> str:
    """One row as a line, its cells made safe; what is too wide pushes the rest along."""
    return "  ".join(_padded(safe(cell), size) for cell, size in zip(row, sizes, strict=True)).rstrip()


def _padded(cell: str, size: int) -> str:
    return cell + " " * (size - width(cell))


def span(length: timedelta) -> str:
    """A length of time in at most two units: `45s`, `12m`, `2h05m`, `3d4h`."""
    seconds = max(int(length.total_seconds()), 0)
    if seconds < MINUTE:
        return f"{seconds}s"
    if seconds < HOUR:
        return f"{seconds // MINUTE}m"
    if seconds < 2 * DAY:
        return f"{seconds // HOUR}h{seconds % HOUR // MINUTE:02}m"
    return f"{seconds // DAY}d{seconds % DAY // HOUR}h"


def amount(size: int) -> str:
    """A number of bytes in at most four characters and its unit: `312K`, `1.4G`."""
    number = size / 1024
    for unit in "KMG":
        if number < 1000:  # noqa: PLR2004 - so many are four digits
            return f"{number:.1f}{unit}" if 0 < number < 10 and unit != "K" else f"{number:.0f}{unit}"  # noqa: PLR2004
        number /= 1024
    return f"{number:.1f}T"


def left(until: datetime, now: datetime) -> str:
    """How much of a lease is left, in words; a fresh one of an hour says an hour."""
    return f"{span(rounded(until - now))} left" if until > now else f"overdue {span(now - until)}"


def rounded(length: timedelta) -> timedelta:
    """The length to the nearest minute, where it has any."""
    return length if length < timedelta(minutes=1) else length + timedelta(seconds=30)


def local(moment: datetime) -> str:
    """A moment on this machine's clock, to the second."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 task`, `2 tasks`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def noted(notes: Sequence[str]) -> dict[str, object]:
    """What is worth knowing beside an answer, where there is something."""
    return {"notes": notes} if notes else {}


ETA_SOURCES = {"pace": "pace", "type": "its type", "estimate": "estimate"}
"""Where an estimate comes from, in a word or two; nothing where its worker said so."""


def remaining(said: Progress) -> str:
    """What is left of a task, as `10 min (pace)`; nothing where that isn't known or nothing is left."""
    done = said.percent_complete == 100 and not said.estimated_time_remaining  # noqa: PLR2004 - all of it
    if said.estimated_time_remaining is None or done:
        return ""
    source = ETA_SOURCES.get(said.eta_source or "")
    left = span(timedelta(minutes=said.estimated_time_remaining))
    return f"{left} ({source})" if source else left


def told(said: Progress) -> str:
    """How far a task has come, as `43% (3/7) writing tests`."""
    steps = f" ({said.steps_completed}/{said.total_steps})" if said.total_steps else ""
    return f"{said.percent_complete}%{steps} {said.current_step}".rstrip()
