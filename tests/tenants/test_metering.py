"""Limits as callers meet them over HTTP: who pays what, and how it is told in each protocol."""

import gzip
import json
import uuid
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.test import Client
from google.rpc.status_pb2 import Status
from pytest_django import Settings

from tenants import authentication
from tenants.context import tenant_atomic
from tenants.limits import Limiter, impatient
from tenants.metering import plan_for
from tenants.models import LedgerEvent, Tenant
from tenants.services import create_key, set_limits
from tests.factories.tenants import Cast
from tests.factories.traces import a_decision

JSON, PROTOBUF = "application/json", "application/x-protobuf"
URL = "/api/v1/decisions"


def limit(cast: Cast, records: int | None = None, requests: int | None = None) -> None:
    set_limits(tenant_id=cast.tenant.pk, operator="ana", records=records, requests=requests)
    authentication._cache.clear()


def post(cast: Cast, body: Any, path: str = URL, kind: str = JSON, **headers: str) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"Authorization": f"Bearer {cast.keys['ingest'].secret}"} | headers
    return Client().post(path, data, content_type=kind, headers=sent)


def read(cast: Cast, path: str = URL) -> Any:
    return Client().get(path, headers={"Authorization": f"Bearer {cast.keys['read'].secret}"})


def left(response: Any) -> int:
    return int(response["RateLimit"].partition("r=")[2].partition(";")[0])


def test_every_answer_tells_what_is_left(cast: Cast, settings: Settings) -> None:
    response = post(cast, a_decision())
    assert response.status_code == 201
    policy = '"key";q=15000;w=10, "tenant";q=20000;w=10'
    assert (response["RateLimit-Policy"], response["RateLimit"]) == (policy, '"key";r=14999;t=1')
    assert read(cast)["RateLimit-Policy"] == '"key";q=750;w=10, "tenant";q=1000;w=10'


def test_a_batch_costs_its_records_and_a_refused_request_one(cast: Cast) -> None:
    limit(cast, records=100)
    before = left(post(cast, a_decision()))
    assert before - left(post(cast, [a_decision() for _ in range(30)])) in {29, 30}
    before = left(post(cast, b"no json"))
    assert before - left(post(cast, b"no json")) in {0, 1}


def test_a_large_body_costs_by_its_size_however_it_was_packed(cast: Cast) -> None:
    limit(cast, records=1_000)
    first = left(post(cast, a_decision()))
    packed = gzip.compress(json.dumps(a_decision(output="x" * 1_600_000)).encode())
    cost = first - left(post(cast, packed, **{"Content-Encoding": "gzip"}))
    assert 50 <= cost <= 98  # 98 times 16 KiB, less what has filled up meanwhile


def test_rest_is_refused_with_a_problem_and_nothing_is_stored(cast: Cast) -> None:
    limit(cast, records=2)
    post(cast, [a_decision() for _ in range(40)])
    response = post(cast, a_decision())
    assert (response.status_code, response["Content-Type"]) == (429, "application/problem+json")
    assert json.loads(response.content)["title"] == "Too many requests"
    assert 10 <= int(response["Retry-After"]) <= 26
    assert ";r=0;t=" in response["RateLimit"]


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/logs"])
@pytest.mark.parametrize("kind", [JSON, PROTOBUF])
def test_otlp_is_refused_in_the_form_of_the_request(cast: Cast, path: str, kind: str) -> None:
    limit(cast, records=2)
    post(cast, [a_decision() for _ in range(40)])
    response = post(cast, b"{}" if kind == JSON else b"\n\x00", path, kind)
    assert (response.status_code, response["Content-Type"]) == (429, kind)
    code = json.loads(response.content)["code"] if kind == JSON else Status.FromString(response.content).code
    assert code == 8  # RESOURCE_EXHAUSTED
    assert int(response["Retry-After"]) >= 10


def test_reads_have_buckets_of_their_own_and_are_refused_alike(cast: Cast) -> None:
    limit(cast, records=2, requests=1)
    assert [read(cast).status_code for _ in range(30)].count(429) > 15
    response = read(cast)
    assert (response.status_code, response["Content-Type"]) == (429, "application/problem+json")
    assert int(response["Retry-After"]) >= 1
    assert post(cast, a_decision()).status_code == 201


def test_a_slow_read_costs_by_its_time(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    limit(cast, requests=100)
    before = left(read(cast))
    monkeypatch.setattr("tenants.metering.UNIT_SECONDS", 0.000_05)
    assert before - left(read(cast)) > 10


def test_waiting_for_a_proof_costs_one_request(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenants.api.POLL_SECONDS", 0.3)
    limit(cast, requests=1)
    headers = {"Authorization": f"Bearer {cast.keys['read'].secret}", "Prefer": "wait=1"}
    response = Client().get(f"{URL}/{uuid.uuid4()}/proof", headers=headers)
    assert (response.status_code, left(response) >= 3) == (404, True)


def test_a_noisy_tenant_is_refused_without_a_query_and_its_neighbour_is_not(
    cast: Cast, stranger: Cast, django_assert_num_queries: Any
) -> None:
    limit(cast, records=2)
    post(cast, [a_decision() for _ in range(40)])
    post(cast, a_decision())
    with django_assert_num_queries(0, using="ingest"):
        assert {post(cast, a_decision()).status_code for _ in range(5)} == {429}
    assert {post(stranger, a_decision()).status_code for _ in range(5)} == {201}


def test_a_flood_does_not_fill_the_log(cast: Cast, caplog: pytest.LogCaptureFixture) -> None:
    limit(cast, records=2)
    post(cast, [a_decision() for _ in range(40)])
    assert {post(cast, a_decision()).status_code for _ in range(8)} == {429}
    assert [record.name for record in caplog.records] == ["affidavit.limits"]
    assert str(cast.tenant.pk) in caplog.text


def test_one_key_leaves_the_others_some(cast: Cast) -> None:
    limit(cast, records=4)
    other = create_key(by=cast.owner, name="other", scopes=["ingest"], source=cast.source)
    post(cast, [a_decision() for _ in range(31)])  # of the 30 that a key may, and the 40 of the tenant
    assert post(cast, a_decision()).status_code == 429
    assert post(cast, a_decision(), Authorization=f"Bearer {other.secret}").status_code == 201


def test_while_redis_is_away_records_are_taken(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    limit(cast, records=1)
    away = Limiter(impatient("redis://127.0.0.1:1/0"))
    monkeypatch.setattr("tenants.metering.limiter", lambda: away)
    answers = [post(cast, a_decision()) for _ in range(25)]
    assert {answer.status_code for answer in answers} == {201}
    assert "RateLimit" not in answers[-1]


def test_limits_of_its_own_or_none(settings: Settings) -> None:
    def rates(records: int | None, **more: Any) -> list[int]:
        ids = {"tenant_id": uuid.uuid4(), "key_id": uuid.uuid4()}
        plan = plan_for(**ids, writes=True, records=records, requests=7, **more)
        return [quota.rate for quota in plan.quotas]

    assert rates(None) == [1_500, 2_000]
    assert rates(1) == [1, 1]
    assert rates(0) == []
    settings.AFFIDAVIT_RATE_RECORDS = 0
    assert rates(None) == []
    assert rates(8) == [6, 8]


def test_the_operator_sets_limits_and_the_log_tells(cast: Cast) -> None:
    out = StringIO()
    given = ("set_limits", cast.tenant.slug, "--records", "50", "--requests", "0", "--operator", "ana@example.org")
    call_command(*given, stdout=out)
    assert "50 records and any number of requests a second" in out.getvalue()
    with tenant_atomic(cast.tenant.pk):
        tenant = Tenant.objects.get(pk=cast.tenant.pk)
        event = LedgerEvent.objects.get(tag="tenant.limits_set")
    assert (tenant.records_per_second, tenant.requests_per_second) == (50, 0)
    told = json.loads(bytes(event.body))
    assert told == {"by": "system:ana@example.org", "label": "ana@example.org"} | {
        "records_per_second": 50,
        "requests_per_second": 0,
    }
    with pytest.raises(CommandError, match="no limit"):
        call_command("set_limits", cast.tenant.slug, "--records", "-1", "--operator", "ana", stdout=out)


def test_no_login_that_serves_requests_lifts_a_limit(cast: Cast) -> None:
    for alias in ("web", "worker", "ingest"):
        with pytest.raises(DatabaseError, match="permission denied"), tenant_atomic(cast.tenant.pk, using=alias):
            Tenant.objects.using(alias).filter(pk=cast.tenant.pk).update(records_per_second=0)


def slow(*_: Any, **__: Any) -> None:
    """What a question does that the database ends: at its time-out, here a short one."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 50")
        cursor.execute("SELECT pg_sleep(5)")


def test_a_question_that_takes_too_long_is_ended_and_told_so(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("15s",)
    monkeypatch.setattr("traces.api.page", slow)
    response = read(cast)
    assert (response.status_code, response["Content-Type"]) == (503, "application/problem+json")
    assert (json.loads(response.content)["title"], response["Retry-After"]) == ("This took too long", "10")
    monkeypatch.setattr("tenants.views.member_rows", slow)
    client = Client()
    client.force_login(cast.people["owner"], "django.contrib.auth.backends.ModelBackend")
    page = client.get(f"/t/{cast.tenant.slug}/members/")
    assert (page.status_code, "This took too long" in page.content.decode()) == (503, True)
