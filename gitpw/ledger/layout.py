"""Where a cell lies in the git tree: names that every host accepts, and folders that stay small.

A flat folder of 10,000 entries costs 18 ms to change and a hashed one 0.5 ms, so tables that grow are filed under
the first two hex digits of their name's SHA-1. Control characters, `%`, `/`, `~`, a leading dot and bytes that
aren't UTF-8 are written as `%XX`, and so are backslashes and the invisible letters that HFS+ ignores: hosts refuse
trees with entries that some file system takes for `.git`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from gitpw.domain.board import Key

Branch = dict[str, "Branch | bytes | None"]
"""What changes in a folder: by name the content of an entry, None where it goes, or what changes below it."""

HASHED = frozenset(
    {
        "children", "claims", "dependents", "ended", "findings", "keys", "progress", "relatives", "signers", "tasks",
        "workers",
    }
)  # fmt: skip

_ESCAPED = re.compile(
    r"\A\.|[\x00-\x1f%/~\\\x7f-\x9f\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff\ud800-\udfff]"
)
"""By number and not by category: an index must read alike under every version of Unicode."""


def encoded(name: str) -> str:
    """One component of a cell's name as a tree entry."""
    return _ESCAPED.sub(_escape, name) or "%"


def _escape(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogateescape"))


def decoded(entry: str) -> str:
    """The component that a tree entry stands for."""
    if "%" not in entry:
        return entry
    return "" if entry == "%" else unquote_to_bytes(entry).decode("utf-8", "surrogateescape")


def fan_out(name: str) -> str:
    """The folder that a name of a hashed table is filed in."""
    return hashlib.sha1(name.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()[:2]


def entries(key: Key) -> tuple[str, ...]:
    """The path of a cell, or of what is filed under a key, from the root of the tree."""
    names = tuple(map(encoded, key))
    if len(key) > 1 and key[0] in HASHED:
        return (names[0], fan_out(key[1]), *names[1:])
    return names


def is_hashed_table(key: Key) -> bool:
    """Whether what is filed directly under this key is spread over hashed folders."""
    return len(key) == 1 and key[0] in HASHED


def branch(changes: Mapping[Key, bytes | None]) -> Branch:
    """Changed cells as what changes in the root of the tree."""
    root: Branch = {}
    for key, content in changes.items():
        *folders, name = entries(key)
        here = root
        for folder in folders:
            below = here.setdefault(folder, {})
            if not isinstance(below, dict):
                raise TypeError(key)
            here = below
        here[name] = content
    return root
