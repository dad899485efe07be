"""The pages that say what shows a rule: each test that they name is there to be collected, each command can be run."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from config.supervisor import ROOT

PAGES = [path for path in sorted((ROOT / "docs").glob("*.md")) if "`tests/" in path.read_text(encoding="utf-8")]
TRUST = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| ([A-Z]?\d+) \| (.+?) \| (.+) \|$", re.MULTILINE)
# How many checks each letter has, and the promises without a letter.
COUNTS = {"": 6, "L": 8, "D": 12, "P": 7, "I": 8, "W": 8, "B": 9, "E": 6, "O": 4}


@cache
def names_in(path: str) -> frozenset[str]:
    """Functions and classes at the top of a module: what pytest collects of it, and what a command is made of."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(one.name for one in tree.body if isinstance(one, ast.FunctionDef | ast.ClassDef))


def collected(path: str, name: str) -> bool:
    """Whether pytest finds it by its rules: a function `test_…` in a module `test_….py`."""
    is_test = Path(path).name.startswith("test_") and name.startswith("test_")
    return (
        (ROOT / path).exists()
        and name in names_in(path)
        and (is_test or path.startswith(("tests/faults/", "tests/fuzz/")))
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_is_named_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    assert [f"{path}::{name}" for path, name in named if not collected(path, name)] == []
    assert [path for path in re.findall(r"`(tests/[\w/.]+)`", text) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_is_named_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z]+)", text)) <= targets
    modules = {name.replace(".", "/") for name in re.findall(r"python -m (tests[\w.]*)", text)}
    assert [
        one for one in modules if not (ROOT / f"{one}.py").exists() and not (ROOT / one / "__main__.py").exists()
    ] == []


def rows() -> list[tuple[str, str]]:
    """(id, what shows it) of every row of the page."""
    return [(found[1], found[3]) for found in ROW.finditer(TRUST)]


def test_every_promise_and_check_appears_once() -> None:
    wanted = [f"{letter}{number}" for letter, count in COUNTS.items() for number in range(1, count + 1)]
    assert sorted(name for name, _ in rows()) == sorted(wanted)
    assert len(wanted) == 6 + 62


@pytest.mark.parametrize(("name", "shown"), rows())
def test_each_is_shown_or_says_that_it_is_not(name: str, shown: str) -> None:
    assert re.search(r"`(tests/|make |python -m |requirements)|Not shown|^E1–E6", shown), name


def test_pages_with_named_tests_were_found() -> None:
    assert {"trust.md", "conformance.md", "isolation.md", "faults.md"} <= {page.name for page in PAGES}
    assert len(re.findall(r"::test_", TRUST)) > 100
