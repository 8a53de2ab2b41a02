"""A guarded server: what hooks in a clone stop, it stops too when they are skipped, over every transport."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gitpw.adapters.process import run as spawn
from gitpw.domain.ids import TaskId, WorkerId
from gitpw.domain.operation import Author, Done, Land, Landing
from gitpw.ledger.journal import Journal
from gitpw.ledger.ledger import Ledger
from gitpw.ledger.remote import RemoteStore
from gitpw.ledger.store import Move
from tests.support.cli import Call, Result, pw, pw_many
from tests.support.git import Result as Answer
from tests.support.git import clone, git, make_upstream, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Remote

LEDGER = "refs/pw/locks/main"

over = pytest.mark.parametrize(
    "remote",
    ["path", *(pytest.param(name, marks=pytest.mark.server) for name in ("http", "ssh"))],
    indirect=True,
)
quickly = pytest.mark.parametrize("remote", ["path"], indirect=True)


@dataclass
class Clone:
    """One worker's clone of a guarded repository."""

    work: Path
    worker: str
    bare: Path

    def pw(self, *words: str, check: int | None = 0, cwd: Path | None = None) -> Result:
        """Run git-pw as this worker."""
        return pw(*words, cwd=cwd or self.work, env={"GITPW_WORKER": self.worker}, check=check)

    def commit(self, *files: str, message: str = "Change", cwd: Path | None = None) -> str:
        """Commit a line more in some files, past all hooks that --no-verify skips; the commit."""
        tree = cwd or self.work
        for name in files:
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            with (tree / name).open("a") as file:
                file.write("# more\n")
        git("add", "-A", cwd=tree)
        run(["git", "commit", "-q", "--no-verify", "-m", message], tree, {"GITPW_WORKER": self.worker})
        return git("rev-parse", "HEAD", cwd=tree)

    def push(self, *specs: str, cwd: Path | None = None) -> Answer:
        """Push past all hooks of the clone."""
        return run(["git", "push", "--no-verify", "origin", *specs], cwd or self.work, check=False)

    def refused(self, *specs: str, cwd: Path | None = None) -> str:
        """Push what must be refused, with nothing moved; what the server says."""
        before = refs(self.bare)
        answer = self.push(*specs, cwd=cwd)
        assert answer.exit == 1, str(answer)
        assert "pre-receive hook declined" in answer.err, str(answer)
        assert refs(self.bare) == before
        said = re.findall(r"^remote: (.*?) *$", answer.err, re.MULTILINE)
        return "\n".join(said)

    @property
    def store(self) -> Path:
        """Where its copy of the ledger is."""
        return self.work / ".git/pw/store.git"


def refs(bare: Path) -> str:
    """All refs of a repository."""
    return git("for-each-ref", cwd=bare)


def guard(bare: Path) -> None:
    """Guard a bare repository."""
    assert pw("init", "--server", cwd=bare, check=0).data["hooks"] == ["pre-receive"]


def cloned(remote: Remote, folder: Path, worker: str) -> Clone:
    """A clone for a worker."""
    return Clone(clone(remote.url, folder / worker), worker, remote.bare)


@pytest.fixture
def alice(remote: Remote, tmp_path: Path) -> Clone:
    """Alice has begun the ledger on a guarded server, and has a task with src/auth."""
    guard(remote.bare)
    alice = cloned(remote, tmp_path, "alice")
    alice.pw("init")
    alice.commit(".gitpw.toml", message="Name the ledger")
    git("push", "-q", "origin", "main", cwd=alice.work)
    alice.pw("task", "add", "Fix auth", "--type", "fix", "--file", "src/auth")
    alice.pw("claim")
    return alice


@pytest.fixture
def bob(alice: Clone, remote: Remote, tmp_path: Path) -> Clone:
    """Bob has a clone, and nothing else."""
    del alice
    return cloned(remote, tmp_path, "bob")


@over
def test_forbidden_change_with_no_verify(alice: Clone, bob: Clone) -> None:
    """A foreign file, committed and pushed with --no-verify, is refused where it arrives, and reported by check."""
    del alice
    git("checkout", "-qb", "evil", cwd=bob.work)
    head = bob.commit("src/auth/login.ts")
    for spec in ("evil", "evil:main", "evil:refs/tags/v1", "evil:refs/heads/a/b/c"):
        said = bob.refused(spec)
        assert re.match(
            rf"push refused: src/auth/login\.ts \({head[:10]}\) is held by alice for task-001 until [0-9TZ:-]+\n"
            r"hint: wait until it is free, ask alice",
            said,
        ), said
    found = bob.pw("check", check=1).data
    assert [(one["file"], one["kind"]) for one in found["violations"]] == [("src/auth/login.ts", "held")]
    assert found["violations"][0]["holder"]["workerId"] == "alice"
    assert not (bob.work / ".git/hooks/pre-commit").exists(), "check installs nothing"


@over
def test_allowed_changes(alice: Clone, bob: Clone) -> None:
    """The holder's whole way goes through, and so does everybody's who touches nothing of theirs."""
    tree = alice.work / ".worktrees/task-001"
    alice.commit("src/auth/login.ts", cwd=tree)
    alice.pw("push", cwd=tree)
    alice.commit("src/auth/session.ts", cwd=tree)
    assert alice.push("HEAD", cwd=tree).exit == 0
    alice.commit("src/auth/login.ts", cwd=tree)
    alice.pw("complete", cwd=tree)
    git("merge", "-q", "--no-ff", "--no-edit", "fix/task-001-fix-auth", cwd=alice.work)
    assert alice.push("main").exit == 0
    bob.commit("src/pay/card.ts")
    git("pull", "-q", "--no-rebase", "--no-edit", "origin", "main", cwd=bob.work)
    assert bob.push("main", "main:refs/tags/v2", "main:copy").exit == 0
    assert bob.push(":copy", ":refs/tags/v2").exit == 0


@quickly
def test_what_is_brought_in(alice: Clone, bob: Clone) -> None:
    """A held file that a branch takes over from the base branch as it is there is no change of it."""
    tree = alice.work / ".worktrees/task-001"
    upstream = alice.commit("src/auth/login.ts", cwd=tree)
    assert alice.push("HEAD:main", cwd=tree).exit == 0
    git("checkout", "-qb", "backport", cwd=bob.work)
    bob.commit("docs/guide.md")
    git("fetch", "-q", cwd=bob.work)
    git("cherry-pick", "-x", upstream, cwd=bob.work)
    assert bob.push("backport").exit == 0
    assert bob.pw("check").data["violations"] == []
    bob.commit("src/auth/login.ts")
    assert "is held by alice" in bob.refused("backport")
    assert len(bob.pw("check", check=1).data["violations"]) == 1


@over
def test_critical_file(alice: Clone, bob: Clone) -> None:
    """A critical file needs a lock, as the rules on the base branch say, not those that are pushed."""
    bob.pw("task", "add", "Bump", "--file", "package.json")
    bob.commit("package.json")
    assert "package.json" in bob.refused("HEAD:main")
    bob.pw("claim", "--no-worktree")
    branch = bob.pw("task", "show", "task-002").data["task"]["metadata"]["branchName"]
    assert bob.push(f"HEAD:{branch}").exit == 0
    (alice.work / ".gitpw.toml").write_text("[policy]\ncritical = []\n")
    alice.commit("tsconfig.json")
    assert "tsconfig.json" in alice.refused("HEAD:main")


@over
def test_stale_holder(alice: Clone, bob: Clone) -> None:
    """Who lost the claim can't push any more, by whatever way."""
    tree = alice.work / ".worktrees/task-001"
    alice.commit("src/auth/login.ts", cwd=tree)
    bob.pw("unlock", "src/auth", "--force", "--reason", "alice is ill")
    said = alice.refused("HEAD", cwd=tree)
    assert "the claim on task-001 with token" in said
    assert "unlocked by force: alice is ill by bob" in said
    bob.pw("claim", "task-001")
    assert "bob has it with token" in alice.refused("HEAD", cwd=tree)
    assert alice.pw("push", check=None, cwd=tree).data["code"] == "stale"


@over
def test_landing(alice: Clone, remote: Remote) -> None:
    """The base branch and the ledger move in one atomic push that releases what it lands."""
    tree = alice.work / ".worktrees/task-001"
    head = alice.commit("src/auth/login.ts", cwd=tree)
    alice.pw("complete", cwd=tree)
    assert "src/auth" in alice.refused(f"{head}^:refs/heads/x", f"{untrailed(tree)}:main", cwd=tree)
    store = RemoteStore(str(alice.work / ".git/pw"), spawn, "origin", str(alice.work), list)
    ledger = Ledger(store, Journal(alice.work / ".git/pw/journal"), lambda: datetime.now(UTC))
    git("fetch", "-q", "origin", cwd=alice.work)
    main = git("rev-parse", "origin/main", cwd=alice.work)
    landed = untrailed(tree)
    request = Land(landings=(Landing(task=TaskId("task-001"), head=head, commit=landed),))
    author = Author(worker=WorkerId("merger"), host="ci")
    outcome = ledger.transact(request, author, moves=[Move("refs/heads/main", main, landed)]).outcome
    assert isinstance(outcome, Done)
    assert git("rev-parse", "main", cwd=remote.bare) == landed


def untrailed(tree: Path) -> str:
    """The commit that is checked out, without what tells whose it is."""
    return git("commit-tree", "-p", "HEAD^", "-m", "Squashed", "HEAD^{tree}", cwd=tree)


# the ledger


def forged(alice: Clone, how: str) -> str:
    """A commit for the ledger's ref that is no valid next state."""
    alice.pw("task", "add", "One more")  # something to rewind to
    store = alice.store
    tip = git("rev-parse", "refs/pw/tip", cwd=store)
    message = git("log", "-1", "--format=%B", tip, cwd=store)
    index = {"GIT_INDEX_FILE": str(store / "forged")}

    def tree(path: str, content: str) -> str:
        run(["git", "read-tree", tip], store, index)
        blob = git("hash-object", "-w", "--stdin", cwd=store, input=content)
        run(["git", "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}"], store, index)
        return git("write-tree", cwd=store, env=index)

    def commit(tree: str, text: str, *parents: str) -> str:
        words = [word for parent in parents for word in ("-p", parent)]
        return git("commit-tree", tree, *words, "-F", "-", cwd=store, input=text)

    same = f"{tip}^{{tree}}"
    ways: dict[str, Callable[[], str]] = {
        "older": lambda: f"{tip}^",
        "rewritten": lambda: commit(same, message, f"{tip}^^"),
        "root": lambda: commit(same, message),
        "merge": lambda: commit(same, message, tip, f"{tip}^"),
        "replayed": lambda: commit(same, message, tip),
        "words": lambda: commit(same, "unlock everything", tip),
        "file": lambda: commit(tree("evil.sh", "#!/bin/sh"), bumped(message), tip),
        "record": lambda: commit(tree("meta", '{"counter":99}'), bumped(message), tip),
    }
    return ways[how]()


def bumped(message: str) -> str:
    """The message with a counter and an operation that fit the next state."""
    number = int(re.findall(r"Pw-Counter: (\d+)", message)[0])
    text = message.replace(f"Pw-Counter: {number}", f"Pw-Counter: {number + 1}")
    return re.sub(r'"id":"[0-9a-f]{32}"', f'"id":"{"7" * 32}"', text)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("older", "doesn't follow"),
        ("rewritten", "its counter is 4, after 2"),
        ("root", "doesn't follow"),
        ("merge", "merge"),
        ("replayed", "before"),
        ("words", "no operation"),
        ("file", "no valid next state"),
        ("record", "no valid next state"),
    ],
)
@quickly
def test_forged_ledger(alice: Clone, how: str, words: str) -> None:
    """Whatever is pushed over the ledger that isn't its next state is refused."""
    commit = forged(alice, how)
    url = git("remote", "get-url", "origin", cwd=alice.work)
    before = refs(alice.bare)
    answer = run(["git", "push", "-f", url, f"{commit}:{LEDGER}"], alice.store, check=False)
    assert answer.exit == 1
    assert words in answer.err, str(answer)
    assert refs(alice.bare) == before
    alice.pw("task", "add", "It goes on")


@over
def test_ledger_is_not_deleted(alice: Clone) -> None:
    """The ledger isn't deleted nor replaced, and nothing is put beside it; the owner of the server may allow it."""
    assert "pw.allowPurge" in alice.refused(f":{LEDGER}")
    assert "no operation" in alice.refused(f"+main:{LEDGER}")
    assert "in the ledger's place" in alice.refused("main:refs/pw/locks/other")
    assert "it has no other" in alice.refused("main:refs/heads/pw/locks/main")
    done = alice.pw("uninstall", "--purge-remote", check=1)
    assert "refuse" in done.data["message"] or "keeps" in done.data["message"]
    git("config", "pw.allowPurge", "true", cwd=alice.bare)
    alice.pw("uninstall", "--purge-remote")
    assert LEDGER not in refs(alice.bare)


@over
def test_ledger_that_vanished_is_restored(alice: Clone) -> None:
    """Where the ledger is gone, any clone may bring it back, and its claims hold again."""
    git("update-ref", "-d", LEDGER, cwd=alice.bare)
    assert alice.pw("doctor", "--fix", check=None).data["findings"]
    assert LEDGER in refs(alice.bare)
    alice.commit("src/auth/login.ts")
    assert "is held by alice" in alice.refused("HEAD:main")


@over
def test_ledger_that_moves_here(remote: Remote, tmp_path: Path) -> None:
    """A ledger that began on one machine comes to a guarded server with all its history."""
    guard(remote.bare)
    alone = cloned(remote, tmp_path, "alice")
    git("remote", "rename", "origin", "elsewhere", cwd=alone.work)
    url = git("remote", "get-url", "elsewhere", cwd=alone.work)
    git("remote", "remove", "elsewhere", cwd=alone.work)
    alone.pw("init")
    for number in range(3):
        alone.pw("task", "add", f"Task {number}")
    git("remote", "add", "origin", url, cwd=alone.work)
    assert alone.pw("init").data["moved"]
    assert alone.pw("claim").data["ok"]


@pytest.mark.server
@pytest.mark.race
@pytest.mark.parametrize("remote", ["http"], indirect=True)
def test_many_at_once(alice: Clone) -> None:
    """Those who are beaten are told so by git, not by the hook, and try again."""
    calls = [
        Call(
            ["task", "add", f"Task {number}"],
            alice.work.parent / f"w{number}",
            {"GITPW_WORKER": f"w{number}"},
        )
        for number in range(4)
    ]
    url = git("remote", "get-url", "origin", cwd=alice.work)
    for call in calls:
        clone(url, call.cwd)
    assert [done.exit for done in pw_many(calls)] == [0] * 4
    assert len(alice.pw("task", "list").data["tasks"]) == 5


# the hook


@quickly
def test_nothing_is_written(alice: Clone, bob: Clone) -> None:
    """A refused push leaves the repository as it was, to the last file."""
    bob.commit("src/auth/login.ts")
    before = listing(alice.bare)
    bob.refused("HEAD:main")
    bob.refused(f":{LEDGER}")
    assert listing(alice.bare) == before


def listing(folder: Path) -> list[tuple[str, bytes]]:
    """Every file below a folder, with its content."""
    return sorted((str(path), path.read_bytes()) for path in folder.rglob("*") if path.is_file())


@quickly
def test_repository_without_a_ledger(remote: Remote, tmp_path: Path) -> None:
    """Where nobody uses git-pw, the hook isn't felt, and git-pw isn't even started."""
    guard(remote.bare)
    blind(remote.bare)
    someone = cloned(remote, tmp_path, "someone")
    someone.commit("package.json")
    assert someone.push("main").exit == 0


def blind(bare: Path) -> None:
    """Let the hook find no git-pw."""
    hook = bare / "hooks/pre-receive"
    hook.write_text(re.sub(r"^program=.*$", "program=/nowhere/git-pw", hook.read_text(), flags=re.MULTILINE))


@quickly
def test_git_pw_that_is_gone(alice: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody can check doesn't come in, and it is said what to do."""
    blind(alice.bare)
    alice.commit("docs/more.md")
    tools = alice.work.parent / "tools"
    tools.mkdir()
    for name in ("git", "sh", "cat", "dirname", "env"):
        (tools / name).symlink_to(shutil.which(name) or "")
    monkeypatch.setenv("PATH", str(tools))
    said = alice.refused("HEAD:main")
    assert "git pw can't be run on this server" in said
    assert "git pw init --server" in said
    monkeypatch.undo()


EARLIER = """#!/bin/sh
echo "$0 $# ${GIT_QUARANTINE_PATH:+quarantine}" >>"$PWD/log"
cat >>"$PWD/log"
exit "$(cat "$PWD/verdict")"
"""


@quickly
def test_earlier_hook(alice: Clone, bob: Clone) -> None:
    """A hook that was there goes on running, first, with git's lines, and its exit status counts."""
    pw("uninstall", cwd=alice.bare, check=0)
    hook, log, verdict = (alice.bare / name for name in ("hooks/pre-receive", "log", "verdict"))
    hook.write_text(EARLIER)
    hook.chmod(0o750)
    verdict.write_text("0")
    guard(alice.bare)
    assert pw("init", "--server", cwd=alice.bare, check=0).data["hooks"] == []
    old = git("rev-parse", "main", cwd=alice.bare)
    new = bob.commit("docs/more.md")
    assert bob.push("HEAD:main").exit == 0
    assert log.read_text() == f"hooks/pre-receive 0 quarantine\n{old} {new} refs/heads/main\n"
    bob.commit("src/auth/login.ts")
    assert "is held by alice" in bob.refused("HEAD:main")
    verdict.write_text("3")
    git("reset", "-q", "--hard", "HEAD^", cwd=bob.work)
    bob.commit("docs/more.md")
    assert bob.refused("HEAD:main") == ""
    pw("uninstall", cwd=alice.bare, check=0)
    assert (hook.read_text(), hook.stat().st_mode & 0o777) == (EARLIER, 0o750)


def test_uninstall_leaves_nothing(tmp_path: Path) -> None:
    """What `init --server` puts in, `uninstall` takes out, to the last byte."""
    bare = make_upstream(tmp_path / "up.git")
    before = listing(bare)
    guard(bare)
    assert pw("uninstall", cwd=bare, check=0).data["removed"][0] == "hook pre-receive"
    assert listing(bare) == before
    assert not (bare / "pw").exists()


def test_where_the_hook_does_not_belong(tmp_path: Path) -> None:
    """In a clone, or in a hooks folder that others share, nothing is put; it is said what to do."""
    bare = make_upstream(tmp_path / "up.git")
    done = pw("init", "--server", cwd=clone(bare, tmp_path / "work"), check=6)
    assert "bare repository" in done.data["message"]
    git("config", "core.hooksPath", str(tmp_path), cwd=bare)
    done = pw("init", "--server", cwd=bare, check=6)
    assert "git-pw hook pre-receive" in done.data["hint"]
    assert not (tmp_path / "pre-receive").exists()
    git("config", "--unset", "core.hooksPath", cwd=bare)
    assert pw("init", "--server", "--new", cwd=bare).exit == 2
    assert pw("init", "--server", "--dry-run", cwd=bare).exit == 2
    assert "git pw init --server" in pw("init", cwd=bare, check=6).data["hint"]


@quickly
def test_lines_that_are_none(alice: Clone) -> None:
    """What git would never say is refused, not passed over."""
    done = pw("hook", "pre-receive", cwd=alice.bare, input="refs/heads/main\n")
    assert (done.exit, done.data["code"]) == (2, "usage")
    assert pw("hook", "pre-receive", cwd=alice.bare, input="", check=0).data == {"ok": True}


# gitolite


@dataclass
class Gitolite:
    """A gitolite in a home of its own, reached as over ssh: its shell is started by the client's `ssh`."""

    home: Path
    ssh: Path

    def run(self, *args: str) -> Answer:
        """Run gitolite on the server."""
        return run(["gitolite", *args], self.home, self.env)

    @property
    def env(self) -> dict[str, str | None]:
        """The server's environment."""
        return {"HOME": str(self.home), "USER": "git", "LOGNAME": "git", "GIT_CONFIG_GLOBAL": None}

    def clone(self, folder: Path, worker: str) -> Clone:
        """A clone of the shop by one of its users."""
        command = f"{self.ssh} {worker}"
        work = clone("git@server:shop", folder / worker, {"GIT_SSH_COMMAND": command})
        git("config", "core.sshCommand", command, cwd=work)
        return Clone(work, worker, self.home / "repositories/shop.git")


SSH = """#!/bin/sh
# user host command, as git calls ssh; gitolite's shell is what the user's key would start
user=$1
for word; do :; done
export HOME={home} USER=git LOGNAME=git SSH_CONNECTION="127.0.0.1 1 127.0.0.1 22" SSH_ORIGINAL_COMMAND="$word"
unset GIT_CONFIG_GLOBAL GIT_DIR GITPW_WORKER
exec {shell} "$user"
"""

CONFIG = """repo shop
    RW      = alice bob
"""


@pytest.fixture
def gitolite(tmp_path: Path) -> Gitolite:
    """A gitolite with one repository that both may push to."""
    shell = Path("/usr/share/gitolite3/gitolite-shell")
    if shutil.which("gitolite") is None or not shell.exists():
        reason = "gitolite is missing (Debian: gitolite3)"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    home = tmp_path / "git"
    home.mkdir()
    ssh = tmp_path / "ssh"
    ssh.write_text(SSH.format(home=home, shell=shell))
    ssh.chmod(0o755)
    (home / ".gitconfig").write_text(
        "[user]\nname = G\nemail = g@example.com\n[init]\ndefaultBranch = main\n"
    )
    server = Gitolite(home, ssh)
    server.run("setup", "-a", "admin")
    (home / ".gitolite/conf/gitolite.conf").write_text(CONFIG)
    server.run("compile")
    server.run("trigger", "POST_COMPILE")
    return server


@pytest.mark.server
@pytest.mark.parametrize("how", ["repository", "common"])
def test_gitolite(gitolite: Gitolite, tmp_path: Path, how: str) -> None:
    """Guarded one by one or all by hooks/common, gitolite's repositories refuse what is forbidden."""
    bare = gitolite.home / "repositories/shop.git"
    seed = make_upstream(tmp_path / "seed.git")
    git("fetch", "-q", seed, "main:main", cwd=bare)
    if how == "repository":
        pw("init", "--server", cwd=bare, env=gitolite.env, check=0)
    else:
        guard(seed)
        shutil.copy2(seed / "hooks/pre-receive", gitolite.home / ".gitolite/hooks/common/pre-receive")
        gitolite.run("setup", "--hooks-only")
        assert (bare / "hooks/pre-receive").is_symlink()
    alice = gitolite.clone(tmp_path, "alice")
    alice.pw("init")
    alice.commit(".gitpw.toml")
    assert alice.push("main").exit == 0
    alice.pw("task", "add", "Fix auth", "--type", "fix", "--file", "src/auth")
    tree = Path(alice.pw("claim").data["worktree"])
    bob = gitolite.clone(tmp_path, "bob")
    bob.commit("src/auth/login.ts")
    assert "is held by alice for task-001" in bob.refused("HEAD:main")
    assert "not deleted by a push" in bob.refused(f":{LEDGER}")
    alice.commit("src/auth/login.ts", cwd=tree)
    alice.pw("complete", cwd=tree)
    assert (bare / "hooks/update").is_symlink()
