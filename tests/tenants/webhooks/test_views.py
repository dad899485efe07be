"""Pages and API of endpoints: the secret once, the log with what was answered, at the same cost for more of it."""

import uuid
from collections.abc import Mapping

import pytest
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tenants.context import tenant_atomic
from tenants.models import WebhookEndpoint
from tenants.roles import Role
from tenants.webhooks import sending, services
from tenants.webhooks.services import EndpointTerms
from tests.factories.tenants import Cast
from tests.tenants.webhooks.receiver import Receiver

URL = "https://hooks.example.com/in"


@pytest.fixture
def owner(cast: Cast) -> Client:
    client = Client()
    client.force_login(cast.people[Role.OWNER], backend="django.contrib.auth.backends.ModelBackend")
    return client


def bearer(cast: Cast, key: str = "manage") -> Mapping[str, str]:
    return {"Authorization": f"Bearer {cast.keys[key].secret}"}


def test_a_secret_is_shown_once(cast: Cast, owner: Client) -> None:
    page = f"/t/{cast.tenant.slug}/webhooks/"
    made = owner.post(page, {"name": "On call", "kind": "generic", "address": URL}).content.decode()
    assert "whsec_" in made
    with tenant_atomic(cast.tenant.pk):
        row = WebhookEndpoint.objects.get()
    assert "whsec_" not in owner.get(f"{page}{row.pk}/").content.decode()
    assert "whsec_" in owner.post(f"{page}{row.pk}/rotate/").content.decode()


def test_what_is_refused_is_said_at_its_field(cast: Cast, owner: Client) -> None:
    sent = {"name": "On call", "kind": "generic", "address": "https://169.254.169.254/latest/"}
    answer = owner.post(f"/t/{cast.tenant.slug}/webhooks/", sent)
    assert "not on the public internet" in answer.content.decode()


def test_the_page_shows_what_was_answered(cast: Cast, owner: Client, receiver: Receiver) -> None:
    row = services.create_endpoint(by=cast.owner, terms=EndpointTerms("Us", receiver.url)).row
    page = f"/t/{cast.tenant.slug}/webhooks/{row.pk}/"
    receiver.answers = [(500, {}, b"<b>out of order</b>")]
    owner.post(f"{page}ping/")
    sending.send_due([cast.tenant.pk])
    text = owner.get(page).content.decode()
    assert "HTTP 500" in text
    assert "&lt;b&gt;out of order" in text
    assert "Failing" in text


@pytest.mark.parametrize("place", ["list", "page", "api"])
def test_more_deliveries_and_endpoints_cost_no_more_queries(cast: Cast, owner: Client, place: str) -> None:
    row = services.create_endpoint(by=cast.owner, terms=EndpointTerms("Us", URL)).row
    page = f"/t/{cast.tenant.slug}/webhooks/"
    url = {"list": page, "page": f"{page}{row.pk}/", "api": f"/api/v1/webhooks/{row.pk}/deliveries"}[place]
    headers = bearer(cast) if place == "api" else {}
    owner.get(url, headers=headers)  # what is looked up once a process
    counts = []
    for n in (2, 9):
        for _ in range(n):
            services.ping_endpoint(by=cast.owner, pk=row.pk)
        services.create_endpoint(by=cast.owner, terms=EndpointTerms(f"Other {n}", URL))
        with CaptureQueriesContext(connections["default"]) as queries:
            assert owner.get(url, headers=headers).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 20


def test_pages_go_on_to_older_deliveries(cast: Cast, owner: Client) -> None:
    row = services.create_endpoint(by=cast.owner, terms=EndpointTerms("Us", URL)).row
    for _ in range(51):
        services.ping_endpoint(by=cast.owner, pk=row.pk)
    first = owner.get(f"/api/v1/webhooks/{row.pk}/deliveries", headers=bearer(cast)).json()
    rest = owner.get(f"/api/v1/webhooks/{row.pk}/deliveries?before={first['before']}", headers=bearer(cast)).json()
    assert (len(first["items"]), len(rest["items"]), rest["before"]) == (50, 1, None)


def test_the_life_of_an_endpoint_over_rest(cast: Cast, stranger: Cast) -> None:
    client, sent = Client(), {"name": "Us", "address": URL, "event_types": ["budget_alert.raised"]}
    made = client.post("/api/v1/webhooks", sent, "application/json", headers=bearer(cast)).json()
    assert made["secret"].startswith("whsec_")
    url = f"/api/v1/webhooks/{made['id']}"
    changed = client.put(url, {"name": "You"}, "application/json", headers=bearer(cast)).json()
    assert (changed["name"], changed["address"], changed["event_types"]) == ("You", URL, [])
    assert "secret" not in client.get(url, headers=bearer(cast)).json()
    assert client.get(url, headers=bearer(stranger)).status_code == 404
    assert client.get(url, headers=bearer(cast, "read")).status_code == 403
    ping = client.post(f"{url}/ping", headers=bearer(cast)).json()
    assert (ping["type"], ping["state"]) == ("webhook_endpoint.pinged", "waiting")
    assert client.post(f"/api/v1/deliveries/{ping['id']}/resend", headers=bearer(cast)).status_code == 202
    assert client.post(f"/api/v1/deliveries/{uuid.uuid4()}/resend", headers=bearer(cast)).status_code == 404
    assert client.post(f"{url}/explode", headers=bearer(cast)).status_code == 404
    assert client.delete(url, headers=bearer(cast)).status_code == 204
    assert client.get(url, headers=bearer(cast)).status_code == 404


@pytest.mark.parametrize("body", [[], {"name": 1}, {"url": URL}, {"name": "x", "event_types": [1]}, {"name": "x"}])
def test_a_bad_endpoint_is_a_problem_that_names_the_member(cast: Cast, body: object) -> None:
    answer = Client().post("/api/v1/webhooks", body, "application/json", headers=bearer(cast))
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")
