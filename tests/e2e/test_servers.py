"""The servers and the proxy do what the other tests rely on, shown with git itself."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.git import clone, git, make_upstream, run
from tests.support.proxy import Proxy
from tests.support.servers import GitDaemon, HttpServer, HttpsServer, Server, SshServer, require

if TYPE_CHECKING:
    from tests.conftest import Remote, Sealed

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.server

KINDS = pytest.mark.parametrize("kind", [HttpServer, HttpsServer, GitDaemon, SshServer])
PLAIN = pytest.mark.parametrize("kind", [HttpServer, GitDaemon])


def commit(work: Path) -> str:
    """Commit a new line in the README, and give the commit's name."""
    with (work / "README.md").open("a") as file:
        file.write("One more line.\n")
    git("commit", "-qam", "README: one more line", cwd=work)
    return git("rev-parse", "HEAD", cwd=work)


def push(work: Path, server: Server | Proxy) -> int:
    """Push, and give git's exit status."""
    return run(["git", "push", "-q", "origin", "HEAD"], work, server.env(), check=False).exit


def tip(bare: Path) -> str:
    """The tip of main."""
    return git("rev-parse", "refs/heads/main", cwd=bare)


@KINDS
def test_server_takes_clone_and_push(kind: type[Server], tmp_path: Path) -> None:
    """A clone has the upstream's files, and a push arrives."""
    require(kind)
    bare = make_upstream(tmp_path / "served/shop.git")
    with kind(tmp_path / "served") as server:
        work = clone(server.url("shop.git"), tmp_path / "work", server.env())
        head = commit(work)
        assert push(work, server) == 0, server.log()
    assert (work / "src/app/[id]/page.tsx").exists()
    assert tip(bare) == head


def test_remote_is_reached_over_its_transport(remote: Remote, tmp_path: Path) -> None:
    """The fixture's environment is in force: a plain clone and push work over each transport."""
    work = clone(remote.url, tmp_path / "work")
    head = commit(work)
    git("push", "-q", "origin", "HEAD", cwd=work)
    assert tip(remote.bare) == head


@pytest.mark.parametrize("remote", ["http", "git", "ssh"], indirect=True)
def test_libgit2_pushes_as_git_does(remote: Remote, tmp_path: Path, sealed: Sealed) -> None:
    """Libgit2 reaches the same servers: over ssh with the key and the known hosts of the test's home."""
    import pygit2

    work = clone(remote.url, tmp_path / "work")
    head = commit(work)
    me, folder = pwd.getpwuid(os.getuid()).pw_name, sealed.home / ".ssh"
    keys = pygit2.Keypair(me, folder / "id_ed25519.pub", folder / "id_ed25519", "")
    callbacks = pygit2.RemoteCallbacks(credentials=keys)
    pygit2.Repository(work).remotes["origin"].push(["refs/heads/main"], callbacks=callbacks)
    assert tip(remote.bare) == head


def test_http_counts_requests(tmp_path: Path) -> None:
    """Each request that was answered is counted, by repository, and asking doesn't count."""
    require(HttpServer)
    make_upstream(tmp_path / "served/shop.git")
    make_upstream(tmp_path / "served/other.git")
    with HttpServer(tmp_path / "served") as server:
        assert server.requests() == []
        run(["git", "ls-remote", "-q", server.url("other.git")])
        work = clone(server.url("shop.git"), tmp_path / "work")
        commit(work)
        before = len(server.requests("shop.git"))
        assert push(work, server) == 0
        assert server.requests("shop.git")[before:] == [
            ("GET", "/shop.git/info/refs?service=git-receive-pack"),
            ("POST", "/shop.git/git-receive-pack"),
        ]


@pytest.mark.parametrize("kind", [HttpServer, HttpsServer])
def test_http_asks_for_a_password(kind: type[HttpServer], tmp_path: Path) -> None:
    """Without the credentials that env() gives, a server with basic auth refuses."""
    require(kind)
    bare = make_upstream(tmp_path / "served/shop.git")
    with kind(tmp_path / "served", user="alice", password="s3cret @:/") as server:
        denied = run(["git", "ls-remote", server.url("shop.git")], check=False)
        work = clone(server.url("shop.git"), tmp_path / "work", server.env())
        head = commit(work)
        assert push(work, server) == 0
    assert denied.exit != 0
    assert tip(bare) == head


def test_https_is_refused_without_its_authority(tmp_path: Path) -> None:
    """A client that doesn't trust the CA gets nothing."""
    require(HttpsServer)
    make_upstream(tmp_path / "served/shop.git")
    with HttpsServer(tmp_path / "served") as server:
        assert "certificate" in run(["git", "ls-remote", server.url("shop.git")], check=False).err


def test_ssh_checks_the_host_key(tmp_path: Path) -> None:
    """A server whose key isn't the known one is refused."""
    require(SshServer)
    make_upstream(tmp_path / "served/shop.git")
    with SshServer(tmp_path / "served") as server:
        known = server.folder / "known_hosts"
        kind, mine, *_ = (server.folder / "id_ed25519.pub").read_text().split()
        known.write_text(f"[127.0.0.1]:{server.port} {kind} {mine}\n")
        refused = run(["git", "ls-remote", server.url("shop.git")], env=server.env(), check=False)
        assert "Host key verification failed" in refused.err


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that ended but isn't waited for doesn't."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the latter when it ends while it is read
        return False


def await_end(pid: int) -> None:
    """Wait until a process has ended."""
    deadline = time.monotonic() + 10
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(pid)


@KINDS
def test_server_ends_with_its_block(kind: type[Server], tmp_path: Path) -> None:
    """A test that fails leaves no server behind."""
    require(kind)
    server = kind(tmp_path)
    with pytest.raises(ZeroDivisionError), server:
        raise ZeroDivisionError
    assert not is_alive(server.pid)
    assert not server.folder.exists()


@KINDS
def test_server_ends_with_its_parent(kind: type[Server], tmp_path: Path) -> None:
    """A test run that is killed leaves no server behind."""
    require(kind)
    script = f"""
import pathlib, sys, tests.support.servers as servers
with servers.{kind.__name__}(pathlib.Path({str(tmp_path)!r})) as server:
    print(server.pid, flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        assert is_alive(pid)
        parent.kill()
    await_end(pid)


def test_server_ends_when_its_time_is_over(tmp_path: Path) -> None:
    """No server outlives its limit."""
    require(GitDaemon)
    with GitDaemon(tmp_path, limit=2) as server:
        await_end(server.pid)


@KINDS
def test_latency_is_paid_for_every_round_trip(kind: type[Server], tmp_path: Path) -> None:
    """The same question takes longer by whole round trips: the handshake and the request at least."""
    require(kind)
    make_upstream(tmp_path / "served/shop.git")
    with kind(tmp_path / "served") as server, Proxy(server, round_trip_ms=300) as proxy:
        started = time.monotonic()
        run(["git", "ls-remote", server.url("shop.git")], env=server.env())
        direct = time.monotonic() - started
        run(["git", "ls-remote", proxy.url("shop.git")], env=proxy.env())
        assert time.monotonic() - started - 2 * direct > 0.55


@PLAIN
@pytest.mark.fault
def test_push_cut_before_the_server_got_it(kind: type[Server], tmp_path: Path) -> None:
    """The client fails, the server has nothing, and the next push goes through."""
    require(kind)
    bare = make_upstream(tmp_path / "served/shop.git")
    with kind(tmp_path / "served") as server, Proxy(server) as proxy:
        work = clone(proxy.url("shop.git"), tmp_path / "work")
        before, head = tip(bare), commit(work)
        proxy.cut_before()
        assert push(work, proxy) != 0
        assert (tip(bare), proxy.cuts, proxy.pushes) == (before, 1, 1)
        assert push(work, proxy) == 0
        assert (tip(bare), proxy.cuts, proxy.pushes) == (head, 1, 2)


@PLAIN
@pytest.mark.fault
def test_answer_dropped_after_the_server_applied_the_push(kind: type[Server], tmp_path: Path) -> None:
    """The client fails although the server has the commit, and has run its hooks to their end."""
    require(kind)
    bare = make_upstream(tmp_path / "served/shop.git")
    hook = bare / "hooks/post-receive"
    hook.write_text("#!/bin/sh\nsleep 0.3; touch ran\n")
    hook.chmod(0o755)
    with kind(tmp_path / "served") as server, Proxy(server) as proxy:
        work = clone(proxy.url("shop.git"), tmp_path / "work")
        head = commit(work)
        proxy.drop_answer()
        assert push(work, proxy) != 0
        assert (tip(bare), proxy.cuts, proxy.pushes) == (head, 1, 1)
        assert (bare / "ran").exists()


@PLAIN
@pytest.mark.fault
@pytest.mark.parametrize("after", [False, True])
def test_libgit2_sees_a_cut_push_fail(kind: type[Server], after: bool, tmp_path: Path) -> None:
    """Libgit2 doesn't push again by itself: one push, one cut, one error."""
    import pygit2

    require(kind)
    bare = make_upstream(tmp_path / "served/shop.git")
    with kind(tmp_path / "served") as server, Proxy(server) as proxy:
        work = clone(proxy.url("shop.git"), tmp_path / "work")
        before, head = tip(bare), commit(work)
        (proxy.drop_answer if after else proxy.cut_before)()
        with pytest.raises(pygit2.GitError):
            pygit2.Repository(work).remotes["origin"].push(["refs/heads/main"])
        assert (tip(bare), proxy.cuts, proxy.pushes) == (head if after else before, 1, 1)


@PLAIN
@pytest.mark.fault
def test_fault_hits_the_nth_push_only(kind: type[Server], tmp_path: Path) -> None:
    """Pushes are counted from when the fault was armed; those before and after it pass."""
    require(kind)
    make_upstream(tmp_path / "served/shop.git")
    with kind(tmp_path / "served") as server, Proxy(server) as proxy:
        work = clone(proxy.url("shop.git"), tmp_path / "work")
        answers = []
        for round_ in range(6):
            if round_ == 1:
                proxy.cut_before(nth=2, times=2)
            commit(work)
            answers.append(push(work, proxy) == 0)
        assert answers == [True, True, False, False, True, True]


@KINDS
@pytest.mark.fault
def test_proxy_refuses_and_heals(kind: type[Server], tmp_path: Path) -> None:
    """A server that is down gives an error at once, and works again when it is up."""
    require(kind)
    make_upstream(tmp_path / "served/shop.git")
    with kind(tmp_path / "served") as server, Proxy(server) as proxy:
        ask = ["git", "ls-remote", proxy.url("shop.git")]
        proxy.refuse()
        assert run(ask, env=proxy.env(), check=False, timeout=10).exit != 0
        proxy.heal()
        assert run(ask, env=proxy.env()).exit == 0


@pytest.mark.fault
def test_proxy_hangs(tmp_path: Path) -> None:
    """A server that is stuck takes the connection and never answers."""
    require(HttpServer)
    make_upstream(tmp_path / "served/shop.git")
    with HttpServer(tmp_path / "served") as server, Proxy(server) as proxy:
        proxy.hang()
        with pytest.raises(subprocess.TimeoutExpired):
            run(["git", "ls-remote", proxy.url("shop.git")], timeout=1)


@pytest.mark.parametrize("missing", [None, "lighttpd is missing"])
@pytest.mark.parametrize("ci", ["true", None])
def test_missing_server_skips_here_and_fails_in_ci(
    missing: str | None, ci: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine without the program may skip; CI may not."""
    monkeypatch.setattr(HttpServer, "available", lambda: missing)
    if ci:
        monkeypatch.setenv("CI", ci)
    else:
        monkeypatch.delenv("CI", raising=False)
    outcome = pytest.fail.Exception if ci else pytest.skip.Exception
    if missing is None:
        require(HttpServer)
    else:
        with pytest.raises(outcome, match=missing):
            require(HttpServer)
