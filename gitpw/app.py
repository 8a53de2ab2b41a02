"""The composition root: the only file that names concrete classes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from gitpw.adapters.early import EarlyPush, open_early
from gitpw.adapters.git import GitRepo
from gitpw.errors import PwError

if TYPE_CHECKING:
    from gitpw.adapters.commits import GitCommits
    from gitpw.adapters.server import ServerHooks
    from gitpw.adapters.signing import GitSigning
    from gitpw.domain.policy import Policy
    from gitpw.domain.review import Span
    from gitpw.ledger.journal import Journal
    from gitpw.ledger.ledger import Ledger
    from gitpw.ledger.local import LocalStore
    from gitpw.ledger.store import Store
    from gitpw.services.gate import Gate
    from gitpw.services.ports import Clock, Context, Traces, Workshop

T = TypeVar("T")


def open_context(
    *,
    directory: str | None = None,
    worker: str | None = None,
    remote: str | None = None,
    need_ledger: bool = True,
    beginning: bool = False,
    pushes: bool = False,
    dry_run: bool = False,
    lenient: bool = False,
    policy: Policy | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Context:
    """Everything that a command needs; raises `NoRepoError` and `ConfigError`.

    The rules are those in the root of the checkout, unless a `policy` is given.

    With `need_ledger`, a repository without a ledger is refused, and a fresh clone joins the remote's by itself.
    `beginning` is for `init`: the remote's ledger is meant even while this machine still has one of its own.
    With `dry_run` everything is decided and nothing is changed. `lenient` is for commands that repair: what can't be
    read doesn't stop them, and is told in the context. `pushes` says that the command will change the ledger, and a connection is opened while the rest is imported.
    """
    repo = GitRepo.discover(directory)
    likely = remote or _remote(repo, None)
    early = open_early(repo, likely) if pushes and not dry_run else None
    return _assembled(
        repo,
        worker,
        remote,
        early,
        need_ledger=need_ledger,
        beginning=beginning,
        likely=likely,
        dry_run=dry_run,
        lenient=lenient,
        policy=policy,
        tell=tell,
    )


def find_span(
    *,
    directory: str | None,
    base: str | None,
    head: str | None,
    branch: str | None,
    tell: Callable[[str], None],
) -> tuple[GitCommits, Span, Policy] | None:
    """The commits that a check is about, and the rules that they are judged by; None where there are none.

    By name, by what a CI system says in the environment, or those that the base branch doesn't have.
    """
    from gitpw.adapters.ci import detect
    from gitpw.adapters.commits import GitCommits
    from gitpw.adapters.span import Finder

    repo = GitRepo.discover(directory)
    found = Finder(repo, _remote(repo, None), detect(os.environ), tell).find(base, head, branch)
    return None if found is None else (GitCommits(repo), *found)


def open_gate(*, directory: str | None, tell: Callable[[str], None]) -> Gate:
    """The repository that receives a push, with what is in quarantine."""
    from gitpw.adapters.clock import SystemClock
    from gitpw.adapters.commits import GitCommits
    from gitpw.adapters.objects import GitObjects
    from gitpw.services.gate import Gate

    repo = GitRepo.discover(directory)

    def policy_at(commit: str) -> Policy:
        from gitpw.adapters.span import policy_at as read

        return read(repo, commit)

    return Gate(
        objects=GitObjects(repo),
        commits=GitCommits(repo),
        repo=repo,
        clock=SystemClock(),
        policy_at=policy_at,
        signatures=lambda: _signing(repo, Path(repo.common_dir, "pw")),
        tell=tell,
    )


def open_server(directory: str | None) -> ServerHooks:
    """The hooks of a bare repository that people push to."""
    from gitpw.adapters.server import ServerHooks

    return ServerHooks(GitRepo.discover(directory))


def free_at_a_glance() -> bool:
    """Whether what is staged here is free to be committed, by what is written down for the hooks alone.

    False is no verdict. Nothing that is slow to import is needed for it.
    """
    from gitpw.adapters.checkout import GitCheckout
    from gitpw.adapters.process import detach
    from gitpw.adapters.sheet import known
    from gitpw.domain.checkout import considered
    from gitpw.domain.glance import plainly_free

    repo = GitRepo.discover()
    found = known(Path(repo.common_dir, "pw"))
    if found is None:
        return False
    worker = os.environ.get("GITPW_WORKER") or found.sheet.worker
    own = considered(GitCheckout(repo.git_dir).own(), worker, linked=repo.git_dir != repo.common_dir)
    if not plainly_free(found.listing, found.sheet, own, repo.staged()):
        return False
    if found.old > found.sheet.age / 3:
        detach([sys.argv[0], "hook", "refresh"])
    return True


def _assembled(
    repo: GitRepo,
    worker: str | None,
    remote: str | None,
    early: EarlyPush | None,
    *,
    need_ledger: bool,
    beginning: bool,
    likely: str | None,
    dry_run: bool,
    lenient: bool,
    policy: Policy | None,
    tell: Callable[[str], None],
) -> Context:
    """The rest, with what is slow to import."""
    from gitpw.adapters.checkout import GitCheckout
    from gitpw.adapters.clock import SystemClock
    from gitpw.adapters.conflicts import GitConflicts
    from gitpw.adapters.files import OwnFiles
    from gitpw.adapters.hooks import GitHooks
    from gitpw.adapters.identity import host_name, identify
    from gitpw.adapters.modes import modes_of
    from gitpw.adapters.policy import load_policy
    from gitpw.adapters.probe import HookProbe
    from gitpw.adapters.process import run
    from gitpw.adapters.provision import GitProvision
    from gitpw.adapters.reports import HeldBack
    from gitpw.adapters.rules import GitRules
    from gitpw.adapters.traces import GitTraces
    from gitpw.adapters.worktree import GitWorktrees
    from gitpw.domain.operation import Author
    from gitpw.domain.policy import Policy
    from gitpw.ledger.journal import Journal
    from gitpw.ledger.local import LocalStore
    from gitpw.ledger.remote import RemoteStore
    from gitpw.services.ports import Context

    faults: dict[str, PwError] | None = {} if lenient else None
    if policy is None:
        policy = _tried("rules", lambda: load_policy(repo.root), Policy(), faults)
    checkout = GitCheckout(repo.git_dir)
    clock = SystemClock()
    host = host_name(os.environ)
    linked = checkout.own() if repo.git_dir != repo.common_dir else []
    me, kind, name, _ = identify(
        given=worker, environment=os.environ, own=linked, config=repo.config, host=host
    )
    folder = Path(repo.common_dir, "pw")
    mine = LocalStore(str(folder), run)
    chosen = remote or _remote(repo, policy)
    at_home = _tried("store", lambda: _begun_here(mine), False, faults)
    unmoved = mine if beginning and mine.path.is_dir() and mine.tip() is not None else None
    if beginning:
        _check_beginning(repo, chosen)
    traces = GitTraces(repo.common_dir, repo.git_dir)
    keys = partial(_signing, repo, folder)
    ledger_in = partial(
        _ledger,
        journal=Journal(folder / "journal"),
        clock=clock,
        expected=policy.ledger,
        traces=traces,
        keys=keys,
        dry_run=dry_run,
        tell=tell,
    )
    local = ledger_in(mine)
    far = None
    if chosen is not None and (beginning or not at_home):
        far = RemoteStore(str(folder), run, chosen, repo.root or repo.common_dir, repo.own_settings)
        far.opened = early if chosen == likely else None
    elif chosen is not None:
        tell(f"the ledger is still on this machine alone: 'git pw init' moves it to {chosen}")
    ledger = local if far is None else ledger_in(far)
    ledger.outbox = HeldBack(repo.git_dir, repo.common_dir)
    joined = need_ledger and _join(ledger, chosen)
    return Context(
        ledger=ledger,
        repo=repo,
        checkout=checkout,
        traces=traces,
        worktrees=GitWorktrees(repo, policy.claim.worktrees),
        reports=ledger.outbox,
        conflicts=GitConflicts(repo),
        provision=GitProvision(repo),
        hooks=GitHooks(repo),
        probe=HookProbe(repo),
        files=OwnFiles(repo, folder, policy, far),
        modes=lambda path: modes_of(repo, path),
        policy=policy,
        rules=GitRules(repo, far, folder, tell),
        clock=clock,
        me=Author(worker=me, type=kind, name=name, host=host, place=checkout.place()),
        remote=chosen if far is not None else None,
        tell=tell,
        local=local if far is not None and unmoved is not None else None,
        fall_back=far.fall_back if far is not None else None,
        dry_run=dry_run,
        joined=joined,
        environment=os.environ,
        faults=faults or {},
        far=far,
        workshop=lambda: _workshop(repo),
        keys=keys,
    )


def _ledger(
    store: Store,
    *,
    journal: Journal,
    clock: Clock,
    expected: str | None,
    traces: Traces,
    keys: Callable[[], GitSigning],
    dry_run: bool,
    tell: Callable[[str], None],
) -> Ledger:
    """The ledger in a store; with what is asked of it go the asker's claims on this machine."""
    from gitpw.domain.presence import along
    from gitpw.ledger.ledger import Ledger

    return Ledger(
        store,
        journal,
        clock.now,
        expected=expected,
        dry_run=dry_run,
        along=lambda board, author: along(board, traces.all(), author.worker, clock.now()),
        signatures=keys,
        tell=tell,
    )


def _tried(name: str, attempt: Callable[[], T], otherwise: T, faults: dict[str, PwError] | None) -> T:
    """What an attempt gives; where that can't be read and faults are kept, something else."""
    try:
        return attempt()
    except PwError as error:
        if faults is None:
            raise
        faults[name] = error
        return otherwise


def _signing(repo: GitRepo, folder: Path) -> GitSigning:
    """What signs and verifies, imported where something is signed."""
    from gitpw.adapters.signing import GitSigning

    return GitSigning(repo.config, os.environ, folder)


def _workshop(repo: GitRepo) -> Workshop:
    """What merging needs, imported when it is."""
    from gitpw.adapters.integrate import GitIntegrator
    from gitpw.adapters.policy import parse_policy
    from gitpw.adapters.testbed import Testbed
    from gitpw.services.ports import Workshop

    return Workshop(GitIntegrator(repo), Testbed(repo), parse_policy)


def _remote(repo: GitRepo, policy: Policy | None) -> str | None:
    """The remote that has the ledger: as configured, else `origin`, else the only one."""
    remotes = repo.remotes()
    configured = repo.config("pw.remote") or (policy.remote if policy else None)
    if configured is not None:
        return configured
    if "origin" in remotes:
        return "origin"
    return remotes[0] if len(remotes) == 1 else None


def _check_beginning(repo: GitRepo, chosen: str | None) -> None:
    """`init` needs a checkout, and to be told which remote is meant where that isn't clear."""
    from gitpw.errors import InvalidError

    if repo.root is None:
        raise InvalidError(
            "a bare repository needs no set-up",
            hint="run 'git pw init' in a clone; 'git pw init --server' guards what is pushed to here",
        )
    remotes = repo.remotes()
    if chosen is None and remotes:
        raise InvalidError(
            f"which of the remotes {', '.join(remotes)} is to have the ledger?",
            hint=f"git pw init --remote {remotes[0]}",
        )


def _begun_here(store: LocalStore) -> bool:
    """Whether this machine has a ledger of its own that hasn't moved to a remote."""
    if not store.path.is_dir() or store.tip() is None:
        return False
    from gitpw.domain.board import Board

    return not Board(store.cells(store.tip())).meta.moved


def _join(ledger: Ledger, chosen: str | None) -> bool:
    """Whether this clone meets the ledger for the first time; raises `ConfigError` where there is none."""
    from gitpw.errors import ConfigError

    if ledger.known():
        return False
    if not ledger.fresh().begun:
        where = f"{chosen} has no git-pw ledger" if chosen else "this repository has no git-pw ledger"
        raise ConfigError(f"{where} yet", hint="git pw init")
    return True
