"""One sealed environment for every test, and remotes over every transport."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import hypothesis.configuration
import pytest

pytest.register_assert_rewrite("tests.support")

from tests.support.git import make_upstream  # noqa: E402 - after its asserts are rewritten
from tests.support.servers import (  # noqa: E402
    GitDaemon,
    HttpServer,
    HttpsServer,
    Server,
    SshServer,
    require,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
KEPT = ("CI", "COV", "HYPOTHESIS_", "LD_", "LOGNAME", "PATH", "PIP_", "PYTEST_", "SHELL", "TMPDIR", "USER")
"""What a test sees of the environment that pytest was started in: names that begin like these, and no others."""
GITCONFIG = """\
[user]
    name = Dana Example
    email = dana@example.com
[init]
    defaultBranch = main
[gc]
    auto = 0
[maintenance]
    auto = false
"""
SERVERS: dict[str, type[Server]] = {
    "git": GitDaemon,
    "http": HttpServer,
    "https": HttpsServer,
    "ssh": SshServer,
}
TRANSPORTS = ("path", "file", "http", "git", "ssh")

hypothesis.configuration.set_hypothesis_home_dir(ROOT / ".hypothesis")
hypothesis.settings.register_profile("here", deadline=None, print_blob=True)
hypothesis.settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") == "true" else "here")


@dataclass(frozen=True)
class Sealed:
    """The environment of a test: a home of its own, and its global git configuration."""

    home: Path
    gitconfig: Path


@dataclass(frozen=True)
class Remote:
    """A bare repository as clients see it; `env` is in force already, and `server` None where there is none."""

    transport: str
    url: str
    bare: Path
    env: dict[str, str]
    server: Server | None


class Served:
    """One server of each kind for a whole run, started when it is first asked for."""

    def __init__(self, root: Path, ends: ExitStack) -> None:
        self.root = root
        self._ends = ends
        self._running: dict[str, Server] = {}
        self._made = 0

    def server(self, transport: str) -> Server:
        """The running server of a transport; the test is skipped (in CI it fails) where there can be none."""
        if transport not in self._running:
            kind = SERVERS[transport]
            require(kind)
            self._running[transport] = self._ends.enter_context(kind(self.root, limit=5400))
        return self._running[transport]

    def new_name(self) -> str:
        """A name for a bare repository that no other test has."""
        self._made += 1
        return f"{self._made}/shop.git"


@pytest.fixture(scope="session")
def homes() -> Iterator[Path]:
    """The folder of all tests' homes."""
    with tempfile.TemporaryDirectory(prefix="pw-homes-", ignore_cleanup_errors=True) as folder:
        yield Path(folder).resolve()


@pytest.fixture(autouse=True)
def sealed(homes: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sealed]:
    """Nothing of this machine's user reaches the test, and nothing of the test reaches them."""
    home = Path(tempfile.mkdtemp(dir=homes))
    gitconfig = home / ".gitconfig"
    gitconfig.write_text(GITCONFIG)
    for name in os.environ:
        if not name.startswith(KEPT):
            monkeypatch.delenv(name)
    variables = {
        "GIT_CONFIG_GLOBAL": gitconfig,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_EDITOR": "false",
        "GIT_TERMINAL_PROMPT": "0",
        "HOME": home,
        "LC_ALL": "C.UTF-8",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "TZ": "UTC",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.chdir(home)
    _tell_libgit2(home)
    yield Sealed(home, gitconfig)
    shutil.rmtree(home, ignore_errors=True)


def _tell_libgit2(home: Path) -> None:
    """Libgit2 asks for HOME once, when it is loaded: an earlier test's."""
    if "pygit2" in sys.modules:
        import pygit2
        from pygit2.enums import ConfigLevel

        pygit2.settings.homedir = str(home)
        pygit2.settings.search_path[ConfigLevel.GLOBAL] = str(home)
        pygit2.settings.search_path[ConfigLevel.XDG] = str(home / ".config/git")
        pygit2.settings.search_path[ConfigLevel.SYSTEM] = str(home / "none")


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The servers of this run, and the folder of bare repositories that they lend."""
    with ExitStack() as ends:
        yield Served(tmp_path_factory.mktemp("served"), ends)


@pytest.fixture(
    params=[pytest.param(t, marks=[pytest.mark.server] if t in SERVERS else []) for t in TRANSPORTS]
)
def remote(
    request: pytest.FixtureRequest, sealed: Sealed, served: Served, monkeypatch: pytest.MonkeyPatch
) -> Remote:
    """The web shop's upstream, over one transport after the other; `indirect` parameters choose others ("https")."""
    transport: str = request.param
    name = served.new_name()
    bare = make_upstream(served.root / name)
    if transport in {"path", "file"}:
        return Remote(transport, str(bare) if transport == "path" else bare.as_uri(), bare, {}, None)
    server = served.server(transport)
    env = server.join(sealed.home) if isinstance(server, SshServer) else server.env()
    for variable, value in env.items():
        monkeypatch.setenv(variable, value)
    return Remote(transport, server.url(name), bare, env, server)
