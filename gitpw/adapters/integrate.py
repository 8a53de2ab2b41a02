"""Builds a task's work onto the base branch without any checkout: objects are written, and nothing points to them.

`git merge-tree` merges, one commit after the other, as `git rebase` would pick them. Git before 2.40 can't be told a
merge base; a throw-away commit of the one side's tree, whose parent is the base, says the same to every git. Where
there is `git replay` (2.44), it does a row of commits in one process.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

from gitpw.adapters.git import GitRepo, patient
from gitpw.adapters.process import CLEAN, Finished, complaint, printable, run
from gitpw.domain.ids import COMMIT, TASK, TaskId
from gitpw.domain.integration import TRAILER, Built, Clash, Conflict, Other, Strategy, Work
from gitpw.errors import FailedError, OfflineError
from gitpw.ledger.store import BranchError

REPLAYS = (2, 44)
"""The first git that can replay."""

REPLAY = 3
"""Commits from which its five processes are fewer than two a commit."""

MANY = 1_000
"""Files that can be named in one command."""

SCRATCH = "refs/worktree/pw-build/"

STAND_IN = "git-pw <git-pw@localhost>"
"""Who commits where git knows nobody."""

NOBODY = b"git-pw <git-pw@localhost> 0 +0000"


class Commit(NamedTuple):
    """A commit as git stores it."""

    name: str
    tree: str
    parents: tuple[str, ...]
    author: bytes
    encoding: bytes | None
    message: bytes


class GitIntegrator:
    """Reads and writes objects of the user's repository; its refs, index and checkouts stay as they are."""

    def __init__(self, repo: GitRepo) -> None:
        self._repo = repo

    # what is there

    def tree(self, commit: str) -> str:
        """The tree of a commit."""
        return self._told("rev-parse", "--verify", "--end-of-options", f"{commit}^{{tree}}").decode().strip()

    def text(self, commit: str, path: str) -> str | None:
        """A file's content in a commit; None where there is none."""
        done = self._repo.git("cat-file", "blob", f"{commit}:{path}")
        return None if done.status else done.out.decode(errors="replace")

    def has(self, commit: str) -> bool:
        """Whether a commit is here; what the ledger says may be anything, and isn't a name for that."""
        whole = COMMIT.fullmatch(commit) is not None
        return whole and self._repo.git("cat-file", "-e", f"{commit}^{{commit}}").status == 0

    def ancestor(self, one: str, of: str) -> bool:
        """Whether a commit is contained in another."""
        return self._repo.ancestor(one, of)

    def tips(self, remote: str | None, branches: Sequence[str]) -> dict[str, str]:
        """Where branches stand on the remote, or here where there is none; those that don't exist are left out."""
        refs = [f"refs/heads/{branch}" for branch in dict.fromkeys(branches)]
        if remote is None:
            done = self._repo.git("for-each-ref", "--format=%(objectname)\t%(refname)", *refs)
        else:
            done = self._repo.git(
                "ls-remote", "--", remote, *refs, env={"GIT_TERMINAL_PROMPT": "0"}, timeout=60.0
            )
        if done.status:
            raise OfflineError(
                f"{remote} can't be reached: {complaint(done.err)}",
                hint="nothing was changed; try again later",
            )
        found = (line.partition("\t") for line in os.fsdecode(done.out).splitlines())
        return {ref.removeprefix("refs/heads/"): name for name, _, ref in found if ref in refs}

    def bring(self, remote: str, base: str, tips: dict[str, str]) -> None:
        """Fetch the commits of these branches, as far as they aren't here.

        No ref remembers them, but for the base branch's: a task's branch goes when it has landed, wherever that is.
        Raises `OfflineError`, and `BranchError` where one of them has gone meanwhile.
        """
        lacking = self._lacking(tips.values())
        missing = [branch for branch, tip in tips.items() if tip in lacking]
        shallow = self._told("rev-parse", "--is-shallow-repository").strip() == b"true"
        if not missing and not shallow:
            return
        options = ["--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"]
        options += ["--refmap=", *(["--unshallow"] if shallow else [])]
        specs = [f"+refs/heads/{branch}" for branch in missing or tips]
        if remote in self._repo.remotes():
            ref = f"+refs/heads/{base}"
            specs = [f"{spec}:refs/remotes/{remote}/{base}" if spec == ref else spec for spec in specs]
        quietly = ("-c", "gc.auto=0", "-c", "maintenance.auto=false")
        done = self._repo.patiently(
            *quietly, "fetch", *options, "--", remote, *specs, env={"GIT_TERMINAL_PROMPT": "0"}, timeout=600.0
        )
        gone = re.search(rb"couldn't find remote ref (\S+)", done.err)
        if gone is not None:
            ref = os.fsdecode(gone[1])
            raise BranchError(f"{ref} has gone meanwhile", "try again", ref=ref, moved=True)
        if done.status:
            raise OfflineError(
                f"the branches can't be fetched from {remote}: {complaint(done.err)}", hint="try again later"
            )

    def _lacking(self, commits: Iterable[str]) -> set[str]:
        """Those of these commits that aren't here."""
        names = list(dict.fromkeys(commits))
        told = self._told(
            "cat-file", "--batch-check=%(objectname)", input="".join(f"{name}\n" for name in names).encode()
        )
        return {line.split()[0] for line in told.decode().splitlines() if line.endswith(" missing")}

    def others(self, tip: str, head: str, files: Sequence[str]) -> list[Other]:
        """The commits of `tip` that `head` hasn't and that changed these files, newest first, at most ten."""
        form = f"--format=%H%x00%s%x00%an%x00%(trailers:key={TRAILER},valueonly,separator=%x2C)%x01"
        done = self._repo.git(
            "--literal-pathspecs",
            "log",
            "--no-show-signature",
            "-10",
            form,
            tip,
            f"^{head}",
            "--",
            *(files or ["."]),
        )
        found = []
        for record in os.fsdecode(done.out).split("\x01"):
            name, *rest = record.strip("\n").split("\0")
            if len(rest) == 3:  # noqa: PLR2004 - subject, author, trailers
                task = rest[2].rpartition(",")[2].strip()
                found.append(Other(name, rest[0], rest[1], TaskId(task) if TASK.fullmatch(task) else None))
        return found

    def conflicts(self, tip: str, work: Work) -> list[Conflict]:
        """Where work conflicts with a commit, file by file: as a merge of the whole would show it."""
        ours, theirs = self._sides(tip, work)
        options = ("--write-tree", "-z", "--no-messages")
        done = self._repo.git("-c", "merge.conflictStyle=diff3", "merge-tree", *options, ours, theirs)
        if done.status != 1:
            return []
        tree, *entries = _words(done.out)
        stages: dict[str, dict[str, str]] = {}
        for entry in entries:
            about, _, name = entry.partition("\t")
            _, blob, stage = about.split(" ")
            stages.setdefault(name, {})[stage] = blob
        return [
            Conflict(
                name,
                self._blob(found.get("1")),
                self._blob(found.get("2")),
                self._blob(found.get("3")),
                self.text(tree, name) or "",
            )
            for name, found in stages.items()
        ]

    def _blob(self, name: str | None) -> str | None:
        if name is None:
            return None
        return self._repo.git("cat-file", "blob", name).out.decode(errors="replace")

    # building

    def build(self, onto: str, work: Work, strategy: Strategy) -> Built | Clash:
        """The work on top of a commit, or where it conflicts with it."""
        commits = self._commits(onto, work)
        if not commits and self._repo.ancestor(work.head, onto):
            return Built(onto, self.tree(onto), [])
        if strategy == "rebase":
            return self._rebased(onto, work, commits)
        return self._joined(onto, work, commits, strategy)

    def commit_tree(self, onto: str, work: Work, tree: str, strategy: Strategy) -> Built:
        """The whole work as one commit with a given tree: a squashed one, or a merge."""
        if tree == self.tree(onto) and strategy != "merge":
            return Built(onto, tree, [])
        commits = self._commits(onto, work)
        found = self._read(commits)
        if strategy == "merge":
            author = self._committer()
            message = f"Merge {work.branch or work.task}: {work.title}\n".encode()
            made = self._write(tree, [onto, work.head], author, None, self._trailed(message, work.task))
        else:
            author = found[-1].author if found else self._committer()
            message = self._squashed_message(work, found)
            encoding = found[-1].encoding if len(found) == 1 else None
            made = self._write(tree, [onto], author, encoding, self._trailed(message, work.task))
        return Built(made, tree, self._changed(onto, made))

    def _commits(self, onto: str, work: Work) -> list[str]:
        """The task's own commits, oldest first, as `git rebase` picks them.

        No merges, and none whose change is there already; one that is empty is the same change as any other empty
        one, and stays.
        """
        words = ["--no-merges", "--reverse", "--topo-order", "--right-only", "--cherry-mark"]
        told = self._told("rev-list", *words, f"{onto}...{work.head}", *self._without(work))
        marked = told.decode().split()
        known = [word[1:] for word in marked if word.startswith("=")]
        empty = {one.name for one in self._read(known) if self._is_empty(one)} if known else set()
        return [word[1:] for word in marked if word.startswith("+") or word[1:] in empty]

    def _is_empty(self, commit: Commit) -> bool:
        return bool(commit.parents) and self.tree(commit.parents[0]) == commit.tree

    def _without(self, work: Work) -> list[str]:
        return [f"^{work.base}"] if work.base is not None and self.has(work.base) else []

    def _rebased(self, onto: str, work: Work, commits: Sequence[str]) -> Built | Clash:
        at, tree = onto, self.tree(onto)
        found = self._read(commits)
        trees = {one.name: one.tree for one in self._read(_first_parents(found))}
        replayed = self._replayed(onto, found)
        for number, commit in enumerate(found):
            before = trees[commit.parents[0]] if commit.parents else None
            merged = replayed[number] if replayed else self._picked(commit, before, tree)
            if isinstance(merged, Clash):
                return self._merged_after_all(onto, work, commits) or merged
            if merged == tree and commit.tree != before:
                continue  # it became empty; what was empty from the start stays, as in a rebase
            message = self._trailed(commit.message, work.task)
            if (merged, (at,), message) == (commit.tree, commit.parents, commit.message):
                at = commit.name
            else:
                at = self._write(merged, [at], commit.author, commit.encoding, message)
            tree = merged
        return Built(at, tree, self._changed(onto, at))

    def _merged_after_all(self, onto: str, work: Work, commits: Sequence[str]) -> Built | None:
        """What conflicts commit by commit may merge as a whole: there already as one commit, or solved by its owner.

        A branch into which its owner merged the other side has its conflicts solved in a merge: it lands as one
        commit.
        """
        joined = self._joined(onto, work, commits, "squash")
        if isinstance(joined, Clash) or joined.commit == onto:
            return None if isinstance(joined, Clash) else joined
        merges = self._told("rev-list", "--merges", "--count", work.head, f"^{onto}", *self._without(work))
        note = "as one commit: its conflicts were solved in a merge"
        return None if merges.strip() == b"0" else joined._replace(note=note)

    def _joined(self, onto: str, work: Work, commits: Sequence[str], strategy: Strategy) -> Built | Clash:
        """The work merged as a whole."""
        done = self._merge_tree(*self._sides(onto, work))
        tree, *files = _words(done.out)
        if done.status:
            return Clash(files, work.head)
        if tree == self.tree(onto) and (strategy == "squash" or not commits):
            return Built(onto, tree, [])
        return self.commit_tree(onto, work, tree, strategy)

    def _sides(self, onto: str, work: Work) -> tuple[str, str]:
        """Two commits whose merge is that of the work: what came before its base isn't part of it."""
        if work.base is None or not self._is_apart(onto, work):
            return onto, work.head
        head, side = self._read([work.head, onto])
        ours = self._write(side.tree, [work.base], NOBODY, None, b"ours\n", NOBODY)
        return ours, self._write(head.tree, [work.base], NOBODY, None, b"theirs\n", NOBODY)

    def _is_apart(self, onto: str, work: Work) -> bool:
        """Whether the work began at a commit that the other side hasn't: only what came after it counts."""
        base = work.base
        return (
            base is not None
            and self.has(base)
            and self._repo.ancestor(base, work.head)
            and not self._repo.ancestor(base, onto)
        )

    def _replayed(self, onto: str, commits: Sequence[Commit]) -> list[str] | None:
        """The trees that `git replay` gives, one for each commit; None where it can't say, or wouldn't pay.

        It needs a ref to advance: one of this checkout alone, which is gone afterwards.
        """
        if len(commits) < REPLAY or not _in_a_row(commits) or self._version < REPLAYS:
            return None
        ref = f"{SCRATCH}{os.getpid()}"
        self._sweep()
        self._told("update-ref", ref, onto)
        try:
            span = f"{commits[0].parents[0]}..{commits[-1].name}"
            done = self._repo.git("replay", "--advance", ref, span)
            said = done.out.decode().split()
            tip = said[2] if said[:2] == ["update", ref] else self._repo.resolve(ref)
            if done.status or tip is None:
                return None
            made = (
                self._told("log", "--no-show-signature", "--reverse", "--format=%T", f"{onto}..{tip}")
                .decode()
                .split()
            )
        finally:
            self._repo.git("update-ref", "-d", ref)
        return made if len(made) == len(commits) else None

    def _sweep(self) -> None:
        """Delete what processes that were killed have left."""
        left = self._told("for-each-ref", "--format=%(refname)", SCRATCH).decode().split()
        for ref in left:
            if not _runs(ref.removeprefix(SCRATCH)):
                self._repo.git("update-ref", "-d", ref)

    @cached_property
    def _version(self) -> tuple[int, ...]:
        words = self._told("version").decode().split()
        return tuple(int(part) for part in words[2].split(".")[:2]) if len(words) > 2 else (0,)  # noqa: PLR2004

    def _picked(self, commit: Commit, before: str | None, tree: str) -> str | Clash:
        """The tree that picking a commit onto another tree gives; `before` is the tree of its parent."""
        if before == tree:
            return commit.tree
        if commit.parents:
            ours, theirs = (
                self._write(tree, commit.parents[:1], NOBODY, None, b"ours\n", NOBODY),
                commit.name,
            )
        else:
            root = self._write(self._empty_tree(), [], NOBODY, None, b"nothing\n", NOBODY)
            ours = self._write(tree, [root], NOBODY, None, b"ours\n", NOBODY)
            theirs = self._write(commit.tree, [root], NOBODY, None, b"theirs\n", NOBODY)
        done = self._merge_tree(ours, theirs)
        merged, *files = _words(done.out)
        return Clash(files, commit.name) if done.status else merged

    def _merge_tree(self, ours: str, theirs: str) -> Finished:
        done = self._repo.git(
            "merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", ours, theirs
        )
        if done.status not in {0, 1} or not done.out:
            raise FailedError(
                f"git merge-tree failed: {complaint(done.err)}", hint="git 2.38 or newer is needed"
            )
        return done

    # moving a local branch

    def advance(self, branch: str, old: str, new: str) -> str | None:
        """Move a branch of this repository, with its checkout if it has one; why that can't be done now.

        A checkout goes along as `git merge --ff-only` would take it: what isn't committed there is never touched,
        and where it is in the way nothing moves.
        """
        ref = f"refs/heads/{branch}"
        homes = self._homes(ref)
        if not homes and self._repo.in_use(ref):
            return f"{branch} is being rebased in a checkout: finish that first"
        if not homes:
            done = self._repo.patiently("update-ref", "-m", "git pw merge", ref, new, old)
            return f"{branch} can't be moved: {complaint(done.err)}" if done.status else None
        for home in homes[1:]:
            return f"{branch} is checked out twice, in {homes[0]} and {home}"
        return self._fast_forward(homes[0], branch, old, new)

    def _homes(self, ref: str) -> list[str]:
        told = os.fsdecode(self._told("worktree", "list", "--porcelain", "-z"))
        records = [dict(line.partition(" ")[::2] for line in one.split("\0")) for one in told.split("\0\0")]
        return [one["worktree"] for one in records if one.get("branch") == ref and "bare" not in one]

    def _fast_forward(self, home: str, branch: str, old: str, new: str) -> str | None:
        quietly = ("-c", "core.hooksPath=/dev/null", "-c", "merge.verifySignatures=false", "-c", "gc.auto=0")
        words = ("merge", "--ff-only", "--quiet", "--no-autostash", "--no-stat", "--no-overwrite-ignore", new)
        env: dict[str, str | None] = {**CLEAN, "LANGUAGE": "C", "GIT_REFLOG_ACTION": "git pw merge"}
        here = run(["git", "rev-parse", "--verify", "HEAD"], cwd=home, env=env)
        if here.out.decode().strip() != old:
            return f"{branch} has moved in {home}"
        done = patient(lambda: run(["git", *quietly, *words], cwd=home, env=env))
        if done.status and self._same_already(home, old, new):
            done = run(["git", *quietly, *words], cwd=home, env=env)
        if done.status == 0:
            return None
        return f"{branch} is checked out in {home}, and can't go along: {_told_by(done.err)}"

    def _same_already(self, home: str, old: str, new: str) -> bool:
        """Whether files that are in the way are just what they would become: an interrupted move has left them.

        Git's index is told so, and then they aren't in the way any more.
        """
        env: dict[str, str | None] = {**CLEAN, "LANGUAGE": "C"}
        names = self._repo.changed(old, new)
        if len(names) > MANY:
            return False
        told = run(
            ["git", "--literal-pathspecs", "ls-files", "-z", "--modified", "--others", "--", *names],
            cwd=home,
            env=env,
        )
        if told.status:
            return False
        changed = list(dict.fromkeys(filter(None, os.fsdecode(told.out).split("\0"))))
        files = [name for name in changed if os.path.isfile(os.path.join(home, name))]  # noqa: PTH113, PTH118
        gone = [name for name in changed if not os.path.lexists(os.path.join(home, name))]  # noqa: PTH118
        hashed = run(["git", "hash-object", "--", *files], cwd=home, env=env) if files else None
        here = dict(zip(files, hashed.out.decode().split() if hashed else [], strict=False))
        same = {name: self._blob_of(new, name) == here.get(name) for name in changed}
        if not changed or len(files) + len(gone) != len(changed) or not all(same.values()):
            return False
        listed = "\0".join(changed).encode(errors="surrogateescape")
        words = ["git", "update-index", "--add", "--remove", "-z", "--stdin"]
        return run(words, cwd=home, env=env, input=listed).status == 0

    def _blob_of(self, commit: str, path: str) -> str | None:
        done = self._repo.git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}:{path}")
        return None if done.status else done.out.decode().strip()

    # objects

    def _read(self, names: Sequence[str]) -> list[Commit]:
        if not names:
            return []
        told = self._told("cat-file", "--batch", input="".join(f"{name}\n" for name in names).encode())
        found = []
        at = 0
        for _ in names:
            header, _, _ = told[at:].partition(b"\n")
            name, kind, size = header.split(b" ")
            start = at + len(header) + 1
            at = start + int(size) + 1
            if kind != b"commit":
                raise FailedError(f"{name.decode()} is no commit")
            found.append(_parsed(name.decode(), told[start : at - 1]))
        return found

    def _write(
        self,
        tree: str,
        parents: Sequence[str],
        author: bytes,
        encoding: bytes | None,
        message: bytes,
        committer: bytes | None = None,
    ) -> str:
        lines = [f"tree {tree}".encode(), *(f"parent {parent}".encode() for parent in parents)]
        lines += [b"author " + author, b"committer " + (committer or self._committer())]
        lines += [b"encoding " + encoding] if encoding is not None else []
        content = b"\n".join(lines) + b"\n\n" + message
        return self._told("hash-object", "-t", "commit", "-w", "--stdin", input=content).decode().strip()

    def _empty_tree(self) -> str:
        return self._told("hash-object", "-t", "tree", "-w", "--stdin", input=b"").decode().strip()

    def _committer(self) -> bytes:
        done = self._repo.git("var", "GIT_COMMITTER_IDENT")
        if done.status == 0:
            return done.out.rstrip(b"\n")
        name, _, address = STAND_IN.partition(" <")
        env: dict[str, str | None] = {"GIT_COMMITTER_NAME": name, "GIT_COMMITTER_EMAIL": address.rstrip(">")}
        return self._repo.git("var", "GIT_COMMITTER_IDENT", env=env).out.rstrip(b"\n")

    def _trailed(self, message: bytes, task: TaskId) -> bytes:
        """The message with the trailer that names the task, once."""
        words = ["--no-divider", "--if-exists", "addIfDifferent", "--trailer", f"{TRAILER}: {task}"]
        return self._told("interpret-trailers", *words, input=message)

    def _squashed_message(self, work: Work, commits: Sequence[Commit]) -> bytes:
        if len(commits) == 1:
            return commits[0].message
        told = [_utf8(commit).strip() for commit in commits]
        authors = dict.fromkeys(_person(commit.author) for commit in commits[::-1])
        others = [f"Co-authored-by: {person}" for person in list(authors)[1:]]
        body = "\n\n".join(f"* {text}" for text in told)
        parts = [work.title, body, "\n".join(others)]
        return ("\n\n".join(part for part in parts if part) + "\n").encode()

    def _changed(self, one: str, other: str) -> list[str]:
        return [] if one == other else self._repo.changed(one, other)

    def _told(self, *args: str, input: bytes | None = None) -> bytes:  # noqa: A002 - as in subprocess
        done = self._repo.git(*args, input=input)
        if done.status:
            raise FailedError(f"git {args[0]} failed: {complaint(done.err)}")
        return done.out


def _told_by(err: bytes) -> str:
    """Git's complaint, with the files that it names."""
    lines = [line.strip() for line in os.fsdecode(err).splitlines()]
    files = [
        printable(line)
        for raw, line in zip(os.fsdecode(err).splitlines(), lines, strict=True)
        if raw[:1] == "\t"
    ]
    return f"{complaint(err)} {', '.join(files[:5])}".strip()


def _first_parents(commits: Iterable[Commit]) -> list[str]:
    return list(dict.fromkeys(parent for commit in commits for parent in commit.parents[:1]))


def _in_a_row(commits: Sequence[Commit]) -> bool:
    """Whether each commit is the only parent of the next."""
    parents = [commit.parents for commit in commits]
    return len(parents[0]) == 1 and parents[1:] == [(commit.name,) for commit in commits[:-1]]


def _runs(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except (ValueError, PermissionError):
        return True
    return True


def _words(out: bytes) -> list[str]:
    return [os.fsdecode(word) for word in out.split(b"\0") if word]


def _parsed(name: str, content: bytes) -> Commit:
    head, _, message = content.partition(b"\n\n")
    fields: dict[bytes, list[bytes]] = {}
    for line in head.split(b"\n"):
        key, _, value = line.partition(b" ")
        fields.setdefault(key, []).append(value)
    encoding = fields.get(b"encoding")
    return Commit(
        name,
        fields[b"tree"][0].decode(),
        tuple(parent.decode() for parent in fields.get(b"parent", [])),
        fields[b"author"][0],
        encoding[0] if encoding else None,
        message,
    )


def _utf8(commit: Commit) -> str:
    encoding = (commit.encoding or b"utf-8").decode(errors="replace")
    try:
        return commit.message.decode(encoding, "replace")
    except LookupError:
        return commit.message.decode(errors="replace")


def _person(author: bytes) -> str:
    found = re.fullmatch(rb"(.*) \d+ [+-]\d+", author)
    return (found[1] if found else author).decode(errors="replace")
