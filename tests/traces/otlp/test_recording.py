"""One write path: decisions, spans and late content, each once, whatever is sent again."""

import uuid

import orjson
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

from tenants.context import tenant_atomic
from tenants.ledger.commitments import parse_leaf
from tenants.models import LedgerQueue
from tests.factories.tenants import Cast
from tests.factories.traces import ingestor
from tests.traces.otlp.wire import a_span, chat_message, logs_request, span_message, traces_request
from traces.models import Decision, Deployment, Span, SpanContent, Submission
from traces.otlp.decode import Form, read_logs, read_spans
from traces.otlp.mapping import MAPPING_VERSION
from traces.otlp.recording import Report, record_logs, record_spans
from traces.otlp.selectors import content_of_span
from traces.rows import span_number
from traces.selectors import DecisionFilter, members_of, page, read_contents


def record(cast: Cast, *spans: SpanMessage) -> Report:
    return record_spans(by=ingestor(cast), spans=read_spans(traces_request(*spans), Form.PROTOBUF))


def send_logs(cast: Cast, body: bytes) -> Report:
    return record_logs(by=ingestor(cast), logs=read_logs(body, Form.PROTOBUF))


def counts(cast: Cast) -> tuple[int, int, int]:
    """Decisions, plain spans, late contents."""
    with tenant_atomic(cast.tenant.pk):
        return Decision.objects.count(), Span.objects.count(), SpanContent.objects.count()


def leaves(cast: Cast) -> int:
    with tenant_atomic(cast.tenant.pk):
        return LedgerQueue.objects.count()


def test_ai_actions_become_decisions_and_the_rest_plain_rows(cast: Cast) -> None:
    before = leaves(cast)
    http = span_message({"http.request.method": "GET"}, name="GET /loans", kind=2, status={"code": 2})
    report = record(cast, chat_message(), http)
    assert report.rejected == 0
    with tenant_atomic(cast.tenant.pk):
        decision, span = Decision.objects.get(), Span.objects.get()
        deployment = Deployment.objects.get(pk=decision.deployment_id)
    assert (deployment.system, deployment.task, decision.input_tokens) == ("loan-assistant", "chat", 812)
    assert (span.name, span.service, span.kind, span.status) == ("GET /loans", "loan-assistant", 2, 2)
    assert span.duration_us == 930_000
    assert (span.trace_id.bytes, span.span_id) == (http.trace_id, span_number(http.span_id.hex()))
    assert leaves(cast) == before + 1


def test_a_spool_sent_three_times_is_stored_once(cast: Cast) -> None:
    spans = [chat_message() for _ in range(5)] + [span_message(name="db") for _ in range(4)]
    assert [record(cast, *spans).rejected for _ in range(3)] == [0, 0, 0]
    assert record(cast, *spans[3:7], chat_message()).rejected == 0
    assert counts(cast)[:2] == (6, 4)


def test_a_span_twice_in_one_batch_is_one(cast: Cast) -> None:
    span, plain = chat_message(), span_message()
    assert record(cast, span, span, plain, plain).rejected == 0
    assert counts(cast)[:2] == (1, 1)


def test_other_content_under_the_same_ids_is_told_and_changes_nothing(cast: Cast) -> None:
    first = chat_message()
    ids = {"trace_id": first.trace_id, "span_id": first.span_id}
    record(cast, first)
    report = record(cast, chat_message(attributes={"user.id": "someone else"}, **ids), chat_message())
    assert report.rejected == 1
    assert "already recorded with other content" in report.message
    assert first.span_id.hex() in report.message
    with tenant_atomic(cast.tenant.pk):
        kept = Decision.objects.get(span_id=span_number(first.span_id.hex()))
        assert Decision.objects.count() == 2
    assert kept.user == ""
    assert str(kept.pk) in report.message


def test_a_plain_span_and_a_decision_share_their_identity(cast: Cast) -> None:
    span = span_message()
    ids = {"trace_id": span.trace_id, "span_id": span.span_id}
    record(cast, span)
    assert record(cast, chat_message(**ids)).rejected == 1
    assert record(cast, span_message(name="other", **ids)).rejected == 1
    assert counts(cast)[:2] == (0, 1)


def test_unlike_twins_in_one_batch_store_the_first(cast: Cast) -> None:
    span = span_message(name="first")
    twin = span_message(name="second", trace_id=span.trace_id, span_id=span.span_id)
    assert record(cast, span, twin, twin).rejected == 2
    with tenant_atomic(cast.tenant.pk):
        assert Span.objects.get().name == "first"


def test_the_same_ids_in_another_tenant_are_another_span(cast: Cast, stranger: Cast) -> None:
    span = chat_message()
    assert record(cast, span).rejected == 0
    assert record(stranger, span).rejected == 0
    assert counts(stranger)[0] == 1


def test_bad_ids_are_rejected_and_the_others_stored(cast: Cast) -> None:
    report = record(
        cast, span_message(trace_id=b"\0" * 16), span_message(span_id=b"123"), span_message(), chat_message()
    )
    assert report.rejected == 2
    assert "trace id is 16 bytes" in report.message
    assert counts(cast)[:2] == (1, 1)


def test_more_than_one_transaction_of_spans(cast: Cast, settings: object) -> None:
    settings.AFFIDAVIT_MAX_BATCH = 3  # type: ignore[attr-defined]
    spans = [chat_message() for _ in range(4)] + [span_message() for _ in range(4)]
    assert record(cast, *spans).rejected == 0
    assert counts(cast)[:2] == (4, 4)


def test_clocks_that_were_never_set_are_storable(cast: Cast) -> None:
    odd = {"start_time_unix_nano": 0, "end_time_unix_nano": 2**64 - 1}
    assert record(cast, chat_message(**odd), span_message(**odd), span_message(kind=99)).rejected == 0
    vast = {"start_time_unix_nano": 2**64 - 2, "end_time_unix_nano": 2**64 - 1}
    assert record(cast, chat_message(**vast), span_message(**vast)).rejected == 0


QUESTION = ("gen_ai.user.message", {"content": "May I borrow 5,000?"})
ANSWER = ("gen_ai.choice", {"index": 0, "message": {"role": "assistant", "content": "Send a payslip."}})


def ids_of(span: SpanMessage) -> tuple[uuid.UUID, int]:
    """The ids as columns hold them."""
    return uuid.UUID(bytes=span.trace_id), int.from_bytes(span.span_id, "big", signed=True)


def test_late_content_is_a_leaf_of_its_own_that_names_the_decision(cast: Cast) -> None:
    span = chat_message(attributes={"gen_ai.input.messages": "", "gen_ai.output.messages": ""})
    record(cast, span)
    with tenant_atomic(cast.tenant.pk):
        decision = Decision.objects.get()
        before = bytes(decision.leaf_hash)
    assert send_logs(cast, logs_request(span.trace_id, span.span_id, QUESTION, ANSWER)).rejected == 0
    with tenant_atomic(cast.tenant.pk):
        contents = list(SpanContent.objects.order_by("occurred_at"))
        queued = {row.rid: parse_leaf(bytes(row.leaf)) for row in LedgerQueue.objects.all()}
        decision.refresh_from_db()
    assert [content.event for content in contents] == ["gen_ai.user.message", "gen_ai.choice"]
    assert {queued[content.pk].parent_id for content in contents} == {decision.pk}
    assert bytes(decision.leaf_hash) == before
    assert counts(cast)[0] == 1


def test_content_joins_its_span_whichever_comes_first(cast: Cast) -> None:
    span = chat_message()
    body = logs_request(span.trace_id, span.span_id, QUESTION, ANSWER)
    assert [send_logs(cast, body).rejected for _ in range(3)] == [0, 0, 0]
    record(cast, span)
    with tenant_atomic(cast.tenant.pk):
        decision = Decision.objects.get()
        assert decision.trace_id == uuid.UUID(bytes=span.trace_id)
        found = content_of_span(*ids_of(span))
        shown = [members_of(content) for _, content in found if content]
    assert [shown[0]["input"][0]["content"], shown[1]["output"][0]["content"]] == [
        QUESTION[1]["content"],
        "Send a payslip.",
    ]
    assert shown[0]["subject"] == f"trace:{span.trace_id.hex()}"


def test_content_of_another_tenants_span_is_not_found(cast: Cast, stranger: Cast) -> None:
    span = chat_message()
    record(cast, span)
    send_logs(cast, logs_request(span.trace_id, span.span_id, QUESTION))
    with tenant_atomic(stranger.tenant.pk):
        assert content_of_span(*ids_of(span)) == []


def test_logs_that_are_no_genai_events_are_told(cast: Cast) -> None:
    span = chat_message()
    report = send_logs(cast, logs_request(span.trace_id, span.span_id, ("app.started", {"n": 1}), QUESTION))
    assert report.rejected == 1
    assert "only GenAI events" in report.message
    assert send_logs(cast, logs_request(b"", b"", QUESTION)).rejected == 1
    assert counts(cast)[2] == 1


def test_raw_attributes_and_mapping_version_are_stored_sealed(cast: Cast) -> None:
    record(cast, chat_message(attributes={"app.colour": "green"}))
    with tenant_atomic(cast.tenant.pk):
        pk = Decision.objects.get().pk
        members = members_of(read_contents([pk])[pk])
    told = members["metadata"]["otel"]
    assert (told["mapping"], told["attributes"]["app.colour"]) == (MAPPING_VERSION, "green")
    assert members["input"][0]["parts"][0]["content"] == "May I borrow 5,000?"


def test_a_call_that_failed_can_be_told_from_one_that_did_not(cast: Cast) -> None:
    record(cast, chat_message(), chat_message(status={"code": 2, "message": "Too many requests."}))
    with tenant_atomic(cast.tenant.pk):
        (failed,) = page(DecisionFilter(status="failed")).decisions
        members = members_of(read_contents([failed.pk])[failed.pk])
        assert Decision.objects.count() == 2
    assert members["outcome"] == {"decision": "error", "reasons": [{"text": "Too many requests."}]}


def test_identity_rows_are_one_for_each_span(cast: Cast) -> None:
    record(cast, chat_message(), span_message())
    with tenant_atomic(cast.tenant.pk):
        answers = [orjson.loads(bytes(row.answer)) for row in Submission.objects.all()]
    assert sorted("span" if "span" in answer else "id" for answer in answers) == ["id", "span"]


def test_fingerprints_tell_content_apart() -> None:
    assert a_span({"a": 1}).fingerprint() == a_span({"a": 1}).fingerprint()
    assert a_span({"a": 1, "b": 2}).fingerprint() == a_span({"b": 2, "a": 1}).fingerprint()
    for other in (a_span({"a": 2}), a_span({"a": 1}, name="x"), a_span({"a": 1}, {"service.name": "other"})):
        assert other.fingerprint() != a_span({"a": 1}).fingerprint()
