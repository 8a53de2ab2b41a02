"""The rules in force where they guard or run something: those on the base branch, out of reach of a task's branch.

While the base branch has no `.gitpw.toml`, the one in the main checkout counts: so it is between `init` and the first
push, for linked worktrees as well.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from gitpw.adapters.git import GitRepo, short_name
from gitpw.adapters.policy import NAME, load_policy, parse_policy
from gitpw.adapters.sheet import holds, load_sheet, loose_ref, write_sheet
from gitpw.domain.ids import duration
from gitpw.domain.policy import Policy, or_defaults
from gitpw.domain.sheet import Asks, Origin, Sheet
from gitpw.errors import ConfigError
from gitpw.ledger.remote import RemoteStore


class Found(NamedTuple):
    """The rules, where they were found, and the refs that led there."""

    policy: Policy
    origin: Origin
    refs: tuple[str, ...]


class GitRules:
    """The rules in force in one repository."""

    def __init__(
        self, repo: GitRepo, far: RemoteStore | None, folder: Path, tell: Callable[[str], None]
    ) -> None:
        """`folder` is ours, `<common git dir>/pw`; `far` is the ledger on a remote, if that is where it is."""
        self._repo = repo
        self._far = far
        self._remote = None if far is None else far.remote
        self._folder = folder
        self._tell = tell

    def policy(self) -> Policy:
        """The rules in force; raises `ConfigError` where they can't be read."""
        return self._found.policy

    def lenient(self) -> Policy:
        """Those to judge by: where they can't be read, the ones that hold without a file, and that is told once."""
        return self._lenient

    def base(self) -> str:
        """The name of the base branch: what they say, else the remote's default branch."""
        return self._lenient.merge.base or short_name(self._leading[-1], self._remote)

    def lockable(self) -> bool:
        """Whether there are lockable files, by what was written down for the hooks if that still holds; raises as `policy` does."""
        sheet = load_sheet(self._folder)
        if sheet is not None and holds(sheet, self._folder):
            return sheet.lockable
        return bool(self.policy().policy.lockable)

    def on_base(self) -> bool:
        """Whether they were found on the base branch; raises as `policy` does."""
        return self._found.origin is Origin.BASE

    def publish(self) -> None:
        """Write the rules down for the hooks, that need no Python where nobody holds anything.

        Where they can't be read, hooks ask for them each time.
        """
        if not self._folder.is_dir():
            return
        try:
            found = self._found
        except ConfigError:
            return
        there = self._there()
        guarding = found.policy.policy
        asks = Asks.NOBODY if self._remote is None else Asks.PATH if there else Asks.NETWORK
        sheet = Sheet(
            origin=found.origin,
            file="" if found.origin is Origin.BASE else str(self._file),
            refs=tuple((name, loose_ref(Path(self._repo.common_dir), name)) for name in found.refs),
            asks=asks,
            there=there,
            age=int(duration(guarding.refresh).total_seconds()),
            worker=self._repo.config("pw.worker") or "",
            enforce=guarding.enforce,
            trailers=guarding.trailers,
            lockable=bool(guarding.lockable),
            critical=tuple(guarding.guarded),
            ignore=tuple(guarding.ignore),
        )
        write_sheet(sheet, self._folder)

    @cached_property
    def _found(self) -> Found:
        refs = self._leading
        found = self._on_base(refs)
        if found is not None and found.merge.base is not None:
            # The base branch may name another one as the base.
            named = self._branch(found.merge.base)
            refs = [*refs, *(ref for ref in named if ref not in refs)]
            found = self._on_base(named) or found
        if found is not None:
            return Found(found, Origin.BASE, tuple(refs))
        lies = os.path.lexists(self._file)
        policy = load_policy(str(self._file.parent))
        return Found(policy, Origin.FILE if lies else Origin.DEFAULTS, tuple(refs))

    @cached_property
    def _lenient(self) -> Policy:
        return or_defaults(self.policy, self._tell)

    @cached_property
    def _leading(self) -> list[str]:
        return self._repo.default_refs(self._remote)

    @property
    def _file(self) -> Path:
        """The file that counts where the base branch has none."""
        return Path(self._repo.main_root() or self._repo.root or self._repo.common_dir, NAME)

    def _on_base(self, refs: Sequence[str]) -> Policy | None:
        """The rules on the first of the refs that there is, the last of those named."""
        if not refs:
            return None
        text = self._repo.file_at(refs[-1], NAME)
        if text is None:
            return None
        return parse_policy(text.decode(errors="replace"), f"{NAME} on {refs[-1].removeprefix('refs/')}")

    def _branch(self, name: str) -> list[str]:
        """The refs of a branch, the remote's before ours, up to the first that there is."""
        spaces = [f"refs/remotes/{self._remote}/", "refs/heads/"] if self._remote else ["refs/heads/"]
        refs: list[str] = []
        for space in spaces:
            refs.append(space + name)
            if self._repo.resolve(refs[-1]) is not None:
                break
        return refs

    def _there(self) -> str:
        """The file of the ledger's ref in a remote that is a folder of this machine; empty where it is none."""
        if self._far is None:
            return ""
        url = self._repo.push_url(self._far.remote)
        path = Path(self._repo.root or self._repo.common_dir, re.sub(r"^file://(localhost)?(?=/)", "", url))
        if not path.is_absolute() or (re.match(r"[\w+.-]+:", url) and not url.startswith("file://")):
            return ""
        for git_dir in (path / ".git", path):
            if (git_dir / "HEAD").is_file() and (git_dir / "objects").is_dir():
                return str(git_dir / self._far.ledger_ref)
        return ""
