"""`git pw check` in clones as CI systems make them, with the ledger on the remote."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.cli import Result, pw
from tests.support.git import clone, environment, git, make_upstream, run

if TYPE_CHECKING:
    from collections.abc import Mapping

NOBODY = "0" * 40


@dataclass
class Shop:
    """A remote with a ledger, alice's clone, and bob's, who does what he shouldn't."""

    bare: Path
    alice: Path
    bob: Path

    def pw(self, *words: str, who: str = "alice", check: int = 0, cwd: Path | None = None) -> Result:
        """Run git-pw as somebody."""
        where = cwd or (self.alice if who == "alice" else self.bob)
        return pw(*words, cwd=where, env={"GITPW_WORKER": who}, check=check)

    def commit(self, work: Path, *files: str, message: str = "Change") -> str:
        """Commit a line more in some files, unguarded; the commit."""
        for name in files:
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            with (work / name).open("a") as file:
                file.write("# more\n")
        git("add", "-A", cwd=work)
        git("commit", "-q", "--no-verify", "-m", message, cwd=work)
        return git("rev-parse", "HEAD", cwd=work)

    def push(self, work: Path, *specs: str) -> None:
        """Push unguarded."""
        git("push", "-q", "--no-verify", "origin", *specs, cwd=work)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Alice has task-001 with src/auth; bob's clone knows nothing of git-pw."""
    bare = make_upstream(tmp_path / "up.git")
    shop = Shop(bare, clone(bare, tmp_path / "alice"), tmp_path / "bob")
    shop.pw("init")
    shop.commit(shop.alice, ".gitpw.toml", message="Name the ledger")
    shop.push(shop.alice, "main")
    clone(bare, shop.bob)
    shop.pw("task", "add", "Fix auth", "--type", "fix", "--file", "src/auth")
    shop.pw("claim")
    return shop


def thin(shop: Shop, path: Path, ref: str, depth: int = 1) -> Path:
    """A clone as CI makes it: shallow, one ref, nothing checked out by name."""
    git("init", "-q", path, cwd=shop.bare)
    git("remote", "add", "origin", shop.bare.as_uri(), cwd=path)
    git("fetch", "-q", "--no-tags", f"--depth={depth}", "origin", ref, cwd=path)
    git("checkout", "-q", "--detach", "FETCH_HEAD", cwd=path)
    return path


def github(folder: Path, kind: str, event: Mapping[str, object], **more: str) -> dict[str, str]:
    """The environment of a job in GitHub Actions."""
    file = folder.parent / "event.json"
    file.write_text(json.dumps({"repository": {"default_branch": "main"}, **event}))
    named = {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": kind, "GITHUB_EVENT_PATH": str(file)}
    return {**named, "CI": "true", **more}


def pull_request(shop: Shop, head: str, branch: str, base: str) -> dict[str, object]:
    """The event of a pull request, whose merge the host has made."""
    tree = git("merge-tree", "--write-tree", base, head, cwd=shop.bare)
    merge = git("commit-tree", tree, "-p", base, "-p", head, "-m", "Merge", cwd=shop.bare)
    git("update-ref", "refs/pull/7/merge", merge, cwd=shop.bare)
    return {"pull_request": {"base": {"sha": base, "ref": "main"}, "head": {"sha": head, "ref": branch}}}


def test_pull_request_of_somebody_else(shop: Shop, tmp_path: Path) -> None:
    """A pull request that changes a held file fails, in a shallow clone that knows of no ledger."""
    git("checkout", "-qb", "evil", cwd=shop.bob)
    head = shop.commit(shop.bob, "src/auth/login.ts", "docs/guide.md")
    shop.push(shop.bob, "evil")
    base = git("rev-parse", "main", cwd=shop.bare)
    event = pull_request(shop, head, "evil", base)
    work = thin(shop, tmp_path / "ci", "refs/pull/7/merge")
    env = github(work, "pull_request", event, GITHUB_REF="refs/pull/7/merge", GITHUB_HEAD_REF="evil")
    found = pw("check", cwd=work, env=env, check=1).data
    assert [(one["file"], one["commit"], one["kind"]) for one in found["violations"]] == [
        ("src/auth/login.ts", head, "held")
    ]
    assert (found["branch"], found["base"], found["commits"], found["warnings"]) == ("evil", "main", 1, [])
    done = pw("check", cwd=work, env=env, json=False)
    assert done.out.startswith(
        "::error file=src/auth/login.ts,title=git pw%3A Somebody else holds this file::"
    )
    assert not list((work / ".git/hooks").glob("pre-*[a-z]")) or not (work / ".git/hooks/pre-commit").exists()


def test_pull_request_of_the_holder(shop: Shop, tmp_path: Path) -> None:
    """The holder's own passes, by its branch, also where another brought it up to date with the base."""
    tree = shop.alice / ".worktrees/task-001"
    shop.commit(tree, "src/auth/login.ts")
    shop.commit(shop.bob, "src/auth/old.ts", "docs/guide.md")  # landed before anybody looked
    shop.push(shop.bob, "HEAD:main")
    git("fetch", "-q", "origin", cwd=tree)
    git("merge", "-q", "--no-edit", "origin/main", cwd=tree)
    shop.push(tree, "HEAD")
    head = git("rev-parse", "HEAD", cwd=tree)
    base = git("rev-parse", "main~1", cwd=shop.bare)
    event = pull_request(shop, head, "fix/task-001-fix-auth", base)
    work = thin(shop, tmp_path / "ci", "refs/pull/7/merge")
    env = github(work, "pull_request", event, GITHUB_REF="refs/pull/7/merge")
    found = pw("check", cwd=work, env=env, check=0).data
    assert (found["violations"], found["commits"], found["branch"]) == ([], 2, "fix/task-001-fix-auth")
    assert "allowed" in pw("check", cwd=work, env=env, json=False, check=0).out


def test_rules_that_cannot_be_read_stop_nobody_who_mends_them(shop: Shop) -> None:
    """While the base branch's rules can't be read the defaults hold, and that is told; a held file still counts."""
    git("fetch", "-q", cwd=shop.bob)
    (shop.bob / ".gitpw.toml").write_text("[policy\n")
    shop.commit(shop.bob)
    git("push", "-q", "--no-verify", "origin", "HEAD:main", cwd=shop.bob)
    git("checkout", "-qb", "mend", cwd=shop.bob)
    (shop.bob / ".gitpw.toml").write_text("")
    shop.commit(shop.bob)
    done = pw("check", "--base", "origin/main", cwd=shop.bob, check=0)
    assert "judged by the rules that hold without it" in done.err
    shop.commit(shop.bob, "src/auth/login.ts")
    found = pw("check", "--base", "origin/main", cwd=shop.bob, check=1).data
    assert [one["file"] for one in found["violations"]] == ["src/auth/login.ts"]


def test_rules_that_the_range_brings_do_not_count(shop: Shop, tmp_path: Path) -> None:
    """A pull request can neither switch the rules off, nor name another ledger, nor break them for itself."""
    elsewhere = make_upstream(tmp_path / "elsewhere.git")
    git("checkout", "-qb", "evil", cwd=shop.bob)
    for text in (
        "[policy]\ncritical = []\nignore = ['**']\n",
        f'remote = "{elsewhere}"\n',
        'ledger = "0123456789abcdef0123"\n',
        "nonsense = [\n",
    ):
        (shop.bob / ".gitpw.toml").write_text(text)
        head = shop.commit(shop.bob, "src/auth/login.ts", "package.json")
        found = pw("check", "--head", head, cwd=shop.bob, check=1).data
        assert {one["file"] for one in found["violations"]} == {"src/auth/login.ts", "package.json"}


def test_push_to_main(shop: Shop, tmp_path: Path) -> None:
    """A push to the base branch itself is told of, with what was there before fetched where it is missing."""
    before = git("rev-parse", "main", cwd=shop.bare)
    shop.commit(shop.bob, "docs/guide.md")
    after = shop.commit(shop.bob, "src/auth/login.ts")
    shop.push(shop.bob, "HEAD:main")
    work = thin(shop, tmp_path / "ci", "refs/heads/main")
    event = {"before": before, "after": after, "ref": "refs/heads/main"}
    found = pw("check", cwd=work, env=github(work, "push", event), check=1).data
    assert (found["commits"], [one["file"] for one in found["violations"]]) == (2, ["src/auth/login.ts"])


def test_gitlab(shop: Shop, tmp_path: Path) -> None:
    """The same in GitLab: a merge request, a new branch, a branch that went on."""
    base = git("rev-parse", "main", cwd=shop.bare)
    git("checkout", "-qb", "evil", cwd=shop.bob)
    first = shop.commit(shop.bob, "docs/guide.md")
    head = shop.commit(shop.bob, "src/auth/login.ts")
    shop.push(shop.bob, "evil")
    common = {"GITLAB_CI": "true", "CI": "true", "CI_COMMIT_SHA": head, "CI_DEFAULT_BRANCH": "main"}
    request = {
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": base,
        "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "evil",
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
    }
    push = {"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_REF_NAME": "evil"}
    for number, (said, count) in enumerate(
        (
            (request, 2),
            ({**push, "CI_COMMIT_BEFORE_SHA": NOBODY}, 2),
            ({**push, "CI_COMMIT_BEFORE_SHA": first}, 1),
        )
    ):
        work = thin(shop, tmp_path / f"ci{number}", "refs/heads/evil")
        found = pw("check", cwd=work, env={**common, **said}, check=1).data
        assert (found["commits"], len(found["violations"]), found["branch"]) == (count, 1, "evil")


def test_lock_without_a_task(shop: Shop) -> None:
    """Who locked files without a task, in this checkout, is known here; elsewhere by the token in the commit."""
    git("checkout", "-qb", "docs", cwd=shop.alice)
    shop.pw("lock", "docs")
    (lock,) = shop.pw("locks", "docs").data["locks"]
    shop.commit(shop.alice, "docs/guide.md")
    assert shop.pw("check").data["violations"] == []
    shop.push(shop.alice, "docs")
    git("fetch", "-q", cwd=shop.bob)
    found = shop.pw("check", "--head", "origin/docs", who="bob", check=1).data
    assert f"Pw-Token: {lock['token']}" in found["hint"]
    git(
        "commit",
        "-q",
        "--amend",
        "--no-edit",
        "--no-verify",
        "--trailer",
        f"Pw-Token: {lock['token']}",
        cwd=shop.alice,
    )
    shop.push(shop.alice, "+docs")
    git("fetch", "-q", cwd=shop.bob)
    assert shop.pw("check", "--head", "origin/docs", who="bob").data["branch"] == "docs"


def test_past_in_a_clone_that_just_joined(shop: Shop, tmp_path: Path) -> None:
    """Earlier states of the ledger are fetched where commits are older than what a fresh clone knows."""
    git("checkout", "-qb", "early", cwd=shop.bob)
    shop.commit(shop.bob, "src/auth/login.ts")
    shop.push(shop.bob, "early")
    committed = int(git("log", "-1", "--format=%ct", cwd=shop.bob))
    while int(time.time()) <= committed:  # states and commits are dated to the second
        time.sleep(0.05)
    shop.pw("release", "task-001")
    work = thin(shop, tmp_path / "ci", "refs/heads/early", depth=2)
    found = pw("check", "--branch", "early", cwd=work, env={"GITLAB_CI": "true", "CI": "true"}, check=0).data
    assert [(one["file"], one["kind"]) for one in found["warnings"]] == [("src/auth/login.ts", "was_held")]
    again = pw(
        "check", "--strict-time", "--branch", "early", cwd=work, env={"GITLAB_CI": "true"}, check=1
    ).data
    assert [one["kind"] for one in again["violations"]] == ["was_held"]


def test_offline(shop: Shop, tmp_path: Path) -> None:
    """Where the locks can't be known, nothing is allowed; a clone that knew them goes by what it knew."""
    shop.commit(shop.alice, "docs/guide.md")
    git("checkout", "-qb", "evil", cwd=shop.bob)
    head = shop.commit(shop.bob, "src/auth/login.ts")
    shop.push(shop.bob, "evil")
    work = thin(shop, tmp_path / "ci", "refs/heads/evil", depth=3)
    git("fetch", "-q", "origin", "main:refs/remotes/origin/main", cwd=work)
    shop.bare.rename(tmp_path / "gone.git")
    done = pw("check", "--head", head, cwd=work, env={"GITLAB_CI": "true"}, check=69)
    assert done.data["code"] == "offline"
    done = shop.pw("check", check=0)
    assert done.data["asOf"]
    assert "judged by the locks of" in done.err
    (shop.alice / ".gitpw.toml").write_text('[policy]\noffline = "block"\n')
    git("update-ref", "refs/remotes/origin/main", shop.commit(shop.alice, "x"), cwd=shop.alice)
    assert shop.pw("check", check=69).data["code"] == "offline"


def test_no_ledger(tmp_path: Path) -> None:
    """Where there is no ledger, a check doesn't pass: it may have vanished."""
    work = clone(make_upstream(tmp_path / "up.git"), tmp_path / "work")
    git("commit", "-q", "--allow-empty", "-m", "x", cwd=work)
    assert pw("check", cwd=work, check=78).data["hint"] == "git pw init"


def test_odd_names_from_a_subfolder(shop: Shop) -> None:
    """Names come out as they are, from wherever the check is run."""
    names = tuple(f"odd/{name}" for name in ("a b", "-x", "new\nline", "\u00e9\udcff"))
    shop.pw("lock", "odd")
    git("checkout", "-qb", "evil", cwd=shop.bob)
    shop.commit(shop.bob, *names)
    found = pw("check", cwd=shop.bob / "src/auth", check=1).data
    assert sorted(one["file"] for one in found["violations"]) == sorted(names)
    text = pw("-C", "src", "check", cwd=shop.bob, check=1, json=False).err
    assert "new\\nline (" in text


def test_ten_thousand_commits(shop: Shop) -> None:
    """A long range is one answer, with each finding once."""
    start = git("rev-parse", "main", cwd=shop.bob)
    who = "committer D <d@e> 1700000000 +0000\n"
    stream = [
        f"commit refs/heads/long\n{who}data 1\nx\n{'' if n else f'from {start}{chr(10)}'}"
        f"M 100644 inline src/auth/f{n % 5}\ndata {len(str(n))}\n{n}\n"
        for n in range(10_000)
    ]
    subprocess.run(
        ["git", "fast-import", "--quiet"],
        input="".join(stream).encode(),
        cwd=shop.bob,
        check=True,
        env=environment(None),
    )
    found = pw("check", "--head", "long", cwd=shop.bob, check=1).data
    assert (found["commits"], len(found["violations"])) == (10_000, 5)


def test_help_says_how_it_ends(shop: Shop) -> None:
    """The help names the statuses that a job must know."""
    told = run(["git-pw", "check", "-h"], shop.bob).out
    assert "Exit status 1" in told
    assert "69" in told
