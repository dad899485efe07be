"""What the contract takes, and how it refuses."""

import json
from typing import Any

import pytest

from tests.factories.traces import a_decision
from traces.submissions import BodyError, ItemsRefused, read_items


def refused(*decisions: Any) -> list[tuple[int, str, str]]:
    with pytest.raises(ItemsRefused) as caught:
        read_items(json.dumps(list(decisions)).encode(), ndjson=False, limit=1000)
    return [(problem.index, problem.pointer, problem.detail) for problem in caught.value.problems]


def test_the_least_that_is_a_decision() -> None:
    (item,), single = read_items(b'{"system": "s", "output": "o"}', ndjson=False, limit=10)
    assert single
    assert (item.typed.system, item.raw["output"]) == ("s", "o")


def test_an_array_and_ndjson_are_batches() -> None:
    array, single = read_items(b'[{"system":"s","output":1},{"system":"s","input":{"age":3}}]', ndjson=False, limit=10)
    assert (len(array), single) == (2, False)
    lines, single = read_items(b'{"system":"s","output":1}\n\n{"system":"s","input":[]}\n', ndjson=True, limit=10)
    assert (len(lines), single) == (2, False)


def test_every_bad_item_is_named() -> None:
    found = refused(
        a_decision(),
        a_decision(system=None),
        a_decision(usage={"input_tokens": -1}),
        "no object",
        a_decision(input=None, output=None),
        a_decision(trace_id="XYZ"),
        a_decision(tenant_id="somebody else's"),
    )
    assert [index for index, _, _ in found] == [1, 2, 3, 4, 5, 6]
    assert found[1][1] == "/usage/input_tokens"
    assert "unknown field `tenant_id`" in found[5][2]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"system":"s","system":"t","output":1}', "name"),
        (b'{"system":"s","output":NaN}', "NaN"),
        (b'{"system":"s","output":9007199254740993}', "integer"),
        (b'{"system":"s","output":"\\ud800"}', "surrogate"),
        (b'{"system":"s","output":' + b"[" * 200 + b"]" * 200 + b"}", "deep"),
        (b'{"system":"s","output":"\xff"}', "UTF-8"),
        (b"", "JSON"),
        (b"[]", "no decision"),
    ],
)
def test_what_could_not_be_hashed_the_same_everywhere_is_refused(body: bytes, words: str) -> None:
    with pytest.raises(BodyError, match=words) as caught:
        read_items(body, ndjson=False, limit=10)
    assert caught.value.status == 422


def test_too_many_items_are_refused_with_what_to_do() -> None:
    with pytest.raises(BodyError, match="smaller batches") as caught:
        read_items(json.dumps([a_decision()] * 3).encode(), ndjson=False, limit=2)
    assert caught.value.status == 413
