"""The page of a real ledger, and how browsers show it."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from tests.conftest import ROOT
from tests.race.runner import gathered
from tests.support.browser import Browser
from tests.support.day import written
from tests.support.git import clone, make_upstream, run
from tests.support.team import Team

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.race.runner import Herd

EVIL = (
    "<script>document.title = 'evil'</script><img src=x onerror=\"document.title='evil'\"> \u202e" + "w" * 200
)
PICTURES = {
    "page-light.png": (1100, 1250, False),
    "page-dark.png": (1100, 1250, True),
    "page-phone.png": (360, 1250, False),
    "page-timeline.png": (1100, 860, False),
}
"""Those in docs/pictures: width, height, and whether they are dark."""


@pytest.fixture(scope="module")
def herd() -> Iterator[Herd]:
    """Starts git-pw processes without the wait for Python."""
    with gathered() as started:
        yield started


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    """One without a window."""
    return Browser(tmp_path)


@pytest.fixture
def day(tmp_path: Path) -> Path:
    """The page of a made-up day."""
    file = tmp_path / "day.html"
    file.write_text(written())
    return file


@pytest.fixture
def site(herd: Herd, tmp_path: Path) -> Path:
    """The page of a small team, one of whom writes what is no markup."""
    bare = make_upstream(tmp_path / "shop.git")
    team = Team(bare, clone(bare, tmp_path / "work"), herd, tmp_path / "lab")
    team.pw("init")
    team.pw("task", "add", EVIL, "--file", "src/a" + "b" * 100)
    team.pw("task", "add", "Count prices", "--priority", "1")
    team.pw("claim", "1", "--no-worktree")
    team.pw("progress", EVIL, "--percent", "40")
    team.pw("claim", "2", "--no-worktree", worker="bob")
    team.pw("fail", "task-002", "--reason", EVIL, worker="bob")
    late = team.another("late")
    (tmp_path / "out").mkdir()
    file = tmp_path / "out/index.html"
    told = late.pw("status", f"--html={file}").data
    assert told["page"] == str(file)
    return file


def test_page_of_a_clone_that_joined_late(site: Path) -> None:
    """It is of everything that ever happened, and there is nothing beside it."""
    text = site.read_text()
    assert "claimed by bob" in text
    assert "&lt;script&gt;" in text
    assert "<script" not in text
    assert [one.name for one in site.parent.iterdir()] == ["index.html"]


def test_page_that_can_not_be_written(site: Path) -> None:
    """What was there stays as it was, and nothing is left behind."""
    before, work = site.read_text(), site.parent.parent / "work"
    if os.geteuid() == 0:
        failed = run(["git", "pw", "status", "--html", "/proc/page.html"], work, check=False)
    else:
        site.parent.chmod(0o500)
        failed = run(["git", "pw", "status", "--html", str(site)], work, check=False)
    assert failed.exit == 1
    assert "can't be written" in failed.err
    assert "hint: " in failed.err
    assert site.read_text() == before
    full = run(["git", "pw", "status", "--html", "/dev/full"], work, check=False)
    assert full.exit == 1


def test_no_page_is_wider_than_its_window(browser: Browser, day: Path, site: Path) -> None:
    """Whatever words are in it, also with all of its lists open; tables scroll in their boxes."""
    script = """
        for (const one of page.querySelectorAll("details")) one.open = true;
        return [page.documentElement.scrollWidth, getComputedStyle(page.body).marginTop, page.title];
    """
    for file, width in ((day, 320), (site, 320), (site, 768), (site, 1280)):
        wide, margin, title = browser.ask(file, script, width)
        assert wide <= width
        assert margin == "0px", "its style was refused"
        assert title.endswith("who does what")


def test_light_and_dark(browser: Browser, day: Path) -> None:
    """As the reader's system is, with words that stand out."""
    script = """
        const style = getComputedStyle(page.body);
        return [style.backgroundColor, style.color].map(one => one.match(/\\d+/g).map(Number).reduce((a, b) => a + b));
    """
    ground, ink = browser.ask(day, script)
    assert ground - ink > 500
    ground, ink = browser.ask(day, script, dark=True)
    assert ink - ground > 500


def test_on_paper(browser: Browser, day: Path) -> None:
    """By the rules for print: dark on white also where the screen is dark, tables as tables, nothing to click."""
    script = """
        const [sheet] = page.styleSheets;
        for (const rule of [...sheet.cssRules])
            if (rule.media && rule.media.mediaText === "print")
                for (const one of rule.cssRules) sheet.insertRule(one.cssText, sheet.cssRules.length);
        const shown = (name) => getComputedStyle(page.querySelector(name));
        return [shown("nav").display, shown("tr").display, shown("svg.chart").minWidth, shown("section").borderTopWidth,
                shown("body").backgroundColor, shown("body").color];
    """
    assert browser.ask(day, script, dark=True) == [
        *("none", "table-row", "0px", "0px", "rgb(255, 255, 255)", "rgb(0, 0, 0)")
    ]


def test_every_part_can_be_reached_by_keyboard(browser: Browser, day: Path) -> None:
    """The way past the contents comes first; boxes that scroll are stops, and lists open."""
    script = """
        const stops = [...page.querySelectorAll("a[href], summary, [tabindex='0']")];
        const boxes = [...page.querySelectorAll(".scroll")];
        return [stops[0].textContent, boxes.every(one => one.tabIndex === 0), stops.every(one => { one.focus(); return page.activeElement === one || !one.checkVisibility(); })];
    """
    assert browser.ask(day, script) == ["Skip to the content", True, True]


def test_pictures(browser: Browser, day: Path, tmp_path: Path) -> None:
    """Those of the docs can be made, and are there; PYTEST_PICTURES=1 makes them anew."""
    kept = ROOT / "docs/pictures"
    made = kept if os.environ.get("PYTEST_PICTURES") else tmp_path
    past = tmp_path / "past.html"
    past.write_text(re.sub(r"(?s)</header>.*?(<section id=\"timeline\")", r"</header><main>\1", written()))
    for name, (width, height, dark) in PICTURES.items():
        page = past if "timeline" in name else day
        browser.picture(page, made / name, width, height, dark=dark)
        for file in (made / name, kept / name):
            assert file.read_bytes().startswith(b"\x89PNG")
            assert 10_000 < file.stat().st_size < 200_000
    assert (made / "page-light.png").read_bytes() != (made / "page-dark.png").read_bytes()
