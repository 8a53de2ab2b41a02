"""Who waits for whom, in order, and circles."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitpw.domain.graph import CircleError, ordered, reached
from gitpw.domain.ids import TaskId

NAMES = [TaskId(name) for name in "abcdef"]
graphs = st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=3))


@given(graphs)
def test_order_or_circle(graph: dict[TaskId, list[TaskId]]) -> None:
    """All come after what they wait for, or there is a circle and it is one."""
    try:
        order = ordered(NAMES, lambda name: graph.get(name, []))
    except CircleError as circle:
        way = circle.tasks
        assert way[0] == way[-1]
        assert len(way) > 1
        assert all(after in graph[before] for before, after in pairwise(way))
    else:
        assert sorted(order) == NAMES
        assert all(order.index(needed) < order.index(name) for name in graph for needed in graph[name])


def test_a_long_chain() -> None:
    """No chain is too long, nor too long a circle."""
    names = [TaskId(f"task-{number:05d}") for number in range(20_000)]
    after = dict(zip(names, [[name] for name in names[1:]], strict=False))
    assert ordered(names[:1], lambda name: after.get(name, [])) == names[::-1]
    after[names[-1]] = names[:1]
    with pytest.raises(CircleError) as caught:
        ordered(names[:1], lambda name: after.get(name, []))
    assert caught.value.tasks == [*names, names[0]]


def test_reached() -> None:
    """What can be reached, circles or not."""
    edges = {"a": ["b"], "b": ["a", "c"], "d": ["a"]}
    assert reached([NAMES[0]], lambda name: map(TaskId, edges.get(name, []))) == {"a", "b", "c"}
