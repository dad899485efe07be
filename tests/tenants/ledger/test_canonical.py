"""Canonical JSON: the published vectors, equality with the reference package and with JavaScript, and refusals."""

import json
import random
import shutil
import struct
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from tenants.ledger.canonical import CanonicalError, check_ijson, dumps, parse_strict
from tests.tenants.ledger import vectors

SAFE = 2**53 - 1
texts = st.text(st.characters(exclude_categories=["Cs"]))
floats = st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: abs(x) <= SAFE or abs(x) >= 1e21)
near_whole = st.integers(-1000, 1000).map(float) | st.sampled_from([-0.0, 1e-4, 9.9e-5, 1e-6, 1e-7, 5e-324, 1e21])
scalars = st.none() | st.booleans() | st.integers(-SAFE, SAFE) | floats | near_whole | texts
# Names on both sides of the surrogates, where UTF-8 and UTF-16 sort differently.
names = texts | st.text(st.sampled_from("aé€\ufb33\ue000\uffff😂𐀀\U0010ffff"), max_size=3)
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(names, inner), max_leaves=30)


@pytest.mark.parametrize("name", vectors.JCS_PAIRS)
def test_published_pairs(name: str) -> None:
    given_text, expected = vectors.JCS_PAIRS[name]
    assert dumps(parse_strict(given_text.encode())) == expected.encode()


@pytest.mark.parametrize(("bits", "expected"), vectors.JCS_NUMBERS.items())
def test_numbers_of_the_rfc(bits: str, expected: str) -> None:
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    assert dumps(number) == expected.encode()
    assert dumps([number, {"x": number}]) == f'[{expected},{{"x":{expected}}}]'.encode()


@given(values)
def test_equals_the_reference_and_is_a_fixed_point(value: Any) -> None:
    encoded = dumps(value)
    assert encoded == rfc8785.dumps(value)
    assert dumps(parse_strict(encoded)) == encoded


@given(values, st.sampled_from([None, 1]), st.booleans())
def test_every_spelling_of_a_value_parses_to_it(value: Any, indent: int | None, ascii_only: bool) -> None:
    spelled = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()
    parsed = parse_strict(spelled)
    assert parsed == value
    check_ijson(parsed)
    assert dumps(parsed) == dumps(value)


@given(st.floats() | st.integers())
def test_the_three_gates_agree_on_numbers(number: float) -> None:
    outcomes = {
        _refused_at(dumps, [number]),
        _refused_at(check_ijson, [number]),
        _refused_at(parse_strict, json.dumps([number]).encode()),
    }
    assert outcomes in ({None}, {"/0"})


def _refused_at(gate: Callable[[Any], Any], document: Any) -> str | None:
    try:
        gate(document)
    except CanonicalError as error:
        return error.pointer
    return None


REFUSED = [
    (b'{"a": 1, "b": {"c": 1, "c": 2}}', "duplicate", "/b/c"),
    (b'{"\\u0061": 1, "a": 1}', "duplicate", "/a"),
    (b'{"a\\\\": "\\"", "b": [{"x": 1, "x": 1}]}', "duplicate", "/b/0/x"),
    (b'{"a": {"x": 1, "x": 2}, "a": {}}', "duplicate", "/a"),
    (b'{"a": 1, "a": ["\\\\", "\\\\"]}', "duplicate", "/a"),
    (b'{"a": NaN}', "NaN", "/a"),
    (b'{"a": [-Infinity]}', "NaN", "/a/0"),
    (b"[1e999]", "NaN", "/0"),
    (b'{"a": 9007199254740992}', "2^53-1", "/a"),
    (b"[-9007199254740992]", "2^53-1", "/0"),
    (b"[18446744073709551616]", "2^53-1", "/0"),
    (b"[1" + b"0" * 30 + b"]", "2^53-1", "/0"),
    (b"[1" + b"0" * 5000 + b"]", "2^53-1", ""),
    (b"[1e20]", "2^53-1", "/0"),
    (b'["\\ud800"]', "surrogate", "/0"),
    (b'{"a/b~\\udc00": 1}', "surrogate", "/a~1b~0\\udc00"),
    (b'"\xff"', "UTF-8", ""),
    (b'"\xed\xa0\x80"', "UTF-8", ""),
    (b'"\x01"', "not JSON", ""),
    (b"\xef\xbb\xbf{}", "not JSON", ""),
    (b"", "not JSON", ""),
    (b"{} {}", "not JSON", ""),
    (b"[1,]", "not JSON", ""),
    (b"[01]", "not JSON", ""),
    (b"[" * 65 + b"]" * 65, "deeper", "/0/0/0/0/0/0/0/0"),
    (b'{"a":' * 200 + b"1" + b"}" * 200, "deeper", "/a/a/a/a/a/a/a/a"),
    (b"[" * 100_000 + b"]" * 100_000, "deeper", ""),
]


@pytest.mark.parametrize(("data", "reason", "pointer"), REFUSED, ids=lambda part: str(part)[:30])
def test_refusals_say_what_and_where(data: bytes, reason: str, pointer: str) -> None:
    with pytest.raises(CanonicalError) as caught:
        parse_strict(data)
    assert reason in caught.value.reason
    assert caught.value.pointer == pointer


@pytest.mark.parametrize("data", [b"[" * 64 + b"]" * 64, b"9007199254740991", b"1e21", b'"\\\\"', b'{"\\"":"\\\\\\""}'])
def test_the_edge_is_inside(data: bytes) -> None:
    assert dumps(parse_strict(data))


@pytest.mark.parametrize(
    "value",
    [datetime(2026, 1, 1, tzinfo=UTC), UUID(int=1), b"x", {1: 2}, {"a": {3}}, float("nan"), "\ud800", {"\ud800": 1}],
    ids=repr,
)
def test_what_is_not_json_is_refused(value: Any) -> None:
    for gate in (dumps, check_ijson):
        with pytest.raises(CanonicalError):
            gate({"deep": [value]})


def test_tuples_and_subclasses_are_written_as_json() -> None:
    class Name(str):
        pass

    assert dumps({"a": (1, 2.0, Name("x"))}) == b'{"a":[1,2,"x"]}'


def _random_value(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.randrange(8 if depth < 4 else 6)
    if kind == 0:
        return rng.choice([None, True, False])
    if kind == 1:
        return rng.randint(-SAFE, SAFE) >> rng.randrange(53)
    if kind == 2:
        return rng.choice([-1, 1]) * rng.random() * 10 ** rng.randint(-30, 14)
    if kind == 3:
        return float(rng.randint(-100, 100))
    if kind in (4, 5):
        return "".join(chr(rng.choice([rng.randrange(128), rng.randrange(0xD800), 0x1F600, 0xFB33])) for _ in range(4))
    items = [_random_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return items if kind == 6 else {str(_random_value(rng, 4)): item for item in items}


JAVASCRIPT = """
const canonical = v => v === null || typeof v !== 'object' ? JSON.stringify(v)
  : Array.isArray(v) ? '[' + v.map(canonical).join(',') + ']'
  : '{' + Object.keys(v).sort().map(k => JSON.stringify(k) + ':' + canonical(v[k])).join(',') + '}';
const lines = require('fs').readFileSync(0, 'utf8').split('\\n').filter(line => line);
process.stdout.write(lines.map(line => canonical(JSON.parse(line))).join('\\n'));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_javascript_agrees() -> None:
    rng = random.Random(8785)
    documents = [_random_value(rng) for _ in range(3000)]
    lines = "\n".join(json.dumps(document) for document in documents)
    # Node's own line separators inside strings are escaped by json.dumps and written raw by both canonicalisers.
    ours = "\n".join(dumps(document).decode() for document in documents)
    theirs = subprocess.run(["node", "-e", JAVASCRIPT], input=lines.encode(), capture_output=True, check=True).stdout
    assert theirs.decode() == ours
