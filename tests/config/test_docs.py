"""What the documents show works as it is shown."""

import re
from pathlib import Path

import pytest

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
