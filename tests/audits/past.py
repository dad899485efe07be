"""Decisions of long ago: months that lie behind have no partition, so the product's own function makes them here."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.factories.tenants import Cast
from tests.factories.traces import a_decision, ingestor
from tests.invariants.worlds import superuser
from traces.services import record_decisions
from traces.submissions import validate

TABLES = ("decision", "decisionpayload", "evaluation", "searchtoken", "span", "spancontent")


def days_ago(days: int) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


def make_past_months(months: int = 30) -> None:
    """Partitions of the last months, as the product makes those to come."""
    with superuser() as connection:
        connection.execute("SET ROLE affidavit_owner")
        found = connection.execute("SELECT pg_get_functiondef('affidavit_ensure_partitions'::regproc)").fetchone()
        source = found[0] if found else ""
        past = source.replace("public.affidavit_ensure_partitions", "pg_temp.past_partitions")
        connection.execute(past.replace("-1 .. months_ahead", f"-{months} .. months_ahead"))
        for name in TABLES:
            connection.execute("SELECT pg_temp.past_partitions(%s::regclass, 0)", [f"traces_{name}"])


def submit_old(cast: Cast, days: int, n: int = 1, **changes: Any) -> list[uuid.UUID]:
    """Record `n` decisions as if they had been received so many days ago; returns their ids."""
    items = validate([a_decision(**changes) for _ in range(n)])
    answers = record_decisions(by=ingestor(cast), items=items, now=days_ago(days))
    return [uuid.UUID(answer["id"]) for answer in answers.items]
