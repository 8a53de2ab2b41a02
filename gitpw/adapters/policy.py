"""`.gitpw.toml`: the rules of a repository, read, and changed without disturbing what people wrote around them."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from pydantic import BaseModel, ValidationError

from gitpw.adapters.disk import replace
from gitpw.domain.policy import Notify, NotifyRule, Policy
from gitpw.errors import ConfigError, InvalidError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pydantic_core import ErrorDetails

    from gitpw.adapters.git import GitRepo
    from gitpw.adapters.toml import Layout

NAME = ".gitpw.toml"

BOM = "\ufeff"

RULE = ("notify", "rule")
"""The key of tables of which there may be several."""

LONGEST = 1 << 20
"""Bytes; a file beyond that is no policy."""

EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "a table",
    "finite_number": "a number",
    "float_type": "a number",
    "int_type": "a whole number",
    "list_type": 'a list, as in ["…"]',
    "model_type": "a table",
    "string_type": "a text in quotes",
}
"""What was expected, by pydantic's name of the error."""

TWICE = re.compile(r"Cannot (overwrite|declare|redefine|mutate)|Duplicate inline table key")
"""What `tomllib` says of a key or a table that is there already."""

INITIAL = """\
# The rules of git pw for this repository. All of them, with their defaults: git pw config

ledger = {ledger}  # the ledger's id: where it is missing, 'git pw init' doesn't begin another in silence

# [policy]
# critical = ["**/package-lock.json"]   # changed only under an exclusive lock
# enforce = "strict"                    # every change needs a lock
# lockable = ["**/*.psd"]               # read-only until one holds its lock

# [claim]
# lease = "60m"

# [merge]
# base = "main"
# test = "make test"
"""


class Wrong(NamedTuple):
    """What is wrong with one key, or with one item of its list; `nth` of the tables where there are several alike."""

    key: tuple[str, ...]
    item: int | None
    what: str
    hint: str | None
    kind: str
    nth: int = 0

    @property
    def name(self) -> str:
        """The key with dots."""
        return ".".join(self.key)


class Rule(NamedTuple):
    """One key with its value, and the line of `.gitpw.toml` that sets it; None where it is the default."""

    key: str
    value: Any
    line: int | None


def load_policy(root: str | None) -> Policy:
    """The rules in the root of a checkout; the defaults where there is no file. Raises `ConfigError`."""
    text = _text(root)
    return Policy() if text is None else parse_policy(text)


def parse_policy(text: str, where: str = NAME) -> Policy:
    """Read rules; `where` names the file in errors. Raises `ConfigError` with the line."""
    data = _parsed(text, where)
    _refuse(text, where, _wrong(data))
    return Policy.model_validate(data)


def own_rules(repo: GitRepo) -> Notify:
    """Whom this user wants told, by git's configuration: `pw.notify.url`, `.events`, `.secret` and `.plainHttp`.

    Raises `ConfigError`, which shows no address.
    """
    urls = repo.config_all("pw.notify.url")
    if not urls:
        return Notify()
    events = [word for text in repo.config_all("pw.notify.events") for word in text.replace(",", " ").split()]
    own = {
        "urls": urls,
        "events": events,
        "secret": "config:pw.notify.secret" if repo.config("pw.notify.secret") else None,
        "plain_http": (repo.config("pw.notify.plainhttp") or "").lower() in {"true", "yes", "on", "1"},
    }
    wrong = _wrong({"notify": own})
    if wrong:
        key = wrong[0].key[-1].removesuffix("s") if wrong[0].key[-1] == "urls" else wrong[0].key[-1]
        raise ConfigError(f"pw.notify.{key} in git's configuration: {wrong[0].what}", hint=wrong[0].hint)
    return Notify.model_validate(own)


def get_value(root: str | None, key: str) -> Any:
    """The value of a key such as `claim.lease`, its default where it isn't set. Raises `ConfigError`."""
    return _at(load_policy(root), _path(key))


def list_rules(root: str | None) -> list[Rule]:
    """All keys with their values, in the order in which they are documented."""
    text = _text(root) or ""
    policy = parse_policy(text)
    layout = _layout(text)
    data = _parsed(text, NAME)
    rules = []
    for path, value in _flat(policy.model_dump(mode="json"), ()):
        place = None if _held(data, path) is None or layout is None else layout.place(path)
        line = None if place is None else text.count("\n", 0, place) + 1
        rules.append(Rule(".".join(path), value, line))
    return rules


def set_value(root: str, key: str, text: str) -> None:
    """Set a key to what a person typed; comments, layout and all other keys stay as they are.

    Raises `ConfigError` for a key that doesn't exist or a file that is no TOML, `UsageError` and `InvalidError` for a
    value that doesn't fit.
    """
    path = _path(key)
    _change(root, path, _fitting(path, text))


def unset_value(root: str, key: str) -> bool:
    """Take a key out of the file, so that its default holds; False where it wasn't set.

    That is also the way to get rid of a key that doesn't exist.
    """
    path = tuple(key.split("."))
    if _held(_parsed(_text(root) or "", NAME), path) is None:
        path = _path(key)
    return _change(root, path, None)


def add_values(root: str, key: str, texts: Sequence[str]) -> bool:
    """Add to a list, which begins as the default; False where it has all of them already."""
    return _change_list(root, key, lambda old: [*old, *(text for text in texts if text not in old)])


def remove_values(root: str, key: str, texts: Sequence[str]) -> bool:
    """Take out of a list, which begins as the default; False where it has none of them."""
    return _change_list(root, key, lambda old: [one for one in old if one not in texts])


def write_initial(root: str, ledger: str) -> bool:
    """Write a small file with the ledger's id; False where there is a file already."""
    from gitpw.adapters.toml import literal

    if os.path.lexists(Path(root, NAME)):
        return False
    replace(str(Path(root, NAME)), INITIAL.format(ledger=literal(ledger)).encode())
    return True


def _change_list(root: str, key: str, changed: Callable[[list[str]], list[str]]) -> bool:
    path = _path(key)
    old = get_value(root, key)
    if isinstance(old, str) and not _wrong(_with({}, path, [])):  # one command, or a list of them
        old = [old]
    if not isinstance(old, list):
        raise InvalidError(f"{key} is no list", hint=f"git pw config {key} VALUE")
    new = changed(list(dict.fromkeys(old)))
    wrong = _wrong(_with({}, path, new))
    if wrong:
        raise InvalidError(f"{key}: {wrong[0].what}", hint=wrong[0].hint)
    return new != old and _change(root, path, new)


def _change(root: str, path: tuple[str, ...], value: Any) -> bool:
    """Write the file with one value changed, or without it; what is wrong elsewhere stays as it is."""
    from gitpw.adapters.toml import with_value, without

    before = _text(root) or ""
    bom, text = before[: before.startswith(BOM)], before.removeprefix(BOM)
    _parsed(text, NAME)
    try:
        after = without(text, path) if value is None else with_value(text, path, value)
    except (RecursionError, ValueError) as error:
        raise ConfigError(
            f"{NAME} can't be changed by program", hint=f"edit {'.'.join(path)} yourself"
        ) from error
    if after == text:
        return False
    file = Path(root, NAME)
    if file.is_symlink():
        raise InvalidError(f"{NAME} is a link", hint=f"change the file that it points to: {file.readlink()}")
    replace(str(file), (bom + after).encode(), file.stat().st_mode & 0o777 if file.exists() else 0o666)
    return True


def _text(root: str | None) -> str | None:
    """The file as it is; None where there is none."""
    if root is None:
        return None
    path = Path(root, NAME)
    if not os.path.lexists(path):
        return None
    # What is checked in may be a link to a device, or as large as somebody likes.
    if not path.is_file() or path.stat().st_size > LONGEST:
        raise ConfigError(f"{NAME} is no ordinary file", hint="it is a TOML file of less than a megabyte")
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{NAME} isn't UTF-8: byte {error.start}", hint="save it as UTF-8") from error
    except OSError as error:
        raise ConfigError(f"{NAME} can't be read: {error.strerror}", hint="see its permissions") from error


def _parsed(text: str, where: str) -> dict[str, Any]:
    text = text.removeprefix(BOM)
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ConfigError(f"{where}: it is nested too deeply", hint="it is no valid TOML") from error
    except tomllib.TOMLDecodeError as error:
        at = re.search(r" \(at line (\d+), column (\d+)\)$", str(error))
        lines = text.split("\n")
        number = int(at[1]) if at else len(text.splitlines()) or 1
        what = str(error)[: at.start()] if at else "the file ends too early"
        hint = "it is no valid TOML"
        if TWICE.match(what):
            name = lines[number - 1].partition("#")[0].partition("=")[0].strip()
            what, hint = f"{name} is there twice", "keep one of them"
        raise ConfigError(f"{where}:{number}: {what[:1].lower()}{what[1:]}", hint=hint) from error


def _refuse(text: str, where: str, wrong: Sequence[Wrong]) -> None:
    """Raise what is wrong that stands first in the file."""
    if not wrong:
        return
    layout, nowhere = _layout(text), text.count("\n") + 2
    line, first = min(((_line(layout, one) or nowhere, one) for one in wrong), key=lambda pair: pair[0])
    place = where if line == nowhere else f"{where}:{line}"
    hint = first.hint or (
        "see docs/notifications.md" if _in_rule(first.key) else f"git pw config {first.name} VALUE"
    )
    raise ConfigError(f"{place}: {first.name}: {first.what}", hint=hint)


def _layout(text: str) -> Layout | None:
    """Where everything stands in a text that is valid TOML."""
    from gitpw.adapters.toml import Layout

    with suppress(RecursionError):
        return Layout(text.removeprefix(BOM))
    return None


def _line(layout: Layout | None, wrong: Wrong) -> int | None:
    """The line of what is wrong; None where it can't be told."""
    place = None if layout is None else layout.place(wrong.key, wrong.item, wrong.nth)
    return None if layout is None or place is None else layout.text.count("\n", 0, place) + 1


def _wrong(data: Mapping[str, Any]) -> list[Wrong]:
    """All that is wrong, each key once."""
    try:
        Policy.model_validate(data)
    except ValidationError as error:
        by_key: dict[tuple[str, ...], list[ErrorDetails]] = {}
        for one in error.errors():
            by_key.setdefault(_key(one), []).append(one)
        return [_explained(key, told) for key, told in by_key.items()]
    return []


def _key(error: ErrorDetails) -> tuple[str, ...]:
    """Below a key pydantic's path goes on with the place in a list, or the name of a type that would have done."""
    loc = error["loc"]
    if _in_rule(loc):
        return (*map(str, loc[:2]), str(loc[3]))
    deeper = (at for at, part in enumerate(loc) if isinstance(part, int) or part in {"str", "list[str]"})
    return tuple(map(str, loc[: next(deeper, None)]))


def _in_rule(path: Sequence[object]) -> bool:
    """Whether a path, with or without the places in lists, leads into one of the tables that there may be several of."""
    return tuple(path[:2]) == RULE and any(isinstance(part, str) for part in path[2:])


def _explained(key: tuple[str, ...], told: list[ErrorDetails]) -> Wrong:
    first = told[-1]  # of a text or a list of them, what is wrong with the list says more
    kind, context = first["type"], first.get("ctx", {})
    places = [part for part in first["loc"] if isinstance(part, int)]
    if _in_rule(key):
        return _explained_in_rule(key, first, places)
    item = next(iter(places), None)
    if kind == "extra_forbidden":
        return Wrong(key, item, "there is no such key", _nearest(key), "unknown")
    if kind in EXPECTED:
        kinds = told[-1:] if item is not None else told
        expected = dict.fromkeys(EXPECTED[one["type"]] for one in kinds if one["type"] in EXPECTED)
        return Wrong(key, item, f"expected {' or '.join(expected)}", None, "type")
    if kind == "rule":
        return Wrong(key, item, first["msg"], context.get("hint"), "value")
    if kind == "literal_error":
        return Wrong(key, item, f"expected {context['expected']}", None, "value")
    return Wrong(key, item, first["msg"].replace("Input should be", "expected"), None, "value")


def _explained_in_rule(key: tuple[str, ...], error: ErrorDetails, places: list[int]) -> Wrong:
    """The same for a key of one of several tables."""
    near = difflib.get_close_matches(key[-1], NotifyRule.model_fields, n=1)
    if error["type"] == "extra_forbidden":
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(NotifyRule.model_fields)}"
        return Wrong(key, None, "there is no such key", hint, "unknown", places[0])
    missing = error["type"] in {"missing", "too_short"}
    plain = {**error, "loc": (*key, *places[1:])}
    what = _explained((key[-1],), [cast("ErrorDetails", plain)])
    return Wrong(
        key, what.item, "it must name somebody" if missing else what.what, what.hint, what.kind, places[0]
    )


def _known() -> list[str]:
    """All keys there are, with dots."""
    keys = []
    for name, field in Policy.model_fields.items():
        section = field.annotation
        keys.append(name)
        if isinstance(section, type) and issubclass(section, BaseModel):
            keys += [f"{name}.{key}" for key in section.model_fields]
    return keys


def _nearest(key: tuple[str, ...]) -> str:
    """Which key may have been meant: by its whole name, else by its last part."""
    known = _known()
    near = difflib.get_close_matches(".".join(key), known, n=1, cutoff=0.75)
    if not near:
        by_last = {name.rpartition(".")[2]: name for name in reversed(known)}
        near = [by_last[last] for last in difflib.get_close_matches(key[-1], list(by_last), n=1, cutoff=0.6)]
    return f"did you mean {near[0]}?" if near else "'git pw config' lists the keys there are"


def _path(key: str) -> tuple[str, ...]:
    """A key with dots as its parts; raises `ConfigError` where there is no such key."""
    section, _, rest = key.partition(".")
    known = _known()
    if key in known:
        return tuple(part for part in (section, rest) if part)
    table, _, entry = rest.partition(".")
    if entry and f"{section}.{table}" in known and not _wrong({section: {table: {entry: "1s"}}}):
        return section, table, entry
    raise ConfigError(f"{key}: there is no such key", hint=_nearest(tuple(key.split("."))))


def _fitting(path: tuple[str, ...], text: str) -> Any:
    """The value that a person means by this text, by what the key takes."""
    failed: list[Wrong] = []
    for value in _readings(text):
        found = _wrong(_with({}, path, value))
        if not found:
            return value
        failed += found
    told = next((found for found in failed if found.kind == "value"), failed[0])
    kind = InvalidError if told.kind == "value" else UsageError
    said = "that" if path[0] == "notify" else repr(text)  # an address may be a secret
    raise kind(f"{'.'.join(path)}: {said} won't do: {told.what}", hint=told.hint)


def _at(policy: Policy, path: tuple[str, ...]) -> Any:
    """The value of a key; None for an entry that a table doesn't have."""
    return _held(policy.model_dump(mode="json"), path)


def _held(data: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        data = data.get(part) if isinstance(data, dict) else None
    return data


def _flat(data: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each key that is no table itself, or an empty one."""
    for name, value in data.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, (*above, name))
        else:
            yield (*above, name), value


def _readings(text: str) -> Iterator[Any]:
    """What a text can mean, likeliest first: a TOML list, the text itself, another TOML value, a list of one."""
    literal: Any = text
    with suppress(tomllib.TOMLDecodeError, RecursionError):
        literal = tomllib.loads(f"x = {text}")["x"] if "\n" not in text else text
    if isinstance(literal, list):
        yield literal
    yield text
    if not isinstance(literal, str | list):
        yield literal
    word = text.strip().lower()
    if word in {"yes", "on", "no", "off", "true", "false"}:
        yield word in {"yes", "on", "true"}
    yield [text]


def _with(data: Mapping[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """The same data with one value set."""
    first, *rest = path
    inner = data.get(first, {})
    return {
        **data,
        first: _with(inner if isinstance(inner, dict) else {}, tuple(rest), value) if rest else value,
    }
