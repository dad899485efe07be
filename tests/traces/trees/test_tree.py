"""Trees as real traces have them: each span once, in reading order, whatever its parent says."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from traces.trees.tree import Node, first_failure, grow, visible

START = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)


def node(number: int, parent: int | None = None, ms: int = 0, **more: Any) -> Node:
    at = START + timedelta(milliseconds=ms)
    return Node(f"{number:016x}", number, parent, f"span {number}", "api", at, 1_000, **more)


def shape(nodes: list[Node]) -> list[tuple[int | None, int]]:
    return [(line.node.span_id, line.depth) for line in grow(nodes).lines]


SHAPES: dict[str, tuple[list[Node], list[tuple[int, int]]]] = {
    "one": ([node(1)], [(1, 0)]),
    "children by their start": (
        [node(3, 1, 20), node(1), node(2, 1, 10), node(4, 2, 15)], [(1, 0), (2, 1), (4, 2), (3, 1)]
    ),
    "two roots": ([node(2, ms=5), node(1)], [(1, 0), (2, 0)]),
    "a parent that never came": ([node(1), node(2, 99, 5)], [(1, 0), (2, 0)]),
    "its own parent": ([node(1, 1)], [(1, 0)]),
    "a circle": ([node(1, 2), node(2, 1, 5), node(3, 2, 9)], [(1, 0), (2, 1), (3, 2)]),
    "a circle beside a root": ([node(9), node(1, 2, 1), node(2, 1, 2)], [(9, 0), (1, 0), (2, 1)]),
    "the same id twice": ([node(1), Node("other", 1, None, "twin", "", START, 0)], [(1, 0), (1, 0)]),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_the_shape_of(name: str) -> None:
    nodes, expected = SHAPES[name]
    assert shape(nodes) == expected


def test_lines_know_what_is_below_them_and_how_much_of_it_failed() -> None:
    nodes = [node(1), node(2, 1, 1), node(3, 2, 2, is_failed=True), node(4, 1, 3), node(5, ms=9)]
    lines = grow(nodes).lines
    assert [(line.number, line.n_below, line.n_failed_below) for line in lines] == [
        (0, 3, 1), (1, 1, 1), (2, 0, 0), (3, 0, 0), (4, 0, 0),
    ]  # fmt: skip


def test_what_is_closed_hides_all_below_it() -> None:
    tree = grow([node(1), node(2, 1, 1), node(3, 2, 2, is_failed=True), node(4, 1, 3), node(5, ms=9)])
    assert [line.number for line in visible(tree, {1})] == [0, 1, 3, 4]
    assert [line.number for line in visible(tree, {0, 1})] == [0, 4]
    assert first_failure(tree, visible(tree, {})) == 2
    assert first_failure(tree, visible(tree, {0})) is None


def test_a_trace_is_summed_each_currency_for_itself() -> None:
    money: list[dict[str, Any]] = [
        {"cost_micros": 5, "currency": "EUR"},
        {"cost_micros": 7, "currency": "USD"},
        {"cost_micros": 2, "currency": "EUR"},
    ]
    tree = grow([node(n, None, n, decision="x", tokens=10, **more) for n, more in enumerate(money, 1)])
    assert tree.costs == {"EUR": 7, "USD": 7}
    assert (tree.n_decisions, tree.tokens, tree.duration) == (3, 30, timedelta(milliseconds=3))


@pytest.mark.parametrize("parent_of", [lambda n: n - 1 or None, lambda n: 1 if n > 1 else None], ids=["deep", "wide"])
def test_fifty_thousand_spans_grow_in_time(parent_of: Any) -> None:
    """A chain as deep as the trace is long needs no recursion, and no more time than a wide one."""
    nodes = [node(n, parent_of(n), n) for n in range(1, 50_001)]
    started = time.monotonic()
    assert grow(nodes).lines[0].n_below == 49_999
    assert time.monotonic() - started < 5
