"""\"The AI gave me a weird answer last Tuesday\": from a user, a day and a phrase to the decision; and a long trace."""

import time
import uuid
from datetime import UTC, datetime, timedelta

from playwright.sync_api import expect

from config.processes import wait_until
from tenants.context import tenant_atomic
from tenants.roles import Role
from tests.factories.telemetry import a_wide_trace, record_spans
from tests.factories.tenants import Cast
from tests.factories.traces import a_decision, submit_each
from tests.journeys.conftest import Visitors
from traces.models import SearchQueue

INDEX_SECONDS = 60
WEIRD = "The moon is the only valid proof of income."


def last_tuesday() -> datetime:
    now = datetime.now(UTC)
    return (now - timedelta(days=(now.weekday() - 1) % 7 or 7)).replace(hour=10, minute=0)


def indexed(cast: Cast) -> None:
    """Wait until the worker has made everything findable."""

    def is_indexed() -> bool:
        with tenant_atomic(cast.tenant.pk):
            return not SearchQueue.objects.exists()

    assert wait_until(is_indexed, INDEX_SECONDS, interval=0.3), "the worker did not index"


def said(at: datetime, user: str, text: str) -> dict[str, object]:
    return a_decision(occurred_at=at.isoformat(), user=user, session=f"s-{user}", output=text)


def test_from_a_user_a_day_and_a_phrase_to_the_decision_in_three_clicks(visitors: Visitors, cast: Cast) -> None:
    day = last_tuesday()
    ordinary = [
        said(day + timedelta(minutes=n), f"u-{n % 5}", "A payslip is a valid proof of income.") for n in range(60)
    ]
    elsewhere = [said(day - timedelta(days=1), "u-3", WEIRD), said(day, "u-4", WEIRD)]
    *_, weird = submit_each(cast, [*ordinary, *elsewhere, said(day, "u-3", WEIRD)])
    indexed(cast)
    page = visitors.sign_in(cast.people[Role.AUDITOR])
    page.goto(f"/t/{cast.tenant.slug}/decisions/")
    page.get_by_text("Filters", exact=True).click()  # 1
    page.get_by_label("Search").fill('"only valid proof"')
    page.get_by_label("User").fill("u-3")
    page.get_by_label("Since").fill(f"{day:%Y-%m-%d}")
    page.get_by_label("Until").fill(f"{day + timedelta(days=1):%Y-%m-%d}")
    page.get_by_role("button", name="Apply filters").click()  # 2
    rows = page.locator("table.decisions tbody tr")
    expect(rows).to_have_count(1)
    rows.locator("a.said-q").click()  # 3
    expect(page.locator("main")).to_contain_text(WEIRD)
    assert str(weird) in page.url
    page.get_by_role("link", name="s-u-3").click()
    expect(page.get_by_role("heading", name="Session s-u-3")).to_be_visible()
    page.get_by_role("link", name="u-3", exact=True).first.click()
    expect(page.get_by_role("heading", name="User u-3")).to_be_visible()


def test_a_view_is_kept_and_found_again(visitors: Visitors, cast: Cast) -> None:
    submit_each(cast, [said(last_tuesday(), "u-3", WEIRD)])
    page = visitors.sign_in(cast.people[Role.AUDITOR])
    page.goto(f"/t/{cast.tenant.slug}/decisions/?user=u-3")
    page.get_by_text("Save this view").click()
    page.get_by_label("Name").fill("The one who complained")
    page.get_by_role("button", name="Save", exact=True).click()
    page.goto(f"/t/{cast.tenant.slug}/decisions/")
    page.get_by_role("link", name="The one who complained").click()
    expect(page.locator(".chip-value")).to_have_text("u-3")


def a_long_trace(cast: Cast, n: int) -> str:
    trace_id, at = uuid.uuid4(), datetime.now(UTC) - timedelta(minutes=5)
    record_spans(cast, trace_id, a_wide_trace(n, at, fail_every=4_001))
    place = {"trace_id": trace_id.hex, "occurred_at": at.isoformat()}
    ids = [(f"{900_000 + i:016x}", f"{2 + i:016x}") for i in range(20)]
    submit_each(cast, [a_decision(span_id=own, parent_span_id=parent, **place) for own, parent in ids])
    return trace_id.hex


def test_ten_thousand_spans_do_not_freeze_the_page(visitors: Visitors, cast: Cast) -> None:
    trace = a_long_trace(cast, 10_000)
    page = visitors.sign_in(cast.people[Role.AUDITOR])
    started = time.monotonic()
    page.goto(f"/t/{cast.tenant.slug}/traces/{trace}/")
    expect(page.locator(".trace-row").first).to_be_visible()
    assert time.monotonic() - started < 5
    rows, focused = page.locator(".trace-row"), page.locator(".trace-row:focus")
    assert rows.count() < 1_000
    rows.first.focus()
    page.keyboard.press("End")
    expect(focused).to_have_attribute("data-number", "10019")
    assert rows.count() < 1_500
    page.keyboard.press("Home")
    expect(focused).to_have_attribute("data-number", "0")
    page.keyboard.press("ArrowLeft")  # closes the root
    expect(rows).to_have_count(1)
    page.keyboard.press("ArrowRight")
    expect(rows.nth(1)).to_be_attached()
    page.get_by_role("link", name="Next failure").click()
    expect(focused).to_have_class("trace-row is-failed")
    page.keyboard.press("Enter")
    expect(page.locator("#span")).to_contain_text("Failed")


def test_a_decision_opens_beside_its_trace(visitors: Visitors, cast: Cast) -> None:
    trace = a_long_trace(cast, 30)
    page = visitors.sign_in(cast.people[Role.AUDITOR])
    page.goto(f"/t/{cast.tenant.slug}/traces/{trace}/")
    page.locator(".trace-row a[data-span]", has_text="pre-screening").first.click()
    expect(page.locator("#span")).to_contain_text("Please send a proof of income first.")
    page.get_by_role("link", name="The decision and its proof").click()
    page.get_by_role("link", name="Trace", exact=True).click()
    expect(page.get_by_role("heading", name="Trace", exact=True)).to_be_visible()
