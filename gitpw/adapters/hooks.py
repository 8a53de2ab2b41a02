"""The shims in the user's hooks folder: put there beside what is there, and taken out without a trace.

A hook that exists is renamed and run first by our shim (P7). Whatever is put over the shim later is chained in turn
by the next `install`.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from contextlib import suppress
from pathlib import Path

import gitpw
from gitpw.adapters.disk import locked, read, replace
from gitpw.adapters.git import GitRepo
from gitpw.errors import FailedError

NAMES = ("pre-commit", "pre-push", "post-commit", "post-checkout", "post-merge")

ID = b"# git-pw hook, version "

BEFORE = ".before-git-pw"

LEGACY = ".legacy"
"""Where the pre-commit framework moves the hook that it finds, to run it first."""

SHELL = re.compile(rb"#! *(?:/usr/bin/env +)?((?:/\S*/)?(?:sh|dash|bash|ksh)(?: +-\w+)*) *\n")
"""The first line of a shell script."""


class GitHooks:
    """The hooks of one checkout; `program` is the git-pw that they run, by default this one's."""

    def __init__(self, repo: GitRepo, program: str | None = None) -> None:
        self._repo = repo
        self._program = program if program is not None else own_program()

    def install(self) -> list[str]:
        """Put our shims in place, chained to what is there; the hooks that are new. Run again, it repairs.

        Nothing is done where the hooks folder isn't ours to change: `problems` says what to do then.
        """
        folder = Path(self._repo.hooks_folder())
        if self._untouchable(folder) is not None:
            return []
        with locked(self._lock()):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                return [name for name in NAMES if self._put(folder / name)]
            except OSError as error:
                raise FailedError(f"the hooks in {folder} can't be written: {error.strerror}") from error

    def uninstall(self) -> list[str]:
        """Take the shims out and put back what was there, byte for byte; the hooks that were taken out."""
        folder = Path(self._repo.hooks_folder())
        if not folder.is_dir() or not any(
            _is_ours(_beside(folder / name, LEGACY)) or _is_ours(folder / name) for name in NAMES
        ):
            return []
        with locked(self._lock()):
            try:
                return [name for name in NAMES if _taken_out(folder / name)]
            except OSError as error:
                raise FailedError(f"the hooks in {folder} can't be written: {error.strerror}") from error

    def problems(self) -> list[str]:
        """Why hooks would not fire, in words; empty where all is well."""
        folder = Path(self._repo.hooks_folder())
        why = self._untouchable(folder)
        if why is not None:
            return [
                f'{why}: add this line to {folder / name}: git pw hook {name} "$@"'
                for name in NAMES
                if not _calls_us(folder / name)
            ]
        return [problem for name in NAMES if (problem := _problem(folder / name)) is not None]

    def _untouchable(self, folder: Path) -> str | None:
        """Why our shims can't go there, None where they can: the folder is tracked, shared, or none at all."""
        if folder.exists() and not folder.is_dir():
            return f"core.hooksPath is {folder}, which is no folder"
        if folder.is_relative_to(self._repo.common_dir):
            return None
        root = self._repo.root
        if root is not None and folder.is_relative_to(root):
            inside = str((folder / "pre-commit").relative_to(root))
            if self._repo.tracked(str(folder.relative_to(root))) or not self._repo.ignored(inside):
                return f"core.hooksPath is {folder}, which is checked in"
            return None
        scopes = [one.scope for one in self._repo.entries() if one.key == "core.hookspath"]
        if scopes and scopes[-1] in {"global", "system"}:
            return f"core.hooksPath is {folder}, which serves all your repositories"
        return None

    def _put(self, hook: Path) -> bool:
        """Make a hook our shim, current and executable; False where it was already."""
        before = _beside(hook, BEFORE)
        if os.path.lexists(hook) and not _is_ours(hook):
            _set_aside(hook, before)
        shim = self._shim(hook.name, read(str(before)) if before.exists() else None)
        if read(str(hook)) == shim and not hook.is_symlink() and os.access(hook, os.X_OK):
            return False
        replace(str(hook), shim, 0o777)
        return True

    def _shim(self, name: str, before: bytes | None) -> bytes:
        """What a shim says, with the paths of this machine in it."""
        shell = "" if before is None else _sourcing(before)
        template = _template(name)
        template = template.replace(b"@GITPW@", os.fsencode(shlex.quote(self._program)))
        return template.replace(b"@SHELL@", shlex.quote(shell).encode())

    def _lock(self) -> str:
        return str(Path(self._repo.common_dir, "pw", "hooks.lock"))


def _problem(hook: Path) -> str | None:
    """Why a hook would not fire, or not run git pw."""
    shim = read(str(hook))
    fault: str | None = None
    if shim is None:
        fault = "can't be read" if os.path.lexists(hook) else "is missing"
    elif _version(shim) is None:
        if not _is_ours(_beside(hook, LEGACY)) and not _calls_us(hook):
            fault = "was replaced by another one, which doesn't run git pw"
    elif not os.access(hook, os.X_OK):
        fault = "isn't executable"
    elif _version(shim) != _version(_template(hook.name)):
        fault = "is of another version of git-pw"
    else:
        fault = _lost(shim)
    return fault and f"the {hook.name} hook in {hook.parent} {fault}"


def _lost(shim: bytes) -> str | None:
    """What to say where a shim can't find git-pw."""
    line = re.search(rb"^program=(.*)$", shim, re.MULTILINE)
    named = "".join(shlex.split(os.fsdecode(line[1]))) if line else ""
    if os.access(named, os.X_OK) or shutil.which("git-pw") is not None:
        return None
    return f"can't find git-pw, neither as {named!r} nor on PATH"


def own_program() -> str:
    """The git-pw beside the Python that runs this; empty where there is none, and PATH must do."""
    beside = Path(sys.executable).parent / "git-pw"
    return str(beside) if beside.is_file() else shutil.which("git-pw") or ""


def _template(name: str) -> bytes:
    """A shim as it is shipped: inside the package, or beside it in a checkout of git-pw."""
    package = Path(gitpw.__file__).parent
    folder = package / "_hooks"
    return ((folder if folder.is_dir() else package.parent / "hooks") / name).read_bytes()


def _beside(hook: Path, suffix: str) -> Path:
    return hook.with_name(hook.name + suffix)


def _version(shim: bytes) -> bytes | None:
    """The version in the id line; None where it is no shim of ours."""
    head = shim[:200].split(b"\n")[:5]
    return next((line for line in head if line.startswith(ID)), None)


def _is_ours(hook: Path) -> bool:
    return _version(read(str(hook)) or b"") is not None


def _calls_us(hook: Path) -> bool:
    """Whether somebody's own hook runs ours, as we ask people to do."""
    pattern = rf"^[^#\n]*\bgit[ -]pw\b.*\bhook\b.*\b{re.escape(hook.name)}\b".encode()
    return re.search(pattern, read(str(hook)) or b"", re.MULTILINE) is not None


def _sourcing(script: bytes) -> str:
    """The shell to read a script with, so that $0 is the hook's own name; empty where the script is to be called.

    Hook managers find their files by $0. Scripts that compare $0 with their own path must not be read that way.
    """
    first = SHELL.match(script)
    if first is None or b"BASH_SOURCE" in script or not re.search(rb"\$\{?0\b", script):
        return ""
    return first[1].decode()


def _set_aside(hook: Path, before: Path) -> None:
    """Keep a hook that isn't ours as the one that our shim runs first; at no moment does it stop firing."""
    legacy = _beside(hook, LEGACY)
    if _is_ours(legacy):
        # The pre-commit framework has put our shim there: its place is for what the shim ran.
        if os.path.lexists(before):
            before.replace(legacy)
        else:
            legacy.unlink()
    if os.path.lexists(before):
        if read(str(before)) == read(str(hook)):
            return
        before.replace(_unused(before))
    try:
        if hook.is_symlink():
            before.symlink_to(hook.readlink())
        else:
            os.link(hook, before)
    except OSError:
        hook.rename(before)  # a file system without hard links


def _unused(path: Path) -> Path:
    """A name for a hook that had been set aside before something else took its place."""
    return next(
        free for number in range(1, 1_000) if not os.path.lexists(free := _beside(path, f".{number}"))
    )


def _taken_out(hook: Path) -> bool:
    """Put back what was there before our shim; False where our shim isn't there."""
    before = _beside(hook, BEFORE)
    for place in (hook, _beside(hook, LEGACY)):
        if _is_ours(place):
            if os.path.lexists(before):
                before.replace(place)
            else:
                with suppress(FileNotFoundError):
                    place.unlink()
            return True
    return False
