"""An empty organisation, its first key, its first record, and the proof of it."""

import os
import subprocess

from playwright.sync_api import Page, expect

from tenants.roles import Role
from tests.factories.tenants import Cast
from tests.journeys.conftest import Visitors, settle


def make_key(page: Page, cast: Cast, name: str) -> str:
    """An ingest key for the cast's source, made on the page of keys; the page is left open."""
    page.goto(f"/t/{cast.tenant.slug}/keys/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Ingest").check()
    page.get_by_role("textbox", name="Source").fill(cast.source.name)
    page.get_by_role("button", name="Make the key").click()
    return page.locator("#new-key").inner_text().strip()


def paste(command: str, secret: str) -> str:
    """What a shell prints that has the key; it must not fail."""
    done = subprocess.run(
        ["bash", "-c", f"set -e; {command}"],
        env={"PATH": os.environ["PATH"], "AFFIDAVIT_KEY": secret},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_from_an_empty_organisation_to_a_verified_record(visitors: Visitors, cast: Cast) -> None:
    page = visitors.sign_in(cast.people[Role.OWNER])
    expect(page.get_by_role("heading", name="Send the first decision")).to_be_visible()
    command = page.locator("#first-decision").inner_text()
    span = page.locator("#otlp-span").text_content() or ""
    waiting = visitors.sign_in(cast.people[Role.VIEWER])  # nobody reloads this page
    expect(waiting.get_by_text("Waiting for the first record.")).to_be_visible()
    page.get_by_role("link", name="Make a key").click()
    secret = make_key(page, cast, "first")
    assert "leaf_hash" in paste(command, secret)
    expect(waiting.get_by_text("The first record is here.")).to_be_visible()
    waiting.get_by_role("link", name="Open it and verify its proof").click()
    expect(waiting.get_by_role("heading", level=1)).to_be_visible()
    auditor = visitors.sign_in(cast.people[Role.AUDITOR])
    auditor.get_by_role("link", name="Decisions", exact=True).click()
    auditor.get_by_role("link", name="How do I close my account?").click()
    expect(auditor.get_by_text("Open Settings, then Close account.").first).to_be_visible()
    settle(cast)
    auditor.reload()
    auditor.get_by_role("button", name="Verify").click()
    expect(auditor.get_by_role("heading", name="Verified")).to_be_visible()
    expect(auditor.locator("#proof")).to_contain_text("The tree's head is signed")
    paste(span, secret)
    auditor.goto(f"/t/{cast.tenant.slug}/decisions/")
    expect(auditor.get_by_role("link", name="Is my card blocked?")).to_be_visible()
