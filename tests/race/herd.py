"""Forks git-pw processes that have loaded all of git-pw already, lets them go at once, and kills some.

    python -m tests.race.herd

Reads one JSON line a round, `[{"args", "cwd", "env", "out", "err", "kill", "group"}, …]`, and answers with a line of
exit statuses. Each call is a process of its own, in its own folder and environment, that runs the command line from
its first word; only Python's start is shared. It takes 20 processes on two cores seconds to start, and would spread a
race over them. With "kill" a process gets SIGKILL so many seconds after the start, with "group" all it has started too.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import shutil
import signal
import sys
import time
from contextlib import suppress
from typing import Any

import gitpw

LIMIT = 100
"""Seconds that a round may take."""


def load() -> None:
    """Load every module that a command may want."""
    for module in pkgutil.walk_packages(gitpw.__path__, "gitpw."):
        importlib.import_module(module.name)
    sys.argv = [shutil.which("git-pw") or "git-pw"]


def start(call: dict[str, Any], gate: int, opener: int) -> int:
    """Fork a process that waits at the gate and then is git-pw; its id."""
    child = os.fork()
    if child:
        return child
    try:
        os.close(opener)
        become(call)
        os.read(gate, 1)
        os.close(gate)
        from gitpw.cli import main

        status = main(call["args"])
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    finally:
        os._exit(120)


def become(call: dict[str, Any]) -> None:
    """Take the folder, the environment and the open files of a call, and lead a group."""
    os.setsid()
    os.chdir(call["cwd"])
    os.environ.clear()
    os.environ.update(call["env"])
    write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for number, name, how in ((0, os.devnull, os.O_RDONLY), (1, call["out"], write), (2, call["err"], write)):
        file = os.open(name, how, 0o600)
        os.dup2(file, number)
        os.close(file)


def play(calls: list[dict[str, Any]]) -> list[int]:
    """Start all, open the gate, wait for all: their exit statuses, in order."""
    gate, opener = os.pipe()
    children = [start(call, gate, opener) for call in calls]
    os.close(gate)
    os.close(opener)
    began = time.monotonic()
    doomed = [(call["kill"], child, call["group"]) for call, child in zip(calls, children, strict=True)]
    for after, child, group in sorted(one for one in doomed if one[0] is not None):
        time.sleep(max(0.0, began + after - time.monotonic()))
        end(child, group=group)

    def give_up(*_: object) -> None:
        for child in children:
            end(child, group=True)

    signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, LIMIT)
    exits = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    signal.setitimer(signal.ITIMER_REAL, 0)
    return exits


def end(child: int, *, group: bool) -> None:
    """Kill a process, with all that it has started or alone."""
    with suppress(ProcessLookupError):
        (os.killpg if group else os.kill)(child, signal.SIGKILL)


def main() -> None:
    """One round for each line, until nobody asks any more."""
    load()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(play(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
