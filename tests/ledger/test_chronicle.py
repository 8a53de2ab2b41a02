"""The events that were read once: whatever happens to the file, what is told is what the commits say."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gitpw.adapters.process import run
from gitpw.domain.trail import Event
from gitpw.ledger import chronicle
from gitpw.ledger.chronicle import Chronicle, Step
from gitpw.ledger.local import LocalStore
from tests.domain.story import story
from tests.support.git import git

if TYPE_CHECKING:
    from pathlib import Path


class Commits:
    """A tree of commits by name; `walked` counts those that were looked at."""

    def __init__(self) -> None:
        self.steps: dict[str, Step] = {}
        self.gone: set[str] = set()
        self.walked = 0

    def add(self, before: str, *, event: bool = True) -> str:
        """A commit more, and its name."""
        name = f"{len(self.steps) + 1:040x}"
        counter = 1 + sum(1 for _ in self.walk(before)) if before else 1
        told = Event(counter, counter * 60, name[:32], name, "bob", "claim", "task-001", f"claim ✓ {name}")
        self.steps[name] = Step(name, before, told if event else None)
        return name

    def walk(self, tip: str) -> Iterator[Step]:
        """Newest first, as far back as they are here."""
        while tip in self.steps and tip not in self.gone:
            self.walked += 1
            yield self.steps[tip]
            tip = self.steps[tip].before

    def told(self, tip: str) -> list[Event]:
        """What a full read gives."""
        return [step.event for step in self.walk(tip) if step.event is not None]


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> Commits:
    """Blocks are of three events."""
    monkeypatch.setattr(chronicle, "EVENTS", 3)
    return Commits()


def grown(commits: Commits, number: int, tip: str = "") -> str:
    """So many commits more."""
    for _ in range(number):
        tip = commits.add(tip)
    return tip


def looks(commits: Commits, path: Path, tip: str) -> int:
    """How many commits are looked at to tell what must be right."""
    expected = commits.told(tip)
    commits.walked = 0
    assert list(Chronicle(path, commits.walk).events(tip)) == expected
    return commits.walked


def test_each_commit_is_read_once(commits: Commits, tmp_path: Path) -> None:
    """Again, only what is new is; one more is looked at, to see that it is known."""
    path, tip = tmp_path / "events", grown(commits, 10)
    assert looks(commits, path, tip) == 10
    assert looks(commits, path, tip) == 1
    assert looks(commits, path, grown(commits, 2, tip)) == 3
    looks(commits, path, tip)


def test_a_look_that_ends_early_keeps_nothing(commits: Commits, tmp_path: Path) -> None:
    """The last few are told without reading the rest, and the file never has a gap."""
    path, tip = tmp_path / "events", grown(commits, 10)
    assert next(Chronicle(path, commits.walk).events(tip)).counter == 10
    assert not path.exists()
    assert looks(commits, path, tip) == 10


def test_not_to_be_kept(commits: Commits, tmp_path: Path) -> None:
    """Whoever reads all only to count leaves no file."""
    path, tip = tmp_path / "events", grown(commits, 10)
    assert len(list(Chronicle(path, commits.walk).events(tip, keep=False))) == 10
    assert not path.exists()


def test_rewound_restored_and_replaced(commits: Commits, tmp_path: Path) -> None:
    """Of a history that isn't this one any more, only what both have is believed."""
    path, tip = tmp_path / "events", grown(commits, 10)
    looks(commits, path, tip)
    earlier = commits.steps[commits.steps[tip].before].before
    other = grown(commits, 4, earlier)
    assert looks(commits, path, other) < 12
    assert looks(commits, path, other) == 1
    root = grown(commits, 2)
    assert looks(commits, path, root) == 2
    assert looks(commits, path, root) == 1


def test_commits_without_an_event(commits: Commits, tmp_path: Path) -> None:
    """They are passed over, and known for that."""
    tip = commits.add(commits.add(grown(commits, 4), event=False), event=False)
    path = tmp_path / "events"
    assert looks(commits, path, tip) == 6
    assert looks(commits, path, tip) == 1


def test_history_that_comes_later(commits: Commits, tmp_path: Path) -> None:
    """What a shallow clone didn't have is told as soon as it has it, and kept from the second time on."""
    path, tip = tmp_path / "events", grown(commits, 10)
    commits.gone = {f"{6:040x}"}
    assert looks(commits, path, tip) == 4
    assert looks(commits, path, tip) == 1
    commits.gone = set()
    assert looks(commits, path, tip) == 1 + 6
    assert looks(commits, path, tip) == 10
    assert looks(commits, path, tip) == 1


def test_bounded(commits: Commits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that has grown too large loses its older half, which is read from the commits from then on."""
    monkeypatch.setattr(chronicle, "LARGEST", 2_000)
    path, tip = tmp_path / "events", grown(commits, 3)
    sizes = []
    for _ in range(40):
        looks(commits, path, tip)
        sizes.append(path.stat().st_size)
        tip = grown(commits, 1, tip)
    assert max(sizes) < 2_600
    assert 0 < looks(commits, path, tip) < 43


@pytest.mark.parametrize("cut", [0, 5, 30, 90, 300, -1, -40])
def test_half_written(cut: int, commits: Commits, tmp_path: Path) -> None:
    """What a killed process left is told anew and overwritten."""
    path, tip = tmp_path / "events", grown(commits, 10)
    looks(commits, path, tip)
    path.write_bytes(path.read_bytes()[:cut])
    looks(commits, path, tip)
    looks(commits, path, tip)
    assert looks(commits, path, tip) == 1


@given(st.data())
def test_any_damage(data: st.DataObject) -> None:
    """A bit that has changed anywhere changes nothing of what is told."""
    import tempfile
    from pathlib import Path

    commits = Commits()
    tip = grown(commits, 7)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(chronicle, "EVENTS", 3)
        path = Path(folder, "events")
        looks(commits, path, tip)
        content = bytearray(path.read_bytes())
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] ^= data.draw(st.integers(1, 255))
        path.write_bytes(bytes(content))
        looks(commits, path, tip)
        looks(commits, path, tip)
        looks(commits, path, grown(commits, 1, tip))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["grow", "rewind", "root", "cut", "flip", "unlink", "deep"]),
            st.integers(0, 50),
        )
    )
)
@example([("grow", 41), ("grow", 1), ("flip", 2)])  # the commit before the first event
def test_always_as_a_full_read(acts: list[tuple[str, int]]) -> None:
    """In whatever order things happen to the ledger and to the file, from a shallow clone on."""
    import tempfile
    from pathlib import Path

    commits = Commits()
    tip = grown(commits, 9)
    commits.gone = {f"{5:040x}"}
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(chronicle, "EVENTS", 3)
        patch.setattr(chronicle, "LARGEST", 1_500)
        path = Path(folder, "events")
        for act, number in acts:
            tip = _act(commits, path, tip, act, number)
            looks(commits, path, tip)


def _act(commits: Commits, path: Path, tip: str, act: str, number: int) -> str:
    content = path.read_bytes() if path.exists() else b""
    match act:
        case "grow":
            return grown(commits, number % 9, tip)
        case "rewind":
            past = [step.commit for step in commits.walk(tip)]
            return grown(commits, 1, past[number % len(past)]) if past else tip
        case "root":
            return grown(commits, 1 + number % 3)
        case "cut":
            path.write_bytes(content[: number * len(content) // 50])
        case "flip" if content:
            place = number * (len(content) - 1) // 50
            path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        case "unlink":
            path.unlink(missing_ok=True)
        case "deep":
            commits.gone = set()
    return tip


def test_another_process_writes(commits: Commits, tmp_path: Path) -> None:
    """Whoever finds the file being written tells everything without it."""
    path, tip = tmp_path / "events", grown(commits, 5)
    with path.with_suffix(".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert looks(commits, path, tip) == 5
        assert not path.exists()
    assert looks(commits, path, tip) == 5
    assert path.exists()


def test_changed_in_the_middle_of_a_look(commits: Commits, tmp_path: Path) -> None:
    """A file that another process has made anew meanwhile isn't written to, and what is told is right."""
    path, tip = tmp_path / "events", grown(commits, 9)
    looks(commits, path, tip)
    tip = grown(commits, 4, tip)
    reading = Chronicle(path, commits.walk).events(tip)
    found = [next(reading)]
    path.write_bytes(path.read_bytes()[:200])
    found += reading
    assert found == commits.told(tip)
    looks(commits, path, tip)


def test_where_nothing_can_be_written(commits: Commits, tmp_path: Path) -> None:
    """A folder that is a file is no reason to tell nothing."""
    (tmp_path / "pw").write_text("")
    assert looks(commits, tmp_path / "pw" / "events", grown(commits, 3)) == 3


READ = """
import sys
from gitpw.adapters.process import run
from gitpw.ledger.local import LocalStore
store = LocalStore(sys.argv[1], run)
print(*(event.counter for event in store.events(store.tip())))
"""


def test_many_processes_and_real_commits(tmp_path: Path) -> None:
    """Several that read at once, with the file and without, all tell the same."""
    store = LocalStore(str(tmp_path / "pw"), run)
    git("init", "--bare", "--quiet", str(store.path), cwd=tmp_path)
    tree, tip = git("mktree", cwd=store.path, input="").strip(), ""
    for told in story():
        parents = ["-p", tip] if tip else []
        tip = git("commit-tree", *parents, "-F", "-", tree, cwd=store.path, input=told.text).strip()
        git("update-ref", "refs/pw/locks/main", tip, cwd=store.path)
        if told.verb in {"add", "land"}:
            procs = [
                subprocess.Popen(
                    [sys.executable, "-c", READ, str(store.folder)], stdout=subprocess.PIPE, text=True
                )
                for _ in range(3)
            ]
            outs = {process.communicate()[0].strip() for process in procs}
            assert outs == {" ".join(str(entry.counter) for entry in store.history(tip))}
    assert [one.subject for one in store.events(tip)] == [entry.subject for entry in store.history(tip)]
