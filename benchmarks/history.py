"""A ledger of 100,000 operations, read for the first time and again: 2 s and 0.3 s are the bars.

The operations are those of real tasks, one after the other: each text was written by git-pw once, and bears other
names, times and numbers each time. They go into the store as git's own import writes them, in seconds.
"""

from __future__ import annotations

import argparse
import re
import secrets
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.measure import median
from gitpw.domain.ids import LedgerId, TaskId, WorkerId
from gitpw.domain.lock import Held, Mode
from gitpw.domain.merge import MergeState
from gitpw.domain.operation import (
    Add,
    Author,
    Back,
    Begin,
    Complete,
    Done,
    Land,
    Landing,
    Lock,
    Mark,
    Merging,
    Mine,
    NewTask,
    Renew,
    Report,
    Request,
    SendBack,
    Start,
    Take,
    Unlock,
)
from gitpw.ledger.commits import message
from gitpw.ledger.journal import Journal
from gitpw.ledger.ledger import Ledger
from gitpw.ledger.memory import MemoryStore
from tests.support.git import git, run

NOON = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)
CACHES = ("events", "events.lock", "history")
WORKERS = 50


def main() -> None:
    """Print the medians of what shows all of it, for the first time and again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        where = made(Path(folder), options.operations)
        print(f"{options.operations} operations, medians of {options.rounds}")
        for command in ("status --prometheus --offline", "log", "log --limit 20"):
            firsts, seconds = [], []
            for _ in range(options.rounds):
                for name in CACHES:
                    (where / ".git/pw" / name).unlink(missing_ok=True)
                firsts.append(timed(where, command))
                seconds.append(timed(where, command))
            first, second = median(firsts), median(seconds)
            print(f"git pw {command}: {first:.0f} ms, again {second:.0f} ms, ratio {first / second:.1f}")
        print(f"git pw --version: {median([timed(where, '--version') for _ in range(5)]):.0f} ms")


def timed(where: Path, command: str) -> float:
    """Milliseconds of a whole command."""
    began = time.perf_counter()
    subprocess.run(["git-pw", *command.split()], cwd=where, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - began) * 1000


def made(root: Path, operations: int) -> Path:
    """A repository whose ledger of its own has so many operations."""
    where = root / "shop"
    run(["git", "init", "--quiet", str(where)], cwd=root)
    for name in ("user.name", "user.email"):
        git("config", name, "bench@example.com", cwd=where)
    git("commit", "--quiet", "--allow-empty", "--message", "Begin", cwd=where)
    run(["git", "pw", "init"], cwd=where)
    store = where / ".git/pw/store.git"
    begun = git("rev-parse", "refs/pw/locks/main", cwd=store).strip()
    tree = git("rev-parse", f"{begun}^{{tree}}", cwd=store).strip()
    with subprocess.Popen(
        ["git", "fast-import", "--quiet", "--force"], cwd=store, stdin=subprocess.PIPE
    ) as importing:
        assert importing.stdin is not None
        importing.stdin.writelines(_commits(begun, tree, operations))
    return where


def _commits(begun: str, tree: str, operations: int) -> Iterator[bytes]:
    for number, (at, text) in enumerate(_texts(operations)):
        raw = text.encode()
        yield b"commit refs/pw/locks/main\ncommitter git-pw <git-pw@localhost> %d +0000\n" % at
        yield b"data %d\n%b" % (len(raw), raw)
        yield b"from %b\n" % begun.encode() if number == 0 else b""
        yield b"M 040000 %b \n" % tree.encode() if number == 0 else b""


def _texts(operations: int) -> Iterator[tuple[int, str]]:
    """So many messages, and the moments of their commits."""
    life = _life()
    for number in range(operations):
        task, step = divmod(number, len(life))
        at = NOON + timedelta(seconds=20 * number)
        names = {
            "task-001": f"task-{task + 1:03d}",
            "worker-0": f"worker-{task % WORKERS}",
            "2026-03-02T12:00:00Z": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        }
        text = life[step]
        for old, new in names.items():
            text = text.replace(old, new)
        text = re.sub(r'"id":"[0-9a-f]{32}"', f'"id":"{secrets.token_hex(16)}"', text)
        yield int(at.timestamp()), re.sub(r"Pw-Counter: \d+", f"Pw-Counter: {number + 2}", text)


def _life() -> list[str]:
    """The messages of all that happens to one task."""
    author = Author(worker=WorkerId("worker-0"), host="desk", place="0" * 16)
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(MemoryStore(), Journal(Path(folder)), lambda: NOON)
        ledger.transact(Begin(ledger=LedgerId("0" * 20)), author)
        messages: list[str] = []

        def do(request: Request) -> Done:
            answer = ledger.transact(request, author)
            assert isinstance(answer.outcome, Done), answer.outcome
            messages.append(message(answer.board, answer.operation, answer.outcome))
            return answer.outcome

        _live(do)
    return messages


def _live(do: Callable[[Request], Done]) -> None:
    """Added, worked on, handed in, returned for a conflict, handed in again and merged."""
    task = TaskId("task-001")
    do(
        Add(
            tasks=(
                NewTask(title="Prices that customers see are rounded to whole cents", files=("src/prices",)),
            )
        )
    )
    taken = do(Take(task=task, lease=3600))
    assert taken.claim is not None
    assert taken.token is not None
    do(Start(task=task))
    for number in range(1, 4):
        do(Report(task=task, step="writing tests", done=number, total=3))
        do(Renew(claims=(Mine(claim=taken.claim, token=taken.token),)))
    do(Lock(locks=(Held(resource="README.md", mode=Mode.EXCLUSIVE),), lease=3600))
    do(Unlock(resources=("README.md",)))
    do(Complete(task=task, head="a" * 40, branch="fix/task-001"))
    testing = Mark(task=task, head="a" * 40, state=MergeState.TESTING)
    token = do(Merging(place="0" * 16, lease=600, marks=(testing,))).token
    back = Back(task=task, head="a" * 40, state=MergeState.CONFLICT, detail="conflict in src/prices")
    do(SendBack(token=token, back=(back,)))
    do(Complete(task=task, head="b" * 40, branch="fix/task-001"))
    landing = Landing(task=task, head="b" * 40, commit="c" * 40)
    do(Land(token=token, landings=(landing,), commit="c" * 40))


if __name__ == "__main__":
    main()
