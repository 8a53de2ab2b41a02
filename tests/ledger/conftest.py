"""One ledger over every store: in memory, in the repository itself, and on remotes of every transport."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conftest import SERVERS, TRANSPORTS, Remote
from tests.ledger.clients import Arena
from tests.support.git import make_upstream
from tests.support.servers import SshServer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Sealed, Served

ALL = ("memory", "local", *TRANSPORTS)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two clients in one process, of which one acts in the middle of what the other does, needn't wait for it."""
    monkeypatch.setattr("gitpw.ledger.store.PATIENCE", 0.02)


def marked(kinds: tuple[str, ...]) -> list[object]:
    """Parameters for fixtures, marked where a server is needed."""
    return [pytest.param(kind, marks=[pytest.mark.server] if kind in SERVERS else []) for kind in kinds]


def arena_of(
    kind: str, folder: Path, sealed: Sealed, served: Served, monkeypatch: pytest.MonkeyPatch
) -> Arena:
    """A place for one ledger of that kind."""
    if kind in {"memory", "local"}:
        return Arena(kind, folder)
    name = served.new_name()
    bare = make_upstream(served.root / name)
    if kind in {"path", "file"}:
        url = str(bare) if kind == "path" else bare.as_uri()
        return Arena(kind, folder, Remote(kind, url, bare, {}, None))
    server = served.server(kind)
    env = server.join(sealed.home) if isinstance(server, SshServer) else server.env()
    for variable, value in env.items():
        monkeypatch.setenv(variable, value)
    return Arena(kind, folder, Remote(kind, server.url(name), bare, env, server))


@pytest.fixture(params=marked(ALL))
def arena(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    sealed: Sealed,
    served: Served,
    monkeypatch: pytest.MonkeyPatch,
) -> Arena:
    """A place for a ledger, over one store after the other; `indirect` parameters choose some."""
    return arena_of(request.param, tmp_path, sealed, served, monkeypatch)
