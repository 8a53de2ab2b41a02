"""The commits of a range and the files that they change, by way of two git processes however many they are."""

from __future__ import annotations

import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gitpw.adapters.git import EACH, PLAIN
from gitpw.adapters.process import complaint
from gitpw.errors import FailedError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from gitpw.adapters.git import GitRepo
    from gitpw.domain.review import Committed

TRAILER = "%(trailers:key={},valueonly,separator=%x2C)"
HEAD = f"%H %ct %P%x1f{TRAILER.format('Pw-Task')}%x1f{TRAILER.format('Pw-Token')}%x1f%cn"
"""What stands before the names of a commit's files."""


class GitCommits:
    """The commits of one repository, those in quarantine included."""

    def __init__(self, repo: GitRepo) -> None:
        self._repo = repo

    def changes(
        self, heads: Sequence[str], without: Sequence[str] = (), *, new: bool = False
    ) -> list[Committed]:
        """What the commits of `heads` change that aren't part of `without`, newest first.

        With `new`, those that no branch (but the ledger's own, `pw/*`) and no tag has yet. What of `without` isn't here has nothing to exclude.
        A merge counts where it differs from all its parents.
        """
        wanted = "".join(f"{line}\n" for line in (*heads, *(f"^{name}" for name in without)))
        known = ["--not", "--exclude=pw/*", "--branches", "--tags"] if new else []
        names = self._told("rev-list", "--topo-order", "--ignore-missing", "--stdin", *known, input=wanted)
        if not names:
            return []
        mark = secrets.token_hex(8)  # no file has that name
        options = ("--always", "--name-only", f"--format=%x00{mark}{HEAD}")
        return list(_parsed(self._told(*EACH, *options, *PLAIN, input=names), mark.encode()))

    def own(
        self, commits: Sequence[Committed], places: Collection[tuple[str, str]], tip: str
    ) -> list[Committed]:
        """The same commits, but at those places (a commit and a file) only what isn't brought in from `tip`'s branch."""
        made = self._repo.changes([name for name, _ in places], {file for _, file in places})
        asked = (change for change in made if (change.commit, change.file) in places)
        brought = {(change.commit, change.file) for change in self._repo.brought_in(tip, asked)}
        return [
            one._replace(files=tuple(file for file in one.files if (one.commit, file) not in brought))
            for one in commits
        ]

    def cut_off(self) -> frozenset[str]:
        """The commits whose parents are not here, in a clone that is shallow."""
        file = os.fsdecode(self._told("rev-parse", "--path-format=absolute", "--git-path", "shallow"))
        path = Path(file.removesuffix("\n"))
        return frozenset(path.read_text().split()) if path.exists() else frozenset()

    def _told(self, *args: str, input: bytes | str = b"") -> bytes:  # noqa: A002 - as in subprocess
        done = self._repo.git(*args, input=os.fsencode(input))
        if done.status:
            raise FailedError(f"git couldn't tell the commits: {complaint(done.err)}")
        return done.out


def _parsed(out: bytes, mark: bytes) -> Iterator[Committed]:
    """Words that end with a zero: a marked one is a commit's head, and those up to the next are its files.

    Before the first file a line ends, or, in a merge, stands an empty word.
    """
    words = out.split(b"\0")
    starts = [at for at, word in enumerate(words) if word.startswith(mark)]
    for start, end in zip(starts, [*starts[1:], len(words)], strict=True):
        first, *more = words[start + 1 : end] or [b""]
        names = [first.removeprefix(b"\n"), *more]
        yield _change(words[start].removeprefix(mark), [os.fsdecode(name) for name in names if name])


def _change(head: bytes, files: list[str]) -> Committed:
    from gitpw.domain.review import Committed, stamps

    names, tasks, tokens, *by = head.decode(errors="replace").split("\x1f")
    name, when, *parents = names.split()
    try:
        at = datetime.fromtimestamp(int(when), UTC)
    except (ValueError, OverflowError, OSError):
        at = datetime.fromtimestamp(0, UTC)
    return Committed(name, at, tuple(files), stamps(tasks, tokens), by[-1], len(parents) > 1)
