"""What people do in a case, as hands at a browser: a function a step, which waits until the page shows it done."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import Page, expect

from tenants.models import User
from tests.factories.audits import Team
from tests.factories.tenants import PASSWORD
from tests.journeys.conftest import PATIENCE, settle


def take(page: Page, step: str) -> None:
    """Take a step of the case, and confirm it where that is asked."""
    page.locator("summary", has_text=step).click()
    page.locator("details[open]").get_by_role("button", name=step).click()
    expect(page.locator("summary", has_text=step)).to_have_count(0)


def tab(page: Page, label: str) -> None:
    page.get_by_label("Parts of the case").get_by_role("link", name=label).click()


def open_and_plan(page: Page, team: Team) -> str:
    """From the filter of decisions to a planned case; its address."""
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
    page.get_by_role("heading", name="Refused loans").wait_for()
    return page.url


def let_in(page: Page, guest: User) -> None:
    """Open the case to somebody for a month, without the content of its decisions."""
    tab(page, "Access")
    page.get_by_label("E-mail of a member").fill(guest.email)
    page.get_by_label("Until").fill(f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%d}")
    page.get_by_role("button", name="Let in").click()
    expect(page.locator(".entries", has_text=guest.email)).to_contain_text("Can read this case")


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


def ask_for(page: Page, title: str) -> None:
    """Ask whoever answers; the case waits for it."""
    tab(page, "Evidence")
    page.get_by_label("What you need").fill(title)
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("#R-1")).to_contain_text("the case waits for it")
    expect(page.locator(".lede")).to_contain_text("Awaiting evidence")


def hand_in(page: Page, file: Path, answer: str) -> None:
    """A file for the first request, and the request submitted with it."""
    tab(page, "Evidence")
    page.get_by_label("File", exact=True).set_input_files(file)
    page.get_by_label("Answers").select_option(index=1)
    page.get_by_role("button", name="Hand in").click()
    expect(page.get_by_role("link", name=file.name)).to_be_visible()
    answer_step(page, "R-1", "Submit", answer)
    expect(page.locator("#R-1")).to_contain_text("Submitted")


def answer_step(page: Page, number: str, step: str, text: str = "") -> None:
    """A step of a request, a note or a finding, with what it asks to be said."""
    entry = page.locator(f"#{number}")
    entry.locator("summary", has_text=step).click()
    if text:
        entry.locator("details[open] textarea").fill(text)
    entry.locator("details[open]").get_by_role("button", name=step).click()


def write_finding(page: Page, item: int) -> None:
    page.get_by_role("link", name="Write a finding").click()
    page.get_by_label("Item").select_option(value=str(item))
    page.get_by_label("Criteria").fill("Every refusal names a reason.")
    page.get_by_label("Condition").fill("This one names none.")
    page.get_by_role("button", name="Save the finding").click()
    expect(page.get_by_text("This one names none.").first).to_be_visible()


def raise_note(page: Page, text: str) -> None:
    tab(page, "Review")
    page.get_by_label("What is to be answered").fill(text)
    page.get_by_role("button", name="Raise").click()
    expect(page.locator("#N-1")).to_contain_text(text)


def sign(page: Page) -> None:
    page.get_by_role("link", name="Sign", exact=True).click()
    page.get_by_label("Your password, again").fill(PASSWORD)
    page.get_by_role("button", name=re.compile("^Sign as")).click()
    page.wait_for_url(re.compile(r"/cases/[0-9a-f-]+/$"))


def await_report(page: Page, url: str) -> None:
    """A worker builds it; the case is reported once it has."""
    for _ in range(PATIENCE // 1000):
        page.goto(url)
        if page.locator(".lede", has_text="Reported").count():
            return
        page.wait_for_timeout(1000)
    raise AssertionError("No report was built.")


def download(page: Page, link: str, path: Path) -> Path:
    with page.expect_download() as started:
        page.get_by_role("link", name=link).first.click()
    started.value.save_as(path)
    return path
