"""The write bits of tracked files, for those that are lockable: git itself tracks the executable bit only.

Nothing is followed that could lead out of the work tree: each folder is opened from the one above it, and a file is
changed by the handle that was looked at. The list of the files that are read-only by our doing stands in the
checkout's own git dir, `pw/read-only`, so that all of them can be given back.
"""

from __future__ import annotations

import itertools
import os
import stat
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gitpw.adapters.checkout import GitCheckout
from gitpw.adapters.disk import read, replace
from gitpw.adapters.process import CLEAN, complaint, run
from gitpw.adapters.worktree import linked
from gitpw.errors import FailedError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from gitpw.adapters.git import GitRepo
    from gitpw.domain.checkout import Own

WRITE = 0o222
ORDINARY = frozenset({b"100644", b"100755"})
"""Git's modes of files that are neither links nor submodules."""

LONGEST = 1 << 30


class GitModes:
    """The write bits in one checkout; `git_dir` is its own."""

    def __init__(self, root: str, git_dir: str, environment: Mapping[str, str | None] | None = None) -> None:
        """`environment` is that in which git finds this checkout from its root."""
        self.root = root
        self._checkout = GitCheckout(git_dir)
        self._list = str(Path(git_dir, "pw", "read-only"))
        self._environment = environment or {**CLEAN, "LANGUAGE": "C"}

    def own(self) -> list[Own]:
        """The claims of this checkout."""
        return self._checkout.own()

    def tracked(self) -> list[str]:
        """The ordinary files in the index, relative to the root."""
        done = run(["git", "ls-files", "-z", "--stage"], cwd=self.root, env=self._environment)
        if done.status:
            raise FailedError(f"git ls-files failed in {self.root}: {complaint(done.err)}")
        entries = (entry.partition(b"\t") for entry in done.out.split(b"\0"))
        names = (name for about, _, name in entries if about[:6] in ORDINARY)
        return list(dict.fromkeys(map(os.fsdecode, names)))  # a conflict has three entries

    def frozen(self) -> list[str]:
        """The files that are read-only by our doing."""
        raw = read(self._list, LONGEST) or b""
        return [os.fsdecode(name) for name in raw.split(b"\0") if name]

    def astray(self, frozen: Collection[str], free: Collection[str]) -> list[str]:
        """The files whose write bits aren't as they should be; files that aren't there have none."""
        return self._each(frozen, free, change=False)

    def set(self, frozen: Collection[str], free: Collection[str]) -> list[str]:
        """Make files read-only and others writable; those that were changed."""
        # Noted before it is done: whoever is killed in between leaves nothing that can't be given back.
        self._note(dict.fromkeys((*self.frozen(), *frozen)))
        done = self._each(frozen, free, change=True)
        self._note(frozen)
        return done

    def _note(self, frozen: Collection[str]) -> None:
        content = b"".join(os.fsencode(name) + b"\0" for name in frozen)
        if content == (read(self._list, LONGEST) or b""):
            return
        if not content:
            Path(self._list).unlink()
            return
        Path(self._list).parent.mkdir(parents=True, exist_ok=True)
        replace(self._list, content)

    def _each(self, frozen: Iterable[str], free: Iterable[str], *, change: bool) -> list[str]:
        wanted = sorted([(name, False) for name in frozen] + [(name, True) for name in free])
        found = []
        for folder, group in itertools.groupby(wanted, lambda pair: os.path.dirname(pair[0])):  # noqa: PTH120 - any bytes
            with ExitStack() as ends:
                here = _opened(self.root, folder, ends)
                if here is not None:
                    found += [name for name, free_ in group if _differs(here, name, free_, change=change)]
        return found


def modes_of(repo: GitRepo, path: str | None) -> GitModes | None:
    """The write bits in the checkout at a path, by default the repository's own; None where there is none."""
    if path is None or path == repo.root:
        return None if repo.root is None else GitModes(repo.root, repo.git_dir, repo.environment)
    link = Path(path, ".git")
    git_dir = link if link.is_dir() else linked(link)
    return None if git_dir is None or not git_dir.is_dir() else GitModes(path, str(git_dir))


def _opened(root: str, folder: str, ends: ExitStack) -> int | None:
    """A handle of a folder in the work tree; None where it isn't there, or is reached through a link."""
    here = None
    with suppress(OSError):
        for name in (root, *filter(None, folder.split("/"))):
            follow = 0 if here is None else os.O_NOFOLLOW
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | follow, dir_fd=here)
            ends.callback(os.close, inner)
            here = inner
        return here
    return None


def _differs(folder: int, name: str, writable: bool, *, change: bool) -> bool:
    """Whether a file's write bits aren't as they should be, and with `change` now are."""
    base = os.path.basename(name)  # noqa: PTH119 - any bytes
    with suppress(OSError):  # it isn't there, or somebody else's
        mode = _wanted(os.stat(base, dir_fd=folder, follow_symlinks=False).st_mode, writable)
        if mode is None or not change:
            return mode is not None
        file = os.open(base, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        try:
            mode = _wanted(os.fstat(file).st_mode, writable)
            if mode is not None:
                os.fchmod(file, mode)
            return mode is not None
        finally:
            os.close(file)
    return False


def _wanted(mode: int, writable: bool) -> int | None:
    """The mode that an ordinary file should have; None where it has it, or is no such file."""
    bits = stat.S_IMODE(mode)
    if not stat.S_ISREG(mode) or writable == bool(bits & (stat.S_IWUSR if writable else WRITE)):
        return None
    return bits | _granted() if writable else bits & ~WRITE


def _granted() -> int:
    """The write bits that a new file would get."""
    mask = os.umask(0)
    os.umask(mask)
    return WRITE & ~mask | stat.S_IWUSR
