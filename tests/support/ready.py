"""A stand-in for the git-pw that hooks start: a process that has loaded all of it already, and is forked for each call.

    python -m tests.support.ready SOCKET

The stand-in is a program that hands its words, folder, environment and open files to that process and gives its exit
status: all the same as git-pw itself but for Python's start, of which a thousand commits would spend minutes.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.race.herd import load
from tests.race.runner import NOTHING, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENT = """\
#!{python} -IS
import _socket, os, sys
words = [os.getcwdb(), b"%d" % len(sys.argv[1:]), *map(os.fsencode, sys.argv[1:])]
words += [name + b"=" + value for name, value in os.environb.items()]
files = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
wire = _socket.socket(_socket.AF_UNIX)
wire.connect({socket!r})
wire.sendmsg([b"."], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, files)])
wire.sendall(b"\\0".join(words))
wire.shutdown(_socket.SHUT_WR)
os._exit(int(wire.recv(4) or 120))
"""


@contextmanager
def ready() -> Iterator[Path]:
    """The stand-in, for the time of the block."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with (
        tempfile.TemporaryDirectory(prefix="pw-") as folder,  # a socket's path must be short
        subprocess.Popen(
            [sys.executable, "-m", "tests.support.ready", f"{folder}/wire"],
            cwd=ROOT,
            env={"PATH": path, **NOTHING},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process,
    ):
        client = Path(folder, "git-pw")
        client.write_text(CLIENT.format(python=sys.executable, socket=f"{folder}/wire"))
        client.chmod(0o755)
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        try:
            yield client
        finally:
            process.stdin.close()
            process.wait(10)


def serve(wire: str) -> None:
    """Fork for each call, until nobody holds the other end of standard input any more."""
    load()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(wire)
        door.listen(16)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while sys.stdin not in select.select([door, sys.stdin], [], [])[0]:
            call, _ = door.accept()
            if os.fork() == 0:
                door.close()
                answer(call)
            call.close()


def answer(call: socket.socket) -> None:
    """Become git-pw, as the caller would have started it."""
    status = 120
    try:
        _, files, _, _ = socket.recv_fds(call, 1, 3)
        words = b"".join(iter(lambda: call.recv(65_536), b"")).split(b"\0")
        count = int(words[1])
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.chdir(words[0])
        os.environb.clear()
        for word in words[2 + count :]:
            name, _, value = word.partition(b"=")
            os.environb[name] = value
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        from gitpw.cli import main

        status = main([os.fsdecode(word) for word in words[2 : 2 + count]])
        sys.stdout.flush()
        sys.stderr.flush()
        call.sendall(b"%d" % status)
    finally:
        os._exit(status)


if __name__ == "__main__":
    serve(sys.argv[1])
