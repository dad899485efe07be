"""The main job, by three people: a case from a filter of decisions to a report that verifies without us."""

import subprocess
import sys
import zipfile
from pathlib import Path

from django.urls import reverse
from playwright.sync_api import Page, expect

from audits.models import Case
from tenants.context import tenant_atomic
from tenants.ledger.reader import trust_policy
from tenants.models import User
from tenants.roles import Role
from tests.factories.audits import Team, planned_case
from tests.factories.traces import submit
from tests.journeys import casework as step
from tests.journeys.conftest import Visitors, settle

SIZE = 5
OUTSIDE = (
    "decision-list",
    "policy-list",
    "ledger-health",
    "timeline",
    "usage",
    "drift-list",
    "member-list",
    "case-create",
)


def prepare(lead: Page, team: Team, guest: User) -> str:
    """The auditor's part up to the work on items, which is done by keyboard; the case's address."""
    url = step.open_and_plan(lead, team)
    step.let_in(lead, guest)
    step.tab(lead, "Items")
    step.draw(lead, team, SIZE)
    step.conclude(lead, SIZE)
    step.ask_for(lead, "The change log of October")
    return url


def see_one_case_only(guest: Page, url: str, slug: str, other: Case) -> None:
    """The list has the guest's case; no address leads to another, nor to any list of the organisation."""
    expect(guest.get_by_label("Main", exact=True)).to_have_count(0)
    guest.goto(reverse("case-list", args=[slug]))
    expect(guest.locator("tbody tr")).to_have_count(1)
    guest.get_by_role("link", name="Refused loans").click()
    assert guest.url == url
    expect(guest.locator(".watermark")).to_be_attached()
    expect(guest.locator("tr.case-item").first).to_contain_text("Content not shown")
    for name in OUTSIDE:
        assert guest.request.get(reverse(name, args=[slug])).status == 403, name
    assert guest.request.get(reverse("case-detail", args=[slug, other.pk])).status == 404


def review(reviewer: Page, lead: Page, url: str) -> None:
    """A note is raised, answered and cleared before the work is accepted and signed by both."""
    reviewer.goto(url)
    step.raise_note(reviewer, "Which rule asks for the reason?")
    step.tab(lead, "Review")
    step.answer_step(lead, "N-1", "Answer", "Section 2 of the lending policy.")
    reviewer.reload()
    step.answer_step(reviewer, "N-1", "Clear")
    step.tab(reviewer, "Items")
    step.take(reviewer, "Accept")
    step.sign(reviewer)
    lead.goto(url)
    step.sign(lead)


def verify_with_what_is_inside(bundle: Path, vkey: str, folder: Path) -> str:
    """Unpack the verifier from the bundle, run it alone, and have it draw the sample again; what it says."""
    with zipfile.ZipFile(bundle) as files:
        script = files.extract("affidavit_verify.py", folder)
    command = [sys.executable, "-I", "-S", script, str(bundle), "--vkey", vkey, "--resample"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env={})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_three_people_take_a_case_from_a_filter_to_a_verified_bundle(
    visitors: Visitors, team: Team, tmp_path: Path
) -> None:
    submit(team.cast, 12)
    submit(team.cast, 3, system="support-assistant")
    other = planned_case(team)
    lead, external = visitors.sign_in(team.people["lead"]), team.cast.people[Role.EXTERNAL_AUDITOR]
    url = prepare(lead, team, external)
    guest = visitors.sign_in(external)
    see_one_case_only(guest, url, team.cast.tenant.slug, other)
    log = tmp_path / "changes-october.csv"
    log.write_text("at,by,change\n2026-10-03,ops,none\n")
    step.hand_in(guest, log, "The log, as it was exported.")
    lead.reload()
    step.answer_step(lead, "R-1", "Accept")
    step.tab(lead, "Items")
    step.write_finding(lead, SIZE)
    step.take(lead, "Submit for review")
    review(visitors.sign_in(team.people["reviewer"]), lead, url)
    step.await_report(guest, url)
    settle(team.cast)
    pdf = step.download(guest, "PDF", tmp_path / "report.pdf")
    bundle = step.download(guest, "bundle", tmp_path / "bundle.zip")
    with zipfile.ZipFile(bundle) as files:
        assert files.read("report.pdf") == pdf.read_bytes()
        assert files.read("evidence/0001-changes-october.csv") == log.read_bytes()
    with tenant_atomic(team.cast.tenant.pk):
        vkey = trust_policy().logs[0].vkey
    said = verify_with_what_is_inside(bundle, vkey, tmp_path)
    assert "AUTHENTIC" in said
    assert f"the same {SIZE} of 12 decisions are drawn" in said
