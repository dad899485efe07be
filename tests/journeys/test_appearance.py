"""Every main page on a wide screen and on a telephone, light and dark."""

import pytest
from playwright.sync_api import Page, expect

from tenants.roles import Role
from tests.factories.audits import make_team, planned_case
from tests.factories.policies import a_document, put_in_force
from tests.factories.tenants import Cast
from tests.factories.traces import submit
from tests.journeys.conftest import PATIENCE, Visitors

PAGES: dict[str, tuple[str, ...]] = {
    Role.AUDITOR: ("", "decisions/", "cases/", "cases/new/", "policies/", "policies/in-force/", "ledger/"),
    Role.POLICY_AUTHOR: ("policies/", "policies/new/", "policies/short-answers/", "policies/controls/"),
    Role.OWNER: ("", "keys/", "members/"),
}


def overflow(page: Page) -> int:
    """Pixels by which the page is wider than the screen."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.mark.parametrize("role", list(PAGES))
@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_scrolls_sideways(visitors: Visitors, cast: Cast, role: str, width: int) -> None:
    put_in_force(cast, a_document())
    ids = submit(cast, 60, output=[{"role": "assistant", "content": "unbroken" * 60}])
    page = visitors.sign_in(cast.people[role], width=width)
    paths = [*PAGES[role], *([f"decisions/{ids[0]}/"] if role == Role.AUDITOR else [])]
    wide = {}
    for path in paths:
        page.goto(f"/t/{cast.tenant.slug}/{path}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        if too_wide := overflow(page):
            wide[path] = too_wide
    assert not wide


@pytest.mark.parametrize("path", ["timeline/", "access/", "review/"])
def test_the_open_tab_is_in_view_on_a_telephone(visitors: Visitors, cast: Cast, path: str) -> None:
    submit(cast, 1)
    case = planned_case(make_team(cast))
    page = visitors.sign_in(cast.people[Role.AUDITOR], width=390)
    page.goto(f"/t/{cast.tenant.slug}/cases/{case.pk}/{path}")
    box = page.locator(".tabs > [aria-current]").first.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390


def test_the_theme_is_kept_from_page_to_page(visitors: Visitors, cast: Cast) -> None:
    page = visitors.sign_in(cast.people[Role.VIEWER])
    html = page.locator("html")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_label("Switch between light and dark").click()
    expect(html).to_have_attribute("data-theme", "dark")
    page.get_by_role("link", name="Decisions", exact=True).click()
    expect(html).to_have_attribute("data-theme", "dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    page.get_by_label("Switch between light and dark").click()
    page.wait_for_function("document.documentElement.dataset.theme === 'light'", timeout=PATIENCE)
