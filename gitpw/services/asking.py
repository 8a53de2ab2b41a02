"""What services have in common: asking the ledger as me, and finding out which task is meant."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from gitpw.domain.board import Board
from gitpw.domain.grant import lost
from gitpw.domain.ids import ClaimId, TaskId, WorkerId, duration
from gitpw.domain.lock import Claim, Held, Mode, merged_locks
from gitpw.domain.merge import Merge
from gitpw.domain.operation import Done, Leave, Outcome, Register, Request, Signing, Wait
from gitpw.domain.resource import Glob, Path, resource
from gitpw.domain.worker import WorkerType
from gitpw.errors import REFUSALS, ConfigError, InvalidError, PwError
from gitpw.ledger.ledger import Answer, Settled
from gitpw.ledger.store import Move
from gitpw.services.ports import Context, Own, Worktree


def granted(outcome: Outcome) -> Done:
    """The outcome if it is a yes; a no is raised as the error that stands for it."""
    if isinstance(outcome, Done):
        return outcome
    raise refusal(outcome.code, outcome.message, outcome.hint, outcome.data)


def refusal(code: str, message: str, hint: str | None, data: dict[str, object]) -> PwError:
    """A refusal as an error."""
    return REFUSALS[code](message, hint, **data)


def ask(
    ctx: Context, request: Request, *, moves: Iterable[Move] = (), hold: bool = False
) -> tuple[Done, Answer]:
    """Ask the ledger as me, after what earlier commands left open is settled; raises what is refused."""
    settle(ctx)
    if not isinstance(request, Register | Signing):
        begin_signing(ctx)
    answer = ctx.ledger.transact(request, ctx.me, moves=tuple(moves), hold=hold)
    return granted(answer.outcome), answer


def begin_signing(ctx: Context) -> None:
    """Where the rules in force ask for signed operations and the ledger never has, let it ask from now on.

    It is turned off by an administrator alone: rules are a file that whoever may push can change.
    """
    if not ctx.policy.policy.signed or ctx.dry_run:
        return
    if ctx.ledger.board().settings.administrators or not ctx.rules.policy().policy.signed:
        return
    if ctx.ledger.fresh().settings.administrators:
        return  # somebody else has just done so
    if ctx.me.type is not WorkerType.HUMAN:
        raise InvalidError(
            "the rules ask for signed operations, and nobody has turned them on yet",
            hint="a person does, who is then the administrator of keys: git pw signing on",
        )
    granted(ctx.ledger.transact(Signing(on=True), ctx.me).outcome)
    ctx.tell(f"operations are signed from now on, as the rules say; {ctx.me.worker} administrates the keys")


def entry_after(ctx: Context, request: Request, task: TaskId) -> Merge:
    """Ask for something about an entry of the merge queue; how it is then."""
    _, answer = ask(ctx, request)
    entry = answer.board.entry(task)
    if entry is None:
        raise InvalidError(f"{task} isn't in the merge queue", hint="see 'git pw merge list'")
    return entry


def welcome(ctx: Context) -> None:
    """In a clone that has just joined by itself: put the hooks in place, without which nothing stops a commit."""
    if not ctx.joined or ctx.dry_run:
        return
    installed = ctx.hooks.install()
    if installed:
        ctx.tell(
            f"joined the ledger and put hooks in place: {', '.join(installed)} ('git pw uninstall' undoes it)"
        )
    for problem in ctx.hooks.problems():
        ctx.tell(f"hooks: {problem}")
    inform_hooks(ctx)


def inform_hooks(ctx: Context) -> None:
    """Write down what hooks need, so that they can do without us where nothing is held."""
    if not ctx.dry_run:
        ctx.rules.publish()
        ctx.ledger.store.list_locks()


def settle(ctx: Context) -> list[Settled]:
    """Find out what became of operations whose answer was lost, and say so; my claims are the caller's to finish."""
    claims: list[Settled] = []
    if ctx.dry_run:
        return claims
    for left in ctx.ledger.settle():
        author, verb = left.operation.author, left.operation.request.verb
        mine = (author.worker, author.place) == (ctx.me.worker, ctx.me.place)
        if left.outcome is None:
            continue
        if verb == "claim" and isinstance(left.outcome, Done) and _stands(ctx, left.outcome):
            claims += [left] if mine else []
            continue
        if isinstance(left.operation.request, Wait) and left.operation.request.ticket is None:
            _end_wait(ctx, left)
            continue
        if isinstance(left.outcome, Done) and mine and verb != "claim":
            ctx.tell(f"an earlier '{verb}' whose answer was lost had been applied")
        ctx.ledger.journal.close(left.operation.id)
    return claims


def _end_wait(ctx: Context, left: Settled) -> None:
    """Whoever waited on this machine is no more: give up its place in line, now or by a later command."""
    ticket = left.outcome.detail.get("ticket") if isinstance(left.outcome, Done) else None
    if ticket is not None and ctx.ledger.board().waiter(ticket) is not None:
        with suppress(PwError):
            ctx.ledger.transact(Leave(tickets=(ticket,)), ctx.me)
        if ctx.ledger.board().waiter(ticket) is not None:
            return
    ctx.ledger.journal.close(left.operation.id)


def _stands(ctx: Context, outcome: Done) -> bool:
    return outcome.claim is not None and ctx.ledger.board().claim(outcome.claim) is not None


def here(ctx: Context) -> list[Own]:
    """The claims of this checkout that are mine."""
    return [own for own in ctx.checkout.own() if own.worker == ctx.me.worker]


def my_task(ctx: Context, named: TaskId | None) -> tuple[TaskId, Own | None]:
    """The task that is meant, and the claim by which this checkout remembers it.

    A named one; else that of this checkout; else the only one that the ledger says is mine.
    """
    owned = [own for own in here(ctx) if own.task is not None]
    if named is not None:
        return named, next((own for own in owned if own.task == named), None)
    if len(owned) == 1 and owned[0].task is not None:
        return owned[0].task, owned[0]
    worker = ctx.ledger.board().worker(ctx.me.worker)
    tasks = list(worker.current_tasks) if worker else []
    if len(tasks) == 1:
        return tasks[0], next((own for own in owned if own.task == tasks[0]), None)
    if tasks:
        raise InvalidError(f"which task? you hold {', '.join(tasks)}", hint=f"name it: git pw … {tasks[0]}")
    raise InvalidError(
        f"{ctx.me.worker} holds no task", hint="'git pw claim' gets one; --as says who you are"
    )


def my_worktree(ctx: Context, task: TaskId) -> Worktree | None:
    """My worktree for a task; rather one whose folder is there. Another worker's, left on this machine, is not mine."""
    found = [
        tree
        for tree in ctx.worktrees.all()
        if tree.own is not None and (tree.own.task, tree.own.worker) == (task, ctx.me.worker)
    ]
    return next((tree for tree in found if tree.present), found[0] if found else None)


def canonical(ctx: Context, names: Iterable[str]) -> tuple[str, ...]:
    """What a person typed in the current folder, as the ledger names it; a tracked path is always literal."""
    found = []
    for name in names:
        thing = resource(name, ctx.repo.prefix)
        if isinstance(thing, Glob) and not name.startswith("glob:") and ctx.repo.tracked(thing.text):
            thing = Path(thing.text)
        found.append(str(thing))
    return tuple(dict.fromkeys(found))


def held(names: Iterable[str], *, shared: bool) -> tuple[Held, ...]:
    """Resources in canonical form as locks."""
    mode = Mode.SHARED if shared else Mode.EXCLUSIVE
    return merged_locks(tuple(Held(resource=name, mode=mode) for name in names))


def lease_seconds(ctx: Context, given: str | None) -> int:
    """How long a lease is asked for; raises `InvalidError` for one that is no time at all."""
    seconds = int(duration(given or ctx.policy.claim.lease).total_seconds())
    if seconds < 1:
        raise InvalidError("a lease must last", hint="for instance --lease 60m")
    longest = ctx.ledger.board().settings.longest_lease if ctx.ledger.known() else seconds
    if seconds > longest:
        raise InvalidError(f"a lease lasts at most {longest // 86_400} days", hint="for instance --lease 60m")
    return seconds


def live(claim: Claim | None) -> Claim:
    """A claim that was granted a moment ago."""
    if claim is None:
        raise ConfigError("the ledger lost a claim that it has just granted", hint="see 'git pw doctor'")
    return claim


def granted_no_more(board: Board, worker: WorkerId, own: Own) -> PwError:
    """What to tell a checkout whose claim is no longer the current one."""
    story = lost(board, worker, own.claim, own.task)
    return refusal(story.code, story.message, story.hint, story.data)


def remember(ctx: Context, claim: Claim) -> None:
    """Note in this checkout that it has a claim."""
    if not ctx.dry_run:
        ctx.checkout.remember(as_own(claim))


def forget(ctx: Context, board: Board, *, but: ClaimId | None = None) -> None:
    """Drop the claims of this checkout that are no more, all but one."""
    gone = [own.claim for own in ctx.checkout.own() if own.claim != but and board.claim(own.claim) is None]
    if gone and not ctx.dry_run:
        ctx.checkout.forget(gone)


def as_own(claim: Claim) -> Own:
    """A claim as a checkout remembers it."""
    return Own(claim.id, claim.token, claim.task, claim.worker)
