"""The case pages, through the browser's door."""

import re
from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from audits.models import Case, CaseItem
from audits.selectors import items_of
from audits.services import Brief, open_case
from audits.workflow import State
from tenants.context import tenant_atomic
from tenants.models import LedgerEvent, User
from tenants.roles import Role
from tests.audits.log import publish
from tests.factories.audits import (
    Team,
    case_in_fieldwork,
    case_in_review,
    fresh,
    make_team,
    pass_every_item,
    planned_case,
)
from tests.factories.tenants import PASSWORD, Cast
from tests.factories.traces import submit
from traces.selectors import DecisionFilter

Page = Callable[..., str]


@pytest.fixture
def team(cast: Cast) -> Team:
    submit(cast, 4)
    return make_team(cast)


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def url(case: Case, name: str, *rest: object) -> str:
    with tenant_atomic(case.tenant_id):
        return reverse(name, args=[case.tenant.slug, case.pk, *rest])


def first_item(case: Case) -> CaseItem:
    with tenant_atomic(case.tenant_id):
        return items_of(case)[0]


def test_a_case_is_worked_from_the_decision_filter_to_the_signed_report(team: Team) -> None:
    lead, reviewer = browser(team.people["lead"]), browser(team.people["reviewer"])
    slug = team.cast.tenant.slug
    opened = lead.post(
        reverse("case-create", args=[slug]),
        {
            "query": "system=loan-assistant&action=allow",
            "title": "Adverse loan decisions",
            "type": "periodic",
            "criteria": "Every refusal names a reason.",
            "preparer": str(team.people["lead"].pk),
            "reviewer": str(team.people["reviewer"].pk),
        },
    )
    assert opened.status_code == 302
    with tenant_atomic(team.cast.tenant.pk):
        case = Case.objects.get()
    assert case.state == State.PLANNED

    def step(client: Client, name: str, **data: object) -> None:
        answer = client.post(url(case, name), {"version": fresh(case).version, **data})
        assert answer.status_code == 302, answer.content.decode()

    publish(team.cast)
    step(lead, "case-move", action="freeze")
    publish(team.cast)
    step(lead, "case-sample", method="random", size="3", overreliance="500")
    with tenant_atomic(case.tenant_id):
        items = list(items_of(case))
    assert len(items) == 3
    for item in items:
        row = lead.post(url(case, "case-item", item.pk), {"result": "pass"}, headers={"HX-Request": "true"})
        assert row.status_code == 200
        assert f'id="item-{item.pk}"' in row.content.decode()
    lead.post(url(case, "case-item", items[0].pk), {"result": "fail", "note": "No reason."})
    finding = {
        "item": items[0].ordinal,
        "kind": "minor_nonconformity",
        "severity": "low",
        "criteria": "a",
        "condition": "b",
    }
    step(lead, "case-finding", **finding)
    step(lead, "case-move", action="submit")
    step(reviewer, "case-move", action="accept")
    step(lead, "case-sign", password=PASSWORD)
    step(reviewer, "case-sign", password=PASSWORD)
    assert fresh(case).state == State.SIGNED
    pdf = lead.get(url(case, "case-report"))
    assert (pdf.status_code, pdf["Content-Type"], pdf.content[:5]) == (200, "application/pdf", b"%PDF-")
    assert fresh(case).state == State.REPORTED
    assert browser(team.cast.people[Role.VIEWER]).get(url(case, "case-report")).content == pdf.content
    bundle = lead.get(url(case, "case-bundle"))
    assert b"".join(bundle.streaming_content)[:2] == b"PK"  # type: ignore[attr-defined]


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.VIEWER, Role.OWNER])
def test_the_workspace_shows_itself_in_every_state(team: Team, role: str) -> None:
    client = browser(team.cast.people[role])
    for made in (planned_case, case_in_fieldwork, case_in_review):
        case = made(team)
        page = client.get(url(case, "case-detail"))
        assert page.status_code == 200
        assert case.title in page.content.decode()


def test_the_content_is_shown_to_those_who_may_read_it_and_the_reading_recorded(team: Team) -> None:
    case = case_in_fieldwork(team)
    assert "May I borrow 5,000?" in browser(team.people["lead"]).get(url(case, "case-detail")).content.decode()
    with tenant_atomic(case.tenant_id):
        assert LedgerEvent.objects.filter(tag="payload.read", actor=team.lead.reference).count() == 1
    viewer = browser(team.cast.people[Role.VIEWER])
    assert "May I borrow" not in viewer.get(url(case, "case-detail")).content.decode()


def test_a_viewer_changes_nothing(team: Team) -> None:
    case = case_in_fieldwork(team)
    viewer = browser(team.cast.people[Role.VIEWER])
    assert viewer.get(reverse("case-create", args=[team.cast.tenant.slug])).status_code == 403
    assert viewer.post(url(case, "case-move"), {"action": "cancel", "reason": "x"}).status_code == 409
    item = first_item(case)
    row = viewer.post(url(case, "case-item", item.pk), {"result": "pass"}, headers={"HX-Request": "true"})
    assert row.status_code == 409
    assert first_item(case).conclusion == ""


@pytest.mark.parametrize("name", ["case-detail", "case-sign", "case-report", "case-bundle", "case-plan", "case-sample"])
def test_another_tenant_gets_404(team: Team, stranger: Cast, name: str) -> None:
    case = planned_case(team)
    outsider = browser(stranger.people[Role.AUDITOR])
    assert outsider.get(url(case, name)).status_code == 404
    assert outsider.get(reverse(name, args=[stranger.tenant.slug, case.pk])).status_code == 404


def test_an_illegal_step_is_409_and_changes_nothing(team: Team) -> None:
    case = planned_case(team)
    answer = browser(team.people["lead"]).post(url(case, "case-move"), {"action": "submit", "version": case.version})
    assert answer.status_code == 409
    assert fresh(case).version == case.version


def test_a_wrong_password_does_not_sign(team: Team) -> None:
    case = case_in_review(team)
    browser(team.people["reviewer"]).post(url(case, "case-move"), {"action": "accept"})
    answer = browser(team.people["lead"]).post(
        url(case, "case-sign"), {"password": "guess", "version": fresh(case).version}
    )
    assert "not your password" in answer.content.decode()
    assert fresh(case).state == State.PENDING_SIGNOFF


def test_pages_carry_no_inline_script_or_style(team: Team) -> None:
    page = browser(team.people["lead"]).get(url(case_in_fieldwork(team), "case-detail")).content.decode()
    assert not re.search(r"\son\w+=|<style|style=|<script(?![^>]*src=)", page)


def queries(client: Client, address: str) -> int:
    client.get(address)  # warm: content types, keys
    with CaptureQueriesContext(connection) as captured:
        assert client.get(address).status_code == 200
    return len(captured)


def test_the_list_costs_the_same_at_two_sizes(team: Team) -> None:
    client, address = browser(team.people["lead"]), reverse("case-list", args=[team.cast.tenant.slug])
    case_in_fieldwork(team)
    few = queries(client, address)
    for n in range(8):
        open_case(by=team.lead, scope=DecisionFilter(), brief=Brief(f"Case {n}"))
    assert queries(client, address) == few <= 12


def test_the_workspace_costs_the_same_at_two_sizes(team: Team) -> None:
    client = browser(team.people["lead"])
    small = case_in_fieldwork(team)
    pass_every_item(team, small)
    few = queries(client, url(small, "case-detail"))
    submit(team.cast, 20)
    large = case_in_fieldwork(team)
    pass_every_item(team, large)
    assert queries(client, url(large, "case-detail")) == few <= 30
