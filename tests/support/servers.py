"""Real git servers on loopback: smart HTTP, git-daemon and sshd, each lending one folder of bare repositories.

Each is a `with` block, listens on a port that no other test run on this machine uses, and ends with the block, with
the process that started it (see `watchdog`), or when its time is over.
"""

from __future__ import annotations

import fcntl
import http.client
import os
import pwd
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self
from urllib.parse import quote

import pytest

from tests.support.git import run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

HOST = "127.0.0.1"
PORTS = range(15_000, 30_000)  # below the ephemeral ports that clients are given
LIBRARIES = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/opt/homebrew/lib")
WATCHDOG = Path(__file__).with_name("watchdog.py")
SBIN = os.pathsep.join(["/usr/sbin", "/sbin", "/usr/local/sbin"])  # not on an ordinary user's PATH
START = 10.0
"""Seconds that a server may take until it listens."""


def program(name: str) -> str | None:
    """The full path of a program, also of a system's."""
    return shutil.which(name) or shutil.which(name, path=SBIN)


def git_program(name: str) -> str | None:
    """The full path of one of git's own programs."""
    folder = run(["git", "--exec-path"]).out.strip()
    return shutil.which(name, path=folder)


def require(*kinds: type[Server]) -> None:
    """Skip the test when a server's program is missing; in CI, where all must be there, fail."""
    missing = [reason for kind in kinds if (reason := kind.available())]
    if missing and os.environ.get("CI") == "true":
        pytest.fail("; ".join(missing))
    if missing:
        pytest.skip("; ".join(missing))


@contextmanager
def leased_port() -> Iterator[int]:
    """A free port that no other user of this function on this machine gets until the block ends."""
    folder = Path(tempfile.gettempdir(), f"pw-ports-{os.getuid()}")
    folder.mkdir(exist_ok=True)
    for port in random.sample(PORTS, 200):
        with (folder / str(port)).open("w") as lease, socket.socket() as probe:
            try:
                fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((HOST, port))
            except OSError:
                continue
            probe.close()
            yield port
            return
    raise RuntimeError("no free port in 200 tries")


class Server(ABC):
    """Lends the bare repositories below `root` to git, for at most `limit` seconds."""

    scheme: ClassVar[str]

    def __init__(self, root: Path, *, limit: float = 900) -> None:
        self.root = root
        self.limit = limit
        self.pid = 0
        self.port = 0
        self._ends = ExitStack()

    @classmethod
    @abstractmethod
    def available(cls) -> str | None:
        """Why this server can't run here, or None."""

    @abstractmethod
    def _command(self) -> list[str]:
        """Write what the server needs into `self.folder`, and give its command line."""

    def _variables(self) -> Mapping[str, str]:
        """The server's own environment: nothing of the test's HOME or git configuration."""
        return {
            "HOME": str(self.folder),
            "GIT_CONFIG_GLOBAL": str(self.folder / "served"),
            "PATH": os.environ["PATH"],
        }

    def url(self, name: str, *, port: int | None = None) -> str:
        """The URL of the repository `name` below the root, or of the same through a proxy's port."""
        return f"{self.scheme}://{HOST}:{port or self.port}/{quote(name)}"

    def env(self) -> dict[str, str]:
        """What a client's environment needs to reach this server."""
        return {}

    def trust(self, port: int) -> None:  # noqa: B027 - only ssh has something to do
        """Let clients know that a proxy on another port is this server too."""

    def log(self) -> str:
        """What the server has said so far."""
        return (self.folder / "log").read_text(errors="replace")

    def __enter__(self) -> Self:
        reason = self.available()
        if reason:
            raise RuntimeError(reason)
        with ExitStack() as ends:
            self.folder = Path(
                ends.enter_context(
                    tempfile.TemporaryDirectory(prefix="pw-server-", ignore_cleanup_errors=True)
                )
            )
            self.port = ends.enter_context(leased_port())
            (self.folder / "served").write_text(
                "[http]\nreceivepack = true\n[receive]\nautogc = false\n[gc]\nauto = 0\n[safe]\ndirectory = *\n"
            )
            watch = self._start()
            ends.callback(self._stop, watch)
            self._await(watch)
            self._ends = ends.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.close()

    def _start(self) -> subprocess.Popen[bytes]:
        watch = subprocess.Popen(
            [sys.executable, "-I", "-S", WATCHDOG, str(self.limit), self.folder, *self._command()],
            env=dict(self._variables()),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert watch.stdout
        self.pid = int(watch.stdout.readline())
        return watch

    def _stop(self, watch: subprocess.Popen[bytes]) -> None:
        """Let go of the watchdog, which ends the server; `with` waits for it and closes its pipes."""
        with watch:
            assert watch.stdin
            watch.stdin.close()

    def _await(self, watch: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START
        while watch.poll() is None and time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex((HOST, self.port)) == 0:
                    return
            time.sleep(0.01)
        raise RuntimeError(f"{type(self).__name__} did not start: {self.log()}")


class HttpServer(Server):
    """Smart HTTP: lighttpd with git-http-backend; with `user` and `password` basic auth."""

    scheme = "http"

    def __init__(self, root: Path, *, limit: float = 900, user: str = "", password: str = "") -> None:
        super().__init__(root, limit=limit)
        self.user, self.password = user, password
        self._marks = 0

    @classmethod
    def available(cls) -> str | None:
        """Why lighttpd with git-http-backend can't run here, or None."""
        if not program("lighttpd"):
            return "lighttpd is missing (Debian: lighttpd)"
        return None if git_program("git-http-backend") else "git-http-backend is missing (Debian: git)"

    def env(self) -> dict[str, str]:
        """With credentials or a CA: a global git configuration that adds them to the one in force."""
        added = self._client()
        if not added:
            return {}
        included = os.environ.get("GIT_CONFIG_GLOBAL", "/dev/null")
        file = self.folder / "client"
        file.write_text(f"[include]\npath = {included}\n{added}")
        return {"GIT_CONFIG_GLOBAL": str(file)}

    def requests(self, name: str = "") -> list[tuple[str, str]]:
        """Method and path (with query) of every request that was answered so far, or of those to the repository `name`."""
        asked = [tuple(line.split(" ")[:2]) for line in self._access().splitlines()]
        prefix = f"/{quote(name)}".rstrip("/") + "/"
        return [
            (method, path)
            for method, path in asked
            if path.startswith(prefix) and not path.startswith("/mark-")
        ]

    def _access(self) -> str:
        """Lighttpd logs in order, but late: so ask for something new, and reopen the log until that stands in it."""
        self._marks += 1
        mark = f"/mark-{self._marks} "
        self._ask(mark.strip())
        deadline = time.monotonic() + START
        while time.monotonic() < deadline:
            os.kill(self.pid, signal.SIGHUP)
            time.sleep(0.02)
            file = self.folder / "access"
            text = file.read_text() if file.exists() else ""
            if mark in text:
                return text
        raise RuntimeError(f"lighttpd wrote no access log: {self.log()}")

    def _ask(self, path: str) -> None:
        connection = self._connection()
        try:
            connection.request("GET", path)
            connection.getresponse().read()
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(HOST, self.port, timeout=START)

    def _client(self) -> str:
        """What a client must have in its git configuration."""
        if not self.user:
            return ""
        store = self.folder / "credentials"
        who = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"
        store.write_text(f"{self.scheme}://{who}@{HOST}:{self.port}\n")
        return f"[credential]\nhelper = store --file={store}\n"

    def _command(self) -> list[str]:
        backend = git_program("git-http-backend")
        (self.folder / "users").write_text(f"{self.user}:{self.password}\n")
        config = self.folder / "lighttpd.conf"
        config.write_text(
            f"""
server.modules = ("mod_accesslog", "mod_auth", "mod_authn_file", "mod_alias", "mod_setenv", "mod_cgi")
server.bind = "{HOST}"
server.port = {self.port}
server.document-root = "{self.root}"
server.upload-dirs = ("{self.folder}")
server.errorlog = "{self.folder}/log"
server.max-keep-alive-requests = 1000
accesslog.filename = "{self.folder}/access"
accesslog.format = "%r"
# A chunked push reaches the backend whole, with a length: streamed, it is answered 411.
server.stream-request-body = 0
alias.url = ("/" => "{backend}/")
cgi.assign = ("" => "")
setenv.set-environment = (
    "GIT_PROJECT_ROOT" => "{self.root}",
    "GIT_HTTP_EXPORT_ALL" => "1",
    "GIT_CONFIG_GLOBAL" => "{self.folder}/served",
    "GIT_CONFIG_NOSYSTEM" => "1",
    "HOME" => "{self.folder}",
    "PATH" => "{os.environ["PATH"]}",
)
{self._auth() if self.user else ""}
{self._tls()}
"""
        )
        return [str(program("lighttpd")), "-D", "-f", str(config)]

    def _auth(self) -> str:
        return f"""
auth.backend = "plain"
auth.backend.plain.userfile = "{self.folder}/users"
auth.require = ("/" => ("method" => "basic", "realm" => "git", "require" => "valid-user"))
"""

    def _tls(self) -> str:
        return ""


class HttpsServer(HttpServer):
    """Smart HTTP over TLS, with a certificate of an authority made on the spot; options as `HttpServer`."""

    scheme = "https"

    @classmethod
    def available(cls) -> str | None:
        """Why lighttpd with TLS can't run here, or None."""
        if not program("openssl"):
            return "openssl is missing (Debian: openssl)"
        if not any(Path(folder, "lighttpd/mod_openssl.so").exists() for folder in LIBRARIES):
            return "lighttpd's mod_openssl is missing (Debian: lighttpd-mod-openssl)"
        return super().available()

    @property
    def ca(self) -> Path:
        """The certificate that a client must trust."""
        return self.folder / "ca.pem"

    def _client(self) -> str:
        return f"{super()._client()}[http]\nsslCAInfo = {self.ca}\n"

    def _connection(self) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=self.ca)
        return http.client.HTTPSConnection(HOST, self.port, timeout=START, context=context)

    def _tls(self) -> str:
        """Make a certificate authority and a certificate for 127.0.0.1, and name them."""
        new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        usage = ["-addext", "keyUsage = critical, keyCertSign"]
        signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "ext"]
        (self.folder / "ext").write_text(f"subjectAltName = IP:{HOST}\nauthorityKeyIdentifier = keyid\n")
        for command in (
            [
                "req",
                "-x509",
                *new,
                *usage,
                "-days",
                "2",
                "-subj",
                "/CN=git-pw test",
                "-keyout",
                "ca.key",
                "-out",
                "ca.pem",
            ],
            ["req", *new, "-subj", f"/CN={HOST}", "-keyout", "key.pem", "-out", "request.pem"],
            ["x509", "-req", "-in", "request.pem", *signing, "-out", "cert.pem"],
        ):
            run(["openssl", *command], cwd=self.folder)
        return f"""
server.modules += ("mod_openssl")
ssl.engine = "enable"
ssl.pemfile = "{self.folder}/cert.pem"
ssl.privkey = "{self.folder}/key.pem"
"""


class GitDaemon(Server):
    """git:// with pushes allowed."""

    scheme = "git"

    @classmethod
    def available(cls) -> str | None:
        """Why git-daemon can't run here, or None."""
        return None if git_program("git-daemon") else "git-daemon is missing (Debian: git)"

    def _command(self) -> list[str]:
        return [
            str(git_program("git-daemon")),
            f"--base-path={self.root}",
            "--export-all",
            "--enable=receive-pack",
            "--informative-errors",
            "--max-connections=0",
            "--reuseaddr",
            f"--listen={HOST}",
            f"--port={self.port}",
            str(self.root),
        ]

    def _variables(self) -> Mapping[str, str]:
        return {**super()._variables(), "GIT_CONFIG_NOSYSTEM": "1"}


class SshServer(Server):
    """A real sshd with keys of its own, run by whoever runs the tests, for that same user."""

    scheme = "ssh"

    @classmethod
    def available(cls) -> str | None:
        """Why sshd can't run here, or None."""
        if not program("sshd"):
            return "sshd is missing (Debian: openssh-server)"
        return None if program("ssh") else "ssh is missing (Debian: openssh-client)"

    def url(self, name: str, *, port: int | None = None) -> str:
        """The URL of the repository `name`, with the user and the full path."""
        return f"ssh://{pwd.getpwuid(os.getuid()).pw_name}@{HOST}:{port or self.port}{quote(str(self.root / name))}"

    def env(self) -> dict[str, str]:
        """A GIT_SSH_COMMAND with this server's key and known hosts."""
        return {"GIT_SSH_COMMAND": f"ssh -F {self.folder}/ssh_config"}

    def join(self, home: Path) -> dict[str, str]:
        """Make `home` that of a user whose plain `ssh` reaches this server; gives the PATH to use.

        Keys, known hosts and config lie in `home`/.ssh as a person's would, for libssh2, which asks $HOME. OpenSSH
        doesn't ask $HOME, so an `ssh` that does comes first on PATH.
        """
        folder, tools = home / ".ssh", home / "bin"
        folder.mkdir(mode=0o700, exist_ok=True)
        tools.mkdir(exist_ok=True)
        for name in ("id_ed25519", "id_ed25519.pub", "known_hosts"):
            (folder / name).symlink_to(self.folder / name)
        (folder / "config").write_text((self.folder / "ssh_config").read_text())
        wrapper = tools / "ssh"
        wrapper.write_text(f'#!/bin/sh\nexec {program("ssh")} -F "$HOME/.ssh/config" "$@"\n')
        wrapper.chmod(0o755)
        return {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}

    def trust(self, port: int) -> None:
        """Add this server's host key for another port."""
        kind, key, *_ = (self.folder / "host_key.pub").read_text().split()
        with (self.folder / "known_hosts").open("a") as file:
            file.write(f"[{HOST}]:{port} {kind} {key}\n")

    def _command(self) -> list[str]:
        for name in ("host_key", "id_ed25519"):
            run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "git-pw test", "-f", self.folder / name]
            )
        self.trust(self.port)
        (self.folder / "ssh_config").write_text(self._client())
        config = self.folder / "sshd_config"
        config.write_text(self._server())
        sshd = str(program("sshd"))
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(
                mode=0o755, exist_ok=True
            )  # sshd asks for it, and a package alone doesn't make it
        return [sshd, "-D", "-e", "-f", str(config)]

    def _client(self) -> str:
        return f"""
Host *
    IdentityFile {self.folder}/id_ed25519
    IdentitiesOnly yes
    IdentityAgent none
    UserKnownHostsFile {self.folder}/known_hosts
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    BatchMode yes
    LogLevel ERROR
"""

    def _server(self) -> str:
        """Many connections at once, no password, and none of the user's own files."""
        variables = {**self._variables(), "GIT_CONFIG_NOSYSTEM": "1"}
        return f"""
ListenAddress {HOST}
Port {self.port}
HostKey {self.folder}/host_key
AuthorizedKeysFile {self.folder}/id_ed25519.pub
PidFile none
StrictModes no
UsePAM {"yes" if _locked_root() else "no"}
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PermitUserRC no
UseDNS no
PrintMotd no
MaxStartups 1000
LogLevel ERROR
AcceptEnv GIT_PROTOCOL
{"PerSourcePenalties no" if _ssh_version() >= (9, 8) else ""}
SetEnv {" ".join(f'"{name}={value}"' for name, value in variables.items())}
"""


def _locked_root() -> bool:
    """Whether root has a locked account, which sshd lets in only by way of PAM."""
    if os.geteuid() != 0:
        return False
    return any(line.startswith("root:!") for line in Path("/etc/shadow").read_text().splitlines())


def _ssh_version() -> tuple[int, ...]:
    words = run([str(program("ssh")), "-V"]).err.removeprefix("OpenSSH_").split()[0]
    return tuple(int(part) for part in words.split("p")[0].rstrip(",").split("."))
