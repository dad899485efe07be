"""A browser before a site that runs as it is deployed: web, worker, sequencer and signer, started once.

Every page that a journey opens is watched: an error in the console, a violated content security policy, a request to
another host or a failed answer fails the journey, whatever else it looks at. So does what axe calls a serious or
critical violation of WCAG 2.2: it is asked about every page as the journey leaves it, and once a run about every other
kind of page that the journey came through, which is opened again for it.
"""

import os
import shutil
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from django.test import override_settings
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response, sync_playwright

from config.processes import wait_until
from tenants.context import tenant_atomic
from tenants.ledger.reader import health
from tenants.models import User
from tests.factories.audits import Team, make_team
from tests.factories.tenants import PASSWORD, Cast, make_cast
from tests.gallery.crawl import inaccessible, name_of
from tests.site import RunningSite, running_site

os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # the browser's driver runs a loop in this thread; the tests do not
PATIENCE = 20_000  # milliseconds; a checkpoint is signed every five seconds


def settle(cast: Cast) -> None:
    """Wait until a signed head covers everything that was recorded."""

    def is_settled() -> bool:
        with tenant_atomic(cast.tenant.pk):
            now = health(cast.tenant.pk)
        return not now.queued and now.covered == now.log.size > 0

    assert wait_until(is_settled, PATIENCE / 1000, interval=0.2), "no checkpoint came"


@pytest.fixture(scope="session")
def site(database: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    with running_site(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.fail("The journeys need a browser: apt-get install chromium.")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield running
        running.close()


@dataclass
class Watch:
    """What went wrong on the pages, as lines to read."""

    host: str
    seen: list[str] = field(default_factory=list)
    opened: dict[BrowserContext, list[str]] = field(default_factory=lambda: defaultdict(list))  # paths, with queries

    def attach(self, context: BrowserContext) -> None:
        context.on("console", self.console)
        context.on("weberror", lambda error: self.seen.append(f"script: {error.error}"))
        context.on("request", self.request)
        context.on("response", self.response)

    def console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.seen.append(f"console: {message.text}")

    def request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in {"http", "https", "ws", "wss"} and parts.netloc != self.host:
            self.seen.append(f"request to another host: {request.url}")

    def response(self, response: Response) -> None:
        if response.status >= 400:
            self.seen.append(f"{response.status} {response.url}")
        request = response.request
        if request.is_navigation_request() and request.method == "GET" and response.status == 200:
            parts = urlsplit(response.url)
            self.opened[request.frame.page.context].append(f"{parts.path}?{parts.query}" if parts.query else parts.path)


@dataclass
class Visitors:
    """People at their browsers."""

    browser: Browser
    site: RunningSite
    watch: Watch
    judged: set[str]  # routes that axe has been asked about in this run
    contexts: list[BrowserContext] = field(default_factory=list)

    def arrive(self, *, width: int = 1280, height: int = 860, scheme: str = "light") -> Page:
        """Somebody who has not signed in."""
        context = self.browser.new_context(
            base_url=self.site.base_url,
            viewport={"width": width, "height": height},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        context.set_default_timeout(PATIENCE / 2)
        self.watch.attach(context)
        self.contexts.append(context)
        return context.new_page()

    def sign_in(self, user: User, *, width: int = 1280) -> Page:
        """Somebody at their start page."""
        page = self.arrive(width=width)
        page.goto("/")
        page.get_by_label("Email").fill(user.email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/t/**")
        return page

    def judge(self) -> None:
        """Ask axe about what each browser shows, then about the kinds of pages it came through."""
        for context in self.contexts:
            for page in context.pages:
                self._ask(page)
            page = context.new_page()
            for path in list(self.watch.opened[context]):
                name = name_of(urlsplit(path).path)
                if name is None or name in self.judged:
                    continue
                page.goto(path)
                if urlsplit(page.url).path == urlsplit(path).path:  # else signed out meanwhile
                    self._ask(page)

    def _ask(self, page: Page) -> None:
        path = urlsplit(page.url).path
        name = name_of(path) if page.url.startswith("http") else None
        if name is not None:
            self.judged.add(name)
            self.watch.seen += [f"axe: {path}: {fault}" for fault in inaccessible(page)]


@pytest.fixture(scope="session")
def judged() -> set[str]:
    return set()


@pytest.fixture
def visitors(browser: Browser, site: RunningSite, judged: set[str]) -> Iterator[Visitors]:
    here = Visitors(browser, site, Watch(urlsplit(site.base_url).netloc), judged)
    yield here
    here.judge()
    for context in here.contexts:
        context.close()
    assert not here.watch.seen, "\n".join(here.watch.seen)


@pytest.fixture(autouse=True)
def _site_passwords() -> Iterator[None]:
    """People made by a journey have passwords that the site's hasher knows."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.ScryptPasswordHasher"]):
        yield


@pytest.fixture
def cast(site: RunningSite, _site_passwords: None) -> Cast:
    return make_cast()


@pytest.fixture
def team(cast: Cast) -> Team:
    return make_team(cast)
