"""Reading a span's attributes in many spellings, and remembering which of them were content.

Content that moves into the decision's `input` and `output` is not kept a second time among the raw attributes: there
it would escape the field group that a reader may be refused, or that may be erased.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

MAX_NESTING = 12  # levels of a flattened name; what is deeper stays one name
_INDEX = re.compile(r"^\d{1,6}$")


class Attributes:
    """A span's attributes; `taken`: the names whose values became content; `left`: what of these values did not."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values
        self.taken: set[str] = set()
        self.left: dict[str, Any] = {}
        self._names = "\n".join(["", *values])

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def first(self, names: Iterable[str]) -> Any:
        """The value of the first of these names that has one; None for none."""
        values = self.values
        if values.keys().isdisjoint(names):
            return None
        for name in names:
            value = values.get(name)
            if value is not None and value != "":
                return value
        return None

    def has_prefix(self, prefix: str) -> bool:
        """Whether any name begins with it."""
        return f"\n{prefix}" in self._names

    def text(self, names: Iterable[str]) -> str:
        """The same as text; numbers are written out, JSON text is unquoted, anything else is no text."""
        value = self.first(names)
        if isinstance(value, str):
            return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
        return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""

    def count(self, names: Iterable[str]) -> int | None:
        """The same as a number of tokens."""
        return as_count(self.first(names))

    def take(self, *names: str) -> Any:
        """The first of these as content: JSON text is read; marked as taken."""
        for name in names:
            value = self.values.get(name)
            if value is not None:
                self.taken.add(name)
                return read_json(value)
        return None

    def take_list(self, prefix: str) -> list[Any]:
        """What was flattened as `prefix.<i>.…`, put together again as a list; marked as taken."""
        if not self.has_prefix(f"{prefix}."):
            return []
        tree: dict[str, Any] = {}
        start = len(prefix) + 1
        for name, value in self.values.items():
            if name.startswith(prefix) and name[len(prefix) : start] == "." and name[start : start + 1].isdigit():
                _graft(tree, name[start:].split(".", MAX_NESTING), value)
                self.taken.add(name)
        found = _lists(tree)
        return found if isinstance(found, list) else []

    def raw(self) -> dict[str, Any]:
        """The attributes that are not content, and of the others what was left."""
        return {name: value for name, value in self.values.items() if name not in self.taken} | self.left


def as_count(value: Any) -> int | None:
    """A non-negative whole number below 2^53, also from text; None for anything else."""
    if isinstance(value, str) and value.isdecimal() and len(value) < 16:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
        return None
    return value


def read_json(value: Any) -> Any:
    """Text that is a JSON object, array or string as what it says; everything else as it is."""
    if isinstance(value, str) and value[:1] in ("{", "[", '"'):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value


def _graft(tree: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        below = tree.get(part)
        if not isinstance(below, dict):
            # `a.b` and `a.b.c` side by side: the former becomes the nameless member of the latter.
            below = tree[part] = {} if below is None else {"": below}
        tree = below
    last = path[-1]
    if isinstance(tree.get(last), dict):
        tree[last][""] = value
    else:
        tree[last] = value


def _lists(tree: Any) -> Any:
    """Mappings whose names are all numbers become lists, in the order of the numbers."""
    if not isinstance(tree, dict):
        return tree
    if tree and all(_INDEX.match(name) for name in tree):
        return [_lists(tree[name]) for name in sorted(tree, key=int)]
    return {name: _lists(value) for name, value in tree.items()}
