"""The tabs of a case, through the browser's door."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from audits.clocks import meet_clock
from audits.deadlines import ClockKind
from audits.evidence import Upload, add_evidence
from audits.filetypes import TEST_VIRUS
from audits.models import Case, CaseType, CaseUserObjectPermission
from audits.requests import RequestText, request_evidence
from audits.services import Brief, FindingText, grant_case_access, move_case, open_case, write_finding
from audits.workflow import Action, State
from tenants.context import tenant_atomic
from tenants.models import LedgerEvent
from tenants.roles import Role
from tests.audits.test_views import browser, queries, url
from tests.factories.audits import Team, case_in_fieldwork, case_in_review, fresh, make_team, reopened_case
from tests.factories.tenants import Cast
from tests.factories.traces import submit
from traces.selectors import DecisionFilter

TABS = ("detail", "procedures", "findings", "evidence", "review", "timeline", "access")


@pytest.fixture
def team(cast: Cast) -> Team:
    submit(cast, 3)
    return make_team(cast)


@pytest.fixture
def lead(team: Team) -> Client:
    return browser(team.people["lead"])


def post(client: Client, case: Case, name: str, *rest: object, **data: Any) -> Any:
    return client.post(url(case, f"case-{name}", *rest), data)


def shown(client: Client, case: Case, tab: str) -> str:
    return client.get(url(case, f"case-{tab}")).content.decode()


def test_a_request_is_asked_answered_with_a_file_and_accepted(team: Team, lead: Client) -> None:
    case, author = case_in_fieldwork(team), team.cast.people[Role.POLICY_AUTHOR]
    form = {"request-title": "The change log", "request-addressee": str(author.pk), "request-is_blocking": "on"}
    assert post(lead, case, "request", **form).status_code == 302
    assert fresh(case).state == State.AWAITING_EVIDENCE
    asked = browser(author)
    assert "Hand in a file" in shown(asked, case, "evidence")
    file = SimpleUploadedFile("../log.html", b"<script>alert(1)</script>", content_type="text/html")
    assert post(asked, case, "file-add", file=file, request="1").status_code == 302
    assert post(asked, case, "request-step", 1, action="submit", text="Attached.").status_code == 302
    assert fresh(case).state == State.FIELDWORK
    assert post(lead, case, "request-step", 1, action="accept").status_code == 302
    assert "with E-1" in shown(lead, case, "evidence")
    answer = lead.get(url(case, "case-file", 1))
    assert answer.content == b"<script>alert(1)</script>"
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="log.html"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer["Content-Security-Policy"]


def test_a_file_that_is_not_taken_says_why(team: Team, lead: Client) -> None:
    case = case_in_fieldwork(team)
    answer = post(lead, case, "file-add", file=SimpleUploadedFile("x.txt", TEST_VIRUS))
    assert answer.status_code == 422
    assert "signature of a test virus" in answer.content.decode()


def test_a_finding_is_assigned_issued_and_answered(team: Team, lead: Client) -> None:
    case, author = case_in_fieldwork(team), team.cast.people[Role.POLICY_AUTHOR]
    write_finding(by=team.lead, case=case, text=FindingText("In time.", "Late."))
    post(lead, case, "finding-step", 1, action="assign", owner=str(author.pk), due="2030-01-01")
    post(lead, case, "finding-step", 1, action="issue")
    stale = post(browser(author), case, "finding-step", 1, action="respond", text="Agreed.", version="1")
    assert stale.status_code == 409
    assert post(browser(author), case, "finding-step", 1, action="respond", text="Agreed.").status_code == 302
    page = shown(lead, case, "findings")
    assert "Agreed." in page
    assert "Response received" in page
    assert post(lead, case, "finding-step", 1, action="explode").status_code == 422
    assert post(lead, case, "finding-step", 9, action="issue").status_code == 404


def test_a_note_is_raised_answered_and_cleared(team: Team, lead: Client) -> None:
    case, reviewer = case_in_review(team), browser(team.people["reviewer"])
    assert post(reviewer, case, "note", text="Which policy?", item="2").status_code == 302
    assert "on item 2" in shown(lead, case, "review")
    assert "not cleared yet: N-1" in shown(reviewer, case, "detail")
    post(lead, case, "note-step", 1, action="answer", text="Of March.")
    assert post(lead, case, "note-step", 1, action="clear").status_code == 409
    assert post(reviewer, case, "note-step", 1, action="clear").status_code == 302
    assert post(reviewer, case, "note", text="x", item="99").status_code == 422


def test_a_procedure_is_written_and_performed(team: Team, lead: Client) -> None:
    case = case_in_fieldwork(team)
    post(lead, case, "procedure", title="Reason given", expected="One.", workpaper="WP-3")
    assert post(lead, case, "test", 1, item="1", result="fail").status_code == 422
    assert post(lead, case, "test", 1, item="1", result="fail", actual="No reason.").status_code == 302
    page = shown(lead, case, "procedures")
    assert "WP-3" in page
    assert "No reason." in page


def test_a_clock_is_shown_overdue_and_stopped(team: Team, lead: Client) -> None:
    brief = Brief("Loss", type=CaseType.INCIDENT, aware_at=datetime.now(UTC) - timedelta(days=16))
    case = open_case(by=team.lead, scope=DecisionFilter(), brief=brief)
    assert "Overdue" in shown(lead, case, "detail")
    post(lead, case, "clock", action="start", kind="death")
    assert "Art. 73(4)" in shown(lead, case, "timeline")
    assert post(lead, case, "clock", action="meet", kind="death", text="First report sent.").status_code == 302
    assert "First report sent." in shown(lead, case, "timeline")


def test_a_hold_shows_that_the_clock_stands(team: Team, lead: Client) -> None:
    case = case_in_fieldwork(team)
    assert "On hold</strong> since" not in shown(lead, case, "detail")
    move_case(by=team.lead, case=case, action=Action.HOLD, reason="Counsel.")
    assert "On hold</strong> since" in shown(lead, case, "findings")


def test_a_signed_revision_stays_readable_after_reopening(team: Team, lead: Client) -> None:
    case = reopened_case(team)
    assert "Revision 1" in shown(lead, case, "detail")
    page = lead.get(url(case, "case-revision", 1)).content.decode()
    assert page.count('class="signature"') == 2
    pdf = lead.get(url(case, "case-revision-report", 1))
    assert (pdf.status_code, pdf.content[:5]) == (200, b"%PDF-")
    assert lead.get(url(case, "case-revision-report", 1)).content == pdf.content
    assert b"".join(lead.get(url(case, "case-revision-bundle", 1)).streaming_content)[:2] == b"PK"  # type: ignore[attr-defined]
    assert lead.get(url(case, "case-revision", 2)).status_code == 404


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.OWNER, Role.ADMIN])
def test_every_tab_shows_itself_and_carries_nothing_inline(team: Team, role: str) -> None:
    client, case = browser(team.cast.people[role]), reopened_case(team)
    for tab in TABS:
        page = shown(client, case, tab)
        assert case.title in page
        assert not re.search(r"\son\w+=|<style|style=|<script(?![^>]*src=)", page), tab


def test_who_read_what_is_for_those_who_may_look(team: Team, lead: Client) -> None:
    case = case_in_fieldwork(team)
    shown(lead, case, "detail")
    page = shown(browser(team.cast.people[Role.ADMIN]), case, "access")
    assert f"case {case.reference}" in page
    assert team.lead.label in page
    assert browser(team.cast.people[Role.VIEWER]).get(url(case, "case-access")).status_code == 403
    with tenant_atomic(case.tenant_id):
        decision = case.items.all()[0].decision_id
    reads = url(case, "case-detail").replace(f"cases/{case.pk}", f"decisions/{decision}/reads").rstrip("/") + "/"
    assert f"case {case.reference}" in lead.get(reads).content.decode()
    assert browser(team.cast.people[Role.VIEWER]).get(reads).status_code == 403


def guest_of(team: Team, case: Case, *permissions: str) -> Client:
    guest = team.cast.people[Role.EXTERNAL_AUDITOR]
    until = datetime.now(UTC) + timedelta(days=30)
    grant_case_access(by=team.lead, case=case, user=guest, permissions=["case.read", *permissions], expires_at=until)
    return browser(guest)


def test_a_guest_is_watermarked_sees_no_content_and_leaves_a_trace(team: Team) -> None:
    case = case_in_fieldwork(team)
    guest = guest_of(team, case)
    page = shown(guest, case, "detail")
    name = team.cast.actors[Role.EXTERNAL_AUDITOR].label
    assert f"Shown to {name}" in page
    assert "May I borrow" not in page
    assert "Content not shown" in page
    assert "/decisions/" not in page
    assert "watermark" not in shown(browser(team.people["lead"]), case, "detail")
    for tab in TABS[1:-1]:
        assert guest.get(url(case, f"case-{tab}")).status_code == 200
    with tenant_atomic(case.tenant_id):
        assert LedgerEvent.objects.filter(tag="case.read").count() == 6
    assert guest.get(url(case, "case-access")).status_code == 403


def test_a_guest_sees_content_where_the_case_opens_it(team: Team) -> None:
    case = case_in_fieldwork(team)
    assert "May I borrow" in shown(guest_of(team, case, "case.open_payloads"), case, "detail")
    with tenant_atomic(case.tenant_id):
        actor = team.cast.actors[Role.EXTERNAL_AUDITOR].reference
        assert LedgerEvent.objects.filter(tag="payload.read", actor=actor).count() == 1


def test_a_guest_comments_and_hands_in_files_and_is_shown_out_at_once(team: Team, lead: Client) -> None:
    case = case_in_fieldwork(team)
    guest = guest_of(team, case)
    assert post(guest, case, "comment", text="Where is the log?").status_code == 302
    assert post(guest, case, "file-add", file=SimpleUploadedFile("a.txt", b"a")).status_code == 302
    assert post(guest, case, "request", **{"request-title": "x"}).status_code == 409
    email = team.cast.people[Role.EXTERNAL_AUDITOR].email
    assert post(lead, case, "revoke", email=email).status_code == 302
    for tab in TABS:
        assert guest.get(url(case, f"case-{tab}")).status_code == 404
    assert post(guest, case, "comment", text="Still here?").status_code == 404


def test_an_ended_grant_shuts_the_door_within_the_session(team: Team) -> None:
    case = case_in_fieldwork(team)
    guest = guest_of(team, case)
    assert guest.get(url(case, "case-evidence")).status_code == 200
    with tenant_atomic(case.tenant_id):
        CaseUserObjectPermission.objects.update(expires_at=datetime.now(UTC))
    assert guest.get(url(case, "case-evidence")).status_code == 404


def test_the_list_flags_a_statutory_deadline_that_is_past(team: Team, lead: Client) -> None:
    brief = Brief("Loss", type=CaseType.INCIDENT, aware_at=datetime.now(UTC) - timedelta(days=16))
    case = open_case(by=team.lead, scope=DecisionFilter(), brief=brief)
    address = url(case, "case-detail").replace(f"{case.pk}/", "")
    assert "Overdue" in lead.get(address).content.decode()
    meet_clock(by=team.lead, case=case, kind=ClockKind.SERIOUS, how="Reported, late.")
    assert "Overdue" not in lead.get(address).content.decode()


def test_somebody_is_let_in_for_at_most_ninety_days(team: Team, lead: Client) -> None:
    case, email = case_in_fieldwork(team), team.cast.people[Role.EXTERNAL_AUDITOR].email
    soon, late = (str((datetime.now(UTC) + timedelta(days=days)).date()) for days in (60, 91))
    assert post(lead, case, "grant", email=email, permissions="case.read", until=late).status_code == 422
    assert post(lead, case, "grant", email="no@example.org", permissions="case.read", until=soon).status_code == 422
    assert post(lead, case, "grant", email=email, permissions="case.read", until=soon).status_code == 302
    assert email in shown(lead, case, "access")


@pytest.mark.parametrize("tab", ["findings", "evidence", "review", "procedures", "timeline", "access"])
@pytest.mark.parametrize("role", [Role.AUDITOR, Role.VIEWER])
def test_a_tab_costs_the_same_at_two_sizes(team: Team, tab: str, role: str) -> None:
    client, case = browser(team.cast.people[role]), reopened_case(team)
    if tab == "access" and role == Role.VIEWER:
        return
    address = url(case, f"case-{tab}")
    few = queries(client, address)
    for n in range(5):
        write_finding(by=team.lead, case=case, text=FindingText("In time.", f"Late {n}."))
        request = request_evidence(by=team.lead, case=case, text=RequestText(f"Log {n}", is_blocking=False))
        add_evidence(by=team.lead, case=case, upload=Upload(f"{n}.txt", b"x"))
        assert request.number == n + 2
    with CaptureQueriesContext(connection):
        assert queries(client, address) == few <= 30
