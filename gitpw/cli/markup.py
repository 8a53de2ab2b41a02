"""HTML that nobody's words can break out of: text becomes markup in one place, and is escaped there."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from gitpw.cli.output import safe

VOID = frozenset({"meta", "link", "br"})
"""Elements that have no end tag."""


class Markup(str):
    """Markup that is well formed; all other text is escaped where it is put into some."""

    __slots__ = ()


Child = str | Markup | None
Attribute = str | int | bool | None


def element(tag: str, *children: Child, **attributes: Attribute) -> Markup:
    """An element. Names of attributes are written `class_`, `aria_label`; None and False leave one out."""
    names = "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in VOID:
        return Markup(f"<{tag}{names}>")
    return Markup(f"<{tag}{names}>{joined(children)}</{tag}>")


def joined(children: Iterable[Child]) -> Markup:
    """Pieces one after the other, what is no markup escaped."""
    return Markup(
        "".join(one if isinstance(one, Markup) else text(one) for one in children if one is not None)
    )


def text(words: str) -> Markup:
    """Text as markup; what steers, reorders or hides is spelled out as on a terminal."""
    return Markup(escape(safe(words)))


def told(words: str, most: int = 500) -> Markup:
    """Somebody's words: their direction is their own, and of very many the first ones are shown."""
    return element("bdi", words if len(words) <= most else f"{words[:most]}…")


def _attribute(name: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    shown = name.rstrip("_").replace("_", "-")
    return f" {shown}" if value is True else f' {shown}="{text(str(value))}"'
