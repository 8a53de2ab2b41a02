"""The remote as it really answers: cut connections, refusals in git's own words, branches that move along."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gitpw.adapters.process import run
from gitpw.domain.operation import Begin, Done
from gitpw.errors import ConfigError, FailedError, OfflineError, PwError, UnknownError
from gitpw.ledger.remote import RemoteStore
from gitpw.ledger.store import Move, Swap
from gitpw.ledger.transport import Finished, store_environment
from tests.ledger.clients import LEDGER, Arena, Client, Place, author, new_task
from tests.ledger.conftest import marked
from tests.support.git import clone, git
from tests.support.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

REF = "refs/pw/locks/main"
FALLBACK = "refs/heads/pw/locks/main"

plain = pytest.mark.parametrize("arena", marked(("path",)), indirect=True)
proxied = pytest.mark.parametrize("arena", marked(("http", "git")), indirect=True)
several = pytest.mark.parametrize("arena", marked(("path", "http")), indirect=True)


@pytest.fixture
def proxy(arena: Arena) -> Iterator[Proxy]:
    """A proxy in front of the arena's server."""
    assert arena.remote is not None
    assert arena.remote.server is not None
    with Proxy(arena.remote.server) as proxy:
        yield proxy


def name(arena: Arena) -> str:
    """The remote's path below its server."""
    assert arena.remote is not None
    assert arena.remote.server is not None
    return str(arena.remote.bare.relative_to(arena.remote.server.root))


def behind(arena: Arena, proxy: Proxy) -> Client:
    """A client that reaches the remote through the proxy."""
    place = arena.place()
    return Place(place.folder, proxy.url(name(arena))).client()


def bare(arena: Arena) -> Path:
    """The remote itself."""
    assert arena.remote is not None
    return arena.remote.bare


def subjects(arena: Arena) -> list[str]:
    """The titles of all tasks, as a further clone sees them."""
    return arena.client().titles()


@pytest.mark.fault
@proxied
def test_answer_dropped(arena: Arena, proxy: Proxy) -> None:
    """The server has applied the push and its answer never comes: applied once, answered right."""
    client = behind(arena, proxy)
    client.done(Begin(ledger=LEDGER))
    proxy.drop_answer()
    assert client.done(new_task("mine")).tasks == ("task-001",)
    assert proxy.cuts == 1
    assert subjects(arena) == ["mine"]
    assert client.ledger.board().counter == 2
    assert client.open() == []


@pytest.mark.fault
@proxied
def test_cut_before(arena: Arena, proxy: Proxy) -> None:
    """The push never reaches the server, and the client can't tell: tried again, applied once."""
    client = behind(arena, proxy)
    client.done(Begin(ledger=LEDGER))
    proxy.cut_before(times=2)
    with suppress(OfflineError):  # git:// may notice before it sends
        client.done(new_task("mine"))
    if proxy.cuts < 2 or not client.titles():
        assert arena.kind == "git"
        assert (client.titles(), client.open()) == ([], [])
        proxy.heal()
        client.done(new_task("mine"))
    assert subjects(arena) == ["mine"]
    assert client.open() == []


@pytest.mark.fault
@proxied
@pytest.mark.parametrize("applied", [True, False])
def test_cut_and_then_down(
    arena: Arena, proxy: Proxy, applied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is cut in the middle and then the server is down: unknown, or known not to have been applied."""
    client = behind(arena, proxy)
    client.done(Begin(ledger=LEDGER))
    push = client.store.swap

    def swap_then_down(*args: object) -> Swap:
        swap = push(*args)  # type: ignore[arg-type]
        proxy.refuse()
        return swap

    monkeypatch.setattr(client.store, "swap", swap_then_down)
    (proxy.drop_answer if applied else proxy.cut_before)()
    with pytest.raises((UnknownError, OfflineError)) as caught:
        client.ask(new_task("mine"))
    proxy.heal()
    settled = client.ledger.settle()
    assert [isinstance(one.outcome, Done) for one in settled] == [applied] * (caught.type is UnknownError)
    assert caught.type is UnknownError or not applied, "offline means that nothing was changed"
    assert subjects(arena) == (["mine"] if applied else [])


@pytest.mark.fault
@proxied
def test_down(arena: Arena, proxy: Proxy) -> None:
    """A server that is down has got nothing: offline, nothing was changed, and reads go on from what is known."""
    client = behind(arena, proxy)
    client.done(Begin(ledger=LEDGER))
    proxy.refuse()
    with pytest.raises(OfflineError):
        client.ask(new_task("mine"))
    board, _, error = client.ledger.freshest()
    assert board.counter == 1
    assert error is not None
    proxy.heal()
    assert client.open() == []
    assert subjects(arena) == []


@pytest.mark.fault
@proxied
def test_silent(arena: Arena, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes connections and never answers is given up: offline, for nothing was sent."""
    client = behind(arena, proxy)
    client.done(Begin(ledger=LEDGER))
    proxy.hang()
    monkeypatch.setattr("gitpw.ledger.remote.PUSH_TIMEOUT", 0.5)
    with pytest.raises(OfflineError, match="doesn't answer"):
        client.ask(new_task("mine"))
    assert client.ledger.freshest(0.5)[2] is not None
    assert client.open() == []
    proxy.heal()
    assert client.done(new_task("mine")).tasks == ("task-001",)


@plain
def test_only_the_ledgers_refs_are_fetched(arena: Arena) -> None:
    """A client of the ledger has nothing of the project in its store, and leaves nothing else on the remote."""
    before = git("for-each-ref", "--format=%(refname)", cwd=bare(arena)).splitlines()
    client = arena.begun()
    client.ledger.fresh()
    there = git("for-each-ref", "--format=%(refname)", cwd=bare(arena)).splitlines()
    assert sorted(there) == sorted([*before, REF])
    here = git("for-each-ref", "--format=%(refname)", cwd=client.store.path)  # type: ignore[attr-defined]
    assert sorted(here.splitlines()) == ["refs/pw/remote/pw/main", "refs/pw/tip"]


@plain
def test_tidying_takes_away_what_was_killed(arena: Arena) -> None:
    """Files that commands keep while they are at work go when nobody can be at work with them, and no others."""
    client = arena.begun()
    folder = client.store.folder  # type: ignore[attr-defined]
    (folder / "merge").mkdir()
    old = [folder / name for name in ("trace-a", "shallow-b", "place.c.tmp", "journal/d.new", "merge/e.tmp")]
    for path in old:
        path.write_text("")
        os.utime(path, (0, 0))
    (folder / "trace-now").write_text("")
    os.utime(folder / "asked", (0, 0))
    client.store.tidy()
    assert [path for path in old if path.exists()] == []
    assert (folder / "trace-now").exists()
    assert (folder / "asked").exists()


@plain
def test_fallback_branch(arena: Arena) -> None:
    """On a host that refuses our namespace the ledger is a branch, which whoever comes later finds by itself."""
    client = arena.client()
    store = client.store
    assert isinstance(store, RemoteStore)
    store.fall_back()
    client.done(Begin(ledger=LEDGER))
    other = arena.client(worker="bob")
    other.done(new_task("one"))
    assert client.titles() == ["one"]
    refs = git("for-each-ref", "--format=%(refname)", cwd=bare(arena)).splitlines()
    assert FALLBACK in refs
    assert REF not in refs


@plain
def test_purge(arena: Arena) -> None:
    """The ledger's ref is deleted only as it is known here."""
    client, rival = arena.begun(), arena.client(worker="bob")
    rival.done(new_task("one"))
    store = client.store
    assert isinstance(store, RemoteStore)
    assert store.purge() == [f"{REF} on {arena.remote.url}"]  # type: ignore[union-attr]
    assert store.purge() == []


# what git says


class Says:
    """A `git` that says the same to everything, and was asked what it was asked."""

    def __init__(
        self, status: int, out: str = "", err: str = "", *, sent: bool = False, late: bool = False
    ) -> None:
        self.finished = Finished(status, out.encode(), err.encode(), late)
        self.sent = sent
        self.asked: list[list[str]] = []

    def __call__(self, args: list[str], *, env: dict[str, str | None], **_: object) -> Finished:
        """Answer."""
        self.asked.append(args)
        if self.sent and env.get("GIT_TRACE2_EVENT"):
            Path(str(env["GIT_TRACE2_EVENT"])).write_text('{"argv":["git","pack-objects"]}')
        return self.finished


def swapped(tmp_path: Path, says: Says) -> Swap:
    """How a push ends of which git says that."""
    (tmp_path / "pw").mkdir()
    store = RemoteStore(str(tmp_path / "pw"), says, "origin", str(tmp_path), list)  # type: ignore[arg-type]
    return store.swap("1" * 40, "2" * 40)


def verdict(words: str, *, of: str = "remote rejected", ref: str = REF) -> str:
    """One line of `git push --porcelain`."""
    return f"To somewhere\n!\t{'2' * 40}:{ref}\t[{of}] ({words})\nDone\n"


@pytest.mark.parametrize(
    ("says", "swap"),
    [
        (Says(1, verdict("stale info", of="rejected")), Swap.BEATEN),
        (Says(1, verdict("failed to update ref"), sent=True), Swap.RACED),
        (Says(1, verdict("cannot lock ref 'refs/pw/locks/main': is at x"), sent=True), Swap.RACED),
        (Says(1, verdict("incorrect old value provided"), sent=True), Swap.RACED),
        (Says(1, verdict("reference already exists"), sent=True), Swap.RACED),
        (Says(1, verdict("remote failed to report status", of="remote failure"), sent=True), Swap.LOST),
        (Says(1, verdict("expecting report"), sent=True), Swap.LOST),
        (Says(128, "", "fatal: the remote end hung up unexpectedly", sent=True), Swap.LOST),
        (Says(-15, "", "", sent=True, late=True), Swap.LOST),
        (Says(1, "Done\n", "error: RPC failed; HTTP 502", sent=True), Swap.LOST),
    ],
)
def test_how_a_push_ends(tmp_path: Path, says: Says, swap: Swap) -> None:
    """Beaten, raced or lost: each of git's ways to say so is known for what it means."""
    assert swapped(tmp_path, says) is swap


@pytest.mark.parametrize(
    ("says", "error", "words"),
    [
        (
            Says(1, verdict("pre-receive hook declined"), "remote: no\n", sent=True),
            FailedError,
            "hook declined",
        ),
        (Says(1, verdict("deny updating a hidden ref"), sent=True), FailedError, "hidden"),
        (Says(1, verdict("unpacker error"), sent=True), FailedError, "unpacker"),
        (
            Says(128, "", "fatal: unable to access 'http://me:secret@h/': 502"),
            OfflineError,
            "can't be reached",
        ),
        (
            Says(128, "", "fatal: '/x' does not appear to be a git repository"),
            OfflineError,
            "can't be reached",
        ),
        (Says(128, "", "fatal: Authentication failed for 'https://h/'"), FailedError, "Authentication"),
        (Says(128, "", "fatal: could not read Username for 'https://h'"), FailedError, "Username"),
        (Says(128, "", "remote: Permission denied to x.\nfatal: 403"), FailedError, "denied"),
        (Says(128, "", "Host key verification failed.\nfatal: Could not read"), FailedError, "refuses"),
        (Says(128, "", "fatal: mismatched algorithms: client sha1; server sha256"), ConfigError, "SHA-256"),
        (Says(-15, "", "", late=True), OfflineError, "doesn't answer"),
        (Says(128, "", ""), OfflineError, "no reason"),
    ],
)
def test_why_a_push_fails(tmp_path: Path, says: Says, error: type[Exception], words: str) -> None:
    """Refused or out of reach: git's own words are passed on, without control characters or passwords."""
    with pytest.raises(error, match=words) as caught:
        swapped(tmp_path, says)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("says", [Says(128, "", "fatal: down"), Says(1, verdict("hook declined"), sent=True)])
def test_password_in_a_url(tmp_path: Path, says: Says) -> None:
    """A password that stands in the remote's URL is never shown."""
    (tmp_path / "pw").mkdir()
    store = RemoteStore(str(tmp_path / "pw"), says, "https://me:secret@host/x", str(tmp_path), list)  # type: ignore[arg-type]
    for ask in (lambda: store.swap(None, "2" * 40), store.fetch, store.purge, store.deepen):
        try:
            told = str(ask())
        except PwError as error:
            told = f"{error.message} {error.hint}"
        assert "secret" not in told


@pytest.mark.parametrize("text", ["\x1b[31mred", "\r\x1b]0;x\x07", "\u202eback"])
def test_words_of_the_remote_are_harmless(tmp_path: Path, text: str) -> None:
    """Whatever a remote says, nothing of it can drive a terminal."""
    says = Says(1, verdict(f"hook declined {text}"), f"remote: {text}\n", sent=True)
    with pytest.raises(FailedError) as caught:
        swapped(tmp_path, says)
    assert f"{caught.value.message}{caught.value.hint}".isprintable()


def test_remote_that_looks_like_an_option(tmp_path: Path) -> None:
    """A remote's name never becomes an option of git."""
    says = Says(1)
    (tmp_path / "pw").mkdir()
    store = RemoteStore(str(tmp_path / "pw"), says, "--upload-pack=evil", str(tmp_path), list)  # type: ignore[arg-type]
    for ask in (
        lambda: store.swap(None, "2" * 40),
        lambda: store.swap(None, "2" * 40, [Move("refs/heads/b", "", "1")]),
    ):
        with pytest.raises(OfflineError):
            ask()
    store.fetch()
    assert all(args.index("--") < args.index("--upload-pack=evil") for args in says.asked)


# the repository's own settings


def test_settings_of_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is told what concerns transports and its one remote, and of that `pushurl` before `url`."""
    monkeypatch.delenv("GIT_CONFIG_COUNT", raising=False)
    config = [
        ("user.name", "Ada"),
        ("core.sshcommand", "ssh -i key"),
        ("http.https://h/.extraheader", "AUTHORIZATION: basic x"),
        ("url.git@h:.insteadof", "https://h/"),
        ("remote.origin.url", "https://h/read"),
        ("remote.origin.pushurl", "https://h/write"),
        ("remote.origin.proxy", "p"),
        ("remote.other.url", "https://h/other"),
        ("core.hookspath", "/evil"),
    ]
    env = store_environment("/store", "origin", config)
    count = int(env["GIT_CONFIG_COUNT"] or 0)
    told = [(env[f"GIT_CONFIG_KEY_{n}"], env[f"GIT_CONFIG_VALUE_{n}"]) for n in range(count)]
    assert told == [config[1], config[2], config[3], ("remote.origin.url", "https://h/write"), config[6]]
    assert env["GIT_DIR"] == "/store"
    assert env["GIT_INDEX_FILE"] is None


def test_settings_of_the_environment_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment says already (`git -c`) keeps its place before ours."""
    monkeypatch.setenv("GIT_CONFIG_COUNT", "2")
    env = store_environment("/store", "o", [("remote.o.url", "u")])
    assert (env["GIT_CONFIG_COUNT"], env["GIT_CONFIG_KEY_2"], env["GIT_CONFIG_VALUE_2"]) == (
        "3",
        "remote.o.url",
        "u",
    )


@plain
def test_remote_by_name(arena: Arena) -> None:
    """A remote that the repository has a name for is reached by that name, from a hook's environment too."""
    assert arena.remote is not None
    place = arena.place()
    config = [("remote.team.url", arena.remote.url)]
    store = RemoteStore(place.folder, run, "team", str(arena.folder), lambda: config)
    client = Client(store, arena.folder / "journal")
    client.done(Begin(ledger=LEDGER))
    assert subjects(arena) == []


# branches that move along


def work(arena: Arena) -> Path:
    """The user's clone, with a commit of theirs that the remote doesn't have."""
    assert arena.remote is not None
    path = clone(arena.remote.url, arena.folder / "work")
    (path / "README.md").write_text("changed\n")
    git("commit", "-qam", "change", cwd=path)
    return path


def joined(arena: Arena, path: Path, worker: str = "ada") -> Client:
    """A client whose store lies in the user's clone."""
    assert arena.remote is not None
    folder = path / ".git/pw"
    folder.mkdir(exist_ok=True)
    store = RemoteStore(str(folder), run, arena.remote.url, str(path), list)
    return Client(store, folder / "journal", worker=worker)


def ref(arena: Arena, refname: str) -> str:
    """What a ref of the remote points to, or nothing."""
    return git("for-each-ref", "--format=%(objectname)", refname, cwd=bare(arena))


@several
def test_branch_and_ledger_move_together(arena: Arena) -> None:
    """A branch moves in the same push as the ledger."""
    path = work(arena)
    head, old = git("rev-parse", "HEAD", cwd=path), git("rev-parse", "HEAD~", cwd=path)
    client = joined(arena, path)
    client.done(Begin(ledger=LEDGER))
    client.done(new_task("zero"))
    moves = [Move("refs/heads/new", "", head), Move("refs/heads/main", old, head)]
    answer = client.ledger.transact(new_task("one"), author(), moves=moves)
    assert isinstance(answer.outcome, Done)
    assert (ref(arena, "refs/heads/new"), ref(arena, "refs/heads/main")) == (head, head)
    assert subjects(arena) == ["zero", "one"]


@several
def test_neither_moves_when_the_ledger_has(arena: Arena) -> None:
    """Beaten on the ledger, the branch stays too, until the decision is made on the new state."""
    path = work(arena)
    head = git("rev-parse", "HEAD", cwd=path)
    client = joined(arena, path)
    client.done(Begin(ledger=LEDGER))
    store = client.store
    tip = store.tip()
    new = store.write(tip, {("settings",): b"{}"}, "by hand", client.ask(new_task()).operation.at)
    assert store.swap(tip, new, [Move("refs/heads/new", "", head)]) is Swap.BEATEN
    assert ref(arena, "refs/heads/new") == ""


@several
def test_neither_moves_when_the_branch_has(arena: Arena) -> None:
    """Where the branch isn't where it was expected, the ledger stays, and the branch is named."""
    path = work(arena)
    head = git("rev-parse", "HEAD", cwd=path)
    client = joined(arena, path)
    client.done(Begin(ledger=LEDGER))
    before = ref(arena, REF)
    moves = [Move("refs/heads/main", "1" * 40, head)]
    with pytest.raises(FailedError, match="refs/heads/main"):
        client.ledger.transact(new_task(), author(), moves=moves)
    assert ref(arena, REF) == before
    assert client.open() == []


@plain
def test_moves_from_a_shallow_clone(arena: Arena) -> None:
    """A branch of a shallow clone moves along with a ledger whose store is shallow too."""
    assert arena.remote is not None
    other = arena.begun()
    for title in "abc":
        other.done(new_task(title))
    path = arena.folder / "work"
    git("clone", "-q", "--depth=1", f"file://{bare(arena)}", str(path), cwd=arena.folder)
    (path / "README.md").write_text("changed\n")
    git("commit", "-qam", "change", cwd=path)
    head = git("rev-parse", "HEAD", cwd=path)
    client = joined(arena, path)
    client.ledger.fresh()
    assert (client.store.path / "shallow").exists()  # type: ignore[attr-defined]
    client.ledger.transact(new_task("d"), author(), moves=[Move("refs/heads/new", "", head)])
    assert ref(arena, "refs/heads/new") == head
    assert subjects(arena) == list("abcd")
    assert git("fsck", "--connectivity-only", cwd=bare(arena)) == ""
