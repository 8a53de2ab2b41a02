"""An uncontended claim, as a whole process, against `git push` of one commit; and what it asks of the server.

The server is git's http-backend behind a web server on loopback, behind a proxy that adds the round trip. The bar is
1.8 times the push at 50 ms of round trip and 1.3 times at 200 ms. The claim makes no worktree: that costs what git's
own `worktree add` costs, and nothing on the network.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.measure import alternate, median
from tests.support.git import clone, git, make_upstream, run
from tests.support.proxy import Proxy
from tests.support.servers import HttpServer


def main() -> None:
    """Print the medians, the ratios and the requests."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument(
        "--round-trip", type=float, nargs="*", default=[0.0, 50.0, 200.0], help="milliseconds"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        with HttpServer(root / "served") as server:
            for round_trip in options.round_trip:
                _one(root, server, round_trip, options.rounds)


def _one(root: Path, server: HttpServer, round_trip: float, rounds: int) -> None:
    name = f"shop-{round_trip:.0f}.git"
    make_upstream(root / "served" / name)
    with Proxy(server, round_trip_ms=round_trip) as proxy:
        mine = clone(proxy.url(name), root / f"mine-{round_trip:.0f}")
        plain = clone(proxy.url(name), root / f"plain-{round_trip:.0f}")
        for where in (mine, plain):
            git("config", "user.name", "Bench", cwd=where)
            git("config", "user.email", "bench@example.com", cwd=where)
        run(["git", "pw", "init"], cwd=mine)
        run(["git", "pw", "worker", "register", "bench", "--max-tasks", "1000"], cwd=mine)
        for number in range(rounds + 1):
            run(["git", "pw", "task", "add", f"Task {number}", "--file", f"src/file{number}.py"], cwd=mine)
        before = len(server.requests(name))

        def claim(_number: int) -> None:
            run(["git-pw", "claim", "--no-worktree", "--as", "bench", "--json"], cwd=mine)

        def push(number: int) -> None:
            run(["git", "push", "--quiet", "origin", f"HEAD:refs/heads/bench-{number}"], cwd=plain)

        for number in range(rounds + 1):
            git("commit", "--quiet", "--allow-empty", "-m", f"{number}", cwd=plain)
        times = alternate({"claim": claim, "push": push}, rounds)
        asked = [
            method
            for method, path in server.requests(name)[before:]
            if "receive-pack" in path or "upload-pack" in path
        ]
    ratio = median(times["claim"]) / median(times["push"])
    print(
        f"round trip {round_trip:3.0f} ms: claim {median(times['claim']):4.0f} ms, git push {median(times['push']):4.0f} ms, "
        f"ratio {ratio:.2f}; {len(asked)} requests for {rounds + 1} claims and {rounds + 1} pushes"
    )


if __name__ == "__main__":
    main()
