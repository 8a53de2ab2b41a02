"""What services need of the outside, and the context that one command runs in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from gitpw.domain.change import Change
from gitpw.domain.checkout import Memory, Own, Worktree
from gitpw.domain.checkup import Greeting, Leftover, Program, Shots
from gitpw.domain.ids import ClaimId, TaskId
from gitpw.domain.operation import Author
from gitpw.domain.policy import Policy
from gitpw.domain.review import Committed
from gitpw.errors import PwError
from gitpw.ledger.ledger import Ledger

__all__ = [
    "Change",
    "Checkout",
    "Clock",
    "Commits",
    "Context",
    "Far",
    "Files",
    "Hooks",
    "Memory",
    "Modes",
    "Own",
    "Probe",
    "Repo",
    "Rules",
    "Worktree",
    "Worktrees",
]


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> datetime:
        """The moment, in UTC."""


class Repo(Protocol):
    """The user's repository, seen from one of its checkouts. Paths are absolute, commits 40 (or 64) hex digits."""

    root: str | None
    git_dir: str
    common_dir: str
    prefix: str

    def config(self, key: str) -> str | None:
        """A value of git's configuration; the key in lower case."""

    def remotes(self) -> Sequence[str]:
        """The names of the remotes."""

    def resolve(self, revision: str) -> str | None:
        """The commit that a revision names."""

    def branch(self) -> str | None:
        """The branch that is checked out; None where HEAD is detached."""

    def tracked(self, path: str) -> bool:
        """Whether a path (relative to the root) is tracked, taken literally."""

    def dirty(self) -> Sequence[str]:
        """Uncommitted and untracked files of this checkout, relative to the root."""

    def changed(self, base: str, head: str) -> Sequence[str]:
        """The files that differ between two commits, both ends of a rename."""

    def ancestor(self, one: str, of: str) -> bool:
        """Whether a commit is contained in another."""

    def fetch_branch(self, remote: str, branch: str, timeout: float) -> bool:
        """Bring the remote-tracking ref of one branch up to date; False where the remote can't be reached."""

    def fetched_ago(self, remote: str, branch: str) -> float | None:
        """Seconds since that ref was last brought up to date, if known."""

    def run_pre_push(self, remote: str, lines: Sequence[str]) -> None:
        """Run the user's own pre-push hooks, ours left out; raises `FailedError` where they refuse."""

    def default_branch(self, remote: str | None) -> str:
        """The branch that the remote's HEAD names, or the likeliest one."""

    def inside(self, path: str) -> bool:
        """Whether the current folder is in that one."""

    def leads_to(self, remote: str, url: str) -> bool:
        """Whether a remote, by name or URL, is the repository at a URL, however that is written."""

    def staged(self) -> Sequence[str]:
        """The files that a commit made now would change; in a merge, where it differs from all its parents."""

    def staged_changes(self, files: Collection[str]) -> Sequence[Change]:
        """These staged files as the index has them."""

    def new_commits(self, heads: Iterable[str], remote: str, there: Iterable[str]) -> Sequence[str]:
        """The commits that some heads bring to a remote, which has the commits `there` already; newest first."""

    def files_of(self, commits: Sequence[str]) -> Sequence[str]:
        """The files that some commits change; a merge counts where it differs from all its parents."""

    def changes(self, commits: Sequence[str], files: Collection[str]) -> Sequence[Change]:
        """What each of some commits makes of these files, if it changes them at all."""

    def brought_in(self, tip: str, changes: Iterable[Change]) -> Collection[Change]:
        """Those changes that make of a file what the branch that ends at `tip` has, or had since it was left."""

    def outside(self, commits: Sequence[str], branch: str) -> Collection[str]:
        """Those commits that a local branch doesn't contain."""

    def excludes(self, template: str) -> bool:
        """Whether worktrees made by this template are out of `git status`, or outside of the repository."""

    def exclude(self, template: str) -> bool:
        """Keep them out of `git status`; False where nothing had to be done."""

    def main_root(self) -> str | None:
        """The root of the main checkout; None where the repository is bare."""

    def delete_branch(self, branch: str, expected: str) -> bool:
        """Delete a local branch if it still is where it is expected."""


class Commits(Protocol):
    """The commits of the user's repository, as a review reads them."""

    def changes(
        self, heads: Sequence[str], without: Sequence[str] = (), *, new: bool = False
    ) -> Sequence[Committed]:
        """What the commits of `heads` change that aren't part of `without`, newest first.

        With `new`, those that no branch and no tag has yet. What of `without` isn't here has nothing to exclude.
        """

    def own(
        self, commits: Sequence[Committed], places: Collection[tuple[str, str]], tip: str
    ) -> Sequence[Committed]:
        """The same commits, but at those places (a commit and a file) only what isn't brought in from `tip`'s branch."""


class Worktrees(Protocol):
    """The linked worktrees of the user's repository."""

    def all(self) -> Sequence[Worktree]:
        """All linked worktrees, the main checkout left out."""

    def find(self, task: TaskId) -> Worktree | None:
        """The one that was made for a task."""

    def memories(self) -> Sequence[Memory]:
        """What all checkouts remember, the main one first."""

    def make(self, path: str, branch: str, base: str, own: Own) -> str:
        """Make a worktree on a branch (made at `base` unless it exists) and record the claim in it; its path.

        Whatever an interrupted earlier call left is finished. Raises `FailedError` where something that isn't ours
        is in the way.
        """

    def dirty(self, worktree: Worktree) -> Sequence[str]:
        """Uncommitted and untracked files, relative to the worktree."""

    def remove(self, worktree: Worktree) -> None:
        """Take a clean worktree away, keeping its branch; raises `FailedError` where it has changes."""

    def repair(self) -> Sequence[str]:
        """Mend what moved and prune what is gone; the names of what was done."""


class Checkout(Protocol):
    """What this checkout remembers in its own git dir."""

    def place(self) -> str:
        """A random id of this checkout, made at the first call."""

    def own(self) -> Sequence[Own]:
        """The claims of this checkout, in a linked worktree the one that it was made for."""

    def remember(self, own: Own) -> None:
        """Add a claim, or replace the one of the same id."""

    def forget(self, claims: Sequence[ClaimId]) -> None:
        """Drop claims that are no more."""


class Modes(Protocol):
    """The write bits of the files in one checkout; names are relative to its root."""

    def own(self) -> Sequence[Own]:
        """The claims of this checkout."""

    def tracked(self) -> Sequence[str]:
        """The ordinary files in the index."""

    def frozen(self) -> Sequence[str]:
        """The files that are read-only by our doing."""

    def astray(self, frozen: Collection[str], free: Collection[str]) -> list[str]:
        """The files whose write bits aren't as they should be; files that aren't there have none."""

    def set(self, frozen: Collection[str], free: Collection[str]) -> list[str]:
        """Make files read-only and others writable; those that were changed."""


class Hooks(Protocol):
    """The hooks that git runs in the user's repository."""

    def install(self) -> Sequence[str]:
        """Put our shims in place, chained to what is there; the hooks that are new. Run again, it repairs."""

    def keep(self) -> Sequence[str]:
        """Install again, if they ever were, what others have written over or a new worktree lacks; what that was."""

    def uninstall(self) -> Sequence[str]:
        """Take the shims out and put back what was there, byte for byte; the hooks that were taken out."""

    def problems(self) -> Sequence[str]:
        """Why hooks would not fire, in words; empty where all is well."""


class Rules(Protocol):
    """The rules in force where they guard or run something: those on the base branch."""

    def policy(self) -> Policy:
        """The rules in force; raises `ConfigError` where they can't be read."""

    def lockable(self) -> bool:
        """Whether there are lockable files, by what was written down for the hooks if that still holds; raises as `policy` does."""

    def on_base(self) -> bool:
        """Whether they were found on the base branch; raises as `policy` does."""

    def publish(self) -> None:
        """Write the rules down for the hooks, that need no Python where nobody holds anything."""


class Files(Protocol):
    """What `init` writes besides hooks, and what `doctor` wants to know of this machine."""

    def write(self, ledger: str) -> list[str]:
        """Write `.gitpw.toml` if there is none, or the ledger's id into it; exclude our worktrees; what is new."""

    def remove(self) -> list[str]:
        """Take our folder in the git dir, our git settings and our excludes away; what was removed."""

    def purge_remote(self) -> list[str]:
        """Delete the ledger's refs from the remote; what was removed."""

    def named(self) -> bool:
        """Whether the checkout's `.gitpw.toml` names a ledger; True where there is no checkout."""

    def leftovers(self) -> list[Leftover]:
        """What processes that were killed have left behind."""

    def clear(self, leftovers: Iterable[Leftover]) -> list[Leftover]:
        """Take leftovers away; those that are gone."""

    def renew_store(self) -> str | None:
        """Move a store aside that can't be opened; where it is now, None where it may be all there is."""

    def versions(self) -> list[tuple[str, str, str | None]]:
        """The programs and libraries that matter: name, version, and the least that is needed."""

    def shadowed(self) -> list[str]:
        """Another `git-pw` that comes first on PATH."""


class Far(Protocol):
    """The remote that has the ledger."""

    def greet(self, timeout: float) -> Greeting:
        """What it shows to whoever asks, without a password being asked for; raises `OfflineError`, `FailedError`."""

    def rehearse(self, timeout: float) -> None:
        """Push what is there already, up to the last step: raises `FailedError` where that isn't allowed."""


class Probe(Protocol):
    """Tries the hooks."""

    def fire(self) -> Shots:
        """Have git run each of our hooks; which it did, and why not the others."""

    def programs(self) -> list[Program]:
        """The git-pw that our hooks name, tried."""


@dataclass(frozen=True)
class Context:
    """Who asks, from where, of which ledger, by which rules.

    `joined` where this very command is the first in its clone to meet the ledger. With `dry_run` the ledger decides and changes nothing, and nothing else may be changed either. `local` is this machine's own ledger where it still has to move to the remote; `fall_back` makes the ledger use
    the ref that stands in for its own on hosts that refuse it. `modes` gives the write bits in the checkout of a path,
    by default this one, and None where there are no files. `faults` are the rules and the store of this machine where
    they could not be read; defaults stand in for them.
    """

    ledger: Ledger
    repo: Repo
    checkout: Checkout
    worktrees: Worktrees
    hooks: Hooks
    probe: Probe
    files: Files
    modes: Callable[[str | None], Modes | None]
    policy: Policy
    rules: Rules
    clock: Clock
    me: Author
    remote: str | None
    tell: Callable[[str], None] = field(default=lambda _: None)
    dry_run: bool = False
    joined: bool = False
    local: Ledger | None = None
    fall_back: Callable[[], None] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[str, PwError] = field(default_factory=dict)
    far: Far | None = None
