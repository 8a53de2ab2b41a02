"""However many workers ask at once, over whatever transport: one of them gets what they all want, and no grant is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.race.crowd import MANY, ROUNDS, Crowd, clones, granted_once, one_winner, short_lived, worktrees
from tests.race.runner import Herd, Run
from tests.support.cli import Call, Result, pw, pw_many
from tests.support.git import clone, git, make_upstream, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Remote

pytestmark = [pytest.mark.race, pytest.mark.timeout(240)]

HTTP = pytest.param("http", marks=pytest.mark.server)
OTHERS = [pytest.param(kind, marks=pytest.mark.server) for kind in ("git", "ssh")]
OVER_EACH = pytest.mark.parametrize("remote", ["path", HTTP, *OTHERS], indirect=True)
OVERLAPPING = pytest.mark.parametrize(
    "wanted",
    [
        pytest.param(["src/{}/page.ts"], id="same-file"),
        pytest.param(["src/{}", "src/{}/page.ts"], id="folder-and-file"),
        pytest.param(["src/{}/*.ts", "src/{}/page.ts"], id="glob-and-file"),
    ],
)


@pytest.fixture
def crowd(herd: Herd, remote: Remote) -> Iterator[Crowd]:
    """Twenty workers with a clone each."""
    with short_lived() as folder:
        yield clones(herd, remote, folder)


@pytest.fixture
def housemates(herd: Herd) -> Iterator[Crowd]:
    """Twenty workers with a worktree each, in one repository that has no remote."""
    with short_lived() as folder:
        yield worktrees(herd, make_upstream(folder / "start.git"), folder)


def race_for_tasks(crowd: Crowd) -> None:
    """In each round all claim the same task; the winner gets room for the rounds that follow."""
    for number in range(ROUNDS):
        crowd.ask("task", "add", f"Task {number}", "--file", f"src/{number}/a.ts")
    grants = []
    for number in range(1, ROUNDS + 1):
        task = f"task-00{number}"
        winner, lock = one_winner(crowd.race(["claim", task, "--no-worktree"]), crowd.workers)
        assert (lock["workerId"], lock["taskId"]) == (winner, task)
        grants.append(lock)
        crowd.ask("worker", "register", winner, "--max-tasks", str(ROUNDS))
    granted_once(crowd, grants)


def race_for_files(crowd: Crowd, wanted: list[str]) -> None:
    """In each round the workers lock, in turn, one of the resources, which overlap."""
    grants = []
    for number in range(ROUNDS):
        resources = [text.format(number) for text in wanted]
        answers = crowd.race(*(["lock", resource] for resource in resources))
        winner, lock = one_winner(answers, crowd.workers)
        assert lock["lockedFiles"] == [resources[crowd.workers.index(winner) % len(resources)]]
        assert {answer.data["holder"]["path"] for answer in answers if answer.exit} == {*lock["lockedFiles"]}
        grants.append(lock)
    granted_once(crowd, grants)


@OVER_EACH
def test_one_of_twenty_clones_gets_the_task(crowd: Crowd) -> None:
    """Five rounds, one winner in each; the others are told who it is."""
    race_for_tasks(crowd)


@OVER_EACH
@OVERLAPPING
def test_one_of_twenty_clones_gets_the_files(crowd: Crowd, wanted: list[str]) -> None:
    """What overlaps is granted once, five rounds long: the same file, a folder and a file in it, a glob and a match."""
    race_for_files(crowd, wanted)


def test_one_of_twenty_worktrees_gets_the_task(housemates: Crowd) -> None:
    """Without a remote the worktrees of one repository coordinate as clones do."""
    race_for_tasks(housemates)


@OVERLAPPING
def test_one_of_twenty_worktrees_gets_the_files(housemates: Crowd, wanted: list[str]) -> None:
    """Without a remote, too, what overlaps is granted once."""
    race_for_files(housemates, wanted)


@pytest.mark.parametrize("remote", [HTTP], indirect=True)
def test_one_of_twenty_programs_gets_the_task(crowd: Crowd) -> None:
    """The installed program, started twenty times, does the same: nothing hangs on how the others are started."""
    crowd.ask("task", "add", "Wanted by all", "--file", "src/auth")
    calls = [
        Call(["claim", "task-001", "--no-worktree"], place, {"GITPW_WORKER": worker})
        for place, worker in zip(crowd.places, crowd.workers, strict=True)
    ]
    granted_once(crowd, [one_winner(pw_many(calls), crowd.workers)[1]])


def each_gets_another(crowd: Crowd) -> None:
    """There is a task for each of them, they all ask for any, and each gets one that nobody else has."""
    for number in range(MANY):
        crowd.ask("task", "add", f"Task {number}", "--file", f"src/{number}")
    answers = crowd.race(["claim", "--no-worktree"])
    assert [answer.exit for answer in answers] == [0] * MANY, "\n".join(str(a) for a in answers if a.exit)
    assert len({answer.data["task"]["id"] for answer in answers}) == MANY
    granted_once(crowd, [answer.data["lock"] for answer in answers])


@pytest.mark.parametrize("remote", ["path", HTTP], indirect=True)
def test_twenty_clones_get_twenty_tasks(crowd: Crowd) -> None:
    """Whoever is beaten takes the next best task; nobody fails, nothing is given twice."""
    each_gets_another(crowd)


def test_twenty_worktrees_get_twenty_tasks(housemates: Crowd) -> None:
    """The same without a remote."""
    each_gets_another(housemates)


def claims_of_one_name(herd: Herd, first: Path, second: Path) -> list[Result]:
    """Two agents whom nobody has given a name claim at once, three times, with room for all that they get."""
    for number in range(6):
        herd.run(Run(["task", "add", f"Task {number}", "--file", f"src/{number}.ts"], first))
    herd.run(Run(["worker", "register", "--max-tasks", "6"], first))
    calls = [Call(["claim", "--no-worktree"], first), Call(["claim", "--no-worktree"], second)]
    return [answer for _ in range(3) for answer in pw_many(calls)]


def never_the_same(herd: Herd, first: Path, second: Path) -> None:
    """They are one worker to the ledger, and yet get different tasks and are kept off each other's files."""
    answers = claims_of_one_name(herd, first, second)
    assert [answer.exit for answer in answers] == [0] * len(answers), "\n".join(map(str, answers))
    assert len({answer.data["lock"]["workerId"] for answer in answers}) == 1
    assert len({answer.data["task"]["id"] for answer in answers}) == len(answers)
    theirs = answers[-1].data["lock"]
    refused = pw("claim", theirs["taskId"], "--no-worktree", cwd=first, check=3).data
    assert refused["holder"]["taskId"] == theirs["taskId"]
    assert "another checkout" in refused["message"]
    (file,) = theirs["lockedFiles"]
    assert pw("lock", file, cwd=first, check=3).data["holder"]["path"] == file
    assert "held by" in commit(first, file, check=False).err
    commit(second, file)


def commit(checkout: Path, file: str, *, check: bool = True) -> Result:
    """Change a file and commit it, if the hooks let it pass."""
    (checkout / file).write_text("export {}\n")
    git("add", file, cwd=checkout)
    done = run(["git", "commit", "-qm", "Change a file"], cwd=checkout, check=check)
    return Result(done.args, done.exit, done.out, done.err)


def test_one_name_in_two_clones(herd: Herd, tmp_path: Path) -> None:
    """Two agents with the same default identity and a clone each never get the same task or each other's files."""
    bare = make_upstream(tmp_path / "up.git")
    first, second = clone(bare, tmp_path / "one"), clone(bare, tmp_path / "two")
    for place in (first, second):
        pw("init", cwd=place, check=0)
    never_the_same(herd, first, second)


def test_one_name_in_two_checkouts_of_a_clone(herd: Herd, tmp_path: Path) -> None:
    """Two agents with the same default identity, one of them in a linked worktree, are kept apart as well."""
    first = clone(make_upstream(tmp_path / "up.git"), tmp_path / "one")
    pw("init", cwd=first, check=0)
    git("worktree", "add", "-q", "-b", "side", tmp_path / "two", cwd=first)
    never_the_same(herd, first, tmp_path / "two")


def test_room_for_one_is_for_one_name(tmp_path: Path) -> None:
    """Of two agents of one name with room for one task, exactly one gets it, and the other is told what it holds."""
    bare = make_upstream(tmp_path / "up.git")
    places = [clone(bare, tmp_path / name) for name in ("one", "two")]
    pw("init", "--no-hooks", cwd=places[0], check=0)
    for number in range(2):
        pw("task", "add", f"Task {number}", cwd=places[0], check=0)
    winner, loser = sorted(
        pw_many([Call(["claim", "--no-worktree"], place) for place in places]), key=lambda answer: answer.exit
    )
    assert (winner.exit, loser.exit) == (0, 6)
    assert loser.data["holding"] == [winner.data["task"]["id"]]
