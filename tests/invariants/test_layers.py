"""Imports run one way: tenants ← policies ← traces ← audits; config composes them and is imported by none."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("tenants", "policies", "traces", "audits")
FORBIDDEN_NAMES = {"utils", "helpers", "common", "core", "managers", "constants", "misc"}


def modules(app: str) -> Iterator[Path]:
    yield from (path for path in sorted((ROOT / app).rglob("*.py")) if "migrations" not in path.parts)


def imported(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module.split(".")[0], node.lineno


def breaches(app: str, above: set[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in modules(app)
        for name, line in imported(path)
        if name in above
    ]


@pytest.mark.parametrize("app", LAYERS)
def test_an_app_imports_only_what_stands_below_it(app: str) -> None:
    above = set(LAYERS[LAYERS.index(app) + 1 :]) | {"config"}
    found = breaches(app, above)
    assert not found, f"{app} must not import {', '.join(sorted(above))}. Poll a row from above instead:\n" + "\n".join(
        found
    )


def test_modules_are_named_after_what_they_hold() -> None:
    found = [
        str(path.relative_to(ROOT))
        for app in (*LAYERS, "config")
        for path in modules(app)
        if path.stem in FORBIDDEN_NAMES or path.parent.name in FORBIDDEN_NAMES
    ]
    assert not found, "Name the noun (hashing.py), not the drawer: " + ", ".join(found)


def test_the_check_sees_a_breach(tmp_path: Path) -> None:
    module = tmp_path / "wrong.py"
    module.write_text("from audits.services import open_case\n")
    assert ("audits", 1) in list(imported(module))
