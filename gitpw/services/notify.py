"""Tell people what follows from an operation: whoever wrote it does, once, right after it was acknowledged.

Nothing is sent here: notices are written down, and a process that goes on by itself sends them, so that no command
waits for anybody's server or fails with it.
"""

from __future__ import annotations

from gitpw.domain.board import Board
from gitpw.domain.operation import Operation, Outcome, Refused
from gitpw.services.ports import Post

NEWS = frozenset(
    {"claim", "complete", "expire", "fail", "freeze", "land", "lock", "merging", "return", "suspect", "warn"}
)
"""Verbs from which a notice may follow; from a refusal of any, one does."""


def notify(post: Post, board: Board, operation: Operation, outcome: Outcome, counter: int) -> None:
    """Have told what anybody wants to be told of."""
    if not isinstance(outcome, Refused) and operation.request.verb not in NEWS:
        return
    wanted = post.wanted()
    if not wanted:
        return
    from gitpw.domain.notice import notices

    news = [one for one in notices(board, operation, outcome, counter) if one.event in wanted]
    if post.spool.put(news):
        post.start()
