"""The sleeping part of `git pw heartbeat --every`: a program of its own, started by its path.

It waits for hours, so it imports next to nothing and takes a few megabytes; each beat is a `git pw hook beat` that comes
and goes. It ends with the process that it watches, also when that is killed; with its checkout; and when a beat says
that there is nothing left to renew (6) or that the claim was lost (5).
"""

import os
import sys
import time

LOOK = 2.0
"""Seconds between two looks at what it watches."""

RETRY = 30.0
"""Seconds until the next try where a beat couldn't reach the ledger: half of a lease may be gone already."""

LIMIT = 180.0
"""Seconds that a beat may take."""

LATE = 60.0
"""Seconds of delay that are worth a word: the machine, or this process, was asleep."""

STALE, NOTHING_LEFT, NO_REPOSITORY, INTERRUPTED = 5, 6, 128, 130
"""Exit statuses."""

MOST = 65_536


class Watch:
    """What this lives with: a process, told by its id and the moment it started, and a checkout's git dir."""

    def __init__(self, process: str, started: str, place: str) -> None:
        self.process, self.started, self.place = int(process), started, place
        self.inode = _inode(place)

    def over(self) -> str | None:
        """Why it is time to end; None as long as it isn't."""
        if self.process and not is_running(self.process, self.started):
            return "parent"
        if self.inode is None or _inode(self.place) != self.inode:
            return "worktree"
        return None


def is_running(process: int, started: str) -> bool:
    """Whether a process still is the one that it was; one that only waits to be buried is not."""
    if not os.path.isdir("/proc/self"):  # noqa: PTH112 - pathlib is slow to import
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True
    found = fields(process)
    return bool(found) and found[0] not in {"Z", "X"} and started in {"", found[19]}


def fields(process: int) -> list[str]:
    """What /proc/<pid>/stat says after the program's name, which may hold anything: its state, its parent and more."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:  # noqa: PTH123 - as above
            return file.read().rpartition(b")")[2].decode().split()
    except OSError:
        return []


def _inode(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - as above
    except OSError:
        return None
    return found.st_dev, found.st_ino


def sleep(pause: float, watch: Watch) -> tuple[str | None, float]:
    """Until the pause is over by either clock, or it is time to end; why that is, and how late it has become.

    The wall clock goes on while the machine sleeps, and the other one can't be set back.
    """
    wall, steady = time.time() + pause, time.monotonic() + pause
    while True:
        why = watch.over()
        late = max(time.time() - wall, time.monotonic() - steady)
        if why is not None or late >= 0:
            return why, late
        time.sleep(min(-late, LOOK))


def beat(command: list[str], file: int) -> tuple[int, bytes]:
    """Run a beat; its exit status, and what it said on that file.

    Not to the end of the pipe: what it leaves running, such as ssh's master, may hold it open for hours.
    """
    here, there = os.pipe()
    os.set_blocking(here, False)
    nowhere = os.open(os.devnull, os.O_RDWR)
    actions = [(os.POSIX_SPAWN_DUP2, nowhere, number) for number in (0, 3 - file)]
    actions.append((os.POSIX_SPAWN_DUP2, there, file))
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    process = os.posix_spawn(command[0], command, environment, file_actions=actions)
    os.close(there)
    os.close(nowhere)
    said, until = b"", time.monotonic() + LIMIT
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        said += _read(here)
        if ended:
            os.close(here)
            return os.waitstatus_to_exitcode(status), said
        if time.monotonic() > until:
            os.kill(process, 15)
        time.sleep(0.02)


def _read(pipe: int) -> bytes:
    try:
        return os.read(pipe, MOST)
    except BlockingIOError:
        return b""


def say(text: str, file: int = 2) -> None:
    """A line for whoever is still there to read it."""
    try:
        os.write(file, f"{text}\n".encode())
    except OSError:
        return


def go_on(watch: Watch, every: float, beats: int, command: list[str], *, json: bool, quiet: bool) -> int:
    """Beat until it is time to end; the exit status. `beats` were there before."""
    before, due = b"", bool(beats)
    while True:
        why, late = sleep(every if due else min(every, RETRY), watch)
        if why is None and late > LATE and not quiet:
            say(f"{int(late) // 60} minutes late: renewing now")
        status, said = (0, b"") if why is not None else beat(command, 1 if json else 2)
        if why is not None or status in {NOTHING_LEFT, NO_REPOSITORY}:
            ends = why or ("over" if status == NOTHING_LEFT else "worktree")
            return _report(ends, beats, said, json=json, quiet=quiet)
        if status == STALE:
            os.write(1 if json else 2, said)
            return STALE
        due = status == 0
        beats += due
        if said and not json and said != before and (status or not quiet):
            say(said.decode(errors="replace").rstrip("\n"))
        before = said if status else b""


ENDS = {
    "parent": "the session that it belonged to is over: nothing is renewed any more",
    "worktree": "its checkout is gone: nothing is renewed any more",
    "over": "",
}
"""Why it ended, in words; where nothing is left the beat has said so."""


def _report(why: str, beats: int, said: bytes, *, json: bool, quiet: bool) -> int:
    if json:
        say(f'{{"ok": true, "beats": {beats}, "ended": "{why}"}}', 1)
    elif not quiet:
        say(ENDS[why] or said.decode(errors="replace").rstrip("\n"))
        say(f"renewed {beats} time{'' if beats == 1 else 's'}", 1)
    return 0


def main(words: list[str]) -> int:
    """The words are: every, beats, process, started, place, flags, and the command of a beat."""
    every, beats, process, started, place, flags, *command = words
    os.chdir("/")  # a current folder in the worktree would keep it from being removed
    watch = Watch(process, started, place)
    try:
        return go_on(watch, float(every), int(beats), command, json="j" in flags, quiet="q" in flags)
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
