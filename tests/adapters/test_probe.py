"""The hooks, fired by git in a worktree that is gone afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitpw.adapters.git import GitRepo
from gitpw.adapters.hooks import NAMES, GitHooks
from gitpw.adapters.probe import VARIABLE, HookProbe
from gitpw.domain.checkup import Program, Shots
from tests.support.git import git, run


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A repository with our hooks, which name a program that says what it was called with."""
    program = tmp_path / "git-pw"
    program.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/log\necho \'{{"ok": true, "version": "7.8"}}\'\n')
    program.chmod(0o755)
    git("init", "-q", tmp_path / "work", cwd=tmp_path)
    GitHooks(GitRepo.discover(str(tmp_path / "work")), str(program)).install()
    return tmp_path / "work"


def probe(work: Path) -> HookProbe:
    """A probe of that repository."""
    return HookProbe(GitRepo.discover(str(work)))


@pytest.mark.parametrize("name", NAMES)
def test_every_shim_knows_the_probe(name: str, work: Path, tmp_path: Path) -> None:
    """It leaves its name and ends, before it looks for anything else; without a file to leave it in, it goes on."""
    hooks = GitHooks(GitRepo.discover(str(work)), "")
    hooks.uninstall()
    shim = work / ".git/hooks" / name
    shim.parent.mkdir(exist_ok=True)
    shim.write_text(f"#!/bin/sh\necho ran >{tmp_path}/ran\n")
    shim.chmod(0o755)
    hooks.install()
    assert run([shim, "a", "b"], work, {VARIABLE: str(tmp_path / "seen")}).exit == 0
    assert (tmp_path / "seen").read_text() == f"{name}\n"
    assert not (tmp_path / "ran").exists()
    run([shim, "a", "b"], work, {VARIABLE: str(tmp_path / "no/such/seen")}, check=False)
    assert (tmp_path / "ran").exists()


def test_git_runs_them_all(work: Path, tmp_path: Path) -> None:
    """Neither git-pw nor anything else is started for it."""
    assert probe(work).fire() == Shots(NAMES, {})
    assert not (tmp_path / "log").exists()


def test_silence_has_a_reason(work: Path) -> None:
    """Not executable, no interpreter, an older version; the others are fired all the same."""
    hooks = work / ".git/hooks"
    (hooks / "pre-commit").chmod(0o644)
    text = (hooks / "post-merge").read_text()
    (hooks / "post-merge").write_text(text.replace("#!/bin/sh", "#!/no/such"))
    text = (hooks / "pre-push").read_text()
    (hooks / "pre-push").write_text(text.replace(VARIABLE, "SOMETHING"))
    found = probe(work).fire()
    assert set(found.ran) == set(NAMES) - {"pre-commit", "post-merge", "pre-push"}
    assert "isn't executable" in found.silent["pre-commit"]
    assert "No such file" in found.silent["post-merge"]
    assert "older version" in found.silent["pre-push"]


def test_only_ours_are_fired(work: Path, tmp_path: Path) -> None:
    """Somebody else's hook is never run, and doesn't keep ours from being tried."""
    for name in ("pre-commit", "reference-transaction"):
        file = work / ".git/hooks" / name
        file.write_text(f"#!/bin/sh\necho {name} >>{tmp_path}/others\n")
        file.chmod(0o755)
    found = probe(work).fire()
    assert (set(found.ran), found.untried) == (set(NAMES) - {"pre-commit"}, ("pre-commit",))
    assert not (tmp_path / "others").exists()


@pytest.mark.parametrize("way", ["relative", "absolute"])
def test_hooks_path_is_followed(work: Path, way: str) -> None:
    """Also a relative one, which is another folder in each checkout."""
    folder = work / "my hooks"
    folder.mkdir()
    (folder / ".gitignore").write_text("*\n")
    git("config", "core.hooksPath", "my hooks" if way == "relative" else folder, cwd=work)
    assert probe(work).fire() == Shots((), {})
    GitHooks(GitRepo.discover(str(work)), "/no/such/git-pw").install()
    assert probe(work).fire() == Shots(NAMES, {})


def test_sha256_repository(tmp_path: Path) -> None:
    """The push goes to a repository of the same kind."""
    git("init", "-q", "--object-format=sha256", tmp_path / "work", cwd=tmp_path)
    GitHooks(GitRepo.discover(str(tmp_path / "work")), "").install()
    assert probe(tmp_path / "work").fire() == Shots(NAMES, {})


@pytest.mark.parametrize(
    "how", ["plain", "relative hooks", "unborn sha256", "no trust in bare ones", "linked"]
)
def test_commits_and_pushes_are_real(work: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """A hook is started by itself only where no commit, switch, merge or push runs it."""
    here = work
    if how == "relative hooks":
        (work / "mine").mkdir()
        (work / "mine/.gitignore").write_text("*\n")
        git("config", "core.hooksPath", "mine", cwd=work)
    elif how == "unborn sha256":
        here = work.parent / "other"
        git("init", "-q", "--object-format=sha256", here, cwd=work)
    elif how == "no trust in bare ones":
        git("config", "--global", "safe.bareRepository", "explicit", cwd=work)
    elif how == "linked":
        here = work.parent / "tree"
        git("commit", "-qm", "x", "--allow-empty", "--no-verify", cwd=work, env={VARIABLE: "/dev/null"})
        git("worktree", "add", "-q", here, cwd=work, env={VARIABLE: "/dev/null"})
    GitHooks(GitRepo.discover(str(here)), "").install()
    monkeypatch.setattr(HookProbe, "_started", lambda *_: "it wasn't run")
    assert set(probe(here).fire().silent) == {"pre-merge-commit", "pre-applypatch"} & set(NAMES)


def test_leftovers_of_a_killed_probe_go(work: Path) -> None:
    """Its worktree is forgotten; worktrees of others, even of that name, stay."""
    (work / "file").write_text("x")
    git("add", "-A", cwd=work)
    git("commit", "-qm", "x", cwd=work, env={VARIABLE: "/dev/null"})
    for path in (work / ".git/pw/probe/git-pw-probe", work.parent / "git-pw-probe"):
        git("worktree", "add", "-q", "--detach", path, cwd=work, env={VARIABLE: "/dev/null"})
    probe(work).fire()
    trees = git("worktree", "list", "--porcelain", cwd=work)
    assert [line for line in trees.splitlines() if line.startswith("worktree ")] == [
        f"worktree {work}",
        f"worktree {work.parent / 'git-pw-probe'}",
    ]
    assert (work.parent / "git-pw-probe/file").exists()
    assert not (work / ".git/pw/probe").exists()


def test_programs_are_tried(work: Path, tmp_path: Path) -> None:
    """By asking for their version; each once."""
    path = str(tmp_path / "git-pw")
    assert probe(work).programs() == [Program(path, "7.8", "", used=True)]
    Path(path).write_text("#!/bin/sh\necho git-pw 2.7.1\n")
    assert probe(work).programs() == [Program(path, None, "it is another program of that name", used=True)]
    Path(path).write_text("#!/no/such/python\n")
    assert probe(work).programs()[0].used
    assert probe(work).programs()[0].version is None
    Path(path).unlink()
    assert probe(work).programs() == [Program(path, None, "it isn't there", used=False)]
