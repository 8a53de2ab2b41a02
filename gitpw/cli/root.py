"""The root of the command line: every command under its heading, and where its code is."""

from __future__ import annotations

from collections.abc import Mapping

import click

from gitpw.cli.commands import Root
from gitpw.cli.session import Session

SECTIONS: Mapping[str, Mapping[str, str]] = {
    "Set-up": {
        "init": "setup:init",
        "uninstall": "setup:uninstall",
        "doctor": "setup:doctor",
        "config": "setup:config",
        "completion": "completion:completion",
        "shell-init": "shell_init:shell_init",
        "demo": "setup:demo",
    },
    "Tasks": {
        "task": "task:task",
    },
    "Working": {
        "claim": "claim:claim",
        "start": "work:start",
        "progress": "work:progress",
        "heartbeat": "heartbeat:heartbeat",
        "push": "work:push",
        "complete": "work:complete",
        "fail": "work:fail",
        "release": "work:release",
        "lock": "lock:lock",
        "unlock": "lock:unlock",
        "locks": "lock:locks",
        "worktree": "worktree:worktree",
    },
    "Workers": {
        "worker": "worker:worker",
        "signing": "signing:signing",
    },
    "Merging": {
        "merge": "merge:merge",
    },
    "Seeing": {
        "status": "status:status",
        "log": "log:log",
        "health": "upkeep:health",
    },
    "Upkeep": {
        "check": "check:check",
        "gc": "upkeep:gc",
        "hook": "hook:hook",
    },
}


def _version(context: click.Context, _: click.Parameter, value: bool) -> None:
    if not value or context.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version("gitpw")
    except PackageNotFoundError:
        found = "unknown"
    context.ensure_object(Session).answer({"version": found}, f"git-pw {found}")
    context.exit()


root = Root(
    "git-pw",
    sections=SECTIONS,
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_version,
            help="Show the version.",
        )
    ],
    help="Many workers, people and AI agents, on one repository, with nothing but a git remote.",
    context_settings={"max_content_width": 100},
    examples=[
        "git pw init",
        'git pw task add "Fix auth bug" --type fix --file src/auth/login.ts --priority 1',
        'cd "$(git pw claim --print-path)"',
        "git pw complete",
    ],
)
