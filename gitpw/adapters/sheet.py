"""What is written down for the hooks in our folder, and whether it can be trusted: the rules in force, and the locks.

`rules` and `rules.sh` are written here; `locks` and `locks.sh` by the ledger (`ledger/listing.py`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from gitpw.adapters.disk import read, replace
from gitpw.domain.listing import Listing
from gitpw.domain.sheet import Asks, Origin, Sheet, parsed
from gitpw.ledger.listing import load

RULES, SHELL, COPY = "rules", "rules.sh", "rules.toml"

RACY = 1.1
"""Seconds: what changed that recently may change once more without its time of change telling so."""


class Known(NamedTuple):
    """Rules and locks that are those of now, as far as can be told without asking; `old` is in seconds."""

    sheet: Sheet
    listing: Listing
    old: float


def known(folder: Path) -> Known | None:
    """What hooks may judge by; None where the ledger has to be asked."""
    sheet, listing = load_sheet(folder), load(folder)
    if sheet is None or listing is None or not holds(sheet, folder):
        return None
    if loose_ref(folder / "store.git", listing.ref) != listing.tip:
        return None
    if sheet.asks is Asks.NOBODY:
        return Known(sheet, listing, 0.0)
    if sheet.asks is Asks.PATH:
        current = loose_ref(Path(sheet.there), "") == listing.tip
        return Known(sheet, listing, 0.0) if current else None
    asked = loose_ref(folder, "asked")
    old = time.time() - int(asked) if asked.isdecimal() else sheet.age + 1.0
    return Known(sheet, listing, old) if 0 <= old <= sheet.age else None


def load_sheet(folder: Path) -> Sheet | None:
    """The sheet as it was last written; None where there is none that can be read."""
    raw = read(str(folder / RULES))
    return parsed(raw.decode(errors="surrogateescape")) if raw is not None else None


def holds(sheet: Sheet, folder: Path) -> bool:
    """Whether what a sheet was made from is still as it was."""
    common = folder.parent
    written = _changed(folder / RULES)
    inputs = [*_settings(common), *([common / "packed-refs"] if sheet.packed else [])]
    if any(_changed(path) > written for path in inputs):
        return False
    if any(loose_ref(common, name) != content for name, content in sheet.refs):
        return False
    if sheet.origin is Origin.FILE:
        return read(sheet.file) == read(str(folder / COPY))
    return sheet.origin is Origin.BASE or not os.path.lexists(sheet.file)


def write_sheet(sheet: Sheet, folder: Path) -> None:
    """Write it down for the hooks of all checkouts; a hook that can't trust it opens the ledger instead."""
    if load_sheet(folder) == sheet and (folder / SHELL).exists() and holds(sheet, folder):
        return
    common = folder.parent
    if sheet.origin is Origin.FILE:
        replace(str(folder / COPY), read(sheet.file) or b"")
    newest = max(map(_changed, [*_settings(common), common / "packed-refs"]), default=0)
    if time.time() - newest / 1e9 < RACY:
        newest = 0
    for name, text in ((RULES, sheet.text()), (SHELL, sheet.script())):
        replace(str(folder / name), text.encode(errors="surrogateescape"))
        os.utime(folder / name, ns=(newest, newest))


def loose_ref(common: Path, name: str) -> str:
    """What the file of a ref says; empty where it has none."""
    with suppress(OSError), (common / name).open("rb") as file:
        return file.readline(1_000).decode(errors="surrogateescape").rstrip("\n")
    return ""


def _settings(common: Path) -> Iterator[Path]:
    """Git's configuration, as far as people change it."""
    yield common / "config"
    home = os.environ.get("HOME")
    if home:
        yield Path(home, ".gitconfig")
        yield Path(os.environ.get("XDG_CONFIG_HOME") or Path(home, ".config"), "git", "config")


def _changed(path: Path) -> int:
    """When a file was last changed, in nanoseconds; 0 where there is none."""
    with suppress(OSError):
        return path.stat().st_mtime_ns
    return 0
