"""git pw heartbeat: one beat, and becoming the small process that makes more of them."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest

from gitpw.domain.ids import ClaimId
from gitpw.errors import InvalidError, OfflineError, StaleError
from gitpw.services.heartbeat import Beaten
from tests.cli.conftest import Cli, Opened, Serve, a_claim


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch, opened: Opened) -> list[list[str]]:
    """The programs that this process would have become."""
    found: list[list[str]] = []

    def become(_program: str, words: list[str]) -> None:
        found.append(words)
        raise SystemExit(0)

    monkeypatch.setattr("gitpw.cli.heartbeat.os.execv", become)
    opened.context.repo.git_dir = "/shop/.git"
    return found


def test_one_beat(cli: Cli, serve: Serve) -> None:
    """Each claim, and what of this machine is no longer current."""
    serve("heartbeat.heartbeat", Beaten([a_claim(), a_claim(None)], [ClaimId("f" * 16)]))
    answer = cli("heartbeat")
    assert answer.out == "renewed task-001: 48m left\nrenewed src/auth/login.ts: 48m left\n"
    assert answer.err == f"no longer current: claim {'f' * 16} of this machine\n"
    data = cli("heartbeat", "--json").data
    assert [lock["taskId"] for lock in data["renewed"]] == ["task-001", None]
    assert data["lost"] == ["f" * 16]


def beats(cli: Cli, *words: str) -> None:
    """Start a heartbeat that goes on."""
    with pytest.raises(SystemExit):
        cli("heartbeat", *words)


def test_it_becomes_a_small_process(cli: Cli, serve: Serve, became: list[list[str]]) -> None:
    """After the first beat: with what it watches, and the command of a beat that others on the machine can spare it."""
    run = serve("heartbeat.heartbeat", Beaten([a_claim()], []))
    beats(cli, "--every", "5m", "--json", "--parent", str(os.getpid()))
    (words,) = became
    python, *options, program = words[:4]
    assert (python, options) == (sys.executable, ["-I", "-S"])
    assert program.endswith("pulse.py")
    every, done, process, _, place, flags, *command = words[4:]
    assert (every, done, process, place, flags) == ("300.0", "1", str(os.getpid()), "/shop/.git", "j-")
    assert command == [sys.executable, "-P", "-m", "gitpw", "--json", "-C", "/shop", "--as", "dana", *BEAT]
    assert run.call_args.kwargs == {"older": 5, "alone": False}


BEAT = ("hook", "beat", "270")


def test_a_remote_out_of_reach_is_no_reason_to_stop(cli: Cli, serve: Serve, became: list[list[str]]) -> None:
    """It goes on, with nothing done yet."""
    serve("heartbeat.heartbeat", OfflineError("offline"))
    beats(cli, "--every", "5m", "--parent", "0")
    assert became[0][5] == "0"


@pytest.mark.parametrize(
    ("error", "status"), [(StaleError("taken over by bob"), 5), (InvalidError("holds nothing"), 6)]
)
def test_what_is_lost_or_not_there_ends_it_at_once(
    cli: Cli, serve: Serve, became: list[list[str]], error: Exception, status: int
) -> None:
    """Whoever starts it holds something, or is told."""
    serve("heartbeat.heartbeat", error)
    assert (cli("heartbeat", "--every", "1m").exit, became) == (status, [])


@pytest.mark.parametrize("words", [("--parent", "-3"), ("--parent", str(2**30))])
def test_a_parent_must_be_there(cli: Cli, serve: Serve, words: tuple[str, ...]) -> None:
    """Nobody waits for the end of what never was."""
    serve("heartbeat.heartbeat", Beaten([a_claim()], []))
    assert cli("heartbeat", "--every", "1m", *words).exit == 6


def test_a_beat_says_what_it_renewed(cli: Cli, serve: Serve) -> None:
    """On stderr; nothing where others have renewed all."""
    run = serve("heartbeat.heartbeat", Beaten([a_claim()], []))
    answer = cli("hook", "beat", "270")
    assert (answer.out, answer.err) == ("", "renewed task-001: 48m left\n")
    assert run.call_args.kwargs == {"older": 270, "alone": False}
    serve("heartbeat.heartbeat", Beaten([a_claim()], [], quiet=True))
    answer = cli("hook", "beat", "270")
    assert (answer.out, answer.err) == ("", "")


def test_the_process_that_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller, not git in between; an agent's own process, not the shell that it started; a service has none."""
    from gitpw.adapters import identity

    names = {10: b"git\n", 9: b"zsh\n", 8: b"claude\n", 1: b"init\n"}
    environs: dict[str, Any] = {10: b"CLAUDECODE=1\0", 9: b"CLAUDECODE=1\0", 8: b"A=1\0", 1: b""}

    def read(path: str) -> bytes | None:
        _, _, process, what = path.split("/")
        return {"comm": names, "environ": environs}[what].get(int(process))

    monkeypatch.setattr(identity, "_read", read)
    monkeypatch.setattr(identity, "_status", lambda process: [*["x"] * 19, f"at {process}"])
    monkeypatch.setattr(identity, "_ancestors", lambda: iter([10, 9, 8, 1]))
    assert identity.guardian({}) == (9, "at 9")
    assert identity.guardian({"CLAUDECODE": "1"}) == (8, "at 8")
    for orphaned in ([10, 1], [1]):
        monkeypatch.setattr(identity, "_ancestors", lambda orphaned=orphaned: iter(orphaned))
        assert identity.guardian({}) == identity.guardian({"CLAUDECODE": "1"}) == (0, "")


def test_without_anybody_to_end_with_it_is_no_sign_of_life(
    cli: Cli, serve: Serve, became: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its beats say so, and it tells; unless nobody is what was asked for."""
    monkeypatch.setattr("gitpw.adapters.identity.guardian", lambda _: (0, ""))
    serve("heartbeat.heartbeat", Beaten([a_claim()], []))
    beats(cli, "--every", "5m")
    beats(cli, "--every", "5m", "--parent", "0")
    assert [words[-1] for words in became] == ["--alone", "270"]
