"""From what was asked to the commits that are meant: found in this clone, or fetched into one that CI made."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from gitpw.adapters.ci import Asked, Ci
from gitpw.adapters.commits import GitCommits
from gitpw.adapters.git import GitRepo
from gitpw.adapters.policy import NAME, parse_policy
from gitpw.domain.policy import Policy, or_defaults
from gitpw.domain.review import UNGUARDED, Span
from gitpw.errors import InvalidError

FETCH_TIMEOUT = 600.0
"""Seconds for the history that a shallow clone lacks."""


class Found(NamedTuple):
    """The commits to judge, and the rules that were in force before them."""

    span: Span
    policy: Policy


class Finder:
    """Looks for commits in one clone; what is missing is fetched from `remote` where CI made the clone."""

    def __init__(self, repo: GitRepo, remote: str | None, ci: Ci | None, tell: Callable[[str], None]) -> None:
        self._repo = repo
        self._tell = tell
        self._remote = remote
        self._ci = ci
        self._commits = GitCommits(repo)

    def find(
        self, base: str | None = None, head: str | None = None, branch: str | None = None
    ) -> Found | None:
        """The commits that are meant, by name or by CI's word; None where there are none.

        Raises `InvalidError` where they can't be found, with what to do about it.
        """
        asked = self._ci.asked if self._ci is not None else Asked()
        if asked.gone and head is None:
            return None
        self._remote = self._ledgers_remote()
        tip = self._head(head or asked.head)
        if tip is None:
            return None
        named = branch or (self._branch_named(head) if head else asked.branch or self._checked_out(tip))
        target = asked.target or self._base(asked.default)
        landed = asked.pushed and named == target and base is None and head is None
        before, rules = self._before(base, asked.since, target, landed=landed)
        here = tip == self._repo.resolve("HEAD")
        span = Span(tip, before, named, base or target, landed, here, rules)
        self._make_whole(span)
        return Found(span, UNGUARDED if rules is None else self._policy(rules))

    def _ledgers_remote(self) -> str | None:
        """The remote that the rules name, where several are there: a fork's clone is compared with what it forked."""
        if self._repo.config("pw.remote") is not None or len(self._repo.remotes()) < 2:  # noqa: PLR2004
            return self._remote
        tip = self._tip(self._repo.default_branch(self._remote))
        named = self._policy(tip).remote if tip is not None else None
        return named if named in self._repo.remotes() else self._remote

    def _head(self, name: str) -> str | None:
        """The newest commit; None where nothing has been committed yet."""
        found = self._repo.resolve(name) or self._fetched(name)
        if found is None and name in {"HEAD", "@"} and self._repo.branch() is not None:
            return None
        if found is None:
            raise InvalidError(
                f"there is no commit {name}", hint=self._advice("name another: git pw check --head REF")
            )
        return found

    def _before(
        self, base: str | None, since: str, target: str, *, landed: bool
    ) -> tuple[tuple[str, ...], str | None]:
        """What was there before, and the commit of it whose rules count.

        Of commits that were pushed onto the base branch itself, only what it was before; else all that it has.
        """
        if base is not None:
            found = self._repo.resolve(base) or self._repo.resolve(f"refs/remotes/{self._remote}/{base}")
            found = found or self._fetched(base)
            if found is None:
                raise InvalidError(
                    f"there is no commit {base}", hint=self._advice("git fetch, or name another")
                )
            return (found,), found
        earlier = (self._repo.resolve(since) or self._fetched(since)) if since else None
        if landed and since and earlier is None:
            raise InvalidError(
                f"{target} was at {since[:10]}, which is not here", hint=self._advice("git fetch")
            )
        if landed:
            return ((earlier,), earlier) if earlier is not None else ((), None)
        tip = self._tip(target)
        known = tuple(one for one in (earlier, tip) if one is not None)
        if not known:
            raise InvalidError(
                f"there is no {target} here to compare with",
                hint=self._advice("name what to compare with: git pw check --base REF"),
            )
        return known, tip or earlier

    def _tip(self, branch: str) -> str | None:
        """The base branch as the remote has it, else as it is here."""
        if self._remote is not None:
            found = self._repo.resolve(f"refs/remotes/{self._remote}/{branch}")
            if found is None and self._ci is not None:
                self._repo.fetch_branch(self._remote, branch, FETCH_TIMEOUT)
                found = self._repo.resolve(f"refs/remotes/{self._remote}/{branch}")
            if found is not None:
                return found
        return self._repo.resolve(f"refs/heads/{branch}")

    def _base(self, default: str | None) -> str:
        """The base branch: the repository's main one, or the one that this names in its rules."""
        main = default or self._repo.default_branch(self._remote)
        tip = self._tip(main)
        return (self._policy(tip).merge.base if tip else None) or main

    def _branch_named(self, head: str) -> str | None:
        """The branch that a person names as the head, if it is one, here or on the remote."""
        if head in {"HEAD", "@"}:
            return self._repo.branch()
        name = head.removeprefix("refs/heads/").removeprefix(f"refs/remotes/{self._remote}/")
        for one in (name, name.removeprefix(f"{self._remote}/")):
            if any(
                self._repo.resolve(f"{space}{one}")
                for space in ("refs/heads/", f"refs/remotes/{self._remote}/")
            ):
                return one
        return None

    def _checked_out(self, tip: str) -> str | None:
        return self._repo.branch() if self._repo.resolve("HEAD") == tip else None

    def _make_whole(self, span: Span) -> None:
        """See that the range doesn't go on beyond where a shallow clone ends: its last commit would change all files."""
        cut = self._commits.cut_off()
        if not cut or not self._reaches(span, cut):
            return
        if self._ci is None or self._remote is None:
            raise InvalidError(
                "this clone is shallow, and the range goes on beyond it", hint="git fetch --unshallow"
            )
        self._fetched(span.head, "--unshallow")
        if self._reaches(span, self._commits.cut_off()):
            raise InvalidError("this clone is shallow, and the rest can't be fetched", hint=self._ci.advice)

    def _reaches(self, span: Span, cut: frozenset[str]) -> bool:
        return any(change.commit in cut for change in self._commits.changes([span.head], span.without))

    def _fetched(self, name: str, *options: str) -> str | None:
        """Bring a commit into a clone that CI made, without moving a ref; None where it can't be had."""
        if self._ci is None or self._remote is None or name.startswith("-"):
            return None
        quietly = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", *options)
        done = self._repo.git(
            "fetch",
            *quietly,
            "--",
            self._remote,
            name,
            env={"GIT_TERMINAL_PROMPT": "0"},
            timeout=FETCH_TIMEOUT,
        )
        return self._repo.resolve(name) if done.status == 0 else None

    def _policy(self, commit: str) -> Policy:
        return or_defaults(lambda: policy_at(self._repo, commit), self._tell)

    def _advice(self, otherwise: str) -> str:
        return otherwise if self._ci is None else self._ci.advice


def policy_at(repo: GitRepo, commit: str) -> Policy:
    """The rules that a commit has, the defaults where it has none; raises `ConfigError` where they can't be read."""
    text = repo.file_at(commit, NAME)
    return (
        Policy() if text is None else parse_policy(text.decode(errors="replace"), f"{NAME} at {commit[:10]}")
    )
