"""Runs programs, and makes the repositories that tests start from."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FILES: Mapping[str, str] = {
    ".github/workflows/ci.yml": "name: ci\non: [push]\njobs:\n  test:\n    runs-on: ubuntu-latest\n",
    ".gitignore": "node_modules/\ndist/\n",
    "README.md": "# Corner shop\n\nA small web shop: sign in, fill a basket, pay.\n",
    "docs/guide.md": "# Guide\n\n1. `npm install`\n2. `npm start`\n",
    "package.json": '{\n  "name": "corner-shop",\n  "version": "1.4.0",\n  "scripts": {"test": "node --test"}\n}\n',
    "src/app/[id]/page.tsx": "export default function Page({ id }: { id: string }) {\n  return <h1>{id}</h1>;\n}\n",
    "src/auth/login.ts": (
        'import { session } from "./session";\n\n'
        "export function login(user: string, password: string): boolean {\n"
        "  return session(user).check(password);\n}\n"
    ),
    "src/auth/session.ts": "export function session(user: string) {\n  return { user, check: (p: string) => p !== '' };\n}\n",
    "src/cart/basket.ts": "export const total = (prices: number[]) => prices.reduce((a, b) => a + b, 0);\n",
    "src/cart/currency.ts": "export const format = (cents: number) => `${(cents / 100).toFixed(2)} EUR`;\n",
    "src/pay/card.ts": "export const valid = (digits: string) => /^[0-9]{16}$/.test(digits);\n",
    "test/basket.test.ts": 'import { total } from "../src/cart/basket";\n\nconsole.assert(total([1, 2]) === 3);\n',
    "tsconfig.json": '{\n  "compilerOptions": {"strict": true}\n}\n',
}
"""A small web shop: nested folders, critical files, and a name with brackets."""

WHEN = 1_700_000_000
"""Unix time of the first commit; each later one is a day after, so object names are the same in each run."""


@dataclass(frozen=True)
class Result:
    """What a program answered."""

    args: tuple[str, ...]
    exit: int
    out: str
    err: str

    def __str__(self) -> str:
        """All of it, for a failed assertion."""
        return f"$ {' '.join(self.args)}\nexit {self.exit}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


def environment(env: Mapping[str, str | None] | None) -> dict[str, str]:
    """The test's environment with changes; None takes a variable away."""
    changed = {**os.environ, **(env or {})}
    return {name: value for name, value in changed.items() if value is not None}


def run(
    args: Sequence[str | Path],
    cwd: Path | None = None,
    env: Mapping[str, str | None] | None = None,
    check: bool = True,
    timeout: float = 60,
    input: str | None = None,  # noqa: A002 - as in subprocess
) -> Result:
    """Run a program, with no terminal; a non-zero exit is an AssertionError unless `check` is False."""
    words = [str(word) for word in args]
    done = subprocess.run(
        words,
        cwd=cwd,
        env=environment(env),
        input=(input or "").encode(errors="surrogateescape"),
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    out, err = (text.decode(errors="surrogateescape") for text in (done.stdout, done.stderr))
    result = Result(tuple(words), done.returncode, out, err)
    assert done.returncode == 0 or not check, str(result)
    return result


def git(
    *args: str | Path,
    cwd: Path,
    env: Mapping[str, str | None] | None = None,
    input: str | None = None,  # noqa: A002
) -> str:
    """Run git, which must succeed, and give its output without the last newline."""
    return run(["git", *args], cwd, env, input=input).out.removesuffix("\n")


def make_upstream(
    path: Path, files: Mapping[str, str | bytes] | None = None, *, branch: str = "main", commits: int = 2
) -> Path:
    """Make a bare repository: all `files` (the shop's by default) in the first commit, the README changed in later ones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    run(["git", "init", "-q", "--bare", f"--initial-branch={branch}", path])
    start = FILES if files is None else files
    stream = [_commit(branch, 0, "Start", start)]
    stream += [
        _commit(branch, n, f"README: note {n}", {"README.md": f"# Corner shop\n\nNote {n}.\n"})
        for n in range(1, commits)
    ]
    subprocess.run(
        ["git", "fast-import", "--quiet"],
        cwd=path,
        env=environment(None),
        input=b"".join(stream),
        check=True,
        timeout=60,
    )
    return path


def clone(url: str | Path, path: Path, env: Mapping[str, str | None] | None = None) -> Path:
    """Clone, and give the path of the new work tree."""
    run(["git", "clone", "-q", url, path], env=env)
    return path


def _commit(branch: str, number: int, message: str, files: Mapping[str, str | bytes]) -> bytes:
    """One commit in git fast-import's language."""
    who = f"committer Dana Example <dana@example.com> {WHEN + 86_400 * number} +0000\n"
    return (
        f"commit refs/heads/{branch}\n{who}".encode()
        + _data(message)
        + b"".join(_file(name, content) for name, content in files.items())
        + b"\n"
    )


def _file(name: str, content: str | bytes) -> bytes:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'M 100644 inline "{quoted}"\n'.encode() + _data(content) + b"\n"


def _data(content: str | bytes) -> bytes:
    raw = content.encode() if isinstance(content, str) else content
    return b"data %d\n" % len(raw) + raw
