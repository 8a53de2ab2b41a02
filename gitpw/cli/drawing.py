"""Tables on a terminal: the only user of rich, which costs 60 ms to import."""

from __future__ import annotations

import os
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gitpw.cli.dashboard import BAR, MERGE_HEAD, Dashboard, Row, bar
from gitpw.cli.output import safe

COLUMNS = {"WORKER": 0, "TYPE": 70, "TASK": 0, "PROGRESS": 40, "ETA": 60, "LEASE": 50, "STEP": 120}
"""The dashboard's columns, and the width of a terminal from which on each is shown."""

FLEXIBLE = frozenset({"TASK", "STEP"})
RIGHT = frozenset({"ETA", "LEASE"})
GAP = 2
"""Columns between two of a table's."""


def console(*, colour: bool) -> Console:
    """A console on stdout that interprets nothing in what it is given; without colours it sends no escapes at all."""
    wanted = colour and not os.environ.get("NO_COLOR")
    return Console(markup=False, emoji=False, highlight=False, color_system="auto" if wanted else None)


def words(text: str, style: str = "") -> Text:
    """Text that is shown as it is."""
    return Text(safe(text), style=style)


def draw_rows(target: Console, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A plain table; what doesn't fit is folded, not lost."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in head:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*map(words, row))
    target.print(table)


def draw_dashboard(target: Console, board: Dashboard) -> None:
    """The dashboard, in as many columns as fit."""
    target.print(words(board.summary, "bold"), overflow="ellipsis", no_wrap=True)
    target.print()
    if board.rows:
        target.print(_workers(target, board))
    if board.more:
        target.print(words(board.more, "dim"))
    target.print()
    target.print(Text.assemble(("tasks  ", "bold"), words(board.queue)))
    target.print(Text.assemble(("locks  ", "bold"), words(board.locks)))
    if board.merges:
        target.print()
        target.print(_merges(target, board))
    else:
        target.print(Text.assemble(("merge queue  ", "bold"), "empty"))
    target.print()
    for one in board.warnings:
        target.print(words(f"warning: {one}", "bold yellow"))
    if not board.warnings:
        target.print(words(board.verdict, "green"))


def _workers(target: Console, board: Dashboard) -> Table:
    """The table of workers; narrow terminals lose some columns, and what is left to TASK and STEP is cut to fit."""
    shown = [name for name, least in COLUMNS.items() if target.width >= least]
    rows = [_cells(row, target) for row in board.rows]
    sizes = {name: max(len(name), *(cells[name].cell_len for cells in rows)) for name in shown}
    sizes["WORKER"] = min(sizes["WORKER"], max(target.width // 4, 6))
    fixed = sum(size for name, size in sizes.items() if name not in FLEXIBLE) + GAP * (len(shown) - 1)
    room = max(target.width - fixed, 4) // sum(name in FLEXIBLE for name in shown)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in shown:
        size = min(sizes[name], room) if name in FLEXIBLE else sizes[name]
        table.add_column(
            name, width=size, overflow="ellipsis", no_wrap=True, justify="right" if name in RIGHT else "left"
        )
    for cells in rows:
        table.add_row(*(cells[name] for name in shown))
    return table


def _cells(row: Row, target: Console) -> dict[str, Text]:
    full, empty = ("█", "░") if "utf" in (target.encoding or "").lower() else ("#", "-")
    cells = BAR if target.width >= COLUMNS["TYPE"] else 5
    return {
        "WORKER": words(row.worker),
        "TYPE": words(row.kind, "cyan" if row.kind.startswith("ai") else ""),
        "TASK": words(row.task, "dim" if row.percent is None else ""),
        "PROGRESS": words(bar(row.percent, full, empty, cells), "green"),
        "ETA": words(row.eta),
        "LEASE": words(row.lease, "bold red" if row.late else ""),
        "STEP": words(row.step),
    }


def _merges(target: Console, board: Dashboard) -> Table:
    """The merge queue; narrow terminals lose the worker."""
    shown = [name for name in MERGE_HEAD if name != "WORKER" or target.width >= COLUMNS["LEASE"]]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in shown:
        table.add_column(name, overflow="ellipsis", no_wrap=name != "DETAIL")
    for row in board.merges:
        cells = dict(zip(MERGE_HEAD, row, strict=True))
        table.add_row(*(words(cells[name]) for name in shown))
    return table
