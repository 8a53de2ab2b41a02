"""Where notices go: addresses as the rules write them, and what kind of service stands behind a URL.

An address is a URL, or says where to find one: `env:NAME` in the environment, `config:KEY` in git's configuration. The
URL of a chat's webhook is a secret: whoever has it can write there. So nothing here ever shows one.
"""

from __future__ import annotations

import hashlib
import re
from enum import StrEnum
from typing import Literal, NamedTuple
from urllib.parse import SplitResult, urlsplit

from gitpw.errors import InvalidError

VARIABLE = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)")
SETTING = re.compile(r"config:([A-Za-z][A-Za-z0-9-]*\.(?:.*\.)?[A-Za-z][A-Za-z0-9-]*)")
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]*")
LOCAL = "localhost"


class Kind(StrEnum):
    """How a service wants to be told."""

    WEBHOOK = "webhook"
    SLACK = "slack"
    DISCORD = "discord"
    DESKTOP = "desktop"
    APPRISE = "apprise"


PREFIXES = {"json": Kind.WEBHOOK, "slack": Kind.SLACK, "discord": Kind.DISCORD}
"""What may stand with a `+` before `https:`, for services that speak as another does."""

SLACK = re.compile(r"hooks\.slack(?:-gov)?\.com")
DISCORD = re.compile(r"(?:(?:ptb|canary)\.)?discord(?:app)?\.com")


class Target(NamedTuple):
    """A service: its kind, its real URL, which is a secret, and what it is called."""

    kind: Kind
    url: str
    name: str
    key: str

    def __repr__(self) -> str:
        """Without the URL: whatever prints this must not print that."""
        return f"Target({self.kind}, {self.name})"


class Sent(NamedTuple):
    """What became of a notice: `said` is for people, `after` how many seconds the target asks us to wait."""

    state: Literal["sent", "refused", "later"]
    said: str
    after: float | None = None


def check_address(text: str) -> None:
    """Refuse what is no address; never says what it was."""
    if text.startswith(("env:", "config:")):
        if VARIABLE.fullmatch(text) or SETTING.fullmatch(text):
            return
        raise InvalidError(
            "it names no variable and no setting", hint="for instance env:SLACK_URL or config:pw.slack"
        )
    _check_url(text)


def check_secret(text: str) -> None:
    """A secret's own text doesn't belong into a file that everybody reads."""
    if not (VARIABLE.fullmatch(text) or SETTING.fullmatch(text)):
        raise InvalidError(
            "a secret is named here, not written down",
            hint="for instance env:PW_NOTIFY_SECRET or config:pw.notify.secret",
        )


def target(address: str, url: str, *, plain_http: bool = False) -> Target:
    """The service that an address stands for, its URL being known; raises `InvalidError`, which doesn't show it."""
    _check_url(url)
    scheme, rest = url.split(":", 1)
    prefix, _, inner = scheme.lower().rpartition("+")
    name = shown(address)
    key = hashlib.sha256(url.encode()).hexdigest()[:16]
    if prefix in PREFIXES or (not prefix and inner in {"http", "https"}):
        url = f"{inner}:{rest}"
        parts = _parts(url)
        _check_http(parts, plain_http=plain_http)
        return Target(PREFIXES.get(prefix) or _by_host(parts), url, name, key)
    kind = Kind.DESKTOP if scheme.lower() == "desktop" else Kind.APPRISE
    return Target(kind, url, name, key)


def shown(address: str) -> str:
    """What an address is called where people see it: no more of a URL than where it leads."""
    if VARIABLE.fullmatch(address) or SETTING.fullmatch(address):
        return address
    scheme = address.partition(":")[0]
    if scheme.lower().rpartition("+")[2] in {"http", "https"}:
        host = urlsplit(address).hostname or ""
        return f"{scheme}://{host}/…"
    return "desktop" if scheme.lower() == "desktop" else f"{scheme}://…"


def _check_url(url: str) -> None:
    if not URL.fullmatch(url):
        raise InvalidError(
            "it is no URL", hint="for instance https://example.com/hook, desktop:, env:SLACK_URL"
        )
    if url.partition(":")[0].lower().rpartition("+")[2] in {"http", "https"}:
        _parts(url)


def _parts(url: str) -> SplitResult:
    """The parts of an http URL that has a host."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        host, parts = None, SplitResult("", "", "", "", "")
    if not host:
        raise InvalidError("it is a URL without a host", hint="for instance https://example.com/hook")
    return parts


def _check_http(parts: SplitResult, *, plain_http: bool) -> None:
    """Whoever listens on the way must not learn what is secret."""
    if parts.scheme == "http" and not plain_http and not is_loopback(parts.hostname or ""):
        raise InvalidError(
            "plain http is only for this machine",
            hint="use https; 'git pw config notify.plain_http true' allows it on a network that you trust",
        )


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its very name."""
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == LOCAL


def _by_host(parts: SplitResult) -> Kind:
    host = (parts.hostname or "").lower()
    if SLACK.fullmatch(host):
        return Kind.SLACK
    if DISCORD.fullmatch(host) and parts.path.startswith("/api/"):
        return Kind.DISCORD
    return Kind.WEBHOOK
