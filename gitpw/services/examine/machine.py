"""The programs and libraries of this machine."""

from __future__ import annotations

from collections.abc import Iterator

from gitpw.domain.checkup import Finding, Level
from gitpw.services.examine.visit import Visit


def versions(visit: Visit) -> Iterator[Finding]:
    """Each is new enough."""
    for name, version, least in visit.ctx.files.versions():
        if least is not None and _number(version) < _number(least):
            hint = f"git-pw needs {least} or newer"
            yield Finding(name, Level.ERROR, f"{name} {version} is too old", hint)
        else:
            yield Finding(name, Level.OK, f"{name} {version}")


def path(visit: Visit) -> Iterator[Finding]:
    """The git-pw that people and hooks start is this one."""
    for line in visit.ctx.files.shadowed():
        yield Finding("path", Level.WARN, line, "put the folder of this git-pw first on PATH")


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3] if part.isdigit())
