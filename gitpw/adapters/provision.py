"""What a new worktree needs besides its tracked files: ignored files of the main checkout, and set-up commands.

`.worktreeinclude` in the root of the main checkout names files in the syntax of `.gitignore`; those that aren't tracked
are copied. Nothing that is there is overwritten, links are copied as links, and no link of the new worktree is ever
followed. Each thing is copied aside first and then moved to its place, so that a copy which was killed leaves no half
of it.

Set-up commands run only after a person has approved exactly these words on this machine. The approval is a file in our
own folder of the common git dir, named by the hash of the words.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from gitpw.adapters.disk import locked, read, replace
from gitpw.adapters.git import GitRepo
from gitpw.adapters.process import CLEAN, complaint, run
from gitpw.adapters.worktree import TO_PROVISION, TRASH, git_dir_of

INCLUDE = ".worktreeinclude"

FICLONE = 0x40049409
"""Linux's ioctl that lets two files share their blocks until one of them is changed."""

PATIENCE = 600.0
"""Seconds to wait for another process that provisions the same worktree."""

WITHOUT_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}
"""What a file system says that knows no hard links."""

Problems = list[str]


class GitProvision:
    """Copies, approvals and runs, for the worktrees of one repository."""

    def __init__(self, repo: GitRepo) -> None:
        self._repo = repo
        self._ours = Path(repo.common_dir, "pw")

    def pending(self, path: str) -> str | None:
        """What a worktree still needs: "all", or "setup" where the files are there; None where it needs nothing."""
        said = read(str(self._mark(path)))
        return None if said is None else said.decode(errors="replace").strip() or "all"

    def reached(self, path: str, pending: str | None) -> None:
        """Note what a worktree still needs."""
        if pending is None:
            self._mark(path).unlink(missing_ok=True)
        else:
            replace(str(self._mark(path)), f"{pending}\n".encode())

    def include(self, path: str) -> tuple[list[str], Problems]:
        """Copy what `.worktreeinclude` names; what was copied, and in words what couldn't be."""
        main = (
            self._repo.main_root() or self._repo.root
        )  # where the repository is bare, the checkout we are in
        if main is None or not Path(main, INCLUDE).is_file() or Path(main).samefile(path):
            return [], []
        name = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
        problems: Problems = []
        names = self._named(main, problems)
        try:
            with locked(str(self._ours / f"provision-{name}.lock"), PATIENCE), self._staging(path) as staging:
                copy = _Copy(main, path, staging)
                for named in names:
                    copy.bring(named)
        except OSError as error:
            return [], [*problems, f"what {INCLUDE} names was not copied: {_why(error)}"]
        return copy.done, problems + copy.problems

    def submodules(self, path: str) -> list[str]:
        """The submodules of a worktree that aren't there yet."""
        file = Path(path, ".gitmodules")
        if not file.is_file() or file.is_symlink():
            return []
        words = ["git", "config", "--file", str(file), "-z", "--get-regexp", r"^submodule\..*\.path$"]
        told = run(words, cwd=path, env=CLEAN).out.split(b"\0")
        names = [os.fsdecode(one.partition(b"\n")[2]) for one in told if one]
        return [name for name in names if Path(path, name).is_dir() and not Path(path, name, ".git").exists()]

    def approved(self, commands: Sequence[str]) -> bool:
        """Whether a person has approved exactly these commands here."""
        return self._approval(commands).is_file()

    def approve(self, commands: Sequence[str]) -> None:
        """Remember that a person has approved exactly these commands."""
        file = self._approval(commands)
        file.parent.mkdir(parents=True, exist_ok=True)
        replace(str(file), json.dumps(list(commands), indent=1).encode() + b"\n")

    def run(self, path: str, command: str) -> int:
        """Run one command in a worktree, with its output on standard error; its exit status."""
        # The inner shell gets its words as an argument: nothing of ours is mixed with them.
        words = ["sh", "-c", 'exec sh -c "$1" >&2', "sh", command]
        return run(words, cwd=path, env={**CLEAN, "PWD": path}, show=True).status

    def _approval(self, commands: Sequence[str]) -> Path:
        words = json.dumps(list(commands)).encode()
        return self._ours / "approved" / hashlib.sha256(words).hexdigest()

    def _mark(self, path: str) -> Path:
        return Path(git_dir_of(path) or self._ours / "none", TO_PROVISION)

    @contextmanager
    def _staging(self, path: str) -> Iterator[Path]:
        """A folder on the worktree's file system; one that a killed copy left is emptied, or is trash."""
        folder = Path(git_dir_of(path) or path, "pw", "copy")
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.parent.stat().st_dev != Path(path).stat().st_dev:
            folder = Path(path).parent / f".{Path(path).name}-{secrets.token_hex(4)}{TRASH}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _named(self, main: str, problems: Problems) -> list[str]:
        """The untracked files and whole folders that match, without git's own and without worktrees."""
        words = ["ls-files", "-z", "--others", "--ignored", "--directory", f"--exclude-from={INCLUDE}"]
        done = run(["git", *words], cwd=main, env=CLEAN)
        if done.status:
            problems.append(f"{INCLUDE} can't be read: {complaint(done.err)}")
            return []
        names = [os.fsdecode(name) for name in done.out.split(b"\0") if name]
        folders = {name for name in names if name.endswith("/")}
        trees = self._worktrees(main)
        return [
            name
            for name in names
            if not _lies_in(name, folders) and not any(_nested(name, tree) for tree in trees)
        ]

    def _worktrees(self, main: str) -> list[str]:
        """All worktrees within the main checkout, relative to it."""
        found = []
        for file in Path(self._repo.common_dir, "worktrees").glob("*/gitdir"):
            tree = os.path.realpath(os.path.join(file.parent, os.fsdecode((read(str(file)) or b"").strip())))  # noqa: PTH118
            inside = os.path.relpath(os.path.dirname(tree), os.path.realpath(main))  # noqa: PTH120
            found += [] if inside in {".", ".."} or inside.startswith("../") else [f"{inside}/"]
        return found


class _Copy:
    """One copying from the main checkout to a worktree; `done` and `problems` grow with each thing brought."""

    def __init__(self, main: str, worktree: str, staging: Path) -> None:
        self._main = main
        self._worktree = worktree
        self._staging = staging
        self.done: list[str] = []
        self.problems: Problems = []

    def bring(self, name: str) -> None:
        """Copy a file, a link or a whole folder, unless it is there."""
        *above, last = name.rstrip("/").split("/")
        try:
            parent = self._parent(above)
        except OSError as error:
            self.problems.append(f"{name} was not copied: {_why(error)}")
            return
        try:
            if self._brought(str(Path(self._main, name)), last, parent, name):
                self.done.append(name)
        finally:
            os.close(parent)

    def _parent(self, names: Sequence[str]) -> int:
        """The folder in the worktree in which something belongs, made if need be; no link is followed."""
        here = os.open(self._worktree, os.O_RDONLY | os.O_DIRECTORY)
        for depth, name in enumerate(names, 1):
            try:
                with suppress(FileExistsError):
                    mode = Path(self._main, *names[:depth]).stat().st_mode
                    os.mkdir(name, stat.S_IMODE(mode) | stat.S_IWUSR | stat.S_IXUSR, dir_fd=here)
                deeper = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            finally:
                os.close(here)
            here = deeper
        return here

    def _brought(self, source: str, name: str, parent: int, told: str) -> bool:
        """Whether something was copied; what can't be is a problem in words, never an error."""
        try:
            kind = os.lstat(source).st_mode
            there = _kind(name, parent)
            if stat.S_ISLNK(kind):
                return there is None and _linked(source, name, parent)
            if stat.S_ISDIR(kind):
                return self._folder(source, name, parent, told, there)
            return stat.S_ISREG(kind) and there is None and self._file(source, name, parent)
        except OSError as error:
            self.problems.append(f"{told} was not copied: {_why(error)}")
            return False

    def _folder(self, source: str, name: str, parent: int, told: str, there: int | None) -> bool:
        """A folder as a whole; where there is one of that name already, what it lacks."""
        if there is None:
            staged = str(self._staging / "folder")
            done = run([*_COPY, "--", source, staged], env=CLEAN)
            if done.status:
                self.problems.append(f"{told} was not copied entirely: {complaint(done.err)}")
            if not os.path.lexists(staged):
                return False
            os.rename(staged, name, dst_dir_fd=parent)
            return True
        if not stat.S_ISDIR(there):
            return False
        here = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
        try:
            brought = [
                self._brought(os.path.join(source, child), child, here, f"{told}{child}")  # noqa: PTH118
                for child in sorted(os.listdir(source))  # noqa: PTH208
            ]
            return any(brought)
        finally:
            os.close(here)

    def _file(self, source: str, name: str, parent: int) -> bool:
        """A file, whole or not at all, with its permission bits and times."""
        staged = self._staging / "file"
        _clone(source, str(staged))
        try:
            os.link(staged, name, dst_dir_fd=parent, follow_symlinks=False)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in WITHOUT_LINKS or _kind(name, parent) is not None:
                raise
            os.rename(staged, name, dst_dir_fd=parent)
        finally:
            staged.unlink(missing_ok=True)
        return True


_COPY = (
    ["cp", "-Rpc"] if sys.platform == "darwin" else ["cp", "-a", "--reflink=auto", "--no-target-directory"]
)
"""Copies a folder: links as links, blocks shared where the file system can."""


def _clone(source: str, staged: str) -> None:
    """Copy one ordinary file, sharing its blocks where the file system can."""
    file = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(file, "rb") as old, Path(staged).open("xb") as new:
        about = os.fstat(old.fileno())
        try:
            fcntl.ioctl(new.fileno(), FICLONE, old.fileno())
        except OSError:
            shutil.copyfileobj(old, new, 1 << 20)
        os.fchmod(new.fileno(), stat.S_IMODE(about.st_mode))
        new.flush()
        os.utime(new.fileno(), ns=(about.st_atime_ns, about.st_mtime_ns))


def _linked(source: str, name: str, parent: int) -> bool:
    os.symlink(os.readlink(source), name, dir_fd=parent)  # noqa: PTH115 - in an open folder
    return True


def _kind(name: str, parent: int) -> int | None:
    """The mode of what is there under a name; None where nothing is."""
    with suppress(FileNotFoundError):
        return os.lstat(name, dir_fd=parent).st_mode
    return None


def _lies_in(name: str, folders: set[str]) -> bool:
    """Whether a name lies in one of the folders."""
    parts = name.rstrip("/").split("/")
    return any("/".join(parts[:end]) + "/" in folders for end in range(1, len(parts)))


def _nested(name: str, tree: str) -> bool:
    """Whether a name is a worktree, lies in one or has one in it."""
    return name.startswith(tree) or (name.endswith("/") and tree.startswith(name))


def _why(error: OSError) -> str:
    if error.errno in {errno.ELOOP, errno.ENOTDIR}:
        return "a link or a file stands where a folder should"
    return (error.strerror or "it can't be read").lower()
