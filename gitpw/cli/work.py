"""What a worker says of its task: start, progress, push, complete, fail, release."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gitpw.cli.commands import command, option
from gitpw.cli.output import local, remaining, told
from gitpw.cli.request import failure_kinds, maybe_task, one_of, steps
from gitpw.errors import InvalidError, UsageError

if TYPE_CHECKING:
    from gitpw.cli.session import Session

SHORT = 10
"""Digits of a commit that people want to see."""


@command("start", "git pw start", "git pw start task-007")
@click.argument("task", required=False)
def start(session: Session, task: str | None) -> None:
    """Say that work on a claimed task has begun.

    The first commit does it too.
    """
    context = session.open(changes=True, pushes=True, rehearsed=True)
    from gitpw.services.start import start as run

    done = run(context, maybe_task(task))
    session.report({"task": done}, f"{done.id} is in progress")


@command(
    "progress",
    'git pw progress --step 3/7 "writing tests"',
    'git pw progress --percent 40 --eta 10 "refactoring the parser"',
)
@click.argument("step", required=False)
@option("--step", "number", metavar="N/M", help="How many steps of how many are done, as 3/7.")
@option("--percent", type=int, metavar="P", help="How much is done, 0 to 100.")
@option("--eta", type=int, metavar="MIN", help="Minutes that are left.")
@option("--task", metavar="TASK", help="Of which task, if I hold several.")
def progress(
    session: Session,
    step: str | None,
    number: str | None,
    percent: int | None,
    eta: int | None,
    task: str | None,
) -> None:
    """Say how far the work has come.

    STEP says in words what is being done. Who works on this machine sees it at once; the others when the step
    changes, once a minute, or with whatever is done next.

    Without --eta, what is left is reckoned from the pace of the task, from how long finished tasks of its type took,
    or from its estimate.
    """
    done, total = steps(number)
    if step is None and done is None and percent is None and eta is None:
        raise UsageError("no progress was given", hint="git pw progress --step 3/7 'writing tests'")
    if percent is not None and not 0 <= percent <= 100:  # noqa: PLR2004
        raise InvalidError(f"--percent {percent} is not within 0 and 100", hint="for instance --percent 40")
    if eta is not None and not 0 <= eta <= 1_000_000:  # noqa: PLR2004 - two years
        raise InvalidError(
            f"--eta {eta} is not within 0 and 1000000",
            hint="the minutes that are left, for instance --eta 10",
        )
    context = session.open(changes=True, rehearsed=True)  # mostly nothing is pushed: no connection beforehand
    from gitpw.services.progress import progress as run

    said = run(
        context,
        maybe_task(task),
        step=step,
        done=done,
        total=total,
        percent=percent,
        eta=eta,
    )
    left = remaining(said)
    data = {"progress": said, **({"eta": said.eta} if said.eta else {})}
    session.report(data, f"{said.task_id} {told(said)}{f', done in {left}' if left else ''}")


@command("push", "git pw push")
def push(session: Session) -> None:
    """Push my branch, fenced by my token.

    If the claim was lost meanwhile, nothing is pushed, and the exit status is 5.
    """
    from gitpw.services.push import push as run

    done = run(session.open(changes=True, rehearsed=True))
    data = {"branch": done.branch, "head": done.head, "remote": done.remote}
    session.report(data, f"pushed {done.branch} ({done.head[:SHORT]}) to {done.remote}")


@command("complete", "git pw complete", "git pw complete task-007")
@click.argument("task", required=False)
def complete(session: Session, task: str | None) -> None:
    """Hand finished work in to the merge queue.

    The branch is pushed and keeps its locks until it has landed.
    """
    from gitpw.services.complete import complete as run

    done = run(session.open(changes=True, rehearsed=True), maybe_task(task))
    session.notes(done.notes)
    place = "" if done.position is None else f", number {done.position} in the merge queue"
    data = {"task": done.task, "position": done.position, "notes": done.notes}
    session.report(data, f"completed {done.task.id}{place}: {done.task.title}")


@command(
    "fail",
    "git pw fail --reason 'needs a decision on the schema'",
    "git pw fail task-007 --reason 'tests hang'",
)
@click.argument("task", required=False)
@option("--reason", required=True, metavar="R", help="Why it can't be done.")
@option(
    "--kind",
    values=failure_kinds,
    metavar="K",
    help="timeout, file-conflict, test-failure, merge-conflict, lost-worker, agent-error or other.  "
    "[default: what the reason begins with, else other]",
)
def fail(session: Session, task: str | None, reason: str, kind: str | None) -> None:
    """Say that a task failed, and free its locks.

    With a --kind that may go better another time, all but other, it is tried again by itself: three times, after
    1, 5 and 15 minutes. Then it needs a person, who says 'git pw task retry'.
    """
    from gitpw.domain.failure import kind_of
    from gitpw.domain.task import FailureKind

    what = one_of(FailureKind, kind, "kind of failure") or kind_of(reason)
    context = session.open(changes=True, pushes=True, rehearsed=True)
    from gitpw.services.fail import fail as run

    done = run(context, maybe_task(task), reason, what)
    then = [] if done.retry_at is None else [f"  it is tried again at {local(done.retry_at)}"]
    data = {
        "task": done,
        "kind": done.failure_kind,
        "attempts": done.attempts,
        "retryAt": done.retry_at,
        "needsPerson": done.needs_person,
    }
    session.report(data, f"failed {done.id}: {reason}", *then)


@command("release", "git pw release", "git pw release task-007 --keep-worktree")
@click.argument("task", required=False)
@option("--keep-worktree", is_flag=True, help="Leave the worktree, even without changes.")
def release(session: Session, task: str | None, keep_worktree: bool) -> None:
    """Give a task back to the queue.

    A branch with commits and a worktree with changes are kept, and named.
    """
    context = session.open(changes=True, pushes=True, rehearsed=True)
    from gitpw.services.release import release as run

    done = run(context, maybe_task(task), keep_worktree=keep_worktree)
    data = {"task": done.task, "notes": done.notes}
    if done.task is None:
        session.report(data, *done.notes)
        return
    session.notes(done.notes)
    session.report(data, f"released {done.task.id}: {done.task.title}")
