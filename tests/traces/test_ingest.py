"""`POST /api/v1/decisions` as a client meets it: what it takes, how it refuses, and that nothing is half done."""

import base64
import gzip
import json
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.db import connections
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st
from pytest_django import Settings

from tenants import authentication
from tenants.context import tenant_atomic
from tenants.ledger.notes import Receipt, open_note
from tenants.ledger.receipts import receipt_signer
from tenants.models import ApiKey
from tenants.services import create_key, create_source, revoke_key
from tests.audits.log import publish
from tests.factories.policies import a_document, put_in_force
from tests.factories.tenants import Cast, make_cast
from tests.factories.traces import a_decision
from traces import services
from traces.models import Decision

URL = "/api/v1/decisions"
JSON = "application/json"
NDJSON = "application/x-ndjson"


def bearer(cast: Cast, scope: str = "ingest") -> dict[str, str]:
    return {"Authorization": f"Bearer {cast.keys[scope].secret}"}


def post(cast: Cast, body: Any, *, kind: str = JSON, headers: dict[str, str] | None = None) -> Any:
    """Send a body as it is if it is bytes, else as JSON, with the cast's ingest key."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = bearer(cast) | (headers or {})
    return Client(raise_request_exception=False).post(URL, data, content_type=kind, headers=sent)


def told(response: Any) -> Any:
    return json.loads(response.content)


def stored(cast: Cast) -> int:
    with tenant_atomic(cast.tenant.pk):
        return Decision.objects.count()


def is_problem(response: Any) -> bool:
    """RFC 9457, and the status said twice is the same twice."""
    return (
        bool(response["Content-Type"] == "application/problem+json")
        and told(response)["status"] == response.status_code
    )


# --- What it takes ------------------------------------------------------------------------------------------------


def test_an_object_is_answered_by_an_object_and_its_receipt_holds(cast: Cast) -> None:
    response = post(cast, a_decision())
    answer = told(response)
    assert response.status_code == 201
    receipt = Receipt.parse(open_note(answer["receipt"], [receipt_signer().verifier]).text)
    assert receipt.record_id == uuid.UUID(answer["id"])
    assert receipt.leaf_hash.hex() == answer["leaf_hash"]
    assert receipt.origin.endswith(f"/t/{cast.tenant.slug}-1")
    assert receipt.max_merge_delay == 60


def test_what_was_acknowledged_can_be_read_at_once(cast: Cast) -> None:
    sent = a_decision()
    answer = told(post(cast, sent))
    read = Client().get(f"{URL}/{answer['id']}", headers=bearer(cast, "read"))
    assert read.status_code == 200
    assert json.loads(read.content)["record"]["output"] == sent["output"]
    assert answer["id"] in [item["id"] for item in Client().get(URL, headers=bearer(cast, "read")).json()["items"]]


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("kind", [JSON, NDJSON, "application/jsonl", "application/json; charset=utf-8"])
def test_batches_are_answered_in_order(cast: Cast, kind: str, zipped: bool) -> None:
    decisions = [a_decision() for _ in range(3)]
    lines = "\n".join(map(json.dumps, decisions)) + "\n"
    body = (json.dumps(decisions) if "json;" in kind or kind == JSON else lines).encode()
    headers = {"Content-Encoding": "gzip"} if zipped else {}
    response = post(cast, gzip.compress(body) if zipped else body, kind=kind, headers=headers)
    assert response.status_code == 201, response.content
    with tenant_atomic(cast.tenant.pk):
        names = [Decision.objects.get(pk=answer["id"]).external_id for answer in told(response)]
    assert names == [decision["external_id"] for decision in decisions]


def test_an_array_of_one_is_answered_by_an_array(cast: Cast) -> None:
    assert len(told(post(cast, [a_decision()]))) == 1


# --- What it refuses: nothing is stored, and the answer says what to do ---------------------------------------------

DEEP = b'{"system":"s","output":' + b"[" * 10_000 + b"]" * 10_000 + b"}"
REFUSED: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 422),
    "a single byte": (b"{", 422),
    "no JSON": (b"hello", 422),
    "an empty array": (b"[]", 422),
    "no object": (b"17", 422),
    "deep nesting": (DEEP, 422),
    "invalid UTF-8": (b'{"system":"s","output":"\xff\xfe"}', 422),
    "UTF-16": ('{"system":"s","output":"o"}'.encode("utf-16"), 422),
    "NaN": (b'{"system":"s","output":NaN}', 422),
    "Infinity": (b'{"system":"s","output":-Infinity}', 422),
    "an integer beyond 2^53": (b'{"system":"s","output":9007199254740993}', 422),
    "an integer of 10,000 digits": (b'{"system":"s","output":' + b"9" * 10_000 + b"}", 422),
    "a number beyond a double": (b'{"system":"s","output":1e999}', 422),
    "a name twice": (b'{"system":"s","output":{"a":1,"a":2}}', 422),
    "a lone surrogate": (b'{"system":"s","output":"\\ud800"}', 422),
    "U+0000 in a member": (b'{"system":"s","output":"o","user":"a\\u0000b"}', 422),
    "U+0000 in a model's name": (b'{"system":"s","output":"o","model":{"name":"a\\u0000b"}}', 422),
    "U+0000 in a prompt's version": (b'{"system":"s","output":"o","model":{"prompt":{"version":"\\u0000"}}}', 422),
    "U+0000 in an outcome": (b'{"system":"s","output":"o","outcome":{"decision":"\\u0000"}}', 422),
    "a guardrail of a form that nobody knows": (
        b'{"system":"s","output":"o","enforcement":[{"source":[],"raw":{}}]}',
        422,
    ),
    "an unknown member": (b'{"system":"s","output":"o","tenant_id":"x"}', 422),
    "neither input nor output": (b'{"system":"s"}', 422),
    "no system": (b'{"output":"o"}', 422),
    "a time without a zone": (b'{"system":"s","output":"o","occurred_at":"2026-11-20T08:00:00"}', 422),
    "the year 0001": (b'{"system":"s","output":"o","occurred_at":"0001-01-01T00:00:00Z"}', 422),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_decision_is_refused_at_once(cast: Cast, name: str) -> None:
    body, status = REFUSED[name]
    started = time.monotonic()
    response = post(cast, body)
    assert response.status_code == status, response.content
    assert is_problem(response)
    assert time.monotonic() - started < 1
    assert stored(cast) == 0


def test_a_million_names_do_not_hold_a_worker(cast: Cast) -> None:
    """B2: large, valid, and read in a few seconds at most."""
    names = ",".join(f'"{n}":{n}' for n in range(10**6))
    started = time.monotonic()
    response = post(cast, f'{{"system":"s","output":"o","metadata":{{{names}}}}}'.encode())
    assert response.status_code < 500
    assert time.monotonic() - started < 20


def test_every_bad_item_is_named_and_nothing_is_stored(cast: Cast) -> None:
    batch = [a_decision(), a_decision(latency_ms=-1), a_decision(), a_decision(system=""), "x"]
    response = post(cast, batch)
    assert response.status_code == 422
    assert [error["index"] for error in told(response)["errors"]] == [1, 3, 4]
    assert told(response)["errors"][0]["pointer"] == "/latency_ms"
    assert stored(cast) == 0


def test_an_unreadable_line_of_ndjson_is_named(cast: Cast) -> None:
    body = b'{"system":"s","output":1}\n{"system":"s","output":\n{"system":"s","output":3}\n'
    response = post(cast, body, kind=NDJSON)
    assert response.status_code == 422
    assert "line 2" in told(response)["detail"]
    assert stored(cast) == 0


def test_a_batch_beyond_the_limit_is_413(cast: Cast, settings: Settings) -> None:
    settings.AFFIDAVIT_MAX_BATCH = 2
    response = post(cast, [a_decision()] * 3)
    assert (response.status_code, stored(cast)) == (413, 0)
    assert "smaller batches" in told(response)["detail"]


# --- Size and form of the body --------------------------------------------------------------------------------------


def test_a_body_beyond_the_cap_is_413_before_it_is_read(cast: Cast, settings: Settings) -> None:
    settings.AFFIDAVIT_MAX_BODY = 1_000
    response = post(cast, a_decision(output="x" * 1_000))
    assert response.status_code == 413
    assert is_problem(response)


def test_a_bomb_is_413_and_never_unfolds(cast: Cast, settings: Settings) -> None:
    settings.AFFIDAVIT_MAX_UNPACKED = 2**20
    bomb = gzip.compress(b'{"system":"s","output":"' + b"a" * 2**26 + b'"}')
    started = time.monotonic()
    response = post(cast, bomb, headers={"Content-Encoding": "gzip"})
    assert response.status_code == 413
    assert time.monotonic() - started < 1


BODY = b'{"system":"s","output":"o"}'
MANGLED = {
    "not gzip": BODY,
    "nothing": b"",
    "cut off": gzip.compress(BODY)[:-9],
    "a wrong checksum": gzip.compress(BODY)[:-8] + b"\0" * 8,
    "two members": gzip.compress(BODY + b"\n") + gzip.compress(BODY),
    "something after the end": gzip.compress(BODY) + b"tail",
}


@pytest.mark.parametrize("name", MANGLED)
def test_gzip_that_is_not_one_whole_is_refused(cast: Cast, name: str) -> None:
    response = post(cast, MANGLED[name], kind=NDJSON, headers={"Content-Encoding": "gzip"})
    assert response.status_code == 400, response.content
    assert is_problem(response)
    assert stored(cast) == 0


def test_another_encoding_is_415(cast: Cast) -> None:
    assert post(cast, BODY, headers={"Content-Encoding": "br"}).status_code == 415


@pytest.mark.parametrize("length", ["abc", "-5", "1e3", "١٢"])
def test_a_length_that_is_no_number_is_400(cast: Cast, length: str) -> None:
    response = Client(raise_request_exception=False).generic(
        "POST", URL, BODY, JSON, headers=bearer(cast), CONTENT_LENGTH=length
    )
    assert response.status_code == 400
    assert is_problem(response)


@pytest.mark.parametrize("length", [1, 10])
def test_a_length_that_is_too_short_stores_nothing(cast: Cast, length: int) -> None:
    response = Client().generic("POST", URL, BODY, JSON, headers=bearer(cast), CONTENT_LENGTH=str(length))
    assert (response.status_code, stored(cast)) == (422, 0)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
MEMBERS = ["input", "output", "context", "tools", "outcome", "model", "usage", "enforcement", "metadata", "human",
           "user", "session", "external_id", "trace_id", "latency_ms", "occurred_at", "policy_claim"]  # fmt: skip


@pytest.fixture(scope="module")
def judged() -> Cast:
    """A tenant in which a policy looks at every record."""
    cast = make_cast()
    put_in_force(cast, a_document(limit=10))
    return cast


@given(st.dictionaries(st.sampled_from(MEMBERS), json_values))
@effort(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_sent_the_answer_is_ours(judged: Cast, members: dict[str, Any]) -> None:
    response = post(judged, {"system": "s"} | members)
    assert response.status_code in {201, 409, 422}, response.content


@given(st.binary(max_size=200))
@effort(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_break_it(judged: Cast, body: bytes) -> None:
    for headers in ({}, {"Content-Encoding": "gzip"}):
        assert 400 <= post(judged, body, headers=headers).status_code < 500


# --- Once, and once only --------------------------------------------------------------------------------------------


def test_the_same_content_gets_the_original_answer(cast: Cast) -> None:
    body = [a_decision(), a_decision(external_id=None)]
    first = post(cast, body, headers={"Idempotency-Key": "k-1"})
    again = post(cast, body, headers={"Idempotency-Key": "k-1"})
    assert (first.status_code, again.status_code) == (201, 201)
    assert told(first) == told(again)
    assert "Idempotent-Replayed" not in first
    assert again["Idempotent-Replayed"] == "true"
    assert stored(cast) == 2


def test_the_same_key_with_other_content_is_409(cast: Cast) -> None:
    post(cast, a_decision(), headers={"Idempotency-Key": "k"})
    response = post(cast, a_decision(), headers={"Idempotency-Key": "k"})
    assert (response.status_code, stored(cast)) == (409, 1)
    assert "Idempotency-Key" in told(response)["detail"]


def test_long_keys_that_begin_alike_are_two(cast: Cast) -> None:
    keys = ["k" * 300 + end for end in "ab"]
    assert [post(cast, a_decision(), headers={"Idempotency-Key": key}).status_code for key in keys] == [201, 201]


def test_source_and_external_id_are_one_identity(cast: Cast) -> None:
    sent = a_decision()
    first, again = post(cast, sent), post(cast, sent)
    assert told(first)["id"] == told(again)["id"]
    assert again["Idempotent-Replayed"] == "true"
    conflict = post(cast, [a_decision(), sent | {"output": "changed"}])
    assert conflict.status_code == 409
    (error,) = told(conflict)["errors"]
    assert (error["index"], error["pointer"]) == (1, "/external_id")
    assert told(first)["id"] in error["detail"]
    assert stored(cast) == 1


def test_another_source_may_use_the_same_external_id(cast: Cast) -> None:
    sent = a_decision()
    other = create_source(by=cast.owner, name="other")
    key = create_key(by=cast.owner, name="other", scopes=["ingest"], source=other)
    first = post(cast, sent)
    second = post(cast, sent, headers={"Authorization": f"Bearer {key.secret}"})
    assert told(first)["id"] != told(second)["id"]
    assert stored(cast) == 2


def test_two_tenants_know_nothing_of_each_others_identities(cast: Cast, stranger: Cast) -> None:
    sent = a_decision()
    answers = [post(one, sent, headers={"Idempotency-Key": "same"}) for one in (cast, stranger)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert told(answers[0])["id"] != told(answers[1])["id"]
    assert "Idempotent-Replayed" not in answers[1]


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "together"}], ids=["external id", "key"])
def test_of_many_at_once_one_is_stored(cast: Cast, headers: dict[str, str]) -> None:
    sent = a_decision() if not headers else a_decision(external_id=None)
    answers: list[Any] = []

    def send() -> None:
        answers.append(post(cast, sent, headers=headers))
        connections.close_all()

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {201}
    assert len({told(answer)["id"] for answer in answers}) == 1
    assert stored(cast) == 1


def test_a_new_process_gives_the_original_answer(cast: Cast) -> None:
    """What makes a retry safe is in the database, not in a cache: nothing that a process remembers is left."""
    sent = a_decision()
    first = told(post(cast, sent))
    connections.close_all()
    authentication._cache.clear()
    services._backlog.clear()
    assert told(post(cast, sent)) == first


# --- Who may ---------------------------------------------------------------------------------------------------------


def test_a_key_is_read_in_every_form_that_clients_send(cast: Cast) -> None:
    secret = cast.keys["ingest"].secret
    public, _, private = secret.rpartition("_")
    basic = [base64.b64encode(pair.encode()).decode() for pair in (f"{public}:{private}", f"{public}:{secret}")]
    forms = [{"X-Api-Key": secret}, *({"Authorization": f"Basic {value}"} for value in basic)]
    forms += [{"Authorization": f"bearer {secret}"}, {"Authorization": secret}]
    for headers in forms:
        response = Client().post(URL, json.dumps(a_decision()), JSON, headers=headers)
        assert response.status_code == 201, headers


NO_KEY = {
    "none": {},
    "empty": {"Authorization": ""},
    "no key at all": {"Authorization": "Bearer hello"},
    "not base64": {"Authorization": "Basic ###"},
    "not UTF-8": {"Authorization": f"Basic {base64.b64encode(bytes([0xFF, 0xFE])).decode()}"},
    "a key of nobody": {"X-Api-Key": "aff_" + "a" * 34 + "_" + "a" * 40},
    "beyond ASCII": {"X-Api-Key": "aff_" + "ä" * 34 + "_x"},
}


@pytest.mark.parametrize("name", NO_KEY)
def test_whoever_has_no_key_is_401_and_told_how(name: str) -> None:
    response = Client(raise_request_exception=False).post(URL, BODY, JSON, headers=NO_KEY[name])
    assert response.status_code == 401
    assert is_problem(response)
    assert response["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("scope", ["read", "manage"])
def test_only_an_ingest_key_writes(cast: Cast, scope: str) -> None:
    response = post(cast, a_decision(), headers=bearer(cast, scope))
    assert (response.status_code, stored(cast)) == (403, 0)


def test_an_ingest_key_reads_nothing(cast: Cast) -> None:
    answer = told(post(cast, a_decision()))
    for url in (URL, f"{URL}/{answer['id']}", "/api/v1/policies", "/api/v1/cases", "/api/v1/ledger/checkpoint"):
        assert Client().get(url, headers=bearer(cast)).status_code == 403, url


def test_a_session_is_no_key(cast: Cast) -> None:
    client = Client()
    client.force_login(cast.people["owner"], backend="django.contrib.auth.backends.ModelBackend")
    assert client.post(URL, BODY, JSON).status_code == 401


def test_expired_and_revoked_keys_are_refused(cast: Cast) -> None:
    key = cast.keys["ingest"]
    with tenant_atomic(cast.tenant.pk):
        ApiKey.objects.filter(pk=key.row.pk).update(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert post(cast, a_decision()).status_code == 401
    with tenant_atomic(cast.tenant.pk):
        ApiKey.objects.filter(pk=key.row.pk).update(expires_at=None)
    assert post(cast, a_decision()).status_code == 201
    revoke_key(by=cast.owner, key=key.row)
    authentication._cache.clear()
    response = post(cast, a_decision())
    assert (response.status_code, stored(cast)) == (401, 1)
    assert "revoked" in told(response)["detail"]


# --- When it cannot --------------------------------------------------------------------------------------------------


def test_a_ledger_that_is_behind_pushes_back_until_it_has_caught_up(cast: Cast, settings: Settings) -> None:
    settings.AFFIDAVIT_MMD_SECONDS = 0  # the events of the cast's making are older than that
    response = post(cast, a_decision())
    assert (response.status_code, stored(cast)) == (429, 0)
    assert int(response["Retry-After"]) > 0
    publish(cast)
    services._backlog.clear()
    assert post(cast, a_decision()).status_code == 201


def test_without_a_database_the_answer_is_503_and_soon_and_ends_with_the_outage(cast: Cast) -> None:
    """The login's address leads nowhere: connections are refused, as while PostgreSQL restarts."""
    post(cast, a_decision())
    with pytest.MonkeyPatch.context() as patch:
        connections["ingest"].close()
        patch.setitem(connections["ingest"].settings_dict, "PORT", "1")
        started = time.monotonic()
        response = post(cast, a_decision())
        assert (response.status_code, is_problem(response)) == (503, True)
        assert response["Retry-After"]
        assert time.monotonic() - started < 2
    assert post(cast, a_decision()).status_code == 201
    assert stored(cast) == 2


def test_without_a_receipt_key_nothing_is_stored(cast: Cast, settings: Settings) -> None:
    """What could not be promised is not taken: a fault of ours must not leave records that the sender sends again."""
    settings.AFFIDAVIT_RECEIPT_KEY = ""
    receipt_signer.cache_clear()
    try:
        assert post(cast, a_decision()).status_code == 500
    finally:
        receipt_signer.cache_clear()
    assert stored(cast) == 0


# --- What it costs ---------------------------------------------------------------------------------------------------


def statements(cast: Cast, size: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many statements a batch of that size takes, on every cursor, the driver's own ones too."""
    counted = 0
    execute = psycopg.Cursor.execute

    def counting(self: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal counted
        counted += 1
        return execute(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(psycopg.Cursor, "execute", counting)
        assert post(cast, [a_decision() for _ in range(size)]).status_code == 201
    return counted


def test_a_hundred_records_take_as_many_statements_as_one(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    post(cast, a_decision())
    services._backlog.clear()
    one = statements(cast, 1, monkeypatch)
    services._backlog.clear()
    assert statements(cast, 100, monkeypatch) == one
