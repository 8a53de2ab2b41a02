"""Look for what is wrong, and put right what can be."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gitpw.domain.checkup import Finding, Level
from gitpw.errors import PwError
from gitpw.services.examine import checkouts, hooks, ledger, leftovers, machine, remote, rules, signing
from gitpw.services.examine.visit import Visit
from gitpw.services.ports import Context

__all__ = ["Finding", "doctor"]

Check = Callable[[Visit], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (
    machine.versions,
    machine.path,
    rules.readable,
    ledger.store,
    remote.reached,
    ledger.state,
    remote.pushed,
    rules.on_base,
    rules.patterns,
    ledger.records,
    ledger.claims,
    ledger.journal,
    signing.key,
    signing.wanted,
    hooks.in_place,
    hooks.programs,
    checkouts.gone,
    checkouts.outlived,
    checkouts.ignored,
    checkouts.protected,
    leftovers.leftovers,
)


def doctor(ctx: Context, *, fix: bool = False) -> list[Finding]:
    """All findings; with `fix`, each that can be mended is, and says so."""
    visit = Visit(ctx, fix)
    return [found for check in CHECKS for found in _examined(check, visit)]


def _examined(check: Check, visit: Visit) -> Iterator[Finding]:
    """What a check finds; one that fails doesn't hide what the others find."""
    try:
        yield from check(visit)
    except PwError as error:
        yield Finding("doctor", Level.ERROR, error.message, error.hint)
    except Exception as error:  # noqa: BLE001 - a doctor who faints is of no help
        words = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        name = f"{check.__module__.rpartition('.')[2]}.{check.__name__}"
        yield Finding("doctor", Level.ERROR, f"the check {name} failed: {words}", "please report it")
