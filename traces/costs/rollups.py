"""Usage by minute, hour and day, kept by adding what is new.

How new records are found: the transaction that stores a decision also adds its id to a queue, and the transaction
that counts it takes the id out. So each is counted once, whatever crashes and wherever: there is no other state to
resume from. Paging by "id greater than the last seen" would lose records, because ids are made before COMMIT and
transactions commit in another order; a horizon on transaction ids would stand still behind any long transaction (a
backup) and mean nothing after a restore.

A late record is a record: it adds to its own minute, hour and day. Minutes are kept for two days; one that comes later
still is counted by hour and day. Sums stop at the largest bigint rather than fail: one absurd record must not stop a
tenant's counting.
"""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from tenants.context import tenant_atomic

BATCH = 20_000
MINUTES_KEPT = timedelta(days=2)
LARGEST = 2**63 - 1

PLACE_KEY = (
    "grain", "bucket", "deployment_id", "model_version_id", "source_id", "agent", "outcome", "currency",
)  # fmt: skip
SUBJECT_KEY = ("kind", "grain", "bucket", "value", "deployment_id", "currency")
MEASURES = (
    "n", "n_unpriced", "n_cached", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens",
    "reasoning_tokens", "cost_micros", "restated_micros", "saved_micros",
)  # fmt: skip

_TAKEN = """
WITH taken AS (
    DELETE FROM traces_rollupqueue WHERE tenant_id = %(tenant)s AND id IN (
        SELECT id FROM traces_rollupqueue WHERE tenant_id = %(tenant)s AND restated = %(restated)s
         ORDER BY id LIMIT %(batch)s)
    RETURNING id),
"""
_PLACE = 'd.deployment_id, d.model_version_id, d.source_id, d.agent, d.outcome, d."user", d.session, d.occurred_at'
_DECISIONS = f"""
facts AS MATERIALIZED (
    SELECT {_PLACE}, COALESCE(d.currency, '') AS currency, 1 AS n,
           (d.cost_micros IS NULL AND (m.name <> '' OR COALESCE(d.input_tokens, d.output_tokens) IS NOT NULL))::int
               AS n_unpriced,
           COALESCE(d.cost_micros = 0 AND d.saved_micros > 0, false)::int AS n_cached,
           COALESCE(d.input_tokens, 0) AS input_tokens, COALESCE(d.output_tokens, 0) AS output_tokens,
           COALESCE(d.cache_read_tokens, 0) AS cache_read_tokens,
           COALESCE(d.cache_write_tokens, 0) AS cache_write_tokens,
           COALESCE(d.reasoning_tokens, 0) AS reasoning_tokens, COALESCE(d.cost_micros, 0) AS cost_micros,
           0 AS restated_micros, COALESCE(d.saved_micros, 0) AS saved_micros
      FROM taken
      JOIN traces_decision d ON d.tenant_id = %(tenant)s AND d.id = taken.id
      JOIN traces_modelversion m ON m.tenant_id = %(tenant)s AND m.id = d.model_version_id),
"""
# What a restatement takes from the old number's row, and what it adds to the new one's: they differ by currency.
_RESTATED = f"""
lines AS (
    SELECT r.decision_id, r.old_currency AS currency, -(r.old_micros IS NULL)::int AS n_unpriced,
           -COALESCE(r.old_micros, 0) AS restated_micros
      FROM taken JOIN traces_restatedcost r ON r.tenant_id = %(tenant)s AND r.id = taken.id
    UNION ALL
    SELECT r.decision_id, r.new_currency, (r.new_micros IS NULL)::int, COALESCE(r.new_micros, 0)
      FROM taken JOIN traces_restatedcost r ON r.tenant_id = %(tenant)s AND r.id = taken.id),
facts AS MATERIALIZED (
    SELECT {_PLACE}, lines.currency, 0 AS n, lines.n_unpriced, 0 AS n_cached, 0 AS input_tokens, 0 AS output_tokens,
           0 AS cache_read_tokens, 0 AS cache_write_tokens, 0 AS reasoning_tokens, 0 AS cost_micros,
           lines.restated_micros, 0 AS saved_micros
      FROM lines JOIN traces_decision d ON d.tenant_id = %(tenant)s AND d.id = lines.decision_id),
"""


def _sums() -> str:
    return ", ".join(f"GREATEST(LEAST(sum({name}), {LARGEST}), -{LARGEST})::bigint" for name in MEASURES)


def _added(table: str) -> str:
    added = "LEAST(GREATEST({table}.{name}::numeric + excluded.{name}, -{largest}), {largest})::bigint"
    return ", ".join(f"{name} = {added.format(table=table, name=name, largest=LARGEST)}" for name in MEASURES)


def _upsert(table: str, key: tuple[str, ...], columns: tuple[str, ...], source: str) -> str:
    """Add the facts of `source` to `table`; `columns` are the expressions of the key's members."""
    return f"""
    INSERT INTO {table} (tenant_id, {", ".join((*key, *MEASURES))})
    SELECT %(tenant)s, {", ".join(columns)}, {_sums()}
      FROM {source}
     GROUP BY {", ".join(str(place) for place in range(2, len(key) + 2))}
     ORDER BY {", ".join(str(place) for place in range(2, len(key) + 2))}
    ON CONFLICT (tenant_id, {", ".join(key)}) DO UPDATE SET {_added(table)}"""


_GRAINS = "(VALUES (1, 'minute'), (2, 'hour'), (3, 'day')) AS grains (grain, unit)"
_BUCKET = "date_trunc(unit, occurred_at, 'UTC')"
_PLACES = _upsert(
    "traces_usagerollup",
    PLACE_KEY,
    ("grain", _BUCKET, "deployment_id", "model_version_id", "source_id", "agent", "outcome", "currency"),
    f"facts JOIN {_GRAINS} ON grain > 1 OR occurred_at >= %(minutes_from)s",
)
_SUBJECTS = _upsert(
    "traces_subjectrollup",
    SUBJECT_KEY,
    ("kind", "grain", _BUCKET, "value", "deployment_id", "currency"),
    f"""facts JOIN {_GRAINS} ON grain > 1 OR occurred_at >= %(minutes_from)s
      CROSS JOIN LATERAL (VALUES (1, "user"), (2, session)) AS subjects (kind, value)
     WHERE value <> ''""",
)


def _statement(facts: str) -> str:
    return f"{_TAKEN}{facts}places AS ({_PLACES}), subjects AS ({_SUBJECTS}) SELECT count(*) FROM taken"


_COUNT_DECISIONS, _COUNT_RESTATED = _statement(_DECISIONS), _statement(_RESTATED)


def roll_up(tenant_id: uuid.UUID, *, now: datetime | None = None, batch: int = BATCH) -> int:
    """Count what is new for one tenant, a batch a transaction; returns how many rows were taken.

    One process at a time a tenant: whoever comes second leaves at once, since the first is doing the work.
    """
    moment, counted = now or datetime.now(UTC), 0
    while True:
        with tenant_atomic(tenant_id):
            if not _lock(tenant_id):
                return counted
            taken = count_waiting(tenant_id, moment, batch)
        counted += taken
        if taken < batch:
            return counted


def count_waiting(tenant_id: uuid.UUID, now: datetime, batch: int = BATCH) -> int:
    """One batch of decisions, and one of restated costs, inside the caller's transaction. Returns the larger."""
    values: dict[str, Any] = {"tenant": tenant_id, "batch": batch, "minutes_from": minutes_from(now)}
    taken = []
    with connection.cursor() as cursor:
        for statement, restated in ((_COUNT_DECISIONS, False), (_COUNT_RESTATED, True)):
            cursor.execute(statement, values | {"restated": restated})
            taken.append(int(cursor.fetchone()[0]))
    return max(taken)


def minutes_from(now: datetime) -> datetime:
    """The first minute that is kept."""
    return (now - MINUTES_KEPT).replace(second=0, microsecond=0)


def drop_old_minutes(tenant_id: uuid.UUID, *, now: datetime | None = None) -> None:
    """Minutes that are no longer kept; their hours and days stay."""
    values: list[Any] = [tenant_id, minutes_from(now or datetime.now(UTC))]
    with tenant_atomic(tenant_id), connection.cursor() as cursor:
        cursor.execute("DELETE FROM traces_usagerollup WHERE tenant_id = %s AND grain = 1 AND bucket < %s", values)
        for kind in (1, 2):
            cursor.execute(
                "DELETE FROM traces_subjectrollup WHERE tenant_id = %s AND grain = 1 AND bucket < %s AND kind = %s",
                [*values, kind],
            )


def rebuild(tenant_id: uuid.UUID, *, now: datetime | None = None) -> int:
    """Forget every rollup of a tenant and count everything again; returns how many rows were taken.

    A decision that is stored meanwhile is in the queue by its own transaction, or by this one, and never twice.
    """
    with tenant_atomic(tenant_id), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"rollup {tenant_id}"])
        for table in ("traces_usagerollup", "traces_subjectrollup", "traces_rollupqueue"):
            cursor.execute(f"DELETE FROM {table} WHERE tenant_id = %s", [tenant_id])
        for table, restated in (("traces_decision", False), ("traces_restatedcost", True)):
            cursor.execute(
                f"INSERT INTO traces_rollupqueue (tenant_id, id, restated) SELECT tenant_id, id, %s FROM {table}"
                " WHERE tenant_id = %s ON CONFLICT DO NOTHING",
                [restated, tenant_id],
            )
    return roll_up(tenant_id, now=now)


def _lock(tenant_id: uuid.UUID) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [f"rollup {tenant_id}"])
        return bool(cursor.fetchone()[0])
