"""Which branches would conflict if they were merged now: git's own merge, in memory, many in one process.

Nothing is written into the user's repository: the objects that a merge makes go to a throw-away folder. Answers are
kept by the pair of commits, which never change, so a later look merges only what is new.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gitpw.adapters.disk import read, replace
from gitpw.adapters.git import GitRepo
from gitpw.domain.forecast import Changes, changes
from gitpw.errors import FailedError, PwError

if TYPE_CHECKING:
    from collections.abc import Iterator

Pair = tuple[str, str]

KEPT = 10_000
"""Answers that are kept at most, the newest."""

NAMED = 100
"""Files of one conflict that are kept at most."""

LARGEST = 1 << 24
"""Bytes; a file beyond that holds no answers of ours."""

ROOM = 256 << 20
"""Bytes that must be free in memory before merges are written there: two orders beyond what 100 branches need."""

MEMORY = "/dev/shm"  # noqa: S108 - a folder with a random name is made in it

OID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")

NO_STDIN = 129
"""The exit status of a git before 2.39, whose merge-tree has no --stdin."""


class GitConflicts:
    """Changes and conflicts of commits that are here."""

    def __init__(self, repo: GitRepo) -> None:
        self._repo = repo
        self._file = str(Path(repo.common_dir, "pw", "conflicts.json"))

    def changes(self, tips: Sequence[str], base: str, timeout: float) -> dict[str, Changes]:
        """What the commits of each tip change that aren't contained in `base`; a merge where it differs from all parents.

        Nothing where one of them isn't here. Raises `FailedError` when the time is up.
        """
        if Path(self._repo.common_dir, "shallow").exists():
            # Histories that were cut off before they meet would seem to have changed everything.
            tips = [tip for tip in tips if self._repo.merge_base(base, tip) is not None]
        if not tips:
            return {}
        words = ["log", "--stdin", "-z", "--format=%x01%S", "--name-status", "-c"]
        words += ["--no-renames", "--ignore-submodules=none"]
        asked = "".join(f"{tip}\n" for tip in (*dict.fromkeys(tips), f"^{base}"))
        done = self._repo.git(
            "-c", "log.showSignature=false", *words, input=asked.encode(), env=_OFFLINE, timeout=timeout
        )
        if done.late:
            raise FailedError("the branches can't be compared in time", hint="try again")
        return {} if done.status else _logged(os.fsdecode(done.out))

    def conflicts(self, pairs: Sequence[Pair], timeout: float) -> dict[Pair, list[str]]:
        """The files in which each pair conflicts, none where it merges cleanly.

        Pairs are missing that couldn't be merged in `timeout` seconds; the next call goes on with them.
        """
        known = self._known()
        new = [pair for pair in dict.fromkeys(pairs) if _key(pair) not in known]
        if new:
            found = self._merged(new, time.monotonic() + timeout)
            known |= {_key(pair): files for pair, files in found.items()}
            self._keep(known)
        return {pair: known[_key(pair)] for pair in pairs if _key(pair) in known}

    def _known(self) -> dict[str, list[str]]:
        """Answers of earlier calls; a file that can't be read is worth nothing."""
        with suppress(ValueError, RecursionError):
            data = json.loads(read(self._file, LARGEST) or b"{}")
            if isinstance(data, dict) and all(isinstance(files, list) for files in data.values()):
                return data
        return {}

    def _keep(self, known: dict[str, list[str]]) -> None:
        newest = dict(list(known.items())[-KEPT:])
        with suppress(PwError):  # then the next call merges again
            replace(self._file, json.dumps(newest).encode())

    def _merged(self, pairs: Sequence[Pair], until: float) -> dict[Pair, list[str]]:
        """Merge the pairs. Git gives up at the first that it can't merge: that one is left out, the others go on."""
        found: dict[Pair, list[str]] = {}
        rest = list(pairs)
        with self._scratch() as env:
            while rest and time.monotonic() < until:
                done = self._repo.git(
                    *MERGE,
                    "--stdin",
                    input="".join(f"{one} {two}\n" for one, two in rest).encode(),
                    env=env,
                    timeout=max(until - time.monotonic(), 0.05),
                )
                if done.status == NO_STDIN and not done.out:
                    return self._one_by_one(rest, until, env)
                answers = _answers(os.fsdecode(done.out))
                found |= dict(zip(rest, answers, strict=False))
                if done.late:
                    break
                rest = rest[len(answers) + 1 :] if len(answers) < len(rest) else []
        return found

    def _one_by_one(
        self, pairs: Sequence[Pair], until: float, env: dict[str, str | None]
    ) -> dict[Pair, list[str]]:
        found = {}
        for pair in pairs:
            left = until - time.monotonic()
            if left <= 0:
                break
            done = self._repo.git(*MERGE, *pair, env=env, timeout=left)
            if done.status in {0, 1} and not done.late:
                _, *files = os.fsdecode(done.out).rstrip("\0").split("\0")
                found[pair] = _some(files) if done.status else []
        return found

    @contextmanager
    def _scratch(self) -> Iterator[dict[str, str | None]]:
        """An environment in which git writes its objects to a folder that goes afterwards."""
        own = os.environ.get("GIT_OBJECT_DIRECTORY") or str(Path(self._repo.common_dir, "objects"))
        folder = tempfile.mkdtemp(prefix="gitpw-", dir=_roomy())
        before = os.environ.get("GIT_ALTERNATE_OBJECT_DIRECTORIES")
        try:
            yield {
                **_OFFLINE,
                "GIT_OBJECT_DIRECTORY": folder,
                "GIT_ALTERNATE_OBJECT_DIRECTORIES": os.pathsep.join(filter(None, [_quoted(own), before])),
            }
        finally:
            shutil.rmtree(folder, ignore_errors=True)


MERGE = (
    *("-c", "core.looseCompression=0"),
    *("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", "--allow-unrelated-histories"),
)
"""Never with --quiet, which calls some conflicts clean."""

_OFFLINE: dict[str, str | None] = {"GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0"}


def _quoted(path: str) -> str:
    """A path as git reads it in a list that `:` separates."""
    if not path.startswith('"') and os.pathsep not in path:
        return path
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _roomy() -> str | None:
    """A folder in memory if there is one with room, else where temporary files go."""
    with suppress(OSError):
        room = os.statvfs(MEMORY)
        if room.f_bavail * room.f_frsize >= ROOM and os.access(MEMORY, os.W_OK):
            return MEMORY
    return None


def _key(pair: Pair) -> str:
    return " ".join(sorted(pair))


def _answers(out: str) -> list[list[str]]:
    """Each merge is `0` (conflict) or `1` (clean), the tree, the files and an empty word; a last half one is left out."""
    words = out.split("\0")
    found: list[list[str]] = []
    at = 0
    while at + 2 < len(words):
        try:
            end = words.index("", at + 2)
        except ValueError:
            break
        if end == len(words) - 1 or words[at] not in {"0", "1"}:
            break
        found.append(_some(words[at + 2 : end]) if words[at] == "0" else [])
        at = end + 1
    return found


def _some(files: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(files))[:NAMED]


def _logged(out: str) -> dict[str, Changes]:
    r"""Commits are `\1tip`, then status and path in turns; git puts a line end or an empty word before the first."""
    found: dict[str, list[tuple[str, str]]] = {}
    words = iter(out.split("\0"))
    tip = ""
    for word in words:
        said = word.lstrip("\n")
        if said.startswith("\1") and OID.fullmatch(said[1:]):
            tip = said[1:]
            found.setdefault(tip, [])
        elif said and tip:
            found[tip].append((said, next(words, "")))
    return {tip: changes(changed) for tip, changed in found.items()}
