"""The shims: beside what is there, fired by real git, and taken out without a trace."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from gitpw.adapters.git import CHAINED_ONLY, GitRepo
from gitpw.adapters.hooks import BEFORE, NAMES, GitHooks
from tests.support.git import Result, git, run

ROOT = Path(__file__).parents[2]
PROGRAM = """\
#!/bin/sh
printf '%s|%s\\n' "$*" "$(cat | tr '\\n' ';')" >>"{log}"
exit ${{PW_EXIT:-0}}
"""


class Shop:
    """A repository with a hook program that writes down how it was called."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "my work"
        self.log = folder / "log"
        self.program = folder / "the bin" / "git-pw"
        self.program.parent.mkdir()
        self.program.write_text(PROGRAM.format(log=self.log))
        self.program.chmod(0o755)
        git("init", "-q", self.path, cwd=folder)
        git("init", "-q", "--bare", folder / "up.git", cwd=folder)
        git("remote", "add", "origin", folder / "up.git", cwd=self.path)
        self.folder = self.path / ".git" / "hooks"
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.path / ".git" / "pw").mkdir()

    def hooks(self, path: Path | None = None) -> GitHooks:
        """The hooks of a checkout, by default the main one."""
        return GitHooks(GitRepo.discover(str(path or self.path)), str(self.program))

    def write(self, name: str, text: str, mode: int = 0o755) -> Path:
        """Write a hook as a user would; its path."""
        self.folder.mkdir(exist_ok=True)
        file = self.folder / name
        file.write_text(text)
        file.chmod(mode)
        return file

    def commit(self, path: Path | None = None, env: dict[str, str | None] | None = None) -> Result:
        """Change a file and commit it."""
        path = path or self.path
        with (path / "file").open("a") as file:
            file.write("x\n")
        git("add", "file", cwd=path)
        return run(["git", "commit", "-qm", "x"], path, env, check=False)

    def calls(self) -> list[str]:
        """How the program was called, and what it read, since the last time."""
        told = self.log.read_text().splitlines() if self.log.exists() else []
        if told:  # what was just made, and says nothing yet, is being written
            self.log.unlink()
        return told

    def later(self) -> list[str]:
        """The calls from the background, as soon as there are any."""
        until = time.monotonic() + 10
        while not (told := self.calls()) and time.monotonic() < until:
            time.sleep(0.02)
        return told


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A new one."""
    return Shop(tmp_path)


def snapshot(folder: Path) -> dict[str, tuple[int, bytes, bool]]:
    """Mode, bytes and kind of each file."""
    return {f.name: (f.stat().st_mode, f.read_bytes(), f.is_symlink()) for f in folder.iterdir()}


# Put in and taken out


def test_install_puts_shims(shop: Shop) -> None:
    """The folder is made if it is missing; done again, nothing is new."""
    assert shop.hooks().install() == list(NAMES)
    assert sorted(snapshot(shop.folder)) == sorted(NAMES)
    assert all(os.access(shop.folder / name, os.X_OK) for name in NAMES)
    assert shop.hooks().install() == []
    assert shop.hooks().problems() == []


@pytest.mark.parametrize("name", NAMES)
def test_shims_are_sound(name: str) -> None:
    """Every shim begins with the shell and its id, is executable, and dash can read it."""
    shim = ROOT / "hooks" / name
    first, second, *_ = shim.read_text().splitlines()
    assert (first, second) == ("#!/bin/sh", "# git-pw hook, version 1")
    assert os.access(shim, os.X_OK)
    run(["sh", "-n", shim])


def test_uninstall_puts_everything_back(shop: Shop) -> None:
    """Byte for byte, with modes, links, and what isn't executable."""
    shop.write("pre-commit", "#!/bin/sh\nexit 0\n", 0o750)
    shop.write("pre-push.sample", "x")
    shop.write("target", "#!/bin/sh\n")
    (shop.folder / "pre-push").symlink_to("target")
    shop.write("post-commit", "#!/bin/sh\nexit 0 # \xff\n", 0o644)
    before = snapshot(shop.folder)
    assert shop.hooks().install() == list(NAMES)
    assert (shop.folder / f"pre-push{BEFORE}").is_symlink()
    assert shop.hooks().uninstall() == list(NAMES)
    assert snapshot(shop.folder) == before
    assert shop.hooks().uninstall() == []


def test_outdated_shim_is_replaced(shop: Shop) -> None:
    """Another version, or one that was tampered with; it is not taken for the user's hook."""
    shop.hooks().install()
    file = shop.folder / "pre-push"
    file.write_text(file.read_text().replace("version 1", "version 0"))
    assert "another version" in shop.hooks().problems()[0]
    (shop.folder / "post-commit").chmod(0o644)
    assert "isn't executable" in shop.hooks().problems()[1]
    assert shop.hooks().install() == ["pre-push", "post-commit"]
    assert shop.hooks().problems() == []
    assert not (shop.folder / f"pre-push{BEFORE}").exists()


def test_hook_that_overwrote_the_shim_is_chained(shop: Shop) -> None:
    """The newest one counts; the older one is kept aside."""
    shop.write("pre-commit", "#!/bin/sh\n# first\n")
    shop.hooks().install()
    shop.write("pre-commit", "#!/bin/sh\n# second\n")
    assert "was replaced" in shop.hooks().problems()[0]
    assert shop.hooks().install() == ["pre-commit"]
    assert "second" in (shop.folder / f"pre-commit{BEFORE}").read_text()
    assert "first" in (shop.folder / f"pre-commit{BEFORE}.1").read_text()


def test_pre_commit_framework_goes_on(shop: Shop) -> None:
    """It moves our shim to .legacy and runs it: both fire, before and after the next install, and in the end."""
    shop.write("pre-commit", f'#!/bin/sh\necho first >>"{shop.log}"\n')
    shop.hooks().install()
    legacy = shop.folder / "pre-commit.legacy"
    (shop.folder / "pre-commit").rename(legacy)
    framework = f'#!/bin/sh\necho framework >>"{shop.log}"\n"{legacy}" "$@"\n'
    shop.write("pre-commit", framework)
    assert shop.hooks().problems() == []
    shop.commit()
    assert shop.calls() == ["framework", "first", "hook pre-commit|"]
    assert shop.hooks().install() == []
    shop.hooks().uninstall()
    assert (shop.folder / "pre-commit").read_text() == framework
    shop.commit()
    assert shop.calls() == ["framework", "first"]


FRAMEWORK = """\
#!/usr/bin/env bash
# File generated by pre-commit: https://pre-commit.com
here="$(dirname "$0")"
status=0
[ ! -x "$here/pre-commit.legacy" ] || "$here/pre-commit.legacy" "$@" || status=$?
echo framework >>"{log}"
exit $status
"""


def test_shim_is_what_the_framework_runs_first(shop: Shop) -> None:
    """So its own installing again and uninstalling do what they would do without us."""
    shop.write("pre-commit", FRAMEWORK.format(log=shop.log))
    shop.write("pre-commit.legacy", f'#!/bin/sh\necho first >>"{shop.log}"\n')
    before = snapshot(shop.folder)
    shop.hooks().install()
    assert "framework" in (shop.folder / "pre-commit").read_text()
    assert shop.hooks().problems() == []
    shop.commit()
    assert shop.calls() == ["first", "hook pre-commit|", "framework"]
    assert shop.commit(env={"PW_EXIT": "3"}).exit == 1
    shop.hooks().uninstall()
    assert snapshot(shop.folder) == before


def test_what_the_framework_was_told_to_drop_stays_dropped(shop: Shop) -> None:
    """`pre-commit install -f` deletes what it had found, and our shim with it: only that comes back."""
    shop.write("pre-commit", "#!/bin/sh\nexit 1\n")
    shop.hooks().install()
    (shop.folder / "pre-commit").unlink()
    shop.write("pre-commit", FRAMEWORK.format(log=shop.log))
    assert "the pre-commit framework" in shop.hooks().problems()[0]
    assert shop.hooks().install() == ["pre-commit"]
    shop.calls()
    assert shop.commit().exit == 0
    assert shop.calls() == ["hook pre-commit|", "framework"]


LEFTHOOK = "#!/bin/sh\n[ \"$LEFTHOOK\" = 0 ] || echo lefthook{number} >>'{log}'\n"


def test_shim_that_lefthook_moved_goes_back(shop: Shop) -> None:
    """And what the shim ran is what lefthook has set aside; the next time it can be set aside again."""
    shop.write("pre-commit", "#!/bin/sh\n# first\n")
    shop.hooks().install()
    for number in (1, 2):
        (shop.folder / "pre-commit").rename(shop.folder / "pre-commit.old")
        shop.write("pre-commit", LEFTHOOK.format(number=number, log=shop.log))
        assert "that of lefthook" in shop.hooks().problems()[0]
        assert shop.hooks().install() == ["pre-commit"]
        assert not (shop.folder / "pre-commit.old").exists()
        shop.commit()
        assert shop.calls() == [f"lefthook{number}", "hook pre-commit|"]
    shop.hooks().uninstall()
    assert sorted(snapshot(shop.folder)) == ["pre-commit", "pre-commit.old"]
    assert "lefthook2" in (shop.folder / "pre-commit").read_text()
    assert "first" in (shop.folder / "pre-commit.old").read_text()


def test_what_lefthook_had_set_aside_runs_when_it_is_gone(shop: Shop) -> None:
    """Its uninstall takes out all that bears its mark, also where we keep it."""
    shop.write("pre-commit", LEFTHOOK.format(number=1, log=shop.log))
    shop.write("pre-commit.old", f'#!/bin/sh\necho first >>"{shop.log}"\n')
    shop.hooks().install()
    (shop.folder / f"pre-commit{BEFORE}").unlink()
    assert "set aside" in shop.hooks().problems()[0]
    shop.hooks().install()
    assert shop.hooks().problems() == []
    shop.commit()
    assert shop.calls() == ["first", "hook pre-commit|"]
    shop.hooks().uninstall()
    assert list(snapshot(shop.folder)) == ["pre-commit"]


@pytest.mark.parametrize("healed", [True, False])
def test_uninstall_keeps_what_came_later(shop: Shop, healed: bool) -> None:
    """The newer hook stays; the one that it replaced is a file of no meaning; nothing has our name."""
    shop.write("pre-commit", "#!/bin/sh\n# first\n")
    shop.write("pre-push", "#!/bin/sh\n# push\n")
    shop.hooks().install()
    shop.write("pre-commit", "#!/bin/sh\n# second\n")
    if healed:
        shop.hooks().install()
    assert shop.hooks().uninstall() == list(NAMES)
    texts = {name: text for name, (_, text, _) in snapshot(shop.folder).items()}
    assert texts == {
        "pre-commit": b"#!/bin/sh\n# second\n",
        "pre-commit.replaced": b"#!/bin/sh\n# first\n",
        "pre-push": b"#!/bin/sh\n# push\n",
    }


@pytest.mark.parametrize("healed", [True, False])
def test_large_program_is_never_lost(shop: Shop, healed: bool) -> None:
    """Hooks may be binaries of many megabytes, as alike at first sight as they like."""
    first, second = (f"#!/bin/sh\nexit 0\n# {number}".ljust(2 << 20) for number in (1, 2))
    shop.write("pre-commit", first)
    shop.hooks().install()
    shop.write("pre-commit", second)
    if healed:
        shop.hooks().install()
        assert shop.commit().exit == 0
    shop.hooks().uninstall()
    assert (shop.folder / "pre-commit").read_text() == second
    assert (shop.folder / "pre-commit.replaced").read_text() == first


def test_link_that_leads_nowhere_is_never_lost(shop: Shop) -> None:
    """What it led to may come back."""
    shop.folder.mkdir()
    for target in ("first", "second"):
        (shop.folder / "pre-commit").unlink(missing_ok=True)
        (shop.folder / "pre-commit").symlink_to(target)
        shop.hooks().install()
        assert (shop.folder / f"pre-commit{BEFORE}").readlink() == Path(target)
    shop.hooks().uninstall()
    assert (shop.folder / "pre-commit").readlink() == Path("second")
    assert (shop.folder / "pre-commit.replaced").readlink() == Path("first")


def test_older_hook_of_the_same_manager_is_not_kept(shop: Shop) -> None:
    """It writes its hooks at each run; simple-git-hooks also deletes all others."""
    mine = '#!/bin/sh\nif [ "$SKIP_SIMPLE_GIT_HOOKS" = 1 ]; then exit 0; fi\n# {number}\n'
    shop.write("pre-commit", mine.format(number=1))
    shop.write("pre-push", "#!/bin/sh\n# push\n")
    shop.hooks().install()
    for name in NAMES:
        (shop.folder / name).unlink()
    shop.write("pre-commit", mine.format(number=2))
    told = shop.hooks().problems()
    assert "the pre-commit hook" in told[0]
    assert told[1].startswith("each of the hooks ")
    assert told[1].endswith("is missing")
    shop.hooks().keep()
    assert shop.hooks().problems() == []
    shop.hooks().uninstall()
    texts = {name: text.decode() for name, (_, text, _) in snapshot(shop.folder).items()}
    assert texts == {"pre-commit": mine.format(number=2), "pre-push": "#!/bin/sh\n# push\n"}


def test_hook_whose_shim_was_deleted_comes_back(shop: Shop) -> None:
    """By uninstall, too."""
    shop.write("pre-commit", "#!/bin/sh\n# mine\n")
    before = snapshot(shop.folder)
    shop.hooks().install()
    (shop.folder / "pre-commit").unlink()
    shop.hooks().uninstall()
    assert snapshot(shop.folder) == before


def test_hook_that_calls_git_pw_itself_is_left_alone(shop: Shop) -> None:
    """One judgement is enough."""
    mine = "#!/bin/sh\ngit pw hook pre-commit\n"
    shop.write("pre-commit", mine)
    assert shop.hooks().install() == list(NAMES[1:])
    assert (shop.folder / "pre-commit").read_text() == mine
    assert shop.hooks().problems() == []
    (shop.folder / "pre-commit").chmod(0o644)
    assert shop.hooks().install() == ["pre-commit"]


@pytest.mark.parametrize(
    ("manager", "file", "text"),
    [
        (LEFTHOOK, "lefthook.yml", "pre-commit:\n  jobs:\n    - run: git pw hook pre-commit\n"),
        (FRAMEWORK, ".pre-commit-config.yaml", "repos:\n- repo: x\n  hooks:\n  - id: git-pw\n  - id: y\n"),
        (FRAMEWORK, ".pre-commit-config.yaml", "repos: [{repo: x, hooks: [{id: 'git-pw'}]}]\n"),
        (
            "SIMPLE_GIT_HOOKS",
            "package.json",
            '{"simple-git-hooks": {"pre-commit": "git pw hook pre-commit"}}',
        ),
    ],
)
def test_manager_that_was_told_to_run_git_pw_needs_no_shim(
    shop: Shop, manager: str, file: str, text: str
) -> None:
    """In that hook; and one that is there already is taken out."""
    shop.write("pre-commit", manager.format(log=shop.log, number=1))
    shop.hooks().install()
    assert shop.hooks().uninstall() == list(NAMES)
    before = snapshot(shop.folder)
    shop.hooks().install()
    (shop.path / file).write_text(text)
    assert shop.hooks().install() == []
    assert {
        name: kept for name, kept in snapshot(shop.folder).items() if name.startswith("pre-commit")
    } == before
    assert shop.hooks().problems() == []


def test_interrupted_install_is_finished(shop: Shop) -> None:
    """The user's hook was linked aside, and our shim not yet there."""
    file = shop.write("pre-commit", "#!/bin/sh\n# mine\n")
    os.link(file, shop.folder / f"pre-commit{BEFORE}")
    shop.hooks().install()
    assert sorted(snapshot(shop.folder)) == sorted([*NAMES, f"pre-commit{BEFORE}"])
    shop.hooks().uninstall()
    assert file.read_text() == "#!/bin/sh\n# mine\n"


# Fired by git


def test_commit_asks_git_pw(shop: Shop) -> None:
    """And its refusal stops the commit."""
    shop.hooks().install()
    assert shop.commit().exit == 0
    assert shop.calls() == ["hook pre-commit|"]
    assert shop.commit(env={"PW_EXIT": "3"}).exit == 1
    assert git("rev-list", "--count", "HEAD", cwd=shop.path) == "1"


def test_push_asks_git_pw(shop: Shop) -> None:
    """With the remote and git's lines; its refusal stops the push."""
    shop.hooks().install()
    shop.commit()
    shop.calls()
    assert run(["git", "push", "-q", "origin", "main"], shop.path, {"PW_EXIT": "5"}, check=False).exit != 0
    head = git("rev-parse", "HEAD", cwd=shop.path)
    url = git("remote", "get-url", "origin", cwd=shop.path)
    line = f"refs/heads/main {head} refs/heads/main {'0' * 40};"
    assert shop.calls() == [f"hook pre-push origin {url}|{line}"]
    git("push", "-q", "origin", "main", cwd=shop.path)
    assert shop.calls() == [f"hook pre-push origin {url}|{line}"]


def test_users_hook_comes_first_with_the_same_words(shop: Shop) -> None:
    """Arguments and standard input reach both."""
    shop.write("pre-push", f'#!/bin/sh\necho "mine $1 $(wc -l)" >>"{shop.log}"\n')
    shop.hooks().install()
    shop.commit()
    shop.calls()
    git("push", "-q", "origin", "main", cwd=shop.path)
    mine, ours = shop.calls()
    assert mine == "mine origin 1"
    assert ours.startswith("hook pre-push origin ")
    assert "refs/heads/main" in ours


@pytest.mark.parametrize("name", ["pre-commit", "pre-push"])
def test_users_refusal_is_passed_on(shop: Shop, name: str) -> None:
    """With its own exit status, and git pw isn't asked."""
    shop.write(name, "#!/bin/sh\nexit 42\n")
    shop.hooks().install()
    done = run([shop.folder / name, "origin", "x"], shop.path, check=False, input="line\n")
    assert done.exit == 42
    assert shop.calls() == []


def test_users_hook_that_reads_nothing_is_fine(shop: Shop) -> None:
    """Also with more lines than a pipe holds."""
    shop.write("pre-push", "#!/bin/sh\nexit 0\n")
    shop.hooks().install()
    lines = "refs/heads/x 1 refs/heads/x 0\n" * 5000
    assert run([shop.folder / "pre-push", "origin", "x"], shop.path, input=lines).exit == 0
    assert shop.calls()[0].count(";") == 5000


def test_hook_that_is_not_executable_is_no_hook(shop: Shop) -> None:
    """As git sees it, and with git's hint, unless that is switched off."""
    shop.write("pre-commit", "#!/bin/sh\nexit 1\n", 0o644)
    shop.hooks().install()
    done = shop.commit()
    assert done.exit == 0
    assert f"pre-commit{BEFORE}' hook was ignored because it's not set as executable" in done.err
    git("config", "advice.ignoredHook", "false", cwd=shop.path)
    assert shop.commit().err == ""


@pytest.mark.parametrize("name", NAMES)
def test_each_hook_is_chained(shop: Shop, name: str) -> None:
    """With its arguments, standard input, environment, folder and exit status."""
    told = shop.path / "told"
    script = f"""\
#!/bin/sh
printf '%s;' "$@" "$MARK" "$PWD" "$(cat)" >"{told}"
exit 9
"""
    shop.write(name, script)
    shop.hooks().install()
    words = ["a b", "", "c*"]
    done = run([shop.folder / name, *words], shop.path, {"MARK": "x\ny"}, check=False, input="one\ntwo")
    assert done.exit == 9
    assert told.read_text() == f"a b;;c*;x\ny;{shop.path};one\ntwo;"


def test_all_shims_chain_in_the_same_way() -> None:
    """What is said of one holds for all."""
    heads = {
        (ROOT / "hooks" / name).read_text().partition("\nhere=")[2].partition("\n}\n")[0] for name in NAMES
    }
    assert len(heads) == 1
    assert "chained()" in heads.pop()


@pytest.mark.parametrize("first", ["#!/bin/sh", "#!/bin/sh -e", "#!/usr/bin/env bash", "#! /bin/bash"])
def test_hook_manager_finds_its_name_in_zero(shop: Shop, first: str) -> None:
    """Husky looks for its files by $0: it must be the hook's own name, with the arguments and the exit status."""
    script = f'{first}\necho "$(basename "$0") $(dirname "$0") $1" >>"{shop.log}"\nexit 9\n'
    shop.write("pre-push", script)
    shop.hooks().install()
    assert run([shop.folder / "pre-push", "a b", "x"], shop.path, check=False, input="l\n").exit == 9
    assert shop.calls() == [f"pre-push {shop.folder} a b"]


def test_script_that_compares_zero_with_its_path_is_called(shop: Shop) -> None:
    """Read by another shell, it would take itself for a library and do nothing."""
    body = f'[[ "${{BASH_SOURCE[0]}}" == "$0" ]] && echo main >>"{shop.log}"\nexit 0\n'
    shop.write("pre-commit", f"#!/usr/bin/env bash\n{body}")
    shop.hooks().install()
    shop.commit()
    assert shop.calls()[0] == "main"


def test_hooks_of_any_kind_are_chained(shop: Shop) -> None:
    """A program in another language, and a script without a first line."""
    shop.write("pre-commit", f"#!/usr/bin/env python3\nopen({str(shop.log)!r}, 'a').write('python\\n')\n")
    shop.write("pre-push", f'echo plain >>"{shop.log}"\n')
    shop.hooks().install()
    shop.commit()
    assert shop.calls() == ["python", "hook pre-commit|"]
    git("push", "-q", "origin", "main", cwd=shop.path)
    assert shop.calls()[0] == "plain"


def test_program_is_chained(shop: Shop) -> None:
    """A binary needs no first line."""
    echo = shutil.which("echo")
    assert echo is not None
    shop.folder.mkdir()
    shutil.copy(echo, shop.folder / "pre-commit")
    shop.hooks().install()
    assert run([shop.folder / "pre-commit", "from", "a program"], shop.path).out == "from a program\n"


@pytest.mark.parametrize("shell", ["#!/bin/sh", "#!/usr/bin/env bash"])
def test_link_finds_what_it_links_to(shop: Shop, shell: str) -> None:
    """A script that is checked in, and looks for others beside it."""
    scripts = shop.path / "scripts"
    scripts.mkdir()
    (scripts / "lib").write_text("told=found\n")
    script = scripts / "hook.sh"
    script.write_text(f'{shell}\n. "$(dirname "$(readlink -f "$0")")/lib"\necho "$told" >>"{shop.log}"\n')
    script.chmod(0o755)
    shop.folder.mkdir()
    (shop.folder / "pre-commit").symlink_to("../../scripts/hook.sh")
    shop.hooks().install()
    shop.commit()
    assert shop.calls() == ["found", "hook pre-commit|"]


@pytest.mark.parametrize(
    "again",
    [
        '[ -n "$AGAIN" ] || { AGAIN=1; export AGAIN; sh -e "$0" "$@"; exit $?; }',
        '[ -n "$BASH_VERSION" ] || exec bash "$0" "$@"',
    ],
)
def test_hook_that_starts_itself_anew_runs_once(shop: Shop, again: str) -> None:
    """Husky 8 does, and whoever wants another shell; our shim is not what they mean."""
    shop.write("pre-commit", f"#!/bin/sh\n{again}\necho mine >>'{shop.log}'\nexit $END\n")
    shop.hooks().install()
    assert shop.commit(env={"END": "0"}).exit == 0
    assert shop.calls() == ["mine", "hook pre-commit|"]
    assert shop.commit(env={"END": "3"}).exit == 1
    assert shop.calls() == ["mine"]


def test_linked_worktrees_are_guarded(shop: Shop, tmp_path: Path) -> None:
    """By the same hooks."""
    shop.hooks().install()
    shop.commit()
    git("worktree", "add", "-q", "-b", "linked", tmp_path / "linked one", cwd=shop.path)
    shop.calls()
    shop.commit(tmp_path / "linked one")
    assert shop.calls() == ["hook pre-commit|"]


def test_repository_without_git_pw_is_left_alone(shop: Shop) -> None:
    """A hooks folder may serve others too: without our folder in the git dir, nothing is asked."""
    shop.hooks().install()
    shutil.rmtree(shop.path / ".git" / "pw")
    assert shop.commit(env={"PW_EXIT": "3"}).exit == 0
    git("push", "-q", "origin", "main", cwd=shop.path)
    assert shop.calls() == []


def test_tool_that_is_gone_blocks_nobody(shop: Shop) -> None:
    """A guest must not break the commits of those who removed it; it says so in one line."""
    shop.hooks().install()
    shop.program.unlink()
    path = os.pathsep.join(p for p in os.environ["PATH"].split(os.pathsep) if not Path(p, "git-pw").exists())
    done = shop.commit(env={"PATH": path})
    assert done.exit == 0
    assert done.err.count("\n") == 1
    assert "git pw can't be run" in done.err
    assert run(["git", "push", "-q", "origin", "main"], shop.path, {"PATH": path}).exit == 0


def test_python_that_is_gone_blocks_nobody(shop: Shop) -> None:
    """The script is there, but what it is written for isn't."""
    shop.hooks().install()
    shop.program.write_text("#!/nowhere/python3\n")
    done = shop.commit()
    assert done.exit == 0
    assert "git pw can't be run" in done.err


def test_program_on_path_is_second_choice(shop: Shop, tmp_path: Path) -> None:
    """Where the one that was baked in is gone."""
    shop.hooks().install()
    shutil.move(shop.program.parent, tmp_path / "moved")
    shop.commit(env={"PATH": f"{tmp_path / 'moved'}{os.pathsep}{os.environ['PATH']}"})
    assert shop.calls() == ["hook pre-commit|"]


# After the commit


def test_first_commit_is_told_in_the_background(shop: Shop) -> None:
    """Only in a checkout with a claim, and not at each step of a rebase."""
    shop.hooks().install()
    shop.commit()
    shop.calls()
    (shop.path / ".git" / "pw" / "claims.json").write_text("[1]\n")
    git("commit", "-q", "--no-verify", "--allow-empty", "-m", "x", cwd=shop.path)
    assert shop.later() == ["hook post-commit|"]
    (shop.path / ".git" / "rebase-merge").mkdir()
    run([shop.folder / "post-commit"], shop.path)
    time.sleep(0.2)
    assert shop.calls() == []


def test_background_knows_nothing_of_the_commit(shop: Shop) -> None:
    """Git has another index for `git commit FILE`, which is gone when somebody looks."""
    shop.program.write_text(
        f"#!/bin/sh\nenv | grep -E '^GIT_(INDEX_FILE|EDITOR|PREFIX)' >'{shop.log}'\necho end >>'{shop.log}'\n"
    )
    shop.hooks().install()
    (shop.path / ".git" / "pw" / "claims.json").write_text("[1]\n")
    (shop.path / "file").write_text("x")
    git("add", "file", cwd=shop.path)
    git("commit", "-q", "--no-verify", "-m", "x", "file", cwd=shop.path)
    until = time.monotonic() + 10
    while (
        "end" not in (told := shop.log.read_text() if shop.log.exists() else "") and time.monotonic() < until
    ):
        time.sleep(0.02)
    assert told == "end\n"


def test_users_post_commit_hook_still_runs(shop: Shop) -> None:
    """Its failure doesn't keep git pw from hearing of the commit."""
    shop.write("post-commit", f'#!/bin/sh\necho mine >>"{shop.log}"\nexit 1\n')
    shop.hooks().install()
    (shop.path / ".git" / "pw" / "claims.json").write_text("[1]\n")
    assert run([shop.folder / "post-commit"], shop.path, check=False).exit == 1
    assert shop.later()[0] == "mine"


def test_chained_only_leaves_git_pw_out(shop: Shop) -> None:
    """`git pw push` runs the user's hooks itself, and has judged already."""
    shop.write("pre-push", f'#!/bin/sh\necho "mine $(cat)" >>"{shop.log}"\n')
    shop.hooks().install()
    GitRepo.discover(str(shop.path)).run_pre_push("origin", ["a line"])
    assert shop.calls() == ["mine a line"]
    assert run([shop.folder / "pre-commit"], shop.path, {CHAINED_ONLY: "1"}).exit == 0
    assert shop.calls() == []


# Where hooks live


def test_relative_hooks_path_that_is_ignored(shop: Shop) -> None:
    """Husky 9: a folder in the work tree that ignores itself."""
    folder = shop.path / ".husky" / "_"
    folder.mkdir(parents=True)
    (folder / ".gitignore").write_text("*\n")
    git("config", "core.hooksPath", ".husky/_", cwd=shop.path)
    assert shop.hooks().install() == list(NAMES)
    shop.commit()
    assert shop.calls() == ["hook pre-commit|"]
    assert shop.hooks().problems() == []


def test_tracked_hooks_folder_is_not_changed(shop: Shop) -> None:
    """Husky 8: the line to add is told, and once it is there all is well."""
    folder = shop.path / ".husky"
    folder.mkdir()
    (folder / "pre-commit").write_text("#!/bin/sh\nexit 0\n")
    (folder / "pre-commit").chmod(0o755)
    git("add", "-A", cwd=shop.path)
    git("config", "core.hooksPath", ".husky", cwd=shop.path)
    assert shop.hooks().install() == []
    assert sorted(snapshot(folder)) == ["pre-commit"]
    problems = shop.hooks().problems()
    assert [told.split()[0] for told in problems] == [f".husky/{name}" for name in NAMES]
    assert "add the line: if command -v git-pw" in problems[0]
    for name in NAMES:
        (folder / name).write_text(f"#!/bin/sh\n{problems[NAMES.index(name)].partition('the line: ')[2]}\n")
    assert [told.split()[0] for told in shop.hooks().problems()] == [f".husky/{name}" for name in NAMES[1:]]
    assert "make it executable" in shop.hooks().problems()[0]
    for name in NAMES:
        (folder / name).chmod(0o755)
    assert shop.hooks().problems() == []
    shop.commit(env={"PATH": f"{shop.program.parent}{os.pathsep}{os.environ['PATH']}"})
    assert "hook pre-commit|" in shop.calls()


def test_untracked_hooks_folder_in_the_work_tree_is_not_made(shop: Shop) -> None:
    """It would turn up in `git status`."""
    git("config", "core.hooksPath", ".githooks", cwd=shop.path)
    assert shop.hooks().install() == []
    assert not (shop.path / ".githooks").exists()
    assert all("make it, executable" in told for told in shop.hooks().problems())


def test_hooks_folder_of_all_repositories_is_not_changed(shop: Shop, tmp_path: Path) -> None:
    """Nothing outside of this repository is ours to change: it is asked to go on to the repository's own hook."""
    shared = tmp_path / "shared"
    git("config", "--global", "core.hooksPath", shared, cwd=shop.path)
    assert shop.hooks().install() == []
    assert not shared.exists()
    [told] = shop.hooks().problems()
    assert "serves all your repositories" in told
    assert ", ".join(NAMES) in told
    shared.mkdir()
    for name in NAMES:
        (shared / name).write_text(
            f"#!/bin/sh\necho shared >>'{shop.log}'\n{told.partition('the line: ')[2]}\n"
        )
        (shared / name).chmod(0o755)
    assert shop.hooks().problems() == []
    shop.commit()
    assert [call for call in shop.calls() if call != "shared"] == ["hook pre-commit|"]
    git("init", "-q", tmp_path / "other", cwd=tmp_path)
    assert shop.commit(tmp_path / "other").exit == 0
    assert set(shop.calls()) == {"shared"}


def test_hooks_that_are_switched_off_are_reported(shop: Shop) -> None:
    """`core.hooksPath=/dev/null`."""
    git("config", "core.hooksPath", "/dev/null", cwd=shop.path)
    assert shop.hooks().install() == []
    assert "no folder" in shop.hooks().problems()[0]


def test_program_that_is_gone_is_a_problem(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the baked in one nor one on PATH."""
    shop.hooks().install()
    shop.program.unlink()
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert "can't find git-pw" in shop.hooks().problems()[0]


def test_hooks_fire_when_the_path_is_unset(shop: Shop) -> None:
    """Husky's uninstall: from then on git looks in the repository's own folder."""
    folder = shop.path / ".husky" / "_"
    folder.mkdir(parents=True)
    (folder / ".gitignore").write_text("*\n")
    git("config", "core.hooksPath", ".husky/_", cwd=shop.path)
    shop.hooks().install()
    git("config", "--unset", "core.hooksPath", cwd=shop.path)
    shop.commit()
    assert shop.calls() == ["hook pre-commit|"]
    assert shop.hooks().problems() == []
    shop.hooks().uninstall()
    assert list(snapshot(folder)) == [".gitignore"]
    assert not shop.folder.exists()


def test_worktrees_have_a_hooks_folder_of_their_own(shop: Shop, tmp_path: Path) -> None:
    """Where the path is relative; one that is new gets its shims by `keep`, and turns up in no status."""
    folder = shop.path / ".husky" / "_"
    folder.mkdir(parents=True)
    (folder / ".gitignore").write_text("*\n")
    git("config", "core.hooksPath", ".husky/_", cwd=shop.path)
    assert shop.hooks().keep() == []
    shop.hooks().install()
    shop.commit()
    git("worktree", "add", "-q", "-b", "linked", tmp_path / "linked one", cwd=shop.path)
    assert any("linked one" in told and "is missing" in told for told in shop.hooks().problems())
    shop.hooks().keep()
    assert shop.hooks().problems() == []
    shop.calls()
    shop.commit(tmp_path / "linked one")
    assert shop.calls() == ["hook pre-commit|"]
    assert git("status", "--porcelain", cwd=tmp_path / "linked one") == ""
    shop.hooks(tmp_path / "linked one").uninstall()
    assert not (tmp_path / "linked one" / ".husky").exists()
    assert list(snapshot(folder)) == [".gitignore"]


def test_absolute_hooks_path_of_this_repository(shop: Shop, tmp_path: Path) -> None:
    """It is made if it is missing, and taken away if we made it."""
    folder = tmp_path / "my hooks"
    git("config", "core.hooksPath", folder, cwd=shop.path)
    assert shop.hooks().install() == list(NAMES)
    shop.commit()
    assert shop.calls() == ["hook pre-commit|"]
    shop.hooks().uninstall()
    assert not folder.exists()


def test_tracked_folder_is_not_changed_from_a_worktree(shop: Shop, tmp_path: Path) -> None:
    """An absolute path leads into another checkout, or into another repository's work tree."""
    folder = shop.path / ".githooks"
    folder.mkdir()
    (folder / "pre-commit").write_text("#!/bin/sh\n")
    git("add", "-A", cwd=shop.path)
    git("commit", "-qm", "hooks", cwd=shop.path)
    git("worktree", "add", "-q", "-b", "linked", tmp_path / "linked", cwd=shop.path)
    git("config", "core.hooksPath", folder, cwd=shop.path)
    assert shop.hooks(tmp_path / "linked").install() == []
    assert git("status", "--porcelain", cwd=shop.path) == ""
    assert "is checked in" in shop.hooks(tmp_path / "linked").problems()[0]
    git("init", "-q", tmp_path / "dotfiles", cwd=tmp_path)
    git("config", "core.hooksPath", tmp_path / "dotfiles" / "hooks", cwd=shop.path)
    assert shop.hooks().install() == []
    assert not (tmp_path / "dotfiles" / "hooks").exists()


def test_hooks_folder_that_is_a_link_into_the_work_tree(shop: Shop) -> None:
    """What it leads to is checked in."""
    (shop.path / "scripts").mkdir()
    (shop.path / "scripts" / "pre-commit").write_text("#!/bin/sh\n")
    git("add", "-A", cwd=shop.path)
    git("commit", "-qm", "hooks", cwd=shop.path)
    shop.folder.symlink_to("../scripts")
    assert shop.hooks().install() == []
    assert git("status", "--porcelain", cwd=shop.path) == ""
    assert "is checked in" in shop.hooks().problems()[0]


def test_hooks_of_a_template_are_chained(shop: Shop, tmp_path: Path) -> None:
    """`init.templateDir` puts them into each new repository."""
    hooks = tmp_path / "template" / "hooks"
    hooks.mkdir(parents=True)
    (hooks / "pre-commit").write_text(f'#!/bin/sh\necho template >>"{shop.log}"\n')
    (hooks / "pre-commit").chmod(0o755)
    git("config", "--global", "init.templateDir", tmp_path / "template", cwd=tmp_path)
    git("init", "-q", tmp_path / "new", cwd=tmp_path)
    (tmp_path / "new" / ".git" / "pw").mkdir()
    shop.hooks(tmp_path / "new").install()
    shop.commit(tmp_path / "new")
    assert shop.calls() == ["template", "hook pre-commit|"]
    git("init", "-q", tmp_path / "new", cwd=tmp_path)
    assert shop.hooks(tmp_path / "new").problems() == []


def test_copy_of_a_repository_has_its_own_hooks(shop: Shop, tmp_path: Path) -> None:
    """Uninstalled in the copy, they stay in the original."""
    shop.hooks().install()
    before = snapshot(shop.folder)
    shutil.copytree(shop.path, tmp_path / "copy")
    shop.hooks(tmp_path / "copy").uninstall()
    assert snapshot(shop.folder) == before


def test_broken_memory_is_no_fault(shop: Shop) -> None:
    """It is written anew."""
    shop.hooks().install()
    for text in ("", "{", "[]", "7", '{"": 7}'):
        (shop.path / ".git" / "pw" / "hooks.json").write_text(text)
        assert shop.hooks().install() == []
    assert shop.hooks().uninstall() == list(NAMES)
