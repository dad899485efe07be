"""What the documents show works as it is shown."""

import importlib.util
import re
from pathlib import Path

import pytest
from django.core.management import get_commands

from config.supervisor import ROOT
from policies.document import parse
from policies.expressions import compile_source

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("*/README.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob(".github/*.md")])
FIRST_POLICY = (ROOT / "docs" / "first-policy.md").read_text(encoding="utf-8")
EXPRESSIONS = re.findall(r"^\| [^|]+ \| `(.+)` \|$", FIRST_POLICY, re.MULTILINE)


def test_the_first_policy_is_one() -> None:
    (source,) = re.findall(r"```yaml\n(.*?)```", FIRST_POLICY, re.DOTALL)
    document = parse(source)
    assert document.examples


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_what_a_rule_may_say_compiles(expression: str) -> None:
    compile_source(expression)


def test_the_table_of_expressions_was_found() -> None:
    assert len(EXPRESSIONS) == 4


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    local = [target for target in targets if target and not re.match(r"[a-z]+:", target)]
    assert [target for target in local if not (page.parent / target).exists()] == []


def test_every_decision_is_listed() -> None:
    listed = set(re.findall(r"\]\((\d{4}-[a-z0-9-]+\.md)\)", (ROOT / "docs/adr/README.md").read_text(encoding="utf-8")))
    assert listed == {path.name for path in ROOT.glob("docs/adr/[0-9]*.md")}


def shown(pattern: str) -> set[str]:
    """What all pages name in code, by a pattern of one group."""
    return {name for page in PAGES for name in re.findall(pattern, page.read_text(encoding="utf-8"))}


def test_every_target_that_a_page_names_is_one() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = shown(r"(?:`|^)make ([a-z]+)\b") | shown(r"(?m)^make ([a-z]+)\b")
    assert {"demo", "test", "newcomer"} <= named
    assert named - targets == set()


def test_every_command_that_a_page_names_is_one() -> None:
    named = shown(r"manage\.py ([a-z_]+)")
    assert {"verify_ledger", "create_key"} <= named
    assert named - set(get_commands()) == set()
    modules = shown(r"python3? -m ([a-z_.]+[a-z])")
    assert "tests.benchmarks.reads" in modules
    assert [name for name in modules if importlib.util.find_spec(name) is None] == []


def test_settings_and_their_table_agree() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("config/*.py")))
    read = set(re.findall(r"""(?:env_\w+|require_secret)\(\s*"(AFFIDAVIT_\w+)\"""", code))
    assert "AFFIDAVIT_ANCHOR_DIR" in read
    table = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    told = set()
    for row in re.findall(r"^\| (`AFFIDAVIT_[^|]+) \|", table, re.MULTILINE):
        first, *others = re.findall(r"`(\w+)`", row)
        told |= {first} | {name if name.startswith("AFFIDAVIT_") else f"AFFIDAVIT{name}" for name in others}
    assert read - told == set(), "Give the new setting a row in docs/operations.md."
    assert told - set(re.findall(r"AFFIDAVIT_\w+", code)) == set()
