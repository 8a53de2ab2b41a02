"""What happened, told by real commands on a real remote."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.race.runner import gathered
from tests.support.git import clone, git, make_upstream, run
from tests.support.team import Team

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.race.runner import Herd

CACHES = ("events", "events.lock", "history")


@pytest.fixture(scope="module")
def herd() -> Iterator[Herd]:
    """Starts git-pw processes without the wait for Python."""
    with gathered() as started:
        yield started


@pytest.fixture
def team(herd: Herd, tmp_path: Path) -> Team:
    """A task that alice holds, one that bob has given back, and some renewals."""
    bare = make_upstream(tmp_path / "up.git")
    team = Team(bare, clone(bare, tmp_path / "work"), herd, tmp_path / "lab")
    team.pw("init")
    team.pw("task", "add", "Fix the login", "--file", "src/a", "--type", "fix")
    team.pw("task", "add", "Count <b>prices</b>")
    team.pw("claim", "1", "--no-worktree")
    team.pw("claim", "2", "--no-worktree", worker="bob")
    team.pw("heartbeat")
    team.pw("heartbeat")
    team.pw("release", "2", worker="bob")
    return team


def numbers(team: Team) -> dict[tuple[str, ...], float]:
    """What monitoring sees; the last is the value."""
    text = run(["git", "pw", "status", "--prometheus"], team.work).out
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_log_of_a_clone_that_joined_late(team: Team) -> None:
    """It knows what happened since; with --all everything, from then on also without."""
    late = team.another("late")
    assert len(late.pw("log", "--json").data["events"]) == 1
    everything = team.pw("log", "--json").data["events"]
    assert late.pw("log", "--all", "--json").data["events"] == everything
    assert late.pw("log", "--json").data["events"] == everything
    assert [event["verb"] for event in everything].count("renew") == 2


def test_log_for_people(team: Team) -> None:
    """Sentences, of which renewals share one; filters choose among them."""
    told = run(["git", "pw", "log"], team.work).out
    assert "bob  claim task-002: Count <b>prices</b>\n" in told
    assert "alice  renewed 2 times until " in told
    assert run(["git", "pw", "log", "--verb", "claim", "-n", "1"], team.work).out.count("\n") == 1
    assert run(["git", "pw", "log", "--worker", "bob"], team.work).out.count("\n") == 2


def test_git_reads_the_ledger_too(team: Team) -> None:
    """Each commit says who did what."""
    git("fetch", "--quiet", "origin", "refs/pw/locks/main", cwd=team.work)
    lines = git("log", "--format=%s", "FETCH_HEAD", cwd=team.work).splitlines()
    assert lines[0] == "release task-002: Count <b>prices</b> (bob)"
    assert lines[3] == "claim task-002: Count <b>prices</b> (bob)"


def test_numbers_of_a_clone_that_joined_late(team: Team) -> None:
    """Counters begin where the ledger does, in every clone."""
    late = team.another("late")
    for clone_ in (late, team):
        found = numbers(clone_)
        assert found["gitpw_tasks_claimed_total", "fix"] == 1
        assert found["gitpw_tasks_claimed_total", "feat"] == 1
        assert found["gitpw_tasks", "claimed"] == 1
        assert found["gitpw_locks", "exclusive"] == 1
        assert found["gitpw_ledger_current",] == 1


@pytest.mark.parametrize("damage", [b"", b"git-pw events 1 - whole\n=9 00000000 x", b"\xff" * 500])
def test_damaged_caches_are_made_anew(damage: bytes, team: Team) -> None:
    """Nothing that is wrong with them is ever told, or stands in the way."""
    before, counted = team.pw("log", "--json").data, numbers(team)
    folder = team.work / ".git/pw"
    for name in CACHES:
        (folder / name).write_bytes(damage)
    assert team.pw("log", "--json").data == before
    assert set(numbers(team)) == set(counted)
    for name in CACHES:
        (folder / name).unlink()
        (folder / name).mkdir()
    assert team.pw("log", "--json").data == before
    assert set(numbers(team)) == set(counted)


def test_restored_ledger(team: Team) -> None:
    """A ledger that begins anew has a history that does."""
    assert numbers(team)["gitpw_operations_total", "begin"] == 1
    assert team.bare is not None
    git("update-ref", "-d", "refs/pw/locks/main", cwd=team.bare)
    team.pw("doctor", "--fix", check=None)
    assert [event["verb"] for event in team.pw("log", "--json").data["events"]] == ["restore"]
    found = numbers(team)
    assert found["gitpw_operations_total", "restore"] == 1
    assert ("gitpw_operations_total", "begin") not in found
