"""Two tenants with a row in every table: what the proofs of isolation try to reach across.

What the product's services make is made by them. A table that this leaves empty gets one invented row, so that a new
model is under test from its first day.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from django.apps import apps
from django.conf import settings
from django.db import models
from psycopg import sql

from audits.alerts import RuleTerms, set_alert_rule
from audits.erasures import Plea, request_erasure
from audits.holds import HoldText, place_hold
from audits.letters import draft_letter
from audits.models import Case, CaseType, Purge
from audits.retention import set_retention
from audits.selectors import items_of
from audits.services import grant_case_access
from policies.backtests import start_backtest
from policies.models import PolicyVersion
from tenants.context import tenant_atomic
from tenants.ids import uuid7_now
from tenants.models import TenantForeignKey, TenantManager
from tenants.roles import Role
from tenants.webhooks.services import EndpointTerms, create_endpoint, ping_endpoint
from tests.factories.audits import make_team, reopened_case
from tests.factories.policies import a_document, put_in_force
from tests.factories.tenants import Cast, make_cast
from tests.factories.traces import submit
from traces.costs.budgeting import BudgetTerms, create_budget
from traces.costs.services import record_price, restate_costs
from traces.drift import alerting
from traces.drift.events import Event
from traces.meaning.thumbs import create_thumb_key
from traces.models import Decision
from traces.search.saved import save_view
from traces.trees.links import LinkTerms, set_apm_link

# What an invented row holds, by the column's type; the tenant's own columns are filled apart.
INVENTED = {
    "text": "'x'",
    "varchar": "'x'",
    "bytea": "'\\x00'::bytea",
    "timestamptz": "now()",
    "date": "current_date",
    "bool": "false",
    "jsonb": "'{}'::jsonb",
    "tstzrange": "tstzrange(now(), NULL)",
    "_varchar": "ARRAY['x']",
    "_text": "ARRAY['x']",
}


@dataclass(frozen=True)
class World:
    """A tenant, its people, and the things that routes are about; the external auditor is a guest of `case`."""

    cast: Cast
    decision: uuid.UUID
    version: PolicyVersion
    backtest: uuid.UUID
    case: Case
    budget: uuid.UUID
    price_sha256: bytes
    restatement: uuid.UUID
    erasure: uuid.UUID
    hold: uuid.UUID


def tenant_models() -> list[type[models.Model]]:
    """Every model whose rows belong to a tenant, from the registry."""
    return [model for model in apps.get_models() if isinstance(model._default_manager, TenantManager)]


def tenant_references() -> list[tuple[type[models.Model], models.ForeignKey[Any, Any]]]:
    """Every reference from one tenant table to another."""
    return [
        (model, field)
        for model in tenant_models()
        for field in model._meta.local_fields
        if isinstance(field, TenantForeignKey)
    ]


@contextmanager
def superuser() -> Iterator[psycopg.Connection[Any]]:
    """The administrator's own connection to the test database: bound by no policy and no privilege."""
    owner = settings.DATABASES["owner"]
    login = {"user": owner["USER"], "password": owner["PASSWORD"], "host": owner["HOST"], "port": owner["PORT"]}
    with psycopg.connect(**login, dbname=owner["NAME"], autocommit=True) as connection:
        yield connection


def an_alert(cast: Cast, decision: uuid.UUID, now: datetime) -> None:
    """Something was noticed in the deployment of this decision."""
    at = now.timestamp()
    event = Event("repeated_requests", "u-1032", at, at, 6, str(decision), "6 identical requests, seconds apart")
    with tenant_atomic(cast.tenant.pk):
        deployment = Decision.objects.get(pk=decision).deployment_id
        alerting.write(cast.tenant.pk, deployment, event, None, at)


def a_purge(cast: Cast, now: datetime) -> None:
    """A run that found nothing: its row is a worker's to write."""
    with tenant_atomic(cast.tenant.pk, using="worker"):
        rows = Purge.objects.using("worker")
        run = rows.create(number=1, retention_class="ai_act_logs", keep_days=396, before=now)
        rows.filter(pk=run.pk).update(state="completed", completed_at=now, records_sha256=bytes(32))


def make_world() -> World:
    """A tenant in which everything has happened once."""
    cast = make_cast()
    version = put_in_force(cast, a_document(f"limit-{uuid.uuid4().hex[:8]}", limit=10))
    mark = uuid.uuid4().hex[:8]
    rates = {"input": "2", "output": "10"}
    price = record_price(by=cast.owner, document={"provider": "acme", "model": mark, "currency": "EUR", "rates": rates})
    budget = create_budget(by=cast.owner, terms=BudgetTerms(f"budget {mark}", 10**9))
    today = datetime.now(UTC)
    week = timedelta(days=7)
    restatement = restate_costs(by=cast.owner, since=today - week, until=today, reason="A wrong price.")
    backtest = start_backtest(
        by=cast.actors[Role.POLICY_AUTHOR], version=version, since=today - timedelta(days=1), until=today
    )
    set_apm_link(by=cast.owner, terms=LinkTerms("Jaeger", "jaeger", "https://jaeger.example.com/trace/{trace_id}"))
    create_thumb_key(by=cast.owner, name="The shop", source=cast.source, origins=["https://shop.example.com"])
    save_view(by=cast.auditor, name="The first user", query={"user": "u-1032"}, is_shared=True)
    set_alert_rule(by=cast.auditor, terms=RuleTerms("high", cast.people[Role.AUDITOR]))
    told = create_endpoint(by=cast.owner, terms=EndpointTerms("On call", "https://hooks.example.com/affidavit"))
    ping_endpoint(by=cast.owner, pk=told.row.pk)
    (decision, *_) = submit(cast, 3, source_seq=1, occurred_at=None)
    an_alert(cast, decision, today)
    team = make_team(cast)
    case = reopened_case(team, kind=CaseType.EXPLANATION, system="loan-assistant")
    with tenant_atomic(cast.tenant.pk):
        explained = items_of(case)[0]
    draft_letter(by=team.lead, case=case, item=explained)
    guest = cast.people[Role.EXTERNAL_AUDITOR]
    grant_case_access(by=team.lead, case=case, user=guest, permissions=["case.read"], expires_at=today + week)
    plea = Plea("customer-5521", "b", "Their letter; identity checked.")
    erasure = request_erasure(by=cast.actors[Role.ADMIN], plea=plea)
    set_retention(by=cast.owner, system="", retention_class="ai_act_logs", keep_days=396)
    a_purge(cast, today)
    held = HoldText("record", str(decision), "A complaint is pending.")
    hold = place_hold(by=cast.auditor, text=held)
    with superuser() as connection:
        for model in tenant_models():
            fill(connection, model, cast)
    return World(
        cast, decision, version, backtest.pk, case, budget.pk, bytes(price.sha256), restatement.pk, erasure.pk, hold.pk
    )


def fill(connection: psycopg.Connection[Any], model: type[models.Model], cast: Cast) -> None:
    """One invented row, where the services left none. References are not checked: none is followed."""
    table = sql.Identifier(model._meta.db_table)
    has_row = sql.SQL("SELECT 1 FROM {} WHERE tenant_id = %s LIMIT 1").format(table)
    if connection.execute(has_row, [cast.tenant.pk]).fetchone():
        return
    values: dict[str, sql.Composable] = {}
    for column, kind in needed_columns(connection, model):
        values[column] = sql.Literal(uuid7_now()) if kind == "uuid" else sql.SQL(INVENTED.get(kind, "1"))
    values["tenant_id"] = sql.Literal(cast.tenant.pk)
    names = sql.SQL(", ").join(map(sql.Identifier, values))
    insert = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(table, names, sql.SQL(", ").join(values.values()))
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute(insert)


def needed_columns(connection: psycopg.Connection[Any], model: type[models.Model]) -> list[tuple[str, str]]:
    """Columns that take no NULL and fill themselves in no other way, with the names of their types."""
    found = connection.execute(
        "SELECT a.attname, t.typname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid"
        " WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped"
        "   AND a.attnotnull AND NOT a.atthasdef AND a.attidentity = ''",
        [model._meta.db_table],
    )
    return found.fetchall()


def a_row_of(model: type[models.Model], cast: Cast) -> models.Model:
    """A row of the tenant's, as the ORM loads it."""
    with tenant_atomic(cast.tenant.pk, using="owner"):
        row = model._default_manager.using("owner").filter(tenant_id=cast.tenant.pk).first()
    assert row is not None, f"{model._meta.label}: the world has none"
    return row
