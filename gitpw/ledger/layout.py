"""Where a cell lies in the git tree: names that every host accepts, and folders that stay small.

A flat folder of 10,000 entries costs 18 ms to change and a hashed one 0.5 ms, so tables that grow are filed under
the first two hex digits of their name's SHA-1. Control characters, `%`, `/`, `~`, a leading dot and bytes that
aren't UTF-8 are written as `%XX`: hosts refuse trees with entries that some file system takes for `.git`.
"""

from __future__ import annotations

import hashlib
from urllib.parse import unquote_to_bytes

from gitpw.domain.board import Key

HASHED = frozenset({"tasks", "workers", "claims", "progress", "ended", "dependents", "keys"})

C1_END = 0x9F
"""The last of the control characters beyond ASCII."""

_SURROGATES = range(0xD800, 0xE000)
_PLAIN = frozenset(range(0x20, 0x7F)) - frozenset(b"%/~")


def encoded(name: str) -> str:
    """One component of a cell's name as a tree entry."""
    if (
        name.isascii()
        and name.isprintable()
        and not name.startswith(".")
        and not set(name) & set("%/~")
        and name
    ):
        return name
    text = ""
    for at, letter in enumerate(name):
        code = ord(letter)
        if (code > C1_END and code not in _SURROGATES) or (
            code in _PLAIN and not (letter == "." and at == 0)
        ):
            text += letter
        else:
            text += "".join(f"%{byte:02X}" for byte in letter.encode("utf-8", "surrogateescape"))
    return text or "%"


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
