"""Letters as pages."""

import pytest
from django.test import Client
from django.urls import reverse

from audits.models import Case, CaseType, Letter
from tenants.context import tenant_atomic
from tenants.models import User
from tenants.roles import Role
from tests.audits.test_letters import MENDED, explained_case
from tests.factories.audits import Team, make_team
from tests.factories.tenants import Cast
from tests.factories.traces import submit


@pytest.fixture
def team(cast: Cast) -> Team:
    submit(cast, 1)
    return make_team(cast)


@pytest.fixture
def case(team: Team) -> Case:
    return explained_case(team)


def as_person(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def url(case: Case, name: str, *rest: object) -> str:
    with tenant_atomic(case.tenant_id):
        slug = case.tenant.slug
    return reverse(name, args=[slug, case.pk, *rest])


def test_from_the_record_to_a_letter_that_left(team: Team, case: Case) -> None:
    lead, reviewer = as_person(team.people["lead"]), as_person(team.people["reviewer"])
    made = lead.post(url(case, "case-letters"), {"item": 1})
    assert made["Location"] == url(case, "case-letter", 1)
    page = lead.get(made["Location"]).content.decode()
    assert "The result was: “refer”." in page
    assert "Some parts are still empty" in page
    assert 'value="approve"' not in page  # not by who wrote it
    form = lead.get(made["Location"]).context["form"]
    said = {name: form.initial.get(name, "") for name in form.fields} | MENDED
    assert lead.post(made["Location"], said).status_code == 302
    step = url(case, "case-letter-step", 1)
    assert 'value="approve"' in reviewer.get(made["Location"]).content.decode()
    assert reviewer.post(step, {"action": "approve", "version": 2}).status_code == 302
    assert lead.post(step, {"action": "send", "text": "By post.", "version": 3}).status_code == 302
    pdf = lead.get(url(case, "case-letter-pdf", 1))
    assert pdf.content.startswith(b"%PDF-")
    assert f'filename="{case.reference}-L-1.pdf"' in pdf["Content-Disposition"]
    listed = lead.get(url(case, "case-letters")).content.decode()
    assert "Sent" in listed


def test_what_is_refused_says_why(team: Team, case: Case) -> None:
    lead, reviewer = as_person(team.people["lead"]), as_person(team.people["reviewer"])
    assert lead.post(url(case, "case-letters"), {"item": 9}).status_code == 404
    assert lead.post(url(case, "case-letters"), {}).status_code == 422
    assert reviewer.post(url(case, "case-letters"), {"item": 1}).status_code == 409
    lead.post(url(case, "case-letters"), {"item": 1})
    step = url(case, "case-letter-step", 1)
    lacking = reviewer.post(step, {"action": "approve", "version": 1})
    assert (lacking.status_code, "recipient, contact" in lacking.content.decode()) == (422, True)
    assert reviewer.post(step, {"action": "send", "text": "x", "version": 1}).status_code == 409
    assert reviewer.post(step, {"action": "explode"}).status_code == 422
    assert lead.post(url(case, "case-letter", 1), {"version": 7}).status_code == 409


def test_the_tab_is_there_where_letters_are(team: Team, case: Case) -> None:
    lead = as_person(team.people["lead"])
    assert url(case, "case-letters") in lead.get(url(case, "case-detail")).content.decode()
    periodic = explained_case(team, CaseType.PERIODIC)
    assert url(periodic, "case-letters") not in lead.get(url(periodic, "case-detail")).content.decode()


def test_who_reads_cases_and_not_contents_sees_that_there_is_one(team: Team, case: Case) -> None:
    as_person(team.people["lead"]).post(url(case, "case-letters"), {"item": 1})
    viewer = as_person(team.cast.people[Role.VIEWER])
    listed = viewer.get(url(case, "case-letters")).content.decode()
    assert "Explanation of item 1" in listed
    assert url(case, "case-letter", 1) not in listed
    assert viewer.get(url(case, "case-letter", 1)).status_code == 403
    with tenant_atomic(case.tenant_id):
        assert Letter.objects.get().state == "draft"
