"""Set-up: init, uninstall, doctor, config, demo."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from gitpw.cli.commands import command, option
from gitpw.cli.output import counted, plain
from gitpw.errors import ConfigError, FailedError, InvalidError, UsageError

if TYPE_CHECKING:
    from gitpw.cli.session import Session
    from gitpw.services.doctor import Finding
    from gitpw.services.init import Initialised
    from gitpw.services.ports import Context


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

    done = run(session.open(need_ledger=False, changes=True, lenient=True), purge_remote=purge_remote)
    session.notes(f"kept {one}" for one in done.kept)
    session.report({"removed": done.removed, "kept": done.kept}, *(f"removed {one}" for one in done.removed))


@command("doctor", "git pw doctor", "git pw doctor --fix")
@option("--fix", is_flag=True, help="Repair what can be repaired.")
def doctor(session: Session, fix: bool) -> None:
    """Check that all is set up well, and repair it.

    Looks at git and libraries, rules, remote, ledger, hooks (by having git run them), worktrees, clocks, and what killed processes left. docs/doctor.md explains each finding. Exit status 1 when something is wrong that wasn't repaired.
    """
    from gitpw.services.doctor import doctor as run

    findings = run(session.open(need_ledger=False, changes=fix, lenient=True), fix=fix)
    wrong = [one for one in findings if one.level == "error" and not one.fixed]
    if not wrong:
        brief = _told_of_findings([one for one in findings if one.level != "ok"])
        session.report({"findings": findings}, *_told_of_findings(findings), brief=brief)
        return
    for line in _told_of_findings(findings):
        if not session.json:
            session.complain(line)
    hint = None if fix else "'git pw doctor --fix' repairs what can be repaired"
    raise FailedError(f"{counted(len(wrong), 'problem')} found", hint=hint, findings=findings)


def _told_of_findings(findings: Sequence[Finding]) -> list[str]:
    """The findings by what they are about; what is well in one line."""
    from gitpw.domain.checkup import area

    areas: dict[str, list[Finding]] = {}
    for one in findings:
        areas.setdefault(area(one.code), []).append(one)
    lines = []
    for name, found in areas.items():
        lines += [name] if len(areas) > 1 else []
        well = ", ".join(one.message for one in found if one.level == "ok")
        lines += [f"ok     {well}"] if well else []
        for one in found:
            lines += _told_of_finding(one) if one.level != "ok" else []
    return lines


def _told_of_finding(one: Finding) -> list[str]:
    if one.fixed:
        return [f"fixed  {one.message}"]
    return [f"{one.level:<5}  {one.message}", *([f"       hint: {one.hint}"] if one.hint else [])]


@command(
    "config",
    "git pw config",
    "git pw config claim.lease 90m",
    "git pw config --add policy.lockable '**/*.psd'",
    "git pw config --unset claim.lease",
)
@click.argument("key", required=False)
@click.argument("values", metavar="[VALUE]...", nargs=-1)
@option("--add", is_flag=True, help="Add VALUE to a list.")
@option("--remove", is_flag=True, help="Take VALUE out of a list.")
@option("--unset", is_flag=True, help="Take KEY out, so that its default holds.")
def config(
    session: Session, key: str | None, values: tuple[str, ...], add: bool, remove: bool, unset: bool
) -> None:
    """Show or change the rules in .gitpw.toml.

    Without KEY all of them, with KEY one; VALUE changes it. Comments and layout stay.
    """
    changes = bool(values) or add or remove or unset
    if key is None:
        if changes:
            raise UsageError("which key?", hint="'git pw config' lists them")
        _list_rules(session)
        return
    if not changes:
        from gitpw.adapters.policy import get_value

        found = get_value(session.open(need_ledger=False, lenient=True).repo.root, key)
        session.answer({"key": key, "value": found}, _shown(plain(found)))
        return
    _check_change(key, values, add=add, remove=remove, unset=unset)
    context = session.open(need_ledger=False, lenient=True, changes=True)
    if context.repo.root is None:
        raise InvalidError("a bare repository has no .gitpw.toml", hint="run it in a clone")
    _changed(
        session, context, key, values, "add" if add else "remove" if remove else "unset" if unset else "set"
    )


def _check_change(key: str, values: tuple[str, ...], *, add: bool, remove: bool, unset: bool) -> None:
    if add + remove + unset > 1:
        raise UsageError("--add, --remove and --unset exclude each other", hint="git pw config -h")
    if unset and values:
        raise UsageError("--unset takes no value", hint=f"git pw config --unset {key}")
    if (add or remove) and not values:
        raise UsageError("which value?", hint=f"git pw config --{'add' if add else 'remove'} {key} VALUE")
    if not (add or remove or unset) and len(values) > 1:
        raise UsageError(
            f"{key} takes one value", hint=f'a list is one value: git pw config {key} \'["a", "b"]\''
        )


def _changed(session: Session, context: Context, key: str, values: tuple[str, ...], how: str) -> None:
    """Write a rule, and say what holds now."""
    from gitpw.adapters.policy import (
        add_values,
        get_value,
        load_policy,
        remove_values,
        set_value,
        unset_value,
    )

    root = str(context.repo.root)
    if how == "set":
        set_value(root, key, values[0])
        done = True
    elif how == "unset":
        done = unset_value(root, key)
    else:
        done = (add_values if how == "add" else remove_values)(root, key, values)
    data: dict[str, object] = {"key": key}
    notes = [] if done else ["nothing to change"]
    section = key.partition(".")[0]
    if done and section in {"notify", "policy"}:
        from gitpw.services.base import base_branch

        who = "the hooks follow it" if section == "policy" else "people are told by it"
        notes.append(f"{who} once .gitpw.toml is on {base_branch(context)}: commit it")
    try:
        load_policy(root)
    except ConfigError as error:
        notes.append(f"still wrong: {error.message}")
    else:
        with suppress(ConfigError):  # a key that doesn't exist has no value, now that it is taken out
            data["value"] = get_value(root, key)
    session.notes(notes)
    shown = [f"{key} = {_shown(plain(data['value']))}".rstrip()] if "value" in data else []
    session.report({**data, **({"notes": notes} if notes else {})}, *shown)


def _list_rules(session: Session) -> None:
    from gitpw.adapters.policy import NAME, list_rules

    rules = list_rules(session.open(need_ledger=False, lenient=True).repo.root)
    origins = {rule.key: "default" if rule.line is None else f"{NAME}:{rule.line}" for rule in rules}
    lines = [
        f"{rule.key} = {_shown(rule.value)}".rstrip() + (f"  # {origins[rule.key]}" if rule.line else "")
        for rule in rules
    ]
    session.answer({"config": {rule.key: rule.value for rule in rules}, "origins": origins}, *lines)
    if not session.json:
        session.note(f"all but those with a line of {NAME} are defaults")


def _shown(value: object) -> str:
    """A value for people and scripts; nothing where there is none."""
    import json

    if value is None:
        return ""
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
