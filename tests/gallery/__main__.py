"""`make screenshots`: the demonstration, every page at two widths in both themes, as pictures and one sheet of all.

Prints what is wrong on a page (too wide, violations of WCAG 2.2 that axe calls serious or critical, errors in the
console) and what no link leads to; exits with 1 if there is anything.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path

import django
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from config.processes import free_port
from config.servers import default_home
from config.supervisor import ROOT
from config.topology import RunNote
from tests.gallery.crawl import HEIGHT, WIDE, Look, look, unreached, walk


def main() -> int:
    options = _options()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings_test")
    django.setup()
    options.to.mkdir(parents=True, exist_ok=True)
    with _demonstration(options.home) as note, sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        looks = list(_tour(browser, note, options.to))
    (options.to / "index.html").write_text(_sheet(looks))
    from tests.invariants.test_access_matrix import NEEDS, READ  # late: models want the settings above

    readable = {name for name, methods in NEEDS.items() if READ in methods}
    missing = unreached({found.stop.name for found in looks}, readable)
    faults = [f"{found.label}: {fault}" for found in looks for fault in found.faults]
    for line in (*faults, *(f"no link leads to: {name}" for name in sorted(missing))):
        print(line)
    print(f"{len(looks)} views of {len({found.stop.name for found in looks})} pages: {options.to / 'index.html'}")
    return 1 if faults or missing else 0


def _tour(browser: Browser, note: RunNote, folder: Path) -> Iterator[Look]:
    """Everybody whom the start of the demonstration names, each where they come by clicking."""
    seen: set[str] = set()
    for address in re.findall(r"\S+@\S+\.example", note.text):
        context = browser.new_context(base_url=note.base_url, viewport={"width": WIDE, "height": HEIGHT})
        page = context.new_page()
        said = _complaints(page)
        _sign_in(page, address, _password(note))
        for stop in walk(page, address.partition("@")[0]):
            if stop.name in seen and stop.name != "tenant-home":
                continue
            seen.add(stop.name)
            for found in look(page, stop):
                page.screenshot(path=folder / f"{_file(found)}.png", full_page=True)
                yield Look(found.stop, found.width, found.theme, (*found.faults, *said))
                said.clear()
        context.close()


def _complaints(page: Page) -> list[str]:
    """What the browser's console says from now on: errors of scripts and resources."""
    said: list[str] = []

    def console(message: ConsoleMessage) -> None:
        if message.type == "error":
            said.append(message.text)

    page.on("console", console)
    page.on("pageerror", lambda error: said.append(str(error)))
    return said


def _sign_in(page: Page, address: str, password: str) -> None:
    page.goto("/")
    page.get_by_label("Email").fill(address)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/t/**")


def _password(note: RunNote) -> str:
    found = re.search(r"password (\S+)", note.text)
    if found is None:
        raise LookupError(f"The demonstration names no password: {note.text}")
    return found[1]


def _file(found: Look) -> str:
    return f"{found.label}-{found.stop.person}" if found.stop.name == "tenant-home" else found.label


def _sheet(looks: list[Look]) -> str:
    """One page with all pictures, as `index.html` beside them."""
    cards = "".join(
        f'<figure><a href="{_file(found)}.png"><img loading="lazy" src="{_file(found)}.png" alt=""></a>'
        f"<figcaption>{escape(found.label)}<br>{escape('; '.join(found.faults))}</figcaption></figure>"
        for found in looks
    )
    style = "body{display:grid;grid-template-columns:repeat(4,1fr);gap:1rem;font:14px sans-serif}figure{margin:0}"
    return f"<!doctype html><title>Every page</title><style>{style}img{{width:100%}}</style>{cards}"


@contextmanager
def _demonstration(home: Path | None) -> Iterator[RunNote]:
    """A running demonstration, and what it says about itself."""
    with tempfile.TemporaryDirectory() as made:
        folder = home or Path(made)
        environ = os.environ | {"AFFIDAVIT_HOME": str(folder)}
        command = [sys.executable, "-m", "config"]
        subprocess.run([*command, "demo", "--detach", "--port", str(free_port())], env=environ, cwd=ROOT, check=True)
        try:
            note = RunNote.read(folder)
            if note is None:
                raise LookupError(f"No site runs in {folder}.")
            yield note
        finally:
            subprocess.run([*command, "stop"], env=environ, cwd=ROOT, check=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.gallery", description=__doc__)
    parser.add_argument(
        "--to", type=Path, default=default_home(os.environ) / "screenshots", help="where the pictures go"
    )
    parser.add_argument("--home", type=Path, help="a demonstration's folder to use, instead of a new one")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
