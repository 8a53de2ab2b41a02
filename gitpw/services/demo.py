"""Three workers on a throw-away repository: the main job, shown by the commands themselves."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

from gitpw.errors import FailedError
from gitpw.ledger.transport import Run

FILES = {
    "README.md": "# Orchard\n\nA small shop for apples.\n",
    "src/auth/login.py": 'def login(user, password):\n    return user == "admin"\n',
    "src/auth/session.py": "def open_session(user):\n    return {'user': user}\n",
    "src/cart.py": "def total(prices):\n    return sum(prices)\n",
    "docs/api.md": "# API\n\nNot written yet.\n",
}


class Person(NamedTuple):
    """A worker of the scenario, and what it does to the file it claims."""

    name: str
    register: Sequence[str]
    task: Sequence[str]
    file: str
    change: str
    message: str


PEOPLE = (
    Person(
        "alice",
        ("--type", "human"),
        (
            "Check passwords at login",
            "--type",
            "fix",
            "--issue",
            "456",
            "--file",
            "src/auth",
            "--priority",
            "1",
        ),
        "src/auth/login.py",
        "def login(user, password):\n    return check(user, password)\n",
        "Check passwords",
    ),
    Person(
        "bob",
        ("--type", "ai_agent", "--agent-type", "codegen"),
        ("Discounts in the cart", "--type", "feat", "--file", "src/cart.py", "--priority", "2"),
        "src/cart.py",
        "def total(prices, discount=0):\n    return sum(prices) * (1 - discount)\n",
        "Add discounts",
    ),
    Person(
        "charlie",
        ("--type", "ai_agent", "--agent-type", "review"),
        ("Describe the API", "--type", "docs", "--file", "docs/**", "--priority", "3"),
        "docs/api.md",
        "# API\n\n`total(prices, discount)` adds up a cart.\n",
        "Describe the cart",
    ),
)


class Stage:
    """Where the scenario is played: it runs commands for real and prints them with what they print."""

    def __init__(self, folder: Path, run: Run, out: TextIO) -> None:
        """All happens below `folder`, with a HOME of its own."""
        self.folder = folder
        self._run = run
        self._out = out
        self._color = out.isatty() and "NO_COLOR" not in os.environ
        home = folder / "home"
        home.mkdir()
        self._env: dict[str, str | None] = {
            "HOME": str(home),
            "XDG_CONFIG_HOME": None,
            "GIT_CONFIG_GLOBAL": None,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_EDITOR": "false",
            "PATH": f"{Path(sys.argv[0]).resolve().parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "COLUMNS": "100",
            **{name: None for name in os.environ if name.startswith(("GITPW_", "GIT_", "CLAUDE", "CODEX"))},
        }

    def say(self, text: str) -> None:
        """A line of the story."""
        self._print(f"\n# {text}", "1;36")

    def _print(self, text: str, style: str = "") -> None:
        print(f"\x1b[{style}m{text}\x1b[0m" if self._color and style else text, file=self._out, flush=True)

    def do(
        self,
        args: Sequence[str],
        where: Path,
        *,
        who: str | None = None,
        expect: int | None = 0,
        quiet: bool = False,
    ) -> str:
        """Run a command in a folder, as a worker; show it and its output; complain if it ends otherwise than told."""
        env: Mapping[str, str | None] = {**self._env, "GITPW_WORKER": who}
        done = self._run(args, cwd=str(where), env=env, timeout=60)
        out, err = (text.decode(errors="replace") for text in (done.out, done.err))
        if not quiet:
            shown = " ".join(f"'{arg}'" if " " in arg or "*" in arg else arg for arg in args)
            self._print(f"{who or ''}$ {shown}", "1")
            told = (out + err).rstrip()
            if told:
                self._print(textwrap.indent(told, "  "))
        if expect is not None and done.status != expect:
            raise FailedError(f"{' '.join(args)} ended with {done.status}: {(err or out).strip()}")
        return out.strip()


def demo(out: TextIO, run: Run, *, keep: bool = False) -> None:
    """Play the scenario; leaves nothing behind unless `keep`, and then says where it is."""
    folder = Path(tempfile.mkdtemp(prefix="git-pw-demo-"))
    try:
        stage = Stage(folder, run, out)
        shop = _made(stage)
        _play(stage, shop)
    finally:
        if keep:
            print(f"\nkept in {folder}", file=out)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _made(stage: Stage) -> Path:
    """A bare remote, and a clone of it with real files."""
    remote, shop = stage.folder / "remote.git", stage.folder / "shop"

    def git(*args: str) -> None:
        stage.do(["git", *args], stage.folder, quiet=True)

    git("init", "--quiet", "--bare", "--initial-branch=main", str(remote))
    git("init", "--quiet", "--initial-branch=main", str(shop))
    for name, content in FILES.items():
        (shop / name).parent.mkdir(parents=True, exist_ok=True)
        (shop / name).write_text(content)
    for key, value in {"user.name": "Demo", "user.email": "demo@example.com"}.items():
        git("-C", str(shop), "config", key, value)
    git("-C", str(shop), "add", "-A")
    git("-C", str(shop), "commit", "--quiet", "-m", "Open the shop")
    git("-C", str(shop), "remote", "add", "origin", str(remote))
    git("-C", str(shop), "push", "--quiet", "-u", "origin", "main")
    return shop


def _play(stage: Stage, shop: Path) -> None:
    stage.say("A repository with a remote: that is all there is. No server.")
    stage.do(["git", "pw", "init"], shop)
    for person in PEOPLE:
        stage.do(["git", "pw", "worker", "register", person.name, *person.register], shop, quiet=True)
        stage.do(["git", "pw", "task", "add", *person.task], shop)
    stage.do(["git", "pw", "task", "add", "Remember sessions", "--file", "src/auth/session.py"], shop)
    stage.say("Three workers claim: each gets the best task, its locks, a branch and a worktree of its own.")
    trees = {}
    for person in PEOPLE:
        stage.do(["git", "pw", "claim"], shop, who=person.name)
        path = stage.do(
            ["git", "pw", "worktree", "path", f"task-00{PEOPLE.index(person) + 1}"], shop, quiet=True
        )
        trees[person.name] = Path(path)
    stage.say("A fourth attempt, on a file in a folder that Alice holds: refused by the claim …")
    stage.do(["git", "pw", "claim", "task-004"], shop, who="dave", expect=3)
    stage.say("… and, should anybody edit it all the same, by the hook.")
    session = shop / "src/auth/session.py"
    session.write_text("def open_session(user):\n    return {'user': user, 'since': 'now'}\n")
    stage.do(["git", "commit", "--quiet", "-am", "Remember sessions"], shop, who="dave", expect=1)
    stage.do(["git", "checkout", "--quiet", "HEAD", "--", "src/auth/session.py"], shop, quiet=True)
    stage.say("They work in their worktrees, each on its own files.")
    for step, person in enumerate(PEOPLE, start=3):
        tree = trees[person.name]
        (tree / person.file).write_text(person.change)
        stage.do(["git", "commit", "--quiet", "-am", person.message], tree)
        stage.do(["git", "pw", "progress", "--step", f"{step}/7", "writing tests"], tree)
    stage.do(["git", "pw", "status"], shop)
    stage.say(
        "Done: the branches are pushed and queued, each in one step that only the lock's holder can take."
    )
    for person in PEOPLE:
        stage.do(["git", "pw", "complete"], trees[person.name])
    stage.do(["git", "pw", "log"], shop)
    stage.do(["git", "pw", "status"], shop)
