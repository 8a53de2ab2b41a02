"""What a check found, as other programs read it: GitHub's annotations and SARIF 2.1.0."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from gitpw.cli.output import safe
from gitpw.domain.review import Finding, Kind
from gitpw.services.findings import told, way_out

if TYPE_CHECKING:
    from gitpw.services.check import Checked

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

TITLES = {
    Kind.HELD: "Somebody else holds this file",
    Kind.NEEDS_LOCK: "This file needs a lock",
    Kind.STALE: "The claim was lost",
    Kind.WAS_HELD: "Somebody else held this file when it was changed",
}

NOWHERE = ".gitpw.toml"
"""Stands for the file of a finding that is about none: readers of SARIF insist on one."""


def annotated(checked: Checked) -> list[str]:
    """GitHub's workflow commands: one for each finding, shown at its file."""
    return [_annotation(level, found) for level, found in _levels(checked)]


def _levels(checked: Checked) -> Iterator[tuple[str, Finding]]:
    yield from (("error", found) for found in checked.violations)
    yield from (("warning", found) for found in checked.warnings)


def _annotation(level: str, found: Finding) -> str:
    words = {"file": found.file, "title": f"git pw: {TITLES[found.kind]}"}
    properties = ",".join(f"{name}={_property(value)}" for name, value in words.items() if value is not None)
    return f"::{level} {properties}::{_data(f'{told(found)}{chr(10)}hint: {way_out(found)}')}"


def _data(text: str) -> str:
    """Text as GitHub's runner reads it back; what could steer a terminal is spelled out."""
    return safe(text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A"))


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def sarif(checked: Checked, version: str) -> str:
    """The findings as a SARIF log of one run."""
    driver = {
        "name": "git-pw",
        "version": version,
        "rules": [{"id": kind.value, "shortDescription": {"text": TITLES[kind]}} for kind in Kind],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(level, found) for level, found in _levels(checked)],
        "properties": {"head": checked.span.head, "commits": checked.commits},
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _result(level: str, found: Finding) -> dict[str, Any]:
    place = {
        "artifactLocation": {
            "uri": quote(os.fsencode(found.file or NOWHERE), safe="/"),
            "uriBaseId": "%SRCROOT%",
        },
        "region": {"startLine": 1},
    }
    whose = found.claim.id if found.claim is not None else ""
    return {
        "ruleId": found.kind.value,
        "ruleIndex": list(Kind).index(found.kind),
        "level": level,
        "message": {"text": safe(f"{told(found)}; {way_out(found)}")},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"lock/v1": f"{found.kind.value}:{found.file or ''}:{whose}"},
        "properties": {"commit": found.commit},
    }
