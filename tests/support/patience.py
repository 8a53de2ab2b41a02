"""Waiting for what other processes do: as long as it takes, but not for ever."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

SOON = 40.0
"""Seconds that anything may take, on a machine with much else to do."""


def until(what: Callable[[], T]) -> T:
    """Wait for something to be so, and give it."""
    end = time.monotonic() + SOON
    while not (found := what()):
        assert time.monotonic() < end, "it never came to pass"
        time.sleep(0.1)
    return found
