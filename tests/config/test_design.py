"""The design system keeps its own rules: tokens exist and contrast, nothing inline, nothing fetched from outside."""

import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.template.loader import get_template, render_to_string

TEMPLATES = Path(settings.BASE_DIR) / "templates"
STATIC = Path(settings.BASE_DIR) / "config" / "static"
CSS = sorted([*(STATIC / "css").glob("*.css"), *Path(settings.BASE_DIR).glob("audits/static/**/*.css")])
PAGES = sorted(TEMPLATES.rglob("*.html"))
OWN = [*PAGES, *CSS, *sorted((STATIC / "js").glob("*.js"))]
DJANGO_TAG = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
COMPOSED = "\u25a0"  # stands where a template tag stood
TOKEN = re.compile(r"--([\w-]+):\s*light-dark\((#[0-9a-f]{6}),\s*(#[0-9a-f]{6})\)")

SURFACES = ("paper", "sheet", "sunken", "raised")
TEXT_ON_SURFACES = ("ink", "ink-2", "ink-3", "seal", "seal-deep", "caution", "breach", "note")
TEXT_PAIRS = [
    *((text, surface) for text in TEXT_ON_SURFACES for surface in SURFACES),
    *((tone, f"{tone}-wash") for tone in ("seal", "caution", "breach", "note")),
    *(("ink", f"{tone}-wash") for tone in ("seal", "caution", "breach", "note")),
    *(("ink-2", f"{tone}-wash") for tone in ("seal", "caution")),
    ("on-seal", "seal"),
    ("on-seal", "seal-deep"),
    ("paper", "ink"),
    ("sheet", "breach"),
]
EDGE_PAIRS = [(edge, surface) for edge in ("rule-strong", "focus") for surface in ("paper", "sheet")]


def _name(path: Path) -> str:
    return str(path.relative_to(settings.BASE_DIR))


def _markup(path: Path) -> str:
    return DJANGO_TAG.sub(COMPOSED, path.read_text())


def _luminance(colour: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2.2)."""
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.fixture(scope="module")
def palette() -> dict[str, tuple[str, str]]:
    """Token → its (light, dark) colours."""
    return {name: (light, dark) for name, light, dark in TOKEN.findall((STATIC / "css" / "tokens.css").read_text())}


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_contrasts_at_least_four_and_a_half(palette: dict[str, tuple[str, str]], theme: int) -> None:
    pairs = {(a, b): _contrast(palette[a][theme], palette[b][theme]) for a, b in TEXT_PAIRS}
    assert {pair: round(ratio, 2) for pair, ratio in pairs.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_edges_of_controls_contrast_at_least_three(palette: dict[str, tuple[str, str]], theme: int) -> None:
    pairs = {(a, b): _contrast(palette[a][theme], palette[b][theme]) for a, b in EDGE_PAIRS}
    assert {pair: round(ratio, 2) for pair, ratio in pairs.items() if ratio < 3} == {}


def test_every_variable_used_is_defined_and_every_token_is_used() -> None:
    text = "\n".join(path.read_text() for path in CSS)
    used = set(re.findall(r"var\(\s*--([\w-]+)", text))
    defined = set(re.findall(r"(?m)^\s*--([\w-]+):", text))
    assert used - defined == set()
    assert defined - used == set()


def test_every_stylesheet_is_layered_and_no_rule_is_forced() -> None:
    for path in CSS:
        text = path.read_text()
        assert "@layer" in text, _name(path)
        assert "!important" not in text, _name(path)


@pytest.mark.parametrize("path", PAGES, ids=_name)
def test_templates_hold_nothing_that_the_content_policy_refuses(path: Path) -> None:
    markup = _markup(path)
    assert not re.search(r"\sstyle\s*=", markup)
    assert not re.search(r"<style", markup)
    assert not re.search(r"\son[a-z]+\s*=", markup)
    assert not re.search(r"javascript:", markup)
    scripts = [script for script in re.findall(r"<script[^>]*>", markup) if 'type="application/json"' not in script]
    assert all("src=" in script for script in scripts)  # JSON is read by them, and never runs
    assert not re.search(r"hx-(on|vals=.js:)", markup)


@pytest.mark.parametrize("path", OWN, ids=_name)
def test_nothing_is_fetched_from_outside(path: Path) -> None:
    addresses = re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"')]*", re.sub(r"(?m)^\s*//.*$", "", path.read_text()))
    assert [address for address in addresses if "www.w3.org" not in address] == []


@pytest.mark.parametrize("path", PAGES, ids=_name)
def test_templates_compile_are_short_and_say_what_they_take(path: Path) -> None:
    text = path.read_text()
    get_template(str(path.relative_to(TEMPLATES)))
    assert len(text.splitlines()) <= 200
    assert text.startswith("{#"), "a template begins with the context it takes"


def test_stylesheets_are_short() -> None:
    assert {_name(path): n for path in CSS if (n := len(path.read_text().splitlines())) > 400} == {}


def test_every_icon_and_static_file_named_exists() -> None:
    icons = set(re.findall(r'<symbol id="([\w-]+)"', (STATIC / "img" / "icons.svg").read_text()))
    text = "\n".join(path.read_text() for path in PAGES)
    assert set(re.findall(r'icon\.html" with name="([\w-]+)"', text)) - icons == set()
    assert set(re.findall(r'\bicon="([\w-]+)"', text)) - icons == set()
    assert [name for name in re.findall(r"\{% static '([^']+)' %\}", text) if finders.find(name) is None] == []


def test_every_class_used_has_a_rule() -> None:
    rules = set(re.findall(r"\.([a-z][\w-]*)", "\n".join(path.read_text() for path in CSS)))
    values = [value for path in PAGES for value in re.findall(r'class="([^"]*)"', _markup(path))]
    names = {name for value in values for name in value.split() if COMPOSED not in name}
    hooks = {"cell-when", "cell-action", "step-open", "trace-pager"}  # for tests and scripts: no rule of their own
    assert names - rules - hooks == set()


def test_vendored_files_are_what_was_vendored() -> None:
    lines = (STATIC / "vendor" / "SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    files = {str(p.relative_to(STATIC / "vendor")): p for p in (STATIC / "vendor").rglob("*") if p.is_file()}
    files.pop("SHA256SUMS")
    assert sums == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    assert sum(p.stat().st_size for p in (STATIC / "vendor" / "fonts").iterdir()) < 600_000


def test_the_style_guide_shows_every_component() -> None:
    at = datetime(2026, 11, 23, 8, 46, 14, tzinfo=UTC)
    text = render_to_string("styleguide.html", {"at": at, "hash": "ab" * 32, "tokens": ["ink"]})
    assert "abababab" in text
    shown = (TEMPLATES / "styleguide.html").read_text() + (TEMPLATES / "base.html").read_text()
    parts = {path.stem for path in (TEMPLATES / "components").glob("*.html")}
    nested = {"badge", "field", "field_errors", "sparkline"}  # inside another component
    assert {part for part in parts - nested if f"components/{part}.html" not in shown} == set()


@pytest.mark.parametrize(
    ("action", "tone"), [("allow", "badge-quiet"), ("mask", "badge-note"), ("block", "badge-breach"), ("odd", "badge")]
)
def test_only_what_departs_from_the_ordinary_is_coloured(action: str, tone: str) -> None:
    assert f'class="{tone}"' in render_to_string("components/action.html", {"action": action}).replace(
        "badge badge-", "badge-"
    )


def test_a_hash_can_be_copied_whole() -> None:
    text = render_to_string("components/hash.html", {"value": "0123456789abcdef" * 4})
    assert f'data-copy="{"0123456789abcdef" * 4}"' in text
    assert "01234567<" in text


def test_text_from_records_is_escaped() -> None:
    turn = {"role": "user", "parts": [{"kind": "text", "text": "<script>alert(1)</script>"}]}
    assert "<script>" not in render_to_string("traces/_turn.html", {"turn": turn})
    row = {"url": "/x", "asked": '"><img src=x onerror=alert(1)>', "action": "<b>"}
    text = render_to_string("traces/_decision_rows.html", {"decisions": [row]})
    assert "<img" not in text
    assert "<b>" not in text
