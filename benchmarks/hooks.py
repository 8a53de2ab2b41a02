"""What the hooks cost: against an empty hook, against a bare Python, and against `git lfs` with as many locks.

The bars: with no foreign lock at most 6 ms over an empty hook; with 1,000 foreign locks and 100 staged files at most
120 ms over a Python that does nothing; with 10,000 locks the push hook and `git pw locks` at most a quarter of
`git lfs pre-push` and `git lfs locks --verify`. The server that git lfs asks here answers at once, with pages of 100
locks, after the same round trip that git-pw's remote is away.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from benchmarks.measure import alternate, median
from tests.support.git import clone, git, make_upstream, run
from tests.support.proxy import Proxy
from tests.support.servers import HttpServer

PAGE = 100
EMPTY = "#!/bin/sh\nexit 0\n"


def main() -> None:
    """Print the medians and what they are over their baselines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--locks", type=int, default=10_000)
    parser.add_argument("--round-trip", type=float, nargs="*", default=[0.0, 50.0], help="milliseconds")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _commits(_shop(root, "few", str(make_upstream(root / "few.git"))), options.rounds)
        with HttpServer(_made(root / "served")) as server:
            for round_trip in options.round_trip:
                name = f"many-{round_trip:.0f}"
                make_upstream(root / "served" / f"{name}.git")
                with Proxy(server, round_trip_ms=round_trip) as proxy:
                    shop = _shop(root, name, proxy.url(f"{name}.git"))
                    _pushes(shop, options.locks, max(options.rounds // 8, 3), round_trip)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _shop(root: Path, name: str, url: str) -> Path:
    """A clone that has joined a ledger, whose settings are no longer new."""
    shop = clone(url, root / name)
    for key in ("name", "email"):
        git("config", f"user.{key}", "bench@example.com", cwd=shop)
    run(["git", "pw", "init"], cwd=shop)
    git("add", ".gitpw.toml", cwd=shop)
    git("commit", "--quiet", "--message", "rules", cwd=shop)
    git("push", "--quiet", "origin", "main", cwd=shop)
    time.sleep(1.2)
    run(["git", "pw", "hook", "refresh"], cwd=shop)
    return shop


def _commits(shop: Path, rounds: int) -> None:
    empty = shop / ".git" / "empty"
    empty.write_text(EMPTY)
    empty.chmod(0o755)
    for number in range(100):
        file = shop / f"src/module{number % 7}/file{number}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"{number}\n")
    git("add", "src", cwd=shop)
    environment = {"GIT_INDEX_FILE": ".git/index"}

    def hook(_number: int) -> None:
        run([shop / ".git/hooks/pre-commit"], shop, environment)

    baselines = {
        "empty hook": lambda _: run([empty], shop, environment),
        "python": lambda _: run([sys.executable, "-c", "pass"], shop),
    }
    for held in (0, 50, 1_000):
        if held:
            linked = shop.parent / f"holder{held}"
            git("worktree", "add", "--quiet", "--detach", linked, cwd=shop)
            names = [f"held/folder{number % 50}/file{number}.py" for number in range(held)]
            run(["git", "pw", "lock", *names, "--as", f"holder{held}"], linked)
        times = alternate({"hook": hook, **baselines}, rounds)
        middle = {name: median(all_) for name, all_ in times.items()}
        print(
            f"pre-commit, 100 staged files, {held} foreign locks: {middle['hook']:.1f} ms, "
            f"{middle['hook'] - middle['empty hook']:+.1f} over an empty hook, "
            f"{middle['hook'] - middle['python']:+.1f} over a bare Python"
        )
        if held:
            run(["git", "pw", "unlock", "--all", "--as", f"holder{held}"], linked)
            run(["git", "pw", "hook", "refresh"], shop)


def _pushes(shop: Path, locks: int, rounds: int, round_trip: float) -> None:
    holder = shop.with_suffix(".holder")
    git("worktree", "add", "--quiet", "--detach", holder, cwd=shop)
    names = [f"held/folder{number % 97}/file{number}.py" for number in range(locks)]
    for begin in range(0, locks, 1_000):
        run(["git", "pw", "lock", *names[begin : begin + 1_000], "--as", "holder"], holder)
    git("commit", "--quiet", "--allow-empty", "--message", "one", cwd=shop)
    head, old = git("rev-parse", "HEAD", cwd=shop), git("rev-parse", "origin/main", cwd=shop)
    line = f"refs/heads/main {head} refs/heads/main {old}\n"
    url = git("remote", "get-url", "origin", cwd=shop)
    works = {
        "push hook": lambda _: run([shop / ".git/hooks/pre-push", "origin", url], shop, input=line),
        "locks": lambda _: run(["git-pw", "locks", "--json"], shop),
    }
    theirs = {
        "push hook": lambda _: run(["git", "lfs", "pre-push", "origin", url], shop, input=line),
        "locks": lambda _: run(["git", "lfs", "locks", "--verify", "--json"], shop),
    }
    git("config", "lfs.locksverify", "true", cwd=shop)
    if not shutil.which("git-lfs"):
        theirs = {}
    with _lfs(names, round_trip) as api:
        git("config", "lfs.url", api, cwd=shop)
        turns = {**works, **{f"lfs {name}": work for name, work in theirs.items()}}
        times = {name: median(all_) for name, all_ in alternate(turns, rounds).items()}
    for name in works:
        other = times.get(f"lfs {name}")
        against = f"git lfs {other:.0f} ms, ratio {times[name] / other:.2f}" if other else "no git lfs here"
        print(f"{name}, {locks} locks, round trip {round_trip:.0f} ms: {times[name]:.0f} ms, {against}")


@contextmanager
def _lfs(names: list[str], round_trip: float) -> Iterator[str]:
    """The locking API of git-lfs, where somebody else holds all of the files."""
    held = [
        {"id": str(number), "path": name, "locked_at": "2026-01-01T00:00:00Z", "owner": {"name": "holder"}}
        for number, name in enumerate(names)
    ]

    class Api(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer(int(asked.get("cursor") or 0))

        def do_GET(self) -> None:
            self._answer(int(parse_qs(urlsplit(self.path).query).get("cursor", ["0"])[0]))

        def _answer(self, begin: int) -> None:
            time.sleep(round_trip / 1000)
            end = begin + PAGE
            told: dict[str, object] = {"ours": [], "theirs": held[begin:end], "locks": held[begin:end]}
            if end < len(held):
                told["next_cursor"] = str(end)
            answer = json.dumps(told).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/vnd.git-lfs+json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


if __name__ == "__main__":
    os.environ.setdefault("GIT_TERMINAL_PROMPT", "0")
    main()
