"""`POST /v1/traces` and `/v1/logs`: the edge of OTLP/HTTP. The same refusals in the same order as for decisions.

Answers are in the form of the request. Exporters retry 429 and 503 alone (and some, against the specification, every
5xx): whatever cannot be stored later either is refused with 4xx.
"""

from typing import Any

from django.http import HttpRequest, HttpResponse
from google.protobuf.json_format import MessageToJson
from google.rpc.error_details_pb2 import BadRequest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tenants.access import require
from tenants.actors import Actor
from tenants.authentication import authenticate
from tenants.metering import cost_records
from traces.ingest import Refusal, refusing, unpacked_body
from traces.otlp.decode import Form, read_logs, read_spans
from traces.otlp.recording import Report, record_logs, record_spans
from traces.services import USING
from traces.submissions import BodyError

# google.rpc.Code of each status that we answer with.
_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 413: 11, 415: 3, 422: 3, 429: 8, 503: 14}
_NO_METRICS = (
    "Affidavit records decisions; nothing of this request was stored. Send metrics to your metrics store: set"
    " OTEL_METRICS_EXPORTER=none, or OTEL_EXPORTER_OTLP_METRICS_ENDPOINT to where they belong."
)


def serve_traces(request: HttpRequest) -> HttpResponse:
    """Record an `ExportTraceServiceRequest`; 200 says that all of it is durable, or what of it was rejected."""
    actor, form, body = _opened(request)
    spans = read_spans(body, form)
    cost_records(len(spans))
    report = record_spans(by=actor, spans=spans)
    return _told(ExportTraceServiceResponse(), "rejected_spans", report, form)


def serve_logs(request: HttpRequest) -> HttpResponse:
    """Record the GenAI events of an `ExportLogsServiceRequest`: content that belongs to spans."""
    actor, form, body = _opened(request)
    logs = read_logs(body, form)
    cost_records(len(logs))
    report = record_logs(by=actor, logs=logs)
    return _told(ExportLogsServiceResponse(), "rejected_log_records", report, form)


def serve_metrics(request: HttpRequest) -> HttpResponse:
    """Refuse metrics, rather than drop them unseen."""
    return tell_status(request, Refusal(404, "Metrics are not kept here", _NO_METRICS))


def _opened(request: HttpRequest) -> tuple[Actor, Form, bytes]:
    if request.method != "POST":
        raise BodyError("Send telemetry with POST.", 405)
    actor = authenticate(request.headers, using=USING)
    require(actor, "decision.write")
    form = _form_of(request)
    if form is None:
        raise BodyError("Content-Type must be application/x-protobuf or application/json.", 415)
    return actor, form, unpacked_body(request)


def _form_of(request: HttpRequest) -> Form | None:
    name = (request.content_type or "").lower()
    return Form(name) if name in set(Form) else None


def _told(response: Any, counted: str, report: Report, form: Form) -> HttpResponse:
    """Success, its `partial_success` unset unless something was rejected."""
    if report.rejected:
        response.partial_success.error_message = report.message
        setattr(response.partial_success, counted, report.rejected)
    return _answer(form, _written(response, form))


def tell_status(request: HttpRequest, refusal: Refusal) -> HttpResponse:
    """A refusal as a `google.rpc.Status`, in the form of the request."""
    form = _form_of(request) or Form.JSON
    message = ". ".join(filter(None, (refusal.title, refusal.detail)))
    headers = dict(refusal.headers) | ({"Allow": "POST"} if refusal.status == 405 else {})
    status = Status(code=_CODES.get(refusal.status, 2), message=message)
    if refusal.status == 400:
        violation = BadRequest.FieldViolation(field="body", description=refusal.detail)
        status.details.add().Pack(BadRequest(field_violations=[violation]))
    return _answer(form, _written(status, form), refusal.status, headers)


def _written(message: Any, form: Form) -> bytes:
    """A small message in the form of the request; never called for what was sent to us."""
    text: str = MessageToJson(message, indent=None) if form is Form.JSON else ""
    written: bytes = text.encode() or message.SerializeToString()
    return written


def _answer(form: Form, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> HttpResponse:
    return HttpResponse(body, status=status, content_type=str(form), headers=headers)


post_traces = refusing(serve_traces, tell_status)
post_logs = refusing(serve_logs, tell_status)
post_metrics = refusing(serve_metrics, tell_status)
