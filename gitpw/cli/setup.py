"""Set-up: init, uninstall, doctor, config, demo."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from gitpw.cli.commands import command, option
from gitpw.cli.output import counted, plain
from gitpw.errors import FailedError, InvalidError, UsageError

if TYPE_CHECKING:
    from gitpw.cli.session import Session
    from gitpw.services.doctor import Finding
    from gitpw.services.init import Initialised


@command(
    "init",
    "git pw init",
    "git pw init --remote upstream",
    "git pw init --no-hooks",
    "git -C /srv/git/shop.git pw init --server",
)
@option("--remote", metavar="NAME|URL", help="Where the ledger lives.  [default: origin]")
@option("--hooks/--no-hooks", default=True, help="Install the git hooks.  [default: --hooks]")
@option("--new", is_flag=True, help="Start a new ledger although .gitpw.toml names another.")
@option(
    "--server", is_flag=True, help="In a bare repository: guard what is pushed to it, by a pre-receive hook."
)
def init(session: Session, remote: str | None, hooks: bool, new: bool, server: bool) -> None:
    """Make or join the ledger, and install the hooks.

    The ledger is made if the remote has none; .gitpw.toml is written if there is none. Run again, it repairs. With
    --server nothing is made but the hook.
    """
    if server:
        _guard_server(session, alone=remote is None and hooks and not new)
        return
    from gitpw.services.init import init as run

    done = run(
        session.open(remote=remote, need_ledger=False, beginning=True, changes=True), hooks=hooks, new=new
    )
    session.notes(done.notes)
    session.report(_initialised(done), *_told_of_init(done), brief=[done.ledger])


def _guard_server(session: Session, *, alone: bool) -> None:
    """Put the hook into a repository that people push to."""
    if not alone:
        raise UsageError("--server stands alone", hint="git pw init --server")
    if session.dry_run:
        raise UsageError(
            "this command can't be tried with --dry-run", hint="leave it out; nothing was changed"
        )
    from gitpw.app import open_server

    new = open_server(session.directory).install()
    lines = [f"hook {name}" for name in new] or ["the pre-receive hook is in place"]
    session.report({"hooks": new}, *lines, brief=new)


def _initialised(done: Initialised) -> dict[str, object]:
    names = ("ledger", "remote", "created", "moved", "hooks", "files", "notes")
    return {name: getattr(done, name) for name in names}


def _told_of_init(done: Initialised) -> list[str]:
    where = f"on {done.remote}" if done.remote else "on this machine alone (there is no remote)"
    if done.moved and done.remote:
        where = f"to {done.remote}"
    how = "made" if done.created else "moved" if done.moved else "joined"
    lines = [f"{how} ledger {done.ledger} {where}"]
    lines += [f"hook {name}" for name in done.hooks]
    lines += [f"wrote {name}" for name in done.files]
    if ".gitpw.toml" in done.files:
        lines.append("commit .gitpw.toml, so that every clone knows which ledger is meant")
    return lines


@command("uninstall", "git pw uninstall", "git pw uninstall --purge-remote")
@option("--purge-remote", is_flag=True, help="Delete the ledger on the remote too: for everybody.")
def uninstall(session: Session, purge_remote: bool) -> None:
    """Take out what init put in: hooks, config, store.

    The ledger on the remote stays, for the others, unless --purge-remote says otherwise.
    """
    from gitpw.services.uninstall import uninstall as run

    done = run(session.open(need_ledger=False, changes=True), purge_remote=purge_remote)
    session.notes(f"kept {one}" for one in done.kept)
    session.report({"removed": done.removed, "kept": done.kept}, *(f"removed {one}" for one in done.removed))


@command("doctor", "git pw doctor", "git pw doctor --fix")
@option("--fix", is_flag=True, help="Repair what can be repaired.")
def doctor(session: Session, fix: bool) -> None:
    """Check that all is set up well, and repair it.

    Looks at git and library versions, remote, credentials, hooks, clock, worktrees and the ledger. Exit status 1 when something is wrong that wasn't repaired.
    """
    from gitpw.services.doctor import doctor as run

    findings = run(session.open(need_ledger=False, changes=fix), fix=fix)
    wrong = [one for one in findings if one.level == "error" and not one.fixed]
    if not wrong:
        session.report({"findings": findings}, *_told_of_findings(findings))
        return
    for line in _told_of_findings(findings):
        if not session.json:
            session.complain(line)
    hint = None if fix else "'git pw doctor --fix' repairs what can be repaired"
    raise FailedError(f"{counted(len(wrong), 'problem')} found", hint=hint, findings=findings)


def _told_of_findings(findings: Sequence[Finding]) -> list[str]:
    lines = []
    for one in findings:
        level = "fixed" if one.fixed else one.level
        lines.append(f"{level:<5}  {one.message}")
        if one.hint and level not in {"ok", "fixed"}:
            lines.append(f"       hint: {one.hint}")
    return lines


@command("config", "git pw config", "git pw config claim.lease", "git pw config claim.lease 90m")
@click.argument("key", required=False)
@click.argument("value", required=False)
def config(session: Session, key: str | None, value: str | None) -> None:
    """Show or change the rules in .gitpw.toml.

    Without KEY all of them, with KEY one; VALUE changes it.
    """
    from gitpw.adapters.policy import get_value, set_value

    context = session.open(need_ledger=False, changes=value is not None)
    if key is None:
        rules = dict(_flat(context.policy.model_dump(mode="json", by_alias=True)))
        session.answer({"config": rules}, *(f"{name} = {_shown(rule)}" for name, rule in rules.items()))
        return
    root = context.repo.root
    if value is None:
        found = get_value(root, key)
        session.answer({"key": key, "value": found}, _shown(plain(found)))
        return
    if root is None:
        raise InvalidError("a bare repository has no .gitpw.toml", hint="run it in a clone")
    set_value(root, key, value)
    found = get_value(root, key)
    session.report({"key": key, "value": found}, f"{key} = {_shown(plain(found))}")


def _flat(table: dict[str, Any], above: str = "") -> list[tuple[str, Any]]:
    """A table of tables as dotted keys."""
    flat: list[tuple[str, Any]] = []
    for name, value in table.items():
        if isinstance(value, dict):
            flat += _flat(value, f"{above}{name}.")
        else:
            flat.append((f"{above}{name}", value))
    return flat


def _shown(value: object) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@command("demo", "git pw demo", "git pw demo --keep")
@option("--keep", is_flag=True, help="Keep the repository, and say where it is.")
def demo(session: Session, keep: bool) -> None:
    """See three workers share a throw-away repository.

    They claim, clash, commit and complete; what is printed is what the commands really print.
    """
    from gitpw.adapters.process import run as spawn
    from gitpw.services.demo import demo as run

    run(sys.stderr if session.json else sys.stdout, spawn, keep=keep)
    session.answer({"kept": keep})
