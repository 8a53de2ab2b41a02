"""The story of an internal error, in a file that can be reported; runs nothing and trusts nothing."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path


def write_log(error: BaseException, words: Sequence[str], directory: str | None) -> str | None:
    """Write down what happened, where only this user can read it; the path, or None where nothing can be written."""
    text = _story(error, words)
    for folder in (_ours(directory), tempfile.gettempdir()):
        with suppress(OSError):
            if folder is not None:
                return _write(text, folder)
    return None


def _story(error: BaseException, words: Sequence[str]) -> str:
    told = "".join(traceback.format_exception(error))
    return f"git-pw {list(words)!r}\nPython {sys.version}\n{platform.platform()}\n\n{told}"


def _write(text: str, folder: str) -> str:
    os.makedirs(folder, mode=0o700, exist_ok=True)  # noqa: PTH103 - a name of any bytes
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    number, path = tempfile.mkstemp(prefix=f"git-pw-{moment}-", suffix=".log", dir=folder)
    with os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
    return path


def _ours(directory: str | None) -> str | None:
    """The folder for logs in the common git dir; None outside a repository, or where git pw has no folder yet."""
    git_dir = _git_dir(Path(directory or "."))
    if git_dir is None:
        return None
    common = git_dir
    with suppress(OSError, ValueError):
        common = git_dir / (git_dir / "commondir").read_text().strip()
    ours = common / "pw"
    return str((ours / "logs").absolute()) if ours.is_dir() else None


def _git_dir(start: Path) -> Path | None:
    """The git dir as git finds it; read here, since a crash is no time to start programs."""
    if named := os.environ.get("GIT_DIR"):
        return Path(named)
    with suppress(OSError, ValueError):
        start = start.resolve()
        for folder in (start, *start.parents):
            inside = folder / ".git"
            if inside.is_dir():
                return inside
            if inside.is_file():
                return folder / inside.read_text().removeprefix("gitdir:").strip()
            if (folder / "HEAD").is_file() and (folder / "objects").is_dir():
                return folder
    return None
