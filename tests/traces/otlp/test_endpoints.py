"""OTLP/HTTP as exporters meet it: both forms, success, partial success, refusals, and never a lost span."""

import base64
import gzip
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections
from django.http import HttpResponse
from django.test import Client
from google.rpc.error_details_pb2 import BadRequest
from google.rpc.status_pb2 import Status
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from pytest_django import Settings

from tenants.context import tenant_atomic
from tests.factories.tenants import Cast, make_cast
from tests.traces.otlp.test_recording import ANSWER, QUESTION, counts
from tests.traces.otlp.wire import (
    DATA,
    JSON,
    PAYLOADS,
    PROTOBUF,
    as_protobuf,
    chat_message,
    logs_request,
    payload,
    span_message,
    traces_request,
)
from traces import dimensions, services
from traces.models import Decision

TRACES, LOGS, METRICS = "/v1/traces", "/v1/logs", "/v1/metrics"


def post(cast: Cast, body: Any, url: str = TRACES, kind: str = PROTOBUF, **headers: str) -> HttpResponse:
    """Send a body with the cast's ingest key; a mapping as JSON."""
    if isinstance(body, dict):
        body, kind = json.dumps(body).encode(), JSON
    # The test client leaves the type out where the body is empty; exporters send it.
    sent = {"Authorization": f"Bearer {cast.keys['ingest'].secret}", "Content-Type": kind} | headers
    client = Client(raise_request_exception=False)
    response: Any = client.post(url, body, content_type=kind, headers=sent)
    return response  # type: ignore[no-any-return]


def with_own_ids(name: str) -> dict[str, Any]:
    """A recorded payload in a trace of its own."""
    text = json.dumps(payload(name)).replace("4bf92f3577b34da6a3ce929d0e0e4736", uuid.uuid4().hex)
    document: dict[str, Any] = json.loads(text)
    return document


@pytest.mark.parametrize("name", sorted(path.stem for path in PAYLOADS.glob("*.json")))
def test_every_dialect_is_recorded_in_both_forms(cast: Cast, name: str) -> None:
    document = with_own_ids(name)
    in_json = post(cast, document)
    stored = counts(cast)
    in_protobuf = post(cast, as_protobuf(document))
    assert (in_json.status_code, in_json["Content-Type"], json.loads(in_json.content)) == (200, JSON, {})
    assert (in_protobuf.status_code, in_protobuf["Content-Type"], in_protobuf.content) == (200, PROTOBUF, b"")
    assert stored[0] >= 1
    assert counts(cast) == stored


@pytest.mark.parametrize("base", ["", "/api/public/otel", "/api/v1/private/otel"])
def test_the_paths_of_other_products_work_unchanged(cast: Cast, base: str) -> None:
    assert post(cast, traces_request(chat_message()), f"{base}/v1/traces").status_code == 200
    assert counts(cast)[0] == 1


def test_the_ways_to_send_a_key(cast: Cast) -> None:
    secret = cast.keys["ingest"].secret
    basic = base64.b64encode(f"pk-lf-1:{secret}".encode()).decode()
    for headers in ({"Authorization": f"Basic {basic}"}, {"Authorization": secret}, {"x-api-key": secret}):
        sent = Client().post(TRACES, traces_request(chat_message()), content_type=PROTOBUF, headers=headers)
        assert sent.status_code == 200
    assert counts(cast)[0] == 3


def test_gzip_charset_and_an_empty_request(cast: Cast) -> None:
    packed = gzip.compress(traces_request(chat_message()))
    assert post(cast, packed, **{"Content-Encoding": "gzip"}).status_code == 200
    assert post(cast, b'{"resourceSpans":[]}', kind="application/json; charset=utf-8").content == b"{}"
    assert post(cast, b"").status_code == 200
    assert counts(cast)[0] == 1


def conflicting(cast: Cast) -> list[Any]:
    """A batch of which the second span conflicts with what is stored."""
    first = chat_message()
    post(cast, traces_request(first))
    other = chat_message(trace_id=first.trace_id, span_id=first.span_id, name="other")
    return [chat_message(), other, span_message()]


def test_partial_success_in_protobuf(cast: Cast) -> None:
    response = post(cast, traces_request(*conflicting(cast)))
    told = ExportTraceServiceResponse.FromString(response.content).partial_success
    assert (response.status_code, response["Content-Type"], told.rejected_spans) == (200, PROTOBUF, 1)
    assert "already recorded with other content" in told.error_message
    assert counts(cast)[:2] == (2, 1)


def test_partial_success_in_json(cast: Cast) -> None:
    document = with_own_ids("semconv_1_37")
    post(cast, document)
    document["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"] = "other"
    response = post(cast, document)
    told = json.loads(response.content)["partialSuccess"]
    assert (response.status_code, response["Content-Type"], told["rejectedSpans"]) == (200, JSON, "1")
    assert "already recorded with other content" in told["errorMessage"]


def test_logs_join_and_tell_what_is_not_kept(cast: Cast) -> None:
    span = chat_message()
    body = logs_request(span.trace_id, span.span_id, QUESTION, ("app.started", {}), ANSWER)
    for _ in range(3):
        response = post(cast, body, LOGS)
        told = ExportLogsServiceResponse.FromString(response.content).partial_success
        assert (response.status_code, told.rejected_log_records) == (200, 1)
    assert counts(cast) == (0, 0, 2)


def test_metrics_are_refused_with_what_to_do(cast: Cast) -> None:
    for kind in (PROTOBUF, JSON):
        response = post(cast, b"anything", METRICS, kind)
        assert (response.status_code, response["Content-Type"]) == (404, kind)
        assert b"OTEL_METRICS_EXPORTER=none" in response.content


def status_of(response: HttpResponse) -> tuple[int, str]:
    """Code and message of a `google.rpc.Status` in the form that its content type names."""
    if response["Content-Type"] == JSON:
        told = json.loads(response.content)
        return told["code"], told["message"]
    status = Status.FromString(response.content)
    return status.code, status.message


@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
def test_refusals_are_a_status_in_the_form_of_the_request(cast: Cast, kind: str) -> None:
    read_key = f"Bearer {cast.keys['read'].secret}"
    cases = [
        (400, 3, post(cast, b"\xff\xff", kind=kind)),
        (400, 3, post(cast, b"{}", kind=kind, **{"Content-Encoding": "gzip"})),
        (401, 16, post(cast, b"", kind=kind, Authorization="")),
        (401, 16, post(cast, b"", kind=kind, Authorization="Bearer nope")),
        (403, 7, post(cast, b"", kind=kind, Authorization=read_key)),
        (415, 3, post(cast, b"", kind=kind, **{"Content-Encoding": "br"})),
    ]
    for status, code, response in cases:
        assert response.status_code == status
        assert (response["Content-Type"], status_of(response)[0]) == (kind, code)


def test_only_post_is_taken() -> None:
    response = Client().get(TRACES)
    assert (response.status_code, response["Allow"], response["Content-Type"]) == (405, "POST", JSON)


def test_bad_data_says_what_is_wrong_in_details(cast: Cast) -> None:
    status = Status.FromString(post(cast, b"\xff").content)
    details = BadRequest()
    assert status.details[0].Unpack(details)
    assert "ExportTraceServiceRequest" in details.field_violations[0].description
    told = json.loads(post(cast, b"[]", kind=JSON).content)
    assert told["details"][0]["@type"] == "type.googleapis.com/google.rpc.BadRequest"


def test_another_content_type_is_refused_in_json(cast: Cast) -> None:
    response = post(cast, b"x", kind="text/plain")
    assert (response.status_code, response["Content-Type"]) == (415, JSON)


def test_too_large_is_413_on_the_wire_and_after_gunzip(cast: Cast, settings: Settings) -> None:
    settings.AFFIDAVIT_MAX_UNPACKED = 1_000_000
    bomb = gzip.compress(b"\0" * 2_000_000)
    for kind in (PROTOBUF, JSON):
        response = post(cast, bomb, kind=kind, **{"Content-Encoding": "gzip"})
        assert (response.status_code, response["Content-Type"]) == (413, kind)
    settings.AFFIDAVIT_MAX_BODY = 1000
    assert post(cast, b"\0" * 2000).status_code == 413
    assert "Retry-After" not in response


def test_a_ledger_that_is_behind_pushes_back(cast: Cast) -> None:
    services._backlog[cast.tenant.pk] = (time.monotonic() + 60, 5)
    for body in (traces_request(chat_message()), with_own_ids("vercel")):
        response = post(cast, body)
        assert (response.status_code, response["Retry-After"], status_of(response)[0]) == (429, "5", 8)
    services._backlog.clear()
    assert counts(cast) == (0, 0, 0)


@pytest.fixture
def database_away() -> Iterator[None]:
    """The ingest login's address leads nowhere: connections are refused, as while PostgreSQL restarts."""
    connection = connections["ingest"]
    port = connection.settings_dict["PORT"]
    connection.close()
    connection.settings_dict["PORT"] = "1"
    yield
    connection.close()
    connection.settings_dict["PORT"] = port


@pytest.mark.parametrize("url", [TRACES, LOGS])
def test_without_a_database_exporters_are_told_to_keep_the_data(cast: Cast, database_away: None, url: str) -> None:
    for kind in (PROTOBUF, JSON):
        response = post(cast, b"{}" if kind == JSON else b"", url, kind)
        assert (response.status_code, response["Content-Type"], status_of(response)[0]) == (503, kind, 14)
        assert int(response["Retry-After"]) >= 1


def test_a_spool_replayed_after_a_restart_loses_and_repeats_nothing(cast: Cast) -> None:
    batches = [traces_request(*(chat_message() for _ in range(4)), span_message()) for _ in range(3)]
    for body in (batches[0], *batches, batches[2]):
        assert post(cast, body).content == b""
        for cache in (dimensions._deployments, dimensions._model_versions, dimensions._subject_keys):
            cache.entries.clear()  # what a process that just started knows
        connections["ingest"].close()
    assert counts(cast)[:2] == (12, 3)


def test_tenants_do_not_see_each_others_spans(cast: Cast, stranger: Cast) -> None:
    body = traces_request(chat_message())
    assert post(cast, body).content == post(stranger, body).content == b""
    with tenant_atomic(cast.tenant.pk):
        mine = Decision.objects.get().pk
    with tenant_atomic(stranger.tenant.pk):
        assert Decision.objects.get().pk != mine


@pytest.fixture(scope="module")
def fuzzed(database: None, django_db_blocker: Any) -> Cast:
    """One tenant for all examples."""
    with django_db_blocker.unblock():
        return make_cast()


fragments = st.sampled_from(
    [b"", b"{", b'{"resourceSpans":', b"[[[[", b"\n\x04\x12\x02\x12\x00", b"\x1f\x8b\x08", b"null"]
)
bodies = st.builds(b"".join, st.lists(fragments | st.binary(max_size=60), max_size=5))


@effort(max_examples=150, deadline=1000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bodies, st.sampled_from([TRACES, LOGS]), st.sampled_from([PROTOBUF, JSON]), st.booleans())
def test_whatever_comes_is_answered_below_500_within_a_second(
    fuzzed: Cast, body: bytes, url: str, kind: str, packed: bool
) -> None:
    headers = {"Content-Encoding": "gzip"} if packed else {}
    response = post(fuzzed, body, url, kind, **headers)
    assert response.status_code in {200, 400}
    assert response["Content-Type"] == kind


@pytest.mark.skipif(not DATA.exists(), reason="the public evaluation data is not here")
def test_the_examples_of_the_protocol(cast: Cast) -> None:
    folder = DATA / "otlp_examples"
    answers = {
        name: post(cast, (folder / f"{name}.json").read_bytes(), url, JSON)
        for name, url in (("trace", TRACES), ("events", LOGS), ("logs", LOGS), ("metrics", METRICS))
    }
    assert {name: answer.status_code for name, answer in answers.items()} == {
        "trace": 200, "events": 200, "logs": 200, "metrics": 404
    }  # fmt: skip
    assert json.loads(answers["logs"].content)["partialSuccess"]["rejectedLogRecords"] == "1"
    assert counts(cast) == (0, 1, 0)
