"""The linked worktrees of the user's repository, made so that being killed at any point can be mended.

A worktree is registered first, locked with a reason of ours that says "being made"; then its claim is written into
its git dir; then it is checked out; and then the reason goes. Whoever finds the reason finishes the rest. The programs
that do the work hold the lock file of their worktree, so that nobody meddles while one of them outlives us.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from gitpw.adapters.checkout import GitCheckout
from gitpw.adapters.disk import Held, locked, read, replace
from gitpw.adapters.git import CHAINED_ONLY, GitRepo, changes, patient
from gitpw.adapters.process import CLEAN, Finished, complaint, detach, run
from gitpw.domain.checkout import Look, Memory, Own, Worktree
from gitpw.domain.ids import TASK, WORKER, TaskId
from gitpw.errors import FailedError

UNFINISHED = "git pw: being made"
"""The reason by which git keeps a worktree locked as long as it isn't all there."""

TO_PROVISION = "pw/provision"
"""A file in a worktree's git dir as long as what belongs beside its tracked files isn't there yet."""

TRASH = ".gitpw-trash"
"""The end of the name of a folder that is being deleted where it lay: on a file system of its own."""

PASSING = frozenset({"git", "git-pw", "rm"})
"""Programs that work in a worktree for a moment: git's, and ours in the background."""

GATE_PATIENCE = 30.0
"""Seconds to wait for the others that register a worktree."""

CHECKOUT_PATIENCE = 600.0
"""Seconds to wait for another process that checks the same worktree out."""

_ENV: dict[str, str | None] = {**CLEAN, "LANGUAGE": "C", CHAINED_ONLY: "1"}
"""Our own hooks have nothing to say to what is done here: whoever makes a worktree sees to the rest."""


class _Entry(NamedTuple):
    """A checkout as git lists it; `reason` is why it is locked, if it is.

    `admin` is a linked worktree's own git dir; empty for the main checkout, and where it can't be told.
    """

    path: str
    head: str | None
    branch: str | None
    reason: str | None
    admin: str

    @property
    def present(self) -> bool:
        return os.path.lexists(Path(self.path, ".git"))

    @property
    def unfinished(self) -> bool:
        return self.reason == UNFINISHED

    @property
    def kept(self) -> bool:
        """Whether a person has locked it."""
        return self.reason is not None and not self.unfinished


class GitWorktrees:
    """The linked worktrees; `template` says where the worktrees of tasks go, relative to the main checkout."""

    def __init__(self, repo: GitRepo, template: str = ".worktrees/{id}") -> None:
        self._repo = repo
        self._template = template
        self._ours = Path(repo.common_dir, "pw")
        self._gate = str(self._ours / "worktrees.lock")

    def all(self) -> list[Worktree]:
        """All linked worktrees, the main checkout left out."""
        return [self._described(one) for one in self._entries()]

    def memories(self) -> list[Memory]:
        """What all checkouts remember, the main one first."""
        main, *linked = self._listed()
        places = [(main, self._repo.common_dir), *((one, one.admin) for one in linked if one.admin)]
        here = os.path.realpath(self._repo.git_dir)
        return [
            Memory(one.path, one.branch, tuple(GitCheckout(place).own()), os.path.realpath(place) == here)
            for one, place in places
        ]

    def find(self, task: TaskId) -> Worktree | None:
        """The one that was made for a task; rather one whose folder is there."""
        found = [one for one in self.all() if one.task == task]
        found.sort(key=lambda one: one.own is None)
        return next((one for one in found if one.present), found[0] if found else None)

    def make(
        self,
        path: str,
        branch: str,
        base: str,
        own: Own,
        *,
        sparse: Sequence[str] = (),
        checkout: bool = True,
    ) -> str:
        """Make a worktree on a branch (made at `base` unless it exists) and record the claim in it; its path.

        A relative path begins at the main checkout's root. Whatever an interrupted earlier call left is finished;
        what is there already and belongs to the same worker's task stays as it is. A new one has all files, or with
        `sparse` those folders and what lies above them, or without `checkout` none. Raises `FailedError` where
        something that isn't ours is in the way.
        """
        path = self._placed(path)
        with locked(self._making(path), CHECKOUT_PATIENCE) as held:
            with self._registry() as gate:
                entry = self._registered(path, branch, base, own, held=held, gate=gate)
            if entry.unfinished and checkout:
                self._finish(entry, sparse, hold=(held.file,))
            elif entry.unfinished:
                Path(entry.admin, TO_PROVISION).unlink(missing_ok=True)
                Path(entry.admin, "locked").unlink(missing_ok=True)
        return path

    def files(self, path: str) -> int:
        """How many files are tracked in a worktree; 0 where that can't be told."""
        head = _index(git_dir_of(path) or "")[:12]
        return int.from_bytes(head[8:12], "big") if head.startswith(b"DIRC") else 0

    def dirty(self, worktree: Worktree) -> list[str]:
        """Uncommitted and untracked files, relative to the worktree; none where its folder is gone."""
        if not worktree.present:
            return []
        return _changes(worktree.path, git_dir_of(worktree.path))

    def occupants(self, worktree: Worktree) -> list[str]:
        """The programs that have their current folder in a worktree, as far as this system tells: `vim (4711)`."""
        home = os.path.realpath(worktree.path)
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                here = os.readlink(process / "cwd")  # noqa: PTH115 - may be any bytes
                name = (process / "comm").read_text(errors="replace").strip()
                mine = int(process.name) == os.getpid()
                if (here == home or here.startswith(f"{home}/")) and not mine and name not in PASSING:
                    found.append(f"{name} ({process.name})")
        return found

    def look(self, worktree: Worktree, base: str | None, timeout: float) -> Look:
        """What can be found out about a worktree in time: commits against `base` first, then changes, then its size."""
        until = time.monotonic() + timeout
        found = Look()
        if base is not None and worktree.head is not None and timeout > 0:
            words = ["git", "rev-list", "--left-right", "--count", f"{worktree.head}...{base}"]
            done = run(words, cwd=self._repo.common_dir, env=_ENV, timeout=timeout)
            if done.status == 0 and not done.late:
                found = found._replace(ahead=int(done.out.split()[0]), behind=int(done.out.split()[1]))
        left = until - time.monotonic()
        if worktree.present and left > 0:
            with suppress(FailedError):
                found = found._replace(
                    changes=len(_changes(worktree.path, git_dir_of(worktree.path), timeout=left))
                )
        left = until - time.monotonic()
        if worktree.present and left > 0:
            done = run(["du", "-sk", "--", worktree.path], timeout=left)
            told = done.out.split(maxsplit=1)
            found = found if done.late or not told else found._replace(size=int(told[0]) * 1024)
        return found

    def head(self, path: str) -> str | None:
        """The commit that a worktree is at."""
        done = _git(path, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        return None if done.status else done.out.decode().strip()

    def advance(self, path: str, commit: str) -> bool:
        """Bring a worktree forward to a commit if it has no commits and no changes of its own; whether it is there."""
        admin = git_dir_of(path)
        behind = _git(path, "merge-base", "--is-ancestor", "HEAD", commit).status == 0
        if admin is None or not behind or _changes(path, admin):
            return False
        empty = not Path(admin, "index").exists()
        how = ("reset", "--soft") if empty else ("merge", "--ff-only", "--quiet")
        return _git(path, *how, commit).status == 0

    def remove(self, worktree: Worktree) -> None:
        """Take a clean worktree away, keeping its branch; raises `FailedError` where something would be lost."""
        with locked(self._making(worktree.path), CHECKOUT_PATIENCE) as held, self._registry():
            if held.abandoned and worktree.branch is not None:
                self._free(worktree.branch)
            entry = self._at(worktree.path)
            if entry is None or not entry.admin:
                return
            if entry.kept:
                raise FailedError(
                    f"{entry.path} is locked: {entry.reason or 'no reason was given'}",
                    hint=f"git worktree unlock {entry.path}",
                )
            if _is_shell(entry):
                _discard(entry)
                return
            if entry.unfinished and entry.present:
                self._finish(entry, hold=(held.file,))
            if entry.present:
                self._clear(entry, entry.admin)
            self._drop(entry)

    def repair(self, paths: Sequence[str] = ()) -> list[str]:
        """Mend what moved, prune what is gone of ours, and empty the trash; the names of what was done.

        `paths` are worktrees that were moved to where nobody would look for them.
        """
        with self._registry():
            done = [f"repaired {path}" for path in self._moved(paths) if self._mend(path)]
            for entry in self._entries():
                if not entry.present and not entry.kept and _own(entry) is not None:
                    self._drop(entry)
                    done.append(f"pruned {entry.path}")
            left = [str(one) for home in self._homes() for one in Path(home).glob(f".*{TRASH}")]
            left += map(str, (self._ours / "trash").glob("*"))
            if left:
                detach(["rm", "-rf", "--", *left])
        return done

    # The list of worktrees

    def _described(self, entry: _Entry) -> Worktree:
        own = _own(entry)
        task = own.task if own is not None else self._task_at(entry.path)
        present = entry.present and not _is_shell(
            entry
        )  # what a killed command had only begun is nobody's work
        return Worktree(entry.path, entry.branch, entry.head, own, entry.kept, present, _made(entry), task)

    def _task_at(self, path: str) -> TaskId | None:
        """The task for which a worktree is made at such a place."""
        found = self._places.fullmatch(os.path.realpath(path))
        return None if found is None else TaskId(found[1])

    @cached_property
    def _places(self) -> re.Pattern[str]:
        """The template, with the worker's name behind it where two work at one task."""
        place = os.path.realpath(self._placed(self._template.replace("{id}", "@id@")))
        pattern = re.escape(place).replace(re.escape("@id@"), f"({TASK.pattern})", 1)
        return re.compile(f"{pattern}(?:-{WORKER.pattern})?")

    def _entries(self) -> list[_Entry]:
        """All linked worktrees."""
        return self._listed()[1:]

    def _listed(self) -> list[_Entry]:
        """All checkouts, the main one first."""
        done = self._git("list", "--porcelain", "-z")
        if done.status:
            raise FailedError(f"git worktree list failed: {complaint(done.err)}")
        admins = {os.path.realpath(path): admin for admin, path in self._admins()}
        records = os.fsdecode(done.out).split("\0\0")[:-1]
        return [_entry(record, admins) for record in records]

    def _git(self, *args: str, hold: Sequence[int] = ()) -> Finished:
        """Run `git worktree` from a folder that stays when a worktree goes."""
        words = ["git", "worktree", *args]
        env = {**_ENV, "GIT_DIR": self._repo.common_dir}  # named, for `safe.bareRepository`
        return patient(lambda: run(words, cwd=self._repo.common_dir, env=env, hold=hold))

    def _admins(self) -> Iterator[tuple[str, str]]:
        """Each worktree's own git dir, and where it says that the worktree is."""
        for admin in sorted(Path(self._repo.common_dir, "worktrees").glob("*")):
            said = os.fsdecode((read(str(admin / "gitdir")) or b"").rstrip(b"\n"))
            if said:
                yield str(admin), os.path.dirname(os.path.join(admin, said))  # noqa: PTH118, PTH120 - may be any bytes

    def _at(self, path: str) -> _Entry | None:
        return _found(self._entries(), path)

    def _placed(self, path: str) -> str:
        start = self._repo.main_root()
        if start is None:
            common = Path(self._repo.common_dir)
            start = str(common.parent if common.name.startswith(".") else common)
        found = os.path.normpath(Path(start, os.path.expanduser(path)))  # noqa: PTH111 - "~" alone is no folder either
        if Path(os.path.realpath(found)).is_relative_to(os.path.realpath(Path(start, ".git"))):
            raise FailedError(
                f"{found} is inside git's own folder", hint="see claim.worktrees in .gitpw.toml"
            )
        return found

    def _making(self, path: str) -> str:
        name = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:16]
        return str(self._ours / f"worktree-{name}.lock")

    # Making one

    def _registered(self, path: str, branch: str, base: str, own: Own, *, held: Held, gate: Held) -> _Entry:
        """The worktree with its claim, perhaps not checked out yet."""
        hold = (held.file, gate.file)
        if held.abandoned:
            self._free(branch)
        self._repo.exclude(self._template)
        main, *others = self._listed()
        entry = _found(others, path)
        if entry is not None and _is_shell(entry):
            _discard(entry)
            others.remove(entry)
            entry = None
        if entry is None:
            self._refuse_clash(path, branch, [main, *others])
            self._add(path, branch, base, hold)
        else:
            _refuse_foreign(entry, branch, own)
            if not entry.present:
                _recreate(entry)
            elif entry.unfinished:
                _complete(entry, branch, hold)
        entry = self._at(path)
        if entry is None or not entry.admin:
            raise FailedError(f"git made no worktree at {path}", hint="git worktree list")
        GitCheckout(entry.admin).remember(own)
        if entry.unfinished:
            replace(str(Path(entry.admin, TO_PROVISION)), b"")
        return entry

    @contextmanager
    def _registry(self) -> Iterator[Held]:
        """Be the only one of ours that registers worktrees, with no litter about of one that was killed."""
        with locked(self._gate, GATE_PATIENCE) as gate:
            self._sweep(abandoned=gate.abandoned)
            yield gate

    def _sweep(self, *, abandoned: bool) -> None:
        """Take away what git had only begun to register for us when it was killed: it leads nowhere."""
        named = {admin for admin, _ in self._admins()}
        for admin in Path(self._repo.common_dir, "worktrees").glob("*"):
            if str(admin) not in named:
                reason = read(str(admin / "locked"))
                blank = not reason and {child.name for child in admin.iterdir()} <= {"locked", "gitdir"}
                if reason == UNFINISHED.encode() + b"\n" or (abandoned and blank):
                    shutil.rmtree(admin, ignore_errors=True)

    def _free(self, branch: str) -> None:
        """Take away the lock that a git of ours has left on a branch if it was killed too."""
        lock = Path(self._repo.common_dir, "refs", "heads", f"{branch}.lock")
        before = _written(lock)
        if before is not None:
            time.sleep(0.5)  # somebody else's git is done by then
            if _written(lock) == before:
                lock.unlink(missing_ok=True)

    def _refuse_clash(self, path: str, branch: str, listed: Sequence[_Entry]) -> None:
        for one in listed:
            if one.branch == branch:
                here = one.present or not one.admin
                gone = "" if here else ", whose folder is gone"
                there = "switch that one to another branch; or give the claim back, and claim with --no-worktree there"
                raise FailedError(
                    f"branch {branch} is checked out in {one.path}{gone}",
                    hint=there if here else "git pw worktree repair",
                )
        if os.path.lexists(path) and not self._is_free(path):
            raise FailedError(
                f"{path} is in the way: it is no worktree of this repository",
                hint="move it away; if it is a worktree that was moved: git pw worktree repair",
            )

    def _is_free(self, path: str) -> bool:
        """Whether a folder is empty, or holds but the `.git` file of a worktree of ours that is no more."""
        if not os.path.isdir(path) or os.path.islink(path):  # noqa: PTH112, PTH114 - as lexists
            return False
        if os.listdir(path) == [".git"]:  # noqa: PTH208
            link = Path(path, ".git")
            admin = linked(link)
            ours = Path(self._repo.common_dir, "worktrees")
            if admin is not None and not admin.exists() and admin.parent == ours:
                link.unlink()
        return not os.listdir(path)  # noqa: PTH208

    def _add(self, path: str, branch: str, base: str, hold: Sequence[int]) -> None:
        """Register a worktree without files in it."""
        if branch.startswith("-"):  # git would hand it on to `git branch` as an option
            raise FailedError(f"{branch!r} is no name for a branch", hint="see claim.branch in .gitpw.toml")
        exists = self._repo.resolve(f"refs/heads/{branch}") is not None
        options = ["--no-checkout", "--lock", "--reason", UNFINISHED]
        options += [] if exists else ["--no-track", "-b", branch]
        done = self._git("add", *options, "--", path, branch if exists else base, hold=hold)
        if done.status:
            start = None if exists else self._repo.resolve(base)
            if start is not None:
                self._repo.delete_branch(branch, start)
            raise FailedError(f"git can't make the worktree {path}: {complaint(done.err)}")

    # Checking one out

    def _finish(self, entry: _Entry, sparse: Sequence[str] = (), *, hold: Sequence[int]) -> None:
        """Bring the files of a registered worktree here, whatever an interrupted attempt has left."""
        path, admin = entry.path, Path(entry.admin)
        # We hold the lock that every git of ours holds: whoever left this is no more.
        (admin / "index.lock").unlink(missing_ok=True)
        begun = os.listdir(path) != [".git"]  # noqa: PTH208
        if begun and not (admin / "index").exists():
            _must(_git(path, "read-tree", "HEAD", hold=hold), path)
        if (admin / "index").exists():
            _restore(path, hold)
        elif sparse:
            _thin_out(path, sparse, hold)
        terminal = bool(sys.stderr) and sys.stderr.isatty()
        how = "--progress" if terminal else "--quiet"
        _must(_git(path, "checkout", how, hold=hold, show=terminal), path)
        (admin / "locked").unlink(missing_ok=True)

    # Taking one away

    def _clear(self, entry: _Entry, admin: str) -> None:
        """Move the folder into the trash, unless something in it would be lost."""
        path = entry.path
        submodules = _submodules(path, admin)
        _refuse_submodules(path, admin, submodules)
        _refuse_loss(path, _changes(path, admin))
        trash = self._moved_away(path)
        if trash is None:
            # It can't be moved, being a mount point for instance: git deletes it, if it is clean.
            self._unlock(admin)
            _must(self._git("remove", "--", path), path)
            return
        # Somebody may have written there since we looked; now nobody finds it any more.
        late = _late_changes(str(trash), admin, submodules)
        if late:
            trash.rename(path)
            _refuse_loss(path, late)
        modules = Path(admin, "modules")
        if modules.exists():
            modules.rename(trash / f"modules-{secrets.token_hex(4)}")
        detach(["rm", "-rf", "--", str(trash)])

    def _moved_away(self, path: str) -> Path | None:
        """The folder under another name: in the trash, or on a file system of its own beside where it was."""
        name = f"{Path(path).name}-{secrets.token_hex(4)}"
        trash = self._ours / "trash"
        trash.mkdir(parents=True, exist_ok=True)
        for there in (trash / name, Path(path).parent / f".{name}{TRASH}"):
            try:
                return Path(path).rename(there)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    break
        return None

    def _drop(self, entry: _Entry) -> None:
        """Make git forget a worktree whose folder is gone, and only that one."""
        if entry.admin and Path(entry.admin).exists():
            self._unlock(entry.admin)
            _must(self._git("remove", "--", entry.path), entry.path)
        parent, root = Path(entry.path).parent, self._repo.main_root()
        if root is not None and parent != Path(root) and parent.is_relative_to(root):
            with suppress(OSError):
                parent.rmdir()

    def _unlock(self, admin: str) -> None:
        if read(str(Path(admin, "locked"))) == UNFINISHED.encode() + b"\n":
            Path(admin, "locked").unlink(missing_ok=True)

    # Mending

    def _homes(self) -> list[str]:
        """The folders in which worktrees are, and that of the template."""
        homes = {os.path.dirname(path) for _, path in self._admins()}  # noqa: PTH120
        homes.add(os.path.dirname(self._placed(self._template)))  # noqa: PTH120
        return sorted(home for home in homes if os.path.isdir(home))  # noqa: PTH112

    def _moved(self, named: Sequence[str]) -> list[str]:
        """Folders that were worktrees of this repository before they, or it, were moved: those named, or beside others."""
        known = dict(self._admins())
        folders = [Path(os.path.abspath(path)) for path in named]  # noqa: PTH100 - links stay as they are
        if self._repo.root is not None:
            folders.append(Path(self._repo.root))
        folders += [child for home in self._homes() for child in Path(home).iterdir()]
        found = set()
        for folder in folders:
            admin = linked(folder / ".git")
            mine = None if admin is None else str(Path(self._repo.common_dir, "worktrees", admin.name))
            if admin is None or mine not in known or (admin.exists() and str(admin) != mine):
                continue
            moved = not os.path.lexists(Path(known[mine], ".git"))  # where both are there, one is a copy
            if moved or not admin.exists():
                found.add(str(folder))
        return sorted(found)

    def _mend(self, path: str) -> bool:
        return self._git("repair", "--", path).status == 0


def _entry(record: str, admins: dict[str, str]) -> _Entry:
    told = dict(line.partition(" ")[::2] for line in record.split("\0"))
    path = told["worktree"]
    branch = told.get("branch")
    return _Entry(
        path,
        told.get("HEAD"),
        None if branch is None else branch.removeprefix("refs/heads/"),
        told.get("locked"),
        admins.get(os.path.realpath(path), ""),
    )


def _written(path: Path) -> tuple[int, int] | None:
    """Which file that is, and when it was written; None where there is none."""
    with suppress(OSError):
        return path.stat().st_ino, path.stat().st_mtime_ns
    return None


def _found(entries: Sequence[_Entry], path: str) -> _Entry | None:
    real = os.path.realpath(path)
    return next((one for one in entries if os.path.realpath(one.path) == real), None)


def _own(entry: _Entry) -> Own | None:
    """The claim that a worktree was made for: the newest with a task, else any."""
    if not entry.admin:
        return None
    owned = GitCheckout(entry.admin).own()
    return next((one for one in reversed(owned) if one.task is not None), owned[-1] if owned else None)


def git_dir_of(path: str) -> str | None:
    """A linked worktree's own git dir."""
    found = linked(Path(path, ".git"))
    return None if found is None else str(found)


def linked(file: Path) -> Path | None:
    """The git dir that a worktree's `.git` file names."""
    said = read(str(file), 1 << 16)
    if said is None or not said.startswith(b"gitdir: "):
        return None
    return Path(os.path.normpath(file.parent / os.fsdecode(said.removeprefix(b"gitdir: ").rstrip(b"\n"))))


def _is_shell(entry: _Entry) -> bool:
    """Whether an unfinished worktree has no file yet that could be anybody's."""
    if not entry.unfinished or not entry.admin or Path(entry.admin, "index").exists():
        return False
    return not os.path.lexists(entry.path) or (
        os.path.isdir(entry.path) and set(os.listdir(entry.path)) <= {".git"}  # noqa: PTH112, PTH208
    )


def _discard(entry: _Entry) -> None:
    """Take away a worktree of ours that never held a file."""
    with suppress(OSError):
        Path(entry.path, ".git").unlink(missing_ok=True)
        Path(entry.path).rmdir()
    if entry.admin:
        shutil.rmtree(entry.admin, ignore_errors=True)


def _refuse_foreign(entry: _Entry, branch: str, own: Own) -> None:
    """A worktree is ours if it says so, or says nothing and is on the branch that we would put it on."""
    before = _own(entry)
    if entry.kept and not entry.present:
        raise FailedError(
            f"{entry.path} is gone, but git keeps it locked: {entry.reason or 'no reason was given'}",
            hint=f"bring it back, or: git worktree unlock {entry.path}",
        )
    if (
        before is not None
        and before.task is not None
        and (before.task, before.worker) != (own.task, own.worker)
    ):
        raise FailedError(
            f"{entry.path} is the worktree of {before.task}, claimed by {before.worker}",
            hint=f"when nobody needs it: git pw worktree remove {before.task}",
        )
    if before is None and not entry.unfinished and entry.branch != branch:
        raise FailedError(
            f"{entry.path} is a worktree on {entry.branch or 'no branch'}, not on {branch}",
            hint=f"git worktree move {entry.path} ELSEWHERE",
        )


def _recreate(entry: _Entry) -> None:
    """Make the folder of a registered worktree anew, to be filled from its index, which git has kept."""
    path, admin = Path(entry.path), entry.admin
    if os.path.lexists(path) and (not path.is_dir() or any(path.iterdir())):
        raise FailedError(
            f"{path} is in the way: it was a worktree, but its .git file is gone",
            hint="move it away, then try again",
        )
    replace(str(Path(admin, "locked")), UNFINISHED.encode() + b"\n")
    path.mkdir(parents=True, exist_ok=True)
    replace(str(path / ".git"), os.fsencode(f"gitdir: {admin}\n"))


def _complete(entry: _Entry, branch: str, hold: Sequence[int]) -> None:
    """Write what git writes at last into a worktree's git dir: it may have been killed before."""
    common = Path(entry.admin, "commondir")
    if not common.exists():
        replace(str(common), b"../..\n")
    if entry.branch is None and not Path(entry.admin, "index").exists():
        Path(entry.admin, "HEAD.lock").unlink(missing_ok=True)
        _must(_git(entry.path, "symbolic-ref", "HEAD", f"refs/heads/{branch}", hold=hold), entry.path)


def _restore(path: str, hold: Sequence[int]) -> None:
    """Bring back the files that are missing or that git had only half written; nothing else is touched."""
    differing = _must(
        _git(path, "diff", "--name-only", "-z", "--no-renames", "--diff-filter=M", hold=hold), path
    )
    for name in filter(None, os.fsdecode(differing.out).split("\0")):
        if _is_beginning(path, name):
            Path(path, name).unlink()
    missing = _must(_git(path, "ls-files", "-z", "--deleted", hold=hold), path)
    if missing.out:
        words = ["git", "checkout-index", "--quiet", "-z", "--stdin"]
        _must(run(words, cwd=path, env=_ENV, input=missing.out, hold=hold), path)


def _is_beginning(path: str, name: str) -> bool:
    """Whether a file is a beginning of what git would write: then nobody's work is in it."""
    found = read(str(Path(path, name)), 1 << 30)
    whole = _git(path, "cat-file", "--filters", f":{name}")
    return found is not None and whole.status == 0 and whole.out.startswith(found)


def _made(entry: _Entry) -> float | None:
    """When a worktree was made: git writes this file once."""
    with suppress(OSError):
        return Path(entry.admin, "commondir").stat().st_mtime if entry.admin else None
    return None


def _index(admin: str) -> bytes:
    return read(str(Path(admin, "index")), 1 << 30) or b""


def _changes(path: str, admin: str | None, *, moved: bool = False, timeout: float | None = None) -> list[str]:
    """Uncommitted and untracked files; of a worktree into which nothing was checked out, all that is in it."""
    if admin and not Path(admin, "index").exists():
        return sorted(name for name in os.listdir(path) if name != ".git")  # noqa: PTH208
    env = {**_ENV, "GIT_DIR": admin, "GIT_WORK_TREE": path} if moved else _ENV
    return changes(path, env, timeout, submodules=not moved)


def _thin_out(path: str, folders: Sequence[str], hold: Sequence[int]) -> None:
    """Let a worktree have some folders only; this turns on `extensions.worktreeConfig`, as git does."""
    words = ["git", "sparse-checkout", "set", "--cone", "--skip-checks", "--stdin"]
    lines = "".join(f"{folder}\n" for folder in folders).encode(errors="surrogateescape")
    _must(patient(lambda: run(words, cwd=path, env=_ENV, input=lines, hold=hold)), path)


GITLINK = (0o160000).to_bytes(4, "big")
"""How the index marks a submodule."""


class _Submodule(NamedTuple):
    """A submodule that is there: where it lies in the worktree, and its git dir."""

    place: str
    admin: str


def _submodules(path: str, admin: str, place: str = "") -> list[_Submodule]:
    """The submodules of a checkout that are there, and those in them."""
    if GITLINK not in _index(admin) and not any(Path(admin).glob("sharedindex.*")):
        return []
    listed = _must(_git(path, "ls-files", "--stage", "-z"), path).out.split(b"\0")
    names = [os.fsdecode(one.partition(b"\t")[2]) for one in listed if one.startswith(b"160000 ")]
    found = []
    for name in names:
        inner = str(Path(path, name))
        if os.path.lexists(Path(inner, ".git")):
            told = _must(_git(inner, "rev-parse", "--absolute-git-dir"), inner).out
            one = _Submodule(str(Path(place, name)), os.fsdecode(told).rstrip("\n"))
            found += [one, *_submodules(inner, one.admin, one.place)]
    return found


def _late_changes(trash: str, admin: str, submodules: Sequence[_Submodule]) -> list[str]:
    """The changes of a worktree that was moved, and of its submodules, which don't know that they were."""
    found = list(_changes(trash, admin, moved=True))
    for one in submodules:
        there = str(Path(trash, one.place))
        env = {**_ENV, "GIT_DIR": one.admin, "GIT_WORK_TREE": there}
        found += [f"{one.place}/{name}" for name in changes(there, env, submodules=False)]
    return found


def _refuse_submodules(path: str, admin: str, submodules: Sequence[_Submodule]) -> None:
    """Raise `FailedError` where a submodule holds what is nowhere else, even one that was taken out again."""
    for one in submodules:
        dirty = changes(str(Path(path, one.place)), _ENV)
        if dirty:
            raise FailedError(
                f"submodule {one.place} of {path} has uncommitted changes: {', '.join(dirty[:5])}",
                hint="commit and push them there; nothing was removed",
                files=[f"{one.place}/{name}" for name in dirty],
            )
    modules = Path(admin, "modules")
    homes = {str(head.parent) for head in modules.rglob("HEAD") if (head.parent / "objects").is_dir()}
    for home in sorted(homes | {one.admin for one in submodules}):
        words = ["git", "rev-list", "--max-count=1", "--all", "HEAD", "--not", "--remotes"]
        done = run(words, cwd=home, env={**_ENV, "GIT_DIR": home})
        if done.out or done.status:
            why = "commits that are on no remote" if done.out else f"no history: {complaint(done.err)}"
            name = os.path.relpath(home, modules) if home.startswith(str(modules)) else home
            raise FailedError(
                f"submodule {name} of {path} has {why}", hint="push them there; nothing was removed"
            )


def _refuse_loss(path: str, dirty: Sequence[str]) -> None:
    """Raise `FailedError` for whatever is nowhere but in this worktree."""
    if dirty:
        raise FailedError(
            f"{path} has uncommitted changes: {', '.join(dirty[:5])}{' …' if len(dirty) > 5 else ''}",  # noqa: PLR2004
            hint="commit or move them; nothing was removed",
            files=list(dirty),
        )
    detached = _git(path, "symbolic-ref", "--quiet", "HEAD").status != 0
    if detached and not _git(path, "for-each-ref", "--count=1", "--contains", "HEAD").out:
        raise FailedError(f"{path} has commits that are on no branch", hint=f"git -C {path} branch NAME")


def _git(path: str, *args: str, hold: Sequence[int] = (), show: bool = False) -> Finished:
    return patient(lambda: run(["git", *args], cwd=path, env=_ENV, hold=hold, show=show))


def _must(done: Finished, path: str) -> Finished:
    if done.status:
        raise FailedError(
            f"git can't finish with {path}: {complaint(done.err)}",
            hint="put that right and run the command again",
        )
    return done
