"""Hook managers installed for real, with ours beside them: each runs, whoever came first, and whoever goes."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.cli import Result as Answer
from tests.support.cli import pw
from tests.support.git import Result, clone, git, make_upstream, run
from tests.support.managers import ROOT, node_modules

pytestmark = pytest.mark.timeout(300)

HELD = "docs/guide.md"
FREE = "src/cart/basket.ts"

JUDGED = {"pre-commit", "pre-push", "prepare-commit-msg", "commit-msg"}
"""The hooks that a manager can be told to run for us, all that matters."""


@pytest.fixture(scope="session")
def modules() -> Path:
    """What npm installed."""
    return node_modules()


@pytest.fixture(scope="session")
def teams(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Holds an upstream in which another worker has locked a file, made once."""
    return {"folder": tmp_path_factory.mktemp("team")}


class Shop:
    """A clone of what another worker holds a file of; managers write to `log` what they run."""

    def __init__(self, path: Path, team: Path, modules: Path) -> None:
        self.path = path
        self.log = path.parent / "log"
        self.modules = modules
        shutil.copytree(team / "up.git", path.parent / "up.git")
        clone(path.parent / "up.git", path)
        (path / "node_modules").mkdir()
        for module in modules.iterdir():
            (path / "node_modules" / module.name).symlink_to(module)

    def write(self, name: str, text: str) -> Path:
        """Write a file, executable."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace("LOG", str(self.log)))
        file.chmod(0o755)
        return file

    def run(self, *words: str | Path, cwd: Path | None = None, **env: str | None) -> Result:
        """Run a program, with those that npm installed on PATH; the framework's may fetch what it needs."""
        path = os.pathsep.join((str(self.modules / ".bin"), os.environ["PATH"]))
        return run(words, cwd or self.path, {"PATH": path, "CI": None, **env}, check=False, timeout=240)

    def pw(self, *words: str, exit: int = 0) -> Answer:  # noqa: A002 - as in `Result`
        """Run git-pw."""
        return pw(*words, cwd=self.path, check=exit)

    def commit(self, *files: str, cwd: Path | None = None) -> Result:
        """Change files and commit them."""
        cwd = cwd or self.path
        for file in files:
            with (cwd / file).open("a") as stream:
                stream.write("x\n")
        done = self.run("git", "commit", "-m", "Fix", "--", *files, cwd=cwd)
        if done.exit:
            git("checkout", "-q", "HEAD", "--", *files, cwd=cwd)
        return done

    def logged(self) -> list[str]:
        """What managers ran since the last time."""
        told = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return told

    def both_fire(self, *, push: bool, cwd: Path | None = None) -> None:
        """The manager's hooks run at a commit and a push, and ours refuses what somebody else holds."""
        done = self.commit(FREE, cwd=cwd)
        assert done.exit == 0, str(done)
        assert self.logged() == ["commit"], str(done)
        done = self.commit(HELD, cwd=cwd)
        assert done.exit != 0, str(done)
        assert f"{HELD} is held by bob" in done.out + done.err
        self.log.unlink(missing_ok=True)
        if push:
            done = self.run("git", "push", "origin", "HEAD", cwd=cwd)
            assert done.exit == 0, str(done)
            assert self.logged() == ["push origin 1"], str(done)

    def only_theirs_fires(self) -> None:
        """Nobody refuses any more."""
        done = self.commit(HELD)
        assert done.exit == 0, str(done)
        assert self.logged() == ["commit"], str(done)

    def only_ours_fires(self) -> None:
        """The manager is gone, and we are not."""
        assert self.commit(FREE).exit == 0
        assert self.commit(HELD).exit != 0
        assert self.logged() == []

    def hooks(self) -> dict[str, tuple[int, bytes]]:
        """Mode and content of every hook, by its path, but for the time at which husky 4 wrote them."""
        folders = [self.path / ".git" / "hooks", self.path / ".husky"]
        files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
        time = re.compile(rb"^#   At: .*$", re.MULTILINE)
        return {str(file): (file.stat().st_mode, time.sub(b"", file.read_bytes())) for file in files}


@pytest.fixture
def shop(tmp_path: Path, teams: dict[str, Path], modules: Path) -> Shop:
    """A new one; the ledger is there, and no hook."""
    team = teams["folder"]
    if not (team / "up.git").exists():
        upstream = make_upstream(team / "making.git")
        bob = clone(upstream, team / "bob")
        pw("--as", "bob", "init", "--no-hooks", cwd=bob, check=0)
        git("add", ".gitpw.toml", cwd=bob)
        git("commit", "-qm", "rules", cwd=bob)
        git("push", "-q", cwd=bob)
        pw("--as", "bob", "lock", HELD, "--lease", "12h", cwd=bob, check=0)
        upstream.rename(team / "up.git")
    return Shop(tmp_path / "my shop", team, modules)


# Each manager, and how it is set up


def husky9(shop: Shop) -> None:
    """As its `init` does, with our jobs."""
    shop.write(".husky/pre-commit", "echo commit >>'LOG'\n")
    shop.write(".husky/pre-push", "echo \"push $1 $(wc -l)\" >>'LOG'\n")
    assert shop.run("husky").exit == 0


def husky4(shop: Shop) -> None:
    """Its hooks find what to run in package.json, by their own names."""
    jobs = '{"pre-commit": "echo commit >>\'LOG\'", "pre-push": "./push"}'
    shop.write("package.json", f'{{"husky": {{"hooks": {jobs}}}}}')
    shop.write(
        "push", '#!/bin/sh\necho "push ${HUSKY_GIT_PARAMS% *} $(echo "$HUSKY_GIT_STDIN" | wc -l)" >>\'LOG\'\n'
    )
    package = shop.path / "node_modules" / "husky"
    if package.is_symlink():
        package.unlink()
        shutil.copytree(shop.modules / "husky4", package)
    npm = {"npm_config_user_agent": "npm/10.0.0", "INIT_CWD": str(shop.path)}
    assert shop.run("node", "lib/installer/bin.js", "install", cwd=package, **npm).exit == 0


def lefthook(shop: Shop) -> None:
    """With a job for each."""
    shop.write(
        "lefthook.yml",
        "pre-commit:\n  jobs:\n    - run: echo commit >>'LOG'\n"
        "pre-push:\n  jobs:\n    - run: echo \"push {1} $(wc -l)\" >>'LOG'\n      use_stdin: true\n",
    )
    done = shop.run("lefthook", "install")
    assert done.exit == 0, str(done)


def framework(shop: Shop, *jobs: str) -> None:
    """The pre-commit framework, with hooks of the repository itself; it tells the push by its environment."""
    local = """\
repos:
- repo: local
  hooks:
  - {id: one, name: one, entry: ./job commit, language: system, stages: [pre-commit], pass_filenames: false, always_run: true}
  - {id: two, name: two, entry: ./job push, language: system, stages: [pre-push], pass_filenames: false, always_run: true}
"""
    shop.write("job", "#!/bin/sh\necho \"$1${PRE_COMMIT_REMOTE_NAME:+ $PRE_COMMIT_REMOTE_NAME 1}\" >>'LOG'\n")
    shop.write(".pre-commit-config.yaml", local + "".join(jobs))
    assert shop.run("pre-commit", "install", "-t", "pre-commit", "-t", "pre-push").exit == 0


def simple_git_hooks(shop: Shop) -> None:
    """It writes each command into a hook, and deletes all other hooks."""
    jobs = r'{"pre-commit": "echo commit >>\"LOG\"", "pre-push": "echo \"push $1 $(wc -l)\" >>\"LOG\""}'
    shop.write("package.json", f'{{"simple-git-hooks": {jobs}}}')
    assert shop.run("simple-git-hooks").exit == 0


def yorkie(shop: Shop) -> None:
    """It only knows commands, and passes nothing on."""
    jobs = '{"pre-commit": "echo commit >>\'LOG\'", "pre-push": "echo push origin 1 >>\'LOG\'"}'
    shop.write("package.json", f'{{"gitHooks": {jobs}}}')
    script = 'require("./node_modules/yorkie/src/install.js")(process.cwd() + "/node_modules/yorkie")'
    assert shop.run("node", "-e", script).exit == 0


class Case(NamedTuple):
    """A manager; whether it leaves a hook alone that it finds, and so ours too."""

    set_up: Callable[[Shop], None]
    shy: bool = False


CASES = [
    Case(husky9),
    Case(husky4, shy=True),
    Case(lefthook),
    Case(framework),
    Case(simple_git_hooks),
    Case(yorkie, shy=True),
]
NAMES = [case.set_up.__name__ for case in CASES]


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_manager_that_was_there_first(shop: Shop, case: Case) -> None:
    """It goes on, also when it is set up again; uninstall leaves it as it was, byte for byte."""
    case.set_up(shop)
    before = shop.hooks()
    shop.pw("init")
    shop.both_fire(push=True)
    case.set_up(shop)
    shop.pw("doctor", "--fix")
    assert shop.pw("init").data["hooks"] == []
    shop.both_fire(push=False)
    shop.pw("uninstall")
    assert shop.hooks() == before
    shop.only_theirs_fires()


@pytest.mark.parametrize(
    "case", [case for case in CASES if not case.shy], ids=lambda case: case.set_up.__name__
)
def test_manager_that_comes_later(shop: Shop, case: Case) -> None:
    """It overwrites, moves or deletes our hooks: doctor says so, and puts them back; uninstall leaves it alone."""
    shop.pw("init")
    case.set_up(shop)
    if case.set_up is not framework:  # which runs ours
        assert "pre-commit" in str(shop.pw("doctor", exit=1).data["findings"])
    shop.pw("doctor", "--fix")
    shop.both_fire(push=True)
    shop.pw("uninstall")
    assert not [name for name, (_, text) in shop.hooks().items() if "git-pw" in name or b"git-pw" in text]
    shop.only_theirs_fires()


@pytest.mark.parametrize(
    "case", [case for case in CASES if not case.shy], ids=lambda case: case.set_up.__name__
)
def test_uninstall_over_what_came_later(shop: Shop, case: Case) -> None:
    """Without having noticed before."""
    shop.write(".git/hooks/pre-commit", "#!/bin/sh\necho mine >>'LOG'\n")
    shop.pw("init")
    case.set_up(shop)
    shop.pw("uninstall")
    assert not [name for name, (_, text) in shop.hooks().items() if "git-pw" in name or b"git-pw" in text]
    assert shop.commit(HELD).exit == 0
    assert shop.logged() == (["mine", "commit"] if case.set_up is framework else ["commit"])


def test_claim_puts_back_what_was_written_over(shop: Shop) -> None:
    """Husky does it at each `npm install`; and a worktree has a hooks folder of its own."""
    husky9(shop)
    shop.pw("init")
    shop.run("husky")
    shop.pw("task", "add", "Take cards", "--file", "src/pay")
    tree = Path(shop.pw("claim").data["worktree"])
    shop.pw("doctor")
    shop.both_fire(push=False)
    assert shop.commit("src/pay/card.ts", cwd=tree).exit == 0
    assert "Pw-Task: task-001" in git("log", "-1", "--format=%B", cwd=tree)
    assert shop.commit(HELD, cwd=tree).exit != 0
    assert git("status", "--porcelain", "--", ".husky", cwd=tree) == ""


# What each manager runs for us, once it has been told


def line(name: str) -> str:
    """What people are asked to add."""
    return f'if command -v git-pw >/dev/null; then git pw hook {name} "$@"; fi\n'


def message_is_ours(shop: Shop) -> None:
    """A commit says which task it is for."""
    shop.pw("task", "add", "Fix the basket", "--file", FREE)
    shop.pw("claim", "--no-worktree")
    done = shop.commit(FREE)
    assert done.exit == 0, str(done)
    assert git("log", "-1", "--format=%(trailers:key=Pw-Task,valueonly)", cwd=shop.path).strip() == "task-001"


def push_is_judged(shop: Shop) -> None:
    """What was committed past the hooks is found at the push."""
    (shop.path / HELD).write_text("x\n")
    git("commit", "-qam", "Bad", "--no-verify", cwd=shop.path)
    done = shop.run("git", "push", "origin", "HEAD")
    assert done.exit != 0
    assert f"{HELD} is held by bob" in done.out + done.err


def test_husky_runs_ours(shop: Shop) -> None:
    """The line in its own files holds for good, also in worktrees, and ours stay out of its folder."""
    husky9(shop)
    for name in (*JUDGED, "post-commit", "post-checkout", "post-merge"):
        file = shop.path / ".husky" / name
        file.write_text(line(name) + (file.read_text() if file.exists() else ""))
    done = shop.pw("init").data
    assert (done["notes"], done["hooks"]) == ([], [])
    shop.run("husky")
    shop.pw("doctor")
    shop.both_fire(push=False)
    message_is_ours(shop)
    push_is_judged(shop)


def test_husky_8_is_checked_in(shop: Shop) -> None:
    """`init` changes nothing, and says which lines to add; then its uninstall doesn't take ours out."""
    husky = shop.modules / "husky8" / "lib" / "bin.js"
    assert shop.run("node", husky, "install").exit == 0
    assert shop.run("node", husky, "add", ".husky/pre-commit", f"echo commit >>'{shop.log}'").exit == 0
    git("add", "-A", ".husky", cwd=shop.path)
    git("commit", "-qm", "husky", "--no-verify", cwd=shop.path)
    done = shop.pw("init").data
    assert done["hooks"] == []
    assert git("status", "--porcelain", "--", ".husky", cwd=shop.path) == ""
    for told in done["notes"]:
        file, _, rest = told.partition(" is checked in")
        text = (shop.path / file).read_text() if (shop.path / file).exists() else "#!/bin/sh\n"
        shop.write(file, f"{text}{rest.partition('the line: ')[2]}\n")
    shop.pw("doctor")
    shop.both_fire(push=False)
    message_is_ours(shop)
    push_is_judged(shop)
    shop.logged()
    assert shop.run("node", husky, "uninstall").exit == 0
    shop.only_ours_fires()


def test_lefthook_runs_ours(shop: Shop) -> None:
    """By jobs, so no hook of ours is in its way."""
    jobs = {
        "pre-commit": "git pw hook pre-commit",
        "pre-push": "git pw hook pre-push {1} {2}\n      use_stdin: true",
        "prepare-commit-msg": "git pw hook prepare-commit-msg {0}",
        "commit-msg": "git pw hook commit-msg {0}",
    }
    shop.write("lefthook.yml", "".join(f"{name}:\n  jobs:\n    - run: {job}\n" for name, job in jobs.items()))
    assert shop.run("lefthook", "install").exit == 0
    assert JUDGED.isdisjoint(shop.pw("init").data["hooks"])
    assert shop.run("lefthook", "install").exit == 0
    shop.pw("doctor")
    shop.only_ours_fires()
    message_is_ours(shop)
    push_is_judged(shop)


def test_lefthook_is_uninstalled(shop: Shop) -> None:
    """Ours stay, and what lefthook had set aside is run again."""
    shop.write(".git/hooks/pre-commit", "#!/bin/sh\necho mine >>'LOG'\n")
    before = shop.hooks()
    lefthook(shop)
    shop.pw("init")
    lefthook(shop)
    shop.pw("init")
    assert shop.run("lefthook", "uninstall").exit == 0
    shop.pw("doctor", "--fix")
    assert shop.commit(FREE).exit == 0
    assert shop.logged() == ["mine"]
    assert shop.commit(HELD).exit != 0
    shop.pw("uninstall")
    assert shop.hooks() == before


def test_framework_is_uninstalled(shop: Shop) -> None:
    """Ours stay, and the user's own too; installed with -f, it drops what it found, and doctor brings ours back."""
    shop.write(".git/hooks/pre-commit", "#!/bin/sh\necho mine >>'LOG'\n")
    before = shop.hooks()
    framework(shop)
    shop.pw("init")
    for kind in ("pre-commit", "pre-push"):
        assert shop.run("pre-commit", "uninstall", "-t", kind).exit == 0
    shop.pw("doctor")
    assert shop.commit(FREE).exit == 0
    assert shop.logged() == ["mine"]
    assert shop.commit(HELD).exit != 0
    shop.pw("uninstall")
    assert shop.hooks() == before
    shop.logged()
    shop.pw("init")
    assert shop.run("pre-commit", "install", "-f").exit == 0
    shop.pw("doctor", exit=1)
    shop.pw("doctor", "--fix")
    shop.both_fire(push=False)


def test_framework_takes_our_hooks_as_its_own(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By `.pre-commit-hooks.yaml`, in an environment that it makes itself."""
    source = tmp_path / "git-pw"
    git("init", "-q", source, cwd=tmp_path)
    names = git("ls-files", "--cached", "--others", "--exclude-standard", "-z", cwd=ROOT).split("\0")
    for name in filter(None, names):
        if (ROOT / name).exists() and not name.startswith(("tests/", "benchmarks/")):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    git("add", "-A", cwd=source)
    git("commit", "-qm", "git-pw", cwd=source)
    revision = git("rev-parse", "HEAD", cwd=source)
    monkeypatch.setenv("PIP_CACHE_DIR", str(Path(sys.prefix) / "pip-cache"))
    framework(
        shop,
        f"- repo: {source}\n  rev: {revision}\n  hooks:\n"
        "  - id: git-pw\n  - id: git-pw-push\n  - id: git-pw-message\n",
    )
    shop.run("pre-commit", "install", "-t", "prepare-commit-msg", "-t", "commit-msg")
    done = shop.run("pre-commit", "install-hooks")
    assert done.exit == 0, str(done)
    assert JUDGED.isdisjoint(shop.pw("init").data["hooks"])
    shop.pw("doctor")
    shop.both_fire(push=True)
    message_is_ours(shop)
    push_is_judged(shop)
