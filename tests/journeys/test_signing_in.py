"""From the door to the organisation."""

import re

from playwright.sync_api import expect

from tenants.roles import Role
from tenants.services import add_member
from tests.factories.tenants import PASSWORD, Cast, make_cast
from tests.journeys.conftest import Visitors


def test_a_wrong_password_says_so_and_the_right_one_comes_in(visitors: Visitors, cast: Cast) -> None:
    page = visitors.arrive()
    page.goto(f"/t/{cast.tenant.slug}/decisions/")
    page.get_by_label("Email").fill(cast.people[Role.VIEWER].email)
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert").first).to_contain_text(re.compile("correct|wrong|match", re.I))
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"**/t/{cast.tenant.slug}/decisions/")
    page.get_by_label("Your account").click()
    page.get_by_role("button", name="Sign out").click()
    page.goto(f"/t/{cast.tenant.slug}/")
    expect(page).to_have_url(re.compile("/accounts/login/"))


def test_a_person_of_two_organisations_chooses(visitors: Visitors, cast: Cast) -> None:
    second = make_cast()
    person = cast.people[Role.VIEWER]
    add_member(by=second.owner, user=person, roles=[Role.AUDITOR])
    page = visitors.arrive()
    page.goto("/")
    page.get_by_label("Email").fill(person.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name=second.tenant.name).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(second.tenant.name)
    page.get_by_label("Switch organisation").click()
    page.get_by_role("link", name=cast.tenant.name).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(cast.tenant.name)
