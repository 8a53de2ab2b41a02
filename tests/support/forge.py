"""A host of pull requests that stands on a bare repository: it shows pushes late, checks commits, merges, and closes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gitpw.errors import FailedError
from gitpw.services.ports import Check, Pull
from tests.support.git import git, run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


@dataclass
class Request:
    """A pull request; `shown` is the head that the host knows of, `looks` how often it was looked at since."""

    branch: str
    base: str
    title: str
    body: str
    shown: str
    state: str = "open"
    looks: int = 0


@dataclass
class LocalForge:
    """Pull requests by number from 1. A push is shown after `lag` looks; `says` gives the checks of a commit."""

    bare: Path
    lag: int = 0
    says: Callable[[str], Sequence[Check] | None] = lambda _: ()
    queue: bool = False
    before_merge: Callable[[], None] = lambda: None
    requests: dict[int, Request] = field(default_factory=dict)
    did: list[str] = field(default_factory=list)

    def find(self, branch: str) -> Pull | None:
        """The open pull request of a branch."""
        for number, request in self.requests.items():
            if request.branch == branch and self._now(request).state == "open":
                return self.pull(number)
        return None

    def create(self, branch: str, base: str, title: str, body: str) -> Pull:
        """Open one."""
        number = len(self.requests) + 1
        self.requests[number] = Request(branch, base, title, body, self._tip(branch))
        self.did.append(f"create {number}")
        return self.pull(number)

    def pull(self, number: int) -> Pull:
        """How it is shown now."""
        request = self._now(self.requests[number])
        return Pull(number, f"forge:{number}", request.shown, request.base, request.state)  # type: ignore[arg-type]

    def checks(self, commit: str) -> Sequence[Check] | None:
        """The checks of exactly this commit."""
        return self.says(commit)

    def merge(self, number: int, sha: str, strategy: str) -> None:
        """Merge it if its head is that commit."""
        self.before_merge()
        request = self._now(self.requests[number])
        if sha != request.shown or self._tip(request.branch) != sha:
            raise FailedError(f"the head isn't {sha[:12]}")
        base = self._tip(request.base)
        merged = run(["git", "merge-tree", "--write-tree", base, sha], self.bare, check=False)
        if merged.exit:
            raise FailedError("it conflicts")
        parents = ["-p", base, *(["-p", sha] if strategy == "merge" else [])]
        words = ["commit-tree", merged.out.split()[0], *parents, "-m", request.title]
        commit = sha if strategy == "rebase" and self._contains(sha, base) else git(*words, cwd=self.bare)
        git("update-ref", f"refs/heads/{request.base}", commit, base, cwd=self.bare)
        request.state = "merged"
        self.did.append(f"merge {number}")

    def enqueue(self, number: int, sha: str) -> bool:
        """Whether there is a queue."""
        if self.queue:
            self.did.append(f"enqueue {number} {sha[:4]}")
        return self.queue

    def children(self, branch: str) -> list[Pull]:
        """Those that are to be merged into a branch."""
        return [
            self.pull(number)
            for number, request in self.requests.items()
            if request.base == branch and self._now(request).state == "open"
        ]

    def retarget(self, number: int, base: str) -> None:
        """Let it be merged into another branch."""
        self.requests[number].base = base
        self.did.append(f"retarget {number}")

    def _now(self, request: Request) -> Request:
        """Let the host notice what was pushed: heads, merges, and branches that are gone."""
        tip = self._tip(request.branch)
        if request.state == "open" and tip and tip != request.shown:
            request.looks += 1
            if request.looks > self.lag:
                request.shown, request.looks = tip, 0
        if request.state == "open":
            if self._contains(self._tip(request.base), request.shown):
                request.state = "merged"
            elif not tip or not self._tip(request.base):
                request.state = "closed"
        return request

    def _tip(self, branch: str) -> str:
        done = run(["git", "rev-parse", "-q", "--verify", f"refs/heads/{branch}"], self.bare, check=False)
        return done.out.strip()

    def _contains(self, commit: str, other: str) -> bool:
        words = ["git", "merge-base", "--is-ancestor", other, commit]
        return bool(commit and other) and run(words, self.bare, check=False).exit == 0
