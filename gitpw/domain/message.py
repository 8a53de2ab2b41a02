"""A notice in the words and within the limits of each service; what comes from the ledger is text, never markup."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

from gitpw.domain.notice import Notice

VERSION = 1
"""Of the JSON document that webhooks get."""

SLACK_LONGEST, DISCORD_LONGEST, TITLE_LONGEST, TEXT_LONGEST = 3_000, 2_000, 100, 1_000
"""Characters that Slack shows without cutting, that Discord takes, and that fit on a desktop."""

MARKDOWN = re.compile(r"([\\*_~`|>#\[\]()<:@.!+-])")
FLAG_NO_EMBEDS = 4

JOINERS = frozenset("\u200c\u200d")
"""Invisible, but scripts and emoji need them, and they move nothing."""


def document(notice: Notice, repository: str, identity: str, timestamp: int) -> bytes:
    """The body for a webhook; the same for each try, so that its signature stays the same."""
    data = {key: value for key, value in notice.to_data().items() if key != "same"}
    told = {"version": VERSION, "id": identity, "timestamp": timestamp, "repository": repository}
    return _json({**told, **data, "text": notice.headline})


def slack(notice: Notice, repository: str) -> bytes:
    """The body for an incoming webhook of Slack: no links, no mentions, no formatting."""
    text = _cut(line(notice, repository), SLACK_LONGEST, _escaped)
    return _json({"text": text, "mrkdwn": False, "unfurl_links": False, "unfurl_media": False})


def discord(notice: Notice, repository: str) -> bytes:
    """The body for a webhook of Discord: nobody is mentioned, and nothing is embedded."""
    text = _cut(line(notice, repository), DISCORD_LONGEST, lambda text: MARKDOWN.sub(r"\\\1", text))
    return _json({"content": text, "allowed_mentions": {"parse": []}, "flags": FLAG_NO_EMBEDS})


def plain(notice: Notice, repository: str) -> tuple[str, str]:
    """A title and a text for people."""
    title = _cut(f"git pw: {printable(repository)}", TITLE_LONGEST, str)
    return title, _cut(printable(notice.headline), TEXT_LONGEST, str)


def line(notice: Notice, repository: str) -> str:
    """The notice and where it comes from, in one printable line."""
    return printable(f"[{repository}] {notice.headline}")


def printable(text: str) -> str:
    """The same text without control characters, marks that turn its direction, or halves of letters."""
    return "".join(letter if letter.isprintable() or letter in JOINERS else " " for letter in text)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str, longest: int, escaped: Callable[[str], str]) -> str:
    """The escaped text within a limit, cut between letters."""
    whole = escaped(text)
    if _units(whole) <= longest:
        return whole
    kept = text[:longest]
    while _units(escaped(kept)) >= longest:
        kept = kept[: -max(1, (_units(escaped(kept)) - longest) // 6)]
    return f"{escaped(kept)}…"


def _units(text: str) -> int:
    """Its length as services count it: in UTF-16."""
    return len(text.encode("utf-16-le", "replace")) // 2


def _json(data: Mapping[str, object]) -> bytes:
    """ASCII only; a half of a pair that stands alone is no letter anywhere."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False)
    clean = text.encode("utf-8", "replace").decode()
    return json.dumps(json.loads(clean)).encode()
