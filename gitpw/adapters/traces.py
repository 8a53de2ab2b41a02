"""What all checkouts of this repository on this machine remember, read from their git dirs without any program.

`pw/alive` in a checkout's git dir says when it last gave a sign of life: as content, since times of files follow the
machine's clock and not the one that a process is told.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gitpw.adapters.checkout import GitCheckout
from gitpw.adapters.disk import read
from gitpw.adapters.sheet import loose_ref
from gitpw.domain.checkout import Trace

if TYPE_CHECKING:
    from collections.abc import Iterator

ALIVE = "pw/alive"

SELDOM = 30.0
"""Seconds between two signs of life that are worth writing down."""

OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
LARGEST = 1 << 26


class GitTraces:
    """The checkouts that share a common git dir; `git_dir` is this one's own."""

    def __init__(self, common_dir: str, git_dir: str) -> None:
        self._common = Path(common_dir)
        self._git_dir = Path(git_dir)

    def all(self) -> list[Trace]:
        """Every claim that a checkout remembers, those of this one first."""
        here = self._git_dir.resolve()
        places = sorted(self._places(), key=lambda place: place.resolve() != here)
        return [trace for place in places for trace in self._traces(place, here=place.resolve() == here)]

    def sign(self, now: float) -> None:
        """Note that this checkout lives (unix time), unless it did so a moment ago."""
        file = self._git_dir / ALIVE
        before = _sign(file)
        if before is None or not 0 <= now - before < SELDOM:
            with suppress(OSError):  # no more than a hint: not worth waiting for the disk
                file.parent.mkdir(exist_ok=True)
                file.write_text(f"{int(now)}\n")

    def _places(self) -> Iterator[Path]:
        """The git dirs of all checkouts that remember something."""
        for place in (self._common, *self._common.glob("worktrees/*")):
            if (place / "pw" / "claims.json").exists():
                yield place

    def _traces(self, place: Path, *, here: bool) -> Iterator[Trace]:
        branch, head = self._head(place)
        sign = _sign(place / ALIVE)
        linked = place != self._common
        told = (read(str(place / "gitdir")) or b"").rstrip(b"\n") if linked else b""
        path = os.path.dirname(os.path.join(place, os.fsdecode(told))) if told else None  # noqa: PTH118, PTH120 - may be any bytes
        for own in GitCheckout(str(place)).own():
            yield Trace(own, branch, head, sign, here=here, linked=linked, path=path)

    def _head(self, place: Path) -> tuple[str | None, str | None]:
        """The branch and the commit that a checkout is on, as far as files say so."""
        told = loose_ref(place, "HEAD")
        if not told.startswith("ref: "):
            return None, told if OID.fullmatch(told) else None
        ref = told.removeprefix("ref: ")
        if not ref.startswith("refs/") or ".." in ref:
            return None, None
        head = loose_ref(self._common, ref) or self._packed(ref)
        return ref.removeprefix("refs/heads/"), head if OID.fullmatch(head) else None

    def _packed(self, ref: str) -> str:
        packed = (read(str(self._common / "packed-refs"), LARGEST) or b"").decode(errors="surrogateescape")
        found = re.search(rf"^(\S+) {re.escape(ref)}$", packed, re.MULTILINE)
        return found[1] if found else ""


def _sign(file: Path) -> float | None:
    told = (read(str(file), 100) or b"").strip()
    return float(told) if told.isdigit() else None
