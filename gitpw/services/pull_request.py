"""One task's pull request, from its rebased head to its merge, by way of whatever forge there is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from gitpw.domain.integration import Strategy
from gitpw.domain.task import Task
from gitpw.errors import FailedError, OfflineError
from gitpw.services.ports import Forge, Pull

T = TypeVar("T")

SHOWN = 300.0
"""Seconds within which a host must show what was pushed."""


class TooLateError(FailedError):
    """The host didn't do its part in time."""


class PullRequest:
    """The pull request of a branch. `beat` is called at every look at the host, `poll` seconds apart."""

    def __init__(
        self, forge: Forge, branch: str, base: str, *, beat: Callable[[], None], poll: float
    ) -> None:
        self._forge = forge
        self._branch = branch
        self._base = base
        self._beat = beat
        self._poll = poll

    def opened(self, task: Task) -> Pull:
        """The open pull request, made if there is none."""
        found = self._forge.find(self._branch)
        if found is not None:
            if found.base != self._base:
                self._forge.retarget(found.number, self._base)
            return found
        body = f"{task.description}\n\nPw-Task: {task.id}".strip()
        return self._forge.create(self._branch, self._base, task.title, body)

    def shown(self, pull: Pull, commit: str) -> Pull:
        """Wait until the host shows that commit as the head: merged earlier, the pull request would end as closed."""

        def look() -> Pull | None:
            now = self._forge.pull(pull.number)
            return now if now.head == commit else None

        return self._waited(look, SHOWN, f"{pull.url} still shows another commit than {commit[:12]}")

    def checked(self, pull: Pull, commit: str, timeout: float) -> str:
        """Wait for all checks of that very commit; which failed, empty where none did."""

        def look() -> str | None:
            checks = self._forge.checks(commit)
            if checks is None or any(check.state == "pending" for check in checks):
                return None
            return ", ".join(check.name for check in checks if check.state == "failure")

        return self._waited(look, timeout, f"the checks of {pull.url} aren't done")

    def merged(self, pull: Pull, commit: str, strategy: Strategy) -> bool:
        """Merge it by that commit; False where the host has it in its own queue now."""
        if self._forge.enqueue(pull.number, commit):
            return False
        self._forge.merge(pull.number, commit, strategy)
        return True

    def seen_merged(self, pull: Pull) -> bool:
        """Wait a while until the host shows it as merged, then retarget what is built on its branch."""

        def look() -> bool | None:
            return True if self._forge.pull(pull.number).state == "merged" else None

        try:
            return self._waited(look, SHOWN, "")
        except TooLateError:
            return False
        finally:
            for child in self._forge.children(self._branch):
                self._forge.retarget(child.number, self._base)

    def _waited(self, look: Callable[[], T | None], timeout: float, late: str) -> T:
        """Look again and again; a host that is out of reach for a moment is asked again."""
        until = time.monotonic() + timeout
        while True:
            try:
                found = look()
            except OfflineError:
                found = None
            if found is not None:
                return found
            if time.monotonic() > until:
                raise TooLateError(f"{late} after {timeout:.0f} s", hint="look at the host")
            self._beat()
            time.sleep(self._poll)
