"""What is told of an operation, to whom, and in which words."""

from __future__ import annotations

import json

import pytest

from gitpw.domain.audience import addressees, events_wanted
from gitpw.domain.event import Event, event_named, nearest_event
from gitpw.domain.ids import ClaimId, TaskId
from gitpw.domain.merge import MergeState
from gitpw.domain.message import discord, document, plain, slack
from gitpw.domain.notice import _TELLERS, Notice, notices
from gitpw.domain.operation import (
    Add,
    Back,
    Complete,
    Done,
    Expire,
    Fail,
    Frozen,
    Land,
    Landing,
    Merging,
    Mine,
    NewTask,
    Operation,
    Refused,
    Register,
    Renew,
    Request,
    SendBack,
    Suspect,
    Take,
    Warn,
)
from gitpw.domain.policy import Notify, NotifyRule
from gitpw.domain.rulebook import apply
from gitpw.domain.task import FailureKind
from gitpw.services.notify import NEWS
from tests.domain.state import HOUR, LEDGER, NOON, State

HEAD, COMMIT = "a" * 40, "b" * 40


class Told(State):
    """A state that keeps what is told of its last operation."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Notice] = []

    def ask(self, request: Request, worker: str = "ada", **more: object) -> Done | Refused:
        """Apply a request as the ledger does, and note what is told."""
        operation = Operation.from_json(self.operation(request, worker, **more).to_json())  # type: ignore[arg-type]
        board = self.board
        outcome = apply(board, operation)
        changed = isinstance(outcome, Refused) or outcome.changed
        self.told = notices(board, operation, outcome) if changed else []
        if isinstance(outcome, Done) and outcome.changed:
            for key, raw in board.changes.items():
                if raw is None:
                    self.cells.contents.pop(key, None)
                else:
                    self.cells.contents[key] = raw
        return outcome

    def events(self) -> list[tuple[str, str | None, str | None]]:
        """What was told: event, task, and whom it is about."""
        return [(one.event.value, one.task_id, one.worker_id) for one in self.told]


@pytest.fixture
def state() -> Told:
    """A task with a file, claimed by ada for an hour."""
    state = Told()
    state.ask(Add(tasks=(NewTask(title="Fix auth", files=("src/auth",)),)))
    state.ask(Register(id="ada", max_concurrent_tasks=5))
    state.ask(Take(lease=HOUR))
    return state


def completed(state: Told) -> Told:
    """The same, handed in."""
    state.ask(Complete(task=TaskId("task-001"), head=HEAD, branch="fix/task-001"))
    return state


def claim_of(state: Told) -> ClaimId:
    """The claim of the one task."""
    return next(state.board.claims()).id


def test_claimed(state: Told) -> None:
    """Who took which task, with its title, files and token."""
    assert state.events() == [("claimed", "task-001", "ada")]
    one = state.told[0]
    assert (one.title, one.files, one.priority) == ("Fix auth", ("src/auth",), 3)
    assert one.detail["token"] == one.counter == state.board.counter
    assert one.headline == "ada claimed task-001: Fix auth"


def test_signs_of_life_are_no_news(state: Told) -> None:
    """A renewal tells nobody anything."""
    claim = next(state.board.claims())
    state.ask(Renew(claims=(Mine(claim=claim.id, token=claim.token),)), minutes=50)
    assert state.told == []


def test_refused_names_the_holder(state: Told) -> None:
    """By whom the file is held, once and the same each time."""
    state.ask(Take(task=TaskId("task-001"), lease=HOUR), "bob")
    first = state.told[0]
    assert state.events() == [("refused", "task-001", "bob")]
    assert first.detail["holder"]["workerId"] == "ada"
    state.ask(Take(task=TaskId("task-001"), lease=HOUR), "bob", minutes=3)
    assert state.told[0].same == first.same
    state.ask(Take(task=TaskId("task-001"), lease=HOUR), "cid")
    assert state.told[0].same != first.same


def test_nothing_to_do_is_no_refusal(state: Told) -> None:
    """Who finds nothing to claim asks again later; that is no news."""
    assert isinstance(state.ask(Take(lease=HOUR), "bob"), Refused)
    assert state.told == []


def test_completed_and_merged(state: Told) -> None:
    """The hand-in, then the landing with its commit, about the owner and not the merger."""
    assert completed(state).events() == [("completed", "task-001", "ada")]
    state.ask(Merging(place="m", lease=HOUR), "bot")
    landing = Landing(task=TaskId("task-001"), head=HEAD, commit=COMMIT)
    state.ask(Land(landings=(landing,), commit=COMMIT), "bot")
    assert state.events() == [("merged", "task-001", "ada")]
    assert (state.told[0].by, state.told[0].commit) == ("bot", COMMIT)


def test_completed_without_a_queue_is_merged(state: Told) -> None:
    """Where nothing waits, both at once."""
    state.ask(Complete(task=TaskId("task-001"), head=HEAD, branch="b", queue=False))
    assert [one.event for one in state.told] == [Event.COMPLETED, Event.MERGED]


@pytest.mark.parametrize(("why", "event"), [(MergeState.CONFLICT, "conflict"), (MergeState.FAILED, "failed")])
def test_returned_by_the_queue(state: Told, why: MergeState, event: str) -> None:
    """A conflict, or red tests, with what the merger said."""
    completed(state)
    back = Back(task=TaskId("task-001"), head=HEAD, state=why, detail="src/auth")  # type: ignore[arg-type]
    stale = back.but(head=COMMIT)
    state.ask(SendBack(back=(stale, back)), "bot")
    assert state.events() == [(event, "task-001", "ada")]
    assert state.told[0].reason == "src/auth"


def test_failed_for_good_needs_a_person(state: Told) -> None:
    """Two notices: that it failed, and that nobody tries again."""
    state.ask(Fail(task=TaskId("task-001"), reason="no idea"))
    assert [one.event for one in state.told] == [Event.FAILED, Event.NEEDS_PERSON]
    assert len({one.key for one in state.told}) == 2


def test_failed_and_tried_again_needs_nobody(state: Told) -> None:
    """A timeout may go better another time."""
    state.ask(Fail(task=TaskId("task-001"), reason="too slow", kind=FailureKind.TIMEOUT))
    assert state.events() == [("failed", "task-001", "ada")]
    assert state.told[0].detail["kind"] == "timeout"


def test_a_red_base_branch_needs_a_person(state: Told) -> None:
    """Nothing merges before somebody has looked."""
    completed(state)
    state.ask(Merging(place="m", lease=HOUR), "bot")
    token = state.board.line.merger.token  # type: ignore[union-attr]
    state.ask(Frozen(token=token, commit=COMMIT, detail="exit 1"), "bot")
    assert state.events() == [("needs_person", None, "bot")]
    assert "red at bbbbbbbbbbbb" in state.told[0].headline


def test_a_lost_worker_is_told_of_by_the_first_mark_alone(state: Told) -> None:
    """Neither a second host's mark nor the end of the lease is news any more."""
    claim = claim_of(state)
    state.ask(Suspect(claims=(claim,)), "eve", host="east", minutes=70)
    assert state.events() == [("lost_worker", "task-001", "ada")]
    state.ask(Suspect(claims=(claim,)), "wim", host="west", minutes=71)
    assert state.told == []
    state.ask(Expire(), "wim", host="west", minutes=90)
    assert state.told == []


def test_a_lost_worker_without_a_mark_is_told_of_when_its_lease_ends(state: Told) -> None:
    """Two clocks agreed at once."""
    state.ask(Expire(), "ada", host="desk", minutes=70)
    assert state.told == []  # its own worker has come back
    state.ask(Take(lease=HOUR), minutes=71)
    state.ask(Expire(), "bob", host="desk", minutes=200)
    assert state.events() == [("lost_worker", "task-001", "ada")]
    assert state.told[0].detail["leaseEnded"]


def test_a_lost_worker_is_told_of_by_who_takes_over(state: Told) -> None:
    """The claim of a lost worker's task is two pieces of news."""
    state.ask(Take(task=TaskId("task-001"), lease=HOUR), "bob", host="desk", minutes=70)
    assert sorted(state.events()) == [("claimed", "task-001", "bob"), ("lost_worker", "task-001", "ada")]


def test_an_ending_lease_is_told_of_once(state: Told) -> None:
    """The second machine that notes it changes nothing; a renewal begins anew."""
    claim = claim_of(state)
    state.ask(Warn(claims=(claim,)), "eve", host="east", minutes=40)
    assert state.told == []
    state.ask(Warn(claims=(claim,)), "eve", host="east", minutes=50)
    assert state.events() == [("lease_ending", "task-001", "ada")]
    assert state.told[0].reason == "2026-03-02T13:00:00Z"
    done = state.ask(Warn(claims=(claim,)), "wim", host="west", minutes=51)
    assert isinstance(done, Done)
    assert not done.changed
    token = next(state.board.claims()).token
    state.ask(Renew(claims=(Mine(claim=claim, token=token),)), minutes=52)
    state.ask(Warn(claims=(claim,)), "wim", host="west", minutes=105)
    assert state.events() == [("lease_ending", "task-001", "ada")]


def test_an_operation_found_later_is_told_the_same(state: Told) -> None:
    """On a board that has gone on, by the outcome that the ledger kept: the same key."""
    operation = Operation.from_json(state.operation(Take(lease=HOUR), "bob").to_json())
    state.ask(Add(tasks=(NewTask(title="Count"),)))
    board = state.board
    outcome = apply(board, operation)
    now = notices(board, operation, outcome)
    state.cells.contents.update({key: raw for key, raw in board.changes.items() if raw is not None})
    counter = state.board.counter
    state.ask(Add(tasks=(NewTask(title="Later"),)))
    later = notices(state.board, operation, outcome, counter)
    assert [one.key for one in later] == [one.key for one in now] != []


def test_every_verb_of_which_something_is_told_is_looked_at() -> None:
    """The service that is called for each operation knows them without what is slow to import."""
    verbs = {kind.model_fields["verb"].default for kind in _TELLERS}
    assert verbs | {"lock"} == NEWS


# Who is told


def a_notice(event: Event = Event.FAILED, **fields: object) -> Notice:
    """A notice about ada's task-001."""
    known: dict[str, object] = {
        "ledger": LEDGER,
        "counter": 7,
        "operation": "0" * 32,
        "at": NOON,
        "worker_id": "ada",
        "by": "ada",
        "task_id": "task-001",
        "title": "Fix auth",
        "reason": "red",
    }
    return Notice(event=event, **{**known, **fields})  # type: ignore[arg-type]


def test_who_is_told() -> None:
    """The general addresses by their events, and those of each rule that fits, each once."""
    rules = Notify(
        urls=["env:TEAM"],
        events=["merged", "lost worker"],
        rule=[
            NotifyRule(urls=["env:OPS", "env:TEAM"], events=["failed"]),
            NotifyRule(urls=["env:ADA"], workers=["ad?"], tasks=["task-00*"]),
            NotifyRule(urls=["env:BOB"], workers=["bob"]),
        ],
    )
    assert addressees(rules, a_notice()) == ["env:OPS", "env:TEAM", "env:ADA"]
    assert addressees(rules, a_notice(Event.LOST_WORKER, worker_id="cid")) == ["env:TEAM"]
    assert addressees(rules, a_notice(Event.CLAIMED, worker_id="cid")) == []


def test_which_events_are_wanted() -> None:
    """None by default, all of an address without events, else the named ones of any rule."""
    assert events_wanted(Notify()) == frozenset()
    assert events_wanted(Notify(events=["merged"])) == frozenset()
    assert events_wanted(Notify(urls=["desktop:"])) == frozenset(Event)
    narrow = Notify(
        urls=["desktop:"], events=["merged"], rule=[NotifyRule(urls=["env:A"], events=["failed"])]
    )
    assert events_wanted(narrow) == {Event.MERGED, Event.FAILED}


def test_names_of_events() -> None:
    """Dashes and blanks will do; what is none is told with the nearest."""
    assert event_named("Lost-Worker") is event_named("lost worker") is Event.LOST_WORKER
    assert event_named("merge") is None
    assert nearest_event("mreged") == "did you mean merged?"
    assert nearest_event("zzz").startswith("there are claimed, refused")


# The words

HOSTILE = "<!channel> @everyone [x](http://e.vil) **b** \x1b[31m\n\u202ecod &amp; <b>\ud800</b>"


def test_the_document_has_all_and_is_json() -> None:
    """Whatever the title: a program gets it as it is, but for halves of letters."""
    data = json.loads(document(a_notice(title=HOSTILE, same="x"), "shop", "id-1", 1234))
    assert data["title"] == HOSTILE.replace("\ud800", "?")
    assert (data["id"], data["timestamp"], data["version"]) == ("id-1", 1234, 1)
    assert (data["event"], data["taskId"], data["workerId"]) == ("failed", "task-001", "ada")
    assert "same" not in data


def test_slack_gets_text_without_markup() -> None:
    """Nobody is called, nothing is unfurled, nothing steers."""
    data = json.loads(slack(a_notice(title=HOSTILE), "shop"))
    assert "&lt;!channel&gt;" in data["text"]
    assert "&amp;amp;" in data["text"]
    assert not set("<>\n\x1b\u202e") & set(data["text"])
    assert (data["mrkdwn"], data["unfurl_links"]) == (False, False)


def test_discord_gets_text_without_markup_or_mentions() -> None:
    """Markdown is escaped, and mentions are switched off."""
    data = json.loads(discord(a_notice(title=HOSTILE), "shop"))
    assert data["allowed_mentions"] == {"parse": []}
    assert r"\*\*b\*\*" in data["content"]
    assert r"\[x\]\(http\://e\.vil\)" in data["content"]


@pytest.mark.parametrize("letter", ["x", "&", "*", "\U0001f600"])
def test_texts_are_as_long_as_services_allow(letter: str) -> None:
    """Also when escaping makes them longer, and never cut within what was escaped."""
    notice = a_notice(reason=letter * 2000, title=letter * 500)
    text, content = json.loads(slack(notice, "shop"))["text"], json.loads(discord(notice, "shop"))["content"]
    assert len(text.encode("utf-16-le")) // 2 <= 3000
    assert len(content.encode("utf-16-le")) // 2 <= 2000
    assert not text.rstrip("…").endswith(("&", "&a", "&am", "&amp"))
    assert not content.rstrip("…").endswith("\\") or content.rstrip("…").endswith("\\\\")
    title, body = plain(notice, "shop" * 100)
    assert (len(title) <= 101, len(body) <= 1001) == (True, True)
