"""The hooks: that they are in place, that git runs them, and that they find git-pw."""

from __future__ import annotations

from collections.abc import Iterator

from gitpw.domain.checkup import Finding, Level, Program, Shots
from gitpw.services.examine.visit import Visit


def in_place(visit: Visit) -> Iterator[Finding]:
    """The shims are there, and git runs them: proved by having it done."""
    ctx = visit.ctx
    if ctx.repo.root is None or not visit.known:
        return
    found, shots = _tried(visit)
    if found and visit.fix:
        ctx.hooks.install()
        left, shots = _tried(visit)
        yield from (Finding("hooks", Level.ERROR, line, fixed=True) for line in found if line not in left)
        found = left
    for line in found:
        hint = None if visit.fix else "git pw doctor --fix"
        yield Finding("hooks", Level.ERROR, line, hint)
    if not found:
        yield Finding("hooks", Level.OK, _told(shots))


def programs(visit: Visit) -> Iterator[Finding]:
    """What the shims start is a git-pw of this version that runs."""
    ctx = visit.ctx
    if ctx.repo.root is None or not visit.known:
        return
    bad = [one for one in ctx.probe.programs() if one.version != _mine(visit)]
    if bad and visit.fix:
        ctx.hooks.install()
        left = {one.path for one in ctx.probe.programs() if one.version != _mine(visit)}
        yield from (_about(one, visit, fixed=True) for one in bad if one.path not in left)
        bad = [one for one in bad if one.path in left]
    yield from (_about(one, visit, fixed=False) for one in bad)


def _tried(visit: Visit) -> tuple[list[str], Shots]:
    """Why hooks don't fire, in words: by how they look, else by whether git ran them."""
    found = list(visit.ctx.hooks.problems())
    shots = Shots((), {}) if found else visit.ctx.probe.fire()
    return found or [f"git doesn't run the {name} hook: {why}" for name, why in shots.silent.items()], shots


def _told(shots: Shots) -> str:
    ran = f"git runs the hooks {', '.join(shots.ran)}" if shots.ran else "the hooks are in place"
    if not shots.untried:
        return ran
    return f"{ran}; not tried, as others' hooks run git pw there: {', '.join(shots.untried)}"


def _mine(visit: Visit) -> str:
    return next(version for name, version, _ in visit.ctx.files.versions() if name == "git-pw")


def _about(one: Program, visit: Visit, *, fixed: bool) -> Finding:
    hint = None if visit.fix else "git pw doctor --fix"
    if one.version is not None:
        message = f"the hooks start git-pw {one.version} at {one.path}, and this is {_mine(visit)}"
        return Finding("hooks-program", Level.WARN, message, hint, fixed)
    message = f"the hooks name {one.path or 'no program'}, which doesn't run: {one.why}"
    return Finding("hooks-program", Level.ERROR if one.used else Level.WARN, message, hint, fixed)
