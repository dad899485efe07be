"""From decoded spans and log records to the one write path: what is an AI action becomes a decision, the rest a row.

Each span stands for itself. One that cannot be recorded is told in `partial_success`, and the others are stored.
"""

import math
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from django.conf import settings

from tenants.actors import Actor
from tenants.ledger.canonical import CanonicalError
from traces.otlp.content import event_content
from traces.otlp.mapping import MAPPING_VERSION, Service, clip, decision_of, parent_of, service_of, started_at
from traces.otlp.repeats import Told, once
from traces.otlp.spans import LogRecord, Origin, Span, id_problem
from traces.recording import Prepared, prepare
from traces.rows import span_number
from traces.services import Identity, PlainSpan, Telemetry, record_telemetry, recorded_ids
from traces.submissions import ItemsRefused, validate

TOLD_REASONS = 5
FLATTEN_FROM = 32  # levels; what is nested deeper is kept as JSON text
MAX_SAFE = 2**53 - 1
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Report:
    """What was not recorded, and why: for `partial_success`."""

    rejected: int = 0
    reasons: list[str] = field(default_factory=list)

    def reject(self, reason: str) -> None:
        self.rejected += 1
        if reason not in self.reasons[:TOLD_REASONS]:
            self.reasons.append(reason)

    @property
    def message(self) -> str:
        """The first reasons, for people."""
        more = len(self.reasons) - TOLD_REASONS
        told = "; ".join(self.reasons[:TOLD_REASONS])
        return f"{told}; and {more} more" if more > 0 else told


def record_spans(*, by: Actor, spans: Sequence[Span], now: datetime | None = None) -> Report:
    """Record spans, at most `AFFIDAVIT_MAX_BATCH` a transaction; returns after the last COMMIT.

    The same span again is a success; other content under the same trace and span id is rejected, and what is stored
    stays. Raises `LogBusy`, `PermissionDenied`, and database errors: what was stored until then is known when the
    client sends the whole again.
    """
    report = Report()
    for chunk in _chunks(spans):
        _record_chunk(by, chunk, report, now)
    return report


def record_logs(*, by: Actor, logs: Sequence[LogRecord], now: datetime | None = None) -> Report:
    """Record the content of GenAI events beside the decision of their span, which may come before or after them.

    The same record again is a success. Log records that are no GenAI events, or name no span, are rejected.
    """
    report = Report()
    for chunk in _chunks(logs):
        _record_log_chunk(by, chunk, report, now)
    return report


def _chunks(sequence: Sequence[Any]) -> Iterator[Sequence[Any]]:
    size: int = settings.AFFIDAVIT_MAX_BATCH
    return (sequence[start : start + size] for start in range(0, len(sequence), size))


def _record_chunk(by: Actor, spans: Sequence[Span], report: Report, now: datetime | None) -> None:
    decisions: list[tuple[Span, Prepared]] = []
    plain: list[tuple[Span, PlainSpan]] = []
    services = Services()
    for told in once([Told(span, decision_of(span, services.of(span.origin))) for span in _named(spans, report)]):
        span = told.span
        if told.decision is None:
            values = plain_values(span, services.of(span.origin), now or datetime.now(UTC))
            plain.append((span, PlainSpan(_identity(span), values)))
        elif isinstance(found := prepared_or_problem(told.decision), Prepared):
            decisions.append((span, found))
        else:
            report.reject(f"span {span.span_id}: {found}")
    telemetry = Telemetry([_identity(span) for span, _ in decisions], [row for _, row in plain])
    answers = record_telemetry(by=by, prepared=[one for _, one in decisions], telemetry=telemetry, now=now)
    sent = [span for span, _ in decisions] + [span for span, _ in plain]
    for index, stored in sorted(answers.conflicts.items()):
        span = sent[index]
        report.reject(
            f"span {span.span_id} of trace {span.trace_id} is already recorded with other content as {stored};"
            " records are never changed"
        )


def _named(spans: Sequence[Span], report: Report) -> Iterator[Span]:
    """Those that can be told apart; the others are rejected."""
    for span in spans:
        if problem := id_problem(span.trace_id, span.span_id):
            report.reject(f"{clip(span.name, 60) or 'a span without a name'}: {problem}")
        else:
            yield span


def _identity(span: Span) -> Identity:
    return Identity("span", span.identity(), span.fingerprint())


@dataclass(slots=True)
class Services:
    """The service of each origin, read once for all its spans."""

    known: dict[int, Service] = field(default_factory=dict)

    def of(self, origin: Origin) -> Service:
        service = self.known.get(id(origin))
        if service is None:
            service = self.known[id(origin)] = service_of(origin)
        return service


def plain_values(span: Span, service: Service, now: datetime) -> tuple[Any, ...]:
    """Values for `rows.SPANS` after the id."""
    return (
        uuid.UUID(hex=span.trace_id),
        span_number(span.span_id),
        span_number(parent_of(span)),
        EPOCH + timedelta(microseconds=span.start_ns // 1000) if span.start_ns else now,
        span.duration_ns // 1000,
        span.kind if 0 <= span.kind <= 5 else 0,
        span.status if 0 <= span.status <= 2 else 0,
        clip(span.name, 500),
        service.name,
        service.environment,
        service.instance,
    )


def prepared_or_problem(decision: dict[str, Any]) -> Prepared | str:
    """A mapped decision made ready; values that cannot be hashed are kept as text. Else what is wrong with it."""
    try:
        try:
            return prepare(*validate([decision]))
        except CanonicalError:
            return prepare(*validate([storable(decision)]))
    except ItemsRefused as refused:
        problem = refused.problems[0]
        return f"{problem.pointer or 'the span'}: {problem.detail}"
    except (CanonicalError, RecursionError):
        return "its content is nested too deeply"


def storable(value: Any, depth: int = 0) -> Any:
    """The same in I-JSON: numbers that JSON readers disagree on, and what is nested too deeply, as text."""
    if isinstance(value, dict | list):
        inner: Any
        if isinstance(value, dict):
            inner = {name: storable(member, depth + 1) for name, member in value.items()}
        else:
            inner = [storable(member, depth + 1) for member in value]
        return orjson.dumps(inner).decode() if depth and depth % FLATTEN_FROM == 0 else inner
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and not (math.isfinite(value) and (-MAX_SAFE <= value <= MAX_SAFE)):
        return str(value)
    return value


def _record_log_chunk(by: Actor, logs: Sequence[LogRecord], report: Report, now: datetime | None) -> None:
    kept = [log for log in logs if _is_kept(log, report)]
    parents = recorded_ids(by.tenant_id, "span", {_span_name(log) for log in kept})
    services = Services()
    prepared, identities, events = [], [], []
    for log in kept:
        found = prepared_or_problem(content_submission(log, services.of(log.origin), parents.get(_span_name(log))))
        if isinstance(found, Prepared):
            prepared.append(found)
            fingerprint = log.fingerprint()
            identities.append(Identity("log", _span_name(log) + fingerprint, fingerprint))
            events.append(clip(log.name, 200))
        else:
            report.reject(f"log record of span {log.span_id}: {found}")
    if prepared:
        record_telemetry(by=by, prepared=prepared, telemetry=Telemetry(identities, events=events), now=now)


def _is_kept(log: LogRecord, report: Report) -> bool:
    if not log.name.startswith("gen_ai."):
        report.reject("only GenAI events (gen_ai.…) are kept; send other logs to your log store")
    elif problem := id_problem(log.trace_id, log.span_id):
        report.reject(f"{clip(log.name, 60)}: {problem}, and content belongs to a span")
    else:
        return True
    return False


def _span_name(log: LogRecord) -> bytes:
    return bytes.fromhex(log.trace_id + log.span_id)


def content_submission(log: LogRecord, service: Service, parent: uuid.UUID | None) -> dict[str, Any]:
    """The content of a GenAI event in the contract's form; what was no message is kept as it is."""
    body = log.body if isinstance(log.body, dict) else {"content": log.body} if log.body else {}
    fields = log.attributes | body
    sides = event_content(log.name, fields)
    found = {"input": sides[0], "output": sides[1]} if sides else {}
    content = {name: value for name, value in found.items() if value} or {"output": []}
    kept: dict[str, Any] = {"mapping": MAPPING_VERSION, "event": log.name, "resource": log.origin.resource}
    kept["time_unix_nano"] = str(log.time_ns)
    kept["scope"] = {"name": log.origin.scope, "version": log.origin.scope_version}
    kept["attributes"] = {name: value for name, value in log.attributes.items() if not name.startswith(_MESSAGES)}
    if not sides:
        kept["body"] = log.body
    submission = {
        "system": service.name,
        "system_version": service.version,
        "environment": service.environment,
        "instance": service.instance,
        "occurred_at": started_at(log.time_ns),
        "trace_id": log.trace_id,
        "span_id": log.span_id,
        "parent_id": str(parent) if parent else None,
        "subject": f"trace:{log.trace_id}",
        "metadata": {"otel": {name: value for name, value in kept.items() if value not in (None, "", {}, [])}},
    }
    return {name: value for name, value in submission.items() if value not in (None, "")} | content


_MESSAGES = ("gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions")
