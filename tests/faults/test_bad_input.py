"""What people type by mistake, and places where git-pw can't work: the right exit status, a hint, and nothing changed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import unicodedata
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.faults.shop import LEDGER, Shop, keepsakes
from tests.support.git import clone, environment, git, make_upstream, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Remote, Served
    from tests.race.runner import Herd
    from tests.support.cli import Result

pytestmark = pytest.mark.fault


class Case(NamedTuple):
    """Words, the exit status that they earn, and what the message must say."""

    words: tuple[str, ...]
    exit: int
    says: str


WORDS = (
    # tasks that aren't there, or aren't one's own
    Case(("claim", "task-999"), 6, "task-999"),
    Case(("claim", "nonsense"), 6, "nonsense"),
    Case(("claim", "--", "-1"), 6, "-1"),
    Case(("claim", "task-001"), 3, "held by bob"),
    Case(("claim", "task-002"), 6, "task-001"),
    Case(("task", "show", "task-999"), 6, "task-999"),
    Case(("task", "edit", "task-999", "--priority", "1"), 6, "task-999"),
    Case(("task", "cancel", "task-999"), 6, "task-999"),
    Case(("task", "cancel", "task-001"), 6, "bob"),
    Case(("task", "retry", "task-999"), 6, "task-999"),
    Case(("start", "task-999"), 6, "task-999"),
    Case(("progress", "--percent", "1", "--task", "task-999"), 6, "task-999"),
    Case(("complete", "task-999"), 6, "task-999"),
    Case(("complete", "task-001"), 6, "bob"),
    Case(("complete",), 6, "holds no task"),
    Case(("fail", "task-001", "--reason", "no"), 6, "bob"),
    Case(("release", "task-999"), 6, "task-999"),
    Case(("release", "task-001"), 6, "bob"),
    Case(("release",), 6, "holds no task"),
    Case(("worktree", "path", "task-999"), 6, "task-999"),
    Case(("worktree", "remove", "task-999"), 6, "task-999"),
    Case(("worker", "show", "nobody"), 6, "nobody"),
    Case(("worker", "unregister", "nobody"), 6, "nobody"),
    Case(("worker", "unregister", "bob"), 6, "task-001"),
    # paths that can't be locked
    Case(("lock", "../elsewhere"), 6, ".."),
    Case(("lock", "src/../../elsewhere"), 6, ".."),
    Case(("lock", "/etc/passwd"), 6, "absolute"),
    Case(("lock", "C:\\Windows"), 6, "absolute"),
    Case(("lock", ".git/config"), 6, "git's own"),
    Case(("lock", "src/.GIT/x"), 6, "git's own"),
    Case(("lock", "new\nline"), 6, "control characters"),
    Case(("lock", ""), 6, "empty"),
    Case(("lock",), 2, "missing"),
    Case(("lock", "-odd"), 2, "-o"),
    Case(("lock", "src/auth/login.ts"), 3, "held by bob"),
    Case(("lock", "README.md", "src/**/*.ts"), 3, "held by bob"),
    Case(("claim", "--file", "../elsewhere"), 6, ".."),
    Case(("claim", "--file", "src"), 3, "held by bob"),
    Case(("task", "add", "X", "--file", "/etc/passwd"), 6, "absolute"),
    Case(("task", "edit", "task-002", "--file", ".git"), 6, "git's own"),
    Case(("locks", "../elsewhere"), 6, ".."),
    Case(("unlock", "../elsewhere"), 6, ".."),
    Case(("unlock", "src/auth"), 6, "held by bob"),
    Case(("unlock", "src/auth", "--force"), 2, "--reason"),
    Case(("unlock", "src/auth", "--force", "--reason", " "), 2, "reason"),
    # values that are off
    Case(("task", "add", ""), 6, "empty"),
    Case(("task", "add", "X", "--priority", "9"), 6, "at most 5"),
    Case(("task", "add", "X", "--priority", "high"), 2, "high"),
    Case(("task", "add", "X", "--type", "bug"), 6, "bug"),
    Case(("task", "add", "X", "--estimate", "-1"), 6, "at least 0"),
    Case(("task", "add", "X", "--issue", "0"), 6, "at least 1"),
    Case(("task", "add", "X", "--after", "task-999"), 6, "task-999"),
    Case(("task", "edit", "task-003", "--after", "task-004"), 6, "task-003 → task-004 → task-003"),
    Case(("task", "edit", "task-003", "--after", "task-003"), 6, "task-003"),
    Case(("task", "edit", "task-002"), 2, "nothing"),
    Case(("claim", "--lease", "soon"), 2, "soon"),
    Case(("claim", "--lease", "0s"), 6, "longer than nothing"),
    Case(("claim", "--lease", "999d"), 6, "at most"),
    Case(("lock", "README.md", "--lease", "-5m"), 2, "-5m"),
    Case(("progress",), 2, "no progress"),
    Case(("progress", "--step", "7/3"), 6, ""),
    Case(("progress", "--step", "many"), 2, "many"),
    Case(("progress", "--percent", "101"), 6, "101"),
    Case(("progress", "--eta", "1000001"), 6, "not within 0 and 1000000"),
    Case(("progress", "--eta", "9" * 30), 6, "not within 0 and 1000000"),
    Case(("fail",), 2, "--reason"),
    Case(("log", "--since", "yesterday"), 2, "yesterday"),
    Case(("--as", "Bad Name", "claim"), 6, "Bad Name"),
    Case(("--as", "-x", "claim"), 6, "-x"),
    Case(("--as", "a/b", "claim"), 6, "a/b"),
    Case(("worker", "register", "Bad Name"), 6, "Bad Name"),
    Case(("worker", "register", "--max-tasks", "0"), 6, "--max-tasks"),
    Case(("worker", "register", "--agent-type", "boss"), 6, "boss"),
    Case(("config", "claim.leese"), 78, "claim.leese"),
    Case(("config", "claim.lease", "soon"), 6, "soon"),
    Case(("nonsense",), 2, "nonsense"),
    Case(("claim", "--nonsense"), 2, "--nonsense"),
    Case(("claim", "task-001", "task-002"), 2, ""),
    Case(("task",), 2, ""),
    Case(("-C", "/nonexistent", "status"), 128, "/nonexistent"),
)


@pytest.fixture
def busy(shop: Shop) -> Shop:
    """Bob holds task-001 and src/auth; task-002 waits for it; task-003 is free, and task-004 waits for that."""
    shop.task("Check passwords", "src/auth")
    shop.pw("task", "add", "Test the login", "--after", "task-001")
    shop.task("Count prices", "src/cart")
    shop.pw("task", "add", "Test the prices", "--after", "task-003")
    shop.pw("claim", "task-001", "--no-worktree", worker="bob", cwd=shop.another("bob").work)
    shop.pw("locks")
    return shop


def refused(answer: Result, status: int, says: str = "") -> dict[str, Any]:
    """The document of a refusal, which has a code, a message of one line and a hint."""
    assert answer.exit == status, str(answer)
    data: dict[str, Any] = answer.data
    assert data["ok"] is False
    assert says in data["message"], str(answer)
    assert re.fullmatch(r"[^\n\x00-\x1f]*[^.\n]", data["message"]), str(answer)
    assert data["hint"], f"no hint\n{answer}"
    assert "Traceback" not in answer.err
    return data


@pytest.mark.parametrize("part", range(4))
def test_words_that_are_off_are_refused(busy: Shop, part: int) -> None:
    """Each case of the table has its exit status, says what is off, gives a hint, and changes nothing."""
    before, tip = keepsakes(busy.work), busy.tip()
    wrong = []
    for case in WORDS[part::4]:
        try:
            refused(busy.pw(*case.words, check=None), case.exit, case.says)
        except AssertionError as error:
            wrong.append(f"{case}: {error}")
        if (busy.tip(), keepsakes(busy.work)) != (tip, before):
            wrong.append(f"{case}: something was changed")
            before, tip = keepsakes(busy.work), busy.tip()
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.parametrize("folder", [".", "src/auth"])
def test_paths_are_relative_to_the_current_folder(shop: Shop, folder: str) -> None:
    """`..` within the repository is followed; beyond its root it is refused."""
    here = shop.work / folder
    up = "../" * len(here.relative_to(shop.work).parts)
    assert shop.pw("lock", f"{up}README.md", cwd=here).data["lock"]["lockedFiles"] == ["README.md"]
    refused(shop.pw("lock", f"{up}../README.md", cwd=here, check=None), 6, "..")


@pytest.mark.parametrize(
    "name", ["two words.txt", " lead.txt", "-dash.txt", "käse.txt", "a'b\"c$d.txt", "😀"]
)
def test_odd_names_are_names(shop: Shop, name: str) -> None:
    """Spaces, quotes, a leading dash and letters of any kind lock the file of that name, and nobody else gets it."""
    assert shop.pw("lock", "--", name).data["lock"]["lockedFiles"] == [name]
    other = shop.pw("lock", "--", name, worker="bob", cwd=shop.another("other").work, check=3)
    assert other.data["holder"]["path"] == name
    assert shop.pw("unlock", "--", name).data["unlocked"] == [name]


def test_two_spellings_of_a_letter_are_one_name(shop: Shop) -> None:
    """What one locks in Unicode's composed form another can't have in the decomposed one."""
    composed = unicodedata.normalize("NFC", "src/käse.txt")
    shop.pw("lock", composed)
    other = shop.another("other")
    apart = unicodedata.normalize("NFD", composed)
    assert apart != composed
    refused(other.pw("lock", apart, worker="bob", check=None), 3, "alice")


TOML = (
    ("[claim\nlease = '60m'\n", ".gitpw.toml:1"),
    ("[claim]\nleese = '60m'\n", "lease"),
    ("[claim]\nlease = 60\n", "claim.lease"),
    ("[claim]\nlease = 'soon'\n", "soon"),
    ("[polizy]\n", "policy"),
    ("[policy]\nenforce = 'maybe'\n", "enforce"),
    ("ledger = 7\n", "ledger"),
    ("ledger = 'a'\nledger = 'b'\n", ".gitpw.toml:2"),
    (b"remote = '\xff'\n", ""),
)


@pytest.mark.parametrize(("text", "says"), TOML)
def test_broken_policy_file_is_named(shop: Shop, text: str | bytes, says: str) -> None:
    """A .gitpw.toml that can't be read is 78, with the place or the nearest right word, for reading and for writing."""
    (shop.work / ".gitpw.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    tip = shop.tip()
    for words in (("claim",), ("status",), ("init",)):
        data = refused(shop.pw(*words, check=None), 78, ".gitpw.toml")
        assert says in f"{data['message']} {data['hint']}"
    assert shop.tip() == tip


# What a hostile hand may write into the ledger


def tampered(shop: Shop, path: str, content: bytes | None, mode: str = "100644") -> None:
    """Write a file into the ledger's tree, or delete it, as somebody who may push can."""
    index = {"GIT_INDEX_FILE": str(shop.bare / "tampering")}
    git("read-tree", LEDGER, cwd=shop.bare, env=index)
    if content is None:
        git("rm", "-q", "--cached", path, cwd=shop.bare, env={**index, "GIT_WORK_TREE": str(shop.bare)})
    else:
        name = blob(shop.bare, content) if mode != "160000" else "1" * 40
        git("update-index", "--add", "--cacheinfo", f"{mode},{name},{path}", cwd=shop.bare, env=index)
    tree = git("write-tree", cwd=shop.bare, env=index)
    message = git("log", "-1", "--format=%B", LEDGER, cwd=shop.bare)
    made = git("commit-tree", tree, "-p", LEDGER, "-m", message, cwd=shop.bare)
    shop.set_tip(made)


def blob(repository: Path, content: bytes) -> str:
    """Write an object; its name."""
    done = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"],
        cwd=repository,
        env=environment(None),
        input=content,
        capture_output=True,
        check=True,
    )
    return done.stdout.decode().strip()


def cell(shop: Shop, name: str) -> str:
    """The path in the ledger's tree of the record of that name."""
    paths = git("ls-tree", "-r", "--name-only", LEDGER, cwd=shop.bare).splitlines()
    return next(path for path in paths if path == name or path.endswith(f"/{name}"))


def record(shop: Shop, name: str) -> dict[str, Any]:
    """A record as the ledger has it."""
    found: dict[str, Any] = json.loads(git("show", f"{LEDGER}:{cell(shop, name)}", cwd=shop.bare))
    return found


HOSTILE = {
    "no-json": b"{",
    "no-object": b"[]",
    "empty": b"",
    "no-utf8": b'{"id": "\xff"}',
    "wrong-type": b'{"id": 5, "title": ["x"], "createdAt": "2026-01-01T00:00:00Z"}',
    "unknown-status": b'{"id": "task-001", "title": "x", "createdAt": "2026-01-01T00:00:00Z", "status": "won"}',
    "deep": b"[" * 100_000,
    "number": b"1" * 10_000,
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_task_that_is_no_task_is_reported(shop: Shop, content: bytes) -> None:
    """A record that can't be read is 78 for whoever needs it, and never a crash; nothing is written."""
    shop.task("Check passwords", "src/auth")
    shop.task("Count prices", "src/cart")
    tampered(shop, cell(shop, "task-001"), content)
    tip = shop.tip()
    for words in (("claim", "task-001"), ("task", "show", "task-001")):
        refused(shop.pw(*words, check=None), 78, "task-001")
    for words in (("task", "list"), ("status",), ("claim",), ("gc",)):
        answer = shop.pw(*words, check=None)
        if answer.exit:
            refused(answer, 78)
            assert shop.tip() == tip


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_meta_that_is_no_meta_is_reported(shop: Shop, content: bytes) -> None:
    """A ledger whose first record can't be read is 78 for every command, in clones that know it and in new ones."""
    tampered(shop, "meta", content)
    tip = shop.tip()
    for one in (shop, shop.another("new")):
        for words in (("claim",), ("task", "add", "X"), ("locks",), ("status",), ("init", "--no-hooks")):
            refused(one.pw(*words, check=None), 78)
    assert shop.tip() == tip


@pytest.mark.parametrize("mode", ["120000", "160000"])
def test_record_that_is_no_file_is_reported(shop: Shop, mode: str) -> None:
    """A link or a submodule in the place of a record is 78, and never followed."""
    shop.task("Check passwords", "src/auth")
    tampered(shop, cell(shop, "task-001"), b"/etc/passwd", mode)
    refused(shop.pw("task", "show", "task-001", check=None), 78)


def test_hostile_names_in_records_stay_data(shop: Shop) -> None:
    """A title full of control characters and a branch that leaves its place do no harm."""
    shop.task("Check passwords", "src/auth")
    task = record(shop, "task-001")
    task["title"] = "\x1b]0;owned\x07\u202eevil"
    task["metadata"]["branchName"] = "../../hooks/x"
    tampered(shop, cell(shop, "task-001"), json.dumps(task).encode())
    before = keepsakes(shop.work)
    claimed = shop.pw("claim", check=None)
    assert claimed.exit in {0, 1, 6, 78}, str(claimed)
    assert claimed.exit or re.fullmatch(r"feat/[a-z0-9-]+", claimed.data["branch"])
    assert keepsakes(shop.work) == before
    told = run(["git-pw", "task", "list"], shop.work, check=False)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202e]", told.out + told.err)


def test_newer_format_is_refused(shop: Shop) -> None:
    """A ledger of a newer major version is 78 for every command, with the hint to upgrade."""
    shop.task("Check passwords")
    meta = record(shop, "meta")
    meta["format"] = {"major": 99, "minor": 0}
    tampered(shop, "meta", json.dumps(meta).encode())
    for words in (("claim",), ("task", "list"), ("status",)):
        data = refused(shop.pw(*words, check=None), 78)
        assert "upgrade" in f"{data['message']} {data['hint']}"


def test_fields_of_a_newer_minor_format_are_kept(shop: Shop) -> None:
    """What this version doesn't know is still there after it has rewritten the record."""
    shop.task("Check passwords", "src/auth")
    meta, task = record(shop, "meta"), record(shop, "task-001")
    meta["format"]["minor"] = 99
    tampered(shop, "meta", json.dumps({**meta, "newIdea": [1]}).encode())
    tampered(shop, cell(shop, "task-001"), json.dumps({**task, "colour": "green"}).encode())
    shop.pw("claim", "task-001", "--no-worktree")
    assert record(shop, "task-001")["colour"] == "green"
    assert (record(shop, "meta")["newIdea"], record(shop, "meta")["format"]["minor"]) == ([1], 99)


@pytest.mark.parametrize("kind", ["blob", "tree", "tag", "branch"])
def test_ref_to_something_else_is_refused(shop: Shop, kind: str) -> None:
    """A ledger's ref that points to what is no ledger is 78, in clones that know the ledger and in new ones."""
    if kind == "tag":
        git("tag", "-a", "-m", "A tag", "v1", "main", cwd=shop.bare)
    things = {"blob": "main:README.md", "tree": "main^{tree}", "tag": "v1", "branch": "main"}
    shop.set_tip(git("rev-parse", things[kind], cwd=shop.bare))
    tip = shop.tip()
    for one in (shop, shop.another("new")):
        for words in (("claim",), ("status",), ("init", "--no-hooks")):
            refused(one.pw(*words, check=None), 78)
    assert shop.tip() == tip


# Remotes that don't play along


def fresh(herd: Herd, bare: Path, folder: Path, url: str = "") -> Shop:
    """A clone that has not begun."""
    return Shop(bare, clone(url or bare, folder), herd, url)


def works(shop: Shop) -> None:
    """The main job goes, up to a claim that another clone sees."""
    shop.task("Check passwords", "src/auth")
    shop.pw("claim")
    other = shop.another("other")
    refused(other.pw("claim", "task-001", worker="bob", check=None), 3, "alice")


OVER = pytest.mark.parametrize(
    "remote", ["path", pytest.param("http", marks=pytest.mark.server)], indirect=True
)


@OVER
@pytest.mark.parametrize("how", ["hidden", "hook"])
def test_namespace_that_is_refused_is_replaced(herd: Herd, remote: Remote, tmp_path: Path, how: str) -> None:
    """On a remote that allows branches and tags only the ledger is a branch, and all works."""
    if how == "hidden":
        git("config", "receive.hideRefs", "refs/pw", cwd=remote.bare)
        git("config", "uploadpack.hideRefs", "refs/pw", cwd=remote.bare)
    else:
        hook(remote.bare, "update", 'case $1 in refs/heads/*) ;; *) echo "branches only"; exit 1 ;; esac')
    shop = fresh(herd, remote.bare, tmp_path / "work", remote.url)
    shop.pw("init", "--no-hooks")
    works(shop)
    refs = git("for-each-ref", "--format=%(refname)", cwd=remote.bare).splitlines()
    assert "refs/heads/pw/locks/main" in refs
    assert "refs/pw/locks/main" not in refs


def hook(bare: Path, name: str, body: str) -> None:
    """Install a hook on the server."""
    file = bare / "hooks" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)


@OVER
def test_remote_that_refuses_everything_says_why(herd: Herd, remote: Remote, tmp_path: Path) -> None:
    """A hook that refuses every push is `failed` with the server's words, and nothing is left behind."""
    hook(remote.bare, "pre-receive", "echo closed for the holidays; exit 1")
    shop = fresh(herd, remote.bare, tmp_path / "work", remote.url)
    data = refused(shop.pw("init", check=None), 1)
    assert "closed for the holidays" in f"{data['message']} {data['hint']}"
    assert shop.tip() == ""
    refused(shop.pw("claim", check=None), 78, "no git-pw ledger")


@pytest.mark.server
@pytest.mark.parametrize(("kind", "key"), [("http", "http.receivepack"), ("git", "daemon.receivepack")])
def test_read_only_remote_can_be_read(
    herd: Herd, served: Served, tmp_path: Path, kind: str, key: str
) -> None:
    """Where pushes are forbidden a write is `failed` with the server's words, and everybody can still look."""
    name = served.new_name()
    bare = make_upstream(served.root / name)
    shop = fresh(herd, bare, tmp_path / "work", served.server(kind).url(name))
    shop.pw("init", "--no-hooks")
    shop.task("Check passwords", "src/auth")
    git("config", key, "false", cwd=bare)
    tip = shop.tip()
    for words in (("claim",), ("lock", "README.md"), ("task", "add", "X")):
        refused(shop.pw(*words, check=None), 1)
    assert shop.tip() == tip
    assert shop.open_operations() == []
    assert shop.pw("status").data["tasks"]["pending"] == 1
    assert shop.pw("claim", "--dry-run").data["task"]["id"] == "task-001"


@pytest.mark.parametrize(
    "where", ["nowhere.git", "http://127.0.0.1:9/shop.git", "git://127.0.0.1:9/shop.git"]
)
def test_remote_that_is_down_is_named(shop: Shop, where: str) -> None:
    """A remote that isn't there is 69 for writes, names the remote, and a look answers from what is known."""
    shop.task("Check passwords", "src/auth")
    git("remote", "set-url", "origin", where, cwd=shop.work)
    for words in (("claim",), ("task", "add", "X"), ("lock", "README.md")):
        data = refused(shop.pw(*words, check=None), 69, "origin")
        assert data["code"] == "offline"
    assert shop.open_operations() == []
    assert shop.pw("status").data["tasks"]["pending"] == 1
    assert shop.pw("task", "show", "task-001").data["task"]["title"] == "Check passwords"


def test_new_clone_of_a_remote_that_is_down(shop: Shop) -> None:
    """A clone that knows nothing yet can't say anything: 69 for looks as well."""
    other = shop.another("other")
    git("remote", "set-url", "origin", "nowhere.git", cwd=other.work)
    for words in (("status",), ("claim",), ("locks",), ("init",)):
        refused(other.pw(*words, check=None), 69, "origin")


def test_empty_remote_takes_a_ledger(herd: Herd, tmp_path: Path) -> None:
    """Before the first push there is nothing to begin a branch at: that is said, and everything else works."""
    bare = tmp_path / "up.git"
    run(["git", "init", "-q", "--bare", "--initial-branch=main", bare])
    shop = fresh(herd, bare, tmp_path / "work")
    shop.pw("init", "--no-hooks")
    shop.task("Check passwords", "src/auth")
    tip = shop.tip()
    data = refused(shop.pw("claim", check=None), 6, "no commit")
    assert "--no-worktree" in data["hint"]
    assert shop.tip() == tip
    shop.pw("claim", "--no-worktree")


def test_sha256_remote_is_refused(herd: Herd, tmp_path: Path) -> None:
    """A repository of the other kind is 78, not a riddle."""
    bare = tmp_path / "up.git"
    run(["git", "init", "-q", "--bare", "--object-format=sha256", bare])
    work = tmp_path / "work"
    run(["git", "init", "-q", work])
    git("remote", "add", "origin", bare, cwd=work)
    data = refused(Shop(bare, work, herd).pw("init", check=None), 78)
    assert "SHA-256" in f"{data['message']} {data['hint']}"


def test_sha256_repository_is_told(herd: Herd, tmp_path: Path) -> None:
    """A repository of the other kind on this side works or is refused with 78, and isn't touched then."""
    bare, work = tmp_path / "up.git", tmp_path / "work"
    run(["git", "init", "-q", "--bare", "--object-format=sha256", bare])
    run(["git", "clone", "-q", bare, work])
    answer = Shop(bare, work, herd).pw("init", check=None)
    refused(answer, 78)
    assert git("for-each-ref", cwd=bare) == ""


# Places where there is no, or hardly a, repository


def test_outside_of_a_repository(herd: Herd, tmp_path: Path) -> None:
    """Each command that needs a repository says 128, as git does."""
    shop = Shop(tmp_path, tmp_path, herd)
    for words in (("init",), ("claim",), ("status",), ("locks",), ("doctor",), ("config",), ("uninstall",)):
        assert refused(shop.pw(*words, check=None), 128)["code"] == "norepo"
    assert os.listdir(tmp_path) == []  # noqa: PTH208


def test_bare_repository(shop: Shop) -> None:
    """In a bare clone one can look, and claim without a worktree; a worktree is refused before anything is taken."""
    shop.task("Check passwords", "src/auth")
    bare = shop.work.parent / "mirror.git"
    run(["git", "clone", "-q", "--bare", shop.bare, bare])
    there = replace(shop, work=bare)
    assert there.pw("status").data["tasks"]["pending"] == 1
    tip = shop.tip()
    refused(there.pw("claim", check=None), 6, "bare")
    assert shop.tip() == tip
    assert there.pw("claim", "--no-worktree").data["task"]["id"] == "task-001"


def test_detached_head(shop: Shop) -> None:
    """A detached HEAD hinders nothing, and stays where it is."""
    shop.task("Check passwords", "src/auth")
    git("checkout", "-q", "--detach", "HEAD~1", cwd=shop.work)
    before = keepsakes(shop.work)
    claimed = shop.pw("claim").data
    assert Path(claimed["worktree"]).is_dir()
    shop.pw("lock", "README.md")
    shop.pw("complete", "task-001", check=None)
    assert keepsakes(shop.work) == before


def test_repository_without_a_commit_or_a_remote(herd: Herd, tmp_path: Path) -> None:
    """The ledger of a machine begins before the first commit; a worktree has to wait for it."""
    run(["git", "init", "-q", "--initial-branch=main", tmp_path / "work"])
    shop = Shop(tmp_path, tmp_path / "work", herd)
    shop.pw("init")
    shop.task("Check passwords", "src/auth")
    refused(shop.pw("claim", check=None), 6, "no commit")
    assert shop.pw("task", "show", "task-001").data["task"]["status"] == "pending"
    shop.pw("claim", "--no-worktree")


def test_nobody_has_told_git_a_name(shop: Shop) -> None:
    """Without user.name the account's name stands in, and nothing is asked for."""
    git("config", "--global", "--unset", "user.name", cwd=shop.work)
    git("config", "--global", "--unset", "user.email", cwd=shop.work)
    shop.task("Check passwords", "src/auth")
    claimed = shop.pw("claim", worker=None, env={"LOGNAME": "zoe", "GITPW_HOST": "desk"}).data
    assert claimed["lock"]["workerId"] == "zoe-desk"


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Two megabytes of disk at a folder; only root can have that."""
    folder.mkdir()
    mounted = run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=False)
    if mounted.exit != 0:
        pytest.skip(f"no small disk: {mounted.err.strip()}")
    try:
        yield
    finally:
        run(["umount", "-l", folder])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a small disk")
def test_disk_that_is_full(herd: Herd, tmp_path: Path) -> None:
    """A full disk is `failed` and says so; the ledger has all or nothing of it, and with room again the work goes on."""
    bare = make_upstream(tmp_path / "up.git")
    with small_disk(tmp_path / "small"):
        shop = fresh(herd, bare, tmp_path / "small/work")
        shop.pw("init", "--no-hooks")
        shop.task("Check passwords", "src/auth")
        ballast, tip = tmp_path / "small/ballast", shop.tip()
        run(["dd", "if=/dev/zero", f"of={ballast}", "bs=4096"], check=False)
        answer = shop.pw("claim", check=None)
        data = refused(answer, 1)
        assert "space" in f"{data['message']} {data['hint']}"
        assert shop.tip() == tip
        ballast.unlink()
        shop.pw("claim")
        assert len(shop.operations("claim")) == 1
