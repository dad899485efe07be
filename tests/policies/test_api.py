"""Policies over REST: documents in, the lifecycle by keys, and refusals that say what is possible."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from drf_spectacular.generators import SchemaGenerator

from policies.backtests import start_backtest
from policies.lifecycle import Step
from policies.models import PolicyApproval, PolicyBacktest, PolicyVersion
from policies.services import draft_version, submit_version
from tenants.context import tenant_atomic
from tenants.roles import Role
from tests.factories.policies import a_document, approve, approved, approvers, put_in_force, submitted
from tests.factories.tenants import Cast

API = "/api/v1/policies"
YAML, JSON = "application/yaml", "application/json"
PROBLEM = "application/problem+json"


def program(cast: Cast, scope: str = "manage") -> Client:
    return Client(headers={"Authorization": f"Bearer {cast.keys[scope].secret}"})


def draft(cast: Cast, source: str, content_type: str = YAML, slug: str = "short-answers") -> Any:
    return program(cast).post(f"{API}/{slug}/versions", source, content_type=content_type)


def step(
    cast: Cast, version: PolicyVersion, name: str, given: dict[str, Any] | None = None, if_match: str | None = None
) -> Any:
    url = f"{API}/{version.policy.slug}/versions/{version.number}/{name}"
    headers = {"If-Match": if_match} if if_match else {}
    return program(cast).post(url, given or {}, content_type=JSON, headers=headers)


def test_a_policy_goes_from_a_file_into_force_by_keys_and_one_person(cast: Cast) -> None:
    told = draft(cast, a_document())
    assert (told.status_code, told.json()["state"], told.json()["version"]) == (201, "draft", 1)
    assert told.headers["Location"] == f"{API}/short-answers/versions/1"
    assert program(cast).get(told.headers["Location"]).json()["source"] == a_document()
    with tenant_atomic(cast.tenant.pk):
        version = PolicyVersion.objects.select_related("policy").get()
    assert step(cast, version, "submit").json()["state"] == "in_review"
    approve(approvers(cast, 1)[0], version)
    refused = step(cast, version, "activate")
    assert (refused.status_code, refused.json()["state"]) == (409, "approved")  # its owner's key drafted it
    assert "somebody else" in refused.json()["detail"]


def test_what_a_person_wrote_and_others_approved_a_key_activates_and_ends(cast: Cast) -> None:
    version = approved(cast, a_document())
    start = datetime.now(UTC) + timedelta(hours=1)
    planned = step(cast, version, "activate", {"starts": start.isoformat()}).json()
    assert (planned["state"], planned["steps"]) == ("scheduled", ["cancel", "edit"])
    assert step(cast, version, "cancel").json()["state"] == "approved"
    assert step(cast, version, "shadow").json()["state"] == "shadow"
    assert step(cast, version, "activate").json()["state"] == "active"
    assert step(cast, version, "suspend", {"reason": "too strict"}).json()["state"] == "suspended"
    assert step(cast, version, "resume", {"reason": "looked into"}).json()["state"] == "active"
    assert step(cast, version, "retire").json()["state"] == "retired"
    activations = program(cast).get(f"{API}/short-answers").json()["activations"]
    assert [a["ended_as"] for a in activations if not a["cancelled_at"] and a["mode"] == "enforce"] == [
        "retired",
        "suspended",
    ]


@pytest.mark.parametrize(
    "body",
    [
        (a_document(), YAML),
        (orjson.dumps({"document": a_document(), "change_reason": "first"}).decode(), JSON),
        (a_document(), "text/plain"),
    ],
)
def test_a_document_is_taken_in_any_wrapping(cast: Cast, body: tuple[str, str]) -> None:
    told = draft(cast, *body)
    assert told.status_code == 201
    as_json = orjson.dumps(told.json()["document"]).decode()
    again = draft(cast, as_json, JSON)
    assert (again.status_code, "exactly the same" in again.json()["detail"]) == (409, True)


def test_a_document_that_is_wrong_is_told_by_line_and_column(cast: Cast) -> None:
    told = draft(cast, a_document().replace("output.length", "output.lenght").replace("block", "blok"))
    assert (told.status_code, told.headers["Content-Type"]) == (422, PROBLEM)
    places = {(error["line"], error["column"]) for error in told.json()["errors"]}
    assert {line for line, _ in places} == {10, 11}
    other = draft(cast, a_document("another"))
    assert [error["line"] for error in other.json()["errors"]] == [2]
    for body, kind in ((b"\xff\xfe", "text/plain"), (b'{"document": 1}', JSON)):
        assert program(cast).post(f"{API}/x/versions", body, content_type=kind).status_code == 400
    with tenant_atomic(cast.tenant.pk):
        assert not PolicyVersion.objects.exists()


@pytest.mark.parametrize("name", ["approve", "reject"])
@pytest.mark.parametrize("scope", ["manage", "read"])
def test_no_key_approves_and_the_refusal_says_where_a_person_does(cast: Cast, name: str, scope: str) -> None:
    version = submitted(cast, a_document())
    url = f"{API}/short-answers/versions/1/{name}"
    told = program(cast, scope).post(url, {"token": "x", "password": "y"}, content_type=JSON)
    assert (told.status_code, told.headers["Content-Type"]) == (403, PROBLEM)
    assert told.json()["page"] == f"/t/{cast.tenant.slug}/policies/short-answers/1/review/"
    assert "person" in told.json()["detail"]
    with tenant_atomic(cast.tenant.pk):
        assert not PolicyApproval.objects.filter(review__version=version).exists()


def test_no_key_breaks_the_glass(cast: Cast) -> None:
    version = submitted(cast, a_document())
    told = step(cast, version, "break-glass", {"reason": "now"})
    assert (told.status_code, told.headers["Content-Type"]) == (403, PROBLEM)
    assert "person" in told.json()["detail"]


def test_what_the_state_does_not_allow_is_409_with_what_it_does(cast: Cast) -> None:
    version = submitted(cast, a_document())
    told = step(cast, version, "activate")
    assert (told.status_code, told.headers["Content-Type"]) == (409, PROBLEM)
    assert told.json() | {"detail": ""} == {
        "type": "about:blank",
        "title": "Not possible now",
        "status": 409,
        "detail": "",
        "state": "in_review",
        "revision": 2,
        "steps": ["edit", "withdraw"],
    }


def test_a_step_is_for_the_revision_that_was_seen(cast: Cast) -> None:
    version = submitted(cast, a_document())
    seen = program(cast).get(f"{API}/short-answers/versions/1")
    assert seen.headers["ETag"] == f'"{seen.json()["revision"]}"' == '"2"'
    stale = step(cast, version, "withdraw", if_match='"1"')
    assert (stale.status_code, stale.json()["revision"], stale.json()["state"]) == (412, 2, "in_review")
    assert step(cast, version, "withdraw", if_match="nonsense").status_code == 412
    assert step(cast, version, "withdraw", {"revision": 1}).status_code == 409
    assert step(cast, version, "withdraw", if_match=seen.headers["ETag"]).json()["state"] == "withdrawn"


@pytest.mark.parametrize("name", ["activate", "suspend", "resume", "retire", "cancel", "break-glass", "submit"])
def test_every_step_looks_at_the_revision(cast: Cast, name: str) -> None:
    version = submitted(cast, a_document())
    given = {"revision": 1, "reason": "r"}
    told = step(cast, version, name, given)
    assert told.status_code == (403 if name == "break-glass" else 409)
    if name != "break-glass":
        assert "Somebody changed" in told.json()["detail"]


def test_a_read_key_reads_and_changes_nothing(cast: Cast) -> None:
    version = submitted(cast, a_document())
    client = program(cast, "read")
    assert client.get(f"{API}/short-answers/versions").json()["items"][0]["state"] == "in_review"
    assert client.post(f"{API}/short-answers/versions", a_document(), content_type=YAML).status_code == 403
    url = f"{API}/{version.policy.slug}/versions/1/withdraw"
    assert client.post(url, {}, content_type=JSON).status_code == 403
    assert program(cast, "ingest").get(API).status_code == 403


def test_an_unknown_step_version_or_policy_is_404(cast: Cast, stranger: Cast) -> None:
    version = submitted(stranger, a_document())
    mine = submitted(cast, a_document("mine"))
    assert step(cast, mine, "explode").status_code == 404
    assert step(cast, version, "submit").status_code == 404
    for path in ("short-answers", "short-answers/versions", "short-answers/versions/1", "mine/versions/9"):
        assert program(cast).get(f"{API}/{path}").status_code == 404


def test_policies_are_listed_in_pages_at_the_same_cost(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    client = program(cast)
    put_in_force(cast, a_document("a"))
    client.get(API)
    with CaptureQueriesContext(connection) as few:
        (only,) = client.get(API).json()["items"]
    assert only == {
        "slug": "a",
        "title": "Answers stay under 100 characters",
        "state": "active",
        "newest_version": 1,
        "version_in_force": 1,
    }
    for slug in ("b", "c", "d", "e"):
        put_in_force(cast, a_document(slug))
    with CaptureQueriesContext(connection) as many:
        assert len(client.get(API).json()["items"]) == 5
    assert len(many) == len(few)
    monkeypatch.setattr("policies.api.PAGE_SIZE", 2)
    first = client.get(API).json()
    assert (first["next"], [p["slug"] for p in client.get(API, {"after": "b"}).json()["items"]]) == ("b", ["c", "d"])
    assert client.get(API, {"after": "d"}).json()["next"] is None


def window() -> dict[str, str]:
    now = datetime.now(UTC)
    return {"since": (now - timedelta(days=1)).isoformat(), "until": now.isoformat()}


def test_a_backtest_is_asked_for_read_and_stopped(cast: Cast) -> None:
    submitted(cast, a_document())
    client = program(cast)
    body = {"policy": "short-answers", "version": 1, "system": "loans"} | window()
    told = client.post("/api/v1/backtests", body, content_type=JSON)
    assert (told.status_code, told.json()["state"]) == (201, "queued")
    where = told.headers["Location"]
    assert client.get(where).json() | {"result": None} == told.json() | {"result": None}
    assert client.delete(where).json()["state"] == "cancelled"
    again = client.delete(where)
    assert (again.status_code, again.headers["Content-Type"]) == (409, PROBLEM)
    assert program(cast, "read").delete(where).status_code == 403
    with tenant_atomic(cast.tenant.pk):
        assert PolicyBacktest.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "status"),
    [({"since": "soon"}, 400), ({"version": 9}, 404), ({"until": "2999-01-01T00:00:00Z"}, 422), ({"policy": "x"}, 404)],
)
def test_a_backtest_that_cannot_be_is_refused(cast: Cast, changes: dict[str, Any], status: int) -> None:
    submitted(cast, a_document())
    body = {"policy": "short-answers", "version": 1} | window() | changes
    told = program(cast).post("/api/v1/backtests", body, content_type=JSON)
    assert (told.status_code, told.headers["Content-Type"]) == (status, PROBLEM)


def test_backtests_are_listed_newest_first_at_the_same_cost(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    by = cast.actors[Role.POLICY_AUTHOR]
    version, other = submitted(cast, a_document()), submitted(cast, a_document("other"))
    now = datetime.now(UTC)

    def ask(of: PolicyVersion) -> str:
        return str(start_backtest(by=by, version=of, since=now - timedelta(days=1), until=now).pk)

    ids = [ask(version)]
    client = program(cast)
    client.get("/api/v1/backtests")
    with CaptureQueriesContext(connection) as few:
        client.get("/api/v1/backtests")
    ids += [ask(version), ask(other), ask(version)]
    with CaptureQueriesContext(connection) as many:
        items = client.get("/api/v1/backtests").json()["items"]
    assert len(many) == len(few)
    assert sorted(item["id"] for item in items) == sorted(ids)
    assert [i["id"] for i in client.get("/api/v1/backtests", {"policy": "other"}).json()["items"]] == [ids[2]]
    monkeypatch.setattr("policies.api.PAGE_SIZE", 3)
    page = client.get("/api/v1/backtests").json()
    (last,) = client.get("/api/v1/backtests", {"before": page["before"]}).json()["items"]
    assert {last["id"], *(item["id"] for item in page["items"])} == set(ids)
    assert client.get("/api/v1/backtests", {"before": "x"}).status_code == 400


def test_approvals_are_shown_and_an_edit_voids_them_over_rest_too(cast: Cast) -> None:
    version = submitted(cast, a_document(risk="high"))
    by = cast.actors[Role.POLICY_AUTHOR]
    approve(approvers(cast, 1)[0], version)
    shown = program(cast).get(f"{API}/short-answers/versions/1").json()
    assert (shown["quorum"]["needed"], len(shown["approvals"])) == (2, 1)
    assert draft(cast, a_document(risk="high", limit=5)).status_code == 201
    assert program(cast).get(f"{API}/short-answers/versions/1").json()["state"] == "superseded"
    edited = draft_version(by=by, source=a_document(risk="high", limit=6))
    submit_version(by=by, version=edited)
    assert program(cast).get(f"{API}/short-answers/versions/3").json()["approvals"] == []


def test_the_steps_of_the_api_are_those_of_the_table() -> None:
    from policies.api import A_PERSONS, STEPS

    known = {step.value.replace("_", "-") for step in Step} - {Step.EDIT} - A_PERSONS
    assert set(STEPS) == known | {"shadow", "end-shadow"}


@pytest.mark.parametrize("question", ["policies?after=%00", "backtests?policy=a%00", "backtests?before="])
def test_a_question_that_cannot_be_asked_is_400(cast: Cast, question: str) -> None:
    headers = {"Authorization": f"Bearer {cast.keys['read'].secret}"}
    assert Client().get(f"/api/v1/{question}", headers=headers).status_code == 400


def test_the_schema_names_every_address() -> None:
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    for path in (
        "/api/v1/policies",
        "/api/v1/policies/{policy}/versions/{number}/{step}",
        "/api/v1/backtests/{backtest}",
        "/api/v1/evaluations",
    ):
        assert path in paths
