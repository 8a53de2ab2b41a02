"""The command line in this process, with a made-up repository and services that answer what a test tells them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import create_autospec

import pytest

import gitpw.cli
from gitpw.domain.ids import ClaimId, TaskId, WorkerId
from gitpw.domain.lock import Claim, Held, Lease, Mode
from gitpw.domain.operation import Author
from gitpw.domain.policy import Policy
from gitpw.domain.task import Task, TaskMetadata
from gitpw.domain.waiter import Waiter
from gitpw.domain.worker import WorkerType

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Answer:
    """What one call of `main` did."""

    exit: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


@dataclass
class Opened:
    """The fake of `gitpw.app.open_context`: how it was called, and the context that it gives."""

    context: Any
    calls: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, **options: Any) -> Any:
        """Give the context; `tell` speaks as a service would."""
        self.calls.append(options)
        return self.context


Cli = Callable[..., Answer]
Serve = Callable[..., Any]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    """The repository that every command finds."""
    context = SimpleNamespace(
        clock=SimpleNamespace(now=lambda: NOW),
        faults={},
        me=Author(worker=WorkerId("dana"), host="box"),
        policy=Policy(),
        repo=SimpleNamespace(root="/shop"),
        rules=SimpleNamespace(base=lambda: "trunk"),
        worktrees=SimpleNamespace(repair=lambda _paths: ["moved task-001"]),
    )
    opened = Opened(context)
    app = ModuleType("gitpw.app")
    app.open_context = opened  # type: ignore[attr-defined]
    app.free_at_a_glance = lambda: False  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gitpw.app", app)
    return opened


@pytest.fixture
def cli(opened: Opened, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Call the command line."""
    del opened

    def call(*words: str) -> Answer:
        capsys.readouterr()
        status = gitpw.cli.main(words)
        out, err = capsys.readouterr()
        return Answer(status, out, err)

    return call


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Put a fake in a service's place: it takes what the real one takes, and answers or raises what it is told."""
    made: dict[str, Any] = {}

    def put(name: str, answer: object = None) -> Any:
        module, function = name.split(".")
        if name not in made:
            made[name] = create_autospec(getattr(import_module(f"gitpw.services.{module}"), function))
            monkeypatch.setattr(f"gitpw.services.{module}.{function}", made[name])
        fake = made[name]
        fake.side_effect, fake.return_value = None, None
        if isinstance(answer, BaseException) or callable(answer):
            fake.side_effect = answer
        else:
            fake.return_value = answer
        return fake

    return put


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, cli: Cli) -> Cli:
    """The command line on a terminal of 80 columns without colours."""
    for name, value in {"TERM": "xterm", "COLUMNS": "80", "LINES": "50", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)

    def call(*words: str) -> Answer:
        with monkeypatch.context() as patch:
            patch.setattr(sys.stdout, "isatty", lambda: True)
            return cli(*words)

    return call


def a_task(number: int = 1, **fields: Any) -> Task:
    """A task of the fake ledger."""
    files = fields.pop("files", ("src/auth/login.ts",))
    known = {"title": "Fix auth bug", "created_at": NOW, "metadata": TaskMetadata(files=files)}
    return Task(id=TaskId(f"task-{number:03}"), **{**known, **fields})


def a_claim(number: int | None = 1, **fields: Any) -> Claim:
    """A claim of a task, or with None of files only."""
    known = {
        "id": ClaimId(f"{number or 99:016x}"),
        "worker": WorkerId("alice"),
        "worker_type": WorkerType.HUMAN,
        "task": None if number is None else TaskId(f"task-{number:03}"),
        "token": number or 99,
        "locks": (Held(resource="src/auth/login.ts", mode=Mode.EXCLUSIVE),),
        "claimed_at": NOW,
        "branch": None if number is None else f"fix/task-{number:03}",
        "lease": a_lease(),
    }
    return Claim(**{**known, **fields})


def a_lease(minutes: int = 48) -> Lease:
    """A lease with so many minutes left."""
    until = NOW + timedelta(minutes=minutes)
    return Lease(duration=3600, written_at=NOW, expires_at=until, host="box", version=1)


def a_waiter(ticket: int = 7, **fields: Any) -> Waiter:
    """Bob waits for a file."""
    known: dict[str, Any] = {
        "operation": f"{ticket:032x}",
        "verb": "lock",
        "worker": WorkerId("bob"),
        "worker_type": WorkerType.HUMAN,
        "host": "desk",
        "locks": (Held(resource="src/auth", mode=Mode.EXCLUSIVE),),
        "since": NOW,
        "until": NOW + timedelta(minutes=5),
    }
    return Waiter(ticket=ticket, **(known | fields))
