"""The user's repository, by way of the `git` program.

Paths are decoded with surrogateescape: git knows bytes, and every byte must come back as it was.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

from gitpw.adapters.disk import read, replace
from gitpw.adapters.process import CLEAN, Finished, Lingering, complaint, linger, run
from gitpw.domain.change import Change
from gitpw.errors import ConfigError, FailedError, NoRepoError, PwError

SHAPE = re.compile(
    r"(.*)\n(?:true|false)\n(.*)\n(?:true|false)\n(.*)\n(?:true|false)\n(?:(.*)\n)?", re.DOTALL
)
"""What `git rev-parse` says in `discover`: the yes and no between the paths keep newlines in paths apart."""

OURS = (
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_SHALLOW_FILE",
    "GIT_REPLACE_REF_BASE",
)
"""What a hook's caller may set that belongs to this very repository."""

BUSY = re.compile(
    rb"\.lock': File exists|cannot lock ref '[^']*': is at|could not lock|another git process|shallow file has changed"
    rb"|did not send all necessary objects",  # a worktree that is being added has no commit for a moment
    re.IGNORECASE,
)
"""What git says when another git is at work: worth trying again."""

AGAIN = 'for pause in 0.1 0.5 0; do "$@" && exit; sleep $pause; done'
"""The shell's way of being patient, for a git in the background."""

TRIES_LAST = 10.0
"""Seconds."""

HEADS_PATIENCE = 10.0
"""Seconds that a remote has to say which branches it has."""

CHAINED_ONLY = "GITPW_CHAINED_ONLY"
"""Tells our shims to run what they are chained to, and not git pw."""

EXCLUDE_TITLE = "# git pw's worktrees"
UNENDED = " (the line above had no end)"


class Setting(NamedTuple):
    """One value of git's configuration; `scope` is system, global, local, worktree or command."""

    scope: str
    key: str
    value: str


class GitRepo:
    """The repository, seen from one of its checkouts; `root` is None in a bare one, and inside the git dir."""

    def __init__(
        self, root: str | None, git_dir: str, common_dir: str, prefix: str, *, pinned: bool = False
    ) -> None:
        """`pinned` where the environment, not the folder, says which repository is meant.

        `environment` is for `process.run`: what ties a git to the repository that a hook runs in is taken out.
        """
        self.root = root
        self.git_dir = git_dir
        self.common_dir = common_dir
        self.prefix = prefix
        self.folder = root or git_dir
        self.environment: dict[str, str | None] = {name: None for name in CLEAN if name not in OURS}
        self.environment["LANGUAGE"] = "C"  # messages are read here; file names and hooks keep their locale
        if pinned:
            self.environment |= {"GIT_DIR": git_dir, "GIT_WORK_TREE": root}

    @classmethod
    def discover(cls, directory: str | None = None) -> GitRepo:
        """The repository that a folder is in, by default the current one; as git does, $GIT_DIR comes first.

        Raises `NoRepoError`.
        """
        if directory is not None and not Path(directory).is_dir():
            raise NoRepoError(f"{directory} is no folder", hint="-C takes a folder of a repository")
        questions = ["--git-dir", "--is-bare-repository", "--git-common-dir", "--is-inside-work-tree"]
        questions += ["--show-prefix", "--is-inside-git-dir", "--show-toplevel"]
        done = run(
            ["git", "rev-parse", "--path-format=absolute", *questions],
            cwd=directory,
            env={"GIT_PREFIX": None, "LANGUAGE": "C"},
        )
        found = SHAPE.fullmatch(os.fsdecode(done.out))
        if found is None:
            raise _no_repository(done.err)
        pinned = bool(os.environ.get("GIT_DIR"))
        return cls(found[4] or None, found[1], found[2], found[3], pinned=pinned)

    def git(
        self,
        *args: str,
        input: bytes | None = None,  # noqa: A002 - as in subprocess
        env: dict[str, str | None] | None = None,
        timeout: float | None = None,
    ) -> Finished:
        """Run git in this checkout, without what a hook's environment would mix in.

        Where the checkout has been taken away meanwhile, in the common git dir.
        """
        here = self.folder if Path(self.folder).is_dir() else self.common_dir
        return run(
            ["git", *args],
            cwd=here,
            env={**self.environment, **(env or {})},
            input=input,
            timeout=timeout,
        )

    def config(self, key: str) -> str | None:
        """The last value of a key; section and name in lower case."""
        values = self.config_all(key)
        return values[-1] if values else None

    def config_all(self, key: str) -> list[str]:
        """All values of a key, the strongest last."""
        return self._settings.get(key, [])

    def entries(self) -> list[Setting]:
        """Git's whole configuration, in git's order."""
        return self._entries

    def own_settings(self) -> list[tuple[str, str]]:
        """What the repository's own files say: all that git wouldn't see if it were run elsewhere."""
        return [(one.key, one.value) for one in self._entries if one.scope in {"local", "worktree"}]

    def remotes(self) -> list[str]:
        """The names of the remotes that have a URL."""
        found = (re.fullmatch(r"remote\.(.+)\.(?:url|pushurl)", key, re.DOTALL) for key in self._settings)
        return list(dict.fromkeys(match[1] for match in found if match))

    def push_url(self, remote: str) -> str:
        """Where a push to a remote goes; a URL stays one."""
        done = self.git("remote", "get-url", "--push", "--", remote)
        return remote if done.status else os.fsdecode(done.out).splitlines()[0]

    def resolve(self, revision: str) -> str | None:
        """The commit that a revision names."""
        if "\0" in revision:
            return None
        done = self.git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        return None if done.status else done.out.decode().strip()

    def branch(self) -> str | None:
        """The branch that is checked out; None where HEAD is detached."""
        done = self.git("symbolic-ref", "--quiet", "HEAD")
        return None if done.status else os.fsdecode(done.out).strip().removeprefix("refs/heads/")

    def branches(self) -> dict[str, str]:
        """The local branches and where they stand."""
        told = os.fsdecode(self._told("for-each-ref", "--format=%(objectname) %(refname)", "refs/heads/"))
        pairs = (one.split(" ", 1) for one in told.splitlines())
        return {ref.removeprefix("refs/heads/"): commit for commit, ref in pairs}

    def branches_there(self, remote: str, pattern: str, timeout: float = 30.0) -> dict[str, str]:
        """The branches of a remote that match a pattern, and where they stand; none where it can't be asked."""
        env: dict[str, str | None] = {"GIT_TERMINAL_PROMPT": "0"}
        done = self.git("ls-remote", "--", remote, f"refs/heads/{pattern}", env=env, timeout=timeout)
        pairs = (one.split("\t", 1) for one in os.fsdecode(done.out).splitlines() if "\t" in one)
        heads = {ref: commit for commit, ref in pairs if ref.startswith("refs/heads/")}
        return {ref.removeprefix("refs/heads/"): commit for ref, commit in heads.items()}

    def default_branch(self, remote: str | None) -> str:
        """The branch that the remote's HEAD names; else main, master, the current one, or main after all."""
        return short_name(self.default_refs(remote)[-1], remote)

    def default_refs(self, remote: str | None) -> list[str]:
        """The refs that lead to the default branch: those looked for in vain, a symbolic one, the branch's at last."""
        spaces = [f"refs/remotes/{remote}/", "refs/heads/"] if remote is not None else ["refs/heads/"]
        wanted = [space + name for space in spaces for name in ("HEAD", "main", "master")]
        done = self.git("for-each-ref", "--format=%(refname)%00%(symref)", *wanted)
        found = dict(line.split("\0") for line in os.fsdecode(done.out).splitlines())
        for at, name in enumerate(wanted, 1):
            if name in found:
                return [*wanted[:at], *([found[name]] if found[name] else [])]
        return [*wanted, "HEAD", f"refs/heads/{self.branch() or 'main'}"]

    def file_at(self, revision: str, path: str) -> bytes | None:
        """What a file was in a revision; None where it has none."""
        done = self.git("cat-file", "blob", f"{revision}:{path}")
        return None if done.status else done.out

    def inside(self, path: str) -> bool:
        """Whether the current folder is in that one."""
        with suppress(OSError):
            return Path(path).resolve() in [(here := Path.cwd().resolve()), *here.parents]
        return False

    def tracked(self, path: str) -> bool:
        """Whether a path (relative to the root), or something under it, is tracked; taken literally."""
        if self.root is None:
            return False
        done = self.git("--literal-pathspecs", "ls-files", "-z", "--error-unmatch", "--", path or ".")
        return done.status == 0

    def ignored(self, path: str) -> bool:
        """Whether git ignores a path (relative to the root); a tracked one is never ignored."""
        return self.git("check-ignore", "--quiet", "--", path).status == 0

    def dirty(self) -> list[str]:
        """Uncommitted and untracked files of this checkout, relative to the root; folders end with `/`."""
        return [] if self.root is None else changes(self.root, self.environment)

    def changed(self, base: str, head: str) -> list[str]:
        """The files that differ between two commits, both ends of a rename."""
        return _names(self._told("diff-tree", "-r", "--name-only", *PLAIN, "--end-of-options", base, head))

    def own_changes(self, head: str, tip: str, base: str | None) -> list[str]:
        """The files in which the work up to `head` differs from what it was built on: a base branch now at `tip`.

        That is the newest commit of the base branch which the work contains, or, where it began at something that
        the base branch hasn't, `base`.
        """
        apart = base is not None and self.ancestor(base, head) and not self.ancestor(base, tip)
        shared = self.git("merge-base", "--end-of-options", tip, head).out.decode().strip()
        start = base if apart or not shared else shared
        return [] if start is None else self.changed(start, head)

    def point_branch(self, branch: str, head: str) -> None:
        """Make a local branch, or move it forward; raises `FailedError` where that would lose commits."""
        ref = f"refs/heads/{branch}"
        old = self.resolve(ref)
        if old == head:
            return
        if self.in_use(ref) or (old is not None and not self.ancestor(old, head)):
            raise FailedError(
                f"branch {branch} is at {(old or head)[:12]}, which {head[:12]} doesn't contain",
                hint=f"check {branch} out and put the work on it, or rename it",
            )
        done = self.git("update-ref", "--end-of-options", ref, head, old or "0" * len(head))
        if done.status:
            raise FailedError(f"branch {branch} can't be made: {complaint(done.err)}")

    def ancestor(self, one: str, of: str) -> bool:
        """Whether a commit is contained in another; what isn't here is not."""
        return self.git("merge-base", "--is-ancestor", "--end-of-options", one, of).status == 0

    def staged(self) -> list[str]:
        """The files that a commit made now would change, from the index that the caller's hook was given.

        In a merge, those that differ from all parents: the others only bring in what is there already.
        """
        found = _names(self._told(*STAGED, "--name-only", env=self._index()))
        for parent in self._merged():
            differing = set(_names(self._told(*STAGED, "--name-only", parent, env=self._index())))
            found = [name for name in found if name in differing]
        return found

    def staged_changes(self, files: Collection[str]) -> list[Change]:
        """These staged files as the index has them."""
        out = self._told(*STAGED, *RAW, env=self._index())
        return [Change("", file, new) for _, _, new, file in _raw(out) if file in files]

    def new_commits(self, heads: Iterable[str], remote: str, there: Iterable[str]) -> list[str]:
        """The commits that some heads (commits, tags) bring to a remote, newest first.

        New is what neither the remote's remote-tracking refs contain nor what is `there` now, as far as it is here.
        Of a remote that nothing is known of, all others stand in: the whole history isn't new because a URL is. Where
        there are none at all, as in a bare clone, it is asked. Where a shallow history is cut off, all came from a remote.
        """
        shallow = (read(str(Path(self.common_dir, "shallow")), 1 << 30) or b"").decode().split()
        known = [*there, *shallow]
        spaces = (f"refs/remotes/{remote}/", "refs/remotes/")
        space = next((space for space in spaces if self._told("for-each-ref", "--count=1", space)), None)
        if space is None:
            known += self._heads_of(remote)
        # What isn't here stays there: a partial clone would fetch it only to find that it is missing.
        lenient = ("--missing=allow-any", "--ignore-missing")
        options = (*lenient, "--stdin", "--not", *([f"--glob={space}"] if space else []))
        lines = _lines([*heads, *(f"^{commit}" for commit in known)])
        return self._told("rev-list", *options, input=lines).decode().split()

    def files_of(self, commits: Sequence[str]) -> list[str]:
        """The files that some commits change; a merge counts where it differs from all its parents."""
        if not commits:
            return []
        options = ("--no-commit-id", "--name-only")
        return _names(self._told(*EACH, *options, *PLAIN, input=_lines(commits)))

    def changes(self, commits: Sequence[str], files: Collection[str]) -> list[Change]:
        """What each of some commits makes of these files, if it changes them at all."""
        out = self._told(*EACH, *RAW, *PLAIN, *_limited(files), input=_lines(commits))
        return [Change(commit, file, new) for commit, _, new, file in _raw(out) if file in files]

    def brought_in(self, tip: str, changes: Iterable[Change]) -> set[Change]:
        """Those changes that make of a file exactly what the branch that ends at `tip` has.

        Or what it had at some point since the change's own branch left it: who brought that in, by squashing or
        picking, did so before it went on. What was there earlier doesn't count: to go back to it is a change.
        """
        changes = set(changes)
        there = self._contents(tip, {change.file for change in changes})
        rest: dict[str, set[Change]] = {}
        for change in changes:
            if change.content != there.get(change.file, ""):
                rest.setdefault(change.commit, set()).add(change)
        for commit, group in rest.items():
            since = [f"{commit}^@"] if commit else ["HEAD", *self._merged()]
            had = self._history(tip, since, {change.file for change in group})
            changes -= {change for change in group if (change.file, change.content) not in had}
        return changes

    def outside(self, commits: Sequence[str], branch: str) -> set[str]:
        """Those commits that a local branch doesn't contain; all of them where there is no such branch."""
        done = self.git("rev-list", "--stdin", input=_lines([*commits, f"^refs/heads/{branch}"]))
        return set(commits) if done.status else set(commits) & set(done.out.decode().split())

    def leads_to(self, remote: str, url: str) -> bool:
        """Whether a remote, by name or URL, is the repository at a URL, however that is written."""
        from gitpw.adapters.url import place

        known = {remote}
        for which in ((), ("--push",)):
            done = self.git("remote", "get-url", *which, "--all", "--", remote)
            known |= set(os.fsdecode(done.out).splitlines())
        return place(url, self.folder) in {place(one, self.folder) for one in known}

    def fetch_branch(self, remote: str, branch: str, timeout: float) -> bool:
        """Bring the remote-tracking ref of one branch up to date; False where that can't be done in time."""
        if remote not in self.remotes():
            return False
        quietly = ("-c", "gc.auto=0", "-c", "maintenance.auto=false")
        options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
        spec = f"+refs/heads/{branch}:refs/remotes/{remote}/{branch}"
        done = self.patiently(
            *quietly, "fetch", *options, "--", remote, spec, env={"GIT_TERMINAL_PROMPT": "0"}, timeout=timeout
        )
        if done.status == 0:
            with suppress(PwError):
                stamp = self._stamp(remote, branch)
                stamp.parent.mkdir(parents=True, exist_ok=True)
                replace(str(stamp), b"")
        return done.status == 0

    def start_fetch(self, remote: str, branches: Sequence[str]) -> Lingering | None:
        """Begin to bring the remote-tracking refs of branches up to date, as far as the remote has them.

        It goes on whether it is waited for or not, so what takes long is there the next time. None where there is
        nothing to fetch.
        """
        if remote not in self.remotes() or not branches:
            return None
        quietly = ("-c", "gc.auto=0", "-c", "maintenance.auto=false")
        options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
        # As patterns, since git refuses to fetch anything at all where one plain name isn't there.
        specs = [f"+refs/heads/{name}*:refs/remotes/{remote}/{name}*" for name in branches]
        words = ["sh", "-c", AGAIN, "sh", "git", *quietly, "fetch", *options, "--", remote, *specs]
        env = {**self.environment, "GIT_TERMINAL_PROMPT": "0"}
        return linger(words, cwd=self.common_dir if self.root is None else self.root, env=env)

    def tips(self, refs: Sequence[str]) -> dict[str, str]:
        """The commits of those of the refs (full names) that are here."""
        if not refs:
            return {}
        done = self.git("for-each-ref", "--format=%(refname)%00%(objectname)", "--", *refs)
        found = (line.partition("\0") for line in os.fsdecode(done.out).splitlines())
        wanted = set(refs)
        return {name: tip for name, _, tip in found if name in wanted}

    def merge_base(self, one: str, two: str) -> str | None:
        """The commit at which two parted; None where they have nothing in common."""
        done = self.git("merge-base", "--end-of-options", one, two)
        return None if done.status else done.out.decode().strip()

    def fetched_ago(self, remote: str, branch: str) -> float | None:
        """Seconds since the remote-tracking ref was last brought up to date, by us or by anybody, if known."""
        ref = f"refs/remotes/{remote}/{branch}"
        files = [self._stamp(remote, branch), Path(self.common_dir, ref)]
        files += [
            Path(self.common_dir, "logs", ref),
            Path(self.common_dir, "logs/refs/remotes", remote, "HEAD"),
        ]
        fetches = [path for path in self._fetch_heads() if self._names_branch(path, remote, branch)]
        times = _modified(*files, *fetches)
        packed = Path(self.common_dir, "packed-refs")
        if not times and not any(path.exists() for path in self._fetch_heads()):
            # A fresh clone without reflogs; later, packing touches this file as well.
            times = (
                _modified(packed) if os.fsencode(f" {ref}\n") in (read(str(packed), 1 << 26) or b"") else []
            )
        return max(0.0, time.time() - max(times)) if times else None

    def run_pre_push(self, remote: str, lines: Sequence[str]) -> None:
        """Run the user's own pre-push hooks, ours left out; raises `FailedError` where they refuse."""
        hook = Path(self.hooks_folder(), "pre-push")
        if not hook.is_file() or not os.access(hook, os.X_OK):
            return
        # As in git: what a hook prints goes to standard error, and a script without "#!" is the shell's.
        done = run(
            ["sh", "-c", 'exec "$@" >&2', "sh", str(hook), remote, self.push_url(remote)],
            cwd=self.folder,
            env={**self.environment, "LANGUAGE": os.environ.get("LANGUAGE"), CHAINED_ONLY: "1"},
            input="".join(f"{line}\n" for line in lines).encode(errors="surrogateescape"),
            show=True,
        )
        if done.status:
            raise FailedError(
                f"the pre-push hook refused (exit {done.status})", hint=f"nothing was pushed; it is {hook}"
            )

    def hooks_folder(self) -> str:
        """Where git looks for the hooks of this checkout."""
        return os.fsdecode(self._told("rev-parse", "--path-format=absolute", "--git-path", "hooks")).rstrip(
            "\n"
        )

    def delete_branch(self, branch: str, expected: str) -> bool:
        """Delete a local branch if it still is where it is expected, and nobody has it checked out."""
        ref = f"refs/heads/{branch}"
        if self.in_use(ref) or self.git("update-ref", "-d", ref, expected).status:
            return False
        self.git("config", "--local", "--remove-section", f"branch.{branch}")
        return True

    def forget_branch(self, remote: str, branch: str, expected: str) -> None:
        """Delete the remote-tracking ref of a branch that has gone from the remote, if it is where it is expected."""
        self.git("update-ref", "--no-deref", "-d", f"refs/remotes/{remote}/{branch}", expected)

    def main_root(self) -> str | None:
        """The root of the main checkout; None where the repository is bare."""
        if self.git_dir == self.common_dir and self.root is not None:
            return self.root
        if (self.config("core.bare") or "").lower() == "true":
            return None
        elsewhere = self.config("core.worktree")
        if elsewhere is not None:
            return os.path.normpath(Path(self.common_dir, elsewhere))
        return os.path.dirname(self.common_dir) if os.path.basename(self.common_dir) == ".git" else None  # noqa: PTH119, PTH120

    def exclude(self, template: str) -> bool:
        """Keep worktrees made by this template out of `git status`; False where nothing had to be done."""
        pattern = _pattern(template)
        if pattern is None or self.excludes(template):
            return False
        file = Path(self.common_dir, "info", "exclude").resolve()
        lines = (read(str(file)) or b"").decode(errors="surrogateescape")
        title = EXCLUDE_TITLE if lines.endswith("\n") or not lines else f"\n{EXCLUDE_TITLE}{UNENDED}"
        file.parent.mkdir(exist_ok=True)
        replace(str(file), f"{lines}{title}\n{pattern}\n".encode(errors="surrogateescape"))
        return True

    def excludes(self, template: str) -> bool:
        """Whether worktrees made by this template are out of `git status`, or outside of the repository."""
        pattern, root = _pattern(template), self.main_root()
        lines = (read(str(Path(self.common_dir, "info", "exclude"))) or b"").decode(errors="surrogateescape")
        if pattern is None or root is None or pattern in lines.splitlines():
            return True
        example = pattern.strip("/").replace("\\", "").replace("*", "0")
        return run(["git", "check-ignore", "-q", "--", f"{example}/x"], cwd=root, env=CLEAN).status == 0

    def unexclude(self) -> bool:
        """Take out what `exclude` put in."""
        file = Path(self.common_dir, "info", "exclude").resolve()
        lines = (read(str(file)) or b"").decode(errors="surrogateescape")
        title = re.escape(EXCLUDE_TITLE)
        ours = re.compile(rf"\n{title}{re.escape(UNENDED)}\n.*\n?|^{title}\n.*\n?", re.MULTILINE)
        rest = ours.sub("", lines)
        if rest == lines:
            return False
        replace(str(file), rest.encode(errors="surrogateescape"))
        if not rest:
            file.unlink()
        return True

    def patiently(
        self, *args: str, env: dict[str, str | None] | None = None, timeout: float | None = None
    ) -> Finished:
        """Run git, again and again for a while as long as another git is in the way."""
        return patient(lambda: self.git(*args, env=env, timeout=timeout))

    @cached_property
    def _entries(self) -> list[Setting]:
        done = self.git("config", "--list", "-z", "--show-scope")
        if done.status:
            raise ConfigError(
                f"git's configuration can't be read: {complaint(done.err)}", hint="git config --list"
            )
        words = [os.fsdecode(word) for word in done.out.split(b"\0")]
        pairs = (
            (scope, *entry.partition("\n")) for scope, entry in zip(words[::2], words[1::2], strict=False)
        )
        return [Setting(scope, key, value if sep else "true") for scope, key, sep, value in pairs]

    @cached_property
    def _settings(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for one in self._entries:
            found.setdefault(one.key, []).append(one.value)
        return found

    def _told(
        self,
        *args: str,
        input: bytes | None = None,  # noqa: A002 - as in subprocess
        env: dict[str, str | None] | None = None,
    ) -> bytes:
        """What git prints; raises `FailedError` with its words."""
        done = self.git(*args, input=input, env=env)
        if done.status:
            verb = next(word for word in args if not word.startswith("-"))
            raise FailedError(f"git {verb} failed: {complaint(done.err)}")
        return done.out

    @lru_cache(maxsize=1)  # noqa: B019 - a repository lasts as long as its command
    def _heads_of(self, remote: str) -> list[str]:
        """The commits at which the remote's branches are; none where it doesn't say so in time."""
        words = ("ls-remote", "--heads", "--", remote)
        done = self.git(*words, env={"GIT_TERMINAL_PROMPT": "0"}, timeout=HEADS_PATIENCE)
        return (
            [line.split("\t")[0] for line in os.fsdecode(done.out).splitlines()] if done.status == 0 else []
        )

    def _index(self) -> dict[str, str | None]:
        """The index that git made for this commit; named relative to the root, it means the same here."""
        return {"GIT_INDEX_FILE": os.environ.get("GIT_INDEX_FILE")}

    def _merged(self) -> list[str]:
        """The commits that are being merged, HEAD left out."""
        return (read(str(Path(self.git_dir, "MERGE_HEAD"))) or b"").decode().split()

    def _contents(self, tip: str, files: Collection[str]) -> dict[str, str]:
        """Mode and object name of those of the files that a commit has."""
        out = self._told("ls-tree", "-r", "-z", "--full-tree", tip, *_limited(files))
        entries = (os.fsdecode(line).partition("\t") for line in out.split(b"\0") if line)
        return {file: _content(*told.split()[::2]) for told, _, file in entries if file in files}

    def _history(self, tip: str, since: Sequence[str], files: Collection[str]) -> set[tuple[str, str]]:
        """Files as a branch's own line of commits had them from where the commits `since` left it."""
        options = ("-m", "--first-parent", "--format=", "--no-follow", "--no-show-signature", *RAW, *PLAIN)
        paths = _limited(files) or ("--",)
        done = self.git("--literal-pathspecs", "log", *options, tip, "--not", *since, *paths)
        return {(file, content) for _, *contents, file in _raw(done.out) for content in contents}

    def _stamp(self, remote: str, branch: str) -> Path:
        from urllib.parse import quote

        name = quote(f"{remote}/{branch}", safe="", errors="surrogateescape")
        return Path(self.common_dir, "pw", "fetched", name[-200:])

    def _fetch_heads(self) -> list[Path]:
        return [Path(folder, "FETCH_HEAD") for folder in dict.fromkeys((self.git_dir, self.common_dir))]

    def _names_branch(self, fetch_head: Path, remote: str, branch: str) -> bool:
        """Whether the last `git fetch` brought this branch of this remote."""
        url = re.sub(r"(/|\.git)*$", "", self.config(f"remote.{remote}.url") or "")
        note = f"\tbranch '{branch}' of {url}\n"
        return os.fsencode(note) in (read(str(fetch_head), 1 << 24) or b"")

    def in_use(self, ref: str) -> bool:
        """Whether a checkout is on this branch, or in the middle of rebasing it."""
        folders = [Path(self.common_dir), *Path(self.common_dir, "worktrees").glob("*")]
        names = ("HEAD", "rebase-merge/head-name", "rebase-apply/head-name")
        heads = {read(str(folder / name)) for folder in folders for name in names}
        return not heads.isdisjoint({os.fsencode(f"ref: {ref}\n"), os.fsencode(f"{ref}\n"), os.fsencode(ref)})


PLAIN = ("-z", "--no-renames", "--ignore-submodules=none")
"""Both ends of a rename, submodules too, and names as they are, whatever the user's configuration says of diffs."""

RAW = ("--raw", "--no-abbrev")
STAGED = ("diff", "--cached", *PLAIN)
EACH = ("--literal-pathspecs", "diff-tree", "--stdin", "-r", "--root", "-c")
"""What each of the commits on standard input changes; the merges, against all parents."""

MANY = 500
"""Files that are too many for a command line."""


def changes(
    root: str, env: dict[str, str | None], timeout: float | None = None, *, submodules: bool = True
) -> list[str]:
    """Uncommitted and untracked files of a checkout, relative to its root; folders end with `/`.

    Without `submodules`, they aren't looked into. Raises `FailedError`, also when the time is up.
    """
    options: tuple[str, ...] = ("--porcelain=v1", "-z", "--untracked-files=normal", "--no-renames")
    options += () if submodules else ("--ignore-submodules=all",)
    done = run(["git", "--no-optional-locks", "status", *options], cwd=root, env=env, timeout=timeout)
    if done.status or done.late:
        raise FailedError(f"git status failed in {root}: {complaint(done.err)}")
    return [entry[3:] for entry in os.fsdecode(done.out).split("\0") if entry]


def short_name(ref: str, remote: str | None) -> str:
    """The name of a branch, here or on the remote."""
    return re.sub(rf"^refs/(heads|remotes/{re.escape(remote or '')})/", "", ref)


def patient(attempt: Callable[[], Finished]) -> Finished:
    """Try until it works, fails for a reason of its own, or another git has been in the way for too long."""
    until = time.monotonic() + TRIES_LAST
    while True:
        done = attempt()
        if done.status == 0 or not BUSY.search(done.err) or time.monotonic() > until:
            return done
        time.sleep(random.uniform(0.01, 0.2))  # noqa: S311 - no secret


def _names(out: bytes) -> list[str]:
    return list(dict.fromkeys(os.fsdecode(name) for name in out.split(b"\0") if name))


def _lines(words: Iterable[str]) -> bytes:
    """What git reads from standard input: it wants an end to the last line, too."""
    return b"".join(os.fsencode(word) + b"\n" for word in words)


def _raw(out: bytes) -> Iterator[tuple[str, str, str, str]]:
    """Git's raw lines: the commit where it is named, the file's content before and after, and its name.

    A merge has several contents before; any will do.
    """
    commit, words = "", iter(out.split(b"\0"))
    for word in words:
        told = word.decode().lstrip("\n")
        if not told.startswith(":"):
            commit = told or commit
            continue
        parents = len(told) - len(told.lstrip(":"))
        modes, names = told.split()[: parents + 1], told.split()[parents + 1 : -1]
        before, after = _content(modes[0].lstrip(":"), names[0]), _content(modes[-1], names[-1])
        yield commit, before, after, os.fsdecode(next(words))


def _content(mode: str, name: str) -> str:
    return f"{mode} {name}" if mode.strip("0") else ""


def _limited(files: Collection[str]) -> tuple[str, ...]:
    """The end of a command line that asks for these files only, unless they are too many."""
    return ("--", *sorted(files)) if len(files) <= MANY else ()


def _modified(*paths: Path) -> list[float]:
    """When those of the files that exist were last written."""
    return [path.stat().st_mtime for path in paths if path.exists()]


def _pattern(template: str) -> str | None:
    """The line that ignores a template's first folder; None where it lies outside of the repository."""
    first = template.removeprefix("./").split("/")[0]
    if template.startswith("/") or first in {"", ".", "..", "~"}:
        return None
    escaped = re.sub(r"([\\*?\[\]!# ])", r"\\\1", first.replace("{id}", "task-\0"))
    return f"/{escaped.replace(chr(0), '*').replace(chr(10), '?')}/"  # a pattern is one line


def _no_repository(err: bytes) -> NoRepoError:
    """Git's own words, with its advice where it doesn't trust the folder's owner."""
    words = complaint(err)
    advice = re.search(rb"git config --global --add safe\.directory .+", err)
    if advice is not None:
        return NoRepoError(words, hint=f"if you trust it: {os.fsdecode(advice[0]).strip()}")
    return NoRepoError(words, hint="go to a folder of a repository, name one with -C, or make one: git init")
