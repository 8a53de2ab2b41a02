"""The merge queue on a server that judges every push: it lands what it may, and nothing that it may not."""

from __future__ import annotations

from pathlib import Path

from tests.support.cli import pw
from tests.support.git import clone, git, make_upstream, run

ALICE, BOB = {"GITPW_WORKER": "alice"}, {"GITPW_WORKER": "bob"}


def begun(tmp_path: Path, *rules: str) -> tuple[Path, Path]:
    """A guarded bare repository whose rules have landed, and a clone of it."""
    bare = make_upstream(tmp_path / "up.git")
    pw("init", "--server", cwd=bare, check=0)
    shop = clone(str(bare), tmp_path / "shop")
    pw("init", cwd=shop, check=0)
    with (shop / ".gitpw.toml").open("a") as file:
        file.write("\n".join(["", *rules, ""]))
    git("add", ".gitpw.toml", cwd=shop)
    git("commit", "-qm", "Rules", cwd=shop)
    git("push", "-q", "origin", "main", cwd=shop)
    return bare, shop


def handed_in(shop: Path, title: str, file: str, env: dict[str, str]) -> str:
    """A task that is done and waits in the queue; its id."""
    pw("task", "add", title, "--file", file, cwd=shop, check=0)
    claimed = pw("claim", cwd=shop, env=env, check=0).data
    tree = Path(claimed["worktree"])
    with (tree / file).open("a") as stream:
        stream.write(f"// {title}\n")
    run(["git", "commit", "-qam", title], tree, env)
    pw("complete", cwd=tree, env=env, check=0)
    return str(claimed["task"]["id"])


def test_what_is_handed_in_lands(tmp_path: Path) -> None:
    """By every strategy, critical files too, several tasks in one push; and nothing stays behind."""
    for strategy in ("rebase", "squash", "merge"):
        bare, shop = begun(tmp_path / strategy, "[merge]", 'test = "true"', f'strategy = "{strategy}"')
        one = handed_in(shop, "Log in", "src/auth/login.ts", ALICE)
        two = handed_in(shop, "New version", "package.json", BOB)
        pw("merge", "--once", cwd=shop, check=0)
        landed = pw("task", "list", "--status", "completed", cwd=shop, check=0).data["tasks"]
        assert {task["id"] for task in landed if task["mergedAt"]} == {one, two}
        assert "// Log in" in git("show", "main:src/auth/login.ts", cwd=bare)
        assert "// New version" in git("show", "main:package.json", cwd=bare)
        assert pw("locks", cwd=shop, check=0).data["locks"] == []
        assert git("for-each-ref", "--format=%(refname)", "refs/heads", cwd=bare) == "refs/heads/main"


def test_a_direct_push_of_what_waits_is_refused(tmp_path: Path) -> None:
    """Until it has landed, what is in the queue is held; afterwards anybody may change it."""
    _, shop = begun(tmp_path, "[merge]", 'test = "true"')
    handed_in(shop, "Log in", "src/auth/login.ts", ALICE)
    (shop / "src/auth/login.ts").write_text("mine\n")
    git("commit", "--no-verify", "-qam", "Mine", cwd=shop)
    refused = run(["git", "push", "--no-verify", "origin", "main"], shop, BOB, check=False)
    assert refused.exit == 1
    assert "src/auth/login.ts" in refused.err
    assert "alice" in refused.err
    git("reset", "-q", "--hard", "origin/main", cwd=shop)
    pw("merge", "--once", cwd=shop, check=0)
    git("pull", "-q", "--rebase", cwd=shop)
    (shop / "src/auth/login.ts").write_text("mine\n")
    git("commit", "-qam", "Mine", cwd=shop)
    git("push", "-q", "origin", "main", cwd=shop)
