"""Who runs the command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

import pytest

from gitpw.adapters.identity import host_name, identify, session_root, slug
from gitpw.domain.checkout import Own
from gitpw.domain.ids import ClaimId, TaskId, WorkerId
from gitpw.domain.worker import WorkerType
from gitpw.errors import InvalidError

ALICE = {"user.name": "Alice Example"}


def own(worker: str) -> Own:
    """A claim of a worker."""
    return Own(ClaimId("0" * 16), 1, TaskId("task-001"), WorkerId(worker))


def who(
    given: str | None = None,
    environment: Mapping[str, str] | None = None,
    owned: Sequence[Own] = (),
    config: Mapping[str, str] | None = None,
) -> tuple[str, WorkerType, str, bool]:
    """The identity on a host called box."""
    read: Callable[[str], str | None] = (ALICE if config is None else config).get
    return identify(given=given, environment=environment or {}, own=owned, config=read, host="box")


def test_person_is_named_after_git() -> None:
    """`<user.name slug>-<host>`, with the name as it is written."""
    assert who() == ("alice-example-box", WorkerType.HUMAN, "Alice Example", False)


def test_given_names_come_in_order() -> None:
    """`--as`, then the environment, then the worktree's claim, then `pw.worker`."""
    config = {**ALICE, "pw.worker": "from-config"}
    environment = {"GITPW_WORKER": "from-env"}
    assert who("from-option", environment, [own("from-claim")], config)[0] == "from-option"
    assert who(None, environment, [own("from-claim")], config)[0] == "from-env"
    assert who(None, {}, [own("from-claim")], config)[0] == "from-claim"
    assert who(None, {}, [], config) == ("from-config", WorkerType.HUMAN, "from-config", True)


def test_claims_of_several_workers_say_nothing() -> None:
    """A checkout that two workers share makes neither of them the other."""
    assert who(None, {}, [own("bob"), own("carol")])[0] == "alice-example-box"


@pytest.mark.parametrize("bad", ["", "Alice", "-x", "a b", "a" * 64, "ä", "a\n"])
def test_bad_explicit_id_is_refused(bad: str) -> None:
    """Ids are checked, not rewritten."""
    with pytest.raises(InvalidError):
        who(bad)


def test_bad_id_in_the_environment_or_config_is_refused() -> None:
    """Wherever an explicit id comes from."""
    with pytest.raises(InvalidError):
        who(None, {"GITPW_WORKER": "Bob B"})
    with pytest.raises(InvalidError):
        who(None, {}, [], {"pw.worker": "Bob B"})


def test_no_name_at_all_still_works() -> None:
    """The operating system's name stands in for git's."""
    assert who(None, {"LOGNAME": "Óscar"}, [], {})[0] == "oscar-box"
    assert who(None, {}, [], {})[0].endswith("-box")


def test_name_without_latin_letters_gives_way() -> None:
    """Where nothing is left of a name, the account's is used, and `worker` at last."""
    assert who(None, {"LOGNAME": "ann"}, [], {"user.name": "李雷"}) == (
        "ann-box",
        WorkerType.HUMAN,
        "李雷",
        False,
    )
    assert who(None, {"LOGNAME": "李"}, [], {"user.name": "李"})[0] == "worker-box"


def test_long_names_fit() -> None:
    """An id has at most 63 letters."""
    environment = {"LOGNAME": "x"}
    found = identify(
        given=None, environment=environment, own=[], config={"user.name": "n" * 99}.get, host="h" * 99
    )
    assert len(found[0]) <= 63


@pytest.mark.parametrize(
    ("variable", "agent"),
    [
        ("CLAUDECODE", "claude"),
        ("CODEX_THREAD_ID", "codex"),
        ("CURSOR_AGENT", "cursor"),
        ("GEMINI_CLI", "gemini"),
        ("OPENCODE", "opencode"),
    ],
)
def test_agents_are_recognised(variable: str, agent: str) -> None:
    """`<agent>-<host>-<4 hex>`, of type ai_agent, and not the person whose git it uses."""
    found, kind, _, explicit = who(None, {variable: "1"})
    assert found.startswith(f"{agent}-box-")
    assert len(found) == len(f"{agent}-box-") + 4
    assert kind is WorkerType.AI_AGENT
    assert not explicit


@pytest.mark.parametrize("variable", ["CODEX_HOME", "CLAUDE_CODE_USE_BEDROCK", "AIDER_MODEL"])
def test_settings_of_an_agent_do_not_make_a_person_one(variable: str) -> None:
    """People export them in their own shells."""
    assert who(None, {variable: "1"})[1] is WorkerType.HUMAN


def test_agent_with_a_given_id_stays_an_agent() -> None:
    """The id is the given one, the type the environment's."""
    assert who("bob", {"CLAUDECODE": "1"}) == ("bob", WorkerType.AI_AGENT, "bob", True)


def test_type_can_be_told() -> None:
    """`$GITPW_WORKER_TYPE` goes before what the environment suggests; what is no type is refused."""
    assert who(None, {"GITPW_WORKER_TYPE": "ai_agent"})[1] is WorkerType.AI_AGENT
    assert who(None, {"GITPW_WORKER_TYPE": "human", "CLAUDECODE": "1"})[1] is WorkerType.HUMAN
    with pytest.raises(InvalidError):
        who(None, {"GITPW_WORKER_TYPE": "robot"})


def test_session_variable_tells_sessions_apart() -> None:
    """The same within one session, another in another."""
    one = who(None, {"CLAUDECODE": "1", "CLAUDE_CODE_SESSION_ID": "a"})[0]
    assert one == who(None, {"CLAUDECODE": "1", "CLAUDE_CODE_SESSION_ID": "a"})[0]
    assert one != who(None, {"CLAUDECODE": "1", "CLAUDE_CODE_SESSION_ID": "b"})[0]


def _in_an_agent(times: int) -> list[str]:
    """What commands of one agent's session find: each in a shell of its own, as agents run them."""
    code = "from gitpw.adapters.identity import session_root; print(session_root('CLAUDECODE'))"
    command = """CLAUDECODE=1 sh -c '"$@"; :' sh "$@"; """
    words = ["sh", "-c", command * times, "agent", sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return done.stdout.split("\n")[:-1]


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
def test_session_is_the_agents_process() -> None:
    """Without a variable for it: the nearest ancestor that doesn't have the agent's sign."""
    one, two = _in_an_agent(2)
    (other,) = _in_an_agent(1)
    assert one == two
    assert one != other


def test_session_without_proc_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere the caller falls back to the terminal's session."""
    monkeypatch.setattr("gitpw.adapters.identity._read", lambda _: None)
    assert session_root("CLAUDECODE") is None
    assert who(None, {"CLAUDECODE": "1"})[0] == who(None, {"CLAUDECODE": "1"})[0]


def test_host_is_short_and_plain() -> None:
    """`$GITPW_HOST`, else the machine's own name up to the first dot."""
    assert host_name({"GITPW_HOST": "Build Box"}) == "build-box"
    assert "." not in host_name({})
    assert host_name({"GITPW_HOST": "…"}) == "host"


def test_slug_folds_accents() -> None:
    """Letters with accents keep their base."""
    assert slug("  Zoë  Müller-Lüdenscheidt!") == "zoe-muller-ludenscheidt"
