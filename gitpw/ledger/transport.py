"""How programs that talk to a remote are run, without anything that is slow to import.

The private store is told the repository's own settings for transports, credentials and the one remote through the
environment; system and global settings git reads itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

NAMESPACES = {"pw": "refs/pw/locks/main", "heads": "refs/heads/pw/locks/main"}
"""The ledger's ref, and the one that stands in for it on hosts that allow branches and tags only."""

SECTIONS = ("credential.", "http.", "https.", "url.", "ssh.", "protocol.", "gitproxy.", "transfer.")
REMOTE_KEYS = ("proxy", "proxyauthmethod", "uploadpack", "receivepack", "vcs")
KEYS = frozenset({"core.sshcommand", "core.askpass", "core.gitproxy"})

ELSEWHERE: dict[str, str | None] = dict.fromkeys(
    (
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_PREFIX",
        "GIT_COMMON_DIR",
        "GIT_NAMESPACE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_QUARANTINE_PATH",
        "GIT_SHALLOW_FILE",
        "GIT_REFLOG_ACTION",
    )
)
"""What git sets for its hooks, and what would lead it astray elsewhere."""


class Finished(NamedTuple):
    """How a program ended; `late` if it was stopped at its time limit."""

    status: int
    out: bytes
    err: bytes
    late: bool = False


class Run(Protocol):
    """Run a program to its end; `env` is merged over the environment, None takes a variable out."""

    def __call__(
        self,
        args: Sequence[str],
        *,
        cwd: str | None = None,
        env: Mapping[str, str | None] | None = None,
        input: bytes | None = None,  # noqa: A002
        timeout: float | None = None,
    ) -> Finished:
        """Run it."""


class Opened(Protocol):
    """A connection to the remote for one push, opened while Python was still loading."""

    def push(self, ref: str, old: str, new: str, timeout: float) -> tuple[Finished, bool] | None:
        """Push as `git push --porcelain` would have reported it, and whether anything was sent.

        None where the connection is of no use: nothing was sent then.
        """


def store_environment(store: str, remote: str, config: Sequence[tuple[str, str]]) -> dict[str, str | None]:
    """The environment in which git works on the private store and reaches the user's remote."""
    return {**ELSEWHERE, "GIT_DIR": store, **_as_environment(_relevant(remote, config))}


def _relevant(remote: str, config: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """What the repository's own config says of transports, credentials and this remote.

    `pushurl` stands in for `url`: the ledger is read where it is written.
    """
    mine = f"remote.{remote}."
    pushes_elsewhere = any(key == f"{mine}pushurl" for key, _ in config)
    for key, value in config:
        if key in KEYS or key.startswith(SECTIONS) or key in {f"{mine}{name}" for name in REMOTE_KEYS}:
            yield key, value
        elif key == f"{mine}{'pushurl' if pushes_elsewhere else 'url'}":
            yield f"{mine}url", value


def _as_environment(settings: Iterator[tuple[str, str]]) -> dict[str, str]:
    """Git settings as the environment variables that carry them, after those that are there already."""
    base = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    found: dict[str, str] = {}
    count = base
    for key, value in settings:
        found[f"GIT_CONFIG_KEY_{count}"] = key
        found[f"GIT_CONFIG_VALUE_{count}"] = value
        count += 1
    return {**found, "GIT_CONFIG_COUNT": str(count)} if count > base else {}
