"""A case that is opened and planned is told of, with who is to do what."""

from datetime import date
from typing import Any

import orjson

from audits.findings import Terms, move_finding
from audits.lifecycles import FindingAction
from audits.requests import RequestText, request_evidence
from audits.services import FindingText, write_finding
from tenants.context import tenant_atomic
from tenants.models import Notification, WebhookDelivery
from tenants.roles import Role
from tenants.webhooks.services import EndpointTerms, create_endpoint
from tests.factories.audits import case_in_fieldwork, make_team, planned_case
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


def test_who_is_asked_and_who_owns_a_finding_are_told_and_no_word_of_it(cast: Cast) -> None:
    create_endpoint(by=cast.owner, terms=EndpointTerms("Us", "https://hooks.example.com/"))
    submit(cast, 1)
    team, author = make_team(cast), cast.people[Role.POLICY_AUTHOR]
    case = case_in_fieldwork(team)
    finding = write_finding(by=team.lead, case=case, text=FindingText("In time.", "Late for Jo Doe."))
    move_finding(by=team.lead, finding=finding, action=FindingAction.ASSIGN, terms=Terms(owner=author))
    request_evidence(by=team.lead, case=case, text=RequestText("Jo Doe's file", due=date(2026, 12, 24)))
    owned, asked = told(cast)[-2:]
    assert (owned["type"], owned["data"]["text"]) == ("finding.assigned", f"Of {author}.")
    assert asked["data"]["text"] == "Of whoever answers findings, by 24 Dec 2026. The case waits for it."
    assert (asked["type"], asked["data"]["request"]) == ("evidence_request.opened", 1)
    assert "Doe" not in orjson.dumps([owned, asked]).decode()
    with tenant_atomic(cast.tenant.pk):
        first, second = Notification.objects.order_by("-id")[:2]
        assert (list(first.people), list(second.people)) == ([], [author.pk])
