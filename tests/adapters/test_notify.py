"""Telling the outside: what a real server is sent, when it is asked again, and what nobody gets to see."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gitpw.adapters import notify
from gitpw.adapters.notify import Notifier
from gitpw.domain.event import Event
from gitpw.domain.notice import Notice
from gitpw.domain.target import Kind, Target
from gitpw.errors import InvalidError
from tests.support.listener import Listener, Says

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "t0p s3cret"


class Slept(list[float]):
    """How long was waited; nobody waits."""

    def __call__(self, seconds: float) -> None:
        """Take note of a pause."""
        self.append(seconds)


@pytest.fixture
def slept() -> Slept:
    """The pauses."""
    return Slept()


@pytest.fixture
def notifier(slept: Slept) -> Notifier:
    """With a secret in the environment and an address in git's configuration."""
    settings = {"pw.slack": "https://hooks.slack.com/services/T0/B0/s3cr3t", "pw.My.Sub.key": "desktop:"}
    return Notifier(settings.get, {"SEC": SECRET, "EMPTY": " "}, "shop\nX-Evil: 1", sleep=slept)


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A server that takes everything."""
    with Listener() as running:
        yield running


def a_notice(event: Event = Event.MERGED, **fields: object) -> Notice:
    """A notice with a title that would like to be more."""
    known: dict[str, object] = {
        "ledger": "l\r\nX-Evil: 1",
        "counter": 7,
        "operation": "0" * 32,
        "at": datetime(2026, 3, 2, tzinfo=UTC),
        "worker_id": "ada",
        "by": "ada",
        "task_id": "task-001",
        "title": "<b>\r\nX-Evil: 1",
    }
    return Notice(event=event, **{**known, **fields})  # type: ignore[arg-type]


def test_a_webhook_is_signed_and_named(notifier: Notifier, listener: Listener) -> None:
    """By HMAC-SHA-256 of the body; with the time in the body, and an id that is the same for each try."""
    to = notifier.resolve(listener.url)
    assert notifier.send(to, a_notice(), "env:SEC").state == "sent"
    assert notifier.send(to, a_notice(), "env:SEC").state == "sent"
    first, second = listener.told
    assert first.signed_with(SECRET)
    assert not first.signed_with("other")
    assert first.data["id"] == first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert str(first.data["timestamp"]) == first.headers["x-pw-timestamp"]
    assert first.headers["x-pw-event"] == "merged"
    assert "x-evil" not in first.headers
    assert first.path.endswith("/s3cr3t-path")


def test_another_target_has_another_id(notifier: Notifier, listener: Listener) -> None:
    """So that one service behind two addresses takes both for what they are."""
    for end in ("/a", "/b"):
        notifier.send(notifier.resolve(listener.url + end), a_notice(), None)
    one, other = listener.told
    assert one.data["id"] != other.data["id"]
    assert "x-hub-signature-256" not in one.headers


@pytest.mark.parametrize("status", [500, 502, 503, 599, 429])
def test_what_may_pass_is_tried_again(
    notifier: Notifier, listener: Listener, slept: Slept, status: int
) -> None:
    """The same request, after longer and longer pauses, until it is taken."""
    listener.answers[:] = [Says(status), Says(status), Says(200)]
    assert notifier.send(notifier.resolve(listener.url), a_notice(), "env:SEC").state == "sent"
    assert len({told.body for told in listener.told}) == 1
    assert len(listener.told) == 3
    assert len(slept) == 2
    assert slept[0] <= 1 <= slept[1] <= 2


def test_a_server_that_is_down_is_left_for_later(
    notifier: Notifier, listener: Listener, slept: Slept
) -> None:
    """After a handful of tries."""
    listener.answers[:] = [Says(503)]
    sent = notifier.send(notifier.resolve(listener.url), a_notice(), None)
    assert (sent.state, sent.said) == ("later", "503 Service Unavailable")
    assert len(listener.told) == 4
    assert len(slept) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413])
def test_what_is_refused_is_not_tried_again(notifier: Notifier, listener: Listener, status: int) -> None:
    """It would be refused again; nothing of what the server says is repeated."""
    listener.answers[:] = [Says(status, body=b"no such hook: s3cr3t-path")]
    sent = notifier.send(notifier.resolve(listener.url), a_notice(), None)
    assert sent.state == "refused"
    assert sent.said.startswith(str(status))
    assert "s3cr3t" not in sent.said
    assert len(listener.told) == 1


def test_retry_after_is_waited_for(notifier: Notifier, listener: Listener, slept: Slept) -> None:
    """In seconds."""
    listener.answers[:] = [Says(429, (("Retry-After", "7"),)), Says(200)]
    assert notifier.send(notifier.resolve(listener.url), a_notice(), None).state == "sent"
    assert slept == [7.0]


def test_a_long_retry_after_is_left_for_later(notifier: Notifier, listener: Listener, slept: Slept) -> None:
    """Until a date, too: no process stays for that."""
    date = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    listener.answers[:] = [Says(503, (("Retry-After", date),))]
    sent = notifier.send(notifier.resolve(listener.url), a_notice(), None)
    assert sent.state == "later"
    assert sent.after == pytest.approx(3600, abs=60)
    assert slept == []


@pytest.mark.parametrize("words", ["soon", "-5", "", "1e9", "\uff19"])
def test_a_strange_retry_after_is_none(notifier: Notifier, listener: Listener, words: str) -> None:
    """Whatever a server says, the usual pauses hold."""
    listener.answers[:] = [Says(503, (("Retry-After", words.encode().decode("latin-1")),)), Says(200)]
    assert notifier.send(notifier.resolve(listener.url), a_notice(), None).state == "sent"


def test_a_dead_server_is_tried_again(notifier: Notifier, slept: Slept) -> None:
    """Nobody listens there; the error doesn't say where."""
    with Listener() as gone:
        url = gone.url
    sent = notifier.send(notifier.resolve(url), a_notice(), None)
    assert (sent.state, sent.said) == ("later", "nobody listens there")
    assert len(slept) == 3


def test_a_server_that_drips_is_left(
    notifier: Notifier, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time for one request is bounded in all, however busy the server is with it."""
    monkeypatch.setattr(notify, "DEADLINE", 0.0)
    sent = notifier.send(notifier.resolve(listener.url), a_notice(), None)
    assert (sent.state, sent.said) == ("later", "it doesn't answer in time")


def test_no_redirection_to_another_host(notifier: Notifier, listener: Listener) -> None:
    """Who gets the post with its signature is decided by the rules, not by a server."""
    with Listener() as other:
        listener.answers[:] = [Says(307, (("Location", other.url),))]
        sent = notifier.send(notifier.resolve(listener.url), a_notice(), "env:SEC")
        assert sent.state == "refused"
        assert "another host" in sent.said
        assert other.told == []


def test_a_redirection_on_the_same_host_is_followed(notifier: Notifier, listener: Listener) -> None:
    """With the same body and signature, as 307 and 308 mean it; 302 would turn it into a look."""
    listener.answers[:] = [Says(308, (("Location", "/new"),)), Says(200)]
    assert notifier.send(notifier.resolve(listener.url), a_notice(), "env:SEC").state == "sent"
    assert [told.path for told in listener.told] == ["/hook/s3cr3t-path", "/new"]
    assert listener.told[1].signed_with(SECRET)
    listener.answers[:] = [Says(302, (("Location", "/new"),))]
    assert notifier.send(notifier.resolve(listener.url), a_notice(), None).state == "refused"
    assert len(listener.told) == 3


def test_a_circle_of_redirections_ends(notifier: Notifier, listener: Listener) -> None:
    """After a few steps."""
    listener.answers[:] = [Says(307, (("Location", "/again"),))]
    assert notifier.send(notifier.resolve(listener.url), a_notice(), None).state == "refused"
    assert len(listener.told) == 4


def test_a_login_in_the_url_is_sent_as_such(notifier: Notifier, listener: Listener) -> None:
    """And never shown."""
    to = notifier.resolve(listener.url.replace("//", "//me:p%40ss@"))
    assert notifier.send(to, a_notice(), None).state == "sent"
    assert listener.told[0].headers["authorization"] == "Basic bWU6cEBzcw=="
    assert "p%40ss" not in f"{to!r}{to.name}"


def test_chats_get_their_own_shapes(notifier: Notifier, listener: Listener) -> None:
    """By a prefix, for what speaks as they do; without a signature, which they don't know."""
    for prefix in ("slack", "discord"):
        to = notifier.resolve(f"{prefix}+{listener.url}")
        assert (to.kind, notifier.send(to, a_notice(), "env:SEC").state) == (Kind(prefix), "sent")
    slack, discord = listener.told
    assert "&lt;b&gt;" in slack.data["text"]
    assert discord.data["allowed_mentions"] == {"parse": []}
    assert "x-hub-signature-256" not in slack.headers


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://hooks.slack.com/services/T/B/x", Kind.SLACK),
        ("https://discord.com/api/webhooks/1/x", Kind.DISCORD),
        ("https://ptb.discord.com/api/webhooks/1/x", Kind.DISCORD),
        ("https://hooks.slack.com.evil.example/x", Kind.WEBHOOK),
        ("https://example.com/?u=hooks.slack.com", Kind.WEBHOOK),
        ("json+https://hooks.slack.com/x", Kind.WEBHOOK),
        ("HTTPS://HOOKS.SLACK.COM/x", Kind.SLACK),
        ("desktop:", Kind.DESKTOP),
        ("tgram://token/chat", Kind.APPRISE),
    ],
)
def test_kinds_by_the_url(notifier: Notifier, url: str, kind: Kind) -> None:
    """The host decides, not what else looks like it."""
    to = notifier.resolve(url)
    assert to.kind is kind
    assert "token" not in to.name


@pytest.mark.parametrize(
    "address",
    [
        "env:MISSING",
        "env:EMPTY",
        "config:pw.missing",
        "http://example.com/s3cr3t",
        "http://127.0.0.1.example.com/s3cr3t",
        "http://localhost@example.com/s3cr3t",
        "https:///s3cr3t",
        "https://exa mple.com/s3cr3t",
        "https://example.com/s3cr3t\r\nX: 1",
        "https://[::1/s3cr3t",
        "https://example.com:port/s3cr3t",
        "s3cr3t",
        "",
    ],
)
def test_addresses_that_are_none(notifier: Notifier, address: str) -> None:
    """Refused, without a word of what might be secret in them."""
    with pytest.raises(InvalidError) as caught:
        notifier.resolve(address)
    assert "s3cr3t" not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.9.9.9"])
def test_plain_http_is_for_this_machine(notifier: Notifier, host: str) -> None:
    """For others only where the rules say so."""
    assert notifier.resolve(f"http://{host}:9/x").kind is Kind.WEBHOOK
    assert notifier.resolve("http://example.com/x", plain_http=True).kind is Kind.WEBHOOK


def test_settings_of_git(notifier: Notifier) -> None:
    """By their names as git compares them."""
    assert notifier.resolve("config:PW.Slack").kind is Kind.SLACK
    assert notifier.resolve("config:pw.My.Sub.Key").kind is Kind.DESKTOP


def test_a_secret_that_is_not_set_sends_nothing(notifier: Notifier, listener: Listener) -> None:
    """Rather than unsigned, which nobody would believe."""
    sent = notifier.send(notifier.resolve(listener.url), a_notice(), "env:MISSING")
    assert (sent.state, sent.said) == ("refused", "env:MISSING isn't set here")
    assert listener.told == []


def test_a_proxy_is_not_asked_for_this_machine(
    notifier: Notifier, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the environment says."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert notifier.send(notifier.resolve(listener.url), a_notice(), None).state == "sent"


def test_the_desktop_is_told_by_arguments(
    notifier: Notifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the program that is there; markup in a title is text."""
    program = tmp_path / "notify-send"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/said\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert notifier.send(notifier.resolve("desktop:"), a_notice(), None).state == "sent"
    said = (tmp_path / "said").read_text().splitlines()
    assert said == [
        "--app-name=git-pw",
        "--",
        "git pw: shop X-Evil: 1",
        "task-001: &lt;b&gt; X-Evil: 1 was merged",
    ]


def test_no_desktop(notifier: Notifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is said, not tried again."""
    monkeypatch.setenv("PATH", str(tmp_path))
    sent = notifier.send(notifier.resolve("desktop:"), a_notice(), None)
    assert (sent.state, sent.said) == ("refused", "there is neither notify-send nor osascript here")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_apprise_tells_the_rest(
    notifier: Notifier, listener: Listener, capfd: pytest.CaptureFixture[str]
) -> None:
    """Through the real library, whose log has addresses in it and stays silent."""
    pytest.importorskip("apprise")
    there = listener.url.removeprefix("http://")
    assert notifier.send(notifier.resolve(f"json://{there}"), a_notice(), None).state == "sent"
    assert listener.told[0].data["message"] == "task-001: <b> X-Evil: 1 was merged"
    listener.answers[:] = [Says(500)]
    sent = notifier.send(notifier.resolve(f"json://{there}"), a_notice(), None)
    assert (sent.state, sent.said) == ("later", "apprise couldn't send it")
    sent = notifier.send(notifier.resolve("nosuch://s3cr3t"), a_notice(), None)
    assert (sent.state, sent.said) == ("refused", "apprise knows no such address")
    assert "s3cr3t" not in "".join(capfd.readouterr())


def test_without_apprise(notifier: Notifier, monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install is said."""
    monkeypatch.setitem(sys.modules, "apprise", None)
    sent = notifier.send(notifier.resolve("tgram://token/chat"), a_notice(), None)
    assert (sent.state, "pip install 'gitpw[apprise]'" in sent.said) == ("refused", True)


def test_a_target_shows_no_secret() -> None:
    """Not even to a traceback."""
    to = Target(Kind.SLACK, "https://hooks.slack.com/s3cr3t", "env:SLACK", "k")
    assert "s3cr3t" not in f"{to!r} {to}"
