"""Where URLs of repositories lead, however they are written."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

PORTS = {"git": "9418", "http": "80", "https": "443", "ssh": "22"}
"""What need not be said."""

NETWORK = re.compile(r"([a-z][a-z0-9+.-]*)://(?:[^/@]*@)?([^/:]+|\[[^]/]*\])(?::(\d*))?/(.*)", re.IGNORECASE)
SCP = re.compile(r"(?:[^/:@]+@)?([^/:]+|\[[^]/]*\]):(?!//)(.*)")


class Place(NamedTuple):
    """A repository's host, empty for this machine; its port where it isn't the scheme's own; and its path."""

    host: str
    port: str
    path: str


def place(url: str, folder: str) -> Place:
    """Where a URL leads: one repository is the same by ssh and by https, whoever logs in.

    A relative path begins at `folder`.
    """
    found = NETWORK.fullmatch(url)
    if found is not None and found[1].lower() != "file":
        scheme, host, port, path = found[1].lower(), found[2].lower(), found[3] or "", found[4]
        return Place(host, "" if port == PORTS.get(scheme) else port, _plain(path))
    scp = SCP.fullmatch(url)
    if scp is not None:
        return Place(scp[1].lower(), "", _plain(scp[2]))
    path = re.sub(r"^file://(localhost(?=/))?", "", url, flags=re.IGNORECASE)
    return Place("", "", _plain(os.path.realpath(os.path.join(folder, path))))  # noqa: PTH118 - may be any bytes


def _plain(path: str) -> str:
    """A path without what git adds by itself."""
    return re.sub(r"(/|\.git)*$", "", path.lstrip("/"))
