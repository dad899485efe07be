"""From an empty list to a program that is told, and knows by the signature that it was us."""

import re
from urllib.parse import urlsplit

from playwright.sync_api import expect

from tenants.roles import Role
from tests.factories.tenants import Cast
from tests.journeys.conftest import PATIENCE, Visitors
from tests.tenants.webhooks.receiver import receiving


def test_an_endpoint_is_added_tested_and_told_by_a_verified_request(visitors: Visitors, cast: Cast) -> None:
    page = visitors.sign_in(cast.people[Role.OWNER])
    page.get_by_label("Your account").click()
    page.get_by_role("link", name="Webhooks").click()
    expect(page.get_by_text("Nobody is told yet")).to_be_visible()

    with receiving() as receiver:
        receiver.answers = [(503, {}, b"not yet"), (200, {}, b"thank you")]
        page.get_by_label("Name").fill("On call")
        page.get_by_label("Address").fill(receiver.url)
        page.get_by_role("button", name="Add the endpoint").click()
        secret = page.locator("#new-secret").inner_text().strip()
        page.get_by_role("button", name="Send a test").click()
        assert receiver.arrived.wait(PATIENCE / 1000)
        expect(page.get_by_text("A test is on its way")).to_be_visible()

        page.get_by_role("button", name="Send again").click()
        page.wait_for_timeout(200)
        for _ in range(60):
            if len(receiver.got) > 1:
                break
            page.wait_for_timeout(500)
    first, second = receiver.got
    event = second.verified(secret)
    assert event["type"] == "webhook_endpoint.pinged"
    assert urlsplit(event["data"]["url"]).path == urlsplit(page.url).path
    assert first.headers["webhook-id"] == second.headers["webhook-id"]

    page.reload()
    page.get_by_text(re.compile("2 of 10")).click()
    expect(page.get_by_text("2. HTTP 200")).to_be_visible()
    expect(page.get_by_text("thank you")).to_be_visible()
    expect(page.get_by_text("1. HTTP 503")).to_be_visible()
