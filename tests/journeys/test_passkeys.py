"""A passkey, made and used in the browser: its virtual authenticator stands for the key's chip and the finger."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tenants.roles import Role
from tests.factories.tenants import PASSWORD, Cast
from tests.journeys.conftest import Visitors, Watch
from tests.site import RunningSite

CHIP = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture
def home(site: RunningSite) -> str:
    """The site by its name: a passkey is bound to one, and an address has none."""
    return f"http://localhost:{urlsplit(site.base_url).port}"


@pytest.fixture
def page(browser: Browser, site: RunningSite, home: str) -> Iterator[Page]:
    """A visitor whose machine has a chip for passkeys."""
    here = Visitors(browser, site, Watch(urlsplit(home).netloc), set())
    arrived = here.arrive()
    session = arrived.context.new_cdp_session(arrived)
    session.send("WebAuthn.enable")
    session.send("WebAuthn.addVirtualAuthenticator", {"options": CHIP})
    yield arrived
    arrived.context.close()
    assert not here.watch.seen, "\n".join(here.watch.seen)


def sign_out(page: Page) -> None:
    page.get_by_label("Your account").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/accounts/login/"))


def test_a_passkey_opens_the_door_alone_and_as_the_second_step(page: Page, home: str, cast: Cast) -> None:
    user, start = cast.people[Role.VIEWER], f"{home}/t/{cast.tenant.slug}/"
    page.goto(start)
    page.get_by_label("Email").fill(user.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/t/**")
    page.goto(f"{home}/accounts/security/webauthn/add/")
    page.get_by_label("Name").fill("This machine")
    page.get_by_role("button", name="Add the passkey").click()
    page.wait_for_url(re.compile("recovery-codes|security/webauthn/$"))
    page.goto(f"{home}/accounts/security/webauthn/")
    expect(page.get_by_role("row", name=re.compile("This machine"))).to_be_visible()
    sign_out(page)

    page.goto(start)
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url("**/t/**")
    expect(page.get_by_role("heading", level=1)).to_have_text(cast.tenant.name)
    sign_out(page)

    page.goto(start)
    page.get_by_label("Email").fill(user.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("One more step")
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url("**/t/**")
