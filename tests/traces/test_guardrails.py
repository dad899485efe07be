"""Results of guardrails in their makers' forms: read into the one enforcement log, and a failure is never a pass."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.engine import ACTIONS
from policies.facts import build_facts
from tenants.context import tenant_atomic
from tests.factories.tenants import Cast
from tests.factories.traces import a_decision, submit
from traces.guardrails import ON_FAIL, SOURCES, NotUnderstood, read_item
from traces.selectors import members_of, read_contents
from traces.submissions import ItemsRefused, validate

NEMO = {
    "type": "output",
    "name": "self check output",
    "decisions": ["execute self_check_output", "refuse to respond", "stop"],
    "executed_actions": [{"action_name": "self_check_output", "return_value": False, "llm_calls": []}],
    "stop": True,
    "additional_info": None,
    "started_at": 1763900000.0,
    "finished_at": 1763900000.25,
    "duration": 0.25,
}
NEMO_PASSED = NEMO | {"stop": False, "decisions": ["execute self_check_output"], "type": "retrieval"}
BEDROCK = {
    "action": "GUARDRAIL_INTERVENED",
    "guardrailId": "gr-1",
    "guardrailVersion": "4",
    "outputs": [{"text": "Sorry."}],
    "assessments": [
        {
            "topicPolicy": {"topics": [{"name": "Advice", "type": "DENY", "action": "BLOCKED", "detected": True}]},
            "contentPolicy": {"filters": [{"type": "HATE", "confidence": "LOW", "action": "NONE", "detected": True}]},
            "sensitiveInformationPolicy": {
                "piiEntities": [{"match": "jane@example.org", "type": "EMAIL", "action": "ANONYMIZED"}],
                "regexes": [{"name": "iban", "regex": "…", "match": "DE12", "action": "NONE", "detected": False}],
            },
            "wordPolicy": {"customWords": [{"match": "darn", "action": "BLOCKED"}], "managedWordLists": []},
            "contextualGroundingPolicy": {
                "filters": [{"type": "GROUNDING", "threshold": 0.7, "score": 0.4, "action": "BLOCKED"}]
            },
            "invocationMetrics": {"guardrailProcessingLatency": 212},
        }
    ],
}
GUARDRAILS_AI = {
    "call_id": "1",
    "raw_llm_output": "x",
    "validated_output": "y",
    "validation_passed": False,
    "error": None,
    "validation_summaries": [
        {"validator_name": "ToxicLanguage", "validator_status": "pass"},
        {"validator_name": "ValidLength", "validator_status": "fail", "failure_reason": "too long"},
    ],
}
OPA = {
    "decision_id": "8b",
    "path": "loans/allow",
    "bundles": {"loans": {"revision": "r7"}},
    "input": {"user": "u"},
    "result": False,
    "metrics": {"timer_server_handler_ns": 1_500_000},
}


def read(source: str, raw: Any, **members: Any) -> dict[str, Any]:
    return read_item({"source": source, "raw": raw, **members})


def test_a_nemo_rail_that_stopped_the_turn_blocked_it() -> None:
    item = read("nemo", NEMO)
    assert (item["guard"], item["rule"], item["stage"]) == ("nemo", "self check output", "output")
    assert (item["verdict"], item["action"], item["latency_ms"]) == ("triggered", "block", 250.0)
    assert item["raw"] == NEMO
    passed = read("nemo", NEMO_PASSED)
    assert (passed["verdict"], passed["action"], passed["stage"]) == ("not_triggered", "allow", "retrieval")


def test_bedrock_assessments_are_all_listed_and_the_strongest_leads() -> None:
    item = read("bedrock", BEDROCK)
    assert (item["guard"], item["guard_version"], item["latency_ms"]) == ("gr-1", "4", 212.0)
    assert (item["verdict"], item["action"], item["rule"]) == ("triggered", "block", "topic:Advice")
    found = {finding["rule"]: finding["action"] for finding in item["findings"]}
    assert found == {
        "topic:Advice": "block",
        "content:HATE": "log",
        "word": "block",
        "pii:EMAIL": "mask",
        "grounding:GROUNDING": "block",
    }
    grounding = next(finding for finding in item["findings"] if finding["rule"] == "grounding:GROUNDING")
    assert (grounding["score"], grounding["threshold"]) == (0.4, 0.7)
    assert "jane@example.org" not in str(item["findings"])


@pytest.mark.parametrize(
    ("raw", "verdict", "action"),
    [
        ({"action": "NONE", "assessments": [{}]}, "not_triggered", "allow"),
        ({"action": "INTERVENED"}, "triggered", "block"),
        ({"guardrail": {"inputAssessment": {"gr-1": BEDROCK["assessments"][0]}}}, "triggered", "block"),
        ({"guardrail": {"outputAssessments": {"gr-1": [{}, {}]}}}, "not_triggered", "allow"),
        ({"action": "NONE", "inputAssessments": [BEDROCK["assessments"][0]]}, "triggered", "block"),
        ({"action": "MAYBE"}, "error", "error_fail_open"),
        ({"__type": "ThrottlingException"}, "error", "error_fail_open"),
        ({}, "error", "error_fail_open"),
    ],
)
def test_bedrock_traces(raw: dict[str, Any], verdict: str, action: str) -> None:
    item = read("bedrock", raw)
    assert (item["verdict"], item["action"]) == (verdict, action)


@pytest.mark.parametrize(("on_fail", "action"), sorted(ON_FAIL.items()))
def test_guardrails_ai_says_what_it_does_on_fail(on_fail: str, action: str) -> None:
    item = read("guardrails_ai", GUARDRAILS_AI | {"on_fail": on_fail})
    assert (item["verdict"], item["rule"], item["action"]) == ("triggered", "ValidLength", action)
    logged = {"validator_name": "V", "validation_result": {"outcome": "fail"}, "on_fail": f"OnFailAction.{on_fail}"}
    assert read("guardrails_ai", logged)["action"] == action
    assert read("guardrails_ai", logged | {"validation_result": {"outcome": "pass"}})["action"] == "allow"


@pytest.mark.parametrize(
    ("text", "verdict", "rules"),
    [
        ("safe", "not_triggered", []),
        ("\n\nsafe\n", "not_triggered", []),
        ("unsafe\nS1,S10", "triggered", ["S1", "S10"]),
        ("unsafe", "triggered", []),
        ("I think it is safe", "error", []),
        ("", "error", []),
        ("safe\nunsafe", "error", []),
    ],
)
def test_llama_guard_is_safe_unsafe_or_not_understood(text: str, verdict: str, rules: list[str]) -> None:
    for raw in (text, {"generated_text": text}):
        item = read("llama_guard", raw)
        assert item["verdict"] == verdict
        assert [finding["rule"] for finding in item.get("findings", [])] == rules
        assert item.get("rule") == (rules[0] if rules else None)
    assert item["action"] == {"not_triggered": "allow", "triggered": "log", "error": "error_fail_open"}[verdict]


@pytest.mark.parametrize(
    ("changes", "verdict", "action"),
    [
        ({}, "triggered", "block"),
        ({"result": True}, "not_triggered", "allow"),
        ({"result": {"allow": False}}, "triggered", "block"),
        ({"result": {"deny": []}}, "not_triggered", "allow"),
        ({"result": {"deny": ["no income"]}}, "triggered", "block"),
        ({"result": {"score": 3}}, "error", "error_fail_open"),
        ({"error": {"code": "eval_conflict_error"}}, "error", "error_fail_closed"),
    ],
)
def test_opa_results(changes: dict[str, Any], verdict: str, action: str) -> None:
    item = read("opa", OPA | changes)
    assert (item["verdict"], item["action"]) == (verdict, action)
    if verdict != "error":
        assert (item["rule"], item["guard_version"], item["latency_ms"]) == ("loans/allow", "loans=r7", 1.5)


def test_an_undefined_opa_result_is_an_error() -> None:
    assert read("opa", {name: value for name, value in OPA.items() if name != "result"})["verdict"] == "error"


@pytest.mark.parametrize("source", sorted(SOURCES))
@pytest.mark.parametrize("claimed", ["allow", "log", None, "block", "refrain"])
def test_a_guard_that_failed_is_an_error_whatever_was_claimed(source: str, claimed: str | None) -> None:
    broken = {
        "nemo": NEMO | {"finished_at": None, "stop": False},
        "bedrock": {"__type": "InternalServerException"},
        "guardrails_ai": GUARDRAILS_AI | {"error": "timeout"},
        "llama_guard": {"output": "<html>502"},
        "opa": {"path": "p", "error": "boom", "result": True},
    }
    item = read(source, broken[source], action=claimed, verdict="not_triggered")
    assert item["verdict"] == "error"
    assert item["action"] == ("error_fail_closed" if claimed in ("block", "refrain") else "error_fail_open")
    assert item["error"]


def test_what_the_item_says_itself_stands() -> None:
    item = read("llama_guard", "unsafe\nS2", guard="my-guard", action="block", stage="input")
    assert (item["guard"], item["action"], item["stage"], item["rule"]) == ("my-guard", "block", "input", "S2")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KNOWN = {name for raw in (NEMO, BEDROCK, GUARDRAILS_AI, OPA, BEDROCK["assessments"][0]) for name in raw}
LOOKALIKES = st.dictionaries(st.sampled_from(sorted(KNOWN)), JSON, max_size=6)


@settings(deadline=None)
@given(st.sampled_from(sorted(SOURCES)), LOOKALIKES | JSON)
def test_any_raw_is_read_or_an_error_and_nothing_unknown_is_a_pass(source: str, raw: Any) -> None:
    item = read(source, raw)
    assert item["verdict"] in ("triggered", "not_triggered", "error")
    assert item["action"] in ACTIONS
    assert (item["verdict"] == "error") == item["action"].startswith("error_")
    assert (item["verdict"] == "not_triggered") == (item["action"] == "allow")
    orjson.dumps(item["guard"])


def test_it_is_submitted_kept_and_judged(cast: Cast) -> None:
    (pk,) = submit(cast, 1, enforcement=[{"source": "bedrock", "raw": BEDROCK}, {"guard": "own", "action": "log"}])
    with tenant_atomic(cast.tenant.pk):
        stored = members_of(read_contents([pk])[pk])
    first, second = stored["enforcement"]
    assert (first["action"], first["raw"], second) == ("block", BEDROCK, {"guard": "own", "action": "log"})
    assert build_facts(stored)["enforcement"][0]["rule"] == "topic:Advice"


def test_a_source_that_nobody_knows_is_refused_by_name() -> None:
    with pytest.raises(ItemsRefused) as refused:
        validate([a_decision(enforcement=[{"guard": "g"}, {"source": "acme", "raw": {}}])])
    (problem,) = refused.value.problems
    assert (problem.index, problem.pointer) == (0, "/enforcement/1/source")
    assert "nemo" in problem.detail
    with pytest.raises(NotUnderstood):
        read_item({"source": ["nemo"], "raw": {}})
