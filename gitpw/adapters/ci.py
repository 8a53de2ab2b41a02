"""What a CI system says of the commits that it was started for, in its environment and its event's file."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from gitpw.adapters.disk import read

if TYPE_CHECKING:
    from collections.abc import Mapping

SHA = re.compile(r"[0-9a-f]{40,64}")

LARGEST = 1 << 25
"""Bytes of an event's file: GitHub's end at 25 MB."""


class Asked(NamedTuple):
    """The commits that are meant, as names and hashes that may not be here.

    `since` is what was there before, empty where that isn't known; `branch` what they are for or, with `pushed`, are
    on already. `target` is the branch that they are to land on, if that was said, `default` the repository's main one.
    `gone` where a branch was deleted.
    """

    head: str = "HEAD"
    since: str = ""
    branch: str | None = None
    target: str | None = None
    default: str | None = None
    pushed: bool = False
    gone: bool = False


class Ci(NamedTuple):
    """A CI system: its name for people, what was asked of it, and how its clones are made whole."""

    name: str
    asked: Asked
    advice: str


def detect(environment: Mapping[str, str]) -> Ci | None:
    """The CI system that this runs in, None where it is none that says what to look at."""
    if environment.get("GITHUB_ACTIONS") == "true":
        return Ci("GitHub", _github(environment), "give actions/checkout 'fetch-depth: 0'")
    if environment.get("GITLAB_CI") == "true":
        return Ci("GitLab", _gitlab(environment), "set GIT_DEPTH: 0 for this job")
    return None


def _github(environment: Mapping[str, str]) -> Asked:
    event = _event(environment.get("GITHUB_EVENT_PATH"))
    kind = environment.get("GITHUB_EVENT_NAME", "")
    if isinstance(event.get("pull_request"), dict):
        return _pull_request(event["pull_request"], environment)
    if kind.startswith("pull_request"):
        # The checkout is a merge that GitHub made: its second parent is the pull request.
        merged = environment.get("GITHUB_REF", "").endswith("/merge")
        return Asked(
            head="HEAD^2" if merged and kind != "pull_request_target" else "HEAD",
            branch=environment.get("GITHUB_HEAD_REF") or None,
            target=environment.get("GITHUB_BASE_REF") or None,
        )
    if isinstance(event.get("merge_group"), dict):
        group = event["merge_group"]
        return Asked(
            _sha(group.get("head_sha")) or "HEAD",
            _sha(group.get("base_sha")),
            target=_branch(group.get("base_ref")),
        )
    default = _text(_inside(event, "repository").get("default_branch"))
    branch = _branch(event.get("ref")) or _branch(environment.get("GITHUB_REF"))
    if kind != "push" or "after" not in event:
        return Asked(branch=branch, default=default)
    head = _sha(event["after"])
    since = _sha(event.get("before"))
    return Asked(head or "HEAD", since, branch, default=default, pushed=True, gone=not head)


def _pull_request(request: Mapping[str, Any], environment: Mapping[str, str]) -> Asked:
    base, head = _inside(request, "base"), _inside(request, "head")
    return Asked(
        _sha(head.get("sha")) or "HEAD",
        _sha(base.get("sha")),
        _text(head.get("ref")) or environment.get("GITHUB_HEAD_REF") or None,
        _text(base.get("ref")) or environment.get("GITHUB_BASE_REF") or None,
    )


def _gitlab(environment: Mapping[str, str]) -> Asked:
    def said(name: str) -> str:
        return environment.get(name, "")

    if said("CI_MERGE_REQUEST_DIFF_BASE_SHA") or said("CI_MERGE_REQUEST_TARGET_BRANCH_NAME"):
        # In a pipeline for merged results, CI_COMMIT_SHA is a merge that GitLab made.
        return Asked(
            _sha(said("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA")) or _sha(said("CI_COMMIT_SHA")) or "HEAD",
            _sha(said("CI_MERGE_REQUEST_DIFF_BASE_SHA")),
            said("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME") or said("CI_COMMIT_REF_NAME") or None,
            said("CI_MERGE_REQUEST_TARGET_BRANCH_NAME") or None,
        )
    branch = None if said("CI_COMMIT_TAG") else said("CI_COMMIT_BRANCH") or said("CI_COMMIT_REF_NAME") or None
    since = _sha(said("CI_COMMIT_BEFORE_SHA"))
    return Asked(
        _sha(said("CI_COMMIT_SHA")) or "HEAD",
        since,
        branch,
        default=said("CI_DEFAULT_BRANCH") or None,
        pushed=said("CI_PIPELINE_SOURCE") == "push",
    )


def _event(path: str | None) -> dict[str, Any]:
    """The event's file; empty where it can't be read."""
    with suppress(ValueError, RecursionError):
        found = json.loads(read(path, LARGEST) or b"{}") if path else {}
        if isinstance(found, dict):
            return found
    return {}


def _inside(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = data.get(name)
    return found if isinstance(found, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _sha(value: object) -> str:
    """A commit's name; empty for zeros, which stand for none, and for what is no name."""
    return value if isinstance(value, str) and SHA.fullmatch(value) and value.strip("0") else ""


def _branch(ref: object) -> str | None:
    name = _text(ref)
    return name.removeprefix("refs/heads/") if name and name.startswith("refs/heads/") else None
