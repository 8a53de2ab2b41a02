"""Workers that wait for the same: each gets it in its turn, whatever becomes of those before it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.cli import pw
from tests.support.git import clone, git, make_upstream
from tests.support.waiting import Waiting, waiting

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Remote

pytestmark = [pytest.mark.race, pytest.mark.timeout(240)]

HTTP = pytest.param("http", marks=pytest.mark.server)
FILE = "src/auth/login.ts"
MANY = 4


def ask(place: Path, worker: str, *words: str) -> Any:
    """What a command says that must succeed."""
    return pw(*words, cwd=place, env={"GITPW_WORKER": worker}, check=0).data


def clones(remote: Remote, folder: Path, many: int) -> list[Path]:
    """Clones of a remote that has a ledger."""
    places = [clone(remote.url, folder / f"w{number}") for number in range(many)]
    pw("init", "--no-hooks", cwd=places[0], check=0)
    return places


def worktrees(folder: Path, many: int) -> list[Path]:
    """Checkouts of one repository that has no remote."""
    places = [clone(make_upstream(folder / "start.git"), folder / "w0")]
    git("remote", "remove", "origin", cwd=places[0])
    for number in range(1, many):
        places.append(folder / f"w{number}")
        git("worktree", "add", "-q", "--detach", places[-1], cwd=places[0])
    pw("init", "--no-hooks", cwd=places[0], check=0)
    return places


def served_in_order(places: list[Path]) -> None:
    """Each begins to wait when the one before it stands in line; the holder lets go, and then each in its turn."""
    holder, *others = places
    ask(holder, "holder", "lock", FILE)
    with ExitStack() as ends:
        line: list[Waiting] = []
        for number, place in enumerate(others):
            one = waiting("lock", FILE, "--wait", "120s", cwd=place, worker=f"w{number}")
            line.append(ends.enter_context(one))
            assert line[-1].said[-1].endswith(f"number {number + 1} in line")
        told = ask(holder, "holder", "locks")["waits"]
        assert [(one["workerId"], one["place"]) for one in told] == [
            (f"w{number}", number + 1) for number in range(len(others))
        ]
        ask(holder, "holder", "unlock", FILE)
        tokens = []
        for number, place in enumerate(others):
            tokens.append(line[number].end()["lock"]["token"])
            ask(place, f"w{number}", "unlock", FILE)
    assert tokens == sorted(tokens)
    events = ask(holder, "holder", "log", "--all")["events"]
    granted = [event["workerId"] for event in events if event["verb"] == "lock"]
    assert granted == ["holder", *(f"w{number}" for number in range(len(others)))]
    assert ask(holder, "holder", "locks")["waits"] == []


@pytest.mark.parametrize("remote", ["path", HTTP], indirect=True)
def test_clones_get_it_in_the_order_of_waiting(remote: Remote, tmp_path: Path) -> None:
    """Workers with a clone each, who wait for one file, get it one after the other."""
    served_in_order(clones(remote, tmp_path, MANY))


def test_worktrees_get_it_in_the_order_of_waiting(tmp_path: Path) -> None:
    """The same in one repository without a remote."""
    served_in_order(worktrees(tmp_path, MANY + 1))


@pytest.mark.parametrize("remote", ["path"], indirect=True)
def test_nobody_overtakes(remote: Remote, tmp_path: Path) -> None:
    """The holder that lets go, and asks again at once, is told who goes first; so is one who claims any task."""
    first, second = clones(remote, tmp_path, 2)
    ask(first, "ada", "task", "add", "Log in", "--file", FILE)
    ask(first, "ada", "lock", FILE)
    with waiting("lock", FILE, "--wait", cwd=second, worker="bob") as bob:
        ask(first, "ada", "unlock", FILE)
        for words, status in ((("lock", FILE), 3), (("claim", "--no-worktree"), 4)):
            refused = pw(*words, cwd=first, env={"GITPW_WORKER": "ada"}, check=status).data
            assert "bob" in str(refused)
        bob.end()


@pytest.mark.parametrize("remote", ["path"], indirect=True)
def test_two_that_wait_for_each_other(remote: Remote, tmp_path: Path) -> None:
    """The second is refused at once, and the circle is named."""
    first, second = clones(remote, tmp_path, 2)
    ask(first, "ada", "lock", "src/auth")
    ask(second, "bob", "lock", "src/cart")
    with waiting("lock", "src/cart/basket.ts", "--wait", cwd=first, worker="ada"):
        refused = pw("lock", FILE, "--wait", cwd=second, env={"GITPW_WORKER": "bob"}, check=6).data
    assert refused["code"] == "invalid"
    assert refused["message"] == (
        f"waiting would never end: bob waits for {FILE} held by ada, "
        "who waits for src/cart/basket.ts held by bob"
    )
    assert [step["workerId"] for step in refused["circle"]] == ["bob", "ada"]


@pytest.mark.parametrize("remote", ["path"], indirect=True)
def test_killed_in_line_elsewhere(remote: Remote, tmp_path: Path) -> None:
    """Whoever waits behind one that was killed on another machine gets the file within a minute or so."""
    first, second, third = clones(remote, tmp_path, 3)
    ask(first, "ada", "lock", FILE)
    with (
        waiting("lock", FILE, "--wait", "1d", cwd=second, worker="bob") as bob,
        waiting("lock", FILE, "--wait", "120s", cwd=third, worker="cy") as cy,
    ):
        bob.kill()
        ask(first, "ada", "unlock", FILE)
        assert cy.end()["lock"]["workerId"] == "cy"
    assert ask(first, "ada", "locks")["waits"] == []


def test_killed_in_line_on_this_machine(tmp_path: Path) -> None:
    """Behind one that was killed on the same machine nobody waits: the next command there takes it out of the line."""
    first, second, third = worktrees(tmp_path, 3)
    ask(first, "ada", "lock", FILE)
    with (
        waiting("lock", FILE, "--wait", "1d", cwd=second, worker="bob") as bob,
        waiting("lock", FILE, "--wait", "1d", cwd=third, worker="cy") as cy,
    ):
        bob.kill()
        ask(first, "ada", "unlock", FILE)
        cy.end(timeout=30)
    verbs = [event["verb"] for event in ask(first, "ada", "log", "--all")["events"]]
    assert "leave" in verbs
    assert "call" not in verbs


@pytest.mark.parametrize("remote", ["path", HTTP], indirect=True)
def test_interrupted(remote: Remote, tmp_path: Path) -> None:
    """^C gives the place up at once."""
    first, second = clones(remote, tmp_path, 2)
    ask(first, "ada", "lock", FILE)
    with waiting("lock", FILE, "--wait", cwd=second, worker="bob") as bob:
        bob.interrupt()
        assert bob.end(130)["code"] == "interrupted"
    assert ask(first, "ada", "locks")["waits"] == []
    assert not list((second / ".git/pw/journal").glob("*"))


@pytest.mark.parametrize("remote", ["path"], indirect=True)
def test_the_end_of_patience(remote: Remote, tmp_path: Path) -> None:
    """When the time is up the place is given up, and the answer says how far one had come."""
    first, second = clones(remote, tmp_path, 2)
    ask(first, "ada", "lock", FILE)
    with waiting("lock", FILE, "--wait", "3s", cwd=second, worker="bob") as bob:
        told = bob.end(75)
    assert (told["code"], told["holder"]["workerId"]) == ("contended", "ada")
    assert told["wait"] == {"place": 1, "ahead": []}
    assert ask(first, "ada", "locks")["waits"] == []


@pytest.mark.parametrize("remote", ["path"], indirect=True)
def test_a_task_is_waited_for(remote: Remote, tmp_path: Path) -> None:
    """A claim waits for a task that there isn't yet, and for one that another holds; each is granted once."""
    first, second = clones(remote, tmp_path, 2)
    with waiting("claim", "--no-worktree", "--wait", cwd=second, worker="bob") as bob:
        status = ask(first, "ada", "status")
        assert [(one["workerId"], one["taskId"], one["place"]) for one in status["waits"]] == [
            ("bob", None, 1)
        ]
        ask(first, "ada", "task", "add", "Log in", "--file", FILE)
        assert bob.end()["task"]["id"] == "task-001"
    with waiting("claim", "task-001", "--no-worktree", "--wait", cwd=first, worker="ada") as ada:
        ask(second, "bob", "release")
        assert ada.end()["lock"]["workerId"] == "ada"
    assert ask(first, "ada", "locks")["waits"] == []
