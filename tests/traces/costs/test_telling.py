"""Budgets and anomalies are told once, with amounts and no names."""

import uuid
from datetime import UTC, datetime, timedelta

import orjson

from tenants.context import tenant_atomic
from tenants.models import WebhookDelivery
from tenants.webhooks.services import EndpointTerms, create_endpoint
from tests.factories.costs import spend, terms
from tests.factories.tenants import Cast
from traces.costs.budgeting import create_budget, watch_budgets
from traces.costs.telling import anomaly_notice, tell_alerts, tell_anomalies
from traces.models import BudgetAlert, CostAnomaly, Deployment

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_a_crossed_threshold_is_told_once_whoever_finds_it(cast: Cast) -> None:
    create_endpoint(by=cast.owner, terms=EndpointTerms("Us", "https://hooks.example.com/"))
    create_budget(by=cast.owner, terms=terms(name="Support", limit_micros=10_000_000, thresholds=(50, 100)))
    spend(cast, 6, at=NOW - timedelta(days=15), now=NOW)
    watch_budgets(cast.tenant.pk, now=NOW)
    with tenant_atomic(cast.tenant.pk):
        stored = BudgetAlert.objects.select_related("budget").get()
        stored.pk = None  # as a second worker would find it, at the same moment
        tell_alerts([stored])
        event = orjson.loads(bytes(WebhookDelivery.objects.get().payload))
    assert (event["type"], event["data"]["threshold"]) == ("budget_alert.raised", 50)
    assert event["data"]["title"] == "Support: 50 % spent"
    assert event["data"]["text"].startswith("6.00 USD of 10.00 USD; ")


def test_an_anomaly_does_not_say_whose_session_it_was() -> None:
    one = CostAnomaly(
        tenant_id=uuid.uuid4(), kind="runaway_session", who="s-of-anna", day=NOW, noticed_at=NOW, n=90, currency="USD",
        cost_micros=9_000_000, lost_micros=8_000_000, cause="90 calls today",
    )  # fmt: skip
    notice = anomaly_notice(one, Deployment(tenant_id=one.tenant_id, system="support"))
    assert notice.title == "Runaway session: support"
    assert notice.text == "8.00 USD beyond the usual: 90 calls today."
    assert "anna" not in orjson.dumps(dict(notice.data)).decode()


def test_an_anomaly_that_has_grown_is_told_again_and_one_without_a_price_says_so(cast: Cast) -> None:
    create_endpoint(by=cast.owner, terms=EndpointTerms("Us", "https://hooks.example.com/"))
    spend(cast, 1, at=NOW, now=NOW)
    with tenant_atomic(cast.tenant.pk):
        found = {
            "kind": "repeated_requests", "deployment": Deployment.objects.get(), "who": "u-1", "day": NOW,
            "noticed_at": NOW, "cost_micros": 0, "lost_micros": 0, "cause": "again and again",
        }  # fmt: skip
        for n in (6, 6, 12):
            tell_anomalies([CostAnomaly(n=n, currency="", **found)])
        told = [orjson.loads(bytes(one.payload))["data"] for one in WebhookDelivery.objects.order_by("id")]
    assert [one["decisions"] for one in told] == [6, 12]
    assert told[0]["text"] == "No price is known: again and again."
