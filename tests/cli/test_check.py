"""`git pw check` on the command line: what is said, in every form, and how it ends."""

from __future__ import annotations

import json
import sys
import unicodedata
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitpw.cli.reports import annotated, sarif
from gitpw.domain.lock import Ended
from gitpw.domain.review import UNGUARDED, Finding, Kind, Span, Stamp
from gitpw.services.check import Checked
from tests.cli.conftest import NOW, a_claim

if TYPE_CHECKING:
    from tests.cli.conftest import Cli, Serve

SCHEMA = json.loads(Path(__file__).parents[1].joinpath("support/sarif-2.1.0.json").read_text())
"""As OASIS publishes it."""

COMMIT = "c0ffee" + "0" * 34
SPAN = Span(COMMIT, ("b" * 40,), "fix/task-001", "main")

HELD = Finding(Kind.HELD, COMMIT, "src/auth/login.ts", a_claim(), "src/auth/login.ts")
BARE = Finding(Kind.HELD, COMMIT, "x", a_claim(None), "x")
QUEUED = Finding(Kind.HELD, COMMIT, "q", a_claim(queued=True), "q")
LACKING = Finding(Kind.NEEDS_LOCK, COMMIT, "package.json")
ENDED = Ended(how="taken over", by="bob", at=NOW, counter=9, task="task-001", worker="alice")
STALE = Finding(Kind.STALE, COMMIT, claim=a_claim(worker="bob"), stamp=Stamp("task-001", 3), ending=ENDED)
LOST = Finding(Kind.STALE, COMMIT, stamp=Stamp("task-001", 3), ending=ENDED)
FORGOTTEN = Finding(Kind.STALE, COMMIT, stamp=Stamp("task-001", 3))
WAS = Finding(Kind.WAS_HELD, COMMIT, "src/old.ts", a_claim(), "src")
ALL = [HELD, BARE, QUEUED, LACKING, STALE, LOST, FORGOTTEN]


def checked(violations: list[Finding], warnings: list[Finding] | None = None, **more: Any) -> Checked:
    """What a check found."""
    return Checked(SPAN, 2, violations, warnings or [], None)._replace(**more)


@pytest.fixture(autouse=True)
def spans(opened: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A range is found for whatever was asked, which is noted."""
    del opened
    asked: dict[str, Any] = {"found": (SimpleNamespace(), SPAN, UNGUARDED)}

    def find_span(**about: Any) -> Any:
        del about["tell"]
        asked["about"] = about
        return asked["found"]

    monkeypatch.setattr(sys.modules["gitpw.app"], "find_span", find_span, raising=False)
    return asked


def test_allowed(cli: Cli, serve: Serve) -> None:
    """Nothing stands against it: a line, and exit 0."""
    serve("check.check", checked([]))
    done = cli("check")
    assert (done.exit, done.out, done.err) == (0, "2 commits for fix/task-001: allowed\n", "")
    assert cli("check", "-q").out == ""
    data = cli("check", "--json").data
    assert data == {
        "ok": True,
        "head": COMMIT,
        "base": "main",
        "branch": "fix/task-001",
        "commits": 2,
        "asOf": None,
        "violations": [],
        "warnings": [],
    }


def test_violations(cli: Cli, serve: Serve) -> None:
    """One line for each, with what can be done about it; exit 1."""
    serve("check.check", checked(ALL, [WAS]))
    done = cli("check")
    assert (done.exit, done.out) == (1, "")
    assert done.err.splitlines() == [
        "warning: src/old.ts (c0ffee0000) was held by alice for task-001 when it was changed",
        "src/auth/login.ts (c0ffee0000) is held by alice for task-001 until 2026-03-01T12:48:00Z",
        "x (c0ffee0000) is held by alice until 2026-03-01T12:48:00Z",
        (
            "  hint: wait until it is free, ask alice, or take the change out; the lock's own commits say so: "
            "git commit --amend --no-edit --trailer 'Pw-Token: 99'"
        ),
        "q (c0ffee0000) is held by alice for task-001 until it is merged",
        "package.json (c0ffee0000) may be changed only under an exclusive lock of one's own",
        "  hint: in the task's worktree: git pw lock -- package.json",
        (
            "the claim on task-001 with token 3 (c0ffee0000) is lost: taken over by bob at 2026-03-01T12:00:00Z; "
            "bob has it with token 1"
        ),
        "  hint: leave it to bob, who vouches for what is there with 'git pw push'",
        "the claim on task-001 with token 3 (c0ffee0000) is lost: taken over by bob at 2026-03-01T12:00:00Z",
        "  hint: claim it again: git pw claim task-001",
        "the claim on task-001 with token 3 (c0ffee0000) is lost: nobody remembers it",
        "  hint: claim it again: git pw claim task-001",
        "7 violations found in 2 commits for fix/task-001",
        "hint: wait until it is free, ask alice, or take the change out of the commits",
    ]


def test_violations_in_json(cli: Cli, serve: Serve) -> None:
    """The same for programs: each with its file, commit, kind and holder."""
    serve("check.check", checked([HELD, STALE], [WAS]))
    done = cli("check", "--json")
    assert done.exit == 1
    assert (done.data["ok"], done.data["code"]) == (False, "failed")
    first, second = done.data["violations"]
    assert first["holder"] == {
        "workerId": "alice",
        "taskId": "task-001",
        "path": "src/auth/login.ts",
        "expiresAt": "2026-03-01T12:48:00Z",
    }
    assert {name: first[name] for name in ("file", "commit", "kind")} == {
        "file": "src/auth/login.ts",
        "commit": COMMIT,
        "kind": "held",
    }
    assert (second["file"], second["kind"], second["taskId"], second["token"]) == (
        None,
        "stale",
        "task-001",
        3,
    )
    assert [one["kind"] for one in done.data["warnings"]] == ["was_held"]


def test_nothing_to_check(cli: Cli, spans: dict[str, Any]) -> None:
    """A branch that was deleted, a repository without commits."""
    spans["found"] = None
    assert cli("check").out == "there is nothing to check\n"
    assert cli("check", "--json").data == {"ok": True, "commits": 0, "violations": [], "warnings": []}


def test_options(cli: Cli, serve: Serve, spans: dict[str, Any], opened: Any) -> None:
    """What is named reaches who looks for it, and the rules are those of the base."""
    fake = serve("check.check", checked([]))
    cli("-C", "/shop", "check", "--base", "b", "--head", "h", "--branch", "x", "--strict-time")
    assert spans["about"] == {"directory": "/shop", "base": "b", "head": "h", "branch": "x"}
    assert fake.call_args.kwargs == {"strict_time": True}
    assert opened.calls[-1]["policy"] is UNGUARDED


def test_how_old_it_is(cli: Cli, serve: Serve) -> None:
    """Where the remote could not be asked, the answer says how old it is."""
    serve("check.check", checked([], as_of=NOW.replace(hour=11)))
    assert "1h00m old" in cli("check").err
    assert cli("check", "--json").data["asOf"] == "2026-03-01T11:00:00Z"


def test_misuse(cli: Cli, serve: Serve) -> None:
    """A form that there isn't, and two documents for one stdout."""
    serve("check.check", checked([]))
    assert cli("check", "--format", "xml").exit == 6
    assert cli("check", "--format", "sarif", "--json").exit == 2
    assert cli("check", "--format", "text", "--json").exit == 0


def test_github(cli: Cli, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """In GitHub Actions annotations are what is printed, by itself, unless something else is asked for."""
    serve("check.check", checked([HELD], [WAS]))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    done = cli("check")
    assert done.exit == 1
    assert done.out.splitlines() == [
        (
            "::error file=src/auth/login.ts,title=git pw%3A Somebody else holds this file::src/auth/login.ts "
            "(c0ffee0000) is held by alice for task-001 until 2026-03-01T12:48:00Z%0A"
            "hint: wait until it is free, ask alice, or take the change out of the commits"
        ),
        (
            "::warning file=src/old.ts,title=git pw%3A Somebody else held this file when it was changed::src/old.ts "
            "(c0ffee0000) was held by alice for task-001 when it was changed%0A"
            "hint: look whether both changes are still what they should be"
        ),
    ]
    assert done.err.splitlines()[0] == "1 violation found in 2 commits for fix/task-001"
    assert cli("check", "--format", "text").out == ""
    assert cli("check", "--json").data["code"] == "failed"
    serve("check.check", checked([]))
    assert cli("check").out == "2 commits for fix/task-001: allowed\n"


def test_output(cli: Cli, serve: Serve, tmp_path: Path) -> None:
    """A report goes into a file, and people are told as usual, or programs in JSON."""
    serve("check.check", checked([HELD], [WAS]))
    file = tmp_path / "locks"
    done = cli("check", "--format", "sarif", "--output", str(file))
    assert (done.exit, done.out) == (1, "")
    assert "is held by alice" in done.err
    assert json.loads(file.read_text())["version"] == "2.1.0"
    assert cli("check", "--json", "--format", "github", "--output", str(file)).data["code"] == "failed"
    assert file.read_text().startswith("::error file=src/auth/login.ts,")
    cli("check", "--output", str(file))
    assert file.read_text().splitlines()[1].startswith("src/old.ts (c0ffee0000) was held")
    done = cli("check", "--output", str(tmp_path / "no/such/folder"))
    assert (done.exit, done.out) == (1, "")
    assert "can't be written" in done.err


@given(st.text(min_size=1, max_size=30))
def test_annotations_of_any_name(name: str) -> None:
    """Whatever a file is called, its annotation is one line, and the runner reads the name back."""
    (line,) = annotated(checked([HELD._replace(file=name)]))
    assert "\n" not in line
    assert "\r" not in line
    properties = line.removeprefix("::error ").partition("::")[0]
    shown = properties.removeprefix("file=").rpartition(",title=")[0]
    for escaped, letter in (("%2C", ","), ("%3A", ":"), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
        shown = shown.replace(escaped, letter)
    if name.replace("\n", "").replace("\r", "").isprintable():
        assert shown == name
    assert "Cc" not in {unicodedata.category(letter) for letter in line}


def test_annotations_cannot_be_forged() -> None:
    """A file's name is no workflow command."""
    (line,) = annotated(checked([HELD._replace(file="a\n::set-output name=x::y\n%0A,file=b::z")]))
    assert line.startswith("::error file=a%0A%3A%3Aset-output name=x%3A%3Ay%0A%250A%2Cfile=b%3A%3Az,title=")
    assert "\n" not in line


def valid(text: str) -> Any:
    """A SARIF log that is one by the published schema."""
    data = json.loads(text)
    jsonschema.Draft4Validator(SCHEMA).validate(data)
    return data


def test_sarif(cli: Cli, serve: Serve) -> None:
    """The log is valid by the published schema, and has each finding at its file."""
    serve("check.check", checked(ALL, [WAS]))
    done = cli("check", "--format", "sarif")
    assert done.exit == 1
    (run,) = valid(done.out)["runs"]
    assert [one["ruleId"] for one in run["results"]] == [one.kind.value for one in [*ALL, WAS]]
    assert [one["level"] for one in run["results"]] == ["error"] * 7 + ["warning"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert all(rules[one["ruleIndex"]] == one["ruleId"] for one in run["results"])
    place = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place["uri"] == "src/auth/login.ts"


def test_sarif_of_nothing(cli: Cli, serve: Serve) -> None:
    """No findings are a log too: it closes what was open."""
    serve("check.check", checked([]))
    done = cli("check", "--format", "sarif")
    assert done.exit == 0
    assert done.err == "2 commits for fix/task-001: allowed\n"
    assert valid(done.out)["runs"][0]["results"] == []


@pytest.mark.parametrize(
    ("name", "uri"),
    [
        ("a b#?.txt", "a%20b%23%3F.txt"),
        ("\u00e9/\n", "%C3%A9/%0A"),
        ("bad\udcff", "bad%FF"),
        ("a:b%", "a%3Ab%25"),
    ],
)
def test_sarif_of_odd_names(name: str, uri: str) -> None:
    """Names become addresses."""
    (run,) = valid(sarif(checked([HELD._replace(file=name)]), "1"))["runs"]
    assert run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == uri
