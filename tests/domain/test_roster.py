"""Workers come, change and go."""

from __future__ import annotations

import pytest

from gitpw.domain.ids import WorkerId, worker_id
from gitpw.domain.operation import Author, Complete, Lock, Register, Unregister
from gitpw.domain.worker import AgentType, Worker, WorkerStatus, WorkerType
from gitpw.errors import InvalidError
from tests.domain.state import State, locks

ADA = WorkerId("ada")


def worker(state: State, name: str = "ada") -> Worker:
    """A worker that must be registered."""
    found = state.board.worker(WorkerId(name))
    assert found is not None
    return found


def test_register() -> None:
    """A worker introduces itself with what it can do, each skill once."""
    state = State()
    skills = ("python", "go", "python")
    about = {
        "name": "Ada",
        "github_username": "ada-l",
        "agent_type": AgentType.REVIEW,
        "type": WorkerType.AI_AGENT,
    }
    done = state.done(Register(id=ADA, skills=skills, max_concurrent_tasks=3, **about))
    found = worker(state)
    assert done.detail == {"worker": "ada"}
    assert (found.name, found.skills, found.max_concurrent_tasks) == ("Ada", ("go", "python"), 3)
    assert (found.metadata.github_username, found.metadata.agent_type) == ("ada-l", AgentType.REVIEW)
    assert (found.type, found.status, found.current_tasks) == (WorkerType.AI_AGENT, WorkerStatus.IDLE, ())


def test_register_changes_only_what_is_given() -> None:
    """A second registration leaves alone what it doesn't name."""
    state = State()
    state.done(Register(id=ADA, skills=("go",), github_username="ada-l"))
    state.done(Register(id=ADA, name="Ada"))
    found = worker(state)
    assert (found.name, found.skills, found.metadata.github_username) == ("Ada", ("go",), "ada-l")


def test_skills_can_be_taken_away() -> None:
    """An empty list of skills is a list of skills."""
    state = State()
    state.done(Register(id=ADA, skills=("go",)))
    state.done(Register(id=ADA, skills=()))
    assert worker(state).skills == ()


def test_register_again_changes_nothing() -> None:
    """The same registration once more is no change."""
    state = State()
    state.done(Register(id=ADA, skills=("go",)))
    assert not state.done(Register(id=ADA, skills=("go",))).changed


def test_register_keeps_the_tasks_in_hand() -> None:
    """A worker that changes its record goes on holding what it holds."""
    state = State()
    task = state.add()
    state.take()
    state.done(Register(id=ADA, max_concurrent_tasks=2))
    assert worker(state).current_tasks == (task,)
    assert worker(state).status is WorkerStatus.WORKING


def test_automatic_registration() -> None:
    """Who claims without being registered is registered, with room for one task."""
    state = State()
    state.add()
    state.take("bob")
    found = worker(state, "bob")
    assert (found.max_concurrent_tasks, found.type, found.name) == (1, WorkerType.HUMAN, "bob")


def test_activity_is_noted() -> None:
    """Whatever a registered worker changes is a sign of life."""
    state = State()
    state.done(Register(id=ADA))
    state.done(Lock(locks=locks("a"), lease=60), minutes=7)
    found = worker(state).last_activity
    assert found is not None
    assert (found.hour, found.minute) == (12, 7)


def test_unregister() -> None:
    """A worker with empty hands may leave."""
    state = State()
    state.done(Register(id=ADA))
    state.done(Unregister(id=ADA))
    assert state.board.worker(ADA) is None


def test_unregister_unknown() -> None:
    """Who isn't there can't leave."""
    assert State().refused(Unregister(id=ADA)).code == "invalid"


def test_unregister_with_a_task() -> None:
    """Who holds a task can't leave, nor while it waits in the merge queue."""
    state = State()
    task = state.add()
    state.take()
    assert task in state.refused(Unregister(id=ADA)).message
    state.done(Complete(task=task))
    assert task in state.refused(Unregister(id=ADA)).message


def test_unregister_with_a_lock() -> None:
    """Who holds a lock can't leave."""
    state = State()
    state.done(Lock(locks=locks("src/a"), lease=60))
    assert "src/a" in state.refused(Unregister(id=ADA)).message


@pytest.mark.parametrize("text", ["ada", "a", "0", "claude-desk-1a2b", "a.b_c-d", "a" * 63])
def test_worker_id(text: str) -> None:
    """A worker's id is taken as it is."""
    assert worker_id(text) == text


@pytest.mark.parametrize(
    "text", ["", "Ada", "-a", ".a", "a b", "a/b", "a\n", "a" * 64, "\u00e4", "a:b", "../a", "%41"]
)
def test_no_worker_id(text: str) -> None:
    """A bad id is refused, not rewritten, by the check and by every operation."""
    with pytest.raises(InvalidError):
        worker_id(text)
    with pytest.raises(ValueError, match="id"):
        Register(id=WorkerId(text))
    with pytest.raises(ValueError, match="worker"):
        Author(worker=WorkerId(text), host="desk")
