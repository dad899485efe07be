"""From an alert to both versions' answers side by side, and on to a case over what came since."""

from playwright.sync_api import expect

from config.celery import app
from config.processes import wait_until
from tenants.context import tenant_atomic
from tenants.roles import Role
from tests.factories.audits import Team
from tests.factories.tenants import Cast
from tests.journeys.conftest import Visitors, settle
from tests.traces.drift.made import decisions, record
from traces.models import DriftAlert

LOOK_SECONDS = 60


def notice(cast: Cast) -> None:
    """Have the site's worker look for drift, as its schedule would have it do within half a minute."""

    def is_noticed() -> bool:
        with tenant_atomic(cast.tenant.pk):
            return DriftAlert.objects.exists()

    app.send_task("traces.tasks.look_for_drift")
    assert wait_until(is_noticed, LOOK_SECONDS, interval=0.5), "the worker noticed nothing"


def test_from_an_alert_to_both_answers_to_a_case(visitors: Visitors, cast: Cast, team: Team) -> None:
    record(cast, decisions(310, change_at=270))
    notice(cast)
    settle(cast)
    page = visitors.sign_in(cast.people[Role.AUDITOR])

    page.get_by_role("link", name="Behaviour", exact=True).first.click()
    page.get_by_role("link", name="Behaviour changed").first.click()
    pair = page.locator(".drift-sides").first
    expect(pair.locator("article")).to_have_count(2)
    expect(pair.locator("h3").first).to_have_text("Before, prompt p 14")
    expect(pair.locator("h3").last).to_have_text("After, prompt p 15")
    expect(pair.locator("article").first).to_contain_text("proof of income")
    expect(pair.locator("article").last).to_contain_text("Step 2: wait")
    before, after = (box for side in pair.locator("article").all() if (box := side.bounding_box()))
    assert abs(before["y"] - after["y"]) < 2  # beside each other
    assert before["x"] < after["x"]

    page.get_by_role("link", name="Open a case").click()
    expect(page.get_by_label("Title")).to_have_value("Behaviour changed: loan-assistant · production · pre-screening")
    expect(page.locator(".kv")).to_contain_text("Prompt")
    page.get_by_role("button", name="Open the case").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Behaviour changed")
    expect(page.get_by_text("Likeliest cause: prompt").first).to_be_visible()

    page.go_back()
    page.get_by_role("link", name="Behaviour", exact=True).first.click()
    page.get_by_role("link", name="Behaviour changed").first.click()
    page.get_by_role("link", name="Open a case").click()
    expect(page.get_by_text("was opened for this alert")).to_be_visible()
