"""What a person is told about a new worktree, and what becomes of its set-up."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from gitpw.domain.ids import TaskId
from gitpw.domain.policy import Claiming, Merging, Policy
from gitpw.errors import ConfigError
from gitpw.services.provision import LARGE, provision, set_up

TASK = TaskId("task-001")


class Fake:
    """A provision whose commands fail as told, and which remembers what was done."""

    def __init__(
        self, commands: Sequence[str] = (), failing: Sequence[str] = (), pending: str | None = "all"
    ) -> None:
        self.listed, self.failing, self.left = list(commands), failing, pending
        self.ran: list[str] = []
        self.allowed: list[list[str]] = []
        self.missing: list[str] = []

    def pending(self, _path: str) -> str | None:
        """What is left."""
        return self.left

    def reached(self, _path: str, pending: str | None) -> None:
        """Remember it."""
        self.left = pending

    def include(self, _path: str) -> tuple[list[str], list[str]]:
        """One came, one didn't."""
        return [".env"], ["x was not copied: permission denied"]

    def submodules(self, _path: str) -> list[str]:
        """As told."""
        return self.missing

    def approved(self, commands: Sequence[str]) -> bool:
        """Exactly these."""
        return list(commands) in self.allowed

    def approve(self, commands: Sequence[str]) -> None:
        """Remember them."""
        self.allowed.append(list(commands))

    def run(self, _path: str, command: str) -> int:
        """Remember it; fail as told."""
        self.ran.append(command)
        return 1 if command in self.failing else 0


def rules(commands: Sequence[str]) -> Policy:
    """The rules in force."""
    if list(commands) == ["broken"]:
        raise ConfigError(".gitpw.toml: it is broken")
    return Policy(merge=Merging(base="main"), claim=Claiming(setup=list(commands)))


def context(fake: Fake, files: int = 3) -> Any:
    """What the service sees."""
    return SimpleNamespace(
        provision=fake,
        worktrees=SimpleNamespace(files=lambda _path: files),
        policy=Policy(),
        rules=SimpleNamespace(policy=lambda: rules(fake.listed), base=lambda: "main"),
        remote=None,
        dry_run=False,
        tell=lambda _: None,
    )


def test_nothing_is_pending() -> None:
    """Nothing is done, and nothing said."""
    assert provision(context(Fake(["a"], pending=None)), TASK, "/w", None) == []


def test_without_commands_all_is_done() -> None:
    """Files are there, and what couldn't be copied is said."""
    fake = Fake()
    notes = provision(context(fake), TASK, "/w", None)
    assert notes == ["copied .env, as .worktreeinclude says", "x was not copied: permission denied"]
    assert fake.left is None


def test_what_is_missing_and_what_is_large() -> None:
    """Each is said with what to do."""
    fake = Fake()
    fake.missing = ["lib"]
    *_, missing, large = provision(context(fake, LARGE + 1), TASK, "/w x", None)
    assert missing.endswith("'git -C '/w x' submodule update --init --recursive' brings them")
    assert "--sparse" in large


def test_set_up_waits_for_a_person() -> None:
    """The files don't come twice, the commands come as soon as they are approved."""
    fake = Fake(["a", "b"])
    assert "nobody approved them: a; b" in provision(context(fake), TASK, "/w", lambda _: False)[-1]
    assert (fake.left, fake.ran) == ("setup", [])
    asked: list[Sequence[str]] = []
    assert provision(context(fake), TASK, "/w", lambda commands: not asked.append(commands)) == []
    assert (fake.left, fake.ran, asked) == (None, ["a", "b"], [["a", "b"]])
    fake.left = "all"
    provision(context(fake), TASK, "/w", lambda _: pytest.fail("asked again"))
    assert fake.ran == ["a", "b"] * 2


def test_set_up_stops_at_what_fails() -> None:
    """And says how to go on; it isn't tried again by itself."""
    fake = Fake(["a", "b", "c"], failing=["b"])
    fake.approve(["a", "b", "c"])
    done = set_up(context(fake), "/w", None)
    assert (done.ran, done.failed, fake.ran) == (1, "b (exit 1)", ["a", "b"])
    note = provision(context(fake), TASK, "/w", None)[-1]
    assert "b (exit 1); the claim stands" in note
    assert "git pw worktree setup task-001" in note
    assert fake.left is None


def test_broken_rules_cost_no_claim() -> None:
    """They are said, and what is pending stays so."""
    fake = Fake(["broken"])
    assert provision(context(fake), TASK, "/w", None)[-1].startswith("no set-up command was run: .gitpw.toml")
    assert fake.left == "setup"


def test_approval_alone_runs_nothing() -> None:
    """Where there is no worktree to run in."""
    fake = Fake(["a"])
    assert set_up(context(fake), None, lambda _: True).approved
    assert (fake.ran, fake.allowed) == ([], [["a"]])
