"""`git pw signing`: whether operations are signed, and by whose keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gitpw.cli.commands import command, option
from gitpw.cli.request import a_worker
from gitpw.errors import UsageError

if TYPE_CHECKING:
    from gitpw.cli.session import Session
    from gitpw.services.signing import Signed


@command(
    "signing",
    "git pw signing",
    "git pw signing on",
    "git pw signing on --admin alice --admin carol",
    "git pw signing --allowed-signers > ~/.config/git/allowed_signers",
)
@click.argument("state", metavar="[on|off]", required=False)
@option("--admin", "admins", multiple=True, metavar="W", help="Who may decide about keys from now on.")
@option("--allowed-signers", is_flag=True, help="Print the ssh keys as git reads them, to verify by itself.")
@option("--verify", "everything", is_flag=True, help="Also what was signed before this clone joined.")
def signing(
    session: Session, state: str | None, admins: tuple[str, ...], allowed_signers: bool, everything: bool
) -> None:
    """Show who signs with which key, or turn signatures on or off.

    Where it is on, every operation must be signed by the key that its worker has registered. Whoever turns it on first
    is the administrator, unless others are named: administrators turn it off, and replace keys that were lost.
    """
    from gitpw.services.signing import signing as show
    from gitpw.services.signing import turn, verify_all

    if state not in {None, "on", "off"}:
        raise UsageError(f"{state!r} is neither on nor off", hint="git pw signing on")
    if state is None:
        if admins:
            raise UsageError("--admin needs on or off", hint="git pw signing on --admin alice")
        found = (verify_all if everything else show)(session.open())
        if allowed_signers and not session.json:
            session.text(found.allowed_signers())
            return
        session.answer(_data(found), *_told(found))
        return
    names = tuple(map(a_worker, admins))
    done = turn(session.open(changes=True, rehearsed=True), on=state == "on", administrators=names)
    session.report(_data(done), *_told(done), brief=[state])


def _data(found: Signed) -> dict[str, object]:
    return {
        "signed": found.signed,
        "administrators": list(found.administrators),
        "keys": [{"workerId": worker, **key.to_data()} for worker, key in found.keys.items()],
        "withoutKey": found.without,
        "verifiedFrom": found.verified_from,
        "allowedSigners": found.allowed_signers(),
    }


def _told(found: Signed) -> list[str]:
    lines = ["operations are signed" if found.signed else "operations needn't be signed"]
    if found.verified_from is not None:
        lines[0] += f"; this clone has verified them from {found.verified_from} on"
    lines += [f"  {worker}  {key}{_role(found, worker)}" for worker, key in found.keys.items()]
    lines += [f"  {worker}  has no key" for worker in found.without]
    if found.signed and len(found.administrators) == 1:
        lines.append(
            f"if {found.administrators[0]} loses its key, nobody can replace it: name another --admin"
        )
    return lines


def _role(found: Signed, worker: str) -> str:
    return "  (administrator)" if worker in found.administrators else ""
