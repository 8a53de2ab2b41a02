"""What CI systems say of the commits to look at, read from environments and events as they make them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from gitpw.adapters.ci import Asked, detect

if TYPE_CHECKING:
    from pathlib import Path

A, B, C = "a" * 40, "b" * 40, "c" * 40
NOBODY = "0" * 40


def github(tmp_path: Path, name: str, event: Any = None, **more: str) -> Asked:
    """What GitHub asks for by an event."""
    environment = {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": name, **more}
    if event is not None:
        file = tmp_path / "event.json"
        file.write_text(event if isinstance(event, str) else json.dumps(event))
        environment["GITHUB_EVENT_PATH"] = str(file)
    found = detect(environment)
    assert found is not None
    assert "fetch-depth: 0" in found.advice
    return found.asked


def gitlab(**more: str) -> Asked:
    """What GitLab asks for."""
    found = detect({"GITLAB_CI": "true", "CI_COMMIT_SHA": A, "CI_DEFAULT_BRANCH": "main", **more})
    assert found is not None
    assert "GIT_DEPTH" in found.advice
    return found.asked


PULL_REQUEST = {
    "pull_request": {"base": {"sha": A, "ref": "develop"}, "head": {"sha": B, "ref": "fix/task-001-x"}},
    "repository": {"default_branch": "main"},
}


@pytest.mark.parametrize("name", ["pull_request", "pull_request_target", "pull_request_review"])
def test_pull_request(tmp_path: Path, name: str) -> None:
    """The pull request itself counts, not the merge that was checked out."""
    asked = github(tmp_path, name, PULL_REQUEST, GITHUB_REF="refs/pull/7/merge", GITHUB_SHA=C)
    assert asked == Asked(B, A, "fix/task-001-x", "develop")


@pytest.mark.parametrize("event", [None, "", "[]", "{", '{"pull_request": 3}', "\udcff"], ids=repr)
def test_pull_request_without_its_event(tmp_path: Path, event: str | None) -> None:
    """Without the event's file, the merge's second parent is the pull request."""
    raw = None if event == "\udcff" else event
    asked = github(
        tmp_path,
        "pull_request",
        raw,
        GITHUB_REF="refs/pull/7/merge",
        GITHUB_HEAD_REF="topic",
        GITHUB_BASE_REF="main",
    )
    assert asked == Asked("HEAD^2", "", "topic", "main")


def test_pull_request_target_without_its_event(tmp_path: Path) -> None:
    """There the base branch is checked out."""
    asked = github(tmp_path, "pull_request_target", GITHUB_REF="refs/heads/main", GITHUB_BASE_REF="main")
    assert asked == Asked("HEAD", "", None, "main")


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"before": A, "after": B, "ref": "refs/heads/x/y"}, Asked(B, A, "x/y", default="main", pushed=True)),
        (
            {"before": NOBODY, "after": B, "ref": "refs/heads/x"},
            Asked(B, "", "x", default="main", pushed=True),
        ),
        (
            {"before": A, "after": NOBODY, "ref": "refs/heads/x"},
            Asked("HEAD", A, "x", default="main", pushed=True, gone=True),
        ),
        (
            {"before": NOBODY, "after": B, "ref": "refs/tags/v1"},
            Asked(B, "", None, default="main", pushed=True),
        ),
        ({"before": "nonsense", "after": B, "ref": 3}, Asked(B, "", None, default="main", pushed=True)),
    ],
    ids=["ordinary", "new", "deleted", "tag", "nonsense"],
)
def test_push(tmp_path: Path, event: dict[str, Any], expected: Asked) -> None:
    """What was pushed, since what was there before, if anything was."""
    assert github(tmp_path, "push", {**event, "repository": {"default_branch": "main"}}) == expected


def test_merge_group(tmp_path: Path) -> None:
    """GitHub's own merge queue builds branches that are nobody's."""
    group = {"base_sha": A, "head_sha": B, "base_ref": "refs/heads/main", "head_ref": "refs/heads/gh/x"}
    assert github(tmp_path, "merge_group", {"merge_group": group}) == Asked(B, A, None, "main")


def test_other_events(tmp_path: Path) -> None:
    """A run that was started by hand or by a clock looks at what is checked out."""
    event = {"repository": {"default_branch": "main"}}
    asked = github(tmp_path, "workflow_dispatch", event, GITHUB_REF="refs/heads/topic")
    assert asked == Asked("HEAD", "", "topic", default="main")
    assert github(tmp_path, "schedule") == Asked()


def test_merge_request() -> None:
    """A merge request since its base, for its source branch."""
    about = {
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": B,
        "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "topic",
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
        "CI_COMMIT_REF_NAME": "topic",
        "CI_COMMIT_BEFORE_SHA": NOBODY,
    }
    assert gitlab(**about) == Asked(A, B, "topic", "main")
    assert gitlab(**about, CI_MERGE_REQUEST_SOURCE_BRANCH_SHA=C) == Asked(C, B, "topic", "main")
    assert gitlab(**about, CI_MERGE_REQUEST_SOURCE_BRANCH_SHA="") == Asked(A, B, "topic", "main")


def test_branch_and_tag() -> None:
    """A push to a branch since what was there; a tag has no branch."""
    push = {"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BEFORE_SHA": B}
    asked = gitlab(**push, CI_COMMIT_REF_NAME="topic", CI_COMMIT_BRANCH="topic")
    assert asked == Asked(A, B, "topic", default="main", pushed=True)
    asked = gitlab(CI_COMMIT_BEFORE_SHA=NOBODY, CI_COMMIT_REF_NAME="v1", CI_COMMIT_TAG="v1")
    assert asked == Asked(A, "", None, default="main")


@pytest.mark.parametrize("environment", [{}, {"CI": "true"}, {"GITHUB_ACTIONS": "false"}, {"GITLAB_CI": ""}])
def test_no_ci_that_is_known(environment: dict[str, str]) -> None:
    """Elsewhere nothing is guessed from the environment."""
    assert detect(environment) is None
