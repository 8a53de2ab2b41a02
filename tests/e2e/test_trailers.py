"""Commits say which task they are for and by which claim: once, of today's claim, and never where nothing else is said."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gitpw.adapters.checkout import GitCheckout
from gitpw.adapters.git import GitRepo
from gitpw.adapters.hooks import GitHooks
from gitpw.domain.checkout import Own
from gitpw.domain.ids import ClaimId, TaskId, WorkerId
from tests.support.cli import pw
from tests.support.git import Result, clone, git, make_upstream, run

OURS = "Pw-Task: task-001\nPw-Token: 12"
COUNT = "git log -1 --format=%B | grep -c Pw-"


class Work:
    """A repository with our hooks, and a claim of a task."""

    def __init__(self, path: Path) -> None:
        self.path = path
        git("init", "-q", path, cwd=path.parent)
        (path / ".git" / "pw").mkdir()
        GitHooks(GitRepo.discover(str(path)), shutil.which("true")).install()
        self.claim(1, 12)

    def claim(self, task: int | None, token: int, worker: str = "alice", path: Path | None = None) -> None:
        """Remember a claim in a checkout; in place of an earlier one of the same task."""
        repo = GitRepo.discover(str(path or self.path))
        name = None if task is None else TaskId(f"task-{task:03d}")
        GitCheckout(repo.git_dir).remember(Own(ClaimId(f"{token:016x}"), token, name, WorkerId(worker)))

    def forget(self) -> None:
        """Have no claim any more."""
        checkout = GitCheckout(str(self.path / ".git"))
        checkout.forget([one.claim for one in checkout.own()])

    def git(
        self, *words: str | Path, editor: str | None = None, path: Path | None = None, **env: str
    ) -> Result:
        """Run git; `editor` is what the shell is to do with the file."""
        variables: dict[str, str | None] = dict(env)
        if editor is not None:
            script = self.path.parent / "editor"
            script.write_text(f"#!/bin/sh\n{editor}\n")
            script.chmod(0o755)
            variables["GIT_EDITOR"] = str(script)
        return run(["git", *words], path or self.path, variables, check=False)

    def commit(
        self, *words: str | Path, editor: str | None = None, path: Path | None = None, **env: str
    ) -> Result:
        """Change a file, and commit it with these options."""
        with ((path or self.path) / "file").open("a") as file:
            file.write("x\n")
        self.git("add", "file", path=path)
        return self.git("commit", "-q", *words, editor=editor, path=path, **env)

    def message(self, revision: str = "HEAD", path: Path | None = None) -> str:
        """The message of a commit, without the last newline."""
        return git("log", "-1", "--format=%B", revision, cwd=path or self.path).rstrip("\n")

    def trailers(self, revision: str = "HEAD") -> str:
        """The trailers of a commit, as git finds them."""
        return git("log", "-1", "--format=%(trailers:only,unfold)", revision, cwd=self.path).rstrip("\n")


@pytest.fixture
def work(tmp_path: Path) -> Work:
    """A new one."""
    return Work(tmp_path / "my work")


# Messages that come without an editor


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Fix it", f"Fix it\n\n{OURS}"),
        ("fix: it", f"fix: it\n\n{OURS}"),
        ("Fix\n\nBecause.", f"Fix\n\nBecause.\n\n{OURS}"),
        ("Fix\n\nSigned-off-by: D <d@x>", f"Fix\n\nSigned-off-by: D <d@x>\n{OURS}"),
        ("#5 is done", f"#5 is done\n\n{OURS}"),
        ("- one\n- two", f"- one\n- two\n\n{OURS}"),
        ("Fix\n\n# a note", f"Fix\n\n# a note\n\n{OURS}"),
        ("Fix\n\n--- a/file\n+++ b/file", f"Fix\n\n--- a/file\n+++ b/file\n\n{OURS}"),
        ("Größe: 3 €\n\n\u2028", f"Größe: 3 €\n\n\u2028\n\n{OURS}"),
        ("Fix\n\nPw-Task: task-009\nPw-Token: 3", f"Fix\n\n{OURS}"),
        ("Fix\n\nPw-Task: task-009\nPw-Token: 3\n\nMore.", f"Fix\n\nMore.\n\n{OURS}"),
        ("Fix\n\n    Pw-Task: task-009\n    Pw-Token: 3", f"Fix\n\n{OURS}"),
        ("See Pw-Task: task-009", f"See Pw-Task: task-009\n\n{OURS}"),
    ],
)
@pytest.mark.parametrize("how", ["-m", "-F"])
def test_message_gets_trailers(work: Work, how: str, message: str, expected: str) -> None:
    """At its end, in the same paragraph as others, in place of those that are there."""
    file = work.path.parent / "message"
    file.write_text(message)
    assert work.commit(how, message if how == "-m" else file).exit == 0
    assert work.message() == expected
    assert work.trailers().endswith(OURS)


@pytest.mark.parametrize(
    "how", [("--amend", "--no-edit"), ("--amend", "-m", "New"), ("--amend", "-C", "HEAD")]
)
def test_amended_commit_has_them_once(work: Work, how: tuple[str, ...]) -> None:
    """Also when that is done again and again; a new claim's token takes the old one's place."""
    work.commit("-m", "Fix\n\nReviewed-by: E <e@x>")
    for token in (12, 13, 14):
        work.claim(1, token)
        assert work.commit(*how).exit == 0
        assert work.trailers().endswith(f"Pw-Task: task-001\nPw-Token: {token}")
        assert work.message().count("Pw-") == 2


@pytest.mark.parametrize("cleanup", ["verbatim", "whitespace", "strip", "scissors", "default"])
def test_every_cleanup_has_them_once(work: Work, cleanup: str) -> None:
    """Nor do lines pile up where git leaves the message as it is."""
    git("config", "commit.cleanup", cleanup, cwd=work.path)
    work.commit("-m", "Fix\n\nMore.")
    for _ in range(3):
        work.commit("--amend", "--no-edit")
    assert work.message() == f"Fix\n\nMore.\n\n{OURS}"
    assert work.commit("--amend", editor="exit 0").exit == 0
    assert work.trailers() == OURS


@pytest.mark.parametrize("message", ["", " ", "\n\n"])
def test_empty_message_still_aborts(work: Work, message: str) -> None:
    """Trailers alone are no message."""
    assert "empty commit message" in work.commit("-m", message).err
    assert "empty commit message" in work.commit("-s", "-m", message).err


def test_no_verify_writes_them_all_the_same(work: Work) -> None:
    """Git runs this hook even then."""
    work.commit("--no-verify", "-m", "Fix")
    assert work.message() == f"Fix\n\n{OURS}"


# Messages that come from an editor


@pytest.mark.parametrize("char", ["#", ";", "%", "auto"])
@pytest.mark.parametrize(
    "words", [(), ("-v",), ("-s",), ("--cleanup=scissors",), ("-v", "-s", "--no-status")]
)
def test_editor_that_writes_nothing_aborts(work: Work, char: str, words: tuple[str, ...]) -> None:
    """Comments and a sign-off are no message, whatever comments begin with."""
    git("config", "core.commentChar", char, cwd=work.path)
    assert "empty commit message" in work.commit(*words, editor="exit 0").err


@pytest.mark.parametrize("char", ["#", ";", "auto"])
@pytest.mark.parametrize(
    "words", [(), ("-v",), ("--no-status",), ("--cleanup=scissors",), ("--cleanup=whitespace",)]
)
def test_message_that_was_just_written_gets_them(work: Work, char: str, words: tuple[str, ...]) -> None:
    """Before the comments, and before the line under which the diff stands."""
    git("config", "core.commentChar", char, cwd=work.path)
    work.commit("-m", "first")
    assert (
        work.commit(
            *words, editor='{ printf "Fix\\n\\nMore.\\n"; cat "$1"; } >"$1.new"; mv "$1.new" "$1"'
        ).exit
        == 0
    )
    assert work.message().startswith(f"Fix\n\nMore.\n\n{OURS}")
    assert work.trailers() == OURS


def test_sign_off_stays_with_them(work: Work) -> None:
    """In one paragraph."""
    work.commit("-s", editor='sed -i "1iFix" "$1"')
    assert work.message() == f"Fix\n\nSigned-off-by: Dana Example <dana@example.com>\n{OURS}"


def test_trailers_that_an_editor_deletes_come_back(work: Work) -> None:
    """They are no opinion."""
    work.commit("-m", "Fix")
    work.commit("--amend", editor='echo "New" >"$1"')
    assert work.message() == f"New\n\n{OURS}"


def test_editor_that_leaves_only_trailers_aborts(work: Work) -> None:
    """Whoever deletes the message wants no commit."""
    work.commit("-m", "Fix")
    assert "empty commit message" in work.commit("--amend", editor='sed -i "/Fix/d" "$1"').err


def test_template_that_was_left_as_it_is_aborts(work: Work) -> None:
    """As git has it; one that was filled in is a message, also the next time."""
    template = work.path.parent / "template"
    template.write_text("Subject\n\nWhy it was needed.\n")
    git("config", "commit.template", template, cwd=work.path)
    for words in ((), ("-v",), ("-s",)):
        assert "you did not edit the message" in work.commit(*words, editor="exit 0").err
    work.commit(editor='sed -i "s/^Subject/Fix/" "$1"')
    assert work.message() == f"Fix\n\nWhy it was needed.\n\n{OURS}"
    work.commit("-F", template)
    assert work.message() == f"Subject\n\nWhy it was needed.\n\n{OURS}"


def test_editor_without_hooks_verified(work: Work) -> None:
    """With --no-verify git doesn't ask what an editor has left; what was there before has them."""
    work.commit("-m", "Fix")
    work.claim(1, 13)
    work.commit("--amend", "--no-verify", editor="exit 0")
    assert work.message() == "Fix\n\nPw-Task: task-001\nPw-Token: 13"


# What git makes itself


def test_merge_has_them(work: Work) -> None:
    """Made at once, edited, or finished after a conflict."""
    work.commit("-m", "first")
    work.git("branch", "other")
    work.commit("-m", "mine")
    work.git("checkout", "-q", "other")
    (work.path / "new").write_text("x")
    work.git("add", "new")
    work.git("commit", "-qm", "theirs")
    work.git("checkout", "-q", "main")
    assert work.git("merge", "-q", "other").exit == 0
    assert work.message() == f"Merge branch 'other'\n\n{OURS}"
    work.git("reset", "-q", "--hard", "HEAD^")
    work.git("merge", "-q", "--edit", "other", editor='sed -i "s/Merge/Join/" "$1"')
    assert work.message() == f"Join branch 'other'\n\n{OURS}"
    work.git("reset", "-q", "--hard", "HEAD^")
    work.git("checkout", "-q", "other")
    (work.path / "file").write_text("clash\n")
    work.git("commit", "-qam", "clash")
    work.git("checkout", "-q", "main")
    assert work.git("merge", "-q", "other").exit == 1
    (work.path / "file").write_text("both\n")
    work.git("add", "file")
    work.git("commit", "-q", "--no-edit")
    assert work.trailers() == OURS
    assert work.message().count("Pw-") == 2


def test_squashed_merge_has_them_once(work: Work) -> None:
    """The messages that it quotes have trailers too."""
    work.commit("-m", "first")
    work.git("checkout", "-qb", "other")
    work.claim(1, 11)
    work.commit("-m", "one")
    work.commit("-m", "two")
    work.git("checkout", "-q", "main")
    work.claim(1, 12)
    work.git("merge", "-q", "--squash", "other")
    work.git("commit", "-q", "--no-edit")
    assert work.trailers() == OURS
    assert work.message().count("Pw-") == 2


@pytest.mark.parametrize(
    "words", [("cherry-pick",), ("cherry-pick", "-x"), ("cherry-pick", "-n"), ("revert", "--no-edit")]
)
def test_picked_commit_is_of_this_task(work: Work, words: tuple[str, ...]) -> None:
    """Whatever task it was made for."""
    work.commit("-m", "first")
    work.git("checkout", "-qb", "other")
    (work.path / "new").write_text("x")
    work.git("add", "new")
    work.git("commit", "-qm", "Add\n\nPw-Task: task-009\nPw-Token: 7", GITPW_CHAINED_ONLY="1")
    if words[0] == "cherry-pick":
        work.git("checkout", "-q", "main")
    assert work.git(*words, "other").exit == 0
    if "-n" in words:
        work.git("commit", "-q", "--no-edit", "-c", "other", editor="exit 0")
    assert work.trailers().endswith(OURS)
    assert work.message().count("Pw-") == 2


def test_rebased_commits_have_the_new_token(work: Work) -> None:
    """Picked, reworded and squashed; each once."""
    work.commit("-m", "first")
    work.git("checkout", "-qb", "feat/task-001-x")
    for name in ("one", "two", "three", "four"):
        (work.path / name).write_text("x")
        work.git("add", name)
        work.git("commit", "-qm", name)
    work.git("checkout", "-q", "main")
    work.commit("-m", "upstream")
    work.git("checkout", "-q", "feat/task-001-x")
    work.claim(1, 20)
    todo = "sed -i '2s/^pick/squash/; 3s/^pick/reword/; 4s/^pick/fixup/' \"$1\""
    script = work.path.parent / "todo"
    script.write_text(f"#!/bin/sh\n{todo}\n")
    script.chmod(0o755)
    done = work.git("rebase", "-q", "-i", "main", editor="exit 0", GIT_SEQUENCE_EDITOR=str(script))
    assert done.exit == 0, str(done)
    assert git("rev-list", "--count", "main..", cwd=work.path) == "2"
    for revision, subject in (("HEAD", "three"), ("HEAD^", "one")):
        assert work.message(revision).startswith(subject)
        assert work.trailers(revision) == "Pw-Task: task-001\nPw-Token: 20"
        assert work.message(revision).count("Pw-") == 2
    assert "two" in work.message("HEAD^")


# Whose they are


def test_without_a_claim_there_are_none(work: Work) -> None:
    """Nor does a lock without a task give any; those that are there stay."""
    work.commit("-m", "Fix")
    work.forget()
    work.commit("--amend", "--no-edit")
    assert work.message() == f"Fix\n\n{OURS}"
    work.claim(None, 30)
    work.commit("-m", "More")
    assert work.message() == "More"


def test_policy_switches_them_off(work: Work) -> None:
    """By what is written down for the hooks."""
    rules = work.path / ".git" / "pw" / "rules"
    rules.write_text("git-pw rules 1\ntrailers off\nlockable off\nend\n")
    work.commit("-m", "Fix")
    assert work.message() == "Fix"
    rules.write_text("git-pw rules 1\ntrailers on\nlockable off\nend\n")
    work.commit("-m", "Fix")
    assert work.message() == f"Fix\n\n{OURS}"


def test_of_several_claims_the_branch_decides(work: Work) -> None:
    """Also while it is being rebased; on another branch nobody can tell."""
    work.claim(2, 15)
    work.claim(12, 16)
    work.commit("-m", "on main")
    assert work.message() == "on main"
    for branch, task, token in (("feat/5-task-002-x", "task-002", 15), ("task-012", "task-012", 16)):
        work.git("checkout", "-qb", branch)
        work.commit("-m", "x")
        assert work.message() == f"x\n\nPw-Task: {task}\nPw-Token: {token}"
    work.claim(12, 17)
    work.git("rebase", "-q", "--force-rebase", "HEAD^")
    assert work.message() == "x\n\nPw-Task: task-012\nPw-Token: 17"


def test_in_a_shared_checkout_the_worker_decides(work: Work) -> None:
    """Another's claim in the main checkout is not for my commits."""
    work.commit("-m", "x", GITPW_WORKER="bob")
    assert work.message() == "x"
    work.claim(2, 15, worker="bob")
    work.commit("-m", "x", GITPW_WORKER="bob")
    assert work.message() == "x\n\nPw-Task: task-002\nPw-Token: 15"


def test_worktree_has_its_own(work: Work, tmp_path: Path) -> None:
    """By its own git dir."""
    work.commit("-m", "first")
    linked = tmp_path / "linked one"
    work.git("worktree", "add", "-q", "-b", "other", linked)
    work.commit("-m", "x", path=linked)
    assert work.message(path=linked) == "x"
    work.claim(3, 40, path=linked)
    work.commit("-m", "x", path=linked)
    assert work.message(path=linked) == "x\n\nPw-Task: task-003\nPw-Token: 40"


# Other hooks, other tools


@pytest.mark.parametrize("name", ["prepare-commit-msg", "commit-msg"])
def test_users_hook_comes_first_and_may_refuse(work: Work, name: str) -> None:
    """It sees the message as the user wrote it, and may change it."""
    hooks = GitHooks(GitRepo.discover(str(work.path)), shutil.which("true"))
    hooks.uninstall()
    (work.path / ".git" / "pw").mkdir(exist_ok=True)
    work.claim(1, 12)
    file = work.path / ".git" / "hooks" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text('#!/bin/sh\n[ -z "$REFUSE" ] || exit 4\nsed -i "1s/$/ ($#)/" "$1"\n')
    file.chmod(0o755)
    hooks.install()
    assert work.commit("-m", "Fix", REFUSE="1").exit == 1
    work.commit("-m", "Fix")
    assert work.message() == f"Fix ({2 if name == 'prepare-commit-msg' else 1})\n\n{OURS}"


def test_settings_of_trailers_are_not_ours(work: Work) -> None:
    """Git would run commands that are configured, and put trailers elsewhere."""
    for key, value in {
        "trailer.sign.command": "echo somebody",
        "trailer.where": "start",
        "trailer.separators": "=",
        "trailer.ifexists": "doNothing",
    }.items():
        git("config", "--global", key, value, cwd=work.path)
    work.commit("-m", "Fix\n\nAcked-by: E <e@x>")
    assert work.message() == f"Fix\n\nAcked-by: E <e@x>\n{OURS}"


@pytest.mark.parametrize("words", [("--amend", "--no-edit"), ("-m", "More")])
def test_command_does_what_the_shim_does(work: Work, words: tuple[str, ...]) -> None:
    """For hook managers that call `git pw hook …` themselves."""
    work.commit("-m", "Fix")
    work.claim(1, 13)
    for name in ("prepare-commit-msg", "commit-msg"):
        file = work.path / ".git" / "hooks" / name
        file.write_text(f'#!/bin/sh\nexec git-pw hook {name} "$@"\n')
    work.commit(*words)
    assert (
        work.message() == f"{'Fix' if words[0] == '--amend' else 'More'}\n\nPw-Task: task-001\nPw-Token: 13"
    )
    work.commit(editor='echo "Fix" >"$1"')
    assert work.message() == "Fix\n\nPw-Task: task-001\nPw-Token: 13"


def test_claim_leads_to_trailers(tmp_path: Path) -> None:
    """From the command to the commit: the token is the claim's, and the policy's word counts."""
    work = clone(str(make_upstream(tmp_path / "up.git")), tmp_path / "work")
    pw("init", cwd=work, check=0)
    pw("task", "add", "Fix it", "--file", "src/cart", cwd=work, check=0)
    claimed = pw("claim", cwd=work, check=0).data
    tree = Path(claimed["worktree"])
    (tree / "src" / "cart" / "basket.ts").write_text("x\n")
    git("commit", "-qam", "Fix", cwd=tree)
    expected = f"Fix\n\nPw-Task: task-001\nPw-Token: {claimed['lock']['token']}"
    assert git("log", "-1", "--format=%B", cwd=tree).rstrip() == expected
    pw("config", "policy.trailers", "false", cwd=work, check=0)
    git("add", ".gitpw.toml", cwd=work)
    git("commit", "-qm", "rules", cwd=work)
    git("push", "-q", "origin", "main", cwd=work)
    pw("hook", "refresh", cwd=tree, check=0)
    git("commit", "-q", "--allow-empty", "-m", "More", cwd=tree)
    assert git("log", "-1", "--format=%B", cwd=tree).rstrip() == "More"
