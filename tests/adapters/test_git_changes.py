"""What a commit or a push changes, as git's hooks see it: in every state that a repository can be in."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gitpw.adapters.git import GitRepo
from gitpw.domain.change import Change
from tests.support.git import clone, git, make_upstream, run

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
FILES = {
    "a.txt": "".join(f"{n}\n" for n in range(9)),
    "src/b.txt": "b\n",
    "src/c.txt": "c\n",
    "src/[id]/page.tsx": "p\n",
    "docs/d.md": "d\n",
}
SEEN = "import json; from gitpw.adapters.git import GitRepo; print(json.dumps(sorted(GitRepo.discover().staged())))"
HOOK = f"""#!/bin/sh
PYTHONPATH='{ROOT}' exec '{sys.executable}' -c '{SEEN}' >"$SEEN"
"""


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


def write(path: Path, files: Mapping[str, str]) -> None:
    """Write files, and stage nothing."""
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(content)


def commit(path: Path, files: Mapping[str, str], message: str = "more") -> str:
    """Write files and commit everything; the new commit."""
    write(path, files)
    git("add", "-A", cwd=path)
    git("commit", "-qm", message, cwd=path)
    return git("rev-parse", "HEAD", cwd=path)


def seen(
    *words: str | Path, cwd: Path, env: Mapping[str, str | None] | None = None, common: Path | None = None
) -> list[str]:
    """What a pre-commit hook that git runs in this command finds staged."""
    folder = (common or cwd / ".git") / "hooks"
    folder.mkdir(exist_ok=True)
    (folder / "pre-commit").write_text(HOOK)
    (folder / "pre-commit").chmod(0o755)
    told = folder / "seen"
    told.write_text('"the hook was not run"')
    git(*words, cwd=cwd, env={"SEEN": str(told), "GIT_EDITOR": "true", **(env or {})})
    (folder / "pre-commit").unlink()
    found: list[str] = json.loads(told.read_text())
    return found


def staged(**env: str) -> list[str]:
    """What is staged here, as a hook of the current folder finds it."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        return sorted(GitRepo.discover().staged())


def new_files(*heads: str, remote: str = "origin", there: tuple[str, ...] = ()) -> list[str]:
    """The files of the commits that some revisions, HEAD by default, bring to a remote."""
    repo = GitRepo.discover()
    ids = [git("rev-parse", head, cwd=Path.cwd()) for head in heads or ("HEAD",)]
    return sorted(repo.files_of(repo.new_commits(ids, remote, there)))


# Kinds of change


def test_rename_is_both_ends(work: Path) -> None:
    """Whatever git would make of it, for it changes both."""
    git("config", "diff.renames", "copies", cwd=work)
    git("config", "status.renames", "true", cwd=work)
    git("mv", "a.txt", "src/z.txt", cwd=work)
    assert staged() == ["a.txt", "src/z.txt"]


def test_copy_is_the_new_file(work: Path) -> None:
    """Its source stays as it is."""
    git("config", "diff.renames", "copies", cwd=work)
    write(work, {"copy.txt": FILES["a.txt"]})
    git("add", ".", cwd=work)
    assert staged() == ["copy.txt"]


def test_deletion_of_a_folder_is_each_file(work: Path) -> None:
    """Folders aren't anything to git."""
    git("rm", "-rq", "src", cwd=work)
    assert staged() == ["src/[id]/page.tsx", "src/b.txt", "src/c.txt"]


def test_mode_is_a_change(work: Path) -> None:
    """Also where the file system knows no modes."""
    git("config", "core.fileMode", "false", cwd=work)
    git("update-index", "--chmod=+x", "a.txt", cwd=work)
    assert staged() == ["a.txt"]


@pytest.mark.parametrize("target", ["src/b.txt", "src"])
def test_file_that_becomes_a_link(work: Path, target: str) -> None:
    """A change of its type is a change of the file; what it points to isn't touched."""
    (work / "a.txt").unlink()
    (work / "a.txt").symlink_to(target)
    git("add", "a.txt", cwd=work)
    assert staged() == ["a.txt"]


def test_folder_that_becomes_a_file(work: Path) -> None:
    """The files in it are gone, the one in its place is new; and the other way round."""
    git("rm", "-rq", "docs", cwd=work)
    write(work, {"docs": "now a file\n"})
    git("rm", "-q", "a.txt", cwd=work)
    write(work, {"a.txt/inner": "x\n"})
    git("add", "-A", cwd=work)
    assert staged() == ["a.txt", "a.txt/inner", "docs", "docs/d.md"]


@pytest.mark.parametrize("setting", ["all", "dirty", "none"])
def test_submodule_is_one_file(work: Path, upstream: Path, setting: str) -> None:
    """Added or moved on, and also where the configuration hides it."""
    allow = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "protocol.file.allow",
        "GIT_CONFIG_VALUE_0": "always",
    }
    git("submodule", "--quiet", "add", upstream, "lib/shop", cwd=work, env=allow)
    assert staged() == [".gitmodules", "lib/shop"]
    git("commit", "-qm", "lib", cwd=work)
    git("config", "-f", ".gitmodules", "submodule.lib/shop.ignore", setting, cwd=work)
    git("config", "diff.ignoreSubmodules", setting, cwd=work)
    git("checkout", "-q", "HEAD~1", cwd=work / "lib/shop")
    git("add", "-f", "lib/shop", cwd=work)
    git(
        "update-index",
        "--cacheinfo",
        f"160000,{git('rev-parse', 'HEAD', cwd=work / 'lib/shop')},lib/shop",
        cwd=work,
    )
    assert staged() == ["lib/shop"]


def test_intent_to_add_is_nothing_yet(work: Path) -> None:
    """`git add -N` says that a file is to come; the commit leaves it out."""
    write(work, {"new.txt": "x\n", "a.txt": "x\n"})
    git("add", "-N", "new.txt", cwd=work)
    git("add", "a.txt", cwd=work)
    assert staged() == ["a.txt"]


@pytest.mark.parametrize(
    "settings", [("diff.relative", "true"), ("diff.noprefix", "true"), ("diff.external", "false")]
)
def test_users_diff_settings_change_nothing(work: Path, settings: tuple[str, str]) -> None:
    """Names are relative to the root from any folder."""
    git("config", *settings, cwd=work)
    write(work, {"a.txt": "x\n", "src/b.txt": "x\n"})
    git("add", "-A", cwd=work)
    os.chdir(work / "src")
    assert staged() == ["a.txt", "src/b.txt"]


ODD = [
    "with space",
    "quote\"and'apostrophe",
    "new\nline",
    "tab\tand\x01control",
    "-leading-dash",
    ":(top)magic",
    "!bang",
    "#hash",
    "back\\slash",
    "star*and?",
    "caf\u00e9",
    "cafe\u0301",
    "\u202egpj.txt",
    os.fsdecode(b"bytes\xff\xfe"),
    "e/:/x",
]


@pytest.mark.parametrize("name", ODD)
def test_odd_names_come_back_as_they_are(work: Path, name: str) -> None:
    """Staged, committed and pushed; nothing is quoted, folded or taken for an option."""
    write(work, {name: "1\n"})
    git("add", "-A", cwd=work)
    assert staged() == [name]
    git("commit", "-qm", "odd", cwd=work)
    assert new_files() == [name]
    repo = GitRepo.discover()
    (change,) = repo.changes(repo.new_commits([git("rev-parse", "HEAD", cwd=work)], "origin", ()), {name})
    assert change.file == name
    git("push", "-q", "origin", "main", cwd=work)
    assert repo.brought_in("origin/main", [change]) == {change}


# Ways to commit


def test_commit_all(work: Path) -> None:
    """`commit -a` takes what is tracked, staged or not."""
    write(work, {"a.txt": "x\n", "untracked.txt": "x\n"})
    (work / "src/b.txt").unlink()
    assert seen("commit", "-qam", "x", cwd=work) == ["a.txt", "src/b.txt"]


def test_commit_of_named_files_leaves_out_what_is_staged(work: Path) -> None:
    """`commit FILE`, the same as `--only`, judges its own index."""
    write(work, {"a.txt": "x\n", "src/b.txt": "x\n"})
    git("add", "a.txt", cwd=work)
    assert seen("commit", "-qm", "x", "--only", "src/b.txt", cwd=work) == ["src/b.txt"]
    assert staged() == ["a.txt"]


def test_commit_include_takes_both(work: Path) -> None:
    """`--include` adds to what is staged."""
    write(work, {"a.txt": "x\n", "src/b.txt": "x\n"})
    git("add", "a.txt", cwd=work)
    assert seen("commit", "-qm", "x", "--include", "src/b.txt", cwd=work) == ["a.txt", "src/b.txt"]


def test_commit_from_a_folder_by_pathspec(work: Path) -> None:
    """Pathspecs are relative to where the user is, names to the root."""
    write(work, {"a.txt": "x\n", "src/b.txt": "x\n", "src/c.txt": "x\n"})
    assert seen("commit", "-qm", "x", "b.txt", cwd=work / "src", common=work / ".git") == ["src/b.txt"]
    assert seen("commit", "-qam", "x", cwd=work / "src", common=work / ".git") == ["a.txt", "src/c.txt"]


def test_commit_with_an_index_of_ones_own(work: Path) -> None:
    """GIT_INDEX_FILE, relative or not, is the index that counts."""
    write(work, {"a.txt": "x\n", "src/b.txt": "x\n"})
    git("add", "src/b.txt", cwd=work)
    for name in (".git/mine", str(work / ".git/yours")):
        env = {"GIT_INDEX_FILE": name}
        git("read-tree", "HEAD", cwd=work, env=env)
        git("add", "a.txt", cwd=work, env=env)
        assert seen("commit", "-qm", "x", "--allow-empty", cwd=work, env=env) == ["a.txt"]
        git("reset", "-q", "--soft", "HEAD~1", cwd=work)


def test_commit_in_a_linked_worktree(work: Path, tmp_path: Path) -> None:
    """By `git -C` from anywhere, and from a folder in it; the main checkout's index is another."""
    tree = tmp_path / "linked tree"
    git("worktree", "add", "-q", "-b", "linked", tree, cwd=work)
    write(work, {"a.txt": "x\n"})
    git("add", "a.txt", cwd=work)
    write(tree, {"src/b.txt": "x\n"})
    words = ("-C", tree, "commit", "-qam", "x")
    assert seen(*words, cwd=tmp_path, common=work / ".git") == ["src/b.txt"]
    write(tree, {"src/c.txt": "x\n"})
    assert seen("commit", "-qm", "x", "c.txt", cwd=tree / "src", common=work / ".git") == ["src/c.txt"]


def test_commit_with_git_dir_and_work_tree(work: Path, tmp_path: Path) -> None:
    """Named by options or by the environment, with paths that are relative to where the user is."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    write(work, {"a.txt": "x\n"})
    options = ("--git-dir=../my work/.git", "--work-tree=../my work")
    assert seen(*options, "commit", "-qam", "x", cwd=elsewhere, common=work / ".git") == ["a.txt"]
    write(work, {"a.txt": "y\n", "src/b.txt": "y\n"})
    env = {"GIT_DIR": "../.git", "GIT_WORK_TREE": ".."}
    assert seen("commit", "-qm", "x", "b.txt", cwd=work / "src", env=env, common=work / ".git") == [
        "src/b.txt"
    ]


def test_amend_is_what_it_changes_of_the_commit(work: Path) -> None:
    """The message alone changes no file; what the commit had changed already was judged then."""
    commit(work, {"a.txt": "x\n"})
    assert seen("commit", "-q", "--amend", "-m", "y", cwd=work) == []
    write(work, {"src/b.txt": "x\n"})
    assert seen("commit", "-q", "--amend", "-a", "--no-edit", cwd=work) == ["src/b.txt"]


def test_first_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without HEAD, everything in the index is new; also on an orphan branch."""
    git("init", "-q", tmp_path / "new", cwd=tmp_path)
    monkeypatch.chdir(tmp_path / "new")
    write(Path.cwd(), {"one": "1\n", "src/two": "2\n"})
    git("add", ".", cwd=Path.cwd())
    assert seen("commit", "-qm", "x", cwd=Path.cwd()) == ["one", "src/two"]
    git("checkout", "-q", "--orphan", "pages", cwd=Path.cwd())
    git("rm", "-q", "--cached", "one", cwd=Path.cwd())
    assert staged() == ["src/two"]


def test_sparse_index(work: Path) -> None:
    """Folders that aren't checked out are files all the same."""
    git("sparse-checkout", "set", "--cone", "--sparse-index", "docs", cwd=work)
    assert "src/" in git("ls-files", "--sparse", cwd=work).splitlines()
    git("fetch", "-q", side(work, {"src/[id]/page.tsx": "side\n"}), "main", cwd=work)
    git("merge", "-q", "--squash", "FETCH_HEAD", cwd=work)
    assert staged() == ["src/[id]/page.tsx"]


def test_split_index(work: Path) -> None:
    """The part that is shared and the part that isn't are one."""
    git("update-index", "--split-index", cwd=work)
    write(work, {"a.txt": "x\n"})
    git("add", "a.txt", cwd=work)
    git("rm", "-q", "docs/d.md", cwd=work)
    assert staged() == ["a.txt", "docs/d.md"]


def side(work: Path, files: Mapping[str, str]) -> Path:
    """Another clone, with a commit on main."""
    path = clone(work, work.parent / "side")
    commit(path, files)
    return path


def test_stash_runs_no_hook(work: Path) -> None:
    """It puts aside whatever there is."""
    write(work, {"a.txt": "x\n"})
    git("add", "a.txt", cwd=work)
    hook = work / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    git("stash", "-q", cwd=work)
    git("stash", "pop", "-q", "--index", cwd=work)
    assert staged() == ["a.txt"]


# Merges, and what is like one


def diverged(work: Path) -> None:
    """Upstream has changed b, and a in its own way; here a and c have been changed."""
    git("checkout", "-q", "-b", "theirs", cwd=work)
    commit(work, {"src/b.txt": "theirs\n", "a.txt": "theirs\n"})
    git("push", "-q", "origin", "theirs:main", cwd=work)
    git("checkout", "-q", "main", cwd=work)
    commit(work, {"a.txt": "mine\n", "src/c.txt": "mine\n"})


def test_merge_is_what_differs_from_all_parents(work: Path) -> None:
    """Upstream's files are its own, the conflict's resolution is this commit's."""
    diverged(work)
    run(["git", "merge", "-q", "theirs"], work, check=False)
    write(work, {"a.txt": "both\n", "docs/d.md": "while at it\n"})
    git("add", "-A", cwd=work)
    assert seen("merge", "--continue", cwd=work) == ["a.txt", "docs/d.md"]
    git("update-ref", "refs/remotes/origin/side", "main^1", cwd=work)
    assert new_files() == ["a.txt", "docs/d.md"]


@pytest.mark.parametrize("side", ["--ours", "--theirs"])
def test_conflict_solved_by_taking_a_side(work: Path, side: str) -> None:
    """Nothing is new in that."""
    diverged(work)
    run(["git", "merge", "-q", "theirs"], work, check=False)
    git("checkout", "-q", side, "a.txt", cwd=work)
    git("add", "a.txt", cwd=work)
    assert seen("commit", "-qm", "merged", cwd=work) == []


def test_octopus(work: Path) -> None:
    """What differs from every one of the many parents."""
    for name in ("one", "two", "three"):
        git("checkout", "-q", "-b", name, "origin/main", cwd=work)
        commit(work, {f"{name}.txt": f"{name}\n"})
    git("checkout", "-q", "main", cwd=work)
    commit(work, {"mine.txt": "x\n"})
    git("merge", "-q", "--no-commit", "one", "two", "three", cwd=work)
    assert staged() == []
    write(work, {"two.txt": "changed\n", "a.txt": "changed\n"})
    git("add", "-A", cwd=work)
    assert seen("commit", "-qm", "octopus", cwd=work) == ["a.txt", "two.txt"]
    assert new_files() == ["a.txt", "mine.txt", "one.txt", "three.txt", "two.txt"]


def test_cherry_pick_that_goes_on(work: Path) -> None:
    """What it changes of HEAD, after a conflict; the commit it picks is no parent."""
    diverged(work)
    run(["git", "cherry-pick", "theirs"], work, check=False)
    write(work, {"a.txt": "both\n"})
    git("add", "a.txt", cwd=work)
    assert seen("cherry-pick", "--continue", cwd=work) == ["a.txt", "src/b.txt"]


def test_rebase_that_stops_to_edit(work: Path) -> None:
    """HEAD is upstream's tip and what was picked; only what is staged now counts."""
    diverged(work)
    commit(work, {"docs/d.md": "mine\n"})
    run(["git", "rebase", "-q", "theirs"], work, check=False)
    write(work, {"a.txt": "both\n"})
    git("add", "a.txt", cwd=work)
    assert staged() == ["a.txt", "src/c.txt"]
    assert seen("commit", "-qm", "mine", cwd=work) == ["a.txt", "src/c.txt"]
    git("rebase", "--continue", cwd=work, env={"GIT_EDITOR": "true"})
    git("update-ref", "refs/remotes/origin/main", "theirs", cwd=work)
    assert new_files() == ["a.txt", "docs/d.md", "src/c.txt"]


# What upstream has


def brought(*names: str, tip: str = "theirs") -> set[str]:
    """Those of the staged files that only bring in what a branch has or had."""
    repo = GitRepo.discover()
    return {change.file for change in repo.brought_in(tip, repo.staged_changes(names))}


def test_squash_of_upstream_brings_it_in(work: Path) -> None:
    """File by file: what was changed besides is this commit's."""
    diverged(work)
    git("reset", "-q", "--hard", "HEAD~1", cwd=work)
    git("merge", "-q", "--squash", "theirs", cwd=work)
    assert brought("a.txt", "src/b.txt") == {"a.txt", "src/b.txt"}
    write(work, {"a.txt": "more\n", "docs/d.md": "x\n"})
    git("add", "-A", cwd=work)
    assert brought("a.txt", "src/b.txt", "docs/d.md") == {"src/b.txt"}


def test_modes_deletions_and_renames_of_upstream(work: Path) -> None:
    """Brought in are mode and content both; a file that is gone there may go here."""
    git("checkout", "-q", "-b", "theirs", cwd=work)
    git("mv", "a.txt", "z.txt", cwd=work)
    (work / "src/b.txt").chmod(0o755)
    commit(work, {})
    git("checkout", "-q", "main", cwd=work)
    git("merge", "-q", "--squash", "theirs", cwd=work)
    assert brought("a.txt", "z.txt", "src/b.txt") == {"a.txt", "z.txt", "src/b.txt"}
    git("update-index", "--chmod=-x", "src/b.txt", "--chmod=+x", "z.txt", cwd=work)
    assert brought("a.txt", "z.txt", "src/b.txt") == {"a.txt"}


def test_undoing_ones_own_change(work: Path) -> None:
    """A file as it was where the branch began is no change, also when upstream has gone on since."""
    git("checkout", "-q", "-b", "theirs", cwd=work)
    commit(work, {"src/b.txt": "theirs\n"})
    git("checkout", "-q", "main", cwd=work)
    commit(work, {"src/b.txt": "mine\n", "src/c.txt": "mine\n"})
    git("checkout", "-q", "HEAD~1", "--", "src", cwd=work)
    assert brought("src/b.txt", "src/c.txt") == {"src/b.txt", "src/c.txt"}


def test_what_upstream_had_meanwhile(work: Path) -> None:
    """A squash stays one when upstream goes on; going back to what HEAD has left behind is a change."""
    git("checkout", "-q", "-b", "theirs", cwd=work)
    for content in ("one\n", "two\n", "three\n"):
        commit(work, {"src/b.txt": content})
    git("checkout", "-q", "main", cwd=work)
    for content in ("one\n", "two\n", "three\n"):
        write(work, {"src/b.txt": content})
        git("add", "src/b.txt", cwd=work)
        assert brought("src/b.txt") == {"src/b.txt"}
    git("reset", "-q", "--hard", "theirs~1", cwd=work)
    write(work, {"src/b.txt": "one\n"})
    git("add", "src/b.txt", cwd=work)
    assert brought("src/b.txt") == set()


def test_revert_of_upstream_is_a_change(work: Path) -> None:
    """What the branch contains already isn't brought in."""
    commit(work, {"src/b.txt": "theirs\n"})
    git("branch", "theirs", cwd=work)
    git("revert", "--no-commit", "HEAD", cwd=work)
    assert brought("src/b.txt") == set()


def test_older_version_in_a_merge_is_a_change(work: Path) -> None:
    """What the other side of the merge has moved on from, too."""
    git("checkout", "-q", "-b", "theirs", cwd=work)
    commit(work, {"src/b.txt": "one\n"})
    commit(work, {"src/b.txt": "two\n"})
    git("checkout", "-q", "main", cwd=work)
    git("merge", "-q", "--no-commit", "--no-ff", "theirs", cwd=work)
    write(work, {"src/b.txt": "one\n"})
    git("add", "src/b.txt", cwd=work)
    assert staged() == ["src/b.txt"]
    assert brought("src/b.txt") == set()


def test_commits_are_looked_at_one_by_one(work: Path) -> None:
    """Each by what it makes of the file, and by where it left the branch."""
    git("checkout", "-q", "-b", "theirs", cwd=work)
    commit(work, {"src/b.txt": "one\n"})
    commit(work, {"src/b.txt": "two\n"})
    git("checkout", "-q", "main", cwd=work)
    squashed = commit(work, {"src/b.txt": "one\n"})
    mine = commit(work, {"src/b.txt": "mine\n"})
    back = commit(work, {"src/b.txt": "two\n"})
    repo = GitRepo.discover()
    found = repo.changes([squashed, mine, back], {"src/b.txt"})
    assert [(change.commit, change.file) for change in found] == [
        (one, "src/b.txt") for one in (squashed, mine, back)
    ]
    assert {change.commit for change in repo.brought_in("theirs", found)} == {squashed, back}


def test_root_commit_and_an_orphan_index(work: Path) -> None:
    """A history of its own has left the branch nowhere: what is there now counts."""
    git("checkout", "-q", "--orphan", "other", cwd=work)
    assert brought("a.txt", "src/b.txt", tip="origin/main") == {"a.txt", "src/b.txt"}
    write(work, {"a.txt": "x\n"})
    git("add", "a.txt", cwd=work)
    assert brought("a.txt", "src/b.txt", tip="origin/main") == {"src/b.txt"}
    git("commit", "-qm", "root", cwd=work)
    repo = GitRepo.discover()
    found = repo.changes([git("rev-parse", "HEAD", cwd=work)], {"a.txt", "src/b.txt"})
    assert {change.file for change in repo.brought_in("origin/main", found)} == {"src/b.txt"}


def test_more_files_than_a_command_line_takes(work: Path) -> None:
    """Then all are looked at."""
    many = {f"many/{'x' * 100}{number}.txt": "x\n" for number in range(600)}
    made = commit(work, many)
    repo = GitRepo.discover()
    found = repo.changes([made], set(many))
    assert {change.file for change in found} == set(many)
    assert repo.brought_in("origin/main", found) == set()
    assert repo.brought_in("main", found) == set(found)


# Pushes


def test_what_the_remote_says_it_has_isnt_new(work: Path) -> None:
    """Though no remote-tracking ref says so; what isn't here, or is no commit, says nothing."""
    known = commit(work, {"a.txt": "x\n"})
    commit(work, {"src/b.txt": "x\n"})
    blob = git("rev-parse", "HEAD:a.txt", cwd=work)
    assert new_files(there=("1" * 40, blob)) == ["a.txt", "src/b.txt"]
    assert new_files(there=("1" * 40, blob, known)) == ["src/b.txt"]


def test_many_heads_at_once(work: Path) -> None:
    """Commits of several branches, each once."""
    commit(work, {"a.txt": "x\n"})
    git("branch", "side", cwd=work)
    commit(work, {"src/b.txt": "x\n"})
    assert new_files("main", "side") == ["a.txt", "src/b.txt"]
    assert new_files("side") == ["a.txt"]


def test_tags_stand_for_their_commits(work: Path) -> None:
    """Annotated or not; a tag of a tree or a blob brings no commit."""
    git("tag", "-am", "old", "old", cwd=work)
    assert new_files("old") == []
    commit(work, {"a.txt": "x\n"})
    git("tag", "light", cwd=work)
    git("tag", "-am", "x", "heavy", cwd=work)
    git("tag", "-am", "x", "nested", "heavy", cwd=work)
    for name in ("light", "heavy", "nested"):
        assert new_files(name) == ["a.txt"]
    git("tag", "-am", "x", "tree", "HEAD^{tree}", cwd=work)
    git("tag", "blob", git("rev-parse", "HEAD:a.txt", cwd=work), cwd=work)
    assert new_files("tree", "blob") == []


def test_shallow_clone_ends_where_it_was_cut_off(
    upstream: Path, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came with the clone isn't new, even when a later fetch has moved on."""
    shallow = tmp_path / "shallow"
    git("clone", "-q", "--depth=1", upstream.as_uri(), shallow, cwd=tmp_path)
    monkeypatch.chdir(shallow)
    commit(shallow, {"src/b.txt": "mine\n"})
    assert new_files() == ["src/b.txt"]
    for number in range(3):
        commit(work, {"a.txt": f"{number}\n"})
    git("push", "-q", "origin", "main", cwd=work)
    git("fetch", "-q", "--depth=1", cwd=shallow)
    assert new_files() == ["src/b.txt"]


def test_bare_clone_knows_of_no_remote_branch(
    upstream: Path, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The remote is asked what it has; one that can't be asked has nothing."""
    git("clone", "-q", "--bare", upstream, tmp_path / "bare.git", cwd=tmp_path)
    tree = tmp_path / "tree"
    git("worktree", "add", "-q", "-b", "mine", tree, "main", cwd=tmp_path / "bare.git")
    monkeypatch.chdir(tree)
    commit(tree, {"src/b.txt": "mine\n"})
    commit(work, {"a.txt": "theirs\n"})
    git("push", "-q", "origin", "main", cwd=work)
    git("fetch", "-q", "origin", "main:theirs", cwd=tree)
    git("merge", "-q", "theirs", cwd=tree)
    assert new_files() == ["src/b.txt"]
    git("remote", "set-url", "origin", "../gone", cwd=tree)
    assert {"a.txt", "src/b.txt"} < set(new_files())


@pytest.mark.parametrize("kind", ["blob:none", "tree:0"])
def test_partial_clone(
    upstream: Path, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Objects that aren't here aren't needed, and nothing is fetched to find out what is new."""
    git("config", "uploadpack.allowFilter", "true", cwd=upstream)
    git("config", "uploadpack.allowAnySHA1InWant", "true", cwd=upstream)
    partial = tmp_path / "partial"
    git("clone", "-q", f"--filter={kind}", upstream.as_uri(), partial, cwd=tmp_path)
    monkeypatch.chdir(partial)
    made = commit(partial, {"src/b.txt": "mine\n"})
    unseen = commit(work, {"a.txt": "theirs\n"})
    git("push", "-q", "origin", "main", cwd=work)
    with monkeypatch.context() as patch:
        patch.setenv("GIT_TRACE2_EVENT", str(tmp_path / "trace"))
        assert new_files(there=(unseen,)) == ["src/b.txt"]
    assert "upload-pack" not in (tmp_path / "trace").read_text()
    repo = GitRepo.discover()
    assert repo.brought_in("origin/main", repo.changes([made], {"src/b.txt"})) == set()


def test_commits_outside_a_branch(work: Path) -> None:
    """Those that it doesn't contain; all where there is none of that name."""
    one = commit(work, {"a.txt": "x\n"})
    git("branch", "side", cwd=work)
    two = commit(work, {"a.txt": "y\n"})
    repo = GitRepo.discover()
    assert repo.outside([one, two], "side") == {two}
    assert repo.outside([one, two], "main") == set()
    assert repo.outside([one, two], "nope") == {one, two}


def test_contents_are_mode_and_object(work: Path) -> None:
    """As the index has them, or the commit."""
    git("rm", "-q", "a.txt", cwd=work)
    git("update-index", "--chmod=+x", "src/b.txt", cwd=work)
    name = git("rev-parse", "HEAD:src/b.txt", cwd=work)
    expected = [("a.txt", ""), ("src/b.txt", f"100755 {name}")]
    repo = GitRepo.discover()
    assert repo.staged_changes(["a.txt", "src/b.txt", "src/c.txt"]) == [Change("", *one) for one in expected]
    git("commit", "-qm", "x", cwd=work)
    made = git("rev-parse", "HEAD", cwd=work)
    assert repo.changes([made], {"a.txt", "src/b.txt"}) == [Change(made, *one) for one in expected]


@pytest.mark.parametrize(
    ("ours", "pushed"),
    [
        ("https://example.com/team/shop.git", "https://example.com/team/shop"),
        ("https://example.com/team/shop.git", "git@example.com:team/shop.git"),
        ("git@example.com:team/shop", "ssh://git@EXAMPLE.com:22/team/shop.git/"),
        ("https://token@example.com/team/shop", "https://example.com:443/team/shop/"),
        ("git://[::1]/team/shop", "ssh://x@[::1]/team/shop.git"),
        ("/srv/git/shop.git", "file:///srv/git/shop.git"),
        ("/srv/git/shop.git", "file://localhost/srv/git/../git/shop"),
        ("gh:team/shop", "https://github.example/team/shop.git"),
    ],
)
def test_one_place_goes_by_many_urls(work: Path, ours: str, pushed: str) -> None:
    """A push to the URL is a push to the remote, whichever way it is written."""
    git("config", "url.https://github.example/.insteadOf", "gh:", cwd=work)
    git("remote", "set-url", "origin", ours, cwd=work)
    assert GitRepo.discover().leads_to("origin", pushed)
    assert GitRepo.discover().leads_to(ours, ours)


@pytest.mark.parametrize(
    "pushed",
    [
        "https://example.com/team/shop2.git",
        "https://example.com/fork/shop.git",
        "https://example.org/team/shop.git",
        "https://example.com:8443/team/shop.git",
        "/team/shop.git",
        "../shop",
    ],
)
def test_other_places_are_others(work: Path, pushed: str) -> None:
    """Another path, host or port."""
    git("remote", "set-url", "origin", "https://example.com/team/shop.git", cwd=work)
    assert not GitRepo.discover().leads_to("origin", pushed)


def test_every_url_of_a_remote_counts(work: Path, upstream: Path) -> None:
    """The one to fetch from, and each of those to push to; paths are relative to the root."""
    git("remote", "set-url", "--push", "origin", "https://one.example/shop", cwd=work)
    git("remote", "set-url", "--add", "--push", "origin", "https://two.example/shop", cwd=work)
    repo = GitRepo.discover(str(work / "src"))
    for url in ("https://one.example/shop.git", "git@two.example:shop", str(upstream), "../up.git", "../up"):
        assert repo.leads_to("origin", url)
