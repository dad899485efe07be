"""Four generations of conventions and six dialects become the same decision."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.traces.otlp.wire import DATA, a_span, payload
from traces.conversation import turns
from traces.otlp.attributes import Attributes, read_json
from traces.otlp.decode import Form, read_spans
from traces.otlp.mapping import MAPPING_VERSION, decision_of, service_of
from traces.otlp.operations import operation_of, provider_of
from traces.otlp.recording import prepared_or_problem
from traces.otlp.spans import Event, Origin, Span
from traces.otlp.usage import Counts, normalised
from traces.recording import Prepared

QUESTION = "May I borrow 5,000?"


def mapped(name: str) -> list[dict[str, Any] | None]:
    spans = read_spans(json.dumps(payload(name)).encode(), Form.JSON)
    return [decision_of(span, service_of(span.origin)) for span in spans]


def one(attributes: dict[str, Any], **changes: Any) -> dict[str, Any]:
    span = a_span(attributes, **changes)
    decision = decision_of(span, service_of(span.origin))
    assert decision is not None
    return decision


EXPECTED = {
    "semconv_1_36": (("openai", "gpt-4o-mini", "2024-07-18"), {"input_tokens": 24, "output_tokens": 7}),
    "semconv_1_37": (("anthropic", "claude-sonnet-4-5", "20250929"),
                     {"input_tokens": 812, "output_tokens": 96, "cache_read_tokens": 500, "cache_write_tokens": 100}),
    "semconv_1_41": (("openai", "gpt-5-mini", "2025-08-07"),
                     {"input_tokens": 64, "output_tokens": 90, "cache_read_tokens": 0, "reasoning_tokens": 64}),
    "semconv_genai": (("aws.bedrock", "claude-opus-5", ""),
                      {"input_tokens": 812, "output_tokens": 96, "cache_read_tokens": 500, "cache_write_tokens": 200,
                       "reasoning_tokens": 30}),
    "openllmetry": (("anthropic", "claude-3-5-sonnet", "20241022"),
                    {"input_tokens": 1212, "output_tokens": 96, "cache_read_tokens": 1000, "cache_write_tokens": 200}),
    "openinference": (("openai", "gpt-4o", "2024-08-06"),
                      {"input_tokens": 812, "output_tokens": 96, "cache_read_tokens": 512, "reasoning_tokens": 64}),
    "langfuse": (("", "gpt-4o", ""),
                 {"input_tokens": 812, "output_tokens": 96, "cache_read_tokens": 512, "reasoning_tokens": 36}),
    "mlflow": (("openai", "gpt-4o", ""), {"input_tokens": 812, "output_tokens": 96, "cache_read_tokens": 512}),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_model_tokens_and_question_of_every_dialect(name: str) -> None:
    decision = mapped(name)[0]
    assert decision is not None
    model, usage = EXPECTED[name]
    assert tuple(decision["model"].get(part, "") for part in ("provider", "name", "version")) == model
    assert decision["usage"] == usage
    assert decision["task"] == "chat"
    assert QUESTION in [part.text for turn in turns(decision["input"], "user") for part in turn.parts]
    assert turns(decision["output"], "assistant")[0].role == "assistant"
    assert decision["metadata"]["otel"]["mapping"] == MAPPING_VERSION
    assert QUESTION not in json.dumps(
        {k: v for k, v in decision["metadata"]["otel"]["attributes"].items() if k != "input.value"}
    )


@pytest.mark.parametrize("name", ["semconv_1_36", "openllmetry", "openinference", "semconv_1_41"])
def test_tool_calls_arrive_with_name_arguments_and_id(name: str) -> None:
    decision = mapped(name)[0]
    assert decision is not None
    calls = [p for turn in turns(decision["output"], "assistant") for p in turn.parts if p.kind == "tool_call"]
    assert [(call.name, json.loads(call.text), bool(call.id)) for call in calls] == [
        ("income_of", {"user": "u-1032"}, True)
    ]


def test_vercel_counts_the_inner_call_only_and_joins_anthropic_cache() -> None:
    outer, inner, tool = mapped("vercel")
    assert outer is not None
    assert inner is not None
    assert tool is not None
    assert "usage" not in outer
    assert (outer["session"], outer["user"]) == ("s-77", "u-1032")
    assert inner["usage"] == {"input_tokens": 102, "output_tokens": 85, "cache_read_tokens": 40}
    assert inner["output"][0]["tool_calls"][0]["name"] == "income_of"
    assert (tool["task"], tool["input"], tool["output"]) == ("execute_tool", {"user": "u-1032"}, {"income": 2600})


THROWN = Event("exception", 1, {"exception.type": "openai.RateLimitError", "exception.message": "Too many requests."})
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-5-mini"}
FAILURES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any] | None]] = {
    "went well": ({}, {}, None),
    "status": ({}, {"status": 2}, {}),
    "status and its words": ({}, {"status": 2, "status_message": "No."}, {"text": "No."}),
    "error.type alone": ({"error.type": "timeout"}, {}, {"code": "timeout"}),
    "an exception": ({}, {"status": 2, "events": [THROWN]},
                     {"code": "openai.RateLimitError", "text": "Too many requests."}),
    "an exception that was dealt with": ({"error.type": "timeout"}, {"status": 1, "events": [THROWN]}, None),
    "an exception beside no error": ({}, {"events": [THROWN]}, None),
    "a level": ({"langfuse.observation.level": "ERROR", "langfuse.observation.status_message": "No."}, {},
                {"text": "No."}),
    "a lower level": ({"langfuse.observation.level": "WARNING"}, {}, None),
}  # fmt: skip


@pytest.mark.parametrize("name", FAILURES)
def test_an_action_that_ended_in_an_error_says_so(name: str) -> None:
    attributes, changes, reason = FAILURES[name]
    outcome = one(CHAT | attributes, **changes).get("outcome")
    if reason is None:
        assert outcome is None
    else:
        assert outcome == {"decision": "error"} | ({"reasons": [reason]} if reason else {})


def test_who_where_and_when() -> None:
    decision = mapped("semconv_1_37")[0]
    assert decision is not None
    expected = {
        "system": "loan-assistant",
        "system_version": "2.4.0",
        "environment": "production",
        "instance": "pod-7",
        "session": "s-77",
        "user": "u-1032",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "span_id": "00f067aa0ba90201",
        "parent_span_id": "00f067aa0ba902a0",
        "occurred_at": "2025-11-21T04:40:00.123456Z",
        "latency_ms": 930,
    }
    assert {name: decision[name] for name in expected} == expected


def test_unknown_parts_are_passed_on_and_raw_attributes_kept() -> None:
    decision = mapped("semconv_1_37")[0]
    assert decision is not None
    assert {"type": "x_hologram", "volume": 3} in decision["input"][1]["parts"]
    raw = decision["metadata"]["otel"]["attributes"]
    assert raw["gen_ai.response.model"] == "claude-sonnet-4-5-20250929"
    assert raw["gen_ai.response.finish_reasons"] == ["stop"]
    assert "gen_ai.input.messages" not in raw


def test_messages_flattened_by_index_keep_their_order() -> None:
    decision = mapped("openinference")[0]
    assert decision is not None
    assert [message["role"] for message in decision["input"]] == ["user", "assistant", "tool"]


def test_retrieved_documents_become_context() -> None:
    decision = mapped("openinference")[1]
    assert decision is not None
    assert decision["context"][0] == {
        "id": "doc-9",
        "score": 0.83,
        "text": "Up to three times the monthly income.",
        "metadata": '{"page": 3}',
    }
    assert decision["context"][1] == {"id": "12"}


def test_what_is_a_decision_and_what_is_a_step() -> None:
    kinds = {name: [found and found["task"] for found in mapped(name)] for name in (
        "semconv_1_41", "openllmetry", "langfuse", "mlflow", "semconv_genai"
    )}  # fmt: skip
    assert kinds == {
        "semconv_1_41": ["chat", "execute_tool", "invoke_agent", None],
        "openllmetry": ["chat", "invoke_workflow", None],
        "langfuse": ["chat", "step", None],
        "mlflow": ["chat", None],
        "semconv_genai": ["chat", "apply_guardrail"],
    }


def test_an_agent_span_repeats_tokens_that_are_counted_in_its_calls() -> None:
    agent = mapped("semconv_1_41")[2]
    assert agent is not None
    assert agent["agent"] == "screener"
    assert "usage" not in agent
    assert agent["metadata"]["otel"]["attributes"]["gen_ai.usage.input_tokens"] == 64


def test_a_guardrail_is_enforcement() -> None:
    decision = mapped("semconv_genai")[1]
    assert decision is not None
    assert decision["enforcement"] == [
        {"guard": "pii", "guard_version": "3", "rule": "ssn", "verdict": "deny", "action": "block"}
    ]


def test_parameters_prompt_and_tools() -> None:
    decision = mapped("semconv_genai")[0]
    assert decision is not None
    assert decision["model"]["parameters"] == {"reasoning.level": "high", "top_k": 40}
    assert decision["model"]["prompt"] == {"name": "screen", "version": "14"}
    assert mapped("semconv_1_41")[0]["tools"][0]["name"] == "income_of"  # type: ignore[index]
    assert mapped("openllmetry")[0]["tools"] == [{"name": "income_of", "description": "Income of a customer"}]  # type: ignore[index]


@pytest.mark.parametrize(
    ("counts", "provider", "input_tokens", "says"),
    [
        (Counts(100, 10, None, 400), "anthropic", 500, "exceed"),
        (Counts(500, 10, None, 400), "openai", 500, "most providers"),
        (Counts(500, 10, None, 400), "anthropic", 900, "anthropic does"),
        (Counts(500, 10, None, 400), "aws.bedrock", 900, "aws.bedrock does"),
        (Counts(500, 10, 510, 400), "anthropic", 500, "total"),
        (Counts(500, 10, 910, 400), "openai", 900, "total"),
        (Counts(500, 10, None, 400, cache="within"), "anthropic", 500, "names"),
        (Counts(100, 10, None, 400, cache="within"), "anthropic", 500, "exceed"),
        (Counts(500, 10, None, 300, 100, cache="apart"), "", 900, "buckets"),
        (Counts(500, 10), "anthropic", 500, ""),
    ],
)
def test_input_tokens_include_the_cached_ones(counts: Counts, provider: str, input_tokens: int, says: str) -> None:
    reading = normalised(counts, provider)
    assert reading.usage["input_tokens"] == input_tokens
    assert says in reading.rule


@pytest.mark.parametrize(
    ("counts", "output"),
    [(Counts(6, 951, 2061, reasoning=1104), 2055), (Counts(6, 2055, 2061, reasoning=1104), 2055),
     (Counts(6, 40, None, reasoning=64), 104), (Counts(6, 90, None, reasoning=64), 90)],
)  # fmt: skip
def test_output_tokens_include_the_reasoning_ones(counts: Counts, output: int) -> None:
    assert normalised(counts, "gcp.gemini").usage["output_tokens"] == output


@pytest.mark.parametrize(
    ("attributes", "operation"),
    [
        ({"gen_ai.operation.name": "generate_content"}, "generate_content"),
        ({"gen_ai.operation.name": "chat", "langfuse.observation.type": "span"}, "chat"),
        ({"openinference.span.kind": "LLM", "gen_ai.system": "x"}, "chat"),
        ({"openinference.span.kind": "NOVEL"}, "step"),
        ({"traceloop.span.kind": "tool"}, "execute_tool"),
        ({"llm.request.type": "completion"}, "text_completion"),
        ({"ai.operationId": "ai.embed.doEmbed"}, "embeddings"),
        ({"mcp.method.name": "tools/call"}, "execute_tool"),
        ({"gen_ai.tool.name": "x"}, "execute_tool"),
        ({"gen_ai.request.model": "x"}, "chat"),
        ({"http.request.method": "GET"}, ""),
    ],
)
def test_operations(attributes: dict[str, Any], operation: str) -> None:
    assert operation_of(Attributes(attributes)) == operation


def test_providers_have_one_name() -> None:
    given = ["az.ai.openai", "OpenAI", "openai.responses", "xai", "vertex_ai", "amazon-bedrock", "novel"]
    told = ["azure.ai.openai", "openai", "openai", "x_ai", "gcp.vertex_ai", "aws.bedrock", "novel"]
    assert [provider_of(name) for name in given] == told


def test_no_content_is_an_empty_answer_and_still_a_decision() -> None:
    decision = one({"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"})
    assert decision["output"] == []
    assert isinstance(prepared_or_problem(decision), Prepared)


def test_a_service_without_a_name_takes_its_project() -> None:
    assert service_of(Origin({"service.name": "unknown_service:python", "openinference.project.name": "p"})).name == "p"
    assert service_of(Origin({"service.name": "unknown_service"})).name == "unknown_service"
    assert service_of(Origin({})).name == "unknown_service"


def test_hostile_values_are_storable() -> None:
    (decision,) = mapped("hostile")
    assert decision is not None
    prepared = prepared_or_problem(decision)
    assert isinstance(prepared, Prepared)
    assert prepared.item.typed.user == "uv"
    assert len(prepared.item.typed.session or "") == 200
    assert len(decision["metadata"]["otel"]["attributes"]["session.id"]) == 500


def test_numbers_no_json_reader_agrees_on_are_kept_as_text() -> None:
    decision = one({"gen_ai.request.model": "m", "gen_ai.input.messages": '[{"role":"user","n":18446744073709551615}]'})
    prepared = prepared_or_problem(decision)
    assert isinstance(prepared, Prepared)
    assert b'"18446744073709551615"' in prepared.canonical["input"]


def test_content_nested_deeply_is_kept_as_text_or_told() -> None:
    for depth, fits in ((100, True), (900, False)):
        decision = one({"gen_ai.request.model": "m", "input.value": "[" * depth + "]" * depth})
        assert isinstance(prepared_or_problem(decision), Prepared if fits else str)


texts = st.sampled_from(['[{"role":"user"}]', '{"a":[1]}', "[", '"x"', "[[[[]]]]", "null", '[1,{"content":null}]'])
lists = st.lists(st.text(max_size=5), max_size=3)
attribute_values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | lists | texts
NAMES = [
    "gen_ai.operation.name", "gen_ai.system", "gen_ai.request.model", "gen_ai.input.messages", "gen_ai.output.messages",
    "gen_ai.system_instructions", "gen_ai.prompt.0.content", "gen_ai.prompt.0", "gen_ai.prompt", "gen_ai.prompt.1.a.b",
    "gen_ai.completion.0.tool_calls.0.name", "llm.input_messages.0.message.contents.0.message_content.text",
    "llm.output_messages.0.message.tool_calls.0.tool_call", "llm.input_messages.0", "llm.tools.0.tool.json_schema",
    "retrieval.documents.0.document.score", "retrieval.documents.0", "openinference.span.kind", "input.value",
    "langfuse.observation.usage_details", "langfuse.observation.input", "ai.operationId", "ai.response.toolCalls",
    "ai.prompt.tools", "mlflow.spanType", "mlflow.chat.tokenUsage", "events", "final_result", "gen_ai.tool.definitions",
    "gen_ai.usage.input_tokens", "gen_ai.usage.cache_read_input_tokens", "gen_ai.guardrail.verdict.type", "session.id",
    "llm.invocation_parameters", "gen_ai.request.temperature", "traceloop.span.kind", "traceloop.entity.input",
]  # fmt: skip


@settings(max_examples=400, deadline=1000)
@given(st.dictionaries(st.sampled_from(NAMES), attribute_values, max_size=12), st.dictionaries(
    st.sampled_from(["service.name", "service.instance.id", "deployment.environment"]), attribute_values
))  # fmt: skip
def test_whatever_an_attribute_holds_the_span_is_recorded(attributes: dict[str, Any], resource: dict[str, Any]) -> None:
    span = a_span(attributes, resource)
    decision = decision_of(span, service_of(span.origin))
    if decision is not None:
        assert isinstance(prepared_or_problem(decision), Prepared)


def framework_spans() -> Iterator[tuple[str, dict[str, Any], Span]]:
    """Observations of real agent frameworks, as the spans they came from: their content by Langfuse's attributes."""
    for path in sorted((DATA / "framework_traces").glob("*.gz")):
        with gzip.open(path) as file:
            document = json.load(file)
        for seen in document.get("observations") or document["trace"]["observations"]:
            metadata = read_json(seen.get("metadata")) or {}
            attributes = dict(metadata.get("attributes") or {})
            attributes["langfuse.observation.type"] = seen["type"].lower()
            for side in ("input", "output"):
                if seen.get(side) is not None:
                    value = seen[side]
                    attributes[f"langfuse.observation.{side}"] = value if isinstance(value, str) else json.dumps(value)
            if seen.get("usageDetails"):
                attributes["langfuse.observation.usage_details"] = json.dumps(seen["usageDetails"])
            yield path.name, seen, a_span(attributes, metadata.get("resourceAttributes"), name=seen["name"])


@pytest.mark.skipif(not DATA.exists(), reason="the public evaluation data is not here")
def test_traces_of_real_frameworks_are_recorded() -> None:
    decisions = 0
    for file, seen, span in framework_spans():
        decision = decision_of(span, service_of(span.origin))
        if seen.get("input") is None and seen.get("output") is None and decision is None:
            continue
        assert decision is not None, f"{file}: {seen['name']}"
        prepared = prepared_or_problem(decision)
        assert isinstance(prepared, Prepared), f"{file}: {prepared}"
        decisions += 1
        if seen["type"] == "GENERATION" and "gen_ai.operation.name" not in span.attributes:
            assert decision.get("usage"), f"{file}: {seen['name']} has no tokens"
    assert decisions > 70


@pytest.mark.skipif(not DATA.exists(), reason="the public evaluation data is not here")
@pytest.mark.parametrize("name", ["openinference", "openllmetry", "opentelemetry-python-contrib", "pydantic-ai"])
def test_bodies_of_real_providers_pass_whole_through_a_span(name: str) -> None:
    with gzip.open(DATA / "provider_calls" / f"{name}.jsonl.gz", "rt") as file:
        for line in file:
            call = json.loads(line)
            attributes = {"gen_ai.operation.name": "chat"}
            attributes |= {"input.value": call["request_body"] or "", "output.value": call["response_body"] or ""}
            decision = one(attributes)
            assert isinstance(prepared_or_problem(decision), Prepared), call["cassette"]
            if call["request_body"]:
                asked = read_json(call["request_body"])
                assert decision["input"] in (asked, asked.get("messages") if isinstance(asked, dict) else None)
