"""The merger's own worktree, and commands that end with all that they started."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gitpw.adapters.git import GitRepo
from gitpw.adapters.testbed import Testbed
from gitpw.errors import ContendedError, FailedError
from tests.support.git import clone, git, make_upstream, run
from tests.support.team import processes

if TYPE_CHECKING:
    from gitpw.domain.integration import Tested


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A clone."""
    return clone(make_upstream(tmp_path / "up.git"), tmp_path / "my work")


@pytest.fixture
def bed(work: Path) -> Testbed:
    """Its testbed."""
    return Testbed(GitRepo.discover(str(work)))


def ran(bed: Testbed, *commands: str, **about: Any) -> Tested:
    """Run commands on a commit."""
    known: dict[str, Any] = {"timeout": 30.0, "env": {}, "show": lambda _: None, "beat": lambda: None}
    return bed.test(about.pop("commit", "HEAD"), commands, **{**known, **about})


def test_commands_run_on_the_commit_until_one_fails(bed: Testbed) -> None:
    """Their output is shown line by line without colours, and kept as it is."""
    lines: list[str] = []
    done = ran(bed, "printf '\\033[31mred\\033[0m\\n'; cat README.md", "exit 3", "echo no", show=lines.append)
    assert (done.green, done.why) == (False, "exit 3")
    assert lines[:2] == ["red", "# Corner shop"]
    log = Path(done.log).read_text()
    assert "\x1b[31mred" in log
    assert "[exit 3]" in log
    assert "no\n" not in log
    assert "[exit 3]" in bed.tail(done.log)


def test_what_earlier_runs_left_is_gone_but_for_ignored_files(bed: Testbed, work: Path) -> None:
    """Changed, deleted, new: the tree is the commit's; caches stay."""
    assert ran(bed, "echo x >README.md; rm package.json; mkdir new dist; echo x >new/f; echo x >dist/f").green
    check = 'test -z "$(git status --porcelain)" && test -e package.json && ! test -e new && test -e dist/f'
    assert ran(bed, check).green
    assert git("status", "--porcelain", cwd=work) == ""


def test_an_index_lock_of_a_killed_git_is_no_obstacle(bed: Testbed, work: Path) -> None:
    """Nobody but mergers of this clone works there, one at a time."""
    ran(bed, "true")
    (next((work / ".git/worktrees").iterdir()) / "index.lock").touch()
    assert ran(bed, "true").green


@pytest.mark.parametrize("damage", ["folder", "admin", "link"])
def test_a_broken_worktree_is_made_anew(bed: Testbed, work: Path, damage: str) -> None:
    """Whatever is missing of it."""
    ran(bed, "true")
    if damage == "folder":
        shutil.rmtree(bed.path)
    elif damage == "admin":
        shutil.rmtree(work / ".git/worktrees")
    else:
        (bed.path / ".git").unlink()
    assert ran(bed, "cat README.md").green


def test_the_environment_names_no_repository_but_its_own(
    bed: Testbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hook's variables would lead git astray."""
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere")
    assert ran(bed, 'git diff --quiet && test "$ABOUT" = it', env={"ABOUT": "it"}).green


def test_a_timeout_ends_the_whole_group(bed: Testbed) -> None:
    """Also what runs in the background and ignores gentle signals."""
    mark = f"1{time.time_ns()}"
    done = ran(bed, f"(trap '' INT TERM; sleep {mark}) & sleep {mark}", timeout=0.5)
    assert (done.green, done.why) == (False, "stopped after 0.5 s")
    assert processes(mark) == []


def test_what_a_green_command_leaves_running_ends_too(bed: Testbed) -> None:
    """And doesn't keep the merger waiting for its output."""
    mark = f"1{time.time_ns()}"
    began = time.monotonic()
    assert ran(bed, f"sleep {mark} & echo done").green
    assert time.monotonic() - began < 20
    assert processes(mark) == []


def test_what_a_beat_raises_ends_the_tests(bed: Testbed) -> None:
    """A lost lease, for instance."""
    mark = f"1{time.time_ns()}"

    def beat() -> None:
        raise ContendedError("lost")

    with pytest.raises(ContendedError):
        ran(bed, f"sleep {mark}", beat=beat)
    assert processes(mark) == []


def test_a_program_that_closed_its_output_is_waited_for(bed: Testbed) -> None:
    """Its exit status counts."""
    assert ran(bed, "exec >&- 2>&-; sleep 0.3; exit 4").why == "exit 4"


def test_tests_die_with_a_merger_that_is_killed(work: Path) -> None:
    """Nobody is there to end them but the watchdog."""
    mark = f"1{time.time_ns()}"
    script = (
        "import sys; from gitpw.adapters.git import GitRepo; from gitpw.adapters.testbed import Testbed\n"
        f"Testbed(GitRepo.discover(sys.argv[1])).test('HEAD', ['echo begun; sleep {mark}'], timeout=60, env={{}}, "
        "show=lambda line: print(line, flush=True), beat=lambda: None)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(work)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        os.kill(process.pid, signal.SIGKILL)
    until = time.monotonic() + 20
    while processes(mark) and time.monotonic() < until:
        time.sleep(0.05)
    assert processes(mark) == []


def test_one_merger_a_clone(bed: Testbed, work: Path) -> None:
    """An error inside isn't taken for that."""
    other = Testbed(GitRepo.discover(str(work)))
    with bed.alone(), pytest.raises(ContendedError, match="in this clone"), other.alone():
        pass
    with pytest.raises(ContendedError, match="mine"), bed.alone():
        raise ContendedError("mine")


def test_results_and_the_clones_id_are_kept(bed: Testbed, work: Path) -> None:
    """What can't be read counts as nothing."""
    assert bed.results() == {}
    bed.keep({"tree": [1, 2]})
    other = Testbed(GitRepo.discover(str(work)))
    assert (other.results(), other.place()) == ({"tree": [1, 2]}, bed.place())
    (bed.folder / "results.json").write_text("[nonsense")
    assert bed.results() == {}


def test_the_worktree_can_be_taken_away(bed: Testbed, work: Path) -> None:
    """Git doesn't know it any more then."""
    assert bed.remove() == []
    ran(bed, "touch untracked")
    assert bed.remove() == [f"worktree {bed.path}"]
    assert len(git("worktree", "list", cwd=work).splitlines()) == 1


def test_a_commit_that_is_not_there_is_an_error_in_gits_words(bed: Testbed) -> None:
    """And no red test."""
    with pytest.raises(FailedError):
        ran(bed, "true", commit="0" * 40)


def test_resolve_gives_the_tree_that_a_command_made(bed: Testbed, work: Path) -> None:
    """None where it failed, or left marks of a conflict; afterwards nothing of the merge is left."""
    base = git("rev-parse", "HEAD", cwd=work)
    for branch, text in (("one", "one\n"), ("two", "two\n")):
        git("checkout", "-q", "-b", branch, base, cwd=work)
        (work / "README.md").write_text(text)
        git("commit", "-qam", branch, cwd=work)
    about: dict[str, Any] = {"timeout": 30.0, "env": {}, "beat": lambda: None}
    assert bed.resolve("one", "two", "true", **about) is None
    assert bed.resolve("one", "two", "echo both >README.md; exit 1", **about) is None
    tree = bed.resolve("one", "two", 'test "$GITPW_CONFLICTS" = README.md && echo both >README.md', **about)
    assert run(["git", "show", f"{tree}:README.md"], work).out == "both\n"
    assert git("status", "--porcelain", cwd=bed.path) == ""
