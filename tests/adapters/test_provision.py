"""What a new worktree gets besides its tracked files; nothing is overwritten, and no link leads anything outside."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from gitpw.adapters import provision as module
from gitpw.adapters.git import GitRepo
from gitpw.adapters.provision import GitProvision
from gitpw.adapters.worktree import GitWorktrees
from gitpw.domain.checkout import Own
from gitpw.domain.ids import ClaimId, TaskId, WorkerId
from tests.support.git import clone, git, make_upstream, run

PLACE = ".worktrees/task-001"
FILES = {".gitignore": ".env*\nnode_modules/\ndata/\n", "src/a.txt": "a\n", "conf/base": "b\n"}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A clone with things that git doesn't track."""
    path = clone(make_upstream(tmp_path / "up.git", FILES, commits=1), tmp_path / "my work")
    files = {
        ".env": "SECRET\n",
        ".env.local": "x",
        "conf/.env": "conf",
        "node_modules/a/i.js": "1",
        "node_modules/.bin/tool": "2",
        "scratch.txt": "neither tracked nor ignored\n",
        "data/big": "big",
        " odd\n'é/.env": "odd",
    }
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(content)
    (path / "node_modules/.bin/tool").chmod(0o751)
    (path / "node_modules/link").symlink_to("a/i.js")
    (path / ".env").chmod(0o600)
    return path


def made(work: Path, place: str = PLACE, branch: str = "b") -> Path:
    """A worktree of it."""
    own = Own(ClaimId("0" * 16), 1, TaskId("task-001"), WorkerId("alice"))
    return Path(GitWorktrees(GitRepo.discover(str(work))).make(place, branch, "HEAD", own))


def provision(work: Path) -> GitProvision:
    """The provision of its worktrees."""
    return GitProvision(GitRepo.discover(str(work)))


def listed(root: Path) -> dict[str, str]:
    """All files that git doesn't track, with what they say; of a link, where it leads."""
    found = {}
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file() and name not in FILES and name not in {".git", ".worktreeinclude"}:
            found[name] = path.read_text()
    return found


def test_what_is_named_is_copied(work: Path) -> None:
    """Files and whole folders, by gitignore's rules, with permissions, times and links as they are."""
    (work / ".worktreeinclude").write_text(
        "# what I need\n.env\nnode_modules/\n/scratch.txt\n!/conf/.env\n/src/a.txt\n"
    )
    os.utime(work / ".env", ns=(10**18, 10**18 + 7))
    path = made(work)
    done, problems = provision(work).include(str(path))
    assert (sorted(done), problems) == ([" odd\n'é/", ".env", "node_modules/", "scratch.txt"], [])
    assert listed(path) == {
        ".env": "SECRET\n",
        " odd\n'é/.env": "odd",
        "scratch.txt": "neither tracked nor ignored\n",
        "node_modules/a/i.js": "1",
        "node_modules/.bin/tool": "2",
        "node_modules/link": "-> a/i.js",
    }
    assert stat.S_IMODE((path / ".env").stat().st_mode) == 0o600
    assert (path / ".env").stat().st_mtime_ns == 10**18 + 7
    assert stat.S_IMODE((path / "node_modules/.bin/tool").stat().st_mode) == 0o751
    assert (path / "src/a.txt").read_text() == "a\n"


def test_nothing_named_nothing_copied(work: Path) -> None:
    """No file, an empty one, one that is a folder, and in the main checkout itself."""
    path = made(work)
    assert provision(work).include(str(path)) == ([], [])
    (work / ".worktreeinclude").write_text("")
    assert provision(work).include(str(path)) == ([], [])
    (work / ".worktreeinclude").write_text(".env\n")
    assert provision(work).include(str(work)) == ([], [])
    (work / ".worktreeinclude").unlink()
    (work / ".worktreeinclude").mkdir()
    assert provision(work).include(str(path)) == ([], [])


def test_what_is_there_stays(work: Path) -> None:
    """A file, a link and a folder; what a folder lacks is brought."""
    (work / ".worktreeinclude").write_text(".env*\nnode_modules/\ndata\n")
    path = made(work)
    (path / ".env").write_text("mine\n")
    (path / ".env.local").symlink_to("nowhere")
    (path / "node_modules/a").mkdir(parents=True)
    (path / "node_modules/a/i.js").write_text("mine\n")
    (path / "data").write_text("a file of mine\n")
    assert provision(work).include(str(path))[1] == []
    found = listed(path)
    assert (found[".env"], found["node_modules/a/i.js"], found["data"]) == (
        "mine\n",
        "mine\n",
        "a file of mine\n",
    )
    assert (found["node_modules/.bin/tool"], found["node_modules/link"]) == ("2", "-> a/i.js")
    assert found[".env.local"] == "-> nowhere"
    assert not (path / "nowhere").exists()
    assert provision(work).include(str(path))[0] == []


def test_no_link_of_the_branch_is_followed(work: Path, tmp_path: Path) -> None:
    """A branch that has a link where the main checkout has a folder doesn't get files out of the worktree."""
    outside = tmp_path / "outside"
    outside.mkdir()
    git("checkout", "-q", "-b", "evil", cwd=work)
    git("rm", "-q", "conf/base", cwd=work)
    run(["rm", "-rf", work / "conf"])
    (work / "conf").symlink_to(outside)
    (work / "node_modules_link").symlink_to(outside)
    git("add", "conf", cwd=work)
    git("commit", "-qm", "evil", cwd=work)
    git("checkout", "-q", "main", cwd=work)
    (work / "conf/.env").write_text("conf")
    (work / ".worktreeinclude").write_text(".env\n")
    path = made(work, branch="evil")
    run(["git", "checkout", "-q", "--detach"], work)
    done, problems = provision(work).include(str(path))
    assert problems == ["conf/.env was not copied: a link or a file stands where a folder should"]
    assert ".env" in done
    assert list(outside.iterdir()) == []


def test_links_are_copied_as_links(work: Path, tmp_path: Path) -> None:
    """Wherever they lead: what they lead to is never read."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").write_text("key")
    (work / ".env.link").symlink_to(tmp_path / "secret/key")
    (work / "data/out").symlink_to("../../secret")
    (work / ".worktreeinclude").write_text(".env.link\ndata/\n")
    path = made(work)
    assert provision(work).include(str(path))[1] == []
    assert (path / ".env.link").readlink() == tmp_path / "secret/key"
    assert str((path / "data/out").readlink()) == "../../secret"


def test_worktrees_are_never_copied(work: Path) -> None:
    """Not even where everything is named: a worktree would get itself, and the others."""
    first = made(work)
    (first / ".env").write_text("of the first\n")
    second = made(work, ".worktrees/task-002", "c")
    (work / ".worktreeinclude").write_text("*\n")
    done, problems = provision(work).include(str(second))
    assert problems == []
    assert not (second / ".worktrees").exists()
    assert not (second / ".git").is_dir()
    assert ".env" in done


def test_bare_repository_with_worktrees(work: Path, tmp_path: Path) -> None:
    """Has no main checkout: files come from the worktree that one is in."""
    run(["git", "clone", "-q", "--bare", work, tmp_path / "bare.git"])
    git("worktree", "add", "-q", "-b", "first", tmp_path / "first", cwd=tmp_path / "bare.git")
    (tmp_path / "first/.env").write_text("SECRET\n")
    (tmp_path / "first/.worktreeinclude").write_text(".env\n")
    path = made(tmp_path / "first", str(tmp_path / "second"), "second")
    assert provision(tmp_path / "first").include(str(path)) == ([".env"], [])
    assert (path / ".env").read_text() == "SECRET\n"


def test_what_cannot_be_read_is_said(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the rest comes."""
    (work / ".worktreeinclude").write_text(".env*\n")
    clone_file = module._clone

    def refuse(source: str, staged: str) -> None:
        if source.endswith(".local"):
            raise PermissionError(13, "Permission denied")
        clone_file(source, staged)

    monkeypatch.setattr(module, "_clone", refuse)
    path = made(work)
    done, problems = provision(work).include(str(path))
    assert problems == [".env.local was not copied: permission denied"]
    assert ".env" in done


def test_copy_that_was_killed_leaves_no_half(work: Path) -> None:
    """What lies aside is taken away by the next one."""
    (work / ".worktreeinclude").write_text(".env\n")
    path = made(work)
    left = work / ".git/worktrees/task-001/pw/copy"
    left.mkdir(parents=True)
    (left / "file").write_text("half")
    assert ".env" in provision(work).include(str(path))[0]
    assert not left.exists()
    assert git("status", "--porcelain", cwd=path).strip() in {"", '?? " odd\\n\'\\303\\251/"'}


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="there is no other file system")
def test_worktree_on_another_file_system(work: Path) -> None:
    """Is provisioned all the same."""
    (work / ".worktreeinclude").write_text(".env\nnode_modules/\n")
    elsewhere = Path(run(["mktemp", "-d", "-p", "/dev/shm"]).out.strip())
    try:
        path = made(work, str(elsewhere / "task-001"))
        assert provision(work).include(str(path))[1] == []
        assert (path / ".env").read_text() == "SECRET\n"
        assert (path / "node_modules/a/i.js").read_text() == "1"
        assert [child.name for child in elsewhere.iterdir()] == ["task-001"]
    finally:
        run(["rm", "-rf", elsewhere])


def test_pending_until_all_is_there(work: Path) -> None:
    """A new worktree needs all, then perhaps its set-up, then nothing; one of the user's needs nothing."""
    path = made(work)
    ours = provision(work)
    assert ours.pending(str(path)) == "all"
    ours.reached(str(path), "setup")
    assert provision(path).pending(str(path)) == "setup"
    ours.reached(str(path), None)
    ours.reached(str(path), None)
    assert ours.pending(str(path)) is None
    made(work)
    assert ours.pending(str(path)) is None
    git("worktree", "add", "-q", "../theirs", cwd=work)
    assert ours.pending(str(work.parent / "theirs")) is None
    assert ours.pending(str(work)) is None


def test_approval_is_of_exact_words(work: Path) -> None:
    """Kept for all worktrees of the clone; another word, another order, another split is another approval."""
    ours = provision(work)
    ours.approve(["a", "b c"])
    assert provision(made(work)).approved(["a", "b c"])
    for other in (["a", "b  c"], ["b c", "a"], ["a"], ["a", "b", "c"], ["a b c"], []):
        assert not ours.approved(other)


def test_command_runs_in_the_worktree(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """By sh, with its output on standard error, nothing of a hook's environment, and its own exit status."""
    path, ours = made(work), provision(work)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_DIR", "/nonsense")
        assert ours.run(str(path), "pwd; echo $0; git rev-parse --show-toplevel; exit 7") == 7
    out, err = capfd.readouterr()
    assert (out, err) == ("", f"{path}\nsh\n{path}\n")
    assert provision(work).run(str(path), "this is ' no shell") != 0


def test_submodules_that_are_missing(work: Path, tmp_path: Path) -> None:
    """Are named as long as their folder is empty."""
    inner = clone(make_upstream(tmp_path / "inner.git"), tmp_path / "inner")
    git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", inner, "lib/in ner", cwd=work)
    git("commit", "-qm", "submodule", cwd=work)
    path = made(work)
    assert provision(work).submodules(str(path)) == ["lib/in ner"]
    git("-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init", cwd=path)
    assert provision(work).submodules(str(path)) == []
