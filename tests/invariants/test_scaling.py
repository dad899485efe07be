"""C1, C7, C10 to C13, C15, C17: what the code may not say, so that PostgreSQL can be spread over machines by tenant.

The same rules hold behind PgBouncer. What the catalogue can tell is in `test_catalogue.py`.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import connections, models
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from config.supervisor import ROOT
from tests.invariants.test_access_matrix import NEEDS, READ, TENANTED, callers_of, expected, fitting, values
from tests.invariants.test_registry import OURS, our_models
from tests.invariants.worlds import World, tenant_models

SOURCES = [
    path for app in (*OURS, "config") for path in sorted((ROOT / app).rglob("*.py")) if "migrations" not in path.parts
]

# Rule → what a statement of ours may not say.
NEVER = {
    "C7 the tenant is set by a statement, which a cluster passes on": r"\bset_config\s*\(",
    "C10 no recursion and no samples of tables": r"\bWITH RECURSIVE\b|\bTABLESAMPLE\b",
    "C13 no UPDATE to a value that differs from row to row by itself":
        r"\bUPDATE\b[^;\"]*\bSET\b[^;\"]*(clock_timestamp|gen_random_uuid|\brandom)\s*\(",
    "C14 no MERGE": r"\bMERGE INTO\b",
    "C15 a lock of advice ends with its transaction": r"pg_(try_)?advisory_lock|pg_advisory_unlock",
    "behind PgBouncer nothing is kept in a session":
        r"\b(LISTEN|UNLISTEN|NOTIFY)\s+[a-z]|\bpg_notify\(|\bTEMP(ORARY)? TABLE\b|WITH HOLD\b|"
        r"\bSET SESSION\b|\bPREPARE\s+\w+\s+AS\b",
}  # fmt: skip


def said(pattern: str) -> Iterator[str]:
    """Every place of the source that says it."""
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        for found in re.finditer(pattern, text):
            yield f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, found.start()) + 1} {found[0][:60]}"


@pytest.mark.parametrize("rule", NEVER)
def test_no_statement_says(rule: str) -> None:
    assert list(said(NEVER[rule])) == []


def test_what_may_not_be_said_is_recognised() -> None:
    examples = [
        "SELECT set_config('app.tenant_id', 'x', true)", "SELECT 1 FROM t TABLESAMPLE SYSTEM (1)",
        "UPDATE t SET a = 1, b = random() WHERE c", "MERGE INTO t", "SELECT pg_advisory_lock(1)", "LISTEN queue",
    ]  # fmt: skip
    assert all(re.search(pattern, example) for pattern, example in zip(NEVER.values(), examples, strict=True))
    assert len(SOURCES) > 100


def test_a_conflict_is_looked_for_inside_the_tenant() -> None:
    """C12: the target of ON CONFLICT begins with the tenant, or is any of the keys, which all have it (C2)."""
    targets = list(said(r"ON CONFLICT \([^)]*"))
    assert targets
    assert [target for target in targets if "ON CONFLICT (tenant_id" not in target] == []


def test_the_log_is_locked_by_its_row() -> None:
    """C15: what guards the log is a row of it, which lies where the log lies."""
    assert [place for place in said("advisory") if place.startswith("tenants/")] == []
    assert [place for place in said("FOR UPDATE|select_for_update") if place.startswith("tenants/ledger/")]


def test_models_that_are_shown_or_referred_to_have_one_key() -> None:
    """C17: Django takes no composite key there: the ORM's is one column, the database's has the tenant before it."""
    composite = {model for model in our_models() if isinstance(model._meta.pk, models.CompositePrimaryKey)}
    targets = {
        f.remote_field.model for m in apps.get_models() for f in m._meta.get_fields() if f.concrete and f.remote_field
    }
    assert not composite & (targets | set(admin.site._registry))


TABLES = {model._meta.db_table for model in tenant_models()}


def without_tenant(statement: str) -> bool:
    """Whether the statement is about rows of tenants and names none."""
    about = set(re.findall(r"\b[a-z]+_[a-z]+\b", statement)) & TABLES
    if not about or statement.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
        return False
    return not re.search(r'tenant_id"? ?(=|IN\b)|INSERT INTO', statement)


@pytest.mark.parametrize("name", [name for name in TENANTED if READ in NEEDS[name]])
def test_every_question_names_its_tenant(name: str, mine: World) -> None:
    """C11: the policies add it, and the statement has it besides, so that it can be sent to one machine."""
    url = reverse(name, kwargs=values(name, mine))
    caller = next(one for one in fitting(callers_of(mine), name) if expected(one, name, READ) == "in")
    wrong = []
    for alias in ("default", "ingest"):
        with CaptureQueriesContext(connections[alias]) as captured:
            caller.ask(READ, url)
        wrong += [query["sql"][:300] for query in captured.captured_queries if without_tenant(query["sql"])]
    assert wrong == []


def test_a_question_without_a_tenant_is_recognised() -> None:
    assert without_tenant('SELECT * FROM "traces_decision" WHERE id = 1')
    assert not without_tenant('SELECT * FROM "traces_decision" WHERE "traces_decision"."tenant_id" = \'x\'')
    assert Path(SOURCES[0]).exists()
