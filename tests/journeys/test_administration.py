"""The ledger's page, keys and members."""

import urllib.error
import urllib.request

from playwright.sync_api import expect

from config.processes import wait_until
from tenants.roles import Role
from tests.factories.tenants import Cast
from tests.factories.traces import submit
from tests.journeys.conftest import Visitors, settle
from tests.journeys.test_first_decision import make_key

BODY = b'{"system": "support-assistant", "input": "Hello", "output": "How can I help?"}'


def post(base_url: str, secret: str) -> int:
    """The status that a submission with this key gets."""
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{base_url}/api/v1/decisions", BODY, headers)) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_the_ledger_shows_its_head_and_checks_it(visitors: Visitors, cast: Cast) -> None:
    submit(cast, 3)
    settle(cast)
    page = visitors.sign_in(cast.people[Role.VIEWER])
    page.get_by_role("link", name="Ledger", exact=True).first.click()
    expect(page.locator("#checkpoint-note")).to_contain_text(f"/t/{cast.tenant.slug}-1")
    expect(page.locator("#verify-command")).to_contain_text("affidavit_verify.py")
    page.get_by_role("button", name="Check it now").click()
    expect(page.locator(".flash").first).to_contain_text("holds")


def test_a_key_is_made_used_rotated_and_revoked(visitors: Visitors, cast: Cast) -> None:
    base_url = visitors.site.base_url
    page = visitors.sign_in(cast.people[Role.OWNER])
    first = make_key(page, cast, "chat-backend")
    assert post(base_url, first) == 201
    page.goto(f"/t/{cast.tenant.slug}/keys/")
    expect(page.locator("#new-key")).to_have_count(0)  # shown once
    row = page.locator("tr", has=page.locator("code", has_text=first.rpartition("_")[0][:20])).first
    row.locator("summary", has_text="Rotate").click()
    row.get_by_role("button", name="Rotate").click()
    second = page.locator("#new-key").inner_text().strip()
    assert (post(base_url, first), post(base_url, second)) == (201, 201)
    row = page.locator("tr", has=page.locator("code", has_text=f"{second.rpartition('_')[0]}…"))
    row.locator("summary", has_text="Revoke").click()
    row.get_by_role("button", name="Revoke").click()
    expect(row).to_contain_text("Revoked")
    assert wait_until(lambda: post(base_url, second) == 401, 5, interval=0.5)
    assert post(base_url, first) == 201


def test_an_invited_person_comes_in(visitors: Visitors, cast: Cast) -> None:
    page = visitors.sign_in(cast.people[Role.OWNER])
    page.get_by_label("Your account").click()
    page.get_by_role("link", name="Members").click()
    email = f"new-{cast.tenant.slug}@example.org"
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Name").fill("Nina New")
    page.get_by_label("Auditor", exact=True).check()
    page.get_by_role("button", name="Add", exact=True).click()
    link = page.locator("#invitation").inner_text().strip()
    guest = visitors.arrive()
    guest.goto(link)
    for field in guest.locator("input[type=password]").all():
        field.fill("a lantern in the harbour")
    guest.locator("form button[type=submit]").first.click()
    guest.goto("/")
    if "/accounts/login/" in guest.url:
        guest.get_by_label("Email").fill(email)
        guest.get_by_label("Password").fill("a lantern in the harbour")
        guest.get_by_role("button", name="Sign in").click()
    expect(guest.get_by_role("heading", level=1)).to_have_text(cast.tenant.name)
