"""What the commit and push hooks let through and what they stop, in a team of two, with real git."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gitpw.adapters.git import GitRepo
from gitpw.adapters.hooks import GitHooks
from tests.race.runner import Herd, Run, gathered
from tests.support.git import FILES, Result, clone, git, make_upstream, run
from tests.support.proxy import Proxy
from tests.support.ready import ready
from tests.support.servers import HttpServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Served

LOGIN, SESSION, BASKET = "src/auth/login.ts", "src/auth/session.ts", "src/cart/basket.ts"
SQUASHED = "Squashed"


@dataclass(frozen=True)
class Tools:
    """What runs git-pw without the wait for Python: for a test, and for the hooks."""

    herd: Herd
    program: Path


@pytest.fixture(scope="module")
def tools() -> Iterator[Tools]:
    """Both, for all tests here."""
    with gathered() as herd, ready() as program:
        yield Tools(herd, program)


@dataclass(frozen=True)
class Clone:
    """Somebody's clone, with the hooks installed."""

    work: Path
    worker: str
    tools: Tools

    @property
    def env(self) -> dict[str, str]:
        """Who works here."""
        return {"GITPW_WORKER": self.worker}

    def pw(self, *words: str, check: int = 0, cwd: Path | None = None) -> Any:
        """What a command answers."""
        (done,) = self.tools.herd.run(Run(words, cwd or self.work, self.env))
        assert done.exit == check, str(done)
        return done.data

    def begin(self) -> None:
        """Know the ledger, and put the hooks in place."""
        self.pw("init", "--no-hooks")
        GitHooks(GitRepo.discover(str(self.work)), str(self.tools.program)).install()
        (self.work / ".git/hooks/post-commit").unlink()

    def git(self, *words: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> Result:
        """Run git, whatever comes of it."""
        return run(["git", *words], cwd or self.work, {**self.env, **(env or {})}, check=False)

    def goes(self, *words: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
        """Run git, which must succeed; what it says."""
        done = self.git(*words, cwd=cwd, env=env)
        assert done.exit == 0, str(done)
        return done.out.strip()

    def stops(self, *words: str, cwd: Path | None = None) -> str:
        """Run git, which a hook of ours must stop; what the hook says."""
        before = git("for-each-ref", cwd=self.work)
        done = self.git(*words, cwd=cwd)
        assert done.exit != 0, str(done)
        assert "refused: " in done.err, str(done)
        assert "hint: " in done.err, str(done)
        assert git("for-each-ref", cwd=self.work) == before
        return done.err

    def write(self, *files: str, content: str = "changed\n", cwd: Path | None = None) -> None:
        """Change files, and stage them."""
        for file in files:
            (path := (cwd or self.work) / file).parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        git("--literal-pathspecs", "add", "--", *files, cwd=cwd or self.work)

    def slip(self, *files: str, content: str = "slipped\n", cwd: Path | None = None) -> str:
        """Commit changes past the hook; the commit."""
        self.write(*files, content=content, cwd=cwd)
        self.goes("commit", "-qm", "Slipped", "--no-verify", cwd=cwd)
        return self.goes("rev-parse", "HEAD", cwd=cwd)

    def land(self, *files: str, content: str = "landed\n") -> None:
        """Change files on the base branch, as one who may."""
        self.write(*files, content=content)
        self.goes("commit", "-qm", "Landed", "--no-verify")
        self.goes("push", "-q", "--no-verify", "origin", "HEAD:main")


@dataclass(frozen=True)
class Team:
    """Alice and Bob, each in a clone of one upstream."""

    bare: Path
    alice: Clone
    bob: Clone

    def there(self, ref: str) -> str:
        """What the upstream has for a branch or another ref, empty where it has none."""
        return git("for-each-ref", "--format=%(objectname)", ref, cwd=self.bare)


def assembled(folder: Path, url: str, bare: Path, tools: Tools) -> Team:
    """Two clones of an upstream that know its ledger."""
    team = Team(bare, *(Clone(clone(url, folder / name), name, tools) for name in ("alice", "bob")))
    team.alice.begin()
    team.bob.begin()
    return team


@pytest.fixture
def team(tmp_path: Path, tools: Tools) -> Team:
    """A team whose upstream is a folder."""
    bare = make_upstream(tmp_path / "up.git")
    return assembled(tmp_path, str(bare), bare, tools)


@pytest.fixture
def held(team: Team) -> Team:
    """Alice holds src/auth."""
    team.alice.pw("lock", "src/auth")
    return team


# Commits


def test_squash_of_upstream_goes_through(held: Team) -> None:
    """What the base branch has is brought in whoever holds it; what is changed besides is not."""
    held.alice.land(LOGIN, SESSION)
    bob = held.bob
    bob.write("docs/guide.md")
    bob.goes("commit", "-qm", "Mine")
    bob.goes("fetch", "-q")
    bob.goes("merge", "-q", "--squash", "origin/main")
    bob.goes("commit", "-qm", SQUASHED)
    bob.goes("push", "-q", "origin", "HEAD:refs/heads/squashed")
    bob.goes("reset", "-q", "--hard", "HEAD~1")
    bob.goes("merge", "-q", "--squash", "origin/main")
    bob.write(SESSION, content="mine\n")
    said = bob.stops("commit", "-m", SQUASHED)
    assert (SESSION in said, LOGIN in said) == (True, False)


def test_squash_is_pushed_after_upstream_went_on(held: Team) -> None:
    """It brought in what there was."""
    held.alice.land(LOGIN)
    bob = held.bob
    bob.goes("fetch", "-q")
    bob.goes("merge", "-q", "--squash", "origin/main")
    bob.goes("commit", "-qm", SQUASHED)
    held.alice.land(LOGIN, content="landed again\n")
    bob.goes("fetch", "-q")
    bob.goes("push", "-q", "origin", "HEAD:refs/heads/squashed")


def test_taking_ones_own_change_out_goes_through(held: Team) -> None:
    """By amending it to what it was where the branch began, also when upstream has gone on; then it can be pushed."""
    bob = held.bob
    bob.slip(LOGIN, "docs/guide.md")
    held.alice.land(LOGIN)
    bob.goes("fetch", "-q")
    assert LOGIN in bob.stops("push", "origin", "HEAD:refs/heads/mine")
    bob.goes("checkout", "-q", "HEAD~1", "--", LOGIN)
    bob.goes("commit", "-q", "--amend", "--no-edit")
    bob.goes("push", "-q", "origin", "HEAD:refs/heads/mine")


def test_revert_of_what_landed_is_refused(held: Team) -> None:
    """To go back to what upstream had is a change, by commit and by push."""
    held.alice.land(LOGIN)
    bob = held.bob
    bob.goes("pull", "-q")
    bob.goes("revert", "--no-commit", "HEAD")
    assert f"{LOGIN} is held by alice" in bob.stops("commit", "-m", "Back")
    bob.goes("commit", "-qm", "Back", "--no-verify")
    assert f"{LOGIN} is held by alice" in bob.stops("push", "origin", "main")


def test_merge_of_upstream_goes_through(held: Team) -> None:
    """With a conflict in a file of one's own; the same in a push, whoever's commits it brings in."""
    held.alice.land(LOGIN, BASKET)
    bob = held.bob
    bob.write(BASKET)
    bob.goes("commit", "-qm", "Mine")
    bob.goes("fetch", "-q")
    assert bob.git("merge", "origin/main").exit == 1
    bob.write(BASKET, content="both\n")
    bob.goes("commit", "-qm", "Merged")
    bob.goes("push", "-q", "origin", "main")


def test_rebase_that_applies_upstreams_changes_anew(held: Team) -> None:
    """Commits with another name, of files as the base branch has them."""
    held.alice.land(LOGIN)
    bob = held.bob
    bob.goes("fetch", "-q")
    bob.goes("cherry-pick", "origin/main", env={"GIT_COMMITTER_DATE": "2031-01-01T00:00:00Z"})
    bob.goes("push", "-q", "origin", "HEAD:refs/heads/again")


def test_message_can_always_be_amended(held: Team) -> None:
    """No file changes, so nothing is asked: not even of a remote that isn't there, where the rules say block."""
    held.alice.land(".gitpw.toml", content='[policy]\noffline = "block"\nrefresh = "0s"\n')
    bob = held.bob
    (bob.work / ".gitpw.toml").unlink()
    bob.goes("pull", "-q")
    bob.goes("remote", "set-url", "origin", "../gone.git")
    bob.write("docs/guide.md")
    assert bob.git("commit", "-m", "x").exit != 0
    bob.goes("reset", "-q")
    bob.goes("commit", "-q", "--amend", "-m", "Another message")
    bob.goes("commit", "-q", "--allow-empty", "-m", "Nothing")


def test_first_commits_of_a_repository_need_no_lock(tmp_path: Path, tools: Tools) -> None:
    """Critical files too, up to the first push of the base branch; then they do. What others hold counts at once."""
    bare = tmp_path / "up.git"
    git("init", "-q", "--bare", "--initial-branch=main", bare, cwd=tmp_path)
    team = assembled(tmp_path, str(bare), bare, tools)
    bob = team.bob
    team.alice.pw("lock", "src/auth")
    bob.write("package.json", LOGIN)
    assert LOGIN in (said := bob.stops("commit", "-m", "First"))
    assert "package.json" not in said
    bob.goes("rm", "-q", "--cached", LOGIN)
    bob.goes("commit", "-qm", "First")
    bob.goes("push", "-q", "-u", "origin", "main")
    bob.write("package.json", content="more\n")
    assert "package.json may be changed only under a lock" in bob.stops("commit", "-m", "Second")


def test_rules_that_cannot_be_read_are_mended_by_anyone(held: Team) -> None:
    """While the base branch has unreadable rules the defaults hold, so that what mends them can be committed and pushed."""
    held.alice.land(".gitpw.toml", content="[policy\n")
    bob = held.bob
    (bob.work / ".gitpw.toml").unlink()
    bob.goes("pull", "-q", "--rebase", "origin", "main")
    bob.write(LOGIN)
    assert LOGIN in bob.stops("commit", "-m", "Held")
    bob.goes("reset", "-q", "--hard")
    bob.write(".gitpw.toml", content='[policy]\nenforce = "held"\n')
    done = bob.git("commit", "-m", "Mended")
    assert (done.exit, "judged by the rules that hold without it" in done.err) == (0, True), str(done)
    done = bob.git("push", "-q", "origin", "HEAD:main")
    assert (done.exit, done.err.count("judged by the rules")) == (0, 1), str(done)


def test_case_is_folded_where_the_ledger_folds_it(tmp_path: Path, tools: Tools) -> None:
    """Two spellings are one file for those whose file system says so."""
    bare = make_upstream(tmp_path / "up.git")
    git("config", "--global", "core.ignorecase", "true", cwd=tmp_path)
    team = assembled(tmp_path, str(bare), bare, tools)
    git("config", "core.ignorecase", "true", cwd=team.bob.work)
    team.alice.pw("lock", "src/Auth/LOGIN.ts")
    team.bob.write(LOGIN)
    assert f"{LOGIN} is held by alice" in team.bob.stops("commit", "-m", "x")


@pytest.mark.parametrize(
    "name", ["new\nline", "\u202egpj", "caf\udce9", "-rf x", "'quoted\"", ":(top)x", "cafe\u0301"]
)
def test_odd_names_are_judged_and_told(held: Team, name: str) -> None:
    """They can't steer a terminal, and the hint can be typed as it is or has a word in their place."""
    bob = held.bob
    bob.write(f"src/auth/{name}")
    said = bob.stops("commit", "-m", "x")
    assert all(line.isprintable() for line in said.splitlines()), said
    hint = said.partition("restore --staged -- ")[2].splitlines()[0]
    assert hint == "FILE…" or run(["sh", "-c", f"git restore --staged -- {hint}"], bob.work).exit == 0
    bob.goes("commit", "-q", "--allow-empty", "-m", "x") if hint != "FILE…" else None
    bob.goes("commit", "-qm", "x", "--no-verify", "--allow-empty")


def test_many_files_are_counted_and_listed(held: Team) -> None:
    """Five by name and the rest by number; for programs all of them, with holder and commits."""
    bob = held.bob
    bob.write(*(f"src/auth/{number}.ts" for number in range(9)), "package.json")
    said = bob.stops("commit", "-m", "x")
    assert "src/auth/4.ts and 4 more are held by alice (locked as src/auth) until " in said
    assert "; package.json may be changed only under a lock of your own" in said
    assert "git restore --staged -- src/auth\n" in said
    where = bob.work / "src/cart"
    assert "git restore --staged -- ../auth\n" in bob.stops("commit", "-m", "x", cwd=where)
    commit = bob.slip("x")
    line = f"refs/heads/main {commit} refs/heads/main {held.there('refs/heads/main')}\n"
    words: list[str | Path] = [bob.tools.program, "--json", "hook", "pre-push", "origin", "url"]
    told = json.loads(run(words, bob.work, bob.env, check=False, input=line).out)
    assert (told["ok"], told["code"], told["holder"]["workerId"]) == (False, "held", "alice")
    assert [one["file"] for one in told["violations"]] == [
        "package.json",
        *(f"src/auth/{number}.ts" for number in range(9)),
    ]
    assert all(one["commits"] == [commit] for one in told["violations"])


def test_every_holder_is_named(held: Team) -> None:
    """With what it is for, and until when; what one holds oneself elsewhere is said to be so."""
    held.alice.pw("task", "add", "Count prices", "--file", "src/cart")
    held.alice.pw("claim", "task-001", "--no-worktree")
    other = Clone(clone(held.bare, held.bob.work.parent / "other"), "bob", held.bob.tools)
    other.pw("lock", "docs")
    held.bob.write(LOGIN, BASKET, "docs/guide.md")
    said = held.bob.stops("commit", "-m", "x")
    assert f"{LOGIN} is held by alice (locked as src/auth) until " in said
    assert f"{BASKET} is held by alice (locked as src/cart) for task-001 until " in said
    assert f"git restore --staged -- docs/guide.md {LOGIN} {BASKET}\n" in said
    assert "docs/guide.md is held by you, in another checkout (locked as docs) until " in said


# Pushes


def test_one_bad_ref_stops_the_push(held: Team) -> None:
    """Of many at once; the others go by themselves."""
    bob = held.bob
    for name in ("one", "two", "three"):
        bob.goes("checkout", "-q", "-b", name, "origin/main")
        bob.write(f"{name}.txt")
        bob.goes("commit", "-qm", name)
    bob.slip(LOGIN)
    assert LOGIN in bob.stops("push", "origin", "one", "two", "three")
    assert not held.there("refs/heads/one")
    bob.goes("push", "-q", "origin", "one", "two", "HEAD~1:refs/heads/three")
    assert all(held.there(f"refs/heads/{name}") for name in ("one", "two", "three"))


def test_each_commit_is_judged(held: Team) -> None:
    """What a later one took back could land all the same; the way out is another history."""
    bob = held.bob
    first = bob.slip(LOGIN)
    bob.goes("revert", "--no-edit", "HEAD")
    said = bob.stops("push", "origin", "main")
    assert f"git rebase -i {first[:12]}^" in said
    bob.goes("reset", "-q", "--hard", "origin/main")
    bob.goes("push", "-q", "origin", "main")


def test_forced_push_without_the_change_goes_through(held: Team) -> None:
    """Also over what had slipped onto the remote."""
    bob = held.bob
    bob.slip(LOGIN)
    bob.goes("push", "-q", "--no-verify", "origin", "HEAD:refs/heads/mine")
    bob.goes("reset", "-q", "--hard", "HEAD~1")
    bob.write("docs/guide.md")
    bob.goes("commit", "-qm", "Mine")
    bob.goes("push", "-q", "--force", "origin", "HEAD:refs/heads/mine")


def test_whatever_the_source_is_called(held: Team) -> None:
    """An expression with a blank in it, a commit's name, HEAD."""
    bob = held.bob
    name = bob.slip(LOGIN)
    bob.goes("commit", "-q", "--allow-empty", "-m", "Fix a bug")
    for source in ("HEAD^{/Fix a bug}", "HEAD", "@", name, f"{name[:9]}", "main~0"):
        assert LOGIN in bob.stops("push", "origin", f"{source}:refs/heads/x")
    assert LOGIN in bob.stops("push", "origin", "HEAD:refs/for/main")


def test_tags_bring_their_commits(held: Team) -> None:
    """Those of what is known bring nothing; one of a change that is forbidden is stopped like a branch."""
    bob = held.bob
    bob.goes("tag", "-am", "known", "v1", "origin/main")
    bob.goes("tag", "tree", "HEAD^{tree}")
    bob.goes("push", "-q", "origin", "v1", "tree")
    bob.slip(LOGIN)
    bob.goes("tag", "-am", "new", "v2")
    assert LOGIN in bob.stops("push", "origin", "v2")
    bob.goes("push", "-q", "origin", ":v1", "tree:refs/tags/again")


def test_notes_are_no_files(held: Team) -> None:
    """Their commits hold other things, whatever names they have."""
    held.alice.pw("lock", ".")
    held.bob.goes("notes", "add", "-m", "seen")
    held.bob.goes("push", "-q", "origin", "refs/notes/*")


def test_other_remotes_are_not_guarded(held: Team, tmp_path: Path) -> None:
    """A fork is its owner's; our own remote is ours under any name and by any URL."""
    bob = held.bob
    git("init", "-q", "--bare", tmp_path / "fork.git", cwd=tmp_path)
    bob.slip(LOGIN)
    bob.goes("remote", "add", "fork", "../fork.git")
    bob.goes("push", "-q", "fork", "main")
    bob.goes("push", "-q", "../fork.git", "main:other")
    bob.goes("remote", "add", "again", held.bare.as_uri())
    bob.goes("remote", "set-url", "--push", "fork", "../up")
    for where in ("origin", "again", "fork", str(held.bare), "../up.git", f"{held.bare.as_uri()}/"):
        assert LOGIN in bob.stops("push", where, "main")


def test_shallow_clone_pushes_its_own_commits(held: Team, tmp_path: Path) -> None:
    """Not all the files there are, as if the history began where it was cut off."""
    path = tmp_path / "shallow"
    git("clone", "-q", "--depth=1", held.bare.as_uri(), path, cwd=tmp_path)
    bob = Clone(path, "bob", held.bob.tools)
    bob.begin()
    bob.write("docs/guide.md")
    bob.goes("commit", "-qm", "Mine")
    held.alice.land("README.md")
    bob.goes("fetch", "-q", "--depth=1")
    bob.goes("push", "-q", "origin", "HEAD:refs/heads/mine")


# By which claim a branch is judged


@pytest.fixture
def tasks(team: Team) -> tuple[Team, Path, str]:
    """Bob has a task with src/auth, its worktree, and a commit on its branch."""
    team.alice.pw("task", "add", "Fix auth", "--file", "src/auth")
    claimed = team.bob.pw("claim", "task-001")
    tree = Path(claimed["worktree"])
    team.bob.write(LOGIN, cwd=tree)
    team.bob.goes("commit", "-qm", "Mine", cwd=tree)
    return team, tree, claimed["branch"]


def test_owner_pushes_from_anywhere(tasks: tuple[Team, Path, str]) -> None:
    """A task's branch is judged by the claim of its worktree: from the main checkout, under whichever name."""
    team, tree, branch = tasks
    for words in ((branch,), (f"{branch}:refs/heads/other",), ("--all",)):
        team.bob.goes("push", "-q", "origin", *words)
    assert team.there(f"refs/heads/{branch}") == git("rev-parse", "HEAD", cwd=tree)
    team.bob.write(SESSION, cwd=tree)
    team.bob.goes("commit", "-qm", "More", cwd=tree)
    team.bob.goes("push", "-q", "origin", f"HEAD:{branch}", cwd=tree)


def test_branch_of_another_isnt_mine(tasks: tuple[Team, Path, str]) -> None:
    """Whoever says to be someone else doesn't push it, though the worktree is on the same machine."""
    team, _, branch = tasks
    other = Clone(team.bob.work, "eve", team.bob.tools)
    assert f"{LOGIN} is held by bob" in other.stops("push", "origin", branch)
    team.bob.goes("push", "-q", "origin", branch)


def test_stale_branch_is_refused_from_anywhere(tasks: tuple[Team, Path, str]) -> None:
    """With what became of the claim and what to do, until the checkout is told to forget it."""
    team, tree, branch = tasks
    team.alice.pw("unlock", "src/auth", "--force", "--reason", "on holiday")
    for words in ((branch,), (f"{branch}:refs/heads/other",), (f"HEAD:refs/heads/{branch}",), ("--all",)):
        said = team.bob.stops("push", "origin", *words)
        assert "your claim on task-001 was unlocked by force by alice at " in said
        assert "(on holiday)" in said
        assert "'git pw claim task-001'" in said
        assert f"'git pw -C {tree} release task-001'" in said
    team.bob.goes("push", "-q", "origin", "main:refs/heads/unrelated")
    team.bob.goes("push", "-q", "origin", ":refs/heads/unrelated")
    team.alice.pw("claim", "task-001", "--no-worktree")
    assert "alice works on task-001 now" in team.bob.stops("push", "origin", "HEAD", cwd=tree)
    team.bob.pw("release", "task-001", cwd=tree, check=5)
    assert f"{LOGIN} is held by alice" in team.bob.stops("push", "origin", branch)


def test_claimed_again_is_claimed(tasks: tuple[Team, Path, str]) -> None:
    """As the refusal says: the same worktree and branch go on under the new claim."""
    team, tree, branch = tasks
    team.alice.pw("unlock", "src/auth", "--force", "--reason", "on holiday")
    assert team.bob.pw("claim", "task-001")["worktree"] == str(tree)
    team.bob.goes("push", "-q", "origin", branch)
    team.bob.write(SESSION, cwd=tree)
    team.bob.goes("commit", "-qm", "More", cwd=tree)


def test_stale_lock_without_a_task_is_told(team: Team) -> None:
    """It stops nothing by itself: the files are judged by who holds them now."""
    bob = team.bob
    bob.pw("lock", "src/auth")
    team.alice.pw("unlock", "src/auth", "--force", "--reason", "on holiday")
    bob.write("docs/guide.md")
    said = bob.git("commit", "-m", "x")
    assert (said.exit, "was unlocked by force by alice" in said.err) == (0, True)
    bob.write(LOGIN)
    assert "unlocked by force" not in bob.git("commit", "-m", "x").err


def test_work_of_several_tasks_in_one_push(tasks: tuple[Team, Path, str]) -> None:
    """Each commit is judged by the claim of the task whose branch it is on, also stacked or merged at home."""
    team, tree, branch = tasks
    bob = team.bob
    bob.pw("worker", "register", "--max-tasks", "2")
    team.alice.pw("task", "add", "Count prices", "--file", "src/cart")
    second = bob.pw("claim", "task-002")
    top = Path(second["worktree"])
    bob.goes("merge", "-q", branch, cwd=top)
    bob.write(BASKET, cwd=top)
    bob.goes("commit", "-qm", "Mine", cwd=top)
    bob.goes("push", "-q", "origin", second["branch"])
    bob.goes("merge", "-q", second["branch"])
    bob.goes("push", "-q", "origin", "main")
    bob.slip(BASKET, cwd=tree)
    assert f"{BASKET} is held by you, in another checkout" in bob.stops("push", "origin", branch)


def test_task_without_a_worktree_is_known_by_its_branch(team: Team) -> None:
    """Its owner pushes it from another clone, as the ledger names the branch; anybody else doesn't."""
    team.alice.pw("task", "add", "Fix auth", "--file", "src/auth")
    branch = team.alice.pw("claim", "task-001", "--no-worktree")["task"]["metadata"]["branchName"]
    for worker, goes in (("eve", False), ("alice", True)):
        one = Clone(clone(team.bare, team.bare.parent / worker[::-1]), worker, team.alice.tools)
        one.begin()
        one.goes("checkout", "-q", "-b", branch)
        one.slip(LOGIN)
        if goes:
            one.goes("push", "-q", "origin", branch)
        else:
            assert "is held by alice" in one.stops("push", "origin", branch)


# The remote


@pytest.mark.server
def test_push_asks_for_the_ledger_once(served: Served, tmp_path: Path, tools: Tools) -> None:
    """Whatever is pushed, the hook makes one fetch; and none where nothing is to be judged."""
    server = served.server("http")
    assert isinstance(server, HttpServer)
    name = served.new_name()
    bare = make_upstream(served.root / name)
    team = assembled(tmp_path, server.url(name), bare, tools)
    team.alice.pw("lock", "src/auth")
    bob = team.bob
    bob.write("docs/guide.md")
    bob.goes("commit", "-qm", "Mine")
    bob.goes("tag", "-am", "x", "v1")
    bob.goes("branch", "side")

    def fetches(*words: str) -> int:
        before = len(server.requests(name))
        bob.git("push", "-q", "origin", *words)
        return [path for _, path in server.requests(name)[before:]].count(
            f"/{name}/info/refs?service=git-upload-pack"
        )

    assert fetches("main", "side", "v1", "HEAD:refs/heads/new") == 1
    assert fetches(":side", ":v1") == 0
    bob.slip(LOGIN, "package.json")
    assert fetches("main") == 1


@pytest.mark.server
@pytest.mark.parametrize("policy", ["warn", "block"])
def test_push_when_the_ledger_cannot_be_asked(
    served: Served, tmp_path: Path, tools: Tools, policy: str
) -> None:
    """In bounded time: judged by what is known, which is said, or stopped where the rules say so."""
    server = served.server("http")
    name = served.new_name()
    bare = make_upstream(served.root / name, {**FILES, ".gitpw.toml": f'[policy]\noffline = "{policy}"\n'})
    with Proxy(server) as proxy:
        team = assembled(tmp_path, proxy.url(name), bare, tools)
        bob = team.bob
        team.alice.pw("lock", "src/auth")
        bob.pw("locks")
        commit = bob.slip("docs/guide.md")
        line = f"refs/heads/main {commit} refs/heads/main {'0' * 40}\n"
        words: list[str | Path] = [tools.program, "hook", "pre-push", "origin", proxy.url(name)]
        proxy.hang()
        began = time.monotonic()
        done = run(words, bob.work, bob.env, check=False, input=line)
        assert time.monotonic() - began < 40
        if policy == "warn":
            assert (done.exit, "judged by the locks of " in done.err) == (0, True), str(done)
        else:
            assert (done.exit, "can't be checked" in done.err) == (69, True), str(done)
        bad = bob.slip(LOGIN)
        refused = run(words, bob.work, bob.env, check=False, input=line.replace(commit, bad))
        assert refused.exit == (3 if policy == "warn" else 69), str(refused)
