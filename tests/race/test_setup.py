"""What else many do at once: begin a ledger, add tasks, make worktrees in one clone, lock from one checkout."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.race.crowd import short_lived
from tests.race.runner import Run
from tests.support.git import clone, git, make_upstream, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Remote
    from tests.race.runner import Herd

pytestmark = [pytest.mark.race, pytest.mark.timeout(240)]

SOME = 10
HTTP = pytest.mark.parametrize(
    "remote", ["path", pytest.param("http", marks=pytest.mark.server)], indirect=True
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where the clones lie."""
    with short_lived() as found:
        yield found


def copies(remote: Remote, folder: Path) -> list[Path]:
    """Clones of a remote that has no ledger yet."""
    first = clone(remote.url, folder / "w0")
    rest = [shutil.copytree(first, folder / f"w{number}", symlinks=True) for number in range(1, SOME)]
    return [first, *rest]


@HTTP
def test_one_ledger_is_begun(herd: Herd, remote: Remote, folder: Path) -> None:
    """Ten clones say `init` at once: one of them begins the ledger, the others join that one."""
    places = copies(remote, folder)
    answers = herd.run(*(Run(["init"], place) for place in places))
    assert [answer.exit for answer in answers] == [0] * SOME, "\n".join(map(str, answers))
    assert len({answer.data["ledger"] for answer in answers}) == 1
    assert [answer.data["created"] for answer in answers].count(True) == 1
    assert git("rev-list", "--count", "refs/pw/locks/main", cwd=remote.bare) == "1"


@HTTP
def test_each_task_gets_a_number_of_its_own(herd: Herd, remote: Remote, folder: Path) -> None:
    """Ten clones add a task at once: all are there, numbered from 1 to 10."""
    places = copies(remote, folder)
    herd.run(Run(["init", "--no-hooks"], places[0]))
    answers = herd.run(*(Run(["task", "add", f"By {n}"], place) for n, place in enumerate(places)))
    assert [answer.exit for answer in answers] == [0] * SOME, "\n".join(map(str, answers))
    numbers = sorted(answer.data["task"]["id"] for answer in answers)
    assert numbers == [f"task-{number:03}" for number in range(1, SOME + 1)]


def test_worktrees_are_made_side_by_side(herd: Herd, folder: Path) -> None:
    """Ten workers claim at once in one clone: each gets a worktree of its own, whole, clean and on its branch."""
    bare = make_upstream(folder / "up.git", {f"src/{n}/{n}.ts": f"// {n}\n" for n in range(400)})
    place = clone(bare, folder / "work")
    herd.run(Run(["init", "--no-hooks"], place))
    for number in range(SOME):
        herd.run(Run(["task", "add", f"Task {number}", "--file", f"src/{number}"], place))
    answers = herd.run(*(Run(["claim"], place, {"GITPW_WORKER": f"w{number}"}) for number in range(SOME)))
    assert [answer.exit for answer in answers] == [0] * SOME, "\n".join(map(str, answers))
    assert len({answer.data["worktree"] for answer in answers}) == SOME
    for answer in answers:
        tree = Path(answer.data["worktree"])
        assert git("branch", "--show-current", cwd=tree) == answer.data["branch"]
        assert git("status", "--porcelain", cwd=tree) == ""
        assert len(list(tree.rglob("*.ts"))) == 400
    assert git("status", "--porcelain", cwd=place) == "?? .gitpw.toml"
    assert run(["git", "fsck", "--no-progress"], place).exit == 0


def test_one_checkout_forgets_none_of_its_locks(herd: Herd, folder: Path) -> None:
    """Ten locks taken at once in one checkout are all granted, and all renewed by one heartbeat."""
    place = clone(make_upstream(folder / "up.git"), folder / "work")
    herd.run(Run(["init", "--no-hooks"], place))
    answers = herd.run(*(Run(["lock", f"src/{number}"], place) for number in range(SOME)))
    assert [answer.exit for answer in answers] == [0] * SOME, "\n".join(map(str, answers))
    (beat,) = herd.run(Run(["heartbeat"], place))
    tokens = {answer.data["lock"]["token"] for answer in answers}
    (seen,) = herd.run(Run(["locks"], place))
    assert beat.exit == 0, str(beat)
    assert {lock["token"] for lock in seen.data["locks"]} == tokens
    assert len(beat.data["renewed"]) == SOME
