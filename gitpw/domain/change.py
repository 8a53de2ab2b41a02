"""What a commit does to a file."""

from __future__ import annotations

from typing import NamedTuple


class Change(NamedTuple):
    """A file as a commit leaves it, or the index where `commit` is empty.

    `content` is git's mode and object name, with a space between; empty where the file is gone.
    """

    commit: str
    file: str
    content: str
