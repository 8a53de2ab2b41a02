"""Tells the outside: webhooks, chats and the desktop directly, everything else through `apprise`.

A webhook's URL and the secret that signs are read here, at the last moment, and go nowhere but into the request: no
error, log or command line has them, and no text of a server is repeated, since it could.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import logging
import random
import shutil
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from gitpw.adapters.process import run
from gitpw.domain import message
from gitpw.domain.notice import Notice
from gitpw.domain.target import SETTING, VARIABLE, Kind, Sent, Target, is_loopback, target
from gitpw.errors import InvalidError, PwError

PAUSES = (1.0, 2.0, 4.0)
"""Seconds before each further try, about."""

PATIENCE = 10.0
"""Seconds that a server may be silent, and a program take."""

DEADLINE = 30.0
"""Seconds that one request may take in all, whatever trickles in."""

LONGEST_PAUSE = 30.0
"""Seconds that a server may ask us to wait for while we do; beyond that, a later process tries again."""

LONGEST_ANSWER = 64 * 1024
"""Bytes of an answer that are read, so that a connection ends well; nobody looks at them."""

HOPS = 3
"""Redirections that are followed on one host."""


class Answer(NamedTuple):
    """What a server said: its status, and the headers that matter."""

    status: int
    location: str | None = None
    retry_after: str | None = None


class Notifier:
    """Sends notices of one repository to targets."""

    def __init__(
        self,
        config: Callable[[str], str | None],
        environment: Mapping[str, str],
        repository: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`config` gives git's settings; `repository` is what people call it."""
        self._config = config
        self._environment = environment
        self._repository = repository
        self._sleep = sleep

    def resolve(self, address: str, *, plain_http: bool = False) -> Target:
        """The target that an address stands for; raises `InvalidError`, which shows no secret."""
        return target(address, self._looked_up(address), plain_http=plain_http)

    def send(self, to: Target, notice: Notice, secret: str | None) -> Sent:
        """Tell a target, trying again where that may help; never raises. `secret` is the name of what signs."""
        try:
            key = None if secret is None else self._looked_up(secret).encode(errors="surrogateescape")
            attempt = self._attempt(to, notice, key)
        except PwError as error:
            return Sent("refused", error.message)
        for pause in (*PAUSES, None):
            sent = attempt()
            wait = sent.after or (random.uniform(pause / 2, pause) if pause else 0.0)  # noqa: S311 - no secret
            if sent.state != "later" or pause is None or wait > LONGEST_PAUSE:
                return sent
            self._sleep(wait)
        raise AssertionError  # pragma: no cover - the last pause is None

    def _looked_up(self, name: str) -> str:
        """What an address or the name of a secret stands for."""
        variable, setting = VARIABLE.fullmatch(name), SETTING.fullmatch(name)
        if variable is None and setting is None:
            return name
        if variable is not None:
            found = self._environment.get(variable[1])
        else:
            found = self._config(_setting(name.partition(":")[2]))
        if not found or not found.strip():
            raise InvalidError(f"{name} isn't set here", hint=_how_to_set(name))
        return found.strip()

    def _attempt(self, to: Target, notice: Notice, key: bytes | None) -> Callable[[], Sent]:
        """One try, to be made again as it is."""
        if to.kind is Kind.DESKTOP:
            return lambda: _on_desktop(*message.plain(notice, self._repository))
        if to.kind is Kind.APPRISE:
            return lambda: _through_apprise(to.url, *message.plain(notice, self._repository))
        identity = hashlib.sha256(f"{notice.key}:{to.key}".encode(errors="replace")).hexdigest()[:32]
        headers = {"Content-Type": "application/json", "User-Agent": "git-pw"}
        if to.kind is Kind.SLACK:
            body = message.slack(notice, self._repository)
        elif to.kind is Kind.DISCORD:
            body = message.discord(notice, self._repository)
        else:
            now = int(time.time())
            body = message.document(notice, message.printable(self._repository), identity, now)
            headers |= {
                "Idempotency-Key": identity,
                "X-Pw-Delivery": identity,
                "X-Pw-Event": notice.event.value,
                "X-Pw-Timestamp": str(now),
            }
            if key is not None:
                headers["X-Hub-Signature-256"] = f"sha256={hmac.new(key, body, hashlib.sha256).hexdigest()}"
        return lambda: _posted(to.url, body, headers)


def _setting(name: str) -> str:
    """A setting's name as git compares it: section and key in lower case."""
    section, _, rest = name.partition(".")
    middle, dot, key = rest.rpartition(".")
    return f"{section.lower()}.{middle}{dot}{key.lower()}"


def _how_to_set(name: str) -> str:
    kind, _, what = name.partition(":")
    return f"git config --global {what} …" if kind == "config" else f"export {what}=…"


# http


def _posted(url: str, body: bytes, headers: Mapping[str, str]) -> Sent:
    """Post once; redirections are followed on the same host only, and with the method and body as they are."""
    here = url
    for _ in range(HOPS + 1):
        try:
            answer = _within(DEADLINE, _request, here, body, headers)
        except (OSError, http.client.HTTPException, ValueError) as error:
            return _unreachable(error)
        if answer.status not in {HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT}:
            return _judged(answer)
        there = urljoin(here, answer.location or "")
        if not answer.location or _origin(there) != _origin(here):
            return Sent(
                "refused", f"{_phrase(answer.status)}: it leads to another host, which isn't followed"
            )
        here = there
    return Sent("refused", "it leads round in a circle")


def _judged(answer: Answer) -> Sent:
    status = answer.status
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Sent("sent", _phrase(status))
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return Sent("refused", f"{_phrase(status)}: it has moved, and posts aren't sent after it")
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Sent("later", _phrase(status), _seconds(answer.retry_after))
    return Sent("refused", _phrase(status))


def _phrase(status: int) -> str:
    """The status in the words of the standard, never the server's."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _seconds(retry_after: str | None) -> float | None:
    """How long a server asks us to wait: in seconds, or until a date."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max((moment - datetime.now(UTC)).total_seconds(), 0.0)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return "", None, None
    return parts.scheme, parts.hostname, port


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows nothing by itself."""

    def redirect_request(self, *_: object) -> None:
        """No request follows from a redirection."""


def _request(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """One request; proxies are those of the environment, which aren't asked for what is on this machine."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    sent = dict(headers)
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        sent["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    handlers: list[urllib.request.BaseHandler] = [_Stay()]
    if is_loopback(parts.hostname or ""):
        handlers.append(urllib.request.ProxyHandler({}))
    opener = urllib.request.build_opener(*handlers)
    clean = urlunsplit((parts.scheme, host, parts.path or "/", parts.query, ""))
    request = urllib.request.Request(clean, data=body, headers=sent, method="POST")  # noqa: S310 - http by its check
    try:
        with opener.open(request, timeout=PATIENCE) as answer:
            answer.read(LONGEST_ANSWER)
            return Answer(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers.get("Location"), error.headers.get("Retry-After"))


def _within(
    seconds: float,
    function: Callable[[str, bytes, Mapping[str, str]], Answer],
    *arguments: object,
) -> Answer:
    """What a function gives within so many seconds; one that takes longer is left alone, and raises `TimeoutError`."""
    found: list[Answer | BaseException] = []

    def work() -> None:
        try:
            found.append(function(*arguments))  # type: ignore[arg-type]
        except BaseException as error:  # noqa: BLE001 - raised again where somebody waits for it
            found.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    result = found[0] if found else TimeoutError()
    if isinstance(result, BaseException):
        raise result
    return result


def _unreachable(error: Exception) -> Sent:
    """Why there was no answer, in our words: an error's own may have the URL in them."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    match reason:
        case ssl.SSLCertVerificationError():
            return Sent("refused", "its certificate can't be verified")
        case socket.gaierror():
            return Sent("later", "its host can't be found")
        case TimeoutError():
            return Sent("later", "it doesn't answer in time")
        case ConnectionRefusedError():
            return Sent("later", "nobody listens there")
    return Sent("later", "the connection failed")


# others


def _on_desktop(title: str, text: str) -> Sent:
    """Through the desktop's own program; the text is an argument, never a script or markup."""
    for program, words in (
        ("notify-send", ["--app-name=git-pw", "--", title, _markup(text)]),
        ("osascript", [*(word for line in SCRIPT for word in ("-e", line)), title, text]),
    ):
        if shutil.which(program) is None:
            continue
        try:
            done = run([program, *words], timeout=PATIENCE)
        except PwError as error:
            return Sent("refused", error.message)
        return (
            Sent("sent", "shown")
            if done.status == 0
            else Sent("refused", f"{program} failed: is there a desktop?")
        )
    return Sent("refused", "there is neither notify-send nor osascript here")


SCRIPT = ("on run argv", "display notification (item 2 of argv) with title (item 1 of argv)", "end run")


def _markup(text: str) -> str:
    """Freedesktop's notifications know a little HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _through_apprise(url: str, title: str, text: str) -> Sent:
    """Through the library that knows a hundred services; its log, which has URLs in it, is switched off."""
    try:
        import apprise
    except ImportError:
        return Sent("refused", "this kind of address needs apprise: pip install 'gitpw[apprise]'")
    for name in [name for name in logging.root.manager.loggerDict if name.partition(".")[0] == "apprise"]:
        logging.getLogger(name).disabled = True
    client = apprise.Apprise()
    try:
        if not client.add(url):
            return Sent("refused", "apprise knows no such address")
        told = client.notify(title=title, body=text, body_format=apprise.NotifyFormat.TEXT)
    except Exception:  # noqa: BLE001 - a hundred services have their ways to fail, and words that may be secret
        return Sent("later", "apprise failed")
    return Sent("sent", "sent by apprise") if told else Sent("later", "apprise couldn't send it")
