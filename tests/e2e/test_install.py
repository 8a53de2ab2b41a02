"""install.sh does, undoes and repairs what it says, with a pretended Python instead of pip and a network."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.git import Result, run

if TYPE_CHECKING:
    from tests.conftest import Sealed

ROOT = Path(__file__).parent.parent.parent

PYTHON = """#!/bin/sh
# Pretends to be Python: `-m venv` copies itself, `-m pip install` makes git-pw and the man page.
env=$(dirname "$(dirname "$0")")
case "$*" in
*version_info*) exit "${OLD:-0}" ;;
--version) echo 'Python 3.11.0' ;;
"-m venv "*--without-pip*) for dir; do :; done; mkdir -p "$dir/bin"; cp "$0" "$dir/bin/python"; : >"$dir/pyvenv.cfg" ;;
"-m venv "*) [ -z "${NO_ENSUREPIP:-}" ] || exit 1
    mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; : >"$3/pyvenv.cfg" ;;
"-c import gitpw") [ -e "$env/bin/git-pw" ] ;;
"-m pip --version") [ -e "$env/pyvenv.cfg" ] ;;
"-m pip "*)
    [ "$3" != --python ] || env=$(dirname "$(dirname "$4")")
    echo "$*" >>"$HOME/pip"
    [ ! -e "$HOME/fail" ] || { rm "$HOME/fail"; echo 'network is down' >&2; exit 1; }
    mkdir -p "$env/share/man/man1"; : >"$env/share/man/man1/git-pw.1"
    printf '#!/bin/sh\\necho "git-pw $*"\\n' >"$env/bin/git-pw"; chmod +x "$env/bin/git-pw" ;;
"-m pytest "*) echo "pytest $*" ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path, sealed: Sealed, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout in a folder with a space in its name, and a pretended Python."""
    folder = tmp_path / "my checkout"
    folder.mkdir()
    for name in ("install.sh", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    python = sealed.home / "python3"
    python.write_text(PYTHON)
    python.chmod(0o755)
    monkeypatch.setenv("PYTHON", str(python))
    monkeypatch.setenv("PATH", f"{sealed.home}/powerless{os.pathsep}{os.environ['PATH']}")
    for name, script in {"id": "echo 1000", "sudo": "exit 1"}.items():  # so that no package is installed
        file = sealed.home / "powerless" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
    return folder


def install(checkout: Path, *args: str, check: bool = True, **env: str) -> Result:
    """Run install.sh from another folder."""
    return run([checkout / "install.sh", *args], Path.home(), env, check=check)


def files(folder: Path) -> set[str]:
    """All that is in a folder, but for pip's diary."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")} - {"pip"}


def pip_calls() -> list[str]:
    """How pip was called so far."""
    diary = Path.home() / "pip"
    return diary.read_text().splitlines() if diary.exists() else []


def test_install_and_uninstall_leave_nothing(checkout: Path, sealed: Sealed) -> None:
    """Links and folders go as they came, and installing twice changes nothing."""
    before = files(sealed.home)
    assert "isn't on your PATH" in install(checkout).err
    once = files(sealed.home)
    install(checkout)
    assert run([sealed.home / ".local/bin/git-pw", "status"]).out == "git-pw status\n"
    assert (sealed.home / ".local/share/man/man1/git-pw.1").resolve().exists()
    assert files(sealed.home) == once
    install(checkout, "uninstall")
    assert files(sealed.home) == before
    assert "isn't installed" in install(checkout, "uninstall").err


def test_uninstall_keeps_what_is_not_ours(checkout: Path, sealed: Sealed) -> None:
    """Other commands, other man pages and a git-pw that replaced our link stay."""
    install(checkout)
    link = sealed.home / ".local/bin/git-pw"
    link.unlink()
    link.write_text("somebody else's")
    (sealed.home / ".local/share/man/man1/other.1").touch()
    install(checkout, "uninstall")
    left = {
        name for name in files(sealed.home) if name.startswith(".local/") and (sealed.home / name).is_file()
    }
    assert left == {".local/bin/git-pw", ".local/share/man/man1/other.1"}


def test_bin_folder_can_be_chosen(checkout: Path, sealed: Sealed) -> None:
    """GITPW_BIN may be relative, and uninstall finds it without being told."""
    path = f"{sealed.home}/tools:{os.environ['PATH']}"
    assert "PATH" not in install(checkout, GITPW_BIN="tools", PATH=path).err
    assert (sealed.home / "tools/git-pw").is_symlink()
    install(checkout, "uninstall")
    assert not (sealed.home / "tools").exists()


def test_another_git_pw_is_not_overwritten(checkout: Path, sealed: Sealed) -> None:
    """A git-pw of another project stays, and is said, before anything is made."""
    other = sealed.home / ".local/bin/git-pw"
    other.parent.mkdir(parents=True)
    other.write_text("patchwork")
    refused = install(checkout, check=False)
    assert refused.exit == 1
    assert "exists and isn't this git-pw" in refused.err
    assert other.read_text() == "patchwork"
    assert not (sealed.home / ".local/share").exists()


def test_pip_is_tried_twice(checkout: Path, sealed: Sealed) -> None:
    """One failure of the network is got over."""
    (sealed.home / "fail").touch()
    assert "trying once more" in install(checkout).err
    assert len(pip_calls()) == 2


def test_python_without_ensurepip(checkout: Path) -> None:
    """Debian's Python without python3-venv is enough, when it has pip."""
    install(checkout, NO_ENSUREPIP="1")
    assert "--python" in pip_calls()[0]


def test_old_python_is_refused(checkout: Path, sealed: Sealed) -> None:
    """Python before 3.11 is named, with what to do, and nothing is made."""
    refused = install(checkout, check=False, OLD="1")
    assert refused.exit == 1
    assert "older than 3.11" in refused.err
    assert not (sealed.home / ".local").exists()


@pytest.mark.parametrize(
    ("version", "fits"), [("2.37.9", False), ("2.38.0", True), ("3.0.rc1", True), ("1.9.1", False)]
)
def test_old_git_is_refused(version: str, fits: bool, checkout: Path, sealed: Sealed) -> None:
    """Git before 2.38 can't do what we need."""
    fake = sealed.home / "old/git"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\necho 'git version {version} (Apple Git-154)'\n")
    fake.chmod(0o755)
    answer = install(checkout, check=False, PATH=f"{fake.parent}:{os.environ['PATH']}")
    assert (answer.exit == 0) is fits
    assert ("too old" in answer.err) is not fits


def test_environment_of_the_checkout_is_reused(checkout: Path) -> None:
    """The demo runs at once the second time; tests add what they need, once; a change of pyproject.toml counts."""
    assert install(checkout, "demo", "--keep").out == "git-pw demo --keep\n"
    install(checkout, "demo")
    assert len(pip_calls()) == 1
    install(checkout, "test")
    assert install(checkout, "test", "-k", "one two").out.endswith("-k one two\n")
    assert len(pip_calls()) == 2
    assert pip_calls()[1].endswith(f"--editable {checkout}[dev]")
    install(checkout, "demo")
    assert len(pip_calls()) == 2
    with (checkout / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    install(checkout, "demo")
    assert len(pip_calls()) == 3


def test_broken_environments_are_made_anew(checkout: Path) -> None:
    """One that was left half made, one whose Python is gone, and one that was moved."""
    install(checkout, "demo")
    env = checkout / ".venv"
    (env / "incomplete").touch()
    (env / "complete-base").unlink()
    (env / "left").touch()
    assert "incomplete" in install(checkout, "demo").err
    assert not (env / "left").exists()
    (env / "bin/python").unlink()
    assert "incomplete" in install(checkout, "demo").err
    moved = checkout.rename(checkout.with_name("moved"))
    assert "was moved" in install(moved, "demo").err
    assert "anew" not in install(moved, "demo").err


def test_a_folder_that_is_no_environment_is_kept(checkout: Path) -> None:
    """Something else called .venv is named, not deleted."""
    (checkout / ".venv").mkdir()
    (checkout / ".venv/thesis.txt").touch()
    assert "in the way" in install(checkout, "demo", check=False).err
    assert (checkout / ".venv/thesis.txt").exists()


def test_wrong_word_is_refused(checkout: Path) -> None:
    """What isn't known is answered with the usage and exit 2."""
    refused = install(checkout, "instal", check=False)
    assert refused.exit == 2
    assert "usage:" in refused.err
    assert "usage:" in install(checkout, "--help").out
