"""Spans around decisions, recorded through the product's own write path."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.factories.tenants import Cast
from tests.factories.traces import ingestor
from traces.recording import key_id
from traces.rows import span_number
from traces.services import Identity, PlainSpan, Telemetry, record_telemetry

BATCH = 1_000


@dataclass(frozen=True)
class Made:
    """A span to be: its number becomes its id, as its parent's does; `at` and `ms` are its time."""

    number: int
    parent: int | None
    at: datetime
    ms: float = 10.0
    name: str = "GET /loans"
    service: str = "loan-api"
    instance: str = "pod-1"
    is_failed: bool = False


def hex_of(number: int) -> str:
    """The span id of a number, as 16 hex digits."""
    return f"{number:016x}"


def record_spans(cast: Cast, trace_id: uuid.UUID, made: Sequence[Made]) -> None:
    """Record plain spans of one trace."""
    for start in range(0, len(made), BATCH):
        spans = [_plain(trace_id, one) for one in made[start : start + BATCH]]
        record_telemetry(by=ingestor(cast), prepared=[], telemetry=Telemetry([], spans))


def _plain(trace_id: uuid.UUID, one: Made) -> PlainSpan:
    name = trace_id.bytes + one.number.to_bytes(8, "big")
    identity = Identity("span", name, key_id("made", name).bytes * 2)
    parent = span_number(hex_of(one.parent)) if one.parent is not None else None
    duration = timedelta(milliseconds=one.ms) // timedelta(microseconds=1)
    status = 2 if one.is_failed else 1
    values = (trace_id, span_number(hex_of(one.number)), parent, one.at, duration, 2, status, one.name, one.service)
    return PlainSpan(identity, (*values, "production", one.instance))


def a_wide_trace(n: int, at: datetime, fail_every: int = 0) -> list[Made]:
    """`n` spans: a root, a hundred steps below it, and calls below those, one after the other."""
    steps = min(100, max(n - 1, 1))
    made = [Made(1, None, at, ms=n * 2.0, name="POST /applications")]
    for number in range(2, n + 1):
        is_step = number <= steps + 1
        parent = 1 if is_step else 2 + (number % steps)
        place = number - 2 if is_step else number % steps
        began = at + timedelta(milliseconds=place * n * 2.0 / steps + (0 if is_step else (number // steps) * 1.5))
        name = f"step {number - 1}" if is_step else f"SELECT loans {number}"
        failed = bool(fail_every) and number % fail_every == 0
        service, ms = ("loan-api", n * 2.0 / steps) if is_step else ("postgres", 1.2)
        made.append(Made(number, parent, began, ms, name, service, f"pod-{number % 3}", failed))
    return made
