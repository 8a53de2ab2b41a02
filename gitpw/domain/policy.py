"""The rules of a repository, as `.gitpw.toml` states them: they govern hooks and commands, never a grant."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from gitpw.domain.ids import duration
from gitpw.domain.resource import resource
from gitpw.domain.task import TaskType, is_branch
from gitpw.errors import ConfigError, InvalidError, PwError

CRITICAL = (
    "**/package.json",
    "**/package-lock.json",
    "**/yarn.lock",
    "**/pnpm-lock.yaml",
    "**/tsconfig.json",
    "**/pyproject.toml",
    "**/poetry.lock",
    "**/uv.lock",
    "**/Cargo.lock",
    "**/Cargo.toml",
    "**/go.mod",
    "**/go.sum",
    "**/Gemfile.lock",
    "**/composer.lock",
    ".github/workflows/*.yml",
    ".github/workflows/*.yaml",
    ".gitlab-ci.yml",
)


T = TypeVar("T")


def _by(rule: Callable[[T], object]) -> AfterValidator:
    """A rule of ours in pydantic's words, so that what it refuses is known with its key."""

    def check(value: T) -> T:
        try:
            rule(value)
        except PwError as error:
            context = {"message": error.message, "hint": error.hint}
            raise PydanticCustomError("rule", "{message}", context) from error
        return value

    return AfterValidator(check)


def _lasting(text: str) -> None:
    """A length of time that isn't nothing."""
    if not duration(text):
        raise InvalidError(f"{text!r} is no time at all", hint="write it as 90s, 5m, 2h or 1d")


def _branches(template: str) -> None:
    """A template names a branch for each task: it has the task's id in it, and makes names that git takes."""
    name = re.sub(r"\{(type|issue|id|slug)\}", "x", template)
    if "{id}" not in template or not is_branch(name):
        raise InvalidError(
            f"{template!r} makes no branch names", hint="use {type}, {issue}, {id} and {slug}; {id} is needed"
        )


def _by_type(limits: dict[str, str]) -> None:
    """Limits are set for types of tasks."""
    for name in limits:
        if name not in set(TaskType):
            raise InvalidError(f"{name!r} is no type of task", hint=f"there are {', '.join(TaskType)}")


def _folders(template: str) -> None:
    """A template names a folder for each task."""
    if "{id}" not in template or not template.isprintable():
        raise InvalidError(
            f"{template!r} names no folder for each task", hint="put {id} in it, as in .worktrees/{id}"
        )


def _branch(name: str) -> None:
    if not is_branch(name):
        raise InvalidError(f"{name!r} is no name for a branch", hint="for instance main")


def _number(value: object) -> object:
    """TOML's texts and truth values are no numbers, whatever pydantic can make of them."""
    if isinstance(value, bool | str):
        raise PydanticCustomError("float_type", "a number is expected")
    return value


Duration = Annotated[str, _by(duration)]
Length = Annotated[str, _by(_lasting)]
Pattern = Annotated[str, _by(resource)]
"""What files are meant, written as locks are."""


class Section(BaseModel):
    """A table of `.gitpw.toml`; unknown keys are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Guarding(Section):
    """`[policy]`."""

    enforce: Literal["held", "strict"] = "held"
    critical: list[Pattern] = list(CRITICAL)
    ignore: list[Pattern] = []
    lockable: list[Pattern] = []
    offline: Literal["warn", "block"] = "warn"
    refresh: Duration = "60s"
    trailers: bool = True
    signed: bool = False

    @property
    def guarded(self) -> list[str]:
        """Patterns of files that may be changed only under a lock of one's own."""
        return [*self.critical, *self.lockable]


class Claiming(Section):
    """`[claim]`."""

    lease: Length = "60m"
    wait: Duration = "5m"
    worktrees: Annotated[str, _by(_folders)] = ".worktrees/{id}"
    branch: Annotated[str, _by(_branches)] = "{type}/{issue}-{id}-{slug}"
    setup: list[str] = []
    stale: Literal["warn", "update", "refuse"] = "update"


class Merging(Section):
    """`[merge]`."""

    base: Annotated[str, _by(_branch)] | None = None
    mode: Literal["direct", "pull-request", "none"] = "direct"
    test: str | list[str] = []
    timeout: Length = "30m"
    strategy: Literal["rebase", "squash", "merge"] = "rebase"
    window: int = Field(default=5, ge=1, le=100)
    on_conflict: str | None = None


class Agent(Section):
    """`[agent]`."""

    runner: str = "claude"
    prompt: str | None = None
    max_cost: Annotated[float, BeforeValidator(_number)] | None = Field(
        default=None, ge=0, allow_inf_nan=False, strict=False
    )
    timeout: Annotated[dict[str, Length], _by(_by_type)] = {}
    retries: int = Field(default=3, ge=0, le=10)


class GitHub(Section):
    """`[github]`."""

    repo: str | None = None
    project: str = "Parallel Work Dashboard"
    labels: dict[str, str] = {}


class Notify(Section):
    """`[notify]`."""

    urls: list[str] = []
    events: list[str] = []


class Policy(Section):
    """The whole file."""

    ledger: str | None = None
    remote: str | None = None
    policy: Guarding = Guarding()
    claim: Claiming = Claiming()
    merge: Merging = Merging()
    agent: Agent = Agent()
    github: GitHub = GitHub()
    notify: Notify = Notify()


def or_defaults(read: Callable[[], Policy], tell: Callable[[str], None]) -> Policy:
    """Rules to judge by; where they can't be read, those that hold without a file, and that is told.

    Refused for this, nobody could ever commit or push what puts it right.
    """
    try:
        return read()
    except ConfigError as error:
        tell(f"{error.message}: judged by the rules that hold without it")
        return Policy()
