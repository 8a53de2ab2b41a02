"""Each kind of change, each kind of lock and each place, judged by real commits with the hooks installed.

TABLE has the verdicts: a row for each kind of lock on the file, a column for each kind of change to it, and in each
cell a letter for each place, in this order:

    main checkout, linked worktree, a subfolder, in the middle of a merge, in the middle of a rebase

`x` is a commit that is refused, `.` one that goes through. The changes:

    edit      its content                           mode      it becomes executable
    add       it is a new file                      link      it becomes a symbolic link
    delete    it is removed                         module    it is a new submodule
    out       it is moved to where nobody locks     upstream  it becomes what the base branch has: brought in by
    in        a free file is moved there                      the merge in the middle of a merge, else file by file
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from gitpw.adapters.checkout import GitCheckout
from gitpw.adapters.git import GitRepo
from gitpw.adapters.hooks import GitHooks
from tests.race.runner import Herd, Run, gathered
from tests.support.git import Result, clone, git, make_upstream, run
from tests.support.ready import ready

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gitpw.domain.checkout import Own

TABLE = """
                           edit    add     delete  out     in      mode    link    module  upstream
nobody's                   .....   .....   .....   .....   .....   .....   .....   .....   .....
another's file             xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   .....
in another's folder        xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   .....
in another's glob          xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   .....
shared by others           xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   .....
shared with me             .....   .....   .....   .....   .....   .....   .....   .....   .....
mine                       .....   .....   .....   .....   .....   .....   .....   .....   .....
mine, in another checkout  xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   .....
mine until it was taken    xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   xxx.x
another's, overdue         xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   .....
mine, overdue              .....   .....   .....   .....   .....   .....   .....   .....   .....
in the merge queue         xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   .....
critical, nobody's         xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   .....
critical, mine             .....   .....   .....   .....   .....   .....   .....   .....   .....
critical, ignored          .....   .....   .....   .....   .....   .....   .....   .....   .....
strict, nobody's           xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   xxxxx   .....
strict, mine               .....   .....   .....   .....   .....   .....   .....   .....   .....
strict, ignored            .....   .....   .....   .....   .....   .....   .....   .....   .....
"""

PLACES = ("main", "worktree", "subfolder", "merge", "rebase")

HEAD, *ROWS = (line for line in TABLE.splitlines() if line)
WIDTH = len(HEAD) - len(HEAD.lstrip())
VERDICTS = {
    (row[:WIDTH].strip(), change, place): verdict == "."
    for row in ROWS
    for change, cell in zip(HEAD.split(), row[WIDTH:].split(), strict=True)
    for place, verdict in zip(PLACES, cell, strict=True)
}

FILES = ("old.txt", "new.txt", "in.txt", "lib", "up.txt")
"""What is changed in the folder of each kind of lock."""

LOCKS = tuple(dict.fromkeys(lock for lock, _, _ in VERDICTS))
FOLDER = {lock: f"k{number}" for number, lock in enumerate(LOCKS)}
"""The folder on which each kind of lock is."""

STRICT = "strict"

RULES = f"""
[policy]
critical = [{", ".join(f'"{folder}/**"' for lock, folder in FOLDER.items() if "critical" in lock)}]
ignore = ["free/*", {", ".join(f'"{folder}/**"' for lock, folder in FOLDER.items() if "ignored" in lock)}]
"""


class Place(NamedTuple):
    """A checkout where commits are made: where they start from, and in which folder they are typed."""

    root: Path
    git_dir: Path
    folder: Path
    start: str


class Shop:
    """Bob's clone of an upstream on which Alice holds this and that; one checkout for each place."""

    def __init__(self, folder: Path, herd: Herd, program: Path, *, strict: bool) -> None:
        self.herd = herd
        self.bare = folder / "up.git"
        self.bob, self.alice = folder / "bob", folder / "alice"
        self.owned: dict[str, list[Own]] = {}
        self.places: dict[str, Place] = {}
        self._begin(strict=strict)
        self._lock(strict=strict)
        self._go_on()
        GitHooks(GitRepo.discover(str(self.bob)), str(program)).install()
        (self.bob / ".git/hooks/post-commit").unlink()
        self._settle(folder)

    def pw(self, *words: str, worker: str = "alice") -> None:
        """A command that must succeed, in the clone of that worker."""
        where = self.bob if worker == "bob" else self.alice
        (done,) = self.herd.run(Run(words, where, {"GITPW_WORKER": worker}))
        assert done.exit == 0, str(done)

    def _begin(self, *, strict: bool) -> None:
        """An upstream with files in all folders, the rules, and two clones that know its ledger."""
        names = [f"{folder}/{name}" for folder in FOLDER.values() for name in ("old.txt", "up.txt")]
        make_upstream(self.bare, {"free/in.txt": "in\n", **dict.fromkeys(names, "1\n")}, commits=1)
        clone(self.bare, self.alice)
        self.pw("init", "--no-hooks")
        with (self.alice / ".gitpw.toml").open("a") as rules:
            rules.write(RULES + ('enforce = "strict"\n' if strict else ""))
        git("add", ".gitpw.toml", cwd=self.alice)
        git("commit", "-qm", "Rules", cwd=self.alice)
        git("push", "-q", "origin", "main", cwd=self.alice)
        clone(self.bare, self.bob)
        self.pw("init", "--no-hooks", worker="bob")

    def _lock(self, *, strict: bool) -> None:
        """Whatever the rows say of who holds what."""
        if strict:
            self.mine("strict, mine", FOLDER["strict, mine"])
            return
        one_by_one, by_glob = FOLDER["another's file"], FOLDER["in another's glob"]
        self.pw("lock", *(f"{one_by_one}/{name}" for name in FILES))
        self.pw("lock", FOLDER["in another's folder"])
        self.pw("lock", f"{by_glob}/*")
        self.pw("lock", FOLDER["another's, overdue"], "--lease", "1s")
        for lock in ("shared by others", "shared with me"):
            self.pw("lock", "--shared", FOLDER[lock])
        self.mine("shared with me", "--shared", FOLDER["shared with me"])
        self.mine("mine, overdue", FOLDER["mine, overdue"], "--lease", "1s")
        for lock in ("mine", "critical, mine", "mine, in another checkout"):
            self.mine(lock, FOLDER[lock])
        del self.owned["mine, in another checkout"]
        self.pw("task", "add", "Queue", "--file", FOLDER["in the merge queue"])
        self.pw("claim", "task-001", "--no-worktree")
        self.pw("complete", "task-001")
        self._take()

    def mine(self, lock: str, *words: str) -> None:
        """A lock of Bob's, and how a checkout remembers it."""
        memory = GitCheckout(str(self.bob / ".git"))
        before = memory.own()
        self.pw("lock", *words, worker="bob")
        self.owned[lock] = [own for own in memory.own() if own not in before]

    def _take(self) -> None:
        """A task that Bob had claimed is Alice's now."""
        memory = GitCheckout(str(self.bob / ".git"))
        self.pw("task", "add", "Fix it", "--file", FOLDER["mine until it was taken"])
        self.pw("claim", "task-002", "--no-worktree", worker="bob")
        self.owned["mine until it was taken"] = [own for own in memory.own() if own.task]
        self.pw("unlock", "--force", "--reason", "away", FOLDER["mine until it was taken"])
        self.pw("claim", "task-002", "--no-worktree")

    def _go_on(self) -> None:
        """The base branch changes a file in every folder, and Bob has fetched that."""
        for folder in FOLDER.values():
            (self.alice / folder / "up.txt").write_text("2\n")
        git("commit", "-qam", "Upstream", cwd=self.alice)
        git("push", "-q", "origin", "main", cwd=self.alice)
        git("fetch", "-q", "origin", cwd=self.bob)

    def _settle(self, folder: Path) -> None:
        """A checkout for each place, one commit of Bob's ahead of the base branch and one behind."""
        for name in ("worktree", "merge", "rebase"):
            git("worktree", "add", "-q", "-b", name, folder / name, "main", cwd=self.bob)
        for name in PLACES:
            root = self.bob if name in {"main", "subfolder"} else folder / name
            (root / "free/mine.txt").write_text("mine\n")
            git("add", "free", cwd=root)
            git("commit", "-qm", "Mine", "--no-verify", "--allow-empty", cwd=root)
            start = git("rev-parse", "HEAD", cwd=root)
            git_dir = Path(git("rev-parse", "--absolute-git-dir", cwd=root))
            self.places[name] = Place(root, git_dir, root / "free" if name == "subfolder" else root, start)
        todo = {"GIT_SEQUENCE_EDITOR": "sed -i s/^pick/edit/"}
        git("rebase", "-q", "-i", "HEAD~1", cwd=folder / "rebase", env=todo)

    def commit(self, lock: str, change: str, place: str) -> Result:
        """Make a change where that kind of lock is, and commit it, as far as the hooks allow."""
        root, git_dir, folder, start = self.places[place]
        git("reset", "-q", "--hard", start, cwd=root)
        if place == "merge":
            git("merge", "-q", "--no-commit", "--no-ff", "origin/main", cwd=root)
        assert (git_dir / "MERGE_HEAD").exists() is (place == "merge")
        assert (git_dir / "rebase-merge").exists() is (place == "rebase")
        self._be(lock, git_dir)
        make(root, change, FOLDER[lock])
        return run(["git", "commit", "-m", "x"], folder, {"GITPW_WORKER": "bob"}, check=False)

    def _be(self, lock: str, git_dir: Path) -> None:
        """Let a checkout remember what the kind of lock is about, and nothing else."""
        memory = GitCheckout(str(git_dir))
        wanted, before = self.owned.get(lock, []), memory.own()
        if before != wanted:
            memory.forget([own.claim for own in before])
            for own in wanted:
                memory.remember(own)


def make(root: Path, change: str, folder: str) -> None:
    """Make a change, and stage it."""
    old = root / folder / "old.txt"
    match change:
        case "edit":
            old.write_text("changed\n")
        case "add":
            (root / folder / "new.txt").write_text("new\n")
        case "delete":
            old.unlink()
        case "out":
            old.rename(root / "free/out.txt")
        case "in":
            (root / "free/in.txt").rename(root / folder / "in.txt")
        case "mode":
            old.chmod(0o755)
        case "link":
            old.unlink()
            old.symlink_to("up.txt")
        case "module":
            git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},{folder}/lib", cwd=root)
            return
        case "upstream":
            git("checkout", "-q", "origin/main", "--", f"{folder}/up.txt", cwd=root)
            return
    git("add", "-A", cwd=root)


class Street:
    """The two shops, made when they are first gone to."""

    def __init__(self, folder: Path, herd: Herd, program: Path) -> None:
        self._folder, self._herd, self._program = folder, herd, program
        self._shops: dict[bool, Shop] = {}

    def shop(self, *, strict: bool) -> Shop:
        """The one with that policy."""
        if strict not in self._shops:
            folder = self._folder / ("strict" if strict else "shop")
            folder.mkdir()
            self._shops[strict] = Shop(folder, self._herd, self._program, strict=strict)
        return self._shops[strict]


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    """Where all the cells are tried."""
    with gathered() as herd, ready() as program:
        yield Street(tmp_path_factory.mktemp("street"), herd, program)


def cells() -> Sequence[object]:
    """Each cell of the table, named by where it stands."""
    order = sorted(VERDICTS, key=lambda cell: (PLACES.index(cell[2]), LOCKS.index(cell[0])))
    return [pytest.param(*cell, id=f"{cell[2]}-{cell[0]}-{cell[1]}".replace(" ", "_")) for cell in order]


@pytest.mark.parametrize(("lock", "change", "place"), cells())
def test_verdict(street: Street, lock: str, change: str, place: str) -> None:
    """A commit goes through or is refused as the table says; a refused one leaves HEAD and says why."""
    shop = street.shop(strict=lock.startswith(STRICT))
    done = shop.commit(lock, change, place)
    root, _, _, start = shop.places[place]
    committed = git("rev-parse", "HEAD", cwd=root) != start
    assert (done.exit == 0) is committed, str(done)
    assert committed is VERDICTS[lock, change, place], (
        f"should have {'gone' if committed else 'not gone'}\n{done}"
    )
    assert committed or ("commit refused: " in done.err and "hint: " in done.err), str(done)


def test_table_is_whole() -> None:
    """Every kind of lock, change and place has a verdict; both verdicts occur for each change and each place."""
    assert len(VERDICTS) == len(LOCKS) * len(HEAD.split()) * len(PLACES) == len(ROWS) * 9 * 5
    for change in HEAD.split():
        for place in PLACES:
            told = {verdict for cell, verdict in VERDICTS.items() if cell[1:] == (change, place)}
            assert told == ({True, False} if (change, place) != ("upstream", "merge") else {True})
