"""The list of what is held that hooks judge by: brought up to date whenever the last known state changes.

Two files beside the store say the same: `locks` for programs, `locks.sh` for the shell. Both name the state they were
made from. Whoever is stopped between moving the store's ref and writing them leaves a list that no hook trusts.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gitpw.domain.ids import HEX, ClaimId
from gitpw.domain.listing import MOST, Holding, Listed, Listing, parsed, pathspec
from gitpw.domain.resource import Mode, resource
from gitpw.errors import InvalidError

if TYPE_CHECKING:
    import pygit2

LOCKS, SHELL = "locks", "locks.sh"


def load(folder: Path) -> Listing | None:
    """The list as it was last written; None where there is none that can be read."""
    with suppress(OSError, UnicodeDecodeError):
        return parsed((folder / LOCKS).read_text(encoding="utf-8"))
    return None


def follow(folder: Path, repo: pygit2.Repository, ref: str, tip: str) -> None:
    """Write the list of a state; from the list that there is, where the state that it was made from is still here.

    A state that can't be read has no list: the hooks then open the ledger, and say what is wrong.
    """
    old = load(folder)
    if old is not None and (old.ref, old.tip) == (ref, tip):
        return
    try:
        text, script = _written(repo, ref, tip, old)
        _replace(folder / LOCKS, text)
        _replace(folder / SHELL, script)
    except (InvalidError, OSError, ValueError, KeyError, TypeError, AttributeError):
        for name in (LOCKS, SHELL):
            with suppress(OSError):
                (folder / name).unlink()


def _written(repo: pygit2.Repository, ref: str, tip: str, old: Listing | None) -> tuple[str, str]:
    tree = _tree(repo, tip)
    if tree is None:
        raise KeyError(tip)
    before = None if old is None else _tree(repo, old.tip)
    fold = _folds(tree)
    claims = dict(old.claims) if old is not None and before is not None and old.fold == fold else {}
    for claim, record in _changed(before if claims else None, tree):
        if record is None:
            claims.pop(claim, None)
        else:
            claims[claim] = _holding(json.loads(record.data))
    listing = Listing(ref, tip, fold, claims)
    return listing.text(), _script(listing)


def _tree(repo: pygit2.Repository, tip: str) -> pygit2.Tree | None:
    import pygit2

    found: object = repo.get(tip)
    return found.tree if isinstance(found, pygit2.Commit) else None


def _folds(tree: pygit2.Tree) -> bool:
    import pygit2

    record = _entries(tree).get("settings")
    return isinstance(record, pygit2.Blob) and json.loads(record.data).get("caseInsensitive") is True


def _changed(old: pygit2.Tree | None, new: pygit2.Tree) -> Iterator[tuple[ClaimId, pygit2.Blob | None]]:
    """The claims that differ between two states, None for those that are no more."""
    import pygit2

    then, now = _entries(old, "claims"), _entries(new, "claims")
    for folder in then.keys() | now.keys():
        before, after = then.get(folder), now.get(folder)
        if before is not None and after is not None and before.id == after.id:
            continue
        was, is_ = _entries(before), _entries(after)
        for name in was.keys() | is_.keys():
            record = is_.get(name)
            if not HEX.fullmatch(name) or not (record is None or isinstance(record, pygit2.Blob)):
                raise ValueError(name)
            if name not in was or record is None or was[name].id != record.id:
                yield ClaimId(name), record


def _entries(tree: pygit2.Object | None, name: str | None = None) -> dict[str, pygit2.Object]:
    import pygit2

    if name is not None:
        tree = tree[name] if isinstance(tree, pygit2.Tree) and name in tree else None
    return {entry.name or "": entry for entry in tree} if isinstance(tree, pygit2.Tree) else {}


def _holding(record: dict[str, object]) -> Holding:
    """Raises whatever comes of a record that is no claim."""
    token, locks = record["token"], record.get("locks", [])
    if type(token) is not int or not isinstance(locks, list):
        raise TypeError(record)
    return Holding(token, tuple(Listed(resource(held["resource"]), Mode(held["mode"])) for held in locks))


def _script(listing: Listing) -> str:
    """The list as calls of functions that the hook defines: nothing but plain words, whatever the names were."""
    locks = sum(len(holding.locks) for holding in listing.claims.values())
    lines = [f"state {listing.ref} {listing.tip}"]
    if listing.fold or max(locks, len(listing.claims)) > MOST:
        lines.append("many")
    else:
        for claim, holding in listing.claims.items():
            lines.append(f"live {claim} {holding.token}")
            lines += [f"lock {claim} '{pathspec(lock.thing)}'" for lock in holding.locks]
    return "\n".join([*lines, "whole", ""])


def _replace(path: Path, text: str) -> None:
    """Write a file as a whole, without waiting for the disk: one that a crash cut short is not trusted."""
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        fresh.write_bytes(text.encode())
        fresh.replace(path)
    except BaseException:
        with suppress(OSError):
            os.unlink(fresh)  # noqa: PTH108
        raise
