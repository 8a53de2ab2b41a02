"""Twenty workers, each with a checkout of its own, and what must be true after they raced."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.race.runner import Run
from tests.support.cli import pw
from tests.support.git import clone, git

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.conftest import Remote
    from tests.race.runner import Herd
    from tests.support.cli import Result

MANY = 20
ROUNDS = 5
ROOM = 1 << 30
"""Bytes that must be free in memory."""


@dataclass(frozen=True)
class Crowd:
    """Checkouts of one repository, one for each worker; `ledger` is the repository that holds the ledger's ref.

    `drops` is for git-daemon: it lets five connections queue up, so of twenty at once the kernel resets some. Whoever
    was told so, and that nothing was changed, asks again.
    """

    places: list[Path]
    herd: Herd
    ledger: Path
    drops: bool = False

    @property
    def workers(self) -> list[str]:
        """Their names, in the order of their checkouts."""
        return [f"w{number}" for number in range(len(self.places))]

    def race(self, *words: Sequence[str]) -> list[Result]:
        """All at once: worker n says the nth words; where there are fewer, they go round."""
        calls = [
            Run(words[number % len(words)], place, {"GITPW_WORKER": worker})
            for number, (place, worker) in enumerate(zip(self.places, self.workers, strict=True))
        ]
        answers = self.herd.run(*calls)
        while again := [number for number, answer in enumerate(answers) if self.drops and answer.exit == 69]:
            for number, answer in zip(again, self.herd.run(*(calls[n] for n in again)), strict=True):
                answers[number] = answer
        return answers

    def ask(self, *words: str) -> Any:
        """What a command says that must succeed, in the first checkout, as none of the workers."""
        (answer,) = self.herd.run(Run(words, self.places[0], {"GITPW_WORKER": "onlooker"}))
        assert answer.exit == 0, str(answer)
        return answer.data

    def commits(self) -> int:
        """How many operations the ledger's own history holds."""
        return int(git("rev-list", "--count", "refs/pw/locks/main", cwd=self.ledger))


@contextmanager
def short_lived() -> Iterator[Path]:
    """A folder for many small files: in memory where there is room, since to delete them on a disk takes seconds."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > ROOM
    with tempfile.TemporaryDirectory(prefix="pw-race-", dir=memory if roomy else None) as folder:
        yield Path(folder).resolve()


def clones(herd: Herd, remote: Remote, folder: Path) -> Crowd:
    """A crowd in which each worker has a clone: one is cloned, the others are copies, which is the same and cheap."""
    places = [clone(remote.url, folder / "w0")]
    for number in range(1, MANY):
        places.append(Path(shutil.copytree(places[0], folder / f"w{number}", symlinks=True)))
    pw("init", "--no-hooks", cwd=places[0], check=0)
    return Crowd(places, herd, remote.bare, drops=remote.transport == "git")


def worktrees(herd: Herd, bare: Path, folder: Path) -> Crowd:
    """A crowd in one repository that has no remote: each worker has a linked worktree."""
    main = clone(bare, folder / "main")
    git("remote", "remove", "origin", cwd=main)
    places = [folder / f"w{number}" for number in range(MANY)]
    for place in places:
        git("worktree", "add", "-q", "--detach", place, cwd=main)
    pw("init", "--no-hooks", cwd=main, check=0)
    return Crowd(places, herd, main / ".git/pw/store.git")


def one_winner(answers: Sequence[Result], workers: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Exactly one was granted, all others were told by whom: the winner and its lock."""
    won = [(worker, answer) for worker, answer in zip(workers, answers, strict=True) if answer.exit == 0]
    assert len(won) == 1, "\n".join(map(str, answers))
    winner, grant = won[0]
    for answer in answers:
        if answer is not grant:
            assert (answer.exit, answer.data["code"]) == (3, "held"), str(answer)
            assert answer.data["holder"]["workerId"] == winner, str(answer)
            assert winner in answer.data["message"]
    return winner, grant.data["lock"]


def granted_once(crowd: Crowd, grants: Sequence[dict[str, Any]]) -> None:
    """The log holds each grant exactly once, counters have no gap, and nobody else holds a thing."""
    events = crowd.ask("log", "--all")["events"]
    assert [event["counter"] for event in events] == list(range(1, len(events) + 1))
    assert len({event["id"] for event in events}) == len(events) == crowd.commits()
    told = [
        (event["counter"], event["workerId"], event["taskId"])
        for event in events
        if event["verb"] in {"claim", "lock"}
    ]
    by_token = sorted(grants, key=lambda grant: grant["token"])
    assert told == [(grant["token"], grant["workerId"], grant["taskId"]) for grant in by_token]
    assert crowd.ask("locks")["locks"] == by_token
