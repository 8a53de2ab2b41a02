"""The manual says what the commands say."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from gitpw import errors
from gitpw.cli.manual import main, pages, statuses


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.name)
def test_pages_are_up_to_date(path: object) -> None:
    """`python -m gitpw.cli.manual` writes them."""
    page = next(one for one in pages() if one == path)
    assert page.read_text("utf-8") == pages()[page], "run: python -m gitpw.cli.manual"


def test_a_stale_page_is_found_and_written(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--check` for CI."""
    monkeypatch.setattr("gitpw.cli.manual.DOCS", tmp_path)
    assert main(["--check"]) == 1
    assert main([]) == 0
    assert main(["--check"]) == 0


def test_every_status_is_documented() -> None:
    """Those of the errors, and success."""
    known = {
        kind.exit
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.PwError)
    }
    assert {status for status, _, _ in statuses()} == known | {0}


def test_the_man_page_is_well_formed() -> None:
    """As groff reads it."""
    if shutil.which("groff") is None:
        pytest.skip("groff is missing")
    page = next(path for path in pages() if path.suffix == ".1")
    done = subprocess.run(
        ["groff", "-man", "-ww", "-z", "-Tutf8", "-K", "utf8", page],
        capture_output=True,
        check=False,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
