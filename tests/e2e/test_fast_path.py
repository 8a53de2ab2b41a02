"""The commit that nobody's lock can touch: judged without Python, and never by what is out of date."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli import pw
from tests.support.git import Result, clone, git, make_upstream, run
from tests.support.servers import HttpServer, require

ALICE, BOB = {"GITPW_WORKER": "alice"}, {"GITPW_WORKER": "bob"}
SPY = '#!/bin/sh\nprintf "%s\\n" "$*" >>"{log}"\nexec "{program}" "$@"\n'


class Clone:
    """A clone whose hooks write down each time that they start git-pw."""

    def __init__(self, url: str, path: Path) -> None:
        self.path = clone(url, path)
        self.pw = self.path / ".git" / "pw"
        self.log = path.with_suffix(".log")
        pw("init", cwd=self.path, check=0)
        spy = path.with_suffix(".spy")
        spy.write_text(SPY.format(log=self.log, program=shutil.which("git-pw")))
        spy.chmod(0o755)
        for name in ("pre-commit", "post-commit"):
            hook = self.path / ".git" / "hooks" / name
            lines = hook.read_text().splitlines()
            at = next(n for n, line in enumerate(lines) if line.startswith("program="))
            hook.write_text("\n".join([*lines[:at], f"program='{spy}'", *lines[at + 1 :], ""]))
        self.calm()

    def calm(self) -> None:
        """Let the files that the rules were made from grow old enough to be told from newer ones."""
        old = time.time() - 5
        settings = (self.path / ".git" / "config", Path(os.environ["HOME"], ".gitconfig"))
        for file in (*settings, self.path / ".git" / "packed-refs"):
            if file.exists():
                os.utime(file, (old, old))
        pw("hook", "refresh", cwd=self.path, check=0)

    def commit(
        self, *files: str, cwd: Path | None = None, env: dict[str, str | None] | None = None
    ) -> Result:
        """Change files and commit them, one commit for all."""
        cwd = cwd or self.path
        for file in files:
            (cwd / file).parent.mkdir(parents=True, exist_ok=True)
            with (cwd / file).open("a") as stream:
                stream.write("x\n")
        git("--literal-pathspecs", "add", "--", *files, cwd=cwd)
        return run(["git", "commit", "-qm", "x"], cwd, env, check=False)

    def asked(self) -> list[str]:
        """How the pre-commit hook started git-pw since the last time."""
        told = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return [line for line in told if line != "hook post-commit"]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A remote that is a folder."""
    return str(make_upstream(tmp_path / "up.git"))


@pytest.fixture
def shop(url: str, tmp_path: Path) -> Clone:
    """A clone of it, set up."""
    return Clone(url, tmp_path / "shop")


@pytest.fixture
def other(url: str, tmp_path: Path) -> Path:
    """Somebody else's."""
    path = clone(url, tmp_path / "other")
    pw("init", cwd=path, check=0)
    return path


def test_nobody_holds_anything(shop: Clone) -> None:
    """The hook ends in the shell."""
    assert shop.commit("src/new.ts", "README.md").exit == 0
    assert shop.asked() == []


def test_foreign_lock_elsewhere(shop: Clone) -> None:
    """Where somebody holds other files, one git process tells so."""
    pw("lock", "src/auth", "docs/**/*.md", "a b;$(touch bad)", cwd=shop.path, env=ALICE, check=0)
    linked = shop.path.parent / "linked"
    git("worktree", "add", "-q", linked, cwd=shop.path)
    assert shop.commit("src/authority.ts", "README.md", cwd=linked).exit == 0
    assert shop.asked() == []
    for held in ("src/auth/login.ts", "docs/guide.md", "docs/a/b.md", "a b;$(touch bad)"):
        assert "is held by alice" in shop.commit(held, cwd=linked).err
        assert shop.asked() == ["hook pre-commit"]
        git("reset", "-q", "--hard", cwd=linked)
    assert not (linked / "bad").exists()


def test_own_locks_are_no_obstacle(shop: Clone) -> None:
    """Neither in the main checkout nor in the worktree of a claim; nor are its shared ones."""
    pw("lock", "src/pay", cwd=shop.path, env=ALICE, check=0)
    assert shop.commit("src/pay/card.ts", env={"GITPW_WORKER": "alice"}).exit == 0
    assert shop.commit("src/pay/card.ts").exit == 0
    assert shop.asked() == []
    pw("task", "add", "Cart", "--file", "src/cart", cwd=shop.path, check=0)
    tree = Path(pw("claim", cwd=shop.path, env=BOB, check=0).data["worktree"])
    assert shop.commit("src/cart/basket.ts", cwd=tree).exit == 0
    assert shop.asked() == []


def test_main_checkout_is_shared_by_name(shop: Clone) -> None:
    """Who says to be another is not covered by the locks that were taken there."""
    pw("lock", "src/pay", cwd=shop.path, env=ALICE, check=0)
    assert "held by alice" in shop.commit("src/pay/card.ts", env={"GITPW_WORKER": "bob"}).err
    assert shop.asked() == ["hook pre-commit"]
    git("config", "pw.worker", "bob", cwd=shop.path)
    assert "held by alice" in shop.commit("src/pay/card.ts").err


def test_lock_taken_a_moment_ago_elsewhere(shop: Clone, other: Path) -> None:
    """The remote's ref is a file of this machine: that it has moved is seen at once."""
    assert shop.commit("src/pay/card.ts").exit == 0
    pw("lock", "src/pay", cwd=other, env=ALICE, check=0)
    assert "held by alice" in shop.commit("src/pay/card.ts").err
    assert shop.asked() == ["hook pre-commit"]
    pw("unlock", "--all", cwd=other, env=ALICE, check=0)
    assert shop.commit("src/pay/card.ts").exit == 0
    assert shop.asked() == ["hook pre-commit"]
    assert shop.commit("src/pay/card.ts").exit == 0
    assert shop.asked() == []


def test_lost_claim_stops_its_worktree(shop: Clone, other: Path) -> None:
    """Although nobody holds the file any more."""
    pw("task", "add", "Cart", "--file", "src/cart", cwd=shop.path, check=0)
    tree = Path(pw("claim", cwd=shop.path, env=BOB, check=0).data["worktree"])
    pw("unlock", "src/cart", "--force", "--reason", "late", cwd=other, env=ALICE, check=0)
    assert "unlocked by force" in shop.commit("src/cart/basket.ts", cwd=tree).err
    pw("status", cwd=shop.path, check=0)
    assert "unlocked by force" in shop.commit("README.md", cwd=tree).err


def test_list_that_was_not_written_is_not_trusted(shop: Clone) -> None:
    """A process that was killed between the ledger's ref and the list leaves the old list; the next hook mends it."""
    before = {name: (shop.pw / name).read_bytes() for name in ("locks", "locks.sh")}
    pw("lock", "src/pay", cwd=shop.path, env=ALICE, check=0)
    linked = shop.path.parent / "linked"
    git("worktree", "add", "-q", linked, cwd=shop.path)
    for name, content in before.items():
        (shop.pw / name).write_bytes(content)
    assert "held by alice" in shop.commit("src/pay/card.ts", cwd=linked).err
    assert "src/pay" in (shop.pw / "locks").read_text()
    shop.asked()
    for broken in (b"", b"whole\n", before["locks.sh"].replace(b"whole", b"")):
        (shop.pw / "locks.sh").write_bytes(broken)
        assert "held by alice" in shop.commit("src/pay/card.ts", cwd=linked).err
        assert shop.asked() == ["hook pre-commit"]
    (shop.pw / "locks").write_bytes(b"git-pw locks 1\n")
    assert "held by alice" in shop.commit("src/pay/card.ts", cwd=linked).err


def test_critical_files_need_python(shop: Clone) -> None:
    """Whichever folder they lie in; what only looks alike is judged free."""
    assert "may be changed only under a lock of your own" in shop.commit("package.json").err
    assert "may be changed only under a lock of your own" in shop.commit("sub/dir/package.json").err
    git("reset", "-q", "--hard", cwd=shop.path)
    shop.asked()
    assert shop.commit("package.jsonx", "my-package.json").exit == 0
    assert shop.asked() == ["hook pre-commit"]
    pw("lock", "package.json", cwd=shop.path, check=0)
    assert shop.commit("package.json").exit == 0


def test_rules_in_the_work_tree_count_until_the_base_has_some(shop: Clone) -> None:
    """So they do from the moment on which they are saved."""
    file = shop.path / ".gitpw.toml"
    file.write_text(file.read_text() + '\n[policy]\ncritical = ["README.md"]\n')
    assert "README.md may be changed only" in shop.commit("README.md").err
    file.write_text(file.read_text().replace("README", "LIESMICH"))
    assert shop.commit("README.md").exit == 0
    shop.asked()
    assert shop.commit("README.md").exit == 0
    assert shop.asked() == []


def test_rules_of_the_base_branch_count(shop: Clone, other: Path) -> None:
    """At once when they are pushed or fetched; no branch, and no file in a work tree, loosens them."""
    file = shop.path / ".gitpw.toml"
    git("add", ".gitpw.toml", cwd=shop.path)
    assert shop.commit("a").exit == 0
    git("push", "-q", "origin", "main", cwd=shop.path)
    assert shop.commit("b").exit == 0
    shop.asked()
    assert shop.commit("README.md").exit == 0
    assert shop.asked() == []
    (other / ".gitpw.toml").unlink()
    git("pull", "-q", "--ff-only", cwd=other)
    with (other / ".gitpw.toml").open("a") as stream:
        stream.write('\n[policy]\ncritical = ["README.md"]\n')
    git("commit", "-qam", "rules", cwd=other)
    git("push", "-q", "origin", "main", cwd=other)
    git("fetch", "-q", cwd=shop.path)
    assert "README.md may be changed only" in shop.commit("README.md").err
    file.write_text(file.read_text() + "\n[policy]\ncritical = []\n")
    git("add", ".gitpw.toml", cwd=shop.path)
    assert "README.md may be changed only" in shop.commit("README.md").err
    git("pack-refs", "--all", cwd=shop.path)
    assert "README.md may be changed only" in shop.commit("README.md").err


def test_strict_policy_asks_python(shop: Clone) -> None:
    """Every file needs a lock then."""
    with (shop.path / ".gitpw.toml").open("a") as stream:
        stream.write('\n[policy]\nenforce = "strict"\n')
    assert "may be changed only under a lock of your own" in shop.commit("README.md").err
    assert shop.asked() == ["hook pre-commit"]


def test_settings_that_change_are_noticed(shop: Clone, url: str, tmp_path: Path) -> None:
    """Another remote may have another ledger."""
    assert shop.commit("a").exit == 0
    assert shop.asked() == []
    git("remote", "set-url", "origin", tmp_path / "gone.git", cwd=shop.path)
    assert "judged by the locks of" in shop.commit("a").err or shop.asked() == ["hook pre-commit"]
    git("remote", "set-url", "origin", url, cwd=shop.path)
    assert shop.commit("a").exit == 0


def test_many_locks_are_judged_by_a_small_part_of_git_pw(shop: Clone) -> None:
    """Python, but none of the libraries that are slow to load."""
    names = [f"many/{number}/file.py" for number in range(150)]
    pw("lock", *names, cwd=shop.path, env=ALICE, check=0)
    linked = shop.path.parent / "linked"
    git("worktree", "add", "-q", linked, cwd=shop.path)
    assert shop.commit("README.md", cwd=linked).exit == 0
    assert shop.asked() == ["hook pre-commit"]
    assert "held by alice" in shop.commit(names[77], cwd=linked).err
    git("reset", "-q", "--hard", cwd=linked)
    (linked / "README.md").write_text("more\n")
    git("add", "README.md", cwd=linked)
    loaded = run(
        [sys.executable, "-X", "importtime", "-m", "gitpw", "hook", "pre-commit"],
        linked,
        {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    modules = {line.rpartition("|")[2].strip() for line in loaded.err.splitlines()}
    assert "gitpw.domain.glance" in modules
    assert not modules & {"click", "pydantic", "pygit2", "rich", "tomllib"}


def test_ledger_that_ignores_case(url: str, tmp_path: Path) -> None:
    """The shell can't fold letters: Python does."""
    shop = clone(url, tmp_path / "shop")
    git("config", "core.ignorecase", "true", cwd=shop)
    pw("init", cwd=shop, check=0)
    git("config", "--unset", "core.ignorecase", cwd=shop)
    pw("lock", "SRC/Pay", cwd=shop, env=ALICE, check=0)
    (shop / "src/pay/card.ts").write_text("x")
    git("add", "src", cwd=shop)
    assert "held by alice" in run(["git", "commit", "-qm", "x"], shop, BOB, check=False).err


def test_without_a_remote(tmp_path: Path) -> None:
    """The worktrees of one machine know at once."""
    git("init", "-q", tmp_path / "solo", cwd=tmp_path)
    solo = tmp_path / "solo"
    git("commit", "-q", "--allow-empty", "-m", "first", cwd=solo)
    pw("init", cwd=solo, check=0)
    linked = tmp_path / "linked"
    git("worktree", "add", "-q", linked, cwd=solo)
    pw("lock", "a", cwd=solo, env=ALICE, check=0)
    (linked / "a").write_text("x")
    git("add", "a", cwd=linked)
    assert "held by alice" in run(["git", "commit", "-qm", "x"], linked, check=False).err


def test_options_of_git_that_change_pathspecs(shop: Clone) -> None:
    """They are the user's, for other commands."""
    pw("lock", "docs/*.md", cwd=shop.path, env=ALICE, check=0)
    linked = shop.path.parent / "linked"
    git("worktree", "add", "-q", linked, cwd=shop.path)
    for name in ("GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS"):
        done = shop.commit("docs/guide.md", cwd=linked, env={name: "1"})
        assert "is held by alice" in done.err


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HttpServer]:
    """A remote behind a web server."""
    require(HttpServer)
    root = tmp_path / "served"
    root.mkdir()
    with HttpServer(root) as server:
        yield server


@pytest.mark.server
def test_network_remote_is_asked_when_what_is_known_is_old(server: HttpServer, tmp_path: Path) -> None:
    """Within the policy's age the hook trusts it; beyond, and when the clock went back, it asks."""
    make_upstream(server.root / "up.git")
    shop = Clone(server.url("up.git"), tmp_path / "shop")
    assert shop.commit("a").exit == 0
    assert shop.asked() == []
    for moment in (time.time() - 100, time.time() + 100):
        (shop.pw / "asked").write_text(f"{int(moment)}\n")
        assert shop.commit("a").exit == 0
        assert shop.asked() == ["hook pre-commit"]
    (shop.pw / "asked").write_text(f"{int(time.time() - 40)}\n")
    assert shop.commit("a").exit == 0
    until = time.monotonic() + 20
    while not (told := shop.asked()) and time.monotonic() < until:
        time.sleep(0.05)
    assert told == ["hook refresh"]
