"""From the spans of a trace to a tree in reading order. Pure, and linear in the number of spans.

What real traces hold is taken as it is: a parent that never arrived, two roots, a span that names itself or a
descendant as its parent. Each span is shown once; one whose parent is missing is a root and says so.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Node:
    """A span or a decision. Ids are the 8 bytes as a signed number; `decision` is its id in hex, or empty."""

    key: str  # unique on the page: the span's id, or the decision's
    span_id: int | None
    parent_span_id: int | None
    name: str
    sub: str
    at: datetime
    duration_us: int
    is_failed: bool = False
    decision: str = ""
    action: str = ""
    model: str = ""
    tokens: int | None = None
    cost_micros: int | None = None
    currency: str = ""
    instance: str = ""


@dataclass(slots=True)
class Line:
    """A node's place: its depth, its number in reading order, and how many come below it."""

    node: Node
    depth: int
    number: int
    n_below: int = 0
    n_failed_below: int = 0
    is_orphan: bool = False


@dataclass(frozen=True, slots=True)
class Tree:
    """Every line in reading order, and what the trace comes to."""

    lines: list[Line]
    since: datetime
    until: datetime
    n_failed: int
    n_decisions: int
    tokens: int
    costs: dict[str, int] = field(default_factory=dict)  # by currency

    @property
    def duration(self) -> timedelta:
        return self.until - self.since


def grow(nodes: Sequence[Node]) -> Tree:
    """The tree of at least one node; siblings by their start."""
    ordered = sorted(nodes, key=lambda node: (node.at, node.key))
    by_span: dict[int, Node] = {}
    for node in ordered:
        if node.span_id is not None:
            by_span.setdefault(node.span_id, node)
    children: dict[str, list[Node]] = {}
    roots: list[tuple[Node, bool]] = []
    for node in ordered:
        parent = by_span.get(node.parent_span_id) if node.parent_span_id is not None else None
        if parent is None or parent is node:
            roots.append((node, node.parent_span_id is not None))
        else:
            children.setdefault(parent.key, []).append(node)
    lines = _walk(roots, children)
    lines = _with_circles(lines, ordered, children)
    _count_below(lines)
    return _summed(lines)


def _walk(roots: Sequence[tuple[Node, bool]], children: dict[str, list[Node]]) -> list[Line]:
    lines: list[Line] = []
    seen: set[str] = set()
    waiting = [(node, 0, orphan) for node, orphan in reversed(roots)]
    while waiting:
        node, depth, orphan = waiting.pop()
        if node.key in seen:
            continue
        seen.add(node.key)
        lines.append(Line(node, depth, len(lines), is_orphan=orphan))
        waiting += [(child, depth + 1, False) for child in reversed(children.get(node.key, ()))]
    return lines


def _with_circles(lines: list[Line], ordered: Sequence[Node], children: dict[str, list[Node]]) -> list[Line]:
    """Spans that are each other's ancestors hang on no root: the earliest of them becomes one."""
    seen = {line.node.key for line in lines}
    for node in ordered:
        if node.key not in seen:
            for line in _walk([(node, True)], children):
                line.number = len(lines)
                lines.append(line)
                seen.add(line.node.key)
    return lines


def _count_below(lines: Sequence[Line]) -> None:
    # From the end: what is below a line is the run of deeper lines behind it.
    stack: list[Line] = []
    for line in reversed(lines):
        while stack and stack[-1].depth > line.depth:
            below = stack.pop()
            if below.depth == line.depth + 1:
                line.n_below += 1 + below.n_below
                line.n_failed_below += int(below.node.is_failed) + below.n_failed_below
        stack.append(line)


def _summed(lines: list[Line]) -> Tree:
    nodes = [line.node for line in lines]
    costs: dict[str, int] = {}
    for node in nodes:
        if node.cost_micros is not None:
            costs[node.currency] = costs.get(node.currency, 0) + node.cost_micros
    return Tree(
        lines,
        since=min(node.at for node in nodes),
        until=max(node.at + timedelta(microseconds=node.duration_us) for node in nodes),
        n_failed=sum(node.is_failed for node in nodes),
        n_decisions=sum(bool(node.decision) for node in nodes),
        tokens=sum(node.tokens or 0 for node in nodes),
        costs=costs,
    )


def visible(tree: Tree, closed: Collection[int]) -> list[Line]:
    """The lines that are shown while the lines with these numbers are closed."""
    shown: list[Line] = []
    skip_to = 0
    for line in tree.lines:
        if line.number < skip_to:
            continue
        shown.append(line)
        if line.number in closed:
            skip_to = line.number + 1 + line.n_below
    return shown


def first_failure(tree: Tree, shown: Sequence[Line]) -> int | None:
    """Where among the shown lines the first failed one is."""
    return next((place for place, line in enumerate(shown) if line.node.is_failed), None)
