"""Runs one server in a process group of its own, and ends it when its parent goes, or when its time is over.

    python -I -S watchdog.py SECONDS FOLDER PROGRAM ARGUMENT...

Prints the server's process id, then waits for the end of its own standard input: the parent holds the other end
of that pipe, so a parent that is killed ends its servers as surely as one that closes it. What the server says goes to FOLDER/log; a parent that is gone can't
remove FOLDER, so that is done here.
"""

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

POLL = 0.2
GRACE = 3.0


def main(seconds: float, folder: Path, command: list[str]) -> None:
    """Start the server, watch, stop it, clean up."""
    with (folder / "log").open("ab") as output:
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        os.write(sys.stdout.fileno(), b"%d\n" % server.pid)
        is_alone = watch(server, time.monotonic() + seconds)
    finally:
        stop(server)
    if is_alone:
        shutil.rmtree(folder, ignore_errors=True)


def watch(server: "subprocess.Popen[bytes]", deadline: float) -> bool:
    """Return when the parent has let go (True), the server has ended, or time is up."""
    while server.poll() is None and time.monotonic() < deadline:
        if select.select([sys.stdin], [], [], POLL)[0] and not os.read(sys.stdin.fileno(), 64):
            return True
    return False


def stop(server: "subprocess.Popen[bytes]") -> None:
    """Ask the whole group to end, then make it."""
    for word in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, word)
        except ProcessLookupError:
            break
        try:
            server.wait(GRACE)
        except subprocess.TimeoutExpired:
            continue
    server.wait()


if __name__ == "__main__":
    main(float(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
