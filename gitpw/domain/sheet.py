"""The rules in force for hooks, as a sheet that they read without TOML, and what it was made from.

It holds as long as what it was made from is as it was: the refs that lead to the base branch, or the file in the work
tree where the base branch has none, and git's configuration.
"""

from __future__ import annotations

import re
import shlex
from enum import StrEnum
from typing import NamedTuple

from gitpw.domain.listing import pathspec
from gitpw.domain.resource import resource

HEAD = "git-pw rules 1"
END = "end"

PLAIN = re.compile(r"[A-Za-z0-9_./:+@%=,~ -]*")
"""Values that mean the same to every shell, once quoted."""


class Origin(StrEnum):
    """Where the rules were found."""

    BASE = "base"
    FILE = "file"
    DEFAULTS = "defaults"


class Asks(StrEnum):
    """How a hook can tell whether the last known locks are those of now."""

    NOBODY = "nobody"
    PATH = "path"
    NETWORK = "network"


class Sheet(NamedTuple):
    """`refs` are the names and contents of loose refs, empty where there is no such file; `age` is in seconds.

    `events` are those of which people are told. `file` is the one that the rules were found in, or would be; `there` the file of the ledger's ref in a remote that is a folder of this machine.
    """

    origin: Origin
    file: str
    refs: tuple[tuple[str, str], ...]
    asks: Asks
    there: str
    age: int
    worker: str
    enforce: str
    trailers: bool
    lockable: bool
    critical: tuple[str, ...]
    ignore: tuple[str, ...]
    events: tuple[str, ...] = ()

    @property
    def guarded(self) -> tuple[str, ...]:
        """Patterns of files that may be changed only under a lock of one's own, lockable ones among them."""
        return self.critical

    @property
    def packed(self) -> bool:
        """Whether some ref has no file, so that a new list of packed refs may change what it is."""
        return any(not content for _, content in self.refs)

    def text(self) -> str:
        """A key and its value on each line; what the other shims ask comes first."""
        lines = [HEAD, f"trailers {_word(self.trailers)}", f"lockable {_word(self.lockable)}"]
        lines += [
            f"enforce {self.enforce}",
            f"origin {self.origin} {self.file}",
            f"asks {self.asks}",
            f"age {self.age}",
        ]
        lines += [f"there {self.there}", f"worker {self.worker}"]
        lines += [f"ref {name} {content}" for name, content in self.refs]
        lines += [f"critical {pattern}" for pattern in self.critical]
        lines += [f"ignore {pattern}" for pattern in self.ignore]
        lines += [f"event {name}" for name in self.events]
        return "\n".join([*lines, END, ""])

    def script(self) -> str:
        """The same as calls of functions that the pre-commit hook defines; what a shell can't judge is `unsure`."""
        words = [*(word for ref in self.refs for word in ref), self.file, self.there, self.worker]
        if self.enforce == "strict" or not all(map(PLAIN.fullmatch, words)):
            return "unsure\n"
        lines = [f"ref {shlex.quote(name)} {shlex.quote(content)}" for name, content in self.refs]
        lines += ["packed"] if self.packed else []
        lines += [f"made_from_{self.origin} {shlex.quote(self.file)}"]
        lines += [f"asks_{self.asks} {shlex.quote(self.there) if self.there else self.age}"]
        lines += [f"worker {shlex.quote(self.worker)}"]
        lines += [f"critical '{pathspec(resource(pattern))}'" for pattern in self.critical]
        return "\n".join([*lines, "whole", ""])


def _word(flag: bool) -> str:
    return "on" if flag else "off"


def parsed(text: str) -> Sheet | None:
    """Read a sheet; None for what is none, or isn't whole."""
    head, *lines = text.split("\n")
    if head != HEAD or lines[-2:] != [END, ""]:
        return None
    found: dict[str, list[str]] = {}
    for line in lines[:-2]:
        key, _, value = line.partition(" ")
        found.setdefault(key, []).append(value)
    try:
        origin, _, file = found["origin"][0].partition(" ")
        refs = (ref.partition(" ") for ref in found.get("ref", ()))
        return Sheet(
            origin=Origin(origin),
            file=file,
            refs=tuple((name, content) for name, _, content in refs),
            asks=Asks(found["asks"][0]),
            there=found["there"][0],
            age=int(found["age"][0]),
            worker=found["worker"][0],
            enforce=found["enforce"][0],
            trailers=found["trailers"][0] == "on",
            lockable=found["lockable"][0] == "on",
            critical=tuple(found.get("critical", ())),
            ignore=tuple(found.get("ignore", ())),
            events=tuple(found.get("event", ())),
        )
    except (KeyError, ValueError):
        return None
