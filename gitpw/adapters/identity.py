"""Who runs this command: a name that was given, an agent's session, or the person that git knows."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gitpw.domain.ids import WorkerId, worker_id
from gitpw.domain.worker import WorkerType
from gitpw.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from gitpw.domain.checkout import Own


class Agent(NamedTuple):
    """An AI agent, and how its environment betrays it: `signs` are set for what it runs, `sessions` name its session.

    Variables that people set in their own shell to configure an agent (CODEX_HOME, CLAUDE_CODE_USE_BEDROCK,
    AIDER_MODEL …) are no signs.
    """

    slug: str
    name: str
    signs: tuple[str, ...]
    sessions: tuple[str, ...] = ()


AGENTS = (
    Agent(
        "claude",
        "Claude Code",
        ("CLAUDECODE", "CLAUDE_CODE_ENTRYPOINT", "CLAUDE_CODE_SESSION_ID", "CLAUDE_CODE_CHILD_SESSION"),
        ("CLAUDE_CODE_SESSION_ID", "CLAUDE_SESSION_ID"),
    ),
    Agent(
        "codex",
        "Codex",
        (
            "CODEX_THREAD_ID",
            "CODEX_SESSION_ID",
            "CODEX_SANDBOX",
            "CODEX_SANDBOX_NETWORK_DISABLED",
            "CODEX_CI",
        ),
        ("CODEX_THREAD_ID", "CODEX_SESSION_ID"),
    ),
    Agent("cursor", "Cursor", ("CURSOR_AGENT",), ("CURSOR_SESSION_ID",)),
    Agent("gemini", "Gemini CLI", ("GEMINI_CLI",), ("GEMINI_SESSION_ID", "GEMINI_CLI_SESSION_ID")),
    Agent("opencode", "opencode", ("OPENCODE",), ("OPENCODE_SESSION_ID",)),
    Agent("aider", "Aider", ("AIDER",)),
    Agent("augment", "Augment", ("AUGMENT_AGENT",)),
    Agent("cline", "Cline", ("CLINE_ACTIVE",)),
    Agent("antigravity", "Antigravity", ("ANTIGRAVITY_AGENT",)),
)
"""The agents that are known; the first whose sign is there is meant."""

NO = frozenset({"", "0", "false", "no"})

LONGEST = {"name": 40, "host": 20}
"""Letters of a name and of a host that go into a worker's id of at most 63."""


def identify(
    *,
    given: str | None,
    environment: Mapping[str, str],
    own: Sequence[Own],
    config: Callable[[str], str | None],
    host: str,
) -> tuple[WorkerId, WorkerType, str, bool]:
    """The worker's id, its type, its name for people, and whether the id was given rather than guessed.

    `own` are the claims of the linked worktree; nothing is concluded from those of different workers. Raises
    `InvalidError` for an id or a type that is none.
    """
    agent = _agent(environment)
    kind = _type(environment, agent)
    named = given
    if named is None:
        named = environment.get("GITPW_WORKER") or _owner(own) or config("pw.worker") or None
    if named is not None:
        return worker_id(named), kind, named, True
    if agent is not None:
        who = f"{agent.slug}-{host[: LONGEST['host']]}-{_session(agent, environment)}"
        return worker_id(who), kind, agent.name, False
    person = config("user.name") or ""
    first = slug(person) or slug(_account(environment)) or "worker"
    who = f"{first[: LONGEST['name']]}-{host[: LONGEST['host']]}"
    return worker_id(who), kind, person or first, False


def host_name(environment: Mapping[str, str]) -> str:
    """This machine, as it appears in ids and records: `$GITPW_HOST`, else its own short name."""
    return slug(environment.get("GITPW_HOST") or os.uname().nodename.split(".")[0]) or "host"


def slug(text: str) -> str:
    """A name in the letters of an id; empty where nothing is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")


def _agent(environment: Mapping[str, str]) -> Agent | None:
    return next((agent for agent in AGENTS if _sign(agent, environment)), None)


def _sign(agent: Agent, environment: Mapping[str, str]) -> str | None:
    """The variable that gives the agent away."""
    return next((sign for sign in agent.signs if environment.get(sign, "").lower() not in NO), None)


def _type(environment: Mapping[str, str], agent: Agent | None) -> WorkerType:
    told = environment.get("GITPW_WORKER_TYPE")
    if not told:
        return WorkerType.HUMAN if agent is None else WorkerType.AI_AGENT
    try:
        return WorkerType(told)
    except ValueError as error:
        raise InvalidError(
            f"{told!r} in $GITPW_WORKER_TYPE is no type of worker", hint="use human or ai_agent"
        ) from error


def _owner(own: Sequence[Own]) -> str | None:
    workers = {one.worker for one in own}
    return workers.pop() if len(workers) == 1 else None


def _account(environment: Mapping[str, str]) -> str:
    """The operating system's name for the user."""
    for name in ("LOGNAME", "USER", "USERNAME"):
        if environment.get(name):
            return environment[name]
    import pwd

    with suppress(KeyError):
        return pwd.getpwuid(os.getuid()).pw_name
    return ""


def _session(agent: Agent, environment: Mapping[str, str]) -> str:
    """Four hex digits that are the same within one session of the agent."""
    told = next((environment[name] for name in agent.sessions if environment.get(name)), None)
    key = told or session_root(_sign(agent, environment) or "") or f"session {os.getsid(0)}"
    return hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()[:4]


def session_root(sign: str) -> str | None:
    """The agent's own process: the first ancestor without the variable that it sets for what it runs.

    Named by its id and the moment it started, since ids come again. None where there is no /proc to look in.
    """
    found = _root(sign)
    if found is None:
        return None
    boot = _read("/proc/sys/kernel/random/boot_id") or b""
    return f"{found[0]} {_status(found[0])[19:20]} {boot.decode().strip()}"


def _root(sign: str) -> tuple[int, bool] | None:
    """The first ancestor without a variable, else the last one; and whether it is without."""
    found = None
    for process in _ancestors():
        environ = _read(f"/proc/{process}/environ")
        found = process, environ is None or not _has(environ, sign)
        if found[1]:
            break
    return found


def guardian(environment: Mapping[str, str]) -> tuple[int, str]:
    """The process whose end is the end of the session that this one belongs to, and when it started.

    An agent's own process, since the shells that it starts come and go; else the nearest ancestor but git, which
    waits for what it runs whatever becomes of who called it. 0 where there is none to end with: whoever started this
    has gone already.
    """
    agent = _agent(environment)
    root = None if agent is None else _root(_sign(agent, environment) or "")
    callers = (process for process in _ancestors() if _comm(process) != b"git")
    found = root[0] if root is not None and root[1] else next(callers, os.getppid())
    return (0, "") if found <= 1 or _comm(found) == b"systemd" else (found, _started(found))


def _comm(process: int) -> bytes:
    """The name of a process's program."""
    return (_read(f"/proc/{process}/comm") or b"").rstrip(b"\n")


def _started(process: int) -> str:
    return (_status(process)[19:20] or [""])[0]


def _has(environ: bytes, sign: str) -> bool:
    return environ.startswith(f"{sign}=".encode()) or f"\0{sign}=".encode() in environ


def _ancestors() -> Iterator[int]:
    """The processes that led to this one, nearest first, this one left out."""
    process = os.getpid()
    while status := _status(process):
        process = int(status[1])
        if process <= 0:
            return
        yield process


def _status(process: int) -> list[str]:
    """The fields of /proc/<pid>/stat after the program's name, which may hold anything."""
    raw = _read(f"/proc/{process}/stat") or b""
    return raw.rpartition(b")")[2].decode().split()


def _read(path: str) -> bytes | None:
    with suppress(OSError):
        return Path(path).read_bytes()
    return None
