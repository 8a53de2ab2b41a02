"""What every store promises, and the private repository that all but one of them keep their objects in.

The store is a bare repository of our own, `<common git dir>/pw/store.git`: pushes from it don't walk the user's
history, and `git push --mirror`, `git gc` and `git fetch --prune` in the user's repository can't touch it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import pygit2

from gitpw.domain.board import Cells, Empty, Key
from gitpw.errors import ConfigError, FailedError, PwError
from gitpw.ledger import listing
from gitpw.ledger.commits import Entry, read, seconds
from gitpw.ledger.snapshot import Snapshot, written
from gitpw.ledger.transport import ELSEWHERE, Run

if TYPE_CHECKING:
    from gitpw.domain.trail import Event
    from gitpw.ledger.chronicle import Step

PATIENCE = 5.0
"""Seconds to wait for the store's lock: its owner may be suspended."""

BULK = 500
"""Changed cells from which one sync at the end is cheaper than one for each object (0.5 ms, measured)."""

LITTER = ("trace-*", "shallow-*", "*.tmp", "journal/*.new", "merge/*.tmp")
"""Files of our own that are there only while a command is at work."""

STALE = 3_600.0
"""Seconds after which nobody is at work with them any more: longer than any exchange with a remote may take."""

STRIDE = 1_000
"""Commits that are read at a time at most."""
FROM = "refs/pw/verified-from"
"""The state from which on this clone has verified signatures, where that isn't the ledger's first."""

Sign = Callable[[bytes], str]
"""What makes a signature of a commit."""

TIP = "refs/pw/tip"
LOCAL = "refs/pw/locks/main"


class Swap(Enum):
    """How a compare-and-swap ended."""

    DONE = "the new state is the current one"
    BEATEN = "somebody else's is"
    RACED = "refused like a lost race: look whether the state has moved, or something holds a lock file"
    LOST = "the answer was lost"


class Move(NamedTuple):
    """A branch of the user's that moves together with the ledger.

    `old` is empty where it must not exist yet, `new` where it is to be deleted.
    """

    ref: str
    old: str
    new: str


class BranchError(FailedError):
    """The remote didn't move a branch, and nothing else: `moved` where it isn't where it was expected."""

    def __init__(self, message: str, hint: str | None, *, ref: str, moved: bool) -> None:
        super().__init__(message, hint, ref=ref)
        self.ref = ref
        self.moved = moved


class NotAtomicError(PwError):
    """The host takes no atomic pushes: the ledger and a branch can't move in one."""


class Store(Protocol):
    """Where states are kept: each a commit, one of them current."""

    def tip(self) -> str | None:
        """The last state known here, without asking anybody."""

    def fetch(self, timeout: float = 60.0) -> str | None:
        """The current state, None where there is none; raises `OfflineError`."""

    def accept(self, commit: str) -> None:
        """Take a fetched state as the last one known."""

    def asked(self) -> datetime | None:
        """When the current state was last known for sure; None where it always is."""

    def trace(self) -> object:
        """What differs as soon as another state is the last one known, at next to no cost."""

    def same(self, one: str, other: str, tables: Sequence[str]) -> bool:
        """Whether two states have the same cells in these tables."""

    def cells(self, commit: str | None) -> Cells:
        """The cells of a state."""

    def write(
        self,
        parent: str | None,
        changes: Mapping[Key, bytes | None],
        text: str,
        at: datetime,
        sign: Sign | None = None,
    ) -> str:
        """Write a state that follows another, signed if it is to be; nothing points to it yet."""

    def swap(self, old: str | None, new: str, moves: Sequence[Move] = ()) -> Swap:
        """Make `new` current if `old` still is; raises `OfflineError` or `FailedError` where nothing was changed."""

    def push(self, moves: Sequence[Move]) -> None:
        """Move branches without the ledger; raises `BranchError`, `OfflineError`, and `UnknownError` if the answer is lost."""

    def orphaned(self, commit: str, sign: Sign | None = None) -> str:
        """The same state without what led to it."""

    def raw(self, commit: str) -> bytes | None:
        """A commit word for word; None where it isn't here."""

    def table(self, commit: str, name: str) -> str | None:
        """What names all that is in a table of a state; None where there is no such table."""

    def mark(self, name: str, commit: str | None) -> None:
        """Remember a state by a name of ours, or no longer."""

    def marked(self, name: str) -> str | None:
        """The state of that name."""

    def unask(self, since: datetime | None) -> None:
        """What was just fetched is not to be had: the current state was last known for sure at that time."""

    def tidy(self) -> None:
        """Pack what has piled up, if it is much, and take away what killed commands have left."""

    def list_locks(self) -> None:
        """Write down for the hooks what is held in the last known state."""

    def deepen(self, by: int | None = None) -> bool:
        """Bring so many more states of the history here, or all; False where all are. Raises `OfflineError`."""

    def lock(self) -> contextlib.AbstractContextManager[bool]:
        """Queue up with the other processes of this machine; False after `PATIENCE` seconds in vain."""

    def history(self, commit: str) -> Iterator[Entry]:
        """The operations that led to a state, newest first, as far back as they are here."""

    def walk(self, commit: str) -> Iterator[Step]:
        """The same as events, each with its commit: faster, and with less in them."""

    def events(self, commit: str, *, keep: bool = True) -> Iterator[Event]:
        """The same events, from what was read of them before; what is new is kept for the next time if it is to be."""

    def recall(self, name: str) -> bytes | None:
        """What was kept under a name of ours; it may be old, or anything."""

    def keep(self, name: str, content: bytes | None) -> None:
        """Keep something for the next time, or nothing any more, where that can be done."""


class GitStore:
    """The part that stores on git objects have in common; `known` is the ref of the last known state."""

    known = TIP

    def __init__(self, folder: str, run: Run) -> None:
        """`folder` is ours: `<common git dir>/pw`."""
        self._run = run
        self.folder = Path(folder)
        self.path = self.folder / "store.git"
        self._repo: pygit2.Repository | None = None
        self._locks = 0

    @property
    def repo(self) -> pygit2.Repository:
        """The private repository, made at the first use."""
        if self._repo is None:
            pygit2.settings.owner_validation = False  # git has judged the user's repository around it
            if not (self.path / "HEAD").exists():
                with self.lock():
                    pygit2.init_repository(str(self.path), bare=True)
            try:
                self._repo = pygit2.Repository(str(self.path))
            except pygit2.GitError as error:
                raise ConfigError(
                    f"the store {self.path} can't be opened: {error}",
                    hint="move it away: it is made anew from the remote",
                ) from error
        return self._repo

    def ref(self, name: str) -> str | None:
        """What a ref of the store points to."""
        found = self.repo.references.get(name)
        return None if found is None else str(found.target)

    def set_ref(self, name: str, commit: str) -> None:
        """Point a ref of the store somewhere."""
        self.repo.references.create(name, pygit2.Oid(hex=commit), force=True)

    def list_locks(self) -> None:
        """Write down for the hooks what is held in the last known state."""
        tip = self.ref(self.known)
        if tip is not None:
            listing.follow(self.folder, self.repo, self.known, tip)

    def commit(self, name: str) -> pygit2.Commit | None:
        """The commit of that name, None where it isn't here or is something else."""
        found: object = self.repo.get(name)
        return found if isinstance(found, pygit2.Commit) else None

    def cells(self, commit: str | None) -> Cells:
        """The cells of a state."""
        if commit is None:
            return Empty()
        found = self.commit(commit)
        if found is None:
            raise ConfigError(
                "the ledger's ref points to something that is no ledger",
                hint="git pw doctor",
                ledger="broken",
            )
        return Snapshot(self.repo, found.tree)

    def trace(self) -> object:
        """The ref's own file, or the file of many refs where it was packed by hand."""
        for name in (self.known, "packed-refs"):
            with contextlib.suppress(OSError):
                found = (self.path / name).stat()
                return found.st_mtime_ns, found.st_ino, found.st_size
        return None

    def same(self, one: str, other: str, tables: Sequence[str]) -> bool:
        """Whether two states have the same cells in these tables."""
        then, now = self.commit(one), self.commit(other)
        if then is None or now is None:
            return False
        return all(_entry(then.tree, table) == _entry(now.tree, table) for table in tables)

    def write(
        self,
        parent: str | None,
        changes: Mapping[Key, bytes | None],
        text: str,
        at: datetime,
        sign: Sign | None = None,
    ) -> str:
        """Write a state that follows another, signed if it is to be; nothing points to it yet."""
        before = None if parent is None else self.commit(parent)
        in_bulk = len(changes) > BULK
        pygit2.settings.enable_fsync_gitdir(not in_bulk)
        tree = written(self.repo, None if before is None else before.tree, changes)
        if in_bulk:
            os.sync()
            pygit2.settings.enable_fsync_gitdir(True)
        signature = pygit2.Signature("git-pw", "git-pw@localhost", seconds(at), 0)
        parents = [] if before is None else [before.id]
        return self._committed(signature, text, tree, parents, sign)

    def _committed(
        self,
        who: pygit2.Signature,
        text: str,
        tree: pygit2.Oid,
        parents: Sequence[pygit2.Oid],
        sign: Sign | None,
    ) -> str:
        if sign is None:
            return str(self.repo.create_commit(None, who, who, text, tree, list(parents)))
        content = str(self.repo.create_commit_string(who, who, text, tree, list(parents)))
        return str(
            self.repo.create_commit_with_signature(content, sign(content.encode()).rstrip("\n"), "gpgsig")
        )

    def orphaned(self, commit: str, sign: Sign | None = None) -> str:
        """The same state without what led to it."""
        found = self.commit(commit)
        if found is None:
            raise KeyError(commit)
        return self._committed(found.author, found.message, found.tree_id, [], sign)

    def raw(self, commit: str) -> bytes | None:
        """A commit word for word; None where it isn't here."""
        found = self.commit(commit)
        return None if found is None else found.read_raw()

    def table(self, commit: str, name: str) -> str | None:
        """What names all that is in a table of a state; None where there is no such table."""
        found = self.commit(commit)
        return None if found is None or name not in found.tree else str(found.tree[name].id)

    def mark(self, name: str, commit: str | None) -> None:
        """Remember a state by a name of ours, or no longer."""
        if commit is not None:
            self.set_ref(name, commit)
        elif name in self.repo.references:
            self.repo.references.delete(name)

    def marked(self, name: str) -> str | None:
        """The state of that name."""
        return self.ref(name)

    def tidy(self) -> None:
        """Take away what killed commands were just writing, and pack what has piled up, if it is much.

        Git decides, and works in the background. Not the refs: the hooks read the last known state's name from its file.
        """
        for pattern in LITTER:
            for path in self.folder.glob(pattern):
                with contextlib.suppress(OSError):
                    if time.time() - path.stat().st_mtime > STALE:
                        path.unlink()
        packing = ["git", "-c", "gc.packRefs=false", "gc", "--auto", "--quiet"]
        self._run(packing, env={**ELSEWHERE, "GIT_DIR": str(self.path)}, timeout=60)

    def deepen(self, by: int | None = None) -> bool:  # noqa: ARG002
        """Nothing to do where nothing was left out."""
        return False

    def history(self, commit: str) -> Iterator[Entry]:
        """The operations that led to a state, newest first, as far back as they are here."""
        found = self.commit(commit)
        while found is not None:
            entry = read(found.raw_message.decode(errors="replace"))
            if entry is not None:
                yield entry._replace(commit=str(found.id))
            found = self.commit(str(found.parent_ids[0])) if found.parent_ids else None

    def walk(self, commit: str) -> Iterator[Step]:
        """The events that led to a state, newest first, each with its commit, as far back as they are here."""
        at, most = commit, 1
        while at:
            steps = self._steps(at, most)
            yield from steps
            at = steps[-1].before if len(steps) == most else ""
            most = min(most * 8, STRIDE)

    def _steps(self, commit: str, most: int) -> list[Step]:
        """So many steps back from a commit; fewer are all that there are.

        What git has once put into the store isn't checked again, nor remembered: it is read once, and that takes half
        the time (measured).
        """
        from gitpw.ledger.chronicle import Step
        from gitpw.ledger.events import event

        pygit2.settings.enable_strict_hash_verification(False)
        pygit2.settings.enable_caching(False)
        steps: list[Step] = []
        at, get = commit, self.repo.get
        try:
            while at and len(steps) < most:
                found: object = get(at)
                if not isinstance(found, pygit2.Commit):
                    break
                parents = found.parent_ids
                before = str(parents[0]) if parents else ""
                text = found.raw_message.decode(errors="replace")
                steps.append(Step(at, before, event(text, at, found.commit_time)))
                at = before
        finally:
            pygit2.settings.enable_strict_hash_verification(True)
            pygit2.settings.enable_caching(True)
        return steps

    def events(self, commit: str, *, keep: bool = True) -> Iterator[Event]:
        """The same, from what was read of them before; what is new is kept for the next time if it is to be."""
        from gitpw.ledger.chronicle import Chronicle

        return Chronicle(self.folder / "events", self.walk).events(commit, keep=keep)

    def recall(self, name: str) -> bytes | None:
        """What was kept under a name of ours; it may be old, or anything."""
        with contextlib.suppress(OSError):
            return (self.folder / name).read_bytes()
        return None

    def keep(self, name: str, content: bytes | None) -> None:
        """Keep something for the next time, or nothing any more, where that can be done."""
        with contextlib.suppress(OSError):
            if content is None:
                (self.folder / name).unlink()
                return
            with tempfile.NamedTemporaryFile(dir=self.folder, suffix=".tmp", delete=False) as file:
                file.write(content)
            Path(file.name).replace(self.folder / name)

    @contextlib.contextmanager
    def lock(self) -> Iterator[bool]:
        """Queue up with the other processes of this machine; False after `PATIENCE` seconds in vain."""
        if self._locks:
            yield True
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "store.lock").open("ab") as file:
            got = _flocked(file.fileno())
            self._locks += 1
            try:
                yield got
            finally:
                self._locks -= 1

    def note_asked(self) -> None:
        """Remember that the current state was known for sure just now."""
        (self.folder / "asked").write_text(
            f"{int(time.time())}\n"
        )  # for the hooks: a shell can't see its age

    def unask(self, since: datetime | None) -> None:
        """What was just fetched is not to be had: the current state was last known for sure at that time."""
        with contextlib.suppress(OSError):
            at = 0 if since is None else since.timestamp()
            (self.folder / "asked").write_text(f"{int(at)}\n")
            os.utime(self.folder / "asked", (at, at))

    def asked(self) -> datetime | None:
        """When the current state was last known for sure."""
        with contextlib.suppress(OSError):
            return datetime.fromtimestamp((self.folder / "asked").stat().st_mtime, UTC)
        return datetime.fromtimestamp(0, UTC)


def _entry(tree: pygit2.Tree, name: str) -> pygit2.Oid | None:
    return tree[name].id if name in tree else None


def _flocked(file: int) -> bool:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(0.01)
        else:
            return True
