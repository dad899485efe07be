"""Spans and log records as they were decoded, whatever form they came in. Values are I-JSON: see `decode`."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import orjson

NO_TRACE = "0" * 32
NO_SPAN = "0" * 16
OK, ERROR = 1, 2  # opentelemetry.proto.trace.v1.Status.StatusCode


@dataclass(slots=True)
class Origin:
    """Where a group of spans comes from: the resource and the instrumentation scope, shared by the group."""

    resource: dict[str, Any]
    scope: str = ""
    scope_version: str = ""
    _digest: bytes = field(default=b"", repr=False, compare=False)

    @property
    def digest(self) -> bytes:
        """SHA-256 of it, worked out once for all its spans."""
        if not self._digest:
            self._digest = _sha256([self.resource, self.scope, self.scope_version])
        return self._digest


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened inside a span; `time_ns` is Unix nanoseconds."""

    name: str
    time_ns: int
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """One span. Ids are lower-case hex, empty for none; times are Unix nanoseconds; `kind` and `status` the numbers."""

    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    kind: int
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]
    events: list[Event]
    status: int
    status_message: str
    origin: Origin

    @property
    def duration_ns(self) -> int:
        """Nanoseconds; 0 where the clock went backwards or the span never ended."""
        return max(self.end_ns - self.start_ns, 0) if self.start_ns else 0

    def identity(self) -> bytes:
        """The 24 bytes that name the span: trace id and span id."""
        return bytes.fromhex(self.trace_id + self.span_id)

    def fingerprint(self) -> bytes:
        """SHA-256 over all that was sent: the same for the same span in protobuf and in JSON, and for every mapping."""
        return _sha256(
            [
                self.parent_span_id,
                self.name,
                self.kind,
                self.start_ns,
                self.end_ns,
                self.attributes,
                [[event.name, event.time_ns, event.attributes] for event in self.events],
                self.status,
                self.status_message,
                self.origin.digest.hex(),
            ]
        )


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One log record; `name` is the event's name, `body` any JSON."""

    trace_id: str
    span_id: str
    time_ns: int
    name: str
    body: Any
    attributes: dict[str, Any]
    origin: Origin

    def fingerprint(self) -> bytes:
        """SHA-256 over all that was sent: what makes a record the same one again."""
        origin = self.origin.digest.hex()
        return _sha256([self.trace_id, self.span_id, self.time_ns, self.name, self.body, self.attributes, origin])


def id_problem(trace_id: str, span_id: str) -> str:
    """What is wrong with a pair of ids by W3C Trace Context; empty for nothing."""
    if len(trace_id) != 32 or trace_id == NO_TRACE:
        return "a trace id is 16 bytes, not all zero"
    if len(span_id) != 16 or span_id == NO_SPAN:
        return "a span id is 8 bytes, not all zero"
    return ""


def _sha256(value: Any) -> bytes:
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).digest()
