"""The size budget: files of at most 500 lines, functions of at most 60, templates of at most 200."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILE_LINES, FUNCTION_LINES, TEMPLATE_LINES = 500, 60, 200
# Path (or path:function) → why it may be longer. May only shrink.
EXCEPTIONS: dict[str, str] = {
    "audits/verifier/affidavit_verify.py": "one file by contract: auditors run it alone, with nothing but Python",
}


def sources() -> Iterator[Path]:
    for app in ("config", "tenants", "policies", "traces", "audits", "tests"):
        yield from (path for path in sorted((ROOT / app).rglob("*.py")) if "migrations" not in path.parts)


def test_files_stay_small() -> None:
    found = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in sources()}
    long = {name: lines for name, lines in found.items() if lines > FILE_LINES and name not in EXCEPTIONS}
    assert not long, f"Split by noun: {long}"


def test_functions_stay_small() -> None:
    long = []
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
                lines = node.end_lineno - node.lineno + 1
                name = f"{path.relative_to(ROOT)}:{node.name}"
                if lines > FUNCTION_LINES and name not in EXCEPTIONS and str(path.relative_to(ROOT)) not in EXCEPTIONS:
                    long.append(f"{name} ({lines})")
    assert not long, "Split by step: " + ", ".join(long)


def test_templates_stay_small() -> None:
    found = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in (ROOT / "templates").rglob("*.html")
    }
    long = {name: lines for name, lines in found.items() if lines > TEMPLATE_LINES}
    assert not long, f"Move a piece to templates/components or a _part.html: {long}"


def test_no_exception_outlives_its_reason() -> None:
    assert all((ROOT / name.split(":")[0]).exists() for name in EXCEPTIONS), "Take the stale name out of EXCEPTIONS."
