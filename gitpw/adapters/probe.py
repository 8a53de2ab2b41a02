"""Whether git runs our hooks: by doing what they are for, in a worktree of our own that is gone afterwards.

The shims know the probe: they leave their name in a file and end, so that neither git pw nor a user's hook runs. Where
hooks of somebody else's would run beside them, ours are started one by one instead, by git's own `git hook run`.
Everything lies in `<common git dir>/pw/probe`; whoever is killed leaves it to the next probe.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gitpw.adapters.disk import locked, read
from gitpw.adapters.git import CHAINED_ONLY
from gitpw.adapters.hooks import NAMES
from gitpw.adapters.process import complaint, run
from gitpw.domain.checkup import Program, Shots
from gitpw.errors import FailedError, PwError

if TYPE_CHECKING:
    from gitpw.adapters.git import GitRepo
    from gitpw.ledger.transport import Finished

VARIABLE = "GITPW_PROBE"

TREE = "git-pw-probe"
"""The name of the worktree, and so of its git dir."""

PATIENCE = 10.0
"""Seconds for each step."""

FIRED = (*NAMES, "post-index-change", "reference-transaction")
"""What git runs in the course of the probe, ours or not."""

SETTINGS = {
    "advice.ignoredHook": "true",
    "commit.gpgSign": "false",
    "core.fsmonitor": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
}

NOBODY = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "git-pw"), ("EMAIL", "git-pw@localhost"), ("DATE", "1700000000 +0000"))
}

SHIM = re.compile(rb"\A(?:[^\n]*\n){0,4}# git-pw hook, version ")


class HookProbe:
    """The hooks of one checkout."""

    def __init__(self, repo: GitRepo) -> None:
        self._repo = repo
        self._folder = Path(repo.common_dir, "pw", "probe")
        self._seen = self._folder / "seen"

    def fire(self) -> Shots:
        """Have git run each of our shims in the folder where it looks for hooks; which it did, and why not the others."""
        folder = Path(self._repo.hooks_folder())
        shims = {name: text for name in NAMES if SHIM.match(text := read(str(folder / name)) or b"")}
        ours = [name for name, text in shims.items() if VARIABLE.encode() in text]
        silent = {name: "it is of an older version of git-pw" for name in shims if name not in ours}
        others = [name for name in FIRED if name not in ours and os.access(folder / name, os.X_OK)]
        untried = tuple(name for name in NAMES if name in others and name not in silent)
        if not ours:
            return Shots((), silent, untried)
        with self._ready():
            seen = set() if others else self._acted(folder)
            why = {name: self._started(name) for name in ours if name not in seen}
        silent |= {name: words for name, words in why.items() if words is not None}
        return Shots(tuple(name for name in ours if name not in silent), silent, untried)

    def programs(self) -> list[Program]:
        """The git-pw that each shim names, tried."""
        folder = Path(self._repo.hooks_folder())
        paths = dict.fromkeys(
            path for name in NAMES if (path := _program(read(str(folder / name)) or b"")) is not None
        )
        return [_tried(path) for path in paths]

    @contextmanager
    def _ready(self) -> Iterator[None]:
        """A folder for the probe, which is gone afterwards, with what a killed one has left."""
        with locked(f"{self._folder}.lock"):
            self._sweep()
            try:
                self._folder.mkdir(parents=True)
                yield
            except OSError as error:
                raise FailedError(f"{self._folder} can't be written: {error.strerror}") from error
            finally:
                self._sweep()

    def _sweep(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        trees = Path(self._repo.common_dir, "worktrees")
        for admin in trees.glob(f"{TREE}*"):
            if (read(str(admin / "gitdir")) or b"").startswith(os.fsencode(f"{self._folder}{os.sep}")):
                shutil.rmtree(admin, ignore_errors=True)
        with suppress(OSError):
            trees.rmdir()  # as git does, where there is no other

    def _acted(self, folder: Path) -> set[str]:
        """Commit, switch, merge and push in a throw-away worktree; the shims that have seen it."""
        tree = self._folder / TREE
        hooks = [] if folder.is_relative_to(self._repo.common_dir) else ["-c", f"core.hooksPath={folder}"]
        bare = str(self._folder / "up.git")
        with suppress(PwError):
            format_ = self._git("rev-parse", "--show-object-format").out.decode().strip()
            empty = self._git("hash-object", "-t", "tree", "-w", "--stdin", input=b"").out.decode().strip()
            first = self._git("commit-tree", empty, "-m", "git pw probe").out.decode().strip()
            self._git("worktree", "add", "--detach", "--no-checkout", str(tree), first)
            self._git(
                *("init", "-q", "--bare", f"--object-format={format_}", "--template=", bare), at=self._folder
            )
            self._git(*hooks, "commit", "--quiet", "--allow-empty", "-m", "git pw probe", at=tree)
            second = self._git("rev-parse", "HEAD", at=tree).out.decode().strip()
            self._git(*hooks, "checkout", "--quiet", "--detach", first, at=tree)
            self._git(*hooks, "merge", "--quiet", "--ff-only", second, at=tree)
            self._git(
                *hooks, "push", "--quiet", "--dry-run", "--no-signed", bare, "HEAD:refs/heads/x", at=tree
            )
        return set((read(str(self._seen)) or b"").decode().split())

    def _started(self, name: str) -> str | None:
        """Start one hook as git starts it; None where it ran, else why it didn't."""
        self._seen.unlink(missing_ok=True)
        done = self._run(["-c", "advice.ignoredHook=true", "hook", "run", name], Path(self._repo.folder))
        if name.encode() in (read(str(self._seen)) or b"").split():
            return None
        if b"not set as executable" in done.err:
            return "it isn't executable, or lies where nothing may be executed"
        return complaint(done.err) if done.status else "it ended without a word"

    def _git(self, *args: str, at: Path | None = None, input: bytes | None = None) -> Finished:  # noqa: A002
        settings = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        done = self._run([*settings, *args], at or Path(self._repo.common_dir), input)
        if done.status:
            raise FailedError(complaint(done.err))
        return done

    def _run(self, words: Sequence[str], cwd: Path, input: bytes | None = None) -> Finished:  # noqa: A002
        env = {**self._repo.environment, **NOBODY, VARIABLE: str(self._seen), CHAINED_ONLY: None}
        if cwd != Path(self._repo.folder):
            common = self._repo.common_dir
            env |= {"GIT_DIR": common if str(cwd) == common else None, "GIT_WORK_TREE": None}
        return run(["git", *words], cwd=str(cwd), env=env, input=input, timeout=PATIENCE)


def _program(shim: bytes) -> str | None:
    """The git-pw that a shim names."""
    line = re.search(rb"^program=(.*)$", shim, re.MULTILINE)
    if line is None or not SHIM.match(shim):
        return None
    with suppress(ValueError):
        return "".join(shlex.split(os.fsdecode(line[1])))
    return None


def _tried(path: str) -> Program:
    """Ask a program for its version; what doesn't answer as git-pw does is none."""
    if not Path(path).is_file() or not os.access(path, os.X_OK):
        return Program(path, None, "it isn't there", used=False)
    try:
        done = run([path, "--version", "--json"], timeout=PATIENCE)
    except FailedError as error:
        return Program(path, None, error.message, used=True)
    try:
        return Program(path, str(json.loads(done.out)["version"]), "", used=True)
    except (ValueError, KeyError, TypeError):
        why = complaint(done.err) if done.status else "it is another program of that name"
        return Program(path, None, why, used=True)
