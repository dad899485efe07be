"""A call that two libraries tell is one decision, and its tokens are counted once."""

from typing import Any

import pytest

from tests.traces.otlp.wire import START_NS, a_span
from traces.otlp.mapping import decision_of, service_of
from traces.otlp.repeats import Told, once
from traces.otlp.spans import Origin

QUIET = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.request.model": "claude-sonnet-4-5",
    "gen_ai.usage.input_tokens": 812,
    "gen_ai.usage.output_tokens": 96,
}
SPOKEN = QUIET | {"gen_ai.output.messages": '[{"role":"assistant","parts":[{"type":"text","content":"No."}]}]'}
OUTER, INNER = "00f067aa0ba902b7", "00f067aa0ba902b8"


def told(attributes: dict[str, Any], **changes: Any) -> Told:
    span = a_span(attributes, **changes)
    return Told(span, decision_of(span, service_of(span.origin)))


def inner(attributes: dict[str, Any], **changes: Any) -> Told:
    """A call within the time of `told`'s, and below it."""
    times = {"start_ns": START_NS + 1000, "end_ns": START_NS + 900_000_000}
    return told(attributes, **({"span_id": INNER, "parent_span_id": OUTER} | times | changes))


def usages(*calls: Told) -> list[Any]:
    """Tokens that are counted; None for a plain span."""
    return [one.decision and one.decision.get("usage", {}).get("input_tokens") for one in once(calls)]


@pytest.mark.parametrize("backwards", [False, True])
def test_the_library_inside_without_content_is_a_plain_span(backwards: bool) -> None:
    calls = [told(SPOKEN), inner(QUIET)]
    assert usages(*(reversed(calls) if backwards else calls)) == ([None, 812] if backwards else [812, None])


def test_content_counts_wherever_it_is() -> None:
    assert usages(told(QUIET), inner(SPOKEN)) == [None, 812]


def test_two_with_content_stay_and_the_outer_one_counts() -> None:
    outer, repeat = once([told(SPOKEN), inner(SPOKEN)])
    assert outer.decision is not None
    assert repeat.decision is not None
    assert outer.decision["usage"]["input_tokens"] == 812
    assert "usage" not in repeat.decision
    assert OUTER in repeat.decision["metadata"]["otel"]["token_rule"]


def test_spans_side_by_side_are_one_call_by_the_providers_id() -> None:
    named = {"gen_ai.response.id": "msg_1"}
    apart = {"parent_span_id": "", "trace_id": "5" * 32}
    assert usages(told(SPOKEN | named), inner(QUIET | named, **apart)) == [812, None]
    miscounted = QUIET | named | {"gen_ai.usage.output_tokens": 97}
    assert usages(told(SPOKEN | named), inner(miscounted, **apart)) == [812, None]
    assert usages(told(SPOKEN), inner(QUIET, **apart)) == [812, 812]


def test_three_libraries_count_once() -> None:
    third = inner(QUIET, span_id="00f067aa0ba902b9", parent_span_id=INNER, start_ns=START_NS + 2000)
    assert usages(told(SPOKEN), inner(QUIET), third) == [812, None, None]


UNCOUNTED = {name: value for name, value in QUIET.items() if "usage" not in name}
ASKED = UNCOUNTED | {"gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"May I?"}]}]'}
PROVIDERS = {"origin": Origin({"service.name": "loan-assistant"}, scope="anthropic"), "status": 2}


def test_a_failure_that_two_libraries_tell_is_one() -> None:
    outer, repeat = once([told(ASKED, status=2), inner(UNCOUNTED, **PROVIDERS)])
    assert outer.decision is not None
    assert outer.decision["outcome"]["decision"] == "error"
    assert repeat.decision is None


def test_a_failure_told_side_by_side_is_one() -> None:
    sides, elsewhere = ({"parent_span_id": digit * 16} for digit in "78")
    outer = told(ASKED, status=2, **sides)
    for place, is_plain in ((sides, True), (elsewhere, False)):
        repeat = once([outer, inner(UNCOUNTED, **PROVIDERS | place)])[1]
        assert (repeat.decision is None) == is_plain


@pytest.mark.parametrize(
    "other",
    [
        inner(UNCOUNTED, status=2),
        inner(ASKED, **PROVIDERS),
        inner(UNCOUNTED, **PROVIDERS | {"status": 0}),
        inner(UNCOUNTED, **PROVIDERS, end_ns=START_NS + 931_000_000),
        inner(UNCOUNTED | {"gen_ai.request.model": "claude-haiku-5"}, **PROVIDERS),
    ],
    ids=["the same library", "content in both", "one went well", "time", "model"],
)
def test_failures_that_differ_are_two(other: Told) -> None:
    both = [told(ASKED, status=2), other]
    assert once(both) == both


def test_a_failure_does_not_hide_a_call_that_is_told_twice() -> None:
    longest = inner(ASKED, status=2, end_ns=START_NS + 2_000_000_000, span_id="00f067aa0ba902b1")
    assert usages(longest, inner(SPOKEN), told(QUIET)) == [None, 812, None]


@pytest.mark.parametrize(
    "other",
    [
        inner(QUIET | {"gen_ai.usage.output_tokens": 95}),
        inner(QUIET | {"gen_ai.request.model": "claude-haiku-5"}),
        inner(QUIET | {"gen_ai.operation.name": "embeddings"}),
        inner(QUIET, end_ns=START_NS + 931_000_000),
        inner(QUIET, parent_span_id="00f067aa0ba902b0"),
        inner(QUIET | {"gen_ai.response.id": "msg_2"}),
    ],
    ids=["tokens", "model", "operation", "time", "place", "response"],
)
def test_calls_that_differ_are_two(other: Told) -> None:
    assert usages(told(SPOKEN | {"gen_ai.response.id": "msg_1"}), other) == [812, 812]
