"""Who can reach which page by clicking, and what is wrong with it there.

A page counts once, by the name of its route. What no link leads to is as good as absent, so `unreached` names it.
"""

from collections import defaultdict, deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from axe_playwright_python.sync_playwright import Axe
from django.urls import Resolver404, resolve
from playwright.sync_api import Page

WIDE, NARROW = 1440, 390
HEIGHT = 900
EXAMPLES = 4
SETTLED = 250  # milliseconds until colours have changed with the theme
THEMES = ("light", "dark")
SIZES = (WIDE, NARROW)
# Answers that are no page of ours: files, parts of pages, and the pages of others' packages.
NO_PAGES = frozenset({
    "admin-login", "api-docs", "case-bundle", "case-file", "case-letter-pdf", "case-report", "case-revision-bundle",
    "case-revision-report",
    "decision-export", "decision-proof", "first-record", "livez", "metrics", "openapi", "readyz", "start",
    "trace-rows", "trace-span", "usage-csv",
})  # fmt: skip
STANDARDS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
GRAVE = frozenset({"serious", "critical"})


@dataclass(frozen=True, slots=True)
class Stop:
    """A page that somebody reached."""

    name: str
    path: str
    person: str


@dataclass(frozen=True, slots=True)
class Look:
    """One view of a page, and what was found there, a line each."""

    stop: Stop
    width: int
    theme: str
    faults: tuple[str, ...]

    @property
    def label(self) -> str:
        return f"{self.stop.name}-{self.width}-{self.theme}"


def name_of(path: str) -> str | None:
    """The route behind a path; None for what is not ours to look at."""
    try:
        name = resolve(path).view_name
    except Resolver404:
        return None
    return None if name in NO_PAGES or name.startswith(("admin:", "api-")) else name


def walk(page: Page, person: str) -> Iterator[Stop]:
    """The pages that can be reached from where the browser stands, each once.

    Of a kind of page, `EXAMPLES` are opened for where they lead: a finished case offers other steps than a new one.
    """
    queue = deque([urlsplit(page.url).path])
    opened: dict[str, set[str]] = defaultdict(set)
    while queue:
        path = queue.popleft()
        name = name_of(path)
        if name is None or path in opened[name] or len(opened[name]) == EXAMPLES:
            continue
        opened[name].add(path)
        page.goto(path)
        queue.extend(_links(page))
        if len(opened[name]) == 1:
            yield Stop(name, path, person)


def _links(page: Page) -> list[str]:
    """Paths on this host that the page's links and searches lead to, in their order."""
    hrefs = page.evaluate("""[...document.querySelectorAll('a[href], form[method=get][action]')].map(
        found => found.href ?? found.action)""")
    here = urlsplit(page.url)
    parts = (urlsplit(urljoin(page.url, href)) for href in hrefs)
    return [part.path for part in parts if part.netloc == here.netloc]


def look(page: Page, stop: Stop) -> Iterator[Look]:
    """The page as it stands, in each size and theme; the browser is left wide and light."""
    for width in SIZES:
        for theme in THEMES:
            page.set_viewport_size({"width": width, "height": HEIGHT})
            page.emulate_media(color_scheme="dark" if theme == "dark" else "light", reduced_motion="reduce")
            page.wait_for_timeout(SETTLED)
            yield Look(stop, width, theme, (*_too_wide(page), *inaccessible(page)))
    page.set_viewport_size({"width": WIDE, "height": HEIGHT})
    page.emulate_media(color_scheme="light")


def _too_wide(page: Page) -> Iterator[str]:
    over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if over > 0:
        yield f"scrolls sideways by {over} pixels"


def inaccessible(page: Page) -> Iterator[str]:
    """What axe calls a serious or critical violation of WCAG 2.2 A or AA."""
    asked = {"runOnly": list(STANDARDS), "resultTypes": ["violations"]}
    # A watermark is pure decoration, which SC 1.4.3 leaves out; what it says stands beside it in words.
    found = Axe().run(page, {"exclude": [[".watermark"]]}, asked)
    for violation in found.response["violations"]:
        if violation["impact"] in GRAVE:
            places = "; ".join(str(node["target"][0]) for node in violation["nodes"][:3])
            yield f"{violation['id']}: {violation['help']} ({len(violation['nodes'])}: {places})"


def unreached(seen: Collection[str], readable: Collection[str]) -> set[str]:
    """Routes that answer GET with a page, and that nobody came to."""
    return {name for name in readable if name not in NO_PAGES and not name.startswith("api-")} - set(seen)
