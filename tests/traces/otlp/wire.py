"""OTLP bodies for tests: recorded payloads, and the same in protobuf; spans written in one line."""

import json
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

from config.supervisor import ROOT
from traces.otlp.spans import Origin, Span

PAYLOADS = Path(__file__).parents[2] / "payloads" / "otlp"
DATA = Path(ROOT).parent / "shared" / "data"
START_NS = 1_763_700_000_123_456_789
PROTOBUF, JSON = "application/x-protobuf", "application/json"


def payload(name: str) -> dict[str, Any]:
    """A payload of `tests/payloads/otlp`, in OTLP/JSON."""
    document: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text(encoding="utf-8"))
    return document


def value_of(value: Any) -> AnyValue:
    """Any Python value as an `AnyValue`."""
    made = AnyValue()
    if isinstance(value, bool):
        made.bool_value = value
    elif isinstance(value, int):
        made.int_value = value
    elif isinstance(value, float):
        made.double_value = value
    elif isinstance(value, bytes):
        made.bytes_value = value
    elif isinstance(value, list):
        made.array_value.SetInParent()
        made.array_value.values.extend(value_of(item) for item in value)
    elif isinstance(value, Mapping):
        made.kvlist_value.SetInParent()
        made.kvlist_value.values.extend(pairs_of(value))
    elif value is not None:
        made.string_value = value
    return made


def pairs_of(attributes: Mapping[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=name, value=value_of(value)) for name, value in attributes.items()]


def span_message(attributes: Any = None, **changes: Any) -> SpanMessage:
    """A span with ids of its own, of 930 ms."""
    made: dict[str, Any] = {
        "trace_id": uuid.uuid4().bytes,
        "span_id": uuid.uuid4().bytes[:8],
        "name": "chat gpt-5-mini",
        "kind": 3,
        "start_time_unix_nano": START_NS,
        "end_time_unix_nano": START_NS + 930_000_000,
        "attributes": pairs_of(attributes or {}),
    }
    return SpanMessage(**(made | changes))


def chat_message(**changes: Any) -> SpanMessage:
    """A span of a model call, by the conventions of 1.37."""
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-5-mini",
        "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"May I borrow 5,000?"}]}]',
        "gen_ai.output.messages": '[{"role":"assistant","parts":[{"type":"text","content":"Send a payslip."}]}]',
        "gen_ai.usage.input_tokens": 812,
        "gen_ai.usage.output_tokens": 96,
    }
    return span_message(attributes | changes.pop("attributes", {}), **changes)


def traces_request(*spans: SpanMessage, resource: Mapping[str, Any] | None = None) -> bytes:
    """An `ExportTraceServiceRequest` in protobuf."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add(
        resource=Resource(attributes=pairs_of(resource or {"service.name": "loan-assistant"}))
    )
    group.scope_spans.add(spans=spans)
    body: bytes = request.SerializeToString()
    return body


def logs_request(trace_id: bytes, span_id: bytes, *events: tuple[str, Mapping[str, Any]]) -> bytes:
    """An `ExportLogsServiceRequest` of GenAI events about one span: each a name, and a body."""
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add(resource=Resource(attributes=pairs_of({"service.name": "loan-assistant"})))
    scope = group.scope_logs.add()
    for index, (name, body) in enumerate(events):
        scope.log_records.add(
            trace_id=trace_id,
            span_id=span_id,
            time_unix_nano=START_NS + index,
            event_name=name,
            body=value_of(body),
            attributes=pairs_of({"gen_ai.system": "openai"}),
        )
    made: bytes = request.SerializeToString()
    return made


def json_value(value: Any) -> Any:
    """A value of OTLP/JSON as Python's."""
    kind, inner = next(iter(value.items()))
    read: dict[str, Callable[[Any], Any]] = {
        "intValue": int,
        "arrayValue": lambda array: [json_value(item) for item in array.get("values", [])],
        "kvlistValue": lambda pairs: {pair["key"]: json_value(pair["value"]) for pair in pairs.get("values", [])},
    }
    return read.get(kind, lambda same: same)(inner)


def as_protobuf(document: Mapping[str, Any]) -> bytes:
    """An OTLP/JSON trace document in protobuf."""
    request = ExportTraceServiceRequest()
    for group in document["resourceSpans"]:
        made = request.resource_spans.add(resource=Resource(attributes=_pairs(group["resource"])))
        for scoped in group["scopeSpans"]:
            scope = {name: scoped["scope"].get(name, "") for name in ("name", "version")}
            made.scope_spans.add(scope=scope, spans=[_span(span) for span in scoped["spans"]])
    body: bytes = request.SerializeToString()
    return body


def _span(span: Mapping[str, Any]) -> SpanMessage:
    events = [
        SpanMessage.Event(name=e["name"], time_unix_nano=int(e["timeUnixNano"]), attributes=_pairs(e))
        for e in span.get("events", [])
    ]
    return SpanMessage(
        trace_id=bytes.fromhex(span["traceId"]),
        span_id=bytes.fromhex(span["spanId"]),
        parent_span_id=bytes.fromhex(span.get("parentSpanId", "")),
        name=span["name"],
        kind=span["kind"],
        start_time_unix_nano=int(span["startTimeUnixNano"]),
        end_time_unix_nano=int(span["endTimeUnixNano"]),
        attributes=_pairs(span),
        events=events,
        status=span.get("status"),
    )


def _pairs(holder: Mapping[str, Any]) -> list[KeyValue]:
    return pairs_of({pair["key"]: json_value(pair["value"]) for pair in holder.get("attributes", [])})


def a_span(attributes: Mapping[str, Any], resource: Mapping[str, Any] | None = None, **changes: Any) -> Span:
    """A decoded span, for the mapping."""
    made: dict[str, Any] = {
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "span_id": "00f067aa0ba902b7",
        "parent_span_id": "",
        "name": "a span",
        "kind": 3,
        "start_ns": START_NS,
        "end_ns": START_NS + 930_000_000,
        "attributes": dict(attributes),
        "events": [],
        "status": 0,
        "status_message": "",
        "origin": Origin(dict(resource or {"service.name": "loan-assistant"})),
    }
    return Span(**(made | changes))
