"""The main job: a case from a filter of decisions to a report that verifies without us."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

from playwright.sync_api import Page, expect

from config.supervisor import ROOT
from tenants.context import tenant_atomic
from tenants.ledger.reader import trust_policy
from tests.factories.audits import Team
from tests.factories.tenants import PASSWORD
from tests.factories.traces import submit
from tests.journeys.conftest import PATIENCE, Visitors, settle

VERIFIER = ROOT / "audits" / "verifier" / "affidavit_verify.py"


def take(page: Page, step: str) -> None:
    """Take a step of the case, and confirm it where that is asked."""
    page.locator("summary", has_text=step).click()
    page.locator("details[open]").get_by_role("button", name=step).click()
    expect(page.locator("summary", has_text=step)).to_have_count(0)


def open_and_plan(page: Page, team: Team) -> None:
    """From the filter of decisions to a planned case."""
    page.goto(f"/t/{team.cast.tenant.slug}/decisions/")
    page.locator("summary", has_text="Filters").click()
    page.get_by_label("System", exact=True).select_option("loan-assistant")
    page.get_by_role("button", name="Apply filters").click()
    expect(page.locator(".chip")).to_contain_text("loan-assistant")
    page.get_by_role("link", name="Open a case on these").click()
    page.get_by_label("Title").fill("Refused loans")
    page.get_by_role("button", name="Open the case").click()
    page.get_by_role("link", name="Plan the case").click()
    page.get_by_label("Criteria").fill("Every refusal names a reason.")
    page.get_by_label("Preparer").select_option(label=str(team.people["lead"]))
    page.get_by_label("Reviewer").select_option(label=str(team.people["reviewer"]))
    page.get_by_role("button", name="Plan the case").click()


def draw(page: Page, team: Team, size: int) -> None:
    """Freeze, and draw a random sample once the seed's checkpoint is there."""
    settle(team.cast)
    take(page, "Freeze the population")
    settle(team.cast)
    page.get_by_role("link", name="Draw the sample").click()
    page.get_by_role("link", name="Random", exact=True).click()
    page.get_by_label("Size").fill(str(size))
    page.get_by_role("button", name="Draw the sample").click()


def conclude(page: Page, size: int) -> None:
    """By keyboard: pass all but the last, which fails with a note."""
    rows = page.locator("tr.case-item")
    expect(rows).to_have_count(size)
    for index in range(size):
        page.keyboard.press("j")
        row = rows.nth(index)
        expect(row).to_be_focused()
        key, result = ("p", "pass") if index < size - 1 else ("f", "fail")
        if key == "f":
            page.keyboard.press("m")
            page.keyboard.type("No reason is given.")
            page.keyboard.press("Escape")
        page.keyboard.press(key)
        expect(row.locator(f"button[value={result}].button-small")).to_have_attribute("aria-pressed", "true")


def write_finding(page: Page, item: int) -> None:
    page.get_by_role("link", name="Write a finding").click()
    page.get_by_label("Item").select_option(value=str(item))
    page.get_by_label("Criteria").fill("Every refusal names a reason.")
    page.get_by_label("Condition").fill("This one names none.")
    page.get_by_role("button", name="Save the finding").click()
    expect(page.get_by_text("This one names none.").first).to_be_visible()


def sign(page: Page) -> None:
    page.get_by_role("link", name="Sign", exact=True).click()
    page.get_by_label("Your password, again").fill(PASSWORD)
    page.get_by_role("button", name=re.compile("^Sign as")).click()
    page.wait_for_url(re.compile(r"/cases/[0-9a-f-]+/$"))


def download(page: Page, link: str, path: Path) -> Path:
    with page.expect_download() as started:
        page.get_by_role("link", name=link).first.click()
    started.value.save_as(path)
    return path


def test_a_case_from_a_filter_to_a_verified_bundle(visitors: Visitors, team: Team, tmp_path: Path) -> None:
    submit(team.cast, 12)
    submit(team.cast, 3, system="support-assistant")
    lead, size = visitors.sign_in(team.people["lead"]), 5
    open_and_plan(lead, team)
    case_url = lead.url
    draw(lead, team, size)
    conclude(lead, size)
    lead.reload()
    write_finding(lead, size)
    take(lead, "Submit for review")
    reviewer = visitors.sign_in(team.people["reviewer"])
    reviewer.goto(case_url)
    take(reviewer, "Accept")
    sign(reviewer)
    lead.goto(case_url)
    sign(lead)
    for _ in range(PATIENCE // 1000):
        lead.goto(case_url)
        if lead.locator("summary", has_text="Close").count():
            break  # a worker has built the report
        lead.wait_for_timeout(1000)
    settle(team.cast)
    pdf = download(lead, "PDF", tmp_path / "report.pdf")
    assert pdf.read_bytes().startswith(b"%PDF-")
    bundle = download(lead, "bundle", tmp_path / "bundle.zip")
    with zipfile.ZipFile(bundle) as files:
        assert files.read("report.pdf") == pdf.read_bytes()
    with tenant_atomic(team.cast.tenant.pk):
        vkey = trust_policy().logs[0].vkey
    command = [sys.executable, "-I", str(VERIFIER), str(bundle), "--vkey", vkey]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "AUTHENTIC" in done.stdout
