"""A browser without a window: pictures of a page, and what a script finds out about it."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.git import run

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
DARK = "--blink-settings=preferredColorScheme=0"

LOOK = """<!DOCTYPE html><meta name="color-scheme" content="light dark"><style>iframe {{ border: 0 }}</style>
<iframe src="{page}" width="{width}" height="800"></iframe><pre></pre><script>
addEventListener("load", () => {{
  const page = document.querySelector("iframe").contentDocument;
  const found = (() => {{ {script} }})();
  document.querySelector("pre").textContent = JSON.stringify(found);
}});
</script>"""


class Browser:
    """One that is there, with a profile of its own."""

    def __init__(self, folder: Path) -> None:
        program = next(filter(None, map(shutil.which, NAMES)), None)
        if program is None:
            reason = "a browser is missing (Debian: chromium-headless-shell)"
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
        assert program is not None
        self.folder = folder
        # The pages are our own, and root (containers) can't have a sandbox.
        self.words = [
            *(
                program,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
            ),
            *("--no-first-run", "--disable-extensions", "--virtual-time-budget=1000"),
            f"--user-data-dir={folder / 'profile'}",
        ]

    def picture(self, page: Path, file: Path, width: int, height: int, *, dark: bool = False) -> None:
        """Make a PNG of the top of a page."""
        words = [f"--screenshot={file}", f"--window-size={width},{height}", *([DARK] if dark else [])]
        run([*self.words, *words, page.as_uri()], self.folder)

    def ask(self, page: Path, script: str, width: int = 1100, *, dark: bool = False) -> Any:
        """What a script, the body of a function, returns about the document `page` in a frame of that width."""
        look = self.folder / "look.html"
        look.write_text(LOOK.format(page=html.escape(page.as_uri()), width=width, script=script))
        words = [
            "--dump-dom",
            "--allow-file-access-from-files",
            "--window-size=1600,1000",
            *([DARK] if dark else []),
        ]
        shown = run([*self.words, *words, look.as_uri()], self.folder).out
        (found,) = re.findall("<pre>(.*?)</pre>", shown, re.DOTALL)
        return json.loads(html.unescape(found))
