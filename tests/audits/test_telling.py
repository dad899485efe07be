"""A case that is opened and planned is told of, with who is to do what."""

from typing import Any

import orjson

from tenants.context import tenant_atomic
from tenants.models import WebhookDelivery
from tenants.webhooks.services import EndpointTerms, create_endpoint
from tests.factories.audits import make_team, planned_case
from tests.factories.tenants import Cast
from tests.factories.traces import submit


def told(cast: Cast) -> list[dict[str, Any]]:
    with tenant_atomic(cast.tenant.pk):
        return [orjson.loads(bytes(row.payload)) for row in WebhookDelivery.objects.order_by("id")]


def test_opened_and_planned_are_told_in_turn(cast: Cast) -> None:
    create_endpoint(by=cast.owner, terms=EndpointTerms("Us", "https://hooks.example.com/"))
    submit(cast, 1)
    team = make_team(cast)
    case = planned_case(team)
    opened, assigned = told(cast)
    assert (opened["type"], assigned["type"]) == ("case.opened", "case.assigned")
    assert opened["data"]["text"].startswith(f"{team.people['lead']} leads it.")
    assert assigned["data"]["reviewer"] == str(team.people["reviewer"])
    assert opened["data"]["case"] == assigned["data"]["case"] == str(case.pk)
