"""A connection for one push, opened while Python still loads the rest: what is slow here is then waited for once.

Over http and https git itself pushes through a helper program, `git remote-https`, which first asks the remote for its
refs and then waits to be told what to push. Here it is started as soon as the remote is known, so that this round
trip runs beside the imports and the decision. Whatever goes wrong before anything was sent makes the connection
useless, never the push: `git push` is tried instead, and says what is the matter.
"""

from __future__ import annotations

import atexit
import os
import select
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from gitpw.adapters.git import GitRepo
from gitpw.adapters.process import merged
from gitpw.ledger.transport import Finished, store_environment

SCHEMES = {"http": "remote-http", "https": "remote-https"}

TIP = ("refs/pw/tip", "packed-refs")


class EarlyPush:
    """The helper program, asked for the refs and waiting."""

    def __init__(self, folder: str, remote: str, url: str, where: str, config: list[tuple[str, str]]) -> None:
        """`folder` is `<common git dir>/pw`; raises `OSError` where the helper can't be started."""
        self._trace = tempfile.NamedTemporaryFile(prefix="trace-", dir=folder)  # noqa: SIM115
        self._said = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        env = store_environment(str(Path(folder, "store.git")), remote, config)
        self._process = subprocess.Popen(
            ["git", SCHEMES[url.partition(":")[0]], remote, url],
            cwd=where,
            env=merged({**env, "GIT_TRACE2_EVENT": self._trace.name}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            start_new_session=True,
        )
        atexit.register(self.close)
        self._tell("list for-push\n")

    def push(self, ref: str, old: str, new: str, timeout: float) -> tuple[Finished, bool] | None:
        """Push as `git push --porcelain` would have reported it, and whether anything was sent; once only."""
        until = time.monotonic() + timeout
        options = f"option cas {ref}:{old or '0' * 40}\noption progress false\noption verbosity 0\n"
        if self._process.poll() is not None or not self._tell(f"{options}push {new}:{ref}\n\n"):
            self.close()
            return None
        reader = _Lines(self._process.stdout.fileno() if self._process.stdout else -1, until)
        refs = reader.until_blank()
        answers = [reader.next() for _ in range(3)] if refs is not None else []
        verdicts = reader.until_blank() if answers and all(answer == "ok" for answer in answers) else None
        sent = b'"pack-objects"' in Path(self._trace.name).read_bytes()
        self._said.seek(0)
        err = self._said.read()
        self.close()
        if not verdicts:
            return (Finished(128, b"", err, late=time.monotonic() >= until), sent) if sent else None
        return _verdict(verdicts, ref, new, err), sent

    def close(self) -> None:
        """Let the helper go."""
        atexit.unregister(self.close)
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait()
        for file in (self._process.stdin, self._process.stdout, self._trace, self._said):
            with suppress(OSError):
                if file is not None:
                    file.close()

    def _tell(self, text: str) -> bool:
        stdin = self._process.stdin
        if stdin is None:
            return False
        try:
            stdin.write(text.encode())
            stdin.flush()
        except OSError:
            return False
        return True


class _Lines:
    """Lines of a pipe, as long as the time lasts."""

    def __init__(self, file: int, until: float) -> None:
        self._file = file
        self._until = until
        self._rest = b""

    def next(self) -> str | None:
        """The next line, None at the end or when the time is up."""
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self._file], [], [], max(self._until - time.monotonic(), 0))
            more = os.read(self._file, 65_536) if ready else b""
            if not more:
                return None
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode(errors="replace")

    def until_blank(self) -> list[str] | None:
        """The lines up to an empty one, None where it doesn't come."""
        found: list[str] = []
        while True:
            line = self.next()
            if line is None:
                return None
            if not line:
                return found
            found.append(line)


def _verdict(lines: list[str], ref: str, new: str, err: bytes) -> Finished:
    """What the helper said of the ref, in the words of `git push --porcelain`."""
    if f"ok {ref}" in lines:
        return Finished(0, b"", err)
    why = next(
        (line.removeprefix(f"error {ref}").strip() for line in lines if line.startswith(f"error {ref}")), ""
    )
    return Finished(1, f"!\t{new}:{ref}\t[remote rejected] ({why.strip(chr(34))})\n".encode(), err)


def open_early(repo: GitRepo, remote: str | None) -> EarlyPush | None:
    """Open a connection for a push to come, where there is a point in it: over http, for a ledger known here.

    Where the URL would be rewritten by git, that is left to `git push`.
    """
    folder = Path(repo.common_dir, "pw")
    if remote is None or not any((folder / "store.git" / name).exists() for name in TIP):
        return None
    url = repo.config(f"remote.{remote}.pushurl") or repo.config(f"remote.{remote}.url") or ""
    rewritten = any(one.key.startswith("url.") for one in repo.entries())
    if rewritten or url.partition(":")[0] not in SCHEMES:
        return None
    try:
        return EarlyPush(str(folder), remote, url, repo.root or repo.common_dir, repo.own_settings())
    except OSError:
        return None
