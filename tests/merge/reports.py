"""Plays in processes of their own, and what they report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

Report = dict[str, Any]


def played(play: str, *words: str) -> list[Report]:
    """Run a play of this folder: it forks, which a test's own process had better not; its reports."""
    done = subprocess.run(
        [sys.executable, "-m", f"tests.merge.{play}", *words],
        cwd=ROOT,
        env=dict(os.environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def told(reports: list[Report]) -> str:
    """What was violated, play by play."""
    return "\n".join(f"{one['play']}: {line}" for one in reports for line in one["violations"])
