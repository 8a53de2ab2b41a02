"""What a receiving repository refuses, on a ledger of made-up commits: each kind of push, and what comes with it."""

from __future__ import annotations

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from gitpw.domain.ids import TaskId, WorkerId
from gitpw.domain.merge import MergeState
from gitpw.domain.operation import (
    Add,
    Complete,
    Land,
    Landing,
    Lock,
    NewTask,
    Push,
    Register,
    Release,
    Restore,
    Take,
    Unlock,
)
from gitpw.domain.policy import Guarding, Merging, Policy
from gitpw.domain.review import Committed, Stamp
from gitpw.errors import ConfigError, HeldError, InvalidError, PwError, StaleError
from gitpw.ledger.commits import OPERATION
from gitpw.services.gate import Gate, Update
from gitpw.services.receive import receive
from tests.domain.state import HOUR, NOON, locks
from tests.ledger.pile import Pushed, told

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LEDGER, FALLBACK = "refs/pw/locks/main", "refs/heads/pw/locks/main"
ONE, TWO = TaskId("task-001"), TaskId("task-002")
A, B, C = "a" * 40, "b" * 40, "c" * 40


class Server:
    """A receiving repository: `main` is at A, the ledger is as it was left by `settled`; commits change what is told."""

    def __init__(self) -> None:
        self.pushed = Pushed()
        self.said: list[str] = []
        self.config: dict[str, str] = {}
        self.policies: dict[str, Policy | Exception] = {}
        self.changes: dict[str, list[Committed]] = {}
        self.known: set[str] = set()
        self.brought: set[str] = set()
        self.head: str | None = "main"
        self.set("refs/heads/main", A)
        self.settled()

    def set(self, ref: str, name: str | None) -> None:
        """Point a ref somewhere."""
        objects = self.pushed.pile.objects
        if name is None:
            objects.pop(ref, None)
        else:
            commit = objects.get(name)
            objects[ref] = commit or SimpleNamespace(name=name, kind="commit", content=b"")  # type: ignore[assignment]

    def settled(self) -> None:
        """What was asked of the ledger so far is there already."""
        self.old = self.pushed.tip
        self.set(LEDGER, self.old)

    def commit(self, head: str, *files: str, task: TaskId | None = None, token: int | None = None) -> str:
        """Tell what a commit changes."""
        said = () if task is None and token is None else (Stamp(task, token),)
        self.changes[head] = [Committed(head, NOON, files, said)]
        return head

    def own(self, commits: Sequence[Committed], places: set[tuple[str, str]], tip: str) -> list[Committed]:
        """The commits without what they only bring in from the base branch."""
        assert tip in {A, C}
        gone = {place for place in places if place[1] in self.brought}
        return [
            one._replace(files=tuple(file for file in one.files if (one.commit, file) not in gone))
            for one in commits
        ]

    @property
    def gate(self) -> Gate:
        """This repository as a push meets it."""

        def changes(
            heads: Sequence[str], without: Sequence[str] = (), *, new: bool = False
        ) -> list[Committed]:
            found = [change for head in heads for change in self.changes.get(head, [])]
            return [
                one for one in found if one.commit not in without and not (new and one.commit in self.known)
            ]

        def policy_at(commit: str) -> Policy:
            found = self.policies.get(commit, Policy(policy=Guarding(critical=[])))
            if isinstance(found, Exception):
                raise found
            return found

        return Gate(
            objects=self.pushed.pile,
            commits=SimpleNamespace(changes=changes, own=self.own),
            repo=SimpleNamespace(
                config=self.config.get, branch=lambda: self.head, default_branch=lambda _: "main"
            ),
            clock=SimpleNamespace(now=lambda: NOON + timedelta(hours=1)),
            policy_at=policy_at,
            tell=self.said.append,
        )

    def push(self, *updates: tuple[str, str | None, str | None]) -> None:
        """Push some refs."""
        receive(self.gate, [Update(*one) for one in updates])

    def ledger(self) -> tuple[str, str | None, str | None]:
        """The ledger's move from where it was settled to where it is now."""
        return (LEDGER, self.old, self.pushed.tip)

    def token(self, task: TaskId) -> int:
        """The current token of a task."""
        found = self.pushed.state.task(task).token
        assert found is not None
        return found

    def branch(self, task: TaskId) -> str:
        """The ref of a task's branch."""
        return f"refs/heads/{self.pushed.state.task(task).metadata.branch_name}"


@pytest.fixture
def server() -> Server:
    """Ada has task-001 with `a`, bob task-002 with `b`."""
    server = Server()
    for title, file, worker in (("one", "a", "ada"), ("two", "b", "bob")):
        server.pushed.do(Add(tasks=(NewTask(title=title, files=(file,)),)))
        server.pushed.do(Take(lease=HOUR), worker)
    server.settled()
    return server


def refusal(kind: type[PwError], ask: Callable[[], None]) -> PwError:
    """What a push is refused with."""
    with pytest.raises(kind) as refused:
        ask()
    assert type(refused.value) is kind
    return refused.value


# commits


def test_free_file(server: Server) -> None:
    """Nobody's file may be pushed by anybody, to any ref."""
    for ref, old in (("refs/heads/main", A), ("refs/heads/x", None), ("refs/tags/v1", None)):
        server.push((ref, old, server.commit(B, "c")))


@pytest.mark.parametrize(
    "ref", ["refs/heads/main", "refs/heads/x", "refs/tags/v1", "refs/heads/pw/locksmith"]
)
def test_foreign_file(server: Server, ref: str) -> None:
    """Somebody's file may not, wherever it goes."""
    old = A if ref == "refs/heads/main" else None
    error = refusal(HeldError, lambda: server.push((ref, old, server.commit(B, "a"))))
    assert (
        error.message == f"push refused: a ({B[:10]}) is held by ada for task-001 until 2026-03-02T13:00:00Z"
    )
    assert error.data["holder"]["workerId"] == "ada"
    assert [one["kind"] for one in error.data["violations"]] == ["held"]


def test_own_branch(server: Server) -> None:
    """A task's branch carries its own files; another's remain another's."""
    server.push((server.branch(ONE), None, server.commit(B, "a", "c")))
    refusal(HeldError, lambda: server.push((server.branch(ONE), None, server.commit(C, "b"))))


def test_base_branch_by_the_holder(server: Server) -> None:
    """The holder may push to the base branch: the commits say whose they are."""
    commit = server.commit(B, "a", task=ONE, token=server.token(ONE))
    server.push(("refs/heads/main", A, commit))
    refusal(StaleError, lambda: server.push(("refs/heads/main", A, server.commit(C, "a", task=ONE, token=1))))


def test_known_commits(server: Server) -> None:
    """What a branch has already isn't judged when another gets it, but the base branch is kept clean."""
    commit = server.commit(B, "a")
    server.known = {B}
    server.push(("refs/heads/copy", None, commit), ("refs/tags/v1", None, commit))
    refusal(HeldError, lambda: server.push(("refs/heads/main", A, commit)))
    refusal(HeldError, lambda: server.push(("refs/heads/x", None, commit), ("refs/heads/main", A, commit)))


def test_brought_in(server: Server) -> None:
    """A held file that a commit only brings in from the base branch is no change of it."""
    server.brought = {"a"}
    server.push(("refs/heads/x", None, server.commit(B, "a")))
    refusal(HeldError, lambda: server.push(("refs/heads/x", None, server.commit(B, "a", "b"))))


def test_many_reasons(server: Server) -> None:
    """Each is told on its own line, the gravest first, and no more than a screen can hold."""
    files = [f"a/{number}" for number in range(30)]
    error = refusal(HeldError, lambda: server.push(("refs/heads/x", None, server.commit(B, "b", *files))))
    assert error.message == "push refused: 31 changes are not allowed"
    assert len(server.said) == 21
    assert server.said[0].startswith("b (bbbbbbbbbb) is held by bob")
    assert server.said[-1] == "… and 11 more"
    assert len(error.data["violations"]) == 31


def test_one_of_many_refs(server: Server) -> None:
    """One ref that may not move stops the whole push, and a finding is told once."""
    refs = [("refs/heads/x", None, server.commit(B, "a")), ("refs/heads/y", None, B)]
    error = refusal(HeldError, lambda: server.push(*refs, ("refs/heads/z", None, server.commit(C, "c"))))
    assert len(error.data["violations"]) == 1


def test_what_is_not_code(server: Server) -> None:
    """Deletions, and refs that are neither branches nor tags, are let through."""
    server.commit(B, "a")
    server.push(("refs/heads/x", A, None), ("refs/tags/v1", A, None), ("refs/heads/main", A, None))
    server.push(("refs/notes/commits", None, B), ("refs/for/main", None, B), ("refs/pw/remarks", None, B))


def test_no_ledger(server: Server) -> None:
    """Where there is no ledger, nothing is locked."""
    server.set(LEDGER, None)
    server.push(("refs/heads/main", A, server.commit(B, "a")))


def test_ledger_on_the_branch_that_stands_in(server: Server) -> None:
    """On a host that allows branches only, the ledger is read and moved there, and is no code."""
    server.set(LEDGER, None)
    server.set(FALLBACK, server.old)
    refusal(HeldError, lambda: server.push(("refs/heads/x", None, server.commit(B, "a"))))
    server.pushed.do(Register(id=WorkerId("cy")))
    server.push((FALLBACK, server.old, server.pushed.tip))


# rules


def test_critical_files(server: Server) -> None:
    """They need a lock of the branch's own claim, by the rules that the base branch had before the push."""
    server.policies = {
        A: Policy(policy=Guarding(critical=["c", "a"])),
        B: Policy(policy=Guarding(critical=[])),
    }
    server.push((server.branch(ONE), None, server.commit(B, "a")))
    error = refusal(InvalidError, lambda: server.push(("refs/heads/main", A, server.commit(B, "c"))))
    assert "may be changed only under an exclusive lock" in error.message


def test_critical_file_that_was_locked_when_it_came(server: Server) -> None:
    """What a branch got under a lock may be merged when the lock has ended; what the merge itself changes needs one."""
    server.policies = {A: Policy(policy=Guarding(critical=["c"]))}
    server.commit(B, "c")
    server.known = {B}
    server.push(("refs/heads/main", A, B))
    server.changes[C] = [Committed(C, NOON, ("d",)), *server.changes[B]]
    server.push(("refs/heads/main", A, C))
    server.changes[C] = [Committed(C, NOON, ("c",)), *server.changes[B]]
    refusal(InvalidError, lambda: server.push(("refs/heads/main", A, C)))


def test_strict(server: Server) -> None:
    """Strict rules ask for a lock on every file."""
    server.policies = {A: Policy(policy=Guarding(critical=[], enforce="strict", ignore=["*.md"]))}
    server.push((server.branch(ONE), None, server.commit(B, "a", "x.md")))
    refusal(InvalidError, lambda: server.push((server.branch(ONE), None, server.commit(C, "d"))))


def test_first_push(server: Server) -> None:
    """While there is no base branch, nothing is critical; what others hold still is theirs."""
    server.set("refs/heads/main", None)
    server.push(("refs/heads/main", None, server.commit(B, "package.json")))
    refusal(HeldError, lambda: server.push(("refs/heads/main", None, server.commit(C, "b"))))


def test_base_branch_that_the_rules_name(server: Server) -> None:
    """The rules may name another branch as the base: then its rules count, if it is there."""
    trunk = Policy(policy=Guarding(critical=["c"]))
    server.policies = {A: Policy(policy=Guarding(critical=[]), merge=Merging(base="trunk")), C: trunk}
    server.push(("refs/heads/x", None, server.commit(B, "c")))
    server.set("refs/heads/trunk", C)
    refusal(InvalidError, lambda: server.push(("refs/heads/x", None, B)))


def test_head_that_names_no_branch(server: Server) -> None:
    """Where HEAD is detached or names a branch that isn't there, the likeliest one is the base."""
    server.policies = {A: Policy(policy=Guarding(critical=["c"]))}
    for server.head in (None, "gone"):
        refusal(InvalidError, lambda: server.push(("refs/heads/x", None, server.commit(B, "c"))))


def test_rules_that_cannot_be_read(server: Server) -> None:
    """Rules with a mistake must not keep out what mends them: the defaults hold meanwhile, and it is said."""
    server.policies = {A: ConfigError(".gitpw.toml:3: no such key")}
    server.push(("refs/heads/main", A, server.commit(B, ".gitpw.toml")))
    assert server.said == [".gitpw.toml:3: no such key: judged by the rules that hold without it"]
    refusal(InvalidError, lambda: server.push(("refs/heads/x", None, server.commit(C, "package.json"))))


# claims that were lost


def test_stale_token(server: Server) -> None:
    """A branch whose newest commit was made by a claim that was taken over is refused, with the story."""
    commit = server.commit(B, "a", task=ONE, token=server.token(ONE))
    server.pushed.do(Take(task=ONE, lease=HOUR), "cy", minutes=66)
    server.settled()
    error = refusal(StaleError, lambda: server.push((server.branch(ONE), None, commit)))
    assert error.message == (
        f"push refused: the claim on task-001 with token 3 ({B[:10]}) is lost: "
        "taken over by cy at 2026-03-02T13:06:00Z; cy has it with token 6"
    )
    server.push((server.branch(ONE), None, server.commit(C, "a", task=ONE, token=server.token(ONE))))


def test_stale_commits_in_the_right_hands(server: Server) -> None:
    """Who has the task now may push the commits of who had it before: its own operation says so."""
    commit = server.commit(B, "a", task=ONE, token=server.token(ONE))
    server.pushed.do(Take(task=ONE, lease=HOUR), "cy", minutes=66)
    server.settled()
    branch = server.branch(ONE)
    server.pushed.do(Push(task=ONE, head=B, branch=branch.removeprefix("refs/heads/")), "cy", minutes=67)
    server.push(server.ledger(), (branch, None, commit))
    refusal(StaleError, lambda: server.push(server.ledger(), ("refs/heads/other", None, commit)))


# with the ledger


def test_push_with_its_operation(server: Server) -> None:
    """`git pw push` moves the branch and the ledger in one."""
    branch = server.branch(ONE)
    server.pushed.do(Push(task=ONE, head=B, branch=branch.removeprefix("refs/heads/")))
    server.push(server.ledger(), (branch, None, server.commit(B, "a")))


def test_push_from_a_branch_of_another_name(server: Server) -> None:
    """Work without a worktree is pushed from whatever branch it is on: the operation names it."""
    server.pushed.do(Push(task=ONE, head=B, branch="hotfix"))
    server.push(server.ledger(), ("refs/heads/hotfix", None, server.commit(B, "a")))
    refusal(
        HeldError, lambda: server.push(server.ledger(), ("refs/heads/hotfix", None, server.commit(C, "a")))
    )


def test_complete_without_a_queue(server: Server) -> None:
    """Locks that end with the very push that brings the work were held for it, also on critical files."""
    server.policies = {A: Policy(policy=Guarding(critical=["a"]))}
    branch = server.branch(ONE)
    head = {"head": B, "branch": branch.removeprefix("refs/heads/")}
    server.pushed.do(Complete(task=ONE, queue=False, **head))
    server.push(server.ledger(), (branch, None, server.commit(B, "a")))
    refusal(InvalidError, lambda: server.push(server.ledger(), ("refs/heads/x", None, server.commit(C, "a"))))


def test_landing(server: Server) -> None:
    """A landing moves the base branch and releases what was held for it, and another's files stay another's."""
    server.policies = {A: Policy(policy=Guarding(critical=["a"]))}
    server.pushed.do(Complete(task=ONE, head=B))
    server.settled()
    server.pushed.do(Land(landings=(Landing(task=ONE, head=B, commit=C),)), "merger")
    server.push(server.ledger(), ("refs/heads/main", A, server.commit(C, "a")), (server.branch(ONE), B, None))
    refusal(
        HeldError, lambda: server.push(server.ledger(), ("refs/heads/main", A, server.commit(C, "a", "b")))
    )
    refusal(HeldError, lambda: server.push(("refs/heads/main", A, server.commit(C, "a"))))


def test_landing_and_what_comes_right_after_it(server: Server) -> None:
    """A lock that somebody gets in the same push, after the landing, doesn't stand against the landing."""
    server.pushed.do(Complete(task=ONE, head=B))
    server.settled()
    server.pushed.do(Land(landings=(Landing(task=ONE, head=B, commit=C),)), "merger")
    server.pushed.do(Lock(locks=locks("a"), lease=HOUR), "cy")
    server.push(server.ledger(), ("refs/heads/main", A, server.commit(C, "a")))


def test_two_landings_at_once(server: Server) -> None:
    """Several tasks land in one push, by one operation or by two."""
    for task, worker, head in ((ONE, "ada", B), (TWO, "bob", C)):
        server.pushed.do(Complete(task=task, head=head), worker)
    server.settled()
    for task, head in ((ONE, B), (TWO, C)):
        server.pushed.do(Land(landings=(Landing(task=task, head=head, commit=C),)), "merger")
    server.push(server.ledger(), ("refs/heads/main", A, server.commit(C, "a", "b")))


def test_landing_in_two_pushes(server: Server) -> None:
    """Where branch and ledger can't move in one push, what the ledger says is landing may land."""
    server.pushed.do(Complete(task=ONE, head=B))
    board = server.pushed.state.board
    (entry,) = board.merges()
    board.put_merge(entry.but(state=MergeState.LANDING))
    server.pushed.tip = server.pushed.pile.commit(
        server.pushed.pile.tree(
            {**server.pushed.state.cells.contents, **{k: v or b"" for k, v in board.changes.items()}}
        ),
        "landing",
        server.old or "",
    )
    server.settled()
    server.push(("refs/heads/main", A, server.commit(C, "a")))
    refusal(HeldError, lambda: server.push(("refs/heads/main", A, server.commit(C, "a", "b"))))
    refusal(HeldError, lambda: server.push(("refs/heads/x", None, server.commit(C, "a"))))


def test_branch_is_judged_by_the_new_state(server: Server) -> None:
    """A lock that is taken in the same push counts already, and one that is given up counts no more."""
    server.pushed.do(Lock(locks=locks("x"), lease=HOUR), "cy")
    refusal(HeldError, lambda: server.push(server.ledger(), ("refs/heads/y", None, server.commit(B, "x"))))
    server.pushed.do(Release(task=ONE))
    server.push(server.ledger(), ("refs/heads/y", None, server.commit(C, "a")))


def test_state_that_will_be_beaten_gives_no_right(server: Server) -> None:
    """A ledger update that starts from an old state is left to git to refuse; what comes with it is judged by today's."""
    before, free = server.old, server.pushed
    assert before is not None
    server.pushed.do(Lock(locks=locks("x"), lease=HOUR), "cy")
    server.settled()
    stale = free.made(told_before(free), free.state.operation(Register(id=WorkerId("eve")), seen=5), before)
    server.push((LEDGER, before, stale))
    refusal(
        HeldError,
        lambda: server.push((LEDGER, before, stale), ("refs/heads/y", None, server.commit(B, "x"))),
    )


def told_before(pushed: Pushed) -> Any:
    """The state before the last operation, by doing all of them again."""
    again = Pushed()
    for title, file, worker in (("one", "a", "ada"), ("two", "b", "bob")):
        again.do(Add(tasks=(NewTask(title=title, files=(file,)),)))
        again.do(Take(lease=HOUR), worker)
    assert again.tip in pushed.pile.objects
    return again.state.cells


def test_forged_ledger_lets_nothing_through(server: Server) -> None:
    """A ledger update that is no valid next state stops the branches beside it too."""
    tree = server.pushed.pile.tree({})
    evil = server.pushed.pile.commit(tree, "unlock everything\n", server.old or "")
    refusal(
        InvalidError,
        lambda: server.push((LEDGER, server.old, evil), ("refs/heads/x", None, server.commit(B, "c"))),
    )


def test_force_is_on_record_and_works(server: Server) -> None:
    """Somebody else's lock can be taken away, by force and with a reason, and then the file is free."""
    server.pushed.do(Unlock(resources=("a",), force=True, reason="ada is ill"), "bob")
    server.push(server.ledger(), ("refs/heads/x", None, server.commit(B, "a")))


# the ledger's place


def test_deleting_the_ledger(server: Server) -> None:
    """The ledger isn't deleted by a push, unless the server's administrator allows it."""
    error = refusal(InvalidError, lambda: server.push((LEDGER, server.old, None)))
    assert "pw.allowPurge" in (error.hint or "")
    server.config["pw.allowpurge"] = "true"
    server.push((LEDGER, server.old, None))
    refusal(
        HeldError,
        lambda: server.push((LEDGER, server.old, None), ("refs/heads/x", None, server.commit(B, "a"))),
    )


def test_restoring_the_ledger(server: Server) -> None:
    """A restored ledger is taken where there is none, and over another where the administrator allows it."""
    operation = server.pushed.state.operation(Restore(reason="it was rewound"))
    cells, text = told(server.pushed.state.cells, operation)
    root = server.pushed.pile.commit(server.pushed.pile.tree(cells), text)
    error = refusal(InvalidError, lambda: server.push((LEDGER, server.old, root)))
    assert "pw.allowPurge" in (error.hint or "")
    server.config["pw.allowpurge"] = "yes"
    server.push((LEDGER, server.old, root))
    server.config.clear()
    server.set(LEDGER, None)
    server.push((LEDGER, None, root))


def test_second_ledger(server: Server) -> None:
    """There is one ledger: none is begun in the other place, nor two at once."""
    error = refusal(InvalidError, lambda: server.push((FALLBACK, None, server.old)))
    assert LEDGER in error.message
    server.set(LEDGER, None)
    refusal(InvalidError, lambda: server.push((FALLBACK, None, server.old), (LEDGER, None, server.old)))
    server.set(FALLBACK, server.old)
    refusal(InvalidError, lambda: server.push((LEDGER, None, server.old)))


@pytest.mark.parametrize(
    "ref",
    [
        "refs/pw/locks",
        "refs/pw/locks/other",
        "refs/pw/locks/main/x",
        "refs/heads/pw/locks",
        "refs/heads/pw/locks/x",
    ],
)
def test_what_lies_in_the_ledgers_place(server: Server, ref: str) -> None:
    """Nothing else may be where clients look for the ledger; taking it away is fine."""
    refusal(InvalidError, lambda: server.push((ref, None, server.commit(B, "c"))))
    server.push((ref, A, None))


def test_beginning(server: Server) -> None:
    """A ledger is begun where there is none, with all that was done on the machine that it comes from."""
    server.set(LEDGER, None)
    server.push((LEDGER, None, server.old))


# posted operations


def post(server: Server, identity: str | None = None, *parents: str, **changes: Any) -> tuple[str, None, str]:
    """The push of a posted operation."""
    operation = server.pushed.state.operation(Register(id=WorkerId("cy")))
    data = {**operation.to_data(), **changes}
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    commit = server.pushed.pile.commit(server.pushed.pile.tree({}), f"{text}\n", *parents)
    return f"refs/pw/post/{identity or operation.id}", None, commit


def test_posts(server: Server) -> None:
    """An operation may be posted under its own name, and taken away; it isn't changed."""
    server.push(good := post(server))
    server.push((good[0], good[2], None))
    refusal(InvalidError, lambda: server.push((good[0], A, good[2])))
    operation = server.pushed.state.operation(Register(id=WorkerId("cy")))
    text = f"register\n\n{OPERATION}{operation.to_json().decode()}\n"
    commit = server.pushed.pile.commit(server.pushed.pile.tree({}), text)
    server.push((f"refs/heads/pw/post/{operation.id}", None, commit))


def test_posts_that_are_none(server: Server) -> None:
    """What can't be applied isn't posted: another's name, nonsense, a worker that is none, a time far ahead."""
    pile = server.pushed.pile
    for wrong in (
        post(server, "f" * 32),
        post(server, None, server.old or ""),
        post(server, request={"verb": "conquer"}),
        post(server, author={"worker": "No One", "host": "desk"}),
        post(server, at="2026-03-09T00:00:00Z"),
        (f"refs/pw/post/{'1' * 32}", None, pile.commit(pile.tree({}), "hello\n")),
        (f"refs/pw/post/{'1' * 32}", None, pile.put("blob", b"{}")),
    ):
        refusal(InvalidError, lambda wrong=wrong: server.push(wrong))  # type: ignore[misc]
