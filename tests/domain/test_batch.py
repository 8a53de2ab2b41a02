"""Files of tasks: read in every format, wrong ones with the line, written so that they read back."""

from __future__ import annotations

import json

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from gitpw.domain.batch import Format, format_of, read, said, written
from gitpw.domain.operation import NewTask
from gitpw.domain.task import TaskType
from gitpw.errors import PwError

TOML = '''\
# a list of work

[[task]]
key = "build"
title = "Build it"
files = ["src", "docs/*.md"]

[[ task ]]  # the second
title = "Test it"
type = "test"
after = ["build"]
priority = 1
description = """
[[task]]
title = "not a task"
"""
'''


def test_toml() -> None:
    """Tasks in their order, with the line at which each begins."""
    first, second = read("t.toml", TOML)
    assert (first.line, first.task.key, first.task.files) == (3, "build", ("src", "docs/*.md"))
    assert (second.line, second.task.type, second.task.after) == (8, TaskType.TEST, ("build",))
    assert "not a task" in second.task.description


@pytest.mark.parametrize("wrap", [False, True])
def test_json(wrap: bool) -> None:
    """A list, or an object with the list in it; whatever else the object holds is of no interest."""
    text = '[\n  {"title": "a"},\n  {"title": "b", "files": ["x"],\n   "estimate": 5}\n]'
    if wrap:
        text = '{"version": [1, {"tasks": 2}],\n"tasks": ' + text + "}"
    entries = read("t.json", text)
    assert [(entry.line - wrap, entry.task.title) for entry in entries] == [(2, "a"), (3, "b")]
    assert entries[1].task.estimate == 5


def test_json_lines() -> None:
    """One a line; empty lines don't count, but are counted."""
    entries = read("t.jsonl", '{"title": "a"}\r\n\r\n{"title": "b"}\n')
    assert [(entry.line, entry.task.title) for entry in entries] == [(1, "a"), (3, "b")]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("x.toml", "", Format.TOML),
        ("X.JSON", "", Format.JSON),
        ("x.ndjson", "", Format.JSONL),
        ("x.jsonl", "", Format.JSONL),
        ("-", '[{"title": "a"}]', Format.JSON),
        ("-", "[\n]", Format.JSON),
        ("-", '[[task]]\ntitle = "a"', Format.TOML),
        ("-", '{"tasks": []}', Format.JSON),
        ("-", '{\n"tasks": []}', Format.JSON),
        ("-", '{"title": "a"}\n{"title": "b"}', Format.JSONL),
        ("-", '{"title": "a"}', Format.JSONL),
        ("-", "# nothing\n", Format.TOML),
        ("a.b/tasks", '{"title": "a"}', Format.JSONL),
    ],
)
def test_format(name: str, text: str, expected: Format) -> None:
    """By the extension, else by what is in it."""
    assert format_of(name, text) is expected


def test_one_task_as_json() -> None:
    """An object that is a task stands for itself."""
    (entry,) = read("t.json", '\ufeff\n{"title": "a",\n"priority": 2}')
    assert (entry.line, entry.task.priority) == (2, 2)


@pytest.mark.parametrize(
    ("name", "text", "line", "what", "exit_"),
    [
        ("t.toml", TOML + "x = \n", 17, "invalid value", 2),
        ("t.toml", TOML + "\n[[task]]\ntitle = 'x'\npriority = 9\n", 20, "priority must be at most 5", 6),
        ("t.toml", TOML + "\n[[task]]\n\ntitel = 'x'\n", 20, "'titel' is no key of a task", 6),
        ("t.toml", TOML + "\n[[task]]\ntitle = 'x'\nfiles = 'a'\n", 20, "files won't do", 6),
        ("t.toml", TOML + "\n[[task]]\n\nkey = 'x'\n", 18, "has no title", 6),
        ("t.toml", "[[task]]\ntitle = 'x'\n[defaults]\npriority = 1\n", 3, "'defaults' is no table", 6),
        ("t.toml", "\ntask = 'x'\n", 2, "a list of tables", 6),
        ("t.toml", "\ntask = [{title = 'x'}, {title = ''}]\n", 2, "title must not be empty", 6),
        (
            "t.json",
            '[\n{"title": "a"},\n{"title": "b",\n"priority": 0}]',
            4,
            "priority must be at least 1",
            6,
        ),
        ("t.json", '[\n{"title": "a"},\n{"nope": 1}\n]', 3, "'nope' is no key", 6),
        ("t.json", '[\n{"title": "a"},\n7]', 3, "a table of keys", 6),
        ("t.json", '[\n{"title": "a"},\n{"title": "b"\n"x": 1}]', 4, "expecting ','", 2),
        ("t.json", '{"tasks":\n"x"}', 2, "tasks are a list", 6),
        ("t.json", '[\n{"title": "a", "priority": NaN}]', 2, "no number", 6),
        ("t.json", "[" * 100_000, 1, "nested too deeply", 2),
        ("t.jsonl", '{"title": "a"}\n\n{"title": "b"', 3, "expecting", 2),
        ("t.jsonl", '{"title": "a"}\n{"title": "b", "type": "nope"}', 2, "type won't do", 6),
        ("t.jsonl", '{"title": "a"}\n{"title": "b", "key": ""}', 2, "key must not be empty", 6),
        ("t.jsonl", '{"title": "\\ud800"}', 1, "half a character", 6),
        (
            "t.json",
            '[{"title": "a"},\n{"title": "b",\n"priority": 1,\n"title": "c"}]',
            4,
            "title is said twice",
            6,
        ),
        ("t.jsonl", '{"title": "a"}\n{"title": "b", "title": "c"}', 2, "title is said twice", 6),
        ("t.toml", "[[task]]\ntitle = " + "[" * 5000 + "]" * 5000, 2, "nested too deeply", 2),
    ],
)
def test_wrong(name: str, text: str, line: int, what: str, exit_: int) -> None:
    """Whatever is wrong, the line is named."""
    with pytest.raises(PwError) as caught:
        read(name, text)
    assert caught.value.message.startswith(f"{name}:{line}: ")
    assert what in caught.value.message
    assert caught.value.exit == exit_


def test_texts_that_look_like_heads() -> None:
    """The line of a task is right among thousands with such a text: each is looked at once."""
    one = '[[task]]\ntitle = "x"\ndescription = """\n[[task]]\n"""\n'
    entries = read("t.toml", one * 3000)
    assert [entry.line for entry in entries] == list(range(1, 15_000, 5))


def test_a_near_key_is_suggested() -> None:
    """As people mistype them."""
    with pytest.raises(PwError) as caught:
        read("t.jsonl", '{"title": "a", "skils": []}')
    assert caught.value.hint == "did you mean skills?"


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
tasks = st.builds(
    NewTask,
    title=words.filter(bool),
    type=st.sampled_from(list(TaskType)),
    description=words,
    priority=st.integers(1, 5),
    files=st.lists(words, max_size=2).map(tuple),
    after=st.lists(words, max_size=2).map(tuple),
    skills=st.lists(words, max_size=2).map(tuple),
    estimate=st.none() | st.integers(0, 10),
    issue=st.none() | st.integers(1, 10),
    key=st.none() | words.filter(bool),
    parent=st.none() | words,
    related=st.lists(words, max_size=1).map(tuple),
    found_by=st.none() | words,
)


@given(st.lists(tasks, max_size=4), st.sampled_from(list(Format)))
def test_written_reads_back(given_: list[NewTask], how: Format) -> None:
    """What is written is read as what it was, whatever letters are in it; each line is that of its entry."""
    text = written(given_, how, tomli_w.dumps)
    entries = read("x", text, how)
    assert [entry.task for entry in entries] == given_
    for entry in entries:
        rest = "\n".join(text.split("\n")[entry.line - 1 :])
        assert rest.lstrip().startswith("[[task]]" if how is Format.TOML else "{")
        if how is not Format.TOML:
            row = rest.split("\n")[0].strip().rstrip(",")
            assert json.loads(row) == said(entry.task)
