"""Bodies as they were really sent, and what happens to such bodies: Hypothesis strategies over a corpus."""

import gzip
import json
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import orjson
from hypothesis import strategies as st

HOSTILE: tuple[Any, ...] = (
    None, True, 0, -1, 2**53, 2**63, 2**64, -(2**70), 10**400, 1e308, 0.1, "", "\0", "a\0b", "\U0010ffff", "٣",
    "x" * 70_000, "9" * 400, "NaN", "=cmd()", "'; DROP TABLE traces_decision; --", "../../etc/passwd",
    [], [[]], {}, {"": ""}, {"$ref": "#"}, {"stringValue": 1}, {"intValue": "9223372036854775808"},
    {"kvlistValue": {"values": [{}]}}, {"doubleValue": "1e999"},
)  # fmt: skip
TOKENS = (
    b"\0",
    b"\xff",
    b"\xc3",
    b"\\ud800",
    b"NaN",
    b"1e999",
    b"{",
    b"[",
    b'"',
    b",",
    b"[" * 200,
    b"\n",
    b"\x1f\x8b\x08",
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to every member and item inside a JSON value."""
    inner: Sequence[tuple[Any, Any]] = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else ()
    )
    return [found for key, item in inner for found in ((*path, key), *places(item, (*path, key)))]


@st.composite
def changed_json(draw: st.DrawFn, corpus: Sequence[Any]) -> bytes:
    """A document of the corpus with up to four of its values replaced, removed, renamed or doubled."""
    document = orjson.loads(orjson.dumps(draw(st.sampled_from(corpus))))
    for _ in range(draw(st.integers(0, 4))):
        known = places(document)
        if not known:
            break
        *path, last = draw(st.sampled_from(known))
        holder = document
        for key in path:
            holder = holder[key]
        kind = draw(st.sampled_from(("replace", "replace", "replace", "remove", "move", "deepen")))
        if kind == "replace":
            holder[last] = deepcopy(draw(st.sampled_from(HOSTILE)))
        elif kind == "deepen":
            holder[last] = _nested(holder[last], draw(st.sampled_from((3, 40, 120))))
        else:
            value = holder.pop(last)
            if kind == "move" and isinstance(holder, dict):
                holder[f"{last}_"] = value
    return json.dumps(document).encode()  # orjson refuses some of what is sent here


def _nested(value: Any, depth: int) -> Any:
    for number in range(depth):
        value = [value] if number % 2 else {"arrayValue": value}
    return value


@st.composite
def changed_bytes(draw: st.DrawFn, corpus: Sequence[bytes]) -> bytes:
    """A body of the corpus cut, bent, doubled inside, or joined to another."""
    body = bytearray(draw(st.sampled_from(corpus)))
    for _ in range(draw(st.integers(0, 5))):
        at = draw(st.integers(0, len(body)))
        length = draw(st.integers(0, 64))
        kind = draw(st.sampled_from(("flip", "flip", "insert", "cut", "double", "end", "join")))
        if kind == "flip" and at < len(body):
            body[at] ^= draw(st.integers(1, 255))
        elif kind == "insert":
            body[at:at] = draw(st.sampled_from(TOKENS) | st.binary(max_size=12))
        elif kind == "cut":
            del body[at : at + length]
        elif kind == "double":
            body[at:at] = body[at : at + length]
        elif kind == "end":
            del body[at:]
        elif kind == "join":
            body += draw(st.sampled_from(corpus))
    return bytes(body)


@st.composite
def packed(draw: st.DrawFn, bodies: st.SearchStrategy[bytes]) -> tuple[bytes, bool]:
    """A body, and whether it is sent as gzip, which may have come apart on its way."""
    body = draw(bodies)
    how = draw(st.sampled_from(("plain", "plain", "gzip", "gzip", "broken")))
    if how == "plain":
        return body, False
    zipped = gzip.compress(body, 1)
    return (draw(changed_bytes([zipped])) if how == "broken" else zipped), True
