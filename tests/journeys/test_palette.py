"""Everywhere by the keyboard alone: the palette opens, narrows, finds and goes, and gives the keyboard back."""

from playwright.sync_api import expect

from tenants.roles import Role
from tests.factories.tenants import Cast
from tests.factories.traces import submit
from tests.gallery.crawl import inaccessible
from tests.journeys.conftest import Visitors


def test_pages_and_records_are_reached_by_the_keyboard(visitors: Visitors, cast: Cast) -> None:
    (pk,) = submit(cast, external_id="loan-4711")
    page = visitors.sign_in(cast.people[Role.AUDITOR])
    palette = page.get_by_role("dialog", name="Go to")
    page.keyboard.press("Control+k")
    expect(palette).to_be_visible()
    assert list(inaccessible(page)) == []
    page.keyboard.press("Escape")
    expect(palette).to_be_hidden()
    page.keyboard.press("Control+k")
    page.keyboard.type("polic")
    expect(palette.get_by_role("option")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Policies")
    page.keyboard.press("Control+k")
    page.keyboard.type("loan-4711")
    chosen = palette.get_by_role("option", name="loan-4711")
    expect(chosen).to_have_attribute("aria-selected", "true")
    assert list(inaccessible(page)) == []
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/decisions/{pk}/")


def test_arrows_move_and_an_id_typed_in_haste_is_found_by_the_server(visitors: Visitors, cast: Cast) -> None:
    (pk,) = submit(cast)
    page = visitors.sign_in(cast.people[Role.VIEWER])
    page.keyboard.press("Control+k")
    options = page.get_by_role("dialog", name="Go to").get_by_role("option")
    expect(options.first).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowUp")  # round to the last
    expect(options.last).to_have_attribute("aria-selected", "true")
    page.keyboard.insert_text(str(pk))
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/decisions/{pk}/")
