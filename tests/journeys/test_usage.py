"""From "the bill jumped" to the session that did it."""

from datetime import UTC, datetime, timedelta

from playwright.sync_api import expect

from config.celery import app
from config.processes import wait_until
from tenants.context import tenant_atomic
from tenants.roles import Role
from tests.factories.tenants import Cast
from tests.factories.traces import a_decision, submit_each
from tests.journeys.conftest import Visitors
from traces.models import RollupQueue

ROLL_UP_SECONDS = 20


def spend(cast: Cast, days_ago: float, session: str, n: int) -> None:
    at = (datetime.now(UTC) - timedelta(days=days_ago)).isoformat()
    usage, model = {"input_tokens": 400_000, "output_tokens": 0}, {"provider": "openai", "name": "gpt-4o"}
    submit_each(cast, [a_decision(occurred_at=at, session=session, usage=usage, model=model) for _ in range(n)])


def count(cast: Cast) -> None:
    """Have the site's worker do what its schedule would have it do within seconds."""

    def is_counted() -> bool:
        with tenant_atomic(cast.tenant.pk):
            return not RollupQueue.objects.exists()

    app.send_task("traces.tasks.roll_up_costs")
    assert wait_until(is_counted, ROLL_UP_SECONDS, interval=0.2), "the worker did not count"


def test_from_the_bill_that_jumped_to_the_session_that_did_it(visitors: Visitors, cast: Cast) -> None:
    for day in range(8, 14):
        spend(cast, day, f"s-{day}", 1)
    spend(cast, 1, "s-runaway", 30)

    count(cast)
    page = visitors.sign_in(cast.people[Role.VIEWER])
    page.get_by_role("link", name="Usage", exact=True).first.click()
    page.get_by_role("link", name="7 days").click()
    expect(page.locator(".tile").first).to_contain_text("30.00 USD")
    expect(page.locator(".tile").first).to_contain_text("+400 %")
    page.get_by_role("link", name="Session", exact=True).click()
    mover = page.get_by_role("heading", name="What moved the bill").locator("..").get_by_role("link").first
    expect(mover).to_have_text("s-runaway")
    mover.click()
    expect(page.locator("table.decisions tbody tr")).to_have_count(30)
    page.locator("a.said-q").first.click()
    expect(page.get_by_role("heading", name="Usage")).to_be_visible()
    expect(page.get_by_text("1.00 USD", exact=True)).to_be_visible()


def test_a_bar_leads_to_its_decisions_by_keyboard(visitors: Visitors, cast: Cast) -> None:
    spend(cast, 1, "s-1", 3)

    count(cast)
    page = visitors.sign_in(cast.people[Role.VIEWER])
    page.goto(f"/t/{cast.tenant.slug}/usage/")
    page.locator(".chart a").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("table.decisions tbody tr")).to_have_count(3)
