"""The contract between policies and traces: the schema and what is built agree, whatever was submitted."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.facts import FACTS_SCHEMA, MAX_DEPTH, UNJUDGEABLE, build_facts

SUBMITTED: dict[str, Any] = {
    "occurred_at": "2026-11-23T23:46:14.123-02:00",
    "system": "loan-assistant",
    "system_version": "2.4.0",
    "environment": "production",
    "task": "pre-screening",
    "session": "s-77",
    "user": "u-1032",
    "subject": "customer-5521",
    "agent": "screener",
    "instance": "pod-7",
    "model": {
        "provider": "openai",
        "name": "gpt-5-mini",
        "version": "2026-08-01",
        "parameters": {"temperature": 0.2},
        "prompt": {"name": "screen", "version": "14"},
    },
    "input": [{"role": "system", "content": "You screen."}, {"role": "user", "content": "A loan?"}],
    "context": [{"id": "doc-9", "hash": "sha256:…", "score": 0.83, "text": "Rates"}],
    "output": [{"role": "assistant", "content": "I refer you.", "finish_reason": "stop"}],
    "outcome": {
        "decision": "refer",
        "adverse": False,
        "score": 1,
        "threshold": 0.5,
        "confidence": 0.7,
        "reasons": [{"code": "c", "text": "t", "factor": "f", "direction": "negative", "weight": 1}],
    },
    "usage": {"input_tokens": 812, "output_tokens": 96},
    "latency_ms": 930,
    "enforcement": [{"guard": "pii", "rule": "ssn", "verdict": "triggered", "action": "mask", "score": 0.9}],
    "metadata": {"region": "eu"},
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
DECISIONS = st.dictionaries(st.sampled_from([*SUBMITTED, "other"]), JSON)
PYTHON_TYPES = {"string": str, "bool": bool, "int": int, "double": float, "map(string, dyn)": dict}


def paths(value: Any, name: str = "") -> dict[str, Any]:
    """Every dotted path of built facts, in the schema's notation; free JSON is one value."""
    free = {fact.name for fact in FACTS_SCHEMA if fact.type in ("dyn", "map(string, dyn)")}
    found: dict[str, Any] = {}
    if name and (not isinstance(value, dict) or name in free):
        found[name] = value
    if name in free:
        return found
    if isinstance(value, dict):
        for key, inner in value.items():
            found |= paths(inner, f"{name}.{key}" if name else key)
    if isinstance(value, list):
        for inner in value:
            if isinstance(inner, dict):
                found |= paths(inner, f"{name}[]")
    return found


def assert_fits_schema(facts: dict[str, Any]) -> None:
    schema = {fact.name: fact for fact in FACTS_SCHEMA}
    built = paths(facts)
    assert set(built) <= set(schema)
    missing = {name for name, fact in schema.items() if name not in built and not fact.optional and "[]" not in name}
    assert not missing
    for name, value in built.items():
        kind = schema[name].type
        assert kind == "dyn" or type(value) is PYTHON_TYPES.get(kind, list), name


def test_full_decision_gives_every_fact_of_the_schema() -> None:
    facts = build_facts(SUBMITTED)
    assert_fits_schema(facts)
    assert {fact.name for fact in FACTS_SCHEMA} - set(paths(facts)) == {"input.data", "output.data"}


@given(DECISIONS)
def test_any_json_fits_the_schema(decision: dict[str, Any]) -> None:
    assert_fits_schema(build_facts(decision))


@given(DECISIONS)
def test_building_is_deterministic_and_leaves_the_decision_alone(decision: dict[str, Any]) -> None:
    before = json.dumps(decision)
    assert json.dumps(build_facts(decision)) == json.dumps(build_facts(decision))
    assert json.dumps(decision) == before


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": "A loan?"},
        {"role": "user", "content": [{"type": "text", "text": "A loan?"}]},
        {"role": "user", "parts": [{"type": "text", "content": "A loan?"}]},
        {"role": "user", "content": [{"type": "input_text", "text": "A loan?"}, {"type": "image", "data": "x"}]},
        {"content": "A loan?"},
    ],
)
def test_message_forms_give_the_same_text(message: dict[str, Any]) -> None:
    facts = build_facts({"input": [{"role": "system", "content": "Be kind."}, message]})
    assert facts["input"]["text"] == facts["input"]["last_user"] == "A loan?"
    assert facts["input"]["system_text"] == "Be kind."


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "search", "arguments": "{}"}}]},
        {"role": "assistant", "parts": [{"type": "tool_call", "name": "search", "arguments": {}}]},
        {"role": "assistant", "content": [{"type": "tool_use", "name": "search", "input": {}}]},
    ],
)
def test_tool_call_forms_are_one_list(message: dict[str, Any]) -> None:
    assert build_facts({"output": [message]})["tools"]["called"] == ["search"]


def test_tool_results_are_kept_apart_from_user_text() -> None:
    results = [{"type": "tool_result", "content": [{"type": "text", "text": "balance 12"}]}]
    facts = build_facts({"input": [{"role": "tool", "content": results}, {"role": "user", "content": "And now?"}]})
    assert (facts["input"]["text"], facts["input"]["tool_text"]) == ("And now?", "balance 12")


def test_reasoning_is_not_the_answer() -> None:
    parts = [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "Yes."}]
    assert build_facts({"output": [{"role": "assistant", "parts": parts}]})["output"]["text"] == "Yes."


@pytest.mark.parametrize(
    ("output", "refused"),
    [
        ([{"role": "assistant", "content": "", "finish_reason": "content_filter"}], True),
        ([{"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}], True),
        ([{"role": "assistant", "refusal": "No.", "content": None}], True),
        ([{"role": "assistant", "content": "Yes.", "finish_reason": "stop"}], False),
        ("I refuse.", False),
    ],
)
def test_refusal_is_read_from_markers_only(output: Any, refused: bool) -> None:
    assert build_facts({"output": output})["output"]["refused"] is refused


def test_other_json_is_data_and_has_no_text() -> None:
    facts = build_facts({"input": {"age": 41}, "output": 0.41})
    assert facts["input"]["data"] == {"age": 41}
    assert facts["output"]["data"] == 0.41
    assert facts["input"]["text"] == facts["output"]["text"] == ""


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(1990, 1, 1), max_value=datetime(2100, 1, 1)))  # noqa: DTZ001
def test_time_is_utc(moment: datetime) -> None:
    facts = build_facts({"occurred_at": moment.isoformat()})["time"]
    assert (facts["hour"], facts["weekday"]) == (moment.hour, moment.isoweekday())
    assert datetime.fromisoformat(facts["occurred_at"]) == moment


def test_offsets_are_turned_to_utc_and_nonsense_is_no_time() -> None:
    assert build_facts(SUBMITTED)["time"]["hour"] == 1
    assert build_facts({"occurred_at": "yesterday"})["time"] == {}


def test_size_is_an_upper_bound_of_the_largest_group() -> None:
    record = build_facts({"input": "é" * 1000, "output": "x" * 10, "metadata": {"l": [0] * 300}})["record"]
    assert record["bytes"] >= len(("é" * 1000).encode())
    assert record["items"] == 300


def test_deep_json_never_reaches_the_evaluator() -> None:
    deep: Any = 1
    for _ in range(MAX_DEPTH + 5):
        deep = [deep]
    facts = build_facts({"input": {"x": deep}, "metadata": {"x": deep}, "model": {"parameters": {"x": deep}}})
    assert facts["record"]["items"] == UNJUDGEABLE
    assert facts["metadata"] == facts["model"]["parameters"] == {}
    assert "data" not in facts["input"]
