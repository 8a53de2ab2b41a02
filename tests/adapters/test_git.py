"""The user's repository, seen through git."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from gitpw.adapters.git import BUSY, GitRepo
from gitpw.errors import ConfigError, FailedError, NoRepoError
from tests.support.git import clone, git, make_upstream, run

FILES = {"a.txt": "1\n2\n3\n4\n5\n6\n7\n8\n9\n", "src/b.txt": "b\n", "src/[id]/page.tsx": "p\n"}


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    """A bare repository with two commits on main."""
    return make_upstream(tmp_path / "up.git", FILES)


@pytest.fixture
def work(upstream: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone in a folder with a space in its name; the current folder."""
    path = clone(upstream, tmp_path / "my work")
    monkeypatch.chdir(path)
    return path


def commit(path: Path, files: dict[str, str], message: str = "more") -> str:
    """Write files and commit them; the new commit."""
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(content)
    git("add", "-A", cwd=path)
    git("commit", "-qm", message, cwd=path)
    return git("rev-parse", "HEAD", cwd=path)


def hook(path: Path, name: str, body: str) -> Path:
    """Write a hook into a repository; its path."""
    file = path / ".git" / "hooks" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)
    return file


def new_files(remote: str = "origin") -> list[str]:
    """The files of the commits that HEAD brings to a remote."""
    repo = GitRepo.discover()
    return repo.files_of(repo.new_commits(["HEAD"], remote, ()))


def test_root_is_found_from_a_folder(work: Path) -> None:
    """Paths are absolute, the prefix relative to the root."""
    repo = GitRepo.discover(str(work / "src"))
    assert (repo.root, repo.git_dir, repo.common_dir) == (str(work), str(work / ".git"), str(work / ".git"))
    assert repo.prefix == "src/"


def test_linked_worktree_has_a_git_dir_of_its_own(work: Path, tmp_path: Path) -> None:
    """And shares the common one."""
    git("worktree", "add", "-q", tmp_path / "linked", cwd=work)
    repo = GitRepo.discover(str(tmp_path / "linked"))
    assert repo.root == str(tmp_path / "linked")
    assert repo.git_dir == str(work / ".git" / "worktrees" / "linked")
    assert repo.common_dir == str(work / ".git")
    assert repo.main_root() == str(work)


def test_no_root_inside_the_git_dir_or_a_bare_repository(work: Path, upstream: Path) -> None:
    """There is a repository, but no checkout."""
    assert GitRepo.discover(str(work / ".git")).root is None
    bare = GitRepo.discover(str(upstream))
    assert (bare.root, bare.git_dir, bare.main_root()) == (None, str(upstream), None)


def test_newline_in_the_path(tmp_path: Path) -> None:
    """A folder may be called anything."""
    odd = tmp_path / "one\ntwo"
    odd.mkdir()
    git("init", "-q", cwd=odd)
    assert GitRepo.discover(str(odd)).root == str(odd)


def test_no_repository(tmp_path: Path) -> None:
    """Exit 128 with a hint; also for a folder that isn't there."""
    with pytest.raises(NoRepoError, match="not a git repository") as caught:
        GitRepo.discover(str(tmp_path))
    assert caught.value.hint
    with pytest.raises(NoRepoError, match="no folder"):
        GitRepo.discover(str(tmp_path / "gone"))


def test_dubious_ownership_passes_on_gits_advice(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git's words, and the setting that it names."""
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(NoRepoError, match="dubious ownership") as caught:
        GitRepo.discover(str(work))
    assert "safe.directory" in (caught.value.hint or "")


def test_hooks_environment_says_which_repository(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a hook of a linked worktree git sets GIT_DIR, and later calls keep to that repository."""
    git("worktree", "add", "-q", tmp_path / "linked", cwd=work)
    monkeypatch.chdir(tmp_path / "linked")
    monkeypatch.setenv("GIT_DIR", str(work / ".git" / "worktrees" / "linked"))
    repo = GitRepo.discover()
    assert (repo.root, repo.branch()) == (str(tmp_path / "linked"), "linked")


def test_config_is_read_once(work: Path) -> None:
    """The last value wins; a key without a value is true; a changed file is not read again."""
    git("config", "--add", "remote.origin.fetch", "+refs/x/*:refs/x/*", cwd=work)
    with (work / ".git" / "config").open("a") as file:
        file.write("[pw]\n\tflag\n\tmany = a\\nb\n")
    repo = GitRepo.discover()
    assert len(repo.config_all("remote.origin.fetch")) == 2
    assert (repo.config("pw.flag"), repo.config("pw.many"), repo.config("pw.none")) == ("true", "a\nb", None)
    git("config", "pw.flag", "false", cwd=work)
    assert repo.config("pw.flag") == "true"


def test_own_settings_are_the_repositorys(work: Path) -> None:
    """What git would see anywhere on this machine is left out."""
    repo = GitRepo.discover(str(work))
    assert ("remote.origin.url", repo.config("remote.origin.url")) in repo.own_settings()
    assert "user.name" not in dict(repo.own_settings())
    assert ("global", "user.name", "Dana Example") in repo.entries()


def test_broken_config_is_a_config_error(work: Path) -> None:
    """With git's words for where."""
    repo = GitRepo.discover()
    (work / ".git" / "config").write_text("[broken\n")
    with pytest.raises(ConfigError, match="bad config line 1"):
        repo.config("user.name")


def test_remotes(work: Path) -> None:
    """Their names, dots and all."""
    git("remote", "add", "my.fork", "https://example.com/x.git", cwd=work)
    git("config", "remote.pushDefault", "my.fork", cwd=work)
    assert GitRepo.discover().remotes() == ["origin", "my.fork"]
    assert GitRepo.discover().push_url("my.fork") == "https://example.com/x.git"


def test_revisions_resolve_to_commits(work: Path) -> None:
    """Whatever is none, or looks like an option, is None."""
    repo = GitRepo.discover()
    head = git("rev-parse", "HEAD", cwd=work)
    git("tag", "-a", "-m", "x", "v1", cwd=work)
    assert [repo.resolve(name) for name in ("HEAD", "main", "v1", "origin/main")] == [head] * 4
    assert [repo.resolve(name) for name in ("nope", "--all", "HEAD:a.txt", "a..b", "", "x\0y")] == [None] * 6


def test_branch_is_none_where_head_is_detached(work: Path) -> None:
    """And the coming one before the first commit."""
    assert GitRepo.discover().branch() == "main"
    git("checkout", "-q", "--detach", cwd=work)
    assert GitRepo.discover().branch() is None
    git("checkout", "-q", "--orphan", "new/one", cwd=work)
    assert GitRepo.discover().branch() == "new/one"


def test_default_branch(work: Path, tmp_path: Path) -> None:
    """The remote's HEAD, else main, else master, else the current one."""
    repo = GitRepo.discover()
    git("remote", "set-head", "origin", "main", cwd=work)
    git("update-ref", "refs/remotes/origin/trunk", "HEAD", cwd=work)
    git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/trunk", cwd=work)
    assert repo.default_branch("origin") == "trunk"
    assert repo.default_branch(None) == "main"
    git("symbolic-ref", "-d", "refs/remotes/origin/HEAD", cwd=work)
    assert repo.default_branch("origin") == "main"
    git("branch", "-m", "main", "master", cwd=work)
    assert repo.default_branch(None) == "master"
    git("init", "-q", "-b", "odd", tmp_path / "new", cwd=tmp_path)
    assert GitRepo.discover(str(tmp_path / "new")).default_branch(None) == "odd"


def test_tracked_is_literal(work: Path) -> None:
    """Brackets and stars are letters; a folder counts if something in it is tracked."""
    repo = GitRepo.discover(str(work / "src"))
    assert repo.tracked("src/[id]/page.tsx")
    assert repo.tracked("src/[id]")
    assert repo.tracked("src")
    assert not repo.tracked("src/*")
    assert not repo.tracked("b.txt")
    assert not repo.tracked(":(top)a.txt")


def test_dirty_names_changes_and_untracked_files(work: Path) -> None:
    """Both ends of a rename, odd names as they are, and not what is ignored."""
    (work / "a.txt").write_text("changed\n")
    git("mv", "src/b.txt", "src/c\tä.txt", cwd=work)
    (work / "new").mkdir()
    (work / "new" / "file").write_text("")
    (work / ".git" / "info" / "exclude").write_text("ignored\n")
    (work / "ignored").write_text("")
    assert sorted(GitRepo.discover(str(work / "src")).dirty()) == [
        "a.txt",
        "new/",
        "src/b.txt",
        "src/c\tä.txt",
    ]


def test_dirty_does_not_touch_the_index(work: Path) -> None:
    """Looking changes nothing (P7)."""
    os.utime(work / "a.txt", (1, 1))
    before = (work / ".git" / "index").read_bytes()
    repo = GitRepo.discover()
    assert (repo.dirty(), repo.staged()) == ([], [])
    assert (work / ".git" / "index").read_bytes() == before


def test_names_of_any_bytes_come_back(work: Path) -> None:
    """Paths that aren't UTF-8 are kept as they are."""
    name = os.fsdecode(b"caf\xe9")
    (work / name).write_text("")
    repo = GitRepo.discover()
    assert repo.dirty() == [name]
    git("add", "-A", cwd=work)
    assert repo.staged() == [name]
    assert repo.tracked(name)


def test_changed_lists_both_ends_of_a_rename(work: Path) -> None:
    """Whatever the user's diff settings say."""
    git("config", "diff.renames", "copies", cwd=work)
    base = git("rev-parse", "HEAD", cwd=work)
    git("mv", "a.txt", "z.txt", cwd=work)
    head = commit(work, {"src/b.txt": "more\n"})
    assert GitRepo.discover().changed(base, head) == ["a.txt", "src/b.txt", "z.txt"]


def test_ancestor(work: Path) -> None:
    """A commit contains itself and what led to it, and nothing that isn't here."""
    repo = GitRepo.discover(str(work))
    assert repo.ancestor("HEAD~1", "HEAD")
    assert repo.ancestor("HEAD", "HEAD")
    assert not repo.ancestor("HEAD", "HEAD~1")
    assert not repo.ancestor("1" * 40, "HEAD")


def test_staged_before_the_first_commit(tmp_path: Path) -> None:
    """Everything in the index is new."""
    git("init", "-q", cwd=tmp_path)
    (tmp_path / "one").write_text("1")
    git("add", "one", cwd=tmp_path)
    assert GitRepo.discover(str(tmp_path)).staged() == ["one"]


def test_staged_is_the_index_of_the_hook(work: Path) -> None:
    """`git commit FILE` makes an index of its own, and the hook must judge that one."""
    (work / "a.txt").write_text("x")
    (work / "src" / "b.txt").write_text("x")
    git("add", "a.txt", cwd=work)
    code = "from gitpw.adapters.git import GitRepo; print(GitRepo.discover().staged())"
    hook(work, "pre-commit", f'exec python3 -c "{code}" >"$(git rev-parse --git-dir)/seen"')
    git("commit", "-qm", "x", "--", "src/b.txt", cwd=work, env={"PYTHONPATH": str(Path(__file__).parents[2])})
    assert (work / ".git" / "seen").read_text() == "['src/b.txt']\n"


def test_merge_counts_where_it_differs_from_all_parents(work: Path) -> None:
    """What upstream did is not what this commit does."""
    git("checkout", "-q", "-b", "side", cwd=work)
    commit(work, {"src/b.txt": "side\n", "a.txt": "side\n"})
    git("checkout", "-q", "main", cwd=work)
    commit(work, {"a.txt": "main\n", "mine.txt": "main\n"})
    run(["git", "merge", "-q", "side"], work, check=False)
    (work / "a.txt").write_text("both\n")
    git("add", "a.txt", cwd=work)
    assert GitRepo.discover().staged() == ["a.txt"]
    git("commit", "-qm", "merged", cwd=work)
    git("update-ref", "refs/remotes/origin/side", "side", cwd=work)
    assert sorted(new_files()) == ["a.txt", "mine.txt"]


def test_new_files_of_commits_the_remote_does_not_have(work: Path) -> None:
    """Also what a later commit took back; nothing once it is pushed."""
    commit(work, {"x.txt": "x\n"})
    git("rm", "-q", "x.txt", cwd=work)
    git("commit", "-qm", "back", cwd=work)
    assert new_files() == ["x.txt"]
    git("push", "-q", "origin", "main", cwd=work)
    assert new_files() == []


def test_merging_upstream_brings_no_new_files(work: Path, upstream: Path, tmp_path: Path) -> None:
    """A merge that only brings in what is upstream already is never blocked."""
    other = clone(upstream, tmp_path / "other")
    commit(other, {"theirs.txt": "t\n"})
    git("push", "-q", "origin", "main", cwd=other)
    commit(work, {"mine.txt": "m\n"})
    git("pull", "-q", "--no-rebase", "--no-edit", cwd=work)
    assert new_files() == ["mine.txt"]


def test_root_commit_counts_with_all_its_files(work: Path) -> None:
    """A history of its own is new as a whole, whatever `log.showRoot` says."""
    git("config", "log.showRoot", "false", cwd=work)
    git("checkout", "-q", "--orphan", "other", cwd=work)
    git("rm", "-rfq", ".", cwd=work)
    commit(work, {"alone.txt": "1\n"})
    assert new_files() == ["alone.txt"]


def test_new_remote_does_not_make_all_history_new(work: Path) -> None:
    """Where nothing is known of a remote, the others say what was published."""
    commit(work, {"x.txt": "x\n"})
    assert new_files("https://example.com/fork.git") == ["x.txt"]


def test_fetch_brings_one_branch_up_to_date(work: Path, upstream: Path, tmp_path: Path) -> None:
    """Only the remote-tracking ref moves, and the moment is remembered."""
    other = clone(upstream, tmp_path / "other")
    theirs = commit(other, {"t.txt": "t\n"})
    git("push", "-q", "origin", "main", "main:side", cwd=other)
    repo = GitRepo.discover()
    os.utime(work / ".git" / "logs" / "refs" / "remotes" / "origin" / "HEAD", (1, 1))
    assert repo.fetch_branch("origin", "main", 30)
    assert repo.resolve("refs/remotes/origin/main") == theirs
    assert repo.resolve("refs/remotes/origin/side") is None
    assert not (work / ".git" / "FETCH_HEAD").exists()
    assert (repo.fetched_ago("origin", "main") or 0) < 30


def test_fetch_from_nowhere_is_false(work: Path) -> None:
    """A remote that can't be reached, a branch that isn't there, and what is no remote."""
    repo = GitRepo.discover()
    assert not repo.fetch_branch("origin", "nope", 30)
    assert not repo.fetch_branch("--upload-pack=x", "main", 30)
    git("remote", "set-url", "origin", "/nowhere", cwd=work)
    assert not repo.fetch_branch("origin", "main", 30)


def test_fetch_is_stopped_in_time(work: Path) -> None:
    """A remote that never answers."""
    git("config", "remote.origin.uploadpack", "sleep 30; git-upload-pack", cwd=work)
    begun = time.monotonic()
    assert not GitRepo.discover().fetch_branch("origin", "main", 0.3)
    assert time.monotonic() - begun < 10


def test_age_of_a_fresh_clone_and_of_the_users_fetch(work: Path) -> None:
    """A clone is a fetch; so is what the user fetches, if it was this branch."""
    repo = GitRepo.discover()
    assert (repo.fetched_ago("origin", "main") or 99) < 30
    assert repo.fetched_ago("upstream", "main") is None
    for file in (work / ".git" / "logs").rglob("*"):
        os.utime(file, (1, 1))
    for file in (work / ".git" / "refs").rglob("*"):
        os.utime(file, (1, 1))
    git("fetch", "-q", "origin", "main", cwd=work)
    assert (repo.fetched_ago("origin", "main") or 99) < 30
    (work / ".git" / "FETCH_HEAD").write_text(
        f"{'1' * 40}\t\tbranch 'other' of {repo.config('remote.origin.url')}\n"
    )
    for file in (work / ".git" / "refs").rglob("*"):
        os.utime(file, (1, 1))
    assert (repo.fetched_ago("origin", "main") or 0) > 1000


def test_pre_push_hook_is_run_as_git_runs_it(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """With the remote's name and URL, the lines on standard input, and its words on standard error."""
    hook(work, "pre-push", 'echo "$1 $2 $GITPW_CHAINED_ONLY"; cat')
    GitRepo.discover().run_pre_push("origin", ["refs/heads/x 1 refs/heads/x 0"])
    out, err = capfd.readouterr()
    url = git("remote", "get-url", "origin", cwd=work)
    assert (out, err) == ("", f"origin {url} 1\nrefs/heads/x 1 refs/heads/x 0\n")


def test_pre_push_hook_that_refuses(work: Path) -> None:
    """Its failure stops the push; a hook that isn't executable is none."""
    file = hook(work, "pre-push", "exit 7")
    with pytest.raises(FailedError, match="exit 7"):
        GitRepo.discover().run_pre_push("origin", ["x"])
    file.chmod(0o644)
    GitRepo.discover().run_pre_push("origin", ["x"])


def test_branch_is_deleted_only_as_expected(work: Path, tmp_path: Path) -> None:
    """Not if it moved, nor where somebody has it checked out or is rebasing it."""
    repo = GitRepo.discover()
    head = git("rev-parse", "HEAD", cwd=work)
    git("branch", "done", cwd=work)
    git("config", "branch.done.description", "x", cwd=work)
    assert not repo.delete_branch("done", git("rev-parse", "HEAD~1", cwd=work))
    git("worktree", "add", "-q", tmp_path / "linked", "done", cwd=work)
    assert not repo.delete_branch("done", head)
    git("worktree", "remove", tmp_path / "linked", cwd=work)
    assert repo.delete_branch("done", head)
    assert repo.resolve("refs/heads/done") is None
    assert GitRepo.discover().config("branch.done.description") is None
    assert not repo.delete_branch("main", head)


def test_remote_branch_is_forgotten_where_it_is_expected(work: Path) -> None:
    """The ref that follows a branch of the remote goes, unless the branch has moved on."""
    head = git("rev-parse", "HEAD", cwd=work)
    git("update-ref", "refs/remotes/origin/done", head, cwd=work)
    repo = GitRepo.discover()
    repo.forget_branch("origin", "done", git("rev-parse", "HEAD~1", cwd=work))
    assert repo.resolve("refs/remotes/origin/done") == head
    repo.forget_branch("origin", "done", head)
    assert repo.resolve("refs/remotes/origin/done") is None


def test_worktrees_are_excluded_once(work: Path) -> None:
    """One line, in no tracked file; taken out again, the file is as it was."""
    file = work / ".git" / "info" / "exclude"
    before = file.read_bytes()
    repo = GitRepo.discover()
    assert repo.exclude(".worktrees/{id}")
    assert not repo.exclude(".worktrees/{id}")
    assert file.read_text().count("/.worktrees/") == 1
    (work / ".worktrees").mkdir()
    (work / ".worktrees" / "x").write_text("")
    assert repo.dirty() == []
    assert repo.unexclude()
    assert not repo.unexclude()
    assert file.read_bytes() == before


@pytest.mark.parametrize("template", ["../{id}", "/tmp/{id}"])
def test_folders_outside_need_no_exclude(work: Path, template: str) -> None:
    """Git doesn't see them."""
    before = (work / ".git" / "info" / "exclude").read_bytes()
    assert not GitRepo.discover().exclude(template)
    assert (work / ".git" / "info" / "exclude").read_bytes() == before


def test_ignored_folder_needs_no_exclude(work: Path) -> None:
    """The project's own .gitignore will do."""
    (work / ".gitignore").write_text(".worktrees/\n")
    assert not GitRepo.discover().exclude(".worktrees/{id}")


def test_template_without_a_folder_excludes_tasks_only(work: Path) -> None:
    """`{id}` alone must not hide everything."""
    assert GitRepo.discover().exclude("{id}")
    (work / "task-001").mkdir()
    (work / "task-001" / "x").write_text("")
    (work / "other").mkdir()
    (work / "other" / "x").write_text("")
    assert GitRepo.discover().dirty() == ["other/"]


def test_inside(work: Path) -> None:
    """Whether the current folder would go away with that one."""
    repo = GitRepo.discover()
    assert repo.inside(str(work))
    assert repo.inside(str(work.parent))
    assert not repo.inside(str(work / "src"))


def test_fetch_beside_a_worktree_that_is_being_added(tmp_path: Path) -> None:
    """For a moment such a one has no commit, and git's fetch fails: that is worth trying again."""
    work = clone(make_upstream(tmp_path / "up.git"), tmp_path / "work")
    other = clone(tmp_path / "up.git", tmp_path / "other")
    git("commit", "-q", "--allow-empty", "-m", "new", cwd=other)
    git("push", "-q", "origin", "HEAD:main", "HEAD:refs/heads/fix/new", cwd=other)
    half = work / ".git/worktrees/half"
    half.mkdir(parents=True)
    for name, text in {"HEAD": "0" * 40, "commondir": "../..", "gitdir": "/nowhere/.git"}.items():
        (half / name).write_text(f"{text}\n")
    refused = run(["git", "fetch", "-q", "origin"], work, check=False)
    assert refused.exit != 0
    assert BUSY.search(refused.err.encode())
    repo = GitRepo.discover(str(work))
    fetch = repo.start_fetch("origin", ["fix/new", "fix/none", "main"])
    run(["rm", "-rf", half])
    assert fetch is not None
    assert fetch.wait(60)
    tip = git("rev-parse", "HEAD", cwd=other)
    asked = ["refs/remotes/origin/fix/new", "refs/remotes/origin/main", "refs/remotes/origin/fix/none"]
    assert repo.tips(asked) == dict.fromkeys(asked[:2], tip)
    assert repo.start_fetch("nowhere", ["main"]) is None
    assert repo.start_fetch("origin", []) is None
