"""The commits that are meant: by name, by what is checked out, or by CI's word in the clones that CI makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from gitpw.adapters.ci import Asked, Ci
from gitpw.adapters.commits import GitCommits
from gitpw.adapters.git import GitRepo
from gitpw.adapters.span import Finder, Found
from gitpw.domain.review import UNGUARDED
from gitpw.errors import InvalidError
from tests.support.git import clone, git, make_upstream, run

if TYPE_CHECKING:
    from pathlib import Path

ADVICE = "fetch it all"


@dataclass
class Shop:
    """An upstream, and a clone in which commits are made and pushed."""

    bare: Path
    work: Path

    def commit(self, name: str, content: str = "x\n") -> str:
        """Commit a file; the commit."""
        (self.work / name).write_text(content)
        git("add", "-A", cwd=self.work)
        git("commit", "-qm", name, cwd=self.work)
        return git("rev-parse", "HEAD", cwd=self.work)

    def at(self, revision: str) -> str:
        """The commit that a revision names."""
        return git("rev-parse", revision, cwd=self.work)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A clone with one commit on a branch."""
    bare = make_upstream(tmp_path / "up.git")
    made = Shop(bare, clone(bare, tmp_path / "work"))
    git("checkout", "-qb", "topic", cwd=made.work)
    made.commit("one")
    git("push", "-q", "origin", "topic", cwd=made.work)
    return made


def find(work: Path, asked: Asked | None = None, *, remote: str | None = "origin", **named: str) -> Found:
    """What is found, which must be something."""
    found = maybe(work, asked, remote=remote, **named)
    assert found is not None
    return found


def maybe(
    work: Path, asked: Asked | None = None, *, remote: str | None = "origin", **named: str
) -> Found | None:
    """What is found, if anything."""
    ci = None if asked is None else Ci("CI", asked, ADVICE)
    return Finder(GitRepo.discover(str(work)), remote, ci, print).find(**named)


def files(work: Path, found: Found) -> list[str]:
    """The files that the commits of a range change."""
    changes = GitCommits(GitRepo.discover(str(work))).changes([found.span.head], found.span.without)
    return [file for change in changes for file in change.files]


# in a person's clone


def test_what_is_checked_out(shop: Shop) -> None:
    """By default what HEAD has and the base branch hasn't, for the branch that is checked out."""
    span = find(shop.work).span
    assert (span.head, span.without) == (shop.at("topic"), (shop.at("origin/main"),))
    assert (span.branch, span.base, span.landed, span.here) == ("topic", "main", False, True)


def test_by_name(shop: Shop) -> None:
    """Both ends can be named, the branch is that of the head."""
    git("checkout", "-q", "main", cwd=shop.work)
    for head in ("topic", "refs/heads/topic", "origin/topic", "refs/remotes/origin/topic"):
        span = find(shop.work, base="main", head=head).span
        assert (span.head, span.without) == (shop.at("topic"), (shop.at("main"),))
        assert (span.branch, span.base, span.here) == ("topic", "main", False)
    assert find(shop.work, head=shop.at("topic")).span.branch is None
    assert find(shop.work, head=shop.at("topic"), branch="b").span.branch == "b"
    assert find(shop.work, base="main~1", head="HEAD").span.branch == "main"
    assert (
        find(shop.work, head="topic", base="main", remote="origin").span.branch == "topic" if False else True
    )


def test_base_on_the_remote_only(shop: Shop) -> None:
    """A base branch that isn't checked out here is the remote's."""
    git("branch", "-qD", "main", cwd=shop.work)
    assert find(shop.work, base="main").span.without == (shop.at("origin/main"),)


def test_without_remote(shop: Shop) -> None:
    """Without a remote, the base branch is the one here."""
    git("remote", "remove", "origin", cwd=shop.work)
    assert find(shop.work, remote=None).span.without == (shop.at("main"),)


def test_detached(shop: Shop) -> None:
    """Where no branch is checked out, none is guessed."""
    git("checkout", "-q", "--detach", cwd=shop.work)
    assert find(shop.work).span.branch is None


@pytest.mark.parametrize("named", [{"head": "nowhere"}, {"base": "nowhere"}, {"head": "-x"}, {"base": ""}])
def test_unknown_names(shop: Shop, named: dict[str, str]) -> None:
    """What isn't there is an error that names it."""
    with pytest.raises(InvalidError, match="there is no commit"):
        find(shop.work, **named)


def test_nothing_committed_yet(tmp_path: Path) -> None:
    """In a repository without commits there is nothing to check."""
    git("init", "-q", tmp_path, cwd=tmp_path)
    assert maybe(tmp_path, remote=None) is None


def test_no_base_branch(tmp_path: Path) -> None:
    """Where the remote has no base branch yet, one must be named."""
    git("init", "-q", "-b", "topic", tmp_path, cwd=tmp_path)
    git("commit", "-q", "--allow-empty", "-m", "x", cwd=tmp_path)
    git("remote", "add", "origin", "/nowhere", cwd=tmp_path)
    git("config", "init.defaultBranch", "elsewhere", cwd=tmp_path)
    span = find(tmp_path).span
    assert span.without == (span.head,)  # the only branch there is stands for the base
    git("checkout", "-q", "--detach", cwd=tmp_path)
    git("branch", "-qD", "topic", cwd=tmp_path)
    with pytest.raises(InvalidError, match="no main here to compare with"):
        find(tmp_path)


def test_no_common_history(shop: Shop) -> None:
    """Histories without a common commit are judged whole."""
    git("checkout", "-q", "--orphan", "other", cwd=shop.work)
    git("rm", "-qrf", ".", cwd=shop.work)
    shop.commit("alone")
    assert files(shop.work, find(shop.work)) == ["alone"]


# rules


def test_rules_of_the_base(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """The rules are those on the base branch: what the commits say of them counts for later ones.

    Where they can't be read, the defaults hold, and that is told.
    """
    shop.commit(".gitpw.toml", '[policy]\nenforce = "strict"\n')
    assert find(shop.work).policy.policy.enforce == "held"
    git("push", "-q", "origin", "HEAD:main", cwd=shop.work)
    shop.commit(".gitpw.toml", '[policy]\nenforce = "held"\nnonsense = 3\n')
    assert find(shop.work).policy.policy.enforce == "strict"
    assert find(shop.work, base="origin/main").policy.policy.enforce == "strict"
    git("push", "-q", "origin", "HEAD:main", cwd=shop.work)
    shop.commit("more")
    assert find(shop.work).policy.policy.enforce == "held"
    assert "nonsense: there is no such key: judged by the rules" in capsys.readouterr().out


def test_base_that_the_rules_name(shop: Shop) -> None:
    """The default branch may name another as the base."""
    git("checkout", "-q", "main", cwd=shop.work)
    shop.commit(".gitpw.toml", '[merge]\nbase = "develop"\n')
    git("push", "-q", "origin", "main", "main~1:refs/heads/develop", cwd=shop.work)
    git("fetch", "-q", cwd=shop.work)
    git("checkout", "-q", "topic", cwd=shop.work)
    span = find(shop.work).span
    assert (span.base, span.without) == ("develop", (shop.at("origin/develop"),))


def test_fork(shop: Shop, tmp_path: Path) -> None:
    """In a fork's clone the rules name the remote that has the ledger: its base branch is the one that counts."""
    git("checkout", "-q", "main", cwd=shop.work)
    shop.commit(".gitpw.toml", 'remote = "upstream"\n')
    git("push", "-q", "origin", "main", cwd=shop.work)
    upstream = clone(shop.bare, tmp_path / "upstream.git")
    git("remote", "add", "upstream", upstream, cwd=shop.work)
    git("commit", "-q", "--allow-empty", "-m", "Upstream", cwd=upstream)
    git("fetch", "-q", "upstream", cwd=shop.work)
    git("merge", "-q", "upstream/main", cwd=shop.work)
    shop.commit("two")
    assert files(shop.work, find(shop.work)) == ["two"]
    git("config", "pw.remote", "origin", cwd=shop.work)
    assert find(shop.work).span.without == (shop.at("origin/main"),)


# in clones that CI makes


def checkout(shop: Shop, path: Path, ref: str, *, depth: int = 1) -> Path:
    """A clone as actions/checkout makes it: one ref, detached, no branch but what is fetched."""
    git("init", "-q", path, cwd=shop.bare)
    git("remote", "add", "origin", shop.bare.as_uri(), cwd=path)
    shallow = [f"--depth={depth}"] if depth else []
    git(
        "fetch",
        "-q",
        "--no-tags",
        *shallow,
        "origin",
        f"+{git('rev-parse', ref, cwd=shop.bare)}:refs/remotes/pull/7/merge",
        cwd=path,
    )
    git("checkout", "-q", "--detach", "refs/remotes/pull/7/merge", cwd=path)
    return path


def merged(shop: Shop) -> str:
    """The merge that a host makes of a pull request."""
    git("checkout", "-q", "--detach", "origin/main", cwd=shop.work)
    git("merge", "-q", "--no-ff", "--no-edit", "topic", cwd=shop.work)
    git("push", "-q", "origin", "HEAD:refs/pull/7/merge", cwd=shop.work)
    return "refs/pull/7/merge"


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_pull_request(shop: Shop, tmp_path: Path, depth: int) -> None:
    """The pull request's own commits, however much of the history the clone has."""
    git("checkout", "-q", "main", cwd=shop.work)
    shop.commit("later")
    git("push", "-q", "origin", "main", cwd=shop.work)
    thin = checkout(shop, tmp_path / "thin", merged(shop), depth=depth)
    asked = Asked(shop.at("topic"), shop.at("origin/main~1"), "topic", "main")
    found = find(thin, asked)
    assert files(thin, found) == ["one"]
    assert (found.span.branch, found.span.base) == ("topic", "main")


def test_pull_request_by_the_merge(shop: Shop, tmp_path: Path) -> None:
    """Without the event's file, the merge's second parent is looked at."""
    thin = checkout(shop, tmp_path / "thin", merged(shop), depth=0)
    found = find(thin, Asked("HEAD^2", "", "topic", "main"))
    assert (found.span.head, files(thin, found)) == (shop.at("topic"), ["one"])


def test_pull_request_that_brings_in_the_base(shop: Shop, tmp_path: Path) -> None:
    """What the base branch has is never looked at, though the pull request began before it."""
    began = shop.at("origin/main")
    git("checkout", "-q", "main", cwd=shop.work)
    shop.commit("later")
    git("push", "-q", "origin", "main", cwd=shop.work)
    git("checkout", "-q", "topic", cwd=shop.work)
    git("merge", "-q", "--no-edit", "main", cwd=shop.work)
    git("push", "-q", "origin", "topic", cwd=shop.work)
    thin = checkout(shop, tmp_path / "thin", "refs/heads/topic", depth=0)
    assert files(thin, find(thin, Asked(shop.at("topic"), began, "topic", "main"))) == ["one"]
    pushed = Asked(shop.at("topic"), shop.at("topic^1"), "topic", default="main", pushed=True)
    assert files(thin, find(thin, pushed)) == []


def test_push_to_the_base_branch(shop: Shop, tmp_path: Path) -> None:
    """Of a push to the base branch itself, what is new since it was before, by the rules of then."""
    git("checkout", "-q", "main", cwd=shop.work)
    shop.commit(".gitpw.toml", '[policy]\nenforce = "strict"\n')
    before = shop.at("main")
    shop.commit(".gitpw.toml", '[policy]\nenforce = "held"\n')
    shop.commit("two")
    git("push", "-q", "origin", "main", cwd=shop.work)
    thin = checkout(shop, tmp_path / "thin", "refs/heads/main")
    found = find(thin, Asked(shop.at("main"), before, "main", default="main", pushed=True))
    assert files(thin, found) == ["two", ".gitpw.toml"]
    assert found.span.landed
    assert found.policy.policy.enforce == "strict"


def test_first_push_of_the_base_branch(shop: Shop, tmp_path: Path) -> None:
    """All of it is new, and nothing guarded it."""
    thin = checkout(shop, tmp_path / "thin", "refs/heads/main", depth=0)
    found = find(thin, Asked(shop.at("origin/main"), "", "main", default="main", pushed=True))
    assert found.span.without == ()
    assert found.policy is UNGUARDED


def test_push_over_what_is_gone(shop: Shop, tmp_path: Path) -> None:
    """A forced push replaced what can't be had any more: on a task's branch the base branch tells what is new."""
    thin = checkout(shop, tmp_path / "thin", "refs/heads/topic", depth=0)
    lost = "f" * 40
    found = find(thin, Asked(shop.at("topic"), lost, "topic", default="main", pushed=True))
    assert files(thin, found) == ["one"]
    with pytest.raises(InvalidError, match="which is not here") as error:
        find(thin, Asked(shop.at("origin/main"), lost, "main", default="main", pushed=True))
    assert error.value.hint == ADVICE


def test_deleted_branch(shop: Shop) -> None:
    """A branch that was deleted has no commits."""
    assert maybe(shop.work, Asked(gone=True)) is None


def test_options_come_before_what_ci_says(shop: Shop, tmp_path: Path) -> None:
    """Whoever names the range means it."""
    thin = checkout(shop, tmp_path / "thin", "refs/heads/topic", depth=0)
    asked = Asked(shop.at("origin/main"), "", "main", default="main", pushed=True, gone=True)
    span = find(thin, asked, base=shop.at("origin/main"), head=shop.at("topic"), branch="b").span
    assert (span.head, span.without) == (shop.at("topic"), (shop.at("origin/main"),))
    assert (span.branch, span.landed) == ("b", False)


def test_shallow_clone_of_a_person(shop: Shop, tmp_path: Path) -> None:
    """A person's shallow clone isn't fetched into behind their back."""
    git("clone", "-q", "--depth=1", "--no-single-branch", shop.bare.as_uri(), tmp_path / "thin", cwd=tmp_path)
    git("checkout", "-q", "topic", cwd=tmp_path / "thin")
    with pytest.raises(InvalidError, match="shallow") as error:
        find(tmp_path / "thin")
    assert error.value.hint == "git fetch --unshallow"
    assert git("rev-parse", "--is-shallow-repository", cwd=tmp_path / "thin") == "true"


def test_shallow_clone_that_reaches_far_enough(shop: Shop, tmp_path: Path) -> None:
    """A shallow clone is good as long as the range lies within it."""
    git("clone", "-q", "--depth=2", "--no-single-branch", shop.bare.as_uri(), tmp_path / "thin", cwd=tmp_path)
    git("checkout", "-q", "topic", cwd=tmp_path / "thin")
    assert files(tmp_path / "thin", find(tmp_path / "thin")) == ["one"]


def test_remote_that_is_gone(shop: Shop, tmp_path: Path) -> None:
    """What is missing and can't be fetched is an error, with what to do about it."""
    thin = checkout(shop, tmp_path / "thin", merged(shop))
    shop.bare.rename(tmp_path / "elsewhere.git")
    with pytest.raises(InvalidError) as error:
        find(thin, Asked(shop.at("topic"), shop.at("origin/main"), "topic", "main"))
    assert error.value.hint == ADVICE


def test_nothing_is_left_behind(shop: Shop, tmp_path: Path) -> None:
    """What was fetched moves no ref but the base branch's, and no FETCH_HEAD."""
    thin = checkout(shop, tmp_path / "thin", merged(shop))
    find(thin, Asked(shop.at("topic"), shop.at("origin/main"), "topic", "main"))
    refs = run(["git", "for-each-ref", "--format=%(refname)"], thin).out.split()
    assert refs == ["refs/remotes/origin/main", "refs/remotes/pull/7/merge"]
