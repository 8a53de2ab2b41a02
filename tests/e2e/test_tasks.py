"""The queue of tasks as people and programs use it, on a real repository: files of tasks, ties, reasons, a terminal."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.cli import Result, pw
from tests.support.git import clone, environment, make_upstream

PLAN = """\
[[task]]
key = "design"
title = "Design the API"
files = ["src"]
estimate = 20

[[task]]
key = "build"
title = "Build it"
after = ["design"]
files = ["src/api.py"]
related = ["words"]

[[task]]
key = "words"
title = "Describe it: “naïve” \\\\ [draft]"
type = "docs"
after = ["build"]
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A clone with a ledger."""
    return repository(tmp_path, "shop")


def repository(root: Path, name: str) -> Path:
    """A clone with a ledger of its own."""
    make_upstream(root / f"{name}.git")
    work = clone(root / f"{name}.git", root / name)
    pw("init", "--no-hooks", cwd=work, check=0)
    return work


def done(work: Path, *words: str, worker: str = "ann", check: int = 0, text: str | None = None) -> Result:
    """Run a command as a worker."""
    return pw(*words, cwd=work, env={"GITPW_WORKER": worker}, check=check, input=text)


def test_a_file_of_tasks(shop: Path) -> None:
    """Is added once, whole, and worked off in its order."""
    (shop / "sub").mkdir()
    (shop / "sub" / "plan.toml").write_text(PLAN)
    added = done(shop / "sub", "task", "import", "plan.toml").data
    assert added["added"] == ["task-001", "task-002", "task-003"]
    assert added["tasks"][0]["metadata"]["files"] == ["sub/src"]  # relative to the current folder, as --file
    assert added["tasks"][2]["dependencies"] == ["task-002"]
    assert done(shop, "task", "import", "-", text=PLAN).data["added"] == []
    assert done(shop, "claim", "--no-worktree").data["task"]["id"] == "task-001"
    refused = done(shop, "claim", "--no-worktree", worker="bob", check=4).data
    assert {one["taskId"]: one["code"] for one in refused["reasons"]} == {
        "task-001": "claimed",
        "task-002": "waiting",
        "task-003": "waiting",
    }


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('[[task]]\ntitle = "a"\n\n[[task]]\ntitle = "b"\nafter = ["nowhere"]\n', 4, "there is no nowhere"),
        ('[[task]]\ntitle = "a"\n\n[[task]]\ntitle = "b"\nfiles = ["../x"]\n', 4, "leaves the repository"),
        ('[[task]]\ntitle = "a"\n\n[[task]]\ntitle = "b"\npriority = 7\n', 6, "must be at most 5"),
        (
            '[[task]]\nkey = "a"\ntitle = "a"\nafter = ["b"]\n\n[[task]]\nkey = "b"\ntitle = "b"\nafter = ["a"]\n',
            1,
            "that is a circle: a → b → a",
        ),
        (
            '[[task]]\nkey = "a"\ntitle = "a"\n[[task]]\nkey = "a"\ntitle = "b"\n',
            4,
            "two tasks have the key a",
        ),
    ],
)
def test_a_wrong_file_adds_nothing(shop: Path, text: str, line: int, said: str) -> None:
    """Whatever is wrong with it, the line is named, and the ledger is as it was."""
    answer = done(shop, "task", "import", "-", text=text, check=6).data
    assert answer["message"].startswith(f"stdin:{line}: ")
    assert said in answer["message"]
    assert done(shop, "task", "list").data["tasks"] == []
    assert done(shop, "task", "add", "first").data["task"]["id"] == "task-001"


@pytest.mark.parametrize("how", ["toml", "json", "jsonl"])
def test_export_and_import_elsewhere(shop: Path, tmp_path: Path, how: str) -> None:
    """Everything that is said of a task travels, and nothing is added where it came from."""
    done(shop, "task", "import", "-", text=PLAN)
    done(shop, "task", "split", "1", "Part one", "--file", "lib")
    done(shop, "task", "add", "A bug nearby", "--found-by", "2", "--skill", "go", "--issue", "7")
    text = pw("task", "export", "--format", how, cwd=shop, check=0, json=False).out
    assert done(shop, "task", "import", "-", text=text).data["added"] == []
    other = repository(tmp_path, "other")
    assert len(done(other, "task", "import", "-", text=text).data["added"]) == 5
    assert pw("task", "export", "--format", how, cwd=other, check=0, json=False).out == text
    here, there = (done(work, "task", "graph").data for work in (shop, other))
    assert there["edges"] == here["edges"]
    kept = ("title", "type", "priority", "requiredSkills", "estimatedDuration")
    for one, two in zip(here["tasks"], there["tasks"], strict=True):
        assert [one[name] for name in kept] == [two[name] for name in kept]
        assert one["metadata"]["files"] == two["metadata"]["files"]
    assert done(shop, "task", "import", "-", text=text).data["added"] == []


def test_parts_bring_the_whole_home(shop: Path) -> None:
    """A task that was split is merged when its parts are, and what waited for it is to be had."""
    done(shop, "config", "merge.mode", "none")
    done(shop, "task", "add", "big", "--estimate", "60")
    done(shop, "task", "add", "next", "--after", "1")
    assert [one["id"] for one in done(shop, "task", "split", "1", "one", "two").data["tasks"]] == [
        "task-003",
        "task-004",
    ]
    assert "task-003" in done(shop, "claim", "1", "--no-worktree", check=6).data["message"]
    for _ in range(2):
        done(shop, "claim", "--no-worktree")
        done(shop, "complete")
    shown = done(shop, "task", "show", "1").data
    assert (shown["task"]["status"], shown["parts"]) == ("completed", ["task-003", "task-004"])
    assert shown["task"]["mergedAt"]
    assert done(shop, "claim", "--no-worktree").data["task"]["id"] == "task-002"


def test_failures(shop: Path) -> None:
    """One that may go better is tried again later; one that may not needs a person, and blocks what waits for it."""
    done(shop, "task", "add", "flaky")
    done(shop, "task", "add", "next", "--after", "1")
    done(shop, "claim", "--no-worktree")
    failed = done(shop, "fail", "--reason", "slow", "--kind", "timeout").data
    assert (failed["task"]["status"], failed["needsPerson"], failed["attempts"]) == ("failed", False, 1)
    assert failed["retryAt"] > failed["task"]["createdAt"]
    reasons = done(shop, "claim", "--no-worktree", check=4).data["reasons"]
    assert {one["taskId"]: one["code"] for one in reasons} == {"task-001": "backoff", "task-002": "waiting"}
    assert done(shop, "health").data["problems"] == []
    done(shop, "task", "retry", "1")
    done(shop, "claim", "--no-worktree")
    done(shop, "fail", "--reason", "no way")
    status = done(shop, "status").data
    assert status["blocked"] == [{"taskId": "task-002", "by": "task-001", "status": "failed"}]
    assert (status["failed"][0]["taskId"], status["failed"][0]["needsPerson"]) == ("task-001", True)
    assert "task-001" in json.dumps(done(shop, "health", check=1).data["problems"])
    event = done(shop, "log", "--task", "1").data["events"][-1]
    assert (event["verb"], event["detail"]["kind"], event["detail"]["needsPerson"]) == ("fail", "other", True)


def test_an_agent_is_told_its_limit(shop: Path) -> None:
    """By the type of the task and the policy; people have none."""
    for kind in ("docs", "fix"):
        done(shop, "task", "add", kind, "--type", kind)
    done(shop, "config", "agent.timeout.fix", "10m")
    assert done(shop, "config", "agent.timeout.fixx", "10m", check=78).data["code"] == "config"
    limits = [
        pw(
            "claim", "--no-worktree", "--as", name, cwd=shop, env={"GITPW_WORKER_TYPE": "ai_agent"}, check=0
        ).data
        for name in ("bot", "robot")
    ]
    assert [one["timeLimit"] for one in limits] == [120, 600]
    done(shop, "task", "add", "for a person")
    assert "timeLimit" not in done(shop, "claim", "--no-worktree").data


def test_why_nothing_else_without_room(shop: Path) -> None:
    """Who has no room left is told so of each task, when asked."""
    for title in ("one", "two"):
        done(shop, "task", "add", title)
    done(shop, "claim", "--no-worktree")
    refused = done(shop, "claim", "--no-worktree", "--explain", check=6).data
    assert refused["holding"] == ["task-001"]
    assert {one["taskId"]: one["code"] for one in refused["reasons"]} == {
        "task-001": "claimed",
        "task-002": "room",
    }
    ready = done(shop, "task", "list", "--ready").data
    assert [one["id"] for one in ready["tasks"]] == ["task-002"]
    assert [one["code"] for one in ready["reasons"]] == ["room", "claimed"]
    explained = done(shop, "claim", "--no-worktree", "--explain", worker="bob").data
    assert [one["taskId"] for one in explained["reasons"]] == ["task-001"]


def test_picked_on_a_terminal(shop: Path) -> None:
    """The second of two, with the path alone on stdout."""
    for title in ("one", "two"):
        done(shop, "task", "add", title)
    mine, its = pty.openpty()
    process = subprocess.Popen(
        ["git-pw", "claim", "--pick", "--print-path"],
        cwd=shop, stdin=its, stderr=its, stdout=subprocess.PIPE, env=environment({"TERM": "xterm", "GITPW_WORKER": "ann"}),
    )  # fmt: skip
    os.close(its)
    seen, until = b"", time.monotonic() + 60
    while b"leave" not in seen and time.monotonic() < until:
        if select.select([mine], [], [], 1)[0]:
            seen += os.read(mine, 4096)
    os.write(mine, b"\x1b[B\r")
    out, _ = process.communicate(timeout=60)
    os.close(mine)
    assert process.returncode == 0, seen
    assert out.decode().strip().endswith("task-002")
    assert done(shop, "task", "show", "2").data["task"]["assignedTo"] == "ann"


def test_a_long_file_is_one_commit(shop: Path) -> None:
    """However many tasks are in it; and the next claim finds the best of them."""
    lines = [
        json.dumps({"key": f"k{n}", "title": f"t{n}", "after": [f"k{n - 9}"] if n % 3 and n > 9 else []})
        for n in range(2_000)
    ]
    before = done(shop, "log").data["events"][-1]["counter"]
    text = "\n".join(lines)
    assert len(done(shop, "task", "import", "-", text=text).data["added"]) == 2_000
    assert done(shop, "log").data["events"][-1]["counter"] == before + 1
    assert done(shop, "claim", "--no-worktree").data["ok"]
