"""lock, unlock, locks."""

from __future__ import annotations

from datetime import timedelta

from gitpw.domain.ids import TaskId
from gitpw.domain.lock import Held, Mode
from gitpw.services.lock import Locked
from gitpw.services.locks import Locks
from gitpw.services.unlock import Unlocked
from tests.cli.conftest import NOW, Cli, Serve, a_claim, a_lease, a_waiter


def test_lock_asks_for_all_of_it(cli: Cli, serve: Serve) -> None:
    """Names as typed, whatever they are."""
    run = serve("lock.lock", a_claim(None))
    cli("lock", "--lease", "2h", "--wait", "--reason", "why", "--", "a b", "-c", "d\ne", "--json")
    assert run.call_args.args[1] == ["a b", "-c", "d\ne", "--json"]
    assert run.call_args.kwargs == {"shared": False, "lease": "2h", "wait": "5m", "reason": "why"}


def test_lock_answers_with_the_record_of_its_mode(cli: Cli, serve: Serve) -> None:
    """A claim may hold both modes; the one that was asked for is the answer."""
    both = (Held(resource="a", mode=Mode.EXCLUSIVE), Held(resource="b", mode=Mode.SHARED))
    serve("lock.lock", Locked(a_claim(None, locks=both), []))
    assert cli("lock", "--shared", "b", "--json").data["lock"]["lockedFiles"] == ["b"]
    assert cli("lock", "a", "--json").data["lock"]["lockedFiles"] == ["a"]
    assert cli("lock", "b", "--shared").out == "locked b (shared, 48m left)\n"


def test_lock_says_what_is_worth_knowing(cli: Cli, serve: Serve) -> None:
    """To people and to programs."""
    serve("lock.lock", Locked(a_claim(None), ["main has newer versions of a"]))
    assert cli("lock", "a").err == "main has newer versions of a\n"
    assert cli("lock", "a", "--json").data["notes"] == ["main has newer versions of a"]


def test_unlock(cli: Cli, serve: Serve) -> None:
    """What was, and what wasn't."""
    run = serve("unlock.unlock", Unlocked(["a"], ["b was not locked"]))
    answer = cli("unlock", "a", "b", "--force", "--reason", "on leave")
    assert (answer.out, answer.err) == ("unlocked a\n", "b was not locked\n")
    assert run.call_args.kwargs == {"all_": False, "force": True, "reason": "on leave"}
    assert cli("unlock", "--all", "--json").data["unlocked"] == ["a"]


def test_locks_in_a_pipe(cli: Cli, serve: Serve) -> None:
    """A line for each resource, who and how long; a lock in the merge queue has no end."""
    records = [
        *a_claim().public(),
        *a_claim(2, queued=True).public(),
        *a_claim(None, lease=a_lease(-5)).public(),
    ]
    run = serve("locks.locks", Locks(records, None))
    answer = cli("locks", "src")
    rows = [line.split(maxsplit=4) for line in answer.out.splitlines()]
    assert rows == [
        ["RESOURCE", "MODE", "WORKER", "TASK", "LEASE"],
        ["src/auth/login.ts", "exclusive", "alice", "task-001", "48m left"],
        ["src/auth/login.ts", "exclusive", "alice", "task-002", "in merge queue"],
        ["src/auth/login.ts", "exclusive", "alice", "-", "overdue 5m"],
    ]
    assert run.call_args.args[1] == ["src"]


def test_locks_and_who_waits_for_them(cli: Cli, serve: Serve) -> None:
    """Who waits has a row for each file, or for the task, with its place in line."""
    waits = [
        a_waiter(locks=(*locks_of("src/a"), *locks_of("src/b"))).public(2),
        a_waiter(8, verb="claim", task=TaskId("task-003"), locks=()).public(1),
        a_waiter(9, verb="claim", locks=()).public(1),
    ]
    serve("locks.locks", Locks([], None, waits))
    assert [" ".join(line.split()) for line in cli("locks").out.splitlines()[1:]] == [
        "src/a waiting bob - number 2 in line",
        "src/b waiting bob - number 2 in line",
        "task-003 waiting bob task-003 number 1 in line",
        "any task waiting bob - number 1 in line",
    ]
    assert cli("locks", "--json").data["waits"][0] == {
        "workerId": "bob",
        "workerType": "human",
        "verb": "lock",
        "taskId": None,
        "files": ["src/a", "src/b"],
        "mode": "exclusive",
        "since": "2026-03-01T12:00:00Z",
        "until": "2026-03-01T12:05:00Z",
        "place": 2,
    }


def locks_of(name: str) -> tuple[Held, ...]:
    """An exclusive lock."""
    return (Held(resource=name, mode=Mode.EXCLUSIVE),)


def test_locks_as_data(cli: Cli, serve: Serve) -> None:
    """The records, and how old they are."""
    serve("locks.locks", Locks(a_claim().public(), NOW - timedelta(hours=3)))
    data = cli("locks", "--json").data
    assert (data["locks"], data["asOf"]) == (a_claim().public(), "2026-03-01T09:00:00Z")
    assert cli("locks").err == "the remote can't be asked: this is 3h00m old\n"
