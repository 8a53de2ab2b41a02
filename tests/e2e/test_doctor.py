"""Each thing broken on purpose: the doctor names it, `--fix` mends it, and then there is nothing left to find."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gitpw.domain.checkup import AREAS
from tests.conftest import Served
from tests.faults.shop import LEDGER, Shop
from tests.race.runner import Herd, gathered
from tests.support.git import clone, git, make_upstream, run
from tests.support.servers import HttpServer, require

CODES = {code for codes in AREAS.values() for code in codes}

OLD = 3_600
"""Seconds for which what is left behind has been lying there."""


@pytest.fixture(scope="session")
def herd() -> Iterator[Herd]:
    """Starts git-pw processes without the wait for Python."""
    with gathered() as started:
        yield started


@pytest.fixture
def shop(herd: Herd, tmp_path: Path) -> Shop:
    """A clone that is well: set up, with its rules on the base branch."""
    bare = make_upstream(tmp_path / "up.git")
    opened = Shop(bare, clone(bare, tmp_path / "work"), herd)
    opened.pw("init")
    publish(opened)
    return opened


def publish(shop: Shop) -> None:
    """Bring .gitpw.toml to the base branch, whatever the hooks say."""
    off = ("-c", "core.hooksPath=/dev/null")
    git("add", ".gitpw.toml", cwd=shop.work)
    git(*off, "commit", "-qm", "Rules", cwd=shop.work)
    git(*off, "push", "-q", "origin", "HEAD:main", cwd=shop.work)


def look(
    shop: Shop, *words: str, cwd: Path | None = None, env: dict[str, str] | None = None
) -> list[dict[str, Any]]:
    """What the doctor finds that isn't well."""
    answer = shop.pw("doctor", *words, check=None, cwd=cwd, env=env)
    found: list[dict[str, Any]] = answer.data["findings"]
    errors = [one for one in found if one["level"] == "error" and not one["fixed"]]
    assert answer.exit == (1 if errors else 0), str(answer)
    assert all(set(one) == {"code", "level", "message", "hint", "fixed"} for one in found)
    assert {one["code"] for one in found} <= CODES - {"doctor"}, str(answer)
    return [one for one in found if one["level"] != "ok"]


def named(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Code and level of each finding."""
    return [(one["code"], one["level"]) for one in found]


def aged(path: Path, content: str = "") -> None:
    """Write a file as it has been lying there for an hour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    os.utime(path, (time.time() - OLD, time.time() - OLD))


# Breaking things


def unexecutable(shop: Shop) -> None:
    """Somebody has copied the repository without modes."""
    (shop.work / ".git/hooks/pre-commit").chmod(0o644)


def no_hook(shop: Shop) -> None:
    """A hook was deleted."""
    (shop.work / ".git/hooks/pre-push").unlink()


def other_hook(shop: Shop) -> None:
    """Another program has written its hook over ours."""
    file = shop.work / ".git/hooks/pre-commit"
    file.write_text("#!/bin/sh\nexit 0\n")


def old_hook(shop: Shop) -> None:
    """A shim of an earlier version, that knows nothing of the probe."""
    file = shop.work / ".git/hooks/post-merge"
    text = file.read_text().replace("version 1", "version 0")
    file.write_text("".join(line for line in text.splitlines(keepends=True) if "GITPW_PROBE" not in line))


def no_interpreter(shop: Shop) -> None:
    """The hook's shell isn't where it says."""
    file = shop.work / ".git/hooks/pre-commit"
    file.write_text(file.read_text().replace("#!/bin/sh", "#!/no/such/sh"))


def no_program(shop: Shop) -> None:
    """The virtual environment of git-pw was deleted."""
    program(shop, shop.work.parent / "gone/git-pw")


def broken_program(shop: Shop) -> None:
    """The virtual environment has lost its Python."""
    file = shop.work.parent / "broken-git-pw"
    file.write_text("#!/no/such/python\n")
    file.chmod(0o755)
    program(shop, file)


def old_program(shop: Shop) -> None:
    """The hooks start another version."""
    file = shop.work.parent / "old-git-pw"
    file.write_text('#!/bin/sh\necho \'{"ok": true, "version": "0.0.1"}\'\n')
    file.chmod(0o755)
    program(shop, file)


def program(shop: Shop, file: Path) -> None:
    """Have all shims name a program."""
    for shim in (shop.work / ".git/hooks").glob("p*-*"):
        if not shim.name.endswith(".sample"):
            lines = shim.read_text().splitlines()
            lines = [f"program='{file}'" if line.startswith("program=") else line for line in lines]
            shim.write_text("\n".join(lines) + "\n")


def no_ledger(shop: Shop) -> None:
    """Somebody has deleted the ledger's ref."""
    shop.set_tip("")


def no_exclude(shop: Shop) -> None:
    """The worktrees' folder turns up in `git status`."""
    (shop.work / ".git/info/exclude").unlink()


def no_worktree(shop: Shop) -> None:
    """A worktree's folder was deleted by hand."""
    shop.task("Check passwords", "src/auth")
    shutil.rmtree(shop.pw("claim").data["worktree"])


def old_worktree(shop: Shop) -> None:
    """A worktree is left of a task that was given back."""
    shop.task("Check passwords", "src/auth")
    shop.pw("claim")
    shop.pw("release", "task-001", "--keep-worktree")


def lock_files(shop: Shop) -> None:
    """A git that worked on the store was killed."""
    aged(shop.work / ".git/pw/store.git/shallow.lock")
    aged(shop.work / ".git/pw/store.git/packed-refs.lock")
    aged(shop.work / ".git/pw/store.git/refs/pw/remote/pw/main.lock")


def trash(shop: Shop) -> None:
    """What deletes worktrees in the background was killed."""
    aged(shop.work / ".git/pw/trash/task-009-1234/file")
    os.utime(shop.work / ".git/pw/trash/task-009-1234", (time.time() - OLD, time.time() - OLD))


def half_written(shop: Shop) -> None:
    """Files that were to be renamed."""
    aged(shop.work / ".git/pw/journal/abcd.new", "{")
    aged(shop.work / ".git/pw/rules.12345678.tmp")
    aged(shop.work / ".git/pw/trace-abc")
    aged(shop.work / ".gitpw.toml.12345678.tmp")


def no_store(shop: Shop) -> None:
    """The private repository is damaged."""
    (shop.work / ".git/pw/store.git/HEAD").write_bytes(b"\0" * 40)
    (shop.work / ".git/pw/store.git/config").write_text("[core\n")


def no_name(shop: Shop) -> None:
    """.gitpw.toml no longer says which ledger is meant."""
    (shop.work / ".gitpw.toml").write_text("# mine\n")
    publish(shop)


BROKEN: dict[Callable[[Shop], None], list[tuple[str, str]]] = {
    unexecutable: [("hooks", "error")],
    no_hook: [("hooks", "error")],
    other_hook: [("hooks", "error")],
    old_hook: [("hooks", "error")],
    no_interpreter: [("hooks", "error")],
    no_program: [("hooks-program", "warn")],
    broken_program: [("hooks-program", "error")],
    old_program: [("hooks-program", "warn")],
    no_ledger: [("ledger", "error")],
    no_exclude: [("ignored", "warn")],
    no_worktree: [("worktrees", "warn")],
    old_worktree: [("worktrees", "warn")],
    lock_files: [("leftovers", "warn")] * 3,
    trash: [("leftovers", "warn")],
    half_written: [("leftovers", "warn")] * 4,
    no_store: [("store", "error")],
}


@pytest.mark.parametrize("break_it", BROKEN, ids=lambda one: one.__name__)
def test_broken_named_and_mended(shop: Shop, break_it: Callable[[Shop], None]) -> None:
    """The doctor says what it is, mends it and says so, and finds nothing the second time."""
    assert look(shop) == []
    break_it(shop)
    found = look(shop)
    assert named(found) == BROKEN[break_it]
    assert all(one["hint"] and not one["fixed"] for one in found)
    fixed = look(shop, "--fix")
    assert fixed
    assert all(one["fixed"] for one in fixed), fixed
    assert look(shop, "--fix") == []
    assert look(shop) == []


def test_lost_name_of_the_ledger_is_written_again(shop: Shop) -> None:
    """That the file then has to be committed is the user's to do."""
    no_name(shop)
    assert named(look(shop)) == [("rules", "warn")]
    assert [one["fixed"] for one in look(shop, "--fix")] == [True]
    publish(shop)
    assert look(shop) == []


def test_rules_that_are_only_here(herd: Herd, tmp_path: Path) -> None:
    """Before .gitpw.toml is on the base branch, the doctor says so; that is no error."""
    bare = make_upstream(tmp_path / "up.git")
    shop = Shop(bare, clone(bare, tmp_path / "work"), herd)
    shop.pw("init")
    assert named(look(shop)) == [("rules-base", "warn")]
    publish(shop)
    assert look(shop) == []


def test_rules_that_cannot_be_read(shop: Shop) -> None:
    """Here or on the base branch; all else is looked at as well."""
    (shop.work / ".gitpw.toml").write_text("[policy]\nlokable = []\n")
    no_hook(shop)
    found = look(shop)
    assert named(found) == [("rules", "error"), ("hooks", "error")]
    assert found[0]["hint"] == "did you mean policy.lockable?"
    publish(shop)
    git("checkout", "-q", "HEAD~1", "--", ".gitpw.toml", cwd=shop.work)
    found = look(shop, "--fix")
    assert named(found) == [("rules", "error"), ("hooks", "error")]
    assert "main" in found[0]["message"]


def test_pattern_that_matches_nothing(shop: Shop) -> None:
    """As in .gitignore, it was meant for every folder; a pattern for files that may come is left alone."""
    with (shop.work / ".gitpw.toml").open("a") as file:
        file.write('[policy]\nlockable = ["*.tsx", "later/*.psd", "src/*/login.ts"]\n')
    publish(shop)
    shop.pw("doctor", "--fix", check=None)
    (found,) = look(shop)
    assert found["code"] == "rules-pattern"
    assert "'**/*.tsx'" in found["hint"]


def test_lockable_files_that_went_astray(shop: Shop) -> None:
    """Someone has made one writable by hand."""
    with (shop.work / ".gitpw.toml").open("a") as file:
        file.write('[policy]\nlockable = ["src"]\n')
    publish(shop)
    shop.pw("init")
    assert look(shop) == []
    (shop.work / "src/auth/login.ts").chmod(0o644)
    found = look(shop)
    assert named(found) == [("lockable", "warn")]
    assert "src/auth/login.ts" in found[0]["message"]
    assert [one["fixed"] for one in look(shop, "--fix")] == [True]
    assert look(shop) == []
    assert (shop.work / "src/auth/login.ts").stat().st_mode & 0o222 == 0


def test_another_git_pw_first_on_path(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package index has one of that name."""
    other = tmp_path / "bin/git-pw"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\necho git-pw 2.7.1\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", f"{other.parent}{os.pathsep}{os.environ['PATH']}")
    (found,) = look(shop)
    assert found["code"] == "path"
    assert str(other) in found["message"]


def test_work_in_a_left_worktree_stays(shop: Shop) -> None:
    """What isn't committed keeps the worktree, also from `--fix`; so does another worker's name."""
    old_worktree(shop)
    tree = shop.work / ".worktrees/task-001"
    (tree / "README.md").write_text("half done\n")
    (found,) = look(shop, "--fix")
    assert (found["code"], found["fixed"]) == ("worktrees", False)
    assert "uncommitted" in found["message"]
    assert (tree / "README.md").read_text() == "half done\n"
    git("checkout", "-q", "--", ".", cwd=tree)
    answer = shop.pw("doctor", "--fix", worker="bob")
    assert tree.exists()
    assert any("alice's" in one["message"] for one in answer.data["findings"])


def test_locked_worktree_that_is_gone(shop: Shop) -> None:
    """It may be on a disk that isn't there now: the doctor leaves it alone."""
    shop.task("Check passwords", "src/auth")
    tree = shop.pw("claim").data["worktree"]
    git("worktree", "lock", tree, cwd=shop.work)
    shutil.rmtree(tree)
    (found,) = look(shop, "--fix")
    assert "unlock" in found["hint"]
    git("worktree", "unlock", tree, cwd=shop.work)
    assert all(one["fixed"] for one in look(shop, "--fix"))
    assert look(shop) == []


def test_fresh_locks_are_somebodys(shop: Shop) -> None:
    """A lock file of a moment ago belongs to a git that is at work."""
    (shop.work / ".git/pw/store.git/packed-refs.lock").write_text("")
    assert look(shop) == []


def test_operation_that_nobody_knows_of(shop: Shop) -> None:
    """One whose answer was lost is named while it may still be applied, offline too, and is gone when it can't be."""
    operation = {**shop.operations()[-1], "id": "f" * 32}
    operation.pop("counter")
    entry = shop.work / ".git/pw/journal" / f"{'f' * 32}.json"
    entry.write_text(json.dumps({"operation": operation, "counter": 1}))
    assert named(look(shop)) == [("journal", "warn")]
    url = git("remote", "get-url", "origin", cwd=shop.work)
    git("remote", "set-url", "origin", shop.work.parent / "nowhere.git", cwd=shop.work)
    assert named(look(shop)) == [("remote", "error"), ("journal", "warn")]
    git("remote", "set-url", "origin", url, cwd=shop.work)
    shop.another("other").pw("task", "add", "Check passwords", worker="bob")
    assert look(shop) == []
    assert not entry.exists()


def test_claim_that_was_interrupted(shop: Shop) -> None:
    """The ledger has it, its worktree was never made: the doctor says how to finish it."""
    shop.task("Check passwords", "src/auth")
    shop.pw("claim")
    operation = shop.operations("claim")[0]
    counter = operation.pop("counter") - 1
    entry = shop.work / ".git/pw/journal" / f"{operation['id']}.json"
    entry.write_text(json.dumps({"operation": operation, "counter": counter}))
    (found,) = look(shop, "--fix")
    assert (found["code"], found["hint"]) == ("claims", "git pw claim")
    shop.pw("claim")
    assert look(shop) == []


# The hooks, fired


def traces(work: Path) -> dict[str, object]:
    """What a probe might leave behind: refs, reflogs, worktrees, files of ours."""
    folder = work / ".git"
    return {
        "refs": git("for-each-ref", cwd=work),
        "logs": {str(path): path.read_bytes() for path in (folder / "logs").rglob("*") if path.is_file()},
        "worktrees": git("worktree", "list", "--porcelain", cwd=work),
        "status": git("status", "--porcelain", "--ignored", cwd=work),
        "HEAD": (folder / "HEAD").read_text(),
        "config": (folder / "config").read_text(),
        "folders": sorted(path.name for path in folder.iterdir()),
        "ours": sorted(path.name for path in (folder / "pw").iterdir()),
    }


def test_probe_leaves_nothing_behind(shop: Shop) -> None:
    """No worktree, branch, reflog or file."""
    look(shop)
    before = traces(shop.work)
    look(shop)
    assert traces(shop.work) == before


@pytest.mark.parametrize("place", ["main", "worktree", "unborn", "detached", "subfolder", "odd name"])
def test_hooks_are_fired_wherever_one_is(herd: Herd, tmp_path: Path, place: str) -> None:
    """In each kind of checkout, without user.name, and with settings that would sign and ask."""
    work = tmp_path / ("a b'\"c\n" if place == "odd name" else "work")
    bare = make_upstream(tmp_path / "up.git")
    if place == "unborn":
        git("init", "-q", work, cwd=tmp_path)
    else:
        clone(bare, work)
    shop = Shop(bare, work, herd)
    shop.pw("init")
    git("config", "--global", "--unset", "user.name", cwd=work)
    git("config", "commit.gpgSign", "true", cwd=work)
    git("config", "push.gpgSign", "true", cwd=work)
    git("config", "advice.ignoredHook", "false", cwd=work)
    cwd = work
    if place == "worktree":
        cwd = tmp_path / "tree"
        git("worktree", "add", "-q", "--detach", cwd, cwd=work)
    elif place == "detached":
        git("checkout", "-q", "--detach", cwd=work)
    elif place == "subfolder":
        cwd = work / "src/auth"
    answer = shop.pw("doctor", cwd=cwd)
    (hooks,) = [one for one in answer.data["findings"] if one["code"] == "hooks"]
    assert hooks["message"].startswith("git runs the hooks pre-commit, ")
    (work / ".git/hooks/pre-push").chmod(0o644)
    assert ("hooks", "error") in named(look(shop, cwd=cwd))


def test_users_hooks_are_not_run(shop: Shop, tmp_path: Path) -> None:
    """Neither those that ours are chained to, nor others that git would run beside them."""
    shop.pw("uninstall")
    folder = shop.work / ".git/hooks"
    for name in (
        "pre-commit",
        "commit-msg",
        "post-commit",
        "pre-push",
        "reference-transaction",
        "post-checkout",
    ):
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\necho {name} >>{tmp_path / 'log'}\n")
        file.chmod(0o755)
    shop.pw("init")
    (tmp_path / "log").unlink(missing_ok=True)
    assert look(shop) == []
    assert not (tmp_path / "log").exists()
    (folder / "pre-commit").chmod(0o644)
    assert named(look(shop)) == [("hooks", "error")]
    assert not (tmp_path / "log").exists()


def test_hooks_path_that_git_uses_is_the_one_that_counts(shop: Shop) -> None:
    """Another folder without our hooks; and hooks that are switched off altogether."""
    git("config", "core.hooksPath", "/dev/null", cwd=shop.work)
    found = look(shop, "--fix")
    assert {one["code"] for one in found} == {"hooks"}
    assert not any(one["fixed"] for one in found)
    other = shop.work / ".git/other-hooks"
    git("config", "core.hooksPath", other, cwd=shop.work)
    assert {code for code, _ in named(look(shop))} == {"hooks"}
    assert all(one["fixed"] for one in look(shop, "--fix"))
    assert look(shop) == []


def test_killed_probe_is_swept_up(shop: Shop, tmp_path: Path) -> None:
    """Whenever the doctor is killed, the next one leaves a clean repository."""
    before = traces(shop.work)
    for number in range(1, 12):
        stopper = tmp_path / "bin/git"
        stopper.parent.mkdir(exist_ok=True)
        real = shutil.which("git")
        counter = tmp_path / "count"
        counter.write_text("")
        stopper.write_text(
            f'#!/bin/sh\ncase "$*" in *probe*|*hook\\ run*) echo x >>{counter}\n'
            f'[ "$(wc -l <{counter})" -ne {number} ] || {{ {real} "$@"; kill -9 $PPID; exit 1; }} ;; esac\n'
            f'exec {real} "$@"\n'
        )
        stopper.chmod(0o755)
        done = subprocess.run(
            ["git-pw", "doctor"],
            cwd=shop.work,
            env={**os.environ, "PATH": f"{stopper.parent}{os.pathsep}{os.environ['PATH']}"},
            capture_output=True,
            timeout=60,
            check=False,
        )
        if done.returncode != -signal.SIGKILL:
            assert number > 2
            break
    else:
        raise AssertionError("the probe called git without end")
    assert look(shop) == []
    assert {**traces(shop.work), "status": ""} == {**before, "status": ""}


@contextmanager
def noexec(folder: Path) -> Iterator[None]:
    """A file system at a folder on which nothing may be executed; only root can have that."""
    mounted = run(["mount", "-t", "tmpfs", "-o", "noexec,size=1m", "tmpfs", folder], check=False)
    if mounted.exit != 0:
        pytest.skip(f"no such disk: {mounted.err.strip()}")
    try:
        yield
    finally:
        run(["umount", "-l", folder])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_hooks_on_a_disk_without_execution(shop: Shop) -> None:
    """The doctor doesn't say that it mended what it couldn't."""
    with noexec(shop.work / ".git/hooks"):
        found = look(shop, "--fix")
        assert {one["code"] for one in found if not one["fixed"]} == {"hooks"}
        assert any("exec" in one["message"] for one in found)


# The remote


@contextmanager
def silence() -> Iterator[int]:
    """A port on loopback that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("scheme", ["git", "http"])
def test_remote_that_hangs(shop: Shop, scheme: str) -> None:
    """It takes ten seconds at most, and hides nothing else."""
    no_hook(shop)
    with silence() as port:
        git("remote", "set-url", "origin", f"{scheme}://127.0.0.1:{port}/up.git", cwd=shop.work)
        began = time.monotonic()
        found = look(shop)
        took = time.monotonic() - began
    assert named(found) == [("remote", "error"), ("hooks", "error")]
    assert "doesn't answer" in found[0]["message"]
    assert took < 15, "ten seconds for the remote, and some for the rest on a busy machine"


def test_remote_that_is_gone(shop: Shop) -> None:
    """Offline, the rest is looked at and mended all the same."""
    git("remote", "set-url", "origin", shop.work.parent / "nowhere.git", cwd=shop.work)
    unexecutable(shop)
    lock_files(shop)
    assert named(look(shop)) == [("remote", "error"), ("hooks", "error"), *[("leftovers", "warn")] * 3]
    fixed = look(shop, "--fix")
    assert [one["fixed"] for one in fixed] == [False, True, True, True, True]
    assert named(look(shop)) == [("remote", "error")]


@pytest.mark.server
def test_remote_that_lets_one_read_only(herd: Herd, served: Served, tmp_path: Path) -> None:
    """The doctor says that there is no right to push, and asks for no password."""
    name = served.new_name()
    bare = make_upstream(served.root / name)
    server = served.server("http")
    url = server.url(name)
    shop = Shop(bare, clone(url, tmp_path / "work"), herd, url)
    shop.pw("init")
    publish(shop)
    assert look(shop) == []
    git("config", "http.receivepack", "false", cwd=bare)
    found = look(shop)
    assert named(found) == [("push", "error")]
    assert "rights" in found[0]["hint"]


@pytest.mark.server
def test_remote_that_wants_a_password(herd: Herd, tmp_path: Path) -> None:
    """Without one the doctor says so, and asks nobody for it."""
    require(HttpServer)
    bare = make_upstream(tmp_path / "served/shop.git")
    with HttpServer(tmp_path / "served", user="ada", password="secret") as server:
        url, asked = server.url("shop.git"), tmp_path / "asked"
        login = "!f() { echo username=ada; echo password=secret; }; f"
        run(["git", "-c", f"credential.helper={login}", "clone", "-q", url, tmp_path / "work"])
        git("config", "credential.helper", login, cwd=tmp_path / "work")
        shop = Shop(bare, tmp_path / "work", herd, url)
        shop.pw("init")
        publish(shop)
        assert look(shop) == []
        git("config", "--unset", "credential.helper", cwd=shop.work)
        window = tmp_path / "window"
        window.write_text(f"#!/bin/sh\ntouch {asked}\necho wrong\n")
        window.chmod(0o755)
        (found,) = look(shop, env={"SSH_ASKPASS": str(window), "DISPLAY": ":0"})
    assert (found["code"], found["level"]) == ("credentials", "error")
    assert "secret" not in str(found)
    assert not asked.exists()


def test_ledger_that_is_hidden_from_pushes(shop: Shop) -> None:
    """An administrator has taken the namespace away."""
    git("config", "receive.hideRefs", "refs/pw", cwd=shop.bare)
    (found,) = look(shop)
    assert (found["code"], found["level"]) == ("push", "error")


def test_ledger_in_two_places(shop: Shop) -> None:
    """The branch that stands in for the ref is there as well."""
    git("update-ref", "refs/heads/pw/locks/main", shop.tip(), cwd=shop.bare)
    (found,) = look(shop)
    assert (found["code"], found["level"]) == ("namespace", "warn")


def test_other_remotes_are_no_ledger(herd: Herd, tmp_path: Path) -> None:
    """A ledger on this machine alone, though there is a remote, is told."""
    work = tmp_path / "work"
    git("init", "-q", work, cwd=tmp_path)
    shop = Shop(make_upstream(tmp_path / "up.git"), work, herd)
    shop.pw("init")
    assert ("remote", "warn") not in named(look(shop))
    git("remote", "add", "origin", shop.bare, cwd=work)
    assert ("remote", "warn") in named(look(shop))


# Where there is hardly a repository


def test_before_init(herd: Herd, tmp_path: Path) -> None:
    """One thing to say: there is no ledger; no hook is missed, and none put in place."""
    bare = make_upstream(tmp_path / "up.git")
    shop = Shop(bare, clone(bare, tmp_path / "work"), herd)
    assert named(look(shop, "--fix")) == [("ledger", "error")]
    assert not (shop.work / ".git/hooks/pre-commit").exists()
    assert git("for-each-ref", LEDGER, cwd=bare) == ""


def test_fresh_clone(shop: Shop) -> None:
    """A clone that has never said `init` joins by `--fix`."""
    other = shop.another("other")
    assert {code for code, _ in named(look(other))} == {"hooks", "ignored"}
    assert all(one["fixed"] for one in look(other, "--fix"))
    assert look(other) == []


def test_bare_repository(shop: Shop) -> None:
    """There are no files and no hooks to look after."""
    mirror = shop.work.parent / "mirror.git"
    run(["git", "clone", "-q", "--bare", shop.bare, mirror])
    there = replace(shop, work=mirror)
    assert look(there, "--fix") == []
    assert not [path for path in (mirror / "hooks").iterdir() if not path.name.endswith(".sample")]


def test_outside_of_a_repository(herd: Herd, tmp_path: Path) -> None:
    """128, as git says."""
    assert Shop(tmp_path, tmp_path, herd).pw("doctor", "--fix", check=128).data["code"] == "norepo"


def test_people_read_it_by_subject(shop: Shop) -> None:
    """Headings, what is well in one line, and under each finding what to do; without colours or signs in a pipe."""
    unexecutable(shop)
    lock_files(shop)
    done = run(["git", "pw", "doctor"], shop.work, check=False)
    assert (done.exit, done.out) == (1, "")
    lines = done.err.splitlines()
    assert [line for line in lines if " " not in line] == [
        "machine",
        "rules",
        "remote",
        "ledger",
        "hooks",
        "leftovers",
    ]
    at = lines.index("hooks")
    assert lines[at + 1].startswith("error  the pre-commit hook in ")
    assert lines[at + 2] == "       hint: git pw doctor --fix"
    assert lines[-1] == "hint: 'git pw doctor --fix' repairs what can be repaired"
    assert done.err.isascii()
    fixed = run(["git", "pw", "doctor", "--fix", "-q"], shop.work)
    assert fixed.out.startswith("hooks\nfixed  the pre-commit hook in ")
