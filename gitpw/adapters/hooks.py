"""Our shims in the user's hooks folders: put there beside what is there (P7), and taken out without a trace.

Git looks for hooks in one folder, which `core.hooksPath` may name: relative, and then in each checkout another one;
checked in, or shared by many repositories, and then not ours to change. The repository's own folder always has our
shims too, for what a shared hook may go on to, and for the day that `core.hooksPath` is unset.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from gitpw.adapters.disk import locked, read, replace
from gitpw.adapters.git import GitRepo
from gitpw.adapters.managers import LINE, LOCAL, advice, manager_of, runs_local
from gitpw.adapters.process import CLEAN, run
from gitpw.adapters.shim import BEFORE, fault, filled, is_there, put, runs_us, take_out
from gitpw.errors import FailedError

__all__ = ["BEFORE", "NAMES", "SERVER", "GitHooks", "own_program", "write_trailers"]

NAMES = (
    "pre-commit",
    "prepare-commit-msg",
    "commit-msg",
    "pre-push",
    "post-commit",
    "post-checkout",
    "post-merge",
)

SERVER = ("pre-receive",)
"""Those of a bare repository that people push to; see `server.py`."""

DEFAULT = ""
"""Stands for the repository's own folder where a value of `core.hooksPath` is expected."""


class GitHooks:
    """The hooks of a repository, seen from one checkout; `program` is the git-pw that they run, by default this one's."""

    def __init__(self, repo: GitRepo, program: str | None = None) -> None:
        self._repo = repo
        self._program = program if program is not None else own_program()
        self._git_dir = Path(repo.common_dir)
        self._memory = self._git_dir / "pw" / "hooks.json"

    def install(self) -> list[str]:
        """Put our shims in place, chained to what is there; the hooks that are new. Run again, it repairs.

        Nothing is done where a hooks folder isn't ours to change: `problems` says what to do then.
        """
        value = self._value()
        with locked(str(self._memory.with_suffix(".lock"))):
            try:
                new = {name for folder in self._folders(value) for name in self._put_all(value, folder)}
                self._put_all(DEFAULT, self._git_dir / "hooks")
            except OSError as error:
                raise FailedError(
                    f"the hooks can't be written: {error.strerror}: {error.filename}",
                    hint="make that folder writable, or 'git pw init --no-hooks'",
                ) from error
        return [name for name in NAMES if name in new]

    def keep(self) -> list[str]:
        """Install again, if they ever were, what others have written over or a new checkout lacks; what that was."""
        return self.install() if self._memory.exists() else []

    def uninstall(self) -> list[str]:
        """Take the shims out and put back what was there, byte for byte; the hooks that were taken out."""
        memory = self._remembered()
        values = dict.fromkeys([self._value(), *memory, DEFAULT])
        folders = [folder for value in values for folder in self._folders(value)]
        if not memory and not any(
            is_there(folder / name) for folder in folders for name in (*NAMES, *SERVER)
        ):
            return []
        with locked(str(self._memory.with_suffix(".lock"))):
            try:
                gone = {name for folder in folders for name in (*NAMES, *SERVER) if take_out(folder / name)}
            except OSError as error:
                raise FailedError(
                    f"the hooks can't be written: {error.strerror}: {error.filename}"
                ) from error
            for folder in sorted({path for made in memory.values() for path in made}, key=len, reverse=True):
                _remove_empty(self._git_dir / folder)
            self._memory.unlink(missing_ok=True)
        return [name for name in (*NAMES, *SERVER) if name in gone]

    def problems(self) -> list[str]:
        """Why hooks would not fire, in words, with what to do; empty where all is well."""
        value = self._value()
        return [told for folder in self._folders(value) for told in self._problems(value, folder)]

    def _problems(self, value: str, folder: Path) -> Iterator[str]:
        root = self._root_of(folder)
        why = self._untouchable(folder) if self._seed(value, folder) is None else None
        if why == "nowhere":
            yield f"core.hooksPath is {folder}, which is no folder: no hook runs at all"
            return
        hooks = [folder / name for name in NAMES]
        others = [hook for hook in hooks if not runs_us(hook, root)]
        if why is None:
            yield from _faults(hooks, root)
        elif why == "tracked":
            yield from (_instruction(hook, root) for hook in others)
        else:
            yield from _passing_on(
                folder, [hook.name for hook in others if not runs_local(read(str(hook)), hook.name)]
            )

    def _put_all(self, value: str, folder: Path) -> list[str]:
        """Put our shims into one folder, unless it isn't ours to change; the new ones."""
        made = [
            os.path.relpath(path, self._git_dir) for path in (folder, *folder.parents) if not path.exists()
        ]
        ignores = self._seed(value, folder)
        if ignores is None and self._untouchable(folder) is not None:
            return []
        self._remember(value, made)
        folder.mkdir(parents=True, exist_ok=True)
        if ignores is not None:
            replace(str(folder / ".gitignore"), ignores)
        root = self._root_of(folder)
        new = []
        for name in NAMES:
            hook = folder / name
            if runs_us(hook, root):
                take_out(hook)
            elif put(hook, self._program):
                new.append(name)
        return new

    def _seed(self, value: str, folder: Path) -> bytes | None:
        """What a missing folder must ignore to be what it is in other checkouts: one that ignores itself, as husky's."""
        if folder.exists():
            return None
        others = ((other, read(str(other / ".gitignore"))) for other in self._folders(value))
        return next((text for other, text in others if text and self._untouchable(other) is None), None)

    def _value(self) -> str:
        return self._repo.config("core.hookspath") or DEFAULT

    def _folders(self, value: str) -> list[Path]:
        """The folders that a value of `core.hooksPath` means, this checkout's first."""
        if value == DEFAULT:
            return [self._git_dir / "hooks"]
        if value.startswith(("/", "~")):
            current = value == self._value()
            return [Path(self._repo.hooks_folder() if current else value).expanduser()]
        roots = dict.fromkeys(root for root in (self._repo.root, *self._roots()) if root is not None)
        return [Path(os.path.normpath(Path(root, value))) for root in roots]

    def _roots(self) -> Iterator[str | None]:
        """The roots of all checkouts that are there."""
        yield self._repo.main_root()
        for link in sorted(Path(self._git_dir, "worktrees").glob("*/gitdir")):
            root = os.path.dirname(os.fsdecode(read(str(link)) or b"").rstrip("\n"))  # noqa: PTH120 - as git does
            if Path(root).is_dir():
                yield root

    def _root_of(self, folder: Path) -> str | None:
        """The root of the checkout that a folder lies in, else of this one."""
        roots = [root for root in self._roots() if root is not None and folder.is_relative_to(root)]
        return max(roots, key=len, default=self._repo.root)

    def _untouchable(self, folder: Path) -> str | None:
        """Why our shims can't go there, None where they can: the folder is none at all, shared, or checked in."""
        real = Path(os.path.realpath(folder))
        if real.exists() and not real.is_dir():
            return "nowhere"
        if real.is_relative_to(os.path.realpath(self._git_dir)):
            return None
        scopes = [one.scope for one in self._repo.entries() if one.key == "core.hookspath"]
        if (
            folder.is_absolute()
            and self._value().startswith(("/", "~"))
            and scopes[-1:] in (["global"], ["system"])
        ):
            return "shared"
        return "tracked" if _checked_in(real) else None

    def _remembered(self) -> dict[str, list[str]]:
        """Each value of `core.hooksPath` at which we have been at work, and the folders that were made for it."""
        with suppress(ValueError, AttributeError, TypeError):
            found = json.loads(read(str(self._memory)) or b"{}")
            return {str(value): [str(folder) for folder in made] for value, made in found.items()}
        return {}

    def _remember(self, value: str, made: list[str]) -> None:
        memory = self._remembered()
        known = memory.get(value)
        if known is None or not set(made) <= set(known):
            memory[value] = sorted({*made, *(known or [])})
            replace(str(self._memory), json.dumps(memory, indent=1).encode() + b"\n")


def write_trailers(name: str, words: Sequence[str], directory: str | None) -> None:
    """Do what the shim of this name (prepare-commit-msg or commit-msg) does, given git's words, to a message."""
    run(["sh", "-s", "--", *words], cwd=directory, input=filled(name), show=True)


def _faults(hooks: Sequence[Path], root: str | None) -> Iterator[str]:
    """What is wrong with the hooks of a folder, in one sentence for all that have the same fault."""
    found: dict[str, list[Path]] = {}
    for hook in hooks:
        told = fault(hook, root)
        if told is not None:
            found.setdefault(told, []).append(hook)
    for told, faulty in found.items():
        first = faulty[0]
        names = ", ".join(hook.name for hook in faulty)
        which = f"the {names} hook" if len(faulty) == 1 else f"each of the hooks {names}"
        manager = manager_of(read(str(first)))
        others = ", and so on" if len(faulty) > 1 else ""
        more = "" if manager is None else f" (to have it for good, {advice(manager, first.name)}{others})"
        yield f"{which} in {first.parent} {told}{more}"


def _instruction(hook: Path, root: str | None) -> str:
    """What a person has to add to a hook that is checked in."""
    inside = root is not None and hook.is_relative_to(root)
    shown = hook.relative_to(root) if inside and root is not None else hook
    what = f"{shown} is checked in and doesn't run git pw"
    line = LINE.format(name=hook.name)
    if not hook.exists():
        return f"{what}: make it, executable, with #!/bin/sh and the line: {line}"
    if not os.access(hook, os.X_OK):
        return f"{what}: make it executable, with the line: {line}"
    where = ", before what else reads standard input," if hook.name == "pre-push" else ""
    return f"{what}: add{where} the line: {line}"


def _passing_on(folder: Path, names: Sequence[str]) -> Iterator[str]:
    """What a person has to add to hooks that serve many repositories; none of them is harmed by it."""
    if names:
        yield (
            f"core.hooksPath is {folder}, which serves all your repositories, and {', '.join(names)} there"
            f" don't go on to this one's own: make those that are missing, executable, with #!/bin/sh,"
            f" and add to each the line: {LOCAL}"
        )


def _checked_in(folder: Path) -> bool:
    """Whether a folder belongs to somebody's work tree: it is tracked, or new files in it would turn up."""
    there = next(path for path in (folder, *folder.parents) if path.is_dir())

    def git(*args: str) -> int:
        return run(["git", *args], cwd=str(there), env=CLEAN).status

    if git("--literal-pathspecs", "ls-files", "--error-unmatch", "--", str(folder)) == 0:
        return True
    return git("check-ignore", "--quiet", "--", str(folder / "pre-commit")) == 1  # 128 outside of a work tree


def _remove_empty(folder: Path) -> None:
    """Take away a hooks folder that was made for our shims alone."""
    with suppress(OSError):
        if [path.name for path in folder.iterdir()] == [".gitignore"]:
            (folder / ".gitignore").unlink()
        folder.rmdir()


def own_program() -> str:
    """The git-pw beside the Python that runs this; empty where there is none, and PATH must do."""
    beside = Path(sys.executable).parent / "git-pw"
    return str(beside) if beside.is_file() else shutil.which("git-pw") or ""
