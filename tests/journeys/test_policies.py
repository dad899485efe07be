"""A policy from a starter to its first judgement: written by one, approved by another, in a browser."""

from playwright.sync_api import Page, expect

from tenants.roles import Role
from tests.factories.policies import new_approver
from tests.factories.tenants import PASSWORD, Cast
from tests.factories.traces import a_decision, submit_each
from tests.journeys.conftest import Visitors

TITLE = "An adverse decision states specific reasons"


def press(page: Page, step: str) -> None:
    """Open a step of the version and confirm it."""
    page.locator("summary", has_text=step).click()
    page.get_by_role("button", name=step, exact=True).click()


def draft(page: Page, cast: Cast) -> None:
    page.goto(f"/t/{cast.tenant.slug}/policies/")
    page.get_by_role("link", name="Draft a policy").first.click()
    page.get_by_role("link", name=TITLE).click()
    editor = page.get_by_label("Document")
    text = editor.input_value()
    editor.fill(text.replace("risk_class: high", "risk_class: low") + "rulez: []\n")
    expect(page.locator("#check")).to_contain_text("rulez")
    editor.fill(text.replace("risk_class: high", "risk_class: low"))
    expect(page.locator("#check")).not_to_contain_text("rulez")
    page.get_by_label("Reason for this version").fill("Regulation B asks for it.")
    page.get_by_role("button", name="Save the draft").click()
    expect(page.locator(".page-head")).to_contain_text("Draft")


def test_a_policy_is_written_by_one_and_put_in_force_by_another(visitors: Visitors, cast: Cast) -> None:
    new_approver(cast)
    author = visitors.sign_in(cast.people[Role.POLICY_AUTHOR])
    draft(author, cast)
    press(author, "Submit for approval")
    expect(author.locator(".page-head")).to_contain_text("In review")
    expect(author.get_by_role("link", name="Review", exact=True)).to_have_count(0)

    approver = visitors.sign_in(cast.people[Role.POLICY_APPROVER])
    approver.goto(author.url)
    approver.get_by_role("link", name="Review", exact=True).click()
    expect(approver.get_by_role("heading", name="What you sign")).to_be_visible()
    approver.get_by_role("radio", name="Approve").check()
    approver.get_by_label("Your password, again").fill("not my password")
    approver.get_by_role("button", name="Record my decision").click()
    expect(approver.get_by_text("Nothing is recorded yet.")).to_be_visible()
    approver.get_by_label("Your password, again").fill(PASSWORD)
    approver.get_by_role("button", name="Record my decision").click()
    expect(approver.locator(".page-head")).to_contain_text("Approved")
    press(approver, "Put in force")
    expect(approver.locator(".page-head")).to_contain_text("In force")

    (refused,) = submit_each(
        cast, [a_decision(outcome={"decision": "decline", "adverse": True, "reasons": []}, occurred_at=None)]
    )
    approver.goto(f"/t/{cast.tenant.slug}/decisions/{refused}/")
    judged = approver.locator("li", has_text="specific-reason")
    expect(judged).to_contain_text("Triggered")
    expect(judged).to_contain_text("Block")
    approver.goto(f"/t/{cast.tenant.slug}/policies/in-force/")
    expect(approver.get_by_role("link", name=TITLE)).to_be_visible()
