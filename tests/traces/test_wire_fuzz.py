"""B2 of the checks: whatever happens to a body on its way, the answer is ours, quick, and nothing is half stored.

Bodies are those that SDKs of every dialect sent (and, where the evaluation data lies beside the checkout, the traces of
fourteen frameworks), changed member by member and byte by byte, plain and as gzip.
"""

import gzip
import json
import time
from typing import Any

import orjson
import pytest
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tenants.context import tenant_atomic
from tenants.ledger.commitments import parse_leaf
from tenants.models import LedgerLeaf, LedgerQueue
from tests.factories.tenants import Cast, make_cast
from tests.factories.traces import a_decision
from tests.traces.mutations import changed_bytes, changed_json, packed
from tests.traces.otlp.wire import (
    DATA,
    JSON,
    PAYLOADS,
    PROTOBUF,
    as_protobuf,
    chat_message,
    logs_request,
    payload,
    traces_request,
)
from traces.models import Decision, DecisionPayload, SpanContent

SECONDS = 1.0
QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
DIALECTS = [payload(path.stem) for path in sorted(PAYLOADS.glob("*.json"))]
EVENTS: list[tuple[str, dict[str, Any]]] = [
    ("gen_ai.user.message", {"content": "May I?"}),
    ("gen_ai.choice", {"message": {"content": "No."}}),
]
LOGS = [logs_request(b"\x4b" * 16, b"\x01" * 8, *EVENTS)]
REST = [a_decision(), [a_decision(), a_decision()], {"system": "s", "input": "…", "output": "…"}]


def frameworks() -> list[Any]:
    """Real traces that are small enough to be changed many times."""
    folder = DATA / "framework_traces"
    found = [gzip.decompress(path.read_bytes()) for path in sorted(folder.glob("*.json.gz"))]
    examples = [path.read_bytes() for path in sorted((DATA / "otlp_examples").glob("trace*.json"))]
    documents = [orjson.loads(data) for data in [*found, *examples] if len(data) < 200_000]
    return [one for one in documents if isinstance(one, dict) and "resourceSpans" in one]


DOCUMENTS = DIALECTS + frameworks()
BINARIES = [*map(as_protobuf, DIALECTS), traces_request(chat_message())]


@pytest.fixture(scope="module")
def fuzzed(database: None, django_db_blocker: Any) -> Cast:
    """One tenant for all examples."""
    with django_db_blocker.unblock():
        return make_cast()


def send(cast: Cast, url: str, body: bytes, kind: str, zipped: bool) -> Any:
    """Post it; whatever comes of it, it took less than a second and is no fault of ours."""
    headers = {"Authorization": f"Bearer {cast.keys['ingest'].secret}", "Content-Type": kind}
    client, began = Client(raise_request_exception=False), time.monotonic()
    response = client.post(
        url, body, content_type=kind, headers=headers | ({"Content-Encoding": "gzip"} if zipped else {})
    )
    assert time.monotonic() - began < SECONDS
    assert response.status_code < 500, response.content
    return response


def stored(cast: Cast) -> int:
    """How many records there are; each is whole: it has its content and its leaf."""
    with tenant_atomic(cast.tenant.pk):
        records = {*Decision.objects.values_list("pk", flat=True), *SpanContent.objects.values_list("pk", flat=True)}
        assert records == set(DecisionPayload.objects.values_list("pk", flat=True))
        leaves = [bytes(leaf) for table in (LedgerQueue, LedgerLeaf)  # first the one that the other is filled from
                  for leaf in table.objects.filter(rid__in=records).values_list("leaf", flat=True)]  # fmt: skip
        assert {parse_leaf(leaf).record_id for leaf in leaves} == records
    return len(records)


def checked_otlp(cast: Cast, url: str, body: bytes, kind: str, zipped: bool) -> None:
    before = stored(cast)
    response = send(cast, url, body, kind, zipped)
    assert response.status_code in {200, 400, 413}, response.content
    assert response["Content-Type"] == kind
    after = stored(cast)
    if response.status_code != 200:
        assert after == before
    elif kind == JSON:
        assert set(json.loads(response.content)) <= {"partialSuccess"}
    elif url.endswith("traces"):
        ExportTraceServiceResponse.FromString(response.content)


@effort(max_examples=120, deadline=None, suppress_health_check=QUIET)
@given(packed(changed_json(DOCUMENTS) | changed_bytes([json.dumps(one).encode() for one in DIALECTS])))
def test_otlp_in_json_that_changed_on_its_way(fuzzed: Cast, sent: tuple[bytes, bool]) -> None:
    checked_otlp(fuzzed, "/v1/traces", sent[0], JSON, sent[1])


@effort(max_examples=120, deadline=None, suppress_health_check=QUIET)
@given(packed(changed_bytes(BINARIES)))
def test_otlp_in_protobuf_that_changed_on_its_way(fuzzed: Cast, sent: tuple[bytes, bool]) -> None:
    checked_otlp(fuzzed, "/v1/traces", sent[0], PROTOBUF, sent[1])


@effort(max_examples=60, deadline=None, suppress_health_check=QUIET)
@given(packed(changed_bytes(LOGS)))
def test_log_records_that_changed_on_their_way(fuzzed: Cast, sent: tuple[bytes, bool]) -> None:
    checked_otlp(fuzzed, "/v1/logs", sent[0], PROTOBUF, sent[1])


@effort(max_examples=120, deadline=None, suppress_health_check=QUIET)
@given(
    packed(changed_json(REST) | changed_bytes([json.dumps(one).encode() for one in REST])),
    st.sampled_from([JSON, "application/x-ndjson"]),
)
def test_decisions_that_changed_on_their_way(fuzzed: Cast, sent: tuple[bytes, bool], kind: str) -> None:
    before = stored(fuzzed)
    response = send(fuzzed, "/api/v1/decisions", sent[0], kind, sent[1])
    told = json.loads(response.content)
    if response.status_code == 201:
        ids = {one["id"] for one in (told if isinstance(told, list) else [told])}
        assert before <= stored(fuzzed) <= before + len(ids)  # fewer: the same again has the first answer
    else:
        assert response.status_code in {400, 409, 413, 422}
        assert response["Content-Type"] == "application/problem+json"
        assert stored(fuzzed) == before


def test_after_all_that_a_good_body_is_recorded(fuzzed: Cast) -> None:
    before = stored(fuzzed)
    assert send(fuzzed, "/v1/traces", traces_request(chat_message()), PROTOBUF, False).status_code == 200
    assert send(fuzzed, "/api/v1/decisions", orjson.dumps(a_decision()), JSON, False).status_code == 201
    assert stored(fuzzed) == before + 2
