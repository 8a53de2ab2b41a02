"""What killed processes have left behind."""

from __future__ import annotations

from collections.abc import Iterator

from gitpw.domain.checkup import Finding, Leftover, Level
from gitpw.services.examine.visit import Visit


def leftovers(visit: Visit) -> Iterator[Finding]:
    """Lock files that nobody holds any more, half written files, trash."""
    found = visit.ctx.files.leftovers()
    cleared = visit.ctx.files.clear(found) if visit.fix else []
    for one in found:
        yield _about(one, fixed=one in cleared)


def _about(one: Leftover, *, fixed: bool) -> Finding:
    message = f"{one.what} of a process that is no more: {one.path}"
    return Finding("leftovers", Level.WARN, message, "git pw doctor --fix", fixed)
