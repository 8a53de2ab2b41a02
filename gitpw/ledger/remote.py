"""The store whose current state is a ref of the team's git remote, swapped by a push that names the old value.

The `git` program carries every exchange, over every transport: from the small private store a push costs as much as
libgit2's or less, it takes credentials, host keys, proxies, headers and aliases from where git's own would, and its
`--force-with-lease=REF:OLD` is compared by the server under the ref's own lock (docs/design/0002). Whether anything
was sent is read from git's own trace: objects are packed only after the remote's refs were seen and found as expected.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from gitpw.domain.checkup import Greeting
from gitpw.errors import ConfigError, FailedError, OfflineError, PwError
from gitpw.ledger.store import TIP, GitStore, Move, Swap
from gitpw.ledger.transport import ELSEWHERE, NAMESPACES, Finished, Opened, Run, store_environment

PUSH_TIMEOUT = 120.0

UNASKED = {
    "GCM_INTERACTIVE": "never",
    "GIT_TERMINAL_PROMPT": "0",
    "SSH_ASKPASS": "",
    "SSH_ASKPASS_REQUIRE": "never",
}
"""Nobody is to be asked for a password; what git itself was told to ask (GIT_ASKPASS) may know it without."""

RACES = re.compile(
    r"cannot lock ref|failed to update ref|failed to lock|incorrect old value|reference already exists|"
    r"fetch first|non-fast-forward|stale info|atomic (?:transaction|push) failed|already exists"
)
UNSAID = re.compile(r"failed to report status|expecting report")
"""Git's words for a server that took everything and didn't say what became of it."""
NO_ENTRY = re.compile(
    r"\b40[13]\b|denied|not allowed|read[- ]only|authentication failed|could not read (?:username|password)|"
    r"not enabled|access rights|not permitted|protected|not authorized|host key verification failed",
    re.IGNORECASE,
)
NO_ATOMIC = "does not support --atomic"

Config = Callable[[], Sequence[tuple[str, str]]]


class NotAtomicError(PwError):
    """The host takes no atomic pushes: the ledger and a branch can't move in one."""


class RemoteStore(GitStore):
    """The ledger of a remote, as far as it is known here."""

    def __init__(self, folder: str, run: Run, remote: str, where: str, config: Config) -> None:
        """`remote` is a name or a URL, `where` the user's checkout, `config` the repository's own git config."""
        super().__init__(folder, run)
        self.remote = remote
        self._where = where
        self._config = config
        self._fallen_back = False
        self.opened: Opened | None = None

    def tip(self) -> str | None:
        """The last state known here."""
        return self.ref(TIP)

    def accept(self, commit: str) -> None:
        """Take a state as the last one known."""
        self.set_ref(TIP, commit)
        self.list_locks()

    @property
    def ledger_ref(self) -> str:
        """The ref on the remote that is the ledger."""
        elsewhere = self.ref("refs/pw/remote/heads/main") is not None
        fallback = self._fallen_back or (elsewhere and self.ref("refs/pw/remote/pw/main") is None)
        return NAMESPACES["heads" if fallback else "pw"]

    @property
    def _shown(self) -> str:
        """The remote as people are told of it: a URL without its password."""
        return _printable(self.remote)

    @property
    def _written_to(self) -> str:
        """The remote, by the URL that it is pushed to where it has one of its own."""
        key = f"remote.{self.remote}.pushurl"
        return next((value for name, value in self._config() if name == key), self.remote)

    def fall_back(self) -> None:
        """Use the branch that stands in for the ledger's ref, on a host that refuses other namespaces."""
        self._fallen_back = True

    def fetch(self, timeout: float = 60.0) -> str | None:
        """The remote's current state, None where it has none; raises `OfflineError` with git's own words.

        The first fetch is shallow. It asks for the one namespace only, and prunes in our own.
        """
        with self.lock():
            first = self.ref(TIP) is None
            options = ["--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--prune"]
            options += ["--no-auto-maintenance", *(["--depth=1"] if first else [])]
            specs = [
                f"+{ref.removesuffix('main')}*:refs/pw/remote/{name}/*" for name, ref in NAMESPACES.items()
            ]
            done = self._git("fetch", *options, "--", self.remote, *specs, timeout=timeout)
            nothing_there = first and done.status == 1 and not done.err.strip()
            if done.status != 0 and not nothing_there:
                raise self._unreachable(done.err, late=done.late)
            self.note_asked()
            return self.ref("refs/pw/remote/pw/main") or self.ref("refs/pw/remote/heads/main")

    def greet(self, timeout: float) -> Greeting:
        """What the remote shows to whoever asks, without a password being asked for; raises as `fetch` does.

        Nothing is written: this is also for repositories that git-pw knows nothing of.
        """
        with tempfile.TemporaryDirectory(prefix="git-pw-") as folder:
            trace = Path(folder, "trace")
            done = self._run(
                ["git", "ls-remote", "--refs", "--", self._written_to, *NAMESPACES.values()],
                cwd=self._where,
                env={
                    **ELSEWHERE,
                    **UNASKED,
                    "GIT_TRACE_CURL": str(trace),
                    "GIT_TRACE_CURL_NO_DATA": "1",
                },
                timeout=timeout,
            )
            said = trace.read_bytes() if trace.exists() else b""
        if done.status != 0:
            raise self._unreachable(done.err, late=done.late)
        shown = (line.partition("\t")[2] for line in done.out.decode(errors="replace").splitlines())
        return Greeting(frozenset(shown) & set(NAMESPACES.values()), _date(said))

    def rehearse(self, timeout: float) -> None:
        """Push what is there already, up to the last step: raises `FailedError` where that isn't allowed."""
        tip, ref = self.tip(), self.ledger_ref
        if tip is None:
            return
        options = ["--dry-run", "--porcelain", "--quiet", "--no-verify", "--no-signed"]
        lease = f"--force-with-lease={ref}:{tip}"
        done = self._git(
            "push", *options, lease, "--", self.remote, f"{tip}:{ref}", timeout=timeout, env=UNASKED
        )
        if done.status == 0:
            return
        swap = self._refused(done.out.decode(errors="replace"), done.err, ref, sent=False, late=done.late)
        if swap is Swap.BEATEN and self.fetch(timeout) == tip:
            raise FailedError(
                f"{self._shown} shows {ref} to readers and hides it from pushes",
                hint="ask its administrator to allow refs/pw/* (receive.hideRefs, transfer.hideRefs)",
            )

    def deepen(self, by: int | None = None) -> bool:
        """Fetch the history that the first, shallow fetch left out, or a part of it; False where nothing was."""
        with self.lock():
            if not (self.path / "shallow").exists():
                return False
            more = "--unshallow" if by is None else f"--deepen={by}"
            options = ("--quiet", "--no-tags", "--no-write-fetch-head", more)
            done = self._git("fetch", *options, "--", self.remote, self.ledger_ref, timeout=600)
            if done.status != 0:
                raise self._unreachable(done.err, late=done.late)
            self._repo = None  # an open repository remembers where its history was cut off
            return True

    def swap(self, old: str | None, new: str, moves: Sequence[Move] = (), ref: str | None = None) -> Swap:
        """Push the new state if the remote still has the old one, with the user's branches if some are to move."""
        ref = ref or self.ledger_ref
        early = None if moves else self._pushed_early(ref, old or "", new)
        if early is not None:
            done, sent = early
            return self._ended(done, ref, new, sent=sent)
        leases = [f"--force-with-lease={ref}:{old or ''}"]
        leases += [f"--force-with-lease={move.ref}:{move.old}" for move in moves]
        specs = [f"{new}:{ref}", *(f"{move.new}:{move.ref}" for move in moves)]
        with tempfile.NamedTemporaryFile(prefix="trace-", dir=self.folder) as trace:
            options = ["--porcelain", "--quiet", "--no-verify", "--no-signed", "--no-follow-tags"]
            options += ["--recurse-submodules=no", *leases, *(["--atomic"] if moves else [])]
            done = self._git(
                *["-c", "push.pushOption=", "push", *options, "--", self.remote, *specs],
                timeout=PUSH_TIMEOUT,
                env={"GIT_TRACE2_EVENT": trace.name},
                joint=bool(moves),
            )
            sent = b'"pack-objects"' in Path(trace.name).read_bytes()
        return self._ended(done, ref, new, sent=sent)

    def _pushed_early(self, ref: str, old: str, new: str) -> tuple[Finished, bool] | None:
        """Push through the connection that was opened early, if there is one; it serves once."""
        opened, self.opened = self.opened, None
        return None if opened is None else opened.push(ref, old, new, PUSH_TIMEOUT)

    def _ended(self, done: Finished, ref: str, new: str, *, sent: bool) -> Swap:
        if done.status == 0:
            self._remember(ref, new)
            return Swap.DONE
        return self._refused(done.out.decode(errors="replace"), done.err, ref, sent=sent, late=done.late)

    def purge(self) -> list[str]:
        """Delete the ledger's ref from the remote, if it still is what is known here; what was deleted."""
        tip = self.fetch()
        if tip is None:
            return []
        ref = self.ledger_ref
        options = ["--porcelain", "--quiet", "--no-verify", f"--force-with-lease={ref}:{tip}"]
        done = self._git("push", *options, "--", self.remote, f":{ref}", timeout=PUSH_TIMEOUT)
        if done.status != 0:
            raise FailedError(f"{self._shown} keeps {ref}: {_last_line(done.err.decode(errors='replace'))}")
        return [f"{ref} on {self._shown}"]

    def _remember(self, ref: str, new: str) -> None:
        with self.lock():
            self.accept(new)
            name = next(name for name, one in NAMESPACES.items() if one == ref)
            self.set_ref(f"refs/pw/remote/{name}/main", new)
            self.note_asked()

    def _refused(self, out: str, err: bytes, ref: str, *, sent: bool, late: bool) -> Swap:
        lines = re.finditer(
            r"^!\t[^\t]*:(\S+)\t\[(?:remote )?(?:rejected|failure)\] ?\((.*)\)$", out, re.MULTILINE
        )
        verdicts = [(line[1], _printable(line[2])) for line in lines]
        words = [reason for name, reason in verdicts if name == ref] or [reason for _, reason in verdicts]
        branch = next(
            (f"{name}: {reason}" for name, reason in verdicts if name != ref and "atomic" not in reason), None
        )
        if words and "stale info" in words[0]:
            return Swap.BEATEN
        if words and UNSAID.search(words[0]):
            return Swap.LOST
        if branch is not None:
            raise FailedError(f"the remote refuses {branch}", hint=_said(err) or "fetch it and look")
        if words and RACES.search(words[0]):
            return Swap.RACED
        if words:
            raise FailedError(f"{self._shown} refuses {ref}: {words[0]}", hint=_said(err) or _hint(words[0]))
        if sent:
            return Swap.LOST
        raise self._unreachable(err, late=late)

    def _unreachable(self, err: bytes, *, late: bool) -> PwError:
        text = err.decode(errors="replace")
        words = _last_line(text)
        if "algorithm" in text and ("hash" in text or "mismatched" in text):
            return ConfigError(f"{self._shown} is a SHA-256 repository", hint="git-pw needs a SHA-1 remote")
        if NO_ATOMIC in text:
            return NotAtomicError(words)
        if late:
            return OfflineError(f"{self._shown} doesn't answer", hint="try again, or see 'git pw doctor'")
        if NO_ENTRY.search(text.replace("correct access rights", "")):
            return FailedError(
                f"{self._shown} refuses: {words}", hint="check your rights and credentials for it"
            )
        return OfflineError(
            f"{self._shown} can't be reached: {words}", hint="nothing was changed; try again later"
        )

    def _git(
        self,
        *args: str,
        timeout: float,
        env: Mapping[str, str | None] | None = None,
        joint: bool = False,
    ) -> Finished:
        """Run git in the private store with the repository's own settings; `joint`, in the repository with both."""
        if joint:
            with self._joined() as both:
                return self._run(
                    ["git", *args],
                    cwd=self._where,
                    env={**ELSEWHERE, **both, **(env or {})},
                    timeout=timeout,
                )
        settings = store_environment(str(self.repo_path()), self.remote, self._config())
        return self._run(["git", *args], cwd=self._where, env={**settings, **(env or {})}, timeout=timeout)

    def repo_path(self) -> Path:
        """Where the private repository is, made if it isn't there yet."""
        return Path(self.repo.path)

    @contextmanager
    def _joined(self) -> Iterator[dict[str, str]]:
        """The environment in which git sees the objects of both repositories."""
        common = self.folder.parent
        found = {"GIT_ALTERNATE_OBJECT_DIRECTORIES": str(self.repo_path() / "objects")}
        lines = b"".join(
            path.read_bytes() for path in (common / "shallow", self.repo_path() / "shallow") if path.exists()
        )
        with tempfile.NamedTemporaryFile(prefix="shallow-", dir=self.folder) as file:
            file.write(lines)
            file.flush()
            yield {**found, "GIT_SHALLOW_FILE": file.name} if lines else found


def _date(trace: bytes) -> datetime | None:
    """The time that an http server says it is, in git's own trace."""
    found = re.findall(rb"header: date: ([^\r\n]+)", trace, re.IGNORECASE)
    with suppress(IndexError, ValueError, TypeError):
        return parsedate_to_datetime(found[-1].decode())
    return None


def _said(err: bytes) -> str | None:
    """What the server had to say."""
    lines = [
        line.removeprefix("remote:").strip()
        for line in err.decode(errors="replace").splitlines()
        if line.startswith("remote:")
    ]
    said = " ".join(line for line in lines if line)
    return f"it says: {_printable(said)}" if said else None


def _hint(words: str) -> str | None:
    if "hidden" in words or "hook" in words:
        return "the remote doesn't allow this ref: ask its administrator, or see 'git pw doctor'"
    return None


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [
        line for line in lines if line.startswith(("fatal:", "remote:", "ERROR:", "error:", "ssh:"))
    ] or lines
    words = told[0] if told else "git gave no reason"
    return _printable(re.sub(r"^(fatal|remote|error|ERROR): *", "", words))


def _printable(text: str) -> str:
    """A server's words without control characters, and without a password that a URL may hold."""
    text = re.sub(r"://[^/@\s]*@", "://", text)
    return "".join(letter for letter in text if letter.isprintable())[:500]
