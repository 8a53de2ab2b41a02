"""One hook of a hooks folder: our shim in it, and the hook that was there before beside it.

Where our shim stands, and what became of it:

- It takes the hook's place, and the earlier hook is kept as NAME.before-git-pw, which the shim runs first.
- The pre-commit framework runs NAME.legacy, and leaves alone what stands there when it is installed again: where the
  hook is the framework's, our shim is its NAME.legacy, and keeps what was there.
- lefthook moves a hook that isn't its own to NAME.old, and never runs it again; a NAME.old that is there stops it.
- Others (husky, simple-git-hooks, an editor) write over it, or delete it.

Whatever came later is chained by the next `put`, and stays when `take_out` removes the shim.
"""

from __future__ import annotations

import filecmp
import os
import re
import shlex
import shutil
from contextlib import suppress
from pathlib import Path

import gitpw
from gitpw.adapters.disk import read, replace
from gitpw.adapters.managers import FRAMEWORK, LEFTHOOK, calls, managed, manager_of

ID = b"# git-pw hook, version "

BEFORE = ".before-git-pw"

LEGACY = ".legacy"
"""Where the pre-commit framework moves the hook that it finds, to run it first."""

OLD = ".old"
"""Where lefthook moves the hook that it finds."""

RETIRED = ".replaced"
"""For a hook that something else was put in place of while our shim kept it."""

SHELL = re.compile(rb"#! *(?:/usr/bin/env +)?((?:/\S*/)?(?:sh|dash|bash|ksh)(?: +-\w+)*) *\n")
"""The first line of a shell script."""


def put(hook: Path, program: str) -> bool:
    """Make our shim run at this hook, current and executable, after what is there; False where it did already."""
    _take_up_old(hook)
    place = _place(hook)
    before = _beside(hook, BEFORE)
    for moved in _shims(hook):
        if moved != place:
            _move_back(hook, moved)
    if os.path.lexists(place) and not _is_ours(place):
        _set_aside(hook, place)
    elif place != hook and not os.path.lexists(place) and os.path.lexists(before):
        _retire(before, hook)  # the framework was told to drop what it found
    _protect_old(hook)
    shim = filled(hook.name, program, _sourcing(_beside(hook, BEFORE)))
    if read(str(place)) == shim and not place.is_symlink() and os.access(place, os.X_OK):
        return False
    replace(str(place), shim, 0o777)
    return True


def take_out(hook: Path) -> bool:
    """Put back what would be there without our shim; False where nothing of ours was there."""
    _take_up_old(hook)
    before = _beside(hook, BEFORE)
    shims = _shims(hook)
    found = bool(shims) or os.path.lexists(before)
    for shim in shims:
        _move_back(hook, shim)
    if os.path.lexists(before):
        if os.path.lexists(hook):
            _retire(before, hook)
        else:
            before.replace(hook)
    old = _beside(hook, OLD)
    kept = _beside(old, BEFORE)
    if os.path.lexists(kept):
        kept.replace(_free(old))
    for earlier in sorted(hook.parent.glob(f"{before.name}.*")):
        _retire(earlier, hook)
    return found


def is_there(hook: Path) -> bool:
    """Whether something of ours is in the folder for this hook."""
    return bool(_shims(hook)) or os.path.lexists(_beside(hook, BEFORE))


def runs_us(hook: Path, root: str | None) -> bool:
    """Whether the hook, or what our shim runs there, calls git pw by itself."""
    theirs = _beside(hook, BEFORE) if _is_ours(hook) else hook
    if not os.access(theirs, os.X_OK):
        return False
    return calls(read(str(theirs)), hook.name) or managed(theirs, hook.name, root)


def fault(hook: Path, root: str | None) -> str | None:
    """Why a hook would not fire, or not run git pw: the end of a sentence about it."""
    if runs_us(hook, root):
        return None
    place = _place(hook)
    shim = read(str(place))
    if shim is None or not _is_ours(place):
        return _absence(hook, place)
    if not os.access(place, os.X_OK):
        return "isn't executable"
    if _version(shim) != _version(template(hook.name)):
        return "is of another version of git-pw"
    if _is_uninstalled(hook):
        return "doesn't run what lefthook had set aside"
    return _lost(shim)


def template(name: str) -> bytes:
    """A shim as it is shipped: inside the package, or beside it in a checkout of git-pw."""
    package = Path(gitpw.__file__).parent
    folder = package / "_hooks"
    return ((folder if folder.is_dir() else package.parent / "hooks") / name).read_bytes()


def filled(name: str, program: str = "", shell: str = "") -> bytes:
    """What a shim says, with the paths of this machine in it."""
    text = template(name)
    for key, value in (("NAME", name), ("GITPW", program), ("SHELL", shell)):
        text = text.replace(f"@{key}@".encode(), os.fsencode(shlex.quote(value)))
    return text


def _place(hook: Path) -> Path:
    """Where our shim belongs."""
    legacy = _beside(hook, LEGACY)
    moved = _is_ours(legacy) and os.path.lexists(hook) and not _is_ours(hook)
    return legacy if moved or manager_of(read(str(hook))) is FRAMEWORK else hook


def _shims(hook: Path) -> list[Path]:
    """Where our shim is, or copies of it."""
    return [path for path in (hook, _beside(hook, LEGACY), _beside(hook, OLD)) if _is_ours(path)]


def _move_back(hook: Path, shim: Path) -> None:
    """Put what a shim ran in the shim's own place; what its manager has written anew meanwhile needs no old copy."""
    before = _beside(hook, BEFORE)
    if not os.path.lexists(before) or (shim != hook and _is_ours(hook)):
        shim.unlink()
    elif shim != hook and _supersedes(hook, before):
        before.unlink()
        shim.unlink()
    else:
        before.replace(shim)


def _set_aside(hook: Path, place: Path) -> None:
    """Keep a hook that isn't ours as the one that our shim runs first; at no moment does it stop firing."""
    before = _beside(hook, BEFORE)
    if os.path.lexists(before):
        if _same(before, place):
            return
        if _supersedes(place, before):
            before.unlink()
        else:
            before.replace(_free(before))
    try:
        if place.is_symlink():
            before.symlink_to(place.readlink())
        else:
            os.link(place, before)
    except OSError:
        place.rename(before)  # a folder, or a file system without hard links


def _protect_old(hook: Path) -> None:
    """Keep lefthook from stumbling over a NAME.old, or losing it, when it is installed again over our shim."""
    old = _beside(hook, OLD)
    if os.path.lexists(old) and manager_of(read(str(_beside(hook, BEFORE)))) is LEFTHOOK:
        kept = _beside(old, BEFORE)
        old.replace(_free(_beside(hook, RETIRED)) if os.path.lexists(kept) else kept)


def _is_uninstalled(hook: Path) -> bool:
    """Whether lefthook has been uninstalled: it takes out what bears its mark, also where we keep it."""
    return (
        bool(_shims(hook))
        and not os.path.lexists(_beside(hook, BEFORE))
        and os.path.lexists(_beside(_beside(hook, OLD), BEFORE))
    )


def _take_up_old(hook: Path) -> None:
    """Run again what lefthook would have put back when it was uninstalled."""
    if _is_uninstalled(hook):
        _beside(_beside(hook, OLD), BEFORE).replace(_beside(hook, BEFORE))


def _retire(earlier: Path, hook: Path) -> None:
    """Something else has taken this hook's place: keep it under a name of no meaning, unless it can be had again."""
    if _same(earlier, hook) or _supersedes(hook, earlier):
        earlier.unlink()
    else:
        earlier.replace(_free(_beside(hook, RETIRED)))


def _same(one: Path, other: Path) -> bool:
    """Whether two hooks are alike, however large; what can't be read isn't."""
    with suppress(OSError):
        return filecmp.cmp(one, other, shallow=False)
    return False


def _supersedes(newer: Path, older: Path) -> bool:
    """Whether both were written by the same manager."""
    manager = manager_of(read(str(newer)))
    return manager is not None and manager is manager_of(read(str(older)))


def _free(path: Path) -> Path:
    """The path, or where it is taken the same with a number."""
    numbered = (_beside(path, f".{number}") for number in range(1, 1_000))
    return next(free for free in (path, *numbered) if not os.path.lexists(free))


def _absence(hook: Path, place: Path) -> str:
    """What to say where our shim isn't."""
    if not os.path.lexists(hook):
        return "is missing"
    if place.exists() and read(str(place)) is None:
        return "can't be read"
    manager = manager_of(read(str(hook)))
    if manager is None:
        return "was replaced by another one, which doesn't run git pw"
    return f"was replaced by that of {manager.name}, which doesn't run git pw"


def _lost(shim: bytes) -> str | None:
    """What to say where a shim can't find git-pw."""
    line = re.search(rb"^program=(.*)$", shim, re.MULTILINE)
    if line is None:
        return None
    named = "".join(shlex.split(os.fsdecode(line[1])))
    if os.access(named, os.X_OK) or shutil.which("git-pw") is not None:
        return None
    return f"can't find git-pw, neither as {named!r} nor on PATH"


def _beside(hook: Path, suffix: str) -> Path:
    return hook.with_name(hook.name + suffix)


def _version(shim: bytes) -> bytes | None:
    """The version in the id line; None where it is no shim of ours."""
    head = shim[:200].split(b"\n")[:5]
    return next((line for line in head if line.startswith(ID)), None)


def _is_ours(hook: Path) -> bool:
    return _version(read(str(hook)) or b"") is not None


def _sourcing(before: Path) -> str:
    """The shell to read a script with, so that $0 is the hook's own name; empty where the script is to be called.

    Hook managers find their files by $0. Scripts that look where they really lie must not be read that way.
    """
    script = read(str(before)) or b""
    first = SHELL.match(script)
    if first is None or before.is_symlink() or re.search(rb"BASH_SOURCE|\breadlink\b|\brealpath\b", script):
        return ""
    return first[1].decode() if re.search(rb"\$\{?0\b", script) else ""
