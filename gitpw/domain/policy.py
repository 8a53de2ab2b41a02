"""The rules of a repository, as `.gitpw.toml` states them: they govern hooks and commands, never a grant."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gitpw.domain.ids import duration
from gitpw.domain.task import is_branch

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


def _checked(text: str) -> str:
    duration(text)
    return text


def _branches(template: str) -> str:
    """A template names a branch for each task: it has the task's id in it, and makes names that git takes."""
    name = re.sub(r"\{(type|issue|id|slug)\}", "x", template)
    if "{id}" not in template or not is_branch(name):
        raise ValueError(f"{template!r} makes no branch names: use {{type}}, {{issue}}, {{id}} and {{slug}}")
    return template


def _places(template: str) -> str:
    """A template names a folder for each task."""
    if "{id}" not in template or re.search(r"\{(?!id\})|(?<!\{id)\}|\0", template):
        raise ValueError(
            f"{template!r} makes no folder for each task: it needs {{id}}, and takes nothing else"
        )
    return template


Duration = Annotated[str, AfterValidator(_checked)]


class Section(BaseModel):
    """A table of `.gitpw.toml`; unknown keys are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Guarding(Section):
    """`[policy]`."""

    enforce: Literal["held", "strict"] = "held"
    critical: list[str] = list(CRITICAL)
    ignore: list[str] = []
    lockable: list[str] = []
    offline: Literal["warn", "block"] = "warn"
    refresh: Duration = "60s"
    trailers: bool = True
    signed: bool = False


class Claiming(Section):
    """`[claim]`."""

    lease: Duration = "60m"
    wait: Duration = "5m"
    worktrees: Annotated[str, AfterValidator(_places)] = ".worktrees/{id}"
    branch: Annotated[str, AfterValidator(_branches)] = "{type}/{issue}-{id}-{slug}"
    setup: list[str] = []
    stale: Literal["warn", "update", "refuse"] = "update"


class Merging(Section):
    """`[merge]`."""

    base: str | None = None
    mode: Literal["direct", "pull-request", "none"] = "direct"
    test: str | list[str] = []
    timeout: Duration = "30m"
    strategy: Literal["rebase", "squash", "merge"] = "rebase"
    window: int = Field(default=5, ge=1, le=100)
    on_conflict: str | None = None


class Agent(Section):
    """`[agent]`."""

    runner: str = "claude"
    prompt: str | None = None
    max_cost: float | None = Field(default=None, ge=0, strict=False)
    timeout: dict[str, Duration] = {}
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
