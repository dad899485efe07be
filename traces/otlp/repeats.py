"""One model call told twice: by a provider's own library, say, and by the instrumentation around it. Pure.

Both spans are true, and both are kept; but it is one action, and its tokens were used once. Told apart within what is
recorded together: a call and what surrounds it end within moments of each other, so exporters send both at once. Two
that come in two requests stay two decisions.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from traces.models import FAILED
from traces.otlp.spans import Span

RULE = "its tokens are counted in the span {span_id}, which tells the same call"


@dataclass(frozen=True, slots=True)
class Told:
    """A span and the decision that it was mapped to; `decision` is None for a span that is no AI action."""

    span: Span
    decision: dict[str, Any] | None


def once(told: Sequence[Told]) -> list[Told]:
    """The same in the same order, each call counted once: of those that tell it, the one with content, else the outer.

    The others become plain spans if they bring no content; else they stay decisions, without tokens.
    """
    calls = [one for one in told if one.decision is not None and one.decision.get("usage")]
    failures = [one for one in told if _has_failed(one) and one.decision and not one.decision.get("usage")]
    repeats = _repeats(sorted(calls, key=_right)) | _repeats(sorted(failures, key=_right))
    return [_repeated(one, repeats[id(one)]) if id(one) in repeats else one for one in told]


def _right(one: Told) -> tuple[bool, int]:
    """Less for one with content, then for a longer one: the order of their right to be the call that counts."""
    return not _has_content(one), -one.span.duration_ns


def _repeats(calls: Iterable[Told]) -> dict[int, Told]:
    """By the identity of a repeat, the call that counts; `calls` in the order of `_right`."""
    known: dict[tuple[str, ...], Told] = {}
    repeats: dict[int, Told] = {}
    for one in calls:
        span, response = one.span, _response_id(one.span)
        sought = [
            ("of", span.trace_id, span.parent_span_id),
            ("in", span.trace_id, span.span_id),
            ("response", response),
            ("beside", span.trace_id, span.parent_span_id),
        ]
        counted = next((other for name in sought if (other := known.get(name)) and _is_same(other, one)), one)
        if counted is not one:
            repeats[id(one)] = counted
        known.setdefault(("of", span.trace_id, span.span_id), counted)
        known.setdefault(("in", span.trace_id, span.parent_span_id), counted)
        if response:
            known.setdefault(("response", response), counted)
        elif span.parent_span_id and not (one.decision or {}).get("usage"):  # no answer that could have an id
            known.setdefault(("beside", span.trace_id, span.parent_span_id), counted)
    return repeats


def _response_id(span: Span) -> str:
    """The provider's own id of its answer; empty where it is not told."""
    return str(span.attributes.get("gen_ai.response.id") or "")


def _repeated(one: Told, counted: Told) -> Told:
    if one.decision is None or not _has_content(one):
        return Told(one.span, None)
    decision = {name: value for name, value in one.decision.items() if name != "usage"}
    telemetry = decision["metadata"]["otel"] | {"token_rule": RULE.format(span_id=counted.span.span_id)}
    return Told(one.span, decision | {"metadata": decision["metadata"] | {"otel": telemetry}})


def _is_same(one: Told, other: Told) -> bool:
    """The same operation of the same model, by the provider's id; without one, the same tokens within the same time.

    Libraries differ in how finely they count: tokens are the same where both tell them.
    """
    mine, theirs = one.decision or {}, other.decision or {}
    if mine["task"] != theirs["task"] or _model(mine) != _model(theirs):
        return False
    if (response := _response_id(one.span)) and (another := _response_id(other.span)):
        return response == another
    used, other_used = mine.get("usage", {}), theirs.get("usage", {})
    if not (used or other_used or _is_same_failure(one, other)):
        return False
    if any(used[name] != other_used[name] for name in used.keys() & other_used.keys()):
        return False
    longer, shorter = sorted((one.span, other.span), key=lambda span: -span.duration_ns)
    return longer.start_ns <= shorter.start_ns and shorter.end_ns <= longer.end_ns


def _is_same_failure(one: Told, other: Told) -> bool:
    """Of a call that failed there are no tokens to compare: two libraries tell it, and only one of them content."""
    said_twice = _has_content(one) and _has_content(other)
    return not said_twice and one.span.origin.scope != other.span.origin.scope


def _has_failed(one: Told) -> bool:
    return one.decision is not None and one.decision.get("outcome", {}).get("decision") == FAILED


def _model(decision: Mapping[str, Any]) -> tuple[str, str]:
    model = decision.get("model", {})
    return model.get("name", ""), model.get("version", "")


def _has_content(one: Told) -> bool:
    return one.decision is not None and bool(one.decision.get("input") or one.decision.get("output"))
