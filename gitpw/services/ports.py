"""What services need of the outside, and the context that one command runs in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from gitpw.domain.checkout import Look, Own, Worktree
from gitpw.domain.forecast import Changes
from gitpw.domain.ids import ClaimId, TaskId
from gitpw.domain.operation import Author
from gitpw.domain.policy import Policy
from gitpw.ledger.ledger import Ledger

__all__ = [
    "Checkout",
    "Clock",
    "Conflicts",
    "Context",
    "Fetch",
    "Files",
    "Hooks",
    "Look",
    "Own",
    "Provision",
    "Repo",
    "Rules",
    "Worktree",
    "Worktrees",
]


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> datetime:
        """The moment, in UTC."""


class Fetch(Protocol):
    """A fetch that goes on by itself."""

    def wait(self, timeout: float) -> bool:
        """Whether it has ended by now, or does within `timeout` seconds; to be asked once."""


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

    def start_fetch(self, remote: str, branches: Sequence[str]) -> Fetch | None:
        """Begin to bring the remote-tracking refs of branches up to date, as far as the remote has them."""

    def tips(self, refs: Sequence[str]) -> Mapping[str, str]:
        """The commits of those of the refs (full names) that are here."""

    def merge_base(self, one: str, two: str) -> str | None:
        """The commit at which two parted; None where they have nothing in common."""

    def fetched_ago(self, remote: str, branch: str) -> float | None:
        """Seconds since that ref was last brought up to date, if known."""

    def run_pre_push(self, remote: str, lines: Sequence[str]) -> None:
        """Run the user's own pre-push hooks, ours left out; raises `FailedError` where they refuse."""

    def default_branch(self, remote: str | None) -> str:
        """The branch that the remote's HEAD names, or the likeliest one."""

    def push_url(self, remote: str) -> str:
        """Where pushes to a remote go."""

    def main_root(self) -> str | None:
        """The root of the main checkout; None where the repository is bare."""

    def inside(self, path: str) -> bool:
        """Whether the current folder is in that one."""

    def staged(self) -> Sequence[str]:
        """The files that a commit made now would change; in a merge, where it differs from all its parents."""

    def new_files(self, head: str, remote: str) -> Sequence[str]:
        """The files that commits change which no remote-tracking ref of that remote contains."""

    def delete_branch(self, branch: str, expected: str) -> bool:
        """Delete a local branch if it still is where it is expected."""


class Conflicts(Protocol):
    """What commits that are here change, and which of them conflict."""

    def changes(self, tips: Sequence[str], base: str, timeout: float) -> Mapping[str, Changes]:
        """What the commits of each tip change that aren't contained in `base`; raises `FailedError` when the time is up."""

    def conflicts(
        self, pairs: Sequence[tuple[str, str]], timeout: float
    ) -> Mapping[tuple[str, str], Sequence[str]]:
        """The files in which each pair conflicts, none where it merges cleanly; pairs may be missing after `timeout`."""


class Worktrees(Protocol):
    """The linked worktrees of the user's repository."""

    def all(self) -> Sequence[Worktree]:
        """All linked worktrees, the main checkout left out."""

    def find(self, task: TaskId) -> Worktree | None:
        """The one that was made for a task."""

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

        Whatever an interrupted earlier call left is finished. A new one has all files, or with `sparse` those folders
        and what lies above them, or without `checkout` none. Raises `FailedError` where something that isn't ours
        is in the way.
        """

    def files(self, path: str) -> int:
        """How many files are tracked in a worktree; 0 where that can't be told."""

    def occupants(self, worktree: Worktree) -> Sequence[str]:
        """The programs that have their current folder in a worktree, as far as this system tells."""

    def advance(self, path: str, commit: str) -> bool:
        """Bring a worktree forward to a commit if it has no commits and no changes of its own; whether it is there."""

    def look(self, worktree: Worktree, base: str | None, timeout: float) -> Look:
        """What can be found out about a worktree in time."""

    def dirty(self, worktree: Worktree) -> Sequence[str]:
        """Uncommitted and untracked files, relative to the worktree."""

    def remove(self, worktree: Worktree) -> None:
        """Take a clean worktree away, keeping its branch; raises `FailedError` where it has changes."""

    def repair(self, paths: Sequence[str] = ()) -> Sequence[str]:
        """Mend what moved (`paths`: to where nobody would look) and prune what is gone; the names of what was done."""


class Provision(Protocol):
    """What a new worktree needs besides its tracked files."""

    def pending(self, path: str) -> str | None:
        """What a worktree still needs: "all", or "setup" where the files are there; None where it needs nothing."""

    def reached(self, path: str, pending: str | None) -> None:
        """Note what a worktree still needs."""

    def include(self, path: str) -> tuple[Sequence[str], Sequence[str]]:
        """Copy what `.worktreeinclude` names; what was copied, and in words what couldn't be."""

    def submodules(self, path: str) -> Sequence[str]:
        """The submodules of a worktree that aren't there yet."""

    def approved(self, commands: Sequence[str]) -> bool:
        """Whether a person has approved exactly these commands here."""

    def approve(self, commands: Sequence[str]) -> None:
        """Remember that a person has approved exactly these commands."""

    def run(self, path: str, command: str) -> int:
        """Run one command in a worktree, with its output on standard error; its exit status."""


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


class Hooks(Protocol):
    """The hooks that git runs in the user's repository."""

    def install(self) -> Sequence[str]:
        """Put our shims in place, chained to what is there; the hooks that are new. Run again, it repairs."""

    def uninstall(self) -> Sequence[str]:
        """Take the shims out and put back what was there, byte for byte; the hooks that were taken out."""

    def problems(self) -> Sequence[str]:
        """Why hooks would not fire, in words; empty where all is well."""


class Rules(Protocol):
    """The rules in force where they guard or run something: those on the base branch."""

    def policy(self) -> Policy:
        """The rules in force; raises `ConfigError` where they can't be read."""

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

    def versions(self) -> list[tuple[str, str, str | None]]:
        """The programs and libraries that matter: name, version, and the least that is needed."""

    def shadowed(self) -> list[str]:
        """Another `git-pw` that comes first on PATH."""


@dataclass(frozen=True)
class Context:
    """Who asks, from where, of which ledger, by which rules.

    `joined` where this very command is the first in its clone to meet the ledger. With `dry_run` the ledger decides and changes nothing, and nothing else may be changed either. `local` is this machine's own ledger where it still has to move to the remote; `fall_back` makes the ledger use
    the ref that stands in for its own on hosts that refuse it.
    """

    ledger: Ledger
    repo: Repo
    checkout: Checkout
    worktrees: Worktrees
    conflicts: Conflicts
    provision: Provision
    hooks: Hooks
    files: Files
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
