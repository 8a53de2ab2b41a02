"""What services need of the outside, and the context that one command runs in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple, Protocol

from gitpw.domain.change import Change
from gitpw.domain.checkout import Look, Memory, Own, Trace, Worktree
from gitpw.domain.checkup import Greeting, Leftover, Program, Shots
from gitpw.domain.forecast import Changes
from gitpw.domain.ids import ClaimId, TaskId
from gitpw.domain.integration import Built, Clash, Conflict, Other, Strategy, Tested, Work
from gitpw.domain.operation import Author
from gitpw.domain.policy import Policy
from gitpw.domain.progress import Said
from gitpw.domain.review import Committed
from gitpw.domain.signing import SigningKey
from gitpw.errors import PwError
from gitpw.ledger.ledger import Ledger

__all__ = [
    "Change",
    "Check",
    "Checkout",
    "Clock",
    "Commits",
    "Conflicts",
    "Context",
    "Far",
    "Fetch",
    "Files",
    "Forge",
    "Hooks",
    "Integrator",
    "Keys",
    "Look",
    "Memory",
    "Modes",
    "Own",
    "Probe",
    "Provision",
    "Pull",
    "Repo",
    "Reports",
    "Rules",
    "Testbed",
    "Trace",
    "Traces",
    "Workshop",
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

    def branches_there(self, remote: str, pattern: str) -> dict[str, str]:
        """The branches of a remote that match a pattern, and where they stand; none where it can't be asked."""

    def branches(self) -> dict[str, str]:
        """The local branches and where they stand."""

    def tracked(self, path: str) -> bool:
        """Whether a path (relative to the root) is tracked, taken literally."""

    def dirty(self) -> Sequence[str]:
        """Uncommitted and untracked files of this checkout, relative to the root."""

    def changed(self, base: str, head: str) -> Sequence[str]:
        """The files that differ between two commits, both ends of a rename."""

    def own_changes(self, head: str, tip: str, base: str | None) -> Sequence[str]:
        """The files in which the work up to `head` differs from what it was built on: a base branch now at `tip`."""

    def point_branch(self, branch: str, head: str) -> None:
        """Make a local branch, or move it forward; raises `FailedError` where that would lose commits."""

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

    def forget_branch(self, remote: str, branch: str, expected: str) -> None:
        """Delete the remote-tracking ref of a branch that has gone from the remote, if it is where it is expected."""


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


class Conflicts(Protocol):
    """What commits that are here change, and which of them conflict."""

    def changes(self, tips: Sequence[str], base: str, timeout: float) -> Mapping[str, Changes]:
        """What the commits of each tip change that aren't contained in `base`; raises `FailedError` when the time is up."""

    def conflicts(
        self, pairs: Sequence[tuple[str, str]], timeout: float
    ) -> Mapping[tuple[str, str], Sequence[str]]:
        """The files in which each pair conflicts, none where it merges cleanly; pairs may be missing after `timeout`."""


class Reports(Protocol):
    """What was said of progress in the checkouts of this repository and isn't in the ledger yet."""

    def all(self) -> Sequence[Said]:
        """The last word on each claim."""

    def hold(self, said: Said) -> None:
        """Keep the last word on a claim until the next operation takes it along."""

    def drop(self, told: Iterable[Said]) -> None:
        """Forget what others know by now, unless something else was said meanwhile."""


class Worktrees(Protocol):
    """The linked worktrees of the user's repository."""

    def all(self) -> Sequence[Worktree]:
        """All linked worktrees, the main checkout left out."""

    def find(self, task: TaskId) -> Worktree | None:
        """The one that was made for a task."""

    def memories(self) -> Sequence[Memory]:
        """What all checkouts remember, the main one first."""

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

    def head(self, path: str) -> str | None:
        """The commit that a worktree is at."""

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


class Traces(Protocol):
    """What all checkouts of this machine remember."""

    def all(self) -> Sequence[Trace]:
        """Every claim that a checkout remembers, those of this one first."""

    def sign(self, now: float) -> None:
        """Note that this checkout lives (unix time)."""


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

    def lenient(self) -> Policy:
        """Those to judge by: where they can't be read, the ones that hold without a file, and that is told once."""

    def base(self) -> str:
        """The name of the base branch: what they say, else the remote's default branch."""

    def lockable(self) -> bool:
        """Whether there are lockable files, by what was written down for the hooks if that still holds; raises as `policy` does."""

    def on_base(self) -> bool:
        """Whether they were found on the base branch; raises as `policy` does."""

    def publish(self) -> None:
        """Write the rules down for the hooks, that need no Python where nobody holds anything.

        Where they can't be read, hooks ask for them each time.
        """


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


class Keys(Protocol):
    """The signing keys of whoever uses this machine."""

    def find(self, text: str) -> tuple[SigningKey, str | None]:
        """The public key that a person means, and the file that its private part is in or beside; raises `InvalidError`."""

    def remember(self, key: SigningKey, place: str) -> None:
        """Note where the private part of a key is, for this clone."""

    def sign(self, key: SigningKey, payload: bytes) -> str:
        """Sign with the private part of a key; raises `FailedError` where it can't be used."""


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


class Integrator(Protocol):
    """Builds tasks' work onto the base branch, in memory: no checkout, index or branch of anybody's is touched."""

    def tree(self, commit: str) -> str:
        """The tree of a commit."""

    def text(self, commit: str, path: str) -> str | None:
        """A file's content in a commit; None where there is none."""

    def has(self, commit: str) -> bool:
        """Whether a commit is here."""

    def ancestor(self, one: str, of: str) -> bool:
        """Whether a commit is contained in another."""

    def tips(self, remote: str | None, branches: Sequence[str]) -> dict[str, str]:
        """Where branches stand on the remote, or here; raises `OfflineError`."""

    def bring(self, remote: str, base: str, tips: dict[str, str]) -> None:
        """Fetch the commits of these branches, as far as they aren't here; only the base branch's ref is updated.

        Raises `OfflineError`, and `BranchError` where one of them has gone meanwhile.
        """

    def others(self, tip: str, head: str, files: Sequence[str]) -> list[Other]:
        """The commits of `tip` that `head` hasn't and that changed these files, newest first."""

    def conflicts(self, tip: str, work: Work) -> list[Conflict]:
        """Where work conflicts with a commit, file by file."""

    def build(self, onto: str, work: Work, strategy: Strategy) -> Built | Clash:
        """The work on top of a commit, or where it conflicts with it."""

    def commit_tree(self, onto: str, work: Work, tree: str, strategy: Strategy) -> Built:
        """The whole work as one commit with a given tree."""

    def advance(self, branch: str, old: str, new: str) -> str | None:
        """Move a local branch, with its clean checkout if it has one; why that can't be done now."""


class Testbed(Protocol):
    """The merger's own worktree, and what runs in it."""

    def alone(self) -> AbstractContextManager[None]:
        """Be the only merger of this clone; raises `ContendedError`."""

    def place(self) -> str:
        """A random id of this clone."""

    def results(self) -> dict[str, list[int]]:
        """What earlier runs said: how often each was green and red."""

    def keep(self, results: dict[str, list[int]]) -> None:
        """Remember them."""

    def test(
        self,
        commit: str,
        commands: Sequence[str],
        *,
        timeout: float,
        env: Mapping[str, str],
        show: Callable[[str], None],
        beat: Callable[[], None],
    ) -> Tested:
        """Run commands on a commit until one fails; `beat` is called once a second, what it raises ends them."""

    def resolve(
        self,
        onto: str,
        head: str,
        command: str,
        *,
        timeout: float,
        env: Mapping[str, str],
        beat: Callable[[], None],
    ) -> str | None:
        """Merge two commits with a command's help; the tree, None where conflicts are left."""

    def tail(self, log: str) -> str:
        """The end of a log."""

    def remove(self) -> list[str]:
        """Take the worktree away; what was removed."""


class Pull(NamedTuple):
    """A pull request as the host shows it: `head` is the commit that it knows of."""

    number: int
    url: str
    head: str
    base: str
    state: Literal["open", "merged", "closed"]


class Check(NamedTuple):
    """One check of a commit."""

    name: str
    state: Literal["pending", "success", "failure"]


class Forge(Protocol):
    """The host of the repository. All methods raise `OfflineError` where it can't be asked, `FailedError` where it refuses."""

    def find(self, branch: str) -> Pull | None:
        """The open pull request of a branch."""

    def create(self, branch: str, base: str, title: str, body: str) -> Pull:
        """Open one."""

    def pull(self, number: int) -> Pull:
        """How the host shows it now."""

    def checks(self, commit: str) -> Sequence[Check] | None:
        """The checks of exactly this commit; None while it can't be told which there will be."""

    def merge(self, number: int, sha: str, strategy: Strategy) -> None:
        """Merge it if its head is that commit."""

    def enqueue(self, number: int, sha: str) -> bool:
        """Hand it over to the host's own queue; False where the base branch has none."""

    def children(self, branch: str) -> Sequence[Pull]:
        """The open pull requests that are to be merged into a branch."""

    def retarget(self, number: int, base: str) -> None:
        """Let it be merged into another branch."""


class Workshop(NamedTuple):
    """What merging needs; `rules` reads the policy's text, `forge` is None where no host is configured."""

    integrator: Integrator
    testbed: Testbed
    rules: Callable[[str, str], Policy]
    forge: Forge | None = None


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
    traces: Traces
    worktrees: Worktrees
    reports: Reports
    conflicts: Conflicts
    provision: Provision
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
    workshop: Callable[[], Workshop] | None = None
    keys: Callable[[], Keys] | None = None
