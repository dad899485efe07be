"""JSON-shaped YAML with positions: text to a tree of `Node`, each knowing its line and column. Pure, never recursive
deeper than `MAX_DEPTH`, and linear in the text (no aliases, so no expansion)."""

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

MAX_BYTES = 64 << 10
MAX_DEPTH = 32

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_CONSTANTS = {"true": True, "false": False, "null": None, "~": None, "": None}


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """What is wrong and where; `line` and `column` count from 1."""

    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.message}"


@dataclass(slots=True)
class Node:
    """A value and its place. Exactly one of `fields` (mapping), `items` (list) and `value` (scalar) is meant."""

    line: int
    column: int
    path: str
    value: str | int | float | bool | None = None
    fields: "dict[str, Node] | None" = None
    items: "list[Node] | None" = None
    key: "Node | None" = None
    style: str | None = None
    indent: int = field(default=0)

    def plain(self) -> Any:
        """The value as plain Python data."""
        if self.fields is not None:
            return {name: node.plain() for name, node in self.fields.items()}
        return [node.plain() for node in self.items] if self.items is not None else self.value

    def position(self, line: int, column: int) -> tuple[int, int]:
        """Where a place inside this scalar lies in the document; exact but for folded and escaped text."""
        if self.style == "|":
            return self.line + line, self.indent + column
        if self.style == ">" or line > 1:
            return self.line + 1, self.indent + 1
        return self.line, self.column + column - (0 if self.style in ("'", '"') else 1)


class _RefusedError(Exception):
    def __init__(self, mark: Any, message: str) -> None:
        super().__init__(message)
        self.mark, self.message = mark, message


def read_markup(source: str | bytes, problems: list[Problem]) -> Node | None:
    """The document's root; None, with one problem added, when the text cannot be read."""
    try:
        return _read(_decode(source))
    except _RefusedError as refused:
        problems.append(Problem(refused.mark.line + 1, refused.mark.column + 1, refused.message))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problems.append(Problem(line, column, error.problem or "not readable as YAML or JSON"))
    except yaml.YAMLError as error:
        problems.append(Problem(1, 1, str(error).partition("\n")[0]))
    return None


def _start() -> Any:
    return yaml.Mark("", 0, 0, 0, "", 0)


def _decode(source: str | bytes) -> str:
    try:
        data = source.encode() if isinstance(source, str) else source
        if len(data) > MAX_BYTES:
            raise _RefusedError(_start(), f"a document may have at most {MAX_BYTES} bytes; this one has {len(data)}")
        text = data.decode("utf-8-sig")
    except UnicodeError:
        raise _RefusedError(_start(), "the document is not UTF-8") from None
    # JSON may be indented with tabs, which YAML forbids; inside JSON strings a raw tab is illegal anyway.
    return text.replace("\t", " ") if text.lstrip().startswith("{") else text


def _read(text: str) -> Node:
    """Build the tree from parser events: no recursion, so nesting cannot exhaust the stack."""
    lines = text.splitlines()
    root: Node | None = None
    open_nodes: list[tuple[Node, Node | None]] = []
    events = yaml.parse(text, Loader=yaml.SafeLoader)
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent) and root is not None:
            raise _RefusedError(event.start_mark, "only one document is allowed")
        if isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            open_nodes.pop()
        if not isinstance(event, yaml.NodeEvent):
            continue
        node = _node(event, lines)
        if len(open_nodes) >= MAX_DEPTH:
            raise _RefusedError(event.start_mark, f"nested deeper than {MAX_DEPTH}")
        if open_nodes:
            open_nodes[-1] = _attach(*open_nodes[-1], node, event)
        else:
            root = node
        if isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((node, None))
    if root is None:
        raise _RefusedError(_start(), "the document is empty")
    return root


def _node(event: Any, lines: list[str]) -> Node:
    mark = event.start_mark
    if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
        raise _RefusedError(mark, "anchors and aliases (& and *) are not allowed; write the value out")
    if event.tag is not None:
        raise _RefusedError(mark, "tags (!) are not allowed")
    node = Node(mark.line + 1, mark.column + 1, "")
    if isinstance(event, yaml.MappingStartEvent):
        node.fields = {}
    elif isinstance(event, yaml.SequenceStartEvent):
        node.items = []
    else:
        node.style = event.style
        node.value = _scalar(event.value, mark) if event.style is None else _joined(event.value, mark)
        if event.style in ("|", ">"):
            node.indent = next((len(row) - len(row.lstrip()) for row in lines[mark.line + 1 :] if row.strip()), 0)
    return node


def _attach(parent: Node, key: Node | None, node: Node, event: Any) -> tuple[Node, Node | None]:
    """Put a node into its open parent; returns the parent and the key it now waits to fill."""
    if parent.items is not None:
        node.path = f"{parent.path}[{len(parent.items)}]"
        parent.items.append(node)
        return parent, None
    if key is not None:
        node.key, node.path = key, key.path
        parent.fields[key.value] = node  # type: ignore[index]
        return parent, None
    if not isinstance(event, yaml.ScalarEvent) or event.value == "<<":
        raise _RefusedError(event.start_mark, "a field's name must be text")
    name = _joined(event.value, event.start_mark)
    if name in (parent.fields or {}):
        raise _RefusedError(event.start_mark, f"the field {name[:80]} is given twice")
    node.value, node.path = name, f"{parent.path}.{name[:80]}" if parent.path else name[:80]
    return parent, node


def _scalar(text: str, mark: Any) -> str | int | float | bool | None:
    """A plain scalar by the JSON rules of YAML 1.2; all that is not a constant or a number is text."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if len(text) <= 40:
        if _INTEGER.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
    return _joined(text, mark)


def _joined(text: str, mark: Any) -> str:
    """JSON writes characters beyond the BMP as two escapes; join them, and refuse halves."""
    if text.isascii():
        return text
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise _RefusedError(mark, "half of a surrogate pair") from None
