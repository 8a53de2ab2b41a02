"""How tasks hang together, drawn: as a tree of lines, for Graphviz, for Mermaid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from gitpw.cli.output import safe

if TYPE_CHECKING:
    from gitpw.domain.ids import TaskId
    from gitpw.domain.reasons import Blocker
    from gitpw.domain.task import Task
    from gitpw.services.graph import Graph

BLOCKING = ("after", "parent")


class Pens(NamedTuple):
    """What a tree is drawn with: before a task, before the last, and under them."""

    branch: str
    last: str
    beside: str
    below: str


FINE = Pens("├─ ", "└─ ", "│  ", "   ")
PLAIN = Pens("|- ", "`- ", "|  ", "   ")


def state(task: Task, blocked: Mapping[TaskId, Blocker]) -> str:
    """How a task stands, in words: what it waits for in vain, when it is tried again."""
    if task.merged_at is not None:
        return "merged"
    blocker = blocked.get(task.id)
    if blocker is not None:
        return f"blocked by {blocker.name} ({blocker.state})"
    if task.retry_at is not None:
        from gitpw.cli.output import local

        return f"failed, again at {local(task.retry_at)}"
    return "failed, needs a person" if task.needs_person else task.status.value


def blocked(found: Mapping[TaskId, Blocker]) -> list[dict[str, str]]:
    """Those that wait in vain, and for what, as `--json` shows them."""
    return [{"taskId": name, "by": one.name, "status": one.state} for name, one in sorted(found.items())]


def tree(graph: Graph, pens: Pens) -> list[str]:
    """What comes first stands above, what waits for it under it; so do the parts of a whole. Each is told once."""
    tasks = {task.id: task for task in graph.tasks}
    below: dict[TaskId, list[tuple[TaskId, str]]] = {}
    roots = dict.fromkeys(tasks)
    for edge in sorted(graph.edges, key=lambda edge: edge.kind != "parent"):
        if edge.kind in BLOCKING:
            below.setdefault(edge.source, []).append((edge.target, edge.kind))
            roots.pop(edge.target, None)
    ties = Ties(tasks, below, _related(graph), graph.blocked)
    told: set[TaskId] = set()
    lines: list[str] = []
    for root in [
        *roots,
        *tasks,
    ]:  # the latter for what hangs together in a circle, which a sound ledger has none of
        if root not in told:
            lines += _branch(root, ties, told, pens)
    return lines


def _related(graph: Graph) -> dict[TaskId, list[str]]:
    found: dict[TaskId, list[str]] = {}
    for edge in graph.edges:
        if edge.kind == "related":
            found.setdefault(edge.source, []).append(edge.target)
            found.setdefault(edge.target, []).append(edge.source)
        elif edge.kind == "found-by":
            found.setdefault(edge.target, []).append(f"found in {edge.source}")
    return found


class Ties(NamedTuple):
    """The tasks of a graph, what stands under each, and what else each has to do with."""

    tasks: Mapping[TaskId, Task]
    below: Mapping[TaskId, Sequence[tuple[TaskId, str]]]
    related: Mapping[TaskId, Sequence[str]]
    blocked: Mapping[TaskId, Blocker]


def _branch(root: TaskId, ties: Ties, told: set[TaskId], pens: Pens) -> Iterator[str]:
    """A task and all under it; not by recursion, since a chain may be long."""
    tasks, below, related, blocked = ties
    todo: list[tuple[TaskId, str, str, str]] = [(root, "", "", "")]
    while todo:
        name, before, under, kind = todo.pop()
        task = tasks[name]
        part = "part: " if kind == "parent" else ""
        if name in told:
            yield f"{before}{part}{name} (above)"
            continue
        told.add(name)
        others = f" ~ {', '.join(related[name])}" if name in related else ""
        yield f"{before}{part}{name} [{state(task, blocked)}] {task.title}{others}"
        inner = below.get(name, ())
        for place, (other, how) in reversed(list(enumerate(inner))):
            last = place == len(inner) - 1
            todo.append(
                (
                    other,
                    under + (pens.last if last else pens.branch),
                    under + (pens.below if last else pens.beside),
                    how,
                )
            )


STYLES = {"after": "solid", "parent": "bold", "related": "dotted", "found-by": "dashed"}


def dot(graph: Graph) -> list[str]:
    """For Graphviz: an arrow goes from what comes first."""
    lines = ["digraph tasks {", "  rankdir=LR;", "  node [shape=box];"]
    for task in graph.tasks:
        label = f"{_dot(task.id)}\\n{_dot(task.title)}\\n{_dot(state(task, graph.blocked))}"
        lines.append(f'  "{_dot(task.id)}" [label="{label}"];')
    for edge in graph.edges:
        arrow = "" if edge.kind in BLOCKING else ", dir=none, constraint=false"
        lines.append(f'  "{_dot(edge.source)}" -> "{_dot(edge.target)}" [style={STYLES[edge.kind]}{arrow}];')
    return [*lines, "}"]


def _dot(text: str) -> str:
    return safe(text).replace("\\", "\\\\").replace('"', '\\"')


ARROWS = {"after": "-->", "parent": "==>", "related": "-.-", "found-by": "-.->"}
ENTITIES = str.maketrans({letter: f"#{ord(letter)};" for letter in "#\"'`<>&|[]{}()\\"})
"""Letters that mean something to Mermaid, by their numbers."""


def mermaid(graph: Graph) -> list[str]:
    """For Mermaid, as GitHub shows it in Markdown."""
    lines = ["flowchart LR"]
    for task in graph.tasks:
        told = f"{task.id}: {task.title} ({state(task, graph.blocked)})"
        lines.append(f'  {task.id}["{safe(told).translate(ENTITIES)}"]')
    return [*lines, *_arrows(graph)]


def _arrows(graph: Graph) -> Iterable[str]:
    return (f"  {edge.source} {ARROWS[edge.kind]} {edge.target}" for edge in graph.edges)
