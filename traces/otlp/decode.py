"""OTLP bodies, protobuf or JSON, into `traces.otlp.spans`. Raises `BodyError` for what is no OTLP at all.

Attribute values become I-JSON, so that whatever was sent can be hashed: bytes as base64, whole numbers beyond
±(2^53-1), NaN and infinities as text. The JSON form is read leniently, since real senders differ: either spelling of
names (`traceId`, `trace_id`), ids in either case, 64-bit numbers as text or numbers, enums as numbers or names.
"""

import base64
import binascii
import itertools
import math
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Any, TypeVar

import orjson
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Status as StatusMessage

from traces.otlp.spans import Event, LogRecord, Origin, Span
from traces.submissions import BodyError

MAX_SAFE = 2**53 - 1
MAX_FIXED64 = 2**64 - 1
MAX_ITEMS = 20_000  # spans or log records a request
FLATTEN_EVERY = 16  # what is nested deeper than this many lists and maps is kept as JSON text

ItemT = TypeVar("ItemT", Span, LogRecord)


class Form(StrEnum):
    """How a body is written, by its content type; answers are written alike."""

    PROTOBUF = "application/x-protobuf"
    JSON = "application/json"


def read_spans(body: bytes, form: Form) -> list[Span]:
    """Every span of an `ExportTraceServiceRequest`, in order."""
    if form is Form.JSON:
        return _limited(_json_spans(_json_object(body)))
    return _limited(_spans(_parsed(ExportTraceServiceRequest, body)))


def read_logs(body: bytes, form: Form) -> list[LogRecord]:
    """Every log record of an `ExportLogsServiceRequest`, in order."""
    if form is Form.JSON:
        return _limited(_json_logs(_json_object(body)))
    return _limited(_logs(_parsed(ExportLogsServiceRequest, body)))


def _limited(found: Iterator[ItemT]) -> list[ItemT]:
    """As many as one request may hold: more would not be stored before an exporter's ten seconds are over."""
    kept = list(itertools.islice(found, MAX_ITEMS + 1))
    if len(kept) > MAX_ITEMS:
        raise BodyError(f"More than {MAX_ITEMS:,} spans or log records in one request. Send smaller batches.", 413)
    return kept


# Protobuf. Messages are read through their members: MessageToDict would cost ten times as much.


def _parsed(kind: Any, body: bytes) -> Any:
    try:
        return kind.FromString(body)
    except DecodeError:
        raise BodyError(f"The body is not an {kind.DESCRIPTOR.name} in protobuf.") from None


def _spans(request: Any) -> Iterator[Span]:
    for group in request.resource_spans:
        resource = _attributes(group.resource.attributes)
        for scoped in group.scope_spans:
            origin = Origin(resource, scoped.scope.name, scoped.scope.version)
            for span in scoped.spans:
                yield Span(
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.name,
                    span.kind,
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    _attributes(span.attributes),
                    [Event(e.name, e.time_unix_nano, _attributes(e.attributes)) for e in span.events],
                    span.status.code,
                    span.status.message,
                    origin,
                )


def _logs(request: Any) -> Iterator[LogRecord]:
    for group in request.resource_logs:
        resource = _attributes(group.resource.attributes)
        for scoped in group.scope_logs:
            origin = Origin(resource, scoped.scope.name, scoped.scope.version)
            for log in scoped.log_records:
                attributes = _attributes(log.attributes)
                yield LogRecord(
                    log.trace_id.hex(),
                    log.span_id.hex(),
                    log.time_unix_nano or log.observed_time_unix_nano,
                    log.event_name or str(attributes.get("event.name", "")),
                    _any_value(log.body),
                    attributes,
                    origin,
                )


def _attributes(pairs: Iterable[Any]) -> dict[str, Any]:
    return {pair.key: _any_value(pair.value) for pair in pairs}


def _any_value(value: Any, depth: int = 1) -> Any:
    """An `AnyValue` as I-JSON."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return value.string_value
    if kind == "int_value":
        return _whole(value.int_value)
    if kind == "double_value":
        return _double(value.double_value)
    if kind == "bool_value":
        return value.bool_value
    if kind == "array_value":
        return _nested([_any_value(item, depth + 1) for item in value.array_value.values], depth)
    if kind == "kvlist_value":
        return _nested({pair.key: _any_value(pair.value, depth + 1) for pair in value.kvlist_value.values}, depth)
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return None


def _whole(number: int) -> int | str:
    return number if -MAX_SAFE <= number <= MAX_SAFE else str(number)


def _double(number: float) -> float | int | str:
    """Whole ones as such: canonical JSON knows one kind of number, and writes this one faster."""
    if not math.isfinite(number):
        return str(number)
    if number.is_integer():
        return int(number) if abs(number) <= MAX_SAFE else str(number)
    return number


def _nested(value: list[Any] | dict[str, Any], depth: int) -> Any:
    return orjson.dumps(value).decode() if depth % FLATTEN_EVERY == 0 else value


# JSON.


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BodyError(f"The body is not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise BodyError("The body is not a JSON object with resourceSpans or resourceLogs.")
    return value


def _member(holder: dict[str, Any], name: str) -> Any:
    """A member by its lowerCamelCase name, or as protobuf spells it."""
    value = holder.get(name)
    if value is None:
        value = holder.get("".join(f"_{c.lower()}" if c.isupper() else c for c in name))
    return value


def _objects(holder: dict[str, Any], name: str) -> list[dict[str, Any]]:
    value = _member(holder, name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise BodyError(f"{name} is not a list of objects.")
    return value


def _object(holder: dict[str, Any], name: str) -> dict[str, Any]:
    value = _member(holder, name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BodyError(f"{name} is not an object.")
    return value


def _text(holder: dict[str, Any], name: str) -> str:
    value = _member(holder, name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BodyError(f"{name} is not a string.")
    return value


def _hex(holder: dict[str, Any], name: str) -> str:
    """An id; empty, so refused one by one later, where it is no hex."""
    text = _text(holder, name).lower()
    try:
        return bytes.fromhex(text).hex()
    except ValueError:
        return ""


def _number(value: Any, name: str, limit: int = MAX_FIXED64) -> int:
    """A 64-bit number, written as one or as decimal text; absent is 0."""
    if value is None or value == "":
        return 0
    try:
        number = int(value) if isinstance(value, str) and len(value) <= 20 else value
    except ValueError:
        number = None
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if isinstance(number, bool) or not isinstance(number, int) or not -limit - 1 <= number <= limit:
        raise BodyError(f"{name} is not a 64-bit number.")
    return number


def _time(holder: dict[str, Any], name: str) -> int:
    return max(_number(_member(holder, name), name), 0)


def _enum(holder: dict[str, Any], name: str, names: Any) -> int:
    value = _member(holder, name)
    if isinstance(value, str) and value in names.keys():  # noqa: SIM118  (an enum wrapper is no mapping)
        return int(names.Value(value))
    return _number(value, name)


def _origins(request: dict[str, Any], groups: str, scopes: str) -> Iterator[tuple[Origin, dict[str, Any]]]:
    for group in _objects(request, groups):
        resource = _json_attributes(_object(group, "resource"))
        for scoped in _objects(group, scopes):
            scope = _object(scoped, "scope")
            yield Origin(resource, _text(scope, "name"), _text(scope, "version")), scoped


def _json_spans(request: dict[str, Any]) -> Iterator[Span]:
    for origin, scoped in _origins(request, "resourceSpans", "scopeSpans"):
        for span in _objects(scoped, "spans"):
            status = _object(span, "status")
            yield Span(
                _hex(span, "traceId"),
                _hex(span, "spanId"),
                _hex(span, "parentSpanId"),
                _text(span, "name"),
                _enum(span, "kind", SpanMessage.SpanKind),
                _time(span, "startTimeUnixNano"),
                _time(span, "endTimeUnixNano"),
                _json_attributes(span),
                [
                    Event(_text(e, "name"), _time(e, "timeUnixNano"), _json_attributes(e))
                    for e in _objects(span, "events")
                ],
                _enum(status, "code", StatusMessage.StatusCode),
                _text(status, "message"),
                origin,
            )


def _json_logs(request: dict[str, Any]) -> Iterator[LogRecord]:
    for origin, scoped in _origins(request, "resourceLogs", "scopeLogs"):
        for log in _objects(scoped, "logRecords"):
            attributes = _json_attributes(log)
            yield LogRecord(
                _hex(log, "traceId"),
                _hex(log, "spanId"),
                _time(log, "timeUnixNano") or _time(log, "observedTimeUnixNano"),
                _text(log, "eventName") or str(attributes.get("event.name", "")),
                _json_value(_object(log, "body")),
                attributes,
                origin,
            )


def _json_attributes(holder: dict[str, Any]) -> dict[str, Any]:
    return {_text(pair, "key"): _json_value(_object(pair, "value")) for pair in _objects(holder, "attributes")}


def _json_value(value: dict[str, Any], depth: int = 1) -> Any:
    """An `AnyValue` of OTLP/JSON as I-JSON; unknown kinds are null, as protobuf reads them."""
    for name, read in _JSON_VALUES.items():
        member = _member(value, name)
        if member is not None:
            return read(member, depth)
    return None


def _json_string(member: Any, depth: int) -> str:
    if not isinstance(member, str):
        raise BodyError("stringValue is not a string.")
    return member


def _json_int(member: Any, depth: int) -> int | str:
    return _whole(_number(member, "intValue"))


def _json_double(member: Any, depth: int) -> float | int | str:
    try:
        return _double(float(member))
    except (TypeError, ValueError, OverflowError):
        raise BodyError("doubleValue is not a number.") from None


def _json_bool(member: Any, depth: int) -> bool:
    if not isinstance(member, bool):
        raise BodyError("boolValue is not true or false.")
    return member


def _json_array(member: Any, depth: int) -> Any:
    if not isinstance(member, dict):
        raise BodyError("arrayValue is not an object.")
    return _nested([_json_value(item, depth + 1) for item in _objects(member, "values")], depth)


def _json_map(member: Any, depth: int) -> Any:
    if not isinstance(member, dict):
        raise BodyError("kvlistValue is not an object.")
    pairs = _objects(member, "values")
    return _nested({_text(pair, "key"): _json_value(_object(pair, "value"), depth + 1) for pair in pairs}, depth)


def _json_bytes(member: Any, depth: int) -> str:
    try:
        return base64.b64encode(base64.b64decode(member, validate=True)).decode()
    except (TypeError, ValueError, binascii.Error):
        raise BodyError("bytesValue is not base64.") from None


_JSON_VALUES = {
    "stringValue": _json_string,
    "intValue": _json_int,
    "doubleValue": _json_double,
    "boolValue": _json_bool,
    "arrayValue": _json_array,
    "kvlistValue": _json_map,
    "bytesValue": _json_bytes,
}
